"""SQLite through aiosqlite: one writer, a few readers, WAL, `synchronous=FULL`, `secure_delete=ON`."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections.abc import AsyncIterator, Hashable, Iterable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, Literal, cast

import aiosqlite

from fedcomm.store import gaps
from fedcomm.store.database import (
    Conflict,
    Database,
    DatabaseError,
    DatabaseUnavailable,
    Row,
    SearchSQL,
    StorageFull,
    TextsSQL,
    Transaction,
    Value,
    at_hand,
    storable,
)
from fedcomm.store.groupcommit import Batch, GroupCommit
from fedcomm.store.pseudonyms import Pseudonyms
from fedcomm.store.savepoints import savepoint

LOG_IN_USE = "the log could not be emptied, because somebody was reading"

BUSY_TIMEOUT_MS = 10_000
"""How long a statement waits for another process's lock (security.md §11: at most 10 s)."""

AT_HAND_TIMEOUT_MS = 20
"""The same for a read that holds up the process: then it goes the long way."""

AT_HAND_ROWS = 50
"""More rows than these are written in the connection's thread."""

WRITER_CACHE_KIB = 8_000
READER_CACHE_KIB = 2_000


def _words(words: Sequence[str]) -> str:
    # Each word in quotes, so that the query has no operators.
    return " ".join('"' + word.replace('"', '""') + '"*' for word in words)


SEARCH = SearchSQL(
    upsert="INSERT OR REPLACE INTO search_index (rowid, title, body) VALUES (?, ?, ?)",
    remove="DELETE FROM search_index WHERE rowid = ?",
    # CROSS JOIN keeps the order of the index, newest first, so that reading ends with the page.
    found="search_index CROSS JOIN objects o ON o.id = search_index.rowid",
    matching="search_index MATCH ?",
    number="search_index.rowid",
    query=_words,
    texts=TextsSQL(
        newest=(
            "(SELECT rowid AS id, ' ' || title || ' ' || body AS words FROM search_index"
            " WHERE rowid < ? ORDER BY rowid DESC LIMIT ?)"
        ),
        nth="SELECT rowid FROM search_index WHERE rowid < ? ORDER BY rowid DESC LIMIT 1 OFFSET ?",
        newest_holds="instr(words, ?) > 0",
        found_holds="instr(' ' || search_index.title || ' ' || search_index.body, ?) > 0",
    ),
)
"""FTS5, one row an object. For the beginning of a word it reads all places of all such words before it tells the first,
however few are wanted: 30 ms for a word that a million objects have."""


class SQLiteTransaction:
    """Statements inside `BEGIN IMMEDIATE`."""

    dialect: Literal["sqlite", "postgresql"] = "sqlite"
    search: SearchSQL = SEARCH
    row = "rowid"
    for_update = ""

    def __init__(self, connection: aiosqlite.Connection, pseudonyms: Pseudonyms) -> None:
        self._connection = connection
        self.pseudonyms = pseudonyms

    async def all(self, sql: str, *args: Value) -> Sequence[Row]:
        if at_hand.get():
            with _translated():
                return _fetch(self._connection._conn, sql, args)
        return await _all(self._connection, sql, args)

    async def one(self, sql: str, *args: Value) -> Row | None:
        if at_hand.get():
            with _translated():
                return _first(_fetch(self._connection._conn, sql, args))
        return _first(await self.all(sql, *args))

    async def value(self, sql: str, *args: Value) -> Any:
        if at_hand.get():
            with _translated():
                return _first_value(_fetch(self._connection._conn, sql, args))
        return _first_value(await self.all(sql, *args))

    async def execute(self, sql: str, *args: Value, keys: Sequence[Value] | None = None) -> int:
        with _translated():
            if at_hand.get():
                return _changed(self._connection._conn, sql, storable(args))
            return await _run(self._connection, sql, args)

    async def later(
        self, sql: str, *args: Value, keys: Sequence[Value] | None = None, first: bool = False
    ) -> None:
        await self.execute(sql, *args)

    def remember(self, row: Sequence[Any], sql: str, *args: Value) -> None:
        pass

    async def count(self, sql: str, key: int | str, by: int, latest: Value = None) -> None:
        await self.execute(sql, by, by, latest, key)

    @asynccontextmanager
    async def together(self) -> AsyncIterator[None]:
        yield

    async def many(self, sql: str, rows: Iterable[Sequence[Value]]) -> None:
        wanted = [storable(row) for row in rows]
        with _translated():
            if at_hand.get() and len(wanted) <= AT_HAND_ROWS:
                self._connection._conn.executemany(sql, wanted)
            else:
                await self._connection.executemany(sql, wanted)

    def savepoint(self) -> AbstractAsyncContextManager[None]:
        return savepoint(self)


class SQLiteDatabase:
    """The adapter; `open_sqlite` makes one."""

    dialect: Literal["sqlite", "postgresql"] = "sqlite"
    search: SearchSQL = SEARCH
    skip_locked = ""
    trips = False

    def __init__(
        self,
        writer: aiosqlite.Connection,
        readers: list[aiosqlite.Connection],
        nearest: sqlite3.Connection,
        pseudonyms: Pseudonyms,
        path: Path,
    ) -> None:
        self.pseudonyms = pseudonyms
        self._path = path
        self._nearest = nearest
        self._writer = writer
        self._readers = readers
        self._turn = 0
        self._lock = asyncio.Lock()
        self._appends = GroupCommit(self._write_batch)

    async def all(self, sql: str, *args: Value) -> Sequence[Row]:
        if at_hand.get():
            # Whoever holds a lock for longer than a moment is waited for in a thread.
            with _translated(), contextlib.suppress(sqlite3.OperationalError):
                return _fetch(self._nearest, sql, args)
        return await _all(self._reader(), sql, args)

    async def one(self, sql: str, *args: Value) -> Row | None:
        return _first(await self.all(sql, *args))

    async def value(self, sql: str, *args: Value) -> Any:
        return _first_value(await self.all(sql, *args))

    async def state(self) -> Hashable:
        # The number changes with each commit of any other connection, and this one never writes.
        with contextlib.suppress(sqlite3.OperationalError):
            return cast(int, self._nearest.execute("PRAGMA data_version").fetchone()[0])
        return object()

    @contextmanager
    def at_hand(self) -> Iterator[None]:
        before = at_hand.set(True)
        try:
            yield
        finally:
            at_hand.reset(before)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Transaction]:
        async with self._lock:
            # Whoever is cancelled while a BEGIN that waits, or COMMIT, runs in its thread leaves no transaction
            # open behind it: the roll-back stands in the thread's queue after them.
            try:
                with _translated():
                    if not _begun(self._writer._conn):
                        await self._statement("BEGIN IMMEDIATE")
                yield SQLiteTransaction(self._writer, self.pseudonyms)
                with _translated():
                    await asyncio.shield(self._statement("COMMIT"))
            except BaseException:
                await asyncio.shield(self._roll_back())
                raise

    def queue_transaction(self) -> Any:
        """SQLite has one writer: the same as `transaction`."""
        return self.transaction()

    async def append(self, sql: str, row: Sequence[Value]) -> None:
        await self._appends.append((sql, row))

    async def append_together(self, *statements: tuple[str, Sequence[Value]]) -> None:
        await self._appends.append(*statements)

    async def scrub(self, tables: Sequence[str]) -> Sequence[str]:
        # Rows are overwritten as they are deleted (secure_delete); the index keeps deleted words in its
        # segments until they are merged, and the log keeps old pages until it is emptied.
        if "search_index" in tables:
            async with self.transaction() as tx:
                await tx.execute("INSERT INTO search_index (search_index) VALUES ('optimize')")
        async with self._lock:
            # A cursor that was not read to its end would hold the log.
            self._nearest.execute("SELECT 1").fetchall()
            for reader in self._readers:
                await reader.execute_fetchall("SELECT 1")
            with _translated():
                rows = await self._writer.execute_fetchall("PRAGMA wal_checkpoint(TRUNCATE)")
        if _first_value(cast("Sequence[Row]", rows)):
            return (LOG_IN_USE,)
        return await self._overwrite_gaps()

    async def _overwrite_gaps(self) -> Sequence[str]:
        """Rows that have gone were overwritten where they stood last; where they had stood before, they were not."""
        try:
            with _translated():
                dirty = await asyncio.to_thread(gaps.dirty_pages, self._path)
                for first in range(0, len(dirty), gaps.PAGES):
                    if not await self._overwrite(dirty[first : first + gaps.PAGES]):
                        return (LOG_IN_USE,)
        except gaps.Unsuitable as error:
            return (f"gaps of pages were left as they are: {error}",)
        return ()

    async def _overwrite(self, pages: Sequence[int]) -> bool:
        pragmas = sqlite_pragmas(READER_CACHE_KIB, gaps.TIMEOUT_MS)
        for _ in range(gaps.TRIES):
            async with self._lock:
                if await asyncio.to_thread(gaps.overwrite, self._path, pages, pragmas=pragmas):
                    return True
            await asyncio.sleep(gaps.PAUSE_S)
        return False

    async def close(self) -> None:
        await self._appends.close()
        async with self._lock:
            self._nearest.close()
            for reader in self._readers:
                await reader.close()
            with contextlib.suppress(sqlite3.Error):
                await self._statement("PRAGMA optimize")
            await self._writer.close()

    def _reader(self) -> aiosqlite.Connection:
        self._turn = (self._turn + 1) % len(self._readers)
        return self._readers[self._turn]

    async def _statement(self, sql: str) -> None:
        await _run(self._writer, sql, ())

    async def _roll_back(self) -> None:
        undone = self._writer._execute(_roll_back, self._writer._conn)  # type: ignore[no-untyped-call]
        await undone

    async def _write_batch(self, batch: Batch) -> None:
        # One trip: nobody decides anything between its statements.
        async with self._lock:
            with _translated():
                writing = self._writer._execute(_written, self._writer._conn, batch)  # type: ignore[no-untyped-call]
                await asyncio.shield(writing)


async def open_sqlite(
    path: Path, *, readers: int, pseudonyms: Pseudonyms | None = None
) -> Database:
    """Open the database file at `path` (made if absent) with `readers` connections for reading."""
    connections: list[aiosqlite.Connection] = []
    try:
        with _translated():
            connections.append(await _connect(path, WRITER_CACHE_KIB))
            for _ in range(readers):
                connections.append(await _connect(path, READER_CACHE_KIB, read_only=True))
            nearest = _nearest_to(path)
    except BaseException:
        # Each has a thread that would keep the process alive.
        for connection in connections:
            await connection.close()
        raise
    return SQLiteDatabase(
        connections[0], connections[1:], nearest, pseudonyms or Pseudonyms(), path
    )


def sqlite_pragmas(cache_kib: int, busy_timeout_ms: int = BUSY_TIMEOUT_MS) -> tuple[str, ...]:
    """What every connection sets, with the reasons in security.md §11 and §13."""
    return (
        f"PRAGMA busy_timeout = {busy_timeout_ms}",
        "PRAGMA journal_mode = WAL",
        "PRAGMA synchronous = FULL",
        "PRAGMA foreign_keys = ON",
        "PRAGMA secure_delete = ON",
        "PRAGMA temp_store = MEMORY",
        f"PRAGMA cache_size = -{cache_kib}",
    )


async def _connect(path: Path, cache_kib: int, *, read_only: bool = False) -> aiosqlite.Connection:
    # Never used by two threads at once: the writer's lock sees to that.
    connection = aiosqlite.connect(
        path, isolation_level=None, cached_statements=256, check_same_thread=False
    )
    # Whatever was acknowledged is on disk: a process that ends in a hurry must not hang here.
    connection._thread.daemon = True
    try:
        await connection
    except BaseException:
        # Its thread ends by itself, but reports to this loop once more.
        await asyncio.to_thread(connection._thread.join, 1)
        raise
    try:
        connection.row_factory = sqlite3.Row
        for pragma in sqlite_pragmas(cache_kib):
            await connection.execute_fetchall(pragma)
        if read_only:
            await connection.execute_fetchall("PRAGMA query_only = ON")
    except BaseException:
        await connection.close()
        raise
    return connection


def _nearest_to(path: Path) -> sqlite3.Connection:
    """A connection for reads at hand."""
    connection = sqlite3.connect(
        path, isolation_level=None, cached_statements=256, check_same_thread=False
    )
    try:
        connection.row_factory = sqlite3.Row
        for pragma in sqlite_pragmas(READER_CACHE_KIB, AT_HAND_TIMEOUT_MS):
            connection.execute(pragma)
        connection.execute("PRAGMA query_only = ON")
    except BaseException:
        connection.close()
        raise
    return connection


async def _run(connection: aiosqlite.Connection, sql: str, args: Sequence[Value]) -> int:
    # One hop to the connection's thread; aiosqlite's own execute() needs a second one.
    changed = connection._execute(_changed, connection._conn, sql, storable(args))  # type: ignore[no-untyped-call]
    return cast(int, await changed)


def _changed(connection: sqlite3.Connection, sql: str, args: Sequence[Value]) -> int:
    return connection.execute(sql, args).rowcount


def _begun(connection: sqlite3.Connection) -> bool:
    """Begin at once; False when somebody else writes just now, or what was before is not quite over."""
    if connection.in_transaction:
        return False
    connection.execute("PRAGMA busy_timeout = 0")
    try:
        connection.execute("BEGIN IMMEDIATE")
    except sqlite3.OperationalError:
        return False
    finally:
        connection.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}")
    return True


def _written(connection: sqlite3.Connection, batch: Batch) -> None:
    connection.execute("BEGIN IMMEDIATE")
    try:
        for sql, rows in batch.items():
            connection.executemany(sql, [storable(row) for row in rows])
        connection.execute("COMMIT")
    except BaseException:
        _roll_back(connection)
        raise


def _fetch(connection: sqlite3.Connection, sql: str, args: Sequence[Value]) -> Sequence[Row]:
    return cast("Sequence[Row]", connection.execute(sql, storable(args)).fetchall())


def _roll_back(connection: sqlite3.Connection) -> None:
    if connection.in_transaction:
        connection.execute("ROLLBACK")


async def _all(connection: aiosqlite.Connection, sql: str, args: Sequence[Value]) -> Sequence[Row]:
    with _translated():
        return cast("Sequence[Row]", await connection.execute_fetchall(sql, storable(args)))


def _first(rows: Sequence[Row]) -> Row | None:
    return rows[0] if rows else None


def _first_value(rows: Sequence[Row]) -> Any:
    return cast("Sequence[Any]", rows[0])[0] if rows else None


class _translated:
    """sqlite3's exceptions as ours."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, sqlite3.IntegrityError):
            raise Conflict(str(error)) from error
        if isinstance(error, sqlite3.OperationalError):
            text = str(error)
            if getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL:
                raise StorageFull(text) from error
            if any(sign in text for sign in ("full", "readonly", "locked", "disk I/O", "unable")):
                raise DatabaseUnavailable(text) from error
        if isinstance(error, sqlite3.Error):
            raise DatabaseError(str(error)) from error
