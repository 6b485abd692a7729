"""Slates: memory that the processes of one server share, on which each writes its figures for the others to read.

Whoever asks for figures gets an answer of one process, of which nobody knows; it adds up what all of them have counted.
"""

from __future__ import annotations

import asyncio
import json
import mmap
import struct
import zlib
from typing import Any, Final

from fedcomm.store import figures

EVERY_S: Final = 1.0
"""How often a process writes: what it tells of the others is as old."""

SLATE_BYTES: Final = 1 << 16
"""Room for one text; the figures of a process take some kilobytes."""

_HEADER: Final = struct.Struct("<II")


class Slates:
    """The slates of `count` processes. Made before they are forked."""

    def __init__(self, count: int) -> None:
        self.count = count
        self._memory = mmap.mmap(-1, count * SLATE_BYTES)

    def write(self, number: int, found: dict[str, Any]) -> None:
        """Write on the slate of this number what stands there from now on; nothing if it has no room there."""
        text = json.dumps(found, separators=(",", ":")).encode()
        if len(text) > SLATE_BYTES - _HEADER.size:
            return
        at = number * SLATE_BYTES
        # Whoever reads in the middle of it sees by the sum that it is half of one and half of the other.
        self._memory[at : at + _HEADER.size + len(text)] = (
            _HEADER.pack(len(text), zlib.crc32(text)) + text
        )

    def read(self, number: int) -> dict[str, Any] | None:
        """What stands there; None if nothing does, or somebody is writing at this moment."""
        at = number * SLATE_BYTES
        length, check = _HEADER.unpack(self._memory[at : at + _HEADER.size])
        if not 0 < length <= SLATE_BYTES - _HEADER.size:
            return None
        text = self._memory[at + _HEADER.size : at + _HEADER.size + length]
        if zlib.crc32(text) != check:
            return None
        found: dict[str, Any] = json.loads(text)
        return found


class Slate:
    """The slate of one process among those of the others."""

    def __init__(self, slates: Slates, number: int) -> None:
        self.number = number
        self._slates = slates
        self._read: dict[int, dict[str, Any]] = {}

    def write(self) -> None:
        """Tell the others what this process has counted and measured."""
        self._slates.write(self.number, figures.state())

    def others(self) -> dict[int, dict[str, Any]]:
        """What the other processes have written, by their numbers."""
        for number in range(self._slates.count):
            found = self._slates.read(number) if number != self.number else None
            if found is not None:
                # A sum never goes back because somebody was just writing.
                self._read[number] = found
        return dict(self._read)


async def keep(slate: Slate) -> None:
    """Write the figures of this process on its slate, until cancelled."""
    while True:
        slate.write()
        await asyncio.sleep(EVERY_S)
