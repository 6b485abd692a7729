"""Proof by bytes: after an erasure no file of the hub holds a word of it, also when it was interrupted."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import random
import signal
import sqlite3
import time
from pathlib import Path

from fedcomm import erasures
from fedcomm.erasure_check import check
from fedcomm.hub import erasure, groups, media, reactions, threads
from fedcomm.hub.composition import Draft
from fedcomm.hub.images import ImageLimits
from fedcomm.scanning import scan
from fedcomm.site import Site
from fedcomm.store.ids import new_id, now_ms
from tests.databases import make_site
from tests.hub.world import World

MARK = "zqbytesqz"
OTHERS = 100_000
KILLS = int(os.environ.get("FEDCOMM_TEST_KILLS_ERASING", "50"))
"""How often an erasure is interrupted (`python -m tests.nightly` wants more)."""

POSTS_PER_KILL = 5
"""How much there is to erase, so that it is not over before it was interrupted so often."""


async def crowd(site: Site, author: int, group: int, count: int) -> None:
    """Other people's posts around, in the form in which they are stored."""
    first, now = new_id(), now_ms()
    async with site.db.transaction() as tx:
        await tx.many(
            "INSERT INTO objects (id, kind, type, author_id, group_id, visibility, title, source, html,"
            " created_at, published_at, active_at) VALUES (?, 'topic', 'Page', ?, ?, 'public', ?, ?, ?,"
            " ?, ?, ?)",
            [
                (
                    first + n,
                    author,
                    group,
                    f"Topic {n}",
                    f"Words {n}",
                    f"<p>Words {n}</p>",
                    now,
                    now,
                    now,
                )
                for n in range(1, count + 1)
            ],
        )


async def people(site: Site) -> tuple[World, int, int, int]:
    """An administrator, a member whose every word is marked, and a group of the first."""
    world = World(site)
    boss = await world.member("boss", role="administrator")
    anna = await world.member(
        f"a{MARK}", display_name=f"Anna {MARK}", email=f"{MARK}@example.org", password_hash=MARK
    )
    group = await world.group("garden", boss)
    await world.do(groups.join, group, anna)
    return world, boss, anna, group


async def write(
    world: World, site: Site, boss: int, anna: int, group: int, posts: int
) -> list[int]:
    """Posts of anna's with edits, pictures, tags; answers, mentions and reactions around them."""
    from PIL import Image

    made = []
    asked = await world.topic(boss, group, f"Hello @a{MARK}!", title=f"For @a{MARK}")
    await world.do(reactions.add, anna, asked, "like")
    for n in range(posts):
        picture = b""
        files: tuple[int, ...] = ()
        if n < 3:
            import io

            stream = io.BytesIO()
            Image.new("RGB", (40, 30), (n, 90, 10)).save(stream, "PNG")
            picture = stream.getvalue()
            files = (
                await media.upload(
                    site.db, anna, picture, folder=site.media_folder, purpose="attachment",
                    alt=f"Picture {MARK} {n}", limits=ImageLimits(), daily_bytes=1 << 30,
                ),
            )  # fmt: skip
        content = await site.compose(
            site.db,
            Draft(f"{MARK} {n} #tag{MARK}", f"Title {MARK} {n}", media=files),
            is_topic=True,
            author_id=anna,
        )
        topic = await world.do(threads.create_topic, anna, group, content)
        made.append(topic)
        if n % 5 == 0:
            await world.reply(boss, topic, f"As @a{MARK} says.")
            edit = await world.compose(
                anna, f"{MARK} edited {n}", is_topic=True, title=f"New {MARK}"
            )
            await world.do(threads.edit, anna, topic, edit)
    return made


async def finish(site: Site, case_id: int) -> erasure.Case:
    for _ in range(2000):
        case = await erasure.case(site.db, case_id)
        assert case is not None
        if case.state == "done":
            return case
        await erasures.proceed(site, case)
    raise AssertionError("the erasure does not end")


async def files_of(site: Site) -> list[Path]:
    """Every file in which the database or the hub keeps something."""
    found = [path for path in site.media_folder.rglob("*") if path.is_file()]
    file = site.config.database.file
    if file is not None:
        return [*found, *file.parent.glob(f"{file.name}*")]
    folder = Path(await site.db.value("SHOW data_directory"))
    oid = await site.db.value(
        "SELECT CAST(oid AS BIGINT) FROM pg_database WHERE datname = current_database()"
    )
    return [*found, *(path for path in (folder / "base" / str(oid)).iterdir() if path.is_file())]


async def marked(site: Site, *words: str) -> list[str]:
    """Names of the files with one of the words; of PostgreSQL's the names of the tables and indexes."""
    needles = [word.encode() for word in words or (MARK,)]
    scanned = await asyncio.to_thread(scan, await files_of(site), needles)
    found = [one.path.name for one in scanned if one.offsets]
    if site.db.dialect == "postgresql":
        for number, name in enumerate(found):
            if name.isdigit():
                sql = "SELECT CAST(pg_filenode_relation(0, CAST(? AS OID)) AS TEXT)"
                found[number] = f"{name} {await site.db.value(sql, int(name))}"
    return found


async def settled(site: Site) -> None:
    """What a running server has done sooner or later anyway: everything is written out."""
    if site.db.dialect == "postgresql":
        await site.db.value("SELECT pg_switch_wal()")
        async with site.db._pool.acquire() as connection:  # type: ignore[attr-defined]
            await connection.execute("ANALYZE")
            await connection.execute("CHECKPOINT")


async def test_after_erasing_a_member_no_file_holds_a_word(site: Site) -> None:
    world, boss, anna, group = await people(site)
    await crowd(site, boss, group, OTHERS)
    topics = await write(world, site, boss, anna, group, 12)
    await settled(site)
    assert await marked(site), "the scan finds what is there"
    pictures = [path for path in site.media_folder.rglob("*") if path.is_file()]
    assert len(pictures) == 6

    case_id = await world.do(erasure.request, "member", anna, requested_by=anna, own=True)
    case = await finish(site, case_id)

    assert case.objects == len(topics)
    assert await marked(site) == []
    assert [path for path in pictures if path.exists()] == []
    assert await site.db.value("SELECT count(*) FROM objects WHERE deleted_at IS NULL") > OTHERS
    result = await check(site, case, (MARK,))
    assert result.is_clean
    assert bool(result.left_out) == (site.db.dialect == "postgresql")


async def test_after_deleting_one_object_its_words_leave_the_disk_with_the_next_scrub(
    site: Site,
) -> None:
    world, boss, _, group = await people(site)
    kept = await world.topic(boss, group, "These words stay here.")
    gone = await world.topic(boss, group, "Single sentence zqsinglezq.")
    await settled(site)
    assert await marked(site, "zqsinglezq")
    await world.do(threads.delete, boss, gone)
    await site.db.scrub(("objects", "search_index", "revisions"))
    assert await marked(site, "zqsinglezq") == []
    assert (await threads.thing(site.db, kept)).source == "These words stay here."  # type: ignore[union-attr]


async def test_after_erasing_a_host_nothing_of_its_people_is_in_any_file(site: Site) -> None:
    world, boss, _anna, _group = await people(site)
    word = "zqhostzq"
    strangers = [await world.remote(f"{word}{n}", "bad.test", summary_html=word) for n in range(3)]
    for stranger in strangers:
        await world.post(stranger, f"{word} post", mentions=[boss])
    host = await site.db.value("SELECT host_id FROM actors WHERE id = ?", strangers[0])
    await settled(site)
    assert await marked(site, word)
    case_id = await world.do(
        erasure.request, "host", host, requested_by=boss, reason="Their people asked for it."
    )
    await finish(site, case_id)
    assert await marked(site, word) == []


def _work(url: str, folder: Path, case_id: int) -> None:
    """What a server does with a case, until it is killed."""

    async def work() -> None:
        site = await make_site(url, folder)
        while True:
            case = await erasure.case(site.db, case_id)
            assert case is not None
            if case.state == "done":
                break
            await erasures.proceed(site, case)
        await site.db.close()

    asyncio.run(work())


async def test_killed_at_random_instants_an_erasure_completes_by_itself(
    database_url: str, tmp_path: Path
) -> None:
    site = await make_site(database_url, tmp_path)
    world, boss, anna, group = await people(site)
    await write(world, site, boss, anna, group, KILLS * POSTS_PER_KILL)
    case_id = await world.do(erasure.request, "member", anna, requested_by=anna, own=True)
    await site.db.close()

    chance = random.Random(20261122)
    context = multiprocessing.get_context("fork")
    kills = 0
    for _ in range(KILLS):
        process = context.Process(target=_work, args=(database_url, tmp_path, case_id))
        process.start()
        assert process.pid is not None
        time.sleep(chance.uniform(0.005, 0.05))
        if process.is_alive():
            os.kill(process.pid, signal.SIGKILL)
            kills += 1
        process.join(10)
        if process.exitcode == 0:
            break
    assert kills == KILLS, "it was over before it could be interrupted"
    print(f"killed {kills} times while it erased {KILLS * POSTS_PER_KILL} posts")

    again = await make_site(database_url, tmp_path)
    case = await finish(again, case_id)
    assert case.objects == KILLS * POSTS_PER_KILL
    assert await marked(again) == []
    left = await again.db.value(
        "SELECT count(*) FROM objects WHERE author_id = ? AND deleted_at IS NULL", anna
    )
    assert left == 0
    file = again.config.database.file
    await again.db.close()
    if file is not None:
        with sqlite3.connect(file) as database:
            assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
