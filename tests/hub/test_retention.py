"""What has had its time goes by itself, and only that."""

from __future__ import annotations

import pytest

from fedcomm.hub import holds, notifications, reactions, retention, threads
from fedcomm.retention import DAY_MS, is_due
from fedcomm.store.ids import now_ms
from tests.hub.world import World, words


@pytest.fixture
async def anna(world: World) -> int:
    return await world.member("anna")


async def test_only_what_nobody_here_has_to_do_with_is_forgotten(world: World, anna: int) -> None:
    eve = await world.remote("eve")
    group = await world.group("garden", anna)
    topic = await world.topic(anna, group)
    untouched, liked, held, answered, parent = [await world.post(eve) for _ in range(5)]
    named = await world.post(eve, mentions=[anna])
    await world.do(reactions.add, anna, liked, "like")
    await world.do(threads.create_reply, anna, answered, await world.compose(anna, "Yes"))
    await world.do(
        threads.create_reply, eve, parent, words("Me too"), provenance=await world.provenance(eve)
    )
    reply = await world.do(
        threads.create_reply, eve, topic, words("Hello"), provenance=await world.provenance(eve)
    )
    await world.do(holds.place, "object", held, reason="A court asks.", by=None)
    soon = now_ms() + 1000
    assert await retention.forget_untouched(world.db, now_ms() - DAY_MS) == 0, "too young"
    gone = await retention.forget_untouched(world.db, soon)
    left = {row["id"] for row in await world.rows("SELECT id FROM objects")}
    assert untouched not in left and gone == 1
    assert {liked, named, held, answered, parent, topic, reply} <= left
    for table in ("search_index", "mentions", "attachments"):
        column = (
            "rowid" if table == "search_index" and world.db.dialect == "sqlite" else "object_id"
        )
        rows = await world.rows(f"SELECT 1 FROM {table} WHERE {column} = ?", untouched)
        assert not rows, table
    # Nothing remembers it as erased: it can be looked up again.
    assert not await world.rows("SELECT 1 FROM erased")


async def test_old_versions_notifications_and_lines_of_the_log_go_unless_they_are_held(
    world: World, anna: int
) -> None:
    berta = await world.member("berta")
    group = await world.group("garden", anna)
    held, free = await world.topic(anna, group), await world.topic(anna, group)
    for topic in (held, free):
        changed = await world.compose(anna, "New words", is_topic=True, title="New")
        await world.do(threads.edit, anna, topic, changed)
    placed = await world.do(holds.place, "object", held, reason="A court asks.", by=None)
    person = await world.actor(anna)
    for _ in range(2):
        await world.do(notifications.notify, person, "mention", berta, object_id=free)
    await world.run(
        "UPDATE notifications SET read_at = 1 WHERE id = (SELECT min(id) FROM notifications)"
    )
    soon = now_ms() + 1000
    assert await retention.forget_revisions(world.db, soon) == 1
    assert [row["object_id"] for row in await world.rows("SELECT object_id FROM revisions")] == [
        held
    ]
    unread = len(await world.rows("SELECT 1 FROM notifications WHERE read_at IS NULL"))
    assert await retention.forget_notifications(world.db, soon) == 1
    assert len(await world.rows("SELECT 1 FROM notifications")) == unread
    lines = len(await world.rows("SELECT 1 FROM audit"))
    assert lines and await retention.forget_audit(world.db, soon) == lines - 1
    await world.do(holds.release, placed, reason="Over.", by=None)
    assert await retention.forget_audit(world.db, soon) == 2


def test_it_runs_once_a_night_and_makes_up_for_nights_when_the_hub_was_off() -> None:
    midnight = 20_000 * DAY_MS
    hour = DAY_MS // 24
    yesterday = midnight - DAY_MS + 3 * hour
    assert is_due(yesterday, midnight + 3 * hour)
    assert not is_due(yesterday, midnight + 12 * hour), "by day it waits"
    assert not is_due(midnight + 2 * hour, midnight + 4 * hour), "once a night"
    assert is_due(midnight - 3 * DAY_MS, midnight + 12 * hour)
