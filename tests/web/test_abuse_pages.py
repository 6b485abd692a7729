"""Pages against waves of abuse: cleaning up, what is held back, published blocks, servers of a group."""

from __future__ import annotations

import json
import re

import pytest

from fedcomm.hub import actors, group_hosts, holding, policies, policy_changes, sweeping, sweeps
from fedcomm.store.ids import new_id, now_ms
from tests.web.world import World

HOST = "social.example"
"""Where Rosa lives, who has written a post."""


@pytest.mark.parametrize(
    "path", ["/admin/sweeps", f"/admin/sweeps/preview?target={HOST}&since=all"]
)
async def test_only_administrators_see_what_could_be_cleaned_up(path: str, world: World) -> None:
    for name in ("bruno", "chiara"):
        assert (await (await world.browser(name)).get(path)).status == 403
    assert (await world.stranger().get(path)).status == 303
    assert (await (await world.browser("anna")).get(path)).status == 200


@pytest.mark.parametrize(
    "path", ["/admin/sweeps", "/admin/sweeps/1/undo", "/admin/policies/published"]
)
async def test_only_administrators_change_anything(path: str, world: World) -> None:
    data = {"target": HOST, "since": "all", "reason": "x", "audience": "public"}
    for browser in (world.stranger(), await world.browser("bruno")):
        assert (await browser.post(path, data)).status == 403
    assert await sweeps.sweeps(world.site.db) == []


async def test_a_sweep_is_previewed_begun_watched_undone_and_certified(world: World) -> None:
    anna, chiara = await world.browser("anna"), await world.browser("chiara")
    db = world.site.db
    post = f"/o/{world.post_id}"
    shown = await anna.get(f"/admin/sweeps/preview?target={HOST}&since=all")
    assert "@rosa@social.example" in shown.text
    assert (await chiara.follow(post)).status == 200
    data = {"target": HOST, "since": "all", "reason": "A wave <b>."}
    made = await anna.post("/admin/sweeps", data)
    assert made.status == 303
    place = made.location.partition("?")[0]
    page = await anna.get(place)
    assert "A wave &lt;b&gt;." in page.text
    (sweep,) = await sweeps.sweeps(db)
    await sweeping.advance(db, sweep.id, folder=world.site.media_folder)
    assert (await chiara.follow(post)).status == 404
    page = await anna.get(place)
    assert '<meta http-equiv="refresh"' not in page.text
    assert (await anna.post(f"{place}/undo", {"reason": " "})).status == 422
    assert (await anna.post(f"{place}/undo", {"reason": "Sorry."})).status == 303
    await sweeping.advance(db, sweep.id, folder=world.site.media_folder)
    assert (await chiara.follow(post)).status == 200
    again = (await anna.post("/admin/sweeps", data)).location.partition("?")[0]
    newest = (await sweeps.sweeps(db))[0]
    await sweeping.advance(db, newest.id, folder=world.site.media_folder)
    async with db.transaction() as tx:
        await tx.execute("UPDATE sweeps SET purge_at = 1 WHERE id = ?", newest.id)
    await sweeping.advance(db, newest.id, folder=world.site.media_folder)
    page = await anna.get(again)
    assert re.search(r"Erased for good|Being erased", page.text)
    assert HOST in (await anna.get("/admin/sweeps")).text


@pytest.mark.parametrize(
    "changes",
    [
        {"reason": " "},
        {"target": "nobody.example"},
        {"target": "anna"},
        {"since": "yesterday"},
        {"target": "@anna2@<script>"},
    ],
)
async def test_what_cannot_be_cleaned_up_is_said_so(changes: dict[str, str], world: World) -> None:
    anna = await world.browser("anna")
    data = {"target": HOST, "since": "2h", "reason": "Why not."} | changes
    answer = await anna.post("/admin/sweeps", data)
    assert answer.status == 422
    assert 'role="alert"' in answer.text
    assert await sweeps.sweeps(world.site.db) == []


async def hold(world: World, content: str, *, public: bool = True) -> int:
    """Something of Rosa's that is held; its number."""
    db = world.site.db
    rosa = await actors.remote_actor(db, "rosa", HOST)
    assert rosa is not None
    number = new_id()
    to = ["as:Public"] if public else ["https://hub.test/ap/p/1"]
    body = {"type": "Create", "actor": rosa.uri, "object": {"content": content, "to": to}}
    async with db.transaction() as tx:
        await tx.execute(
            "INSERT INTO inbox (id, uri, host_id, signer_uri, state, body, received_at)"
            " VALUES (?, ?, ?, ?, 'suspect', ?, ?)",
            number, f"https://{HOST}/{number}", rosa.host_id, rosa.uri, json.dumps(body), now_ms(),
        )  # fmt: skip
        await holding.hold(
            tx, number, actor_id=rosa.id, host_id=rosa.host_id or 0, group_id=None,
            object_uri=f"https://{HOST}/o/{number}", score=8, reasons=("same_text", "new_host"),
        )  # fmt: skip
    return number


async def test_what_is_held_is_shown_with_its_reasons_and_decided(world: World) -> None:
    anna, db = await world.browser("anna"), world.site.db
    first = await hold(world, "<p>Buy <script>alert(1)</script>coins</p>")
    page = await anna.get("/moderation/held")
    assert "Several people write nearly the same" in page.text
    assert "alert(1)" not in page.text
    assert "held back because it looks like abuse" in (await anna.get("/moderation")).text
    assert "it is held back for you" in (await anna.get("/notifications")).text
    assert (await anna.post(f"/moderation/held/{first}", {"do": "refuse"})).status == 422
    refused = await anna.post(f"/moderation/held/{first}", {"do": "refuse", "reason": "Spam."})
    assert refused.status == 303
    assert await db.value("SELECT state FROM inbox WHERE id = ?", first) == "refused"
    second = await hold(world, "<p>An honest word.</p>")
    assert (await anna.post(f"/moderation/held/{second}", {"do": "let_in"})).status == 303
    assert await db.value("SELECT state FROM inbox WHERE id = ?", second) in ("held", "waiting")
    assert (await anna.post(f"/moderation/held/{second}", {"do": "let_in"})).status == 404
    assert (await anna.post(f"/moderation/held/{second}", {"do": "explode"})).status == 400


async def test_messages_to_somebody_are_decided_without_being_read(world: World) -> None:
    await hold(world, "<p>MARKERMESSAGE</p>", public=False)
    page = await (await world.browser("anna")).get("/moderation/held")
    assert "MARKERMESSAGE" not in page.text
    assert "A message to somebody" in page.text


async def test_who_moderates_nothing_need_not_know_of_it(world: World) -> None:
    number = await hold(world, "<p>x</p>")
    dario = await world.browser("dario")
    assert (await dario.get("/moderation/held")).status == 404
    answer = await dario.post(f"/moderation/held/{number}", {"do": "let_in"})
    assert answer.status == 404
    assert (await world.stranger().get("/moderation/held")).status == 303


async def test_blocks_are_published_as_far_as_it_was_decided(world: World) -> None:
    db = world.site.db
    entry = policies.Entry("bad.example", "suspend", public_comment="Spam <b>", private_comment="X")
    async with db.transaction() as tx:
        await policy_changes.apply(tx, {"bad.example": entry}, by=None, kind="set", reason="Wave.")
    path = "/api/v1/instance/domain_blocks"
    stranger, chiara = world.stranger(), await world.browser("chiara")
    anna = await world.browser("anna")
    for audience, statuses in (
        ("off", (404, 404)),
        ("members", (404, 200)),
        ("public", (200, 200)),
    ):
        await anna.post("/admin/policies/published", {"audience": audience})
        seen = [await browser.get(path) for browser in (stranger, chiara)]
        assert tuple(answer.status for answer in seen) == statuses
        about = (await stranger.get("/about")).text
        assert ("bad.example" in about) is (statuses[0] == 200)
    (block,) = json.loads((await stranger.get(path)).text)
    assert set(block) == {"domain", "digest", "severity", "comment"}
    assert (block["domain"], block["severity"]) == ("bad.example", "suspend")
    assert "Spam &lt;b&gt;" in (await stranger.get("/about")).text
    assert (await anna.post("/admin/policies/published", {"audience": "x"})).status == 422


async def test_a_groups_moderators_say_which_servers_may_write(world: World) -> None:
    bruno, db = await world.browser("bruno"), world.site.db
    group = await db.value("SELECT actor_id FROM handles WHERE name = 'garden'")
    path = "/g/garden/hosts"
    rule = {"action": "set", "domain": "Bad.Example", "access": "none"}
    assert (await bruno.post(path, rule)).status == 303
    assert (await bruno.post(path, {"action": "others", "access": "read"})).status == 303
    assert [each.domain for each in await group_hosts.rules(db, group)] == ["bad.example"]
    assert await group_hosts.default(db, group) == "read"
    assert "bad.example" in (await bruno.get("/g/garden/manage")).text
    assert (await bruno.post(path, rule | {"domain": "nonsense"})).status == 422
    removed = {"action": "remove", "domain": "bad.example"}
    assert (await bruno.post(path, removed)).status == 303
    assert await group_hosts.rules(db, group) == []
    assert (await (await world.browser("chiara")).post(path, rule)).status == 403
