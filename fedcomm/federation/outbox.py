"""From the journal to delivery rows: what the hub did becomes activities, each rendered once.

The cursor moves in the transaction of the rows, so an entry is turned into activities once, whatever
crashes. Only public things of federated groups and what concerns remote people leave; the rest of the
journal is passed over. A delivery that comes later than the object's deletion finds no body any more.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence

from activitypub import accessors
from activitypub.ijson import JSONObject, dumps, parse_object
from activitypub.vocabulary import AS_PUBLIC, RECIPIENT_LIMIT
from fedcomm.federation import lanes, peers, recipients
from fedcomm.federation.addresses import Addresses
from fedcomm.federation.catalogue import Catalogue
from fedcomm.federation.keyring import Keyring
from fedcomm.federation.recipients import Inbox
from fedcomm.federation.rendering import Renderer, as_page, tombstone
from fedcomm.federation.sanctions import REMOVED, Sanctions, Wire
from fedcomm.federation.sealing import sealed
from fedcomm.hub import (
    actors,
    follows,
    groups,
    journal,
    policies,
    polls,
    statements,
    threads,
    timelines,
)
from fedcomm.hub.visibility import member
from fedcomm.store.database import Database, DatabaseUnavailable, Transaction
from fedcomm.store.ids import new_id, now_ms

log = logging.getLogger("fedcomm.outbox")

CONSUMER = "activitypub"
ENTRIES = 100
IDLE_S = 1.0
"""How soon a change by another process (the command line) is seen."""

FORMLESS = ("Like", "Dislike", "Undo", "Delete", "Add", "Remove", "Lock")
"""Activities that name their object by id only: it does not matter in which form a server has it."""

SENT_VISIBILITIES = ("public", "unlisted", "followers", "direct")

FORWARD = "Forward"
"""The type under which somebody else's activity is kept while it is handed on; no id of ours leads to it."""

Step = Callable[[Transaction, journal.Entry], Awaitable[None]]


def is_forwardable(activity: JSONObject) -> bool:
    """Whether others can believe an activity that we hand on, and may have it.

    What is not addressed to the public by itself or by its object is for nobody else (§8, rule 8). A Delete holds
    no words, and not every peer addresses it.
    """
    if "proof" not in activity and "signature" not in activity:
        return False
    if activity.get("type") == "Delete":
        return True
    thing = activity.get("object")
    return any(
        accessors.is_public(recipient)
        for document in (activity, thing)
        if isinstance(document, dict)
        for field in ("to", "cc")
        for recipient in accessors.links(document, field, RECIPIENT_LIMIT)
    )


class KeyMissing(Exception):
    """An actor of ours has no keys yet."""

    def __init__(self, actor_id: int) -> None:
        super().__init__(actor_id)
        self.actor_id = actor_id


class Outbox:
    """The journal's ActivityPub consumer."""

    def __init__(
        self,
        db: Database,
        renderer: Renderer,
        catalogue: Catalogue,
        keyring: Keyring,
        addresses: Addresses,
    ) -> None:
        self._db = db
        self._keyring = keyring
        self._renderer = renderer
        self._catalogue = catalogue
        self._at = addresses
        self._awake = asyncio.Event()
        self.on_deliveries: Callable[[], None] = lanes.idle
        self._steps: dict[str, Step] = {
            "topic_created": self._created,
            "reply_created": self._created,
            "object_edited": self._edited,
            "object_deleted": self._deleted,
            "object_removed": self._deleted,
            "topic_pinned": self._pinned,
            "topic_unpinned": self._pinned,
            "topic_locked": self._locked,
            "topic_unlocked": self._locked,
            "poll_voted": self._voted,
            "poll_counted": self._counted,
            "poll_closed": self._counted,
            "reaction_added": self._reacted,
            "reaction_withdrawn": self._unreacted,
            "membership_activated": self._admitted,
            "membership_refused": self._turned_away,
            "follow_requested": self._follow_requested,
            "follow_accepted": self._follow_accepted,
            "follow_refused": self._follow_refused,
            "follow_ended": self._follow_ended,
            "member_edited": self._member_edited,
            "member_moved": self._member_moved,
            "block_announced": self._blocked,
            "block_withdrawn": self._unblocked,
            "group_edited": self._group_edited,
        }
        wire = Wire(
            self._send,
            self._announce,
            self._store_inner,
            self._sealed,
            self._received,
            self._is_welcome,
        )
        self._steps |= Sanctions(wire, renderer, addresses).steps

    def wake(self) -> None:
        """The journal grew."""
        self._awake.set()

    async def run(self) -> None:
        """Consume until cancelled."""
        while True:
            self._awake.clear()
            try:
                while await self.consume():
                    self.on_deliveries()
            except DatabaseUnavailable as error:
                log.error("outbox: the database is away: %s", error)
            except Exception:
                log.exception("outbox: unexpected")
            await lanes.pause(self._awake, IDLE_S)

    async def consume(self) -> int:
        """Turn the next entries into activities; how many entries were read."""
        seen = await journal.cursor(self._db, CONSUMER)
        if await journal.last_seq(self._db) <= seen:
            return 0
        while True:
            try:
                return await self._consume()
            except KeyMissing as missing:
                # Making one writes, so not within the transaction; then the entries are read again.
                await self._keyring.pair(missing.actor_id)

    async def _consume(self) -> int:
        async with self._db.transaction() as tx:
            # Read again inside: another process may have been here meanwhile.
            seen = await journal.cursor(tx, CONSUMER)
            entries = await journal.entries_after(tx, seen, ENTRIES)
            for entry in entries:
                step = self._steps.get(entry.event)
                if step is not None:
                    await step(tx, entry)
            if entries:
                await journal.move_cursor(tx, CONSUMER, entries[-1].seq)
        return len(entries)

    # Words

    async def _created(self, tx: Transaction, entry: journal.Entry) -> None:
        thing = await self._thing(tx, entry)
        if thing is None or thing.deleted_at is not None or thing.withheld is not None:
            return
        if thing.visibility not in SENT_VISIBILITIES:
            return
        if thing.is_local:
            post = await timelines.post(tx, member(thing.author_id), thing.id)
            if post is None:
                return
            document = await self._catalogue.render(tx, post)
            create_id = new_id()
            create = await self._sealed(
                thing.author_id, self._catalogue.create(create_id, document, thing.published_at)
            )
            direct = recipients.merged(
                await recipients.followers(tx, thing.author_id)
                if thing.visibility != "direct"
                else [],
                await recipients.people(tx, await self._addressed(tx, thing)),
                await self._poll_readers(tx, thing),
            )
            direct = [inbox for inbox in direct if _understands(inbox, thing)]
            await self._send(tx, thing.author_id, "Create", create, direct, thing, create_id)
            wrapped: JSONObject | None = create
        else:
            wrapped = await self._received(tx, thing.id, "Create", thing.author_id)
            if thing.kind == "reply":
                # A topic is announced by its id, which microblogs fetch.
                await self._forward(tx, thing, "Create")
        if thing.visibility == "public":
            await self._announce_new(tx, thing, wrapped)

    async def _announce_new(
        self, tx: Transaction, thing: threads.Thing, wrapped: JSONObject | None
    ) -> None:
        """A topic in both forms, each to whom it suits; a reply as activity only, unless the group wants more."""
        if await policies.level_of(tx, thing.host_id) != "none":
            # Hidden here, so it is not handed on either.
            return
        group = await self._federated_group(tx, thing)
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
            able = [inbox for inbox in by_form["activity"] if _understands(inbox, thing)]
            await self._announce(tx, group, thing, wrapped, able, "activity")
            await self._announce_as_page(tx, group, thing, wrapped, by_form["activity"], "activity")
        if thing.kind == "topic" or group.announce_replies:
            await self._announce(tx, group, thing, self._at.object(thing), by_form["id"], "id")

    async def _edited(self, tx: Transaction, entry: journal.Entry) -> None:
        thing = await self._thing(tx, entry)
        if thing is None or thing.deleted_at is not None or thing.withheld is not None:
            return
        if thing.visibility not in SENT_VISIBILITIES:
            return
        if not thing.is_local:
            await self._forward(tx, thing, "Update")
            raw = await self._received(tx, thing.id, "Update", thing.author_id)
            await self._announce_to_threads(tx, thing, raw)
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
            await recipients.people(tx, await self._addressed(tx, thing)),
        )
        have_it = [
            inbox
            for inbox in have_it
            if _understands(inbox, thing) and await self._is_welcome(tx, inbox.host_id)
        ]
        update = await self._sealed(thing.author_id, update)
        await self._send(tx, thing.author_id, "Update", update, have_it, thing)
        await self._announce_to_threads(tx, thing, update)
        group = await self._federated_group(tx, thing)
        if group is not None and thing.visibility == "public":
            members = await recipients.group_members(tx, group.id)
            await self._announce_as_page(tx, group, thing, update, members, "Update")

    async def _deleted(self, tx: Transaction, entry: journal.Entry) -> None:
        """Ask every server back that has a copy (§6.1), and nobody else."""
        thing = await self._thing(tx, entry)
        if thing is None:
            return
        have_it = await recipients.reached(tx, thing.id)
        await self._forget_undelivered(tx, thing.id)
        uri = self._at.object(thing)
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
                or not await self._is_welcome(tx, inbox.host_id)
            ]
            await self._send_deletes(tx, thing, uri, group_uri, deletes)
        if group is None or group_uri is None:
            return
        if thing.is_local:
            # A suspended host that once got a copy gets the Delete above, and nothing else.
            have_it = [inbox for inbox in have_it if await self._is_welcome(tx, inbox.host_id)]
        moderator = await actors.actor(tx, entry.actor_id or 0) if removed else None
        wrapped: JSONObject | None
        if moderator is not None and not moderator.is_local:
            wrapped = await self._received(tx, thing.id, "Delete", moderator.id)
        elif removed:
            decided = await statements.latest(tx, thing.id, "remove")
            wrapped = self._renderer.activity(
                new_id(),
                "Delete",
                self._at.member(entry.actor_id or 0),
                uri,
                to=[AS_PUBLIC],
                cc=[group_uri],
                audience=group_uri,
                # Its presence tells a moderator's removal from an author's deletion (§4.9).
                summary=decided.reason if decided is not None else REMOVED,
            )
        elif thing.is_local:
            wrapped = self._delete(uri, self._at.member(thing.author_id), uri, group_uri)
        else:
            await self._forward(tx, thing, "Delete", have_it)
            wrapped = await self._received(tx, thing.id, "Delete", thing.author_id)
        if wrapped is not None:
            if "@context" not in wrapped:
                wrapped = await self._sealed(
                    (entry.actor_id or 0) if removed else thing.author_id, wrapped
                )
            listening = [inbox for inbox in have_it if peers.wants_activities(inbox.software)]
            await self._announce(tx, group, thing, wrapped, listening, "Delete", recall=True)
        await self._undo_announces(tx, group, thing, have_it)

    async def _send_deletes(
        self,
        tx: Transaction,
        thing: threads.Thing,
        uri: str,
        group_uri: str | None,
        have_it: Sequence[Inbox],
    ) -> None:
        author_uri = self._at.member(thing.author_id)
        strings = [inbox for inbox in have_it if peers.delete_as_string(inbox.software)]
        others = [inbox for inbox in have_it if not peers.delete_as_string(inbox.software)]
        for inboxes, content in ((others, tombstone(uri)), (strings, uri)):
            if inboxes:
                await self._send(
                    tx,
                    thing.author_id,
                    "Delete",
                    self._delete(uri, author_uri, content, group_uri),
                    inboxes,
                    thing,
                    recall=True,
                )

    def _delete(
        self, uri: str, author_uri: str, content: JSONObject | str, group_uri: str | None
    ) -> JSONObject:
        return self._renderer.activity(
            new_id(),
            "Delete",
            author_uri,
            content,
            to=[AS_PUBLIC],
            cc=[group_uri] if group_uri else [],
            audience=group_uri,
        )

    async def _undo_announces(
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
        await self._send(tx, group.id, "Undo", undo, boosted, thing, recall=True)

    async def _forget_undelivered(self, tx: Transaction, object_id: int) -> None:
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

    # Moderation of topics

    async def _pinned(self, tx: Transaction, entry: journal.Entry) -> None:
        thing = await self._thing(tx, entry)
        group = await self._federated_group(tx, thing) if thing is not None else None
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
            to=[AS_PUBLIC],
            cc=[group_uri],
            target=f"{group_uri}/featured",
            audience=group_uri,
        )
        await self._announce_to_threads(tx, thing, content)

    async def _locked(self, tx: Transaction, entry: journal.Entry) -> None:
        thing = await self._thing(tx, entry)
        group = await self._federated_group(tx, thing) if thing is not None else None
        if thing is None or group is None:
            return
        group_uri = self._at.group(group.id)
        if await self._repeated(
            tx, entry, thing, "Lock" if entry.event == "topic_locked" else "Undo"
        ):
            return
        moderator = self._at.member(entry.actor_id or 0)
        cc = [group_uri]
        lock = self._renderer.activity(
            new_id(),
            "Lock",
            moderator,
            self._at.object(thing),
            to=[AS_PUBLIC],
            cc=cc,
            audience=group_uri,
        )
        if entry.event == "topic_unlocked":
            lock = self._renderer.activity(
                new_id(), "Undo", moderator, lock, to=[AS_PUBLIC], cc=cc, audience=group_uri
            )
        await self._announce_to_threads(tx, thing, await self._sealed(entry.actor_id or 0, lock))

    async def _repeated(
        self, tx: Transaction, entry: journal.Entry, thing: threads.Thing, kind: str
    ) -> bool:
        """Hand on what a moderator of another server did, as it came; whether it was one."""
        moderator = await actors.actor(tx, entry.actor_id or 0)
        if moderator is None or moderator.is_local:
            return False
        raw = await self._received(tx, thing.id, kind, moderator.id)
        await self._announce_to_threads(tx, thing, raw)
        return True

    # Polls

    async def _poll_readers(self, tx: Transaction, thing: threads.Thing) -> list[Inbox]:
        """Servers of a group's members that take a poll from its author only (§5.3)."""
        if thing.type != "Question" or thing.visibility != "public":
            return []
        group = await self._federated_group(tx, thing)
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
        unable = [inbox for inbox in inboxes if not _understands(inbox, thing)]
        if unable and thing.is_local and isinstance(question, dict):
            page = {key: value for key, value in wrapped.items() if key != "proof"}
            page["object"] = as_page(question)
            await self._announce(tx, group, thing, page, unable, f"{form}/page")

    async def _voted(self, tx: Transaction, entry: journal.Entry) -> None:
        """A member's choices in a poll of another server: one `Create` each, for its author alone."""
        thing = await self._thing(tx, entry)
        voter = await actors.actor(tx, entry.actor_id or 0)
        if thing is None or thing.is_local or thing.deleted_at is not None:
            return
        author = await actors.actor(tx, thing.author_id)
        if voter is None or not voter.is_local or author is None:
            return
        voter_uri, author_uri = self._at.actor(voter), self._at.actor(author)
        inboxes = await recipients.own_inbox(tx, author.id)
        for vote_id, name in await polls.choices_of(tx, thing.id, voter.id):
            note = self._renderer.vote(vote_id, name, voter_uri, self._at.object(thing), author_uri)
            create = self._renderer.activity(new_id(), "Create", voter_uri, note, to=[author_uri])
            if inboxes:
                await self._send(tx, voter.id, "Create", create, inboxes, subject_id=author.id)

    async def _counted(self, tx: Transaction, entry: journal.Entry) -> None:
        """How a poll stands. Without a newer `updated`: nothing was edited (Mastodon)."""
        thing = await self._thing(tx, entry)
        if thing is None or thing.deleted_at is not None:
            return
        if thing.visibility not in SENT_VISIBILITIES:
            return
        if not thing.is_local:
            raw = await self._received(tx, thing.id, "Update", thing.author_id)
            await self._announce_to_threads(tx, thing, raw)
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
            published=entry.at,
            audience=document.get("audience"),
        )
        update = await self._sealed(thing.author_id, update)
        have_it = [
            inbox
            for inbox in await recipients.reached(tx, thing.id)
            if _understands(inbox, thing) and await self._is_welcome(tx, inbox.host_id)
        ]
        await self._send(tx, thing.author_id, "Update", update, have_it, thing)
        await self._announce_to_threads(tx, thing, update)

    # Reactions

    async def _reacted(self, tx: Transaction, entry: journal.Entry) -> None:
        thing = await self._thing(tx, entry)
        if thing is None or thing.visibility not in ("public", "unlisted"):
            return
        person = await actors.actor(tx, entry.actor_id or 0)
        row = await tx.one("SELECT kind FROM reactions WHERE id = ?", entry.target_id)
        if person is None or row is None or row["kind"] == "share":
            return
        kind = "Like" if row["kind"] == "like" else "Dislike"
        if not person.is_local:
            if await policies.level_of(tx, person.host_id) == "none":
                await self._announce_to_threads(
                    tx, thing, await self._received(tx, thing.id, kind, person.id)
                )
            return
        author = await actors.actor(tx, thing.author_id)
        assert author is not None
        activity = self._renderer.activity(
            new_id(),
            kind,
            self._at.actor(person),
            self._at.object(thing),
            to=[self._at.actor(author)],
            audience=self._at.group(thing.group_id) if thing.group_id is not None else None,
        )
        to_author = await recipients.own_inbox(tx, thing.author_id)
        await self._send(tx, person.id, kind, activity, to_author, thing)
        await self._announce_to_threads(tx, thing, activity)

    async def _unreacted(self, tx: Transaction, entry: journal.Entry) -> None:
        thing = await self._thing(tx, entry)
        person = await actors.actor(tx, entry.actor_id or 0)
        if thing is None or person is None:
            return
        if not person.is_local:
            await self._announce_to_threads(
                tx, thing, await self._received(tx, thing.id, "Undo", person.id)
            )
            return
        row = await tx.one(
            "SELECT id, type FROM activities WHERE object_id = ? AND type IN ('Like', 'Dislike')"
            " AND actor_id = ? ORDER BY id DESC LIMIT 1",
            thing.id,
            person.id,
        )
        if row is None:
            return
        person_uri = self._at.actor(person)
        reaction = self._renderer.activity(
            row["id"], row["type"], person_uri, self._at.object(thing)
        )
        author = await actors.actor(tx, thing.author_id)
        assert author is not None
        undo = self._renderer.activity(
            new_id(),
            "Undo",
            person_uri,
            reaction,
            to=[self._at.actor(author)],
            audience=self._at.group(thing.group_id) if thing.group_id is not None else None,
        )
        to_author = await recipients.own_inbox(tx, thing.author_id)
        await self._send(tx, person.id, "Undo", undo, to_author, thing)
        await self._announce_to_threads(tx, thing, undo)

    # Relations

    async def _admitted(self, tx: Transaction, entry: journal.Entry) -> None:
        await self._answer_follow(
            tx, "Accept", entry.target_id or 0, entry.group_id or 0, self._at.group
        )

    async def _turned_away(self, tx: Transaction, entry: journal.Entry) -> None:
        await self._answer_follow(
            tx, "Reject", entry.target_id or 0, entry.group_id or 0, self._at.group
        )

    async def _follow_accepted(self, tx: Transaction, entry: journal.Entry) -> None:
        await self._answer_follow(
            tx, "Accept", entry.actor_id or 0, entry.target_id or 0, self._at.member
        )

    async def _follow_refused(self, tx: Transaction, entry: journal.Entry) -> None:
        await self._answer_follow(
            tx, "Reject", entry.actor_id or 0, entry.target_id or 0, self._at.member
        )

    async def _answer_follow(
        self,
        tx: Transaction,
        kind: str,
        follower_id: int,
        followed_id: int,
        address: Callable[[int], str],
    ) -> None:
        """Accept or Reject with the Follow embedded: Lemmy parses it, Mastodon matches it (§4.7)."""
        follower = await actors.actor(tx, follower_id)
        followed = await actors.actor(tx, followed_id)
        if follower is None or follower.is_local or followed is None or not followed.is_local:
            return
        raw = await self._received(tx, followed_id, "Follow", follower_id)
        wrapped: JSONObject = {
            "type": "Follow",
            "actor": follower.uri,
            "object": address(followed_id),
        }
        if raw is not None and isinstance(raw.get("id"), str):
            wrapped["id"] = raw["id"]
        answer = self._renderer.activity(
            new_id(), kind, address(followed_id), wrapped, to=[follower.uri or ""]
        )
        inboxes = await recipients.own_inbox(tx, follower_id)
        await self._send(tx, followed_id, kind, answer, inboxes, subject_id=follower_id)

    async def _follow_requested(self, tx: Transaction, entry: journal.Entry) -> None:
        follower = await actors.actor(tx, entry.actor_id or 0)
        followed = await actors.actor(tx, entry.target_id or 0)
        if follower is None or followed is None or followed.is_local or not follower.is_local:
            return
        if await follows.find(tx, follower.id, followed.id) is None:
            return
        activity_id = new_id()
        follow = self._renderer.activity(
            activity_id,
            "Follow",
            self._at.actor(follower),
            followed.uri or "",
            to=[followed.uri or ""],
        )
        await follows.set_activity(tx, follower.id, followed.id, activity_id)
        await self._send(
            tx,
            follower.id,
            "Follow",
            follow,
            await recipients.own_inbox(tx, followed.id),
            activity_id=activity_id,
            subject_id=followed.id,
        )

    async def _follow_ended(self, tx: Transaction, entry: journal.Entry) -> None:
        follower = await actors.actor(tx, entry.actor_id or 0)
        followed = await actors.actor(tx, entry.target_id or 0)
        if follower is None or followed is None or followed.is_local or not follower.is_local:
            return
        activity_id = await tx.value(
            "SELECT id FROM activities WHERE actor_id = ? AND type = 'Follow' AND subject_id = ?"
            " ORDER BY id DESC LIMIT 1",
            follower.id,
            followed.id,
        )
        if activity_id is None:
            return
        follower_uri = self._at.actor(follower)
        follow = self._renderer.activity(
            int(activity_id), "Follow", follower_uri, followed.uri or ""
        )
        undo = self._renderer.activity(
            new_id(), "Undo", follower_uri, follow, to=[followed.uri or ""]
        )
        inboxes = await recipients.own_inbox(tx, followed.id)
        await self._send(tx, follower.id, "Undo", undo, inboxes, subject_id=followed.id)

    # Profiles

    async def _member_edited(self, tx: Transaction, entry: journal.Entry) -> None:
        person = await actors.actor(tx, entry.actor_id or 0)
        if person is None or person.deleted_at is not None:
            return
        inboxes = recipients.merged(
            await recipients.followers(tx, person.id), await recipients.reached(tx, person.id)
        )
        await self._send_profile(tx, person, inboxes)

    async def _member_moved(self, tx: Transaction, entry: journal.Entry) -> None:
        """`Move` to the followers, whose servers follow the new account; the profile says it too (§6.5)."""
        person = await actors.actor(tx, entry.actor_id or 0)
        if person is None or person.moved_to_uri is None:
            return
        await self._member_edited(tx, entry)
        uri = self._at.actor(person)
        move = self._renderer.activity(
            new_id(),
            "Move",
            uri,
            uri,
            to=[f"{uri}/followers"],
            target=person.moved_to_uri,
        )
        inboxes = await recipients.followers(tx, person.id)
        await self._send(tx, person.id, "Move", move, inboxes, subject_id=person.id)

    async def _blocked(self, tx: Transaction, entry: journal.Entry) -> None:
        """A block that the member wants to be known: to the server of the blocked person, and no other."""
        person = await actors.actor(tx, entry.actor_id or 0)
        target = await actors.actor(tx, entry.target_id or 0)
        if person is None or target is None or target.uri is None:
            return
        block = self._renderer.activity(
            new_id(), "Block", self._at.actor(person), target.uri, to=[target.uri]
        )
        inboxes = await recipients.own_inbox(tx, target.id)
        await self._send(tx, person.id, "Block", block, inboxes, subject_id=target.id)

    async def _unblocked(self, tx: Transaction, entry: journal.Entry) -> None:
        person = await actors.actor(tx, entry.actor_id or 0)
        target = await actors.actor(tx, entry.target_id or 0)
        if person is None or target is None or target.uri is None:
            return
        sent = await tx.value(
            "SELECT id FROM activities WHERE actor_id = ? AND type = 'Block' AND subject_id = ?"
            " ORDER BY id DESC LIMIT 1",
            person.id,
            target.id,
        )
        if sent is None:
            return
        uri, to = self._at.actor(person), [target.uri]
        block = self._renderer.activity(int(sent), "Block", uri, target.uri, to=to)
        undo = self._renderer.activity(new_id(), "Undo", uri, block, to=to)
        inboxes = await recipients.own_inbox(tx, target.id)
        await self._send(tx, person.id, "Undo", undo, inboxes, subject_id=target.id)

    async def _group_edited(self, tx: Transaction, entry: journal.Entry) -> None:
        actor = await actors.actor(tx, entry.group_id or 0)
        group = await groups.group(tx, entry.group_id or 0)
        if actor is None or group is None or group.mode != "federated":
            return
        # Mastodon wants an Update of the group to be signed by the group itself (§4.9).
        await self._send_profile(tx, actor, await recipients.group_members(tx, group.id))

    async def _send_profile(
        self, tx: Transaction, actor: actors.Actor, inboxes: Sequence[Inbox]
    ) -> None:
        inboxes = [inbox for inbox in inboxes if await self._is_welcome(tx, inbox.host_id)]
        if not inboxes:
            return
        if await self._keyring.known(actor.id) is None:
            raise KeyMissing(actor.id)
        document = await self._catalogue.actor(tx, actor)
        update = self._renderer.activity(
            new_id(),
            "Update",
            str(document["id"]),
            {key: value for key, value in document.items() if key != "@context"},
            to=[AS_PUBLIC],
            cc=[str(document["followers"])],
        )
        await self._send(tx, actor.id, "Update", update, inboxes, subject_id=actor.id)

    # Sending

    async def _announce(
        self,
        tx: Transaction,
        group: groups.Group,
        thing: threads.Thing,
        content: JSONObject | str,
        inboxes: Sequence[Inbox],
        form: str,
        *,
        recall: bool = False,
    ) -> None:
        author = await actors.actor(tx, thing.author_id)
        if isinstance(content, dict) and inboxes:
            await self._store_inner(tx, content, str(content["type"]), thing=thing)
        activity_id = new_id()
        announce = self._renderer.announce(
            activity_id,
            self._at.group(group.id),
            content,
            author_uri=self._at.actor(author) if author is not None else None,
            published=now_ms(),
        )
        await self._send(
            tx,
            group.id,
            f"Announce/{form}",
            announce,
            inboxes,
            thing,
            activity_id,
            recall=recall,
            keep=form in ("activity", "id") and thing.kind == "topic",
        )

    async def _store_inner(
        self,
        tx: Transaction,
        activity: JSONObject,
        kind: str,
        *,
        thing: threads.Thing | None = None,
        subject_id: int | None = None,
    ) -> None:
        """An activity of ours that goes out only wrapped still has an id that strict peers fetch."""
        number = self._at.local(str(activity.get("id")), "c")
        actor_id = self._at.local(str(activity.get("actor")), "p")
        if number is None or actor_id is None:
            return
        await tx.execute(
            "INSERT INTO activities (id, actor_id, type, object_id, subject_id, body, created_at)"
            " VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO NOTHING",
            number,
            actor_id,
            kind,
            thing.id if thing is not None else None,
            subject_id,
            dumps(await self._sealed(actor_id, activity)).decode(),
            now_ms(),
        )

    async def _announce_to_threads(
        self, tx: Transaction, thing: threads.Thing, content: JSONObject | None
    ) -> None:
        """What happened to something in a group, as activity, to the servers that build threads from it (§4.3)."""
        if content is None or thing.visibility != "public":
            return
        if await policies.level_of(tx, thing.host_id) != "none":
            return
        group = await self._federated_group(tx, thing)
        if group is None:
            return
        inboxes = [
            inbox
            for inbox in await recipients.group_members(tx, group.id)
            if peers.wants_activities(inbox.software)
            and (_understands(inbox, thing) or content.get("type") in FORMLESS)
        ]
        kind = content.get("type")
        await self._announce(tx, group, thing, content, inboxes, str(kind))

    async def _send(
        self,
        tx: Transaction,
        actor_id: int,
        kind: str,
        activity: JSONObject,
        inboxes: Sequence[Inbox],
        thing: threads.Thing | None = None,
        activity_id: int | None = None,
        *,
        subject_id: int | None = None,
        recall: bool = False,
        keep: bool = False,
    ) -> None:
        """Keep the activity, serialised once, and a delivery row for each inbox.

        `recall`: its delivery is an answer to "give it back", noted so in the ledger of reach. Without any inbox
        only a Create (its id must dereference), a reaction (its Undo names it) and what is to be kept is stored.
        """
        if not inboxes and not keep and kind not in ("Create", "Like", "Dislike", "Follow"):
            return
        number = activity_id or self._at.local(str(activity["id"]), "c")
        assert number is not None
        body = dumps(await self._sealed(actor_id, activity)).decode()
        await self._queue(
            tx, number, actor_id, kind, body, inboxes, thing, subject_id=subject_id, recall=recall
        )

    async def _queue(
        self,
        tx: Transaction,
        number: int,
        actor_id: int,
        kind: str,
        body: str,
        inboxes: Sequence[Inbox],
        thing: threads.Thing | None,
        *,
        subject_id: int | None = None,
        recall: bool = False,
    ) -> None:
        now = now_ms()
        await tx.execute(
            "INSERT INTO activities (id, actor_id, type, object_id, subject_id, body, created_at)"
            " VALUES (?, ?, ?, ?, ?, ?, ?)",
            number,
            actor_id,
            kind,
            thing.id if thing is not None else None,
            subject_id,
            body,
            now,
        )
        if not inboxes:
            return
        await tx.many(
            "INSERT INTO deliveries (id, activity_id, host_id, inbox, state, recall, created_at)"
            " VALUES (?, ?, ?, ?, 'waiting', ?, ?) ON CONFLICT (activity_id, inbox) DO NOTHING",
            [(new_id(), number, inbox.host_id, inbox.url, int(recall), now) for inbox in inboxes],
        )
        await lanes.wake(tx, "delivery", [inbox.host_id for inbox in inboxes])

    async def _forward(
        self, tx: Transaction, thing: threads.Thing, kind: str, have_it: Sequence[Inbox] = ()
    ) -> None:
        """Hand on what somebody elsewhere did in a thread of a group, byte by byte as it came, to microblogs (§4.6).

        Only what can be believed without us (a proof or an LD signature), only what is public, never twice (§7.4).
        `have_it`: who got a copy from us, besides the group's followers.
        """
        group = await self._federated_group(tx, thing)
        if group is None or thing.visibility != "public":
            return
        if await policies.level_of(tx, thing.host_id) != "none":
            return
        body = await tx.value(
            "SELECT body FROM received_activities WHERE object_id = ? AND type = ? AND actor_id = ?"
            " ORDER BY created_at DESC LIMIT 1",
            thing.id,
            kind,
            thing.author_id,
        )
        if body is None or not is_forwardable(parse_object(str(body).encode())):
            return
        before = await tx.value(
            "SELECT 1 FROM activities WHERE object_id = ? AND type = ? AND actor_id = ?"
            " AND body = ?",
            thing.id,
            FORWARD,
            group.id,
            body,
        )
        inboxes = [
            inbox
            for inbox in recipients.merged(await recipients.group_members(tx, group.id), have_it)
            if peers.wants_forwards(inbox.software) and inbox.host_id != thing.host_id
        ]
        if before is None and inboxes:
            recall = kind == "Delete"
            await self._queue(
                tx, new_id(), group.id, FORWARD, str(body), inboxes, thing, recall=recall
            )

    async def _sealed(self, actor_id: int, activity: JSONObject) -> JSONObject:
        """The whole document, with the proof of `actor_id` where it may have one. Raises KeyMissing."""
        if "@context" in activity:
            return activity
        keys = await self._keyring.known(actor_id)
        if keys is None:
            raise KeyMissing(actor_id)
        return sealed(activity, keys, now_ms())

    # Looking up

    async def _thing(self, tx: Transaction, entry: journal.Entry) -> threads.Thing | None:
        return await threads.thing(tx, entry.object_id) if entry.object_id is not None else None

    async def _federated_group(self, tx: Transaction, thing: threads.Thing) -> groups.Group | None:
        if thing.group_id is None:
            return None
        group = await groups.group(tx, thing.group_id)
        return group if group is not None and group.mode == "federated" else None

    async def _addressed(self, tx: Transaction, thing: threads.Thing) -> set[int]:
        """Who is mentioned, and the author of what is answered."""
        people = {
            int(row["actor_id"])
            for row in await tx.all("SELECT actor_id FROM mentions WHERE object_id = ?", thing.id)
        }
        if thing.parent_id is not None:
            author = await tx.value("SELECT author_id FROM objects WHERE id = ?", thing.parent_id)
            if author is not None:
                people.add(int(author))
        return people

    async def _received(
        self, tx: Transaction, object_id: int, kind: str, actor_id: int
    ) -> JSONObject | None:
        """The last activity of this kind as it came, for wrapping it value-identical."""
        body = await tx.value(
            "SELECT body FROM received_activities WHERE object_id = ? AND type = ? AND actor_id = ?"
            " ORDER BY created_at DESC LIMIT 1",
            object_id,
            kind,
            actor_id,
        )
        return parse_object(str(body).encode()) if body is not None else None

    async def _is_welcome(self, tx: Transaction, host_id: int) -> bool:
        policy = await tx.value("SELECT policy FROM hosts WHERE id = ?", host_id)
        return bool(policy != "suspend")


def _understands(inbox: Inbox, thing: threads.Thing) -> bool:
    """Whether the server can take the object in the form in which it has its id."""
    return thing.type != "Question" or peers.takes_polls(inbox.software)
