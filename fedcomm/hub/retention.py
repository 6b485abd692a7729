"""Retention: what nobody needs for ever goes by itself, a few rows at a time (product.md D4).

Posts of other servers go when they are old and nobody here has to do with them: not answered, liked, quoted, voted on
or reported here, in no group of ours, naming nobody of ours. They are not remembered as erased: whoever looks one up
gets it again. What a legal hold covers stays.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from fedcomm.hub import holds, search
from fedcomm.store.database import Database, Reader, Transaction, marks
from fedcomm.store.ids import first_id_at

STEP: Final = 200
"""Rows that one transaction looks at, so that nobody waits for it."""

_FREE: Final = (
    "NOT EXISTS (SELECT 1 FROM holds h WHERE h.ended_at IS NULL AND h.subject_id IN ({}))"
)

_LOCAL: Final = "JOIN actors w ON w.id = {}.actor_id AND w.host_id IS NULL"

_UNTOUCHED: Final = " AND ".join(
    (
        "o.host_id IS NOT NULL AND o.group_id IS NULL AND o.withheld IS NULL",
        "o.visibility <> 'direct'",
        "NOT EXISTS (SELECT 1 FROM objects c WHERE c.parent_id = o.id)",
        "NOT EXISTS (SELECT 1 FROM objects c WHERE c.topic_id = o.id AND c.kind <> 'post')",
        f"NOT EXISTS (SELECT 1 FROM reactions r {_LOCAL.format('r')} WHERE r.object_id = o.id)",
        f"NOT EXISTS (SELECT 1 FROM mentions m {_LOCAL.format('m')} WHERE m.object_id = o.id)",
        f"NOT EXISTS (SELECT 1 FROM poll_votes v {_LOCAL.format('v')} WHERE v.object_id = o.id)",
        f"NOT EXISTS (SELECT 1 FROM participations p {_LOCAL.format('p')} WHERE p.object_id = o.id)",
        "NOT EXISTS (SELECT 1 FROM quotes q WHERE q.quoted_id = o.id)",
        "NOT EXISTS (SELECT 1 FROM report_subjects s WHERE s.object_id = o.id)",
        "NOT EXISTS (SELECT 1 FROM statements s WHERE s.object_id = o.id)",
        "NOT EXISTS (SELECT 1 FROM activities c WHERE c.object_id = o.id)",
        _FREE.format("o.id, o.author_id, o.host_id"),
    )
)

_WITH_OBJECT: Final = (
    *("revisions", "mentions", "hashtags", "attachments", "reactions", "poll_votes"),
    *("poll_options", "polls", "participations", "events", "quotes", "notifications"),
    *("relayed_objects", "received_activities"),
)
"""Tables whose rows go with the object, in an order that no reference forbids."""


async def forget_untouched(db: Database, before: int) -> int:
    """Forget posts of other servers that came before `before` (Unix ms) and that nobody here has to do with."""
    total, after = 0, 0
    while True:
        rows = await db.all(
            "SELECT o.id FROM objects o WHERE o.kind = 'post' AND o.id > ? AND o.id < ?"
            " ORDER BY o.id LIMIT ?",
            after,
            first_id_at(before),
            STEP,
        )
        if not rows:
            return total
        after = rows[-1]["id"]
        found = await _untouched(db, [row["id"] for row in rows])
        if not found:
            continue
        async with db.transaction() as tx:
            # Looked at again inside: somebody may have answered meanwhile.
            found = await _untouched(tx, found)
            for object_id in found:
                await _forget(tx, object_id)
        total += len(found)


async def _untouched(db: Reader, ids: Sequence[int]) -> list[int]:
    rows = await db.all(
        f"SELECT o.id FROM objects o WHERE o.id IN ({marks(len(ids))}) AND {_UNTOUCHED}", *ids
    )
    return [row["id"] for row in rows]


async def _forget(tx: Transaction, object_id: int) -> None:
    await search.forget(tx, object_id)
    for table in _WITH_OBJECT:
        await tx.execute(f"DELETE FROM {table} WHERE object_id = ?", object_id)
    await tx.execute("DELETE FROM backfill WHERE root_id = ?", object_id)
    await tx.execute("DELETE FROM objects WHERE id = ?", object_id)


async def forget_revisions(db: Database, before: int) -> int:
    """Forget what posts said before they were edited, if that was published before `before` (Unix ms)."""
    total, after = 0, (0, 0)
    while True:
        rows = await db.all(
            "SELECT r.object_id, r.number, r.created_at, o.author_id, o.group_id, o.host_id"
            " FROM revisions r JOIN objects o ON o.id = r.object_id"
            " WHERE (r.object_id, r.number) > (?, ?) ORDER BY r.object_id, r.number LIMIT ?",
            *after,
            STEP,
        )
        if not rows:
            return total
        after = (rows[-1]["object_id"], rows[-1]["number"])
        old = [row for row in rows if row["created_at"] < before]
        if not old:
            continue
        async with db.transaction() as tx:
            for row in old:
                if await holds.covers(
                    tx, row["object_id"], row["author_id"], row["group_id"], row["host_id"]
                ):
                    continue
                total += await tx.execute(
                    "DELETE FROM revisions WHERE object_id = ? AND number = ?",
                    row["object_id"],
                    row["number"],
                )


async def forget_notifications(db: Database, before: int) -> int:
    """Forget notifications that were read and made before `before` (Unix ms)."""
    return await _stepwise(
        db,
        "DELETE FROM notifications WHERE id IN (SELECT n.id FROM notifications n WHERE n.id < ?"
        f" AND n.read_at IS NOT NULL AND {_FREE.format('n.member_id')} ORDER BY n.id LIMIT ?)",
        first_id_at(before),
    )


async def forget_audit(db: Database, before: int) -> int:
    """Forget lines of the audit log from before `before` (Unix ms)."""
    return await _stepwise(
        db,
        "DELETE FROM audit WHERE id IN (SELECT a.id FROM audit a WHERE a.id < ?"
        f" AND {_FREE.format('a.subject_id, a.actor_id')} ORDER BY a.id LIMIT ?)",
        first_id_at(before),
    )


async def _stepwise(db: Database, sql: str, before: int) -> int:
    total = 0
    while True:
        async with db.queue_transaction() as tx:
            changed = await tx.execute(sql, before, STEP)
        total += changed
        if changed < STEP:
            return total
