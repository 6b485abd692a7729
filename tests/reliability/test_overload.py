"""More comes in than can be processed: it is refused with a time to come again, members' pages go on, memory stays in
bounds, and the backlog drains. `FEDCOMM_TEST_OVERLOAD_SECONDS` says for how long (`python -m tests.nightly`: minutes).
"""

from __future__ import annotations

import asyncio
import json
import os
import statistics
import time
from collections import Counter
from pathlib import Path

import aiohttp
import psutil
import pytest

from activitypub import cavage
from fedcomm.federation import pressure
from fedcomm.federation.pressure import Pressure
from tests.federation.hub import make_hub
from tests.federation.inprocess import ScriptedStubs, local_hub
from tests.federation.stub import ACTIVITY, PUBLIC, stubs, test_key
from tests.reliability.processes import Mortal

SECONDS = float(os.environ.get("FEDCOMM_TEST_OVERLOAD_SECONDS", "6"))
QUEUED = 150
MEMORY_BYTES = 150_000_000
HOSTS = 10
CONNECTIONS = 24


async def test_more_than_can_be_processed_is_put_off_and_members_go_on(tmp_path: Path) -> None:
    settings = {
        "inbox": {"queued": QUEUED, "per_host_per_second": 40, "concurrency": 1},
        "abuse": {"posts_per_actor_hour": 0, "activities_per_actor_hour": 0, "hold_score": 1000,
                  "posts_per_host_and_group_hour": 0},
    }  # fmt: skip
    hub = await make_hub(tmp_path / "hub", settings=settings)
    topic = await hub.run("post", "gardening", "--as", "anna", "--title", "T", "--text", "t")
    mortal = Mortal(hub)
    async with (
        stubs() as servers,
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session,
    ):
        mortal.start()
        try:
            await mortal.answers(session)
            assert mortal._process is not None
            process = psutil.Process(mortal._process.pid)
            before = process.memory_info().rss
            authors = [servers.actor("ida", f"load{n}.test") for n in range(HOSTS)]
            answers: Counter[int] = Counter()
            accepted: list[str] = []
            without_time: list[int] = []
            end = time.monotonic() + SECONDS

            async def flood(number: int) -> None:
                count = 0
                while time.monotonic() < end:
                    author = authors[(number + count) % HOSTS]
                    uri = f"{author}/notes/{number}-{count}"
                    count += 1
                    body = json.dumps({
                        "@context": "https://www.w3.org/ns/activitystreams",
                        "id": f"{uri}/create", "type": "Create", "actor": author, "to": [PUBLIC],
                        "object": {
                            "id": uri, "type": "Note", "attributedTo": author, "to": [PUBLIC],
                            "inReplyTo": topic["uri"], "content": f"<p>{uri}</p>",
                            "published": "2026-11-01T10:00:00Z",
                        },
                    }).encode()  # fmt: skip
                    url = f"{hub.origin}/ap/inbox"
                    headers = cavage.sign("POST", url, body, test_key(), f"{author}#main-key")
                    headers |= {"Content-Type": ACTIVITY}
                    async with session.post(url, data=body, headers=headers) as answer:
                        answers[answer.status] += 1
                        if answer.status == 202:
                            accepted.append(uri)
                        elif not int(answer.headers.get("Retry-After", 0)):
                            without_time.append(answer.status)

            pages: list[float] = []
            memory = [before]

            async def read() -> None:
                while time.monotonic() < end:
                    memory.append(process.memory_info().rss)
                    started = time.monotonic()
                    status, _ = await hub.get("/g/gardening")
                    pages.append(time.monotonic() - started)
                    assert status == 200
                    await asyncio.sleep(0.1)

            await asyncio.gather(read(), *(flood(number) for number in range(CONNECTIONS)))
            assert answers[202] > QUEUED // 2
            assert answers[429] + answers[503] > 0, "it was never too much"
            assert set(answers) <= {202, 429, 503}
            assert without_time == []
            assert len(pages) >= 3
            assert max(memory) - before < MEMORY_BYTES
            began = time.monotonic()
            await hub.until(
                "SELECT count(*) = 0 FROM inbox WHERE state = 'waiting'", wanted=1, seconds=120
            )
            quarters = [memory[len(memory) * n // 4] / 1e6 for n in range(4)]
            print(
                f"overload: {dict(answers)} in {SECONDS:.0f} s; {len(pages)} pages,"
                f" median {statistics.median(pages):.3f} s, slowest {max(pages):.3f} s;"
                f" memory by quarters {', '.join(f'{each:.0f}' for each in quarters)} MB,"
                f" at most {max(memory) / 1e6:.0f} MB;"
                f" the backlog was gone after {time.monotonic() - began:.1f} s"
            )
            stored = {uri for (uri,) in hub.sql("SELECT uri FROM objects WHERE uri IS NOT NULL")}
            assert stored == set(accepted)
        finally:
            await mortal.stop()


async def test_a_process_that_is_kept_too_busy_serves_members_first(
    database_url: str, tmp_path: Path
) -> None:
    servers = ScriptedStubs()
    await servers.start()
    try:
        async with local_hub(tmp_path, database_url, servers) as hub:
            spoke = hub.site.federation
            assert spoke is not None
            author = servers.somebody("ida")
            spoke._pressure.late_s = 1e9
            note = servers.note(author, inReplyTo=hub.object_uri(hub.topic))
            activity = {
                "@context": "https://www.w3.org/ns/activitystreams",
                "id": f"{note['id']}/create",
                "type": "Create",
                "actor": author,
                "to": [PUBLIC],
                "object": note,
            }
            assert await hub.post(activity) == 503
            assert (await hub.get("/g/gardening"))[0] == 200
            spoke._pressure.late_s = 0.0
            assert await hub.deliver(activity) == "done: stored"
    finally:
        await servers.stop()


def test_one_late_moment_is_no_overload_and_a_late_while_is() -> None:
    measure = Pressure()
    measure.note(3.0)
    assert not measure.is_high
    for _ in range(10):
        measure.note(3.0)
    assert measure.is_high
    assert measure.hands(8) == 1
    for _ in range(20):
        measure.note(0.0)
    assert not measure.is_high
    assert measure.hands(8) == 8


def test_so_much_is_in_hand_at_once_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pressure, "MOST_UNDER_WAY", 2)
    measure = Pressure()
    measure.under_way = 1
    assert not measure.is_high
    measure.under_way = 2
    assert measure.is_high
