"""Tar archives that end with their own manifest: the form of backups and of exports of the site.

The first file says what the archive is; the last, `manifest.json`, has size and SHA-256 of every file before it. An
archive that is cut off, that has one byte changed, or that holds anything without a place in it is refused whole.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import IO, Any, Final

CHUNK: Final = 1 << 20
MANIFEST: Final = "manifest.json"
ABOUT_BYTES: Final = 1 << 16
MANIFEST_BYTES: Final = 1 << 30
"""Some hundred bytes for each file: a hub may have millions."""

Told = Callable[[str, int], None]
"""Called with what is being done and how much of it was just done."""


def nobody(_what: str, _count: int) -> None:
    """Is told nothing."""


@dataclass(frozen=True, slots=True)
class Layout:
    """What archives of one kind hold: files by name, and any file below the `folders` (which end with a slash).

    `about` is the name of the first file, `noun` what people call such an archive. Whatever is wrong with one is
    raised as `error`, with words for operators.
    """

    noun: str
    about: str
    files: frozenset[str]
    folders: tuple[str, ...]
    error: type[Exception]

    def has_place_for(self, name: str) -> bool:
        """Whether a file of this name belongs in it. Only names that mean one path, below where it is unpacked."""
        path = PurePosixPath(name)
        if path.is_absolute() or ".." in path.parts or str(path) != name:
            return False
        return name in (self.about, MANIFEST, *self.files) or name.startswith(self.folders)


@dataclass(frozen=True, slots=True)
class File:
    """One file of an archive. `sha256`: hexadecimal digits."""

    bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Contents:
    """What an archive says it is, its manifest, and what was found in it, by name."""

    about: dict[str, Any]
    manifest: dict[str, Any]
    files: dict[str, File]


@dataclass(slots=True)
class _Hashed:
    """A file that is read once: notes its size and digest."""

    file: IO[bytes]
    told: Callable[[int], None] = lambda count: None
    count: int = 0
    digest: Any = field(default_factory=hashlib.sha256)

    def read(self, size: int = -1) -> bytes:
        data = self.file.read(size)
        self.digest.update(data)
        self.count += len(data)
        self.told(len(data))
        return data

    def found(self) -> File:
        return File(self.count, self.digest.hexdigest())


class Writer:
    """Writes an archive into `file`, in one pass."""

    def __init__(self, file: IO[bytes], layout: Layout, about: dict[str, Any]) -> None:
        self._tar = tarfile.open(fileobj=file, mode="w|", format=tarfile.PAX_FORMAT)  # noqa: SIM115
        self.files: dict[str, File] = {}
        self.add_document(layout.about, about)

    def add(self, name: str, stream: IO[bytes], *, told: Told = nobody) -> None:
        """Put a file in; its size is what it is now."""
        info = tarfile.TarInfo(name)
        info.size, info.mode = stream.seek(0, os.SEEK_END), 0o600
        stream.seek(0)
        reader = _Hashed(stream, lambda count: told(name, count))
        self._tar.addfile(info, reader)
        self.files[name] = reader.found()

    def add_document(self, name: str, document: dict[str, Any]) -> None:
        """Put a JSON document in."""
        self.add(name, io.BytesIO(json.dumps(document, ensure_ascii=False, indent=1).encode()))

    def close(self, **more: Any) -> None:
        """Write the manifest, with `more` in it besides the files, and the archive's end."""
        listed = {
            name: {"bytes": file.bytes, "sha256": file.sha256} for name, file in self.files.items()
        }
        self.add_document(MANIFEST, {"files": listed, **more})
        self._tar.close()


def read(path: Path, layout: Layout, *, told: Told = nobody) -> Contents:
    """Read a whole archive and compare every byte with its manifest. Raises the layout's error."""
    return _whole(path, layout, told, None)


def unpack(path: Path, folder: Path, layout: Layout, *, told: Told = nobody) -> Contents:
    """Write the files of an archive into `folder`, on the disk, and compare every byte with its manifest, also of one
    that was read a moment ago: it may have been changed since. Raises the layout's error."""
    return _whole(path, layout, told, folder)


def _whole(path: Path, layout: Layout, told: Told, folder: Path | None) -> Contents:
    files: dict[str, File] = {}
    documents: dict[str, dict[str, Any]] = {}
    try:
        for name, stream in _members(path, layout):
            if MANIFEST in documents:
                raise layout.error("something stands behind its manifest.")
            if name in files:
                raise layout.error(f"{name} stands in it twice.")
            reader = _Hashed(stream, lambda count, name=name: told(name, count))  # type: ignore[misc]
            kept = io.BytesIO() if name in (layout.about, MANIFEST) else None
            for data in _pieces(reader, folder / name if folder and kept is None else None):
                if kept is not None:
                    kept.write(data)
                    if kept.tell() > (MANIFEST_BYTES if name == MANIFEST else ABOUT_BYTES):
                        raise layout.error(f"{name} is too large.")
            if kept is not None:
                documents[name] = _document(kept.getvalue())
            if name != MANIFEST:
                files[name] = reader.found()
    except layout.error as error:
        raise layout.error(f"{path} cannot be used: {error}") from error
    except (tarfile.TarError, ValueError, EOFError) as error:
        raise layout.error(
            f"{path} cannot be used: it is no {layout.noun}, or cut off ({error})."
        ) from error
    except OSError as error:
        done = "read" if folder is None else "unpacked"
        raise layout.error(f"{path} cannot be {done}: {error}") from error
    if layout.about not in documents or MANIFEST not in documents:
        raise layout.error(f"{path} cannot be used: its end is missing.")
    listed = documents[MANIFEST].get("files")
    if listed != {name: {"bytes": f.bytes, "sha256": f.sha256} for name, f in files.items()}:
        raise layout.error(f"{path} cannot be used: files were changed, or are missing.")
    return Contents(documents[layout.about], documents[MANIFEST], files)


def _members(path: Path, layout: Layout) -> Iterator[tuple[str, IO[bytes]]]:
    with path.open("rb") as file, tarfile.open(fileobj=file, mode="r|") as archive:
        for info in archive:
            if not info.isreg() or not layout.has_place_for(info.name):
                raise layout.error(f"{info.name!r} has no place in a {layout.noun}.")
            stream = archive.extractfile(info)
            assert stream is not None
            yield info.name, stream
            archive.members.clear()  # type: ignore[attr-defined]  # or it keeps every one


def _pieces(reader: _Hashed, target: Path | None) -> Iterator[bytes]:
    """What the reader gives, piece by piece, which is written to `target` as well."""
    if target is None:
        while data := reader.read(CHUNK):
            yield data
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.open("xb") as file:
        os.fchmod(file.fileno(), 0o600)
        for data in _pieces(reader, None):
            file.write(data)
            yield data
        file.flush()
        os.fsync(file.fileno())


def _document(data: bytes) -> dict[str, Any]:
    found = json.loads(data)
    if not isinstance(found, dict):
        raise ValueError("a document is not what it should be")
    return found
