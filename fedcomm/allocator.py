"""What the C library's allocator does with large blocks once they are free."""

from __future__ import annotations

import functools
from typing import Final

M_MMAP_THRESHOLD: Final = -3
"""mallopt(3): blocks of so many bytes and more are mapped by themselves."""

LARGE_BYTES: Final = 1 << 20


@functools.cache
def return_large_blocks() -> bool:
    """From now on a block of a megabyte or more goes back to the system once it is free. True if it could be arranged.

    glibc keeps a pool for each thread, and learns from the first large block that is freed to keep the next ones: the
    19 MiB in which a password was hashed would stay with every thread that ever hashed one. To get them anew costs 9 ms
    of the system's time, beside the 20 that hashing takes. Elsewhere nothing happens.
    """
    import ctypes

    try:
        return bool(ctypes.CDLL(None).mallopt(M_MMAP_THRESHOLD, LARGE_BYTES))
    except (AttributeError, OSError, TypeError):  # Another C library.
        return False
