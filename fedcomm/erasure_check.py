"""Looks whether an erasure left anything: row by row along the register, and byte by byte for words that one names.

What was erased cannot be looked up any more, so whoever checks says what to look for: the name, the e-mail address, a
sentence. The words are read, never stored.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from fedcomm import access_files, imports
from fedcomm.hub import erasure
from fedcomm.hub.register import REGISTER, Blank, Delete
from fedcomm.scanning import scan
from fedcomm.site import Site
from fedcomm.store.database import Reader

SHORTEST: Final = 4
"""Characters: shorter words are found by chance in any file."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is still there: `place` is a column, or a file with the offset in it."""

    place: str
    what: str


@dataclass(frozen=True, slots=True)
class Check:
    """What was looked at and what was found."""

    findings: tuple[Finding, ...]
    columns: int
    files: int
    read_bytes: int
    left_out: tuple[str, ...]

    @property
    def is_clean(self) -> bool:
        return not self.findings


async def check(site: Site, case: erasure.Case, words: Sequence[str] = ()) -> Check:
    """Check one case. Raises ValueError for a word that is too short to mean anything."""
    for word in words:
        if len(word) < SHORTEST:
            raise ValueError(
                f"a word needs {SHORTEST} characters at least: “{word}” is found by chance."
            )
    findings: list[Finding] = []
    columns = 0
    for subject_id in await _subjects(site.db, case):
        found, looked = await _rows(site.db, subject_id)
        findings += found
        columns += looked
    needles = sorted({form for word in words for form in _forms(word)})
    files = read = 0
    left_out: list[str] = []
    if needles:
        paths = list(_files(site, left_out))
        for one in await asyncio.to_thread(scan, paths, needles):
            files += 1
            read += one.size
            findings += [
                Finding(f"{one.path.name} at byte {offset}", "a word") for offset in one.offsets
            ]
    return Check(tuple(findings), columns, files, read, tuple(left_out))


async def _subjects(db: Reader, case: erasure.Case) -> list[int]:
    if case.kind != "host":
        return [case.subject_id]
    rows = await db.all("SELECT id FROM actors WHERE host_id = ? ORDER BY id", case.subject_id)
    return [row["id"] for row in rows]


async def _rows(db: Reader, person_id: int) -> tuple[list[Finding], int]:
    """What the register says must be gone of somebody and is not."""
    findings, looked = [], 0
    for table, entry in REGISTER.items():
        for step in entry.steps:
            if not isinstance(step, Delete | Blank):
                continue
            looked += 1
            where = f"{step.column} = ?"
            if isinstance(step, Blank):
                filled = " OR ".join(f"COALESCE({word}, '') <> ''" for word in step.words)
                where += f" AND ({filled})"
            if (
                await db.value(f"SELECT 1 FROM {table} WHERE {where} LIMIT 1", person_id)
                is not None
            ):
                findings.append(Finding(f"{table}.{step.column}", "rows of the person"))
    for table, column, words in (
        ("objects", "author_id", ("title", "source", "html", "summary", "details")),
        (
            "actors",
            "id",
            ("name", "display_name", "summary_source", "summary_html", "url", "inbox"),
        ),
        ("handles", "actor_id", ("name",)),
        ("members", "actor_id", ("role",)),
        ("media", "owner_id", ("alt",)),
    ):
        looked += 1
        filled = " OR ".join(f"COALESCE({word}, '') <> ''" for word in words)
        sql = f"SELECT 1 FROM {table} WHERE {column} = ? AND ({filled}) LIMIT 1"
        if await db.value(sql, person_id) is not None:
            findings.append(Finding(f"{table}.{column}", "words of the person"))
    return findings, looked


def _forms(word: str) -> Iterator[bytes]:
    """How a word may stand in a file."""
    for text in {word, word.lower(), word.upper(), word.casefold()}:
        yield text.encode()
        yield text.encode("utf-16-le")
        yield text.encode("unicode_escape")


def _files(site: Site, left_out: list[str]) -> Iterator[Path]:
    """Every file that the hub writes: the database with its side files and copies, media and uploads under way, files
    of access requests, archives that are brought, what a killed command left beside them, the erasure journal."""
    database = site.config.database.file
    if database is not None:
        for pattern in (f"{database.name}*", f".{database.name}*"):
            yield from sorted(database.parent.glob(pattern))
    else:
        left_out.append(
            "PostgreSQL's own files: scan its data directory, its archived log and its base backups "
            "with `grep -rac` on the server's machine"
        )
    media = site.media_folder
    for folder in (
        media,
        access_files.folder_of(site),
        imports.place_of(site.config),
        *sorted(media.parent.glob(".fedcomm-*")),
    ):
        for parent, _, names in os.walk(folder):
            for name in sorted(names):
                yield Path(parent) / name
    if site.erasure_journal.path.exists():
        yield site.erasure_journal.path
