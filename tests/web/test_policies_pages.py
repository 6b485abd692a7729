"""The pages on which administrators decide who may federate."""

from __future__ import annotations

import re

import pytest
from aiohttp import FormData

from fedcomm.hub import audit, policies, policy_changes, policy_drafts
from tests.web.world import World

DOMAIN = "social.example"
"""Where Rosa lives, whom Chiara follows."""

PAGES = (
    "/admin/policies",
    f"/admin/policies/preview?domain={DOMAIN}&level=suspend",
    "/admin/policies/mode?mode=cautious",
    "/admin/policies/lists",
    "/admin/policies/history",
    "/admin/policies/export.csv",
    "/admin/policies/export.txt",
)


@pytest.mark.parametrize("path", PAGES)
async def test_only_administrators_see_them(path: str, world: World) -> None:
    for name in ("bruno", "chiara"):
        assert (await (await world.browser(name)).get(path)).status == 403
    assert (await world.stranger().get(path)).status == 303
    assert (await (await world.browser("anna")).get(path)).status == 200


@pytest.mark.parametrize(
    "path",
    [
        *("/admin/policies", "/admin/policies/mode", "/admin/policies/import"),
        *("/admin/policies/history/1/undo", "/admin/policies/drafts/1"),
        "/admin/policies/subscriptions",
    ],
)
async def test_only_administrators_change_anything(path: str, world: World) -> None:
    data = {"domain": DOMAIN, "level": "suspend", "reason": "x", "mode": "allow-list"}
    for browser in (world.stranger(), await world.browser("bruno")):
        assert (await browser.post(path, data)).status == 403
    anna = await world.browser("anna")
    assert (await anna.post(path, data, origin=False)).status == 403
    assert await policies.count(world.site.db) == 0
    assert await policies.stored_mode(world.site.db) == ("open", 0)


async def test_a_server_is_previewed_suspended_and_the_change_undone(world: World) -> None:
    anna, chiara = await world.browser("anna"), await world.browser("chiara")
    post = f"/o/{world.post_id}"
    assert (await chiara.follow(post)).status == 200
    page = await anna.get(f"/admin/policies/preview?domain={DOMAIN}&level=suspend")
    assert "@chiara → @rosa@social.example" in page.text
    assert await policies.count(world.site.db) == 0
    data = {
        "domain": DOMAIN,
        "level": "suspend",
        "public_comment": "Spam <b>",
        "days": "7",
        "obfuscate": "1",
        "reason": "A wave.",
    }
    answer = await anna.post("/admin/policies", data)
    assert (answer.status, answer.location) == (303, "/admin/policies?said=decided_host")
    assert (
        "suspend,false,false,Spam <b>,true" in (await anna.get("/admin/policies/export.csv")).text
    )
    again = await anna.get(f"/admin/policies/preview?domain={DOMAIN}&level=limit")
    assert 'name="obfuscate" value="1" checked' in again.text
    listed = await anna.get("/admin/policies")
    assert "social.example" in listed.text and "Spam &lt;b&gt;" in listed.text
    assert (await chiara.follow(post)).status == 404
    assert (await chiara.get(f"/@rosa@{DOMAIN}")).status == 404
    (line, *_rest) = await audit.lines(world.site.db)
    assert (line.event, line.actor_id) == ("policy_set", world.people["anna"])
    (change,) = await policy_changes.history(world.site.db)
    shown = await anna.get("/admin/policies/history")
    assert "A wave." in shown.text and "@anna" in shown.text
    answer = await anna.post(f"/admin/policies/history/{change.id}/undo", {"reason": "Sorry."})
    assert answer.status == 303
    assert (await chiara.follow(post)).status == 200
    again = await anna.post(f"/admin/policies/history/{change.id}/undo", {"reason": "Sorry."})
    assert again.status == 422


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"reason": " "}, 422),
        ({"domain": "nonsense"}, 422),
        ({"domain": "hub.test"}, 422),
        ({"level": "explode"}, 422),
        ({"days": "soon"}, 422),
    ],
)
async def test_what_cannot_be_decided_is_said_so(
    changes: dict[str, str], status: int, world: World
) -> None:
    anna = await world.browser("anna")
    data = {"domain": DOMAIN, "level": "limit", "reason": "Why not."} | changes
    answer = await anna.post("/admin/policies", data)
    assert answer.status == status
    assert 'role="alert"' in answer.text
    assert await policies.count(world.site.db) == 0


async def test_an_entry_is_removed_after_a_preview(world: World) -> None:
    anna = await world.browser("anna")
    await anna.post("/admin/policies", {"domain": DOMAIN, "level": "limit", "reason": "x"})
    page = await anna.get(f"/admin/policies/preview?domain={DOMAIN}&action=remove")
    assert page.status == 200
    await anna.post("/admin/policies", {"domain": DOMAIN, "action": "remove", "reason": "y"})
    assert await policies.count(world.site.db) == 0


async def test_the_mode_is_previewed_and_changed(world: World) -> None:
    anna = await world.browser("anna")
    page = await anna.get("/admin/policies/mode?mode=allow-list")
    assert DOMAIN in page.text
    assert (await anna.post("/admin/policies/mode", {"mode": "allow-list"})).status == 422
    data = {"mode": "allow-list", "reason": "Among friends."}
    assert (await anna.post("/admin/policies/mode", data)).status == 303
    assert (await policies.stored_mode(world.site.db))[0] == "allow-list"
    assert (await anna.get("/admin/policies/mode?mode=nonsense")).status == 404


async def test_a_list_is_shown_before_it_is_applied(world: World) -> None:
    anna = await world.browser("anna")
    form = FormData()
    form.add_field("level", "suspend")
    form.add_field(
        "file",
        b"\xef\xbb\xbf#domain,#severity\nbad.example,suspend\nex**ple.test,suspend\n",
        filename="blocks.csv",
        content_type="text/csv",
    )
    answer = await anna.post("/admin/policies/import", form)
    assert answer.status == 303
    page = await anna.get(answer.location)
    assert "bad.example" in page.text and "ex**ple.test" in page.text
    assert await policies.count(world.site.db) == 0
    assert (await anna.post(answer.location, {"action": "apply"})).status == 422
    assert (await anna.post(answer.location, {"reason": "Agreed."})).status == 303
    assert await policies.count(world.site.db) == 1
    exported = await anna.get("/admin/policies/export.csv")
    assert "bad.example,suspend,false,false,,false" in exported.text
    assert (await anna.get("/admin/policies/export.txt")).text == "bad.example\n"


async def test_a_list_can_be_written_and_thrown_away(world: World) -> None:
    anna = await world.browser("anna")
    answer = await anna.post(
        "/admin/policies/import", {"list": "bad.example\nworse.example", "level": "limit"}
    )
    assert (await anna.post(answer.location, {"action": "discard"})).status == 303
    assert await policy_drafts.drafts(world.site.db) == []
    assert (await anna.get(answer.location)).status == 404
    assert (await anna.post("/admin/policies/import", {"level": "limit"})).status == 422


async def test_the_pages_speak_italian(world: World) -> None:
    anna = await world.browser("anna")
    anna.headers["Accept-Language"] = "it"
    async with world.site.db.transaction() as tx:
        await tx.execute(
            "UPDATE members SET locale = 'it' WHERE actor_id = ?", world.people["anna"]
        )
    page = await anna.get("/admin/policies")
    assert re.search(r"<h1>\s*Altri server", page.text)


async def test_lists_have_a_page_of_their_own_where_their_errors_stand(world: World) -> None:
    anna = await world.browser("anna")
    answer = await anna.post("/admin/policies/import", {"list": "", "level": "limit"})
    assert answer.status == 422 and "<h1>Lists</h1>" in answer.text
    answer = await anna.post("/admin/policies/import", {"list": "bad.example", "level": "limit"})
    assert answer.location in (await anna.get("/admin/policies/lists")).text
    assert "1 list of servers to look at" in (await anna.get("/admin")).text
    answer = await anna.post(answer.location, {"reason": "Agreed."})
    assert answer.location == "/admin/policies/lists?said=list_applied"
