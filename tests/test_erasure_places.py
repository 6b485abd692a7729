"""Proof by bytes, place by place: every field that takes words, every folder that takes files, and what lies around."""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
from pathlib import Path

import pytest

from fedcomm import access_files, imports
from fedcomm.erasure_check import check
from fedcomm.hub import access_requests, erasure, groups, threads
from fedcomm.site import Site
from fedcomm.store import disk
from tests.databases import make_site
from tests.hub.test_erasure import MARK, Schema, fill, schema  # noqa: F401
from tests.hub.world import World
from tests.test_erasure_bytes import crowd, finish, marked, settled

OTHERS = 100_000


async def test_words_in_every_column_that_takes_any_leave_the_disk(
    site: Site,
    schema: Schema,  # noqa: F811
) -> None:
    world = World(site)
    boss = await world.member("boss", role="administrator")
    anna = await world.member(
        f"a{MARK}", display_name=f"Anna {MARK}", email=f"{MARK}@example.org", password_hash=MARK
    )
    group = await world.group("garden", boss)
    await world.do(groups.join, group, anna)
    await world.remote("rita")
    topic = await world.topic(boss, group, "Words that stay.")
    mine = await world.topic(anna, group, f"{MARK} words", title=f"{MARK} title")
    ids = {
        "actors": boss, "members": boss, "objects": topic, "groups": group,
        "hosts": int(await world.db.value("SELECT id FROM hosts LIMIT 1")),
    }  # fmt: skip
    assert await fill(world, schema, anna, mine, ids) > 30
    access, brought = access_files.folder_of(site), imports.folder_of(site.config)
    access.mkdir()
    asked = await world.do(access_requests.ask, "member", anna, requested_by=anna)
    await world.run("UPDATE access_requests SET state = 'making' WHERE id = ?", asked)
    (access / "copy.zip").write_text(MARK)
    assert await access_requests.made(site.db, asked, "copy.zip", len(MARK))
    (brought / f"{anna}-1.archive").write_text(MARK)
    await settled(site)
    assert await marked(site, MARK)

    case_id = await world.do(erasure.request, "member", anna, requested_by=anna, own=True)
    assert not (await check(site, await one(site, case_id), (MARK,))).is_clean
    await access_files.proceed(site)  # The rounds of a running server.
    case = await finish(site, case_id)

    assert await marked(site, MARK) == []
    assert [*access.iterdir(), *brought.iterdir()] == []
    assert (await check(site, case, (MARK,))).is_clean
    assert (await world.thing(topic)).source == "Words that stay."


async def test_one_object_and_a_whole_server_leave_the_disk_from_among_many_rows(
    site: Site,
) -> None:
    world = World(site)
    boss = await world.member("boss", role="administrator")
    group = await world.group("garden", boss)
    await crowd(site, boss, group, OTHERS)
    gone = await world.topic(boss, group, "A sentence with zqsinglezq in it.")
    people = [await world.remote(f"zqserverzq{number}", "bad.test") for number in range(20)]
    for person in people:
        for _ in range(5):
            await world.post(person, "A post with zqserverzq in it.", mentions=[boss])
    await settled(site)
    assert await marked(site, "zqsinglezq") and await marked(site, "zqserverzq")

    await world.do(threads.delete, boss, gone)
    await site.db.scrub(("objects", "search_index", "revisions"))
    assert await marked(site, "zqsinglezq") == []

    host = await site.db.value("SELECT host_id FROM actors WHERE id = ?", people[0])
    case_id = await world.do(
        erasure.request, "host", host, requested_by=boss, reason="Their people asked for it."
    )
    assert (await finish(site, case_id)).objects == 100
    assert await marked(site, "zqserverzq") == []
    assert await site.db.value("SELECT count(*) FROM objects WHERE deleted_at IS NULL") == OTHERS


@pytest.mark.parametrize("engine", ["sqlite"])
async def test_a_check_looks_into_every_folder_that_the_hub_writes(site: Site) -> None:
    world = World(site)
    await world.member("boss", role="administrator")
    anna = await world.member("anna")
    case_id = await world.do(erasure.request, "member", anna, requested_by=anna, own=True)
    case = await finish(site, case_id)
    database = site.config.database.file
    assert database is not None
    media = site.media_folder
    places = (
        media / "ab" / "picture.webp",
        access_files.folder_of(site) / "copy.zip",
        imports.place_of(site.config) / "7" / "outbox.json",
        media.parent / ".fedcomm-import-x" / "media" / "a.png",
        database.with_name(f"{database.name}.before-0013"),
        database.with_name(f".{database.name}.before-0013.unfinished"),
    )
    for path in places:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x" * 300 + b"left over here")
    found = (await check(site, case, ("left over here",))).findings
    assert sorted(finding.place for finding in found) == sorted(
        f"{path.name} at byte 300" for path in places
    )


def test_a_file_is_overwritten_before_it_is_removed(tmp_path: Path) -> None:
    file = tmp_path / "picture.webp"
    file.write_bytes(b"words" * 500_000)
    kept = os.open(file, os.O_RDONLY)
    try:
        disk.shred(file)
        assert not file.exists()
        assert os.read(kept, 1 << 22) == bytes(2_500_000)
    finally:
        os.close(kept)
    disk.shred(file)  # Once more does no harm.


async def one(site: Site, case_id: int) -> erasure.Case:
    found = await erasure.case(site.db, case_id)
    assert found is not None
    return found


UNUSED = """
import sqlite3, sys
try:
    print(sqlite3.connect(sys.argv[1], timeout=0).execute("PRAGMA journal_mode = DELETE").fetchone()[0])
except sqlite3.OperationalError as error:
    print(error)
"""
"""Another process that would change the file's mode, as only one may whom nobody else hinders."""


async def test_whoever_looks_into_the_database_file_keeps_the_locks_on_it(
    migrated_sqlite: Path, tmp_path: Path
) -> None:
    path = tmp_path / "hub.db"
    shutil.copy(migrated_sqlite, path)
    site = await make_site(f"sqlite:///{path}", tmp_path)
    world = World(site)
    boss = await world.member("boss", role="administrator")
    anna = await world.member("anna")
    case_id = await world.do(erasure.request, "member", anna, requested_by=boss, reason="asked")

    async def another_process() -> str:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", UNUSED, str(path), stdout=asyncio.subprocess.PIPE
        )
        return (await process.communicate())[0].decode().strip()

    try:
        assert await another_process() == "database is locked"
        assert (await check(site, await one(site, case_id), ("anna",))).files
        assert await another_process() == "database is locked"
    finally:
        await site.db.close()
    assert await another_process() == "delete"
