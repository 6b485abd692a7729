"""Group commit: statements that arrive at the same moment share one transaction and one fsync.

A commit with `synchronous=FULL` costs 0.2-3.5 ms; a hundred rows in one cost 25-30 µs each
(design.md).
While one batch is being written the next one gathers, so a lone row waits for nobody.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from fedcomm.store.database import DatabaseUnavailable, Value

MAX_BATCH_ROWS = 500
"""Rows in one transaction at most: bounds the time that others wait for the writer."""

Batch = dict[str, list[Sequence[Value]]]
_Unit = tuple[tuple[tuple[str, Sequence[Value]], ...], asyncio.Future[None]]


class GroupCommit:
    """Gathers `(sql, row)` pairs and hands them to `write` a batch at a time."""

    def __init__(self, write: Callable[[Batch], Awaitable[None]]) -> None:
        self._write = write
        self._waiting: list[_Unit] = []
        self._task: asyncio.Task[None] | None = None

    async def append(self, *statements: tuple[str, Sequence[Value]]) -> None:
        """Returns when all of `statements` are durable, in one transaction; raises what they raised."""
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((statements, done))
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._drain())
        await done

    async def close(self) -> None:
        """Wait until everything gathered is written."""
        if self._task is not None:
            await asyncio.gather(self._task, return_exceptions=True)

    async def _drain(self) -> None:
        while self._waiting:
            batch, self._waiting = self._waiting[:MAX_BATCH_ROWS], self._waiting[MAX_BATCH_ROWS:]
            try:
                await self._write(_grouped(batch))
            except DatabaseUnavailable as error:
                # Trying each row alone would only wait as long again for each of them.
                _settle(batch, error)
            except Exception:
                await self._one_by_one(batch)
            else:
                _settle(batch, None)

    async def _one_by_one(self, batch: list[_Unit]) -> None:
        # One bad row must not refuse its neighbours: each gets its own answer.
        for entry in batch:
            try:
                await self._write(_grouped([entry]))
            except Exception as error:
                _settle([entry], error)
            else:
                _settle([entry], None)


def _grouped(batch: list[_Unit]) -> Batch:
    grouped: Batch = {}
    for statements, _ in batch:
        for sql, row in statements:
            grouped.setdefault(sql, []).append(row)
    return grouped


def _settle(batch: list[_Unit], error: Exception | None) -> None:
    for _, done in batch:
        if done.done():
            continue
        if error is None:
            done.set_result(None)
        else:
            done.set_exception(error)
