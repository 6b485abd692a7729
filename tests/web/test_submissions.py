"""A form that is sent twice counts once; other words under the same form are another post."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from aiohttp import FormData

from fedcomm import janitor
from fedcomm.hub import submissions
from fedcomm.store.ids import now_ms
from tests.web.world import Browser, Page, World, picture_bytes


async def topic_form(world: World) -> tuple[Browser, dict[str, str]]:
    browser = await world.browser("chiara")
    form = await browser.get("/g/garden/new")
    return browser, {"once": form.field("once"), "title": "Compost", "text": "How hot does it get?"}


async def topics(world: World, title: str = "Compost") -> int:
    return int(await world.site.db.value("SELECT count(*) FROM objects WHERE title = ?", title))


async def test_two_clicks_make_one_topic_and_lead_to_the_same_page(world: World) -> None:
    browser, fields = await topic_form(world)
    first, second = await asyncio.gather(
        browser.post("/g/garden/new", fields), browser.post("/g/garden/new", fields)
    )
    assert (first.status, second.status) == (303, 303)
    assert first.location == second.location
    assert await topics(world) == 1


async def test_a_reply_that_is_sent_again_is_there_once(world: World) -> None:
    browser, fields = await topic_form(world)
    thread = (await browser.post("/g/garden/new", fields)).location.partition("?")[0]
    number = thread.split("/t/")[1].split("/")[0]
    form = await browser.get(thread)
    reply = {"once": form.field("once"), "text": "Hot enough."}
    answers = [await browser.post(f"/o/{number}/reply", reply) for _ in range(3)]
    assert len({answer.location for answer in answers}) == 1
    assert (
        await world.site.db.value("SELECT reply_count FROM objects WHERE id = ?", int(number)) == 1
    )


async def test_other_words_in_the_same_form_are_another_post(world: World) -> None:
    """Somebody goes back in their browser and writes on."""
    browser, fields = await topic_form(world)
    await browser.post("/g/garden/new", fields)
    await browser.post("/g/garden/new", fields | {"text": "And how long does it take?"})
    assert await topics(world) == 2


async def test_without_a_token_and_in_another_form_every_post_counts(world: World) -> None:
    browser, fields = await topic_form(world)
    for once in ("", "short", "x" * 500, "ä" * 22):
        await browser.post("/g/garden/new", fields | {"once": once})
    _, again = await topic_form(world)
    await browser.post("/g/garden/new", again)
    assert await topics(world) == 5


async def test_a_form_that_comes_back_with_an_error_keeps_its_token(world: World) -> None:
    browser, fields = await topic_form(world)
    page: Page = await browser.post("/g/garden/new", fields | {"title": "", "text": ""})
    assert page.status == 422
    assert page.field("once") == fields["once"]


def with_file(fields: Mapping[str, str], colour: str) -> FormData:
    form = FormData()
    for name, value in fields.items():
        form.add_field(name, value)
    form.add_field("new_alt_0", "A heap")
    form.add_field("file_0", picture_bytes(colour), filename="heap.png", content_type="image/png")
    return form


async def test_a_file_that_is_sent_again_with_its_form_makes_no_second_post(world: World) -> None:
    browser, fields = await topic_form(world)
    first = await browser.post("/g/garden/new", with_file(fields, "#102030"))
    second = await browser.post("/g/garden/new", with_file(fields, "#102030"))
    assert first.location == second.location
    assert await topics(world) == 1


async def test_two_members_with_one_token_are_two(world: World) -> None:
    assert submissions.digest_of("x" * 22, 1, ["a"]) != submissions.digest_of("x" * 22, 2, ["a"])


async def test_after_a_day_it_is_forgotten(world: World) -> None:
    browser, fields = await topic_form(world)
    await browser.post("/g/garden/new", fields)
    db = world.site.db
    assert await db.value("SELECT count(*) FROM submissions") == 1
    await janitor.tidy(world.site)
    assert await db.value("SELECT count(*) FROM submissions") == 1
    async with db.transaction() as tx:
        await tx.execute(
            "UPDATE submissions SET created_at = ?", now_ms() - submissions.REMEMBERED_MS - 1
        )
    await janitor.tidy(world.site)
    assert await db.value("SELECT count(*) FROM submissions") == 0
