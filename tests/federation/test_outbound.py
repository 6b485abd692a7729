"""INV-23 to INV-25 of the security reference, end to end: where our requests lead, how many, and how often."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import web

from fedcomm.federation import intake, reception
from tests.databases import SQLiteDatabases
from tests.federation.acts import Activity, activity, anna_follows, create, other_body, stored
from tests.federation.inprocess import LocalHub, ScriptedStubs, local_hub, moved_to
from tests.federation.stub import ACTIVITY

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(loop_scope="module")
async def fortress(
    tmp_path: Path, migrated_sqlite: Path, servers: ScriptedStubs
) -> AsyncIterator[LocalHub]:
    """A hub that may reach one name of this machine, and no other address of it."""
    made = SQLiteDatabases(tmp_path, migrated_sqlite)
    settings: dict[str, dict[str, Any]] = {
        "federation": {"private_addresses": ["127.0.0.2/32"], "redirects": 2},
        "development": {"resolve": {"*.test": "127.0.0.2", "*.inside": "127.0.0.1"}},
    }
    async with local_hub(tmp_path, made.migrated(), servers, settings) as hub:
        yield hub


@pytest_asyncio.fixture(loop_scope="module")
async def second_door(servers: ScriptedStubs) -> AsyncIterator[None]:
    """The other servers answer at 127.0.0.2 as well."""
    assert servers._runner is not None
    site = web.TCPSite(servers._runner, "127.0.0.2", servers.port)
    await site.start()
    yield
    await site.stop()


async def test_inv_23_no_redirect_leads_to_a_private_address(
    fortress: LocalHub, second_door: None, servers: ScriptedStubs
) -> None:
    author = servers.somebody("author")
    follow = activity(author, "Follow", fortress.group_uri(fortress.group))
    assert await fortress.deliver(follow) == "done: membership active"
    port = servers.port
    hosts = (f"x.inside:{port}", f"127.0.0.1:{port}", f"localhost:{port}", f"[::1]:{port}")
    for number, inside in enumerate((*hosts, f"[::ffff:127.0.0.1]:{port}", "169.254.169.254")):
        target = f"http://{inside}/users/admin"
        servers.host("x.inside")
        servers.host("localhost")
        hop = servers.script(f"{author}/hop{number}", moved_to(target))
        # As an object, as an actor whose key is wanted, as what a reply answers.
        verdict = await fortress.deliver(activity(author, "Create", hop))
        assert verdict.startswith("refused"), inside
        stranger = servers.script(f"{author}/stranger{number}", moved_to(target))
        assert await fortress.post(activity(stranger, "Like", "http://x.test/1")) == 401
        assert await fortress.post(activity(target, "Like", "http://x.test/1")) in (400, 401)
        reply = servers.note(author, number=number, inReplyTo=target)
        await fortress.deliver(create(reply))
    assert servers.hosts["x.inside"].fetched == [] == servers.hosts["localhost"].fetched


async def test_inv_23_a_profile_cannot_point_our_deliveries_inward(
    fortress: LocalHub, second_door: None, servers: ScriptedStubs
) -> None:
    port = servers.port
    for inbox in (
        f"http://x.inside:{port}/inbox",
        f"{fortress.origin}/ap/inbox",
        "http://127.0.0.1/inbox",
    ):
        liar = servers.somebody("liar", inbox=inbox)
        follow = activity(liar, "Follow", fortress.group_uri(fortress.group))
        assert await fortress.post(follow) == 401, inbox
        shared = servers.somebody("shared", endpoints={"sharedInbox": inbox})
        follow = activity(shared, "Follow", fortress.group_uri(fortress.group))
        assert await fortress.deliver(follow) == "done: membership active"
        row = await fortress.db.one("SELECT shared_inbox FROM actors WHERE uri = ?", shared)
        assert row is not None and row["shared_inbox"] is None
    await fortress.write_topic(fortress.group, "To everybody")
    await fortress.quiet()
    assert servers.host("x.inside").arrived == []


async def test_inv_24_one_activity_causes_few_fetches(
    town: LocalHub, servers: ScriptedStubs
) -> None:
    """Sixty ancestors in a circle, each on a host of its own with an author of its own."""
    names = [servers.new_host("chain") for _ in range(60)]
    authors = [servers.actor("author", name) for name in names]
    for number, author in enumerate(authors):
        above = f"{authors[(number + 1) % len(authors)]}/notes/1"
        servers.note(author, number=1, inReplyTo=above)
    child = servers.note(servers.somebody("child"), inReplyTo=f"{authors[0]}/notes/1")
    await town.deliver(create(child))
    fetches = sum(len(servers.hosts[name].fetched) for name in names)
    assert 0 < fetches <= 30


async def test_inv_24_a_chain_that_bites_its_tail_ends(
    town: LocalHub, servers: ScriptedStubs
) -> None:
    author = servers.somebody("author")
    own = servers.note(author, number=1, inReplyTo=f"{author}/notes/1")
    two = servers.note(author, number=2, inReplyTo=f"{author}/notes/3")
    servers.note(author, number=3, inReplyTo=f"{author}/notes/2")
    for note in (own, two):
        assert (await town.deliver(create(note))).startswith("done: ignored")
    assert len(servers.host(author.split("/")[2].partition(":")[0]).fetched) <= 35


async def test_inv_24_an_answer_is_bounded_in_size_and_time(
    town: LocalHub, servers: ScriptedStubs
) -> None:
    author = servers.somebody("author")

    async def endless(request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse(headers={"Content-Type": ACTIVITY})
        await answer.prepare(request)
        try:
            for _ in range(100):
                await answer.write(b" " * 65_536)
        except ConnectionError:
            pass
        return answer

    huge = servers.script(f"{author}/huge", endless)
    verdict = await town.deliver(activity(author, "Create", huge))
    assert verdict.startswith(("refused", "failed")), verdict


async def test_inv_24_a_slow_server_does_not_hold_a_worker_for_long(
    town: LocalHub, servers: ScriptedStubs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each fetch is within its own limit; together they may not exceed the one of the activity."""
    monkeypatch.setattr(intake, "ACTIVITY_SECONDS", 0.5)
    author = servers.somebody("author")
    asked: list[str] = []
    for number in range(40):
        note = servers.note(author, number=number, inReplyTo=f"{author}/notes/{number + 1}")

        async def dripping(request: web.Request, note: Activity = note) -> web.Response:
            asked.append(note["id"])
            await asyncio.sleep(0.2)
            return web.Response(text=json.dumps(note), content_type=ACTIVITY)

        servers.script(note["id"], dripping)
    slow = create(servers.note(author, number="first", inReplyTo=f"{author}/notes/0"))
    assert await town.post(slow) == 202
    like = activity(author, "Like", town.object_uri(town.topic))
    assert await town.deliver(like) == "done: like"
    tries = town.site.config.inbox.attempts
    assert len(asked) <= 3 * tries, "each try ends after half a second"
    assert (await town.verdict(slow)).startswith("failed")


async def test_inv_25_a_key_that_cannot_be_fetched_is_not_asked_for_again(
    town: LocalHub, servers: ScriptedStubs
) -> None:
    host = servers.host(servers.new_host())
    nobody = f"{host.origin}/users/nobody"
    for _ in range(10):
        assert await town.post(activity(nobody, "Like", town.object_uri(town.topic))) == 401
    assert servers.fetched(nobody) == 1


async def test_inv_25_inventing_keys_is_no_way_to_make_us_flood_somebody(
    town: LocalHub, servers: ScriptedStubs
) -> None:
    victim = servers.host(servers.new_host("victim"))
    statuses = await asyncio.gather(
        *(
            town.post(activity(f"{victim.origin}/users/n{n}", "Like", town.object_uri(town.topic)))
            for n in range(120)
        )
    )
    assert set(statuses) <= {401, 503}
    assert len(victim.fetched) <= 40


async def test_inv_25_a_wrong_signature_causes_one_refetch_at_most(
    town: LocalHub, servers: ScriptedStubs
) -> None:
    somebody = servers.somebody()
    like = activity(somebody, "Follow", town.group_uri(town.group))
    assert await town.deliver(like) == "done: membership active"
    await town.db.append(
        "UPDATE actor_keys SET fetched_at = 1 WHERE uri = ?", (f"{somebody}#main-key",)
    )
    town.site.federation._directory._keys.clear()  # type: ignore[union-attr]
    fetched = servers.fetched(somebody)
    for _ in range(10):
        assert await town.post(like, change=other_body) == 401
    assert servers.fetched(somebody) - fetched <= 1


async def test_one_host_cannot_fill_the_queue_of_all(
    tmp_path: Path,
    migrated_sqlite: Path,
    servers: ScriptedStubs,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(reception, "BUSY_LOOK_S", 0.0)
    made = SQLiteDatabases(tmp_path, migrated_sqlite)
    settings: dict[str, dict[str, Any]] = {
        "inbox": {"per_host_queued": 20},
        "server": {"workers": False},
    }
    async with local_hub(tmp_path, made.migrated(), servers, settings) as hub:
        flood, honest = servers.somebody("flood"), servers.somebody("honest")
        statuses = [
            await hub.post(activity(flood, "Like", hub.object_uri(hub.topic))) for _ in range(60)
        ]
        assert statuses[0] == 202 and statuses[-1] == 429
        assert await hub.post(activity(honest, "Like", hub.object_uri(hub.topic))) == 202


async def test_what_a_deleted_actor_had_queued_is_dropped(
    town: LocalHub, servers: ScriptedStubs
) -> None:
    gone = servers.somebody("gone")
    like = activity(gone, "Like", town.object_uri(town.topic))
    assert await town.deliver(like) == "done: like"
    delete, late = (
        activity(gone, "Delete", gone),
        activity(gone, "Follow", town.group_uri(town.group)),
    )
    await asyncio.gather(town.post(delete), asyncio.sleep(0))
    status = await town.post(late)
    assert (await town.verdict(delete)).startswith("done: actor deleted")
    if status == 202:
        # Known again because its server still serves it: then it is a new start, not a revival.
        assert (await town.verdict(late)).startswith(("refused", "done"))


async def test_what_its_server_deleted_is_not_brought_back_by_an_announce(
    town: LocalHub, servers: ScriptedStubs
) -> None:
    author, booster = servers.somebody("author"), servers.somebody("booster")
    await anna_follows(town, booster)
    note = servers.note(author)
    assert (
        await town.deliver(activity(author, "Delete", note["id"])) == "done: remembered as deleted"
    )
    await town.deliver(activity(booster, "Announce", note["id"]))
    assert await stored(town, note["id"]) is None
