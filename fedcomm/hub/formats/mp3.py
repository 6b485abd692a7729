"""MP3 (ISO/IEC 11172-3, layer III): a chain of frames. What is no frame is not kept: tags, pictures,
lyrics, and whatever else hangs before or after it."""

from __future__ import annotations

from typing import Final

from fedcomm.hub.formats.plan import Bytes, Plan, damaged, milliseconds

_LEAST_FRAMES: Final = 4
_TAGS: Final = 8
_LEFT_OVER: Final = 64 * 1024
"""Bytes after the last frame that are passed over besides a tenth of the file."""

_BITRATES: Final = {
    3: (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    2: (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
_RATES: Final = {3: (44100, 48000, 32000), 2: (22050, 24000, 16000), 0: (11025, 12000, 8000)}


def read(data: Bytes) -> Plan:
    """How to store an MP3 file. Raises Unreadable."""
    start = _after_tags(data)
    at, frames, samples, kind = start, 0, 0, b""
    size = len(data)
    while (frame := _frame(data[at : at + 4])) is not None:
        length, count, found = frame
        if (frames and found != kind) or at + length > size:
            break
        kind, at, frames, samples = found, at + length, frames + 1, samples + count
    if frames < _LEAST_FRAMES or size - at > _LEFT_OVER + size // 10:
        raise damaged()
    version, rate = kind[0], kind[1]
    return Plan(
        *("audio", "audio/mpeg", ".mp3", ((start, at),)),
        duration_ms=milliseconds(samples, _RATES[version][rate]),
    )


def _after_tags(data: Bytes) -> int:
    """Where the frames begin, behind the ID3 tags of version 2."""
    at = 0
    for _ in range(_TAGS):
        head = data[at : at + 10]
        if head[:3] != b"ID3" or len(head) < 10:
            break
        length = 0
        for byte in head[6:10]:
            if byte > 127:
                raise damaged()
            length = length << 7 | byte
        at += 10 + length + (10 if head[5] & 0x10 else 0)
    # Some programs fill up with zeros behind the tag.
    end = min(len(data), at + _LEFT_OVER)
    found = data.find(b"\xff", at, end)
    return found if found >= 0 and not data[at:found].strip(b"\0") else at


def _frame(head: bytes) -> tuple[int, int, bytes] | None:
    """(bytes, samples, what all frames share) of the frame with this header; None if it is none."""
    if len(head) < 4 or head[0] != 0xFF or head[1] & 0xE6 != 0xE2:
        return None
    version, rate = head[1] >> 3 & 3, head[2] >> 2 & 3
    bitrate = head[2] >> 4
    if version == 1 or rate == 3 or bitrate in (0, 15):
        return None
    bits = _BITRATES[3 if version == 3 else 2][bitrate] * 1000
    samples = 1152 if version == 3 else 576
    length = samples // 8 * bits // _RATES[version][rate] + (head[2] >> 1 & 1)
    return length, samples, bytes((version, rate))
