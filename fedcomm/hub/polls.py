"""Voting in polls, closing them, and telling from time to time how they stand.

An account votes once: in a single choice for one option, in a multiple choice for each at most
once. A unique index decides it (`slot` is 0 in a single choice, the option's position in a multiple
one), so that parallel votes cannot slip past each other.
"""

from __future__ import annotations

from collections.abc import Sequence

from fedcomm.hub import actors, ballots, journal, notifications, threads
from fedcomm.hub.errors import Invalid, NotAllowed, NotFound
from fedcomm.hub.visibility import can_read, member, remote
from fedcomm.store.database import Reader, Transaction
from fedcomm.store.ids import new_id, now_ms

REPORT_DELAY_MS = 3 * 60_000
"""How long new votes are collected before the other servers are told (Mastodon: about 3 minutes)."""

STEP = 50
"""Polls that one transaction closes or reports."""


async def vote(tx: Transaction, actor_id: int, object_id: int, choices: Sequence[int]) -> int:
    """Vote for the options at these positions; how many votes were counted.

    A member votes once and for everything at once. Of another server each choice comes by itself;
    what was counted before changes nothing. Raises NotFound, NotAllowed (over, voted before, may not
    write in the group), Invalid (`choices`).
    """
    await threads.require_home(tx, actor_id)
    person = await actors.actor(tx, actor_id)
    target = await threads.thing(tx, object_id)
    if person is None or target is None or target.deleted_at is not None:
        raise NotFound("This is not there any more.")
    viewer = member(actor_id) if person.is_local else remote(actor_id, person.host_id or 0)
    if not await can_read(tx, viewer, object_id):
        raise NotFound("This is not there any more.")
    await threads.require_place_of(tx, target, actor_id)
    now = now_ms()
    # First of all: the row stays ours until the end of the transaction.
    if not await tx.execute(
        "UPDATE polls SET voter_count = voter_count WHERE object_id = ? AND closed_at IS NULL"
        " AND (ends_at IS NULL OR ends_at > ?)",
        object_id,
        now,
    ):
        raise NotAllowed("This poll is over.")
    poll = await ballots.poll_of(tx, actor_id, object_id)
    assert poll is not None
    chosen = sorted(set(choices))
    known = {option.position for option in poll.options}
    if not chosen or not known.issuperset(chosen) or (len(chosen) > 1 and not poll.multiple):
        raise Invalid("choices", "Choose from the options of the poll.")
    if poll.chosen and person.is_local:
        raise NotAllowed("You have voted already.")
    counted = 0
    for position in chosen:
        added = await tx.execute(
            "INSERT INTO poll_votes (id, object_id, actor_id, slot, position, created_at)"
            " VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (object_id, actor_id, slot) DO NOTHING",
            new_id(),
            object_id,
            actor_id,
            position if poll.multiple else 0,
            position,
            now,
        )
        if added:
            counted += 1
            await tx.execute(
                "UPDATE poll_options SET vote_count = vote_count + 1"
                " WHERE object_id = ? AND position = ?",
                object_id,
                position,
            )
    if not counted:
        return 0
    await tx.execute(
        "UPDATE polls SET voter_count = voter_count + ?, report_at = ? WHERE object_id = ?",
        0 if poll.chosen else 1,
        await _report_time(tx, target, now),
        object_id,
    )
    await journal.record(
        tx, "poll_voted", actor_id=actor_id, object_id=object_id, group_id=target.group_id
    )
    return counted


async def count(tx: Transaction, object_id: int, actor_id: int, position: int, by: int) -> None:
    """Count a vote that a sweep took (`by` is -1: its row is gone already) or brings back (1: not there yet).

    Other servers are told with the next votes; of a poll elsewhere its server's next counts replace ours.
    """
    target = await threads.thing(tx, object_id)
    if target is None:
        return
    more = await tx.value(
        "SELECT 1 FROM poll_votes WHERE object_id = ? AND actor_id = ? LIMIT 1", object_id, actor_id
    )
    await tx.execute(
        "UPDATE poll_options SET vote_count = CASE WHEN vote_count + ? < 0 THEN 0"
        " ELSE vote_count + ? END WHERE object_id = ? AND position = ?",
        by,
        by,
        object_id,
        position,
    )
    voters = by if more is None else 0
    await tx.execute(
        "UPDATE polls SET voter_count = CASE WHEN voter_count + ? < 0 THEN 0"
        " ELSE voter_count + ? END, report_at = ? WHERE object_id = ?",
        voters,
        voters,
        await _report_time(tx, target, now_ms()),
        object_id,
    )


async def position_of(db: Reader, object_id: int, name: str) -> int | None:
    """The option that a vote names: exactly, or but for the spaces around it."""
    rows = await db.all(
        "SELECT position, name FROM poll_options WHERE object_id = ? ORDER BY position", object_id
    )
    names = {row["name"].strip(): row["position"] for row in rows}
    return names.get(name.strip())


async def choices_of(db: Reader, object_id: int, actor_id: int) -> list[tuple[int, str]]:
    """What an actor voted for: (id of the vote, name of the option)."""
    rows = await db.all(
        "SELECT v.id, o.name FROM poll_votes v JOIN poll_options o"
        " ON o.object_id = v.object_id AND o.position = v.position"
        " WHERE v.object_id = ? AND v.actor_id = ? ORDER BY v.position",
        object_id,
        actor_id,
    )
    return [(row["id"], row["name"]) for row in rows]


async def refresh(tx: Transaction, object_id: int, ballot: ballots.Ballot) -> None:
    """Its server tells how a remote poll stands; nothing but the counts and the end has changed."""
    target = await threads.thing(tx, object_id)
    if target is None or target.is_local or target.deleted_at is not None:
        raise NotFound("This is not there any more.")
    await ballots.refresh(tx, object_id, ballot)
    await journal.record(
        tx,
        "poll_counted",
        actor_id=target.author_id,
        object_id=object_id,
        group_id=target.group_id,
    )


async def report_due(tx: Transaction) -> int:
    """Tell the journal of polls of ours whose new votes have waited long enough; how many."""
    rows = await tx.all(
        "SELECT p.object_id, o.author_id, o.group_id FROM polls p JOIN objects o ON o.id = p.object_id"
        " WHERE p.report_at <= ? ORDER BY p.report_at LIMIT ?",
        now_ms(),
        STEP,
    )
    for row in rows:
        await tx.execute("UPDATE polls SET report_at = NULL WHERE object_id = ?", row["object_id"])
        await journal.record(
            tx,
            "poll_counted",
            actor_id=row["author_id"],
            object_id=row["object_id"],
            group_id=row["group_id"],
        )
    return len(rows)


async def close_due(tx: Transaction) -> int:
    """Close polls of ours whose time is over, and tell those members here who asked or voted."""
    rows = await tx.all(
        "SELECT p.object_id, p.close_at, o.author_id, o.group_id FROM polls p"
        " JOIN objects o ON o.id = p.object_id WHERE p.close_at <= ? ORDER BY p.close_at LIMIT ?",
        now_ms(),
        STEP,
    )
    for row in rows:
        object_id = row["object_id"]
        await tx.execute(
            "UPDATE polls SET closed_at = ?, close_at = NULL, report_at = NULL WHERE object_id = ?",
            row["close_at"],
            object_id,
        )
        await journal.record(
            tx,
            "poll_closed",
            actor_id=row["author_id"],
            object_id=object_id,
            group_id=row["group_id"],
        )
        await _tell_of_end(tx, object_id, row["author_id"])
    return len(rows)


async def _tell_of_end(tx: Transaction, object_id: int, author_id: int) -> None:
    rows = await tx.all(
        "SELECT DISTINCT v.actor_id FROM poll_votes v JOIN members m ON m.actor_id = v.actor_id"
        " WHERE v.object_id = ?",
        object_id,
    )
    people = await actors.actors(tx, sorted({author_id, *(row["actor_id"] for row in rows)}))
    for person in people.values():
        await notifications.notify(
            tx, person, "poll_ended", author_id, object_id=object_id, about_oneself=True
        )


async def _report_time(tx: Transaction, target: threads.Thing, now: int) -> int | None:
    """When votes are told: the first one sets the time, the later ones travel along."""
    if not target.is_local:
        return None
    waiting = await tx.value("SELECT report_at FROM polls WHERE object_id = ?", target.id)
    return int(waiting) if waiting is not None else now + REPORT_DELAY_MS
