"""The rounds that erasure goes on in: nothing holds up anything else, and an idle hub is asked little."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from itertools import pairwise
from typing import Any, cast

import pytest

from fedcomm import erasures
from fedcomm.hub import erasure, holds, threads
from fedcomm.site import Site
from fedcomm.store.database import Database, DatabaseUnavailable, Transaction
from fedcomm.store.ids import new_id
from tests.hub.test_erasure import finish_rows
from tests.hub.world import World


@pytest.fixture
async def world(site: Site) -> World:
    return World(site)


async def leaving(world: World, name: str) -> int:
    """A member who wants to be forgotten; the id of the case."""
    member = await world.member(name)
    case: int = await world.do(erasure.request, "member", member, requested_by=member, own=True)
    return case


async def state(world: World, case_id: int) -> str:
    found = await erasure.case(world.db, case_id)
    assert found is not None
    return found.state


async def test_inv_47_a_case_that_fails_does_not_hold_up_those_behind_it(
    world: World, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    await world.member("boss", role="administrator")
    first, second = await leaving(world, "anna"), await leaving(world, "berta")
    really: Callable[..., Any] = erasures.proceed

    async def proceed(site: Site, case: erasure.Case) -> erasure.Case:
        if case.id == first:
            raise RuntimeError("it cannot be done")
        done: erasure.Case = await really(site, case)
        return done

    monkeypatch.setattr(erasures, "proceed", proceed)
    rounds = erasures.Rounds(site)
    for _ in range(3):
        await rounds.round()
    assert (await state(world, first), await state(world, second)) == ("objects", "done")


async def test_inv_51_the_erasure_journal_does_not_wait_for_a_case_that_takes_its_time(
    world: World, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    anna = await world.member("anna", role="administrator")
    topic = await world.topic(anna, await world.group("garden", anna))
    begun = asyncio.Event()

    async def proceed(site: Site, case: erasure.Case) -> erasure.Case:
        begun.set()
        return await asyncio.get_running_loop().create_future()  # type: ignore[no-any-return]

    monkeypatch.setattr(erasures, "proceed", proceed)
    monkeypatch.setattr(erasures, "JOURNAL_EVERY_S", 0.01)
    await leaving(world, "berta")
    task = asyncio.create_task(erasures.run(site))
    try:
        await asyncio.wait_for(begun.wait(), 10)
        await world.do(threads.delete, anna, topic)
        async with asyncio.timeout(10):
            while topic not in [line.id for line in site.erasure_journal.lines()]:
                await asyncio.sleep(0.01)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_what_holds_keep_is_looked_through_only_when_one_has_ended(
    world: World, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    anna = await world.member("anna", role="administrator")
    topic = await world.topic(anna, await world.group("garden", anna))
    hold = await world.do(holds.place, "object", topic, reason="A court asks.", by=None)
    await world.do(threads.delete, anna, topic)
    looked: list[int] = []
    really: Callable[..., Any] = erasure.let_go

    async def let_go(db: Any) -> Any:
        looked.append(1)
        return await really(db)

    monkeypatch.setattr(erasure, "let_go", let_go)
    rounds = erasures.Rounds(site)
    for _ in range(3):
        await rounds.round()
    assert len(looked) == 1 and (await world.thing(topic)).withheld == "kept"
    await world.do(holds.release, hold, reason="The court has decided.", by=None)
    for _ in range(3):
        await rounds.round()
    assert len(looked) == 2
    gone = await world.thing(topic)
    assert gone.deleted_at is not None and gone.title == ""


async def test_who_takes_long_to_answer_is_asked_about_ever_more_seldom(
    world: World, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    await world.member("boss", role="administrator")
    case = await leaving(world, "anna")
    async with world.db.transaction() as tx:
        await tx.execute("UPDATE erasures SET state = 'tell' WHERE id = ?", case)
    looks: list[float] = []
    now = 0.0

    async def proceed(site: Site, case: erasure.Case) -> erasure.Case:
        looks.append(now)
        return case

    monkeypatch.setattr(erasures, "proceed", proceed)
    rounds = erasures.Rounds(site, clock=lambda: now)
    while now < 900:
        await rounds.round()
        now += erasures.EVERY_S
    waits = [later - before for before, later in pairwise(looks)]
    assert looks[0] == 0 and waits[0] <= 2 * erasures.EVERY_S
    assert waits == sorted(waits)
    assert erasures.LOOK_MOST_S <= waits[-1] <= erasures.LOOK_MOST_S + erasures.EVERY_S


class Brittle:
    """A database that goes away after so many transactions; `begun` counts them."""

    def __init__(self, inner: Database, most: int) -> None:
        self._inner = inner
        self._most = most
        self.begun = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Transaction]:
        self.begun += 1
        if self.begun > self._most:
            raise DatabaseUnavailable("gone")
        async with self._inner.transaction() as tx:
            yield tx


async def test_inv_47_the_end_of_an_erasure_takes_small_steps_and_keeps_what_servers_answered(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(erasure, "ROWS_STEP", 3)
    monkeypatch.setattr(erasure, "DELIVERIES_STEP", 2)
    await world.member("boss", role="administrator")
    anna = await world.member("anna")
    for n in range(3):
        await world.remote("rita", f"h{n}.test")
    hosts = [row["id"] for row in await world.db.all("SELECT id FROM hosts ORDER BY id")]
    for host in hosts:
        sql = (
            "INSERT INTO reach (subject_id, host_id, how, first_at, last_at) VALUES (?, ?, 1, 1, 1)"
        )
        await world.run(sql, anna, host)
    case_id = await world.do(erasure.request, "member", anna, requested_by=anna, own=True)
    case = await finish_rows(world, case_id)
    await world.do(erasure.scrubbed, case)
    for _ in range(4):
        activity = new_id()
        await world.run(
            "INSERT INTO activities (id, actor_id, type, created_at) VALUES (?, ?, 'Delete', 1)",
            *(activity, anna),
        )
        for host in hosts:
            await world.run(
                "INSERT INTO deliveries (id, activity_id, host_id, inbox, state, created_at, status)"
                " VALUES (?, ?, ?, ?, 'failed', 1, 503)",
                *(new_id(), activity, host, f"inbox {host}"),
            )

    broken = 0
    for _ in range(20):
        try:
            await erasure.finish(cast(Database, Brittle(world.db, 5)), case)
            break
        except DatabaseUnavailable:
            broken += 1
    assert broken >= 3, "those were no small steps"
    rows = await world.db.all("SELECT status FROM erasure_recipients WHERE case_id = ?", case_id)
    assert [row["status"] for row in rows] == [503] * len(hosts)
    for table in ("deliveries", "activities", "reach"):
        assert await world.db.value(f"SELECT count(*) FROM {table}") == 0
    assert await state(world, case_id) == "done"
