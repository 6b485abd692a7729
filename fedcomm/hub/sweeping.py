"""The work of sweeps: taking from view, bringing back, erasing for good. Small steps, each a transaction of its own.

Whoever advances a sweep (the server, a command, two of them at once) looks what is left within the transaction, so a
step that was done is not done again and a crash loses nothing.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from fedcomm.hub import actors, media, sweeps
from fedcomm.hub.sweep_places import BY_NAME, PLACES, Item, take_waiting
from fedcomm.hub.sweeps import Sweep
from fedcomm.store.database import Database, Transaction
from fedcomm.store.ids import now_ms

STEP: Final = 50
"""Things that one transaction takes, so that nobody waits long for it."""

PEOPLE_AT_ONCE: Final = 500

SCRUBBED: Final = (
    "objects", "revisions", "search_index", "attachments", "mentions", "hashtags", "poll_options",
    "actors", "reports", "inbox", "activities", "received_activities",
)  # fmt: skip
"""Tables that are taken off the disk's free pages when a purge has ended."""

SIDE_TABLES: Final = (
    "revisions", "attachments", "mentions", "hashtags", "poll_options", "notifications", "quotes",
)  # fmt: skip
"""Where rows stand that belong to one object."""

LEFT: Final = "left"

SCRUBS: Final = 60
"""So often a purge asks the database to clean its files before it says in the certificate that it could not."""

Progress = Callable[[Sweep], None]


async def advance(
    db: Database, sweep_id: int, *, folder: Path, told: Progress | None = None
) -> Sweep:
    """Work on a sweep until it rests; how it is then. `told` is called after each step. Raises NotFound."""
    while True:
        more = await step(db, sweep_id, folder=folder)
        known = await sweeps.sweep(db, sweep_id)
        if told is not None:
            told(known)
        if not more:
            return known


async def step(db: Database, sweep_id: int, *, folder: Path) -> bool:
    """One step; whether there is another one to be done now."""
    async with db.transaction() as tx:
        known = await sweeps.sweep(tx, sweep_id)
        if known.state == "done" and known.purge_at is not None and known.purge_at <= now_ms():
            await _turn(tx, known, "purging")
            return True
        if known.state == "running":
            return await take(tx, known, STEP)
        if known.state == "undoing":
            return await _give_back(tx, known)
        if known.state != "purging":
            return False
        images: list[int] = []
        erasing = known.step == ""
        if erasing:
            await _erase(tx, known, images)
    await media.remove_orphans(db, folder, images)
    return erasing or await _finish_purge(db, known)


async def take(tx: Transaction, known: Sweep, limit: int) -> bool:
    """Take up to `limit` things from view; whether there may be more."""
    if known.step == "" and known.cause == "sweep" and known.scope.group_id is None:
        taken = await take_waiting(tx, known, limit)
        await _progress(tx, known, taken, step="" if taken else "people")
        return True
    people = await _people_after(tx, known)
    if not people:
        await _turn(tx, known, "done")
        return False
    only_posts = known.cause != "sweep" or known.scope.group_id is not None
    for place in PLACES[:1] if only_posts else PLACES:
        taken = await place.take(tx, known, people, limit)
        if taken:
            await _progress(tx, known, taken)
            return True
    await tx.execute(
        "UPDATE sweeps SET position = ? WHERE id = ? AND state = 'running'", people[-1], known.id
    )
    return True


async def _people_after(tx: Transaction, known: Sweep) -> list[int]:
    who = known.scope.people("a")
    rows = await tx.all(
        f"SELECT a.id FROM actors a WHERE {who.sql} AND a.id > ? ORDER BY a.id LIMIT ?",
        *who.args,
        known.position,
        PEOPLE_AT_ONCE,
    )
    return [row["id"] for row in rows]


async def _give_back(tx: Transaction, known: Sweep) -> bool:
    items = await _items(tx, known.id)
    for place, item in items:
        await BY_NAME[place].give_back(tx, known, item)
    await _forget(tx, known.id, items)
    if not items:
        await _turn(tx, known, "undone")
    return bool(items)


async def _erase(tx: Transaction, known: Sweep, images: list[int]) -> None:
    """Erase the next things for good; the ids of their images are added to `images`."""
    items = await _items(tx, known.id)
    counted: Counter[str] = Counter()
    for place, item in items:
        if place == "posts" and await _is_appealed(tx, item.subject_id):
            counted["kept for an appeal"] += 1
            continue
        gone = await BY_NAME[place].erase(tx, known, item)
        if isinstance(gone, list):
            images += gone
            counted["pictures"] += len(gone)
        counted[place] += 1
        if place == "posts":
            counted[LEFT] += await words_left(tx, item.subject_id)
    await _forget(tx, known.id, items)
    if not items:
        counted["profiles"] = people = await _forget_people(tx, known)
        if not people:
            await tx.execute("UPDATE sweeps SET step = 'scrub' WHERE id = ?", known.id)
    await _count(tx, known.id, counted)


async def _forget_people(tx: Transaction, known: Sweep) -> int:
    """People of other servers who came here within the time and of whom nothing else is left: their profile goes.
    How many; again until it is 0."""
    if known.cause != "sweep" or known.scope.group_id is not None:
        return 0
    who = known.scope.people("a")
    rows = await tx.all(
        f"SELECT a.id FROM actors a WHERE {who.sql} AND a.created_at >= ? AND a.created_at < ?"
        " AND a.host_id IS NOT NULL AND a.deleted_at IS NULL"
        " AND NOT EXISTS (SELECT 1 FROM objects o WHERE o.author_id = a.id"
        "  AND o.deleted_at IS NULL)"
        " AND NOT EXISTS (SELECT 1 FROM memberships s WHERE s.actor_id = a.id)"
        " AND NOT EXISTS (SELECT 1 FROM follows f WHERE f.follower_id = a.id)"
        " AND NOT EXISTS (SELECT 1 FROM follows f WHERE f.followed_id = a.id) LIMIT ?",
        *who.args,
        known.scope.since,
        known.scope.until,
        STEP,
    )
    for row in rows:
        await actors.forget_remote(tx, row["id"])
    return len(rows)


async def _finish_purge(db: Database, known: Sweep) -> bool:
    """Clean the database's files, look that nothing is left, and write the certificate."""
    tries = known.position + 1
    unclean = await db.scrub(SCRUBBED)
    if unclean and tries < SCRUBS:
        async with db.transaction() as tx:
            await tx.execute("UPDATE sweeps SET position = ? WHERE id = ?", tries, known.id)
        return False
    async with db.transaction() as tx:
        current = await sweeps.sweep(tx, known.id)
        if current.state != "purging":
            return False
        counted = json.loads(current.certificate or "{}")
        left = counted.pop(LEFT, 0) + await _items_left(tx, known.id)
        report = {
            "sweep": str(known.id),
            "erased": {name: number for name, number in counted.items() if number},
            LEFT: left,
            "files of the database": list(unclean) or "clean",
            "at": datetime.fromtimestamp(now_ms() / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        }
        await tx.execute(
            "UPDATE sweeps SET certificate = ? WHERE id = ?", json.dumps(report), known.id
        )
        await _turn(tx, current, "purged")
    return False


async def words_left(db: Transaction, object_id: int) -> int:
    """In how many places something of an erased object can still be found: 0."""
    key = "rowid" if db.dialect == "sqlite" else "object_id"
    left = 0
    for sql in (
        "SELECT count(*) FROM objects WHERE id = ? AND (title <> '' OR source <> '' OR html <> ''"
        " OR summary <> '' OR details IS NOT NULL OR url IS NOT NULL OR deleted_at IS NULL)",
        f"SELECT count(*) FROM search_index WHERE {key} = ?",
        *(f"SELECT count(*) FROM {table} WHERE object_id = ?" for table in SIDE_TABLES),
        "SELECT count(*) FROM activities WHERE object_id = ? AND body IS NOT NULL",
        "SELECT count(*) FROM received_activities WHERE object_id = ?",
    ):
        left += int(await db.value(sql, object_id))
    return left


async def _items_left(tx: Transaction, sweep_id: int) -> int:
    return int(await tx.value("SELECT count(*) FROM sweep_items WHERE sweep_id = ?", sweep_id))


async def _items(tx: Transaction, sweep_id: int) -> list[tuple[str, Item]]:
    rows = await tx.all(
        "SELECT place, subject_id, other_id, before FROM sweep_items WHERE sweep_id = ?"
        " ORDER BY place, subject_id, other_id LIMIT ?",
        sweep_id,
        STEP,
    )
    return [
        (row["place"], Item(row["subject_id"], row["other_id"], json.loads(row["before"])))
        for row in rows
    ]


async def _forget(tx: Transaction, sweep_id: int, items: Sequence[tuple[str, Item]]) -> None:
    await tx.many(
        "DELETE FROM sweep_items WHERE sweep_id = ? AND place = ? AND subject_id = ?"
        " AND other_id = ?",
        [(sweep_id, place, item.subject_id, item.other_id) for place, item in items],
    )


async def _is_appealed(tx: Transaction, object_id: int) -> bool:
    found = await tx.value(
        "SELECT 1 FROM statements WHERE object_id = ? AND action = 'remove'"
        " AND appealed_at IS NOT NULL AND appeal_outcome IS NULL LIMIT 1",
        object_id,
    )
    return found is not None


async def _progress(tx: Transaction, known: Sweep, taken: int, step: str | None = None) -> None:
    await tx.execute(
        "UPDATE sweeps SET done = done + ?, step = ? WHERE id = ?",
        taken,
        known.step if step is None else step,
        known.id,
    )


async def _count(tx: Transaction, sweep_id: int, more: Counter[str]) -> None:
    """Add to what the certificate will say."""
    text = await tx.value("SELECT certificate FROM sweeps WHERE id = ?", sweep_id)
    counted = Counter(json.loads(text) if text else {})
    counted.update(more)
    await tx.execute(
        "UPDATE sweeps SET certificate = ? WHERE id = ?", json.dumps(counted), sweep_id
    )


async def _turn(tx: Transaction, known: Sweep, state: sweeps.State) -> None:
    assert state in sweeps.ALLOWED[known.state], (known.state, state)
    await tx.execute(
        "UPDATE sweeps SET state = ?, step = '', position = 0, finished_at = ? WHERE id = ?",
        state,
        None if state in sweeps.AT_WORK else now_ms(),
        known.id,
    )
