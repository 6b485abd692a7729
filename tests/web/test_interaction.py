"""The way between servers: sent here to follow something, or following us from elsewhere."""

from __future__ import annotations

import pytest

from fedcomm.federation.spoke import FederationSpoke
from fedcomm.web.interaction import _filled
from tests.web.world import World


async def test_a_member_sent_here_is_led_to_what_is_known(world: World) -> None:
    chiara = await world.browser("chiara")
    for uri, path in (
        ("https://social.example/users/rosa", "/@rosa@social.example"),
        ("acct:rosa@social.example", "/@rosa@social.example"),
        ("https://social.example/notes/1", f"/o/{world.post_id}"),
        ("https://hub.test/g/garden", "/g/garden"),
    ):
        assert (await chiara.get(f"/interact?uri={uri}")).location == path


async def test_what_is_not_known_is_fetched_only_when_asked(world: World) -> None:
    chiara = await world.browser("chiara")
    page = await chiara.get("/interact?uri=https://other.example/@x")
    assert page.status == 200
    assert "It is on other.example." in page.text
    assert page.field("uri") == "https://other.example/@x"
    assert (await chiara.get("/interact?uri=nonsense")).status == 422
    assert (await chiara.get("/interact")).status == 422
    assert (await world.stranger().get("/interact?uri=https://other.example/")).status == 303


async def test_what_is_not_found_says_so(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    async def finds_nothing(_self: FederationSpoke, text: str) -> None:
        asked.append(text)

    monkeypatch.setattr(FederationSpoke, "find_actor", finds_nothing)
    monkeypatch.setattr(FederationSpoke, "find_object", finds_nothing)
    chiara = await world.browser("chiara")
    page = await chiara.post("/interact", {"uri": "https://other.example/@x"})
    assert page.status == 422 and "Nothing was found there" in page.text
    assert asked == ["https://other.example/@x"] * 2


async def test_following_from_elsewhere_leads_to_the_page_of_that_server(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def template(_self: FederationSpoke, handle: str) -> str:
        assert handle == "rosa@social.example"
        return "https://social.example/authorize_interaction?uri={uri}"

    monkeypatch.setattr(FederationSpoke, "subscribe_template", template)
    page = await world.stranger().post(
        "/follow-from/group/garden", {"handle": "@Rosa@social.example"}
    )
    target = "https://social.example/authorize_interaction?uri=garden%40hub.test"
    assert page.status == 200
    assert f'content="0; url={target}"' in page.text
    assert f'href="{target}"' in page.text
    page = await world.stranger().post(
        "/follow-from/person/chiara", {"handle": "rosa@social.example"}
    )
    assert "uri=chiara%40hub.test" in page.text


@pytest.mark.parametrize(
    "handle", ["", "rosa", "@rosa", "@rosa@", "rosa@hub.test", "a b@c.example"]
)
async def test_a_handle_that_leads_nowhere_is_refused_with_the_address_to_search_for(
    world: World, handle: str
) -> None:
    page = await world.stranger().post("/follow-from/group/garden", {"handle": handle})
    assert page.status == 422
    assert "@garden@hub.test" in page.text


@pytest.mark.parametrize(
    "template",
    [
        None,
        "",
        "https://social.example/",
        "javascript:alert('{uri}')",
        "data:text/html,{uri}",
        "//social.example/{uri}",
        "/{uri}",
        "https://[{uri}",
    ],
)
def test_a_template_that_is_no_web_address_is_not_used(template: str | None) -> None:
    assert _filled(template, "garden@hub.test") is None


async def test_groups_and_people_that_are_not_there_cannot_be_followed_from_elsewhere(
    world: World,
) -> None:
    for path in ("/follow-from/group/workshop", "/follow-from/person/garden", "/follow-from/x/y"):
        assert (await world.stranger().post(path, {"handle": "a@b.example"})).status == 404
