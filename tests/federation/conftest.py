"""One hub in this process for each module and engine, with the servers around it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.databases import ENGINES, Databases, PostgreSQLDatabases, SQLiteDatabases
from tests.federation.inprocess import LocalHub, ScriptedStubs, local_hub

IMPATIENT = {"inbox": {"attempts": 3, "retry_seconds": [0.1, 0.2]}}
"""What cannot be processed is given up at once, so that the tests need not wait."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def servers() -> AsyncIterator[ScriptedStubs]:
    """All other servers of a module's tests."""
    stubs = ScriptedStubs()
    await stubs.start()
    yield stubs
    await stubs.stop()


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=ENGINES)
async def town(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    servers: ScriptedStubs,
) -> AsyncIterator[LocalHub]:
    """A running hub, on each engine in turn; a module's tests share it."""
    folder = tmp_path_factory.mktemp("hub")
    made: Databases
    if request.param == "sqlite":
        made = SQLiteDatabases(folder, request.getfixturevalue("migrated_sqlite"))
    else:
        made = PostgreSQLDatabases(*request.getfixturevalue("migrated_postgresql"))
    async with local_hub(folder, made.migrated(), servers, IMPATIENT) as hub:
        yield hub
    made.remove_all()
