"""The audit log: who decided what and why. It is only appended to; nothing here changes a line.

A line names people by their ids; its details are emptied when the one whom it concerns is erased. Lines go when the
organization's period for them is over (`[retention] audit_days`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from fedcomm.store.database import Reader, Transaction
from fedcomm.store.ids import new_id, now_ms


@dataclass(frozen=True, slots=True)
class Line:
    """One line. `actor_id` None: the command line or the hub itself. `at`: Unix milliseconds."""

    id: int
    actor_id: int | None
    event: str
    subject_id: int | None
    detail: Mapping[str, object]
    at: int


async def record(
    tx: Transaction,
    event: str,
    *,
    actor_id: int | None,
    subject_id: int | None = None,
    detail: Mapping[str, object] | None = None,
) -> int:
    """Append a line in the transaction of what it tells of; its id. `detail` holds no personal data."""
    line_id = new_id()
    await tx.execute(
        "INSERT INTO audit (id, actor_id, event, subject_id, detail, created_at)"
        " VALUES (?, ?, ?, ?, ?, ?)",
        line_id,
        actor_id,
        event,
        subject_id,
        json.dumps(detail, ensure_ascii=False, sort_keys=True) if detail else "",
        now_ms(),
    )
    return line_id


async def lines(
    db: Reader, *, event: str | None = None, before: int | None = None, limit: int = 50
) -> list[Line]:
    """The log, newest first, before id `before`; of one event, if it is named."""
    rows = await db.all(
        "SELECT id, actor_id, event, subject_id, detail, created_at FROM audit WHERE id < ?"
        + (" AND event = ?" if event is not None else "")
        + " ORDER BY id DESC LIMIT ?",
        before if before is not None else (1 << 63) - 1,
        *((event,) if event is not None else ()),
        limit,
    )
    return [
        Line(
            row["id"],
            row["actor_id"],
            row["event"],
            row["subject_id"],
            json.loads(row["detail"]) if row["detail"] else {},
            row["created_at"],
        )
        for row in rows
    ]
