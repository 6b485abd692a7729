"""Reports of what breaks the rules, from members and from other servers: read by administrators."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from fedcomm.hub import actors
from fedcomm.store.database import Reader, marks


@dataclass(frozen=True, slots=True)
class Report:
    """One report. `host` sent it (None: a member here did); times: Unix milliseconds."""

    id: int
    host: str | None
    reporter: str | None
    reason: str
    state: str
    created_at: int
    subjects: tuple[tuple[Literal["actor", "object"], int, str], ...]
    """What is reported: its kind, its id, and for an actor the handle."""


async def list_reports(db: Reader, *, before: int | None = None, limit: int = 50) -> list[Report]:
    """Reports, the newest first, before id `before`."""
    rows = await db.all(
        "SELECT r.id, h.name AS host, a.name AS reporter, r.reason, r.state, r.created_at"
        " FROM reports r LEFT JOIN hosts h ON h.id = r.host_id"
        " LEFT JOIN actors a ON a.id = r.reporter_id AND a.host_id IS NULL"
        " WHERE r.id < ? ORDER BY r.id DESC LIMIT ?",
        before if before is not None else (1 << 63) - 1,
        limit,
    )
    if not rows:
        return []
    ids = [row["id"] for row in rows]
    parts = await db.all(
        "SELECT report_id, actor_id, object_id FROM report_subjects"
        f" WHERE report_id IN ({marks(len(ids))}) ORDER BY report_id, position",
        *ids,
    )
    people = await actors.actors(db, sorted({p["actor_id"] for p in parts if p["actor_id"]}))
    subjects: dict[int, list[tuple[Literal["actor", "object"], int, str]]] = {}
    for part in parts:
        found = subjects.setdefault(part["report_id"], [])
        if part["object_id"] is not None:
            found.append(("object", part["object_id"], ""))
        elif part["actor_id"] in people:
            found.append(("actor", part["actor_id"], people[part["actor_id"]].handle))
    return [
        Report(
            row["id"],
            row["host"],
            row["reporter"],
            row["reason"],
            row["state"],
            row["created_at"],
            tuple(subjects.get(row["id"], ())),
        )
        for row in rows
    ]
