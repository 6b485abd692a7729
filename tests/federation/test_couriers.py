"""What a courier does when the fault is ours, and what it leaves behind when it has to stop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from fedcomm.federation.couriers import Couriers, Parcel
from fedcomm.federation.dispatch import CONSUMER
from fedcomm.hub import journal
from fedcomm.store import ids
from tests.federation.acts import follower, host_of
from tests.federation.inprocess import ScriptedStubs, local_hub

IMPATIENT: dict[str, dict[str, Any]] = {
    "delivery": {"retry_minutes": [0.0005], "set_aside_after": 2}
}


@pytest.fixture
async def servers() -> AsyncIterator[ScriptedStubs]:
    made = ScriptedStubs()
    await made.start()
    yield made
    await made.stop()


async def nudge(couriers: Couriers) -> None:
    """Nobody waits for their next look at what is due."""
    while True:
        couriers.wake()
        await asyncio.sleep(0.02)


async def test_inv_47_what_cannot_be_sent_through_a_fault_of_ours_holds_up_nothing_for_ever(
    database_url: str, tmp_path: Path, servers: ScriptedStubs
) -> None:
    async with local_hub(tmp_path, database_url, servers, IMPATIENT) as hub:
        host = host_of(await follower(hub, software="lemmy"))
        await hub.quiet()
        spoke = hub.site.federation
        assert spoke is not None
        couriers = spoke._couriers
        deliver = couriers._deliver
        poisoned: list[int | None] = []

        async def poisonous(parcel: Parcel, host_id: int, peer: Any) -> Any:
            # The first object that comes along.
            poisoned[:] = poisoned or [parcel.object_id]
            if parcel.object_id in poisoned:
                raise LookupError("the key is gone")
            return await deliver(parcel, host_id, peer)

        couriers._deliver = poisonous  # type: ignore[method-assign]
        nudging = asyncio.create_task(nudge(couriers))
        await hub.write_topic(hub.group, "Poisoned")
        fine = await hub.write_topic(hub.group, "Fine")
        await hub.quiet()
        nudging.cancel()
        told = [
            arrival.body["object"]["object"]["id"]
            for arrival in servers.hosts[host].arrived
            if isinstance(arrival.body.get("object"), dict)
            and arrival.body["object"].get("type") == "Create"
        ]
        assert hub.object_uri(fine) in told
        left = await hub.db.all("SELECT state, error, attempts FROM deliveries")
        assert left
        for row in left:
            assert dict(row) == {"state": "failed", "error": "internal error", "attempts": 2}
        assert await hub.count("SELECT count(*) FROM hosts WHERE dead_at IS NOT NULL") == 0


async def test_a_stop_in_the_middle_of_a_try_does_not_forget_how_ill_the_host_was(
    database_url: str, tmp_path: Path, servers: ScriptedStubs
) -> None:
    async with local_hub(tmp_path, database_url, servers, IMPATIENT) as hub:
        host = host_of(await follower(hub, software="lemmy"))
        await hub.quiet()
        sick = servers.hosts[host]
        sick.status = 500
        await hub.write_topic(hub.group, "Once")
        async with asyncio.timeout(30):
            while not await hub.count("SELECT max(failures) FROM lanes"):
                await asyncio.sleep(0.01)
            sick.hang = 60.0
            while not await hub.count(
                "SELECT count(*) FROM deliveries d JOIN lanes l ON l.host_id = d.host_id"
                " WHERE d.state = 'sending' AND l.lease_owner IS NOT NULL"
            ):
                await asyncio.sleep(0.01)
        since = await hub.count("SELECT failing_since FROM lanes WHERE failures > 0")
        assert hub.site.federation is not None
        await hub.site.federation.stop()
        lane = await hub.db.one("SELECT * FROM lanes WHERE queue = 'delivery'")
        assert lane is not None
        assert lane["lease_owner"] is None
        assert lane["failures"] > 0
        assert lane["failing_since"] == since


async def test_inv_44_what_is_queued_later_comes_later_whatever_the_clock_says(
    database_url: str, tmp_path: Path, servers: ScriptedStubs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another process was ahead with its ids when the clock was set back."""
    async with local_hub(tmp_path, database_url, servers, IMPATIENT) as hub:
        host = host_of(await follower(hub, software="lemmy"))
        await hub.quiet()
        servers.hosts[host].status = 503
        monkeypatch.setattr(ids, "_last", ids._last + (3_600_000 << ids.TAIL_BITS))
        await hub.write_topic(hub.group, "By the one")
        async with asyncio.timeout(30):
            while await journal.cursor(hub.db, CONSUMER) < await journal.last_seq(hub.db):
                await asyncio.sleep(0.01)
        # From here on as if it were another process, which knows of nothing.
        monkeypatch.setattr(ids, "_last", 0)
        await hub.write_topic(hub.group, "By the other")
        async with asyncio.timeout(30):
            while await journal.cursor(hub.db, CONSUMER) < await journal.last_seq(hub.db):
                await asyncio.sleep(0.01)
        order = [
            row["type"] + str(row["title"])
            for row in await hub.db.all(
                "SELECT c.type, o.title FROM deliveries d JOIN activities c ON c.id = d.activity_id"
                " JOIN objects o ON o.id = c.object_id ORDER BY d.id"
            )
        ]
        first = [each for each in order if each.endswith("By the one")]
        assert first
        assert order[: len(first)] == first
        assert len(order) > len(first)
