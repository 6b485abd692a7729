"""A crew works off the lanes of one queue: it claims what is due, as many at once as it has hands, and sleeps else."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from fedcomm.federation import lanes
from fedcomm.store.database import Database, DatabaseUnavailable

log = logging.getLogger("fedcomm.federation")

IDLE_S = 1.0
"""How long a crew sleeps when nobody wakes it: also how soon it sees what another process stored."""


class Crew:
    """The workers of one queue in one process.

    `serve` works off one lane and gives it back. `hands` and `lease_ms` are asked at each claim: how many lanes
    at once, and for how long one is held (milliseconds).
    """

    def __init__(
        self,
        db: Database,
        queue: lanes.Queue,
        serve: Callable[[lanes.Lane], Awaitable[None]],
        *,
        hands: Callable[[], int],
        lease_ms: Callable[[], int],
    ) -> None:
        self._db = db
        self._queue = queue
        self._serve = serve
        self._hands = hands
        self._lease_ms = lease_ms
        self._awake = asyncio.Event()
        self._lanes: set[asyncio.Future[None]] = set()

    def wake(self) -> None:
        """There is work."""
        self._awake.set()

    async def run(self) -> None:
        """Work until cancelled; then what is in hand is given back."""
        try:
            while True:
                self._awake.clear()
                try:
                    while await self._claim():
                        pass
                except DatabaseUnavailable as error:
                    log.error("%s: the database is away: %s", self._queue, error)
                except Exception:
                    log.exception("%s: unexpected", self._queue)
                await lanes.pause(self._awake, IDLE_S)
        finally:
            for task in self._lanes:
                task.cancel()
            await asyncio.gather(*self._lanes, return_exceptions=True)

    async def _claim(self) -> bool:
        """Take lanes while there is a free hand; whether any was taken."""
        room = self._hands() - len(self._lanes)
        if room <= 0 or not await lanes.due(self._db, self._queue):
            return False
        taken = await lanes.claim(self._db, self._queue, limit=room, lease_ms=self._lease_ms())
        for lane in taken:
            task = asyncio.ensure_future(self._serve(lane))
            self._lanes.add(task)
            task.add_done_callback(self._finished)
        return bool(taken)

    def _finished(self, task: asyncio.Future[None]) -> None:
        self._lanes.discard(task)
        self._awake.set()
        if not task.cancelled() and task.exception() is not None:
            log.error("%s: a lane broke: %r", self._queue, task.exception())
