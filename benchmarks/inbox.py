"""What arrives: signed answers to one topic, from people who are not known yet and from people who are."""

from __future__ import annotations

import time
from typing import Final

from benchmarks.figures import Figure, Floor
from benchmarks.stage import Stage, Topic

TEMPERATURES: Final = ("cold", "warm")


async def inbox(
    stage: Stage, topic: Topic, count: int, floor: Floor, *, people: int = 200, hosts: int = 10
) -> list[Figure]:
    """Cold: everybody has to be fetched first; warm: the same people once more. *Accepted*: answered 202, on disk;
    *visible*: and in the thread, with what accepting it cost."""
    figures = []
    for turn, temperature in enumerate(TEMPERATURES):
        requests = [
            stage.reply(topic, turn * count + number, people=people, hosts=hosts)
            for number in range(count)
        ]
        figures += await arrive(stage, topic, requests, f"inbox {temperature}", floor)
    return figures


async def arrive(
    stage: Stage, topic: Topic, requests: list[bytes], name: str, floor: Floor
) -> list[Figure]:
    """Post all, each an answer to `topic`, and wait until all are visible."""
    counted = "SELECT reply_count FROM objects WHERE id = ?"
    before = await stage.number(counted, topic.id)
    meter = stage.meter()
    poured = await stage.pour(requests)
    accepted = meter.figure(f"{name}, accepted", len(requests), floor, seconds=poured.took)
    assert set(poured.statuses) == {202}, poured.statuses
    await stage.until(counted, topic.id, wanted=before + len(requests))
    took = time.monotonic() - poured.began
    visible = meter.figure(f"{name}, visible", len(requests), floor, seconds=took)
    there = await stage.number(
        "SELECT count(*) FROM objects WHERE topic_id = ? AND kind = 'reply'", topic.id
    )
    assert there == before + len(requests), f"{there} answers are in the thread"
    await stage.quiet()
    return [accepted.timed(poured), visible]
