"""The room that is left on the disk, and when to stop before it is gone (product.md O2).

The database needs room to grow and to tidy up: what can be fetched again, and what is large, stops while there is
still some. Caches of other servers' files stop first, members' files with them; words go on.
"""

from __future__ import annotations

import shutil
import time
from pathlib import Path
from typing import Final

from fedcomm.hub.errors import Invalid

LOOK_S: Final = 5.0
"""How long the free room is believed: asking the system for each file would be for nothing."""


class NoRoom(Invalid):
    """The disk is nearly full; the message is for the member."""


class Space:
    """The disk on which `folder` is, of which `keep_free` bytes stay free."""

    def __init__(self, folder: Path, keep_free: int) -> None:
        self._folder = folder
        self._keep_free = keep_free
        self._looked = float("-inf")
        self._free = 0

    def free(self) -> int:
        """Bytes that this process may still write, as it was a moment ago."""
        now = time.monotonic()
        if now - self._looked > LOOK_S:
            self._looked, self._free = now, free_bytes(self._folder)
        return self._free

    def is_short(self, size: int = 0) -> bool:
        """Whether a file of `size` bytes would use what is to stay free."""
        return self._keep_free > 0 and self.free() - size < self._keep_free

    def require(self, size: int) -> None:
        """Raises NoRoom unless a member's file of `size` bytes may be stored."""
        if self.is_short(size):
            raise NoRoom(
                "media",
                "The disk of this community is nearly full, so no files are taken at the moment."
                " Text alone can be sent.",
            )


def free_bytes(folder: Path) -> int:
    """Free bytes of the disk that holds `folder`, or would hold it."""
    place = folder
    while not place.exists() and place != place.parent:
        place = place.parent
    return shutil.disk_usage(place).free
