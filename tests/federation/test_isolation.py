"""Acceptance 5: one host answering 500, one hanging, one gone; the others do not notice."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

from tests.federation.hub import Hub, running_hub
from tests.federation.stub import StubHost, Stubs, stubs

TOPICS = 4


async def _join(servers: Stubs, hub: Hub, name: str, *, software: str = "lemmy") -> StubHost:
    """A follower of the group on the host `name`, by the real handshake."""
    fan = servers.actor("fan", name, software=software)
    group = hub.sql("SELECT actor_id FROM groups")[0][0]
    follow = {
        "@context": "https://www.w3.org/ns/activitystreams",
        "id": f"{fan}/follow",
        "type": "Follow",
        "actor": fan,
        "object": f"{hub.origin}/ap/g/{group}",
    }
    assert await servers.post(f"{hub.origin}/ap/g/{group}/inbox", follow) == 202
    host = servers.host(name)
    await servers.until(lambda: "Accept" in host.kinds(), why=f"{name} is accepted")
    host.arrived.clear()
    return host


def _names(host: StubHost) -> list[str]:
    return [
        arrival.body["object"]["object"]["name"] for arrival in host.arrived if arrival.status < 300
    ]


async def test_sick_hosts_delay_only_themselves_and_get_everything_in_order_when_they_are_back(
    tmp_path: Path,
) -> None:
    settings = {
        "delivery": {
            "retry_minutes": [0.01, 0.02],
            "concurrency": 8,
            # The one that is gone is given up after some seconds instead of days.
            "horizon_days": 4 / 86_400,
            "delete_horizon_days": 4 / 86_400,
            "set_aside_after": 100,
        }
    }
    async with stubs() as servers, running_hub(tmp_path / "hub", settings=settings) as hub:
        healthy = [await _join(servers, hub, f"well{n}.test") for n in range(6)]
        failing = await _join(servers, hub, "failing.test")
        hanging = await _join(servers, hub, "hanging.test")
        gone = await _join(servers, hub, "gone.test")
        failing.status, hanging.hang = 500, 8.0
        # Nobody listens there any more.
        hub_knows = f"http://gone.test:{servers.port + 1 if servers.port < 65_000 else 1}/inbox"
        _rewrite_inbox(hub, "gone.test", hub_knows)

        started = time.monotonic()
        names = [f"Topic {number}" for number in range(TOPICS)]
        for name in names:
            await hub.run("post", "gardening", "--as", "anna", "--title", name, "--text", "t")
        posted = time.monotonic() - started
        await servers.until(lambda: all(_names(host) == names for host in healthy))
        took = time.monotonic() - started
        # The hanging host alone takes 8 s for its first delivery.
        assert took < posted + 4, f"healthy hosts waited {took - posted:.1f} s"
        assert _names(hanging) in ([], names[:1])

        page = await hub.run("queue", "status")
        assert any(host["failures"] > 0 for host in page["hosts"]), page

        failing.status = 202
        await servers.until(lambda: _names(failing) == names, why="the first came back")
        await hub.until(
            "SELECT count(*) FROM deliveries WHERE state = 'failed'", wanted=TOPICS, seconds=20
        )
        assert gone.arrived == []
        reasons = hub.sql("SELECT DISTINCT error FROM deliveries WHERE state = 'failed'")
        assert all("connect" in reason for (reason,) in reasons), reasons
        words = await asyncio.to_thread(hub.cli, "queue", "status")
        assert "gone.test" in words


def _rewrite_inbox(hub: Hub, host: str, inbox: str) -> None:
    import sqlite3

    with sqlite3.connect(hub.folder / "fedcomm.db", timeout=10) as file:
        file.execute(
            "UPDATE actors SET inbox = ?, shared_inbox = ? WHERE host_id IN"
            " (SELECT id FROM hosts WHERE name LIKE ?)",
            (inbox, inbox, f"{host}:%"),
        )


async def test_a_poisoned_delivery_is_set_aside_with_its_reason_and_the_next_one_arrives(
    tmp_path: Path,
) -> None:
    """INV-47: a host that chokes on one activity still gets the others."""
    settings = {"delivery": {"retry_minutes": [0.002], "set_aside_after": 3}}
    async with stubs() as servers, running_hub(tmp_path / "hub", settings=settings) as hub:
        host = await _join(servers, hub, "choosy.test")
        host.status = 500
        await hub.run("post", "gardening", "--as", "anna", "--title", "Poison", "--text", "t")
        await hub.until("SELECT count(*) FROM deliveries WHERE state = 'failed'", wanted=1)
        host.status = 202
        await hub.run("post", "gardening", "--as", "anna", "--title", "Cure", "--text", "t")
        await servers.until(lambda: _names(host) == ["Cure"])
        failed = hub.sql("SELECT error FROM deliveries WHERE state = 'failed'")
        assert failed == [("answered 500",)]
        # The administrator may try again by hand.
        await hub.run("queue", "retry")
        await servers.until(lambda: _names(host) == ["Cure", "Poison"])


async def test_a_permanent_refusal_stops_at_once(tmp_path: Path) -> None:
    async with stubs() as servers, running_hub(tmp_path / "hub") as hub:
        host = await _join(servers, hub, "closed.test")
        host.status = 410
        await hub.run("post", "gardening", "--as", "anna", "--title", "T", "--text", "t")
        await hub.until("SELECT count(*) FROM deliveries WHERE state = 'failed'", wanted=1)
        await asyncio.sleep(1)
        assert len(host.arrived) == 1


async def test_a_refused_style_of_signature_is_tried_once_in_the_other_and_remembered(
    tmp_path: Path,
) -> None:
    async with stubs() as servers, running_hub(tmp_path / "hub") as hub:
        host = await _join(servers, hub, "modern.test")

        # The answer to the first knock is given before its style is looked at.
        host.status = 401
        servers.on_arrival = lambda at, _: setattr(
            at, "status", 202 if len(at.arrived) % 2 else 401
        )
        await hub.run("post", "gardening", "--as", "anna", "--title", "A", "--text", "t")
        await servers.until(lambda: len(host.arrived) == 2)
        first, second = host.arrived
        assert "Signature-Input" not in first.headers
        assert "Signature-Input" in second.headers
        assert first.body["id"] == second.body["id"]
        await hub.until(
            "SELECT signature_style FROM hosts WHERE name LIKE 'modern%'", wanted="rfc9421"
        )
        servers.on_arrival = None
        host.status = 202
        await hub.run("post", "gardening", "--as", "anna", "--title", "B", "--text", "t")
        await servers.until(lambda: len(host.arrived) == 3)
        assert "Signature-Input" in host.arrived[2].headers
