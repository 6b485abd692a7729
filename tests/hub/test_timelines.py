from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from fedcomm.hub import follows, groups, reactions, threads, timelines
from fedcomm.hub.visibility import ANONYMOUS
from fedcomm.store.ids import first_id_at, now_ms
from tests.hub.world import World, attachment, words

DAY_MS = 86_400_000


def ids(posts: list[timelines.Post]) -> list[int]:
    return [post.thing.id for post in posts]


@pytest.fixture
async def anna(world: World) -> int:
    return await world.member("anna")


async def test_home_has_what_ones_groups_and_people_wrote_or_shared(
    world: World, anna: int
) -> None:
    berta = await world.member("berta")
    bob, eve = await world.remote("bob"), await world.remote("eve")
    mine = await world.group("mine", anna)
    theirs = await world.group("theirs", berta)
    other = await world.group("other", berta)
    await world.do(follows.request, anna, bob)
    await world.do(follows.accept, anna, bob)
    await world.do(follows.request, anna, eve)

    in_my_group = await world.topic(anna, mine)
    by_bob = await world.post(bob)
    by_bob_in_other = await world.do(
        threads.create_topic,
        bob,
        other,
        words("x", title="t"),
        provenance=await world.provenance(bob),
    )
    shared = await world.topic(berta, theirs)
    await world.do(reactions.add, bob, shared, "share")
    # Not at home: others' groups, a follow that was not accepted, replies, likes, bob's secrets.
    await world.topic(berta, theirs)
    await world.post(eve)
    await world.reply(anna, in_my_group)
    liked = await world.topic(berta, theirs)
    await world.do(reactions.add, bob, liked, "like")
    await world.post(bob, visibility="direct")
    secret = await world.group("secret", berta, mode="private")
    await world.topic(berta, secret)

    viewer = await world.viewer(anna)
    expected = [shared, by_bob_in_other, by_bob, in_my_group]
    assert ids(await timelines.home(world.db, viewer)) == expected
    seen: list[int] = []
    while page := await timelines.home(
        world.db, viewer, before=seen[-1] if seen else None, limit=1
    ):
        seen += ids(page)
    assert seen == expected
    await world.do(groups.join, theirs, anna)
    assert len(await timelines.home(world.db, viewer)) == 6
    assert await timelines.home(world.db, await world.viewer(eve)) == []


@pytest.mark.parametrize("limit", [1, 3, 20])
async def test_home_reaches_back_as_far_as_there_is_something(
    world: World, anna: int, limit: int
) -> None:
    group = await world.group("ambiente", anna)
    ages = [0, 1, 1.9, 2.1, 3, 29, 31, 40, 300, 364, 366, 500]
    topics = []
    for days in ages:
        topic = await world.topic(anna, group)
        old = first_id_at(int(now_ms() - days * DAY_MS)) + len(topics)
        for statement in (
            "DELETE FROM notifications WHERE object_id = ?",
            "DELETE FROM search_index"
            + (" WHERE object_id = ?" if world.db.dialect == "postgresql" else " WHERE rowid = ?"),
        ):
            await world.run(statement, topic)
        await world.run("UPDATE objects SET id = ?, topic_id = ? WHERE id = ?", old, old, topic)
        topics.append(old)
    viewer = await world.viewer(anna)
    seen: list[int] = []
    while page := await timelines.home(
        world.db, viewer, before=seen[-1] if seen else None, limit=limit
    ):
        assert len(page) == min(limit, len(ages) - len(seen))
        seen += ids(page)
    assert seen == sorted(topics, reverse=True)


List = Callable[[World, int, int, int | None], Awaitable[list[timelines.Post]]]

LISTS: dict[str, List] = {
    "newest_topics": lambda w, group, anna, before: timelines.newest_topics(
        w.db, ANONYMOUS, group, before=before, limit=2
    ),
    "newest_everywhere": lambda w, group, anna, before: timelines.newest_everywhere(
        w.db, ANONYMOUS, before=before, limit=2
    ),
    "by_author": lambda w, group, anna, before: timelines.by_author(
        w.db, ANONYMOUS, anna, before=before, limit=2
    ),
    "tagged": lambda w, group, anna, before: timelines.tagged(
        w.db, ANONYMOUS, "tag", before=before, limit=2
    ),
}


@pytest.mark.parametrize("name", LISTS)
async def test_lists_are_paged_by_key_without_gap_or_repeat(
    world: World, anna: int, name: str
) -> None:
    group = await world.group("ambiente", anna)
    topics = [await world.topic(anna, group, "x #tag") for _ in range(7)]
    await world.do(threads.delete, anna, topics[3])
    seen: list[int] = []
    while page := await LISTS[name](world, group, anna, seen[-1] if seen else None):
        seen += ids(page)
    assert seen == [topic for topic in topics[::-1] if topic != topics[3]]


async def test_topics_active_in_the_same_instant_are_all_shown(world: World, anna: int) -> None:
    group = await world.group("ambiente", anna)
    topics = [await world.topic(anna, group) for _ in range(5)]
    await world.run("UPDATE objects SET active_at = 1000")
    seen: list[timelines.Post] = []
    while page := await timelines.group_topics(
        world.db,
        ANONYMOUS,
        group,
        before=(seen[-1].thing.active_at, seen[-1].thing.id) if seen else None,
        limit=2,
    ):
        seen += page
    assert ids(seen) == topics[::-1]


async def test_a_link_to_a_reply_opens_the_page_on_which_it_stands(world: World, anna: int) -> None:
    topic = await world.topic(anna, await world.group("ambiente", anna))
    replies = [await world.reply(anna, topic) for _ in range(7)]
    await world.do(threads.delete, anna, replies[1])
    shown = [reply for reply in replies if reply != replies[1]]
    for number, reply in enumerate(shown):
        start = await timelines.page_start(world.db, ANONYMOUS, topic, reply, size=2)
        page = ids(await timelines.replies(world.db, ANONYMOUS, topic, after=start, limit=2))
        assert page == shown[number // 2 * 2 :][:2]


async def test_a_post_comes_with_its_author_group_and_pictures(world: World, anna: int) -> None:
    group = await world.group("ambiente", anna, title="Ambiente")
    pictures = [await world.picture(anna, alt=f"picture {number}") for number in range(3)]
    content = words(
        "x",
        title="t",
        attachments=tuple(attachment(media_id, str(n)) for n, (media_id, _) in enumerate(pictures)),
    )
    topic = await world.do(threads.create_topic, anna, group, content)
    shown = await timelines.post(world.db, ANONYMOUS, topic)
    assert shown is not None
    assert (shown.author.name, shown.group_name, shown.group_title) == (
        "anna",
        "ambiente",
        "Ambiente",
    )
    assert [part.alt for part in shown.attachments] == ["0", "1", "2"]
    assert {media_id: names[0] for media_id, names in shown.media_files.items()} == dict(pictures)
    other = await world.topic(anna, group)
    both = await timelines.posts(world.db, ANONYMOUS, [topic, 77, other, topic])
    assert ids(both) == [topic, other, topic]
    assert await timelines.posts(world.db, ANONYMOUS, []) == []
