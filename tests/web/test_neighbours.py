"""Settings of a member about others: fields, locks, blocks, mutes, aliases, moving."""

from __future__ import annotations

from fedcomm.hub import avoidance, follows
from tests.web.world import World


async def test_facts_are_shown_with_a_link_that_proves_and_nothing_else(world: World) -> None:
    chiara = await world.browser("chiara")
    fields = {"display_name": "C", "summary": "", "locale": "en", "locked": "1"}
    sent = await chiara.post(
        "/settings/profile",
        fields | {"field_name": "Site", "field_value": "https://chiara.example/"},
    )
    assert sent.status == 303
    page = await world.stranger().get("/@chiara")
    assert '<a href="https://chiara.example/" rel="me nofollow noopener noreferrer">' in page.text
    settings = await chiara.get("/settings")
    assert 'value="https://chiara.example/"' in settings.text
    dario = await world.browser("dario")
    sent = await dario.post(f"/following/{world.people['chiara']}")
    assert "said=requested" in sent.location
    await chiara.post("/settings/profile", fields | {"field_name": "X", "field_value": "<i>y</i>"})
    assert "&lt;i&gt;" in (await world.stranger().get("/@chiara")).text


async def test_a_block_is_made_on_the_page_of_the_person_and_ended_in_the_settings(
    world: World,
) -> None:
    chiara = await world.browser("chiara")
    dario = world.people["dario"]
    sent = await chiara.post(f"/people/{dario}/avoid", {"action": "block"})
    assert sent.location == "/@dario?said=blocked"
    assert await follows.is_kept_away(world.site.db, dario, world.people["chiara"])
    assert "You have blocked them." in (await chiara.get("/@dario")).text
    assert "blocked" in (await chiara.get("/settings/people")).text
    # Dario sees nothing of it.
    assert "blocked" not in (await (await world.browser("dario")).get("/@chiara")).text
    await chiara.post(f"/people/{dario}/avoid", {"action": "end", "back": "/settings/people"})
    assert await avoidance.kind_of(world.site.db, world.people["chiara"], dario) is None


async def test_a_server_is_muted_by_its_name(world: World) -> None:
    chiara = await world.browser("chiara")
    assert "Remote greetings" in (await chiara.get("/")).text
    page = await chiara.post("/settings/servers", {"name": "nowhere.example", "action": "mute"})
    assert page.status == 422 and "This server is not known here." in page.text
    await chiara.post("/settings/servers", {"name": "https://social.example/", "action": "mute"})
    assert "Remote greetings" not in (await chiara.get("/")).text
    [server] = await avoidance.hosts_avoided_by(world.site.db, world.people["chiara"])
    await chiara.post("/settings/servers", {"server": str(server.id), "action": "end"})
    assert "Remote greetings" in (await chiara.get("/")).text


async def test_an_alias_is_named_and_a_move_wants_to_be_confirmed(world: World) -> None:
    chiara = await world.browser("chiara")
    sent = await chiara.post("/settings/aliases", {"alias": "@rosa@social.example"})
    assert sent.status == 303
    page = await chiara.get("/settings/people")
    assert "https://social.example/users/rosa" in page.text
    await chiara.post("/settings/aliases", {"remove": "https://social.example/users/rosa"})
    assert "users/rosa" not in (await chiara.get("/settings/people")).text
    page = await chiara.post("/settings/move", {"target": "@rosa@social.example", "confirm": "no"})
    assert page.status == 422 and "Write your name here to confirm." in page.text
