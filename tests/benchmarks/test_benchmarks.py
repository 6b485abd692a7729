"""The benchmarks measure what they say: nothing is missing, nothing is counted that was not done."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import aiohttp
import pytest
from aiohttp import web

from benchmarks import floors, growth, profile, report
from benchmarks.__main__ import Size, arguments, measure, spoken
from benchmarks.figures import Figure, Floor
from benchmarks.load import Loaders, request
from benchmarks.stage import Stage
from fedcomm.store.schema import open_database
from tests.databases import Databases
from tests.federation.hub import make_hub

TINY = Size(
    replies=12, hosts=20, reads=8, mixed_seconds=0.2, people=6, thread_replies=6, topics=3, starts=1,
    settle_seconds=0.1,
)  # fmt: skip

WANTED = {
    *("inbox cold, accepted", "inbox cold, visible", "inbox warm, accepted", "inbox warm, visible"),
    *("group page", "thread page", "home", "actor document", "object document, signed"),
    *("outbox page, signed", "WebFinger", "group page, made anew", "thread page, made anew"),
    *("home, signed in", "thread page, signed in", "group page, signed in"),
    *("search", "search, signed in", "notifications", "log-in"),
    *("fan-out of 1 topic to 20 hosts", "fan-out of 10 topics to 20 hosts"),
    "the same with 5% dead and 2% hanging hosts besides, healthy ones",
    *("bare handler, 202 to a post", "bare handler, 30 kB page"),
}
"""Figures without which something would not be measured any more."""


async def test_a_tiny_run_has_every_figure_and_fills_the_page(tmp_path: Path) -> None:
    section = await measure("sqlite", TINY, (Floor("RSA sign", 0.3), Floor("RSA verify", 0.02)))
    section["command"] = "make bench"
    names = [figure["name"] for figure in section["figures"]]
    assert set(names) >= WANTED
    assert any(name.endswith(", not changed") for name in names)
    assert any(name.endswith(", while somebody writes each second") for name in names)
    assert any(name.startswith("mixed load") for name in names)
    assert len(set(names)) == len(names)
    for figure in section["figures"]:
        assert figure["operations"] > 0 and figure["per_second"] > 0, figure
        assert figure["cpu_s_per_1000"] >= 0, figure
    facts = section["facts"]
    for moment in ("idle", "after_the_inbox", "after_fan-out", "after_mixed_load"):
        rss, pss = facts[f"{moment}_rss_pss_mb"]
        assert rss >= pss > 10
    assert 0 < facts["start_seconds"] <= facts["first_page_seconds"]
    # All targets find their figure, by the names that the run gave them.
    page = tmp_path / "page.md"
    page.write_text(f"Before\n{report.BEGIN}\nyesterday\n{report.END}\nAfter\n")
    result = json.loads(json.dumps({"sections": {"SQLite": section}}))
    report.write(result, page, tmp_path / "images")
    text = page.read_text()
    assert "not measured" not in text and "yesterday" not in text
    assert text.startswith("Before") and text.endswith("After\n")
    drawn = ElementTree.parse(tmp_path / "images" / "performance-sqlite.svg")
    assert len(drawn.findall("{*}rect")) == len(names) + 1


async def test_grown_hubs_hold_what_was_asked_for(databases: Databases, tmp_path: Path) -> None:
    url = databases.empty() if databases.engine == "postgresql" else None
    hub = await make_hub(tmp_path / "hub", database_url=url)
    await hub.run("post", "gardening", "--as", "anna", "--title", "Soil", "--text", "Clay.")
    db = await open_database(url or f"sqlite:///{hub.folder / 'fedcomm.db'}", readers=1)
    async with aiohttp.ClientSession() as session:
        stage = Stage(hub, db, None, None, session)  # type: ignore[arg-type]  # neither load nor other servers
        before = set(await growth.indexes_of(stage))
        try:
            for size in (50, 200):
                await growth.grow(stage, size)
                assert abs(await stage.number("SELECT count(*) FROM objects") - size) <= 10
            # Each answer belongs to a topic, and to somebody elsewhere.
            lost = await stage.number(
                "SELECT count(*) FROM objects o WHERE kind = 'reply' AND NOT EXISTS"
                " (SELECT 1 FROM objects t WHERE t.id = o.topic_id AND t.kind = 'topic')"
            )
            assert lost == 0
            strangers = await stage.number(
                "SELECT count(*) FROM objects o LEFT JOIN actors a ON a.id = o.author_id"
                " AND a.host_id = o.host_id WHERE o.kind = 'reply' AND a.id IS NULL"
            )
            assert strangers == 0
            copies = await stage.number("SELECT count(*) FROM reach")
            written = await stage.number("SELECT count(*) FROM objects WHERE title <> 'Soil'")
            assert copies == growth.COPIES * written
            assert await stage.number("SELECT count(*) FROM notifications") > 0
            assert await stage.number("SELECT count(*) FROM search_index") == written + 1
            assert set(await growth.indexes_of(stage)) == before
        finally:
            await db.close()


@asynccontextmanager
async def serving(handler: Any) -> AsyncIterator[tuple[str, int]]:
    """A server in this process with one handler; its address."""
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handler)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield runner.addresses[0][:2]
    finally:
        await runner.cleanup()


async def test_the_load_sends_everything_once_and_comes_again_where_it_is_told_to() -> None:
    seen: list[bytes] = []

    async def answer(request: web.Request) -> web.Response:
        body = await request.read()
        if len(seen) == 3 and body not in seen:
            seen.append(body)
            return web.Response(status=503)
        seen.append(body)
        if request.path == "/none":
            return web.Response(status=204)
        return web.Response(text="x" * 5_000)

    bodies = [str(number).encode() for number in range(20)]
    async with serving(answer) as address, Loaders() as loaders:
        posts = [request("POST", "/some", "a.test", body=body) for body in bodies]
        poured = await loaders.pour(address, posts, connections=4)
        assert poured.statuses == {200: 20} and poured.put_off == 1
        assert sorted({*seen}) == sorted(bodies) and len(seen) == 21
        assert len(poured.seconds) == 20 and poured.body_bytes == 5_000
        assert poured.took > 0
        seen.clear()
        poured = await loaders.pour(address, [request("GET", "/none", "a.test")], times=7)
        assert poured.statuses == {204: 7}


async def test_the_load_says_when_nobody_listens() -> None:
    async with Loaders(1) as loaders:
        with pytest.raises(RuntimeError, match="Connect"):
            await loaders.pour(("127.0.0.1", 1), [request("GET", "/", "a.test")])


def figure(name: str, **more: Any) -> dict[str, Any]:
    values: dict[str, Any] = {
        "name": name, "operations": 1, "per_second": 2000.0, "cpu_s_per_1000": 0.5, "ratio": None,
        "floor": "", "p50_ms": None, "p99_ms": None, "database_cpu_s_per_1000": None,
    }  # fmt: skip
    return values | more


def test_what_was_not_measured_is_said_and_not_left_out() -> None:
    section = {"kind": "hub", "command": "c", "figures": [], "facts": {}}
    text = report.targets({"SQLite": section})
    assert text.count("not measured") == len(report.TARGETS)


def test_targets_say_whether_they_are_reached() -> None:
    section = {
        "kind": "hub",
        "command": "c",
        "figures": [
            figure("inbox warm, visible", cpu_s_per_1000=1.5, per_second=1200.0),
            figure("group page", p50_ms=2.0, p99_ms=12.0),
            figure("fan-out of 10 topics to 9 hosts", cpu_s_per_1000=0.7),
        ],
        "facts": {"idle_rss_pss_mb": [66.0, 50.0], "floors_cpu_s_per_1000": {"RSA sign": 0.2}},
    }
    text = report.targets({"SQLite": section})
    assert "visible, CPU s per 1,000 | ≤ 0.9 | 1.5: no |" in text
    assert "visible per s | ≥ 1,000 | 1200: yes |" in text
    assert "group page: p99 by p50 | ≤ 5 | 6: no |" in text
    assert "above signing alone, CPU s per 1,000 | ≤ 0.6 | 0.5: yes |" in text
    assert "idle memory, RSS MB | ≤ 70 | 66: yes |" in text


def test_growth_is_told_by_its_worst_and_drawn() -> None:
    figures = [
        figure("inbox warm, visible; 1,000 objects"),
        figure("search; 1,000 objects"),
        figure("inbox warm, visible; 100,000 objects", ratio=1.1, floor="with 1,000"),
        figure("search; 100,000 objects", ratio=2.5, floor="with 1,000"),
    ]
    hub = {"kind": "hub", "command": "c", "figures": [], "facts": {}}
    grown = {"kind": "growth", "command": "c", "figures": figures, "facts": {}}
    text = report.targets({"SQLite": hub, "growth, SQLite": grown})
    assert "2.5 × (search; 100,000 objects); 1 of 2 within" in text
    drawn = ElementTree.fromstring(report.grown(figures, "Growth"))
    assert len(drawn.findall("{*}polyline")) == 2


def test_servers_side_by_side_share_a_table() -> None:
    hub = {"kind": "beside", "command": "c", "figures": [figure("inbox")], "facts": {}}
    slower = figure("inbox", ratio=4.0, floor="the hub", database_cpu_s_per_1000=0.25)
    other = {
        "kind": "beside",
        "command": "c",
        "figures": [slower],
        "facts": {"start_seconds": 1.5},
        "said": "It does something else.",
    }
    text = report.document({"sections": {"the hub": hub, "other": other}})
    assert "| inbox | 2,000; 0.5 | 2,000; 0.5 + 0.25; 4 × the hub |" in text
    assert "| start to the first 200, s |  | 1.5 |" in text
    assert "It does something else." in text


def test_parts_that_were_measured_before_are_kept(tmp_path: Path) -> None:
    kept = tmp_path / "kept.json"
    kept.write_text(json.dumps({"sections": {"SQLite": {"a": 1}, "growth, SQLite": {"b": 1}}}))
    result = report.merged(kept, {"sections": {"SQLite": {"a": 2}, "PostgreSQL": {}}})
    assert result == {
        "sections": {"SQLite": {"a": 2}, "growth, SQLite": {"b": 1}, "PostgreSQL": {}}
    }


def test_a_page_without_marks_is_not_touched(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("Nothing to fill.")
    with pytest.raises(ValueError, match="no place"):
        report.write({"sections": {}}, page, tmp_path)
    assert page.read_text() == "Nothing to fill."


def test_a_sample_counts_for_the_innermost_module_of_ours() -> None:
    raw = (
        "main (a/fedcomm/server.py:1);handle (a/fedcomm/hub/threads.py:4);execute (b/sqlite3.py:2) 6\n"
        "main (b/uvloop/loop.py:1) 2\n"
        "sign (/x/activitypub/cavage.py:1);sign (b/cryptography/rsa.py:9) 2\n"
    )
    assert profile.shares(raw) == [
        ("fedcomm/hub/threads.py", 0.6),
        (profile.LOOP, 0.2),
        ("activitypub/cavage.py", 0.2),
    ]


def test_floors_are_above_nothing_and_signing_costs_more_than_checking() -> None:
    sign, verify = floors.signing()
    assert sign.cpu_s_per_1000 > verify.cpu_s_per_1000 > 0


def test_the_short_form_that_compares_changes_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    options = arguments(["--replies", "600", "--hosts", "60"])
    assert (options.replies, options.hosts, options.engine) == (600, 60, "sqlite")
    assert not (options.growth or options.beside or options.write)
    monkeypatch.setattr(profile, "py_spy", lambda: "py-spy")
    assert spoken(["--all", "--json", "result.json", "--write"]) == (
        "make bench ARGS='--all --write'"
    )
    everything = arguments(["--all"])
    assert everything.engine == "both" and everything.beside and everything.profile


def test_waits_are_told_by_their_median_and_their_hundredth() -> None:
    from benchmarks.load import Poured

    poured = Poured(seconds=[number / 1000 for number in range(100, 0, -1)], put_off=3)
    timed = Figure("x", 100, 1.0, 1.0).timed(poured)
    assert (timed.p50_ms, timed.p99_ms, timed.put_off) == (51.0, 100.0, 3)
