"""Who goes along when somebody moves, and who does not."""

from __future__ import annotations

from fedcomm.hub import avoidance, follows, groups, moving
from tests.hub.world import World


async def followed_by(world: World, member: int) -> list[int]:
    return [actor.id for actor, _ in await follows.followed_by(world.db, member)]


async def test_who_may_not_go_along_keeps_nobody_else_back(world: World) -> None:
    old, new = await world.remote("rosa"), await world.remote("rosa", "new.test")
    anna, berta, carla, dora = [
        await world.member(name) for name in ("anna", "berta", "carla", "dora")
    ]
    for member in (anna, berta, carla, dora):
        await world.do(follows.request, member, old)
    await world.do(avoidance.avoid, anna, new, "block")
    home = await world.remote("berta", "home.test")
    await world.run("UPDATE actors SET moved_to_uri = ? WHERE id = ?", "https://home.test/b", berta)
    await world.do(follows.request, carla, home)

    assert await world.do(moving.follow_along, old, new) == 4
    assert await followed_by(world, anna) == []
    assert await followed_by(world, berta) == []
    assert sorted(await followed_by(world, carla)) == sorted([home, new])
    assert await followed_by(world, dora) == [new]


async def test_nobody_follows_into_a_server_that_is_suspended(world: World) -> None:
    old, new = await world.remote("rosa"), await world.remote("rosa", "bad.test")
    anna = await world.member("anna")
    await world.do(follows.request, anna, old)
    await world.run("UPDATE hosts SET policy = 'suspend' WHERE name = 'bad.test'")
    assert await world.do(moving.follow_along, old, new) == 1
    assert await followed_by(world, anna) == []


async def test_whoever_is_the_new_account_does_not_follow_themselves(world: World) -> None:
    anna = await world.member("anna")
    old = await world.remote("anna", "old.test")
    await world.do(follows.request, anna, old)
    assert await world.do(moving.follow_along, old, anna) == 1
    assert await followed_by(world, anna) == []


async def test_who_is_banned_from_the_new_group_keeps_nobody_else_back(world: World) -> None:
    anna, berta, carla = [await world.member(name) for name in ("anna", "berta", "carla")]
    group = await world.group("garden", anna)
    old = await world.remote("garden", "old.test", kind="group")
    for member in (berta, carla):
        await world.do(follows.request, member, old)
    await world.run(
        "INSERT INTO memberships (group_id, actor_id, role, state, created_at)"
        " VALUES (?, ?, 'member', 'banned', 0)",
        group,
        berta,
    )
    assert await world.do(moving.join_along, old, group) == 2
    place = await groups.membership(world.db, group, carla)
    assert place is not None and place.state == "active"
    assert await followed_by(world, berta) == await followed_by(world, carla) == []
