"""A transaction that remembers what it has read, until a table is written that the answer came from.

One activity asks for the same actor, group and thread again and again, each time from a function that cannot know who
asked before; and the next activity in the same transaction asks for the same group. Nobody else can change a hub's rows
while a transaction of the hub is open, so an answer stands until the transaction itself writes.

What nobody needs before the end (`Transaction.later`, `Transaction.count`) it writes at the end, all rows of a
statement at once. Of a row that is found by its keys alone it is known who may ask for it, so answers about others
stand.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import lru_cache
from typing import Any, Final, Literal

from fedcomm.store.database import Database, Row, SearchSQL, Transaction, Value
from fedcomm.store.pseudonyms import Pseudonyms

ROWS_MOST: Final = 5_000
"""So many rows are remembered, an empty answer as one; then all are forgotten."""

LATER_MOST: Final = 500
"""Rows that wait to be written; then they are."""

_WRITES: Final = re.compile(r"(?:INSERT(?: OR REPLACE)? INTO|UPDATE) ([a-z_]+)\b")
"""A write whose effect stays in one table. A DELETE may take rows of others with it."""

_WORD: Final = re.compile(r"(?<![.\w'])([a-z_]+)(?![.\w'])")
"""Whatever may be the name of a table: neither a column with its alias nor the alias before it."""


_BY_KEY: Final[set[str]] = set()


def by_key(sql: str) -> str:
    """Say of a statement that of the tables that are written with keys (`Transaction.later`) it finds rows by its
    parameters alone, and that nobody takes a number from it that is counted (`Transaction.count`)."""
    _BY_KEY.add(sql)
    return sql


class Remembering:
    """A transaction around another one."""

    def __init__(self, inner: Transaction) -> None:
        self._inner = inner
        # Each with the number of writes that there had been.
        self._answers: dict[tuple[str, str, tuple[Value, ...]], tuple[int, Any]] = {}
        self._rows = 0
        self._writes = 0
        # The last write of each table: of all, of those that named no keys, and of each key.
        self._written: dict[str, int] = {}
        self._written_at_large: dict[str, int] = {}
        self._written_keys: dict[str, dict[Value, int]] = {}
        self._drop_later()
        self.dialect: Literal["sqlite", "postgresql"] = inner.dialect
        self.search: SearchSQL = inner.search
        self.pseudonyms: Pseudonyms = inner.pseudonyms
        self.row: str = inner.row
        self.for_update: str = inner.for_update

    async def all(self, sql: str, *args: Value) -> Sequence[Row]:
        key = ("all", sql, args)
        if (known := self._known(key)) is not None:
            found: Sequence[Row] = known[1]
            return found
        await self._write_what(sql, args)
        rows = await self._inner.all(sql, *args)
        self._note(key, rows, len(rows))
        return rows

    async def one(self, sql: str, *args: Value) -> Row | None:
        key = ("one", sql, args)
        if (known := self._known(key)) is not None:
            found: Row | None = known[1]
            return found
        await self._write_what(sql, args)
        row = await self._inner.one(sql, *args)
        self._note(key, row, 1)
        return row

    async def value(self, sql: str, *args: Value) -> Any:
        key = ("value", sql, args)
        if (known := self._known(key)) is not None:
            return known[1]
        await self._write_what(sql, args)
        value = await self._inner.value(sql, *args)
        self._note(key, value, 1)
        return value

    def remember(self, row: Sequence[Any], sql: str, *args: Value) -> None:
        self._note(("one", sql, args), row, 1)

    def together(self) -> AbstractAsyncContextManager[None]:
        return self._inner.together()

    async def execute(self, sql: str, *args: Value, keys: Sequence[Value] | None = None) -> int:
        await self._write_what(sql, args)
        self._forget_what(sql, keys)
        return await self._inner.execute(sql, *args)

    async def many(self, sql: str, rows: Iterable[Sequence[Value]]) -> None:
        await self._write_what(sql, ())
        self._forget_what(sql)
        await self._inner.many(sql, rows)

    async def later(
        self, sql: str, *args: Value, keys: Sequence[Value] | None = None, first: bool = False
    ) -> None:
        table = written(sql)
        if table is None:
            await self.execute(sql, *args)
            return
        if table in self._later_tables and sql not in self._later:
            # Statements of one table are made in their order.
            await self.write()
        self._forget_what(sql, keys)
        self._later.setdefault(sql, []).append(args)
        self._later_tables.add(table)
        if keys is None:
            self._later_at_large.add(table)
        else:
            self._later_keys.setdefault(table, set()).update(keys)
            self._later_found.add(sql)
        if first:
            self._later_new.add(sql)
        self._later_rows += 1
        if self._later_rows >= LATER_MOST:
            await self.write()

    async def count(self, sql: str, key: int | str, by: int, latest: Value = None) -> None:
        table = written(sql)
        assert table is not None
        self._forget_what(sql, ())
        self._later_tables.add(table)
        so_far, before = self._later_counts.get((sql, key), (0, None))
        self._later_counts[sql, key] = (so_far + by, latest if latest is not None else before)

    async def write(self) -> None:
        """Make what was to be made later."""
        later, new, counts = self._later, self._later_new, self._later_counts
        found = self._later_found
        self._drop_later()
        # What is new comes first, since the others may point to it; then what others look for.
        for sql in sorted(later, key=lambda sql: (sql not in new, sql not in found)):
            await self._inner.many(sql, later[sql])
        added: dict[str, list[tuple[Value, ...]]] = {}
        for (sql, key), (by, latest) in counts.items():
            added.setdefault(sql, []).append((by, by, latest, key))
        for sql, rows in added.items():
            await self._inner.many(sql, rows)

    @asynccontextmanager
    async def savepoint(self) -> AsyncIterator[None]:
        await self.write()
        try:
            async with self._inner.savepoint():
                yield
                await self.write()
        except BaseException:
            # What was read since may have been what is undone now.
            self._answers.clear()
            self._drop_later()
            raise

    def _drop_later(self) -> None:
        self._later: dict[str, list[tuple[Value, ...]]] = {}
        self._later_counts: dict[tuple[str, int | str], tuple[int, Value]] = {}
        self._later_new: set[str] = set()
        self._later_found: set[str] = set()
        self._later_tables: set[str] = set()
        self._later_at_large: set[str] = set()
        self._later_keys: dict[str, set[Value]] = {}
        self._later_rows = 0

    async def _write_what(self, sql: str, args: Sequence[Value]) -> None:
        """Before `sql`: what was to be made later, if `sql` reads it, changes it or may do either."""
        if not self._later_tables:
            return
        if not sql.startswith("SELECT "):
            # What it writes may point to what is new.
            if (
                self._later_new
                or written(sql) is None
                or not self._later_tables.isdisjoint(words(sql))
            ):
                await self.write()
            return
        named = words(sql)
        if sql not in _BY_KEY:
            asked = not self._later_tables.isdisjoint(named)
        else:
            asked = not self._later_at_large.isdisjoint(named) or any(
                table in named and not keys.isdisjoint(args)
                for table, keys in self._later_keys.items()
            )
        if asked:
            await self.write()

    def _known(self, key: tuple[str, str, tuple[Value, ...]]) -> tuple[int, Any] | None:
        """The answer of before, unless something was written since that it may have come from."""
        answer = self._answers.get(key)
        if answer is None:
            return None
        at = answer[0]
        if at != self._writes:
            _, sql, args = key
            keyed = sql in _BY_KEY
            named = words(sql)
            for table, written_at in (self._written_at_large if keyed else self._written).items():
                if written_at > at and table in named:
                    del self._answers[key]
                    return None
            if keyed and any(
                table in named and any(written_at.get(one, 0) > at for one in args)
                for table, written_at in self._written_keys.items()
            ):
                del self._answers[key]
                return None
        return answer

    def _note(self, key: tuple[str, str, tuple[Value, ...]], answer: Any, rows: int) -> None:
        sql = key[1]
        if not sql.startswith("SELECT "):
            self._forget_what(sql)
            return
        self._rows += max(rows, 1)
        if self._rows > ROWS_MOST:
            self._answers.clear()
            self._rows = rows
        self._answers[key] = (self._writes, answer)

    def _forget_what(self, sql: str, keys: Sequence[Value] | None = None) -> None:
        """`sql` writes: what was read from its table is not known any more; with `keys`, what was asked by them."""
        table = written(sql)
        if table is None:
            self._answers.clear()
            return
        self._writes += 1
        self._written[table] = self._writes
        if keys is None:
            self._written_at_large[table] = self._writes
        else:
            self._written_keys.setdefault(table, {}).update(dict.fromkeys(keys, self._writes))


@asynccontextmanager
async def remembering(db: Database) -> AsyncIterator[Remembering]:
    """A transaction of the hub that remembers what it reads, and writes at its end what may be written later."""
    async with db.transaction() as inner:
        tx = Remembering(inner)
        yield tx
        with db.at_hand():
            await tx.write()


@lru_cache(maxsize=2048)
def written(sql: str) -> str | None:
    """The one table that the statement changes; None where it may be several."""
    found = _WRITES.match(sql)
    return found.group(1) if found is not None else None


@lru_cache(maxsize=2048)
def words(sql: str) -> frozenset[str]:
    """Every word of the statement that may be a table's name."""
    return frozenset(_WORD.findall(sql))
