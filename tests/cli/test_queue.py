"""`fedcomm queue`: what waits, said in words; flushed and retried."""

from __future__ import annotations

import asyncio
from dataclasses import fields

from fedcomm.config import load
from fedcomm.federation.health import HostHealth
from fedcomm.hub import actors
from fedcomm.store.database import Database
from fedcomm.store.ids import new_id, now_ms
from fedcomm.store.schema import open_database
from tests.cli.conftest import Hub

HOUR_MS = 3_600_000


def deliver(hub: Hub, host: str, state: str, error: str | None = None) -> None:
    """Put a delivery into the queue: next try in three hours, after two failures."""

    async def write(db: Database) -> None:
        now = now_ms()
        activity_id = new_id()
        async with db.transaction() as tx:
            host_id = await actors.ensure_host(tx, host)
            author = await tx.value("SELECT actor_id FROM members")
            await tx.execute(
                "INSERT INTO activities (id, actor_id, type, created_at) VALUES (?, ?, 'Create', ?)",
                activity_id,
                author,
                now,
            )
            await tx.execute(
                "INSERT INTO deliveries (id, activity_id, host_id, inbox, state, created_at,"
                " error) VALUES (?, ?, ?, ?, ?, ?, ?)",
                new_id(),
                activity_id,
                host_id,
                f"https://{host}/inbox",
                state,
                now - 2 * HOUR_MS,
                error,
            )
            await tx.execute(
                "INSERT INTO lanes (queue, host_id, next_at, failures, error)"
                " VALUES ('delivery', ?, ?, 2, ?)",
                host_id,
                now + 3 * HOUR_MS,
                error,
            )

    asyncio.run(with_database(hub, write))


async def with_database(hub: Hub, work: object) -> None:
    db = await open_database(load(hub.config, {}).database.url)
    try:
        await work(db)  # type: ignore[operator]
    finally:
        await db.close()


def test_an_empty_queue_is_told(hub: Hub) -> None:
    assert "Nothing waits for any server" in hub.run("queue", "status")
    status = hub.json("queue", "status")
    assert status["hosts"] == []
    assert status["totals"]["deliveries_waiting"] == 0


def test_what_waits_is_told_with_age_and_reason(hub: Hub) -> None:
    deliver(hub, "slow.example", "waiting", "it answered 503\x1b[31m")
    lines = hub.run("queue", "status").splitlines()
    assert lines[-1].split()[:8] == ["slow.example", "failing", "1", "0", "2", "h", "2", "3"]
    assert lines[-1].endswith("it answered 503\\x1b[31m")
    status = hub.json("queue", "status")
    assert set(status["hosts"][0]) == {field.name for field in fields(HostHealth)}
    assert status["totals"]["deliveries_waiting"] == 1


def test_one_server_can_be_asked_for(hub: Hub) -> None:
    deliver(hub, "slow.example", "waiting")
    deliver(hub, "gone.example", "failed", "410")
    hosts = hub.json("queue", "status", "--host", "Gone.example")["hosts"]
    assert [(host["host"], host["failed"]) for host in hosts] == [("gone.example", 1)]
    assert hub.json("queue", "status", "--host", "other.example")["hosts"] == []


def test_a_flush_makes_everything_due_now(hub: Hub) -> None:
    deliver(hub, "slow.example", "waiting")
    deliver(hub, "other.example", "waiting")
    assert hub.json("queue", "flush", "--host", "slow.example") == {"flushed": 1}
    due = {host["host"]: host["next_try_in_ms"] for host in hub.json("queue", "status")["hosts"]}
    assert due["slow.example"] == 0
    assert due["other.example"] > 2 * HOUR_MS
    assert "Due now: 2 queues" in hub.run("queue", "flush")


def test_a_retry_puts_back_what_was_given_up(hub: Hub) -> None:
    deliver(hub, "gone.example", "failed", "410")
    assert hub.json("queue", "retry", "--host", "other.example") == {"retried": 0}
    assert hub.json("queue", "retry") == {"retried": 1}
    [host] = hub.json("queue", "status")["hosts"]
    assert (host["waiting"], host["failed"], host["next_try_in_ms"]) == (1, 0, 0)
