"""Goes on with cases of erasure: in the hub, on the disk, and until every other server has answered.

Steps are small and can be repeated, so that a crash at any instant, or two processes at once, do no harm.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Callable
from contextlib import AbstractContextManager

from fedcomm import supervision, withdrawals
from fedcomm.erasure_journal import JournalLost
from fedcomm.hub import erasure, holds, media
from fedcomm.hub.register import REGISTER
from fedcomm.site import Site
from fedcomm.store import snapshots
from fedcomm.store.database import DatabaseUnavailable
from fedcomm.store.disk import shred

log = logging.getLogger("fedcomm.erasures")

EVERY_S = 2.0
"""How soon a new case is seen."""

JOURNAL_EVERY_S = 1.0
"""How far the erasure journal is behind at most, whatever else goes on."""

LOOK_MOST_S = 60.0
"""How often it is asked whether everybody has answered: seldom once it takes long, since a server that is down is asked
for weeks."""

CERTIFY_EVERY_S = 3600.0
"""How often is looked for what a crash left without its certificate."""

PAUSE_S = 0.005
"""Between two steps, so that whoever waits to write gets their turn."""


async def run(site: Site) -> None:
    """Keep the erasure journal, and go on with every open case, until cancelled; neither waits for the other."""
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(_keep_journal(site))
        tasks.create_task(Rounds(site).run())


async def _keep_journal(site: Site) -> None:
    while True:
        with _apart("erasure journal"):
            await site.erasure_journal.catch_up(site.db)
        await asyncio.sleep(JOURNAL_EVERY_S)


def _apart(what: str) -> AbstractContextManager[None]:
    return supervision.apart(log, what, DatabaseUnavailable, JournalLost)


class Rounds:
    """Goes on with what is open, and remembers what need not be asked again at once."""

    def __init__(self, site: Site, clock: Callable[[], float] = time.monotonic) -> None:
        self._site = site
        self._clock = clock
        self._certify_at = -math.inf
        self._ended_holds = -1
        # By case: when it is asked next whether everybody has answered, and how long is waited then.
        self._looks: dict[int, tuple[float, float]] = {}

    async def run(self) -> None:
        """One round after the other until cancelled."""
        while True:
            await self.round()
            await asyncio.sleep(EVERY_S)

    async def round(self) -> None:
        """Everything that can be done now."""
        site = self._site
        with _apart("certificates"):
            await self._certify_late()
        with _apart("withdrawals"):
            await withdrawals.proceed(site)
        with _apart("legal holds"):
            await self._let_go()
        cases: list[erasure.Case] = []
        with _apart("erasures"):
            cases = await erasure.open_cases(site.db)
        self._looks = {case.id: self._looks[case.id] for case in cases if case.id in self._looks}
        for case in cases:
            if case.state == "tell" and not self._is_due(case.id):
                continue
            with _apart(f"erasure {case.id}"):
                try:
                    await proceed(site, case)
                except Exception:
                    self._certify_at = -math.inf  # It may have come as far as that.
                    raise

    def _is_due(self, case_id: int) -> bool:
        now = self._clock()
        due, wait = self._looks.get(case_id, (now, EVERY_S))
        if now < due:
            return False
        self._looks[case_id] = (now + wait, min(wait * 1.5, LOOK_MOST_S))
        return True

    async def _certify_late(self) -> None:
        if self._clock() >= self._certify_at:
            await certify_late(self._site)
            self._certify_at = self._clock() + CERTIFY_EVERY_S

    async def _let_go(self) -> None:
        """What a legal hold kept until now, whenever one has ended."""
        site, ended = self._site, await holds.ended(self._site.db)
        if ended == self._ended_holds:
            return
        gone, images = await erasure.let_go(site.db)
        if gone or self._ended_holds >= 0:
            await media.remove_orphans(site.db, site.media_folder, images)
            await site.db.scrub([name for name, table in REGISTER.items() if table.words])
            site.wake()
        self._ended_holds = ended


async def certify_late(site: Site) -> None:
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
    await erasure.forget_addresses(site.db, case)
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
