"""`python -m benchmarks.ledger`: what the ledger of reach costs as it grows (SQLite).

Bytes for each row, and the CPU time of what a delivery writes, of what a deletion asks (who has a copy?) and of what a
member's page sums up, with a hundred thousand rows and with as many as one says; the ratio is what must stay near 1.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import sqlite3
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from fedcomm.federation import recipients
from fedcomm.federation.couriers import REACHED
from fedcomm.hub import reach
from fedcomm.store.database import Database
from fedcomm.store.ids import new_id, now_ms
from fedcomm.store.schema import migrate, open_database

HOSTS = 2_000
COPIES = 20
"""Hosts that each object reached."""

ROUNDS = 400


def fill(path: Path, rows: int) -> tuple[list[int], list[int]]:
    """Rows of objects of one member on 2,000 hosts; ids of the last objects and of the hosts."""
    chance = random.Random(rows)
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA synchronous = OFF")
        now = now_ms()
        hosts = [new_id() for _ in range(HOSTS)]
        db.executemany(
            "INSERT INTO hosts (id, name, first_seen_at) VALUES (?, ?, ?)",
            [(host, f"h{host}.test", now) for host in hosts],
        )
        objects = [new_id() for _ in range(rows // COPIES)]
        for start in range(0, len(objects), 20_000):
            db.executemany(
                "INSERT INTO reach (subject_id, host_id, how, first_at, last_at) VALUES (?, ?, 1, ?, ?)",
                sorted(
                    (one, host, now, now)
                    for one in objects[start : start + 20_000]
                    for host in chance.sample(hosts, COPIES)
                ),
            )
    return objects, hosts


async def cost(work: Callable[[int], Awaitable[object]]) -> float:
    """CPU microseconds for one call."""
    started = time.process_time()
    for number in range(ROUNDS):
        await work(number)
    return (time.process_time() - started) / ROUNDS * 1e6


async def figures(db: Database, objects: list[int], hosts: list[int]) -> dict[str, float]:
    chance = random.Random(3)
    known = [chance.choice(objects) for _ in range(ROUNDS)]
    fresh = [new_id() for _ in range(ROUNDS)]

    async def note(number: int) -> None:
        now = now_ms()
        await db.append(REACHED, (fresh[number], chance.choice(hosts), now, now))

    return {
        "a delivery is noted": await cost(note),
        "who has a copy of an object": await cost(lambda n: recipients.reached(db, known[n])),
        "the page of one object": await cost(lambda n: reach.hosts_reached(db, known[n])),
    }


async def measure(rows: int) -> dict[str, object]:
    found: dict[int, dict[str, float]] = {}
    sizes: dict[int, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        for count in (100_000, rows):
            path = Path(folder) / f"{count}.db"
            await asyncio.to_thread(migrate, f"sqlite:///{path}")
            empty = path.stat().st_size
            objects, hosts = fill(path, count)
            sizes[count] = (path.stat().st_size - empty) / count
            db = await open_database(f"sqlite:///{path}")
            await figures(db, objects, hosts)  # Warm.
            found[count] = await figures(db, objects, hosts)
            await db.close()
    small, large = found[100_000], found[rows]
    return {
        "rows": rows,
        "bytes_per_row_with_index": round(sizes[rows], 1),
        "cpu_us": {
            name: {"100000": round(small[name], 1), str(rows): round(large[name], 1)}
            for name in small
        },
        "ratio": {name: round(large[name] / small[name], 2) for name in small},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=10_000_000)
    print(json.dumps(asyncio.run(measure(parser.parse_args().rows)), indent=2))


if __name__ == "__main__":
    main()
