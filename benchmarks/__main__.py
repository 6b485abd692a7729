"""`python -m benchmarks`: measures one hub on this machine and prints a table.

The hub runs as its own processes (`fedcomm serve`, `synchronous=FULL`); two more processes make the load and another
one plays the other servers. What survives a noisy machine is the CPU time of the hub's processes (user and system),
given per 1,000 operations, and its ratio to a floor measured in the same run: making or checking one RSA signature.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import logging
import os
import shlex
import sys
import tempfile
from collections.abc import AsyncIterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from benchmarks import beside, floors, growth, profile, report, starting
from benchmarks.fanout import fan_out
from benchmarks.figures import Figure, Floor
from benchmarks.inbox import inbox
from benchmarks.reading import asking, reading, settle
from benchmarks.stage import Stage, staged
from tests.databases import Engine

DOCS: Final = Path(__file__).parent.parent / "docs"
PAGE: Final = DOCS / "performance.md"
RESULT: Final = DOCS / "performance.json"

PAGE_BYTES: Final = 30_000
"""Of the page that the bare server answers with; about a group's page."""


@dataclass(frozen=True, slots=True)
class Size:
    """How much is measured."""

    replies: int
    hosts: int
    reads: int
    mixed_seconds: float
    processes: int = 1
    profiled: bool = False
    people: int = 200
    thread_replies: int = 200
    topics: int = 30
    starts: int = 3
    settle_seconds: float = starting.SETTLE_S


@contextlib.asynccontextmanager
async def _seen(
    stage: Stage, size: Size, found: dict[str, profile.Shares], name: str
) -> AsyncIterator[None]:
    """The block, looked at by the profiler if that is wanted."""
    if size.profiled and profile.py_spy() is not None:
        async with profile.watched(stage, found, name):
            yield
    else:
        yield


async def measure(engine: Engine, size: Size, signing: tuple[Floor, Floor]) -> dict[str, Any]:
    """One hub on one engine, from its start to a mixed load: a section of the result."""
    sign, verify = signing
    figures: list[Figure] = []
    facts: dict[str, Any] = {}
    before = round(os.getloadavg()[0], 1)
    with tempfile.TemporaryDirectory() as folder:
        async with staged(Path(folder) / "hub", engine, processes=size.processes) as stage:
            facts["idle_rss_pss_mb"] = await starting.idle_memory(stage, size.settle_seconds)
            facts |= await starting.start_up(stage, size.starts)
            topic = await stage.write_topic("Which soil?")
            figures += await inbox(stage, topic, size.replies, verify, people=size.people)
            facts["after_the_inbox_rss_pss_mb"] = stage.meter().memory_mb()
            thread = await settle(stage, topics=size.topics, replies=size.thread_replies)
            figures += await reading(stage, thread, size.reads)
            figures += await asking(stage, size.reads)
            figures += await fan_out(stage, size.hosts, sign)
            facts["after_fan-out_rss_pss_mb"] = stage.meter().memory_mb()
            figures.append(await starting.mixed(stage, thread, size.mixed_seconds))
            facts["after_mixed_load_rss_pss_mb"] = stage.meter().memory_mb()
            bodies = [stage.reply(topic, number) for number in range(200)]
            figures += await floors.bare(stage.loaders, bodies, PAGE_BYTES, size.reads * 4)
        shares: dict[str, profile.Shares] = {}
        if size.profiled and profile.py_spy() is not None:
            # In a hub of its own: who looks slows down what is looked at.
            async with staged(Path(folder) / "seen", engine, processes=1) as stage:
                await _profiled(stage, size, signing, shares)
    facts["floors_cpu_s_per_1000"] = {
        floor.name: round(floor.cpu_s_per_1000, 4) for floor in signing
    } | {
        figure.name: figure.cpu_s_per_1000 for figure in figures if figure.name.startswith("bare ")
    }
    facts["load_average"] = (before, round(os.getloadavg()[0], 1))
    return {
        "kind": "hub",
        "figures": [asdict(figure) for figure in figures],
        "facts": facts,
        "profile": shares,
    }


async def _profiled(
    stage: Stage, size: Size, signing: tuple[Floor, Floor], shares: dict[str, profile.Shares]
) -> None:
    """Where the time goes for what arrives, for what is read, for what leaves."""
    from benchmarks.fanout import TOPICS, tell
    from benchmarks.inbox import arrive

    sign, verify = signing
    thread = await settle(stage, replies=size.thread_replies)
    known = size.thread_replies
    requests = [stage.reply(thread, known + number) for number in range(size.replies)]
    async with _seen(stage, size, shares, "an answer that arrives, warm"):
        await arrive(stage, thread, requests, "", verify)
    other = await stage.write_topic("For the profile")
    poured = await stage.pour([stage.reply(other, number) for number in range(known)])
    assert set(poured.statuses) == {202}
    await stage.quiet()
    async with _seen(stage, size, shares, "a thread page made anew"):
        headers = {"Accept": "text/html", "Authorization": "none"}
        await stage.read("", other.path, headers, size.reads // 4)
    await stage.follow_from([f"h{number}.fan.test" for number in range(size.hosts)])
    async with _seen(stage, size, shares, "a delivery"):
        await tell(stage, TOPICS, size.hosts, "", sign)


async def measure_growth(
    engine: Engine, size: Size, signing: tuple[Floor, Floor], sizes: tuple[int, ...]
) -> dict[str, Any]:
    """The section about many objects: in a hub of its own, where every page is full from the beginning."""
    sign, verify = signing
    before = round(os.getloadavg()[0], 1)
    with tempfile.TemporaryDirectory() as folder:
        async with staged(Path(folder) / "hub", engine) as stage:
            await settle(stage, replies=0)
            figures = await growth.when_grown(
                stage,
                verify,
                sign,
                reads=size.reads // 4,
                replies=size.replies // 2,
                sizes=sizes,
            )
    return {
        "kind": "growth",
        "figures": [asdict(figure) for figure in figures],
        "facts": {"load_average": (before, round(os.getloadavg()[0], 1))},
    }


async def measure_beside(replies: int, signing: tuple[Floor, Floor]) -> dict[str, dict[str, Any]]:
    """The sections about the hub on both engines and the other server under the same load."""
    sign, verify = signing
    hubs: dict[Engine, list[Figure]] = {}
    facts: dict[Engine, dict[str, Any]] = {}
    engines: tuple[Engine, ...] = ("sqlite", "postgresql")
    with tempfile.TemporaryDirectory() as folder:
        other, known = await beside.measure_other(Path(folder) / "other", replies, verify, sign)
        for engine in engines:
            async with staged(Path(folder) / engine, engine) as stage:
                idle = await starting.idle_memory(stage)
                facts[engine] = {**await starting.start_up(stage, 1), "idle_rss_pss_mb": idle}
                hubs[engine] = await beside.measure_hub(stage, replies, verify, sign)
    beside.compared(other, hubs["postgresql"])
    sections = {
        f"the hub, {name_of(engine, 1)}": {
            "kind": "beside",
            "figures": [asdict(figure) for figure in hubs[engine]],
            "facts": facts[engine],
        }
        for engine in engines
    }
    sections["activitypub.bot, PostgreSQL"] = {
        "kind": "beside",
        "figures": [asdict(figure) for figure in other],
        "facts": known,
        "said": (
            f"Ratios are against the hub on PostgreSQL. {beside.DIFFERENCES} Of {2 * replies} answers that it had"
            f" accepted, {known['missing']} did not show with activitypub.bot; none was missing with the hub."
        ),
    }
    return sections


def name_of(engine: Engine, processes: int) -> str:
    """Of a section about one hub."""
    shown = "SQLite" if engine == "sqlite" else "PostgreSQL"
    return shown if processes == 1 else f"{shown}, {processes} processes"


async def sections(options: argparse.Namespace) -> dict[str, dict[str, Any]]:
    """All that was asked for, by name."""
    signing = floors.signing()
    engines: list[Engine] = (
        ["sqlite", "postgresql"] if options.engine == "both" else [options.engine]
    )
    size = Size(
        options.replies,
        options.hosts,
        options.reads,
        options.mixed,
        options.processes,
        options.profile,
    )
    found: dict[str, dict[str, Any]] = {}
    if not options.only_growth and not options.only_beside:
        for engine in engines:
            found[name_of(engine, size.processes)] = await measure(engine, size, signing)
    if options.growth or options.only_growth:
        for engine in engines:
            found[f"growth, {name_of(engine, 1)}"] = await measure_growth(
                engine, size, signing, tuple(options.sizes)
            )
    if options.beside or options.only_beside:
        found |= await measure_beside(min(options.replies, beside.REPLIES), signing)
    return found


def arguments(words: list[str]) -> argparse.Namespace:
    """What was asked for."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "--replies", type=int, default=1000, help="activities posted, each cold and warm"
    )
    parser.add_argument("--hosts", type=int, default=300, help="hosts of the fan-out")
    parser.add_argument("--reads", type=int, default=400, help="requests for each page")
    parser.add_argument(
        "--engine", choices=("sqlite", "postgresql", "both"), default="sqlite", help="the database"
    )
    parser.add_argument("--processes", type=int, default=1, help="processes of the hub")
    parser.add_argument(
        "--mixed", type=float, default=10.0, help="seconds of mixed load (3600 for an hour)"
    )
    parser.add_argument(
        "--growth", action="store_true", help="measure with ever more objects as well"
    )
    parser.add_argument("--only-growth", action="store_true", help="measure that and nothing else")
    parser.add_argument(
        "--sizes", type=int, nargs="+", default=list(growth.SIZES), help="objects, for --growth"
    )
    parser.add_argument(
        "--beside", action="store_true", help="the same load against another server as well"
    )
    parser.add_argument("--only-beside", action="store_true", help="measure that and nothing else")
    parser.add_argument("--profile", action="store_true", help="say where the time goes (py-spy)")
    parser.add_argument(
        "--all", action="store_true", help="both engines, the profile, side by side"
    )
    parser.add_argument(
        "--write", action="store_true", help="put the figures into docs/performance.md and .json"
    )
    parser.add_argument("--json", type=Path, help="write the result to this file as well")
    options = parser.parse_args(words)
    if options.all:
        options.engine, options.profile, options.beside = "both", True, True
    if options.profile and profile.py_spy() is None:
        parser.error("the profile needs py-spy: pip install py-spy")
    return options


def spoken(words: list[str]) -> str:
    """The command that measures the same, without where the result was to be kept."""
    kept = [
        word
        for place, word in enumerate(words)
        if word != "--json" and (place == 0 or words[place - 1] != "--json")
    ]
    return f"make bench ARGS='{shlex.join(kept)}'" if kept else "make bench"


def main() -> None:
    words = sys.argv[1:]
    options = arguments(words)
    logging.basicConfig(format="%(asctime)s %(message)s", datefmt="%H:%M:%S", level=logging.WARNING)
    logging.getLogger("benchmarks").setLevel(logging.INFO)
    found = asyncio.run(sections(options))
    command = spoken(words)
    for section in found.values():
        section["command"] = command
    result = {"sections": found}
    if options.json:
        options.json.write_text(json.dumps(result, indent=2) + "\n")
    if options.write:
        whole = report.merged(RESULT, result)
        RESULT.write_text(json.dumps(whole, indent=1) + "\n")
        report.write(whole, PAGE, DOCS / "images")
    for name, section in found.items():
        print(f"\n{name}: {report.words(section['facts'])}")
        print(f"{'':64}{'per s':>9}{'CPU s/1000':>12}{'database':>10}  p50, p99 ms  ratio")
        for figure in section["figures"]:
            ratio = f"{figure['ratio']} × {figure['floor']}" if figure["ratio"] else ""
            database = figure["database_cpu_s_per_1000"]
            times = f"{figure['p50_ms']}, {figure['p99_ms']}" if figure["p99_ms"] else ""
            print(
                f"{figure['name']:64}{figure['per_second']:9}{figure['cpu_s_per_1000']:12}"
                f"{database if database is not None else '':>10}  {times:14}{ratio}"
            )
        for title, shares in section.get("profile", {}).items():
            print(f"{title}: " + ", ".join(f"{module} {share:.0%}" for module, share in shares))


if __name__ == "__main__":
    main()
