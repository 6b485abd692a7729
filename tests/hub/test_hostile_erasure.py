"""What comes while somebody is being erased: nothing of it outlives them (INV-49, INV-50)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from fedcomm.hub import actors, erasure, follows, groups, reactions, threads
from fedcomm.hub.errors import HubError, NotAllowed
from fedcomm.site import Site
from fedcomm.store.ids import now_ms
from tests.databases import ORIGIN
from tests.hub.world import World, words

MARK = "zqmarkerqz"


@pytest.fixture
def world(site: Site) -> World:
    """An empty hub and the means to fill it."""
    return World(site)


async def begin(world: World, kind: erasure.Kind, subject: int) -> erasure.Case:
    case_id = await world.do(
        erasure.request, kind, subject, requested_by=None, reason="They asked for it."
    )
    return await current(world, case_id)


async def current(world: World, case_id: int) -> erasure.Case:
    one = await erasure.case(world.db, case_id)
    assert one is not None
    return one


async def until(world: World, one: erasure.Case, *states: erasure.State) -> erasure.Case:
    """The case when it is in one of these states."""
    for _ in range(200):
        if one.state in states:
            return one
        one = await erasure.advance(world.db, one, origin=ORIGIN)
    raise AssertionError(one.state)


async def is_left(world: World, object_id: int) -> bool:
    known = await threads.thing(world.db, object_id)
    assert known is not None
    found = await world.db.value("SELECT count(*) FROM objects WHERE html LIKE ?", f"%{MARK}%")
    return known.deleted_at is None or bool(found)


async def slip_in(world: World, author: int, uri: str) -> int:
    """A row that a transaction wrote which had looked before the erasure was asked for."""
    host = await world.db.value("SELECT host_id FROM actors WHERE id = ?", author)
    number = now_ms() << 20
    await world.run(
        "INSERT INTO objects (id, kind, type, uri, host_id, author_id, topic_id, visibility, title,"
        " source, html, summary, created_at, published_at, active_at)"
        " VALUES (?, 'post', 'Note', ?, ?, ?, ?, 'public', '', '', ?, '', 1, 1, 1)",
        *(number, uri, host, author, number, f"<p>{MARK}</p>"),
    )
    return number


@pytest.mark.parametrize("kind", ["member", "remote", "host"])
async def test_inv_49_words_that_slip_in_while_the_rows_go_are_erased_too(
    world: World, kind: erasure.Kind
) -> None:
    await world.member("boss", role="administrator")
    subject = author = (
        await world.member("anna") if kind == "member" else await world.remote("eve", "evil.test")
    )
    if kind == "host":
        subject = int(await world.db.value("SELECT host_id FROM actors WHERE id = ?", author))
    one = await until(world, await begin(world, kind, subject), "rows")
    late = await slip_in(world, author, "https://evil.test/late")
    one = await until(world, one, "scrub")
    assert not await is_left(world, late)
    if kind != "member":
        assert await erasure.erased_at(world.db, "object", "https://evil.test/late") is not None
    assert one.objects == 1


async def test_inv_50_a_fetched_profile_does_not_bring_back_who_is_being_erased(
    world: World,
) -> None:
    eve = await world.remote("eve", "evil.test")
    one = await until(world, await begin(world, "remote", eve), "rows")
    assert await world.remote("eve", "evil.test") == eve
    known = await actors.actor(world.db, eve)
    assert known is not None and known.deleted_at is not None
    await until(world, one, "scrub")
    # Whoever comes back afterwards is somebody new to us.
    assert await world.remote("eve", "evil.test") != eve


async def test_inv_50_a_server_writes_nothing_while_it_is_being_erased(world: World) -> None:
    eve = await world.remote("eve", "evil.test")
    host = int(await world.db.value("SELECT host_id FROM actors WHERE id = ?", eve))
    await until(world, await begin(world, "host", host), "rows")
    with pytest.raises(NotAllowed):
        await world.post(eve, MARK)


Act = Callable[["World", int, int], Awaitable[object]]


async def answer(world: World, who: int, topic: int) -> None:
    await world.do(threads.create_reply, who, topic, words(MARK))


async def like(world: World, who: int, topic: int) -> None:
    await world.do(reactions.add, who, topic, "like")


async def edit(world: World, who: int, topic: int) -> None:
    mine = await world.db.value("SELECT id FROM objects WHERE author_id = ?", who)
    await world.do(threads.edit, who, int(mine), words(MARK, title="x"))


@pytest.mark.parametrize("act", [answer, like, edit])
@pytest.mark.parametrize("state", ["gone", "suspended"])
async def test_inv_21_a_request_that_began_before_does_nothing_afterwards(
    world: World, act: Act, state: str
) -> None:
    await world.member("boss", role="administrator")
    anna = await world.member("anna")
    group = await world.group("garden", anna)
    await world.topic(anna, group)
    # Of another server, in no group of ours: no group's rules stand before it.
    post = await world.post(await world.remote("rita"), "hello")
    if state == "gone":
        await begin(world, "member", anna)
    else:
        await world.run("UPDATE actors SET suspended_at = 1 WHERE id = ?", anna)
    with pytest.raises(HubError):
        await act(world, anna, post)


async def test_inv_21_nobody_who_is_gone_follows_or_joins(world: World) -> None:
    boss = await world.member("boss", role="administrator")
    anna = await world.member("anna")
    group = await world.group("garden", boss)
    await begin(world, "member", anna)
    with pytest.raises(HubError):
        await world.do(follows.request, anna, boss)
    with pytest.raises(HubError):
        await world.do(groups.join, group, anna)
