"""Quoting on the pages: the button, the field, the card, the settings, and taking consent back."""

from __future__ import annotations

import pytest

from fedcomm.hub import permissions, quotes
from tests.databases import ORIGIN
from tests.web.world import MARKER, World


async def quoted_topic(world: World, author: str, address: str, **fields: str) -> tuple[int, str]:
    """A topic in the garden that quotes something: its id and its page."""
    browser = await world.browser(author)
    form = {"title": "Look at that", "text": "Words of mine.", "quote": address} | fields
    sent = await browser.post("/g/garden/new", form)
    assert sent.status == 303, sent.text
    path = sent.location.partition("?")[0]
    return int(path.split("/")[4]), path


async def test_the_button_leads_to_a_form_that_is_filled_in(world: World) -> None:
    topic = world.topics["garden"]
    dario = await world.browser("dario")
    page = await dario.follow(f"/o/{topic}")
    assert f"/o/{topic}/quote" in page.text
    page = await dario.get(f"/o/{topic}/quote")
    assert f"/g/garden/new?quote={topic}" in page.text
    page = await dario.get(f"/g/garden/new?quote={topic}")
    assert page.field("quote") == f"{ORIGIN}/o/{topic}"
    # What one may not read fills in nothing.
    hidden = world.topics[f"{MARKER}board"]
    assert MARKER not in (await dario.get(f"/g/garden/new?quote={hidden}")).text
    assert (await dario.get(f"/o/{hidden}/quote")).status == 404
    stranger = await world.stranger().get(f"/o/{topic}/quote")
    assert stranger.status == 303 and stranger.location.startswith("/login")


@pytest.mark.parametrize(
    "form", ["/o/{id}", "/ap/o/{id}", "/g/garden/t/{id}", "/g/garden/t/{id}/x"]
)
async def test_a_pasted_address_shows_a_card_to_everybody(world: World, form: str) -> None:
    topic = world.topics["garden"]
    made, path = await quoted_topic(world, "dario", ORIGIN + form.format(id=topic))
    found = await quotes.of_object(world.site.db, made)
    assert found is not None and found.quoted_id == topic and found.state == "accepted"
    page = await world.stranger().get(path)
    assert '<blockquote class="quoted"' in page.text


async def test_a_reply_is_quoted_by_the_address_of_its_place_in_the_thread(world: World) -> None:
    reply = world.replies["garden"]
    address = f"{ORIGIN}/g/garden/t/{world.topics['garden']}/slug?after=5#r{reply}"
    made, _ = await quoted_topic(world, "dario", address)
    found = await quotes.of_object(world.site.db, made)
    assert found is not None and found.quoted_id == reply


@pytest.mark.parametrize(
    "address", ["nonsense", f"{ORIGIN}/about", f"{ORIGIN}/o/1", "https://other.example/notes/1"]
)
async def test_what_is_not_found_is_said_at_the_field(world: World, address: str) -> None:
    dario = await world.browser("dario")
    form = {"title": "T", "text": "Kept words.", "quote": address}
    page = await dario.post("/g/garden/new", form)
    assert page.status == 422 and "No post was found at this address" in page.text
    assert "Kept words." in page.text and 'id="quote-error"' in page.text


async def test_what_is_private_is_found_by_its_members_and_quoted_nowhere_else(
    world: World,
) -> None:
    address = f"{ORIGIN}/o/{world.topics[f'{MARKER}board']}"
    outsider = await world.browser("dario")
    page = await outsider.post("/g/garden/new", {"title": "T", "text": "t", "quote": address})
    assert "No post was found at this address" in page.text
    chiara = await world.browser("chiara")
    page = await chiara.post("/g/garden/new", {"title": "T", "text": "t", "quote": address})
    assert page.status == 422 and "not everybody here may read it" in page.text


async def test_who_may_quote_is_set_once_and_with_each_post(world: World) -> None:
    chiara = await world.browser("chiara")
    assert 'name="quote_policy"' in (await chiara.get("/settings")).text
    saved = await chiara.post(
        "/settings/profile", {"display_name": "Chiara", "locale": "en", "quote_policy": "nobody"}
    )
    assert saved.status == 303
    person = world.people["chiara"]
    assert await permissions.default_of(world.site.db, person) == "nobody"
    sent = await chiara.post("/g/garden/new", {"title": "Mine alone", "text": "t"})
    own = int(sent.location.split("/")[4])
    dario = await world.browser("dario")
    page = await dario.get(f"/o/{own}/quote")
    assert "does not let you quote" in page.text and "/new?quote=" not in page.text
    form = {"title": "T", "text": "t", "quote": f"{ORIGIN}/o/{own}"}
    refused = await dario.post("/g/garden/new", form)
    assert refused.status == 422 and "does not let you quote" in refused.text
    # With this one post she says something else.
    edited = await chiara.post(
        f"/o/{own}/edit", {"title": "Mine alone", "text": "t", "quote_policy": "everyone"}
    )
    assert edited.status == 303
    assert (await dario.post("/g/garden/new", form)).status == 303


async def test_who_is_quoted_is_told_and_takes_it_back(world: World) -> None:
    topic = world.topics["garden"]
    author = await world.site.db.value(
        "SELECT a.name FROM objects o JOIN actors a ON a.id = o.author_id WHERE o.id = ?", topic
    )
    quoter = "dario" if author != "dario" else "chiara"
    made, path = await quoted_topic(world, quoter, f"{ORIGIN}/o/{topic}")
    quoted = await world.browser(str(author))
    page = await quoted.get("/notifications")
    assert "quoted you" in page.text and f"/o/{made}/unquote" in page.text
    other = await world.browser(quoter)
    assert (await other.post(f"/o/{made}/unquote")).status == 403
    assert (await quoted.post(f"/o/{made}/unquote", origin=False)).status == 403
    done = await quoted.post(f"/o/{made}/unquote", {"back": "/notifications"})
    assert done.status == 303 and done.location.startswith("/notifications")
    assert "quoted you" not in (await quoted.get("/notifications")).text
    page = await world.stranger().get(path)
    assert "blockquote" not in page.text and "does not consent" in page.text
    assert (await quoted.post(f"/o/{made}/unquote")).status == 404


async def test_inv_20_a_quote_shows_nothing_that_its_visitor_may_not_read(world: World) -> None:
    made, path = await quoted_topic(world, "dario", f"{ORIGIN}/o/{world.topics['garden']}")
    assert made and "<blockquote" in (await world.stranger().get(path)).text
    async with world.site.db.transaction() as tx:
        await tx.execute(
            "UPDATE objects SET visibility = 'local' WHERE id = ?", world.topics["garden"]
        )
    stranger = await world.stranger().get(path)
    assert "<blockquote" not in stranger.text and "you may not read it" in stranger.text
    member = await (await world.browser("dario")).get(path)
    assert "<blockquote" in member.text


async def test_the_author_takes_the_quote_out(world: World) -> None:
    made, _path = await quoted_topic(world, "dario", f"{ORIGIN}/o/{world.topics['garden']}")
    dario = await world.browser("dario")
    page = await dario.get(f"/o/{made}/edit")
    assert 'name="unquote"' in page.text and 'name="quote"' not in page.text
    form = {"title": "Look at that", "text": "Without."}
    assert (await dario.post(f"/o/{made}/edit", form)).status == 303
    assert await quotes.of_object(world.site.db, made) is not None
    assert (await dario.post(f"/o/{made}/edit", form | {"unquote": "1"})).status == 303
    assert await quotes.of_object(world.site.db, made) is None


async def test_a_draft_keeps_what_is_quoted(world: World) -> None:
    dario = await world.browser("dario")
    address = f"{ORIGIN}/o/{world.topics['garden']}"
    form = {"title": "Later", "text": "t", "quote": address, "quote_policy": "followers"}
    assert (await dario.post("/g/garden/new", form | {"action": "draft"})).status == 303
    draft = await world.site.db.value("SELECT id FROM drafts ORDER BY id DESC LIMIT 1")
    page = await dario.get(f"/drafts/{draft}")
    assert page.field("quote") == address
    assert '<option value="followers" selected>' in page.text
