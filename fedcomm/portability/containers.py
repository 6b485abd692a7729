"""Opens archives that strangers made: zip, tar and tar.gz, bounded whatever they claim about themselves.

What is of use is written into a folder under numbers of ours, with `index.json` saying what was called how: no name
from the archive ever becomes a path here, and links, devices and everything else that is no plain file is left out.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import re
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final, cast

from fedcomm.portability.tables import PortabilityError

CHUNK: Final = 1 << 16
INDEX: Final = "index.json"
MANIFEST_BYTES: Final = 64 << 20
GZIP: Final = b"\x1f\x8b"
"""How what gzip has packed begins; bzip2 and xz, which nobody exports, take much more to unpack."""

TAR_OVERHEAD: Final = 1 << 20
"""Bytes of headers and padding that do not count."""

EXTENSIONS: Final = frozenset(
    {
        *(tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK, tarfile.XHDTYPE, tarfile.XGLTYPE),
        tarfile.SOLARIS_XHDTYPE,
    }
)
EXTENSION_BYTES: Final = 1 << 16


@dataclass(frozen=True, slots=True)
class Bounds:
    """What an archive may unfold to: files in all, bytes in all, and how many times its own size (a zip bomb is small).

    `floor`: bytes that even the smallest archive may hold.
    """

    files: int = 100_000
    bytes: int = 4 << 30
    ratio: int = 30
    floor: int = 16 << 20
    name_characters: int = 500

    def room(self, size: int) -> int:
        """Bytes that an archive of `size` bytes may unfold to."""
        return min(self.bytes, size * self.ratio + self.floor)


BOUNDS: Final = Bounds()

USEFUL: Final = re.compile(
    r"(?:(?:actor|outbox|export|manifest)\.json|(?:avatar|header)\.[A-Za-z0-9]{1,5}"
    r"|(?:following_accounts|blocked_accounts|muted_accounts|blocked_domains|lists)\.csv"
    r"|(?:media_attachments|media)/.+)"
)
"""What is read of a Mastodon archive or of one of ours."""


def unpack(path: Path, folder: Path, bounds: Bounds = BOUNDS) -> dict[str, str]:
    """Write the useful files of the archive into `folder`, which must be empty: names in it by names in the archive.

    Blocks. Raises PortabilityError, and then leaves what it wrote to be removed with the folder.
    """
    room = bounds.room(path.stat().st_size)
    found: dict[str, str] = {}
    read = 0
    try:
        for count, (name, stream) in enumerate(_files(path, bounds), start=1):
            if count > bounds.files:
                raise PortabilityError("the archive holds too many files.")
            wanted = _plain(name, bounds)
            target = None
            if wanted is not None and wanted not in found:
                found[wanted] = f"{len(found):06}"
                target = (folder / found[wanted]).open("xb")
            try:
                while data := stream.read(CHUNK):
                    read += len(data)
                    if read > room:
                        raise PortabilityError("the archive unfolds to far more than it is.")
                    if target is None and wanted is None and isinstance(stream, zipfile.ZipExtFile):
                        break  # Nobody wants it, and a zip can be read past it.
                    if target is not None:
                        target.write(data)
            finally:
                if target is not None:
                    target.close()
    except PortabilityError:
        raise
    except (
        tarfile.TarError, zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError,
        NotImplementedError, RuntimeError,
    ) as error:  # fmt: skip
        raise PortabilityError("the archive is damaged, encrypted or cut off.") from error
    index = folder / f"{INDEX}.new"
    index.write_text(json.dumps(found))
    os.replace(index, folder / INDEX)
    return found


def index_of(folder: Path) -> dict[str, str] | None:
    """What an earlier call has written; None if it did not come to its end."""
    try:
        found = json.loads((folder / INDEX).read_text())
    except (OSError, ValueError):
        return None
    return {str(name): str(file) for name, file in found.items()}


def verify(folder: Path, index: dict[str, str]) -> None:
    """Compare what was unpacked with the manifest, if there is one (ours have). Blocks. Raises PortabilityError."""
    if "manifest.json" not in index:
        return
    place = folder / index["manifest.json"]
    try:
        if place.stat().st_size > MANIFEST_BYTES:
            raise ValueError("too large")
        listed = json.loads(place.read_text("utf-8"))["files"]
        expected = {
            name: (facts["bytes"], facts["sha256"])
            for name, facts in listed.items()
            if USEFUL.fullmatch(name)
        }
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise PortabilityError("the manifest of the archive cannot be read.") from error
    found = {}
    for name, file in index.items():
        if name != "manifest.json":
            with (folder / file).open("rb") as stream:
                digest = hashlib.file_digest(stream, "sha256").hexdigest()
                found[name] = (stream.tell(), digest)
    if found != expected:
        raise PortabilityError("the archive was changed, or files are missing.")


def _files(path: Path, bounds: Bounds) -> Iterator[tuple[str, IO[bytes]]]:
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            for info in archive.infolist():
                # The upper half of the attributes is the mode under Unix: links are none of ours.
                if not info.is_dir() and (info.external_attr >> 28) in (0, 0o10):
                    with archive.open(info) as stream:
                        yield info.filename, stream
        return
    with path.open("rb") as file:
        is_packed = file.read(2) == GZIP
        file.seek(0)
        plain = cast(IO[bytes], gzip.GzipFile(fileobj=file)) if is_packed else file
        counted = _Counted(plain, bounds.room(path.stat().st_size))
        with tarfile.open(fileobj=counted, mode="r|", tarinfo=_Member) as packed:  # type: ignore[call-overload]
            for count, member in enumerate(packed, start=1):
                if count > bounds.files:
                    raise PortabilityError("the archive holds too many files.")
                packed.members.clear()
                if member.isreg():
                    extracted = packed.extractfile(member)
                    assert extracted is not None
                    yield member.name, extracted


class _Counted:
    """What an archive unfolds to, headers and all, until it is too much."""

    def __init__(self, file: IO[bytes], room: int) -> None:
        self._file = file
        self._left = room + TAR_OVERHEAD

    def read(self, size: int) -> bytes:
        data = self._file.read(size)
        self._left -= len(data)
        if self._left < 0:
            raise PortabilityError("the archive unfolds to far more than it is.")
        return data


class _Member(tarfile.TarInfo):
    """An entry whose extended headers are short: `tarfile` reads them into memory whatever their size."""

    def _proc_member(self, archive: tarfile.TarFile) -> Any:
        if self.type in EXTENSIONS and self.size > EXTENSION_BYTES:
            raise tarfile.ReadError("a header has no place in an archive")
        return super()._proc_member(archive)  # type: ignore[misc]


def _plain(name: str, bounds: Bounds) -> str | None:
    name = name.removeprefix("./")
    if len(name) > bounds.name_characters or not name.isprintable():
        return None
    return name if USEFUL.fullmatch(name) else None
