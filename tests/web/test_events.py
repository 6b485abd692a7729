"""Events on the pages: planning one, saying that one comes, who comes, and the file for calendars."""

from __future__ import annotations

from collections.abc import Mapping

import icalendar
import pytest

from fedcomm.hub import events
from fedcomm.hub.composition import Draft
from fedcomm.store.ids import now_ms
from tests.web.world import Browser, World

FIELDS: Mapping[str, str] = {
    "title": "Seed swap",
    "text": "Bring *seeds*.",
    "event_start": "2034-11-10T18:00",
    "event_end": "2034-11-10T20:00",
    "event_zone": "Europe/Rome",
    "event_place": "Old mill",
    "event_address": "Via Po 3",
    "event_online": "https://meet.example/seeds",
    "event_joining": "free",
}
HOUR = 3_600_000


async def planned(world: World, author: str = "chiara", **facts: object) -> int:
    occasion = events.Occasion(
        **({"starts_at": 2_046_772_800_000, "zone": "Europe/Rome", "joining": "free"} | facts)  # type: ignore[arg-type]
    )
    return await world.topic("garden", author, Draft("Words.", title="Party", event=occasion))


async def event_id(world: World) -> int:
    return int(await world.site.db.value("SELECT object_id FROM events") or 0)


async def test_a_topic_with_a_beginning_is_an_event(world: World) -> None:
    browser = await world.browser("chiara")
    sent = await browser.post("/g/garden/new", FIELDS)
    assert sent.status == 303
    page = await world.stranger().get(sent.location.partition("?")[0])
    assert "Friday 10 November 2034, 18:00 – 20:00 (Europe/Rome)" in page.text
    assert "Old mill, Via Po 3" in page.text and "https://meet.example/seeds" in page.text
    listed = await world.stranger().get("/g/garden")
    assert "Friday 10 November 2034" in listed.text
    reader = world.stranger()
    reader.cookies["lang"] = "it"
    italian = await reader.get(sent.location.partition("?")[0])
    assert "venerdì 10 novembre 2034" in italian.text


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"event_start": ""}, "event_start"),
        ({"event_start": "soon"}, "event_start"),
        ({"event_zone": "Mars"}, "event_zone"),
        ({"event_end": "2034-11-10T17:00"}, "event_end"),
        ({"event_joining": "external"}, "event_register"),
        ({"event_capacity": "many"}, "event_capacity"),
        ({"event_online": "javascript:alert(1)"}, "event_online"),
        ({"poll": "a\nb"}, "poll"),
    ],
)
async def test_what_is_wrong_is_said_at_its_field_and_nothing_is_lost(
    world: World, changes: dict[str, str], field: str
) -> None:
    browser = await world.browser("chiara")
    page = await browser.post("/g/garden/new", {**FIELDS, **changes})
    assert page.status == 422
    assert f'id="{field}-error"' in page.text
    assert 'value="Old mill"' in page.text and "Bring *seeds*." in page.text


async def test_a_preview_shows_the_event(world: World) -> None:
    browser = await world.browser("chiara")
    page = await browser.post("/g/garden/new", {**FIELDS, "action": "preview"})
    assert page.status == 200
    assert "Friday 10 November 2034, 18:00 – 20:00" in page.text and not await event_id(world)


async def test_the_organiser_changes_an_event_in_the_form_that_holds_it(world: World) -> None:
    event = await planned(world, place="Mill", capacity=5)
    browser = await world.browser("chiara")
    form = await browser.get(f"/o/{event}/edit")
    assert 'value="2034-11-10T13:00"' in form.text and 'value="Mill"' in form.text
    fields = {**FIELDS, "event_state": "cancelled", "event_capacity": "7"}
    assert (await browser.post(f"/o/{event}/edit", fields)).status == 303
    found = await events.event_of(world.site.db, 0, event)
    assert found is not None and found.is_cancelled and found.occasion.capacity == 7
    page = await world.stranger().get(f"/g/garden/t/{event}/seed-swap")
    assert "Cancelled" in page.text


def world_thread(event: int) -> str:
    return f"/g/garden/t/{event}/party"


async def test_a_member_says_that_they_come_and_the_organiser_sees_who(world: World) -> None:
    event = await planned(world)
    dario, chiara = await world.browser("dario"), await world.browser("chiara")
    page = await dario.get(world_thread(event))
    assert "I come" in page.text
    assert (await dario.post(f"/o/{event}/attend", {})).status == 303
    page = await dario.get(world_thread(event))
    assert "You come" in page.text and "1 person comes" in page.text
    stranger = await world.stranger().get(world_thread(event))
    assert "1 person comes" in stranger.text and "I come" not in stranger.text
    people = await chiara.get(f"/o/{event}/participants")
    assert people.status == 200 and "@dario" in people.text
    assert (await dario.get(f"/o/{event}/participants")).status == 404
    told = await chiara.get("/notifications")
    assert "comes to your event" in told.text
    assert (await dario.post(f"/o/{event}/attend", {"undo": "1"})).status == 303
    assert "1 person comes" not in (await dario.get(world_thread(event))).text


async def test_the_organiser_lets_in_who_asks(world: World) -> None:
    event = await planned(world, joining="restricted")
    dario, chiara = await world.browser("dario"), await world.browser("chiara")
    assert (await dario.post(f"/o/{event}/attend", {})).status == 303
    assert "Waiting for the organiser" in (await dario.get(world_thread(event))).text
    answer = {"person": str(world.people["dario"]), "action": "accept"}
    assert (await dario.post(f"/o/{event}/participants", answer)).status == 404
    assert (await chiara.post(f"/o/{event}/participants", answer)).status == 303
    assert "You come" in (await dario.get(world_thread(event))).text
    answer["action"] = "refuse"
    assert (await chiara.post(f"/o/{event}/participants", answer)).status == 303
    assert "has no place for you" in (await dario.get(world_thread(event))).text


async def calendar(browser: Browser, event: int) -> icalendar.Calendar:
    page = await browser.get(f"/o/{event}/event.ics")
    assert page.status == 200 and page.headers["Content-Type"].startswith("text/calendar")
    assert page.headers["Content-Disposition"].startswith("attachment")
    return icalendar.Calendar.from_ical(page.text)


async def test_calendars_read_the_event(world: World) -> None:
    event = await planned(
        world, ends_at=2_046_772_800_000 + 2 * HOUR, place="Mill; on, the hill", state="tentative"
    )
    [entry] = (await calendar(world.stranger(), event)).walk("VEVENT")
    assert entry["DTSTART"].dt.isoformat() == "2034-11-10T13:00:00+01:00"
    assert entry["DTSTART"].params["TZID"] == "Europe/Rome"
    assert entry["DTEND"].dt.isoformat() == "2034-11-10T15:00:00+01:00"
    assert entry["SUMMARY"] == "Party" and entry["LOCATION"] == "Mill; on, the hill"
    assert entry["STATUS"] == "TENTATIVE" and entry["SEQUENCE"] == 0
    assert entry["UID"].endswith(f"/ap/o/{event}") and f"/t/{event}" in entry["URL"]
    zones = (await calendar(world.stranger(), event)).walk("VTIMEZONE")
    assert [zone["TZID"] for zone in zones] == ["Europe/Rome"]


async def test_a_change_has_a_higher_sequence_and_what_is_no_event_has_no_file(
    world: World,
) -> None:
    event = await planned(world)
    browser = await world.browser("chiara")
    await browser.post(f"/o/{event}/edit", FIELDS)
    [entry] = (await calendar(world.stranger(), event)).walk("VEVENT")
    assert entry["SEQUENCE"] == 1 and entry["SUMMARY"] == "Seed swap"
    missing = await world.stranger().get(f"/o/{world.topics['garden']}/event.ics")
    assert missing.status == 404


async def test_an_event_that_is_over_takes_no_answers(world: World) -> None:
    event = await planned(world, starts_at=now_ms() - 48 * HOUR)
    page = await (await world.browser("dario")).get(world_thread(event))
    assert "Over" in page.text and "I come" not in page.text


async def test_a_draft_keeps_the_event(world: World) -> None:
    browser = await world.browser("chiara")
    kept = await browser.post("/g/garden/new", {**FIELDS, "action": "draft"})
    assert kept.status == 303
    draft = await world.site.db.value("SELECT id FROM drafts")
    form = await browser.get(f"/drafts/{draft}")
    assert 'value="2034-11-10T18:00"' in form.text and 'value="Old mill"' in form.text
