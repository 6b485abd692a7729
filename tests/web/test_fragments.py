"""Posts as they were rendered: used again where nothing has changed, and never for anything else."""

from __future__ import annotations

import asyncio
import contextlib
import random
import re
from pathlib import Path

import pytest

from fedcomm.hub import threads
from fedcomm.hub.composition import Draft
from fedcomm.hub.errors import HubError
from fedcomm.store.ids import now_ms
from fedcomm.web import fragments, presentation, rows
from fedcomm.web import threads as pages
from fedcomm.web.fragments import FRAGMENTS, Fragments, Sheet
from tests.web.happenings import Scene
from tests.web.world import Browser, World, make_world

HOUR_MS = 3_600_000


def kept(world: World) -> Fragments:
    """The fragments that the application has."""
    app = world.client.app
    assert app is not None
    return app[FRAGMENTS]


def words_kept(world: World) -> str:
    """Everything that the fragments hold, and everything that they were made of."""
    return repr(kept(world)._sheets)


async def address(world: World) -> str:
    return (await world.stranger().get(world.thread("garden"))).location


async def seen(browser: Browser, path: str, **headers: str) -> str:
    """A page without what is new in each form. `Authorization`: no copy of a whole page."""
    page = await browser.get(path, Authorization="none", **headers)
    return f"{page.status} " + re.sub(r'name="once" value="[^"]*"', "", page.text)


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The posts that were made into entries, which is what a template needs to render one."""
    ids: list[int] = []
    original = presentation.Surroundings.entry

    def entry(self: presentation.Surroundings, post: presentation.Post) -> presentation.Entry:
        ids.append(post.thing.id)
        return original(self, post)

    monkeypatch.setattr(presentation.Surroundings, "entry", entry)
    return ids


async def test_a_reply_that_did_not_change_is_rendered_once(world: World, made: list[int]) -> None:
    path, topic = await address(world), world.topics["garden"]
    first = await seen(world.stranger(), path)
    made.clear()
    assert await seen(world.stranger(), path) == first
    assert made == [topic]
    new = await world.reply(topic, "dario", "One more.")
    made.clear()
    assert "One more." in await seen(world.stranger(), path)
    assert made == [topic, new]


async def test_members_share_what_looks_the_same_to_them(world: World, made: list[int]) -> None:
    path, topic = await address(world), world.topics["garden"]
    mine = await world.reply(topic, "dario", "Of Dario.")
    chiara, dario = await world.browser("chiara"), await world.browser("dario")
    await seen(chiara, path)
    made.clear()
    page = await seen(dario, path)
    # One's own is another one: it can be edited.
    assert made == [topic, mine]
    assert f"/o/{mine}/edit" in page
    assert f"/o/{mine}/edit" not in await seen(chiara, path)
    assert f"/o/{mine}/report" not in await seen(world.stranger(), path)


async def test_a_line_of_a_list_that_did_not_change_is_rendered_once_for_everybody(
    world: World, made: list[int]
) -> None:
    chiara = await world.browser("chiara")
    for path in ("/g/garden", "/", "/@dario"):
        await seen(world.stranger(), path)
        made.clear()
        await seen(chiara, path)
        lines = set(made)
        made.clear()
        await seen(chiara, path)
        assert made == [], path
        if path == "/g/garden":
            # Lines do not say who reads them, not even in the author's eyes.
            assert world.topics["garden"] not in lines
    new = await world.topic("garden", "chiara", Draft("Leaves and more.", title="Compost"))
    for reader in (chiara, world.stranger()):
        made.clear()
        assert "Leaves and more." in await seen(reader, "/g/garden")
        assert made == ([new] if reader is chiara else [])


async def test_inv_50_deleted_words_are_in_no_line_of_a_list(world: World) -> None:
    secret = await world.topic("garden", "dario", Draft("The unsayable word.", title="Hm"))
    stranger = world.stranger()
    assert "unsayable" in await seen(stranger, "/g/garden")
    assert "unsayable" in words_kept(world)
    async with world.site.db.transaction() as tx:
        await threads.delete(tx, world.people["dario"], secret)
    assert "unsayable" not in await seen(stranger, "/g/garden")
    assert "unsayable" not in words_kept(world)


async def test_times_of_lines_go_on(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "just now" in await seen(world.stranger(), "/g/garden")
    monkeypatch.setattr(rows, "now_ms", lambda: now_ms() + 3 * HOUR_MS)
    page = await seen(world.stranger(), "/g/garden")
    assert "just now" not in page
    assert "3 hours ago" in page


async def test_an_emoji_that_is_new_here_is_shown_in_words_that_are_not(world: World) -> None:
    path = await address(world)
    await world.reply(world.topics["garden"], "dario", "It sprouts :leaf: today.")
    assert ":leaf: today" in await seen(world.stranger(), path)
    for file in ("one.webp", "two.webp"):
        async with world.site.db.transaction() as tx:
            await tx.execute("DELETE FROM emoji")
            await tx.execute(
                "INSERT INTO emoji (id, host_id, shortcode, file, created_at, updated_at)"
                " VALUES (1, NULL, 'leaf', ?, 0, 0)",
                file,
            )
        assert f'src="/media/{file}"' in await seen(world.stranger(), path)


async def test_times_go_on(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    path = await address(world)
    assert "just now" in await seen(world.stranger(), path)
    monkeypatch.setattr(pages, "now_ms", lambda: now_ms() + 3 * HOUR_MS)
    page = await seen(world.stranger(), path)
    assert "just now" not in page
    assert page.count("3 hours ago") >= 2


async def test_languages_have_fragments_of_their_own(world: World) -> None:
    path = await address(world)
    for _turn in range(2):
        assert "in risposta" not in await seen(world.stranger(), path, Accept_Language="en")
        assert "proprio ora" in await seen(world.stranger(), path, Accept_Language="it")


async def test_inv_50_deleted_words_are_in_no_fragment_after_the_next_page(world: World) -> None:
    path = await address(world)
    secret = await world.reply(world.topics["garden"], "dario", "The unsayable word.")
    assert "unsayable" in await seen(world.stranger(), path)
    assert "unsayable" in words_kept(world)
    async with world.site.db.transaction() as tx:
        await threads.delete(tx, world.people["dario"], secret)
    assert "unsayable" not in await seen(world.stranger(), path)
    assert "unsayable" not in words_kept(world)


async def test_inv_50_words_that_were_edited_away_are_in_no_fragment(world: World) -> None:
    path = await address(world)
    reply = await world.reply(world.topics["garden"], "dario", "The unsayable word.")
    await seen(world.stranger(), path)
    async with world.site.db.transaction() as tx:
        draft = Draft("Something kinder.")
        author = world.people["dario"]
        content = await world.site.compose(tx, draft, is_topic=False, author_id=author)
        await threads.edit(tx, author, reply, content)
    assert "Something kinder." in await seen(world.stranger(), path)
    assert "unsayable" not in words_kept(world)


async def test_inv_50_fragments_end_by_themselves(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fragments, "KEEP_S", 0.01)
    monkeypatch.setattr(fragments, "SWEEP_S", 0.01)
    await seen(world.stranger(), await address(world))
    async with asyncio.timeout(5):
        while len(kept(world)):
            await asyncio.sleep(0.01)
    # And again: the looking goes on with the next page.
    await seen(world.stranger(), await address(world))
    async with asyncio.timeout(5):
        while len(kept(world)):
            await asyncio.sleep(0.01)


async def test_fragments_have_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fragments, "MOST_CHARACTERS", 1_000)
    all_of_them = Fragments()
    for number in range(50):
        sheet = all_of_them.sheet(number)
        sheet.keep(number, ("made of",), "x" * (number * 30))
        sheet.shown()
        sizes = [
            sum(len(text) for _, text in kept[2].values()) for kept in all_of_them._sheets.values()
        ]
        assert sum(sizes) == all_of_them._characters <= 1_000
    # The last that is not too large for all of them.
    assert list(all_of_them._sheets)[-1] == 33


async def test_nothing_is_kept_where_the_organization_has_its_own_posts(
    database_url: str, tmp_path: Path
) -> None:
    from fedcomm.config import Web

    own = tmp_path / "own"
    (own / "parts").mkdir(parents=True)
    shipped = Path(__file__).parents[2] / "templates/parts/macros.html"
    (own / "parts/macros.html").write_text(shipped.read_text())
    async with make_world(database_url, tmp_path, web=Web(templates=own)) as world:
        page = await seen(world.stranger(), await address(world))
        assert "A reply in garden" in page
        assert len(kept(world)) == 0


@pytest.mark.parametrize("seed", range(4))
async def test_a_page_with_fragments_is_the_page_without_whatever_happens(
    world: World, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """INV-20, INV-50: after edits, deletions, decisions, marks, names, pictures, policies, for whoever looks."""
    moment = now_ms() + HOUR_MS
    monkeypatch.setattr(pages, "now_ms", lambda: moment)
    scene = Scene(world, random.Random(seed), [world.topics["garden"], world.replies["garden"]])
    viewers = [world.stranger()] + [
        await world.browser(name) for name in ("elsa", "dario", "chiara", "bruno")
    ]
    monkeypatch.setattr(rows, "now_ms", lambda: moment)
    used = 0
    lists = ["/g/garden", "/g/garden", "/", "/@dario", "/search?q=a"]
    for _step in range(25):
        with contextlib.suppress(HubError):
            await scene.go_on()
        thread = await address(world)
        for viewer in scene.chance.sample(viewers, 2):
            used += len(kept(world))
            path = scene.chance.choice([thread] * 4 + lists)
            page = await seen(viewer, path)
            with monkeypatch.context() as without:
                without.setattr(Fragments, "sheet", lambda self, like: Sheet(Fragments(), like, {}))
                assert page == await seen(viewer, path)
    assert used
