"""How much is in a collection that grows without end: counted for each answer while that is quick, else once a minute.

To count what somebody may read takes a look at each of it, so the cost of an outbox page would grow with the years.
What is told of a large collection may be `KEEP_S` old; its items never are.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from typing import Final

KEEP_S: Final = 60.0

LARGE: Final = 500
"""From this many on a count is kept."""

MOST: Final = 1_000
"""Counts that are kept; the oldest go first."""


class Totals:
    """The counts of one process."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._kept: OrderedDict[Hashable, tuple[int, float]] = OrderedDict()

    async def of(self, key: Hashable, count: Callable[[], Awaitable[int]]) -> int:
        """The total of the collection that `key` names, for the reader that it names."""
        known = self._kept.get(key)
        if known is not None:
            if self._clock() < known[1]:
                return known[0]
            # Whoever asks while it is counted anew gets the old one.
            self._keep(key, known[0])
        total = await count()
        if total >= LARGE:
            self._keep(key, total)
        else:
            self._kept.pop(key, None)
        return total

    def _keep(self, key: Hashable, total: int) -> None:
        self._kept.pop(key, None)
        self._kept[key] = total, self._clock() + KEEP_S
        while len(self._kept) > MOST:
            self._kept.popitem(last=False)
