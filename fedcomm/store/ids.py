"""Time-sortable 64-bit ids: 41 bits of milliseconds since 2024, then 22 bits that start at random.

They are the primary keys, the paging keys of every list, and the last part of ActivityPub ids. They
hold
no personal data. Two processes that make ids in the same millisecond collide once in four million
tries; the primary key then refuses the second, whose transaction is tried again.
"""

from __future__ import annotations

import mmap
import secrets
import threading
import time
from typing import Final

EPOCH_MS = 1_704_067_200_000
"""2024-01-01T00:00:00Z in Unix milliseconds."""

TAIL_BITS = 22
MAX_ID = (1 << 63) - 1

_STEP_BITS: Final = 16
"""Two to the power of this: how far behind another process's id of the same millisecond the next one is at most, since
both may look at once."""

_lock = threading.Lock()
_last = 0


class Heights:
    """Memory in which each of `count` processes keeps its newest id, for the others to go on after. Made before they
    are forked. Each writes its own number only, so that none is lost."""

    def __init__(self, count: int) -> None:
        self.newest = memoryview(mmap.mmap(-1, count * 8)).cast("Q")


_heights: Heights | None = None
_number = 0


def go_on_with(heights: Heights, number: int) -> None:
    """Make ids greater than those of the other processes of this server from here on, as process `number` of them: what
    arrives at one of them after another one has answered is later, whatever the clock says."""
    global _heights, _number
    with _lock:
        _heights, _number = heights, number


def new_id(at_ms: int | None = None) -> int:
    """A new id, greater than any made before in this process, and than those that the other processes of this server
    had made, unless `at_ms` (Unix ms) places it in the past."""
    global _last
    if at_ms is not None:
        return first_id_at(at_ms) | secrets.randbits(TAIL_BITS)
    with _lock:
        newest = _last if _heights is None else max(_last, *_heights.newest)
        # The upper half of the tail stays free, so that a burst within one millisecond has room.
        now = time.time_ns() // 1_000_000 - EPOCH_MS
        fresh = (now << TAIL_BITS) | secrets.randbits(TAIL_BITS - 1)
        if fresh > newest:
            _last = fresh
        elif newest >> TAIL_BITS > now:
            # The clock was set back. Other processes go on after the same id: each has its own tails.
            ahead = (newest >> TAIL_BITS) + 1
            _last = (ahead << TAIL_BITS) | secrets.randbits(TAIL_BITS - 1)
        elif newest == _last:
            _last += 1
        else:
            _last = newest + 1 + secrets.randbits(_STEP_BITS)
        if _heights is not None:
            _heights.newest[_number] = _last
        return _last


AHEAD_MS = 86_400_000
"""Ids from further ahead than this are a mistake of somebody's clock, not a reason to go on after them."""


def go_on_after(newest: int) -> None:
    """Make only greater ids from here on: the clock may have been set back since the last start, and queues are worked
    off in the order of their ids."""
    global _last
    with _lock:
        if newest < first_id_at(time.time_ns() // 1_000_000 + AHEAD_MS):
            _last = max(_last, newest)


def milliseconds_of(identifier: int) -> int:
    """The Unix milliseconds at which `identifier` was made."""
    return (identifier >> TAIL_BITS) + EPOCH_MS


def first_id_at(at_ms: int) -> int:
    """The smallest id that can have been made at `at_ms` (Unix ms): the lower edge of a keyset by
    time. A time before 2024 or after 2093 counts as the nearest one between."""
    return min(max(at_ms - EPOCH_MS, 0), MAX_ID >> TAIL_BITS) << TAIL_BITS


def parse_id(text: str) -> int | None:
    """The id that `text` writes in decimal, or None: no sign, no leading zero, no other digits than
    ASCII."""
    if not text.isascii() or not text.isdigit() or len(text) > 19 or text[0] == "0":
        return None
    number = int(text)
    return number if number <= MAX_ID else None


def now_ms() -> int:
    """The wall clock in Unix milliseconds."""
    return time.time_ns() // 1_000_000


def end_of_second_ms() -> int:
    """When the current second ends, in Unix milliseconds: what is asked twice within it is the same question
    (`fedcomm.store.remembered`), and what ends within it is over."""
    return (time.time_ns() // 1_000_000_000 + 1) * 1_000
