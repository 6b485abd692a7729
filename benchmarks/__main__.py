"""`python -m benchmarks`: measures one hub on this machine and prints a table.

The hub runs as its own process (`fedcomm serve`, SQLite, `synchronous=FULL`); this process plays the other servers.
What survives a noisy machine is the CPU time of the hub's process (user and system), given per 1,000 operations,
and its ratio to a floor measured in the same run: making or checking one RSA signature.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import aiohttp
import psutil

from activitypub import cavage
from activitypub.keys import generate_rsa
from benchmarks import growth, report
from tests.federation.hub import Hub, running_hub
from tests.federation.stub import ACTIVITY, PUBLIC, Stubs, stubs, test_key
from tests.federation.test_durability import _join_from

CONNECTIONS = 32

DOCS = Path(__file__).parent.parent / "docs"
PAGE = DOCS / "performance.md"
PLOT = DOCS / "images" / "performance.svg"


@dataclass
class Figure:
    """One line of the table. `cpu_s_per_1000`: of the hub's process alone; `floor` names what `ratio` compares with."""

    name: str
    operations: int
    per_second: float
    cpu_s_per_1000: float
    ratio: float | None = None
    floor: str = ""
    p50_ms: float | None = None
    p99_ms: float | None = None

    def timed(self, seconds: list[float]) -> Figure:
        """The same with how long single answers took; `seconds` of each, as the asking process saw them."""
        ordered = sorted(seconds)
        self.p50_ms = round(ordered[len(ordered) // 2] * 1000, 1)
        self.p99_ms = round(ordered[min(len(ordered) - 1, len(ordered) * 99 // 100)] * 1000, 1)
        return self


class Meter:
    """CPU seconds that the hub's process used since the last look."""

    def __init__(self, hub: Hub) -> None:
        assert hub.process is not None
        self._process = psutil.Process(hub.process.pid)
        self._last = self._now()
        self._at = time.monotonic()

    def _now(self) -> float:
        times = self._process.cpu_times()
        return times.user + times.system

    def figure(self, name: str, operations: int, floor: tuple[str, float] | None = None) -> Figure:
        used, took = self._now() - self._last, time.monotonic() - self._at
        per_1000 = used / operations * 1000
        ratio = per_1000 / floor[1] if floor else None
        return Figure(
            name,
            operations,
            round(operations / took, 1),
            round(per_1000, 3),
            round(ratio, 2) if ratio else None,
            floor[0] if floor else "",
        )

    def memory_mb(self) -> tuple[float, float]:
        """(RSS, PSS) in megabytes."""
        full = self._process.memory_full_info()
        return round(full.rss / 1e6, 1), round(full.pss / 1e6, 1)


def floors() -> dict[str, float]:
    """Seconds of CPU for 1,000 signatures made, and 1,000 checked, by `cryptography` alone."""
    key = generate_rsa()
    public, message = key.public(), b"x" * 300
    started = time.process_time()
    for _ in range(200):
        signature = key.sign(message)
    sign = (time.process_time() - started) / 200 * 1000
    started = time.process_time()
    for _ in range(1000):
        public.verify(signature, message)
    return {"RSA sign": sign, "RSA verify": time.process_time() - started}


async def inbox(
    hub: Hub, servers: Stubs, topic: dict[str, str], count: int, floor: tuple[str, float]
) -> list[Figure]:
    """Signed replies to one topic from 200 actors on 10 hosts over 32 connections; cold, then warm."""
    people = [servers.actor(f"a{n}", f"load{n % 10}.test") for n in range(200)]
    url = f"{hub.origin}/ap/inbox"
    thread = topic["uri"].rpartition("/")[2]
    figures = []
    for turn, temperature in enumerate(("cold", "warm")):
        prepared = []
        for number in range(count):
            author = people[number % len(people)]
            uri = f"{author}/notes/{thread}-{turn}-{number}"
            activity = {
                "@context": "https://www.w3.org/ns/activitystreams",
                "id": f"{uri}/create",
                "type": "Create",
                "actor": author,
                "to": [PUBLIC],
                "object": {
                    "id": uri,
                    "type": "Note",
                    "attributedTo": author,
                    "to": [PUBLIC],
                    "cc": [f"{author}/followers"],
                    "inReplyTo": topic["uri"],
                    "content": f"<p>Answer {number}: add compost, then wait.</p>",
                    "published": "2026-11-01T10:00:00Z",
                },
            }
            body = json.dumps(activity).encode()
            headers = cavage.sign("POST", url, body, test_key(), f"{author}#main-key")
            prepared.append((body, headers | {"Content-Type": ACTIVITY}))
        meter = Meter(hub)
        before = hub.sql("SELECT count(*) FROM objects WHERE kind = 'reply'")[0][0]
        statuses, took = await _over_connections(
            [_poster(url, body, headers) for body, headers in prepared]
        )
        figures.append(meter.figure(f"inbox {temperature}, accepted", count, floor).timed(took))
        assert set(statuses) == {202}, statuses
        await hub.until(
            "SELECT count(*) FROM objects WHERE kind = 'reply'", wanted=before + count, seconds=300
        )
        figures.append(meter.figure(f"inbox {temperature}, visible", count, floor))
    return figures


def _poster(
    url: str, body: bytes, headers: dict[str, str]
) -> Callable[[aiohttp.ClientSession], Awaitable[int]]:
    async def post(session: aiohttp.ClientSession) -> int:
        async with session.post(url, data=body, headers=headers) as answer:
            await answer.read()
            return answer.status

    return post


async def _over_connections(
    calls: list[Callable[[aiohttp.ClientSession], Awaitable[int]]],
) -> tuple[list[int], list[float]]:
    """The answers' statuses, and how long each took."""
    connector = aiohttp.TCPConnector(limit=CONNECTIONS)
    waiting = iter(calls)
    results: list[int] = []
    took: list[float] = []
    async with aiohttp.ClientSession(connector=connector) as session:

        async def work() -> None:
            for call in waiting:
                started = time.monotonic()
                results.append(await call(session))
                took.append(time.monotonic() - started)

        await asyncio.gather(*(work() for _ in range(CONNECTIONS)))
    return results, took


async def fan_out(hub: Hub, servers: Stubs, hosts: int, floor: tuple[str, float]) -> list[Figure]:
    """One topic, then ten in a row, to one follower on each of `hosts` servers that take activities."""
    await _join_from(servers, hub, hosts)
    fans = [servers.hosts[f"h{n}.test"] for n in range(hosts)]

    def total() -> int:
        return sum(len(fan.arrived) for fan in fans)

    figures = []
    for topics in (1, 10):
        wanted = total() + topics * hosts
        meter = Meter(hub)
        for number in range(topics):
            await hub.run(
                *("post", "gardening", "--as", "anna", "--text", "Clay, north side."),
                *("--title", f"Topic {topics}-{number}"),
            )
        await servers.until(lambda: total() >= wanted, seconds=600)  # noqa: B023
        figures.append(meter.figure(f"fan-out of {topics} to {hosts} hosts", topics * hosts, floor))
    return figures


MADE_ANEW = {"Authorization": "none"}
"""Whoever sends this is answered without a copy: what a page costs after each change, and members."""


async def reading(hub: Hub, topic: dict[str, str], times: int) -> list[Figure]:
    """Pages and documents as an anonymous visitor gets them, 32 at once: while nothing changes, and made anew."""
    group = hub.sql("SELECT actor_id FROM groups")[0][0]
    figures = []
    thread = topic["url"].removeprefix(hub.origin)
    for name, path, accept, count, extra in (
        ("group page", "/g/gardening", "text/html", times, {}),
        ("group page, made anew", "/g/gardening", "text/html", times // 4, MADE_ANEW),
        ("thread page", thread, "text/html", times, {}),
        ("thread page, made anew", thread, "text/html", times // 8, MADE_ANEW),
        ("group actor document", f"/ap/g/{group}", ACTIVITY, times * 2, {}),
        (
            "WebFinger",
            f"/.well-known/webfinger?resource=acct:gardening@{hub.host}",
            "*/*",
            times,
            {},
        ),
    ):
        headers = {"Accept": accept, **extra}
        figures.append(await _read(hub, name, path, headers, count))
    return figures


async def _read(hub: Hub, name: str, path: str, headers: dict[str, str], count: int) -> Figure:
    """Ask for one path `count` times, 32 at once; the first time, when templates are compiled, does not count."""

    async def get(session: aiohttp.ClientSession) -> int:
        async with session.get(hub.origin + path, headers=headers) as answer:
            await answer.read()
            return answer.status

    await _over_connections([get])
    meter = Meter(hub)
    statuses, took = await _over_connections([get] * count)
    assert set(statuses) == {200}, (name, set(statuses))
    return meter.figure(name, count).timed(took)


async def when_grown(
    hub: Hub, servers: Stubs, floor: tuple[str, float], reads: int, replies: int
) -> list[Figure]:
    """Pages made anew, and the inbox, with few and with many objects in the hub."""
    figures = []
    for size in growth.SIZES:
        topic = await hub.run(
            "post", "gardening", "--as", "anna", "--title", f"With {size}", "--text", "Clay."
        )
        await hub.stop()
        growth.grow(hub, size)
        cookie = growth.log_in(hub)
        await hub.start()
        arrived = await inbox(hub, servers, topic, replies, floor)
        thread = topic["url"].removeprefix(hub.origin)
        measured = [figure for figure in arrived if figure.name == "inbox warm, visible"]
        for name, path, extra in (
            ("group page, made anew", "/g/gardening", MADE_ANEW),
            ("thread page, made anew", thread, MADE_ANEW),
            ("home of a member", "/", cookie),
        ):
            measured.append(await _read(hub, name, path, {"Accept": "text/html", **extra}, reads))
        for figure in measured:
            figure.name = f"{figure.name}, {size:,} objects"
        figures += measured
    return figures


async def start_up(hub: Hub, times: int = 3) -> float:
    """Seconds from starting the process to the first 200, the median."""
    took = []
    for _ in range(times):
        await hub.stop()
        started = time.monotonic()
        await hub.start()
        took.append(time.monotonic() - started)
    return round(statistics.median(took), 3)


async def measure(replies: int, hosts: int, reads: int, *, grown: bool) -> dict[str, object]:
    floor = floors()
    verify = ("RSA verify", floor["RSA verify"])
    sign = ("RSA sign", floor["RSA sign"])
    figures: list[Figure] = []
    with tempfile.TemporaryDirectory() as folder:
        async with stubs() as servers, running_hub(Path(folder) / "hub") as hub:
            seconds = await start_up(hub)
            await asyncio.sleep(2)
            idle = Meter(hub).memory_mb()
            topic = await hub.run(
                "post", "gardening", "--as", "anna", "--title", "Which soil?", "--text", "Clay."
            )
            figures += await inbox(hub, servers, topic, replies, verify)
            figures += await reading(hub, topic, reads)
            figures += await fan_out(hub, servers, hosts, sign)
            after = Meter(hub).memory_mb()
        if grown:
            # One of its own: nobody follows there, and every page of the first figures is full.
            async with stubs() as servers, running_hub(Path(folder) / "grown") as hub:
                figures += await when_grown(hub, servers, verify, reads // 4, replies // 2)
    return {
        "start_seconds": seconds,
        "idle_rss_pss_mb": idle,
        "after_load_rss_pss_mb": after,
        "floors_cpu_s_per_1000": {name: round(value, 4) for name, value in floor.items()},
        "figures": [asdict(figure) for figure in figures],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--replies", type=int, default=1000, help="activities posted, each cold and warm"
    )
    parser.add_argument("--hosts", type=int, default=300, help="hosts of the fan-out")
    parser.add_argument("--reads", type=int, default=800, help="requests for each page")
    parser.add_argument(
        "--growth", action="store_true", help="measure with 1,000 and with 100,000 objects as well"
    )
    parser.add_argument(
        "--write", action="store_true", help="put the figures into docs/performance.md"
    )
    parser.add_argument("--json", type=Path, help="write the result to this file as well")
    options = parser.parse_args()
    result = asyncio.run(
        measure(options.replies, options.hosts, options.reads, grown=options.growth)
    )
    if options.json:
        options.json.write_text(json.dumps(result, indent=2) + "\n")
    if options.write:
        sizes = f"--replies {options.replies} --hosts {options.hosts} --reads {options.reads}"
        more = " --growth" if options.growth else ""
        command = f"make bench ARGS='{sizes}{more} --write'"
        report.write(result, command, PAGE, PLOT)
    print(f"start to first 200: {result['start_seconds']} s")
    print(
        f"idle RSS, PSS: {result['idle_rss_pss_mb']} MB; after load: {result['after_load_rss_pss_mb']} MB"
    )
    print(f"floors, CPU s per 1,000: {result['floors_cpu_s_per_1000']}")
    print(f"{'':34}{'per s':>9}{'CPU s/1000':>12}{'× floor':>9}")
    for figure in result["figures"]:  # type: ignore[attr-defined]
        ratio = f"{figure['ratio']} × {figure['floor']}" if figure["ratio"] else ""
        print(f"{figure['name']:34}{figure['per_second']:9}{figure['cpu_s_per_1000']:12}  {ratio}")


if __name__ == "__main__":
    main()
