"""Overwrites what SQLite leaves in the gaps of its pages.

`secure_delete` overwrites a row where it stands when it goes. But when SQLite deals out the rows of neighbouring pages
anew, copies of rows stay behind in the unused middle of a page, and nobody overwrites those when the row goes. An
erasure of thousands of rows leaves some. VACUUM would write the whole file anew, and nobody could write meanwhile; here
only the gaps are overwritten, a few pages at a time.

They are overwritten in the file itself, beside SQLite, which is safe because

- the bytes between the list of a page's cells and the first of them mean nothing to SQLite (file format, 1.6);
- it is done while this process holds SQLite's lock for writing and the log is empty: the page in the file is the page;
- a commit follows before the lock is let go, after which every connection forgets the pages in its memory, where the
  gaps are as they were;
- a write leaves the bytes around it alone, also when the power goes, as SQLite itself assumes of disks.
"""

from __future__ import annotations

import os
import sqlite3
import struct
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final

PAGES: Final = 256
"""Pages that are overwritten at once, while nobody else can write."""

LARGEST_BYTES: Final = 1 << 36
"""Below this the first byte of a page says whether it is one of a tree: pages of other kinds begin with the number of
a page, whose first byte is 0."""

BLOCK_BYTES: Final = 1 << 22
TRIES: Final = 40
PAUSE_S: Final = 0.05
"""How often, and how long between, it is tried to find the log empty: somebody may be reading in it."""

TIMEOUT_MS: Final = 100
"""How long one try waits for somebody's lock, and nobody else can write."""

_TREES: Final = {2: 12, 5: 12, 10: 8, 13: 8}
"""The kinds of pages of trees, and the length of their headers."""

_BUSY: Final = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
"""Primary codes: the lowest byte of what an error has."""

_HEADER: Final = struct.Struct(">BHHH")
_descriptors: dict[tuple[int, int], int] = {}


class Unsuitable(Exception):
    """The gaps of this file cannot be overwritten; the message is for operators."""


@dataclass(frozen=True, slots=True)
class Layout:
    """How the file is divided. `usable`: bytes of a page without what is reserved at its end."""

    page_size: int
    usable: int


def gap(page: bytes | memoryview, layout: Layout) -> tuple[int, int] | None:
    """Where the gap of a page begins and ends; None for a page that is none of a tree, or makes no sense."""
    kind, _, cells, content = _HEADER.unpack_from(page)
    header = _TREES.get(kind)
    if header is None:
        return None
    begin, end = header + 2 * cells, content or 65_536
    if not begin <= end <= layout.usable:
        return None
    if cells and min(struct.unpack_from(f">{cells}H", page, header)) < end:
        return None
    return begin, end


def dirty_pages(file: Path) -> list[int]:
    """Numbers (from 1) of the pages with something in their gap; but for the first, which holds the schema. What is
    in the log only is not seen. Raises Unsuitable."""
    descriptor = _descriptor(file)
    layout = _layout(descriptor)
    return list(_dirty(descriptor, layout))


def _dirty(descriptor: int, layout: Layout) -> Iterator[int]:
    size, at = layout.page_size, 0
    while block := os.pread(descriptor, BLOCK_BYTES // size * size, at):
        for start in range(0, len(block) - size + 1, size):
            if block[start] not in _TREES or at + start == 0:
                continue
            found = gap(memoryview(block)[start : start + size], layout)
            if found is not None:
                begin, end = start + found[0], start + found[1]
                if block.count(0, begin, end) != end - begin:
                    yield (at + start) // size + 1
        at += len(block)


def overwrite(file: Path, pages: Sequence[int], *, pragmas: Sequence[str]) -> bool:
    """Overwrite the gaps of these pages; False if somebody was reading in the log, or writing: nothing was done then,
    and it may be tried again. Blocks.

    `pragmas`: what each connection to this file sets, with `TIMEOUT_MS`. Raises Unsuitable, sqlite3.Error, OSError.
    """
    descriptor = _descriptor(file)
    layout = _layout(descriptor)
    log = file.with_name(f"{file.name}-wal")
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        for pragma in pragmas:
            connection.execute(pragma).fetchall()
        try:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
            connection.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF not in _BUSY:
                raise
            return False
        try:
            if log.exists() and log.stat().st_size:
                return False
            _fill(descriptor, layout, pages)
            # Writes the first page as it is: whoever has pages in memory reads them anew.
            (version,) = connection.execute("PRAGMA user_version").fetchone()
            connection.execute(f"PRAGMA user_version = {int(version)}")
            connection.execute("COMMIT")
        finally:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
    return True


def _fill(descriptor: int, layout: Layout, pages: Sequence[int]) -> None:
    for number in pages:
        at = (number - 1) * layout.page_size
        page = os.pread(descriptor, layout.page_size, at)
        # Looked at again: it may have become another page since.
        found = gap(page, layout) if number > 1 and len(page) == layout.page_size else None
        if found is not None:
            begin, end = found
            os.pwrite(descriptor, bytes(end - begin), at + begin)
    os.fsync(descriptor)


def _layout(descriptor: int) -> Layout:
    head = os.pread(descriptor, 100, 0)
    if len(head) < 100 or not head.startswith(b"SQLite format 3\0"):
        raise Unsuitable("this is no file of SQLite")
    if os.fstat(descriptor).st_size > LARGEST_BYTES:
        raise Unsuitable("the database is too large for its pages to be told apart")
    if head[52:56] != bytes(4):
        raise Unsuitable("the database has a map of its pages (auto_vacuum)")
    (size,) = struct.unpack_from(">H", head, 16)
    page_size = 65_536 if size == 1 else size
    return Layout(page_size, page_size - head[20])


def _descriptor(file: Path) -> int:
    """The file, opened once and never closed: with any descriptor that it closes a process loses every lock that it
    has on the file, SQLite's too (fcntl(2))."""
    status = file.stat()
    known = _descriptors.get((status.st_dev, status.st_ino))
    if known is None:
        known = os.open(file, os.O_RDWR | os.O_CLOEXEC)
        _descriptors[status.st_dev, status.st_ino] = known
    return known
