"""How delivery and the inbox are doing, in figures and words, for the admin page and `queue status`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from fedcomm.store.database import Database
from fedcomm.store.ids import now_ms

State = Literal["ok", "waiting", "failing", "given up"]


@dataclass(frozen=True, slots=True)
class HostHealth:
    """One host. `waiting` deliveries, `oldest_ms_ago` age of the oldest, `failures` in a row, `next_try_in_ms` ms
    until the next attempt, `error` of the last one, `failed` deliveries that were given up."""

    host: str
    software: str | None
    policy: str
    state: State
    waiting: int
    failed: int
    oldest_ms_ago: int | None
    failures: int
    next_try_in_ms: int | None
    error: str | None


async def host_health(db: Database, *, limit: int = 200) -> list[HostHealth]:
    """The hosts with something waiting or given up, those that fail first."""
    rows = await db.all(
        "SELECT h.name, h.software, h.policy, h.dead_at, l.failures, l.next_at, l.error,"
        " d.waiting, d.failed, d.oldest, d.reason"
        " FROM (SELECT host_id, sum(CASE WHEN state = 'failed' THEN 0 ELSE 1 END) AS waiting,"
        "  sum(CASE WHEN state = 'failed' THEN 1 ELSE 0 END) AS failed,"
        "  min(CASE WHEN state = 'failed' THEN NULL ELSE created_at END) AS oldest,"
        "  max(CASE WHEN state = 'failed' THEN error ELSE NULL END) AS reason"
        "  FROM deliveries GROUP BY host_id) d"
        " JOIN hosts h ON h.id = d.host_id"
        " LEFT JOIN lanes l ON l.host_id = d.host_id AND l.queue = 'delivery'"
        " ORDER BY l.failures DESC, d.waiting DESC, h.name LIMIT ?",
        limit,
    )
    now = now_ms()
    found: list[HostHealth] = []
    for row in rows:
        waiting, failures = int(row["waiting"]), int(row["failures"] or 0)
        state: State = "waiting" if waiting else "given up"
        if failures:
            state = "failing"
        if row["dead_at"] is not None:
            state = "given up"
        found.append(
            HostHealth(
                row["name"],
                row["software"],
                row["policy"],
                state,
                waiting,
                int(row["failed"]),
                now - row["oldest"] if row["oldest"] is not None else None,
                failures,
                max(0, row["next_at"] - now) if row["next_at"] is not None and waiting else None,
                row["error"] or row["reason"],
            )
        )
    return found


async def totals(db: Database) -> dict[str, int]:
    """How much waits and how much was given up, in both directions, and how many hosts are known."""

    async def count(sql: str) -> int:
        return int(await db.value(sql))

    return {
        "inbox_waiting": await count("SELECT count(*) FROM inbox WHERE state = 'waiting'"),
        "inbox_failed": await count("SELECT count(*) FROM inbox WHERE state = 'failed'"),
        "deliveries_waiting": await count(
            "SELECT count(*) FROM deliveries WHERE state IN ('waiting', 'sending')"
        ),
        "deliveries_failed": await count("SELECT count(*) FROM deliveries WHERE state = 'failed'"),
        "outbox_failed": await count("SELECT count(*) FROM outbox_failures"),
        # Our own address has a row of its own where the canary sings; it is no other server.
        "hosts": await count(
            "SELECT count(*) - (SELECT count(*) FROM settings WHERE key = 'canary_host') FROM hosts"
        ),
    }


async def ages(db: Database) -> dict[str, int]:
    """For how long (ms) the oldest has waited, in both directions; 0 where nothing waits."""
    now = now_ms()
    inbox = await db.value("SELECT min(received_at) FROM inbox WHERE state = 'waiting'")
    deliveries = await db.value("SELECT min(created_at) FROM deliveries WHERE state = 'waiting'")
    return {
        "inbox": max(0, now - inbox) if inbox is not None else 0,
        "deliveries": max(0, now - deliveries) if deliveries is not None else 0,
    }


async def flush(db: Database, host: str | None) -> int:
    """Make everything that waits (for `host`, or for all) due now; the number of lanes."""
    async with db.queue_transaction() as tx:
        return await tx.execute(
            "UPDATE lanes SET next_at = ? WHERE next_at IS NOT NULL AND lease_until < ?"
            " AND host_id IN (SELECT id FROM hosts WHERE ? = '' OR name = ?)",
            now_ms(),
            now_ms(),
            host or "",
            host or "",
        )


async def retry(db: Database, host: str | None) -> int:
    """Put what was given up (for `host`, or for all) back into the queue; the number of deliveries."""
    now = now_ms()
    async with db.queue_transaction() as tx:
        hosts = [
            row["host_id"]
            for row in await tx.all(
                "SELECT DISTINCT d.host_id FROM deliveries d JOIN hosts h ON h.id = d.host_id"
                " WHERE d.state = 'failed' AND (? = '' OR h.name = ?)",
                host or "",
                host or "",
            )
        ]
        changed = 0
        for host_id in hosts:
            changed += await tx.execute(
                "UPDATE deliveries SET state = 'waiting', attempts = 0, created_at = ?"
                " WHERE host_id = ? AND state = 'failed'",
                now,
                host_id,
            )
            await tx.execute(
                "UPDATE lanes SET next_at = ?, failures = 0 WHERE host_id = ? AND queue = 'delivery'",
                now,
                host_id,
            )
    return changed
