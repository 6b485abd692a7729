from __future__ import annotations

import pytest

from fedcomm.site import Site
from tests.hub.world import World


@pytest.fixture
def world(site: Site) -> World:
    """An empty hub and the means to fill it."""
    return World(site)
