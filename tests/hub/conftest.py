from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from fedcomm.site import Site
from tests.databases import make_site
from tests.hub.village import Village
from tests.hub.world import World


@pytest.fixture
def world(site: Site) -> World:
    """An empty hub and the means to fill it."""
    return World(site)


@pytest.fixture
async def village(world: World) -> Village:
    """The community of `tests.hub.village`."""
    return await Village(world).build()


@pytest.fixture
def site_loop() -> Iterator[asyncio.AbstractEventLoop]:
    """A loop for tests that are not coroutines themselves, as hypothesis wants them."""
    loop = asyncio.new_event_loop()
    yield loop
    loop.close()


@pytest.fixture
def open_world(
    site_loop: asyncio.AbstractEventLoop, database_url: str, tmp_path: Path
) -> Iterator[World]:
    """A hub with a member and a group, open in `site_loop` for many examples."""
    site = site_loop.run_until_complete(make_site(database_url, tmp_path))
    world = World(site)

    async def fill() -> None:
        await world.group("ambiente", await world.member("anna"))

    site_loop.run_until_complete(fill())
    yield world
    site_loop.run_until_complete(site.db.close())
