"""A crew works off the lanes of one queue: it claims what is due, as many at once as it has hands, and sleeps else.

Nobody gets hold of all its hands. The hosts of one registrable domain have a part of them at most, and a lane on which
it has worked for a while does not count any more: it waits for slow servers, which costs nothing, and others are served
meanwhile (INV-45).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Final

from fedcomm.federation import lanes
from fedcomm.federation.clock import ClockWatch
from fedcomm.store.database import Database, DatabaseError, DatabaseUnavailable

log = logging.getLogger("fedcomm.federation")

IDLE_S = 1.0
"""How long a crew sleeps when nobody wakes it: also how soon it sees what another process stored."""

FAMILY_PART: Final = 4
"""The hosts of one registrable domain have one hand in so many, and at least one."""

SETTLE_S: Final = 5.0
"""How long after the clock was set no lease counts as run out."""

PATIENCE_S: Final = 2.0
"""After so many seconds a lane counts as one that waits for others."""


class Crew:
    """The workers of one queue in one process.

    `serve` works off one lane and gives it back. `hands` and `lease_ms` are asked at each claim: how many lanes
    at once, and for how long one is held (milliseconds). `lanes_per_hand`: how many are held at once for each
    hand, those included that wait.
    """

    def __init__(
        self,
        db: Database,
        queue: lanes.Queue,
        serve: Callable[[lanes.Lane], Awaitable[None]],
        *,
        hands: Callable[[], int],
        lease_ms: Callable[[], int],
        lanes_per_hand: int = 1,
    ) -> None:
        self._db = db
        self._queue = queue
        self._serve = serve
        self._hands = hands
        self._lease_ms = lease_ms
        self._lanes_per_hand = lanes_per_hand
        self._awake = asyncio.Event()
        self._lanes: dict[asyncio.Future[None], tuple[lanes.Lane, float]] = {}
        # Whether lanes may be leased on which nobody works: their work broke off, or their claim did after it
        # had happened. They are given up before the next claim.
        self._adrift = False
        self._clock = ClockWatch()
        self._settled_at = 0.0

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
            left = list(self._lanes)
            for task in left:
                task.cancel()
            await asyncio.gather(*left, return_exceptions=True)
            if left or self._adrift:
                # Whoever had not even begun gave nothing back.
                with contextlib.suppress(DatabaseError):
                    await asyncio.shield(lanes.drop(self._db, self._queue))

    async def _claim(self) -> bool:
        """Take lanes while there is a free hand; whether any was taken."""
        hands = self._hands()
        now = time.monotonic()
        await self._look_at_clock(now)
        if self._adrift:
            await self._drop()
        busy = sum(1 for _, since in self._lanes.values() if now - since < PATIENCE_S)
        room = min(hands - busy, hands * self._lanes_per_hand - len(self._lanes))
        share = lanes.Share(
            max(1, hands // FAMILY_PART), Counter(lane.family for lane, _ in self._lanes.values())
        )
        if room <= 0 or not await lanes.due(self._db, self._queue, share):
            return False
        try:
            taken = await lanes.claim(
                self._db,
                self._queue,
                limit=room,
                lease_ms=self._lease_ms(),
                share=share,
                only_free=now < self._settled_at,
                in_hand=self._in_hand(),
            )
        except BaseException:
            # It may have happened all the same: the answer to the COMMIT was lost, or the crew is to end.
            self._adrift = True
            raise
        for lane in taken:
            task = asyncio.ensure_future(self._serve(lane))
            self._lanes[task] = (lane, time.monotonic())
            task.add_done_callback(self._finished)
        return bool(taken)

    def _in_hand(self) -> set[int]:
        return {lane.host_id for lane, _ in self._lanes.values()}

    async def _drop(self) -> None:
        # Set before: what breaks off meanwhile is for the next time.
        self._adrift = False
        try:
            await lanes.drop(self._db, self._queue, self._in_hand())
        except BaseException:
            self._adrift = True
            raise

    async def _look_at_clock(self, now: float) -> None:
        step = self._clock.step()
        if step:
            log.warning("%s: the clock was set by %d s", self._queue, step // 1000)
            # The other processes of this machine need a moment to hold on to what they have.
            self._settled_at = now + SETTLE_S
            await lanes.after_step(self._db, self._queue, lease_ms=self._lease_ms())

    def _finished(self, task: asyncio.Future[None]) -> None:
        self._lanes.pop(task, None)
        if task.cancelled():
            self._adrift = True
        elif (error := task.exception()) is not None:
            log.error("%s: a lane broke", self._queue, exc_info=error)
            # Not woken: what broke it, a database that is away, say, is asked again in a second.
            self._adrift = True
            return
        self._awake.set()
