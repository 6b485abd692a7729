"""Makes the files that requests for access ask for, and overwrites them when their time is over.

A file is what a member can take along (`fedcomm.portability.parcels`), with `index.html` in it for people to read. It
lies in a folder of its own beside the media, which no page serves, under a name that nobody can guess.
"""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
from pathlib import Path
from typing import TYPE_CHECKING, Final

from fedcomm.federation.copies import Copies
from fedcomm.hub import access_requests, actors
from fedcomm.hub.access_requests import AccessRequest
from fedcomm.i18n import use_locale
from fedcomm.late import Late
from fedcomm.site import Site
from fedcomm.store.disk import shred

if TYPE_CHECKING:
    from fedcomm.portability import parcels, reading
else:
    parcels = Late("fedcomm.portability.parcels")
    reading = Late("fedcomm.portability.reading")

log = logging.getLogger("fedcomm.access")

EVERY_S: Final = 2.0


def folder_of(site: Site) -> Path:
    """Where the files are, until they are fetched or over."""
    return site.media_folder.with_name(f"{site.media_folder.name}-access")


async def run(site: Site) -> None:
    """Make files, and let them go, until cancelled."""
    while True:
        try:
            await proceed(site)
        except Exception:
            log.exception("access requests")
        await asyncio.sleep(EVERY_S)


async def proceed(site: Site) -> int:
    """Everything that is to be done now; how many files were made or overwritten."""
    done = await clear(site)
    while (request := await access_requests.take(site.db)) is not None:
        try:
            await _make(site, request)
        except Exception as error:
            log.error("access request %d: %s", request.id, type(error).__name__)
            await access_requests.failed(site.db, request.id)
        done += 1
    return done


async def clear(site: Site) -> int:
    """Overwrite what is over, and what a crash left; how many files."""
    gone = 0
    for request in await access_requests.over(site.db):
        if request.file:
            await asyncio.to_thread(shred, folder_of(site) / request.file)
            gone += 1
        await access_requests.let_go(site.db, request.id)
    there = list(folder_of(site).iterdir()) if folder_of(site).is_dir() else []
    if there:
        every = await access_requests.requests(site.db, limit=1000)
        known = {each.file for each in every if each.state == "ready"}
        if all(each.state != "making" for each in every):
            for path in there:
                if path.name not in known:
                    await asyncio.to_thread(shred, path)
                    gone += 1
    return gone


async def _make(site: Site, request: AccessRequest) -> None:
    actor = await actors.actor(site.db, request.subject_id)
    if actor is None or actor.deleted_at is not None:
        await access_requests.let_go(site.db, request.id)
        return
    folder = folder_of(site)
    folder.mkdir(mode=0o700, exist_ok=True)
    target = folder / f"{secrets.token_hex(16)}.zip"
    subject = parcels.Subject("person", actor.id, actor.handle)
    documents = (
        Copies(site.config, site.db) if actor.is_local and site.federation is not None else None
    )
    try:
        descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            async for piece in parcels.parcel(
                site.db, site.media_folder, site.origin, subject, "json", documents
            ):
                await asyncio.to_thread(file.write, piece)
        locale = await site.db.value("SELECT locale FROM members WHERE actor_id = ?", actor.id)
        use_locale(str(locale or site.config.instance.default_locale))
        await reading.add_page(site.db, target, actor.handle, site.config.instance.name)
        size = target.stat().st_size
        if not await access_requests.made(site.db, request.id, target.name, size):
            await asyncio.to_thread(shred, target)
    except BaseException:
        await asyncio.to_thread(shred, target)
        raise
