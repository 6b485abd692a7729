"""Reads that are asked for at the same moment, in one trip for each statement.

To a database that is another process, every statement is a trip, which costs both sides more than finding a row by its
key. Tasks that do the same for different people ask the same statement with other values: what was asked while the
last trip was under way goes along in the next.
"""

from __future__ import annotations

import asyncio
import contextvars
import itertools
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Final

from fedcomm.store.database import DatabaseUnavailable, Row, Value

MOST: Final = 64
"""Values of one statement in one trip."""

Values = tuple[Value, ...]

_Asked = dict[Values, list[asyncio.Future[Sequence[Row]]]]

Fetch = Callable[[str, Sequence[Values]], Awaitable[Sequence[Sequence[Row]]]]
"""Asks one statement with several values: the rows of each, in their order."""


class Together:
    """Gathers reads: of each statement one trip is under way, so that one that waits for a lock holds up nobody who
    asks something else. `alone`: when a statement fails for one, the others are asked once more, each by itself."""

    def __init__(self, fetch: Fetch, *, alone: bool) -> None:
        self._fetch = fetch
        self._alone = alone
        self._waiting: dict[str, _Asked] = {}
        self._under_way: dict[str, asyncio.Task[None]] = {}
        # What a trip does depends on none of those who wait for it.
        self._context = contextvars.copy_context()

    def ask(self, sql: str, args: Values) -> asyncio.Future[Sequence[Row]]:
        """The rows of `sql`, which others may have as well."""
        loop = asyncio.get_running_loop()
        found: asyncio.Future[Sequence[Row]] = loop.create_future()
        self._waiting.setdefault(sql, {}).setdefault(args, []).append(found)
        if sql not in self._under_way:
            # It starts when all who are ready at this moment have asked.
            self._under_way[sql] = loop.create_task(self._go(sql), context=self._context)
        return found

    async def close(self) -> None:
        """Wait for the trips that are under way; given up, nobody waits for them any more."""
        await asyncio.gather(*self._under_way.values(), return_exceptions=True)

    async def _go(self, sql: str) -> None:
        asked: _Asked = {}
        try:
            while asked := self._waiting.pop(sql, {}):
                values = list(asked)
                for start in range(0, len(values), MOST):
                    await self._ask(sql, {one: asked[one] for one in values[start : start + MOST]})
        finally:
            del self._under_way[sql]
            for left in (asked, self._waiting.pop(sql, {})):
                for future in _futures(left):
                    future.cancel()

    async def _ask(self, sql: str, asked: _Asked) -> None:
        try:
            answers = await self._fetch(sql, list(asked))
        except Exception as error:
            if self._alone and len(asked) > 1 and not isinstance(error, DatabaseUnavailable):
                for one, futures in asked.items():
                    await self._ask(sql, {one: futures})
                return
            for future in _futures(asked):
                if not future.done():
                    future.set_exception(error)
            return
        for futures, rows in zip(asked.values(), answers, strict=True):
            for future in futures:
                if not future.done():
                    future.set_result(rows)


def _futures(asked: _Asked) -> Iterator[asyncio.Future[Sequence[Row]]]:
    return itertools.chain.from_iterable(asked.values())
