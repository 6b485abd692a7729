"""Changes that share a transaction: each stands or falls by itself, in order, and durable before it is answered."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import Any

import pytest

from fedcomm.store.batches import MOST, Batches
from fedcomm.store.database import Conflict, Database, DatabaseUnavailable, Transaction

INSERT = "INSERT INTO settings (key, value) VALUES (?, ?)"


def _insert(key: str) -> Any:
    async def work(tx: Transaction) -> str:
        await tx.execute(INSERT, key, "x")
        return key

    return work


async def _keys(db: Database) -> list[str]:
    rows = await db.all("SELECT key FROM settings WHERE key LIKE 'b-%' ORDER BY key")
    return [row["key"] for row in rows]


class Counting:
    """A database that counts its transactions, and may fail at their end."""

    def __init__(self, inner: Database, fail: list[Exception] | None = None) -> None:
        self._inner = inner
        self._fail = fail or []
        self.transactions = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    @asynccontextmanager
    async def transaction(self):  # type: ignore[no-untyped-def]
        self.transactions += 1
        async with self._inner.transaction() as tx:
            yield tx
            if self._fail:
                raise self._fail.pop()


async def test_changes_of_one_moment_share_a_transaction(db: Database) -> None:
    counting = Counting(db)
    batches = Batches(counting)  # type: ignore[arg-type]
    keys = [f"b-{number:03}" for number in range(2 * MOST)]
    assert await asyncio.gather(*(batches.run(_insert(key)) for key in keys)) == keys
    assert await _keys(db) == keys
    assert counting.transactions == 2


@pytest.mark.parametrize("at_hand", [False, True])
async def test_a_change_that_fails_takes_no_neighbour_with_it(db: Database, at_hand: bool) -> None:
    counting = Counting(db)
    batches = Batches(counting)  # type: ignore[arg-type]

    async def half(tx: Transaction) -> None:
        await tx.execute(INSERT, "b-half", "x")
        assert await tx.value("SELECT value FROM settings WHERE key = 'b-half'") == "x"
        raise ValueError("no")

    async def after(tx: Transaction) -> object:
        return await tx.value("SELECT value FROM settings WHERE key = 'b-half'")

    works = (_insert("b-1"), half, after, _insert("b-1"), _insert("b-2"))
    first, second, third, fourth, fifth = await asyncio.gather(
        *(batches.run(work, at_hand=at_hand) for work in works), return_exceptions=True
    )
    assert (first, third, fifth) == ("b-1", None, "b-2")
    assert isinstance(second, ValueError)
    assert isinstance(fourth, Conflict)
    assert await _keys(db) == ["b-1", "b-2"]
    # All in one, undone, and once more with savepoints.
    assert counting.transactions == 2
    # Whoever goes on to send what fails costs its neighbours one transaction, as everybody does.
    answers = await asyncio.gather(
        *(batches.run(work, at_hand=at_hand) for work in (_insert("b-3"), half, _insert("b-4"))),
        return_exceptions=True,
    )
    assert (answers[0], type(answers[1]), answers[2]) == ("b-3", ValueError, "b-4")
    assert counting.transactions == 3


async def test_a_lone_change_that_fails_leaves_nothing_and_is_not_tried_again(db: Database) -> None:
    counting = Counting(db)
    batches = Batches(counting)  # type: ignore[arg-type]
    tried = 0

    async def half(tx: Transaction) -> None:
        nonlocal tried
        tried += 1
        await tx.execute(INSERT, "b-half", "x")
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        await batches.run(half)
    assert (await _keys(db), tried, counting.transactions) == ([], 1, 1)


async def test_what_is_asked_for_while_more_is_prepared_waits_for_it_a_moment(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fedcomm.store.batches.GATHER_S", 60.0)
    counting = Counting(db)
    batches = Batches(counting)  # type: ignore[arg-type]
    with batches.preparing():
        first = batches.ask(_insert("b-1"))
        await asyncio.sleep(0.01)
        with batches.preparing():
            second = batches.ask(_insert("b-2"))
        await asyncio.sleep(0.01)
        assert counting.transactions == 0
    assert await asyncio.gather(first, second) == ["b-1", "b-2"]
    assert counting.transactions == 1
    with batches.preparing():
        # As many as one transaction takes wait for nobody.
        keys = [f"b-x{number}" for number in range(MOST)]
        assert await asyncio.gather(*(batches.ask(_insert(key)) for key in keys)) == keys
    assert counting.transactions == 2


async def test_when_the_end_of_the_transaction_fails_each_is_made_alone(db: Database) -> None:
    ends = ["the first one alone", "with savepoints as well", "at its end"]
    counting = Counting(db, [ValueError(end) for end in ends])
    batches = Batches(counting)  # type: ignore[arg-type]
    answers = await asyncio.gather(
        *(batches.run(_insert(key)) for key in ("b-1", "b-2", "b-3")), return_exceptions=True
    )
    assert isinstance(answers[0], ValueError)
    assert answers[1:] == ["b-2", "b-3"]
    assert await _keys(db) == ["b-2", "b-3"]


async def test_who_fails_at_the_end_of_the_transaction_costs_neighbours_little_the_next_time(
    db: Database,
) -> None:
    counting = Counting(db)
    batches = Batches(counting)  # type: ignore[arg-type]

    async def fails_late(tx: Transaction) -> None:
        await tx.later(INSERT, "b-1", "x")

    async def wave(number: int) -> list[object]:
        works = [_insert(f"b-{number}-{n}") for n in range(MOST - 1)]
        return await asyncio.gather(
            *(batches.run(work) for work in (*works, fails_late)), return_exceptions=True
        )

    await batches.run(_insert("b-1"))
    for number in range(2):
        before = counting.transactions
        *others, late = await wave(number)
        assert others == [f"b-{number}-{n}" for n in range(MOST - 1)]
        assert isinstance(late, Conflict)
        # The first time nobody knew whose fault it was.
        assert counting.transactions == before + (2 if number == 0 else 1)


async def test_a_database_that_is_away_is_said_to_all_and_nothing_is_written(db: Database) -> None:
    batches = Batches(Counting(db, [DatabaseUnavailable("gone")]))  # type: ignore[arg-type]
    answers = await asyncio.gather(
        *(batches.run(_insert(key)) for key in ("b-1", "b-2")), return_exceptions=True
    )
    assert [type(answer) for answer in answers] == [DatabaseUnavailable] * 2
    assert await _keys(db) == []
    assert await batches.run(_insert("b-3")) == "b-3"


async def test_who_is_cancelled_holds_up_nobody(db: Database) -> None:
    batches = Batches(db)
    async with db.transaction():
        # The first waits for the writer; whoever goes meanwhile leaves nothing behind.
        tasks = [asyncio.create_task(batches.run(_insert(f"b-{n}"))) for n in range(3)]
        await asyncio.sleep(0)
        tasks[1].cancel()
        await asyncio.sleep(0)
    await asyncio.gather(*tasks, return_exceptions=True)
    await batches.close()
    assert await _keys(db) == ["b-0", "b-2"]
