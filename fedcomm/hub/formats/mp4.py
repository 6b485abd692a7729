"""MP4 (ISO/IEC 14496-12): boxes in boxes. Only boxes that picture and sound need are kept.

Phones write where and when something was filmed into `udta`, `meta`, `uuid` and into tracks of their
own; `mvhd`, `tkhd` and `mdhd` hold the time. Unknown boxes become `free` boxes of the same size.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from fedcomm.hub.formats.plan import Bytes, Plan, Unreadable, damaged, milliseconds

BRANDS: Final = frozenset(
    {b"isom", b"mp41", b"mp42", b"avc1", b"M4V ", b"M4VH", b"M4VP", b"dash", b"msdh", b"MSNV"}
    | {b"iso%d" % number for number in range(1, 10)}
    | {b"mp71", b"av01", b"hvc1", b"cmfc", b"cmf2", b"f4v "}
)
"""Major brands of video; still pictures (HEIF, AVIF), QuickTime and audio books have others."""

MOVIE_BYTES: Final = 32 * 1024 * 1024
"""The index of a film of many hours is smaller."""

BOXES: Final = 200_000
DEPTH: Final = 10
_SIDE: Final = 16_384

_CONTAINERS: Final[dict[bytes, frozenset[bytes]]] = {
    b"": frozenset({b"ftyp", b"moov", b"mdat", b"moof", b"sidx", b"mfra", b"styp", b"ssix"}),
    b"moov": frozenset({b"mvhd", b"trak", b"mvex"}),
    b"trak": frozenset({b"tkhd", b"edts", b"mdia", b"tref"}),
    b"edts": frozenset({b"elst"}),
    b"mdia": frozenset({b"mdhd", b"hdlr", b"minf", b"elng"}),
    b"minf": frozenset({b"vmhd", b"smhd", b"nmhd", b"dinf", b"stbl"}),
    b"dinf": frozenset({b"dref"}),
    b"stbl": frozenset(
        {b"stsd", b"stts", b"ctts", b"cslg", b"stsc", b"stsz", b"stz2", b"stco", b"co64", b"stss"}
        | {b"stsh", b"sdtp", b"sbgp", b"sgpd", b"subs", b"padb", b"stdp"}
    ),
    b"mvex": frozenset({b"mehd", b"trex", b"leva"}),
    b"moof": frozenset({b"mfhd", b"traf"}),
    b"traf": frozenset({b"tfhd", b"tfdt", b"trun", b"sdtp", b"sbgp", b"sgpd", b"subs"}),
    b"mfra": frozenset({b"tfra", b"mfro"}),
}
"""What each box may hold; boxes that are no key here are kept as they are."""


@dataclass(frozen=True, slots=True)
class _Box:
    kind: bytes
    start: int
    body: int
    end: int


class _Reader:
    def __init__(self, data: Bytes) -> None:
        self._data = data
        self._left = BOXES
        self.blanks: list[tuple[int, int]] = []
        self.patches: list[tuple[int, bytes]] = []
        self.handlers: list[bytes] = []
        self.size: tuple[int, int] | None = None
        self.duration: int | None = None
        self.seen: set[bytes] = set()

    def boxes(self, start: int, end: int) -> Iterator[_Box]:
        """The boxes that fill this range exactly."""
        while start < end:
            self._left -= 1
            head = self._data[start : start + 16]
            if self._left < 0 or end - start < 8:
                raise damaged()
            length, body = int.from_bytes(head[:4], "big"), 8
            if length == 1:
                length, body = int.from_bytes(head[8:16], "big"), 16
            elif length == 0:
                length = end - start
            if length < body or start + length > end:
                raise damaged()
            yield _Box(head[4:8], start, start + body, start + length)
            start += length

    def walk(self, container: bytes, start: int, end: int, depth: int = 0) -> None:
        """Keep what `container` may hold, blank the rest."""
        if depth > DEPTH:
            raise damaged()
        for box in self.boxes(start, end):
            if box.kind not in _CONTAINERS[container]:
                self.patches.append((box.start + 4, b"free"))
                self.blanks.append((box.body, box.end))
                continue
            self.seen.add(box.kind)
            if box.kind in _CONTAINERS:
                if box.end - box.start > MOVIE_BYTES:
                    raise damaged()
                self.walk(box.kind, box.body, box.end, depth + 1)
            else:
                self._leaf(box)

    def _leaf(self, box: _Box) -> None:
        body = self._data[box.body : min(box.end, box.body + 120)]
        match box.kind:
            case b"mvhd" | b"tkhd" | b"mdhd":
                self._header(box, body)
            case b"hdlr":
                if len(body) < 24:
                    raise damaged()
                self.handlers.append(body[8:12])
                self.blanks.append((box.body + 24, box.end))
            case b"dref":
                self._references(box)

    def _header(self, box: _Box, body: bytes) -> None:
        """When something was made is nobody's business; how long and how large it is, is asked here."""
        wide = body[:1] == b"\x01"
        length = {b"mvhd": (100, 112), b"tkhd": (84, 96), b"mdhd": (24, 36)}[box.kind][wide]
        if len(body) < length:
            raise damaged()
        self.blanks.append((box.body + 4, box.body + (20 if wide else 12)))
        if box.kind == b"mvhd":
            at, width = (20, 8) if wide else (12, 4)
            scale = int.from_bytes(body[at : at + 4], "big")
            units = int.from_bytes(body[at + 4 : at + 4 + width], "big")
            if units < (1 << (8 * width)) - 1:
                self.duration = milliseconds(units, scale)
        elif box.kind == b"tkhd":
            tail = body[length - 44 : length]
            across, down = (int.from_bytes(tail[at : at + 2], "big") for at in (36, 40))
            turned = tail[:4] == bytes(4) and tail[4:8] != bytes(4)
            if 0 < across <= _SIDE and 0 < down <= _SIDE and self.size is None:
                self.size = (down, across) if turned else (across, down)

    def _references(self, box: _Box) -> None:
        """The samples are in this file: a player must not be sent anywhere for them."""
        for entry in self.boxes(box.body + 8, box.end):
            if self._data[entry.body + 3 : entry.body + 4] != b"\x01":
                raise damaged()


def read(data: Bytes) -> Plan:
    """How to store an MP4 video. Raises Unreadable."""
    if data[8:12] not in BRANDS:
        raise Unreadable("This kind of MP4 file is not taken: save it as an MP4 video.")
    reader = _Reader(data)
    reader.walk(b"", 0, len(data))
    if not {b"ftyp", b"moov", b"mdat"} <= reader.seen:
        raise damaged()
    if set(reader.handlers) - {b"vide", b"soun"}:
        raise Unreadable(
            "The video carries more than picture and sound (positions, captions or the like)."
            " Export it without, and try again."
        )
    if b"vide" not in reader.handlers:
        raise Unreadable("There is no picture in this video file.")
    width, height = reader.size or (None, None)
    return Plan(
        "video",
        "video/mp4",
        ".mp4",
        ((0, len(data)),),
        tuple(reader.blanks),
        tuple(reader.patches),
        width,
        height,
        reader.duration,
    )
