"""Who comes to an event: members and people of other servers say so, the organiser lets them in or not.

    requested   waits for the organiser (or, of an event elsewhere, for its server)
    going       comes, and counts
    refused     the organiser said no; asking again changes nothing

Who comes is told to the organiser and to nobody else; everybody sees how many.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fedcomm.hub import actors, events, journal, notifications, threads
from fedcomm.hub.errors import NotAllowed, NotFound
from fedcomm.hub.visibility import can_read, member, remote
from fedcomm.store.database import Reader, Transaction, marks
from fedcomm.store.ids import now_ms


@dataclass(frozen=True, slots=True)
class Participation:
    """One person's answer to one event. `uri`: the id of a remote person's Join; `activity_id`: ours, of a member's."""

    object_id: int
    actor_id: int
    state: events.Answer
    uri: str | None
    activity_id: int | None


async def find(db: Reader, object_id: int, actor_id: int) -> Participation | None:
    """What somebody answered."""
    row = await db.one(
        "SELECT object_id, actor_id, state, uri, activity_id FROM participations"
        " WHERE object_id = ? AND actor_id = ?",
        object_id,
        actor_id,
    )
    if row is None:
        return None
    return Participation(
        row["object_id"], row["actor_id"], row["state"], row["uri"], row["activity_id"]
    )


async def join(
    tx: Transaction, actor_id: int, object_id: int, *, uri: str | None = None
) -> events.Answer:
    """Somebody says that they come; what they are afterwards. Repeats are harmless, and answered again.

    `uri`: the id of a remote person's Join. Raises NotFound, NotAllowed (over, cancelled, full, no answers taken).
    """
    person, target, event = await _event_for(tx, actor_id, object_id)
    await threads.require_home(tx, actor_id)
    if target.is_local and target.author_id == actor_id:
        raise NotAllowed("Who organises an event comes anyway.")
    if not event.takes_answers:
        raise NotAllowed("One cannot say here that one comes to this event.")
    known = await find(tx, object_id, actor_id)
    if known is not None and (known.state == "refused" or not person.is_local):
        if uri is not None:
            await tx.execute(
                "UPDATE participations SET uri = ? WHERE object_id = ? AND actor_id = ?",
                uri,
                object_id,
                actor_id,
            )
        if known.state != "requested":
            await _record(tx, known.state, target, actor_id)
        return known.state
    if known is not None:
        return known.state
    await threads.require_place_of(tx, target, actor_id)
    if target.is_local:
        # The row of the event is ours from here on: two cannot take the last place at once.
        await tx.execute(
            "UPDATE events SET going_count = going_count WHERE object_id = ?", object_id
        )
        now = await events.event_of(tx, actor_id, object_id)
        assert now is not None
        if now.is_full:
            raise NotAllowed("There is no place left.")
    decides_here = target.is_local and event.occasion.joining == "free"
    state: events.Answer = "going" if decides_here else "requested"
    at = now_ms()
    await tx.execute(
        "INSERT INTO participations (object_id, actor_id, state, uri, created_at, decided_at)"
        " VALUES (?, ?, ?, ?, ?, ?)",
        object_id,
        actor_id,
        state,
        uri,
        at,
        at if state == "going" else None,
    )
    if state == "going":
        await _count(tx, object_id, 1)
    await _record(tx, state, target, actor_id)
    if target.is_local:
        organiser = await actors.actor(tx, target.author_id)
        kind: notifications.Kind = "event_joined" if state == "going" else "event_requested"
        if organiser is not None:
            await notifications.notify(tx, organiser, kind, actor_id, object_id=object_id)
    return state


async def leave(tx: Transaction, actor_id: int, object_id: int) -> bool:
    """Somebody does not come after all; False if they had not said so."""
    known = await find(tx, object_id, actor_id)
    target = await threads.thing(tx, object_id)
    if known is None or target is None or known.state == "refused":
        return False
    await tx.execute(
        "DELETE FROM participations WHERE object_id = ? AND actor_id = ?", object_id, actor_id
    )
    if known.state == "going" and target.is_local:
        await _count(tx, object_id, -1)
    await journal.record(
        tx, "event_left", actor_id=actor_id, object_id=object_id, target_id=actor_id
    )
    return True


async def forget(tx: Transaction, object_id: int, actor_id: int) -> None:
    """A sweep takes somebody's answer away; nobody is told, for it may come back."""
    known = await find(tx, object_id, actor_id)
    target = await threads.thing(tx, object_id)
    await tx.execute(
        "DELETE FROM participations WHERE object_id = ? AND actor_id = ?", object_id, actor_id
    )
    if known is not None and known.state == "going" and target is not None and target.is_local:
        await _count(tx, object_id, -1)


async def put_back(tx: Transaction, row: Mapping[str, Any]) -> None:
    """The answer is there again as it was (every column of its row), unless they gave another one since."""
    added = await tx.execute(
        f"INSERT INTO participations ({', '.join(row)}) VALUES ({marks(len(row))})"
        " ON CONFLICT DO NOTHING",
        *row.values(),
    )
    target = await threads.thing(tx, row["object_id"])
    if added and row["state"] == "going" and target is not None and target.is_local:
        await _count(tx, row["object_id"], 1)


async def answer(
    tx: Transaction, organiser_id: int, object_id: int, actor_id: int, *, accepted: bool
) -> None:
    """The organiser lets somebody come, or not, also who was coming already. Raises NotFound, NotAllowed."""
    target = await threads.thing(tx, object_id)
    if target is None or target.deleted_at is not None or not target.is_local:
        raise NotFound("This is not there any more.")
    if target.author_id != organiser_id:
        raise NotAllowed("Only who organises the event decides who comes.")
    await _settle(tx, target, actor_id, accepted=accepted)


async def settled_elsewhere(
    tx: Transaction, object_id: int, actor_id: int, *, accepted: bool
) -> None:
    """The server of a remote event says whether our member may come. Raises NotFound when they did not ask."""
    target = await threads.thing(tx, object_id)
    if target is None or target.is_local:
        raise NotFound("This is not there any more.")
    await _settle(tx, target, actor_id, accepted=accepted)


async def note_activity(tx: Transaction, object_id: int, actor_id: int, activity_id: int) -> None:
    """Note under which activity of ours a member's Join went out."""
    await tx.execute(
        "UPDATE participations SET activity_id = ? WHERE object_id = ? AND actor_id = ?",
        activity_id,
        object_id,
        actor_id,
    )


async def participants(
    db: Reader, object_id: int, state: events.Answer, *, after: int = 0, limit: int = 200
) -> list[actors.Actor]:
    """Who answered so, by actor id after `after`: for the organiser."""
    rows = await db.all(
        f"SELECT {actors.COLUMNS} {actors.FROM} JOIN participations p ON p.actor_id = a.id"
        " WHERE p.object_id = ? AND p.state = ? AND p.actor_id > ? ORDER BY p.actor_id LIMIT ?",
        object_id,
        state,
        after,
        limit,
    )
    return [actors.actor_of(row) for row in rows]


async def _settle(tx: Transaction, target: threads.Thing, actor_id: int, *, accepted: bool) -> None:
    known = await find(tx, target.id, actor_id)
    if known is None:
        raise NotFound("There is no such request.")
    state: events.Answer = "going" if accepted else "refused"
    if known.state == state:
        return
    if accepted and target.is_local:
        event = await events.event_of(tx, actor_id, target.id)
        if event is not None and event.is_full:
            raise NotAllowed("There is no place left.")
    await tx.execute(
        "UPDATE participations SET state = ?, decided_at = ? WHERE object_id = ? AND actor_id = ?",
        state,
        now_ms(),
        target.id,
        actor_id,
    )
    if target.is_local:
        if accepted:
            await _count(tx, target.id, 1)
        elif known.state == "going":
            await _count(tx, target.id, -1)
    await _record(tx, state, target, actor_id)
    person = await actors.actor(tx, actor_id)
    if person is not None:
        kind: notifications.Kind = "event_accepted" if accepted else "event_refused"
        await notifications.notify(tx, person, kind, target.author_id, object_id=target.id)


async def _event_for(
    tx: Transaction, actor_id: int, object_id: int
) -> tuple[actors.Actor, threads.Thing, events.Event]:
    """Who asks, and the event that they may read. Raises NotFound."""
    person = await actors.actor(tx, actor_id)
    target = await threads.thing(tx, object_id)
    if person is None or target is None or target.deleted_at is not None:
        raise NotFound("This is not there any more.")
    viewer = member(actor_id) if person.is_local else remote(actor_id, person.host_id or 0)
    event = await events.event_of(tx, actor_id, object_id)
    if event is None or not await can_read(tx, viewer, object_id):
        raise NotFound("This is not there any more.")
    return person, target, event


async def _count(tx: Transaction, object_id: int, by: int) -> None:
    await tx.execute(
        "UPDATE events SET going_count = CASE WHEN going_count + ? < 0 THEN 0"
        " ELSE going_count + ? END WHERE object_id = ?",
        by,
        by,
        object_id,
    )


async def _record(
    tx: Transaction, state: events.Answer, target: threads.Thing, actor_id: int
) -> None:
    """`target_id` is who comes, `actor_id` whoever decided: the organiser, or they themselves by asking."""
    told: dict[events.Answer, journal.Event] = {
        "requested": "event_requested",
        "going": "event_joined",
        "refused": "event_refused",
    }
    await journal.record(
        tx,
        told[state],
        actor_id=actor_id if state == "requested" else target.author_id,
        object_id=target.id,
        group_id=target.group_id,
        target_id=actor_id,
    )
