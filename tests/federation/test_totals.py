"""Totals of large collections are counted once a minute, those of small ones each time."""

from __future__ import annotations

import asyncio

from fedcomm.federation.totals import KEEP_S, LARGE, MOST, Totals


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Shelf:
    """Something to be counted."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.counted = 0

    async def count(self) -> int:
        self.counted += 1
        await asyncio.sleep(0)
        return self.size


async def test_a_small_collection_is_counted_for_each_answer() -> None:
    totals, shelf = Totals(Clock()), Shelf(3)
    assert await totals.of("a", shelf.count) == 3
    shelf.size = 2
    assert await totals.of("a", shelf.count) == 2
    assert shelf.counted == 2


async def test_a_large_one_is_counted_once_a_minute_for_each_reader() -> None:
    clock = Clock()
    totals, shelf = Totals(clock), Shelf(LARGE)
    assert await totals.of("a", shelf.count) == LARGE
    shelf.size += 1
    clock.now = KEEP_S - 1
    assert await totals.of("a", shelf.count) == LARGE
    assert await totals.of("somebody else", shelf.count) == LARGE + 1
    clock.now = KEEP_S
    assert await totals.of("a", shelf.count) == LARGE + 1
    assert shelf.counted == 3


async def test_many_who_ask_when_the_minute_is_over_let_it_be_counted_once() -> None:
    clock = Clock()
    totals, shelf = Totals(clock), Shelf(LARGE)
    await totals.of("a", shelf.count)
    clock.now = KEEP_S + 1
    shelf.size += 5
    found = await asyncio.gather(*(totals.of("a", shelf.count) for _ in range(20)))
    assert sorted(found) == [LARGE] * 19 + [LARGE + 5]
    assert shelf.counted == 2


async def test_what_became_small_is_counted_each_time_again() -> None:
    clock = Clock()
    totals, shelf = Totals(clock), Shelf(LARGE)
    await totals.of("a", shelf.count)
    clock.now, shelf.size = KEEP_S, 1
    assert await totals.of("a", shelf.count) == 1
    shelf.size = 0
    assert await totals.of("a", shelf.count) == 0


async def test_memory_is_bounded() -> None:
    totals, shelf = Totals(Clock()), Shelf(LARGE)
    for number in range(MOST + 10):
        await totals.of(number, shelf.count)
    assert len(totals._kept) == MOST
