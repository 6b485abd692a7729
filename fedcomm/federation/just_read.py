"""What the reception has read and stored a moment ago: the intake of the same process need not read it again.

The row is what counts: nothing is lost with this memory, and what another process works off just leaves it.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from typing import Final

from activitypub.documents import ActivityDocument

BYTES_MOST: Final = 1_000_000
"""Of the bodies of activities that are remembered, which take several times as much; the oldest go first."""

SECONDS: Final = 20.0
"""For how long: words do not stay here because nobody came for them."""


class JustRead:
    """Activities by the number of their row."""

    def __init__(self) -> None:
        self._kept: OrderedDict[int, tuple[float, int, ActivityDocument]] = OrderedDict()
        self._bytes = 0
        self._timer: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return len(self._kept)

    def keep(self, row_id: int, activity: ActivityDocument, size: int) -> None:
        """It is being stored as this row; its body has `size` bytes."""
        loop = asyncio.get_running_loop()
        self._kept[row_id] = (loop.time() + SECONDS, size, activity)
        self._bytes += size
        while self._bytes > BYTES_MOST:
            self._drop_oldest()
        if self._timer is None:
            self._timer = loop.call_later(SECONDS, self._let_go)

    def take(self, row_id: int) -> ActivityDocument | None:
        """The activity of the row, once; None when it is not remembered."""
        found = self._kept.pop(row_id, None)
        if found is None:
            return None
        _, size, activity = found
        self._bytes -= size
        return activity

    def _drop_oldest(self) -> None:
        _, (_, size, _) = self._kept.popitem(last=False)
        self._bytes -= size

    def _let_go(self) -> None:
        """Of what nobody came for."""
        self._timer = None
        loop = asyncio.get_running_loop()
        while self._kept:
            until = next(iter(self._kept.values()))[0]
            if until > loop.time():
                self._timer = loop.call_at(until, self._let_go)
                return
            self._drop_oldest()
