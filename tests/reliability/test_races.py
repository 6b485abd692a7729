"""Two workers on one database that answers late, one of which ends and begins again: nothing gets stuck, nothing is
done twice, and order is kept.

Leases last for an hour here: a lane that is leased and worked on by nobody is not healed by waiting.
`FEDCOMM_TEST_RACES` says with how many seeds (`python -m tests.nightly` wants more).
"""

from __future__ import annotations

import asyncio
import itertools
import os
import random
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from contextvars import ContextVar
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from fedcomm import server
from fedcomm.config import load
from fedcomm.federation import intake, lanes
from fedcomm.server import close_site, open_site
from fedcomm.site import Site
from fedcomm.store.database import Database
from tests.federation.delays import late
from tests.federation.inprocess import LocalHub, ScriptedStubs, local_hub
from tests.federation.stub import PUBLIC

SEEDS = int(os.environ.get("FEDCOMM_TEST_RACES", "1"))
FANS = 4
AUTHORS = 2
REPLIES = 8
TOPICS = 8
RESTARTS = 2
HOUR_MS = 3_600_000

SETTINGS: dict[str, dict[str, Any]] = {
    "database": {"pool_size": 4},
    "delivery": {"retry_minutes": [0.002]},
    "inbox": {"retry_seconds": [0.1], "per_host_per_second": 1_000},
    "rates": {"posts_per_member_5min": 1_000_000},
    "abuse": {"posts_per_actor_hour": 0, "activities_per_actor_hour": 0, "hold_score": 1000,
              "posts_per_host_and_group_hour": 0, "follows_per_group_hour": 0},
}  # fmt: skip

_signature: ContextVar[str] = ContextVar("signature", default="nobody:0:0")


def sign_as(pid: int, start: int) -> str:
    """Let the workers that are started from here on sign their leases as another process would."""
    name = f"{socket.gethostname()}:{pid}:{start}"
    _signature.set(name)
    return name


def hold_for_an_hour(site: Site) -> None:
    spoke = site.federation
    assert spoke is not None
    spoke._couriers._lease_ms = HOUR_MS
    spoke._backfill.bounds = replace(spoke._backfill.bounds, seconds=HOUR_MS / 1000)


@asynccontextmanager
async def worker(folder: Path, start: int) -> AsyncIterator[str]:
    """Another process of the same hub that works the queues, until the block ends; how it signs."""
    name = sign_as(os.getppid(), start)
    site = await open_site(load(folder / "fedcomm.toml", {}))
    hold_for_an_hour(site)
    assert site.federation is not None
    await site.federation.start()
    try:
        yield name
    finally:
        await close_site(site)


class Town:
    """Who follows, who answers, and what they see."""

    def __init__(self, hub: LocalHub, chance: random.Random) -> None:
        self.hub = hub
        self.chance = chance
        servers = hub.stubs
        self.fans = [
            servers.hosts[servers.somebody("fan", software="lemmy").split("/")[2].partition(":")[0]]
            for _ in range(FANS)
        ]
        hosts = [servers.new_host() for _ in range(AUTHORS)]
        self.authors = [servers.actor(name, host) for host in hosts for name in ("ida", "ugo")]
        self.over = asyncio.Event()

    async def follow(self) -> None:
        for fan in self.fans:
            (actor,) = (document["id"] for document in fan.actors.values())
            follow = {
                "@context": "https://www.w3.org/ns/activitystreams",
                "id": f"{actor}/follow",
                "type": "Follow",
                "actor": actor,
                "object": self.hub.group_uri(self.hub.group),
            }
            assert await self.hub.deliver(follow) == "done: membership active"

    async def answer(self, author: str) -> None:
        """Answers, one after the other, each sent when the one before was taken; the first has answers of its own."""
        servers = self.hub.stubs
        for number in range(REPLIES):
            more: dict[str, Any] = {}
            if number == 0:
                more["replies"] = f"{author}/notes/0/replies"
                listed = servers.note(author, number="listed", inReplyTo=f"{author}/notes/0")
                servers.publish(
                    {
                        "@context": "https://www.w3.org/ns/activitystreams",
                        "id": more["replies"],
                        "type": "Collection",
                        "items": [listed["id"]],
                    }
                )
            note = servers.note(
                author, number=number, inReplyTo=self.hub.object_uri(self.hub.topic), **more
            )
            activity = {
                "@context": "https://www.w3.org/ns/activitystreams",
                "id": f"{note['id']}/create",
                "type": "Create",
                "actor": author,
                "to": [PUBLIC],
                "object": note,
            }
            while await self.hub.post(activity) != 202:
                await asyncio.sleep(0.01)
            await asyncio.sleep(self.chance.uniform(0, 0.01))

    async def write(self) -> None:
        for number in range(TOPICS):
            await self.hub.write_topic(self.hub.group, f"Topic {number}")
            await asyncio.sleep(self.chance.uniform(0, 0.05))

    async def be_ill(self) -> None:
        """One of the followers' servers after the other is overloaded for a moment."""
        while not self.over.is_set():
            fan = self.chance.choice(self.fans)
            fan.status = 503
            await asyncio.sleep(self.chance.uniform(0, 0.1))
            fan.status = 202
            await asyncio.sleep(self.chance.uniform(0, 0.1))

    async def audit(self) -> None:
        """Nothing lost, nothing twice, everything in the order in which the hub came to know it."""
        db = self.hub.db
        told = [
            str(row["uri"] or self.hub.object_uri(row["id"]))
            for row in await db.all(
                "SELECT o.id, o.uri FROM journal j JOIN objects o ON o.id = j.object_id"
                " WHERE j.event IN ('topic_created', 'reply_created') AND o.group_id = ?"
                " ORDER BY j.seq",
                self.hub.group,
            )
        ]
        assert len(told) == len(set(told))
        for author in self.authors:
            sent = [f"{author}/notes/{number}" for number in range(REPLIES)]
            assert [uri for uri in told if uri in sent] == sent, "answers changed their order"
            assert f"{author}/notes/listed" in told, "what was listed elsewhere was not read"
        # Who followed got all that was said afterwards, but for what somebody else listed.
        expected = [uri for uri in told[1:] if not uri.endswith("listed")]
        for fan in self.fans:
            came = dict.fromkeys(
                str(arrival.body["object"]["object"]["id"])
                for arrival in fan.arrived
                if arrival.status < 300
                and arrival.body["type"] == "Announce"
                and isinstance(arrival.body["object"], dict)
                and arrival.body["object"].get("type") == "Create"
            )
            assert [uri for uri in came if uri in expected] == expected, f"at {fan.name}"
        assert await self.hub.count("SELECT count(*) FROM inbox WHERE state <> 'done'") == 0
        assert await self.hub.count("SELECT count(*) FROM backfill WHERE state <> 'done'") == 0


async def until_nothing_is_held(hub: LocalHub) -> None:
    async with asyncio.timeout(60):
        while left := await hub.db.all("SELECT * FROM lanes WHERE lease_owner IS NOT NULL"):
            await asyncio.sleep(0.02)
            print([dict(row) for row in left])


@pytest.mark.parametrize("seed", range(SEEDS))
async def test_inv_44_46_nothing_is_stuck_or_out_of_order_when_the_database_answers_late(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    seeds = itertools.count(seed * 100)

    def slowed(db: Database, slow_ms: float) -> Database:
        return late(db, next(seeds))

    monkeypatch.setattr(server, "measured", slowed)
    monkeypatch.setattr(lanes, "owner", _signature.get)
    monkeypatch.setattr(intake, "LEASE_MS", HOUR_MS)
    sign_as(os.getpid(), 0)
    servers = ScriptedStubs()
    await servers.start()
    try:
        async with local_hub(tmp_path, database_url, servers, SETTINGS) as hub:
            hold_for_an_hour(hub.site)
            town = Town(hub, random.Random(seed))
            await town.follow()
            illness = asyncio.create_task(town.be_ill())
            people = [
                *(asyncio.create_task(town.answer(author)) for author in town.authors),
                asyncio.create_task(town.write()),
            ]
            for start in range(RESTARTS):
                async with worker(tmp_path, start) as name:
                    await asyncio.sleep(town.chance.uniform(0.1, 0.5))
                held = await hub.count("SELECT count(*) FROM lanes WHERE lease_owner = ?", name)
                assert held == 0, "who ended holds what nobody works on"
            async with worker(tmp_path, RESTARTS):
                await asyncio.gather(*people)
                town.over.set()
                await illness
                await hub.quiet()
                async with asyncio.timeout(60):
                    while await hub.count("SELECT count(*) FROM backfill WHERE state = 'waiting'"):
                        await asyncio.sleep(0.02)
                await hub.quiet()
                await until_nothing_is_held(hub)
            await town.audit()
    finally:
        await servers.stop()
