"""The schema's version and its migrations (INV-48)."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import sqlalchemy.exc

from fedcomm.resources import resource_folder
from fedcomm.store import schema
from fedcomm.store.database import Database
from fedcomm.store.schema import HEAD, SchemaMismatch, open_database, schema_state
from tests.databases import Databases, PostgreSQLServer, migrate_apart

STATE_SQL = {
    "empty": "DELETE FROM alembic_version",
    "older": "UPDATE alembic_version SET version_num = '0000'",
    "newer": "UPDATE alembic_version SET version_num = '9999'",
}

NEXT, AFTER_NEXT = f"{int(HEAD) + 1:04}", f"{int(HEAD) + 2:04}"
"""Revisions that do not exist yet."""

REVISION = """
from alembic import op

revision = "{revision}"
down_revision = "{before}"
branch_labels = None
depends_on = None


def upgrade() -> None:
{body}
"""


async def tables(db: Database) -> set[str]:
    sql = (
        "SELECT name FROM sqlite_master WHERE type = 'table'"
        if db.dialect == "sqlite"
        else "SELECT tablename AS name FROM pg_tables WHERE schemaname = 'public'"
    )
    return {row["name"] for row in await db.all(sql)}


@pytest.fixture
def history(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the migrations, to which a test may add."""
    folder = tmp_path / "history"
    shutil.copytree(
        resource_folder("migrations"), folder, ignore=shutil.ignore_patterns("__pycache__")
    )
    monkeypatch.setattr(schema, "resource_folder", lambda name: folder)
    return folder


def add_revision(history: Path, revision: str, before: str, *statements: str) -> None:
    body = "\n".join(f"    op.execute({statement!r})" for statement in statements)
    (history / "versions" / f"{revision}_test.py").write_text(
        REVISION.format(revision=revision, before=before, body=body)
    )


def test_head_is_the_newest_migration() -> None:
    names = sorted(path.name for path in resource_folder("migrations").glob("versions/*.py"))
    assert names[-1].split("_")[0] == HEAD
    numbers = [int(name.split("_")[0]) for name in names]
    assert numbers == list(range(1, len(names) + 1))


async def test_a_migrated_database_is_current(db: Database) -> None:
    assert await schema_state(db) == "current"


async def test_an_empty_database_is_refused_until_it_is_migrated(databases: Databases) -> None:
    url = databases.empty()
    with pytest.raises(SchemaMismatch, match="is empty: run `fedcomm migrate`"):
        await open_database(url)
    migrate_apart(url)
    db = await open_database(url)
    assert "journal" in await tables(db)
    await db.close()


@pytest.mark.parametrize(
    ("state", "advice"),
    [("empty", "fedcomm init"), ("older", "run `fedcomm migrate`"), ("newer", "upgrade fedcomm")],
)
async def test_inv_48_another_schema_is_refused_and_the_advice_fits(
    database_url: str, state: str, advice: str
) -> None:
    db = await open_database(database_url)
    async with db.transaction() as tx:
        await tx.execute(STATE_SQL[state])
    assert await schema_state(db) == state
    await db.close()
    with pytest.raises(SchemaMismatch, match=advice):
        await open_database(database_url)
    unchecked = await open_database(database_url, check=False)
    await unchecked.close()


async def test_inv_48_migrating_a_newer_schema_is_refused_and_changes_nothing(
    database_url: str,
) -> None:
    db = await open_database(database_url)
    async with db.transaction() as tx:
        await tx.execute(STATE_SQL["newer"])
    before = await tables(db)
    with pytest.raises(SchemaMismatch, match="does not know"):
        migrate_apart(database_url)
    assert await schema_state(db) == "newer"
    assert await tables(db) == before
    await db.close()


async def test_migrating_again_changes_nothing(database_url: str) -> None:
    db = await open_database(database_url)
    async with db.transaction() as tx:
        await tx.execute("INSERT INTO settings (key, value) VALUES ('a', 'b')")
    await db.close()
    migrate_apart(database_url)
    db = await open_database(database_url)
    assert await db.value("SELECT value FROM settings WHERE key = 'a'") == "b"
    await db.close()


async def test_inv_48_a_migration_that_fails_midway_leaves_the_old_schema(
    databases: Databases, history: Path
) -> None:
    url = databases.migrated()
    add_revision(
        history,
        NEXT,
        HEAD,
        "CREATE TABLE half_done (id BIGINT PRIMARY KEY)",
        "INSERT INTO settings (key, value) VALUES ('half', 'done')",
        "ALTER TABLE settings ADD COLUMN extra TEXT",
        "CREATE TABLE settings (id BIGINT)",
    )
    with pytest.raises(sqlalchemy.exc.DBAPIError, match="already exists"):
        migrate_apart(url)
    db = await open_database(url)
    assert await schema_state(db) == "current"
    assert "half_done" not in await tables(db)
    row = await db.one("SELECT * FROM settings")
    assert row is None
    async with db.transaction() as tx:
        await tx.execute("INSERT INTO settings (key, value) VALUES ('a', 'b')")
    row = await db.one("SELECT * FROM settings")
    assert row is not None and set(row.keys()) == {"key", "value"}
    await db.close()


async def test_inv_48_a_first_migration_that_fails_midway_leaves_nothing(
    databases: Databases, history: Path
) -> None:
    url = databases.empty()
    first = next((history / "versions").glob("0001_*.py"))
    first.write_text(first.read_text() + "    op.execute('CREATE TABLE journal (id BIGINT)')\n")
    with pytest.raises(sqlalchemy.exc.DBAPIError, match="already exists"):
        migrate_apart(url)
    db = await open_database(url, check=False)
    assert await tables(db) <= {"alembic_version"}
    assert await schema_state(db) == "empty"
    await db.close()
    shutil.copytree(resource_folder("migrations"), history, dirs_exist_ok=True)
    migrate_apart(url)
    await (await open_database(url)).close()


async def test_inv_48_revisions_before_the_failing_one_are_taken_back_with_it(
    databases: Databases, history: Path
) -> None:
    url = databases.migrated()
    add_revision(history, NEXT, HEAD, "CREATE TABLE second (id BIGINT PRIMARY KEY)")
    add_revision(history, AFTER_NEXT, NEXT, "CREATE TABLE third (id BIGINT)", "NO SQL AT ALL")
    with pytest.raises(sqlalchemy.exc.DBAPIError):
        migrate_apart(url)
    db = await open_database(url, check=False)
    # Half-way nobody could serve: neither this release nor the one before.
    assert await db.value("SELECT version_num FROM alembic_version") == HEAD
    assert not await tables(db) & {"second", "third"}
    add_revision(history, AFTER_NEXT, NEXT, "CREATE TABLE third (id BIGINT)")
    migrate_apart(url)
    assert await tables(db) >= {"second", "third"}
    await db.close()


async def test_a_path_with_odd_characters_is_one_file(tmp_path: Path) -> None:
    folder = tmp_path / "a b?c=d%20#e"
    folder.mkdir()
    url = f"sqlite:///{folder}/hub.sqlite3"
    migrate_apart(url)
    db = await open_database(url)
    assert await schema_state(db) == "current"
    await db.close()
    assert (folder / "hub.sqlite3").stat().st_size > 0


async def test_a_postgresql_behind_a_socket_is_migrated_and_opened_alike(
    migrated_postgresql: tuple[PostgreSQLServer, str],
) -> None:
    server, _ = migrated_postgresql
    name = server.create()
    url = f"postgresql://postgres@/{name}?host={server.socket_folder}&port={server.port}"
    migrate_apart(url)
    db = await open_database(url)
    assert await schema_state(db) == "current"
    await db.close()
    server.drop(name)
