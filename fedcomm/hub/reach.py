"""The ledger of reach, as the hub reads it: which servers hold a copy of an object or an actor."""

from __future__ import annotations

from fedcomm.store.database import Reader


async def hosts_reached(db: Reader, subject_id: int, *, limit: int = 500) -> list[str]:
    """Names of the hosts that received or fetched the object or actor, in order."""
    rows = await db.all(
        "SELECT h.name FROM reach r JOIN hosts h ON h.id = r.host_id WHERE r.subject_id = ?"
        " ORDER BY h.name LIMIT ?",
        subject_id,
        limit,
    )
    return [row["name"] for row in rows]
