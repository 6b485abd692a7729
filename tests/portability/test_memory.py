"""Exports and imports go through rows as a stream: four times as many need no more memory."""

from __future__ import annotations

import shutil
import tracemalloc
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from fedcomm.federation.vault import create_key_file
from fedcomm.portability import archives, parcels, tables
from fedcomm.portability.archives import export_site, import_site
from fedcomm.site import Site
from fedcomm.store.database import Database
from fedcomm.store.ids import new_id, now_ms
from fedcomm.store.schema import open_database
from tests.databases import ORIGIN
from tests.hub.world import World
from tests.portability.test_archives import elsewhere

PAGE = 40
"""Rows that are read at once, here fewer than elsewhere: both hubs are larger than some of them."""

FEW, MANY = 200, 900
WORDS = 16_000
"""Characters of each post: what is more in the larger hub is 11 MB."""

SPARE = 3 << 20
"""Bytes that numbers of rows and pages may take."""


async def write(world: World, author: int, group: int, count: int) -> None:
    first, now = new_id(), now_ms()
    await world.do(
        lambda tx: tx.many(
            "INSERT INTO objects (id, kind, type, author_id, group_id, topic_id, visibility, title,"
            " source, html, created_at, published_at, active_at)"
            " VALUES (?, 'topic', 'Page', ?, ?, ?, 'public', 'A topic', ?, '', ?, ?, ?)",
            [
                (first + n, author, group, first + n, f"{n} ".ljust(WORDS, "x"), now, now, now)
                for n in range(1, count + 1)
            ],
        )
    )


async def highest(work: Callable[[], Awaitable[object]]) -> int:
    """Bytes that Python held at most while it did the work, above what it held before."""
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        await work()
        return tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()


async def pack(db: Database, media: Path, member: int) -> int:
    """Everything of the member, thrown away piece by piece; how many bytes it was."""
    subject = parcels.Subject("person", member, "anna")
    size = 0
    async for piece in parcels.parcel(db, media, ORIGIN, subject, "json"):
        size += len(piece)
    return size


@pytest.mark.parametrize("engine", ["sqlite"])
async def test_four_times_as_much_needs_no_more_memory(
    site: Site, migrated_sqlite: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tables, "PAGE", PAGE)
    monkeypatch.setattr(archives, "BATCH", PAGE)
    create_key_file(site.config.secrets.key_file)
    world = World(site)
    anna = await world.member("anna", role="administrator")
    group = await world.group("garden", anna)
    await write(world, anna, group, FEW)
    few = await used(site, anna, FEW, migrated_sqlite, tmp_path)
    await write(world, anna, group, MANY - FEW)
    many = await used(site, anna, MANY, migrated_sqlite, tmp_path)
    for less, more in zip(few, many, strict=True):
        assert more < less + SPARE, (few, many)


async def used(
    site: Site, member: int, count: int, empty: Path, folder: Path
) -> tuple[int, int, int]:
    """Bytes for an export of the site, for a parcel of the member, and for an import."""
    out, file = folder / f"{count}.tar", folder / f"{count}.db"
    exporting = await highest(lambda: export_site(site.config, site.db, out, "json"))
    assert out.stat().st_size > count * WORDS
    packing = await highest(lambda: pack(site.db, site.media_folder, member))
    shutil.copy(empty, file)
    there = elsewhere(site.config, f"sqlite:///{file}", folder / f"there{count}")
    moved = await open_database(there.database.url)
    importing = await highest(lambda: import_site(there, moved, out))
    assert await moved.value("SELECT count(*) FROM objects") == count
    await moved.close()
    return exporting, packing, importing
