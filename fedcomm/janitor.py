"""Tidies up behind the hub: images that nothing refers to, files that no row names, sessions that are over."""

from __future__ import annotations

import asyncio
import logging
import time
from contextlib import AbstractContextManager
from pathlib import Path

from fedcomm import supervision
from fedcomm.hub import (
    bans,
    drafts,
    emoji,
    media,
    moderation,
    removal,
    reservations,
    sessions,
    submissions,
)
from fedcomm.site import Site
from fedcomm.store import snapshots
from fedcomm.store.database import DatabaseUnavailable
from fedcomm.store.ids import now_ms

log = logging.getLogger("fedcomm.janitor")

EVERY_S = 3600.0
STEP = 100
STRAY_SECONDS = 86_400.0
"""A file that no row names is an upload that broke off; younger ones may still get their row."""


async def run(site: Site) -> None:
    """Tidy up now and every hour until cancelled."""
    while True:
        await tidy(site)
        await asyncio.sleep(EVERY_S)


async def tidy(site: Site) -> int:
    """One round; how many drafts, images, files, sessions and tokens went. What fails is left for the next one."""
    total = 0
    with _apart("what moderators removed"):
        await purge(site)
    with _apart("copies from before upgrades"):
        await _snapshots(site)
    for name, step in (
        ("drafts", _drafts),
        ("images", _images),
        ("stray files", _strays),
        ("sessions", _sessions),
    ):
        with _apart(name):
            total += await step(site)
    return total


def _apart(what: str) -> AbstractContextManager[None]:
    return supervision.apart(log, f"janitor: {what}", DatabaseUnavailable)


async def _snapshots(site: Site) -> None:
    if site.config.database.file is not None:
        await asyncio.to_thread(
            snapshots.remove, site.config.database.file, older_than_s=snapshots.KEPT_S
        )


async def purge(site: Site) -> int:
    """Erase what moderators removed and nobody may appeal about any more, and forget bans that are over; how many
    images went. The journal tells of it."""
    images = await removal.purge(site.db)
    await media.remove_orphans(site.db, site.media_folder, images)
    async with site.db.queue_transaction() as tx:
        await bans.tidy(tx)
    async with site.db.transaction() as tx:
        await moderation.end_suspensions(tx)
    site.wake()
    return len(images)


async def _drafts(site: Site) -> int:
    """Drafts that nobody touched for a month, before the pictures that they kept; what is over by itself."""
    total = 0
    while True:
        async with site.db.transaction() as tx:
            gone = await drafts.tidy(tx)
        total += gone
        if gone < drafts.STEP:
            break
    async with site.db.transaction() as tx:
        return total + await reservations.tidy(tx) + await submissions.tidy(tx)


async def _images(site: Site) -> int:
    total = 0
    while True:
        async with site.db.transaction() as tx:
            found = await media.unreferenced(tx, limit=STEP)
        for media_id, files in found:
            for name in files:
                (site.media_folder / name).unlink(missing_ok=True)
            async with site.db.transaction() as tx:
                await tx.execute("DELETE FROM attachments WHERE media_id = ?", media_id)
                await tx.execute("DELETE FROM media WHERE id = ?", media_id)
        total += len(found)
        if len(found) < STEP:
            return total


async def _strays(site: Site) -> int:
    """Files that a crash left between their writing and their row."""
    total = 0
    for path in await asyncio.to_thread(_old_files, site.media_folder):
        named = await site.db.value(
            "SELECT 1 FROM media WHERE file = ? OR thumbnail = ?", path.name, path.name
        )
        if named is None and not await emoji.names_file(site.db, path.name):
            path.unlink(missing_ok=True)
            total += 1
    return total


def _old_files(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    before = time.time() - STRAY_SECONDS
    return [path for path in folder.iterdir() if path.is_file() and path.stat().st_mtime < before]


async def _sessions(site: Site) -> int:
    limits = site.config.sessions
    now = now_ms()
    async with site.db.transaction() as tx:
        return await tx.execute(
            "DELETE FROM sessions WHERE seen_at < ? OR created_at < ?",
            now - int(limits.idle_days * sessions.DAY_MS),
            now - int(limits.absolute_days * sessions.DAY_MS),
        ) + await tx.execute("DELETE FROM tokens WHERE expires_at < ?", now)
