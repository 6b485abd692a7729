"""Threads: reading, opening, answering, all without a script."""

from __future__ import annotations

import re

from fedcomm.hub import threads
from fedcomm.hub.composition import Draft
from fedcomm.web.threads import REPLIES_PER_PAGE
from tests.web.world import World, picture_bytes, upload_form


async def test_a_thread_has_one_address_with_its_title_in_it(world: World) -> None:
    stranger = world.stranger()
    page = await stranger.get(world.thread("garden"))
    assert (page.status, page.location) == (301, f"{world.thread('garden')}/sowing-beans")
    page = await stranger.get(f"{world.thread('garden')}/wrong?after=5")
    assert page.location == f"{world.thread('garden')}/sowing-beans?after=5"
    page = await stranger.get(page.location.partition("?")[0])
    assert page.status == 200
    assert "Sow <em>early</em>" in page.text
    assert "A reply in garden" in page.text


async def test_a_thread_is_found_in_no_other_group(world: World) -> None:
    page = await world.stranger().get(f"/g/workshop/t/{world.topics['garden']}")
    assert page.status == 404
    chiara = await world.browser("chiara")
    assert (await chiara.get(f"/g/workshop/t/{world.topics['garden']}")).status == 404


async def test_a_member_opens_a_topic(world: World) -> None:
    dario = await world.browser("dario")
    form = await dario.get("/g/garden/new")
    assert form.status == 200
    assert 'enctype="multipart/form-data"' in form.text
    sent = await dario.post(
        "/g/garden/new",
        {"title": "Compost", "text": "It **steams**.", "language": "en", "summary": ""},
    )
    assert sent.status == 303
    page = await world.stranger().get(sent.location.partition("?")[0])
    assert "<strong>steams</strong>" in page.text
    assert '<div class="words" dir="auto" lang="en">' in page.text


async def test_a_topic_with_a_fault_comes_back_with_what_was_typed(world: World) -> None:
    dario = await world.browser("dario")
    page = await dario.post(
        "/g/garden/new", {"title": "T" * 201, "text": "My careful words", "summary": "careful"}
    )
    assert page.status == 422
    assert "My careful words" in page.text
    assert "The title is too long." in page.text
    assert 'aria-invalid="true"' in page.text
    assert 'value="careful"' in page.text


async def test_a_preview_shows_the_words_and_publishes_nothing(world: World) -> None:
    dario = await world.browser("dario")
    before = await world.site.db.value("SELECT count(*) FROM objects")
    page = await dario.post(
        "/g/garden/new", {"title": "Compost", "text": "It **steams**.", "action": "preview"}
    )
    assert page.status == 200
    assert "<strong>steams</strong>" in page.text
    assert "It **steams**." in page.text
    assert await world.site.db.value("SELECT count(*) FROM objects") == before


async def test_pictures_survive_a_preview_and_are_attached_once(world: World) -> None:
    dario = await world.browser("dario")
    preview = await dario.post(
        "/g/garden/new",
        upload_form(
            {
                "title": "Beans",
                "text": "Look",
                "action": "preview",
                "new_alt_0": "A bean",
                "focal_0": "top",
            },
            file_0=picture_bytes(),
        ),
    )
    assert preview.status == 200
    found = re.search(r'name="media" value="(\d+)"', preview.text)
    assert found
    sent = await dario.post(
        "/g/garden/new",
        {
            "title": "Beans",
            "text": "Look",
            "media": found[1],
            f"alt_{found[1]}": "A better bean",
        },
    )
    page = await world.stranger().get(sent.location.partition("?")[0])
    assert 'alt="A better bean"' in page.text
    assert 'loading="lazy"' in page.text
    row = await world.site.db.one(
        "SELECT focal_y, alt FROM attachments WHERE media_id = ?", int(found[1])
    )
    assert row is not None and row["focal_y"] > 0.5 and row["alt"] == "A better bean"


async def test_nobody_attaches_the_picture_of_somebody_else(world: World) -> None:
    dario = await world.browser("dario")
    stolen = await world.site.db.value("SELECT id FROM media")
    sent = await dario.post(
        "/g/garden/new", {"title": "Beans", "text": "Look", "media": str(stolen)}
    )
    assert sent.status == 303
    assert await world.site.db.value("SELECT count(*) FROM attachments") == 1


async def test_a_file_of_no_kind_that_is_taken_is_refused_with_words(world: World) -> None:
    dario = await world.browser("dario")
    page = await dario.post(
        "/g/garden/new",
        upload_form({"title": "Beans", "text": "Look"}, file_0=b"<svg onload=alert(1)>"),
    )
    assert page.status == 422
    assert "Files of this kind are not taken." in page.text


async def test_who_is_no_member_is_asked_to_join(world: World) -> None:
    elsa = await world.browser("elsa")
    page = await elsa.get(f"{world.thread('garden')}/sowing-beans")
    assert "Join the group to write in it." in page.text
    assert 'class="composer"' not in page.text
    assert (await elsa.get("/g/garden/new")).status == 403
    sent = await elsa.post(f"/o/{world.topics['garden']}/reply", {"text": "Hello"})
    assert sent.status == 403


async def test_a_reply_stands_in_the_thread_and_says_what_it_answers(world: World) -> None:
    dario = await world.browser("dario")
    path = f"{world.thread('garden')}/sowing-beans"
    reply = world.replies["garden"]
    page = await dario.get(f"{path}?reply={reply}")
    assert f'action="/o/{reply}/reply"' in page.text
    sent = await dario.post(f"/o/{reply}/reply", {"text": "To the reply"})
    assert sent.status == 303
    led = await dario.get(sent.location)
    assert re.fullmatch(rf"{path}#r\d+", led.location)
    page = await world.stranger().get(path)
    assert f'href="#r{reply}"' in page.text
    assert "in reply to Bruno" in page.text
    assert "post nested" in page.text


async def test_an_empty_reply_comes_back(world: World) -> None:
    dario = await world.browser("dario")
    page = await dario.post(f"/o/{world.topics['garden']}/reply", {"text": "  "})
    assert page.status == 422
    assert "Write something first." in page.text


async def test_a_long_thread_is_paged_and_every_reply_is_found(world: World) -> None:
    path = f"{world.thread('garden')}/sowing-beans"
    for number in range(REPLIES_PER_PAGE + 4):
        last = await world.reply(world.topics["garden"], "dario", f"Number {number}.")
    stranger = world.stranger()
    first = await stranger.get(path)
    assert first.text.count("<article") == REPLIES_PER_PAGE + 1
    following = re.search(r'href="([^"]*\?after=\d+)"', first.text)
    assert following
    second = await stranger.get(following[1])
    assert second.text.count("<article") == 1 + 5
    led = await stranger.get(f"/o/{last}")
    assert led.location == f"{following[1]}#r{last}"
    led = await stranger.get(f"/o/{world.replies['garden']}")
    assert led.location == f"{path}#r{world.replies['garden']}"


async def test_a_closed_thread_takes_no_replies_but_of_moderators(world: World) -> None:
    bruno, dario = await world.browser("bruno"), await world.browser("dario")
    topic = world.topics["garden"]
    assert (await bruno.post(f"/o/{topic}/lock", {"on": "1"})).status == 303
    page = await dario.get(f"{world.thread('garden')}/sowing-beans")
    assert "This thread is closed." in page.text
    assert (await dario.post(f"/o/{topic}/reply", {"text": "But"})).status == 403
    assert (await bruno.post(f"/o/{topic}/reply", {"text": "Closing words"})).status == 303


async def test_a_deleted_topic_says_so_and_keeps_the_replies_of_others(world: World) -> None:
    async with world.site.db.transaction() as tx:
        await threads.delete(tx, world.people["chiara"], world.topics["garden"])
    page = await world.stranger().get(f"{world.thread('garden')}/sowing-beans")
    assert page.status == 410
    assert "Sow" not in page.text.replace("sowing-beans", "")
    assert "A reply in garden" in page.text
    led = await world.stranger().follow(f"/o/{world.replies['garden']}")
    assert led.status == 410


async def test_a_content_warning_hides_the_text_until_it_is_opened(world: World) -> None:
    topic = await world.topic(
        "garden", "dario", Draft("The snail scene.", title="Film", summary="Snails")
    )
    page = await world.stranger().get(f"/g/garden/t/{topic}/film")
    assert re.search(r"<details class=\"cw\"><summary>.*Snails", page.text)
    listed = await world.stranger().get("/g/garden")
    assert "Content warning: Snails" in listed.text
    assert "snail scene" not in listed.text
