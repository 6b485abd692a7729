"""What people see when the disk is full or the database is away: words of ours, in their language, and when to come
again; and no files are taken before the disk is full."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest
from aiohttp import FormData

from fedcomm.federation.pictures import Pictures
from fedcomm.hub import actors, emoji, space, threads
from fedcomm.hub.space import NoRoom, Space
from fedcomm.store.database import DatabaseUnavailable, StorageFull
from fedcomm.store.ids import new_id
from fedcomm.web import home, visits
from tests.web.world import World, picture_bytes


@pytest.mark.parametrize(
    ("error", "status", "words"),
    [
        (StorageFull("database or disk is full"), 507, "più spazio"),
        (DatabaseUnavailable("attempt to write a readonly database"), 503, "non è raggiungibile"),
        (OSError(errno.ENOSPC, "No space left on device"), 507, "più spazio"),
        (OSError(errno.EROFS, "Read-only file system"), 503, "non è raggiungibile"),
    ],
)
async def test_what_cannot_be_written_is_said_in_the_members_language(
    world: World, monkeypatch: pytest.MonkeyPatch, error: Exception, status: int, words: str
) -> None:
    async def fails(*_arguments: object, **_options: object) -> int:
        raise error

    browser = await world.browser("chiara")
    async with world.site.db.transaction() as tx:
        await tx.execute(
            "UPDATE members SET locale = 'it' WHERE actor_id = ?", world.people["chiara"]
        )
    monkeypatch.setattr(threads, "create_topic", fails)
    page = await browser.post("/g/garden/new", {"title": "T", "text": "Words."})
    assert page.status == status
    assert int(page.headers["Retry-After"]) > 0
    assert words in page.text
    assert 'lang="it"' in page.text
    assert str(error) not in page.text
    assert page.headers["Content-Security-Policy"]


async def test_with_the_database_away_the_browsers_language_decides(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def gone(*_arguments: object, **_options: object) -> None:
        raise DatabaseUnavailable("gone")

    browser = await world.browser("chiara")
    monkeypatch.setattr(visits.sessions, "member_of_session", gone)
    page = await browser.get("/g/garden", Accept_Language="it")
    assert page.status == 503
    assert "Riprova" in page.text
    assert "your words are still there" not in page.text


async def test_another_programming_error_of_the_system_is_none_of_this(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fails(*_arguments: object, **_options: object) -> None:
        raise PermissionError(errno.EACCES, "secret path")

    monkeypatch.setattr(home, "_landing", fails)
    page = await world.stranger().get("/")
    assert page.status == 500
    assert "secret path" not in page.text


async def test_other_servers_are_told_to_come_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def gone(*_arguments: object, **_options: object) -> None:
        raise DatabaseUnavailable("gone")

    monkeypatch.setattr(world.site.db, "one", gone)
    monkeypatch.setattr(world.site.db, "all", gone)
    page = await world.stranger().get(
        f"/ap/p/{world.people['anna']}", Accept="application/activity+json"
    )
    assert page.status == 503
    assert page.headers["Retry-After"] == "60"


async def test_a_nearly_full_disk_takes_no_files_but_words(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(space, "free_bytes", lambda _: 1000)
    browser = await world.browser("chiara")
    form = FormData({"title": "A heap", "text": "Look at this."})
    form.add_field("file_0", picture_bytes(), filename="heap.png", content_type="image/png")
    page = await browser.post("/g/garden/new", form)
    assert page.status == 507
    assert "nearly full" in page.text
    assert "Look at this." in page.text, "the words are not lost"
    sent = await browser.post("/g/garden/new", {"title": "A heap", "text": "Look at this."})
    assert sent.status == 303


def test_the_limit_is_exact(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(space, "free_bytes", lambda _: 1_000)
    Space(tmp_path, 400).require(600)
    with pytest.raises(NoRoom):
        Space(tmp_path, 400).require(601)
    Space(tmp_path, 0).require(10**12)


def test_a_folder_that_is_still_to_be_made_is_on_the_disk_of_its_parent(tmp_path: Path) -> None:
    free = space.free_bytes(tmp_path / "not" / "yet")
    assert abs(free - space.free_bytes(tmp_path)) < 1 << 28


async def test_nothing_is_fetched_for_a_cache_while_the_disk_is_nearly_full(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    spoke = world.site.federation
    assert spoke is not None
    pictures: Pictures = spoke._pictures
    asked: list[object] = []

    async def claim(*arguments: object) -> list[object]:
        asked.append(arguments)
        return []

    monkeypatch.setattr("fedcomm.federation.pictures.emoji.claim", claim)
    monkeypatch.setattr(space, "free_bytes", lambda _: 1000)
    assert await pictures.fetch_due() == 0
    assert asked == []
    assert spoke._backfill._hands() == 0
    monkeypatch.setattr(space, "free_bytes", lambda _: 1 << 40)
    pictures.space = spoke._backfill.space = Space(world.site.media_folder, 1 << 20)
    await pictures.fetch_due()
    assert asked
    assert spoke._backfill._hands() > 0


async def test_pictures_of_others_have_a_budget(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    spoke = world.site.federation
    assert spoke is not None
    pictures: Pictures = spoke._pictures
    assert pictures.budget == world.site.config.media.remote_bytes > 0
    asked: list[object] = []

    async def claim(*arguments: object) -> list[object]:
        asked.append(arguments)
        return []

    monkeypatch.setattr("fedcomm.federation.pictures.emoji.claim", claim)
    monkeypatch.setattr("fedcomm.federation.pictures.COUNT_S", 0.0)
    async with world.site.db.transaction() as tx:
        host_id = await actors.ensure_host(tx, "many.test")
        for number, (host, size) in enumerate([(host_id, 600), (host_id, 400), (None, 5_000)]):
            await tx.execute(
                "INSERT INTO emoji (id, host_id, shortcode, bytes, created_at, updated_at)"
                " VALUES (?, ?, ?, ?, 0, 0)",
                *(new_id(), host, f"budget{number}", size),
            )
    before = await emoji.bytes_of_others(world.site.db) - 1_000
    pictures.budget = before + 1_000
    assert await pictures.fetch_due() == 0
    assert asked == []
    pictures.budget = before + 1_001
    await pictures.fetch_due()
    assert asked
    async with world.site.db.transaction() as tx:
        await tx.execute("DELETE FROM emoji WHERE shortcode LIKE 'budget%'")
