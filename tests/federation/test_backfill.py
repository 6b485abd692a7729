"""Threads of other servers are completed, within bounds: whatever a collection is made of (INV-5, INV-7, INV-24)."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import web

from fedcomm.federation import backlog, lanes
from fedcomm.federation.backfill import Backfill, Bounds, levels_below_root, object_named
from fedcomm.hub import follows, threads
from tests.databases import SQLiteDatabases
from tests.federation.inprocess import LocalHub, ScriptedStubs, local_hub
from tests.federation.stub import ACTIVITY, AS, PUBLIC

pytestmark = pytest.mark.asyncio(loop_scope="module")

_numbers = itertools.count(1)
PAGE = 60
MIB = 1_048_576


def worker(town: LocalHub) -> Backfill:
    return town.site.federation._backfill  # type: ignore[union-attr]


@pytest.fixture(autouse=True)
def usual_bounds(town: LocalHub) -> Iterator[None]:
    yield
    worker(town).bounds = Bounds()


def host_of(servers: ScriptedStubs, uri: str) -> Any:
    return servers.host(uri.split("/")[2].partition(":")[0])


def create(note: dict[str, Any]) -> dict[str, Any]:
    author = note["attributedTo"]
    return {
        "@context": AS,
        "id": f"{author}/activities/{next(_numbers)}",
        "type": "Create",
        "actor": author,
        "to": note["to"],
        "object": note,
    }


def root_of(author: str) -> str:
    """The id of the topic that `arrive` will deliver."""
    return f"{author}/notes/root"


async def arrive(town: LocalHub, servers: ScriptedStubs, author: str, **more: Any) -> int:
    """The author writes a topic into the group; its id here."""
    group = town.group_uri(town.group)
    mention = {"type": "Mention", "href": group, "name": "@gardening@localhost"}
    note = servers.note(author, number="root", cc=[group], tag=[mention], **more)
    assert await town.deliver(create(note)) == "done: stored"
    thing = await threads.thing_by_uri(town.db, note["id"])
    assert thing is not None and thing.kind == "topic"
    return thing.id


def reply_to(servers: ScriptedStubs, author: str, parent: str, **more: Any) -> str:
    """A published answer that nobody delivered; its id."""
    note = servers.note(author, number=f"r{next(_numbers)}", inReplyTo=parent, **more)
    return str(note["id"])


def paged(servers: ScriptedStubs, uri: str, items: list[Any], size: int = PAGE) -> str:
    """A collection in pages; its id."""
    pages = [items[n : n + size] for n in range(0, len(items), size)]
    servers.script(
        uri, {"@context": AS, "id": uri, "type": "OrderedCollection", "first": f"{uri}?page=0"}
    )
    for number, page in enumerate(pages):
        document: dict[str, Any] = {
            "@context": AS,
            "id": f"{uri}?page={number}",
            "type": "OrderedCollectionPage",
            "partOf": uri,
            "orderedItems": page,
        }
        if number + 1 < len(pages):
            document["next"] = f"{uri}?page={number + 1}"
        servers.script(f"{uri}?page={number}", document)
    return uri


async def answers(town: LocalHub, topic: int) -> int:
    return await town.count(
        "SELECT count(*) FROM objects WHERE topic_id = ? AND kind = 'reply'", topic
    )


async def rest(town: LocalHub, root: int, seconds: float = 30.0) -> None:
    """Wait until nothing of a thread is due any more, in no lane."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        busy = await town.count(
            "SELECT (SELECT count(*) FROM backfill WHERE root_id = ? AND state = 'waiting'"
            " AND next_at <= ?) + (SELECT count(*) FROM lanes WHERE queue = 'backfill'"
            " AND lease_owner IS NOT NULL)",
            root,
            int(time.time() * 1000) + 500,
        )
        if not busy:
            return
        await asyncio.sleep(0.02)
    raise AssertionError("still reading")


async def again(town: LocalHub, root: int) -> None:
    """The pause between two rounds is over."""
    async with town.db.queue_transaction() as tx:
        await tx.execute("UPDATE backfill SET next_at = 0 WHERE root_id = ?", root)
        rows = await tx.all("SELECT DISTINCT host_id FROM backfill WHERE root_id = ?", root)
        await lanes.wake(tx, "backfill", [row["host_id"] for row in rows])
    worker(town).wake()


async def until(town: LocalHub, sql: str, *args: Any, seconds: float = 15.0) -> Any:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        value = await town.db.value(sql, *args)
        if value:
            return value
        await asyncio.sleep(0.02)
    raise AssertionError(sql)


async def test_a_thread_that_goes_on_elsewhere_is_completed_from_its_context(
    town: LocalHub, servers: ScriptedStubs
) -> None:
    author, other = servers.somebody("author"), servers.somebody("other")
    first = reply_to(servers, other, root_of(author), content="<p>First answer.</p>")
    second = reply_to(servers, author, first, content="<p>Second answer.</p>")
    context = paged(servers, f"{author}/context", [root_of(author), first, second])
    topic = await arrive(town, servers, author, context=context)
    await until(town, "SELECT id FROM objects WHERE uri = ?", second)
    thing = await threads.thing_by_uri(town.db, second)
    above = await threads.thing_by_uri(town.db, first)
    assert thing is not None and above is not None
    assert (above.parent_id, thing.parent_id) == (topic, above.id)
    assert "Second answer." in thing.html
    assert thing.group_id == town.group
    assert await levels_below_root(town.db, thing.id, 20) == 2
    await rest(town, topic)
    assert not await town.count(
        "SELECT count(*) FROM backfill WHERE root_id = ? AND state = 'waiting'", topic
    )


async def test_answers_to_answers_are_found_through_replies_collections(
    town: LocalHub, servers: ScriptedStubs
) -> None:
    """An answer arrives below a topic of ours; what others answered to it was never sent here."""
    author, other = servers.somebody("author"), servers.somebody("other")
    note = servers.note(
        author,
        number="a",
        inReplyTo=town.object_uri(town.topic),
        replies={
            "id": f"{author}/notes/a/replies",
            "type": "Collection",
            "first": {"type": "CollectionPage", "items": []},
        },
    )
    below = reply_to(servers, other, note["id"], replies=f"{other}/b/replies")
    deepest = reply_to(servers, author, below)
    paged(servers, f"{author}/notes/a/replies", [below])
    paged(servers, f"{other}/b/replies", [deepest])
    assert await town.deliver(create(note)) == "done: stored"
    await until(town, "SELECT 1 FROM objects WHERE uri = ? AND topic_id = ?", deepest, town.topic)


async def test_inv_7_what_a_collection_says_inline_is_not_believed(
    town: LocalHub, servers: ScriptedStubs
) -> None:
    author, victim = servers.somebody("author"), servers.somebody("victim")
    real = reply_to(servers, victim, root_of(author), content="<p>What I said.</p>")
    invented = f"{victim}/notes/never"
    forged = {
        "type": "Note",
        "attributedTo": victim,
        "inReplyTo": root_of(author),
        "to": [PUBLIC],
        "content": "<p>FORGED</p>",
    }
    items = [
        {**forged, "id": real},
        {**forged, "id": invented},
        {
            "type": "Create",
            "id": f"{victim}/c/1",
            "actor": victim,
            "object": {**forged, "id": f"{victim}/notes/2"},
        },
        {"type": "Note"},
        town.object_uri(town.secret_topic),
        "not a url",
        7,
    ]
    context = paged(servers, f"{author}/context", items)
    topic = await arrive(town, servers, author, context=context)
    await until(town, "SELECT 1 FROM objects WHERE uri = ?", real)
    await rest(town, topic)
    thing = await threads.thing_by_uri(town.db, real)
    assert thing is not None and "What I said." in thing.html
    assert await answers(town, topic) == 1
    assert not await town.count("SELECT count(*) FROM objects WHERE html LIKE '%FORGED%'")
    assert servers.fetched(invented) == 1


async def test_only_what_belongs_to_the_thread_and_is_public_is_kept(
    town: LocalHub, servers: ScriptedStubs
) -> None:
    author, other = servers.somebody("author"), servers.somebody("other")
    elsewhere = servers.note(other, number="elsewhere")["id"]
    strays = [
        reply_to(servers, other, elsewhere),
        reply_to(servers, other, root_of(author), to=[f"{other}/followers"], cc=[]),
        reply_to(servers, other, root_of(author), to=[author], cc=[]),
        reply_to(servers, other, root_of(author), type="Tombstone"),
        reply_to(servers, other, town.object_uri(town.secret_topic)),
        servers.note(other, number="no-answer")["id"],
    ]
    fitting = reply_to(servers, other, root_of(author))
    context = paged(servers, f"{author}/context", [*strays, fitting])
    topic = await arrive(town, servers, author, context=context)
    await until(town, "SELECT 1 FROM objects WHERE uri = ?", fitting)
    await rest(town, topic)
    for stray in strays:
        assert await threads.thing_by_uri(town.db, stray) is None


async def test_acceptance_6_a_thread_of_10000_answers_stays_in_budget(
    town: LocalHub, servers: ScriptedStubs
) -> None:
    author = servers.somebody("author")
    host = host_of(servers, author)
    replies = [reply_to(servers, author, root_of(author)) for _ in range(10_000)]
    context = paged(servers, f"{author}/context", replies)
    bounds = worker(town).bounds
    host.fetched.clear()
    topic = await arrive(town, servers, author, context=context)
    await until(town, "SELECT max(walked_at) FROM backfill WHERE root_id = ?", topic)
    await rest(town, topic)
    # At receipt: one round and no more.
    asked = [path for path in host.fetched if "nodeinfo" not in path and path != "/users/author"]
    assert 10 < len(asked) <= bounds.fetches == 30
    assert 10 < await answers(town, topic) < 30
    # Later, round by round: the day's objects and no more, each asked for once.
    worker(town).bounds = Bounds(pause_ms=1)
    await again(town, topic)
    tomorrow = (int(time.time()) // 86_400 + 1) * 86_400_000
    await until(
        town,
        "SELECT 1 FROM backfill WHERE root_id = ? AND next_at >= ?",
        topic,
        tomorrow,
        seconds=90,
    )
    assert await answers(town, topic) == bounds.objects == 500
    asked = [path for path in host.fetched if "/notes/r" in path]
    assert len(asked) == len(set(asked)) == bounds.objects
    assert len(host.fetched) < 2 * bounds.objects
    # It would go on where it was.
    page = await town.db.value("SELECT page FROM backfill WHERE root_id = ?", topic)
    assert page == f"{context}?page={500 // PAGE}"


async def test_acceptance_6_a_collection_that_bites_its_tail_ends(
    town: LocalHub, servers: ScriptedStubs
) -> None:
    author = servers.somebody("author")
    host = host_of(servers, author)
    reply = reply_to(servers, author, root_of(author))
    context = f"{author}/context"
    asked = 0

    async def endless(request: web.Request) -> web.Response:
        nonlocal asked
        asked += 1
        return web.json_response(
            {
                "@context": AS,
                "id": str(request.url),
                "type": "OrderedCollectionPage",
                "next": f"{context}?page={asked % 2}" if asked < 1_000 else None,
                "orderedItems": [reply, root_of(author)],
            },
            content_type=ACTIVITY,
        )

    for url in (context, f"{context}?page=0", f"{context}?page=1"):
        servers.script(url, endless)
    worker(town).bounds = Bounds(pause_ms=1)
    topic = await arrive(town, servers, author, context=context)
    await until(town, "SELECT 1 FROM objects WHERE uri = ?", reply)
    await rest(town, topic)
    await until(
        town, "SELECT 1 FROM backfill WHERE root_id = ? AND state = 'done'", topic, seconds=30
    )
    assert asked <= Bounds().all_pages + Bounds().pages + 2
    assert host.fetched.count(f"/users/author/notes/{reply.rpartition('/')[2]}") == 1


async def test_acceptance_6_pages_that_name_only_rubbish_are_left_after_one_round(
    town: LocalHub, servers: ScriptedStubs
) -> None:
    """Nobody makes us ask a third server more often than one round does."""
    author, victim = servers.somebody("author"), servers.somebody("victim")
    aimed = host_of(servers, victim)
    context = paged(
        servers, f"{author}/context", [f"{aimed.origin}/nothing/{n}" for n in range(1_000)]
    )
    aimed.fetched.clear()
    worker(town).bounds = Bounds(pause_ms=1)
    topic = await arrive(town, servers, author, context=context)
    await until(town, "SELECT 1 FROM backfill WHERE root_id = ? AND state = 'done'", topic)
    await asyncio.sleep(0.2)
    assert 10 < len(aimed.fetched) <= 30
    # The same thread, a moment later: it was read a short while ago.
    assert await town.deliver(
        create(servers.note(author, number="more", inReplyTo=root_of(author), context=context))
    )
    await rest(town, topic)
    assert len(aimed.fetched) <= 30


async def test_a_thread_is_completed_no_deeper_than_its_bound(
    town: LocalHub, servers: ScriptedStubs
) -> None:
    author = servers.somebody("author")
    above, chain = root_of(author), []
    for _ in range(24):
        above = reply_to(servers, author, above)
        chain.append(above)
    worker(town).bounds = Bounds(pause_ms=1)
    topic = await arrive(town, servers, author, context=paged(servers, f"{author}/context", chain))
    await until(town, "SELECT 1 FROM objects WHERE uri = ?", chain[18])
    await rest(town, topic)
    assert await threads.thing_by_uri(town.db, chain[19]) is not None
    assert await threads.thing_by_uri(town.db, chain[20]) is None


async def test_what_a_newly_followed_group_announced_lately_is_kept(
    town: LocalHub, servers: ScriptedStubs
) -> None:
    host = servers.new_host()
    group = servers.somebody("club", host, kind="Group")
    author = servers.somebody("author")
    notes = [servers.note(author, number=f"topic{n}")["id"] for n in range(3)]
    outbox = [
        {
            "type": "Announce",
            "id": f"{group}/announce/{n}",
            "actor": group,
            "object": {"type": "Create", "actor": author, "id": f"{note}/create", "object": note},
        }
        for n, note in enumerate(notes[:2])
    ]
    paged(servers, f"{group}/outbox", [*outbox, {"type": "Announce", "object": notes[2]}], 2)
    found = await town.site.federation.find_actor(group)  # type: ignore[union-attr]
    assert found is not None
    async with town.db.transaction() as tx:
        await follows.request(tx, town.anna, found.id)
    town.site.wake()
    follow = await servers.until(
        lambda: next((a.body for a in servers.hosts[host].arrived if a.body["type"] == "Follow"), 0)
    )
    accept = {
        "@context": AS,
        "id": f"{group}/accept/1",
        "type": "Accept",
        "actor": group,
        "object": follow,
    }
    assert await town.deliver(accept) == "done: follow accepted"
    for note in notes[:2]:
        await until(
            town,
            "SELECT 1 FROM reactions r JOIN objects o ON o.id = r.object_id"
            " WHERE o.uri = ? AND r.actor_id = ? AND r.kind = 'share'",
            note,
            found.id,
        )
    await rest(town, found.id)
    # The first page only.
    assert await threads.thing_by_uri(town.db, notes[2]) is None


async def test_what_is_wanted_survives_and_is_read_once(
    town: LocalHub, servers: ScriptedStubs
) -> None:
    """The row is the memory: a lane that lost its time is found again, a second reading changes nothing."""
    author = servers.somebody("author")
    reply = reply_to(servers, author, root_of(author))
    topic = await arrive(town, servers, author)
    context = paged(servers, f"{author}/context", [reply])
    thing = await threads.thing(town.db, topic)
    assert thing is not None and thing.host_id is not None
    async with town.db.transaction() as tx:
        await backlog.want(tx, topic, "context", context, thing.host_id)
        await tx.execute("UPDATE lanes SET next_at = NULL WHERE queue = 'backfill'")
    await lanes.find_lost(town.db)
    worker(town).wake()
    await until(town, "SELECT 1 FROM objects WHERE uri = ?", reply)
    await rest(town, topic)
    async with town.db.transaction() as tx:
        await tx.execute(
            "UPDATE backfill SET state = 'waiting', page = NULL WHERE root_id = ?", topic
        )
    await again(town, topic)
    await rest(town, topic)
    assert await answers(town, topic) == 1
    assert servers.fetched(reply) == 1


async def test_a_deleted_thread_is_not_looked_for(town: LocalHub, servers: ScriptedStubs) -> None:
    author = servers.somebody("author")
    reply = reply_to(servers, author, root_of(author))
    worker(town).bounds = Bounds(lanes=0)
    topic = await arrive(
        town, servers, author, context=paged(servers, f"{author}/context", [reply])
    )
    thing = await threads.thing(town.db, topic)
    assert thing is not None
    async with town.db.transaction() as tx:
        await threads.delete(tx, thing.author_id, topic)
    worker(town).bounds = Bounds()
    await again(town, topic)
    await until(town, "SELECT count(*) = 0 FROM backfill WHERE root_id = ?", topic)
    assert servers.fetched(reply) == 0


async def test_the_object_of_an_item_is_found_in_what_activities_wrap() -> None:
    uri = "https://peer.example/notes/1"
    create = {"type": "Create", "id": "https://peer.example/c/1", "object": {"id": uri}}
    for item in (uri, {"id": uri, "type": "Note"}, create, {"type": "Announce", "object": create}):
        assert object_named(item, allow_http=False) == uri
    # Some write each type as a list, or with the name of its vocabulary before it.
    listed = {**create, "type": ["Create"]}
    for item in ({"id": uri, "type": ["Note"]}, listed, {"type": "as:Announce", "object": listed}):
        assert object_named(item, allow_http=False) == uri
    for nothing in ({"type": "Create"}, {}, "tag:x", {"type": "Announce", "object": [uri]}):
        assert object_named(nothing, allow_http=False) is None


# A server that answers slowly, or without end


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def hasty(
    tmp_path_factory: pytest.TempPathFactory, migrated_sqlite: Path, servers: ScriptedStubs
) -> AsyncIterator[LocalHub]:
    """A hub that waits a second for a whole answer."""
    folder = tmp_path_factory.mktemp("hasty")
    made = SQLiteDatabases(folder, migrated_sqlite)
    settings = {"federation": {"connect_seconds": 0.5, "total_seconds": 1.0}}
    async with local_hub(folder, made.migrated(), servers, settings) as hub:
        yield hub
    made.remove_all()


async def test_acceptance_6_a_slow_drip_holds_one_lane_for_a_second(
    hasty: LocalHub, servers: ScriptedStubs
) -> None:
    author = servers.somebody("author")
    started: list[float] = []
    ended: list[float] = []

    async def drip(request: web.Request) -> web.StreamResponse:
        started.append(time.monotonic())
        answer = web.StreamResponse(headers={"Content-Type": ACTIVITY})
        await answer.prepare(request)
        try:
            for _ in range(300):
                await answer.write(b" ")
                await asyncio.sleep(0.1)
        finally:
            ended.append(time.monotonic())
        return answer

    context = servers.script(f"{author}/context", drip)
    topic = await arrive(hasty, servers, author, context=context)
    # Others do not wait for it.
    healthy = servers.somebody("healthy")
    reply = reply_to(servers, healthy, root_of(healthy))
    await arrive(hasty, servers, healthy, context=paged(servers, f"{healthy}/context", [reply]))
    await until(hasty, "SELECT 1 FROM objects WHERE uri = ?", reply, seconds=5)
    await until(hasty, "SELECT attempts FROM backfill WHERE root_id = ?", topic)
    await servers.until(lambda: ended, 5)
    assert ended[0] - started[0] < 3
    # It is tried again after minutes, and then given up.
    row = await hasty.db.one("SELECT state, next_at FROM backfill WHERE root_id = ?", topic)
    assert row is not None and row["state"] == "waiting"
    assert row["next_at"] > time.time() * 1000 + 200_000
    assert len(started) == 1


async def test_acceptance_6_a_page_of_a_gigabyte_is_not_read(
    hasty: LocalHub, servers: ScriptedStubs
) -> None:
    author = servers.somebody("author")
    sent = 0

    async def gigabyte(request: web.Request) -> web.StreamResponse:
        nonlocal sent
        answer = web.StreamResponse(headers={"Content-Type": ACTIVITY})
        await answer.prepare(request)
        chunk = b'"x",' * 16_384
        await answer.write(b'{"type":"OrderedCollection","orderedItems":[')
        while sent < 1_024 * MIB:
            await answer.write(chunk)
            sent += len(chunk)
        return answer

    context = servers.script(f"{author}/context", gigabyte)
    topic = await arrive(hasty, servers, author, context=context)
    await until(hasty, "SELECT 1 FROM backfill WHERE root_id = ? AND state = 'done'", topic)
    # What was in flight when we hung up counts as well.
    assert sent < 16 * MIB


async def test_looking_a_post_up_by_its_address_completes_its_thread_in_the_background(
    town: LocalHub, servers: ScriptedStubs
) -> None:
    author, other = servers.somebody("author"), servers.somebody("other")
    root = servers.note(author, number="looked-up", replies=f"{author}/notes/looked-up/replies")
    answer = reply_to(servers, other, root["id"])
    paged(servers, f"{author}/notes/looked-up/replies", [answer])
    assert town.site.federation is not None
    found = await town.site.federation.find_object(root["id"])
    assert found is not None
    await until(town, "SELECT 1 FROM objects WHERE uri = ? AND topic_id = ?", answer, found)
