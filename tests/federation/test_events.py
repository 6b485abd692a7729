"""Events over the wire: in the words of FEP-8a8e, Mobilizon, Gancio and Gathio, and who comes, both ways."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import pytest_asyncio

from activitypub.vocabulary import AS_PUBLIC
from fedcomm.hub import actors, events, follows, groups, participation, threads
from fedcomm.hub.composition import Draft
from fedcomm.store.ids import now_ms
from tests.federation.inprocess import LocalHub, ScriptedStubs
from tests.federation.stub import AS, StubHost

pytestmark = pytest.mark.asyncio(loop_scope="module")

HOUR = 3_600_000
WINTER = 2_046_772_800_000
"""2034-11-10T12:00:00Z: far ahead of whenever this runs, and in winter time."""

FEAST = events.Occasion(
    WINTER,
    WINTER + 2 * HOUR,
    "Europe/Rome",
    joining="free",
    place="Town hall",
    address="Via Roma 1",
    online_url="https://meet.example/feast",
    capacity=3,
)


async def plan(town: LocalHub, title: str, occasion: events.Occasion, group: int = 0) -> int:
    """An event of anna's."""
    async with town.db.transaction() as tx:
        content = await town.site.compose(
            tx,
            Draft("Bring a *cake*.", title, language="it", event=occasion),
            is_topic=True,
            author_id=town.anna,
        )
        made = await threads.create_topic(tx, town.anna, group or town.group, content)
    town.site.wake()
    return made


async def change(town: LocalHub, event: int, occasion: events.Occasion) -> None:
    async with town.db.transaction() as tx:
        content = await town.site.compose(
            tx,
            Draft("Bring a *cake*.", "Feast", language="it", event=occasion),
            is_topic=True,
            author_id=town.anna,
        )
        await threads.edit(tx, town.anna, event, content)
    town.site.wake()


def activity(kind: str, actor: str, thing: Any, number: int = 1, **more: Any) -> dict[str, Any]:
    return {
        "@context": AS,
        "id": f"{actor}/{kind.lower()}/{number}",
        "type": kind,
        "actor": actor,
        "object": thing,
        **more,
    }


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def fans(town: LocalHub, servers: ScriptedStubs) -> dict[str, tuple[str, StubHost]]:
    """A follower of the group on a server of each kind."""
    found = {}
    for software in ("mastodon", "lemmy", "nodebb", "mobilizon"):
        host = servers.new_host(software)
        servers.host(host).software = software
        fan = servers.actor("fan", host)
        follow = activity("Follow", fan, town.group_uri(town.group))
        assert await town.deliver(follow) == "done: membership active"
        found[software] = (fan, servers.host(host))
    return found


def arrived(server: StubHost, *path: str, title: str) -> list[dict[str, Any]]:
    """The innermost objects of what arrived with these types."""
    found = []
    for arrival in server.arrived:
        body: Any = arrival.body
        for kind in path:
            if not isinstance(body, dict) or body.get("type") != kind:
                break
            body = body["object"]
        else:
            if isinstance(body, dict) and body.get("name") == title:
                found.append(body)
    return found


async def test_an_event_goes_out_as_each_server_takes_it(
    town: LocalHub, servers: ScriptedStubs, fans: dict[str, tuple[str, StubHost]]
) -> None:
    event = await plan(town, "Feast", FEAST)
    uri = town.object_uri(event)
    servers_by = {name: server for name, (_fan, server) in fans.items()}
    await servers.until(
        lambda: (
            arrived(servers_by["lemmy"], "Announce", "Create", title="Feast")
            and arrived(servers_by["nodebb"], "Announce", "Create", title="Feast")
            and arrived(servers_by["mobilizon"], "Announce", "Create", title="Feast")
            and uri in [one.body.get("object") for one in servers_by["mastodon"].arrived]
        ),
        why="everybody has the event",
    )
    [sent] = arrived(servers_by["lemmy"], "Announce", "Create", title="Feast")
    assert sent["type"] == "Event"
    assert sent["startTime"] == "2034-11-10T13:00:00+01:00"
    assert sent["endTime"] == "2034-11-10T15:00:00+01:00" and sent["displayEndTime"] is True
    assert sent["timezone"] == "Europe/Rome" and sent["joinMode"] == "free"
    assert sent["eventStatus"] == sent["ical:status"] == "CONFIRMED"
    assert sent["location"] == [
        {"type": "Place", "name": "Town hall", "address": "Via Roma 1"},
        {"type": "VirtualLocation", "name": "Online", "url": "https://meet.example/feast"},
    ]
    assert sent["maximumAttendeeCapacity"] == 3 and sent["attendees"]["totalItems"] == 0
    assert sent["organizers"]["orderedItems"] == [town.person(town.anna)]
    # Mastodon shows title, summary and a link: time and place stand in the summary (§5.4).
    assert sent["summary"] == (
        "<p>2034-11-10 13:00–15:00 (Europe/Rome) · Town hall, Via Roma 1 ·"
        " https://meet.example/feast — Bring a cake.</p>"
    )
    [page] = arrived(servers_by["nodebb"], "Announce", "Create", title="Feast")
    assert page["type"] == "Page" and page["id"] == uri and "startTime" not in page
    assert page["content"].startswith("<p>2034-11-10 13:00–15:00 (Europe/Rome) · Town hall")
    # And so it is when they fetch it.
    for software, kind in (("nodebb", "Page"), ("mastodon", "Event"), ("mobilizon", "Event")):
        status, document = await servers.get(uri, signer=fans[software][0])
        assert status == 200 and document["type"] == kind, software
    create = page_create(servers_by["nodebb"])
    status, fetched = await servers.get(create["id"], signer=fans["nodebb"][0])
    assert status == 200 and fetched["object"]["type"] == "Page" and "proof" not in fetched
    _, document = await servers.get(uri, signer=fans["mobilizon"][0])
    assert {"startTime", "@context"} <= set(document)
    terms = document["@context"][-1]
    assert terms["displayEndTime"] == "fep8a8e:displayEndTime" and "ical" in terms


def page_create(server: StubHost) -> dict[str, Any]:
    for arrival in server.arrived:
        inner = arrival.body.get("object")
        if isinstance(inner, dict) and inner.get("type") == "Create":
            thing = inner["object"]
            if isinstance(thing, dict) and thing["name"] == "Feast":
                return inner
    raise AssertionError("no Create")


async def test_a_cancelled_event_is_told_and_says_so_where_only_the_summary_shows(
    town: LocalHub, servers: ScriptedStubs, fans: dict[str, tuple[str, StubHost]]
) -> None:
    event = await plan(town, "Dance", replace(FEAST, online_url=None, ends_at=None))
    lemmy = fans["lemmy"][1]
    await servers.until(
        lambda: arrived(lemmy, "Announce", "Create", title="Dance"), why="the event"
    )
    [sent] = arrived(lemmy, "Announce", "Create", title="Dance")
    assert sent["displayEndTime"] is False and sent["location"]["type"] == "Place"
    assert "13:00 (Europe/Rome)" in sent["summary"]
    await change(town, event, replace(FEAST, state="cancelled"))
    await servers.until(
        lambda: arrived(lemmy, "Announce", "Update", title="Feast"), why="the update"
    )
    [told] = arrived(lemmy, "Announce", "Update", title="Feast")
    assert told["eventStatus"] == "CANCELLED" and told["summary"].startswith("<p>Annullato: 2034")


async def test_people_of_other_servers_come_and_leave(
    town: LocalHub, servers: ScriptedStubs
) -> None:
    event = await plan(town, "Party", replace(FEAST, capacity=1))
    uri = town.object_uri(event)
    before = {name: len(server.arrived) for name, server in servers.hosts.items()}
    one, two = servers.somebody("one"), servers.somebody("two")
    hosts = [servers.host(name.split("/")[2].partition(":")[0]) for name in (one, two)]
    join = activity("Join", one, uri)
    assert await town.deliver(join) == "done: comes: going"
    await servers.until(lambda: "Accept" in hosts[0].kinds(), why="accepted")
    accept = hosts[0].arrived[-1].body
    assert accept["actor"] == town.person(town.anna) and accept["object"]["id"] == join["id"]
    # Full: they are told, and do not count.
    assert await town.deliver(activity("Join", two, uri)) == "done: does not come: refused"
    await servers.until(lambda: "Reject" in hosts[1].kinds(), why="refused")
    _, collection = await servers.get(f"{uri}/attendees", signer=one)
    assert collection["totalItems"] == 1 and "orderedItems" not in collection
    # A second Join is answered again and counts once.
    again = activity("Join", one, uri, 2)
    assert await town.deliver(again) == "done: comes: going"
    await servers.until(lambda: hosts[0].kinds().count("Accept") == 2, why="answered again")
    assert await town.deliver(activity("Leave", one, uri)) == "done: does not come any more"
    assert await town.deliver(activity("Join", two, uri, 2)) == "done: comes: going"
    undo = activity("Undo", two, activity("Join", two, uri, 2))
    assert await town.deliver(undo) == "done: does not come any more"
    _, collection = await servers.get(f"{uri}/attendees", signer=one)
    assert collection["totalItems"] == 0
    # Who came is nobody else's business: nothing of it went anywhere.
    for server in servers.hosts.values():
        if server not in hosts:
            new = server.arrived[before.get(server.name, 0) :]
            assert "Join" not in str([one.body for one in new])


async def test_a_join_that_is_not_taken_here_is_ignored_in_so_many_words(
    town: LocalHub, servers: ScriptedStubs
) -> None:
    elsewhere = replace(FEAST, joining="external", join_url="https://register.example/")
    event = await plan(town, "Elsewhere", elsewhere)
    somebody = servers.somebody()
    host = servers.host(somebody.split("/")[2].partition(":")[0])
    assert (await town.deliver(activity("Join", somebody, town.object_uri(event)))).startswith(
        "done: does not come"
    )
    await servers.until(lambda: "Ignore" in host.kinds(), why="ignored")
    # Of a topic that is no event nothing is said at all.
    assert (
        await town.deliver(activity("Join", somebody, town.object_uri(town.topic), 2))
    ) == "done: ignored: Join of something that is no event of ours"


async def test_inv_20_nobody_comes_to_what_they_cannot_see(
    town: LocalHub, servers: ScriptedStubs
) -> None:
    event = await plan(town, "Secret feast", FEAST, town.secret)
    somebody = servers.somebody()
    verdict = await town.deliver(activity("Join", somebody, town.object_uri(event)))
    assert verdict == "refused: This is not there any more."
    status, _ = await servers.get(f"{town.object_uri(event)}/attendees", signer=somebody)
    assert status == 404


async def known(town: LocalHub, uri: str) -> actors.Actor:
    assert town.site.federation is not None
    found = await town.site.federation.find_actor(uri)
    assert found is not None
    return found


def remote_event(servers: ScriptedStubs, author: str, **more: Any) -> dict[str, Any]:
    """An event of another server, as FEP-8a8e writes it."""
    facts = {
        "type": "Event",
        "name": "Film night",
        "startTime": "2034-11-10T20:00:00+01:00",
        "endTime": "2034-11-10T23:00:00+01:00",
        "timezone": "Europe/Vienna",
        "joinMode": "restricted",
        "eventStatus": "EventScheduled",
        "location": {
            "type": "Place",
            "name": "Cinema",
            "address": {
                "type": "PostalAddress",
                "streetAddress": "Ring 1",
                "postalCode": "1010",
                "addressLocality": "Wien",
            },
        },
        "maximumAttendeeCapacity": 90,
        "participantCount": 12,
    }
    return servers.note(author, **(facts | more))


async def fetched(town: LocalHub, document: dict[str, Any]) -> events.Event:
    assert town.site.federation is not None
    found = await town.site.federation.find_object(document["id"])
    assert found is not None
    event = await events.event_of(town.db, 0, found)
    assert event is not None
    return event


async def test_an_event_of_another_server_is_kept_with_its_facts(
    town: LocalHub, servers: ScriptedStubs
) -> None:
    author = servers.somebody()
    event = await fetched(town, remote_event(servers, author))
    assert event.occasion == events.Occasion(
        WINTER + 7 * HOUR,
        WINTER + 10 * HOUR,
        "Europe/Vienna",
        "confirmed",
        "offline",
        "restricted",
        None,
        "Cinema",
        "Ring 1, 1010, Wien",
        None,
        90,
        12,
    )


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        # Gancio: a place with an address as text, no mode of joining.
        (
            {
                "location": {"type": "Place", "name": "Squat", "address": "Via Po 3, Torino"},
                "joinMode": None,
                "timezone": None,
            },
            {"place": "Squat", "address": "Via Po 3, Torino", "joining": "none", "zone": ""},
        ),
        # Gathio: only a name, and no end.
        (
            {"location": {"type": "Place", "name": "My kitchen"}, "endTime": None},
            {"place": "My kitchen", "address": "", "ends_at": None},
        ),
        # Mobilizon: its key of the status, online only.
        (
            {
                "eventStatus": None,
                "ical:status": "CANCELLED",
                "location": None,
                "isOnline": True,
                "joinMode": "free",
            },
            {"state": "cancelled", "attendance": "online", "joining": "free"},
        ),
        # The WordPress plugins: several locations, one of them virtual.
        (
            {
                "location": [
                    {"type": "Place", "name": "Library"},
                    {"type": "VirtualLocation", "url": "https://bbb.example/room"},
                ],
                "joinMode": "external",
                "externalParticipationUrl": "https://tickets.example/1",
            },
            {
                "attendance": "mixed",
                "online_url": "https://bbb.example/room",
                "joining": "external",
                "join_url": "https://tickets.example/1",
            },
        ),
        # An end that nobody is to see, words of the wrong type everywhere.
        (
            {"displayEndTime": False, "joinMode": 7, "timezone": ["x"], "location": 3},
            {"ends_at": None, "joining": "none", "zone": "", "place": ""},
        ),
        (
            {"timezone": "../../etc/passwd", "maximumAttendeeCapacity": -1},
            {"zone": "", "capacity": None},
        ),
        ({"endTime": "2030-01-01T00:00:00Z"}, {"ends_at": None}),
        ({"joinMode": "invite"}, {"joining": "none"}),
        ({"location": "Just a word"}, {"place": "Just a word"}),
        ({"status": "ical:TENTATIVE", "eventStatus": None}, {"state": "tentative"}),
    ],
)
async def test_every_dialect_of_events_is_read(
    town: LocalHub, servers: ScriptedStubs, facts: dict[str, Any], expected: dict[str, Any]
) -> None:
    author = servers.somebody()
    event = await fetched(town, remote_event(servers, author, **facts))
    for name, value in expected.items():
        assert getattr(event.occasion, name) == value, name


async def test_a_member_comes_to_an_event_elsewhere_once_its_server_says_so(
    town: LocalHub, servers: ScriptedStubs
) -> None:
    author = servers.somebody("organiser")
    host = servers.host(author.split("/")[2].partition(":")[0])
    document = remote_event(servers, author)
    event = await fetched(town, document)
    async with town.db.transaction() as tx:
        assert await participation.join(tx, town.ben, event.object_id) == "requested"
    town.site.wake()
    await servers.until(lambda: "Join" in host.kinds(), why="asked")
    join = host.arrived[-1].body
    assert join["actor"] == town.person(town.ben) and join["object"] == document["id"]
    # Only the event's own server may answer.
    mallory = servers.somebody()
    stranger = await town.deliver(activity("Accept", mallory, join))
    assert stranger == "refused: no-such-request"
    accept = activity("Accept", author, join)
    assert await town.deliver(accept) == "done: comes"
    assert (await of_ben(town, event.object_id)) == "going"
    async with town.db.transaction() as tx:
        assert await participation.leave(tx, town.ben, event.object_id)
    town.site.wake()
    await servers.until(lambda: "Leave" in host.kinds(), why="left")
    assert host.arrived[-1].body["object"] == document["id"]
    late = await town.deliver(activity("Accept", author, join, 2))
    assert late == "refused: no-such-request"


async def of_ben(town: LocalHub, event: int) -> str | None:
    found = await participation.find(town.db, event, town.ben)
    return None if found is None else found.state


async def test_a_group_of_mobilizon_owns_the_event_and_a_person_speaks_for_it(
    town: LocalHub, servers: ScriptedStubs
) -> None:
    host = servers.new_host("mobilizon")
    group = servers.actor("club", host, kind="Group")
    person = servers.actor("paula", host)
    club = (await known(town, group)).id
    async with town.db.transaction() as tx:
        await follows.request(tx, town.ben, club)
        await follows.accept(tx, town.ben, club)
    document = remote_event(servers, group, actor=person, joinMode="free")
    create = activity("Create", person, document, to=[AS_PUBLIC], attributedTo=group)
    assert await town.deliver(create) == "done: stored"
    stored = await threads.thing_by_uri(town.db, document["id"])
    assert stored is not None and stored.author_id == club
    # They ask the group, and the person answers.
    async with town.db.transaction() as tx:
        await participation.join(tx, town.ben, stored.id)
    town.site.wake()
    server = servers.host(host)
    await servers.until(lambda: "Join" in server.kinds(), why="asked")
    accept = activity("Accept", person, server.arrived[-1].body)
    assert await town.deliver(accept) == "done: comes"
    # What the server serves now holds, not what stands in the Update.
    changed = remote_event(
        servers, group, actor=person, name="Film day", updated="2034-01-01T00:00:00Z"
    )
    forged = changed | {"name": "Forged"}
    assert await town.deliver(activity("Update", person, forged)) == "done: edited"
    stored = await threads.thing_by_uri(town.db, document["id"])
    assert stored is not None and stored.title == "Film day"
    gone = activity("Delete", person, document["id"])
    assert await town.deliver(gone) == "done: ignored: said to be deleted, but still there"
    del servers.host(host).objects[document["id"]]
    assert await town.deliver(gone | {"id": f"{person}/delete/2"}) == "done: deleted"
    assert await events.event_of(town.db, 0, stored.id) is None


async def test_an_event_for_a_group_of_ours_becomes_its_topic(
    town: LocalHub, servers: ScriptedStubs
) -> None:
    author = servers.somebody("gancio")
    group = town.group_uri(town.group)
    document = remote_event(servers, author, to=[group, AS_PUBLIC], audience=group)
    create = activity("Create", author, document, to=[group, AS_PUBLIC])
    assert await town.deliver(create) == "done: stored"
    stored = await threads.thing_by_uri(town.db, document["id"])
    assert stored is not None and stored.kind == "topic" and stored.type == "Event"
    assert await groups.group(town.db, stored.group_id or 0) is not None
    event = await events.event_of(town.db, 0, stored.id)
    assert event is not None and event.going == 12 and event.occasion.starts_at > now_ms()
