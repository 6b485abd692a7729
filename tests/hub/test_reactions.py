from __future__ import annotations

import pytest

from fedcomm.hub import groups, notifications, reactions, threads, timelines
from fedcomm.hub.errors import NotFound
from tests.hub.world import World


@pytest.fixture
async def anna(world: World) -> int:
    return await world.member("anna")


@pytest.fixture
async def topic(world: World, anna: int) -> int:
    return await world.topic(anna, await world.group("ambiente", anna))


async def counts(world: World, object_id: int) -> tuple[int, int, int]:
    thing = await world.thing(object_id)
    return thing.like_count, thing.dislike_count, thing.share_count


async def test_a_like_counts_once_however_often_it_comes(world: World, topic: int) -> None:
    bob = await world.remote("bob")
    assert await world.do(reactions.add, bob, topic, "like", uri="https://far.test/like/1")
    assert not await world.do(reactions.add, bob, topic, "like", uri="https://far.test/like/2")
    assert await counts(world, topic) == (1, 0, 0)
    assert await world.do(reactions.withdraw, bob, topic, "like")
    assert not await world.do(reactions.withdraw, bob, topic, "like")
    assert await counts(world, topic) == (0, 0, 0)
    assert (await world.events())[-2:] == ["reaction_added", "reaction_withdrawn"]


async def test_one_activity_of_another_server_is_one_reaction(world: World, topic: int) -> None:
    bob = await world.remote("bob")
    eve = await world.remote("eve")
    uri = "https://far.test/like/1"
    assert await world.do(reactions.add, bob, topic, "like", uri=uri)
    assert not await world.do(reactions.add, eve, topic, "like", uri=uri)
    assert await counts(world, topic) == (1, 0, 0)


async def test_a_like_takes_the_dislike_back_and_the_other_way_round(
    world: World, topic: int
) -> None:
    berta = await world.member("berta")
    await world.do(reactions.add, berta, topic, "share")
    await world.do(reactions.add, berta, topic, "dislike")
    assert await counts(world, topic) == (0, 1, 1)
    await world.do(reactions.add, berta, topic, "like")
    assert await counts(world, topic) == (1, 0, 1)
    await world.do(reactions.add, berta, topic, "dislike")
    assert await counts(world, topic) == (0, 1, 1)
    mine = await reactions.reacted(world.db, berta, [topic])
    assert mine == {topic: {"dislike", "share"}}
    assert await reactions.reacted(world.db, berta, []) == {}


async def test_a_page_shows_the_viewers_own_reactions_only(world: World, topic: int) -> None:
    berta = await world.member("berta")
    carla = await world.member("carla")
    await world.do(reactions.add, berta, topic, "like")
    for person, expected in ((berta, {"like"}), (carla, set())):
        shown = await timelines.post(world.db, await world.viewer(person), topic)
        assert shown is not None and shown.reacted == expected


async def test_counters_are_never_negative(world: World, topic: int) -> None:
    bob = await world.remote("bob")
    await world.do(reactions.add, bob, topic, "like")
    await world.run("UPDATE objects SET like_count = 0")
    await world.do(reactions.withdraw, bob, topic, "like")
    assert await counts(world, topic) == (0, 0, 0)


async def test_inv_20_what_one_may_not_read_cannot_be_liked(world: World, anna: int) -> None:
    berta = await world.member("berta")
    bob = await world.remote("bob")
    group = await world.group("segreto", anna, mode="private")
    secret = await world.topic(anna, group)
    for person in (berta, bob):
        with pytest.raises(NotFound):
            await world.do(reactions.add, person, secret, "like")
    await world.do(groups.add_member, group, anna, berta)
    assert await world.do(reactions.add, berta, secret, "like")


async def test_what_is_gone_cannot_be_liked(world: World, anna: int, topic: int) -> None:
    bob = await world.remote("bob")
    await world.do(threads.delete, anna, topic)
    for target in (topic, 12345):
        with pytest.raises(NotFound):
            await world.do(reactions.add, bob, target, "like")


async def test_the_author_is_told_of_likes_and_shares_but_not_of_dislikes(
    world: World, anna: int, topic: int
) -> None:
    bob = await world.remote("bob")
    for kind in ("dislike", "like", "share"):
        await world.do(reactions.add, bob, topic, kind)  # type: ignore[arg-type]
    await world.do(reactions.add, anna, topic, "like")
    told = await notifications.list_notifications(world.db, anna)
    assert [line.kind for line in told] == ["share", "like"]
