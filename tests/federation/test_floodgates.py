"""Limits by the hour of what comes in (security.md §10)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from activitypub.documents import read_activity
from activitypub.keys import generate_rsa
from fedcomm.federation import floodgates
from fedcomm.federation.addresses import Addresses
from fedcomm.federation.directory import KnownKey
from fedcomm.federation.floodgates import Floodgates
from fedcomm.hub import follows, groups
from fedcomm.settings import Abuse
from fedcomm.site import Site
from tests.federation.stub import AS, PUBLIC
from tests.hub.world import World

HUB = "https://hub.test"
KEY = generate_rsa().public()
FEW = Abuse(
    follows_per_host_hour=2,
    reports_per_host_hour=2,
    messages_per_host_hour=2,
    posts_per_actor_hour=2,
    activities_per_actor_hour=4,
    posts_per_host_and_group_hour=3,
    follows_per_group_hour=3,
    bad_requests_per_5min=3,
)


class Gate:
    """Floodgates with a clock, and people who knock."""

    def __init__(self, world: World, settings: Abuse = FEW) -> None:
        self.world = world
        self.now = 10_000.0
        self.gates = Floodgates(settings, Addresses(HUB), allow_http=False, clock=lambda: self.now)

    async def person(self, name: str, host: str = "evil.test", kind: str = "person") -> KnownKey:
        actor_id = await self.world.remote(name, host, kind=kind)
        found = await self.world.actor(actor_id)
        return KnownKey(KEY, actor_id, found.uri or "", kind, found.host_id or 0, "none", 0)

    async def knock(self, who: KnownKey, kind: str, thing: Any, **more: Any) -> str | None:
        """The limit that it is over, or None."""
        document = {"@context": AS, "type": kind, "actor": who.actor_uri, "object": thing, **more}
        closed = await self.gates.closed(self.world.db, read_activity(document), who)
        return closed[0] if closed is not None else None

    async def note(self, who: KnownKey, **more: Any) -> str | None:
        note = {"id": f"{who.actor_uri}/1", "type": "Note", "content": "x", **more}
        return await self.knock(who, "Create", note, to=more.get("to", [PUBLIC]))


@pytest.fixture
def world(site: Site) -> World:
    """An empty hub and the means to fill it."""
    return World(site)


@pytest.fixture
async def gate(world: World) -> Gate:
    return Gate(world)


async def test_follows_by_unknown_people_are_counted_by_host_and_end_with_the_hour(
    gate: Gate,
) -> None:
    people = [await gate.person(f"p{n}") for n in range(4)]
    target = f"{HUB}/ap/p/1"
    said = [await gate.knock(who, "Follow", target) for who in people]
    assert said == [None, None, "follows", "follows"]
    assert await gate.knock(await gate.person("q", "good.test"), "Follow", target) is None
    gate.now += floodgates.HOUR_S
    assert await gate.knock(people[3], "Follow", target) is None


async def test_whom_somebody_here_follows_is_not_unknown(gate: Gate) -> None:
    anna = await gate.world.member("anna")
    friend = await gate.person("friend")
    await gate.world.do(follows.request, anna, friend.actor_id)
    await gate.world.do(follows.accept, anna, friend.actor_id)
    for n in range(2):
        await gate.knock(await gate.person(f"p{n}"), "Follow", f"{HUB}/ap/p/1")
    assert await gate.knock(friend, "Follow", f"{HUB}/ap/p/1") is None
    group = await gate.world.group("soil", anna)
    member = await gate.person("member")
    await gate.world.do(groups.join, group, member.actor_id, follow_uri="https://evil.test/f")
    assert await gate.knock(member, "Follow", f"{HUB}/ap/p/1") is None


async def test_one_group_is_followed_by_so_many_unknown_people(world: World) -> None:
    gate = Gate(world, replace(FEW, follows_per_host_hour=0))
    group = f"{HUB}/ap/g/5"
    people = [await gate.person("p", f"h{n}.test") for n in range(4)]
    said = [await gate.knock(who, "Follow", group) for who in people]
    assert said == [None, None, None, "follows-of-group"]


async def test_reports_are_counted_by_host_also_those_of_its_instance_actor(gate: Gate) -> None:
    instance = await gate.person("instance", kind="application")
    said = [await gate.knock(instance, "Flag", [f"{HUB}/ap/p/1"]) for _ in range(3)]
    assert said == [None, None, "reports"]


async def test_direct_messages_of_strangers_are_counted_and_votes_are_none(gate: Gate) -> None:
    mine = f"{HUB}/ap/p/1"
    people = [await gate.person(f"p{n}") for n in range(4)]
    votes = [
        await gate.note(who, to=[mine], name="Yes", inReplyTo=f"{HUB}/ap/o/7", content=None)
        for who in people
    ]
    assert votes == [None] * 4
    said = [await gate.note(who, to=[mine]) for who in people]
    assert said == [None, None, "messages", "messages"]
    assert await gate.note(people[3], to=[PUBLIC], cc=[mine]) is None


async def test_one_person_posts_and_does_so_much(gate: Gate) -> None:
    who = await gate.person("p")
    assert [await gate.note(who) for _ in range(3)] == [None, None, "posts"]
    said = [await gate.knock(who, "Like", f"{HUB}/ap/o/1") for _ in range(3)]
    assert said == [None, None, "activities"]


async def test_what_a_group_sends_is_not_one_persons(gate: Gate) -> None:
    group = await gate.person("community", kind="group")
    assert {await gate.knock(group, "Announce", f"{HUB}/ap/o/1") for _ in range(10)} == {None}


async def test_one_host_posts_so_much_into_one_group(gate: Gate) -> None:
    people = [await gate.person(f"p{n}") for n in range(5)]
    group, other = await two_groups(gate)
    said = [await gate.note(who, audience=group) for who in people]
    assert said == [None, None, None, "posts-into-group", "posts-into-group"]
    assert await gate.note(people[4], audience=other) is None


async def two_groups(gate: Gate) -> tuple[str, str]:
    anna = await gate.world.member("anna")
    made = [await gate.world.group(name, anna) for name in ("soil", "seeds")]
    return f"{HUB}/ap/g/{made[0]}", f"{HUB}/ap/g/{made[1]}"


async def test_a_group_is_counted_however_it_is_named(gate: Gate) -> None:
    group, other = await two_groups(gate)
    anna = int(await gate.world.db.value("SELECT actor_id FROM handles WHERE name = 'anna'"))
    topic = await gate.world.topic(anna, int(group.rpartition("/")[2]))
    ways: list[dict[str, Any]] = [
        # Groups that there are not, and one that is named besides, hide nothing.
        {"audience": [f"{HUB}/ap/g/{n}" for n in range(1, 40)], "cc": [group]},
        {"audience": other, "cc": [group]},
        {"cc": [group.replace("https://hub", "HTTPS://HUB")]},
        {"tag": [{"type": "Mention", "href": group}]},
        {"inReplyTo": f"{HUB}/ap/o/{topic}"},
    ]
    for n, way in enumerate(ways):
        for m in range(3):
            host = f"evil{n}.test"
            assert await gate.note(await gate.person(f"p{m}", host), cc=[group]) is None
        assert await gate.note(await gate.person("q", host), **way) == "posts-into-group", way


async def test_a_message_is_one_whoever_else_it_names(gate: Gate) -> None:
    mine = f"{HUB}/ap/p/1"
    ways: list[dict[str, Any]] = [
        {"to": [mine], "audience": f"{HUB}/ap/g/7"},
        {"to": ["https://evil.test/x"], "tag": [{"type": "Mention", "href": mine}]},
    ]
    for n, way in enumerate(ways):
        people = [await gate.person(f"p{m}", f"evil{n}.test") for m in range(3)]
        assert [await gate.note(who, **way) for who in people] == [None, None, "messages"], way


async def test_what_a_request_to_quote_brings_is_a_post(gate: Gate) -> None:
    who = await gate.person("p")
    note = {"id": f"{who.actor_uri}/1", "type": "Note", "content": "x", "to": [PUBLIC]}
    said = [
        await gate.knock(who, "QuoteRequest", f"{HUB}/ap/o/1", instrument=note) for _ in range(3)
    ]
    assert said == [None, None, "posts"]


async def test_who_is_turned_away_is_not_counted_further(gate: Gate) -> None:
    who = await gate.person("p")
    for _ in range(10):
        await gate.note(who)
    assert await gate.knock(who, "Like", f"{HUB}/ap/o/1") is None


def test_an_address_that_sends_rubbish_is_barred_for_five_minutes(gate: Gate) -> None:
    gates = gate.gates
    for address in ("198.51.100.7", "2001:4860:1:2::1", "10.0.0.1", "127.0.0.1", "::1", "odd"):
        for _ in range(3):
            gates.note_bad(address)
    assert not gates.is_barred("8.8.8.8")
    for _ in range(3):
        gates.note_bad("8.8.8.8")
    assert gates.is_barred("8.8.8.8")
    # The whole /64, and no proxy of ours.
    assert gates.is_barred("2001:4860:1:2:ffff::9")
    assert not gates.is_barred("2001:4860:1:3::1")
    assert not gates.is_barred("10.0.0.1")
    assert not gates.is_barred("127.0.0.1")
    gate.now += 300
    assert not gates.is_barred("8.8.8.8")


async def test_inv_45_counters_are_bounded(gate: Gate, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(floodgates, "MAX_KEYS", 10)
    for n in range(100):
        gate.gates.note_bad(f"8.8.{n}.8")
    assert len(gate.gates._counters) == 10


async def test_a_limit_of_0_is_none(world: World) -> None:
    gate = Gate(world, Abuse(reports_per_host_hour=0, activities_per_actor_hour=0))
    who = await gate.person("p")
    assert {await gate.knock(who, "Flag", [f"{HUB}/ap/p/1"]) for _ in range(100)} == {None}
