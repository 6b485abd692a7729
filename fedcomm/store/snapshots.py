"""Copies of a SQLite file from just before a migration: the way back to the release before.

A snapshot is for the days after an upgrade, not a backup. It stands beside the database, holds whatever the database
held, and therefore must not outlive an erasure: whoever scrubs the disk removes it, and so does the janitor when the
new release has served for `KEPT_S`. Put back, it is a database that has come less far in the erasure journal, and is
made to forget again before it is served (INV-51).
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
import time
from pathlib import Path
from typing import Final

KEPT_S: Final = 3 * 86_400.0
"""How long the way back stays open."""

PAGES: Final = 2_000
SUFFIX: Final = ".before-"
CHUNK: Final = 1 << 20


def take(file: Path, revision: str) -> Path | None:
    """A copy of the database, on disk, called after the `revision` that comes; None where there is nothing to copy.

    Writers go on meanwhile. Raises OSError or sqlite3.Error, and leaves nothing half-done.
    """
    if not file.exists() or not file.stat().st_size:
        return None
    copy = file.with_name(f"{file.name}{SUFFIX}{revision}")
    needed = sum(path.stat().st_size for path in (file, _log_of(file)) if path.exists())
    if shutil.disk_usage(file.parent).free < needed:
        raise OSError(f"there is no room for a copy of {file.name} ({needed >> 20} MiB)")
    unfinished = copy.with_name(f".{copy.name}.unfinished")
    unfinished.unlink(missing_ok=True)
    try:
        os.close(os.open(unfinished, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        with (
            contextlib.closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as source,
            contextlib.closing(sqlite3.connect(unfinished)) as target,
        ):
            source.backup(target, pages=PAGES)
            # One file, with nothing beside it.
            target.execute("PRAGMA journal_mode = DELETE")
        _sync(unfinished)
        unfinished.replace(copy)
        _sync(file.parent)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise
    return copy


def of(file: Path) -> list[Path]:
    """The snapshots beside the database, also those that a crash left half-done."""
    return sorted(
        path
        for path in file.parent.glob(f"*{file.name}{SUFFIX}*")
        if path.name.removeprefix(".").startswith(file.name + SUFFIX)
    )


def remove(file: Path, *, older_than_s: float = 0.0) -> int:
    """Overwrite and remove the snapshots of at least that age; how many."""
    removed = 0
    for path in of(file):
        with contextlib.suppress(FileNotFoundError):
            if time.time() - path.stat().st_mtime >= older_than_s:
                _overwrite(path)
                path.unlink()
                removed += 1
    return removed


def _log_of(file: Path) -> Path:
    return file.with_name(f"{file.name}-wal")


def _overwrite(path: Path) -> None:
    size = path.stat().st_size
    with path.open("r+b") as file:
        while file.tell() < size:
            file.write(bytes(min(CHUNK, size - file.tell())))
        file.flush()
        os.fsync(file.fileno())


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
