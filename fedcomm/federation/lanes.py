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
from collections import Counter
from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass
from typing import Literal

from fedcomm.store.database import Database, Transaction, marks
from fedcomm.store.ids import now_ms

Queue = Literal["inbox", "delivery", "backfill"]

_names: dict[int, str] = {}


def owner() -> str:
    """This process, as it signs its leases: machine, process id, and something that is never used again.

    By process id, because web processes are forked after this was imported: each has a name of its own.
    """
    pid = os.getpid()
    if pid not in _names:
        _names.clear()
        _names[pid] = f"{socket.gethostname()}:{pid}:{secrets.token_hex(4)}"
    return _names[pid]


WAKE = (
    "INSERT INTO lanes (queue, host_id, next_at) VALUES (?, ?, ?)"
    " ON CONFLICT (queue, host_id) DO UPDATE SET next_at = CASE WHEN lanes.failures = 0"
    " OR lanes.next_at IS NULL THEN excluded.next_at ELSE lanes.next_at END"
)
"""New work for a host: due at once, unless the host is failing and waits for its next try."""


@dataclass(frozen=True, slots=True)
class Lane:
    """A lane that this process holds. `failures`: consecutive ones; times in Unix milliseconds; `family`: the
    registrable domain of its host."""

    host_id: int
    failures: int
    failing_since: int | None
    family: str = ""


async def wake(tx: Transaction, queue: Queue, host_ids: Iterable[int]) -> None:
    """Note that there is work for these hosts."""
    now = now_ms()
    rows = [(queue, host_id, now) for host_id in sorted(set(host_ids))]
    if rows:
        await tx.many(WAKE, rows)


@dataclass(frozen=True, slots=True)
class Share:
    """What one registrable domain may have of the hands of a process: `most` lanes at once; `taken`: how many each
    has now. Whoever can make any number of host names would otherwise have them all (INV-45)."""

    most: int
    taken: Mapping[str, int]

    @property
    def full(self) -> list[str]:
        return sorted(family for family, count in self.taken.items() if count >= self.most)


def _but_for(share: Share | None) -> tuple[str, list[str]]:
    """The condition that leaves out the lanes of families that have their share."""
    full = share.full if share is not None else []
    if not full:
        return "", []
    return (
        f" AND host_id NOT IN (SELECT f.id FROM hosts f WHERE f.family IN ({marks(len(full))}))",
        full,
    )


async def claim(
    db: Database,
    queue: Queue,
    *,
    limit: int,
    lease_ms: int,
    share: Share | None = None,
    only_free: bool = False,
    in_hand: Set[int] = frozenset(),
) -> list[Lane]:
    """Take up to `limit` lanes that are due, the longest waiting first; with `only_free` none whose lease has run
    out, since that may be the clock's doing.

    Hosts that are `in_hand` here are not taken again: their lanes have just been given back, and whoever did so is
    about to end, or their lease ran out while this process was held up.
    """
    now = now_ms()
    but_for, full = _but_for(share)
    if only_free:
        but_for += " AND lease_owner IS NULL"
    with db.at_hand():
        async with db.queue_transaction() as tx:
            rows = await tx.all(
                "SELECT host_id, failures, failing_since,"
                " (SELECT COALESCE(h.family, h.name) FROM hosts h WHERE h.id = lanes.host_id) AS family"
                f" FROM lanes WHERE queue = ? AND next_at <= ? AND lease_until < ?{but_for}"
                " ORDER BY next_at LIMIT ?" + db.skip_locked,
                queue,
                now,
                now,
                *full,
                limit + len(in_hand),
            )
            taken = [
                Lane(row["host_id"], row["failures"], row["failing_since"], row["family"] or "")
                for row in rows
                if row["host_id"] not in in_hand
            ]
            if share is not None:
                taken = _within(taken, share)
            taken = taken[:limit]
            if taken:
                await tx.many(
                    "UPDATE lanes SET lease_owner = ?, lease_until = ? WHERE queue = ? AND host_id = ?",
                    [(owner(), now + lease_ms, queue, lane.host_id) for lane in taken],
                )
    return taken


def _within(lanes: list[Lane], share: Share) -> list[Lane]:
    """Those of the lanes with which no family has more than its share."""
    counts = Counter(share.taken)
    kept: list[Lane] = []
    for lane in lanes:
        if counts[lane.family] < share.most:
            counts[lane.family] += 1
            kept.append(lane)
    return kept


async def due(db: Database, queue: Queue, share: Share | None = None) -> bool:
    """Whether a lane waits to be claimed: one cheap read, so that an idle hub writes nothing."""
    now = now_ms()
    but_for, full = _but_for(share)
    with db.at_hand():
        found = await db.value(
            f"SELECT 1 FROM lanes WHERE queue = ? AND next_at <= ? AND lease_until < ?{but_for} LIMIT 1",
            queue,
            now,
            now,
            *full,
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
            owner(),
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
        owner(),
    )


async def after_step(db: Database, queue: Queue, *, lease_ms: int) -> None:
    """The clock was set: what is held by this process stays held, and what was due is due.

    A lane that waits for its next try keeps its time: it is asked an hour early or late, which does no harm.
    """
    now = now_ms()
    async with db.queue_transaction() as tx:
        await tx.execute(
            "UPDATE lanes SET lease_until = ? WHERE queue = ? AND lease_owner = ?",
            *(now + lease_ms, queue, owner()),
        )
        await tx.execute(
            "UPDATE lanes SET next_at = ? WHERE queue = ? AND next_at > ? AND failures = 0",
            *(now, queue, now),
        )


async def drop(db: Database, queue: Queue, in_hand: Set[int] = frozenset()) -> None:
    """Give up every lane that is leased to this process and on which nobody works: all but those `in_hand`."""
    keep = sorted(in_hand)
    async with db.queue_transaction() as tx:
        await tx.execute(
            "UPDATE lanes SET lease_owner = NULL, lease_until = 0"
            f" WHERE queue = ? AND lease_owner = ? AND host_id NOT IN ({marks(len(keep))})",
            queue,
            owner(),
            *(keep or [0]),
        )


async def take_over(db: Database) -> int:
    """Free the leases of processes of this machine that are not running any more; how many there were."""
    freed = 0
    for row in await db.all(
        "SELECT DISTINCT lease_owner FROM lanes WHERE lease_owner IS NOT NULL AND lease_until > ?",
        now_ms(),
    ):
        if _is_gone(str(row["lease_owner"])):
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
                f" (SELECT 1 FROM {table} w WHERE w.host_id = lanes.host_id"
                "  AND w.state IN ('waiting', 'sending'))",
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


def _is_gone(signature: str) -> bool:
    """Whether the process that signs its leases so was on this machine and is not running any more."""
    machine, pid, _ = signature.rsplit(":", 2)
    own_machine, own_pid, _ = owner().rsplit(":", 2)
    if machine != own_machine:
        return False
    if pid == own_pid:
        # In a container every start has the same number: whoever signed otherwise was here before.
        return signature != owner()
    return not _running(int(pid))


def _running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
