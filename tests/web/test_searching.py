"""Search, tags, and looking up what is on other servers."""

from __future__ import annotations

from dataclasses import replace

import pytest

from fedcomm.hub import actors, follows
from fedcomm.hub.composition import Draft
from fedcomm.web.lookup import Handle, can_be_fetched, handle_of, is_address
from tests.web.world import REMOTE, World


@pytest.mark.parametrize(
    ("text", "handle"),
    [
        ("@rosa@social.example", Handle("rosa", "social.example")),
        ("Rosa@Social.Example", Handle("rosa", "social.example")),
        ("!garden@social.example:8443", Handle("garden", "social.example:8443")),
        ("@rosa", Handle("rosa", None)),
        ("!garden", Handle("garden", None)),
        ("rosa", None),
        ("@rosa@", None),
        ("@a@b@c", None),
        ("two words@x.example", None),
        ("", None),
    ],
)
def test_what_is_a_handle(text: str, handle: Handle | None) -> None:
    assert handle_of(text) == handle


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("https://social.example/@rosa", True),
        ("http://social.example", True),
        ("https://", False),
        ("https://[", False),
        ("https://a b", False),
        ("javascript:alert(1)", False),
        ("//social.example", False),
    ],
)
def test_what_is_an_address(text: str, address: bool) -> None:
    assert is_address(text) is address
    assert can_be_fetched(text) is address


async def test_words_are_found_and_paged(world: World) -> None:
    for number in range(25):
        await world.topic("garden", "dario", Draft("Compost", title=f"Heap {number}"))
    page = await world.stranger().get("/search?q=compo")
    assert page.text.count('<li class="topic">') == 20
    assert "q=compo&amp;before=" in page.text
    assert "Nothing was found." in (await world.stranger().get("/search?q=xyzzy")).text


async def test_groups_are_found_by_name_and_title(world: World) -> None:
    for text in ("gard", "GARDEN", "the g"):
        page = await world.stranger().get(f"/search?q={text.replace(' ', '%20')}")
        assert 'href="/g/garden"' in page.text
    page = await world.stranger().get("/search?q=%25")
    assert 'href="/g/garden"' not in page.text


async def test_a_handle_that_is_known_leads_to_its_page(world: World) -> None:
    page = await world.stranger().get("/search?q=@chiara")
    assert '<a href="/@chiara">' in page.text
    chiara = await world.browser("chiara")
    page = await chiara.get("/search?q=@rosa@social.example")
    assert '<a href="/@rosa@social.example">' in page.text
    page = await chiara.get("/search?q=https://social.example/notes/1")
    assert f'<a href="/o/{world.post_id}">' in page.text
    page = await chiara.get("/search?q=https://hub.test/g/garden")
    assert '<a href="/g/garden">' in page.text


async def test_inv_20_strangers_cannot_search_for_whom_members_follow(world: World) -> None:
    """Rosa is followed by Chiara, and said something in public; Quiet is followed and said nothing."""
    quiet = replace(
        REMOTE, uri="https://social.example/users/quiet", name="quiet", display_name="Quiet"
    )
    async with world.site.db.transaction() as tx:
        followed = await actors.store_remote(tx, quiet)
        await follows.request(tx, world.people["chiara"], followed)
    chiara, stranger = await world.browser("chiara"), world.stranger()
    for text in ("@quiet@social.example", quiet.uri):
        known = '<a href="/@quiet@social.example">'
        assert known in (await chiara.get(f"/search?q={text}")).text
        assert known not in (await stranger.get(f"/search?q={text}")).text
    assert "/@rosa@social.example" in (await stranger.get("/search?q=@rosa@social.example")).text


async def test_members_are_offered_to_look_elsewhere_and_strangers_are_not(world: World) -> None:
    for path in ("/search?q=@new@other.example", "/search?q=https://other.example/1"):
        page = await (await world.browser("chiara")).get(path)
        assert 'action="/search/fetch"' in page.text
        page = await world.stranger().get(path)
        assert 'action="/search/fetch"' not in page.text
        assert "Members can look up people" in page.text
    assert (await world.stranger().post("/search/fetch", {"q": "@new@other.example"})).status == 403


async def test_looking_up_what_is_known_leads_there(world: World) -> None:
    chiara = await world.browser("chiara")
    sent = await chiara.post("/search/fetch", {"q": "@rosa@social.example"})
    assert sent.location == "/@rosa@social.example"
    page = await chiara.post("/search/fetch", {"q": "nonsense words"})
    assert page.status == 404 and "Nothing was found there" in page.text


async def test_a_tag_lists_what_carries_it(world: World) -> None:
    page = await world.stranger().get("/tags/orto")
    assert "Sowing beans" in page.text
    assert "Sowing beans" in (await world.stranger().get("/tags/ORTO")).text
    assert "Nothing with this tag." in (await world.stranger().get("/tags/none")).text


async def test_words_that_look_like_html_stay_words(world: World) -> None:
    page = await world.stranger().get("/search?q=%22%3E%3Cscript%3Ealert(1)%3C/script%3E")
    assert "<script>alert" not in page.text
    page = await world.stranger().get("/tags/%3Cimg%20src=x%20onerror=alert(1)%3E")
    assert "<img src=x" not in page.text
