"""What members write, on the wire: new words, edits, deletions, and what is done to a topic (§4, §6)."""

from __future__ import annotations

from collections.abc import Sequence

from activitypub.ijson import JSONObject
from activitypub.vocabulary import AS_PUBLIC
from fedcomm.federation import peers, recipients
from fedcomm.federation.addresses import Addresses
from fedcomm.federation.catalogue import Catalogue
from fedcomm.federation.dispatch import Dispatch, Step, thing_of, understands
from fedcomm.federation.recipients import Inbox
from fedcomm.federation.rendering import Renderer, as_page, tombstone
from fedcomm.federation.sanctions import REMOVED
from fedcomm.hub import (
    actors,
    circles,
    groups,
    journal,
    policies,
    statements,
    threads,
    timelines,
)
from fedcomm.hub.visibility import member
from fedcomm.store.database import Transaction
from fedcomm.store.ids import new_id


class Words:
    """Steps of the outbox for entries about topics and replies."""

    def __init__(
        self, out: Dispatch, renderer: Renderer, catalogue: Catalogue, addresses: Addresses
    ) -> None:
        self._out = out
        self._renderer = renderer
        self._catalogue = catalogue
        self._at = addresses
        self.steps: dict[str, Step] = {
            "topic_created": self._created,
            "reply_created": self._created,
            "object_edited": self._edited,
            "object_deleted": self._deleted,
            "object_removed": self._deleted,
            "object_recalled": self._deleted,
            "topic_pinned": self._pinned,
            "topic_unpinned": self._pinned,
            "topic_locked": self._locked,
            "topic_unlocked": self._locked,
        }

    async def _created(self, tx: Transaction, entry: journal.Entry) -> None:
        thing = await thing_of(tx, entry)
        if thing is None or thing.deleted_at is not None or thing.withheld is not None:
            return
        if not await self._out.may_leave(tx, thing):
            return
        if thing.is_local:
            post = await timelines.post(tx, member(thing.author_id), thing.id)
            if post is None:
                return
            document = await self._catalogue.render(tx, post)
            create_id = self._out.booking.number("Create")
            create = await self._out.sealed(
                thing.author_id, self._catalogue.create(create_id, document, thing.published_at)
            )
            direct = recipients.merged(
                await recipients.followers(tx, thing.author_id)
                if thing.visibility not in ("direct", "members")
                else [],
                await self._people_named(tx, thing),
                await self._poll_readers(tx, thing),
            )
            direct = [inbox for inbox in direct if understands(inbox, thing)]
            await self._out.send(tx, thing.author_id, "Create", create, direct, thing, create_id)
            wrapped: JSONObject | None = create
        else:
            wrapped = await self._out.received_create(tx, thing)
            if thing.kind == "reply":
                # A topic is announced by its id, which microblogs fetch.
                await self._out.forward(tx, thing, "Create")
        # NodeBB's answers name the Public in `cc` only: they are for the thread all the same.
        if thing.visibility in ("public", "members") or (
            thing.kind == "reply" and thing.visibility == "unlisted"
        ):
            await self._announce_new(tx, thing, wrapped)

    async def _announce_new(
        self, tx: Transaction, thing: threads.Thing, wrapped: JSONObject | None
    ) -> None:
        """A topic in both forms, each to whom it suits; a reply as activity only, unless the group wants more."""
        if await policies.level_of(tx, thing.host_id) != "none":
            # Hidden here, so it is not handed on either.
            return
        group = await self._out.federated_group(tx, thing)
        if group is None:
            return
        inboxes = await recipients.group_members(tx, group.id)
        by_form: dict[peers.Form, list[Inbox]] = {"activity": [], "id": []}
        for inbox in inboxes:
            if thing.kind == "topic" or group.announce_replies:
                for form in peers.topic_forms(inbox.software):
                    by_form[form].append(inbox)
            elif peers.wants_activities(inbox.software):
                by_form["activity"].append(inbox)
        if wrapped is not None:
            able = [inbox for inbox in by_form["activity"] if understands(inbox, thing)]
            await self._out.announce(tx, group, thing, wrapped, able, "activity")
            await self._announce_as_page(tx, group, thing, wrapped, by_form["activity"], "activity")
        if thing.kind != "topic" and not group.announce_replies:
            return
        if group.is_members_only:
            await self._tell(tx, group, thing, "Create", by_form["id"])
        else:
            await self._out.announce(tx, group, thing, self._at.object(thing), by_form["id"], "id")

    async def _people_named(self, tx: Transaction, thing: threads.Thing) -> list[Inbox]:
        """Where those live whom the object names: of a private group only members, of one elsewhere the group
        itself, which tells its members."""
        named = await self._out.addressed(tx, thing)
        if thing.visibility != "members":
            return await recipients.people(tx, named)
        if thing.community_id is not None:
            return await recipients.own_inbox(tx, thing.community_id)
        inside = await circles.members_among(tx, thing.group_id or 0, sorted(named))
        return await recipients.people(tx, inside)

    async def _tell(
        self,
        tx: Transaction,
        group: groups.Group,
        thing: threads.Thing,
        kind: str,
        inboxes: Sequence[Inbox],
    ) -> None:
        """To microblogs a private group says itself what was said in it (§4.10): see `Renderer.told`."""
        told = await self._catalogue.told(tx, member(thing.author_id), thing.id)
        if told is None or not inboxes:
            return
        number = self._out.booking.number(f"{kind}/told")
        activity = self._renderer.activity(
            number,
            kind,
            self._at.group(group.id),
            told,
            to=told["to"],
            cc=[],
            published=thing.edited_at or thing.published_at,
        )
        await self._out.send(tx, group.id, f"{kind}/told", activity, inboxes, thing, number)

    async def untell(
        self,
        tx: Transaction,
        group: groups.Group,
        thing: threads.Thing,
        have_it: Sequence[Inbox],
    ) -> None:
        """The group takes back what it told of something that was deleted."""
        said = await tx.value(
            "SELECT 1 FROM activities WHERE object_id = ? AND type = 'Create/told' LIMIT 1",
            thing.id,
        )
        inboxes = [inbox for inbox in have_it if "id" in peers.topic_forms(inbox.software)]
        if said is None or not inboxes:
            return
        group_uri = self._at.group(group.id)
        delete = self._renderer.activity(
            new_id(),
            "Delete",
            group_uri,
            tombstone(self._at.told(thing.id)),
            to=[f"{group_uri}/followers"],
            cc=[],
        )
        await self._out.send(tx, group.id, "Delete/told", delete, inboxes, thing, recall=True)

    async def _edited(self, tx: Transaction, entry: journal.Entry) -> None:
        thing = await thing_of(tx, entry)
        if thing is None or thing.deleted_at is not None or thing.withheld is not None:
            return
        if not await self._out.may_leave(tx, thing):
            return
        group = await self._out.federated_group(tx, thing)
        if thing.visibility == "members" and group is not None:
            told = await self._out.among_readers(tx, thing, await recipients.reached(tx, thing.id))
            await self._tell(
                tx,
                group,
                thing,
                "Update",
                [inbox for inbox in told if "id" in peers.topic_forms(inbox.software)]
                if thing.kind == "topic" or group.announce_replies
                else [],
            )
        if not thing.is_local:
            await self._out.forward(tx, thing, "Update")
            raw = await self._out.received(tx, thing.id, "Update", thing.author_id)
            await self._out.announce_to_threads(tx, thing, raw)
            return
        document = await self._catalogue.object(tx, thing.id)
        if document is None:
            return
        update = self._renderer.activity(
            new_id(),
            "Update",
            str(document["attributedTo"]),
            document,
            to=document["to"],
            cc=document["cc"],
            published=thing.edited_at,
            audience=document.get("audience"),
        )
        have_it = recipients.merged(
            await recipients.reached(tx, thing.id),
            await self._people_named(tx, thing),
        )
        have_it = [
            inbox
            for inbox in await self._out.among_readers(tx, thing, have_it)
            if understands(inbox, thing) and await self._out.is_welcome(tx, inbox.host_id)
        ]
        update = await self._out.sealed(thing.author_id, update)
        await self._out.send(tx, thing.author_id, "Update", update, have_it, thing)
        await self._out.announce_to_threads(tx, thing, update)
        if group is not None and thing.visibility in ("public", "members"):
            members = await recipients.group_members(tx, group.id)
            await self._announce_as_page(tx, group, thing, update, members, "Update")

    async def _deleted(self, tx: Transaction, entry: journal.Entry) -> None:
        """Ask every server back that has a copy (§6.1), and nobody else."""
        thing = await thing_of(tx, entry)
        if thing is None:
            return
        have_it = await recipients.reached(tx, thing.id)
        await self.forget_undelivered(tx, thing.id)
        uri = self._at.object(thing)
        heard_by = await self._out.heard_by(tx, thing)
        removed = entry.event == "object_removed"
        # The group may have been deleted since: what it announced is asked back all the same.
        group = await groups.group(tx, thing.group_id) if thing.group_id is not None else None
        group_uri = self._at.group(group.id) if group is not None else None
        if thing.is_local:
            deletes = [
                inbox
                for inbox in have_it
                # Who builds threads gets the moderator's Delete, which can be undone; everybody else, and
                # a suspended host that once got a copy, needs the author's.
                if not removed
                or "id" in peers.topic_forms(inbox.software)
                or not await self._out.is_welcome(tx, inbox.host_id)
            ]
            await self.send_deletes(tx, thing, uri, group_uri, deletes)
        if group is None or group_uri is None:
            return
        if thing.is_local:
            # A suspended host that once got a copy gets the Delete above, and nothing else.
            have_it = [inbox for inbox in have_it if await self._out.is_welcome(tx, inbox.host_id)]
        moderator = await actors.actor(tx, entry.actor_id or 0) if removed else None
        wrapped: JSONObject | None
        if moderator is not None and not moderator.is_local:
            wrapped = await self._out.received(tx, thing.id, "Delete", moderator.id)
        elif removed:
            decided = await statements.latest(tx, thing.id, "remove")
            wrapped = self._renderer.activity(
                new_id(),
                "Delete",
                self._at.member(entry.actor_id or 0),
                uri,
                to=heard_by,
                cc=[group_uri],
                audience=group_uri,
                # Its presence tells a moderator's removal from an author's deletion (§4.9).
                summary=decided.reason if decided is not None else REMOVED,
            )
        elif thing.is_local:
            wrapped = self._delete(uri, self._at.member(thing.author_id), uri, group_uri, heard_by)
        else:
            await self._out.forward(tx, thing, "Delete", have_it)
            wrapped = await self._out.received(tx, thing.id, "Delete", thing.author_id)
        if wrapped is not None:
            if "@context" not in wrapped:
                wrapped = await self._out.sealed(
                    (entry.actor_id or 0) if removed else thing.author_id, wrapped
                )
            listening = [inbox for inbox in have_it if peers.wants_activities(inbox.software)]
            await self._out.announce(tx, group, thing, wrapped, listening, "Delete", recall=True)
        await self.undo_announces(tx, group, thing, have_it)
        await self.untell(tx, group, thing, have_it)

    async def send_deletes(
        self,
        tx: Transaction,
        thing: threads.Thing,
        uri: str,
        group_uri: str | None,
        have_it: Sequence[Inbox],
    ) -> None:
        """The author's Delete of something of ours, to each in the form that it takes (§6.1)."""
        author_uri = self._at.member(thing.author_id)
        heard_by = await self._out.heard_by(tx, thing)
        strings = [inbox for inbox in have_it if peers.delete_as_string(inbox.software)]
        others = [inbox for inbox in have_it if not peers.delete_as_string(inbox.software)]
        for inboxes, content in ((others, tombstone(uri)), (strings, uri)):
            if inboxes:
                await self._out.send(
                    tx,
                    thing.author_id,
                    "Delete",
                    self._delete(uri, author_uri, content, group_uri, heard_by),
                    inboxes,
                    thing,
                    recall=True,
                )

    def _delete(
        self,
        uri: str,
        author_uri: str,
        content: JSONObject | str,
        group_uri: str | None,
        heard_by: Sequence[str],
    ) -> JSONObject:
        return self._renderer.activity(
            new_id(),
            "Delete",
            author_uri,
            content,
            to=heard_by,
            cc=[group_uri] if group_uri else [],
            audience=group_uri,
        )

    async def undo_announces(
        self,
        tx: Transaction,
        group: groups.Group,
        thing: threads.Thing,
        have_it: Sequence[Inbox],
    ) -> None:
        """Mastodon takes a boost down when the group undoes it; it ignores a moderator's Delete (§4.8)."""
        row = await tx.one(
            "SELECT id FROM activities WHERE object_id = ? AND type = 'Announce/id' AND actor_id = ?",
            thing.id,
            group.id,
        )
        boosted = [inbox for inbox in have_it if "id" in peers.topic_forms(inbox.software)]
        if row is None or not boosted:
            return
        group_uri = self._at.group(group.id)
        announce = self._renderer.activity(
            row["id"], "Announce", group_uri, self._at.object(thing), to=[AS_PUBLIC]
        )
        # If it is restored the group announces it anew, and this one stays undone.
        await tx.execute("UPDATE activities SET type = 'Announce/undone' WHERE id = ?", row["id"])
        undo = self._renderer.activity(
            new_id(),
            "Undo",
            group_uri,
            announce,
            to=[AS_PUBLIC],
            cc=[f"{group_uri}/followers"],
        )
        await self._out.send(tx, group.id, "Undo", undo, boosted, thing, recall=True)

    async def forget_undelivered(self, tx: Transaction, object_id: int) -> None:
        """What was not sent yet is not sent any more, and no queue keeps a deleted word."""
        await tx.execute(
            "DELETE FROM deliveries WHERE state IN ('waiting', 'failed') AND activity_id IN"
            " (SELECT id FROM activities WHERE object_id = ?)",
            object_id,
        )
        await tx.execute("UPDATE activities SET body = NULL WHERE object_id = ?", object_id)
        await tx.execute(
            "DELETE FROM received_activities WHERE object_id = ? AND type <> 'Delete'", object_id
        )

    async def _pinned(self, tx: Transaction, entry: journal.Entry) -> None:
        thing = await thing_of(tx, entry)
        group = await self._out.federated_group(tx, thing) if thing is not None else None
        if thing is None or group is None:
            return
        group_uri = self._at.group(group.id)
        if await self._repeated(
            tx, entry, thing, "Add" if entry.event == "topic_pinned" else "Remove"
        ):
            return
        content = self._renderer.activity(
            new_id(),
            "Add" if entry.event == "topic_pinned" else "Remove",
            self._at.member(entry.actor_id or 0),
            self._at.object(thing),
            to=await self._out.heard_by(tx, thing),
            cc=[group_uri],
            target=f"{group_uri}/featured",
            audience=group_uri,
        )
        await self._out.announce_to_threads(tx, thing, content)

    async def _locked(self, tx: Transaction, entry: journal.Entry) -> None:
        thing = await thing_of(tx, entry)
        group = await self._out.federated_group(tx, thing) if thing is not None else None
        if thing is None or group is None:
            return
        group_uri = self._at.group(group.id)
        if await self._repeated(
            tx, entry, thing, "Lock" if entry.event == "topic_locked" else "Undo"
        ):
            return
        moderator = self._at.member(entry.actor_id or 0)
        to, cc = await self._out.heard_by(tx, thing), [group_uri]
        lock = self._renderer.activity(
            new_id(),
            "Lock",
            moderator,
            self._at.object(thing),
            to=to,
            cc=cc,
            audience=group_uri,
        )
        if entry.event == "topic_unlocked":
            lock = self._renderer.activity(
                new_id(), "Undo", moderator, lock, to=to, cc=cc, audience=group_uri
            )
        await self._out.announce_to_threads(
            tx, thing, await self._out.sealed(entry.actor_id or 0, lock)
        )

    async def _repeated(
        self, tx: Transaction, entry: journal.Entry, thing: threads.Thing, kind: str
    ) -> bool:
        """Hand on what a moderator of another server did, as it came; whether it was one."""
        moderator = await actors.actor(tx, entry.actor_id or 0)
        if moderator is None or moderator.is_local:
            return False
        raw = await self._out.received(tx, thing.id, kind, moderator.id)
        await self._out.announce_to_threads(tx, thing, raw)
        return True

    async def _poll_readers(self, tx: Transaction, thing: threads.Thing) -> list[Inbox]:
        """Servers of a group's members that take a poll from its author only (§5.3)."""
        if thing.type != "Question" or thing.visibility != "public":
            return []
        group = await self._out.federated_group(tx, thing)
        if group is None:
            return []
        return [
            inbox
            for inbox in await recipients.group_members(tx, group.id)
            if peers.wants_polls_directly(inbox.software)
        ]

    async def _announce_as_page(
        self,
        tx: Transaction,
        group: groups.Group,
        thing: threads.Thing,
        wrapped: JSONObject,
        inboxes: Sequence[Inbox],
        form: str,
    ) -> None:
        """A poll for those who know none: the same ids, its words as a `Page`."""
        question = wrapped.get("object")
        unable = [inbox for inbox in inboxes if not understands(inbox, thing)]
        if unable and thing.is_local and isinstance(question, dict):
            page = {key: value for key, value in wrapped.items() if key != "proof"}
            page["object"] = as_page(question)
            await self._out.announce(tx, group, thing, page, unable, f"{form}/page")
