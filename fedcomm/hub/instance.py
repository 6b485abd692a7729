"""What is true of the hub as a whole: facts kept in `settings`, and the figures that NodeInfo
tells."""

from __future__ import annotations

from dataclasses import dataclass

from fedcomm.store.database import Reader, Transaction
from fedcomm.store.ids import now_ms

DAY_MS = 86_400_000


@dataclass(frozen=True, slots=True)
class Usage:
    """Figures of the hub: accounts, those seen in 30 and 180 days, topics and replies written here
    in public."""

    members: int
    active_month: int
    active_half_year: int
    topics: int
    replies: int


async def setting(db: Reader, key: str) -> str | None:
    """The value stored under `key`."""
    value = await db.value("SELECT value FROM settings WHERE key = ?", key)
    return None if value is None else str(value)


async def set_setting(tx: Transaction, key: str, value: str) -> None:
    """Store `value` under `key`."""
    await tx.execute(
        "INSERT INTO settings (key, value) VALUES (?, ?)"
        " ON CONFLICT (key) DO UPDATE SET value = excluded.value",
        key,
        value,
    )


async def usage(db: Reader) -> Usage:
    """The figures, counted now: cache them."""
    now = now_ms()

    async def count(sql: str, *args: int) -> int:
        return int(await db.value(sql, *args))

    members = "SELECT count(*) FROM members WHERE state = 'active'"
    written = (
        "SELECT count(*) FROM objects WHERE kind = '{}' AND host_id IS NULL AND deleted_at IS NULL"
        " AND withheld IS NULL AND visibility = 'public'"
    )
    return Usage(
        await count(members),
        await count(members + " AND seen_at > ?", now - 30 * DAY_MS),
        await count(members + " AND seen_at > ?", now - 180 * DAY_MS),
        await count(written.format("topic")),
        await count(written.format("reply")),
    )
