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
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final

from fedcomm.late import Late
from fedcomm.store import disk

if TYPE_CHECKING:
    import sqlite3
else:
    sqlite3 = Late("sqlite3")  # Not on PostgreSQL.

KEPT_S: Final = 3 * 86_400.0
"""How long the way back stays open."""

PAGES: Final = 2_000
"""Pages that are copied at a time (8 MiB); writers get their turn in between."""

SUFFIX: Final = ".before-"


def copy(file: Path, target: Path, *, told: Callable[[int], None] = lambda count: None) -> None:
    """Copy a SQLite database that may be in use into one file, with nothing beside it. `told` is called with the bytes
    that were just copied. Raises OSError or sqlite3.Error."""
    with (
        contextlib.closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as source,
        contextlib.closing(sqlite3.connect(target)) as made,
    ):
        size = source.execute("PRAGMA page_size").fetchone()[0]
        source.backup(
            made,
            pages=PAGES,
            progress=lambda _status, left, total: told(min(PAGES, total - left) * size),
        )
        made.execute("PRAGMA journal_mode = DELETE")


def take(file: Path, revision: str) -> Path | None:
    """A copy of the database, on disk, called after the `revision` that comes; None where there is nothing to copy.

    Writers go on meanwhile. Raises OSError or sqlite3.Error, and leaves nothing half-done.
    """
    if not file.exists() or not file.stat().st_size:
        return None
    snapshot = file.with_name(f"{file.name}{SUFFIX}{revision}")
    needed = sum(path.stat().st_size for path in (file, _log_of(file)) if path.exists())
    if shutil.disk_usage(file.parent).free < needed:
        raise OSError(f"there is no room for a copy of {file.name} ({needed >> 20} MiB)")
    unfinished = snapshot.with_name(f".{snapshot.name}.unfinished")
    unfinished.unlink(missing_ok=True)
    try:
        os.close(os.open(unfinished, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        copy(file, unfinished)
        disk.sync(unfinished)
        unfinished.replace(snapshot)
        disk.sync(file.parent)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise
    return snapshot


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
                disk.shred(path)
                removed += 1
    return removed


def _log_of(file: Path) -> Path:
    return file.with_name(f"{file.name}-wal")
