"""WebM (Matroska in EBML, RFC 8794 and RFC 9559): elements in elements.

Tags, chapters, attachments, titles, names and dates become `Void` elements of the same size, so that
the index still fits. Browsers record with elements of unknown length; those are read as well.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from fedcomm.hub.formats.plan import Bytes, Plan, Unreadable, damaged, milliseconds

_EBML: Final = 0x1A45DFA3
_DOCTYPE: Final = 0x4282
_SEGMENT: Final = 0x18538067
_SEEK_HEAD: Final = 0x114D9B74
_INFO: Final = 0x1549A966
_TRACKS: Final = 0x1654AE6B
_CLUSTER: Final = 0x1F43B675
_CUES: Final = 0x1C53BB6B
_VOID: Final = 0xEC
_CRC: Final = 0xBF
_BLANKED: Final = frozenset({0x1254C367, 0x1941A469, 0x1043A770, _VOID, _CRC})
"""Tags, attachments, chapters; and checksums of what changes."""

_CLUSTER_PARTS: Final = frozenset({0xE7, 0xA3, 0xA0, 0xA7, 0xAB, 0x5854, 0xAF, _VOID, _CRC})
_INFO_KEPT: Final = frozenset({0x2AD7B1, 0x4489})
_INFO_EMPTIED: Final = frozenset({0x4D80, 0x5741})
"""Names of programs: they must be there, and may be empty."""

_TRACK: Final = 0xAE
_TRACK_KEPT: Final = frozenset(
    {0xD7, 0x73C5, 0x83, 0xB9, 0x88, 0x55AA, 0x9C, 0x6DE7, 0x6DF8, 0x23E383, 0x234E7A, 0x55EE}
    | {0x22B59C, 0x86, 0x63A2, 0xAA, 0x56AA, 0x56BB, 0xE0, 0xE1, 0x6D80, 0x537F}
)
"""Number, UID, type, flags, durations, language, codec and its parameters, video, audio, encodings."""

_VIDEO: Final = 0xE0
_ELEMENTS: Final = 2_000_000
_HEAD_BYTES: Final = 4 * 1024 * 1024
_SIDE: Final = 16_384
_UNKNOWN: Final = -1


@dataclass(frozen=True, slots=True)
class _Element:
    id: int
    start: int
    body: int
    end: int
    """First byte after it; `_UNKNOWN` where it does not say."""


class _Reader:
    def __init__(self, data: Bytes) -> None:
        self._data = data
        self._left = _ELEMENTS
        self.blanks: list[tuple[int, int]] = []
        self.patches: list[tuple[int, bytes]] = []
        self.kinds: list[int] = []
        self.width: int | None = None
        self.height: int | None = None
        self.scale = 1_000_000
        self.units = 0.0
        self.clusters = 0

    def element(self, at: int, end: int) -> _Element:
        """The element that begins at `at`."""
        self._left -= 1
        head = self._data[at : at + 12]
        if self._left < 0 or not head:
            raise damaged()
        id_length = 9 - head[0].bit_length()
        if id_length > 4 or len(head) < id_length + 1 or not head[id_length]:
            raise damaged()
        size_length = 9 - head[id_length].bit_length()
        body = id_length + size_length
        if size_length > 8 or len(head) < body:
            raise damaged()
        size = int.from_bytes(head[id_length:body], "big") & ((1 << (7 * size_length)) - 1)
        finish = at + body + size
        if size == (1 << (7 * size_length)) - 1:
            finish = _UNKNOWN
        elif finish > end:
            raise damaged()
        return _Element(int.from_bytes(head[:id_length], "big"), at, at + body, finish)

    def children(self, parent: _Element) -> Iterator[_Element]:
        """The elements that fill a small parent exactly."""
        if parent.end == _UNKNOWN or parent.end - parent.body > _HEAD_BYTES:
            raise damaged()
        at = parent.body
        while at < parent.end:
            child = self.element(at, parent.end)
            if child.end == _UNKNOWN:
                raise damaged()
            yield child
            at = child.end

    def number(self, element: _Element) -> int:
        return int.from_bytes(self._data[element.body : element.end][:8], "big")

    def void(self, element: _Element) -> None:
        """Write a `Void` element of the same size over this one."""
        length = element.end - element.start
        size_length = 1 if length - 2 <= 126 else 8
        content = length - 1 - size_length
        size = (content | 1 << (7 * size_length)).to_bytes(size_length, "big")
        self.blanks.append((element.start + 1 + size_length, element.end))
        self.patches.append((element.start, b"\xec" + size))

    def segment(self, at: int, end: int) -> None:
        """The parts of the one segment, one after the other."""
        while at < end:
            part = self.element(at, end)
            if part.id == _CLUSTER:
                self.clusters += 1
                # Of unknown length: its parts follow as if they were ours.
                at = part.body if part.end == _UNKNOWN else part.end
                continue
            if part.end == _UNKNOWN:
                raise damaged()
            if part.id in _BLANKED:
                self.void(part)
            elif part.id == _INFO:
                self._info(part)
            elif part.id == _TRACKS:
                self._tracks(part)
            elif part.id not in (_SEEK_HEAD, _CUES) and part.id not in _CLUSTER_PARTS:
                raise damaged()
            at = part.end

    def _info(self, info: _Element) -> None:
        for child in self.children(info):
            if child.id == 0x2AD7B1:
                self.scale = self.number(child)
            elif child.id == 0x4489:
                self.units = _float(self._data[child.body : child.end])
            elif child.id in _INFO_EMPTIED:
                self.blanks.append((child.body, child.end))
            if child.id not in _INFO_KEPT | _INFO_EMPTIED:
                self.void(child)

    def _tracks(self, tracks: _Element) -> None:
        for entry in self.children(tracks):
            if entry.id != _TRACK:
                self.void(entry)
                continue
            for child in self.children(entry):
                if child.id == 0x83:
                    self.kinds.append(self.number(child))
                elif child.id == _VIDEO:
                    self._video(child)
                elif child.id not in _TRACK_KEPT:
                    self.void(child)

    def _video(self, video: _Element) -> None:
        for child in self.children(video):
            if child.id == 0xB0:
                self.width = self.number(child)
            elif child.id == 0xBA:
                self.height = self.number(child)


def read(data: Bytes) -> Plan:
    """How to store a WebM file. Raises Unreadable."""
    reader = _Reader(data)
    size = len(data)
    header = reader.element(0, size)
    kinds = [child for child in reader.children(header) if child.id == _DOCTYPE]
    if header.id != _EBML or not kinds:
        raise damaged()
    if data[kinds[0].body : kinds[0].end].rstrip(b"\0") != b"webm":
        raise Unreadable("This kind of Matroska file is not taken: save it as a WebM video.")
    segment = reader.element(header.end, size)
    if segment.id != _SEGMENT or segment.end not in (_UNKNOWN, size):
        raise damaged()
    reader.segment(segment.body, size)
    if not reader.clusters or not reader.kinds:
        raise damaged()
    if set(reader.kinds) - {1, 2}:
        raise Unreadable(
            "The video carries more than picture and sound (positions, captions or the like)."
            " Export it without, and try again."
        )
    whole = ((0, size),)
    duration = milliseconds(reader.units * reader.scale, 1_000_000_000)
    blanks, patches = tuple(reader.blanks), tuple(reader.patches)
    if 1 not in reader.kinds:
        return Plan(*("audio", "audio/webm", ".weba", whole, blanks, patches), duration_ms=duration)
    width, height = reader.width or 0, reader.height or 0
    sized = 0 < width <= _SIDE and 0 < height <= _SIDE
    return Plan(
        *("video", "video/webm", ".webm", whole, blanks, patches),
        width=width if sized else None,
        height=height if sized else None,
        duration_ms=duration,
    )


def _float(raw: bytes) -> float:
    if len(raw) not in (4, 8):
        return 0.0
    (found,) = struct.unpack(">f" if len(raw) == 4 else ">d", raw)
    return float(found) if 0 < found < 1e15 else 0.0
