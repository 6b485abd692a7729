"""Copies of public answers: made once while nothing changes, and never of what was."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Awaitable, Callable

import pytest
from aiohttp import web

from fedcomm.hub import threads
from fedcomm.hub.composition import Draft
from fedcomm.hub.errors import HubError
from fedcomm.web import copies
from fedcomm.web.copies import COPIES, Copies, Copy
from fedcomm.web.rendering import Renderer
from tests.web.happenings import Scene
from tests.web.world import Browser, World

ACTIVITY = "application/activity+json"


def kept(world: World) -> Copies:
    """The copies that the application has."""
    app = world.client.app
    assert app is not None
    return app[COPIES]


@pytest.fixture
def rendered(world: World, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The templates that were rendered, in their order."""
    names: list[str] = []
    original = Renderer.render

    def render(self: Renderer, template: str, context: dict[str, object]) -> str:
        names.append(template)
        return original(self, template, context)

    monkeypatch.setattr(Renderer, "render", render)
    return names


async def anew(browser: Browser, path: str, **headers: str) -> tuple[int, str]:
    """The answer as it is made for this request alone."""
    page = await browser.get(path, Authorization="none", **headers)
    return page.status, page.text


async def test_a_page_that_nobody_changed_is_made_once(world: World, rendered: list[str]) -> None:
    stranger = world.stranger()
    first, second = [await stranger.get("/g/garden") for _ in range(2)]
    assert first.status == second.status == 200
    assert first.text == second.text
    assert rendered == ["group.html"]
    for name in ("Content-Type", "Cache-Control", "Vary", "Content-Security-Policy"):
        assert first.headers[name] == second.headers[name]


async def test_who_asks_at_the_same_time_waits_for_one_page(
    world: World, rendered: list[str]
) -> None:
    pages = await asyncio.gather(*(world.stranger().get("/g/garden") for _ in range(8)))
    assert len({page.text for page in pages}) == 1
    assert rendered == ["group.html"]


async def test_languages_and_forms_have_copies_of_their_own(world: World) -> None:
    stranger = world.stranger()
    for _turn in range(2):
        english = await stranger.get("/g/garden", Accept_Language="en")
        italian = await stranger.get("/g/garden", Accept_Language="it")
        document = await stranger.get("/g/garden", Accept=ACTIVITY)
        assert 'lang="en"' in english.text
        assert 'lang="it"' in italian.text
        assert document.headers["Content-Type"] == ACTIVITY
    assert len(kept(world)) == 3


async def test_members_and_who_signs_get_no_copies_and_leave_none(world: World) -> None:
    chiara = await world.browser("chiara")
    page = await chiara.get("/g/garden")
    assert "Chiara" in page.text
    await world.stranger().get(f"/ap/g/{world.groups['garden']}", Signature="bad")
    await world.stranger().get("/g/workshop")
    await world.stranger().get("/settings")
    assert len(kept(world)) == 0
    assert "Chiara" not in (await world.stranger().get("/g/garden")).text.split("<main")[0]


async def test_a_notice_stands_on_the_page_that_was_asked_for_alone(world: World) -> None:
    stranger = world.stranger()
    plain = await stranger.get("/g/garden")
    assert (await stranger.get("/g/garden?said=posted")).text != plain.text
    assert (await stranger.get("/g/garden")).text == plain.text


async def test_a_copy_of_a_document_answers_whether_it_is_current(world: World) -> None:
    stranger = world.stranger()
    path = f"/ap/g/{world.groups['garden']}"
    first = await stranger.get(path, Accept=ACTIVITY)
    again = await stranger.get(path, Accept=ACTIVITY, If_None_Match=first.headers["ETag"])
    assert (again.status, again.body) == (304, b"")
    assert again.headers["ETag"] == first.headers["ETag"]
    assert (await stranger.get(path, Accept=ACTIVITY)).body == first.body


async def test_a_page_answers_whether_it_is_current(world: World, rendered: list[str]) -> None:
    stranger = world.stranger()
    tags = {(await stranger.get("/g/garden")).headers["ETag"] for _ in range(2)}
    assert len(tags) == 1
    tag = tags.pop()
    again = await stranger.get("/g/garden", If_None_Match=tag)
    assert (again.status, again.body) == (304, b"")
    for name in ("ETag", "Cache-Control", "Vary", "Content-Security-Policy"):
        assert name in again.headers
    assert rendered == ["group.html"]
    packed = await stranger.get("/g/garden", Accept_Encoding="gzip")
    assert (packed.status, packed.headers["ETag"]) == (200, tag)
    await world.topic("garden", "chiara", Draft("Leaves.", title="Compost"))
    changed = await stranger.get("/g/garden", If_None_Match=tag)
    assert changed.status == 200
    assert "Compost" in changed.text
    assert changed.headers["ETag"] != tag


async def test_a_page_that_was_made_anew_with_the_same_words_is_current(
    world: World, rendered: list[str]
) -> None:
    stranger = world.stranger()
    first = await stranger.get("/g/garden")
    await world.browser("elsa")  # Somebody signs in, which no visitor sees.
    again = await stranger.get("/g/garden", If_None_Match=first.headers["ETag"])
    assert rendered == ["group.html"] * 2
    assert (again.status, again.body) == (304, b"")
    assert "Content-Security-Policy" in again.headers


async def test_pages_of_members_have_no_tag(world: World) -> None:
    chiara = await world.browser("chiara")
    page = await chiara.get("/g/garden")
    assert page.headers["Cache-Control"] == "private, no-store"
    assert "ETag" not in page.headers


async def test_copies_end_by_themselves(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(copies, "KEEP_S", 0.01)
    await world.stranger().get("/g/garden")
    async with asyncio.timeout(5):
        while len(kept(world)):
            await asyncio.sleep(0.01)


async def test_copies_have_a_bound(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(copies, "MOST_BYTES", 10_000)
    for number in range(20):
        await world.stranger().get(f"/.well-known/nodeinfo?{number}")
        await world.stranger().get(f"/g/garden?{number}")
    assert sum(len(copy.body) for copy in kept(world)._kept.values()) <= 10_000


async def test_inv_50_deleted_words_are_in_no_copy(world: World) -> None:
    stranger = world.stranger()
    secret = await world.reply(world.topics["garden"], "dario", "The unsayable word.")
    path = (await stranger.get(world.thread("garden"))).location
    assert "unsayable" in (await stranger.get(path)).text
    assert any(b"unsayable" in copy.body for copy in kept(world)._kept.values())
    async with world.site.db.transaction() as tx:
        await threads.delete(tx, world.people["dario"], secret)
    assert "unsayable" not in (await stranger.get(path)).text
    assert not any(b"unsayable" in copy.body for copy in kept(world)._kept.values())


@pytest.mark.parametrize("seed", range(3))
async def test_a_copy_is_what_would_be_made_now_whatever_happens(world: World, seed: int) -> None:
    """INV-20, INV-50: pages and documents with copies are those without, after any operation."""
    chance = random.Random(seed)
    stranger = world.stranger()
    thread = (await stranger.get(world.thread("garden"))).location
    group = world.groups["garden"]
    objects = [world.topics["garden"], world.replies["garden"]]
    addresses = [
        ("/", "text/html"), ("/g/garden", "text/html"), (thread, "text/html"), ("/groups", "text/html"),
        ("/@dario", "text/html"), (f"/ap/g/{group}", ACTIVITY), (f"/ap/g/{group}/outbox", ACTIVITY),
        (f"/ap/o/{objects[0]}", ACTIVITY), (f"/ap/o/{objects[0]}/replies", ACTIVITY),
        (f"/ap/p/{world.people['dario']}", ACTIVITY), (f"/o/{objects[1]}", "text/html"),
    ]  # fmt: skip
    scene = Scene(world, chance, objects)
    for _step in range(30):
        with contextlib.suppress(HubError):
            await scene.go_on()
        for path, accept in chance.sample(addresses, 4) + chance.sample(addresses, 4):
            page = await stranger.get(path, Accept=accept)
            assert (page.status, page.text) == await anew(stranger, path, Accept=accept), path


class Numbered:
    """A page that says how often the database was changed before it was read, and takes a while after that."""

    def __init__(self, copies: Copies) -> None:
        self.copies = copies
        self.changes = 0
        self.made: list[int] = []
        self.busy = 0
        self.pause: Callable[[], Awaitable[object]] = lambda: asyncio.sleep(0)

    async def state(self) -> int:
        await asyncio.sleep(0)
        return self.changes

    async def make(self) -> web.StreamResponse:
        self.busy += 1
        assert self.busy == 1, "one at a time"
        read = self.changes
        self.made.append(read)
        await self.pause()
        self.busy -= 1
        return web.Response(body=b"%d" % read, headers={"Cache-Control": "public"})

    async def ask(self) -> int:
        state = await self.state()
        answer: object = self.copies.found(state, "page")
        if answer is None:
            answer = await self.copies.made(state, "page", self.make, self.state)
        assert isinstance(answer, Copy | web.Response)
        body = answer.body
        assert isinstance(body, bytes)
        return int(body)


async def settled() -> None:
    """Whatever can go on has gone on."""
    for _ in range(20):
        await asyncio.sleep(0)


async def test_who_asks_while_a_page_is_made_that_is_old_already_gets_one_page_more() -> None:
    page, gate = Numbered(Copies()), asyncio.Event()
    page.pause = gate.wait
    before = [asyncio.create_task(page.ask()) for _ in range(4)]
    await settled()
    page.changes = 1
    after = [asyncio.create_task(page.ask()) for _ in range(8)]
    await settled()
    assert page.made == [0]
    gate.set()
    # Who asked before the change may have what was read before it, as if each had read by themselves.
    assert await asyncio.gather(*before) == [0] * 4
    assert await asyncio.gather(*after) == [1] * 8
    assert page.made == [0, 1]


async def test_a_copy_that_is_nearly_over_is_made_anew_by_one_and_nobody_else_waits(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    page = Numbered(Copies())
    await page.ask()
    monkeypatch.setattr(copies, "RENEWED_S", 0.0)
    gate = asyncio.Event()
    page.pause = gate.wait
    one = asyncio.create_task(page.ask())
    await settled()
    others = [asyncio.create_task(page.ask()) for _ in range(8)]
    await settled()
    assert all(task.done() for task in others)
    assert not one.done()
    assert page.made == [0, 0]
    page.changes = 1
    late = asyncio.create_task(page.ask())
    await settled()
    assert not late.done(), "what was changed is in no copy"
    gate.set()
    assert (await one, await late) == (0, 1)


async def test_who_waits_for_a_page_that_cannot_be_made_makes_one_themselves() -> None:
    page = Numbered(Copies())
    gate = asyncio.Event()

    async def fail() -> web.StreamResponse:
        await gate.wait()
        raise web.HTTPNotFound

    first = asyncio.create_task(page.copies.made(0, "page", fail, page.state))
    await settled()
    second = asyncio.create_task(page.ask())
    await settled()
    gate.set()
    with pytest.raises(web.HTTPNotFound):
        await first
    assert await second == 0
    assert await page.ask() == 0


@pytest.mark.parametrize("seed", range(20))
async def test_inv_50_no_answer_is_older_than_its_question(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However pages are made, shared and renewed, and whatever is changed or erased meanwhile."""
    chance = random.Random(seed)
    monkeypatch.setattr(copies, "RENEWED_S", chance.choice([0.0, 4.0]))
    page = Numbered(Copies())

    async def pause() -> None:
        for _ in range(chance.randrange(6)):
            await asyncio.sleep(0)

    page.pause = pause

    async def read() -> None:
        for _ in range(20):
            await pause()
            least = page.changes
            assert await page.ask() >= least

    async def write() -> None:
        for _ in range(40):
            await pause()
            page.changes += 1

    await asyncio.gather(write(), *(read() for _ in range(8)))
    assert len(page.made) < 160
    least = page.changes
    assert await page.ask() == least
