"""The `Database` port: what the hub and its spokes may ask of a database, whichever engine stands
below.

SQL is written once, in the subset that both engines share: `?` for parameters, `ON CONFLICT`,
`RETURNING`,
integers for flags (0/1), 64-bit integers for times (Unix milliseconds, UTC), TEXT for JSON. Where
the
engines differ (full-text search, row locks, reclaiming space) the adapter has a method or a
fragment here.

`transaction()` is for changes of the hub: such transactions are serialised, so that journal entries
become
visible in the order of their numbers. `queue_transaction()` is for the queues, which keep no
journal.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Final, Literal, Protocol, cast

from fedcomm.store.pseudonyms import Pseudonyms

Value = int | str | bytes | float | None
Row = Mapping[str, Any]


class DatabaseError(Exception):
    """The database refused or failed; the message is for operators."""


class DatabaseUnavailable(DatabaseError):
    """The database cannot write now (disk full, read-only, gone): answer 503 and try again later."""


class StorageFull(DatabaseUnavailable):
    """There is no room on the disk: answer 507; reading goes on."""


class Conflict(DatabaseError):
    """A unique or foreign key refused the change."""


class Reader(Protocol):
    """Reads: rows are mappings by column name."""

    async def all(self, sql: str, *args: Value) -> Sequence[Row]:
        """Every row."""
        ...

    async def one(self, sql: str, *args: Value) -> Row | None:
        """The first row, or None."""
        ...

    async def value(self, sql: str, *args: Value) -> Any:
        """The first column of the first row, or None."""
        ...


@dataclass(frozen=True, slots=True)
class TextsSQL:
    """The indexed texts themselves, for words that so many of them have that the newest are found by looking.

    A word is looked for with a space before it.
    """

    newest: str
    """In place of a table: the newest texts, with the columns `id` and `words` (which begin with a space). Parameters:
    below which id, and how many."""

    nth: str
    """The id of one of them. Parameters: below which id, and how many newer ones there are."""

    newest_holds: str
    """The condition that one of `newest` has a word; parameter: the word."""

    found_holds: str
    """The condition that a text of `SearchSQL.found` has a word; parameter: the word."""


@dataclass(frozen=True, slots=True)
class SearchSQL:
    """The statements of full-text search, which the two engines spell differently."""

    upsert: str
    """Parameters: object id, title, text."""

    remove: str
    """Parameter: object id."""

    found: str
    """What follows FROM: the index joined with `objects o`, read in the order of ids."""

    matching: str
    """The condition; parameter: the query as `query` wrote it."""

    number: str
    """An object's id, as the column by which the index is read in order."""

    query: Callable[[Sequence[str]], str]
    """The engine's query for objects that hold every one of the words, as beginnings."""

    texts: TextsSQL | None = None
    """None where the engine itself knows when looking is cheaper than its index."""


class Transaction(Reader, Protocol):
    """One open transaction: commits when its block ends, rolls back when the block raises."""

    dialect: Literal["sqlite", "postgresql"]
    search: SearchSQL
    pseudonyms: Pseudonyms
    row: str
    """The name of a row's own address within a table, for statements that take a bounded number of rows."""
    for_update: str
    """Appended to the SELECT of rows that nobody else may change until the transaction ends."""

    async def execute(self, sql: str, *args: Value, keys: Sequence[Value] | None = None) -> int:
        """Run one statement; the number of rows it changed. `keys`: as with `later`."""
        ...

    async def many(self, sql: str, rows: Iterable[Sequence[Value]]) -> None:
        """Run one statement for each row, in one trip."""
        ...

    async def later(
        self, sql: str, *args: Value, keys: Sequence[Value] | None = None, first: bool = False
    ) -> None:
        """Run one statement that writes one table, at the latest when the transaction ends or that table is read: a
        transaction that others share makes many of one kind in one trip. What it does must not hang on what is
        written to other tables meanwhile, but for what is written with keys, which comes before it.

        `keys`: by which alone what it writes is found (`fedcomm.store.remembered.by_key`). `first`: others may point to
        the row that it adds, so it is written before all else.
        """
        ...

    async def count(self, sql: str, key: int | str, by: int, latest: Value = None) -> None:
        """Count up or down in the row `key`, at the latest when the transaction ends: who reads the row by its key
        before that may see the old number. A transaction that others share adds up first. Parameters of `sql`, which
        writes one table: the number, the number, the last `latest` that was not None, the key."""
        ...

    def remember(self, row: Sequence[Any], sql: str, *args: Value) -> None:
        """The row that `one` of this statement would find, in its columns' order, as is known to whoever has just read
        or written it: a transaction that remembers need not ask."""
        ...

    def together(self) -> AbstractAsyncContextManager[None]:
        """Inside the block several tasks may read at the same moment, and nobody writes. Where every statement is a
        trip (`Database.trips`), what they ask alike goes in one."""
        ...

    def savepoint(self) -> AbstractAsyncContextManager[None]:
        """A part that may fail by itself: when the block raises, what it did is undone and the rest stands.

        Raises DatabaseUnavailable when the engine has given up the transaction as a whole.
        """
        ...


class Database(Reader, Protocol):
    """A database with its connections."""

    dialect: Literal["sqlite", "postgresql"]
    search: SearchSQL
    pseudonyms: Pseudonyms
    skip_locked: str
    """Appended to the SELECT of a queue claim: rows that another process holds are passed over."""
    trips: bool
    """Whether every statement goes to another process: then asking for several at once costs less than one after the
    other."""

    def transaction(self) -> AbstractAsyncContextManager[Transaction]:
        """A change of the hub: serialised with every other, durable when the block has ended."""
        ...

    def queue_transaction(self) -> AbstractAsyncContextManager[Transaction]:
        """A change of queue rows only."""
        ...

    async def append(self, sql: str, row: Sequence[Value]) -> None:
        """Group commit: run `sql` for `row` together with what others append at this moment.

        Returns when the transaction that holds it is on stable storage. The statement must stand
        alone:
        rows of one statement may be run in one batch.
        """
        ...

    async def append_together(self, *statements: tuple[str, Sequence[Value]]) -> None:
        """Group commit of statements that stand or fall together."""
        ...

    async def state(self) -> Hashable:
        """Which state the database is in: equal to an earlier answer only if nobody has committed anything since, in
        this process or another. Not kept over restarts."""
        ...

    def at_hand(self) -> AbstractContextManager[None]:
        """Inside the block statements run where they are asked for, if the engine is part of this process; if it is
        not, reads that are asked for at the same moment share a trip.

        The way to the engine's thread and back costs ten times what finding a row by its key does. Only for
        statements that touch a few rows by an index: nothing else of the process goes on meanwhile. What may wait
        for the disk or for another process (the end of a transaction) goes to the thread all the same.
        Tasks that are started inside inherit it.
        """
        ...

    async def scrub(self, tables: Sequence[str]) -> Sequence[str]:
        """Take what was deleted from `tables` off the disk: free pages, index, log (security.md §13).

        What is left to be done, in words for an operator; empty if nothing. Serving goes on meanwhile, except that
        PostgreSQL rewrites the tables, and whoever needs one of them waits for that.
        """
        ...

    async def close(self) -> None:
        """Finish what is appended and close every connection."""
        ...


at_hand: Final[ContextVar[bool]] = ContextVar("at_hand", default=False)
"""Whether statements run where they are asked for, or share trips (`Database.at_hand`)."""


@contextmanager
def at_length() -> Iterator[None]:
    """Inside a block at hand: what is read here may be long, so it goes the long way after all."""
    before = at_hand.set(False)
    try:
        yield
    finally:
        at_hand.reset(before)


def storable(args: Sequence[Value]) -> Sequence[Value]:
    """`args` with every NUL in a text as U+FFFD, as HTML reads it.

    PostgreSQL cannot hold a NUL; an address like `/@name%00` must find nothing on either engine,
    not fail.
    """
    for value in args:
        if type(value) is str and "\0" in value:
            return [v.replace("\0", "\ufffd") if isinstance(v, str) else v for v in args]
    return args


def values(row: Row) -> tuple[Any, ...]:
    """The values of a row in the order in which they were selected.

    To ask a row for thirty columns by their names costs as much as to read it.
    """
    # Going through a row of either engine gives its values, not its names.
    return tuple(cast("Iterable[Any]", row))


def marks(count: int) -> str:
    """`count` parameters for an IN list: `?, ?, ?` (at least one, so that the SQL stays valid)."""
    return ", ".join("?" * max(count, 1))
