"""Changes that are ready at the same moment share one transaction, one commit and one wait for the disk.

One that fails takes no other with it: then all are undone and made once more, each with a savepoint of its own, and so
are the next few batches. They run in the order in which they were asked for, and whoever asked is answered once
everything is on stable storage. While one batch is being written the next one gathers; a lone change waits for nobody.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from time import perf_counter
from typing import Any, Final, TypeVar

from fedcomm.store.database import Database, DatabaseError, DatabaseUnavailable, Transaction
from fedcomm.store.remembered import remembering

MOST: Final = 32
"""Changes in one transaction at most: bounds the time that others wait for the writer."""

GATHER_S: Final = 0.005
"""How long is waited for more, while more is being prepared or several were ready at once: half of them come when the
last batch is written."""

BREATH_S: Final = 0.003
"""For how long changes at hand keep others of this process waiting. Each turn costs: what they need is in no cache
any more when they are back."""

CAREFUL: Final = 16
"""Batches after one with a failure that have savepoints from the beginning: whoever sends what fails costs others
little. Savepoints cost two statements for each change, and SQLite writes its search index at each."""

Result = TypeVar("Result")


@dataclass(slots=True)
class _Part:
    work: Callable[[Transaction], Awaitable[Any]]
    at_hand: bool
    look: Callable[[Transaction], Awaitable[object]] | None
    done: asyncio.Future[Any]
    result: Any = None
    error: Exception | None = None

    def begin(self) -> bool:
        """Forget what came of it before. False when whoever asked has gone."""
        self.result, self.error = None, None
        return not self.done.done()

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
        self._preparing = 0
        self._enough = asyncio.Event()
        self._careful = 0
        # What a batch does depends on none of those who asked for its parts.
        self._context = contextvars.copy_context()

    @contextmanager
    def preparing(self) -> Iterator[None]:
        """More will be asked for within the block: what is asked for meanwhile waits for it a moment."""
        self._preparing += 1
        try:
            yield
        finally:
            self._preparing -= 1
            if not self._preparing:
                self._enough.set()

    def ask(
        self,
        work: Callable[[Transaction], Awaitable[Result]],
        *,
        at_hand: bool = False,
        look: Callable[[Transaction], Awaitable[object]] | None = None,
    ) -> asyncio.Future[Result]:
        """Make a change: the future is what `work` returns, or raises, once all that it did is durable.

        `work` may run twice: when the transaction that it was in failed as a whole, of which then nothing is left.
        Nothing may be remembered outside of the transaction that would be wrong if it did. `at_hand`: its statements
        touch a few rows each (`Database.at_hand`). `look` reads what `work` will read: where every statement is a
        trip, it runs ahead, with those of the others. Whoever cancels the future does not know whether it was done.
        """
        done: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Part(work, at_hand, look, done))
        if len(self._waiting) >= MOST:
            self._enough.set()
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(
                self._drain(), context=self._context
            )
        return done

    async def run(
        self, work: Callable[[Transaction], Awaitable[Result]], *, at_hand: bool = False
    ) -> Result:
        """The same, and wait for it."""
        return await self.ask(work, at_hand=at_hand)

    async def close(self) -> None:
        """Wait until everything gathered is made."""
        if self._task is not None:
            await asyncio.gather(self._task, return_exceptions=True)

    async def _drain(self) -> None:
        size = 1
        while self._waiting:
            if len(self._waiting) < MOST and (self._preparing or 1 < size < MOST):
                await self._more()
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
                self._careful = CAREFUL
            else:
                for part in parts:
                    part.settle()

    async def _more(self) -> None:
        self._enough.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout(GATHER_S):
                await self._enough.wait()

    async def _alone(self, part: _Part) -> None:
        try:
            await self._make([part])
        except Exception as error:
            part.settle(error)
        else:
            part.settle()

    async def _make(self, parts: list[_Part]) -> None:
        if self._careful:
            self._careful -= 1
            await self._apart(parts)
        elif not await self._together(parts) and len(parts) > 1:
            self._careful = CAREFUL
            await self._apart(parts)

    async def _together(self, parts: list[_Part]) -> bool:
        """All of them in one piece: nothing of it stands when one fails. False then; who it was has the error, if that
        is known."""
        running: _Part | None = None
        breath = Breath()
        try:
            async with remembering(self._db) as tx:
                if self._db.trips:
                    await self._look(tx, parts)
                for part in parts:
                    await breath.take()
                    if part.begin():
                        running = part
                        with self._at_hand(part):
                            part.result = await part.work(tx)
                        running = None
        except DatabaseUnavailable:
            raise
        except Exception as error:
            if running is not None:
                running.error = error
            elif len(parts) == 1:
                raise
            return False
        return True

    async def _look(self, tx: Transaction, parts: list[_Part]) -> None:
        """Have the transaction remember what the parts will read."""
        looks = [part.look for part in parts if part.look is not None and not part.done.done()]
        if len(looks) < 2:
            return
        async with tx.together():
            seen = await asyncio.gather(*(look(tx) for look in looks), return_exceptions=True)
        for error in seen:
            # Whatever else they raise, the parts will raise themselves.
            if isinstance(error, DatabaseError | asyncio.CancelledError):
                raise error

    async def _apart(self, parts: list[_Part]) -> None:
        """Each with a savepoint of its own."""
        breath = Breath()
        async with remembering(self._db) as tx:
            for part in parts:
                await breath.take()
                if part.begin():
                    with self._at_hand(part):
                        await self._try(tx, part)

    def _at_hand(self, part: _Part) -> AbstractContextManager[None]:
        return self._db.at_hand() if part.at_hand else nullcontext()

    async def _try(self, tx: Transaction, part: _Part) -> None:
        try:
            async with tx.savepoint():
                part.result = await part.work(tx)
        except DatabaseUnavailable:
            raise
        except Exception as error:
            part.error = error


class Breath:
    """Statements at hand never let go of the event loop: others of this process have their turn now and then."""

    def __init__(self) -> None:
        self._until = perf_counter() + BREATH_S

    async def take(self) -> None:
        """Let go, if it was long ago."""
        if perf_counter() > self._until:
            await asyncio.sleep(0)
            self._until = perf_counter() + BREATH_S
