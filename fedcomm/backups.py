"""Backups: the whole hub in one file, made while it serves; restored, or only tried, elsewhere.

A backup is a tar archive. First what it is (`backup.json`), then the database (SQLite's online backup, or `pg_dump`'s
custom format), the media, the configuration; last `manifest.json` with size and SHA-256 of everything before it. An
archive without its manifest, or with one byte changed, is refused whole, before anything is written.

Two things are not in it. The erasure journal: a restored hub forgets again what stands there (INV-51). And, unless one
asks for it, the key file: without it nobody can use a stolen backup to speak for the hub (INV-40).
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
import subprocess
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any, Final, Literal
from urllib.parse import unquote, urlsplit

from fedcomm.config import Config
from fedcomm.portability import tars
from fedcomm.portability.tars import File, Told, nobody
from fedcomm.store import disk, snapshots
from fedcomm.store.schema import HEAD
from fedcomm.version import VERSION

FORMAT: Final = 1
SQLITE, POSTGRESQL = "database.sqlite3", "database.pgdump"
KEY, CONFIG, MEDIA = "fedcomm.key", "fedcomm.toml", "media/"

Engine = Literal["sqlite", "postgresql"]


class BackupError(Exception):
    """It cannot be made, read or restored; the message is for operators."""


LAYOUT: Final = tars.Layout(
    "backup",
    "backup.json",
    frozenset({SQLITE, POSTGRESQL, KEY, CONFIG}),
    (MEDIA,),
    BackupError,
)


@dataclass(frozen=True, slots=True)
class Contents:
    """What a backup holds."""

    made_at: str
    version: str
    schema: str
    engine: Engine
    origin: str
    files: dict[str, File]

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(file.bytes for file in self.files.values())

    @property
    def has_key(self) -> bool:
        return KEY in self.files


# Making one


def make(
    config: Config,
    target: Path,
    *,
    source: Path | None = None,
    with_key: bool = False,
    told: Told = nobody,
) -> Contents:
    """Write a backup of the hub to `target`, which must not exist; it appears there when it is whole and on disk.

    `source`: the configuration file, to be put in as well. Blocks; serving goes on. Raises BackupError.
    """
    if target.exists():
        raise BackupError(f"{target} exists already.")
    engine: Engine = "sqlite" if config.database.file is not None else "postgresql"
    about = {
        "format": FORMAT,
        "made_at": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "version": VERSION,
        "schema": HEAD,
        "engine": engine,
        "origin": config.instance.origin,
    }
    unfinished = target.with_name(f".{target.name}.unfinished")
    try:
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=".fedcomm-backup-") as folder:
            database = _copy_database(config, Path(folder), told)
            with unfinished.open("xb") as file:
                os.fchmod(file.fileno(), 0o600)
                files = _write_archive(file, about, config, database, source, with_key, told)
                file.flush()
                os.fsync(file.fileno())
        unfinished.rename(target)
        disk.sync(target.parent)
    except FileExistsError as error:
        raise BackupError(
            f"{unfinished} is in the way: another backup runs, or one was interrupted."
        ) from error
    except (OSError, sqlite3.Error) as error:
        unfinished.unlink(missing_ok=True)
        raise BackupError(f"the backup could not be written: {error}") from error
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise
    return _contents(about, files)


def _write_archive(
    file: IO[bytes],
    about: dict[str, Any],
    config: Config,
    database: Path,
    source: Path | None,
    with_key: bool,
    told: Told,
) -> dict[str, File]:
    archive = tars.Writer(file, LAYOUT, about)
    folder = config.media.folder

    def add(name: str, path: Path) -> None:
        with path.open("rb") as stream:
            archive.add(name, stream, told=told)

    add(database.name, database)
    # After the database: whatever it names is there by now, unless it was erased meanwhile.
    for path in sorted(folder.rglob("*")) if folder.is_dir() else ():
        if path.is_file() and not path.name.startswith("."):
            with contextlib.suppress(FileNotFoundError):
                add(MEDIA + path.relative_to(folder).as_posix(), path)
    if source is not None and source.is_file():
        add(CONFIG, source)
    if with_key:
        add(KEY, config.secrets.key_file)
    archive.close()
    return archive.files


def _copy_database(config: Config, folder: Path, told: Told) -> Path:
    file = config.database.file
    if file is None:
        return _dump_postgresql(config.database.url, folder / POSTGRESQL)
    copy = folder / SQLITE
    snapshots.copy(file, copy, told=lambda count: told(SQLITE, count))
    return copy


def _dump_postgresql(url: str, target: Path) -> Path:
    _run_tool("pg_dump", url, "--format=custom", "--no-owner", "--no-acl", "--file", str(target))
    return target


def _run_tool(tool: str, url: str, *arguments: str) -> None:
    path = shutil.which(tool)
    if path is None:
        found = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{tool}"))
        if not found:
            raise BackupError(
                f"{tool} is not installed on this machine (Debian: apt-get install postgresql-client)."
            )
        path = str(found[-1])
    parts = urlsplit(url)
    # Not as arguments: everybody on the machine can read those.
    environment = os.environ | {
        "PGHOST": parts.hostname or "",
        "PGPORT": str(parts.port or 5432),
        "PGUSER": unquote(parts.username or ""),
        "PGPASSWORD": unquote(parts.password or ""),
        "PGDATABASE": unquote(parts.path.removeprefix("/")),
    }
    done = subprocess.run(  # noqa: S603
        [path, *arguments], env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise BackupError(
            f"{tool} failed: {(done.stderr.strip() or 'it does not say why').splitlines()[-1]}"
        )


# Reading one


def read(path: Path, *, told: Told = nobody) -> Contents:
    """Read a whole backup and compare every byte with its manifest; what it holds. Raises BackupError."""
    found = tars.read(path, LAYOUT, told=told)
    if found.about.get("format") != FORMAT:
        raise BackupError(f"{path} is of another kind (format {found.about.get('format')}).")
    try:
        return _contents(found.about, found.files)
    except KeyError as error:
        raise BackupError(f"{path} cannot be used: it does not say its {error}.") from error


def _contents(about: dict[str, Any], files: dict[str, File]) -> Contents:
    return Contents(
        str(about["made_at"]),
        str(about["version"]),
        str(about["schema"]),
        "sqlite" if about["engine"] == "sqlite" else "postgresql",
        str(about["origin"]),
        files,
    )


# Restoring one


def restore(config: Config, path: Path, *, told: Told = nobody) -> Contents:
    """Put a backup where `config` says. The database there must be absent (SQLite) or without tables (PostgreSQL), and
    the media folder empty: nothing is overwritten. Blocks. Raises BackupError, and then nothing was changed.

    Afterwards the erasure journal has to be replayed; `fedcomm serve` refuses anything else.
    """
    contents = read(path)
    engine = "sqlite" if config.database.file is not None else "postgresql"
    if contents.engine != engine:
        raise BackupError(
            f"the backup is of {contents.engine} and this hub's database is {engine}: restore it there, "
            "or move with `fedcomm export` and `fedcomm import`."
        )
    if contents.schema > HEAD:
        raise BackupError(
            f"the backup is of a newer release ({contents.version}): upgrade fedcomm first."
        )
    _require_room(config, contents)
    media = config.media.folder
    media.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=media.parent, prefix=".fedcomm-restore-") as folder:
        place = Path(folder)
        tars.unpack(path, place, LAYOUT, told=told)
        if engine == "postgresql":
            _run_tool(
                "pg_restore",
                config.database.url,
                "--no-owner",
                "--no-acl",
                "--exit-on-error",
                "--single-transaction",
                f"--dbname={unquote(urlsplit(config.database.url).path.removeprefix('/'))}",
                str(place / POSTGRESQL),
            )
        for name in sorted(contents.files):
            if name.startswith(MEDIA):
                target = media / name.removeprefix(MEDIA)
                target.parent.mkdir(parents=True, exist_ok=True)
                (place / name).rename(target)
        if contents.has_key and not config.secrets.key_file.exists():
            shutil.move(place / KEY, config.secrets.key_file)
        if config.database.file is not None:
            # Last: without a database nothing starts, so a broken-off restore is no half hub.
            shutil.move(place / SQLITE, config.database.file)
    disk.sync(media)
    return contents


def _require_room(config: Config, contents: Contents) -> None:
    file = config.database.file
    if file is not None and file.exists():
        raise BackupError(f"there is a database at {file} already: move it away first.")
    folder = config.media.folder
    if folder.is_dir() and any(folder.iterdir()):
        raise BackupError(f"there are files in {folder} already: move them away first.")
    if not contents.has_key and not config.secrets.key_file.exists():
        raise BackupError(
            f"the backup holds no key, and there is none at {config.secrets.key_file}: put your copy of "
            "the key file there first."
        )
    free = shutil.disk_usage(_existing(folder)).free
    if free < contents.size * 11 // 10:
        raise BackupError(
            f"there is not enough room: {contents.size} bytes are needed, {free} are free."
        )


def _existing(path: Path) -> Path:
    while not path.exists():
        path = path.parent
    return path


# Trying one


@dataclass(frozen=True, slots=True)
class Drill:
    """What a trial restore found. `missing`: files that the database names and the backup does not hold."""

    contents: Contents
    counts: dict[str, int]
    missing: tuple[str, ...]
    key_fits: bool | None
    """Whether a private key of the backup can be opened with the key file; None: there is none to try."""


def drill(path: Path, *, key_file: Path | None = None, told: Told = nobody) -> Drill:
    """Restore a backup of SQLite into a folder that is thrown away, and look at it; the live hub is not touched.

    Of PostgreSQL the dump is read from end to end, not loaded. Raises BackupError.
    """
    contents = read(path)
    with tempfile.TemporaryDirectory(prefix="fedcomm-drill-") as folder:
        place = Path(folder)
        tars.unpack(path, place, LAYOUT, told=told)
        if contents.engine == "postgresql":
            _run_tool("pg_restore", "postgresql://", "--list", str(place / POSTGRESQL))
            return Drill(contents, {}, (), None)
        with contextlib.closing(sqlite3.connect(place / SQLITE)) as database:
            (verdict,) = database.execute("PRAGMA integrity_check").fetchone()
            if verdict != "ok":
                raise BackupError(f"the database in {path} is damaged: {verdict}")
            if database.execute("PRAGMA foreign_key_check").fetchone() is not None:
                raise BackupError(f"the database in {path} refers to rows that are not there.")
            counts = {
                table: database.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
                for table in ("members", "groups", "objects", "media", "actor_keys")
            }
            named = database.execute(
                "SELECT file FROM media WHERE state = 'stored' UNION ALL"
                " SELECT thumbnail FROM media WHERE state = 'stored'"
            )
            missing = tuple(
                name for (name,) in named if name and MEDIA + name not in contents.files
            )
            key = place / KEY if contents.has_key else key_file
            fits = _key_fits(database, key) if key is not None and key.exists() else None
    return Drill(contents, counts, missing, fits)


def _key_fits(database: sqlite3.Connection, key_file: Path) -> bool | None:
    from fedcomm.federation.vault import Vault, VaultError

    row = database.execute(
        "SELECT uri, private_key FROM actor_keys WHERE private_key IS NOT NULL LIMIT 1"
    ).fetchone()
    if row is None:
        return None
    try:
        Vault.load(key_file).open(row[1], row[0])
    except VaultError:
        return False
    return True
