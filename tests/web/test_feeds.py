"""Atom feeds hold what strangers may read, as XML that parses whatever was written."""

from __future__ import annotations

from xml.etree import ElementTree

from fedcomm.hub.composition import Draft
from tests.web.world import MARKER, World

ATOM = "{http://www.w3.org/2005/Atom}"


async def entries(world: World, path: str) -> list[ElementTree.Element]:
    """The entries of a feed."""
    page = await world.stranger().get(path)
    assert page.status == 200
    assert page.headers["Content-Type"] == "application/atom+xml; charset=utf-8"
    root = ElementTree.fromstring(page.text)
    for name in ("id", "title", "updated"):
        assert root.findtext(f"{ATOM}{name}"), name
    return root.findall(f"{ATOM}entry")


async def test_a_group_has_a_feed_of_its_topics(world: World) -> None:
    await world.topic("garden", "dario", Draft("A & B <b> **bold**", title="Less < more"))
    newest, older = await entries(world, "/g/garden/feed.atom")
    assert newest.findtext(f"{ATOM}title") == "Less < more"
    assert "<strong>bold</strong>" in (newest.findtext(f"{ATOM}content") or "")
    assert newest.findtext(f"{ATOM}author/{ATOM}name") == "Dario"
    link = older.find(f"{ATOM}link")
    assert link is not None
    assert link.get("href") == f"https://hub.test{world.thread('garden')}/sowing-beans"


async def test_the_feed_of_the_site_holds_public_groups_only(world: World) -> None:
    titles = [entry.findtext(f"{ATOM}title") for entry in await entries(world, "/feed.atom")]
    assert titles == ["Sowing beans"]
    for path in (f"/g/{MARKER}board/feed.atom", "/g/workshop/feed.atom", "/g/none/feed.atom"):
        assert (await world.stranger().get(path)).status == 404
        assert (await (await world.browser("chiara")).get(path)).status == 404


async def test_a_content_warning_stands_for_what_it_hides(world: World) -> None:
    await world.topic("garden", "dario", Draft("The snail", title="Film", summary="Snails"))
    newest = (await entries(world, "/g/garden/feed.atom"))[0]
    assert newest.findtext(f"{ATOM}summary") == "Snails"
    assert newest.find(f"{ATOM}content") is None


async def test_inv_11_characters_that_xml_cannot_hold_do_not_break_a_feed(world: World) -> None:
    topic = world.topics["garden"]
    async with world.site.db.transaction() as tx:
        await tx.execute(
            "UPDATE objects SET title = ?, html = ?, language = ? WHERE id = ?",
            "Bell \x07 and \x1f \ufffe",
            "<p>\x0b \x0c ]]> &amp; \U0001f331</p>",
            'it"><x',
            topic,
        )
    [entry] = await entries(world, "/g/garden/feed.atom")
    assert "Bell" in (entry.findtext(f"{ATOM}title") or "")
    assert "\U0001f331" in (entry.findtext(f"{ATOM}content") or "")


async def test_an_empty_feed_is_a_feed(world: World) -> None:
    async with world.site.db.transaction() as tx:
        await tx.execute("UPDATE objects SET visibility = 'local' WHERE visibility = 'public'")
    assert await entries(world, "/feed.atom") == []
    assert await entries(world, "/g/garden/feed.atom") == []
