"""A transaction that remembers what it has read, until a table is written that the answer came from.

One activity asks for the same actor, group and thread again and again, each time from a function that cannot know who
asked before; and the next activity in the same transaction asks for the same group. Nobody else can change a hub's rows
while a transaction of the hub is open, so an answer stands until the transaction itself writes.

What nobody needs before the end (`Transaction.later`) it writes at the end, all rows of a statement at once.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from functools import lru_cache
from typing import Any, Final, Literal

from fedcomm.store.database import Database, Row, SearchSQL, Transaction, Value
from fedcomm.store.pseudonyms import Pseudonyms

ROWS_MOST: Final = 5_000
"""So many rows are remembered, an empty answer as one; then all are forgotten."""

LATER_MOST: Final = 200
"""Rows that wait to be written; then they are."""

_WRITES: Final = re.compile(r"(?:INSERT(?: OR REPLACE)? INTO|UPDATE) ([a-z_]+)\b")
"""A write whose effect stays in one table. A DELETE may take rows of others with it."""

_WORD: Final = re.compile(r"(?<![.\w'])([a-z_]+)(?![.\w'])")
"""Whatever may be the name of a table: neither a column with its alias nor the alias before it."""


class Remembering:
    """A transaction around another one."""

    def __init__(self, inner: Transaction) -> None:
        self._inner = inner
        # Each with the number of writes that there had been.
        self._answers: dict[tuple[str, str, tuple[Value, ...]], tuple[int, Any]] = {}
        self._rows = 0
        self._writes = 0
        self._written: dict[str, int] = {}
        self._later: dict[str, list[tuple[Value, ...]]] = {}
        self._later_tables: set[str] = set()
        self._later_rows = 0
        self.dialect: Literal["sqlite", "postgresql"] = inner.dialect
        self.search: SearchSQL = inner.search
        self.pseudonyms: Pseudonyms = inner.pseudonyms
        self.row: str = inner.row

    async def all(self, sql: str, *args: Value) -> Sequence[Row]:
        key = ("all", sql, args)
        if (known := self._known(key)) is not None:
            found: Sequence[Row] = known[1]
            return found
        await self._write_what(sql)
        rows = await self._inner.all(sql, *args)
        self._note(key, rows, len(rows))
        return rows

    async def one(self, sql: str, *args: Value) -> Row | None:
        key = ("one", sql, args)
        if (known := self._known(key)) is not None:
            found: Row | None = known[1]
            return found
        await self._write_what(sql)
        row = await self._inner.one(sql, *args)
        self._note(key, row, 1)
        return row

    async def value(self, sql: str, *args: Value) -> Any:
        key = ("value", sql, args)
        if (known := self._known(key)) is not None:
            return known[1]
        await self._write_what(sql)
        value = await self._inner.value(sql, *args)
        self._note(key, value, 1)
        return value

    def remember(self, row: Row, sql: str, *args: Value) -> None:
        """`one` of this statement finds this row: somebody read it with others."""
        self._note(("one", sql, args), row, 1)

    async def execute(self, sql: str, *args: Value) -> int:
        await self._write_what(sql)
        self._forget_what(sql)
        return await self._inner.execute(sql, *args)

    async def many(self, sql: str, rows: Iterable[Sequence[Value]]) -> None:
        await self._write_what(sql)
        self._forget_what(sql)
        await self._inner.many(sql, rows)

    async def later(self, sql: str, *args: Value) -> None:
        table = written(sql)
        if table is None:
            await self.execute(sql, *args)
            return
        if table in self._later_tables and sql not in self._later:
            # Statements of one table are made in their order.
            await self.write()
        self._forget_what(sql)
        self._later.setdefault(sql, []).append(args)
        self._later_tables.add(table)
        self._later_rows += 1
        if self._later_rows >= LATER_MOST:
            await self.write()

    async def write(self) -> None:
        """Make what was to be made later."""
        later = self._later
        self._drop_later()
        for sql, rows in later.items():
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
        self._later, self._later_tables, self._later_rows = {}, set(), 0

    async def _write_what(self, sql: str) -> None:
        """Before `sql`: what was to be made later, if `sql` reads it, changes it or may do either."""
        if not self._later:
            return
        named = words(sql)
        if not self._later_tables.isdisjoint(named) or (
            not sql.startswith("SELECT ") and written(sql) is None
        ):
            await self.write()

    def _known(self, key: tuple[str, str, tuple[Value, ...]]) -> tuple[int, Any] | None:
        """The answer of before, unless a table was written since that it may have come from."""
        answer = self._answers.get(key)
        if answer is None:
            return None
        at = answer[0]
        if at != self._writes:
            named = words(key[1])
            for table, written_at in self._written.items():
                if written_at > at and table in named:
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

    def _forget_what(self, sql: str) -> None:
        """`sql` writes: whatever was read from its table is not known any more."""
        table = written(sql)
        if table is None:
            self._answers.clear()
            return
        self._writes += 1
        self._written[table] = self._writes


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
