"""The first page, notifications, and the pages about the hub."""

from __future__ import annotations

import re

from fedcomm.hub.composition import Draft
from tests.web.world import MARKER, World


async def test_strangers_see_what_this_place_is(world: World) -> None:
    page = await world.stranger().get("/")
    assert "Hub under test" in page.text and "The garden" in page.text
    assert "Sowing beans" in page.text
    assert "workshop" not in page.text and MARKER not in page.text
    assert "Remote greetings" not in page.text


async def test_members_see_what_is_new_in_their_groups_and_with_whom_they_follow(
    world: World,
) -> None:
    page = await (await world.browser("chiara")).get("/")
    for words in ("Sowing beans", "Localword lathe", f"{MARKER} title", "Remote greetings"):
        assert words in page.text
    page = await (await world.browser("dario")).get("/")
    assert "Sowing beans" in page.text and "Localword" not in page.text
    page = await (await world.browser("elsa")).get("/")
    assert "Join a group, or follow somebody" in page.text


async def test_the_home_timeline_is_paged_without_gaps(world: World) -> None:
    for number in range(45):
        await world.topic("garden", "dario", Draft("Text", title=f"Topic {number:02}"))
    dario = await world.browser("dario")
    path, seen = "/", []
    for _page in range(5):
        page = await dario.get(path)
        seen += re.findall(r"Topic (\d\d)</a>", page.text)
        following = re.search(r'rel="next" href="([^"]+)"', page.text)
        if not following:
            break
        path = following[1].replace("&amp;", "&")
    assert seen == [f"{number:02}" for number in reversed(range(45))]


async def test_notifications_say_what_happened_and_are_marked_as_read(world: World) -> None:
    dario, chiara = await world.browser("dario"), await world.browser("chiara")
    await dario.post(f"/o/{world.topics['garden']}/reply", {"text": "For @chiara"})
    await dario.post(f"/o/{world.topics['garden']}/like")
    await dario.post(f"/following/{world.people['chiara']}")
    page = await chiara.get("/notifications")
    for words in ("answered you", "likes what you wrote", "follows you"):
        assert words in page.text
    assert re.search(r'<b class="count">', page.text)
    sent = await chiara.post("/notifications", {"up_to": page.field("up_to")})
    page = await chiara.get(sent.location)
    assert '<b class="count">' not in page.text
    assert (await chiara.post("/notifications", {"up_to": "x"})).status == 400


async def test_notifications_are_paged(world: World) -> None:
    for _ in range(35):
        await world.reply(world.topics["garden"], "dario", "Again")
    chiara = await world.browser("chiara")
    page = await chiara.get("/notifications")
    assert page.text.count("answered you") == 30
    following = re.search(r'rel="next" href="([^"]+)"', page.text)
    assert following
    assert "answered you" in (await chiara.get(following[1])).text


async def test_the_page_about_the_hub_says_what_becomes_of_words(world: World) -> None:
    page = await world.stranger().get("/about")
    assert "What becomes of what you write" in page.text
    assert 'href="/source.tar.gz"' in page.text
    assert "GNU Affero General Public License" in page.text


async def test_machines_get_what_they_look_for(world: World) -> None:
    stranger = world.stranger()
    assert (await stranger.get("/health")).text == "ok\n"
    assert (await stranger.get("/ready")).status == 200
    robots = await stranger.get("/robots.txt")
    assert "Disallow: /search" in robots.text and "Disallow: /\n" not in robots.text
    manifest = await stranger.get("/manifest.webmanifest")
    assert manifest.headers["Content-Type"].startswith("application/manifest+json")
    assert '"start_url": "/"' in manifest.text


async def test_a_notice_is_one_of_ours_whatever_the_address_says(world: World) -> None:
    stranger = world.stranger()
    assert "You are logged out." in (await stranger.get("/?said=goodbye")).text
    page = await stranger.get("/?said=Send+money+to+evil")
    assert 'class="notice"' not in page.text
