"""The figures for monitoring, and the log of slow statements: numbers and words of ours, nothing about anybody."""

from __future__ import annotations

import asyncio
import logging
import re
from pathlib import Path

import pytest

from fedcomm.config import Metrics
from fedcomm.logs import JSONLines
from fedcomm.store import figures
from fedcomm.store.database import Database
from fedcomm.store.figures import Tally, Times
from fedcomm.store.ids import now_ms
from fedcomm.store.measured import measured
from tests.federation.acts import activity, follower
from tests.federation.inprocess import LocalHub, ScriptedStubs, local_hub
from tests.web.world import MARKER, make_world

TOKEN = "figures-please"
LINE = re.compile(r'fedcomm_[a-z_]+(\{[a-z]+="[A-Za-z0-9_.+-]+"(,le="[0-9.+Inf]+")?\})? [0-9.e+-]+')
INFO = re.compile(r'fedcomm_info\{version="[^"]+"\} 1')


async def test_inv_52_figures_of_queues_times_disk_and_memory_and_nothing_else(
    database_url: str, tmp_path: Path
) -> None:
    async with make_world(database_url, tmp_path, metrics=Metrics(token=TOKEN)) as world:
        browser = await world.browser("chiara")
        await browser.get(world.thread("garden"))
        await browser.get(world.thread(f"{MARKER}board"))
        page = await world.stranger().get("/metrics", Authorization=f"Bearer {TOKEN}")
        assert page.status == 200
        for line in page.text.splitlines():
            assert line.startswith("# ") or LINE.fullmatch(line) or INFO.fullmatch(line), line
        for name in (
            *("inbox_oldest_seconds", "deliveries_oldest_seconds", "memory_bytes"),
            *("disk_free_bytes", "disk_short", "request_seconds_bucket", "answers_total"),
        ):
            assert f"\nfedcomm_{name}" in page.text, name
        assert MARKER not in page.text
        if world.site.db.dialect == "sqlite":
            assert "fedcomm_database_bytes" in page.text


async def test_verdicts_and_deliveries_are_counted(database_url: str, tmp_path: Path) -> None:
    before = {
        tally.name: tally.counts.copy()
        for tally in (figures.INBOX, figures.VERDICTS, figures.DELIVERIES)
    }
    stubs = ScriptedStubs()
    await stubs.start()
    try:
        async with local_hub(tmp_path, database_url, stubs) as hub:
            fan = await follower(hub)
            await hub.quiet()
            assert await hub.post(b"{", signer=fan) == 400
    finally:
        await stubs.stop()
    gained = {
        tally.name: tally.counts - before[tally.name]
        for tally in (figures.INBOX, figures.VERDICTS, figures.DELIVERIES)
    }
    assert gained["fedcomm_inbox_answers_total"] == {"202": 1, "400": 1}
    assert gained["fedcomm_inbox_verdicts_total"]["done"] == 1
    assert gained["fedcomm_deliveries_total"]["delivered"] >= 1


async def test_what_waits_and_what_took_its_time_is_in_the_figures(
    database_url: str, tmp_path: Path
) -> None:
    """A follower's server is down, and the queue of what arrives stands still: figures tell how long."""
    stubs = ScriptedStubs()
    await stubs.start()
    settings = {"metrics": {"token": TOKEN}, "delivery": {"retry_minutes": [60]}}
    try:
        async with local_hub(tmp_path, database_url, stubs, settings) as hub:
            fan = await follower(hub)
            await hub.quiet()
            before = await figures_of(hub)
            assert before["inbox_oldest_seconds"] == before["deliveries_oldest_seconds"] == 0
            next(iter(stubs.hosts.values())).status = 503
            await hub.write_topic(hub.group, "For somebody who is away")
            async with asyncio.timeout(20):
                while not await hub.count("SELECT max(failures) FROM lanes"):
                    await asyncio.sleep(0.01)
            async with hub.db.transaction() as tx:
                await tx.execute(
                    "UPDATE lanes SET lease_owner = 'elsewhere:1:x', lease_until = ? WHERE queue = 'inbox'",
                    now_ms() + 3_600_000,
                )
            again = activity(fan, "Follow", hub.group_uri(hub.group))
            assert await hub.post(again) == 202
            assert (await hub.get("/g/gardening"))[0] == 200
            for table, column in (("inbox", "received_at"), ("deliveries", "created_at")):
                async with hub.db.transaction() as tx:
                    await tx.execute(
                        f"UPDATE {table} SET {column} = {column} - 3600000 WHERE state = 'waiting'"
                    )
            after = await figures_of(hub)
    finally:
        await stubs.stop()
    assert 3600 <= after["inbox_oldest_seconds"] < 3700
    assert 3600 <= after["deliveries_oldest_seconds"] < 3700
    assert after["inbox_waiting"] == 1
    assert after["deliveries_waiting"] >= 1
    gained = {name: value - before.get(name, 0) for name, value in after.items()}
    assert sum(v for name, v in gained.items() if name.startswith("deliveries_total")) >= 1
    assert gained['inbox_answers_total{status="202"}'] == 1
    for kind in ("page", "federation"):
        assert gained[f'request_seconds_count{{kind="{kind}"}}'] >= 1
        assert gained[f'request_seconds_sum{{kind="{kind}"}}'] > 0
    for kind in ("read", "write", "transaction", "append"):
        assert gained[f'database_seconds_count{{kind="{kind}"}}'] >= 1
    assert after["memory_bytes"] > 10_000_000


async def figures_of(hub: LocalHub) -> dict[str, float]:
    """The figures of a hub as monitoring reads them, by name without `fedcomm_`."""
    status, text = await hub.get("/metrics", {"Authorization": f"Bearer {TOKEN}"})
    assert status == 200
    lines = (line.rsplit(" ", 1) for line in text.splitlines() if line[0] != "#")
    return {name.removeprefix("fedcomm_"): float(value) for name, value in lines}


async def test_inv_52_a_slow_statement_is_logged_without_what_anybody_typed(
    db: Database, caplog: pytest.LogCaptureFixture
) -> None:
    slow = measured(db, slow_ms=0.0001)
    with caplog.at_level(logging.WARNING, "fedcomm.database"):
        await slow.one("SELECT value FROM settings WHERE key = ?", f"{MARKER} typed this")
        async with slow.transaction() as tx:
            await tx.execute("UPDATE settings SET value = ? WHERE key = 'x'", f"{MARKER} and this")
    told = [JSONLines().format(record) for record in caplog.records]
    assert any("SELECT value FROM settings WHERE key = ?" in line for line in told)
    assert any("UPDATE settings" in line for line in told)
    assert not any(MARKER in line for line in told)


async def test_no_statement_is_logged_when_nobody_asked(
    db: Database, caplog: pytest.LogCaptureFixture
) -> None:
    quiet = measured(db, slow_ms=0)
    assert await quiet.value("SELECT 1") == 1
    assert caplog.records == []


def test_times_fall_into_classes_that_add_up() -> None:
    times = Times("t", "help", "kind")
    for seconds in (0.0005, 0.001, 0.3, 99.0):
        times.add("read", seconds)
    lines = list(times.lines())
    assert 't_bucket{kind="read",le="0.001"} 2' in lines
    assert 't_bucket{kind="read",le="0.5"} 3' in lines
    assert 't_bucket{kind="read",le="+Inf"} 4' in lines
    assert 't_count{kind="read"} 4' in lines
    tally = Tally("n", "help", "of")
    tally.add("a")
    tally.add("a")
    assert list(tally.lines())[-1] == 'n{of="a"} 2'
