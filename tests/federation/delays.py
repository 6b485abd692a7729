"""A database whose answers come late: what an engine in another process, or a busy disk, does to those who wait for it.

Between a commit and the moment when whoever asked for it goes on, everybody else sees what was committed already.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from typing import Any

from fedcomm.store.database import Database, Row, Transaction, Value

AT_ONCE = 0.7
"""How many answers come at once; the others after some milliseconds."""

AT_ONCE_AFTER_COMMIT = 0.5
LONG_AFTER_COMMIT = 0.1
"""The same of commits; of one in ten is heard after a fraction of a second, which is time enough for others to do a
few things."""


class Delays:
    """How long each of them is, from a seed."""

    def __init__(self, seed: int, longest_s: float = 0.003) -> None:
        self._chance = random.Random(seed)
        self._longest_s = longest_s

    async def one(self) -> None:
        """Wait for a moment, or not."""
        if self._chance.random() >= AT_ONCE:
            await asyncio.sleep(self._chance.uniform(0, self._longest_s))

    async def after_commit(self) -> None:
        """Wait for a moment, a longer one, or not."""
        throw = self._chance.random()
        if throw < LONG_AFTER_COMMIT:
            await asyncio.sleep(self._chance.uniform(0, 80 * self._longest_s))
        elif throw >= AT_ONCE_AFTER_COMMIT:
            await asyncio.sleep(self._chance.uniform(0, 5 * self._longest_s))


class _Late:
    """Reads that come late; everything else is the inner one's."""

    def __init__(self, inner: Any, delays: Delays) -> None:
        self._inner = inner
        self._delays = delays

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    async def _late(self, ask: Callable[..., Awaitable[Any]], *args: Any) -> Any:
        await self._delays.one()
        found = await ask(*args)
        await self._delays.one()
        return found

    async def all(self, sql: str, *args: Value) -> Sequence[Row]:
        found: Sequence[Row] = await self._late(self._inner.all, sql, *args)
        return found

    async def one(self, sql: str, *args: Value) -> Row | None:
        found: Row | None = await self._late(self._inner.one, sql, *args)
        return found

    async def value(self, sql: str, *args: Value) -> Any:
        return await self._late(self._inner.value, sql, *args)


class _LateTransaction(_Late):
    async def execute(self, sql: str, *args: Value, **more: Any) -> int:
        changed: int = await self._late(partial(self._inner.execute, **more), sql, *args)
        return changed

    async def many(self, sql: str, rows: Iterable[Sequence[Value]]) -> None:
        await self._late(self._inner.many, sql, rows)


class _LateDatabase(_Late):
    def transaction(self) -> AbstractAsyncContextManager[Transaction]:
        return self._within(self._inner.transaction())

    def queue_transaction(self) -> AbstractAsyncContextManager[Transaction]:
        return self._within(self._inner.queue_transaction())

    async def append(self, sql: str, row: Sequence[Value]) -> None:
        await self._late(self._inner.append, sql, row)

    async def append_together(self, *statements: tuple[str, Sequence[Value]]) -> None:
        await self._late(self._inner.append_together, *statements)

    @asynccontextmanager
    async def _within(
        self, inner: AbstractAsyncContextManager[Transaction]
    ) -> AsyncIterator[Transaction]:
        await self._delays.one()
        async with inner as tx:
            yield _LateTransaction(tx, self._delays)
            await self._delays.one()
        await self._delays.after_commit()


def late(database: Database, seed: int) -> Database:
    """`database`, late by times from `seed`."""
    return _LateDatabase(database, Delays(seed))
