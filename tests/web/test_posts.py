"""Single posts: permanent addresses, edits, deletions, likes, what moderators do."""

from __future__ import annotations

from pathlib import Path

from fedcomm.hub import media
from tests.web.world import MARKER, Page, World, picture_bytes, upload_form


async def test_the_address_of_a_reply_leads_to_its_place_in_the_thread(world: World) -> None:
    page = await world.stranger().get(f"/o/{world.replies['garden']}")
    assert page.status == 303
    assert page.location == f"{world.thread('garden')}/sowing-beans#r{world.replies['garden']}"


async def test_a_post_of_another_server_is_shown_alone_with_a_form_to_answer(world: World) -> None:
    chiara = await world.browser("chiara")
    page = await chiara.get(f"/o/{world.post_id}")
    assert page.status == 200
    assert "Remote greetings" in page.text
    assert '<link rel="canonical" href="https://social.example/@rosa/1">' in page.text
    assert 'name="robots" content="noindex"' in page.text
    sent = await chiara.post(f"/o/{world.post_id}/reply", {"text": "Hello Rosa"})
    assert sent.status == 303
    page = await chiara.get(sent.location)
    assert "Hello Rosa" in page.text and "Remote greetings" in page.text


async def test_an_edit_shows_and_keeps_what_stood_before(world: World) -> None:
    chiara = await world.browser("chiara")
    topic = world.topics["garden"]
    form = await chiara.get(f"/o/{topic}/edit")
    assert "Sow *early*." in form.text and 'value="Sowing beans"' in form.text
    sent = await chiara.post(f"/o/{topic}/edit", {"title": "Sowing peas", "text": "Sow **late**."})
    page = await world.stranger().follow(sent.location)
    assert "<strong>late</strong>" in page.text and "edited" in page.text
    history = await world.stranger().get(f"/o/{topic}/history")
    assert "<em>early</em>" in history.text and "Sowing beans" in history.text


async def test_an_edit_that_keeps_its_picture_keeps_the_file(world: World) -> None:
    dario = await world.browser("dario")
    sent = await dario.post(
        "/g/garden/new",
        upload_form(
            {"title": "Bean", "text": "Look", "new_alt_0": "A bean"}, file_0=picture_bytes()
        ),
    )
    topic = int(sent.location.split("/")[4])
    [image] = await media.attached_to(world.site.db, topic)
    stored = await media.image(world.site.db, image)
    assert stored is not None
    file = world.site.media_folder / stored.file
    await dario.post(
        f"/o/{topic}/edit",
        {"title": "Bean", "text": "Look again", "media": str(image), f"alt_{image}": "A bean"},
    )
    assert file.exists()
    await dario.post(f"/o/{topic}/edit", {"title": "Bean", "text": "No picture"})
    assert not file.exists()


async def test_only_the_author_edits(world: World) -> None:
    for name in ("dario", "bruno", "anna"):
        browser = await world.browser(name)
        assert (await browser.get(f"/o/{world.topics['garden']}/edit")).status == 403
        sent = await browser.post(
            f"/o/{world.topics['garden']}/edit", {"title": "Mine", "text": "Now"}
        )
        assert sent.status == 403
    page = await world.stranger().get(f"{world.thread('garden')}/sowing-beans")
    assert "<em>early</em>" in page.text


async def test_deleting_says_what_will_happen_and_takes_the_pictures_along(world: World) -> None:
    chiara = await world.browser("chiara")
    topic = world.topics[f"{MARKER}board"]
    page = await chiara.get(f"/o/{topic}/delete")
    assert "It cannot be brought back." in page.text
    assert "No other server has received a copy." in page.text
    files = list(Path(world.site.media_folder).iterdir())
    assert len(files) == 2
    sent = await chiara.post(f"/o/{topic}/delete")
    assert sent.location == f"/g/{MARKER}board?said=deleted"
    assert not list(Path(world.site.media_folder).iterdir())
    assert (await chiara.get(f"/o/{topic}")).status == 404


async def test_the_servers_with_a_copy_are_named_before_deleting(world: World) -> None:
    host = await world.site.db.value("SELECT id FROM hosts WHERE name = 'social.example'")
    async with world.site.db.transaction() as tx:
        await tx.execute(
            "INSERT INTO reach (subject_id, host_id, how, first_at, last_at) VALUES (?, ?, 1, 1, 1)",
            world.topics["garden"],
            host,
        )
    chiara = await world.browser("chiara")
    page = await chiara.get(f"/o/{world.topics['garden']}/delete")
    assert "1 other server has a copy." in page.text and "social.example" in page.text


async def test_a_moderator_removes_what_others_wrote_and_nobody_else_does(world: World) -> None:
    topic = world.topics["garden"]
    for name in ("dario", "elsa", "anna"):
        browser = await world.browser(name)
        assert (await browser.get(f"/o/{topic}/delete")).status == 403
        assert (await browser.post(f"/o/{topic}/delete")).status == 403
    bruno = await world.browser("bruno")
    page = await bruno.get(f"/o/{topic}/delete")
    assert "Remove this?" in page.text
    page = await bruno.post(f"/o/{topic}/delete")
    assert page.status == 422 and "Nothing is decided without a reason." in page.text
    sent = await bruno.post(f"/o/{topic}/delete", {"reason": "Off topic."})
    assert sent.location == "/g/garden?said=removed"
    assert (await world.stranger().follow(world.thread("garden"))).status == 404


async def test_what_a_moderator_purges_does_not_come_back(world: World) -> None:
    dario, bruno = await world.browser("dario"), await world.browser("bruno")
    words = {"title": "Bean", "text": "Look", "new_alt_0": "A bean"}

    async def post() -> Page:
        return await dario.post("/g/garden/new", upload_form(words, file_0=picture_bytes()))

    first = (await post()).location.split("/")[4]
    second = (await post()).location.split("/")[4]
    page = await bruno.get(f"/o/{first}/delete")
    assert 'name="purge"' in page.text
    await bruno.post(f"/o/{first}/delete", {"reason": "Off topic."})
    assert (await post()).status == 303
    await bruno.post(f"/o/{second}/delete", {"reason": "Against rule 3.", "purge": "1"})
    refused = await post()
    assert refused.status == 422 and "removed from here by the moderators" in refused.text


async def test_a_like_is_counted_once_and_can_be_taken_back(world: World) -> None:
    dario = await world.browser("dario")
    topic = world.topics["garden"]
    path = f"{world.thread('garden')}/sowing-beans"
    for _twice in range(2):
        sent = await dario.post(f"/o/{topic}/like", {"back": f"{path}#r{topic}"})
        assert sent.location == f"{path}#r{topic}"
    page = await dario.get(path)
    assert 'aria-pressed="true"' in page.text
    assert "1 like" in (await world.stranger().get(path)).text
    await dario.post(f"/o/{topic}/like", {"undo": "1"})
    assert "1 like" not in (await world.stranger().get(path)).text


async def test_moderators_pin_and_members_do_not(world: World) -> None:
    topic = world.topics["garden"]
    chiara, bruno = await world.browser("chiara"), await world.browser("bruno")
    for action in ("pin", "lock"):
        assert (await chiara.post(f"/o/{topic}/{action}", {"on": "1"})).status == 403
    await bruno.post(f"/o/{topic}/pin", {"on": "1"})
    assert "Pinned" in (await world.stranger().get("/g/garden")).text
    await bruno.post(f"/o/{topic}/pin")
    assert "Pinned" not in (await world.stranger().get("/g/garden")).text


async def test_history_and_likes_of_what_one_may_not_read_are_not_found(world: World) -> None:
    elsa = await world.browser("elsa")
    topic = world.topics[f"{MARKER}board"]
    for path in (f"/o/{topic}/history", f"/o/{topic}/edit", f"/o/{topic}/reply"):
        assert (await elsa.get(path)).status == 404
    for path in (f"/o/{topic}/like", f"/o/{topic}/pin", f"/o/{topic}/delete"):
        assert (await elsa.post(path, {"on": "1"})).status == 404
