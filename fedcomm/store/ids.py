"""Time-sortable 64-bit ids: 41 bits of milliseconds since 2024, then 22 bits that start at random.

They are the primary keys, the paging keys of every list, and the last part of ActivityPub ids. They
hold
no personal data. Two processes that make ids in the same millisecond collide once in four million
tries; the primary key then refuses the second, whose transaction is tried again.
"""

from __future__ import annotations

import secrets
import threading
import time

EPOCH_MS = 1_704_067_200_000
"""2024-01-01T00:00:00Z in Unix milliseconds."""

TAIL_BITS = 22
_TAIL_SIZE = 1 << TAIL_BITS
MAX_ID = (1 << 63) - 1

_lock = threading.Lock()
_last = 0


def new_id(at_ms: int | None = None) -> int:
    """A new id, greater than any made before in this process unless `at_ms` (Unix ms) places it in
    the past."""
    global _last
    if at_ms is not None:
        return first_id_at(at_ms) | secrets.randbelow(_TAIL_SIZE)
    with _lock:
        # The upper half of the tail stays free, so that a burst within one millisecond has room.
        now = time.time_ns() // 1_000_000 - EPOCH_MS
        fresh = (now << TAIL_BITS) | secrets.randbelow(_TAIL_SIZE // 2)
        if fresh > _last:
            _last = fresh
        elif _last >> TAIL_BITS > now:
            # The clock was set back. Other processes go on after the same id: each has its own tails.
            ahead = (_last >> TAIL_BITS) + 1
            _last = (ahead << TAIL_BITS) | secrets.randbelow(_TAIL_SIZE // 2)
        else:
            _last += 1
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
