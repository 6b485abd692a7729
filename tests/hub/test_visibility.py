"""The gate: every class of viewer before every visibility, through every way out of the hub."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedcomm.hub import follows, groups, media, members, search, threads, timelines
from fedcomm.hub.errors import NotFound
from fedcomm.hub.visibility import (
    ANONYMOUS,
    ORDER,
    Viewer,
    Visibility,
    can_read,
    can_see_group,
    narrower,
    remote_host,
)
from tests.hub.world import World, attachment, words

SIGNED_IN = frozenset(
    {"author", "stranger", "group_member", "requester", "banned", "former"}
    | {"follower", "asked", "mentioned"}
)
REMOTE_KINDS = ("stranger", "member", "requester", "follower", "asked", "mentioned")
EVERYBODY = SIGNED_IN.union(
    {"anonymous"}, (f"{who}_{kind}" for who in ("remote", "host") for kind in REMOTE_KINDS)
)

READERS: dict[Visibility, frozenset[str]] = {
    "public": EVERYBODY,
    "unlisted": EVERYBODY,
    "local": SIGNED_IN,
    "members": frozenset({"author", "group_member", "remote_member", "host_member"}),
    "followers": frozenset(
        {"author", "follower", "mentioned", "remote_follower", "remote_mentioned"}
        | {"host_follower", "host_mentioned"}
    ),
    "direct": frozenset({"author", "mentioned", "remote_mentioned", "host_mentioned"}),
}
"""Who may read what: the whole table."""


@dataclass(frozen=True, slots=True)
class Scene:
    """One author's replies, one of each visibility, and everybody who may look at them."""

    viewers: dict[str, Viewer]
    replies: dict[Visibility, int]
    files: dict[Visibility, str]
    topic_id: int
    author_id: int


@pytest.fixture
async def scene(world: World) -> Scene:
    people = {"author": await world.member("author")}
    names = ("stranger", "group_member", "requester", "banned", "follower", "asked", "mentioned")
    for name in (*names, "former"):
        people[name] = await world.member(name)
    for kind in REMOTE_KINDS:
        people[f"remote_{kind}"] = await world.remote(f"remote_{kind}", f"{kind}.test")

    owner = await world.member("owner")
    group = await world.group("gruppo", owner, approval=True)
    await world.do(groups.add_member, group, owner, people["author"])
    for name in ("group_member", "remote_member", "former"):
        await world.do(groups.add_member, group, owner, people[name])
    await world.do(groups.leave, group, people["former"])
    await world.do(groups.join, group, people["requester"])
    await world.do(groups.join, group, people["remote_requester"], follow_uri="https://r.test/1")
    await world.do(groups.add_member, group, owner, people["banned"])
    await world.run("UPDATE memberships SET state = 'banned' WHERE actor_id = ?", people["banned"])

    for name in ("follower", "remote_follower", "former"):
        await world.do(follows.request, people[name], people["author"])
    await world.do(follows.end, people["former"], people["author"])
    await world.run("UPDATE actors SET locked = 1 WHERE id = ?", people["author"])
    for name in ("asked", "remote_asked"):
        assert await world.do(follows.request, people[name], people["author"]) == "requested"

    topic = await world.topic(owner, group)
    replies: dict[Visibility, int] = {}
    files: dict[Visibility, str] = {}
    for visibility in ORDER:
        picture, files[visibility] = await world.picture(people["author"])
        content = words(
            f"zibaldone {visibility}",
            hashtags=("zibaldone",),
            mentions=(people["mentioned"], people["remote_mentioned"]),
            attachments=(attachment(picture),),
        )
        replies[visibility] = await world.do(
            threads.create_reply, people["author"], topic, content, visibility=visibility
        )
    viewers = {"anonymous": ANONYMOUS}
    for name, actor_id in people.items():
        viewers[name] = await world.viewer(actor_id)
    for kind in REMOTE_KINDS:
        viewers[f"host_{kind}"] = remote_host(await world.host_id(f"{kind}.test"))
    return Scene(viewers, replies, files, topic, people["author"])


async def test_inv_20_every_way_out_tells_every_viewer_the_same(world: World, scene: Scene) -> None:
    assert set(scene.viewers) == EVERYBODY
    db = world.db
    ids = list(scene.replies.values())

    async def one_by_one(viewer: Viewer, look: Callable[[int], Awaitable[object]]) -> set[int]:
        return {object_id for object_id in ids if await look(object_id)}

    async def file_is_served(viewer: Viewer, file: str) -> bool:
        try:
            _, public = await media.mime_of_file(db, viewer, file)
        except NotFound:
            return False
        assert public == (file in (scene.files["public"], scene.files["unlisted"]))
        return True

    for name, viewer in scene.viewers.items():
        expected = {
            object_id
            for visibility, object_id in scene.replies.items()
            if name in READERS[visibility]
        }

        def of(posts: list[timelines.Post]) -> set[int]:
            return {post.thing.id for post in posts} - {scene.topic_id}

        seen = {
            "can_read": await one_by_one(
                viewer,
                lambda object_id, v=viewer: can_read(db, v, object_id),  # type: ignore[misc]
            ),
            "post": await one_by_one(
                viewer,
                lambda object_id, v=viewer: timelines.post(db, v, object_id),  # type: ignore[misc]
            ),
            "posts": of(await timelines.posts(db, viewer, ids)),
            "replies": of(await timelines.replies(db, viewer, scene.topic_id)),
            "answers": of(await timelines.answers(db, viewer, scene.topic_id)),
            "by_author": of(await timelines.by_author(db, viewer, scene.author_id)),
            "tagged": of(await timelines.tagged(db, viewer, "zibaldone")),
            "search": set(await search.find(db, viewer, "zibaldone")),
            "files": {
                scene.replies[visibility]
                for visibility, file in scene.files.items()
                if await file_is_served(viewer, file)
            },
        }
        # Lists for everybody leave out what is only for those who have the address.
        listed = expected - {scene.replies["unlisted"]}
        wrong = {
            way: found
            for way, found in seen.items()
            if found != (listed if way in ("tagged", "search") else expected)
        }
        assert not wrong, (name, wrong, scene.replies)


async def test_nobody_reads_what_was_deleted(world: World, scene: Scene) -> None:
    for object_id in scene.replies.values():
        await world.do(threads.delete, scene.author_id, object_id)
    for viewer in scene.viewers.values():
        for object_id in scene.replies.values():
            assert not await can_read(world.db, viewer, object_id)
        assert await timelines.replies(world.db, viewer, scene.topic_id) == []
        assert await search.find(world.db, viewer, "zibaldone") == []
        for file in scene.files.values():
            with pytest.raises(NotFound):
                await media.mime_of_file(world.db, viewer, file)


MODE_READERS: dict[groups.Mode, frozenset[str]] = {
    "federated": frozenset(
        {"anonymous", "stranger", "inside", "requester", "remote_stranger", "remote_follower"}
        | {"host", "remote_inside", "remote_neighbour", "host_inside"}
    ),
    "local": frozenset({"stranger", "inside", "requester"}),
    "private": frozenset({"inside"}),
    # Whoever signs for a server with a member in it gets that server's copy (federation.md §3.6).
    "reserved": frozenset({"inside", "remote_inside", "remote_neighbour", "host_inside"}),
}
"""Who looks into a group of each mode, and reads what is said there."""

LISTED_TOO: dict[groups.Mode, frozenset[str]] = {"reserved": frozenset({"stranger", "requester"})}
"""Who finds a group listed without looking into it: they can ask to join."""


async def test_inv_20_a_group_and_its_topics_show_themselves_to_the_same_people(
    world: World,
) -> None:
    owner = await world.member("owner")
    inside = await world.member("inside")
    requester = await world.member("requester")
    stranger = await world.member("stranger")
    remote_stranger = await world.remote("remote_stranger")
    remote_follower = await world.remote("remote_follower")
    remote_inside = await world.remote("remote_inside", "in.test")
    remote_neighbour = await world.remote("remote_neighbour", "in.test")
    found = {
        mode: await world.group(f"gruppo_{mode}", owner, mode=mode, approval=True)
        for mode in groups.MODES
    }
    topics = {}
    pinned = {}
    for mode, group in found.items():
        await world.do(groups.add_member, group, owner, inside)
        if mode != "private":
            await world.do(groups.join, group, requester)
        if mode == "reserved":
            state = await world.do(
                groups.join, group, remote_inside, follow_uri="https://in.test/1"
            )
            assert state == "requested"
            await world.do(groups.add_member, group, owner, remote_inside)
        topics[mode] = await world.topic(owner, group, "zibaldone")
        pinned[mode] = await world.topic(owner, group, "zibaldone")
        await world.do(threads.set_pinned, owner, pinned[mode], pinned=True)
    await world.do(groups.add_member, found["federated"], owner, remote_follower)
    viewers = {
        "anonymous": ANONYMOUS,
        "stranger": await world.viewer(stranger),
        "inside": await world.viewer(inside),
        "requester": await world.viewer(requester),
        "remote_stranger": await world.viewer(remote_stranger),
        "remote_follower": await world.viewer(remote_follower),
        "host": remote_host(await world.host_id("far.test")),
        "remote_inside": await world.viewer(remote_inside),
        "remote_neighbour": await world.viewer(remote_neighbour),
        "host_inside": remote_host(await world.host_id("in.test")),
    }
    db = world.db
    for name, viewer in viewers.items():
        known = {mode for mode in groups.MODES if name in MODE_READERS[mode]}
        listed = {group.mode for group in await groups.list_groups(db, viewer)}
        matched = {group.mode for group in await groups.find_groups(db, viewer, "gruppo")}
        everywhere = {
            post.thing.id for post in await timelines.newest_everywhere(db, viewer, limit=50)
        }
        asking = {mode for mode, people in LISTED_TOO.items() if name in people}
        assert listed == matched == known | asking, name
        assert everywhere == {topics["federated"], pinned["federated"]}, name
        assert set(await search.find(db, viewer, "zibaldone")) == {
            object_id for mode in known for object_id in (topics[mode], pinned[mode])
        }, name
        for mode, group in found.items():
            sees = mode in known
            assert await can_see_group(db, viewer, group) == sees, (name, mode)
            shown = [
                await timelines.group_topics(db, viewer, group),
                await timelines.newest_topics(db, viewer, group),
                await timelines.pinned_topics(db, viewer, group),
            ]
            assert [{post.thing.id for post in page} for page in shown] == (
                [{topics[mode]}, {topics[mode], pinned[mode]}, {pinned[mode]}]
                if sees
                else [set(), set(), set()]
            ), (name, mode)
            if sees:
                assert (await groups.visible_group(db, viewer, f"gruppo_{mode}")).id == group
            else:
                with pytest.raises(NotFound):
                    await groups.visible_group(db, viewer, f"gruppo_{mode}")


async def test_inv_20_an_unknown_group_and_a_hidden_one_are_refused_alike(world: World) -> None:
    owner = await world.member("owner")
    await world.group("segreto", owner, mode="private")
    answers = []
    for name in ("segreto", "nothing"):
        with pytest.raises(NotFound) as caught:
            await groups.visible_group(world.db, ANONYMOUS, name)
        answers.append(caught.value.message)
    assert answers[0] == answers[1]


async def test_inv_15_a_remote_post_for_followers_waits_for_the_accept(world: World) -> None:
    writer = await world.remote("writer", locked=True)
    reader = await world.member("reader")
    post = await world.post(writer, visibility="followers")
    viewer = await world.viewer(reader)
    assert await world.do(follows.request, reader, writer) == "requested"
    assert not await can_read(world.db, viewer, post)
    assert await timelines.home(world.db, viewer) == []
    await world.do(follows.accept, reader, writer)
    assert await can_read(world.db, viewer, post)
    assert [shown.thing.id for shown in await timelines.home(world.db, viewer)] == [post]
    await world.do(follows.end, reader, writer)
    assert not await can_read(world.db, viewer, post)


async def test_inv_21_who_leaves_a_private_group_reads_it_no_more(world: World) -> None:
    owner = await world.member("owner")
    guest = await world.member("guest")
    group = await world.group("segreto", owner, mode="private")
    await world.do(groups.add_member, group, owner, guest)
    topic = await world.topic(owner, group)
    viewer = await world.viewer(guest)
    assert await can_read(world.db, viewer, topic)
    await world.do(groups.refuse, group, owner, guest)
    assert not await can_read(world.db, viewer, topic)
    assert not await can_see_group(world.db, viewer, group)


async def test_inv_16_an_edit_narrows_and_never_widens(world: World) -> None:
    writer = await world.remote("writer")
    for start, wanted, stored in (
        ("public", "unlisted", "unlisted"),
        ("public", "direct", "direct"),
        ("unlisted", "public", "unlisted"),
        ("followers", "public", "followers"),
        ("direct", "followers", "direct"),
        ("followers", None, "followers"),
    ):
        post = await world.post(writer, visibility=start)  # type: ignore[arg-type]
        await world.do(threads.edit, writer, post, words("new"), visibility=wanted)  # type: ignore[arg-type]
        assert (await world.thing(post)).visibility == stored


async def test_inv_16_a_reply_is_never_wider_than_what_it_answers(world: World) -> None:
    owner = await world.member("owner")
    for mode, wanted, stored in (
        ("private", "public", "members"),
        ("local", "unlisted", "local"),
        ("federated", "unlisted", "unlisted"),
        ("federated", "direct", "direct"),
        ("private", None, "members"),
    ):
        group = await world.group(f"g_{mode}_{wanted}".lower(), owner, mode=mode)
        topic = await world.topic(owner, group)
        reply = await world.do(
            threads.create_reply,
            owner,
            topic,
            words("x"),
            visibility=wanted,  # type: ignore[arg-type]
        )
        assert (await world.thing(reply)).visibility == stored


async def test_suspended_members_stay_authors_of_what_others_read(world: World) -> None:
    author = await world.member("author")
    group = await world.group("gruppo", author)
    topic = await world.topic(author, group)
    await world.do(members.suspend_member, author, suspended=True)
    assert await can_read(world.db, ANONYMOUS, topic)


visibilities = st.sampled_from(ORDER)


@given(visibilities, visibilities, visibilities)
def test_inv_16_narrower_is_a_lattice(a: Visibility, b: Visibility, c: Visibility) -> None:
    assert narrower(a, a) == a
    assert narrower(a, b) == narrower(b, a)
    assert narrower(a, narrower(b, c)) == narrower(narrower(a, b), c)
    assert narrower(a, "public") == a
    assert narrower(a, "direct") == "direct"


@given(visibilities, st.lists(visibilities))
def test_inv_16_no_sequence_of_updates_widens(start: Visibility, updates: list[Visibility]) -> None:
    now = start
    for wanted in updates:
        after = narrower(now, wanted)
        assert ORDER.index(after) >= ORDER.index(now)
        now = after
