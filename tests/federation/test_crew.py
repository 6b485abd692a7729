"""The workers of a queue: nobody gets hold of all of them (INV-45)."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any, cast

import pytest

from fedcomm.federation import crew, lanes
from fedcomm.federation.clock import ClockWatch
from fedcomm.federation.crew import Crew
from fedcomm.hub import actors
from fedcomm.store import ids
from fedcomm.store.database import Database, DatabaseUnavailable, Transaction

HANDS = 8


async def _due(db: Database, names: Sequence[str]) -> dict[int, str]:
    """Hosts with a lane that is due, in this order."""
    found: dict[int, str] = {}
    async with db.transaction() as tx:
        for name in names:
            host_id = await actors.ensure_host(tx, name)
            found[host_id] = name
            await tx.execute(lanes.WAKE, "inbox", host_id, len(found))
    return found


class Workers:
    """A crew whose lanes of slow hosts never end."""

    def __init__(self, db: Database, names: dict[int, str], *, lanes_per_hand: int = 1) -> None:
        self.names = names
        self.begun: list[str] = []
        self.crew = Crew(
            db,
            "inbox",
            self._serve,
            hands=lambda: HANDS,
            lease_ms=lambda: 60_000,
            lanes_per_hand=lanes_per_hand,
        )

    async def _serve(self, lane: lanes.Lane) -> None:
        self.begun.append(self.names[lane.host_id])
        if self.names[lane.host_id] != "honest.test":
            await asyncio.Event().wait()

    async def until_honest(self, seconds: float) -> bool:
        task = asyncio.create_task(self.crew.run())
        try:
            async with asyncio.timeout(seconds):
                while "honest.test" not in self.begun:
                    self.crew.wake()
                    await asyncio.sleep(0.01)
        except TimeoutError:
            return False
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        return True


async def test_inv_45_many_hosts_of_one_domain_have_a_part_of_the_hands(db: Database) -> None:
    names = [f"s{n}.evil.test" for n in range(40)]
    workers = Workers(db, await _due(db, [*names, "honest.test"]))
    assert await workers.until_honest(5)
    assert len(workers.begun) == 1 + HANDS // crew.FAMILY_PART


async def test_inv_45_slow_hosts_of_many_domains_hold_the_hands_for_a_moment(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [f"evil{n}.test" for n in range(20)]
    found = await _due(db, [*names, "honest.test"])
    monkeypatch.setattr(crew, "PATIENCE_S", 0.05)
    assert await Workers(db, found, lanes_per_hand=8).until_honest(5)


async def test_so_many_lanes_and_no_more_are_held_at_once(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = await _due(db, [f"evil{n}.test" for n in range(30)])
    monkeypatch.setattr(crew, "PATIENCE_S", 0.01)
    workers = Workers(db, found, lanes_per_hand=2)
    assert not await workers.until_honest(0.5)
    assert len(workers.begun) == 2 * HANDS


async def test_inv_46_forked_processes_sign_their_leases_with_names_of_their_own() -> None:
    """Web processes are forked after everything was imported."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(writer, lanes.owner().encode())
        os._exit(0)
    os.waitpid(child, 0)
    theirs = os.read(reader, 200).decode()
    assert theirs.split(":")[1] == str(child)
    assert theirs != lanes.owner() == lanes.owner()


def test_a_clock_that_is_set_is_noticed_and_one_that_runs_is_not() -> None:
    wall, elapsed = [1_000_000], [500]
    watch = ClockWatch(lambda: wall[0], lambda: elapsed[0])
    for step, told in ((0, 0), (3_600_000, 3_600_000), (0, 0), (-3_600_000, -3_600_000), (900, 0)):
        elapsed[0] += 60_000
        wall[0] += 60_000 + step
        assert watch.step() == told


@pytest.mark.parametrize("hours", [1, -1])
async def test_inv_46_a_clock_that_jumps_an_hour_neither_stops_a_lane_nor_gives_it_to_two(
    db: Database, monkeypatch: pytest.MonkeyPatch, hours: int
) -> None:
    found = await _due(db, ["slow.test"])
    first, other = Workers(db, found, lanes_per_hand=8), Workers(db, found, lanes_per_hand=8)
    tasks = [asyncio.create_task(first.crew.run())]
    await _until(lambda: first.begun == ["slow.test"])
    tasks.append(asyncio.create_task(other.crew.run()))
    await asyncio.sleep(0.05)
    real = time.time_ns
    monkeypatch.setattr(
        ids, "time", SimpleNamespace(time_ns=lambda: real() + hours * 3_600_000_000_000)
    )
    found |= await _due(db, ["honest.test"])
    first.names.update(found)
    other.names.update(found)
    async with db.transaction() as tx:
        # As it was due before the clock went back.
        await tx.execute(
            "UPDATE lanes SET next_at = ? WHERE lease_owner IS NULL", real() // 1_000_000
        )
    try:
        await _until(lambda: "honest.test" in first.begun + other.begun)
        assert (first.begun + other.begun).count("slow.test") == 1
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def test_a_lane_whose_work_broke_off_is_taken_up_again_before_its_lease_is_over(
    db: Database,
) -> None:
    await _due(db, ["honest.test"])
    tries = []

    async def serve(lane: lanes.Lane) -> None:
        tries.append(lane.host_id)
        if len(tries) == 1:
            raise DatabaseUnavailable("gone for a moment")

    broken = Crew(db, "inbox", serve, hands=lambda: HANDS, lease_ms=lambda: 60_000)
    task = asyncio.create_task(broken.run())
    await _until(lambda: len(tries) >= 2)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_a_lane_that_is_due_again_before_its_work_has_ended_is_not_lost(db: Database) -> None:
    """Between giving a lane back and ending there is a moment: a pool takes back the connection, say. Whoever wakes the
    crew then must not have the lane claimed for nobody until the lease is over."""
    await _due(db, ["honest.test"])
    tries = []

    async def serve(lane: lanes.Lane) -> None:
        tries.append(lane.host_id)
        async with db.queue_transaction() as tx:
            more = ids.now_ms() if len(tries) == 1 else None
            await lanes.release(tx, "inbox", lane.host_id, next_at=more)
        busy.wake()
        await asyncio.sleep(0.2)

    busy = Crew(db, "inbox", serve, hands=lambda: HANDS, lease_ms=lambda: 60_000)
    task = asyncio.create_task(busy.run())
    try:
        await _until(lambda: len(tries) >= 2, 5)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


class Interrupted:
    """A database on which something happens between the first commit and the moment when whoever asked for it knows."""

    def __init__(self, inner: Database, happens: Callable[[], Awaitable[None]]) -> None:
        self._inner = inner
        self._happens = happens
        self._first = True

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    @asynccontextmanager
    async def queue_transaction(self) -> AsyncIterator[Transaction]:
        async with self._inner.queue_transaction() as tx:
            yield tx
        if self._first:
            self._first = False
            await self._happens()


def _as_database(interrupted: Interrupted) -> Database:
    return cast(Database, interrupted)


async def test_a_claim_whose_commit_nobody_answered_is_not_leased_for_nobody(db: Database) -> None:
    await _due(db, ["honest.test"])
    begun = []

    async def cut_off() -> None:
        raise DatabaseUnavailable("the connection is gone, and the commit was there")

    async def serve(lane: lanes.Lane) -> None:
        begun.append(lane.host_id)
        await asyncio.Event().wait()

    busy = Crew(
        _as_database(Interrupted(db, cut_off)),
        *("inbox", serve),
        hands=lambda: HANDS,
        lease_ms=lambda: 3_600_000,
    )
    task = asyncio.create_task(busy.run())
    try:
        await _until(lambda: bool(begun))
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_who_ends_while_claiming_holds_nothing_afterwards(db: Database) -> None:
    await _due(db, ["honest.test"])
    claimed = asyncio.Event()

    async def hang() -> None:
        claimed.set()
        await asyncio.Event().wait()

    async def serve(lane: lanes.Lane) -> None:
        raise AssertionError("it never comes to that")

    ending = Crew(
        _as_database(Interrupted(db, hang)),
        *("inbox", serve),
        hands=lambda: HANDS,
        lease_ms=lambda: 3_600_000,
    )
    task = asyncio.create_task(ending.run())
    await claimed.wait()
    assert await db.value("SELECT count(*) FROM lanes WHERE lease_owner IS NOT NULL") == 1
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert await db.value("SELECT count(*) FROM lanes WHERE lease_owner IS NOT NULL") == 0


async def test_who_ends_gives_back_what_its_work_did_not(db: Database) -> None:
    await _due(db, ["a.test", "b.test"])
    workers = Workers(db, {})

    async def serve(_lane: lanes.Lane) -> None:
        task.cancel()
        await asyncio.Event().wait()

    workers.crew._serve = serve
    task = asyncio.create_task(workers.crew.run())
    await asyncio.gather(task, return_exceptions=True)
    assert await db.value("SELECT count(*) FROM lanes WHERE lease_owner IS NOT NULL") == 0


async def test_inv_46_what_was_before_with_the_same_process_number_is_gone(db: Database) -> None:
    """In a container the server is number 1 at each start."""
    found = await _due(db, ["killed.test", "own.test", "parents.test", "elsewhere.test"])
    machine, pid, _ = lanes.owner().split(":")
    signatures = {
        "killed.test": f"{machine}:{pid}:before",
        "own.test": lanes.owner(),
        "parents.test": f"{machine}:{os.getppid()}:now",
        "elsewhere.test": f"other-{machine}:{pid}:before",
    }
    async with db.transaction() as tx:
        for host_id, name in found.items():
            await tx.execute(
                "UPDATE lanes SET lease_owner = ?, lease_until = ? WHERE host_id = ?",
                *(signatures[name], ids.now_ms() + 3_600_000, host_id),
            )
    assert await lanes.take_over(db) == 1
    free = await db.all("SELECT host_id FROM lanes WHERE lease_owner IS NULL")
    assert [found[row["host_id"]] for row in free] == ["killed.test"]


async def test_inv_46_what_somebody_elsewhere_leased_and_left_is_taken_over_when_its_time_is_over(
    db: Database,
) -> None:
    """On another machine nobody knows whether a process still runs: its lease says how long it is waited for."""
    found = await _due(db, ["held.test", "left.test"])
    async with db.transaction() as tx:
        for host_id, name in found.items():
            until = ids.now_ms() + (60_000 if name == "held.test" else -1)
            await tx.execute(
                "UPDATE lanes SET lease_owner = 'elsewhere:7:a', lease_until = ? WHERE host_id = ?",
                *(until, host_id),
            )
    assert await lanes.take_over(db) == 0
    taken = await lanes.claim(db, "inbox", limit=5, lease_ms=60_000)
    assert [found[lane.host_id] for lane in taken] == ["left.test"]
    # Whoever comes back finds that it is theirs no more.
    assert await lanes.renew(db, "inbox", taken[0].host_id, lease_ms=60_000)
    async with db.queue_transaction() as tx:
        await tx.execute("UPDATE lanes SET lease_owner = 'elsewhere:7:a'")
    assert not await lanes.renew(db, "inbox", taken[0].host_id, lease_ms=60_000)


async def _until(condition: Callable[[], bool], seconds: float = 10.0) -> None:
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.01)
