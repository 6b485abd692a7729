"""One town and one browser for all tests of the folder."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser

from tests.browser.chromium import chromium, require_chromium
from tests.browser.town import make_town
from tests.web.world import World


@pytest.fixture(scope="session")
def chromium_path() -> str:
    """Where Chromium is."""
    return require_chromium()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def town(
    chromium_path: str, migrated_sqlite: Path, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[World]:
    """A hub with something on every page."""
    folder = tmp_path_factory.mktemp("town")
    file = folder / "hub.sqlite3"
    file.write_bytes(migrated_sqlite.read_bytes())
    async with make_town(f"sqlite:///{file}", folder) as world:
        yield world


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser(chromium_path: str) -> AsyncIterator[Browser]:
    """A running Chromium."""
    async with chromium(chromium_path) as started:
        yield started
