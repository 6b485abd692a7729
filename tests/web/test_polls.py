"""Polls on the pages: asking, voting, looking."""

from __future__ import annotations

import re

import pytest

from fedcomm.hub import ballots
from fedcomm.web.composer import POLL_LENGTHS
from tests.web.world import World

FORM = {"title": "Which beans?", "text": "", "poll": "Runner\nBroad & bold\n\nFrench"}


async def asked(world: World, **fields: str) -> tuple[int, str]:
    """A poll of Chiara's in the garden: its id and its page."""
    chiara = await world.browser("chiara")
    sent = await chiara.post("/g/garden/new", FORM | fields)
    assert sent.status == 303, sent.text
    path = sent.location.partition("?")[0]
    return int(path.split("/")[4]), path


async def test_the_form_of_a_topic_offers_a_poll_and_that_of_a_reply_does_not(
    world: World,
) -> None:
    chiara = await world.browser("chiara")
    assert 'name="poll"' in (await chiara.get("/g/garden/new")).text
    assert 'name="poll"' not in (await chiara.get(f"/o/{world.topics['garden']}/reply")).text


async def test_a_poll_is_asked_answered_and_then_shows_its_results(world: World) -> None:
    topic, path = await asked(world)
    dario = await world.browser("dario")
    page = await dario.get(path)
    assert page.text.count('type="radio"') == 3
    assert "Broad &amp; bold" in page.text and "<meter" not in page.text
    sent = await dario.post(f"/o/{topic}/vote", {"choice": "1", "back": f"{path}#r{topic}"})
    assert sent.status == 303 and "said=voted" in sent.location
    page = await dario.get(path)
    assert "<meter" in page.text and "your vote" in page.text and "1 person has voted" in page.text
    again = await dario.post(f"/o/{topic}/vote", {"choice": "0"})
    assert again.status == 403 and "You have voted already." in again.text
    stranger = await world.stranger().get(path)
    assert "<meter" not in stranger.text and 'name="choice"' not in stranger.text
    assert "Results are shown after voting" in stranger.text


async def test_everybody_sees_the_results_in_the_end(world: World) -> None:
    topic, path = await asked(world)
    await world.site.db.append("UPDATE polls SET ends_at = 1 WHERE object_id = ?", (topic,))
    page = await world.stranger().get(path)
    assert "<meter" in page.text and "This poll is over." in page.text
    dario = await world.browser("dario")
    assert (await dario.post(f"/o/{topic}/vote", {"choice": "0"})).status == 403


async def test_several_may_be_chosen_where_the_poll_says_so(world: World) -> None:
    topic, path = await asked(world, poll_multiple="1", poll_end="60")
    dario = await world.browser("dario")
    assert (await dario.get(path)).text.count('name="choice"') == 3
    poll = await ballots.poll_of(world.site.db, 0, topic)
    assert poll is not None and poll.multiple and not poll.is_over
    await dario.post(f"/o/{topic}/vote", {"choice": "2"})
    assert (await dario.get(path)).text.count("your vote") == 1


@pytest.mark.parametrize("choice", ["", "9", "-1", "x", "1" * 30])
async def test_a_vote_for_nothing_is_refused_in_words(world: World, choice: str) -> None:
    topic, _ = await asked(world)
    dario = await world.browser("dario")
    page = await dario.post(f"/o/{topic}/vote", {"choice": choice})
    assert page.status == 422 and "Choose from the options of the poll." in page.text


async def test_a_faulty_poll_comes_back_as_typed(world: World) -> None:
    chiara = await world.browser("chiara")
    page = await chiara.post("/g/garden/new", FORM | {"poll": "Only one", "poll_multiple": "1"})
    assert page.status == 422 and "A poll has 2 to 20 options." in page.text
    assert re.search(r">\s*Only one</textarea>", page.text)
    assert re.search(r'name="poll_multiple"[^>]*checked', page.text)


async def test_a_preview_shows_the_options_and_publishes_nothing(world: World) -> None:
    chiara = await world.browser("chiara")
    page = await chiara.post("/g/garden/new", FORM | {"action": "preview"})
    assert page.status == 200 and '<li dir="auto">Runner</li>' in page.text
    assert not await world.site.db.value("SELECT count(*) FROM polls")


async def test_who_is_not_in_the_group_reads_and_does_not_vote(world: World) -> None:
    topic, _ = await asked(world)
    elsa = await world.browser("elsa")
    page = await elsa.post(f"/o/{topic}/vote", {"choice": "0"})
    assert page.status == 403 and "Join the group to write in it." in page.text


async def test_every_length_that_is_offered_is_accepted(world: World) -> None:
    for minutes in POLL_LENGTHS:
        await asked(world, poll_end=str(minutes))
