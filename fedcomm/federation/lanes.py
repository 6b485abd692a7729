"""Lanes: one for each queue and host, so that order per host is kept and a sick host delays only itself.

A queue's rows wait in their own table; the lane says when its host is due next and which process holds it. A lane is
held by lease: a process that died loses it when the lease runs out, or at once when the next process on
the same machine starts (INV-45, INV-46).
"""

from __future__ import annotations

import asyncio
import os
import secrets
import socket
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from fedcomm.store.database import Database, Transaction
from fedcomm.store.ids import now_ms

Queue = Literal["inbox", "delivery", "backfill"]

OWNER = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"
"""This process, as it signs its leases: machine, process id, and something that is never used again."""

WAKE = (
    "INSERT INTO lanes (queue, host_id, next_at) VALUES (?, ?, ?)"
    " ON CONFLICT (queue, host_id) DO UPDATE SET next_at = CASE WHEN lanes.failures = 0"
    " OR lanes.next_at IS NULL THEN excluded.next_at ELSE lanes.next_at END"
)
"""New work for a host: due at once, unless the host is failing and waits for its next try."""


@dataclass(frozen=True, slots=True)
class Lane:
    """A lane that this process holds. `failures`: consecutive ones; times in Unix milliseconds."""

    host_id: int
    failures: int
    failing_since: int | None


async def wake(tx: Transaction, queue: Queue, host_ids: Iterable[int]) -> None:
    """Note that there is work for these hosts."""
    now = now_ms()
    rows = [(queue, host_id, now) for host_id in sorted(set(host_ids))]
    if rows:
        await tx.many(WAKE, rows)


async def claim(db: Database, queue: Queue, *, limit: int, lease_ms: int) -> list[Lane]:
    """Take up to `limit` lanes that are due, the longest waiting first."""
    now = now_ms()
    async with db.queue_transaction() as tx:
        rows = await tx.all(
            "SELECT host_id, failures, failing_since FROM lanes"
            " WHERE queue = ? AND next_at <= ? AND lease_until < ? ORDER BY next_at LIMIT ?"
            + db.skip_locked,
            queue,
            now,
            now,
            limit,
        )
        if rows:
            await tx.many(
                "UPDATE lanes SET lease_owner = ?, lease_until = ? WHERE queue = ? AND host_id = ?",
                [(OWNER, now + lease_ms, queue, row["host_id"]) for row in rows],
            )
    return [Lane(row["host_id"], row["failures"], row["failing_since"]) for row in rows]


async def due(db: Database, queue: Queue) -> bool:
    """Whether a lane waits to be claimed: one cheap read, so that an idle hub writes nothing."""
    now = now_ms()
    found = await db.value(
        "SELECT 1 FROM lanes WHERE queue = ? AND next_at <= ? AND lease_until < ? LIMIT 1",
        queue,
        now,
        now,
    )
    return found is not None


async def renew(db: Database, queue: Queue, host_id: int, *, lease_ms: int) -> bool:
    """Hold on to a lane; False if another process has taken it over meanwhile."""
    async with db.queue_transaction() as tx:
        changed = await tx.execute(
            "UPDATE lanes SET lease_until = ? WHERE queue = ? AND host_id = ? AND lease_owner = ?",
            now_ms() + lease_ms,
            queue,
            host_id,
            OWNER,
        )
    return changed > 0


async def hold(tx: Transaction, queue: Queue, host_id: int) -> None:
    """Lock the lane's row until the transaction ends."""
    await tx.execute(
        "UPDATE lanes SET lease_until = lease_until WHERE queue = ? AND host_id = ?", queue, host_id
    )


async def release(
    tx: Transaction,
    queue: Queue,
    host_id: int,
    *,
    next_at: int | None,
    failures: int = 0,
    failing_since: int | None = None,
    error: str | None = None,
    succeeded_at: int | None = None,
) -> None:
    """Give a lane back: due again at `next_at` (Unix ms), or when there is new work for None."""
    await tx.execute(
        "UPDATE lanes SET next_at = ?, failures = ?, failing_since = ?, error = ?,"
        " succeeded_at = COALESCE(?, succeeded_at), lease_owner = NULL, lease_until = 0"
        " WHERE queue = ? AND host_id = ? AND lease_owner = ?",
        next_at,
        failures,
        failing_since,
        error,
        succeeded_at,
        queue,
        host_id,
        OWNER,
    )


async def take_over(db: Database) -> int:
    """Free the leases of processes of this machine that are not running any more; how many there were."""
    machine = OWNER.split(":")[0]
    freed = 0
    for row in await db.all(
        "SELECT DISTINCT lease_owner FROM lanes WHERE lease_owner IS NOT NULL AND lease_until > ?",
        now_ms(),
    ):
        name, pid, _ = str(row["lease_owner"]).split(":")
        if name == machine and not _running(int(pid)):
            async with db.queue_transaction() as tx:
                freed += await tx.execute(
                    "UPDATE lanes SET lease_owner = NULL, lease_until = 0 WHERE lease_owner = ?",
                    row["lease_owner"],
                )
    return freed


async def find_lost(db: Database) -> None:
    """Wake every lane that has rows waiting but is not due at any time: a safety net at start-up."""
    async with db.queue_transaction() as tx:
        for queue, table in (
            ("inbox", "inbox"),
            ("delivery", "deliveries"),
            ("backfill", "backfill"),
        ):
            await tx.execute(
                "UPDATE lanes SET next_at = ? WHERE queue = ? AND next_at IS NULL AND EXISTS"
                f" (SELECT 1 FROM {table} w WHERE w.host_id = lanes.host_id AND w.state = 'waiting')",
                now_ms(),
                queue,
            )


async def pause(awake: asyncio.Event, seconds: float) -> None:
    """Sleep until woken, `seconds` at most."""
    try:
        async with asyncio.timeout(seconds):
            await awake.wait()
    except TimeoutError:
        return


def idle() -> None:
    """Wakes nobody: what a worker calls until it is connected to another one."""


def _running(pid: int) -> bool:
    if pid == os.getpid():
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
