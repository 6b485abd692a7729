"""Fixtures for every test: databases on both engines, and a site on one of them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from jinja2 import BytecodeCache, Environment
from jinja2.bccache import Bucket

from fedcomm.site import Site
from fedcomm.store import ids
from fedcomm.store.database import Database
from fedcomm.store.schema import open_database
from fedcomm.web import templates
from tests.databases import (
    ENGINES,
    Databases,
    Engine,
    PostgreSQLDatabases,
    PostgreSQLServer,
    SQLiteDatabases,
    make_site,
    postgresql_template,
    sqlite_template,
)

settings.register_profile(
    "fedcomm",
    deadline=None,  # one example may wait for a disk or for another test run
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
settings.load_profile("fedcomm")


class CompiledOnce(BytecodeCache):
    """Compiled templates by name and content, for all hubs of this process: each test makes one, and to
    compile takes longer than to render."""

    def __init__(self) -> None:
        self._code: dict[tuple[str, str], Any] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        bucket.code = self._code.get((bucket.key, bucket.checksum))

    def dump_bytecode(self, bucket: Bucket) -> None:
        self._code[bucket.key, bucket.checksum] = bucket.code


@pytest.fixture(scope="session", autouse=True)
def templates_are_compiled_once() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(templates, "Environment", partial(Environment, bytecode_cache=CompiledOnce()))
        yield


@pytest.fixture(autouse=True)
def ids_by_the_clock() -> Iterator[None]:
    """A test that sets the clock forward does not make the ids of later ones."""
    yield
    if ids.milliseconds_of(ids._last) > ids.now_ms():
        ids._last = 0


@pytest.fixture(scope="session")
def migrated_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite file with today's schema, to copy."""
    return sqlite_template(tmp_path_factory.mktemp("template"))


@pytest.fixture(scope="session")
def migrated_postgresql() -> Iterator[tuple[PostgreSQLServer, str]]:
    """A PostgreSQL started for these tests, and the name of a database with today's schema."""
    with postgresql_template() as template:
        yield template


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest) -> Engine:
    """The engine that this test runs on: each in turn."""
    chosen: Engine = request.param
    return chosen


@pytest.fixture
def databases(
    engine: Engine, request: pytest.FixtureRequest, tmp_path: Path
) -> Iterator[Databases]:
    """Makes as many databases as the test wants."""
    made: Databases
    if engine == "sqlite":
        made = SQLiteDatabases(tmp_path, request.getfixturevalue("migrated_sqlite"))
    else:
        made = PostgreSQLDatabases(*request.getfixturevalue("migrated_postgresql"))
    yield made
    made.remove_all()


@pytest.fixture
def database_url(databases: Databases) -> str:
    """The address of a new database with today's schema."""
    return databases.migrated()


@pytest.fixture
async def db(database_url: str) -> AsyncIterator[Database]:
    """An open database with today's schema."""
    database = await open_database(database_url)
    yield database
    await database.close()


@pytest.fixture
async def site(database_url: str, tmp_path: Path) -> AsyncIterator[Site]:
    """A hub at https://hub.test on a new database, without federation."""
    made = await make_site(database_url, tmp_path)
    yield made
    await made.db.close()
