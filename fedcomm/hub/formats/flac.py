"""FLAC (RFC 9639): blocks of metadata, then frames. Of the blocks only what a player needs is kept."""

from __future__ import annotations

from typing import Final

from fedcomm.hub.formats.plan import Bytes, Plan, damaged, milliseconds

_BLOCKS: Final = 128
_FIRST: Final = frozenset({b"\0\0\0\x22", b"\x80\0\0\x22"})
"""The header of the description of the stream, which is the first block: 34 bytes."""


def read(data: Bytes) -> Plan:
    """How to store a FLAC file. Raises Unreadable."""
    size = len(data)
    info = data[8:42]
    if data[4:8] not in _FIRST or len(info) < 34:
        raise damaged()
    at, last = 4, False
    for _ in range(_BLOCKS):
        head = data[at : at + 4]
        if len(head) < 4:
            raise damaged()
        last = bool(head[0] & 0x80)
        at += 4 + int.from_bytes(head[1:4], "big")
        if last:
            break
    sync = data[at : at + 2]
    if not last or len(sync) < 2 or sync[0] != 0xFF or sync[1] & 0xFE != 0xF8:
        raise damaged()
    end = size - 128 if size - at > 128 and data[size - 128 : size - 125] == b"TAG" else size
    packed = int.from_bytes(info[10:18], "big")
    return Plan(
        *("audio", "audio/flac", ".flac", ((0, 42), (at, end))),
        # The description of the stream is now the last block.
        patches=((4, b"\x80"),),
        duration_ms=milliseconds(packed & (1 << 36) - 1, packed >> 44),
    )
