"""Goes on with cases of erasure: in the hub, on the disk, and until every other server has answered.

Steps are small and can be repeated, so that a crash at any instant, or two processes at once, do no harm.
"""

from __future__ import annotations

import asyncio
import logging

from fedcomm import withdrawals
from fedcomm.hub import erasure, media
from fedcomm.hub.register import REGISTER
from fedcomm.site import Site
from fedcomm.store import snapshots
from fedcomm.store.disk import shred

log = logging.getLogger("fedcomm.erasures")

EVERY_S = 2.0
"""How soon a new case is seen, and how often it is asked whether everybody has answered."""

PAUSE_S = 0.005
"""Between two steps, so that whoever waits to write gets their turn."""


async def run(site: Site) -> None:
    """Go on with every open case until cancelled."""
    while True:
        try:
            await _certify_late(site)
            await site.erasure_journal.catch_up(site.db)
            await withdrawals.proceed(site)
            await _let_go(site)
            for case in await erasure.open_cases(site.db):
                await proceed(site, case)
        except Exception:
            log.exception("erasures")
        await asyncio.sleep(EVERY_S)


async def _let_go(site: Site) -> None:
    """What a legal hold kept until now."""
    gone, images = await erasure.let_go(site.db)
    if gone:
        await media.remove_orphans(site.db, site.media_folder, images)
        await site.db.scrub([name for name, table in REGISTER.items() if table.words])
        site.wake()


async def _certify_late(site: Site) -> None:
    """What a crash left without its certificate."""
    if site.federation is not None:
        for case_id in await erasure.uncertified(site.db):
            await site.federation.certify(case_id)


async def replay(site: Site) -> None:
    """Forget again what a restored database remembers; before anybody is served. Raises JournalLost."""
    for case_id in await site.erasure_journal.replay(site.db):
        case = await erasure.case(site.db, case_id)
        while case is not None and case.state in ("objects", "rows"):
            case = await erasure.advance(site.db, case, origin=site.origin)


async def proceed(site: Site, case: erasure.Case) -> erasure.Case:
    """Take a case as far as it goes now; how it stands then."""
    while case.state in ("objects", "rows"):
        case = await erasure.advance(site.db, case, origin=site.origin)
        site.wake()
        await asyncio.sleep(PAUSE_S)
    if case.state == "scrub":
        await _scrub(site, case)
    elif case.state == "tell" and await _everybody_answered(site, case):
        if await erasure.is_keeping(site.db, case):
            # A legal hold keeps something of it: not finished, and no certificate says so.
            return case
        await erasure.finish(site.db, case)
        await site.db.scrub(("actor_keys", "activities", "deliveries"))
        if site.federation is not None:
            site.federation.forget_keys(case.subject_id)
            await site.federation.certify(case.id)
    after = await erasure.case(site.db, case.id)
    assert after is not None
    return after


async def _scrub(site: Site, case: erasure.Case) -> None:
    if site.federation is not None and not await site.federation.has_read(case.position):
        # The outbox still has to empty what it rendered.
        return
    while found := await erasure.erased_files(site.db, case):
        for media_id, names in found:
            for name in names:
                await asyncio.to_thread(shred, site.media_folder / name)
            async with site.db.transaction() as tx:
                await tx.execute("DELETE FROM attachments WHERE media_id = ?", media_id)
                await tx.execute("DELETE FROM draft_media WHERE media_id = ?", media_id)
                await tx.execute("DELETE FROM media WHERE id = ?", media_id)
    await asyncio.to_thread(_forget_archives, site, case)
    # A copy from before an upgrade remembers what the database has forgotten.
    if site.config.database.file is not None:
        await asyncio.to_thread(snapshots.remove, site.config.database.file)
    left = await site.db.scrub([name for name, table in REGISTER.items() if table.words])
    if left:
        log.info("erasure %d: %s", case.id, "; ".join(left))
        if any("log" in word for word in left):
            return
    async with site.db.transaction() as tx:
        await erasure.scrubbed(tx, case)


def _forget_archives(site: Site, case: erasure.Case) -> None:
    """What the member was bringing from elsewhere."""
    from fedcomm.imports import forget_all_of

    if case.kind == "member":
        forget_all_of(site.config, case.subject_id)


async def _everybody_answered(site: Site, case: erasure.Case) -> bool:
    return site.federation is None or await site.federation.farewell_is_over(case)
