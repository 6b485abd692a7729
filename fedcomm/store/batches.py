"""Changes that are ready at the same moment share one transaction, one commit and one wait for the disk.

Each is a savepoint of its own: one that fails is undone alone, and says so to whoever asked for it. They run in the
order in which they were asked for, and whoever asked is answered once everything is on stable storage. While one batch
is being written the next one gathers; a lone change waits for nobody.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Awaitable, Callable
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any, Final, TypeVar, cast

from fedcomm.store.database import Database, DatabaseUnavailable, Transaction
from fedcomm.store.remembered import Remembering

MOST: Final = 16
"""Changes in one transaction at most: bounds the time that others wait for the writer."""

GATHER_S: Final = 0.003
"""How long is waited for more while several are ready at once: half of them come when the last batch is written."""

Result = TypeVar("Result")


@dataclass(slots=True)
class _Part:
    work: Callable[[Transaction], Awaitable[Any]]
    at_hand: bool
    done: asyncio.Future[Any]
    result: Any = None
    error: Exception | None = None

    def settle(self, error: Exception | None = None) -> None:
        """Answer whoever waits, unless they have gone."""
        if self.done.done():
            return
        error = error or self.error
        if error is None:
            self.done.set_result(self.result)
        else:
            self.done.set_exception(error)


class Batches:
    """Gathers changes and makes them in transactions of the hub."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._waiting: list[_Part] = []
        self._task: asyncio.Task[None] | None = None
        # What a batch does depends on none of those who asked for its parts.
        self._context = contextvars.copy_context()

    async def run(
        self, work: Callable[[Transaction], Awaitable[Result]], *, at_hand: bool = False
    ) -> Result:
        """What `work` returned, once that is durable; raises what it raised, when nothing of it stands.

        `at_hand`: its statements touch a few rows each (`Database.at_hand`). Whoever is cancelled while they wait
        does not know whether it was done.
        """
        done: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Part(work, at_hand, done))
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(
                self._drain(), context=self._context
            )
        return cast(Result, await done)

    async def close(self) -> None:
        """Wait until everything gathered is made."""
        if self._task is not None:
            await asyncio.gather(self._task, return_exceptions=True)

    async def _drain(self) -> None:
        size = 1
        while self._waiting:
            if 1 < size < MOST and len(self._waiting) < MOST:
                await asyncio.sleep(GATHER_S)
            parts, self._waiting = self._waiting[:MOST], self._waiting[MOST:]
            size = len(parts)
            try:
                await self._make(parts)
            except DatabaseUnavailable as error:
                # Trying each alone would only wait as long again for each of them.
                for part in parts:
                    part.settle(error)
            except Exception:
                # Not one of the changes, which fail by themselves: the transaction as a whole, by one of them.
                for part in parts:
                    await self._alone(part)
            else:
                for part in parts:
                    part.settle()

    async def _alone(self, part: _Part) -> None:
        try:
            await self._make([part])
        except Exception as error:
            part.settle(error)
        else:
            part.settle()

    async def _make(self, parts: list[_Part]) -> None:
        async with self._db.transaction() as inner:
            tx = Remembering(inner)
            for part in parts:
                part.result, part.error = None, None
                if part.done.done():
                    # Whoever asked has gone before it began.
                    continue
                with self._db.at_hand() if part.at_hand else nullcontext():
                    await self._try(tx, part)
                # Statements at hand never let go of the event loop.
                await asyncio.sleep(0)

    async def _try(self, tx: Transaction, part: _Part) -> None:
        try:
            async with tx.savepoint():
                part.result = await part.work(tx)
        except DatabaseUnavailable:
            raise
        except Exception as error:
            part.error = error
