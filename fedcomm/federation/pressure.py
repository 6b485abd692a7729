"""Whether this process is kept too busy: then other servers wait, so that members need not (INV-45).

Everything runs in one event loop. When a task that wants to wake up four times a second comes late again and again,
whoever opens a page waits as long. Other servers come again when they are told to; people leave.
"""

from __future__ import annotations

import asyncio
from typing import Final

LOOK_S: Final = 0.25
LATE_S: Final = 1.0
"""From this delay on, averaged over a few seconds, other servers are told to come later."""

WEIGHT: Final = 0.2
"""How much the newest look counts."""

MOST_UNDER_WAY: Final = 256
"""Posts to inboxes that are in hand at once; each may hold a megabyte."""


class Pressure:
    """Measures the loop that `run` runs in, and counts what is in hand."""

    def __init__(self) -> None:
        self.late_s = 0.0
        self.under_way = 0

    @property
    def is_high(self) -> bool:
        """Whether more from other servers would be at the members' cost."""
        return self.late_s > LATE_S or self.under_way >= MOST_UNDER_WAY

    def note(self, late_s: float) -> None:
        """The loop was so late."""
        self.late_s += (late_s - self.late_s) * WEIGHT

    def hands(self, hands: int) -> int:
        """How many of these hands may work now: one at least, so that the queue still drains."""
        return 1 if self.late_s > LATE_S else hands

    async def run(self) -> None:
        """Measure until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + LOOK_S
            await asyncio.sleep(LOOK_S)
            self.note(max(0.0, loop.time() - due))
