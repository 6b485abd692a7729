"""Blocks and mutes of a member: what they hide, what they end, and that nobody hears of it."""

from __future__ import annotations

import pytest

from fedcomm.hub import avoidance, follows, groups, notifications, search, threads, timelines
from fedcomm.hub.errors import NotAllowed, NotFound
from fedcomm.hub.visibility import member
from tests.hub.world import World


@pytest.fixture
async def anna(world: World) -> int:
    return await world.member("anna")


async def told(world: World, member_id: int) -> int:
    listed = await notifications.list_notifications(world.db, member_id)
    assert len(listed) >= await notifications.unread_count(world.db, member_id)
    return len(listed)


@pytest.mark.parametrize("kind", ["block", "mute"])
async def test_who_is_avoided_is_not_shown_and_tells_nothing(
    world: World, anna: int, kind: avoidance.Kind
) -> None:
    group = await world.group("garden", anna)
    topic = await world.topic(anna, group)
    eve = await world.member("eve")
    await world.do(groups.join, group, eve)
    await world.do(follows.request, anna, eve)
    before = await world.reply(eve, topic, "zucchini before")
    assert await told(world, anna) > 0
    await world.do(avoidance.avoid, anna, eve, kind)
    after = await world.reply(eve, topic, "zucchini after")
    assert await told(world, anna) == 0
    assert await notifications.unread_count(world.db, anna) == 0
    assert not await timelines.replies(world.db, member(anna), topic)
    assert not await search.find(world.db, member(anna), "zucchini")
    assert len(await timelines.replies(world.db, member(eve), topic)) == 2
    # A moderator finds it by its address all the same.
    assert await timelines.post(world.db, member(anna), after) is not None
    await world.do(threads.delete, eve, after)
    await world.do(avoidance.meet_again, anna, eve)
    shown = await timelines.replies(world.db, member(anna), topic)
    assert [post.thing.id for post in shown] == [before]


async def test_who_is_blocked_cannot_follow_and_is_told_nothing(world: World, anna: int) -> None:
    bob = await world.remote("bob")
    await world.do(follows.request, bob, anna, follow_uri="https://far.test/f/1")
    await world.do(avoidance.avoid, anna, bob, "block")
    await world.do(follows.keep_away, anna, bob)
    assert await follows.find(world.db, bob, anna) is None
    with pytest.raises(NotFound):
        await world.do(follows.request, bob, anna, follow_uri="https://far.test/f/2")
    with pytest.raises(NotAllowed):
        await world.do(follows.request, anna, bob)
    assert "block_announced" not in await world.events()


async def test_a_block_of_a_server_reaches_everybody_there_and_nobody_else(
    world: World, anna: int
) -> None:
    bob, other = await world.remote("bob"), await world.remote("ida", "near.test")
    for person in (bob, other):
        await world.do(follows.request, person, anna, follow_uri=f"https://x.test/{person}")
    host = await world.do(avoidance.avoid_host, anna, " FAR.test", "block")
    await world.do(follows.keep_host_away, anna, host)
    assert await follows.find(world.db, bob, anna) is None
    assert await follows.find(world.db, other, anna) is not None
    with pytest.raises(NotFound):
        await world.do(follows.request, bob, anna)
    await world.do(avoidance.meet_host_again, anna, host)
    await world.do(follows.request, bob, anna)
    with pytest.raises(NotFound):
        await world.do(avoidance.avoid_host, anna, "never.test", "mute")


async def test_a_mute_leaves_the_follows_and_no_trace_in_the_journal(
    world: World, anna: int
) -> None:
    bob = await world.remote("bob")
    await world.do(follows.request, bob, anna, follow_uri="https://far.test/f/1")
    before = await world.events()
    await world.do(avoidance.avoid, anna, bob, "mute", announce=True)
    await world.do(avoidance.meet_again, anna, bob)
    assert await world.events() == before
    assert await follows.find(world.db, bob, anna) is not None


async def test_nobody_blocks_themselves_or_a_group(world: World, anna: int) -> None:
    group = await world.group("garden", anna)
    with pytest.raises(NotAllowed):
        await world.do(avoidance.avoid, anna, anna, "block")
    with pytest.raises(NotFound):
        await world.do(avoidance.avoid, anna, group, "block")
