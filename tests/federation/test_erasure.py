"""Erasure over the wire: the ledger is the truth, and each server that has a copy is asked for it in its own way."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections import defaultdict
from dataclasses import replace
from typing import Any

import pytest

from fedcomm import erasures
from fedcomm.erasure_check import check
from fedcomm.federation import certificates, farewells, housekeeping
from fedcomm.hub import erasure, groups, members, policy_changes, receipts, threads
from fedcomm.hub.composition import Draft
from fedcomm.hub.policies import Entry
from tests.federation.inprocess import LocalHub, ScriptedStubs
from tests.federation.stub import PUBLIC, StubHost, kind_of

pytestmark = pytest.mark.asyncio(loop_scope="module")

DAY_MS = 86_400_000
SOFTWARE = [
    *("mastodon", "lemmy", "piefed", "nodebb", "mbin", "gotosocial", "pixelfed", "misskey", "stub"),
    *("wordpress", "friendica", "mastodon", "stub", "nodebb", "mastodon", "gotosocial"),
]
MARK = "zqwirezq"


class Region:
    """Twenty servers around the hub; what each really received or fetched is the truth."""

    def __init__(self, hub: LocalHub, stubs: ScriptedStubs) -> None:
        self.hub = hub
        self.stubs = stubs
        self.fetched: dict[str, set[str]] = defaultdict(set)
        self.actors: dict[str, str] = {}

    async def join(self, software: str, member: int) -> str:
        """A person on a new server follows the group, and the member if their number is even."""
        host = self.stubs.new_host("er")
        self.stubs.host(host).software = software
        actor = self.stubs.somebody("rita", host)
        self.actors[host] = actor
        for target in (self.hub.group_uri(self.hub.group), self.hub.person(member)):
            await self.hub.deliver(
                {
                    "id": f"{actor}/follow/{target[-18:]}",
                    "type": "Follow",
                    "actor": actor,
                    "object": target,
                }
            )
        return host

    async def neighbour(self, host: str, group: int) -> None:
        """Somebody else on a server that is in already follows the group as well."""
        actor = self.stubs.somebody("ravi", host)
        target = self.hub.group_uri(group)
        follow = {"id": f"{actor}/follow", "type": "Follow", "actor": actor, "object": target}
        await self.hub.deliver(follow)

    async def fetch(self, host: str, url: str) -> None:
        """Fetch with a signature."""
        status, _ = await self.stubs.get(url, signer=self.actors[host])
        assert status == 200
        self.fetched[host].add(url)

    def copies(self, host: str, urls: dict[int, str]) -> set[int]:
        """Ids of the objects of which this server has a copy."""
        has = {number for number, url in urls.items() if url in self.fetched[host]}
        for arrival in self.stubs.host(host).arrived:
            if arrival.status < 300 and arrival.body["type"] in ("Create", "Announce", "Update"):
                text = arrival.raw.decode()
                has |= {number for number, url in urls.items() if f'"{url}"' in text}
        return has

    def asked(self, host: str) -> list[Any]:
        """The objects of the Deletes that were accepted, in order."""
        found = []
        for arrival in self.stubs.host(host).arrived:
            if arrival.status < 300 and arrival.body["type"] == "Delete":
                thing = arrival.body["object"]
                found.append(thing["id"] if isinstance(thing, dict) else thing)
        return found


async def write(hub: LocalHub, author: int, title: str, group: int | None = None) -> int:
    async with hub.db.transaction() as tx:
        content = await hub.site.compose(
            tx, Draft(f"{MARK} words", title), is_topic=True, author_id=author
        )
        made = await threads.create_topic(tx, author, group or hub.group, content)
    hub.site.wake()
    return made


async def until(condition: Any, seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if await condition():
            return
        await asyncio.sleep(0.05)
    raise AssertionError("it did not happen in time")


async def age(hub: LocalHub, days: int) -> None:
    """All that waits has waited so long already, and is due."""
    for sql in (
        "UPDATE deliveries SET created_at = created_at - ?",
        "UPDATE deliveries SET attempted_at = attempted_at - ? WHERE attempted_at IS NOT NULL",
        "UPDATE lanes SET failing_since = failing_since - ? WHERE failing_since IS NOT NULL",
        "UPDATE erasures SET created_at = created_at - ?",
    ):
        async with hub.db.transaction() as tx:
            await tx.execute(sql, days * DAY_MS)


async def test_twenty_servers_are_asked_for_exactly_what_they_have(
    town: LocalHub, servers: ScriptedStubs
) -> None:
    hub, region = town, Region(town, servers)
    async with hub.db.transaction() as tx:
        await groups.join(tx, hub.group, hub.ben)
    hosts = [await region.join(software, hub.ben) for software in SOFTWARE[:-2]]
    servers.shared_inbox = False
    hosts += [await region.join(software, hub.ben) for software in SOFTWARE[-2:]]
    servers.shared_inbox = True
    for host in (hosts[1], hosts[-1]):
        await region.neighbour(host, hub.group)
    stranger = servers.new_host("er")  # Knows the group's name, never got anything.
    region.actors[stranger] = servers.somebody("sam", stranger)
    reader = servers.new_host("er")  # Fetches with a signature.
    region.actors[reader] = servers.somebody("ron", reader)
    onlooker = servers.new_host("er")  # Fetches the profile, with a signature, and nothing else.
    region.actors[onlooker] = servers.somebody("otto", onlooker)
    peeper = servers.new_host("er")  # Fetches without one: nobody can know it.
    region.actors[peeper] = servers.somebody("pia", peeper)
    for other in (stranger, reader, onlooker, peeper):
        await hub.site.federation.find_actor(region.actors[other])  # type: ignore[union-attr]
    late, gone, blocked = hosts[8], hosts[12], hosts[0]
    fetchers = (reader, onlooker)
    assert len({*hosts, stranger, reader, onlooker, peeper}) == 20

    first = await write(hub, hub.ben, "First")
    await hub.quiet()
    servers.host(hosts[1]).status = 503  # Fails at first, is tried again.
    second = await write(hub, hub.ben, "Second")
    await asyncio.sleep(0.3)
    servers.host(hosts[1]).status = 202
    await hub.site.federation.flush()  # type: ignore[union-attr]
    await hub.quiet()
    urls = {number: hub.object_uri(number) for number in (first, second)}
    await region.fetch(reader, urls[second])
    await region.fetch(onlooker, hub.person(hub.ben))
    assert (await hub.get(f"/o/{second}"))[0] == 200  # What peeper does.

    # The ledger is the truth.
    truth = {
        (number, host)
        for host in (*hosts, stranger, reader, onlooker, peeper)
        for number in region.copies(host, urls)
    }
    rows = await hub.db.all(
        "SELECT r.subject_id, h.name FROM reach r JOIN hosts h ON h.id = r.host_id"
        " WHERE r.subject_id IN (?, ?)",
        first,
        second,
    )
    ledger = {(row["subject_id"], row["name"].partition(":")[0]) for row in rows}
    assert ledger == truth
    assert len({host for _, host in truth}) == len(hosts) + 1

    async with hub.db.transaction() as tx:
        await policy_changes.apply(
            tx,
            {blocked: Entry(blocked, "suspend")},
            by=hub.anna,
            kind="set",
            reason="A test.",
        )
    hub.site.federation.policies_changed()  # type: ignore[union-attr]
    level = await hub.db.value("SELECT policy FROM hosts WHERE name LIKE ?", f"{blocked}%")
    assert level == "suspend"
    servers.host(late).status = servers.host(gone).status = 503
    before = {host: len(servers.host(host).arrived) for host in servers.hosts}

    async with hub.db.transaction() as tx:
        case_id = await erasure.request(tx, "member", hub.ben, requested_by=hub.ben, own=True)
    hub.site.wake()

    async def told() -> bool:
        one = await erasure.case(hub.db, case_id)
        healthy = [host for host in (*hosts, *fetchers) if host not in (late, gone)]
        person = hub.person(hub.ben)
        return (
            one is not None
            and one.state == "tell"
            and all(person in region.asked(host) for host in healthy)
        )

    await until(told)
    # The key can still be fetched, for servers that look before they believe; nothing else can.
    status, stub = await servers.get(hub.person(hub.ben))
    assert status == 200
    assert stub["suspended"] is True
    assert "preferredUsername" not in stub
    assert (await servers.get(urls[first]))[0] == 404

    # Two months later one server is back.
    await age(hub, 60)
    servers.host(late).status = 202
    await farewells.ask_again(hub.db, horizon_ms=90 * DAY_MS)
    await hub.site.federation.flush()  # type: ignore[union-attr]
    await until(lambda: _asked(region, late, hub.person(hub.ben)))
    # The other one never comes.
    await age(hub, 40)
    await hub.site.federation.flush()  # type: ignore[union-attr]

    async def done() -> bool:
        one = await erasure.case(hub.db, case_id)
        return one is not None and one.state == "done"

    await until(done)
    await housekeeping.tidy(hub.site.config, hub.db)

    person = hub.person(hub.ben)
    for host in (*hosts, *fetchers):
        asked = region.asked(host)
        if host == gone:
            assert asked == []
            continue
        assert asked.count(person) == 1, host
        per_object = servers.host(host).software in ("nodebb", "stub", "wordpress", "friendica")
        has = {urls[number] for number in region.copies(host, urls)}
        assert {url for url in asked if url != person} == (has if per_object else set()), host
        assert len(asked) == len(set(asked)), host
    for host in (stranger, peeper):
        assert len(servers.host(host).arrived) == before.get(host, 0)
    for arrival in servers.host(blocked).arrived[before[blocked] :]:
        # To a server that is blocked goes the request for its copy, and nothing else.
        assert arrival.body["type"] == "Delete"
    for host in hosts:
        for arrival in servers.host(host).arrived[before[host] :]:
            assert MARK not in arrival.raw.decode()
            if arrival.body["type"] == "Delete" and arrival.body["object"] == person:
                assert arrival.body["removeData"] is True
            if arrival.body["actor"] == person:
                # The key of who is erased signs nothing else any more.
                assert arrival.body["type"] == "Delete"
    # What failed is asked again with the same id and body, until it is taken.
    tried: dict[str, set[bytes]] = defaultdict(set)
    for arrival in servers.host(late).arrived:
        if arrival.body["type"] == "Delete":
            tried[json.dumps(arrival.body["object"])].add(arrival.raw)
    statuses = [arrival.status for arrival in servers.host(late).arrived]
    assert 503 in statuses and statuses[-1] == 202
    assert all(len(bodies) == 1 for bodies in tried.values())
    # NodeBB keeps the text when it is told of a Tombstone.
    nodebb = servers.host(hosts[3]).arrived
    assert all(isinstance(a.body["object"], str) for a in nodebb if a.body["type"] == "Delete")

    rows = await hub.db.all(
        "SELECT h.name, r.copies, r.status FROM erasure_recipients r JOIN hosts h ON h.id = r.host_id"
        " WHERE r.case_id = ?",
        case_id,
    )
    answers = {row["name"].partition(":")[0]: row["status"] for row in rows}
    assert set(answers) == {*hosts, *fetchers}
    assert {host for host, status in answers.items() if status == 202} == {
        *hosts,
        *fetchers,
    } - {gone}
    assert answers[gone] == 503
    # Nothing is left but numbers.
    assert (await servers.get(person))[0] == 410
    assert await hub.db.value("SELECT 1 FROM actor_keys WHERE actor_id = ?", hub.ben) is None
    assert (
        await hub.db.value(
            "SELECT 1 FROM reach WHERE subject_id IN (?, ?, ?)", first, second, hub.ben
        )
        is None
    )
    assert await hub.db.value("SELECT 1 FROM activities WHERE actor_id = ?", hub.ben) is None
    status, _ = await servers.get(
        f"{hub.origin}/.well-known/webfinger?resource=acct:ben@{hub.origin[7:]}"
    )
    assert status == 410

    # The certificate says so, to anybody, and names nobody.
    certificate = await hub.site.federation.certify(case_id)  # type: ignore[union-attr]
    text = json.dumps(certificate)
    assert MARK not in text
    assert "ben" not in re.findall(r"[a-z]+", text)
    assert {
        (one["server"].partition(":")[0], one["outcome"]) for one in certificate["recipients"]
    } == {(host, "unreachable" if host == gone else "acknowledged") for host in (*hosts, *fetchers)}
    _, instance = await servers.get(f"{hub.origin}/ap/instance")
    assert certificates.verify(text.encode(), instance) is None
    assert certificates.is_about(certificate, "ben")
    assert not certificates.is_about(certificate, "anna")
    for change in (
        {"counts": {"objects": 0, "files": 0, "rows": 0}},
        {"recipients": certificate["recipients"][1:]},
        {"finished": "2030-01-01T00:00:00Z"},
        {"subject": {"kind": "member", "salt": "00", "sha256": "00"}},
        {"extra": "word"},
    ):
        forged = json.dumps(certificate | change).encode()
        assert certificates.verify(forged, instance) is not None, change
    other = instance | {"assertionMethod": [], "id": instance["id"]}
    assert certificates.verify(text.encode(), other) is not None
    assert certificates.verify(b"[]", instance) is not None
    # So does the page that can be printed, for whoever was given its address.
    reference = receipts.reference(hub.db.pseudonyms, case_id)
    _, page = await hub.get(f"/erasures/{reference}")
    shown = re.sub(r"<[^>]+>", " ", page[page.index("<main") : page.index("</main>")])
    assert "ben" not in re.findall(r"[a-z]+", shown.lower())
    for host in (*hosts, *fetchers):
        (line,) = re.findall(rf"{host}:\d+ .*?(?={gone[:2]}\d+\.test|Certificate)", shown, re.S)
        assert ("unreachable" if host == gone else "acknowledged") in line.lower(), line
    status, downloaded = await hub.get(f"/erasures/{reference}/certificate.json")
    assert (status, json.loads(downloaded)) == (200, certificate)
    case = await erasure.case(hub.db, case_id)
    assert case is not None
    assert (await check(hub.site, case, (MARK,))).is_clean


@pytest.mark.parametrize("kind", ["remote", "host"])
async def test_what_people_elsewhere_wrote_is_asked_back_from_all_who_had_it_from_a_group_of_ours(
    town: LocalHub, servers: ScriptedStubs, kind: erasure.Kind
) -> None:
    hub, name = town, f"zq{kind}zq"
    group = await hub.make_group(f"meadow{kind}")
    uri = hub.group_uri(group)
    home = servers.new_host("er")
    author = servers.somebody(name, home)
    fans = {}
    for software in ("mastodon", "lemmy", "piefed"):
        host = servers.new_host("er")
        servers.host(host).software = software
        fans[software] = servers.somebody("fan", host)
    servers.host(home).software = "lemmy"
    for actor in (author, *fans.values()):
        follow = {"id": f"{actor}/follow", "type": "Follow", "actor": actor, "object": uri}
        await hub.deliver(follow)
    page = servers.note(
        author, type="Page", name=f"{name} title", audience=uri, to=[uri, PUBLIC], cc=[]
    )
    create = {
        "id": f"{author}/creates/1",
        "type": "Create",
        "actor": author,
        "object": page,
        "audience": uri,
        "to": [uri, PUBLIC],
    }
    assert await hub.deliver(create) == "done: stored"
    await hub.quiet()
    there = {software: servers.host(_host(fan)) for software, fan in fans.items()}
    assert all(page["id"] in host.arrived[-1].raw.decode() for host in there.values())
    for server in servers.hosts.values():
        server.arrived.clear()
    there["piefed"].status = 503

    known = await hub.site.federation.find_actor(author)  # type: ignore[union-attr]
    assert known is not None
    subject = known.id if kind == "remote" else known.host_id
    async with hub.db.transaction() as tx:
        case_id = await erasure.request(
            tx, kind, subject or 0, requested_by=hub.anna, reason="They asked for it."
        )
    hub.site.wake()
    await until(lambda: _came(*there.values()))
    for software in ("lemmy", "piefed"):
        asked = there[software].arrived[0].body
        assert (asked["type"], asked["actor"]) == ("Announce", uri)
        removal = asked["object"]
        assert (removal["type"], removal["object"]) == ("Delete", page["id"])
        assert removal["actor"] == hub.person(hub.anna) and removal["summary"]
        assert "erased:" not in there[software].arrived[0].raw.decode()
    (undone,) = [arrival.body for arrival in there["mastodon"].arrived]
    assert (undone["type"], undone["object"]["object"]) == ("Undo", page["id"])
    assert [kind_of(arrival.body) for arrival in servers.host(home).arrived] == []

    # It is not over, and no certificate says so, before the last of them has answered.
    for _ in range(200):
        one = await erasure.case(hub.db, case_id)
        assert one is not None
        if (await erasures.proceed(hub.site, one)).state == "tell":
            break
        await asyncio.sleep(0.02)
    one = await erasure.case(hub.db, case_id)
    assert one is not None
    assert (await erasures.proceed(hub.site, one)).state == "tell"
    there["piefed"].status = 202
    await hub.site.federation.flush()  # type: ignore[union-attr]

    async def done() -> bool:
        one = await erasure.case(hub.db, case_id)
        return one is not None and one.state == "done"

    await until(done)
    certificate = await hub.site.federation.certify(case_id)  # type: ignore[union-attr]
    assert {
        (entry["server"].partition(":")[0], entry["outcome"], entry["told"] is not None)
        for entry in certificate["recipients"]
    } == {(host.name, "acknowledged", True) for host in there.values()}
    assert name not in json.dumps(certificate)
    one = await erasure.case(hub.db, case_id)
    assert one is not None
    assert (await check(hub.site, one, (name,))).is_clean


async def test_a_server_that_may_have_got_something_is_asked_although_it_never_said_so(
    town: LocalHub, servers: ScriptedStubs
) -> None:
    hub, region = town, Region(town, servers)
    group = await hub.make_group("courtyard")
    async with hub.db.transaction() as tx:
        carl = await members.create_member(tx, "carl")
        await groups.join(tx, group, carl)
    silent = {software: servers.new_host("er") for software in ("mastodon", "nodebb")}
    for software, host in silent.items():
        servers.host(host).software = software
        await region.neighbour(host, group)
    await hub.quiet()
    for host in silent.values():
        servers.host(host).arrived.clear()
        servers.host(host).status = 503
    topic = await write(hub, carl, "Perhaps", group)
    url = hub.object_uri(topic)
    await until(lambda: _came(*(servers.host(host) for host in silent.values())))
    assert all(url in servers.host(host).arrived[0].raw.decode() for host in silent.values())
    await until(lambda: _is_put_off(hub))
    assert not await hub.count("SELECT count(*) FROM reach WHERE subject_id = ?", topic)

    async with hub.db.transaction() as tx:
        case_id = await erasure.request(tx, "member", carl, requested_by=carl, own=True)
    one = await erasure.case(hub.db, case_id)
    assert one is not None
    while one.state in ("objects", "rows"):
        one = await erasure.advance(hub.db, one, origin=hub.origin)
    for host in silent.values():
        servers.host(host).status = 202
    hub.site.wake()

    async def asked() -> bool:
        await hub.site.federation.flush()  # type: ignore[union-attr]
        return all([await _asked(region, host, hub.person(carl)) for host in silent.values()])

    await until(asked)
    assert region.asked(silent["mastodon"]) == [hub.person(carl)]
    assert region.asked(silent["nodebb"]) == [url, hub.person(carl)]


async def _is_put_off(hub: LocalHub) -> bool:
    return not await hub.count("SELECT count(*) FROM deliveries WHERE state = 'sending'")


def _host(uri: str) -> str:
    return uri.split("/")[2].partition(":")[0]


async def _came(*hosts: StubHost) -> bool:
    return all(host.arrived for host in hosts)


async def _asked(region: Region, host: str, person: str) -> bool:
    return person in region.asked(host)


async def test_a_server_is_asked_for_many_copies_at_the_set_rate(
    town: LocalHub, servers: ScriptedStubs, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub = town
    group = await hub.make_group("orchard")
    host = servers.new_host("er")
    actor = servers.somebody("rita", host)
    follow = {
        "id": f"{actor}/follow/1",
        "type": "Follow",
        "actor": actor,
        "object": hub.group_uri(group),
    }
    await hub.deliver(follow)
    posts = [await hub.write_topic(group, f"Topic {number}") for number in range(9)]
    await hub.quiet()
    settings = hub.site.federation._couriers._settings  # type: ignore[union-attr]
    slow = replace(settings, recalls_per_second=5)
    monkeypatch.setattr(hub.site.federation._couriers, "_settings", slow)  # type: ignore[union-attr]
    for _ in range(2):
        for post in posts[:3]:
            async with hub.db.transaction() as tx:
                await threads.delete(tx, hub.anna, post)
            hub.site.wake()
        await hub.quiet()
        posts = posts[3:]
    arrived = [a.at for a in servers.host(host).arrived if a.body["type"] in ("Delete", "Undo")]
    assert len(arrived) == 12
    # A handful at once, then the host has its rest.
    assert arrived[-1] - arrived[0] >= 1
