"""The tables of an export: their columns as both engines see them, and their rows in one order.

What is exported is decided by the register of data (`fedcomm.hub.register`), so a new table is either in it or left
out with a reason.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from fedcomm.hub.register import REGISTER
from fedcomm.store.database import Database, Reader

Kind = Literal["integer", "real", "text"]
Cell = int | float | str | None
Record = tuple[Cell, ...]

PAGE: Final = 500
"""Rows that are read at a time: what an export holds in memory."""

_KINDS: Final[dict[str, Kind]] = {
    "BIGINT": "integer",
    "INTEGER": "integer",
    "DOUBLE PRECISION": "real",
    "TEXT": "text",
}


class PortabilityError(Exception):
    """An export cannot be made, or an archive cannot be imported; the message is for operators."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column: its name, what it holds, and whether it may be empty (NULL)."""

    name: str
    kind: Kind
    nullable: bool


@dataclass(frozen=True, slots=True)
class Table:
    """A table: columns in the order of their names (the engines may keep another), and its key."""

    name: str
    columns: tuple[Column, ...]
    key: tuple[str, ...]

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(column.name for column in self.columns)


def exported() -> list[str]:
    """The names of the tables that an export of the site holds."""
    return sorted(name for name, table in REGISTER.items() if table.export is True)


def left_out() -> dict[str, str]:
    """The tables that it does not hold, with the reason."""
    return {
        name: table.export for name, table in sorted(REGISTER.items()) if table.export is not True
    }


async def tables(db: Database) -> list[Table]:
    """The exported tables as this database has them."""
    return [await table_of(db, name) for name in exported()]


async def table_of(db: Database, name: str) -> Table:
    """One table as this database has it. Raises PortabilityError."""
    found: list[Column] = []
    key: list[tuple[int, str]] = []
    if db.dialect == "sqlite":
        for row in await db.all(f"PRAGMA table_info({name})"):
            nullable = not row["notnull"] and not row["pk"]
            found.append(Column(row["name"], _KINDS[row["type"].upper()], nullable))
            if row["pk"]:
                key.append((row["pk"], row["name"]))
    else:
        for row in await db.all(
            "SELECT column_name, data_type, is_nullable FROM information_schema.columns"
            " WHERE table_schema = current_schema() AND table_name = ?",
            name,
        ):
            kind = _KINDS[row["data_type"].upper()]
            found.append(Column(row["column_name"], kind, row["is_nullable"] == "YES"))
        for row in await db.all(
            "SELECT k.column_name, k.ordinal_position FROM information_schema.table_constraints c"
            " JOIN information_schema.key_column_usage k ON k.constraint_name = c.constraint_name"
            "  AND k.table_schema = c.table_schema AND k.table_name = c.table_name"
            " WHERE c.constraint_type = 'PRIMARY KEY' AND c.table_schema = current_schema()"
            "  AND c.table_name = ?",
            name,
        ):
            key.append((row["ordinal_position"], row["column_name"]))
    if not found or not key:
        raise PortabilityError(f"the table {name} is not in this database.")
    columns = tuple(sorted(found, key=lambda column: column.name))
    return Table(name, columns, tuple(column for _, column in sorted(key)))


NOT_MOVED: Final = {"settings": "key <> 'erasure_journal'"}
"""Rows that belong to this machine: how far its database has come in its erasure journal."""


async def rows(db: Reader, table: Table, dialect: str) -> AsyncIterator[Record]:
    """Every row in the order of its key, a page at a time; texts are ordered by their bytes on both engines."""
    async for record in chosen(db, table, dialect, NOT_MOVED.get(table.name, "1 = 1")):
        yield record


async def chosen(
    db: Reader,
    table: Table,
    dialect: str,
    condition: str,
    args: Sequence[Cell] = (),
    without: frozenset[str] = frozenset(),
) -> AsyncIterator[Record]:
    """The rows for which `condition` (SQL with `args`) holds, in the same order; the columns `without` are left out."""
    shown = [name for name in table.names if name not in without]
    names = ", ".join(dict.fromkeys((*shown, *table.key)))
    ordered = [
        f'{name} COLLATE "C"' if dialect == "postgresql" and _kind(table, name) == "text" else name
        for name in table.key
    ]
    order = ", ".join(ordered)
    after: Sequence[Cell] | None = None
    while True:
        where = f" WHERE {condition}"
        if after is not None:
            where += f" AND ({order}) > ({', '.join('?' * len(after))})"
        page = await db.all(
            f"SELECT {names} FROM {table.name}{where} ORDER BY {order} LIMIT {PAGE}",
            *args,
            *(after or ()),
        )
        for row in page:
            yield tuple(row[name] for name in shown)
        if len(page) < PAGE:
            return
        after = [page[-1][name] for name in table.key]


def _kind(table: Table, name: str) -> Kind:
    return next(column.kind for column in table.columns if column.name == name)
