from __future__ import annotations

import pytest

from fedcomm.hub import groups, members, notifications, threads
from tests.hub.world import World, words


@pytest.fixture
async def anna(world: World) -> int:
    return await world.member("anna")


@pytest.fixture
async def berta(world: World) -> int:
    return await world.member("berta")


async def told(world: World, member_id: int) -> list[tuple[str, int | None]]:
    lines = await notifications.list_notifications(world.db, member_id)
    assert await notifications.unread_count(world.db, member_id) == sum(
        not line.read for line in lines
    )
    return [(line.kind, line.object_id) for line in lines]


async def test_an_answer_is_told_to_the_author_and_to_who_began_the_thread(
    world: World, anna: int, berta: int
) -> None:
    group = await world.group("ambiente", anna)
    await world.do(groups.join, group, berta)
    topic = await world.topic(anna, group)
    first = await world.reply(berta, topic)
    bob = await world.remote("bob")
    second = await world.reply(bob, first)
    assert await told(world, anna) == [("reply", second), ("reply", first)]
    assert await told(world, berta) == [("reply", second)]


async def test_one_event_is_told_once_though_there_are_two_reasons(
    world: World, anna: int, berta: int
) -> None:
    group = await world.group("ambiente", anna)
    await world.do(groups.join, group, berta)
    topic = await world.topic(anna, group)
    reply = await world.reply(berta, topic, "@anna listen")
    assert await told(world, anna) == [("reply", reply)]
    content = await world.compose(berta, "@anna @anna listen again")
    await world.do(threads.edit, berta, reply, content)
    assert await told(world, anna) == [("reply", reply)]


async def test_the_same_is_never_told_twice(world: World, anna: int, berta: int) -> None:
    group = await world.group("ambiente", anna)
    topic = await world.topic(anna, group)
    recipient = await world.actor(anna)
    for _ in range(3):
        await world.do(notifications.notify, recipient, "like", berta, object_id=topic)
        await world.do(notifications.notify, recipient, "follow", berta)
        await world.do(
            notifications.notify, recipient, "membership_requested", berta, group_id=group
        )
    assert sorted(kind for kind, _ in await told(world, anna)) == [
        "follow",
        "like",
        "membership_requested",
    ]


async def test_nobody_is_told_of_what_they_did_themselves(world: World, anna: int) -> None:
    group = await world.group("ambiente", anna)
    topic = await world.topic(anna, group, "I am @anna")
    await world.reply(anna, topic)
    assert await told(world, anna) == []


async def test_only_members_in_good_standing_are_told(world: World, anna: int, berta: int) -> None:
    bob = await world.remote("bob")
    group = await world.group("ambiente", anna)
    await world.do(members.suspend_member, berta, suspended=True)
    content = words("x", title="t", mentions=(berta, bob, group))
    await world.do(threads.create_topic, anna, group, content)
    assert await world.rows("SELECT 1 FROM notifications") == []


async def test_inv_20_nobody_is_told_of_what_they_may_not_read(
    world: World, anna: int, berta: int
) -> None:
    group = await world.group("segreto", anna, mode="private")
    topic = await world.topic(anna, group, "What would @berta say?")
    assert await told(world, berta) == []
    await world.do(groups.add_member, group, anna, berta)
    assert await told(world, berta) == [("membership_activated", None)]
    reply = await world.reply(anna, topic, "Welcome @berta")
    assert await told(world, berta) == [("mention", reply), ("membership_activated", None)]


async def test_inv_20_what_can_be_read_no_more_is_neither_shown_nor_counted(
    world: World, anna: int, berta: int
) -> None:
    group = await world.group("segreto", anna, mode="private")
    await world.do(groups.add_member, group, anna, berta)
    topic = await world.topic(anna, group, "Hello @berta")
    assert ("mention", topic) in await told(world, berta)
    await world.do(groups.refuse, group, anna, berta)
    assert await told(world, berta) == [("membership_activated", None)]


async def test_what_was_deleted_is_not_told_any_more(world: World, anna: int, berta: int) -> None:
    group = await world.group("ambiente", anna)
    topic = await world.topic(anna, group, "Hello @berta")
    assert await told(world, berta) == [("mention", topic)]
    await world.do(threads.delete, anna, topic)
    assert await told(world, berta) == []
    assert await world.rows("SELECT 1 FROM notifications") == []


async def test_reading_marks_everything_up_to_there(world: World, anna: int, berta: int) -> None:
    group = await world.group("ambiente", anna)
    topics = [await world.topic(anna, group, "@berta") for _ in range(3)]
    lines = await notifications.list_notifications(world.db, berta)
    assert [line.object_id for line in lines] == topics[::-1]
    await world.do(notifications.mark_read, berta, lines[1].id)
    after = await notifications.list_notifications(world.db, berta)
    assert [line.read for line in after] == [False, True, True]
    assert await notifications.unread_count(world.db, berta) == 1
    page = await notifications.list_notifications(world.db, berta, before=lines[0].id, limit=1)
    assert [line.id for line in page] == [lines[1].id]


async def test_the_count_stops_at_a_hundred(world: World, anna: int, berta: int) -> None:
    await world.do(
        lambda tx: tx.many(
            "INSERT INTO notifications (id, member_id, kind, actor_id, group_id, created_at)"
            " VALUES (?, ?, ?, ?, NULL, 0)",
            [(number, anna, f"kind{number}", berta) for number in range(1, 131)],
        )
    )
    assert await notifications.unread_count(world.db, anna) == 100
