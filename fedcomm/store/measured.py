"""A database that tells how long its statements take, and logs those that take too long.

What is logged is the statement as it stands in the source, with question marks for whatever anybody typed.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from time import perf_counter
from typing import Any, Final

from fedcomm.store import figures
from fedcomm.store.database import Database, Row, Transaction, Value

log = logging.getLogger("fedcomm.database")

STATEMENT_CHARACTERS: Final = 500


class _Measured:
    """The reads, which a database and a transaction have alike; everything else is the inner one's."""

    def __init__(self, inner: Any, slow_s: float) -> None:
        self._inner = inner
        self._slow_s = slow_s

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def _note(self, kind: str, sql: str, started: float) -> None:
        took = perf_counter() - started
        figures.DATABASE.add(kind, took)
        if took >= self._slow_s > 0:
            figures.SLOW.add(kind)
            statement = " ".join(sql.split())[:STATEMENT_CHARACTERS]
            log.warning(
                "slow statement",
                extra={"milliseconds": round(took * 1000), "statement": statement},
            )

    async def all(self, sql: str, *args: Value) -> Sequence[Row]:
        started = perf_counter()
        try:
            found: Sequence[Row] = await self._inner.all(sql, *args)
        finally:
            self._note("read", sql, started)
        return found

    async def one(self, sql: str, *args: Value) -> Row | None:
        started = perf_counter()
        try:
            found: Row | None = await self._inner.one(sql, *args)
        finally:
            self._note("read", sql, started)
        return found

    async def value(self, sql: str, *args: Value) -> Any:
        started = perf_counter()
        try:
            return await self._inner.value(sql, *args)
        finally:
            self._note("read", sql, started)


class _MeasuredTransaction(_Measured):
    async def execute(self, sql: str, *args: Value, keys: Sequence[Value] | None = None) -> int:
        started = perf_counter()
        try:
            changed: int = await self._inner.execute(sql, *args)
        finally:
            self._note("write", sql, started)
        return changed

    async def later(
        self, sql: str, *args: Value, keys: Sequence[Value] | None = None, first: bool = False
    ) -> None:
        await self.execute(sql, *args)

    async def count(self, sql: str, key: int | str, by: int, latest: Value = None) -> None:
        await self.execute(sql, by, by, latest, key)

    async def many(self, sql: str, rows: Iterable[Sequence[Value]]) -> None:
        started = perf_counter()
        try:
            await self._inner.many(sql, rows)
        finally:
            self._note("write", sql, started)


class _MeasuredDatabase(_Measured):
    def transaction(self) -> AbstractAsyncContextManager[Transaction]:
        return self._within(self._inner.transaction())

    def queue_transaction(self) -> AbstractAsyncContextManager[Transaction]:
        return self._within(self._inner.queue_transaction())

    async def append(self, sql: str, row: Sequence[Value]) -> None:
        with figures.DATABASE.of("append"):
            await self._inner.append(sql, row)

    async def append_together(self, *statements: tuple[str, Sequence[Value]]) -> None:
        with figures.DATABASE.of("append"):
            await self._inner.append_together(*statements)

    @asynccontextmanager
    async def _within(
        self, inner: AbstractAsyncContextManager[Transaction]
    ) -> AsyncIterator[Transaction]:
        # With the wait for its turn: that is what somebody notices.
        with figures.DATABASE.of("transaction"):
            async with inner as tx:
                yield _MeasuredTransaction(tx, self._slow_s)


def measured(database: Database, *, slow_ms: float) -> Database:
    """`database`, measured; statements of `slow_ms` and more are logged, none for 0."""
    return _MeasuredDatabase(database, slow_ms / 1000)
