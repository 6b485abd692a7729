"""The nightly job that lets go of what has had its time (`[retention]` in the configuration)."""

from __future__ import annotations

import asyncio
import logging
from datetime import UTC, datetime
from typing import Final

from fedcomm.hub import instance, retention
from fedcomm.site import Site
from fedcomm.store.ids import now_ms

log = logging.getLogger("fedcomm.retention")

EVERY_S: Final = 900.0
DAY_MS: Final = 86_400_000
NIGHT: Final = range(2, 6)
"""Hours, UTC, in which it runs."""

DONE: Final = "retention_at"
"""The setting that says when it ran last (Unix ms)."""


async def run(site: Site) -> None:
    """Once a night until cancelled."""
    while True:
        try:
            last = int(await instance.setting(site.db, DONE) or 0)
            if is_due(last, now_ms()):
                await tidy(site)
        except Exception:
            log.exception("retention")
        await asyncio.sleep(EVERY_S)


def is_due(last: int, now: int) -> bool:
    """Whether it is time: at night, once; or whenever the hub was off for two nights. Unix ms."""
    if now - last > 2 * DAY_MS:
        return True
    at_night = datetime.fromtimestamp(now / 1000, UTC).hour in NIGHT
    return at_night and now - last > DAY_MS // 2


async def tidy(site: Site, now: int | None = None) -> int:
    """One round; how many rows went."""
    now = now or now_ms()
    kept = site.config.retention
    gone = 0
    for days, forget in (
        (kept.remote_days, retention.forget_untouched),
        (kept.revisions_days, retention.forget_revisions),
        (kept.notifications_days, retention.forget_notifications),
        (kept.audit_days, retention.forget_audit),
    ):
        if days:
            gone += await forget(site.db, now - int(days * DAY_MS))
    async with site.db.transaction() as tx:
        await instance.set_setting(tx, DONE, str(now))
    if gone:
        log.info("retention: %d rows had their time", gone)
    return gone
