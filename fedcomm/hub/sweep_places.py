"""The places that a sweep empties: for each how things are taken from view, brought back, and erased for good.

Whatever is taken leaves a row in `sweep_items` that says how it was, in ids, times and words like `open`; never what
was written. Relations stay where they are, marked, so that bringing them back changes nothing else.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from fedcomm.hub import (
    actors,
    follows,
    journal,
    media,
    participation,
    policies,
    polls,
    purged,
    removal,
    statements,
    threads,
)
from fedcomm.hub.reactions import COUNTERS
from fedcomm.hub.sweeps import SWEPT, Sweep
from fedcomm.store.database import Row, Transaction, marks


@dataclass(frozen=True, slots=True)
class Item:
    """One thing that was taken."""

    subject_id: int
    other_id: int
    before: Mapping[str, Any]


Take = Callable[[Transaction, Sweep, Sequence[int], int], Awaitable[int]]
"""Take up to so many things of these people; how many. Again until it is 0."""

Change = Callable[[Transaction, Sweep, Item], Awaitable[object]]


@dataclass(frozen=True, slots=True)
class Place:
    """One place. `erase` returns ids of images whose files go once the transaction has ended, or None."""

    name: str
    take: Take
    give_back: Change
    erase: Change


# Words


async def _take_posts(tx: Transaction, sweep: Sweep, people: Sequence[int], limit: int) -> int:
    group = sweep.scope.group_id
    rows = await tx.all(
        "SELECT o.id, o.group_id, o.author_id, o.host_id, o.withheld, o.withheld_at, o.removed_by,"
        f" o.pinned_at FROM objects o WHERE o.author_id IN ({marks(len(people))})"
        " AND o.id >= ? AND o.id < ? AND o.deleted_at IS NULL"
        " AND (o.withheld IS NULL OR o.withheld <> 'removed')"
        + (" AND o.group_id = ?" if group is not None else "")
        + " ORDER BY o.id DESC LIMIT ?",
        *people,
        *sweep.scope.ids,
        *((group,) if group is not None else ()),
        limit,
    )
    for row in rows:
        await _note(
            tx,
            sweep,
            "posts",
            row["id"],
            0,
            {name: row[name] for name in ("withheld", "withheld_at", "removed_by", "pinned_at")},
        )
        await removal.withhold(tx, sweep.decided_by, row["id"], "removed")
        if sweep.cause != "sweep" or row["host_id"] is None:
            # Who can read it here, or appeal against it by a ban's statement, gets the reasons for each post.
            await statements.make(
                tx,
                "remove",
                row["author_id"],
                reason=sweep.reason,
                rule=sweep.rule,
                report_id=sweep.report_id,
                decided_by=sweep.decided_by,
                decided_as=sweep.decided_as,
                group_id=row["group_id"],
                object_id=row["id"],
            )
    return len(rows)


async def _give_back_post(tx: Transaction, sweep: Sweep, item: Item) -> None:
    known = await threads.thing(tx, item.subject_id)
    if known is None or known.deleted_at is not None or known.withheld != "removed":
        return  # Its author deleted it meanwhile, or somebody decided anew.
    author = await actors.actor(tx, known.author_id)
    if author is None or author.deleted_at is not None:
        return  # They are being erased: nothing of theirs is told once more.
    before = item.before
    if before["withheld"] is None:
        await removal.restore(tx, sweep.undone_by, item.subject_id)
        await statements.end_of_object(tx, item.subject_id, sweep.undo_reason)
    await tx.execute(
        "UPDATE objects SET withheld = ?, withheld_at = ?, removed_by = ?, pinned_at = ?"
        " WHERE id = ?",
        before["withheld"],
        before["withheld_at"],
        before["removed_by"],
        before["pinned_at"],
        item.subject_id,
    )


async def _erase_post(tx: Transaction, sweep: Sweep, item: Item) -> list[int]:
    known = await threads.thing(tx, item.subject_id)
    if known is None or known.withheld != "removed":
        return []
    images = await media.attached_to(tx, item.subject_id)
    if sweep.cause == "sweep":
        await purged.block(tx, images, by=sweep.decided_by, reason=sweep.reason)
    await threads.erase(tx, known)
    # Copies on the way out and in; they went when it was removed, unless a queue stood still since.
    await tx.execute("UPDATE activities SET body = NULL WHERE object_id = ?", item.subject_id)
    await tx.execute("DELETE FROM received_activities WHERE object_id = ?", item.subject_id)
    await journal.record(tx, "object_purged", object_id=item.subject_id, group_id=known.group_id)
    return images


# What is told and done besides


async def _take_reactions(tx: Transaction, sweep: Sweep, people: Sequence[int], limit: int) -> int:
    rows = await _made_by(tx, sweep, "reactions", "actor_id", people, limit)
    for row in rows:
        # By whom it is stands beside it, so that it goes when they are erased.
        await _note(tx, sweep, "reactions", row["id"], row["actor_id"], dict(row))
        await tx.execute("DELETE FROM reactions WHERE id = ?", row["id"])
        await _counted(tx, row, -1)
    return len(rows)


async def _give_back_reaction(tx: Transaction, sweep: Sweep, item: Item) -> None:
    if await _may_return(tx, item.before) and await _insert(tx, "reactions", item.before):
        await _counted(tx, item.before, 1)


async def _counted(tx: Transaction, row: Row | Mapping[str, Any], by: int) -> None:
    column = COUNTERS.get(row["kind"])
    if column is not None:
        await tx.execute(
            f"UPDATE objects SET {column} = CASE WHEN {column} + ? < 0 THEN 0"
            f" ELSE {column} + ? END WHERE id = ?",
            by,
            by,
            row["object_id"],
        )
    group_id = await tx.value("SELECT group_id FROM objects WHERE id = ?", row["object_id"])
    event: journal.Event = "reaction_added" if by > 0 else "reaction_withdrawn"
    await journal.record(
        tx,
        event,
        actor_id=row["actor_id"],
        object_id=row["object_id"],
        group_id=group_id,
        target_id=row["id"],
    )


async def _take_notices(tx: Transaction, sweep: Sweep, people: Sequence[int], limit: int) -> int:
    rows = await _made_by(tx, sweep, "notifications", "actor_id", people, limit)
    for row in rows:
        await _note(tx, sweep, "notifications", row["id"], row["actor_id"], dict(row))
        await tx.execute("DELETE FROM notifications WHERE id = ?", row["id"])
    return len(rows)


async def _give_back_notice(tx: Transaction, sweep: Sweep, item: Item) -> None:
    if await _may_return(tx, item.before):
        await _insert(tx, "notifications", item.before)


async def _take_reports(tx: Transaction, sweep: Sweep, people: Sequence[int], limit: int) -> int:
    rows = await tx.all(
        f"SELECT id FROM reports WHERE reporter_id IN ({marks(len(people))})"
        " AND id >= ? AND id < ? AND state = 'open' LIMIT ?",
        *people,
        *sweep.scope.ids,
        limit,
    )
    for row in rows:
        await _note(tx, sweep, "reports", row["id"], 0, {"state": "open"})
        await tx.execute("UPDATE reports SET state = 'swept' WHERE id = ?", row["id"])
    return len(rows)


async def _give_back_report(tx: Transaction, sweep: Sweep, item: Item) -> None:
    await tx.execute(
        "UPDATE reports SET state = ? WHERE id = ? AND state = 'swept'",
        item.before["state"],
        item.subject_id,
    )


async def _erase_report(tx: Transaction, sweep: Sweep, item: Item) -> None:
    await tx.execute(
        "UPDATE reports SET state = 'decided', outcome = 'dismiss', reason = '', decided_by = ?,"
        " decided_at = (SELECT created_at FROM sweeps WHERE id = ?)"
        " WHERE id = ? AND state = 'swept'",
        sweep.decided_by,
        sweep.id,
        item.subject_id,
    )
    await tx.execute("DELETE FROM report_notes WHERE report_id = ?", item.subject_id)


# Votes, and who comes


async def _take_votes(tx: Transaction, sweep: Sweep, people: Sequence[int], limit: int) -> int:
    rows = await _made_by(tx, sweep, "poll_votes", "actor_id", people, limit)
    for row in rows:
        await _note(tx, sweep, "votes", row["id"], row["actor_id"], dict(row))
        await tx.execute("DELETE FROM poll_votes WHERE id = ?", row["id"])
        await polls.count(tx, row["object_id"], row["actor_id"], row["position"], -1)
    return len(rows)


async def _give_back_vote(tx: Transaction, sweep: Sweep, item: Item) -> None:
    before = item.before
    # Erased with its poll, or another one by now: there is nothing left that was voted for.
    there = await tx.value(
        "SELECT 1 FROM poll_options WHERE object_id = ? AND position = ?",
        before["object_id"],
        before["position"],
    )
    if there is None or not await _may_return(tx, before):
        return
    # Counted first: whether it is this person's only vote is seen before it stands there.
    kept = await tx.value(
        "SELECT 1 FROM poll_votes WHERE object_id = ? AND actor_id = ? AND slot = ?",
        before["object_id"],
        before["actor_id"],
        before["slot"],
    )
    if kept is None:
        await polls.count(tx, before["object_id"], before["actor_id"], before["position"], 1)
        await _insert(tx, "poll_votes", before)


async def _take_participations(
    tx: Transaction, sweep: Sweep, people: Sequence[int], limit: int
) -> int:
    rows = await tx.all(
        f"SELECT * FROM participations WHERE actor_id IN ({marks(len(people))})"
        " AND created_at >= ? AND created_at < ? LIMIT ?",
        *people,
        sweep.scope.since,
        sweep.scope.until,
        limit,
    )
    for row in rows:
        await _note(tx, sweep, "participations", row["object_id"], row["actor_id"], dict(row))
        await participation.forget(tx, row["object_id"], row["actor_id"])
    return len(rows)


async def _give_back_participation(tx: Transaction, sweep: Sweep, item: Item) -> None:
    there = await tx.value("SELECT 1 FROM events WHERE object_id = ?", item.before["object_id"])
    if there is not None and await _may_return(tx, item.before):
        await participation.put_back(tx, item.before)


# Relations


async def _take_follows(tx: Transaction, sweep: Sweep, people: Sequence[int], limit: int) -> int:
    rows = await tx.all(
        "SELECT follower_id AS one, followed_id AS other, suspended FROM follows"
        f" WHERE follower_id IN ({marks(len(people))}) AND created_at >= ? AND created_at < ?"
        f" AND suspended <> {SWEPT} LIMIT ?",
        *people,
        sweep.scope.since,
        sweep.scope.until,
        limit,
    )
    return await _mark(tx, sweep, "follows", "follower_id", "followed_id", rows)


async def _take_memberships(
    tx: Transaction, sweep: Sweep, people: Sequence[int], limit: int
) -> int:
    rows = await tx.all(
        "SELECT actor_id AS one, group_id AS other, suspended FROM memberships"
        f" WHERE actor_id IN ({marks(len(people))}) AND created_at >= ? AND created_at < ?"
        f" AND suspended <> {SWEPT} AND role = 'member' AND state <> 'banned' LIMIT ?",
        *people,
        sweep.scope.since,
        sweep.scope.until,
        limit,
    )
    return await _mark(tx, sweep, "memberships", "actor_id", "group_id", rows)


async def _mark(
    tx: Transaction, sweep: Sweep, table: str, one: str, other: str, rows: Sequence[Row]
) -> int:
    for row in rows:
        await _note(tx, sweep, table, row["one"], row["other"], {"suspended": row["suspended"]})
    await tx.many(
        f"UPDATE {table} SET suspended = {SWEPT} WHERE {one} = ? AND {other} = ?",
        [(row["one"], row["other"]) for row in rows],
    )
    return len(rows)


async def _suspended_now(tx: Transaction, actor_id: int) -> int:
    """Whether the policy suspends relations of this person: it may have changed since."""
    person = await actors.actor(tx, actor_id)
    host_id = person.host_id if person is not None else None
    return int(await policies.level_of(tx, host_id) == "suspend")


async def _give_back_follow(tx: Transaction, sweep: Sweep, item: Item) -> None:
    await tx.execute(
        f"UPDATE follows SET suspended = ? WHERE suspended = {SWEPT} AND follower_id = ?"
        " AND followed_id = ?",
        await _suspended_now(tx, item.subject_id),
        item.subject_id,
        item.other_id,
    )


async def _give_back_membership(tx: Transaction, sweep: Sweep, item: Item) -> None:
    await tx.execute(
        f"UPDATE memberships SET suspended = ? WHERE suspended = {SWEPT} AND actor_id = ?"
        " AND group_id = ?",
        await _suspended_now(tx, item.subject_id),
        item.subject_id,
        item.other_id,
    )


async def _erase_follow(tx: Transaction, sweep: Sweep, item: Item) -> None:
    found = await tx.value(
        f"SELECT 1 FROM follows WHERE suspended = {SWEPT} AND follower_id = ? AND followed_id = ?",
        item.subject_id,
        item.other_id,
    )
    if found is not None:
        await follows.end(tx, item.subject_id, item.other_id, refused=True)


async def _erase_membership(tx: Transaction, sweep: Sweep, item: Item) -> None:
    gone = await tx.execute(
        f"DELETE FROM memberships WHERE suspended = {SWEPT} AND actor_id = ? AND group_id = ?",
        item.subject_id,
        item.other_id,
    )
    if gone:
        await journal.record(
            tx,
            "membership_refused",
            actor_id=sweep.decided_by,
            group_id=item.other_id,
            target_id=item.subject_id,
        )


# What waits to be processed


async def take_waiting(tx: Transaction, sweep: Sweep, limit: int) -> int:
    """Take what these people have sent and nobody has processed yet; how much."""
    scope = sweep.scope
    if scope.kind == "actor":
        person = await actors.actor(tx, scope.subject_id)
        if person is None or person.host_id is None:
            return 0
        where, args = "host_id = ? AND signer_uri = ?", (person.host_id, person.uri)
    else:
        where, args = f"host_id IN {scope.hosts()}", (scope.subject_id,)  # type: ignore[assignment]
    rows = await tx.all(
        f"SELECT id, state FROM inbox WHERE {where} AND state IN ('waiting', 'held', 'suspect')"
        " AND id >= ? AND id < ? LIMIT ?",
        *args,
        *scope.ids,
        limit,
    )
    for row in rows:
        await _note(tx, sweep, "waiting", row["id"], 0, {"state": row["state"]})
    await tx.many("UPDATE inbox SET state = 'swept' WHERE id = ?", [(row["id"],) for row in rows])
    return len(rows)


async def _nothing_to_take(tx: Transaction, sweep: Sweep, people: Sequence[int], limit: int) -> int:
    return 0


async def _give_back_waiting(tx: Transaction, sweep: Sweep, item: Item) -> None:
    # What was to be processed at once goes by way of `held`, from where its lane is woken.
    await tx.execute(
        "UPDATE inbox SET state = ? WHERE id = ? AND state = 'swept'",
        "suspect" if item.before["state"] == "suspect" else "held",
        item.subject_id,
    )


async def _erase_waiting(tx: Transaction, sweep: Sweep, item: Item) -> None:
    await tx.execute(
        "UPDATE inbox SET state = 'refused', verdict = 'swept', body = NULL"
        " WHERE id = ? AND state = 'swept'",
        item.subject_id,
    )
    await tx.execute("DELETE FROM held WHERE inbox_id = ?", item.subject_id)


async def _only_forget(tx: Transaction, sweep: Sweep, item: Item) -> None:
    """It is gone from its table already; the row that says how it was goes as well."""


PLACES: Final = (
    Place("posts", _take_posts, _give_back_post, _erase_post),
    Place("reactions", _take_reactions, _give_back_reaction, _only_forget),
    Place("votes", _take_votes, _give_back_vote, _only_forget),
    Place("participations", _take_participations, _give_back_participation, _only_forget),
    Place("notifications", _take_notices, _give_back_notice, _only_forget),
    Place("reports", _take_reports, _give_back_report, _erase_report),
    Place("follows", _take_follows, _give_back_follow, _erase_follow),
    Place("memberships", _take_memberships, _give_back_membership, _erase_membership),
    Place("waiting", _nothing_to_take, _give_back_waiting, _erase_waiting),
)

BY_NAME: Final = {place.name: place for place in PLACES}


async def _made_by(
    tx: Transaction, sweep: Sweep, table: str, column: str, people: Sequence[int], limit: int
) -> Sequence[Row]:
    return await tx.all(
        f"SELECT * FROM {table} WHERE {column} IN ({marks(len(people))})"
        " AND id >= ? AND id < ? LIMIT ?",
        *people,
        *sweep.scope.ids,
        limit,
    )


async def _note(
    tx: Transaction,
    sweep: Sweep,
    place: str,
    subject_id: int,
    other_id: int,
    before: Mapping[str, Any],
) -> None:
    await tx.execute(
        "INSERT INTO sweep_items (sweep_id, place, subject_id, other_id, before)"
        " VALUES (?, ?, ?, ?, ?) ON CONFLICT (sweep_id, place, subject_id, other_id)"
        " DO UPDATE SET before = excluded.before",
        sweep.id,
        place,
        subject_id,
        other_id,
        json.dumps(dict(before)),
    )


async def _may_return(tx: Transaction, row: Mapping[str, Any]) -> bool:
    """Whether everybody whom the row names is still there, and what it is about: undo brings back nothing of who was
    erased meanwhile (INV-50)."""
    people = [row[name] for name in ("actor_id", "member_id") if row.get(name) is not None]
    gone = await tx.value(
        f"SELECT 1 FROM actors WHERE id IN ({marks(len(people))}) AND deleted_at IS NOT NULL",
        *people,
    )
    if gone is not None or row.get("object_id") is None:
        return gone is None
    there = "SELECT 1 FROM objects WHERE id = ? AND deleted_at IS NULL"
    return await tx.value(there, row["object_id"]) is not None


async def _insert(tx: Transaction, table: str, row: Mapping[str, Any]) -> bool:
    """Put a row back as it was; False if something stands in its place by now."""
    return bool(
        await tx.execute(
            f"INSERT INTO {table} ({', '.join(row)}) VALUES ({marks(len(row))})"
            " ON CONFLICT DO NOTHING",
            *row.values(),
        )
    )
