"""What moderators here decide, on the wire: bans, moderators, restored posts, forwarded reports (federation.md §4.8,
§4.9). Removed posts are asked back like deleted ones, by `recalls`.

What a group decides goes out wrapped in its Announce, to servers that build threads from activities: a bare
Block would be a personal block to Mastodon.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from activitypub.ijson import JSONObject
from fedcomm.federation import peers, recipients
from fedcomm.federation.addresses import Addresses
from fedcomm.federation.catalogue import Catalogue
from fedcomm.federation.dispatch import Dispatch, Step, instance_actor, understands
from fedcomm.federation.moments import iso
from fedcomm.federation.recipients import Inbox
from fedcomm.federation.rendering import Renderer, heard_in
from fedcomm.hub import actors, bans, groups, journal, reports, statements, threads
from fedcomm.store.database import Transaction
from fedcomm.store.ids import new_id, now_ms

INNER: Final = "Inner/"
"""Prefix of the type under which an activity is kept that went out wrapped and is about no object."""

MATTERS: Final = frozenset(
    f"{prefix}{kind}"
    for prefix in (INNER, "Announce/")
    for kind in ("Block", "Add", "Remove", "Undo")
)
"""What a group decided about somebody: told to the servers of the group's members, and to no other."""

REMOVED: Final = "Removed by a moderator."


class Sanctions:
    """Steps of the outbox for entries about moderation."""

    def __init__(
        self, out: Dispatch, renderer: Renderer, catalogue: Catalogue, addresses: Addresses
    ) -> None:
        self._out = out
        self._catalogue = catalogue
        self._renderer = renderer
        self._at = addresses
        self.steps: dict[str, Step] = {
            "member_banned": self._banned,
            "member_unbanned": self._unbanned,
            "moderator_added": self._moderators_changed,
            "moderator_removed": self._moderators_changed,
            "object_restored": self._restored,
            "report_forwarded": self._reported,
        }

    # Bans

    async def _banned(self, tx: Transaction, entry: journal.Entry) -> None:
        found = await self._federated(tx, entry)
        if found is None:
            return
        group, person = found
        ban = await bans.ban(tx, group.id, person.id)
        if ban is None:
            return  # It is lifted already: nothing to tell.
        content = await self._received(tx, person.id, "Block", entry.actor_id)
        if content is None:
            content = await self._block(tx, group, person, entry.actor_id or 0, ban)
        await self._announce(tx, group, person, content, "Block")

    async def _block(
        self,
        tx: Transaction,
        group: groups.Group,
        person: actors.Actor,
        moderator_id: int,
        ban: bans.Ban,
    ) -> JSONObject:
        group_uri = self._at.group(group.id)
        removed = await tx.value(
            "SELECT 1 FROM statements WHERE person_id = ? AND group_id = ? AND action = 'remove'"
            " AND created_at >= ? LIMIT 1",
            person.id,
            group.id,
            ban.since,
        )
        return self._renderer.activity(
            new_id(),
            "Block",
            self._at.member(moderator_id),
            self._at.actor(person),
            to=self._heard_in(group),
            cc=[group_uri],
            target=group_uri,
            audience=group_uri,
            summary=ban.reason,
            removeData=removed is not None,
            # Lemmy reads `endTime`; `expires` is what its older versions sent.
            endTime=iso(ban.until) if ban.until is not None else None,
        )

    async def _unbanned(self, tx: Transaction, entry: journal.Entry) -> None:
        found = await self._federated(tx, entry)
        if found is None:
            return
        group, person = found
        content = await self._received(tx, person.id, "Undo", entry.actor_id)
        if content is None:
            moderator = self._at.member(entry.actor_id or 0)
            group_uri = self._at.group(group.id)
            to, cc = self._heard_in(group), [group_uri]
            block = self._renderer.activity(
                new_id(),
                "Block",
                moderator,
                self._at.actor(person),
                to=to,
                cc=cc,
                target=group_uri,
                audience=group_uri,
                removeData=False,
            )
            content = self._renderer.activity(
                new_id(), "Undo", moderator, block, to=to, cc=cc, audience=group_uri
            )
        await self._announce(tx, group, person, content, "Undo")

    # Moderators

    async def _moderators_changed(self, tx: Transaction, entry: journal.Entry) -> None:
        found = await self._federated(tx, entry)
        if found is None:
            return
        group, person = found
        group_uri = self._at.group(group.id)
        kind = "Add" if entry.event == "moderator_added" else "Remove"
        by = await actors.actor(tx, entry.actor_id or 0)
        content = await self._received(tx, person.id, kind, entry.actor_id)
        if content is None and by is not None and not by.is_local:
            return  # They stepped down by leaving: their server said so itself.
        if content is None:
            content = self._renderer.activity(
                new_id(),
                kind,
                self._at.member(entry.actor_id or 0),
                self._at.actor(person),
                to=self._heard_in(group),
                cc=[group_uri],
                target=f"{group_uri}/moderators",
                audience=group_uri,
            )
        await self._announce(tx, group, person, content, kind)

    # Restored posts

    async def _restored(self, tx: Transaction, entry: journal.Entry) -> None:
        """Threadiverse servers undo the Delete; to microblogs the group announces the post anew (§4.8)."""
        thing = await threads.thing(tx, entry.object_id or 0)
        if thing is None or thing.deleted_at is not None or thing.withheld is not None:
            return
        group = await groups.group(tx, thing.group_id or 0)
        if group is None or not group.leaves_hub or thing.visibility not in ("public", "members"):
            return
        members = await recipients.group_members(tx, group.id)
        # Where there is no shared inbox, the copy for a host and the one for its member would both go there.
        told = {inbox.host_id for inbox in members}
        inboxes = recipients.merged(
            members,
            [
                inbox
                for inbox in await self._out.among_readers(
                    tx, thing, await recipients.reached(tx, thing.id)
                )
                if inbox.host_id not in told and inbox.is_welcome
            ],
        )
        undo = await self._received(tx, thing.id, "Undo", entry.actor_id)
        if undo is None:
            moderator_id = entry.actor_id or 0
            undo = await self._out.sealed(
                tx, moderator_id, await self._undo_delete(tx, thing, group, moderator_id)
            )
        listening = [inbox for inbox in inboxes if peers.wants_activities(inbox.software)]
        await self._out.announce(tx, group, thing, undo, listening, "Undo")
        if group.is_members_only:
            return  # What a microblog was told and took back it does not take again under the same id.
        await self._give_back(tx, thing)
        if thing.kind == "topic" or group.announce_replies:
            boosting = [inbox for inbox in inboxes if "id" in peers.topic_forms(inbox.software)]
            await self._out.announce(tx, group, thing, self._at.object(thing), boosting, "id")

    async def _give_back(self, tx: Transaction, thing: threads.Thing) -> None:
        """Who was sent the author's Delete gets the words again, in a `Create` of its own: an Undo of it they do not
        know, and those who follow the author alone hear of no group."""
        document = await self._catalogue.object(tx, thing.id) if thing.is_local else None
        if document is None:
            return
        inboxes = [
            inbox
            for inbox in await recipients.reached(tx, thing.id)
            if "id" in peers.topic_forms(inbox.software)
            and understands(inbox, thing)
            and inbox.is_welcome
        ]
        if inboxes:
            create = self._catalogue.create(new_id(), document, thing.published_at)
            create = await self._out.sealed(tx, thing.author_id, create)
            await self._out.send(tx, thing.author_id, "Create", create, inboxes, thing)

    async def _undo_delete(
        self, tx: Transaction, thing: threads.Thing, group: groups.Group, moderator_id: int
    ) -> JSONObject:
        group_uri, moderator = self._at.group(group.id), self._at.member(moderator_id)
        decided = await statements.latest(tx, thing.id, "remove")
        delete = self._renderer.activity(
            new_id(),
            "Delete",
            moderator,
            self._at.object(thing),
            to=self._heard_in(group),
            cc=[group_uri],
            audience=group_uri,
            summary=decided.reason if decided is not None else REMOVED,
        )
        return self._renderer.activity(
            new_id(),
            "Undo",
            moderator,
            delete,
            to=self._heard_in(group),
            cc=[group_uri],
            audience=group_uri,
        )

    # Reports

    async def _reported(self, tx: Transaction, entry: journal.Entry) -> None:
        """A report goes to the server of whom it is about, if who reports agreed; never wrapped, never proven
        to third parties (§4.9)."""
        report = await reports.report(tx, entry.target_id or 0)
        if report is None or not report.forward:
            return
        instance_id = await instance_actor(tx)
        for person in report.people:
            if person.is_local:
                continue
            uris = [
                self._at.object(thing)
                for subject in report.subjects
                if subject.person.id == person.id
                and subject.object_id is not None
                and (thing := await threads.thing(tx, subject.object_id)) is not None
            ]
            for inbox in await recipients.own_inbox(tx, person.id):
                form = peers.report_form(inbox.software)
                named = (
                    report.forward == "named"
                    and form.named
                    and await self._out.willing(tx, report.reporter_id or 0)
                )
                sender_id = report.reporter_id if named else instance_id
                if sender_id is None or (form.only_named and not named):
                    continue
                await self._send_flag(tx, report, person, uris, inbox, form, sender_id)

    async def _send_flag(
        self,
        tx: Transaction,
        report: reports.Report,
        person: actors.Actor,
        uris: Sequence[str],
        inbox: Inbox,
        form: peers.ReportForm,
        sender_id: int,
    ) -> None:
        sender = await actors.actor(tx, sender_id)
        if sender is None or (form.posts_only and not uris):
            return
        person_uri = self._at.actor(person)
        to = person_uri
        about: list[str | list[str]] = [[person_uri, *uris]]
        if form.posts_only:
            # Lemmy wants exactly one: the group, or the site of the author.
            group = await groups.group(tx, report.group_id or 0)
            is_open = group is not None and group.mode == "federated"
            to = self._at.group(group.id) if group and is_open else _site_of(person_uri)
            about = [*uris]
        for subject in about:
            flag = self._renderer.activity(
                new_id(),
                "Flag",
                self._at.actor(sender),
                subject,
                to=[to],
                published=now_ms(),
                summary=report.reason,
            ) | {"content": report.reason}
            await self._out.send(tx, sender_id, "Flag", flag, [inbox], subject_id=person.id)

    # Sending

    async def _announce(
        self,
        tx: Transaction,
        group: groups.Group,
        person: actors.Actor,
        content: JSONObject,
        kind: str,
    ) -> None:
        inboxes = [
            inbox
            for inbox in recipients.merged(
                await recipients.group_members(tx, group.id),
                await recipients.people(tx, [person.id]),
            )
            if peers.wants_activities(inbox.software)
        ]
        if not inboxes:
            return
        moderator_id = self._at.local(str(content.get("actor")), "p")
        if moderator_id is not None:
            if not await self._out.willing(tx, moderator_id):
                return  # It would name them to other servers.
            content = await self._out.sealed(tx, moderator_id, content)
        await self._out.keep_inner(tx, content, f"{INNER}{kind}", subject_id=person.id)
        activity_id = new_id()
        announce = self._renderer.announce(
            activity_id,
            self._at.group(group.id),
            content,
            author_uri=None,
            published=now_ms(),
            is_open=not group.is_members_only,
        )
        await self._out.send(
            tx,
            group.id,
            f"Announce/{kind}",
            announce,
            inboxes,
            activity_id=activity_id,
            subject_id=person.id,
        )

    def _heard_in(self, group: groups.Group) -> list[str]:
        return heard_in(self._at.group(group.id), is_open=not group.is_members_only)

    async def _federated(
        self, tx: Transaction, entry: journal.Entry
    ) -> tuple[groups.Group, actors.Actor] | None:
        group = await groups.group(tx, entry.group_id or 0)
        person = await actors.actor(tx, entry.target_id or 0)
        if group is None or person is None or not group.leaves_hub:
            return None
        return (group, person) if entry.actor_id is not None else None

    async def _received(
        self, tx: Transaction, subject_id: int, kind: str, actor_id: int | None
    ) -> JSONObject | None:
        """What a moderator of another server sent, to be repeated as it came; None for one of ours."""
        moderator = await actors.actor(tx, actor_id or 0)
        if moderator is None or moderator.is_local:
            return None
        return await self._out.received(tx, subject_id, kind, moderator.id)


def _site_of(uri: str) -> str:
    """Lemmy's site actor is the root of its host."""
    scheme, _, rest = uri.partition("://")
    return f"{scheme}://{rest.partition('/')[0]}/"
