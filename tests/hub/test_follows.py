from __future__ import annotations

import pytest

from fedcomm.hub import follows, journal, notifications
from fedcomm.hub.errors import NotAllowed, NotFound
from tests.hub.world import World


@pytest.fixture
async def anna(world: World) -> int:
    return await world.member("anna")


async def state_of(world: World, follower: int, followed: int) -> str | None:
    found = await follows.find(world.db, follower, followed)
    return found.state if found else None


async def test_a_remote_follower_of_an_open_member_is_accepted_at_once(
    world: World, anna: int
) -> None:
    bob = await world.remote("bob")
    state = await world.do(follows.request, bob, anna, follow_uri="https://far.test/f/1")
    assert state == "active"
    assert await follows.counts(world.db, anna) == (1, 0)
    assert await follows.counts(world.db, bob) == (0, 1)
    assert (await world.events())[-1] == "follow_accepted"
    told = await notifications.list_notifications(world.db, anna)
    assert [(line.kind, line.actor.id) for line in told] == [("follow", bob)]


async def test_a_repeated_follow_is_answered_again_and_told_once(world: World, anna: int) -> None:
    bob = await world.remote("bob")
    for number in (1, 2):
        await world.do(follows.request, bob, anna, follow_uri=f"https://far.test/f/{number}")
    found = await follows.find(world.db, bob, anna)
    assert found is not None and found.follow_uri == "https://far.test/f/2"
    assert (await world.events()).count("follow_accepted") == 2
    assert len(await notifications.list_notifications(world.db, anna)) == 1
    assert await follows.counts(world.db, anna) == (1, 0)


async def test_inv_15_a_follow_is_active_only_after_the_accept_of_our_request(
    world: World, anna: int
) -> None:
    bob = await world.remote("bob")
    with pytest.raises(NotFound):
        await world.do(follows.accept, anna, bob)
    assert await state_of(world, anna, bob) is None
    assert await world.do(follows.request, anna, bob) == "requested"
    assert await follows.counts(world.db, anna) == (0, 0)
    assert await world.do(follows.request, anna, bob) == "requested"
    await world.do(follows.accept, anna, bob)
    assert await state_of(world, anna, bob) == "active"
    await world.do(follows.accept, anna, bob)
    assert (await world.events()).count("follow_accepted") == 1
    told = await notifications.list_notifications(world.db, anna)
    assert [(line.kind, line.actor.id) for line in told] == [("follow_accepted", bob)]


async def test_inv_15_an_accept_counts_for_its_own_pair_only(world: World, anna: int) -> None:
    bob = await world.remote("bob")
    eve = await world.remote("eve", "evil.test")
    await world.do(follows.request, anna, bob)
    for follower, followed in ((anna, eve), (eve, anna), (bob, anna)):
        with pytest.raises(NotFound):
            await world.do(follows.accept, follower, followed)
    assert await state_of(world, anna, bob) == "requested"


async def test_a_locked_member_decides(world: World, anna: int) -> None:
    await world.run("UPDATE actors SET locked = 1 WHERE id = ?", anna)
    bob = await world.remote("bob")
    eve = await world.remote("eve")
    for person in (bob, eve):
        assert await world.do(follows.request, person, anna) == "requested"
    waiting = await follows.requests_to(world.db, anna)
    assert [person.id for person in waiting] == [bob, eve]
    await world.do(follows.accept, bob, anna)
    await world.do(follows.end, eve, anna, refused=True)
    assert await follows.requests_to(world.db, anna) == []
    assert [await state_of(world, person, anna) for person in (bob, eve)] == ["active", None]
    assert (await world.events())[-2:] == ["follow_accepted", "follow_refused"]


async def test_a_waiting_request_gets_in_when_the_door_has_been_opened(
    world: World, anna: int
) -> None:
    await world.run("UPDATE actors SET locked = 1 WHERE id = ?", anna)
    berta = await world.member("berta")
    assert await world.do(follows.request, berta, anna) == "requested"
    await world.run("UPDATE actors SET locked = 0 WHERE id = ?", anna)
    assert await world.do(follows.request, berta, anna) == "active"
    assert (await world.events())[-1] == "follow_accepted"


async def test_unfollowing_ends_it_once(world: World, anna: int) -> None:
    berta = await world.member("berta")
    await world.do(follows.request, berta, anna)
    for _ in range(2):
        await world.do(follows.end, berta, anna)
    assert await state_of(world, berta, anna) is None
    assert (await world.events()).count("follow_ended") == 1


async def test_who_cannot_be_followed(world: World, anna: int) -> None:
    group = await world.group("ambiente", anna)
    gone = await world.remote("gone")
    await world.run("UPDATE actors SET deleted_at = 1 WHERE id = ?", gone)
    suspended = await world.remote("suspended", suspended=True)
    for followed in (group, gone, suspended, 12345):
        with pytest.raises(NotFound):
            await world.do(follows.request, anna, followed)
    with pytest.raises(NotAllowed):
        await world.do(follows.request, anna, anna)
    assert await world.rows("SELECT 1 FROM follows") == []


async def test_groups_of_other_servers_can_be_followed(world: World, anna: int) -> None:
    group = await world.remote("fediverse", "lemmy.test", kind="group")
    assert await world.do(follows.request, anna, group) == "requested"
    await world.do(follows.set_activity, anna, group, 77)
    found = await follows.find(world.db, anna, group)
    assert found is not None and found.activity_id == 77


async def test_whom_somebody_follows_comes_in_pages(world: World, anna: int) -> None:
    followed = [await world.remote(f"bob{number}") for number in range(5)]
    for person in followed:
        await world.do(follows.request, anna, person)
    await world.do(follows.accept, anna, followed[0])
    seen: list[tuple[int, str]] = []
    while page := await follows.followed_by(
        world.db, anna, after=seen[-1][0] if seen else 0, limit=2
    ):
        seen += [(person.id, state) for person, state in page]
    assert [person for person, _ in seen] == sorted(followed)
    assert [state for _, state in seen].count("active") == 1


async def test_the_journal_names_both_sides(world: World, anna: int) -> None:
    bob = await world.remote("bob")
    before = await journal.last_seq(world.db)
    await world.do(follows.request, anna, bob)
    (entry,) = await journal.entries_after(world.db, before, 10)
    assert (entry.event, entry.actor_id, entry.target_id) == ("follow_requested", anna, bob)
