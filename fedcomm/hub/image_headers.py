"""Which kind of image some bytes are, and how large, read from their first bytes alone.

Nothing is decoded: this runs before any decoder sees the bytes (INV-33), so that a small file that
promises a huge picture costs nothing. The names and types that a sender claims are not asked.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

Kind = Literal["JPEG", "PNG", "GIF", "WEBP"]

_PNG: Final = b"\x89PNG\r\n\x1a\n"
_JPEG_SIZES: Final = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
"""Markers of a frame header, which holds the size (ITU T.81, table B.1)."""
_JPEG_ALONE: Final = frozenset({0x01, *range(0xD0, 0xD8)})
"""Markers without a length."""
_JPEG_SEGMENTS: Final = 2_000
"""Segments looked at before the frame header; real files have a few dozen."""


@dataclass(frozen=True, slots=True)
class Header:
    """Kind and size in pixels, as the file says."""

    kind: Kind
    width: int
    height: int


def read_header(data: bytes) -> Header | None:
    """Return what ``data`` says it is; None if it is not of an allowed kind or has no size."""
    if data.startswith(_PNG):
        header = _png(data)
    elif data.startswith((b"GIF87a", b"GIF89a")):
        header = _gif(data)
    elif data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        header = _webp(data)
    elif data.startswith(b"\xff\xd8\xff"):
        header = _jpeg(data)
    else:
        header = None
    return header if header is not None and header.width > 0 and header.height > 0 else None


def _png(data: bytes) -> Header | None:
    if len(data) < 33 or data[12:16] != b"IHDR":
        return None
    return Header("PNG", _big(data[16:20]), _big(data[20:24]))


def _gif(data: bytes) -> Header | None:
    if len(data) < 13:
        return None
    return Header("GIF", _little(data[6:8]), _little(data[8:10]))


def _webp(data: bytes) -> Header | None:
    if len(data) < 30:
        return None
    chunk, body = data[12:16], data[20:30]
    if chunk == b"VP8X":
        return Header("WEBP", _little(body[4:7]) + 1, _little(body[7:10]) + 1)
    if chunk == b"VP8 " and body[3:6] == b"\x9d\x01\x2a":
        return Header("WEBP", _little(body[6:8]) & 0x3FFF, _little(body[8:10]) & 0x3FFF)
    if chunk == b"VP8L" and body[0] == 0x2F:
        bits = _little(body[1:5])
        return Header("WEBP", (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1)
    return None


def _jpeg(data: bytes) -> Header | None:
    position = 2
    for _ in range(_JPEG_SEGMENTS):
        while data[position : position + 2] == b"\xff\xff":  # fill bytes
            position += 1
        if len(data) < position + 9 or data[position] != 0xFF:
            return None
        marker = data[position + 1]
        if marker in _JPEG_ALONE:
            position += 2
            continue
        if marker in _JPEG_SIZES:
            height, width = (
                _big(data[position + 5 : position + 7]),
                _big(data[position + 7 : position + 9]),
            )
            return Header("JPEG", width, height)
        length = _big(data[position + 2 : position + 4])
        if length < 2:
            return None
        position += 2 + length
    return None


def _big(data: bytes) -> int:
    return int.from_bytes(data, "big")


def _little(data: bytes) -> int:
    return int.from_bytes(data, "little")
