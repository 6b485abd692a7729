"""The log of a hub on which everything happens, and much of it goes wrong: nothing in it is about anybody (INV-52)."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import FormData, web

from fedcomm import logs
from fedcomm.federation import handlers
from fedcomm.federation.couriers import Couriers
from fedcomm.hub import search
from fedcomm.settings import Logging
from fedcomm.store.database import DatabaseError
from tests.federation.inprocess import LocalHub, ScriptedStubs, local_hub, moved_to
from tests.federation.stub import PUBLIC

MARK = "zqlogzq"
"""In every name, word, address and secret of this test."""

SETTINGS: dict[str, dict[str, Any]] = {
    "delivery": {"retry_minutes": [0.0005], "set_aside_after": 2},
    "inbox": {"retry_seconds": [0.05], "attempts": 2},
    "logging": {"slow_statement_ms": 0.001},
}
PEOPLE = re.compile(r"\b(anna|ben|gardening)\b|127\.0\.0\.1|[\w.]+@[\w.]+\.\w+", re.IGNORECASE)


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> Iterator[io.StringIO]:
    """What a server writes that is to tell everything."""
    text = io.StringIO()
    root = logging.getLogger()
    before = (root.handlers[:], root.level)
    monkeypatch.setattr(sys, "stderr", text)
    # A storm of one message is cut short, and here each line counts.
    monkeypatch.setattr(logs, "STORM_LINES", 1_000_000)
    logs.configure(Logging(level="debug", format="json"))
    yield text
    root.handlers[:], root.level = before[0], before[1]
    for name in logs.OURS:
        logging.getLogger(name).setLevel(logging.NOTSET)


async def browse(hub: LocalHub) -> None:
    """A member's day, with everything that can be typed wrongly."""
    cookie = await hub.cookie()
    origin = {"Origin": hub.origin}
    await hub.write_topic(hub.group, f"Title {MARK}", f"Text {MARK} @ben #{MARK}")
    for path in (f"/search?q={MARK}", f"/@{MARK}", f"/g/{MARK}", f"/{MARK}?token={MARK}", "/login"):
        await hub.get(path, cookie)
    async with aiohttp.ClientSession() as session:
        forms: list[tuple[str, Any]] = [
            ("/login", {"name": MARK, "password": MARK}),
            ("/login", {"name": "anna", "password": MARK}),
            ("/g/gardening/new", {"title": f"{MARK} " * 500, "text": MARK}),
        ]
        broken = FormData({"title": MARK, "text": MARK, "new_alt_0": MARK})
        broken.add_field("file_0", MARK.encode(), filename=f"{MARK}.png", content_type="image/png")
        forms.append(("/g/gardening/new", broken))
        for path, form in forms:
            async with session.post(
                hub.origin + path, data=form, headers={**cookie, **origin}
            ) as answer:
                await answer.read()


async def federate(hub: LocalHub) -> None:
    """Others write, rightly and wrongly; some of them are ill."""
    stubs = hub.stubs
    mallory = stubs.somebody(MARK, summary=f"<p>{MARK}</p>")
    host = mallory.split("/users/")[0]

    def activity(kind: str, thing: Any, number: str, **more: Any) -> dict[str, Any]:
        return {
            "@context": "https://www.w3.org/ns/activitystreams",
            "id": f"{mallory}/{MARK}/{number}",
            "type": kind,
            "actor": mallory,
            "to": [PUBLIC],
            "object": thing,
        } | more

    stubs.script(f"{host}/{MARK}/away", moved_to(f"{host}/{MARK}/away"))
    stubs.script(f"{host}/{MARK}/page", _page)
    topic = hub.object_uri(hub.topic)
    answers = [
        activity("Follow", hub.group_uri(hub.group), "follow"),
        *(
            activity("Create", stubs.note(mallory, number=n, inReplyTo=parent, content=MARK), n)
            for n, parent in (
                ("reply", topic),
                ("gone", f"{host}/{MARK}/gone"),
                ("away", f"{host}/{MARK}/away"),
                ("page", f"{host}/{MARK}/page"),
                ("nowhere", f"http://nowhere.test/{MARK}"),
            )
        ),
        activity("Like", topic, "like"),
        activity("Delete", f"http://other.test/{MARK}", "delete"),
        activity(MARK, MARK, "unknown"),
        activity("Move", mallory, "move", target=f"{host}/{MARK}/page"),
        activity("Flag", [topic], "flag", content=MARK),
    ]
    for each in answers:
        await hub.post(each)
    await hub.post(f'{{"{MARK}"'.encode(), signer=mallory)
    await hub.post(f'{{"type": "Create", "actor": "{MARK}"}}'.encode(), signer=mallory)
    await hub.post(answers[0], key_id=f"{host}/users/{MARK}2#main-key")
    await hub.post(
        answers[1],
        change=lambda headers, body: ({**headers, "User-Agent": MARK}, body + b" "),
    )
    await hub.quiet()


async def _page(_request: web.Request) -> web.Response:
    return web.Response(text=f"<p>{MARK}</p>", content_type="text/html")


async def nudge(hub: LocalHub) -> None:
    """Nobody waits for their next look at what is due."""
    spoke = hub.site.federation
    assert spoke is not None
    while True:
        spoke._couriers.wake()
        spoke._intake.wake()
        await asyncio.sleep(0.02)


async def test_inv_52_a_log_of_everything_tells_nothing_about_anybody(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, log: io.StringIO
) -> None:
    servers = ScriptedStubs()
    await servers.start()
    try:
        async with local_hub(tmp_path, database_url, servers, SETTINGS) as hub:
            nudging = asyncio.create_task(nudge(hub))
            await browse(hub)
            await federate(hub)
            for host in list(servers.hosts.values()):
                host.status = 500
            await hub.write_topic(hub.group, f"Refused {MARK}")
            await hub.quiet()

            async def fail(*_arguments: Any, **_options: Any) -> Any:
                raise ValueError(f"cannot digest {MARK}")

            with monkeypatch.context() as ours:
                # Faults of ours, each with the words of somebody in its message.
                ours.setattr(search, "find", fail)
                ours.setattr(Couriers, "_deliver", fail)
                ours.setattr(handlers.Handlers, "prepare", fail)
                assert (await hub.get(f"/search?q={MARK}"))[0] == 500
                await hub.write_topic(hub.group, f"Broken {MARK}")
                await federate(hub)

            async def refuse(*_arguments: Any) -> None:
                raise DatabaseError(f"duplicate key: {MARK} already exists")

            with monkeypatch.context() as ours:
                ours.setattr(hub.db._inner, "append_together", refuse)  # type: ignore[attr-defined]
                mallory = servers.somebody(MARK)
                like = {
                    "@context": "https://www.w3.org/ns/activitystreams",
                    "id": f"{mallory}/like",
                    "type": "Like",
                    "actor": mallory,
                    "object": hub.object_uri(hub.topic),
                }
                assert await hub.post(like) == 503
            nudging.cancel()
    finally:
        await servers.stop()
    lines = log.getvalue().splitlines()
    told = {line["logger"]: line for line in map(json.loads, lines)}
    # What was to go wrong has left its lines.
    assert {"fedcomm.inbox", "fedcomm.delivery", "fedcomm.database"} <= set(told)
    assert any("ValueError" in line for line in lines)
    assert any("inbox: not stored" in line for line in lines)
    assert [line for line in lines if MARK in line] == []
    assert [line for line in lines if PEOPLE.search(line)] == []
