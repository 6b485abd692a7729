"""The journal says what happened to which ids, once for each operation, and never what was said."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from fedcomm.hub import (
    follows,
    groups,
    journal,
    members,
    moderation,
    notifications,
    reactions,
    threads,
)
from fedcomm.hub.errors import HubError
from tests.databases import ORIGIN
from tests.hub.world import World, words

Step = Callable[[], Awaitable[None]]


async def test_every_operation_appends_exactly_one_entry(world: World) -> None:
    anna = await world.member("anna")
    berta = await world.member("berta")
    bob = await world.remote("bob")
    group = await world.group("ambiente", anna, approval=True)
    ids: dict[str, int] = {}

    async def topic() -> None:
        ids["topic"] = await world.topic(anna, group, "Hello @berta #tag")

    async def reply() -> None:
        ids["reply"] = await world.reply(berta, ids["topic"])

    async def edit() -> None:
        await world.do(threads.edit, anna, ids["topic"], words("new", title="t"))

    def do(operation: Callable[..., Awaitable[object]], *args: object, **kwargs: object) -> Step:
        async def step() -> None:
            await world.do(operation, *args, **kwargs)  # type: ignore[arg-type]

        return step

    def on(name: str, operation: Callable[..., Awaitable[object]], **kwargs: object) -> Step:
        async def step() -> None:
            await world.do(operation, anna, ids[name], **kwargs)  # type: ignore[arg-type]

        return step

    async def like() -> None:
        await world.do(reactions.add, berta, ids["topic"], "like")

    async def dislike() -> None:
        await world.do(reactions.add, berta, ids["topic"], "dislike")

    async def unlike() -> None:
        await world.do(reactions.withdraw, berta, ids["topic"], "dislike")

    async def post() -> None:
        await world.post(bob)

    profile = {"display_name": "A", "summary": "", "locale": "en", "local_origin": ORIGIN}
    rules = {
        "title": "A",
        "description": "",
        "approval": True,
        "announce_replies": False,
        "local_origin": ORIGIN,
    }
    steps: list[tuple[Step, list[journal.Event]]] = [
        (do(members.create_member, "carla"), ["member_created"]),
        (do(members.edit_profile, anna, **profile), ["member_edited"]),
        (
            do(groups.create_group, "altro", title="A", creator_id=anna, local_origin=ORIGIN),
            ["group_created"],
        ),
        (do(groups.edit_group, group, anna, **rules), ["group_edited"]),
        (do(groups.join, group, berta), ["membership_requested"]),
        (do(groups.join, group, berta), []),
        (do(groups.add_member, group, anna, berta), ["membership_activated"]),
        (do(groups.join, group, berta), []),
        (topic, ["topic_created"]),
        (reply, ["reply_created"]),
        (post, ["post_stored"]),
        (edit, ["object_edited"]),
        (on("topic", threads.set_pinned, pinned=True), ["topic_pinned"]),
        (on("topic", threads.set_pinned, pinned=False), ["topic_unpinned"]),
        (on("topic", threads.set_locked, locked=True), ["topic_locked"]),
        (on("topic", threads.set_locked, locked=False), ["topic_unlocked"]),
        (like, ["reaction_added"]),
        (like, []),
        (dislike, ["reaction_withdrawn", "reaction_added"]),
        (unlike, ["reaction_withdrawn"]),
        (unlike, []),
        (do(follows.request, anna, bob), ["follow_requested"]),
        (do(follows.request, anna, bob), []),
        (do(follows.accept, anna, bob), ["follow_accepted"]),
        (do(follows.accept, anna, bob), []),
        (do(follows.end, anna, bob), ["follow_ended"]),
        (do(follows.end, anna, bob), []),
        (do(follows.request, bob, anna, follow_uri="https://far.test/1"), ["follow_accepted"]),
        (do(follows.request, bob, anna, follow_uri="https://far.test/2"), ["follow_accepted"]),
        (do(follows.end, bob, anna, refused=True), ["follow_refused"]),
        (
            on("reply", moderation.take_down, how="hide", grounds=moderation.Grounds("Off topic.")),
            ["object_hidden"],
        ),
        (on("reply", moderation.restore, reason="It is not."), ["object_shown"]),
        (
            on("reply", moderation.take_down, how="remove", grounds=moderation.Grounds("Spam.")),
            ["object_removed"],
        ),
        (on("reply", moderation.restore, reason="It was not."), ["object_restored"]),
        (on("topic", threads.delete), ["object_deleted"]),
        (do(groups.leave, group, berta), ["membership_ended"]),
        (do(groups.leave, group, berta), []),
        (do(groups.join, group, berta), ["membership_requested"]),
        (do(groups.refuse, group, anna, berta), ["membership_refused"]),
        (do(members.suspend_member, berta, suspended=True), ["member_suspended"]),
    ]
    for number, (step, expected) in enumerate(steps):
        before = await journal.last_seq(world.db)
        await step()
        assert await world.events(before) == expected, number


async def test_a_refused_operation_leaves_no_entry(world: World) -> None:
    anna = await world.member("anna")
    berta = await world.member("berta")
    group = await world.group("ambiente", anna)
    topic = await world.topic(anna, group)
    before = await journal.last_seq(world.db)
    for attempt in (
        world.topic(berta, group),
        world.do(threads.delete, berta, topic),
        world.do(groups.leave, group, anna),
        world.do(follows.accept, anna, berta),
        world.do(reactions.add, berta, 12345, "like"),
        world.member("anna"),
        world.group("anna", anna),
    ):
        with pytest.raises(HubError):
            await attempt
    assert await journal.last_seq(world.db) == before


async def test_the_journal_has_no_place_for_words(world: World) -> None:
    """`event` is its only text, and one of a known few."""
    if world.db.dialect == "sqlite":
        sql = "SELECT name, type FROM pragma_table_info('journal')"
    else:
        sql = (
            "SELECT column_name AS name, upper(data_type) AS type FROM information_schema.columns"
            " WHERE table_name = 'journal'"
        )
    columns = {row["name"]: row["type"] for row in await world.rows(sql)}
    assert [name for name, kind in columns.items() if kind not in ("BIGINT", "INTEGER")] == [
        "event"
    ]
    assert set(columns) == {
        *("seq", "event", "actor_id", "object_id", "group_id", "target_id", "created_at")
    }
    anna = await world.member("anna")
    topic = await world.topic(anna, await world.group("ambiente", anna))
    await world.do(threads.edit, anna, topic, words("secret", title="secret"))
    known = set(journal.Event.__args__)  # type: ignore[attr-defined]
    assert set(await world.events()) <= known


async def test_a_consumer_goes_on_where_it_was(world: World) -> None:
    anna = await world.member("anna")
    await world.group("ambiente", anna)
    assert await journal.cursor(world.db, "feeds") == 0
    (first, second) = await journal.entries_after(world.db, 0, 10)
    assert (first.event, second.event) == ("member_created", "group_created")
    await world.do(journal.move_cursor, "feeds", first.seq)
    assert await journal.cursor(world.db, "feeds") == first.seq
    assert await journal.entries_after(world.db, first.seq, 10) == [second]
    await world.do(journal.move_cursor, "feeds", second.seq)
    assert await journal.entries_after(world.db, second.seq, 10) == []
    assert await journal.last_seq(world.db) == second.seq
    assert await journal.cursor(world.db, "mail") == 0


async def test_an_entry_and_its_effect_stand_or_fall_together(world: World) -> None:
    anna = await world.member("anna")
    recipient = await world.actor(anna)
    before = await journal.last_seq(world.db)

    async def fail(tx: object) -> None:
        await groups.create_group(tx, "ambiente", title="A", creator_id=anna, local_origin=ORIGIN)  # type: ignore[arg-type]
        await notifications.notify(tx, recipient, "follow", anna)  # type: ignore[arg-type]
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await world.do(fail)
    assert await journal.last_seq(world.db) == before
    assert await groups.group_by_name(world.db, "ambiente") is None
