"""People here and elsewhere, and who follows whom."""

from __future__ import annotations

from fedcomm.hub import follows, members
from tests.web.world import MARKER, World


async def test_a_member_has_a_page_and_a_group_asked_for_as_a_person_leads_to_its_own(
    world: World,
) -> None:
    stranger = world.stranger()
    page = await stranger.get("/@chiara")
    assert page.status == 200
    assert "@chiara@hub.test" in page.text and "Sowing beans" in page.text
    assert (await stranger.get("/@Chiara")).location == "/@chiara"
    assert (await stranger.get("/@garden")).location == "/g/garden"
    assert (await stranger.get("/@chiara@hub.test")).location == "/@chiara"
    for name in (f"{MARKER}board", "workshop", "nobody"):
        assert (await stranger.get(f"/@{name}")).status == 404


async def test_a_suspended_member_has_no_page(world: World) -> None:
    async with world.site.db.transaction() as tx:
        await members.suspend_member(tx, world.people["dario"], suspended=True)
    assert (await world.stranger().get("/@dario")).status == 404


async def test_a_person_of_another_server_is_shown_with_their_server_and_nothing_is_fetched(
    world: World,
) -> None:
    chiara = await world.browser("chiara")
    page = await chiara.get("/@rosa@social.example")
    assert page.status == 200
    assert "@rosa@social.example" in page.text and "Remote greetings" in page.text
    assert "alert(1)" not in page.text
    assert "rosa.png" not in page.text
    assert "Unfollow" in page.text


async def test_following_and_unfollowing_a_member(world: World) -> None:
    dario = await world.browser("dario")
    person = world.people["chiara"]
    sent = await dario.post(f"/following/{person}")
    assert sent.location == "/@chiara?said=followed"
    assert "Chiara" in (await dario.get("/following")).text
    await dario.post(f"/following/{person}", {"undo": "1", "back": "/following"})
    assert await follows.find(world.site.db, world.people["dario"], person) is None


async def test_a_handle_of_this_server_is_followed_and_a_group_is_shown(world: World) -> None:
    dario = await world.browser("dario")
    assert (
        await dario.post("/following", {"handle": "@chiara"})
    ).location == "/@chiara?said=followed"
    assert (await dario.post("/following", {"handle": "chiara@hub.test"})).status == 303
    assert (await dario.post("/following", {"handle": "!garden@hub.test"})).location == "/g/garden"
    for handle in ("@nobody", f"@{MARKER}board", "what?", "@dario", "@a@b@c", ""):
        page = await dario.post("/following", {"handle": handle})
        assert page.status == 422, handle


async def test_a_known_person_elsewhere_is_asked_and_their_answer_is_awaited(world: World) -> None:
    dario = await world.browser("dario")
    sent = await dario.post("/following", {"handle": "@Rosa@Social.example"})
    assert sent.location == "/@rosa@social.example?said=requested"
    assert "Waiting for their answer" in (await dario.get("/following")).text
    known = await follows.find(world.site.db, world.people["dario"], world.remote_id)
    assert known is not None and known.state == "requested"


async def test_a_locked_member_accepts_and_refuses_who_asks(world: World) -> None:
    db, people = world.site.db, world.people
    async with db.transaction() as tx:
        await tx.execute("UPDATE actors SET locked = 1 WHERE id = ?", people["dario"])
        for name in ("chiara", "elsa"):
            await follows.request(tx, people[name], people["dario"])
    dario = await world.browser("dario")
    assert "They want to follow you" in (await dario.get("/notifications")).text
    await dario.post(f"/followers/{people['chiara']}", {"action": "accept"})
    await dario.post(f"/followers/{people['elsa']}", {"action": "refuse"})
    accepted = await follows.find(db, people["chiara"], people["dario"])
    assert accepted is not None and accepted.state == "active"
    assert await follows.find(db, people["elsa"], people["dario"]) is None
    assert (await dario.post("/followers/12345", {"action": "accept"})).status == 404


async def test_nobody_follows_themselves_a_group_row_or_a_ghost(world: World) -> None:
    dario = await world.browser("dario")
    assert (await dario.post(f"/following/{world.people['dario']}")).status == 403
    assert (await dario.post(f"/following/{world.groups['garden']}")).status == 404
    assert (await dario.post("/following/12345")).status == 404


async def test_names_are_isolated_and_escaped(world: World) -> None:
    async with world.site.db.transaction() as tx:
        await tx.execute(
            "UPDATE actors SET display_name = ? WHERE id = ?",
            "<b onclick=x>‮evil",
            world.people["chiara"],
        )
    page = await world.stranger().get("/@chiara")
    assert "<b onclick" not in page.text
    assert "<bdi>&lt;b onclick=x&gt;" in page.text
