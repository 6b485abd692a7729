"""Starting, and memory: how soon a hub answers, what it needs when nothing happens and after hours of everything."""

from __future__ import annotations

import asyncio
import statistics
import time
from typing import Final

from benchmarks.figures import Figure, cpu_seconds
from benchmarks.load import request
from benchmarks.reading import PAGE
from benchmarks.stage import Stage, Topic

STEP_S: Final = 0.005
SETTLE_S: Final = 2.0
"""After a start, until memory is looked at."""

ROUND_S: Final = 1.0
"""Of mixed load: a round of everything each second."""
TOPIC_EVERY: Final = 30
"""Rounds between two topics, each of which goes to all followers."""
FOLLOWERS: Final = 20
REPLIES: Final = 20
READS: Final = 40
"""In a round."""


async def start_up(stage: Stage, times: int = 3) -> dict[str, float]:
    """Medians: seconds from starting the process to the first 200, to the first page, and CPU seconds until then."""
    first, shown, used = [], [], []
    for _ in range(times):
        await stage.hub.stop()
        started = time.monotonic()
        starting = asyncio.create_task(stage.hub.start())
        await _answered(stage, "/health")
        first.append(time.monotonic() - started)
        await _answered(stage, "/g/gardening")
        shown.append(time.monotonic() - started)
        assert stage.hub.process is not None
        used.append(cpu_seconds(stage.hub.process.pid))
        await starting
    return {
        "start_seconds": round(statistics.median(first), 3),
        "first_page_seconds": round(statistics.median(shown), 3),
        "start_cpu_seconds": round(statistics.median(used), 3),
    }


async def _answered(stage: Stage, path: str) -> None:
    """Wait until a path is answered 200."""
    ask = request("GET", path, stage.hub.host, {"Accept": "text/html", "Connection": "close"})
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            reader, writer = await asyncio.open_connection(*stage.address)
        except OSError:
            await asyncio.sleep(STEP_S)
            continue
        writer.write(ask)
        status = await reader.readline()
        writer.close()
        if b" 200 " in status:
            return
        await asyncio.sleep(STEP_S)
    raise AssertionError(f"{path} is not answered")


async def idle_memory(stage: Stage, settle_s: float = SETTLE_S) -> tuple[float, float]:
    """(RSS, PSS) of a hub that has just started and has nothing to do, in megabytes."""
    await asyncio.sleep(settle_s)
    return stage.meter().memory_mb()


async def mixed(stage: Stage, thread: Topic, seconds: float) -> Figure:
    """A bit of everything for so long: answers arrive, pages are read by visitors and members, topics go out, to
    `FOLLOWERS` hosts."""
    who = await stage.cookie()
    kept = await stage.db.all(
        "SELECT id FROM actors WHERE name = 'fan' ORDER BY id LIMIT 1 OFFSET ?", FOLLOWERS
    )
    async with stage.db.transaction() as tx:
        # Each answer goes to each of them: more would be a fan-out again and nothing else.
        for row in kept:
            await tx.execute(
                "UPDATE memberships SET suspended = 1 WHERE actor_id IN"
                " (SELECT id FROM actors WHERE name = 'fan' AND id >= ?)",
                row["id"],
            )
    host = stage.hub.host
    group = await stage.group()
    reads = [
        request("GET", path, host, headers)
        for headers in (PAGE, {**PAGE, **who})
        for path in ("/g/gardening", thread.path, "/", "/search?q=compost", "/groups")
    ] + [request("GET", f"/ap/g/{group}", host, {"Accept": "application/activity+json"})] * 10
    other = await stage.write_topic("What else?")
    meter = stage.meter()
    started = time.monotonic()
    rounds = done = 0
    while time.monotonic() - started < seconds:
        begun = time.monotonic()
        replies = [stage.reply(other, rounds * REPLIES + number) for number in range(REPLIES)]
        poured = await stage.pour([*replies, *reads, *reads[: READS - len(reads)]])
        assert set(poured.statuses) <= {200, 202}, poured.statuses
        done += len(poured.seconds)
        if rounds % TOPIC_EVERY == 0:
            await stage.write_topic(f"Season {rounds}")
            done += 1
        rounds += 1
        await asyncio.sleep(max(0.0, begun + ROUND_S - time.monotonic()))
    await stage.quiet()
    return meter.figure(f"mixed load for {seconds:.0f} s", done)
