"""One hub in this process for each module and engine, with the servers around it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from tests.databases import ENGINES, Databases, PostgreSQLDatabases, SQLiteDatabases
from tests.federation.inprocess import LocalHub, ScriptedStubs, local_hub

IMPATIENT: dict[str, dict[str, Any]] = {"inbox": {"attempts": 3, "retry_seconds": [0.1, 0.2]}}
"""What cannot be processed is given up at once, so that the tests need not wait."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def servers() -> AsyncIterator[ScriptedStubs]:
    """All other servers of a module's tests."""
    stubs = ScriptedStubs()
    await stubs.start()
    yield stubs
    await stubs.stop()


@asynccontextmanager
async def hub_of_module(
    request: pytest.FixtureRequest,
    folder: Path,
    servers: ScriptedStubs,
    settings: dict[str, dict[str, Any]],
) -> AsyncIterator[LocalHub]:
    """A running hub on the engine that a fixture with `params=ENGINES` asks for, with these options."""
    made: Databases
    if request.param == "sqlite":
        made = SQLiteDatabases(folder, request.getfixturevalue("migrated_sqlite"))
    else:
        made = PostgreSQLDatabases(*request.getfixturevalue("migrated_postgresql"))
    async with local_hub(folder, made.migrated(), servers, settings) as hub:
        yield hub
    made.remove_all()


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=ENGINES)
async def town(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    servers: ScriptedStubs,
) -> AsyncIterator[LocalHub]:
    """A running hub, on each engine in turn; a module's tests share it."""
    async with hub_of_module(request, tmp_path_factory.mktemp("hub"), servers, IMPATIENT) as hub:
        yield hub
