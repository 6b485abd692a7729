"""The nightly job follows the configuration: each class goes after its own time, and 0 keeps it."""

from __future__ import annotations

from pathlib import Path

from fedcomm import retention
from fedcomm.hub import audit, notifications, threads
from fedcomm.retention import DAY_MS
from fedcomm.settings.privacy import Retention
from fedcomm.store.ids import now_ms
from tests.databases import make_site
from tests.hub.world import World

CLASSES = {
    "posts": "SELECT count(*) FROM objects WHERE kind = 'post'",
    "revisions": "SELECT count(*) FROM revisions",
    "notifications": "SELECT count(*) FROM notifications",
    "audit": "SELECT count(*) FROM audit",
}


async def left(world: World) -> list[str]:
    return [name for name, sql in CLASSES.items() if await world.db.value(sql)]


async def lived(database_url: str, folder: Path, kept: Retention) -> World:
    """A hub with something of each class."""
    world = World(await make_site(database_url, folder, retention=kept))
    anna, berta = await world.member("anna"), await world.member("berta")
    group = await world.group("garden", anna)
    topic = await world.topic(anna, group)
    await world.do(
        threads.edit, anna, topic, await world.compose(anna, "New", is_topic=True, title="New")
    )
    await world.post(await world.remote("eve"))
    await world.do(notifications.notify, await world.actor(anna), "mention", berta, object_id=topic)
    await world.run("UPDATE notifications SET read_at = 1")
    await world.do(audit.record, "member_suspended", actor_id=anna, subject_id=berta)
    assert await left(world) == list(CLASSES)
    return world


async def test_each_class_goes_after_its_own_time(database_url: str, tmp_path: Path) -> None:
    kept = Retention(remote_days=10, revisions_days=20, notifications_days=30, audit_days=40)
    world = await lived(database_url, tmp_path, kept)
    now = now_ms()
    for days, stays in (
        (5, ["posts", "revisions", "notifications", "audit"]),
        (15, ["revisions", "notifications", "audit"]),
        (25, ["notifications", "audit"]),
        (35, ["audit"]),
        (45, []),
    ):
        await retention.tidy(world.site, now + days * DAY_MS)
        assert await left(world) == stays, days
    await world.db.close()


async def test_0_keeps_it_and_the_defaults_keep_what_was_written_before(
    database_url: str, tmp_path: Path
) -> None:
    forever = Retention(remote_days=0, revisions_days=0, notifications_days=0, audit_days=0)
    world = await lived(database_url, tmp_path, forever)
    assert await retention.tidy(world.site, now_ms() + 36_500 * DAY_MS) == 0
    assert await left(world) == list(CLASSES)
    assert Retention().revisions_days == 0
    await world.db.close()
