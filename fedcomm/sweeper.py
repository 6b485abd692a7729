"""Works off sweeps (`fedcomm.hub.sweeps`): begun by a page or a command, gone on with after a crash, purged in time."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from fedcomm.hub import sweeps
from fedcomm.late import Late
from fedcomm.site import Site
from fedcomm.store.database import DatabaseUnavailable

if TYPE_CHECKING:
    from fedcomm.hub import sweeping
else:
    sweeping = Late("fedcomm.hub.sweeping")

log = logging.getLogger("fedcomm.sweeper")

EVERY_S = 1.0
"""How often it looks whether there is something to do: one small read."""


async def run(site: Site) -> None:
    """Work until cancelled."""
    while True:
        try:
            for sweep_id in await sweeps.waiting(site.db):
                while await sweeping.step(site.db, sweep_id, folder=site.media_folder):
                    site.wake()
                site.wake()
        except DatabaseUnavailable as error:
            log.error("sweeps: the database is away: %s", error)
        except Exception:
            log.exception("sweeps: unexpected")
        await asyncio.sleep(EVERY_S)
