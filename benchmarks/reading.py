"""What is read: pages and documents, by visitors, by members, by other servers, and asked whether they changed."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlencode

from benchmarks.figures import Figure
from benchmarks.load import request
from benchmarks.stage import OtherAnswers, Stage, Topic
from tests.federation.hub import PASSWORD
from tests.federation.stub import ACTIVITY

TOPICS: Final = 30
"""On the group's page."""

REPLIES: Final = 200
"""In the thread."""

PAGE: Final = {"Accept": "text/html"}
DOCUMENT: Final = {"Accept": ACTIVITY}
MADE_ANEW: Final = {"Authorization": "none"}
"""Whoever sends this is answered without a copy: what an answer costs after each change."""

COPIED: Final = 20_000
"""Requests at least for what is answered with copies: fewer are over before a copy is, and one page that is made while
32 wait would be more than each hundredth answer."""

TRIES: Final = 5
"""How often a page is asked whether it has changed, when it did."""

LOG_INS: Final = 40


@dataclass(frozen=True, slots=True)
class Place:
    """Something to read. `share` of the wanted number of times: what is quick is asked for oftener; `least` times."""

    name: str
    path: str
    headers: Mapping[str, str]
    share: float
    least: int = 8

    def count(self, times: int) -> int:
        return max(self.least, round(times * self.share))


async def settle(stage: Stage, *, topics: int = TOPICS, replies: int = REPLIES) -> Topic:
    """Fill the group's first page, and a thread with `replies` answers by people elsewhere; that thread."""
    for number in range(topics - 1):
        await stage.write_topic(f"Bed {number}")
    thread = await stage.write_topic("Where to put the compost?")
    if replies:
        poured = await stage.pour([stage.reply(thread, number) for number in range(replies)])
        assert set(poured.statuses) == {202}, poured.statuses
    await stage.until("SELECT reply_count FROM objects WHERE id = ?", thread.id, wanted=replies)
    await stage.quiet()
    await stage.analyse()
    return thread


async def reading(stage: Stage, thread: Topic, times: int) -> list[Figure]:
    """Each place: while nothing changes, asked whether it changed, made anew, and signed in."""
    group, hub = await stage.group(), stage.hub
    anna = await stage.number("SELECT actor_id FROM handles WHERE name = 'anna'")
    who = await stage.cookie()
    account = f"acct:gardening@{hub.host}"
    documents = [
        Place("actor document", f"/ap/g/{group}", DOCUMENT, 4, COPIED),
        Place("member's actor document", f"/ap/p/{anna}", DOCUMENT, 4, COPIED),
    ]
    # What was written is shown to servers that say who they are, and noted in the ledger of reach.
    signed = [
        Place(name, path, {**DOCUMENT, **stage.signature(path)}, share)
        for name, path, share in (
            ("object document, signed", f"/ap/o/{thread.id}", 2),
            ("outbox page, signed", f"/ap/g/{group}/outbox?page=true", 0.5),
        )
    ]
    pages = [
        Place("group page", "/g/gardening", PAGE, 2, COPIED),
        Place("thread page", thread.path, PAGE, 1, COPIED),
        Place("home", "/", PAGE, 2, COPIED),
    ]
    webfinger = f"/.well-known/webfinger?resource={account}"
    places = [
        *pages,
        *documents,
        *signed,
        Place("WebFinger", webfinger, {}, 4),
        *(_varied(place, "made anew", MADE_ANEW, 0.25) for place in (*pages, *documents)),
        *(_varied(place, "signed in", who, 0.25) for place in pages),
    ]
    figures = []
    for place in places:
        figures.append(await stage.read(place.name, place.path, place.headers, place.count(times)))
    figures += await _conditional(stage, [*documents, *signed, *pages], times)
    async with _changes(stage):
        for place in pages[:2]:
            figures.append(
                await stage.read(
                    f"{place.name}, while somebody writes each second",
                    place.path,
                    place.headers,
                    place.count(times),
                )
            )
    return figures


def _varied(place: Place, how: str, headers: Mapping[str, str], share: float) -> Place:
    return Place(
        f"{place.name}, {how}", place.path, {**place.headers, **headers}, place.share * share
    )


async def _conditional(stage: Stage, places: list[Place], times: int) -> list[Figure]:
    """What has a tag, asked for with it: 304 while nothing changes."""
    figures = []
    for place in places:
        name = f"{place.name}, not changed"
        count = place.count(times)
        for attempt in range(TRIES):
            headers = {**place.headers, "Host": stage.hub.host}
            url = stage.hub.local_url(place.path)
            async with stage.session.get(url, headers=headers) as answer:
                tag = answer.headers.get("ETag")
            if tag is None:
                break
            asked = {**place.headers, "If-None-Match": tag}
            try:
                figures.append(await stage.read(name, place.path, asked, count, wanted=304))
                break
            except OtherAnswers:
                # A minute went by, and the page says so.
                if attempt == TRIES - 1:
                    raise
    return figures


@contextlib.asynccontextmanager
async def _changes(stage: Stage) -> AsyncIterator[None]:
    """Somebody elsewhere answers another topic each second."""
    other = await stage.write_topic("Something else")

    async def write() -> None:
        number = 0
        while True:
            reader, writer = await asyncio.open_connection(*stage.address)
            writer.write(stage.reply(other, number))
            status = await reader.readline()
            writer.close()
            assert b" 202 " in status, status
            number += 1
            await asyncio.sleep(1)

    writing = asyncio.create_task(write())
    try:
        yield
        assert not writing.done(), writing
    finally:
        writing.cancel()
        await asyncio.gather(writing, return_exceptions=True)


async def asking(stage: Stage, times: int) -> list[Figure]:
    """Search, notifications and logging in."""
    who = await stage.cookie()
    count = max(8, times // 2)
    figures = [
        await stage.read("search", "/search?q=compost", PAGE, count),
        await stage.read("search, signed in", "/search?q=compost", {**PAGE, **who}, count),
        await stage.read("notifications", "/notifications", {**PAGE, **who}, count),
    ]
    form = urlencode({"name": "anna", "password": PASSWORD, "next": "/"}).encode()
    headers = {
        "Origin": stage.hub.origin,
        "Content-Type": "application/x-www-form-urlencoded",
    }
    log_in = request("POST", "/login", stage.hub.host, headers, form)
    count = min(LOG_INS, max(4, times // 10))
    meter = stage.meter()
    poured = await stage.pour([log_in], count, connections=4)
    assert set(poured.statuses) == {303}, poured.statuses
    figures.append(meter.figure("log-in", count, seconds=poured.took).timed(poured))
    return figures
