"""Drafts and the dry run on the pages: kept, shown, continued, posted just so, thrown away."""

from __future__ import annotations

import re

import pytest

from fedcomm import janitor
from fedcomm.hub import drafts, erasure, groups, media, reservations, threads
from fedcomm.hub.errors import Invalid
from tests.web.world import MARKER, Browser, Page, World, picture_bytes, upload_form

TYPED = {"title": "Compost", "text": "It **steams**.", "language": "en", "summary": ""}


async def preview(browser: Browser, path: str = "/g/garden/new", **more: str) -> Page:
    return await browser.post(path, {**TYPED, **more, "action": "preview"})


async def count(world: World, table: str) -> int:
    return int(await world.site.db.value(f"SELECT count(*) FROM {table}"))


async def test_a_preview_says_what_leaves_and_how_it_looks_elsewhere(world: World) -> None:
    dario = await world.browser("dario")
    page = await preview(dario, text="It steams, @nobody.")
    assert page.status == 200
    for text in ("What leaves this server", "On Mastodon", "On Lemmy", "On NodeBB"):
        assert text in page.text
    assert "Nobody is known here as @nobody" in page.text
    assert "Nobody on another server would get it now." in page.text
    assert "2 other members of this site" in page.text
    assert "&#34;type&#34;:&#34;Announce&#34;" in page.text


async def test_what_was_previewed_is_posted_with_its_id_and_time(world: World) -> None:
    dario = await world.browser("dario")
    form = await preview(dario)
    shown = re.search(r"/ap/o/(\d+)", form.text)
    assert shown is not None
    sent = await dario.post("/g/garden/new", {**TYPED, "draft": form.field("draft")})
    assert sent.status == 303
    assert f"/t/{shown[1]}" in sent.location
    thing = await threads.thing(world.site.db, int(shown[1]))
    held = (await reservations.of_objects(world.site.db, [int(shown[1])])).get(int(shown[1]))
    assert thing is not None
    assert held is not None
    assert thing.published_at == held.at
    assert {"Create", "Announce/id", "Announce/activity"} <= set(held.numbers)
    assert await count(world, "drafts") == 0


async def test_after_a_change_it_is_posted_anew(world: World) -> None:
    dario = await world.browser("dario")
    form = await preview(dario)
    sent = await dario.post(
        "/g/garden/new", {**TYPED, "text": "Changed.", "draft": form.field("draft")}
    )
    assert sent.status == 303
    assert await count(world, "reservations") == 0
    assert await count(world, "drafts") == 0


async def test_a_preview_that_is_too_old_promises_nothing(world: World) -> None:
    dario = await world.browser("dario")
    form = await preview(dario)
    async with world.site.db.transaction() as tx:
        await tx.execute(
            "UPDATE drafts SET reserved_at = reserved_at - ?", reservations.HELD_MS + 1
        )
    sent = await dario.post("/g/garden/new", {**TYPED, "draft": form.field("draft")})
    assert sent.status == 303
    assert await count(world, "reservations") == 0


async def test_when_the_world_changed_meanwhile_the_preview_is_shown_again(world: World) -> None:
    dario = await world.browser("dario")
    form = await preview(dario, text="For @rosa@social.example")
    async with world.site.db.transaction() as tx:
        await tx.execute(
            "UPDATE actors SET url = 'https://social.example/@rosa-new' WHERE id = ?",
            world.remote_id,
        )
    typed = {**TYPED, "text": "For @rosa@social.example", "draft": form.field("draft")}
    again = await dario.post("/g/garden/new", typed)
    assert again.status == 200
    assert "Something has changed since you looked" in again.text
    sent = await dario.post("/g/garden/new", typed)
    assert sent.status == 303


async def test_a_draft_is_saved_listed_continued_and_deleted(world: World) -> None:
    dario = await world.browser("dario")
    saved = await dario.post("/g/garden/new", {**TYPED, "poll": "Yes\nNo", "action": "draft"})
    assert (saved.status, saved.location) == (303, "/drafts?said=draft_saved")
    listed = await dario.get(saved.location)
    assert "Compost" in listed.text
    assert "The garden" in listed.text
    path = re.search(r"/drafts/\d+", listed.text)
    assert path is not None
    form = await dario.get(path[0])
    assert form.status == 200
    assert "It **steams**." in form.text
    assert "Yes\nNo" in form.text
    assert form.field("title") == "Compost"
    assert (await dario.post(f"{path[0]}/delete")).location == "/drafts?said=draft_deleted"
    assert (await dario.get(path[0])).status == 404
    assert await count(world, "drafts") == 0


async def test_an_empty_draft_is_not_kept(world: World) -> None:
    dario = await world.browser("dario")
    page = await dario.post("/g/garden/new", {"title": "", "text": " ", "action": "draft"})
    assert page.status == 422
    assert "Write something first." in page.text


async def test_saving_again_changes_the_same_draft(world: World) -> None:
    dario = await world.browser("dario")
    form = await preview(dario)
    number = form.field("draft")
    await dario.post(
        "/g/garden/new", {**TYPED, "text": "More.", "draft": number, "action": "draft"}
    )
    found = await drafts.drafts_of(world.site.db, world.people["dario"])
    assert [(str(one.id), one.words.text) for one in found] == [(number, "More.")]
    assert found[0].reservation is None


async def test_a_reply_is_previewed_kept_and_posted(world: World) -> None:
    dario = await world.browser("dario")
    path = f"/o/{world.topics['garden']}/reply"
    form = await dario.post(path, {"text": "An answer.", "action": "preview"})
    assert "On Lemmy" in form.text
    listed = await dario.get("/drafts")
    assert "Reply to Chiara" in listed.text
    number = form.field("draft")
    assert "An answer." in (await dario.get(f"/drafts/{number}")).text
    sent = await dario.post(path, {"text": "An answer.", "draft": number})
    assert sent.status == 303
    assert await count(world, "reservations") == 1
    assert await count(world, "drafts") == 0


async def test_a_draft_is_its_members_alone(world: World) -> None:
    dario, chiara = await world.browser("dario"), await world.browser("chiara")
    number = (await preview(dario)).field("draft")
    for browser in (chiara, await world.browser("anna")):
        assert (await browser.get(f"/drafts/{number}")).status == 404
        assert (await browser.post(f"/drafts/{number}/delete")).status == 404
        assert "Compost" not in (await browser.get("/drafts")).text
    assert (await world.stranger().get(f"/drafts/{number}")).status == 303
    stolen = await chiara.post("/g/garden/new", {**TYPED, "draft": number})
    assert stolen.status == 303
    assert await drafts.find(world.site.db, world.people["dario"], int(number)) is not None
    assert await count(world, "reservations") == 0


async def test_in_a_private_group_nothing_leaves_and_who_is_put_out_keeps_only_the_words(
    world: World,
) -> None:
    board = f"{MARKER}board"
    chiara = await world.browser("chiara")
    form = await preview(chiara, f"/g/{board}/new")
    assert "It does not leave this server." in form.text
    assert "On Mastodon" not in form.text
    async with world.site.db.transaction() as tx:
        await groups.leave(tx, world.groups[board], world.people["chiara"])
    for path in ("/drafts", f"/drafts/{form.field('draft')}"):
        page = await chiara.get(path)
        assert page.status == 200
        assert MARKER not in page.text
        assert "not there any more" in page.text
    assert "It **steams**." in page.text


async def test_the_pictures_of_a_draft_are_kept_as_long_as_it_is(world: World) -> None:
    dario = await world.browser("dario")
    await dario.post(
        "/g/garden/new",
        upload_form({**TYPED, "new_alt_0": "A heap", "action": "draft"}, file_0=picture_bytes()),
    )
    async with world.site.db.transaction() as tx:
        await tx.execute("UPDATE media SET created_at = 1 WHERE alt = 'A heap'")
        assert await media.unreferenced(tx) == []
        number = (await drafts.drafts_of(tx, world.people["dario"]))[0].id
        assert (await drafts.drafts_of(tx, world.people["dario"]))[0].words.alts == ("A heap",)
        await drafts.delete(tx, world.people["dario"], number)
        assert len(await media.unreferenced(tx)) == 1
    assert await count(world, "draft_media") == 0


async def test_old_drafts_and_reservations_go(world: World) -> None:
    dario = await world.browser("dario")
    form = await preview(dario)
    await dario.post("/g/garden/new", {**TYPED, "draft": form.field("draft")})
    await preview(dario, title="Another")
    async with world.site.db.transaction() as tx:
        await tx.execute("UPDATE drafts SET updated_at = updated_at - ?", drafts.KEPT_MS + 1)
        await tx.execute(
            "UPDATE reservations SET reserved_at = reserved_at - ?", reservations.FORGOTTEN_MS + 1
        )
    assert await janitor.tidy(world.site) == 2
    assert await count(world, "drafts") + await count(world, "reservations") == 0


async def test_all_drafts_of_somebody_who_leaves_go(world: World) -> None:
    dario = await world.browser("dario")
    await preview(dario)
    db = world.site.db
    async with db.transaction() as tx:
        number = await erasure.request(
            tx, "member", world.people["dario"], requested_by=None, own=True
        )
    case = await erasure.case(db, number)
    while case is not None and case.state in ("objects", "rows"):
        case = await erasure.advance(db, case, origin=world.site.origin)
    assert await count(world, "drafts") == 0


async def test_there_is_a_limit_to_drafts_and_to_their_length(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drafts, "DRAFTS_LIMIT", 1)
    dario = await world.browser("dario")
    await preview(dario)
    page = await dario.post("/g/garden/new", {**TYPED, "title": "Second", "action": "draft"})
    assert page.status == 422
    assert "too many drafts" in page.text
    seen = await preview(dario, title="Second")
    assert seen.status == 200
    assert "On Mastodon" in seen.text
    async with world.site.db.transaction() as tx:
        with pytest.raises(Invalid):
            await drafts.save(tx, world.people["elsa"], drafts.Words(text="x" * 200_001))


async def test_what_would_be_refused_is_said_and_the_words_stay(world: World) -> None:
    dario = await world.browser("dario")
    async with world.site.db.transaction() as tx:
        await tx.execute("UPDATE objects SET locked_at = 1 WHERE id = ?", world.topics["garden"])
    page = await dario.post(
        f"/o/{world.topics['garden']}/reply", {"text": "Too late", "action": "preview"}
    )
    assert page.status == 422
    assert "This thread is closed." in page.text
    assert "Too late" in page.text
