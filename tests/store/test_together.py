"""Reads that are asked for at the same moment answer as if each had been asked for alone, in fewer trips."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fedcomm.store import postgresql
from fedcomm.store.batches import Batches
from fedcomm.store.database import (
    Database,
    DatabaseError,
    DatabaseUnavailable,
    Reader,
    Transaction,
    at_length,
    marks,
    values,
)
from fedcomm.store.measured import measured
from fedcomm.store.postgresql import PostgreSQLDatabase
from fedcomm.store.together import Together

on_postgresql = pytest.mark.parametrize("engine", ["postgresql"], indirect=True)
"""On SQLite no statement is a trip."""

READS: tuple[tuple[str, int], ...] = (
    ("SELECT value FROM settings WHERE key = ?", 1),
    ("SELECT key, value, key FROM settings WHERE key IN (?, ?) ORDER BY key DESC", 2),
    ("SELECT key FROM settings WHERE key > ? ORDER BY key LIMIT 2", 1),
    (
        "SELECT (SELECT value FROM settings WHERE key = ?) AS one, (SELECT 7 WHERE ? = 'b-1') AS two",
        2,
    ),
    ("SELECT key FROM settings WHERE key = ? UNION ALL SELECT NULL WHERE ? = 'b-2'", 2),
    ("SELECT count(*) FROM settings WHERE key <= ?", 1),
)
KEYS = ("b-1", "b-2", "b-3", "none", "nul\0")

asked = st.lists(
    st.tuples(
        st.sampled_from(("all", "one", "value")),
        st.integers(0, len(READS) - 1),
        st.sampled_from(KEYS),
        st.sampled_from(KEYS),
    ),
    max_size=40,
)


@pytest.fixture
async def filled(db: Database) -> Database:
    async with db.transaction() as tx:
        rows = [(f"b-{number}", f"value {number}") for number in range(1, 4)]
        await tx.many("INSERT INTO settings (key, value) VALUES (?, ?)", rows)
    return db


async def _ask(db: Reader, how: str, number: int, *keys: str) -> Any:
    sql, count = READS[number]
    found = await getattr(db, how)(sql, *keys[:count])
    if how == "value" or found is None:
        return found
    rows = found if how == "all" else [found]
    return [(values(row), dict(row), len(row), list(row.keys())) for row in rows]


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(asked=asked)
async def test_whoever_asks_at_the_same_moment_hears_what_they_would_hear_alone(
    filled: Database, asked: list[tuple[str, int, str, str]]
) -> None:
    alone = [await _ask(filled, *each) for each in asked]
    with filled.at_hand():
        assert list(await asyncio.gather(*(_ask(filled, *each) for each in asked))) == alone
    async with filled.transaction() as tx:
        async with tx.together():
            assert list(await asyncio.gather(*(_ask(tx, *each) for each in asked))) == alone
        assert [await _ask(tx, *each) for each in asked] == alone


@on_postgresql
async def test_equal_statements_of_one_moment_are_one_trip(
    filled: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    trips: list[int] = []
    ask = Together._ask

    async def counted(self: Together, sql: str, asked: Any) -> None:
        trips.append(len(asked))
        await ask(self, sql, asked)

    monkeypatch.setattr(Together, "_ask", counted)
    sql = READS[0][0]
    with filled.at_hand():
        found = await asyncio.gather(*(filled.value(sql, f"b-{n % 4}") for n in range(12)))
    assert found == [None, "value 1", "value 2", "value 3"] * 3
    assert trips == [4]
    async with filled.transaction() as tx:
        async with tx.together():
            assert await asyncio.gather(*(tx.value(sql, f"b-{n}") for n in range(100))) == [
                *(None, "value 1", "value 2", "value 3"),
                *[None] * 96,
            ]
        assert await tx.value(sql, "b-1") == "value 1"
    assert trips == [4, 64, 36]


async def test_a_value_that_cannot_be_asked_for_takes_no_neighbour_with_it(
    filled: Database,
) -> None:
    sql = "SELECT consumer FROM cursors WHERE seq = ?"
    await filled.append("INSERT INTO cursors (consumer, seq) VALUES (?, ?)", ("b", 5))
    with filled.at_hand():
        found = await asyncio.gather(
            *(filled.value(sql, number) for number in (5, 1 << 70, 6)), return_exceptions=True
        )
    assert (found[0], found[2]) == ("b", None)
    assert isinstance(found[1], DatabaseError | OverflowError)


async def test_who_goes_away_while_they_wait_takes_nobody_with_them(filled: Database) -> None:
    sql = READS[0][0]
    with filled.at_hand():
        waiting = [asyncio.create_task(filled.value(sql, f"b-{n}")) for n in (1, 1, 2)]
    await asyncio.sleep(0)
    waiting[0].cancel()
    found = await asyncio.gather(*waiting, return_exceptions=True)
    assert found[1:] == ["value 1", "value 2"]
    with filled.at_hand():
        assert await filled.value(sql, "b-3") == "value 3"


async def test_what_changes_meanwhile_is_seen_by_who_asks_afterwards(filled: Database) -> None:
    """A trip that is under way is shared with nobody who asks later."""
    sql = READS[0][0]
    with filled.at_hand():
        for number in range(50):
            early = asyncio.create_task(filled.value(sql, "b-1"))
            await asyncio.sleep(0)
            await filled.append("UPDATE settings SET value = ? WHERE key = 'b-1'", (f"{number}",))
            assert await filled.value(sql, "b-1") == f"{number}"
            assert await early in (f"{number - 1}" if number else "value 1", f"{number}")


@on_postgresql
async def test_a_read_that_waits_for_a_lock_holds_up_no_other_read(filled: Database) -> None:
    async with filled.queue_transaction() as locker:
        # What VACUUM FULL of an erasure takes.
        await locker.execute("LOCK TABLE tombstones IN ACCESS EXCLUSIVE MODE")
        with filled.at_hand():
            stuck = asyncio.create_task(
                filled.value("SELECT 1 FROM tombstones WHERE uri_hash = ?", "x")
            )
            await asyncio.sleep(0.1)
            async with asyncio.timeout(10):
                assert await filled.value(READS[0][0], "b-1") == "value 1"
        assert not stuck.done()
    assert await stuck is None


@on_postgresql
async def test_only_the_statement_that_was_slow_is_logged_as_slow(
    filled: Database, caplog: pytest.LogCaptureFixture
) -> None:
    seen, quick = measured(filled, slow_ms=200), READS[0][0]
    with caplog.at_level(logging.WARNING, "fedcomm.database"), seen.at_hand():
        await asyncio.gather(seen.value("SELECT 1 FROM pg_sleep(?)", 0.5), seen.value(quick, "b-1"))
    logged = [getattr(record, "statement", "") for record in caplog.records]
    assert logged == ["SELECT 1 FROM pg_sleep(?)"]


@on_postgresql
async def test_rows_that_are_locked_together_are_those_that_fit_when_the_lock_is_had(
    filled: Database,
) -> None:
    sql = "SELECT 1 FROM settings WHERE key = ? AND value LIKE 'value%' FOR UPDATE"
    began = asyncio.Event()

    async def look() -> list[Any]:
        async with filled.queue_transaction() as tx, tx.together():
            began.set()
            return list(await asyncio.gather(tx.value(sql, "b-1"), tx.value(sql, "b-2")))

    async with filled.queue_transaction() as other:
        await other.execute("UPDATE settings SET value = 'gone' WHERE key = 'b-1'")
        task = asyncio.create_task(look())
        await began.wait()
        await asyncio.sleep(0.2)
        assert not task.done()
    assert await task == [None, 1]


@on_postgresql
async def test_forms_of_statements_are_not_remembered_without_end(
    filled: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgresql, "COMBINED_MOST", 20)
    assert isinstance(filled, PostgreSQLDatabase)
    with filled.at_hand():
        for size in range(1, 60):
            sql = f"SELECT key FROM settings WHERE key IN ({marks(size)})"
            asked = (["b-1"] * size, ["b-2"] * size)
            found = await asyncio.gather(*(filled.value(sql, *keys) for keys in asked))
            assert found == ["b-1", "b-2"]
    assert 0 < len(filled._combined._known) <= 20


async def _end_all(db: Database) -> None:
    await db.value(
        "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )


@on_postgresql
async def test_who_asks_while_the_database_goes_away_is_told(filled: Database) -> None:
    with filled.at_hand():
        asked = [
            asyncio.create_task(filled.value("SELECT 1 FROM pg_sleep(?)", 30 + n)) for n in range(3)
        ]
        await asyncio.sleep(0.2)
        with at_length():
            await _end_all(filled)
        async with asyncio.timeout(20):
            found = await asyncio.gather(*asked, return_exceptions=True)
        assert [type(one) for one in found] == [DatabaseUnavailable] * 3
        assert await filled.value(READS[0][0], "b-1") == "value 1"


@on_postgresql
async def test_a_batch_that_looks_while_the_database_goes_away_is_told(filled: Database) -> None:
    batches = Batches(filled)

    async def look(tx: Transaction) -> None:
        await tx.value("SELECT 1 FROM pg_sleep(?)", 30)

    async def work(tx: Transaction) -> int:
        return 1

    asked = [batches.ask(work, look=look) for _ in range(4)]
    await asyncio.sleep(0.2)
    await _end_all(filled)
    async with asyncio.timeout(20):
        found = await asyncio.gather(*asked, return_exceptions=True)
        assert [type(one) for one in found] == [DatabaseUnavailable] * 4
        assert await batches.run(work) == 1


@on_postgresql
async def test_who_waits_hears_when_the_database_is_closed_in_a_hurry(filled: Database) -> None:
    with filled.at_hand():
        asked = asyncio.create_task(filled.value("SELECT 1 FROM pg_sleep(?)", 20))
    await asyncio.sleep(0.2)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.3):
            await filled.close()
    done, _ = await asyncio.wait([asked], timeout=10)
    assert done
    assert asked.cancelled()
