"""Goes on with withdrawn consents: earlier copies are asked back, a few objects at a time."""

from __future__ import annotations

import asyncio

from fedcomm.hub import consents
from fedcomm.site import Site

PAUSE_S = 0.01
"""Between two steps, so that whoever waits to write gets their turn."""


async def proceed(site: Site) -> None:
    """Ask back everything that is still to be asked back."""
    for member_id, spoke, version in await consents.withdrawing(site.db):
        while await consents.withdraw_step(site.db, member_id, spoke, version):
            site.wake()
            await asyncio.sleep(PAUSE_S)
        site.wake()
