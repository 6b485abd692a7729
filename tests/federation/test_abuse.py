"""Waves of abuse over the wire: a hostile server with any number of names and people, all with valid keys
(security.md §10, INV-39, INV-45)."""

from __future__ import annotations

import asyncio
import itertools
import json
import time
from collections.abc import AsyncIterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import web

from activitypub import cavage
from fedcomm.hub import admission, groups, sweeping, sweeps, threads
from fedcomm.store.ids import now_ms
from tests.databases import SQLiteDatabases
from tests.federation.acts import activity
from tests.federation.conftest import IMPATIENT
from tests.federation.hub import merged
from tests.federation.inprocess import LocalHub, ScriptedStubs, local_hub
from tests.federation.stub import ACTIVITY, PUBLIC, kind_of, test_key

pytestmark = pytest.mark.asyncio(loop_scope="module")

_numbers = itertools.count(1)

STRICT = {
    "abuse": {
        "follows_per_host_hour": 3,
        "reports_per_host_hour": 2,
        "messages_per_host_hour": 2,
        "posts_per_actor_hour": 4,
        "new_subdomains_per_hour": 3,
        "bad_requests_per_5min": 5,
        "hold_score": 0,
    },
    "server": {"trusted_proxies": ["127.0.0.0/8"]},
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def strict(
    tmp_path_factory: pytest.TempPathFactory, servers: ScriptedStubs, migrated_sqlite: Path
) -> AsyncIterator[LocalHub]:
    """A hub with low limits, behind a proxy."""
    folder = tmp_path_factory.mktemp("strict")
    made = SQLiteDatabases(folder, migrated_sqlite)
    settings = merged(IMPATIENT, STRICT)
    async with local_hub(folder, made.migrated(), servers, settings) as hub:
        yield hub
    made.remove_all()


def answer(hub: LocalHub, servers: ScriptedStubs, author: str, **more: Any) -> dict[str, Any]:
    note = servers.note(
        author, number=next(_numbers), to=[PUBLIC], cc=[hub.group_uri(hub.group)],
        inReplyTo=hub.object_uri(hub.topic), **more,
    )  # fmt: skip
    return activity(author, "Create", note)


async def test_follows_reports_messages_and_posts_beyond_the_hour_are_asked_to_come_again(
    strict: LocalHub, servers: ScriptedStubs
) -> None:
    host = servers.new_host()
    people = [servers.somebody(f"p{n}", host) for n in range(5)]
    ben = strict.person(strict.ben)
    said = [await strict.post(activity(who, "Follow", ben)) for who in people]
    assert said == [202, 202, 202, 429, 429]
    said = [await strict.post(activity(who, "Flag", [ben])) for who in people]
    assert said == [202, 202, 429, 429, 429]
    notes = [servers.note(who, number=next(_numbers), to=[ben]) for who in people]
    said = [await strict.post(activity(n["attributedTo"], "Create", n, to=[ben])) for n in notes]
    assert said == [202, 202, 429, 429, 429]
    loud = servers.somebody("loud")
    said = [await strict.post(answer(strict, servers, loud)) for _ in range(6)]
    assert said == [202, 202, 202, 202, 429, 429]
    # Another server is none of their business, and what was refused is not remembered as seen.
    other = servers.somebody("other")
    assert await strict.post(activity(other, "Follow", ben)) == 202
    await strict.quiet()


async def test_who_is_asked_to_come_again_is_told_when(
    strict: LocalHub, servers: ScriptedStubs
) -> None:
    host = servers.new_host()
    flags = [
        activity(servers.somebody(f"p{n}", host), "Flag", [strict.person(strict.ben)])
        for n in range(3)
    ]
    for flag in flags[:2]:
        assert await strict.post(flag) == 202
    headers: dict[str, str] = {}
    before = time.time()
    data = json.dumps(flags[2]).encode()
    sent = cavage.sign(
        "POST", strict.shared_inbox, data, test_key(), f"{flags[2]['actor']}#main-key"
    )
    session = servers._session
    assert session is not None
    async with session.post(
        strict.shared_inbox, data=data, headers={**sent, "Content-Type": ACTIVITY}
    ) as answered:
        headers.update(answered.headers)
        assert answered.status == 429
    assert 1 <= int(headers["Retry-After"]) <= 3600
    assert headers["X-RateLimit-Remaining"] == "0"
    at = datetime.fromisoformat(headers["X-RateLimit-Reset"]).timestamp()
    assert at >= int(before) + int(headers["Retry-After"])
    assert not await strict.count("SELECT count(*) FROM inbox WHERE uri = ?", flags[2]["id"])


async def test_one_domain_brings_so_many_new_names_and_nothing_is_fetched_from_more(
    strict: LocalHub, servers: ScriptedStubs
) -> None:
    people = [servers.actor("mallory", f"s{n}.evil.test") for n in range(6)]
    ben = strict.person(strict.ben)
    said = [await strict.post(activity(who, "Like", ben)) for who in people]
    assert said == [202, 202, 202, 503, 503, 503]
    assert [len(servers.hosts[f"s{n}.evil.test"].fetched) > 0 for n in range(6)] == [True] * 3 + [
        False
    ] * 3
    assert await strict.count("SELECT count(*) FROM hosts WHERE family = 'evil.test'") == 3


async def test_an_address_that_only_sends_rubbish_is_not_read_any_more(
    strict: LocalHub, servers: ScriptedStubs
) -> None:
    # INV-39: by the network of the client behind the proxy, before anything is verified.
    def sent_by(address: str) -> dict[str, str]:
        return {"X-Forwarded-For": address}

    rubbish = [
        await strict.post(b"{", signer="http://h.test/u", headers=sent_by("9.9.9.9"))
        for _ in range(7)
    ]
    assert rubbish == [400] * 5 + [429] * 2
    honest = activity(servers.somebody(), "Like", strict.object_uri(strict.topic))
    assert await strict.post(honest, headers=sent_by("9.9.9.9")) == 429
    assert await strict.post(honest, headers=sent_by("9.9.9.10")) == 202


async def test_inv_45_slow_hosts_of_one_attacker_do_not_hold_the_inbox(
    town: LocalHub, servers: ScriptedStubs
) -> None:
    """Twelve names of one domain and twelve domains make every fetch last; an honest answer is there at once."""
    family = f"slow{next(_numbers)}.test"
    hanging = asyncio.Event()

    async def slow(_request: web.Request) -> web.Response:
        await hanging.wait()
        return web.Response(status=404)

    names = [f"s{n}.{family}" for n in range(8)] + [servers.new_host("slow") for _ in range(12)]
    for name in names:
        author = servers.actor("mallory", name)
        origin = author.split("/users/")[0]
        parent = servers.script(f"{origin}/objects/above", slow)
        note = servers.note(author, number=next(_numbers), to=[PUBLIC], inReplyTo=parent)
        assert await town.post(activity(author, "Create", note)) == 202
    await asyncio.sleep(0.2)
    honest = answer(town, servers, servers.somebody("honest"))
    began = time.monotonic()
    try:
        assert await town.deliver(honest) == "done: stored"
        assert time.monotonic() - began < 8
    finally:
        hanging.set()
    await town.quiet(60)


async def test_a_swept_wave_is_asked_back_and_given_again_by_undo(
    town: LocalHub, servers: ScriptedStubs
) -> None:
    reader = servers.somebody("reader", software="lemmy")
    await town.deliver(activity(reader, "Follow", town.group_uri(town.group)))
    mallory = servers.somebody("mallory")
    spam = answer(town, servers, mallory, content="<p>Spam of the wire</p>")
    assert await town.deliver(spam) == "done: stored"
    await town.quiet()
    thing = await threads.thing_by_uri(town.db, spam["object"]["id"])
    assert thing is not None
    readers = servers.hosts[reader.split("://")[1].partition(":")[0]]

    def got() -> list[str]:
        return [
            kind_of(each.body)
            for each in readers.arrived
            if spam["object"]["id"] in json.dumps(each.body)
        ]

    assert got()
    before = len(got())
    host_id = thing.host_id or 0
    scope = sweeps.Scope("host", host_id, 0, now_ms() + 1)
    async with town.db.transaction() as tx:
        number = await sweeps.begin(tx, scope, reason="A wave.", by=town.anna)
    await sweeping.advance(town.db, number, folder=town.site.media_folder)
    town.site.wake()
    await town.quiet()
    asked = got()[before:]
    assert any(kind.startswith(("Announce/Delete", "Undo/", "Delete")) for kind in asked), asked
    async with town.db.transaction() as tx:
        await sweeps.undo(tx, number, by=town.anna, reason="A mistake.")
    await sweeping.advance(town.db, number, folder=town.site.media_folder)
    town.site.wake()
    await town.quiet()
    assert any(
        kind.startswith(("Announce/Undo", "Announce/id")) for kind in got()[before + len(asked) :]
    )
    back = await threads.thing_by_uri(town.db, spam["object"]["id"])
    assert back is not None
    assert (back.withheld, back.html) == (None, thing.html)


async def test_a_group_lets_in_and_takes_from_whom_it_wants(
    town: LocalHub, servers: ScriptedStubs
) -> None:
    host = servers.new_host()
    mallory = servers.somebody("mallory", host)
    async with town.db.transaction() as tx:
        await admission.set_host(tx, town.group, town.anna, host, "none")
    follow = activity(mallory, "Follow", town.group_uri(town.group))
    assert await town.deliver(follow) == "done: membership banned"
    await town.quiet()
    # Said to their server, which would go on waiting.
    assert "Reject" in [kind_of(each.body) for each in servers.hosts[host].arrived]
    assert (await town.deliver(answer(town, servers, mallory))).startswith("refused")
    async with town.db.transaction() as tx:
        await admission.set_host(tx, town.group, town.anna, host, "read")
    again = activity(mallory, "Follow", town.group_uri(town.group))
    assert await town.deliver(again) == "done: membership active"
    assert (await town.deliver(answer(town, servers, mallory))).startswith("refused")
    async with town.db.transaction() as tx:
        await admission.set_host(tx, town.group, town.anna, host, None)
        await groups.group(tx, town.group)
    assert await town.deliver(answer(town, servers, mallory)) == "done: stored"


async def test_a_wave_of_follows_is_a_few_lines(town: LocalHub, servers: ScriptedStubs) -> None:
    host = servers.new_host()
    for n in range(12):
        who = servers.somebody(f"p{n}", host)
        await town.deliver(activity(who, "Follow", town.person(town.ben)))
    rows = await town.db.all(
        "SELECT n.more FROM notifications n JOIN actors a ON a.id = n.actor_id"
        " JOIN hosts h ON h.id = a.host_id WHERE n.kind = 'follow' AND h.name LIKE ?",
        f"{host}%",
    )
    assert sorted(row["more"] for row in rows) == [0, 0, 0, 0, 7]
