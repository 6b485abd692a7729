"""Who comes to an event, on the wire: Join and Leave, Accept and Reject both ways (federation.md §5.4, FEP-8a8e).

Who comes is between them and the organiser: nothing of it is announced by a group, and the collection of an
event's attendees tells a number.
"""

from __future__ import annotations

from activitypub import accessors
from activitypub.accessors import Refused
from activitypub.ijson import JSONObject
from activitypub.origins import same_origin
from fedcomm.federation import recipients
from fedcomm.federation.addresses import Addresses
from fedcomm.federation.changes import Change, nothing
from fedcomm.federation.directory import Directory
from fedcomm.federation.dispatch import Dispatch, Step, thing_of
from fedcomm.federation.library import Library
from fedcomm.federation.received import Received, keep
from fedcomm.federation.rendering import Renderer
from fedcomm.hub import actors, events, journal, participation, threads
from fedcomm.hub.errors import NotAllowed
from fedcomm.store.database import Database, Transaction
from fedcomm.store.ids import new_id


class Attendance:
    """Prepares what the inbox says of events."""

    def __init__(
        self,
        db: Database,
        directory: Directory,
        library: Library,
        addresses: Addresses,
        *,
        allow_http: bool,
    ) -> None:
        self._db = db
        self._directory = directory
        self._library = library
        self._at = addresses
        self._http = allow_http

    async def join(self, received: Received) -> Change:
        """Somebody of another server says that they come to an event of ours; they are always answered."""
        known = await self._library.find(self._db, received.activity.object_id)
        if known is None or not known.is_local or known.type != "Event":
            return nothing("ignored: Join of something that is no event of ours")
        person, uri = received.signer, received.activity.id
        await self._directory.probe(person.host_id or 0)

        async def change(tx: Transaction) -> str:
            await keep(tx, received, object_id=known.id)
            try:
                state = await participation.join(tx, person.id, known.id, uri=uri)
            except NotAllowed:
                # Full, over or cancelled: the step says so to their server.
                await journal.record(
                    tx,
                    "event_refused",
                    actor_id=known.author_id,
                    object_id=known.id,
                    target_id=person.id,
                )
                return "does not come: refused"
            return f"comes: {state}"

        return change

    async def leave(self, received: Received, uri: str | None) -> Change:
        """Leave, or Undo of a Join: they do not come after all."""
        known = await self._library.find(self._db, uri)
        if known is None or not known.is_local or known.type != "Event":
            return nothing("ignored: Leave of something that is no event of ours")
        person_id = received.signer.id

        async def change(tx: Transaction) -> str:
            gone = await participation.leave(tx, person_id, known.id)
            return "does not come any more" if gone else "had not said that they come"

        return change

    async def answered(self, received: Received, *, accepted: bool) -> Change | None:
        """An Accept or Reject of a Join that *we* sent, by who organises the event; None if it is about something
        else. Mobilizon's groups own events, and a person of their server answers."""
        found = await self._our_join(received)
        if found is None:
            return None
        target = await threads.thing(self._db, found.object_id)
        if target is None or not await self._speaks_for(received.signer, target):
            raise Refused("no-such-request")

        async def change(tx: Transaction) -> str:
            await participation.settled_elsewhere(
                tx, found.object_id, found.actor_id, accepted=accepted
            )
            return "comes" if accepted else "does not come"

        return change

    async def _speaks_for(self, signer: actors.Actor, event: threads.Thing) -> bool:
        """Whether the signer organises the event, or the group of their own server that does (INV-6)."""
        if signer.id == event.author_id:
            return True
        owner = await actors.actor(self._db, event.author_id)
        return (
            owner is not None
            and owner.kind == "group"
            and same_origin(signer.uri, owner.uri, allow_http=self._http)
        )

    async def _our_join(self, received: Received) -> participation.Participation | None:
        wrapped = received.activity.object
        activity_id = self._at.local(received.activity.object_id, "c")
        if activity_id is not None:
            row = await self._db.one(
                "SELECT p.object_id, p.actor_id FROM activities c JOIN participations p"
                " ON p.actor_id = c.actor_id AND p.activity_id = c.id"
                " WHERE c.id = ? AND c.type = 'Join'",
                activity_id,
            )
            if row is not None:
                return await participation.find(self._db, row["object_id"], row["actor_id"])
        if isinstance(wrapped, dict) and "Join" in accessors.types(wrapped):
            # Peers that lose our id still name both ends; the answer itself must be stored here.
            member_id = self._at.local(accessors.url(wrapped, "actor", allow_http=self._http), "p")
            event = await self._library.find(
                self._db, accessors.url(wrapped, "object", allow_http=self._http)
            )
            if member_id is not None and event is not None and not event.is_local:
                return await participation.find(self._db, event.id, member_id)
        return None


class Attending:
    """Steps of the outbox for entries about who comes."""

    def __init__(self, out: Dispatch, renderer: Renderer, addresses: Addresses) -> None:
        self._out = out
        self._renderer = renderer
        self._at = addresses
        self.steps: dict[str, Step] = {
            "event_requested": self._asked,
            "event_joined": self._answered,
            "event_refused": self._answered,
            "event_left": self._left,
        }

    async def _asked(self, tx: Transaction, entry: journal.Entry) -> None:
        """A member says that they come to an event elsewhere."""
        found = await self._elsewhere(tx, entry)
        if found is None:
            return
        person, thing, organiser = found
        if await participation.find(tx, thing.id, person.id) is None:
            return
        number = new_id()
        join = self._renderer.activity(
            number,
            "Join",
            self._at.actor(person),
            self._at.object(thing),
            to=[self._at.actor(organiser)],
        )
        await participation.note_activity(tx, thing.id, person.id, number)
        inboxes = await recipients.own_inbox(tx, organiser.id)
        await self._out.send(
            tx, person.id, "Join", join, inboxes, activity_id=number, subject_id=organiser.id
        )

    async def _left(self, tx: Transaction, entry: journal.Entry) -> None:
        found = await self._elsewhere(tx, entry)
        if found is None:
            return
        person, thing, organiser = found
        leave = self._renderer.activity(
            new_id(),
            "Leave",
            self._at.actor(person),
            self._at.object(thing),
            to=[self._at.actor(organiser)],
        )
        inboxes = await recipients.own_inbox(tx, organiser.id)
        await self._out.send(tx, person.id, "Leave", leave, inboxes, subject_id=organiser.id)

    async def _answered(self, tx: Transaction, entry: journal.Entry) -> None:
        """Accept or Reject with the Join embedded; Ignore where no Join is taken at all (FEP-8a8e)."""
        thing = await thing_of(tx, entry)
        person = await actors.actor(tx, entry.target_id or 0)
        if thing is None or not thing.is_local or thing.deleted_at is not None:
            return
        if person is None or person.is_local or person.uri is None:
            return
        join = await self._join_of(tx, thing, person)
        kind = "Accept" if entry.event == "event_joined" else "Reject"
        event = await events.event_of(tx, 0, thing.id)
        if event is not None and event.occasion.joining in ("external", "none"):
            kind = "Ignore"
        answer = self._renderer.activity(
            new_id(), kind, self._at.member(thing.author_id), join, to=[person.uri]
        )
        inboxes = await recipients.own_inbox(tx, person.id)
        await self._out.send(tx, thing.author_id, kind, answer, inboxes, subject_id=person.id)

    async def _join_of(
        self, tx: Transaction, thing: threads.Thing, person: actors.Actor
    ) -> JSONObject:
        raw = await self._out.received(tx, thing.id, "Join", person.id)
        join: JSONObject = {
            "type": "Join",
            "actor": person.uri,
            "object": self._at.object(thing),
        }
        known = await participation.find(tx, thing.id, person.id)
        uri = raw.get("id") if raw is not None else known.uri if known is not None else None
        return join | {"id": uri} if isinstance(uri, str) else join

    async def _elsewhere(
        self, tx: Transaction, entry: journal.Entry
    ) -> tuple[actors.Actor, threads.Thing, actors.Actor] | None:
        """Our member, the event of another server, and its author."""
        thing = await thing_of(tx, entry)
        person = await actors.actor(tx, entry.target_id or 0)
        if thing is None or thing.is_local or person is None or not person.is_local:
            return None
        organiser = await actors.actor(tx, thing.author_id)
        if organiser is None or organiser.deleted_at is not None:
            return None
        return person, thing, organiser
