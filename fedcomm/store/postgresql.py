"""PostgreSQL through asyncpg: a pool, `SKIP LOCKED` for the queues, an advisory lock for the
journal's order."""

from __future__ import annotations

import asyncio
import contextlib
import functools
from collections.abc import AsyncIterator, Hashable, Iterable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from typing import Any, Literal, cast

import asyncpg

from fedcomm.store.database import (
    Conflict,
    Database,
    DatabaseError,
    DatabaseUnavailable,
    Row,
    SearchSQL,
    StorageFull,
    Transaction,
    Value,
    at_hand,
    storable,
)
from fedcomm.store.groupcommit import Batch, GroupCommit
from fedcomm.store.pseudonyms import Pseudonyms
from fedcomm.store.savepoints import savepoint
from fedcomm.store.together import Together

SCRUB_S = 3600.0
"""How long the rewriting of one table may take."""

REWRITE_BYTES = 1 << 30
"""A larger table is not rewritten while the hub serves: everybody would wait for minutes."""

COMBINED_MOST = 1_000
"""Statements of which the form for several values is remembered: lists in them may have any length."""

JOURNAL_LOCK = 0x66656463
"""Advisory lock of hub transactions: without it a journal entry could appear behind a reader's
cursor."""


def _words(words: Sequence[str]) -> str:
    quoted = ("'" + word.replace("\\", "").replace("'", "''") + "':*" for word in words)
    return " & ".join(quoted)


SEARCH = SearchSQL(
    upsert=(
        "INSERT INTO search_index (object_id, document)"
        " VALUES (?, to_tsvector('simple', CAST(? AS TEXT) || ' ' || CAST(? AS TEXT)))"
        " ON CONFLICT (object_id) DO UPDATE SET document = excluded.document"
    ),
    remove="DELETE FROM search_index WHERE object_id = ?",
    found="search_index s JOIN objects o ON o.id = s.object_id",
    matching="s.document @@ to_tsquery('simple', ?)",
    number="o.id",
    query=_words,
)
"""tsvector with the configuration `simple`, so that both engines find the same words."""


def spelled(sql: str, args: Sequence[Value]) -> tuple[Value, ...]:
    """A statement and its values as PostgreSQL has them: `?` as `$1`, `$2`, and how many rows are wanted written out,
    so that a plan that is made once is one for so many."""
    limits = _limits(sql)
    if not limits:
        return (numbered(sql), *storable(args))
    wanted = tuple(args[place] for place in limits)
    return (
        _numbered_but(sql, limits, wanted),
        *storable([value for place, value in enumerate(args) if place not in limits]),
    )


@functools.lru_cache(maxsize=2048)
def numbered(sql: str) -> str:
    """`?` parameters as PostgreSQL's `$1`, `$2`; no statement of ours holds a literal question
    mark."""
    parts = sql.split("?")
    return "".join(part + f"${n}" for n, part in enumerate(parts[:-1], 1)) + parts[-1]


@functools.lru_cache(maxsize=2048)
def _limits(sql: str) -> tuple[int, ...]:
    """The places of parameters that say how many rows are wanted. Whoever locks rows wants another number each time."""
    if "FOR UPDATE" in sql:
        return ()
    parts = sql.split("?")[:-1]
    return tuple(place for place, part in enumerate(parts) if part.endswith(" LIMIT "))


@functools.lru_cache(maxsize=2048)
def _numbered_but(sql: str, places: tuple[int, ...], wanted: tuple[Value, ...]) -> str:
    parts = sql.split("?")
    for place, value in zip(places, wanted, strict=True):
        parts[place] += str(int(cast(int, value)))
    text, number = [], 0
    for place, part in enumerate(parts[:-1]):
        number += place not in places
        text.append(part if place in places else f"{part}${number}")
    return "".join(text) + parts[-1]


class _Part(asyncpg.Record):  # type: ignore[misc]
    """A row of a statement that was asked with several values: its last column says for which."""

    __slots__ = ()

    def __iter__(self) -> Iterator[Any]:
        return iter(self[:-1])

    def __len__(self) -> int:
        return len(self[:-1])

    def keys(self) -> Sequence[str]:
        return list(super().keys())[:-1]

    def values(self) -> Sequence[Any]:
        return list(self)

    def items(self) -> Sequence[tuple[str, Any]]:
        return list(super().items())[:-1]


class _Combined:
    """Statements in the form in which they are asked with several values at once."""

    def __init__(self) -> None:
        self._known: dict[str, str] = {}

    async def fetch(
        self, connection: Any, sql: str, asked: Sequence[Sequence[Value]]
    ) -> list[list[Row]]:
        """The rows of each of `asked`, in their order."""
        combined = self._known.get(sql)
        if combined is None:
            statement = await connection.prepare(numbered(sql))
            types = [f'{each.schema}."{each.name}"' for each in statement.get_parameters()]
            if len(self._known) >= COMBINED_MOST:
                self._known.clear()
            combined = self._known[sql] = _combined(sql, types)
        found: list[list[Row]] = [[] for _ in asked]
        columns = zip(*(storable(one) for one in asked), strict=True)
        for row in await connection.fetch(combined, *map(list, columns), record_class=_Part):
            found[row[-1] - 1].append(row)
        return found


def _combined(sql: str, types: Sequence[str]) -> str:
    """`sql` for each row of its parameters' arrays. A statement by itself orders and limits what it finds for each."""
    parts = sql.split("?")
    inner = "".join(f"{part}asked_.p{n}" for n, part in enumerate(parts[:-1], 1)) + parts[-1]
    arrays = ", ".join(f"${n}::{each}[]" for n, each in enumerate(types, 1))
    names = "".join(f"p{n}, " for n in range(1, len(types) + 1))
    return (
        f"SELECT found_.*, asked_.n_ FROM unnest({arrays}) WITH ORDINALITY AS asked_({names}n_)"
        f" CROSS JOIN LATERAL ({inner}) AS found_"
    )


class PostgreSQLTransaction:
    """Statements inside one transaction of one connection."""

    dialect: Literal["sqlite", "postgresql"] = "postgresql"
    search: SearchSQL = SEARCH
    row = "ctid"
    for_update = " FOR UPDATE"

    def __init__(self, connection: Any, pseudonyms: Pseudonyms, combined: _Combined) -> None:
        self._connection = connection
        self._combined = combined
        self._together: Together | None = None
        self._turn = asyncio.Lock()
        self.pseudonyms = pseudonyms

    async def all(self, sql: str, *args: Value) -> Sequence[Row]:
        if self._together is not None and args:
            return await self._together.ask(sql, args)
        with _translated():
            return cast("Sequence[Row]", await self._connection.fetch(*spelled(sql, args)))

    async def one(self, sql: str, *args: Value) -> Row | None:
        if self._together is not None and args:
            return _first(await self._together.ask(sql, args))
        with _translated():
            return cast("Row | None", await self._connection.fetchrow(*spelled(sql, args)))

    async def value(self, sql: str, *args: Value) -> Any:
        if self._together is not None and args:
            return _first_value(await self._together.ask(sql, args))
        with _translated():
            return await self._connection.fetchval(*spelled(sql, args))

    @asynccontextmanager
    async def together(self) -> AsyncIterator[None]:
        self._together = Together(self._fetch, alone=False)
        try:
            yield
        finally:
            together, self._together = self._together, None
            await together.close()

    async def _fetch(self, sql: str, asked: Sequence[Sequence[Value]]) -> Sequence[Sequence[Row]]:
        # One connection does one thing at a time.
        async with self._turn:
            with _translated():
                if len(asked) == 1:
                    return [await self._connection.fetch(*spelled(sql, asked[0]))]
                return await self._combined.fetch(self._connection, sql, asked)

    async def execute(self, sql: str, *args: Value, keys: Sequence[Value] | None = None) -> int:
        with _translated():
            status = cast(str, await self._connection.execute(*spelled(sql, args)))
        count = status.rsplit(" ", 1)[-1]
        return int(count) if count.isdigit() else 0

    async def later(
        self, sql: str, *args: Value, keys: Sequence[Value] | None = None, first: bool = False
    ) -> None:
        await self.execute(sql, *args)

    def remember(self, row: Sequence[Any], sql: str, *args: Value) -> None:
        pass

    async def count(self, sql: str, key: int | str, by: int, latest: Value = None) -> None:
        await self.execute(sql, by, by, latest, key)

    async def many(self, sql: str, rows: Iterable[Sequence[Value]]) -> None:
        with _translated():
            await self._connection.executemany(numbered(sql), [storable(row) for row in rows])

    def savepoint(self) -> AbstractAsyncContextManager[None]:
        return savepoint(self)


class PostgreSQLDatabase:
    """The adapter; `open_postgresql` makes one."""

    dialect: Literal["sqlite", "postgresql"] = "postgresql"
    search: SearchSQL = SEARCH
    skip_locked = " FOR UPDATE SKIP LOCKED"
    trips = True

    def __init__(self, pool: Any, pseudonyms: Pseudonyms) -> None:
        self.pseudonyms = pseudonyms
        self._pool = pool
        self._turn = asyncio.Lock()
        self._appends = GroupCommit(self._write_batch)
        self._asking = asyncio.Lock()
        self._asked: asyncio.Task[Hashable] | None = None
        self._combined = _Combined()
        self._together = Together(self._fetch, alone=True)

    async def all(self, sql: str, *args: Value) -> Sequence[Row]:
        if args and at_hand.get():
            return await self._together.ask(sql, args)
        with _translated():
            return cast("Sequence[Row]", await self._pool.fetch(*spelled(sql, args)))

    async def one(self, sql: str, *args: Value) -> Row | None:
        if args and at_hand.get():
            return _first(await self._together.ask(sql, args))
        with _translated():
            return cast("Row | None", await self._pool.fetchrow(*spelled(sql, args)))

    async def value(self, sql: str, *args: Value) -> Any:
        if args and at_hand.get():
            return _first_value(await self._together.ask(sql, args))
        with _translated():
            return await self._pool.fetchval(*spelled(sql, args))

    async def _fetch(self, sql: str, asked: Sequence[Sequence[Value]]) -> Sequence[Sequence[Row]]:
        with _translated():
            if len(asked) == 1:
                return [await self._pool.fetch(*spelled(sql, asked[0]))]
            async with self._pool.acquire() as connection:
                return await self._combined.fetch(connection, sql, asked)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Transaction]:
        # Writers of this process wait here and not with a connection each in their hands: the pool
        # is left to the readers, of whom the writer itself may be one.
        async with self._turn, self.queue_transaction() as tx:
            await tx.value("SELECT pg_advisory_xact_lock(?)", JOURNAL_LOCK)
            yield tx

    @asynccontextmanager
    async def queue_transaction(self) -> AsyncIterator[Transaction]:
        with _translated():
            connection = await self._pool.acquire()
        try:
            transaction = connection.transaction()
            with _translated():
                await transaction.start()
            try:
                yield PostgreSQLTransaction(connection, self.pseudonyms, self._combined)
            except BaseException:
                # A connection that is gone has been rolled back; the first error tells more.
                with contextlib.suppress(
                    asyncpg.PostgresError,
                    asyncpg.InterfaceError,
                    asyncpg.InternalClientError,
                    OSError,
                ):
                    await transaction.rollback()
                raise
            with _translated():
                await transaction.commit()
        finally:
            await self._pool.release(connection)

    async def append(self, sql: str, row: Sequence[Value]) -> None:
        await self._appends.append((sql, row))

    async def append_together(self, *statements: tuple[str, Sequence[Value]]) -> None:
        await self._appends.append(*statements)

    async def state(self) -> Hashable:
        # One question for all who ask at this moment. One that is under way may have been answered already, before
        # what they must not miss: it is the next one that they wait for together.
        if self._asked is None:
            self._asked = asyncio.create_task(self._ask_state())
        return await asyncio.shield(self._asked)

    async def _ask_state(self) -> Hashable:
        async with self._asking:
            self._asked = None
            # Which transactions a reader sees: every commit makes another one.
            return str(await self.value("SELECT CAST(pg_current_snapshot() AS TEXT)"))

    @contextmanager
    def at_hand(self) -> Iterator[None]:
        """The server is another process, so every statement is a trip: those that are asked for at the same moment
        share one."""
        before = at_hand.set(True)
        try:
            yield
        finally:
            at_hand.reset(before)

    async def scrub(self, tables: Sequence[str]) -> Sequence[str]:
        # A plain VACUUM makes room for others and leaves the old bytes in it until they come; only FULL writes
        # the table and its indexes anew and lets the old files go.
        left = []
        async with self._pool.acquire() as connection:
            with _translated():
                for table in sorted(set(tables)):
                    size = await connection.fetchval("SELECT pg_total_relation_size($1)", table)
                    full = size <= REWRITE_BYTES
                    if not full:
                        left.append(f"{table} is too large to be rewritten while serving")
                    words = "FULL, ANALYZE" if full else "ANALYZE"
                    await connection.execute(f'VACUUM ({words}) "{table}"', timeout=SCRUB_S)
                    await _forget_statistics_of_empty(connection, table)
                # The planner's statistics hold the commonest values of each column.
                await connection.execute("VACUUM (FULL) pg_catalog.pg_statistic", timeout=SCRUB_S)
                # Old files go with the next checkpoint, which only some roles may ask for at once.
                with contextlib.suppress(asyncpg.InsufficientPrivilegeError):
                    await connection.execute("CHECKPOINT", timeout=SCRUB_S)
        return left

    async def close(self) -> None:
        await self._appends.close()
        await self._together.close()
        await self._pool.close()

    async def _write_batch(self, batch: Batch) -> None:
        async with self.queue_transaction() as tx:
            for sql, rows in batch.items():
                await tx.many(sql, rows)


def _first(rows: Sequence[Row]) -> Row | None:
    return rows[0] if rows else None


def _first_value(rows: Sequence[Row]) -> Any:
    return cast("Sequence[Any]", rows[0])[0] if rows else None


async def _forget_statistics_of_empty(connection: Any, table: str) -> None:
    """ANALYZE keeps what it knew of a table that has become empty. Naming a column's type anew, as it is, drops it:
    the only way that needs no superuser."""
    if await connection.fetchval(f'SELECT EXISTS (SELECT 1 FROM "{table}")'):
        return
    for row in await connection.fetch(
        "SELECT s.attname, format_type(a.atttypid, a.atttypmod) AS type FROM pg_stats s"
        " JOIN pg_attribute a ON a.attrelid = to_regclass(quote_ident(s.tablename))"
        "  AND a.attname = s.attname WHERE s.schemaname = current_schema() AND s.tablename = $1",
        table,
    ):
        column = row["attname"]
        await connection.execute(
            f'ALTER TABLE "{table}" ALTER COLUMN "{column}" TYPE {row["type"]}'
        )


async def open_postgresql(
    url: str, *, pool_size: int, pseudonyms: Pseudonyms | None = None
) -> Database:
    """Connect to `url` with at most `pool_size` connections. Raises DatabaseUnavailable if nobody
    answers."""
    try:
        pool = await asyncpg.create_pool(
            url,
            min_size=1,
            max_size=pool_size,
            command_timeout=60,
            reset=_left_as_it_was,
            server_settings={
                "synchronous_commit": "on",
                "application_name": "fedcomm",
            },
        )
    except (OSError, asyncpg.PostgresError, TimeoutError) as error:
        raise DatabaseUnavailable(f"PostgreSQL does not answer: {error}") from error
    return PostgreSQLDatabase(pool, pseudonyms or Pseudonyms())


async def _left_as_it_was(connection: Any) -> None:
    """What the pool does with a connection that comes back: nothing. By itself it would make a trip after each
    statement, to undo settings, listeners and session locks, of which the hub never has any."""


class _translated:
    """asyncpg's exceptions as ours."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, asyncpg.IntegrityConstraintViolationError):
            raise Conflict(str(error)) from error
        if isinstance(error, asyncpg.DiskFullError):
            raise StorageFull(str(error)) from error
        if isinstance(
            error,
            asyncpg.PostgresConnectionError
            | asyncpg.InsufficientResourcesError
            | asyncpg.OperatorInterventionError
            | asyncpg.ReadOnlySQLTransactionError
            | asyncpg.InterfaceError
            # What asyncpg makes of a connection that ends in the middle of a statement.
            | asyncpg.InternalClientError
            | OSError
            | TimeoutError,
        ):
            raise DatabaseUnavailable(str(error) or type(error).__name__) from error
        if isinstance(error, asyncpg.PostgresError):
            raise DatabaseError(str(error)) from error
