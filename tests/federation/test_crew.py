"""The workers of a queue: nobody gets hold of all of them (INV-45)."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from fedcomm.federation import crew, lanes
from fedcomm.federation.crew import Crew
from fedcomm.hub import actors
from fedcomm.store.database import Database

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
