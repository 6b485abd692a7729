"""Ogg (RFC 3533) with Vorbis or Opus: pages with checksums. The comments are emptied in place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from fedcomm.hub.formats.plan import Bytes, Plan, Unreadable, damaged, milliseconds

_VORBIS: Final = b"\x01vorbis"
_OPUS: Final = b"OpusHead"
_COMMENTS: Final = {_VORBIS: b"\x03vorbis", _OPUS: b"OpusTags"}
_NO_COMMENTS: Final = {_VORBIS: bytes(8) + b"\x01", _OPUS: bytes(8)}
"""A vendor without a name, and no comments; Vorbis ends with a set bit."""

_PAGES: Final = 2_000_000
_COMMENT_BYTES: Final = 16 * 1024 * 1024
_OPUS_RATE: Final = 48_000


@dataclass(frozen=True, slots=True)
class _Page:
    start: int
    body: int
    end: int
    flags: int
    granule: int
    serial: bytes
    lacing: bytes


def read(data: Bytes) -> Plan:
    """How to store an Ogg file with sound. Raises Unreadable."""
    size = len(data)
    first = _page(data, 0)
    head = data[first.body : first.end]
    codec = next((magic for magic in (_VORBIS, _OPUS) if head.startswith(magic)), None)
    if codec is None or first.flags & 0x07 != 0x02 or len(first.lacing) != 1 or len(head) < 19:
        raise Unreadable("Of Ogg files only Vorbis and Opus sound is taken.")
    pages, last = _pages(data, first, size)
    patches = _without_comments(data, pages, codec)
    if codec == _OPUS:
        rate, skipped = _OPUS_RATE, int.from_bytes(head[10:12], "little")
    else:
        rate, skipped = int.from_bytes(head[12:16], "little"), 0
    return Plan(
        *("audio", "audio/ogg", ".ogg", ((0, size),)),
        patches=patches,
        duration_ms=milliseconds(last - skipped, rate),
    )


def _page(data: Bytes, at: int) -> _Page:
    head = data[at : at + 27]
    if len(head) < 27 or head[:5] != b"OggS\0":
        raise damaged()
    lacing = data[at + 27 : at + 27 + head[26]]
    body = at + 27 + head[26]
    granule = int.from_bytes(head[6:14], "little", signed=True)
    return _Page(at, body, body + sum(lacing), head[5], granule, head[14:18], lacing)


def _pages(data: Bytes, first: _Page, size: int) -> tuple[list[_Page], int]:
    """The pages up to the end of the comments, and the last position in samples."""
    heads: list[_Page] = []
    packets = last = 0
    at = first.end
    for _ in range(_PAGES):
        if at == size:
            break
        page = _page(data, at)
        if page.end > size or page.serial != first.serial or page.flags & 0x02:
            # Several streams, beside or after each other: a video, or files that were glued together.
            raise Unreadable("Of Ogg files only Vorbis and Opus sound is taken.")
        if not packets:
            heads.append(page)
            packets = sum(length < 255 for length in page.lacing)
        if page.granule > 0:
            last = page.granule
        at = page.end
    if at != size or not packets:
        raise damaged()
    return heads, last


def _without_comments(
    data: Bytes, pages: list[_Page], codec: bytes
) -> tuple[tuple[int, bytes], ...]:
    """The first packet of these pages, emptied, with the checksums of the pages that it is on."""
    pieces: list[tuple[_Page, int]] = []
    for page in pages:
        length = 0
        for lace in page.lacing:
            length += lace
            if lace < 255:
                break
        pieces.append((page, length))
    total = sum(length for _, length in pieces)
    magic, nothing = _COMMENTS[codec], _NO_COMMENTS[codec]
    if not len(magic) + len(nothing) <= total <= _COMMENT_BYTES:
        raise damaged()
    if data[pages[0].body : pages[0].body + len(magic)] != magic:
        raise damaged()
    packet = (magic + nothing).ljust(total, b"\0")
    patches: list[tuple[int, bytes]] = []
    for page, length in pieces:
        mine, packet = packet[:length], packet[length:]
        raw = bytearray(data[page.start : page.end])
        offset = page.body - page.start
        raw[offset : offset + length] = mine
        raw[22:26] = bytes(4)
        raw[22:26] = _checksum(bytes(raw)).to_bytes(4, "little")
        patches.append((page.start, bytes(raw)))
    return tuple(patches)


def _table() -> list[int]:
    table = []
    for byte in range(256):
        value = byte << 24
        for _ in range(8):
            value = (value << 1 ^ 0x04C11DB7) if value & 0x80000000 else value << 1
        table.append(value & 0xFFFFFFFF)
    return table


_TABLE: Final = _table()


def _checksum(raw: bytes) -> int:
    """The CRC of a page (RFC 3533, section 6)."""
    value = 0
    for byte in raw:
        value = (value << 8 & 0xFFFFFFFF) ^ _TABLE[value >> 24 ^ byte]
    return value
