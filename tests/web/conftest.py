"""The community of `tests.web.world`, on each engine in turn."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.web.world import World, make_world


@pytest.fixture
async def world(database_url: str, tmp_path: Path) -> AsyncIterator[World]:
    """A hub with people in it."""
    async with make_world(database_url, tmp_path) as made:
        yield made
