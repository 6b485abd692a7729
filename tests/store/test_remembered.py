"""A transaction that remembers what it has read answers as one that reads again."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fedcomm.store.database import Conflict, Database
from fedcomm.store.remembered import Remembering, by_key, remembering, words, written

KEYS = ("b-1", "b-2")
READS = (
    "SELECT value FROM settings WHERE key = ?",
    "SELECT count(*) FROM settings WHERE key = ? AND value = 'x'",
    "SELECT c.seq FROM cursors c, settings s WHERE s.key = ? AND c.consumer = s.key",
)
WRITES = (
    "INSERT INTO settings (key, value) VALUES (?, 'x') ON CONFLICT (key) DO UPDATE SET value = 'y'",
    "UPDATE settings SET value = 'x' WHERE key = ?",
    "DELETE FROM settings WHERE key = ?",
    "INSERT INTO cursors (consumer, seq) VALUES (?, 1)"
    " ON CONFLICT (consumer) DO UPDATE SET seq = cursors.seq + 1",
    "INSERT INTO settings (key, value) VALUES (?, 'z')"
    " ON CONFLICT (key) DO UPDATE SET value = 'z' RETURNING value",
)

BY_KEY = by_key("SELECT s.value, s.key FROM settings s WHERE s.key = ?")
KEYED = (
    "INSERT INTO settings (key, value) VALUES (?, ?)"
    " ON CONFLICT (key) DO UPDATE SET value = excluded.value"
)
COUNT = (
    "UPDATE cursors SET seq = CASE WHEN seq + ? < 0 THEN 0 ELSE seq + ? END"
    " WHERE COALESCE(?, '') <> 'never' AND consumer = ?"
)

steps = st.lists(
    st.tuples(
        st.sampled_from(
            ("read", "by key", "write", "undone", "later", "later undone", "keyed", "count")
        ),
        st.integers(0, len(WRITES) - 1),
        st.sampled_from(KEYS),
    ),
    max_size=30,
)


class Undone(Exception):
    pass


async def _play(tx: Any, played: list[tuple[str, int, str]]) -> list[Any]:
    """What the reads of a play answer."""
    heard = []
    for what, number, key in played:
        if what == "read":
            sql = READS[number % len(READS)]
            heard += [
                await tx.value(sql, key),
                [tuple(row) for row in await tx.all(sql, key)],
                None if (row := await tx.one(sql, key)) is None else tuple(row),
            ]
            continue
        if what == "by key":
            heard.append(await tx.value(BY_KEY, key))
            continue
        if what == "keyed":
            await tx.later(KEYED, key, f"k{number}", keys=(key,), first=True)
            continue
        if what == "count":
            await tx.count(COUNT, key, number, str(number))
            continue
        sql = WRITES[number]
        if what == "later" and "RETURNING" not in sql:
            await tx.later(sql, key)
            continue
        try:
            async with tx.savepoint():
                if what == "later undone" and "RETURNING" not in sql:
                    await tx.later(sql, key)
                    raise Undone
                await (tx.value if "RETURNING" in sql else tx.execute)(sql, key)
                heard.append(await tx.value(READS[0], key))
                if what == "undone":
                    raise Undone
        except Undone:
            pass
    return heard


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(played=steps)
async def test_it_answers_as_if_it_had_read_again(
    db: Database, played: list[tuple[str, int, str]]
) -> None:
    heard = []
    for remembers in (False, True):
        try:
            async with remembering(db) if remembers else db.transaction() as tx:
                heard.append(await _play(tx, played))
                if isinstance(tx, Remembering):
                    await tx.write()
                for table in ("settings", "cursors"):
                    rows = await tx.all(f"SELECT * FROM {table} ORDER BY 1")
                    heard[-1].append([tuple(row) for row in rows])
                raise Undone
        except Undone:
            pass
    assert heard[0] == heard[1]


async def test_what_may_be_written_later_is_there_at_the_end_in_one_trip(db: Database) -> None:
    trips: list[tuple[str, int]] = []
    insert = "INSERT INTO settings (key, value) VALUES (?, ?)"

    class Counting(Remembering):
        async def write(self) -> None:
            trips.extend((sql, len(rows)) for sql, rows in self._later.items())
            await super().write()

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("fedcomm.store.remembered.Remembering", Counting)
        async with remembering(db) as tx:
            for number in range(3):
                await tx.later(insert, f"b-{number}", "x")
                assert await tx.value("SELECT seq FROM cursors WHERE consumer = 'none'") is None
    assert trips == [(insert, 3)]
    assert await db.value("SELECT count(*) FROM settings WHERE key LIKE 'b-%'") == 3

    async def twice() -> None:
        async with remembering(db) as tx:
            await tx.later(insert, "b-4", "x")
            await tx.later(insert, "b-1", "twice")

    with pytest.raises(Conflict):
        await twice()
    assert await db.value("SELECT count(*) FROM settings WHERE key LIKE 'b-%'") == 3


async def test_what_was_read_is_read_once(db: Database) -> None:
    asked = []

    class Asked:
        def __init__(self, inner: Any) -> None:
            self._inner = inner

        def __getattr__(self, name: str) -> Any:
            return getattr(self._inner, name)

        async def value(self, sql: str, *args: Any) -> Any:
            asked.append(sql)
            return await self._inner.value(sql, *args)

    async with db.transaction() as inner:
        tx = Remembering(Asked(inner))  # type: ignore[arg-type]
        for key in ("b-1", "b-2"):
            assert await tx.value(BY_KEY, key) is None
        await tx.later(KEYED, "b-1", "new", keys=("b-1",), first=True)
        assert await tx.value(BY_KEY, "b-2") is None
        assert len(asked) == 2, "a row with another key was written"
        assert await tx.value(BY_KEY, "b-1") == "new"
        assert len(asked) == 3

    asked.clear()
    async with db.transaction() as inner:
        tx = Remembering(Asked(inner))  # type: ignore[arg-type]
        await tx.execute("DELETE FROM settings WHERE key = ?", "b-1")
        for _ in range(3):
            await tx.value(READS[0], "b-1")
        await tx.execute(WRITES[3], "b-1")
        await tx.value(READS[0], "b-1")
        assert len(asked) == 1, "another table was written"
        await tx.execute(WRITES[0], "b-1")
        assert await tx.value(READS[0], "b-1") == "x"
        assert len(asked) == 2


async def test_every_table_is_known_by_its_name(db: Database) -> None:
    """In a statement that reads it and in one that writes it."""
    tables = await db.all(
        "SELECT name FROM sqlite_master WHERE type = 'table'"
        if db.dialect == "sqlite"
        else "SELECT table_name AS name FROM information_schema.tables WHERE table_schema = current_schema()"
    )
    names = [str(row["name"]) for row in tables if not str(row["name"]).startswith("sqlite_")]
    assert len(names) > 40
    for name in names:
        assert re.fullmatch("[a-z_]+", name) or name.startswith("search_index"), name
        for sql in (
            f"SELECT 1 FROM {name} WHERE id = ?",
            f"SELECT x.id FROM groups g, {name} x WHERE x.id = g.id",
            f"SELECT 1 WHERE EXISTS (SELECT 1 FROM {name})",
        ):
            assert name in words(sql)
        assert written(f"INSERT INTO {name} (id) VALUES (?)") == name
        assert written(f"UPDATE {name} SET id = ?") == name
        assert written(f"DELETE FROM {name}") is None
