"""The administrators' page of relays."""

from __future__ import annotations

from fedcomm.hub import actors, relays
from tests.web.world import World


async def test_administrators_see_that_relays_are_off_and_leave_one(world: World) -> None:
    anna, elsa = await world.browser("anna"), await world.browser("elsa")
    page = await anna.get("/admin/relays")
    assert page.status == 200 and "switched off" in page.text
    assert (await elsa.get("/admin/relays")).status == 403
    sent = await anna.post(
        "/admin/relays", {"address": "https://relay.example/inbox", "style": "mastodon"}
    )
    assert sent.status == 422
    async with world.site.db.transaction() as tx:
        host_id = await actors.ensure_host(tx, "relay.example")
        address = "https://relay.example/inbox"
        number = await relays.add(tx, "mastodon", address, host_id, actor_id=None, by=None)
    assert "asked, no answer yet" in (await anna.get("/admin/relays")).text
    assert (await elsa.post(f"/admin/relays/{number}/remove", {})).status == 403
    sent = await anna.post(f"/admin/relays/{number}/remove", {})
    assert "relay.example" not in (await anna.get(sent.location)).text
    assert (await anna.post(f"/admin/relays/{number}/remove", {})).status == 404
