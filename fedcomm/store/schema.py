"""The schema's version: read with one plain select, changed by Alembic, which is imported only
then.

An empty database is made; an older one is migrated by `fedcomm migrate` (or by `serve` when it
may); a newer
one is refused (INV-48).
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from fedcomm.resources import resource_folder
from fedcomm.store import snapshots
from fedcomm.store.database import Database, DatabaseError
from fedcomm.store.ids import go_on_after
from fedcomm.store.pseudonyms import Pseudonyms

if TYPE_CHECKING:
    import sqlite3

HEAD = "0015"
"""The revision that this release reads and writes; a test compares it with migrations/versions."""

IN_ORDER = ("objects", "activities", "deliveries", "inbox")
"""Tables whose rows are worked off, or shown, in the order of their ids."""

State = Literal["empty", "older", "current", "newer"]


class SchemaMismatch(DatabaseError):
    """The database has another schema than this release; the message says what to do."""


async def open_database(
    url: str,
    *,
    readers: int = 3,
    pool_size: int = 10,
    check: bool = True,
    pseudonyms: Pseudonyms | None = None,
) -> Database:
    """The database behind `url` (`sqlite:///path` or `postgresql://…`), with the hub's pseudonyms.

    Raises SchemaMismatch unless its schema is the one of this release (with `check`).
    """
    # Each engine is imported where it is used only: the other one's library costs two megabytes.
    if url.startswith("sqlite:///"):
        from fedcomm.store.sqlite import open_sqlite

        database = await open_sqlite(
            Path(url.removeprefix("sqlite:///")), readers=readers, pseudonyms=pseudonyms
        )
    else:
        from fedcomm.store.postgresql import open_postgresql

        database = await open_postgresql(url, pool_size=pool_size, pseudonyms=pseudonyms)
    if check:
        state = await schema_state(database)
        if state != "current":
            await database.close()
            raise SchemaMismatch(
                {
                    "empty": "the database is empty: run `fedcomm migrate` (or `fedcomm init`)",
                    "older": "the database has an older schema: run `fedcomm migrate`",
                    "newer": "the database has a newer schema than this release knows: upgrade fedcomm",
                }[state]
            )
        for table in IN_ORDER:
            newest = await database.value(f"SELECT max(id) FROM {table}")
            go_on_after(int(newest or 0))
    return database


async def schema_state(database: Database) -> State:
    """How the schema of `database` relates to this release."""
    if database.dialect == "sqlite":
        known = await database.value(
            "SELECT count(*) FROM sqlite_master WHERE name = 'alembic_version'"
        )
    else:
        known = await database.value(
            "SELECT count(*) FROM pg_catalog.pg_tables"
            " WHERE tablename = 'alembic_version' AND schemaname = current_schema()"
        )
    if not known:
        return "empty"
    revision = await database.value("SELECT version_num FROM alembic_version")
    if revision is None:
        return "empty"
    if revision == HEAD:
        return "current"
    return "older" if str(revision) < HEAD else "newer"


Told = Callable[[str, str], None]
"""Called with the number and the first line of each revision that was applied."""


def _nobody(_revision: str, _words: str) -> None:
    """Who is told when nobody asks."""


def migrate(url: str, *, told: Told = _nobody) -> None:
    """Bring the database behind `url` to HEAD, all revisions in one transaction. Blocks: call it in a thread.

    Of a SQLite file that is not empty a snapshot is taken first, and kept if anything was changed.
    Raises SchemaMismatch when the schema is newer than this release, OSError without room for the snapshot.
    """
    from alembic import command
    from alembic.config import Config
    from alembic.util.exc import CommandError
    from sqlalchemy import URL, create_engine, event, pool

    config = Config()
    config.set_main_option("script_location", str(resource_folder("migrations")))
    applied: list[str] = []

    def note(revision: str, words: str) -> None:
        applied.append(revision)
        told(revision, words)

    config.attributes["told"] = note

    def upgrade(connection: Any) -> None:
        config.attributes["connection"] = connection
        try:
            command.upgrade(config, "head")
        except CommandError as error:
            raise SchemaMismatch(
                f"the database has a schema that this release does not know: {error}"
            ) from error

    if url.startswith("sqlite:///"):
        from fedcomm.store.sqlite import sqlite_pragmas

        # Not parsed as an address: `?` and `%` may stand in a path.
        path = URL.create("sqlite", database=url.removeprefix("sqlite:///"))
        snapshot = snapshots.take(Path(url.removeprefix("sqlite:///")), HEAD)
        engine = create_engine(path, poolclass=pool.NullPool)

        @event.listens_for(engine, "connect")
        def _connected(connection: sqlite3.Connection, _record: object) -> None:
            # pysqlite opens transactions by itself, but not for DDL: with this and the BEGIN
            # below a migration is one transaction (INV-48).
            connection.isolation_level = None
            for pragma in sqlite_pragmas(8_000):
                connection.execute(pragma)

        @event.listens_for(engine, "begin")
        def _begun(connection: Any) -> None:
            connection.exec_driver_sql("BEGIN IMMEDIATE")

        try:
            with engine.connect() as connection:
                upgrade(connection)
                connection.commit()
        except BaseException:
            # Everything was rolled back: the file itself is what it was.
            applied.clear()
            raise
        finally:
            engine.dispose()
            if snapshot is not None and not applied:
                snapshots.remove(Path(url.removeprefix("sqlite:///")))
    else:
        import asyncio

        import asyncpg
        from sqlalchemy.ext.asyncio import create_async_engine

        async def run() -> None:
            # Connected by the driver itself, so that every address that it understands
            # (sockets, sslmode, several hosts) means the same here as in `open_postgresql`.
            asynchronous = create_async_engine(
                "postgresql+asyncpg://",
                async_creator=lambda: asyncpg.connect(url),
                poolclass=pool.NullPool,
            )
            async with asynchronous.connect() as link:
                await link.run_sync(upgrade)
                await link.commit()
            await asynchronous.dispose()

        asyncio.run(run())
