"""Polls of ours over time: votes are told in batches, and polls are closed at their end, with or without federation.

The journal tells of it (`poll_counted`, `poll_closed`); the ActivityPub spoke makes `Update(Question)` of that
(federation.md §5.3).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from fedcomm.hub import polls
from fedcomm.store.database import Database, DatabaseUnavailable
from fedcomm.store.ids import now_ms

log = logging.getLogger("fedcomm.polls")

ROUND_S = 5.0
"""How late a poll may be closed, in seconds. Votes are refused by the clock, not by this."""


def _nobody() -> None:
    """Whom to tell when there is no spoke."""


class Tallies:
    """The worker of one process."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self.on_change: Callable[[], None] = _nobody

    async def run(self) -> None:
        """Work until cancelled."""
        while True:
            try:
                while await self.round():
                    self.on_change()
            except DatabaseUnavailable as error:
                log.error("polls: the database is away: %s", error)
            except Exception:
                log.exception("polls: unexpected")
            await asyncio.sleep(ROUND_S)

    async def round(self) -> int:
        """Close what is over, report what has waited; how many polls that were."""
        now = now_ms()
        if not await self._db.value(
            "SELECT (SELECT count(*) FROM polls WHERE close_at <= ?)"
            " + (SELECT count(*) FROM polls WHERE report_at <= ?)",
            now,
            now,
        ):
            return 0
        async with self._db.transaction() as tx:
            return await polls.close_due(tx) + await polls.report_due(tx)
