"""Archives: an export of the whole site in one file, and its import into an empty hub on either engine.

An archive is a tar file: `export.json` says what it is, `dictionary.json` what each table holds; then one file for
each table, the media, on request the key file; last `manifest.json` with size and SHA-256 of every file, the number of
rows and the root of each table, and the root of all (`fedcomm.portability.checksums`).

An export is made from one state of the database, while the hub serves. It is written into a folder beside the target
first, so that an export that was interrupted goes on where it was, as long as its snapshot is whole.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from fedcomm.config import Config
from fedcomm.hub import search
from fedcomm.hub.register import REGISTER
from fedcomm.hub.sanitizer import text_of
from fedcomm.portability import checksums, formats, tars
from fedcomm.portability.formats import FORMATS, SUFFIX, Format
from fedcomm.portability.tables import PortabilityError, Record, Table, left_out, rows, tables
from fedcomm.portability.tars import Told, nobody
from fedcomm.store import snapshots
from fedcomm.store.database import Database, Reader, Transaction
from fedcomm.store.schema import HEAD, open_database
from fedcomm.version import VERSION

KIND: Final = "fedcomm export"
EDITION: Final = 1
DICTIONARY, KEY = "dictionary.json", "fedcomm.key"
TABLES, MEDIA = "tables/", "media/"
LAYOUT: Final = tars.Layout(
    "export",
    "export.json",
    frozenset({DICTIONARY, KEY}),
    (TABLES, MEDIA),
    PortabilityError,
)

BATCH: Final = 500
"""Rows that are written at a time during an import."""


@dataclass(frozen=True, slots=True)
class Summary:
    """What an archive holds: rows and root by table, the root of all, files and bytes of media."""

    origin: str
    form: Format
    schema: str
    made_at: str
    counts: dict[str, int]
    roots: dict[str, str]
    root: str
    media: int
    has_key: bool


# Checksums of a hub as it is


async def checksum(db: Database, *, told: Told = nobody) -> tuple[dict[str, str], str]:
    """The root of each exported table of this database, and the root of all."""
    roots = {}
    for table in await tables(db):
        tree = checksums.Merkle()
        async for record in rows(db, table, db.dialect):
            tree.add(checksums.canonical(record))
            told(table.name, 1)
        roots[table.name] = tree.root()
    return roots, checksums.whole(roots)


# Export


async def export_site(
    config: Config,
    db: Database,
    target: Path,
    form: Format,
    *,
    with_key: bool = False,
    told: Told = nobody,
) -> Summary:
    """Write the whole hub to `target`, which must not exist. Interrupted, it goes on when called again.

    Raises PortabilityError.
    """
    _require_absent(target)
    staging = target.with_name(f".{target.name}.parts")
    staging.mkdir(mode=0o700, exist_ok=True)
    state = _State(staging / "state.json")
    if state.data.setdefault("form", form) != form or state.data.setdefault("schema", HEAD) != HEAD:
        raise PortabilityError(
            f"an export of another kind was interrupted: remove {staging} first."
        )
    state.data.setdefault("made_at", datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"))
    async with _snapshot(config, db, staging, state) as (reader, dialect):
        for table in await tables(db):
            if table.name not in state.data["tables"]:
                state.data["tables"][table.name] = await _write_table(
                    reader, dialect, table, form, staging / f"{table.name}{SUFFIX[form]}", told
                )
                state.keep()
    about = {
        "kind": KIND,
        "edition": EDITION,
        "scope": "site",
        "format": form,
        "made_at": state.data["made_at"],
        "version": VERSION,
        "schema": HEAD,
        "origin": config.instance.origin,
    }
    summary = _pack(config, target, staging, about, state.data["tables"], form, with_key, told)
    shutil.rmtree(staging)
    return summary


def _require_absent(target: Path) -> None:
    if target.exists():
        raise PortabilityError(f"{target} exists already.")


class _State:
    """How far an export has come, in a file that is replaced whole."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.data: dict[str, Any] = {}
        with contextlib.suppress(OSError, ValueError):
            self.data = json.loads(path.read_text())
        self.data.setdefault("tables", {})

    def keep(self) -> None:
        fresh = self._path.with_suffix(".new")
        fresh.write_text(json.dumps(self.data))
        fresh.replace(self._path)


@asynccontextmanager
async def _snapshot(
    config: Config, db: Database, staging: Path, state: _State
) -> AsyncIterator[tuple[Reader, str]]:
    """One state of the database to read from. SQLite: a copy that outlives an interruption; PostgreSQL: one
    transaction, so that the tables of an interrupted export are read anew."""
    file = config.database.file
    if file is None:
        state.data["tables"] = {}
        async with db.queue_transaction() as tx:
            await tx.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
            yield tx, "postgresql"
        return
    copy = staging / "snapshot.sqlite3"
    if not state.data.get("snapshot"):
        copy.unlink(missing_ok=True)
        snapshots.copy(file, copy)
        state.data["snapshot"] = True
        state.data["tables"] = {}
        state.keep()
    opened = await open_database(f"sqlite:///{copy}", readers=1)
    try:
        yield opened, "sqlite"
    finally:
        await opened.close()


async def _write_table(
    reader: Reader, dialect: str, table: Table, form: Format, path: Path, told: Told
) -> dict[str, Any]:
    tree = checksums.Merkle()
    with path.open("wb") as file:
        write, end = formats.writer(form, table, file)
        async for record in rows(reader, table, dialect):
            write(record)
            tree.add(checksums.canonical(record))
            told(table.name, 1)
        end()
        file.flush()
        os.fsync(file.fileno())
    return {"rows": tree.count, "root": tree.root()}


def _pack(
    config: Config,
    target: Path,
    staging: Path,
    about: dict[str, Any],
    written: dict[str, dict[str, Any]],
    form: Format,
    with_key: bool,
    told: Told,
) -> Summary:
    unfinished = staging / "archive"
    roots = {name: entry["root"] for name, entry in written.items()}
    counts = {name: entry["rows"] for name, entry in written.items()}
    root = checksums.whole(roots)
    media = 0
    with unfinished.open("wb") as file:
        os.fchmod(file.fileno(), 0o600)
        archive = tars.Writer(file, LAYOUT, about)
        archive.add_document(DICTIONARY, dictionary())
        for name in sorted(written):
            with (staging / f"{name}{SUFFIX[form]}").open("rb") as part:
                archive.add(f"{TABLES}{name}{SUFFIX[form]}", part)
        for path in _media_files(config.media.folder):
            with contextlib.suppress(FileNotFoundError), path.open("rb") as part:
                archive.add(MEDIA + path.relative_to(config.media.folder).as_posix(), part)
                media += 1
                told("media", part.tell())
        if with_key:
            with config.secrets.key_file.open("rb") as part:
                archive.add(KEY, part)
        archive.close(rows=counts, roots=roots, root=root)
        file.flush()
        os.fsync(file.fileno())
    unfinished.rename(target)
    return Summary(
        about["origin"], form, HEAD, about["made_at"], counts, roots, root, media, with_key
    )


def dictionary() -> dict[str, Any]:
    """What each table holds, how long, and which columns tell of people; and what is left out."""
    return {
        "tables": {
            name: {
                "holds": table.holds,
                "retention": table.retention,
                "people": list(table.people),
                "words": list(table.words),
            }
            for name, table in sorted(REGISTER.items())
            if table.export is True
        },
        "left_out": left_out(),
    }


def _media_files(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return sorted(p for p in folder.rglob("*") if p.is_file() and not p.name.startswith("."))


# Import


def inspect(path: Path) -> Summary:
    """Read an archive from end to end and compare it with its manifest. Raises PortabilityError."""
    found = tars.read(path, LAYOUT)
    about, manifest = found.about, found.manifest
    if about.get("kind") != KIND or about.get("edition") != EDITION or about.get("scope") != "site":
        raise PortabilityError(f"{path} is no export of a whole site that this release reads.")
    if about.get("format") not in FORMATS:
        raise PortabilityError(f"{path} is in no format that this release reads.")
    try:
        if checksums.whole(manifest["roots"]) != manifest["root"]:
            raise PortabilityError(f"{path} cannot be used: its checksums contradict each other.")
        return Summary(
            str(about["origin"]),
            about["format"],
            str(about["schema"]),
            str(about["made_at"]),
            manifest["rows"],
            manifest["roots"],
            manifest["root"],
            sum(name.startswith(MEDIA) for name in found.files),
            KEY in found.files,
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise PortabilityError(f"{path} cannot be used: its manifest is not whole.") from error


async def import_site(config: Config, db: Database, path: Path, *, told: Told = nobody) -> Summary:
    """Fill an empty hub with an archive: everything in one transaction, compared with the archive's checksums before it
    commits. Raises PortabilityError, and then nothing was changed."""
    summary = inspect(path)
    if summary.schema != HEAD:
        raise PortabilityError(
            f"the export has the schema {summary.schema}, and this release {HEAD}: import it with the "
            "release that made it, and upgrade then."
        )
    if summary.origin != config.instance.origin:
        raise PortabilityError(
            f"the export is of {summary.origin}, and this hub is {config.instance.origin}: actors keep "
            "their addresses, so a moved hub has to keep its origin."
        )
    if not summary.has_key and not config.secrets.key_file.exists():
        raise PortabilityError(
            f"the export holds no key, and there is none at {config.secrets.key_file}: put your copy "
            "of the key file there first."
        )
    known = {table.name: table for table in await tables(db)}
    if set(known) != set(summary.roots):
        raise PortabilityError("the export has other tables than this release.")
    media = config.media.folder
    media.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=media.parent, prefix=".fedcomm-import-") as folder:
        place = Path(folder)
        tars.unpack(
            path,
            place,
            LAYOUT,
            told=lambda name, size: told("media", size) if name.startswith(MEDIA) else None,
        )
        key = place / KEY
        _require_same_key(key, config.secrets.key_file)
        async with db.transaction() as tx:
            for name in await _in_order(db, list(known)):
                await _fill(tx, known[name], summary, place, told)
            await _index(tx, told)
        # Files that a crash leaves here without their rows go with the janitor; rows without files do not exist.
        for file in sorted((place / MEDIA).rglob("*")) if (place / MEDIA).is_dir() else ():
            if file.is_file():
                target = media / file.relative_to(place / MEDIA)
                target.parent.mkdir(parents=True, exist_ok=True)
                file.replace(target)
        if key.exists() and not config.secrets.key_file.exists():
            shutil.move(key, config.secrets.key_file)
    return summary


def _require_same_key(brought: Path, own: Path) -> None:
    if (
        brought.exists()
        and own.exists()
        and brought.read_bytes().strip() != own.read_bytes().strip()
    ):
        raise PortabilityError(f"the export has another key than {own}: move that one away first.")


async def _fill(tx: Transaction, table: Table, summary: Summary, place: Path, told: Told) -> None:
    if await tx.value(f"SELECT 1 FROM {table.name} LIMIT 1") is not None:
        raise PortabilityError(
            f"this hub is not empty: there are rows in {table.name}. Import into a new database "
            "(`fedcomm migrate`), before `fedcomm init`."
        )
    marks = ", ".join("?" * len(table.columns))
    insert = f"INSERT INTO {table.name} ({', '.join(table.names)}) VALUES ({marks})"
    tree = checksums.Merkle()
    batch: list[Record] = []
    with (place / TABLES / f"{table.name}{SUFFIX[summary.form]}").open("rb") as file:
        for record in formats.reader(summary.form, table, file):
            tree.add(checksums.canonical(record))
            batch.append(record)
            if len(batch) == BATCH:
                await tx.many(insert, batch)
                told(table.name, len(batch))
                batch.clear()
    if batch:
        await tx.many(insert, batch)
        told(table.name, len(batch))
    if tree.root() != summary.roots[table.name] or tree.count != summary.counts[table.name]:
        raise PortabilityError(f"{table.name}: the rows are not those that the manifest tells of.")


async def _in_order(db: Database, names: list[str]) -> list[str]:
    """Tables before those that refer to them."""
    needs: dict[str, set[str]] = {name: set() for name in names}
    if db.dialect == "sqlite":
        for name in names:
            for row in await db.all(f"PRAGMA foreign_key_list({name})"):
                needs[name].add(row["table"])
    else:
        for row in await db.all(
            "SELECT c.relname AS one, f.relname AS other FROM pg_constraint k"
            " JOIN pg_class c ON c.oid = k.conrelid JOIN pg_class f ON f.oid = k.confrelid"
            " JOIN pg_namespace n ON n.oid = c.relnamespace"
            " WHERE k.contype = 'f' AND n.nspname = current_schema()"
        ):
            needs.setdefault(row["one"], set()).add(row["other"])
    done: list[str] = []
    while len(done) < len(names):
        ready = [
            name for name in names if name not in done and needs[name] & set(names) <= {*done, name}
        ]
        if not ready:
            raise PortabilityError("the tables refer to each other in a circle.")
        done += ready
    return done


async def _index(tx: Transaction, told: Told) -> None:
    """Search finds everything again: the index is made anew."""
    after = 0
    while True:
        page = await tx.all(
            "SELECT id, title, html FROM objects WHERE id > ? AND deleted_at IS NULL"
            " ORDER BY id LIMIT ?",
            after,
            BATCH,
        )
        for row in page:
            await search.index(tx, row["id"], row["title"], text_of(row["html"]))
        told("search", len(page))
        if len(page) < BATCH:
            return
        after = page[-1]["id"]
