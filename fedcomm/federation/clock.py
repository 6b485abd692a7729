"""Notices when somebody sets the clock: leases and due times are wall-clock times, and a step makes them wrong.

Back by an hour, what was due now would wait for an hour. Forward, leases seem to have run out whose holders are well
and at work.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from fedcomm.store.ids import now_ms

STEP_MS: Final = 5_000
"""A difference that no gentle correction makes between two looks."""


def _elapsed_ms() -> int:
    return time.monotonic_ns() // 1_000_000


class ClockWatch:
    """Compares the wall clock with one that nobody can set."""

    def __init__(
        self, wall: Callable[[], int] | None = None, elapsed: Callable[[], int] = _elapsed_ms
    ) -> None:
        self._wall = wall or (lambda: now_ms())
        self._elapsed = elapsed
        self._difference = self._wall() - elapsed()

    def step(self) -> int:
        """By how many milliseconds the clock was set since the last look: forward is positive, 0 if it was not."""
        difference = self._wall() - self._elapsed()
        step, self._difference = difference - self._difference, difference
        return step if abs(step) >= STEP_MS else 0
