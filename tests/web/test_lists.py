"""A member's lists: sorted by hand or brought from Mastodon, read by themselves, seen by nobody else."""

from __future__ import annotations

import re

import pytest

from fedcomm import imports as worker
from fedcomm.hub import follows, groups, imports, lists
from fedcomm.hub.composition import Draft
from tests.web.world import MARKER, Browser, World, upload_form


async def made(browser: Browser, title: str = "Neighbours") -> str:
    sent = await browser.post("/lists", {"title": title})
    assert sent.status == 303
    assert re.fullmatch(r"/lists/\d+", sent.location)
    return sent.location


async def bring(world: World, name: str, text: str) -> imports.Import:
    browser = await world.browser(name)
    sent = await browser.post(
        "/settings/bring/list", upload_form({"kind": "lists"}, list=text.encode())
    )
    assert sent.status == 303
    (one,) = await imports.unfinished(world.site.db)
    return await worker.proceed(world.site, one)


async def test_a_list_shows_what_comes_by_those_on_it_and_nothing_else(world: World) -> None:
    chiara = await world.browser("chiara")
    path = await made(chiara)
    assert "Nobody yet." in (await chiara.get(path)).text
    page = await chiara.get("/@rosa@social.example")
    assert "On which of your lists?" in page.text
    number = path.rpartition("/")[2]
    sent = await chiara.post(f"/people/{world.remote_id}/lists", {"list": number})
    assert sent.location.startswith("/@rosa@social.example")
    read = (await chiara.get(path)).text
    assert "Remote greetings" in read
    assert "Sowing beans" not in read
    await chiara.post(path, {"action": "put", "person": "garden"})
    assert "Sowing beans" in (await chiara.get(path)).text
    await chiara.post(path, {"action": "take-off", "person": str(world.remote_id)})
    read = (await chiara.get(path)).text
    assert "Remote greetings" not in read
    assert "Sowing beans" in read


async def test_a_list_is_renamed_and_deleted_and_who_was_on_it_stays_followed(world: World) -> None:
    chiara = await world.browser("chiara")
    path = await made(chiara)
    await chiara.post(path, {"action": "put", "person": "@rosa@social.example"})
    await chiara.post(path, {"action": "rename", "title": "  Far   away "})
    assert ">Far away</a>" in (await chiara.get("/lists")).text
    assert (await chiara.post(path, {"action": "rename", "title": ""})).status == 422
    await made(chiara, "Other")
    twice = await chiara.post(path, {"action": "rename", "title": "Other"})
    assert (twice.status, "You have a list with this title." in twice.text) == (422, True)
    assert (await chiara.post(path, {"action": "delete"})).location == "/lists?said=list_deleted"
    assert (await chiara.get(path)).status == 404
    assert await world.site.db.value("SELECT count(*) FROM list_entries") == 0
    assert await follows.find(world.site.db, world.people["chiara"], world.remote_id) is not None


async def test_only_who_is_followed_can_be_put_on_a_list(world: World) -> None:
    dario = await world.browser("dario")
    path = await made(dario)
    for nobody in ("@rosa@social.example", "elsa", "nobody", f"{MARKER}board", "@x@y.example", ""):
        refused = await dario.post(path, {"action": "put", "person": nobody})
        assert (refused.status, "Follow them first" in refused.text) == (422, True), nobody
    number = path.rpartition("/")[2]
    for unknown in (world.remote_id, world.groups[f"{MARKER}board"], 7):
        missing = await dario.post(f"/people/{unknown}/lists", {"list": number})
        assert missing.status == 404
    assert await world.site.db.value("SELECT count(*) FROM list_entries") == 0


async def test_nobody_sees_or_changes_the_lists_of_others(world: World) -> None:
    chiara, dario = await world.browser("chiara"), await world.browser("dario")
    path = await made(chiara, "Secretlist")
    await chiara.post(path, {"action": "put", "person": "@rosa@social.example"})
    missing = await dario.get("/lists/7")
    for answer in (
        await dario.get(path),
        await dario.post(path, {"action": "rename", "title": "Mine"}),
        await dario.post(path, {"action": "delete"}),
        await dario.post(path, {"action": "take-off", "person": str(world.remote_id)}),
        await dario.post(path, {"action": "put", "person": "garden"}),
    ):
        assert (
            (answer.status, "Secretlist" in answer.text) == (missing.status, False) == (404, False)
        )
    assert "Secretlist" not in (await dario.get("/lists")).text
    assert (await world.stranger().get(path)).status == 303
    (kept,) = await lists.of_member(world.site.db, world.people["chiara"])
    assert (kept.title, kept.count) == ("Secretlist", 1)


async def test_inv_20_who_left_a_private_group_sees_nothing_of_it_on_a_list(world: World) -> None:
    chiara = await world.browser("chiara")
    path = await made(chiara)
    await chiara.post(path, {"action": "put", "person": f"{MARKER}board"})
    assert f"{MARKER} title" in (await chiara.get(path)).text
    async with world.site.db.transaction() as tx:
        await groups.leave(tx, world.groups[f"{MARKER}board"], world.people["chiara"])
    assert MARKER not in (await chiara.get(path)).text
    taken = await chiara.get("/settings/take/lists.csv")
    assert MARKER not in taken.text


async def test_who_is_not_followed_any_more_stays_and_shows_nothing(world: World) -> None:
    chiara = await world.browser("chiara")
    path = await made(chiara)
    await chiara.post(path, {"action": "put", "person": "@rosa@social.example"})
    await chiara.post(f"/following/{world.remote_id}", {"undo": "1"})
    page = (await chiara.get(path)).text
    assert "You do not follow them any more" in page
    assert "Remote greetings" not in page


async def test_there_is_a_limit_to_lists_and_to_what_is_on_one(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lists, "LISTS", 1)
    monkeypatch.setattr(lists, "ENTRIES", 1)
    chiara = await world.browser("chiara")
    path = await made(chiara)
    assert (await chiara.post("/lists", {"title": "Another"})).status == 422
    assert (await chiara.post("/lists", {"title": "x" * 101})).status == 422
    assert await made(chiara) == path
    await chiara.post(path, {"action": "put", "person": "@rosa@social.example"})
    full = await chiara.post(path, {"action": "put", "person": "garden"})
    assert "The list is full." in full.text


async def test_lists_go_out_and_come_in_as_mastodon_writes_them(world: World) -> None:
    chiara = await world.browser("chiara")
    path = await made(chiara, "Far, away")
    await chiara.post(path, {"action": "put", "person": "@rosa@social.example"})
    await chiara.post(path, {"action": "put", "person": "garden"})
    taken = (await chiara.get("/settings/take/lists.csv")).text
    assert taken == '"Far, away",garden@hub.test\n"Far, away",rosa@social.example\n'

    elsa = world.people["elsa"]
    lines = "no address\n,rosa@social.example\nEmpty,\nFar away,anna@hub.test\n"
    one = await bring(world, "elsa", taken + taken + lines)
    assert (one.state, one.made, one.skipped) == ("done", 3, 3)
    brought = await lists.of_member(world.site.db, elsa)
    assert [(each.title, each.count) for each in brought] == [("Far away", 1), ("Far, away", 2)]
    # Whoever is on a list is followed; a group is joined.
    assert await follows.find(world.site.db, elsa, world.remote_id) is not None
    assert await follows.find(world.site.db, elsa, world.people["anna"]) is not None
    joined = await groups.membership(world.site.db, world.groups["garden"], elsa)
    assert joined is not None
    again = await bring(world, "elsa", taken)
    assert (again.state, again.made) == ("done", 2)
    assert await lists.of_member(world.site.db, elsa) == brought


async def test_a_private_group_is_not_joined_by_a_list(world: World) -> None:
    one = await bring(world, "dario", f"Mine,{MARKER}board@hub.test\n")
    assert (one.state, one.made, one.skipped) == ("done", 0, 1)
    assert await lists.of_member(world.site.db, world.people["dario"]) == []


async def test_what_is_written_later_arrives_on_the_list(world: World) -> None:
    dario = await world.browser("dario")
    path = await made(dario)
    await dario.post(path, {"action": "put", "person": "garden"})
    await world.topic("garden", "chiara", Draft("Now.", title="Later topic"))
    assert "Later topic" in (await dario.get(path)).text
