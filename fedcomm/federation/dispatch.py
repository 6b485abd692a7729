"""Keeps an activity, serialised and sealed once, and a delivery row for each inbox that is to have it.

What the steps of the outbox share: sending, announcing by a group, handing on what others said, and a few questions.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Final

from activitypub import accessors
from activitypub.ijson import JSONObject, dumps, parse_object
from activitypub.vocabulary import RECIPIENT_LIMIT
from fedcomm.federation import lanes, peers, recipients
from fedcomm.federation.addresses import Addresses
from fedcomm.federation.keyring import Keyring
from fedcomm.federation.recipients import Inbox
from fedcomm.federation.rendering import Renderer, heard_in
from fedcomm.federation.sealing import sealed
from fedcomm.hub import (
    actors,
    groups,
    journal,
    policies,
    threads,
)
from fedcomm.hub.consents import FREE, Consent
from fedcomm.hub.reservations import Reservation
from fedcomm.store.database import Transaction
from fedcomm.store.ids import new_id, now_ms

FORMLESS = ("Like", "Dislike", "Undo", "Delete", "Add", "Remove", "Lock")
"""Activities that name their object by id only: it does not matter in which form a server has it."""

SENT_VISIBILITIES = ("public", "unlisted", "followers", "direct")
"""What may leave at all; *local* never does, *members* as far as `Dispatch.may_leave` says."""

CONSUMER: Final = "activitypub"
"""The name under which this spoke reads the journal, and members decide about it."""

TAKES_BACK = frozenset({"Delete", "Delete/told", "Announce/Delete", "Undo"})
"""What takes something back goes out whether or not its author lets anything else go, and only a host that has, or
had, a copy may know of it."""

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


class Booking:
    """Numbers and the time for what is said about one object: those that a preview reserved, or new ones."""

    def __init__(self, reserved: Reservation | None = None) -> None:
        self._reserved = dict(reserved.numbers) if reserved is not None else {}
        self._at = reserved.at if reserved is not None else None
        self.given: dict[str, int] = {}

    def number(self, slot: str) -> int:
        """The number of the activity that is called `slot` here; one that is asked for twice gets a new one."""
        reserved = self._reserved.pop(slot, None)
        made = reserved if reserved is not None else new_id()
        self.given.setdefault(slot, made)
        return made

    def moment(self) -> int:
        """Unix ms: when it counts as said."""
        return self._at if self._at is not None else now_ms()


class Dispatch:
    """Sends for the steps; writes rows only, in the transaction of the journal's entry."""

    def __init__(
        self,
        renderer: Renderer,
        keyring: Keyring,
        addresses: Addresses,
        consent: Consent = FREE,
    ) -> None:
        self._renderer = renderer
        self._keyring = keyring
        self._at = addresses
        self._consent = consent
        self.booking = Booking()

    @contextmanager
    def booked(self, booking: Booking) -> Iterator[None]:
        """Take numbers and the time from `booking` until the block ends. Entries are taken one after the other."""
        before, self.booking = self.booking, booking
        try:
            yield
        finally:
            self.booking = before

    async def announce(
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
        """Send an activity, or an id, as the group repeats it. `form`: the activity's type, or for something new how
        it is announced (`peers.Form`); `recall` as in `send`."""
        keep = form in ("activity", "id") and thing.kind == "topic"
        if not inboxes and not keep:
            return
        if not recall and not await self._may_announce(tx, thing, content, form):
            return
        author = await actors.actor(tx, thing.author_id)
        if isinstance(content, dict) and inboxes:
            await self.keep_inner(tx, content, str(content["type"]), thing=thing)
        activity_id = self.booking.number(f"Announce/{form}")
        announce = self._renderer.announce(
            activity_id,
            self._at.group(group.id),
            content,
            author_uri=(
                self._at.actor(author) if author is not None and author.deleted_at is None else None
            ),
            published=self.booking.moment(),
            is_open=not group.is_members_only,
        )
        await self.send(
            tx,
            group.id,
            f"Announce/{form}",
            announce,
            inboxes,
            thing,
            activity_id,
            recall=recall,
            keep=keep,
        )

    async def keep_inner(
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
            dumps(await self.sealed(tx, actor_id, activity)).decode(),
            now_ms(),
        )

    async def announce_to_threads(
        self, tx: Transaction, thing: threads.Thing, content: JSONObject | None
    ) -> None:
        """What happened to something in a group, as activity, to the servers that build threads from it (§4.3)."""
        if content is None or thing.visibility not in ("public", "unlisted", "members"):
            return
        if await policies.level_of(tx, thing.host_id) != "none":
            return
        group = await self.federated_group(tx, thing)
        if group is None:
            return
        inboxes = [
            inbox
            for inbox in await recipients.group_members(tx, group.id)
            if peers.wants_activities(inbox.software)
            and (understands(inbox, thing) or content.get("type") in FORMLESS)
        ]
        kind = content.get("type")
        await self.announce(tx, group, thing, content, inboxes, str(kind))

    async def send(
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
        if not recall and kind not in TAKES_BACK:
            if not await self.willing(tx, actor_id):
                return
            if thing is not None and not await self.leaves(tx, thing):
                return
        number = activity_id or self._at.local(str(activity["id"]), "c")
        assert number is not None
        body = dumps(await self.sealed(tx, actor_id, activity)).decode()
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
        await tx.execute(
            "INSERT INTO activities (id, actor_id, type, object_id, subject_id, body, created_at)"
            " VALUES (?, ?, ?, ?, ?, ?, ?)",
            number,
            actor_id,
            kind,
            thing.id if thing is not None else None,
            subject_id,
            body,
            now_ms(),
        )
        await self.deliver(tx, number, inboxes, recall=recall)

    async def deliver(
        self, tx: Transaction, activity_id: int, inboxes: Sequence[Inbox], *, recall: bool = False
    ) -> None:
        """A delivery row for each inbox, for an activity that is kept; none twice."""
        if not inboxes:
            return
        now = now_ms()
        await tx.many(
            "INSERT INTO deliveries (id, activity_id, host_id, inbox, state, recall, created_at)"
            " VALUES (?, ?, ?, ?, 'waiting', ?, ?) ON CONFLICT (activity_id, inbox) DO NOTHING",
            [
                (new_id(), activity_id, inbox.host_id, inbox.url, int(recall), now)
                for inbox in inboxes
            ],
        )
        await lanes.wake(tx, "delivery", [inbox.host_id for inbox in inboxes])

    async def forward(
        self, tx: Transaction, thing: threads.Thing, kind: str, have_it: Sequence[Inbox] = ()
    ) -> None:
        """Hand on what somebody elsewhere did in a thread of a group, byte by byte as it came, to microblogs (§4.6).

        Only what can be believed without us (a proof or an LD signature), only what is public, never twice (§7.4).
        `have_it`: who got a copy from us, besides the group's followers.
        """
        group = await self.federated_group(tx, thing)
        if group is None or thing.visibility != "public":
            return
        if await policies.level_of(tx, thing.host_id) != "none":
            return
        inboxes = [
            inbox
            for inbox in recipients.merged(await recipients.group_members(tx, group.id), have_it)
            if peers.wants_forwards(inbox.software) and inbox.host_id != thing.host_id
        ]
        if not inboxes:
            return
        body = await _as_it_came(tx, thing.id, kind, thing.author_id)
        if body is None or not is_forwardable(parse_object(body.encode())):
            return
        before = await tx.value(
            "SELECT 1 FROM activities WHERE object_id = ? AND type = ? AND actor_id = ?"
            " AND body = ?",
            thing.id,
            FORWARD,
            group.id,
            body,
        )
        if before is None:
            recall = kind == "Delete"
            await self._queue(tx, new_id(), group.id, FORWARD, body, inboxes, thing, recall=recall)

    async def sealed(self, tx: Transaction, actor_id: int, activity: JSONObject) -> JSONObject:
        """The whole document, with the proof of `actor_id` where it may have one. Raises KeyMissing."""
        if "@context" in activity:
            return activity
        keys = await self._keyring.known(actor_id, tx)
        if keys is None:
            raise KeyMissing(actor_id)
        return sealed(activity, keys, self.booking.moment())

    async def willing(self, tx: Transaction, actor_id: int) -> bool:
        """Whether what the actor does may be told to other servers, as far as it is theirs to decide."""
        return await self._consent.allows(tx, actor_id, CONSUMER)

    async def leaves(self, tx: Transaction, thing: threads.Thing) -> bool:
        """Whether its author lets the object go out. What was written elsewhere is not theirs to decide here."""
        return not thing.is_local or bool(await self._consent.leaves(tx, [thing.id], CONSUMER))

    async def _may_announce(
        self, tx: Transaction, thing: threads.Thing, content: JSONObject | str, form: str
    ) -> bool:
        """Whether a group may repeat it: its author and, but for what is taken back, whoever did it agree."""
        if form in TAKES_BACK - {"Undo"}:
            return True
        if not await self.leaves(tx, thing):
            return False
        if form == "Undo" or not isinstance(content, dict):
            return True
        doer = self._at.local(str(content.get("actor")), "p")
        return doer is None or await self.willing(tx, doer)

    async def may_leave(self, tx: Transaction, thing: threads.Thing) -> bool:
        """Whether anything about the object goes to other servers: what is for the members of a group only where
        some of them may live elsewhere, and nothing without its author's consent."""
        if not await self.leaves(tx, thing):
            return False
        if thing.visibility != "members":
            return thing.visibility in SENT_VISIBILITIES
        return thing.community_id is not None or await self.federated_group(tx, thing) is not None

    async def heard_by(self, tx: Transaction, thing: threads.Thing) -> list[str]:
        """`to` of what happens to the object: everybody, or the members of the private group that it is in."""
        if thing.community_id is not None:
            community = await actors.actor(tx, thing.community_id)
            if community is not None:
                return [uri for uri in (community.uri, community.followers_uri) if uri]
        group = await groups.group(tx, thing.group_id) if thing.group_id is not None else None
        if group is None:
            return heard_in("")
        return heard_in(self._at.group(group.id), is_open=not group.is_members_only)

    async def federated_group(self, tx: Transaction, thing: threads.Thing) -> groups.Group | None:
        """The group of ours in which it was said, if people of other servers are in it."""
        if thing.group_id is None:
            return None
        group = await groups.group(tx, thing.group_id)
        return group if group is not None and group.leaves_hub else None

    async def addressed(self, tx: Transaction, thing: threads.Thing) -> set[int]:
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

    async def among_readers(
        self, tx: Transaction, thing: threads.Thing, inboxes: Sequence[Inbox]
    ) -> list[Inbox]:
        """Of these inboxes those whose hosts may have the object: of a private group those with a member in it,
        or the one where the group lives (INV-17)."""
        if thing.visibility != "members":
            return list(inboxes)
        if thing.community_id is not None:
            homes = await recipients.own_inbox(tx, thing.community_id)
        else:
            homes = await recipients.group_members(tx, thing.group_id or 0)
        hosts = {home.host_id for home in homes}
        return [inbox for inbox in inboxes if inbox.host_id in hosts]

    async def received(
        self, tx: Transaction, object_id: int, kind: str, actor_id: int
    ) -> JSONObject | None:
        """The last activity of this kind as it came, for wrapping it value-identical."""
        body = await _as_it_came(tx, object_id, kind, actor_id)
        return parse_object(body.encode()) if body is not None else None

    async def received_create(self, tx: Transaction, thing: threads.Thing) -> JSONObject | None:
        """The Create of something remote as it came: by its author, or by somebody of the same server who wrote it
        for a group of theirs (Mobilizon)."""
        body = await tx.value(
            "SELECT r.body FROM received_activities r JOIN actors a ON a.id = r.actor_id"
            " WHERE r.object_id = ? AND r.type = 'Create' AND a.host_id = ?"
            " ORDER BY r.created_at DESC LIMIT 1",
            thing.id,
            thing.host_id,
        )
        return parse_object(str(body).encode()) if body is not None else None


async def _as_it_came(tx: Transaction, object_id: int, kind: str, actor_id: int) -> str | None:
    body: str | None = await tx.value(
        "SELECT body FROM received_activities WHERE object_id = ? AND type = ? AND actor_id = ?"
        " ORDER BY created_at DESC LIMIT 1",
        object_id,
        kind,
        actor_id,
    )
    return body


async def instance_actor(tx: Transaction) -> int | None:
    """The id of our instance actor, who speaks for the hub; None as long as it has had nothing to say."""
    found: int | None = await tx.value(
        "SELECT id FROM actors WHERE kind = 'application' AND host_id IS NULL"
    )
    return found


async def thing_of(tx: Transaction, entry: journal.Entry) -> threads.Thing | None:
    """The object that a journal entry is about."""
    return await threads.thing(tx, entry.object_id) if entry.object_id is not None else None


def understands(inbox: Inbox, thing: threads.Thing) -> bool:
    """Whether the server can take the object in the form in which it has its id."""
    return peers.takes_as_it_is(thing.type, inbox.software)
