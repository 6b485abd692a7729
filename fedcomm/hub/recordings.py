"""Takes sound, video and documents that somebody sent, and stores what may be served of them (security.md §9).

What a file is, its first bytes say. Sound and video are kept as they are encoded, without what they
tell of their maker (`fedcomm.hub.formats`); nothing is decoded. Documents are stored as they came and
only ever handed out as downloads. Files get random names; what they were called is kept as text.
"""

from __future__ import annotations

import asyncio
import hashlib
import mmap
import os
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final, Literal, TypeAlias

from fedcomm.hub.formats.plan import Bytes, Plan, Unreadable
from fedcomm.hub.image_headers import read_header
from fedcomm.late import Late
from fedcomm.store import disk

Kind = Literal["image", "audio", "video", "document"]
Family: TypeAlias = Literal["image", "mp4", "webm", "ogg", "mp3", "flac", "pdf", "text"]

HEAD_BYTES: Final = 64 * 1024
"""Bytes by which the family of a file is told; a JPEG's size may stand far behind its beginning."""

TEXT_SUFFIXES: Final = frozenset({".txt", ".md", ".csv"})
"""Plain text has no first bytes: what a file is called counts, and what is in it."""

COPY_BYTES: Final = 1024 * 1024
_PDF_END: Final = 2048
_TEXT_CONTROLS: Final = frozenset(range(32)) - {9, 10, 12, 13}

_READERS: Final[dict[str, Late]] = {
    family: Late(f"fedcomm.hub.formats.{family}")
    for family in ("mp4", "webm", "ogg", "mp3", "flac")
}
"""The modules that read them, each with `read(data: Bytes) -> Plan`."""

_USUALLY: Final[dict[Family, Kind]] = {
    "image": "image",
    "mp4": "video",
    "webm": "video",
    "ogg": "audio",
    "mp3": "audio",
    "flac": "audio",
    "pdf": "document",
    "text": "document",
}


@dataclass(frozen=True, slots=True)
class RecordingLimits:
    """How large a file may be, in bytes; 0: none of its kind is taken."""

    video: int = 100 * 1024 * 1024
    audio: int = 100 * 1024 * 1024
    document: int = 16 * 1024 * 1024

    def of(self, kind: Kind) -> int:
        """The most bytes of a file of this kind."""
        return {"video": self.video, "audio": self.audio, "document": self.document}.get(kind, 0)


@dataclass(frozen=True, slots=True)
class Recording:
    """A file that was stored. `sha256` is that of the bytes which came."""

    path: Path
    kind: Kind
    mime: str
    size: int
    sha256: str
    width: int | None = None
    height: int | None = None
    duration_ms: int | None = None


def family_of(head: bytes, name: str) -> Family | None:
    """What a file is by its first bytes; by what it is called only whether it is text."""
    if read_header(head) is not None:
        return "image"
    if head[4:8] == b"ftyp":
        return "mp4"
    if head.startswith(b"\x1a\x45\xdf\xa3"):
        return "webm"
    if head.startswith(b"OggS"):
        return "ogg"
    if head.startswith(b"fLaC"):
        return "flac"
    if head.startswith(b"ID3") or (len(head) > 1 and head[0] == 0xFF and head[1] & 0xE6 == 0xE2):
        return "mp3"
    if head.startswith(b"%PDF-"):
        return "pdf"
    return "text" if Path(name).suffix.lower() in TEXT_SUFFIXES else None


def kind_of(family: Family) -> Kind:
    """What such a file is usually; a WebM file may be sound alone."""
    return _USUALLY[family]


async def store(
    file: IO[bytes], family: Family, folder: Path, limits: RecordingLimits
) -> Recording:
    """Store what may be served of `file`, durably, in `folder`; commit the row afterwards.

    `family` as its first bytes say, not an image. Raises Unreadable with a sentence for the sender, OSError if it
    cannot be stored.
    """
    return await asyncio.to_thread(_store, file, family, folder, limits)


def digest(file: IO[bytes]) -> str:
    """SHA-256 of the file, in hex."""
    file.seek(0)
    return hashlib.file_digest(file, "sha256").hexdigest()  # type: ignore[arg-type]


def size_of(file: IO[bytes]) -> int:
    """Bytes of the file."""
    return file.seek(0, os.SEEK_END)


def _store(file: IO[bytes], family: Family, folder: Path, limits: RecordingLimits) -> Recording:
    size = size_of(file)
    most = limits.of(kind_of(family))
    if not most:
        raise Unreadable("Files of this kind are not taken here.")
    if not 0 < size <= most:
        raise Unreadable("The file is too large.")
    with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        if family in _READERS:
            plan: Plan = _READERS[family].read(data)
            return _written(data, plan, plan.kind, folder)
        if family == "pdf":
            mime, suffix = _pdf(data, size)
        else:
            mime, suffix = _text(data)
        plan = Plan("video", mime, suffix, ((0, size),))
        return _written(data, plan, "document", folder)


def _pdf(data: Bytes, size: int) -> tuple[str, str]:
    if b"%%EOF" not in data[max(0, size - _PDF_END) : size]:
        raise Unreadable("The file could not be read. It may be damaged.")
    return "application/pdf", ".pdf"


def _text(data: Bytes) -> tuple[str, str]:
    raw = data[0 : len(data)]
    try:
        raw.decode()
    except UnicodeDecodeError:
        raise Unreadable("A text file has to be plain text in UTF-8.") from None
    if not _TEXT_CONTROLS.isdisjoint(raw):
        raise Unreadable("A text file has to be plain text in UTF-8.")
    return "text/plain", ".txt"


def _written(data: mmap.mmap, plan: Plan, kind: Kind, folder: Path) -> Recording:
    """Write the file: temporary name, fsync, rename, fsync of the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{secrets.token_hex(16)}{plan.suffix}"
    temporary = path.with_suffix(".part")
    try:
        with temporary.open("xb") as out:
            for start, end in plan.kept:
                for at in range(start, end, COPY_BYTES):
                    out.write(data[at : min(end, at + COPY_BYTES)])
            for start, end in plan.blanks:
                out.seek(start)
                for at in range(start, end, COPY_BYTES):
                    out.write(bytes(min(end, at + COPY_BYTES) - at))
            for start, patch in plan.patches:
                out.seek(start)
                out.write(patch)
            out.flush()
            os.fsync(out.fileno())
        temporary.replace(path)
        disk.sync(folder)
    except OSError:
        temporary.unlink(missing_ok=True)
        path.unlink(missing_ok=True)
        raise
    return Recording(
        path,
        kind,
        plan.mime,
        path.stat().st_size,
        hashlib.sha256(data).hexdigest(),
        plan.width,
        plan.height,
        plan.duration_ms,
    )
