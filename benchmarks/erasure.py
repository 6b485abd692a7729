"""`python -m benchmarks.erasure`: erases a member with many objects known to many hosts while the hub serves.

The past is written into the database as the hub would have left it (each object reached `--copies` of the hosts; one
host in ten does not let go of posts when their author is deleted, so it is asked for each). Then the member is erased
while another visitor reads pages: how long it takes, how the pages answer meanwhile against before, how much memory the
hub's process takes, and how fast the hosts are asked.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import sqlite3
import statistics
import tempfile
import time
from pathlib import Path

import aiohttp

from benchmarks.figures import Meter
from fedcomm.store.ids import new_id, now_ms
from tests.federation.hub import Hub, running_hub
from tests.federation.stub import Stubs, stubs

BATCH = 10_000
READS_S = 10.0


def fill(hub: Hub, servers: Stubs, objects: int, hosts: int, copies: int) -> int:
    """The member `ben` with a past; their id."""
    chance = random.Random(1)
    with sqlite3.connect(hub.folder / "fedcomm.db") as db:
        (ben,) = db.execute("SELECT id FROM actors WHERE name = 'ben'").fetchone()
        (group,) = db.execute("SELECT actor_id FROM groups").fetchone()
        now = now_ms()
        host_ids = []
        for number in range(hosts):
            server = servers.host(f"e{number}.test")
            host_id, actor_id = new_id(), new_id()
            host_ids.append(host_id)
            software = "nodebb" if number % 10 == 0 else "mastodon"
            db.execute(
                "INSERT INTO hosts (id, name, first_seen_at, software, probed_at) VALUES (?, ?, ?, ?, ?)",
                (host_id, server.origin.split("//")[1], now, software, now),
            )
            uri = f"{server.origin}/users/rita"
            db.execute(
                "INSERT INTO actors (id, kind, host_id, uri, name, inbox, shared_inbox, created_at,"
                " updated_at) VALUES (?, 'person', ?, ?, 'rita', ?, ?, ?, ?)",
                (actor_id, host_id, uri, f"{uri}/inbox", f"{server.origin}/inbox", now, now),
            )
        made = 0
        while made < objects:
            count = min(BATCH, objects - made)
            ids = [new_id() for _ in range(count)]
            db.executemany(
                "INSERT INTO objects (id, kind, type, author_id, group_id, topic_id, visibility, title,"
                " source, html, created_at, published_at, active_at)"
                " VALUES (?, 'topic', 'Page', ?, ?, ?, 'public', 'A topic', ?, ?, ?, ?, ?)",
                [(i, ben, group, i, f"Words {i}", f"<p>Words {i}</p>", now, now, now) for i in ids],
            )
            db.executemany(
                "INSERT INTO search_index (rowid, title, body) VALUES (?, 'a topic', ?)",
                [(i, f"words {i}") for i in ids],
            )
            db.executemany(
                "INSERT INTO reach (subject_id, host_id, how, first_at, last_at) VALUES (?, ?, 1, ?, ?)",
                [(i, h, now, now) for i in ids for h in chance.sample(host_ids, copies)],
            )
            made += count
        db.executemany(
            "INSERT INTO reach (subject_id, host_id, how, first_at, last_at) VALUES (?, ?, 1, ?, ?)",
            [(ben, h, now, now) for h in host_ids],
        )
    return int(ben)


async def read(hub: Hub, until: asyncio.Event | None, seconds: float = READS_S) -> list[float]:
    """Milliseconds that a visitor waited for each group page, one after the other, a hundred a second at most."""
    waits = []
    end = time.monotonic() + seconds
    async with aiohttp.ClientSession() as session:
        while time.monotonic() < end and not (until and until.is_set()):
            started = time.monotonic()
            async with session.get(
                f"{hub.origin}/g/kitchen", headers={"Accept": "text/html"}
            ) as page:
                await page.read()
                assert page.status == 200
            waits.append((time.monotonic() - started) * 1000)
            await asyncio.sleep(0.01)
    return waits


def figures(waits: list[float]) -> dict[str, float]:
    ordered = sorted(waits)
    return {
        "reads": len(waits),
        "p50_ms": round(statistics.median(ordered), 1),
        "p99_ms": round(ordered[int(len(ordered) * 0.99)], 1),
        "max_ms": round(ordered[-1], 1),
    }


async def measure(
    objects: int, hosts: int, copies: int, rate: float, processes: int = 1
) -> dict[str, object]:
    settings = {
        "delivery": {"recalls_per_second": rate},
        "server": {"processes": processes},
    }
    with tempfile.TemporaryDirectory() as folder:
        async with stubs() as servers, running_hub(Path(folder) / "hub", settings=settings) as hub:
            await hub.run("group", "create", "kitchen", "--title", "Kitchen", "--owner", "anna")
            await hub.stop()
            started = time.monotonic()
            ben = fill(hub, servers, objects, hosts, copies)
            filled = time.monotonic() - started
            await hub.start()
            meter = Meter.of(hub)
            before = await read(hub, None, 5.0)
            memory = [meter.memory_mb()[0]]
            over = asyncio.Event()
            reading = asyncio.create_task(read(hub, over, 3600.0))
            started = time.monotonic()
            # The command asks; the running server does the work.
            made = await asyncio.to_thread(_ask, hub, ben)
            times: dict[str, float] = {}
            while True:
                await asyncio.sleep(0.5)
                memory.append(meter.memory_mb()[0])
                state = hub.sql(f"SELECT state FROM erasures WHERE id = {made}")[0][0]
                for earlier, name in (
                    ("scrub", "erased_s"),
                    ("tell", "scrubbed_s"),
                    ("done", "told_s"),
                ):
                    order = ("objects", "rows", "scrub", "tell", "done")
                    if order.index(state) >= order.index(earlier):
                        times.setdefault(name, round(time.monotonic() - started, 1))
                if state == "done":
                    break
            over.set()
            during = await reading
            told = hub.sql(
                f"SELECT count(*), sum(status BETWEEN 200 AND 299) FROM erasure_recipients WHERE case_id = {made}"
            )[0]
            deletes = sum(
                arrival.body["type"] == "Delete"
                for host in servers.hosts.values()
                for arrival in host.arrived
            )
            cpu = meter.figure("objects erased", objects)
    return {
        "objects": objects,
        "hosts": hosts,
        "processes": processes,
        "filled_s": round(filled, 1),
        "pages_before": figures(before),
        "pages_during": figures(during),
        "rss_mb_before_and_highest": [memory[0], max(memory)],
        **times,
        "recipients": told[0],
        "acknowledged": told[1],
        "deletes_received": deletes,
        "deletes_per_s": round(deletes / times["told_s"], 1),
        "cpu_s_per_1000_objects": cpu.cpu_s_per_1000,
    }


def _ask(hub: Hub, member_id: int) -> int:
    """A request as the member's own page makes it: one transaction, nothing else."""
    from fedcomm.config import load
    from fedcomm.hub import erasure
    from fedcomm.store.schema import open_database

    async def ask() -> int:
        db = await open_database(load(hub.config, {}).database.url, readers=1)
        try:
            async with db.transaction() as tx:
                return await erasure.request(
                    tx, "member", member_id, requested_by=member_id, own=True
                )
        finally:
            await db.close()

    return asyncio.run(ask())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--objects", type=int, default=100_000)
    parser.add_argument("--hosts", type=int, default=2_000)
    parser.add_argument("--copies", type=int, default=20, help="hosts that each object reached")
    parser.add_argument("--rate", type=float, default=20.0, help="requests per second and host")
    parser.add_argument("--processes", type=int, default=1, help="processes of the hub")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    result = asyncio.run(
        measure(options.objects, options.hosts, options.copies, options.rate, options.processes)
    )
    text = json.dumps(result, indent=2)
    if options.json:
        options.json.write_text(text + "\n")
    print(text)


if __name__ == "__main__":
    main()
