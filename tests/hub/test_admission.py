"""What a group asks of those who write in it, and what waits for a moderator."""

from __future__ import annotations

import pytest

from fedcomm.hub import (
    groups,
    moderation,
    statements,
    threads,
)
from fedcomm.hub.errors import Invalid, NotAllowed
from fedcomm.hub.visibility import ANONYMOUS, can_read
from tests.hub.moderated import Town, from_elsewhere, told, town_of
from tests.hub.world import World, words


@pytest.fixture
async def town(world: World) -> Town:
    return await town_of(world)


async def test_who_opens_topics(world: World, town: Town) -> None:
    bob = await world.remote("bob")
    await from_elsewhere(world, bob, town.group)
    await world.run("UPDATE groups SET topics_by = 'members'")
    with pytest.raises(NotAllowed):
        await from_elsewhere(world, bob, town.group)
    await world.do(groups.join, town.group, bob, follow_uri="https://far.test/f")
    await from_elsewhere(world, bob, town.group)
    await world.run("UPDATE groups SET topics_by = 'moderators'")
    with pytest.raises(NotAllowed):
        await from_elsewhere(world, bob, town.group)
    with pytest.raises(NotAllowed):
        await world.topic(town.carla, town.group)
    await world.topic(town.mara, town.group)


async def test_so_many_topics_an_hour_and_no_more(world: World, town: Town) -> None:
    await world.run("UPDATE groups SET topics_per_hour = 2")
    await world.topic(town.carla, town.group)
    await world.topic(town.carla, town.group)
    with pytest.raises(NotAllowed):
        await world.topic(town.carla, town.group)
    await world.topic(town.berta, town.group)
    with pytest.raises(NotAllowed):
        await world.topic(town.berta, town.group)
    for _ in range(3):
        await world.topic(town.mara, town.group)


async def test_a_first_post_waits_unseen_and_is_news_when_it_is_let_in(
    world: World, town: Town
) -> None:
    await world.run("UPDATE groups SET first_posts_wait = 1")
    bob = await world.remote("bob")
    last = len(await world.events())
    topic = await from_elsewhere(world, bob, town.group, "Greetings")
    assert (await world.events())[last:] == ["object_held"]
    assert not await can_read(world.db, ANONYMOUS, topic)
    assert not await can_read(world.db, await world.viewer(bob), topic)
    assert "post_waiting" in await told(world, town.mara)
    with pytest.raises(NotAllowed):
        await world.do(moderation.let_in, town.carla, topic)
    await world.do(moderation.let_in, town.mara, topic)
    assert (await world.events())[last:] == ["object_held", "topic_created"]
    assert await can_read(world.db, ANONYMOUS, topic)
    second = await from_elsewhere(world, bob, town.group)
    assert await can_read(world.db, ANONYMOUS, second), "its host is known from now on"


async def test_a_first_reply_waits_uncounted(world: World, town: Town) -> None:
    await world.run("UPDATE groups SET first_posts_wait = 1")
    bob = await world.remote("bob")
    before = (await world.thing(town.topic)).reply_count
    reply = await world.do(
        threads.create_reply,
        bob,
        town.topic,
        words("x"),
        provenance=await world.provenance(bob),
    )
    assert (await world.thing(town.topic)).reply_count == before
    assert await told(world, town.berta) == ["reply", "membership_activated"], "Carla's"
    await world.do(moderation.let_in, town.mara, reply)
    assert (await world.thing(town.topic)).reply_count == before + 1
    assert (await told(world, town.berta))[:2] == ["reply", "reply"]


async def test_a_refused_first_post_leaves_no_word_but_the_reason(world: World, town: Town) -> None:
    await world.run("UPDATE groups SET first_posts_wait = 1")
    bob = await world.remote("bob")
    topic = await from_elsewhere(world, bob, town.group, "Zucchini")
    with pytest.raises(Invalid):
        await world.do(moderation.turn_away, town.mara, topic, " ")
    await world.do(moderation.turn_away, town.mara, topic, "Advertising.")
    assert (await world.thing(topic)).title == ""
    (made,) = await statements.about(world.db, bob)
    assert (made.action, made.reason) == ("refuse", "Advertising.")
    assert (await world.thing(await from_elsewhere(world, bob, town.group))).withheld == "waiting"
