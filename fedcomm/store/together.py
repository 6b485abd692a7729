"""Reads that are asked for at the same moment, in one trip for each statement.

To a database that is another process, every statement is a trip, which costs both sides more than finding a row by its
key. Tasks that do the same for different people ask the same statement with other values: what was asked while the
last trip was under way goes along in the next.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from fedcomm.store.database import DatabaseUnavailable, Row, Value

MOST: Final = 64
"""Values of one statement in one trip."""

Values = tuple[Value, ...]

Fetch = Callable[[str, Sequence[Values]], Awaitable[Sequence[Sequence[Row]]]]
"""Asks one statement with several values: the rows of each, in their order."""


class Together:
    """Gathers reads. `alone`: when a statement fails for one, the others are asked once more, each by itself."""

    def __init__(self, fetch: Fetch, *, alone: bool) -> None:
        self._fetch = fetch
        self._alone = alone
        self._waiting: dict[str, dict[Values, list[asyncio.Future[Sequence[Row]]]]] = {}
        self._task: asyncio.Task[None] | None = None
        # What a trip does depends on none of those who wait for it.
        self._context = contextvars.copy_context()

    def ask(self, sql: str, args: Values) -> asyncio.Future[Sequence[Row]]:
        """The rows of `sql`, which others may have as well."""
        loop = asyncio.get_running_loop()
        found: asyncio.Future[Sequence[Row]] = loop.create_future()
        self._waiting.setdefault(sql, {}).setdefault(args, []).append(found)
        if self._task is None:
            # It starts when all who are ready at this moment have asked.
            self._task = loop.create_task(self._go(), context=self._context)
        return found

    async def close(self) -> None:
        """Wait for the trips that are under way."""
        if self._task is not None:
            await asyncio.gather(self._task, return_exceptions=True)

    async def _go(self) -> None:
        try:
            while self._waiting:
                waiting, self._waiting = self._waiting, {}
                for sql, asked in waiting.items():
                    values = list(asked)
                    for start in range(0, len(values), MOST):
                        await self._ask(
                            sql, {one: asked[one] for one in values[start : start + MOST]}
                        )
        finally:
            self._task = None
            for asked in self._waiting.values():
                for futures in asked.values():
                    for future in futures:
                        future.cancel()
            self._waiting = {}

    async def _ask(
        self, sql: str, asked: dict[Values, list[asyncio.Future[Sequence[Row]]]]
    ) -> None:
        try:
            answers = await self._fetch(sql, list(asked))
        except Exception as error:
            if self._alone and len(asked) > 1 and not isinstance(error, DatabaseUnavailable):
                for one, futures in asked.items():
                    await self._ask(sql, {one: futures})
                return
            for futures in asked.values():
                for future in futures:
                    if not future.done():
                        future.set_exception(error)
            return
        for futures, rows in zip(asked.values(), answers, strict=True):
            for future in futures:
                if not future.done():
                    future.set_result(rows)
