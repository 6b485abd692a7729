"""What one server sends at once is taken as if it had come one after the other, whatever is prepared ahead."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest
from aiohttp import web

from fedcomm.federation.pressure import Pressure
from fedcomm.federation.spoke import FederationSpoke
from fedcomm.hub import moderation, policy_changes
from fedcomm.hub.policies import Entry
from tests.federation.acts import activity, create
from tests.federation.inprocess import LocalHub, ScriptedStubs
from tests.federation.stub import ACTIVITY, PUBLIC

WHY = moderation.Grounds("It advertises.")

pytestmark = pytest.mark.asyncio(loop_scope="module")


def note(town: LocalHub, author: str, uri: str, **more: Any) -> dict[str, Any]:
    """An answer to the topic, if `more` does not say otherwise."""
    answer = {
        "id": uri,
        "type": "Note",
        "attributedTo": author,
        "to": [PUBLIC],
        "inReplyTo": town.object_uri(town.topic),
        "content": "<p>Add compost.</p>",
    }
    return answer | more


def like(author: str, uri: str) -> dict[str, Any]:
    return activity(author, "Like", uri)


async def known(town: LocalHub, *people: str) -> None:
    """They are known here."""
    for who in people:
        await town.deliver(like(who, town.object_uri(town.topic)))


@asynccontextmanager
async def at_once(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[None]:
    """What is posted in the block is worked off together, after it."""
    with monkeypatch.context() as busy:
        busy.setattr(Pressure, "hands", lambda self, hands: 0)
        yield
        await asyncio.sleep(0.2)


async def test_a_message_for_a_member_is_notified_whatever_came_before_it_in_its_batch(
    town: LocalHub, servers: ScriptedStubs, monkeypatch: pytest.MonkeyPatch
) -> None:
    host = servers.new_host()
    bob, carol = servers.somebody("bob", host), servers.somebody("carol", host)
    await known(town, bob, carol)
    first = create(note(town, bob, f"{bob}/notes/1"))
    anna = town.person(town.anna)
    mention = {"type": "Mention", "href": anna, "name": "@anna"}
    message = note(town, carol, f"{carol}/notes/1", to=[anna], inReplyTo=None, tag=[mention])
    second = create(message, to=[anna])
    async with at_once(monkeypatch):
        for act in (first, second):
            assert await town.post(act) == 202
    assert await town.verdict(first) == "done: stored"
    assert await town.verdict(second) == "done: stored"
    row = await town.db.one(
        "SELECT o.id, o.visibility FROM objects o WHERE o.uri = ?", f"{carol}/notes/1"
    )
    assert row is not None and row["visibility"] == "direct"
    told = await town.db.all(
        "SELECT kind FROM notifications WHERE member_id = ? AND object_id = ?", town.anna, row["id"]
    )
    assert [each["kind"] for each in told] == ["mention"], "anna never hears of the message"


async def test_a_like_of_what_the_activity_before_it_brought_counts(
    town: LocalHub, servers: ScriptedStubs, monkeypatch: pytest.MonkeyPatch
) -> None:
    host = servers.new_host()
    bob, carol, dora = (servers.somebody(name, host) for name in ("bob", "carol", "dora"))
    await known(town, bob, carol, dora)
    parent = servers.script(f"{dora}/notes/1", note(town, dora, f"{dora}/notes/1"))
    first = create(note(town, bob, f"{bob}/notes/1", inReplyTo=parent))
    second = like(carol, parent)
    async with at_once(monkeypatch):
        for act in (first, second):
            assert await town.post(act) == 202
    assert await town.verdict(first) == "done: stored"
    assert await town.verdict(second) == "done: like"


async def test_what_many_answer_is_fetched_once(
    town: LocalHub, servers: ScriptedStubs, monkeypatch: pytest.MonkeyPatch
) -> None:
    host, other = servers.new_host(), servers.new_host()
    people = [servers.somebody(f"p{number}", host) for number in range(16)]
    await known(town, *people)
    dora = servers.somebody("dora", other)
    parent = servers.script(f"{dora}/notes/1", note(town, dora, f"{dora}/notes/1"))
    wave = [create(note(town, who, f"{who}/notes/1", inReplyTo=parent)) for who in people]
    async with at_once(monkeypatch):
        for act in wave:
            assert await town.post(act) == 202
    assert {await town.verdict(act) for act in wave} == {"done: stored"}
    assert servers.fetched(parent) <= 2, servers.fetched(parent)


def slow(answered: asyncio.Event, asked: asyncio.Event) -> Any:
    async def answer(request: web.Request) -> web.Response:
        asked.set()
        await answered.wait()
        return web.Response(status=404)

    return answer


async def _behind_a_slow_one(
    town: LocalHub,
    servers: ScriptedStubs,
    monkeypatch: pytest.MonkeyPatch,
    bob: str,
    late: Mapping[str, Any],
) -> tuple[asyncio.Event, dict[str, Any]]:
    """`late` waits behind an activity of bob's whose parent takes long; what lets it go on."""
    answered, asked = asyncio.Event(), asyncio.Event()
    parent = servers.script(f"{bob}/slow", slow(answered, asked))
    first = create(note(town, bob, f"{bob}/notes/slow", inReplyTo=parent))
    async with at_once(monkeypatch):
        for act in (first, late):
            assert await town.post(act) == 202
    async with asyncio.timeout(20):
        await asked.wait()
    await asyncio.sleep(0.3)
    return answered, first


async def test_inv_21_nothing_of_a_suspended_server_comes_in_that_waited_behind_a_slow_one(
    town: LocalHub, servers: ScriptedStubs, monkeypatch: pytest.MonkeyPatch
) -> None:
    host = servers.new_host()
    bob, carol = servers.somebody("bob", host), servers.somebody("carol", host)
    await known(town, bob, carol)
    late = create(note(town, carol, f"{carol}/notes/1"))
    answered, _ = await _behind_a_slow_one(town, servers, monkeypatch, bob, late)
    name = carol.split("://")[1].split("/")[0]
    async with town.db.transaction() as tx:
        await policy_changes.apply(
            tx, {name: Entry(name, "suspend")}, by=None, kind="set", reason="why"
        )
    town.site.federation.policies_changed()  # type: ignore[union-attr]
    answered.set()
    assert await town.verdict(late) == "refused: suspended"


async def test_nothing_of_a_suspended_person_comes_in_that_waited_behind_a_slow_one(
    town: LocalHub, servers: ScriptedStubs, monkeypatch: pytest.MonkeyPatch
) -> None:
    host = servers.new_host()
    bob, carol = servers.somebody("bob", host), servers.somebody("carol", host)
    await known(town, bob, carol)
    before = await town.write_topic(town.group, "Before")
    late = like(carol, town.object_uri(before))
    answered, _ = await _behind_a_slow_one(town, servers, monkeypatch, bob, late)
    person = await town.count("SELECT id FROM actors WHERE uri = ?", carol)
    async with town.db.transaction() as tx:
        await moderation.suspend(tx, town.anna, person, WHY)
    answered.set()
    assert (await town.verdict(late)).startswith("refused")


async def test_answers_to_what_a_slow_server_has_are_not_lost(
    town: LocalHub, servers: ScriptedStubs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sixteen fetches at the same moment would wait for four connections, and run out of time where one after the other
    has plenty; what could not be fetched is taken for unknown."""
    host, other = servers.new_host(), servers.new_host()
    people = [servers.somebody(f"p{number}", host) for number in range(16)]
    dora = servers.somebody("dora", other)
    await known(town, *people, dora)

    def slowly(uri: str) -> Any:
        async def answer(request: web.Request) -> web.Response:
            await asyncio.sleep(0.3)
            return web.json_response(note(town, dora, uri), content_type=ACTIVITY)

        return answer

    wave = []
    for who in people:
        parent = f"{dora}/notes/{len(wave)}"
        servers.script(parent, slowly(parent))
        wave.append(create(note(town, who, f"{who}/notes/1", inReplyTo=parent)))
    client = town.site.federation._client  # type: ignore[union-attr]
    monkeypatch.setattr(client, "policy", replace(client.policy, total_seconds=1.0))
    async with at_once(monkeypatch):
        for act in wave:
            assert await town.post(act) == 202
    assert [await town.verdict(act) for act in wave] == ["done: stored"] * 16


async def test_inv_45_one_server_has_few_fetches_under_way(
    town: LocalHub, servers: ScriptedStubs, monkeypatch: pytest.MonkeyPatch
) -> None:
    host = servers.new_host()
    people = [servers.somebody(f"p{number}", host) for number in range(24)]
    await known(town, *people)
    now = most = 0
    let_go = asyncio.Event()

    async def answer(request: web.Request) -> web.Response:
        nonlocal now, most
        now += 1
        most = max(now, most)
        try:
            await let_go.wait()
        finally:
            now -= 1
        return web.Response(status=404)

    wave = [
        create(
            note(
                town,
                who,
                f"{who}/notes/1",
                inReplyTo=servers.script(f"{servers.somebody('x')}/notes/1", answer),
            )
        )
        for who in people
    ]
    async with at_once(monkeypatch):
        for act in wave:
            assert await town.post(act) == 202
    await asyncio.sleep(1.5)
    let_go.set()
    for act in wave:
        await town.verdict(act)
    assert most == 1


@pytest.mark.parametrize("fetches", [False, True])
async def test_who_says_it_first_is_no_echo_of_those_who_come_later(
    town: LocalHub, servers: ScriptedStubs, monkeypatch: pytest.MonkeyPatch, fetches: bool
) -> None:
    """Also where what was prepared ahead is prepared once more, since the one before it asks another server."""
    host, other = servers.new_host(), servers.new_host()
    bob, dora = servers.somebody("bob", host), servers.somebody("dora", other)
    people = [servers.somebody(f"p{number}", host) for number in range(5)]
    await known(town, bob, dora, *people)
    more = {}
    if fetches:
        parent = f"{dora}/notes/1"
        more["inReplyTo"] = servers.script(parent, note(town, dora, parent))
    acts = [create(note(town, bob, f"{bob}/notes/1", content="<p>Worms do it well.</p>", **more))]
    text = (
        "<p>Everybody should really come and look at roses of my grandmother today.</p>"
        if fetches
        else "<p>Seven brown hens crossed our muddy lane while nobody was watching them closely.</p>"
    )
    acts += [create(note(town, who, f"{who}/notes/1", content=text)) for who in people]
    async with at_once(monkeypatch):
        for act in acts:
            assert await town.post(act) == 202
    said = [await town.verdict(act) for act in acts]
    assert said[:3] == ["done: stored"] * 3
    assert all(each.startswith("suspect") for each in said[3:])


async def test_inv_9_what_was_done_meanwhile_is_not_held(
    town: LocalHub, servers: ScriptedStubs
) -> None:
    bob = servers.somebody("bob", servers.new_host())
    act = create(note(town, bob, f"{bob}/notes/1"))
    assert await town.deliver(act) == "done: stored"
    row = await town.count("SELECT id FROM inbox WHERE uri = ?", act["id"])
    spoke = town.site.federation
    assert isinstance(spoke, FederationSpoke)
    await spoke._intake._hold(row)
    assert await town.db.value("SELECT state FROM inbox WHERE id = ?", row) == "done"
