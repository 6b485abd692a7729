"""What the reception has read is handed to the intake once, and stays nowhere."""

from __future__ import annotations

import asyncio

import pytest

from activitypub.documents import read_activity
from fedcomm.federation import just_read
from fedcomm.federation.just_read import JustRead

LIKE = read_activity(
    {
        "id": "https://a.test/1",
        "type": "Like",
        "actor": "https://a.test/a",
        "object": "https://b.test/2",
    }
)


async def test_it_is_given_once() -> None:
    memory = JustRead()
    memory.keep(1, LIKE, 100)
    assert memory.take(2) is None
    assert memory.take(1) is LIKE
    assert memory.take(1) is None


async def test_it_is_bounded() -> None:
    memory = JustRead()
    tenth = just_read.BYTES_MOST // 10
    for number in range(13):
        memory.keep(number, LIKE, tenth)
    assert len(memory) == 10
    assert memory.take(2) is None
    assert memory.take(3) is LIKE
    memory.keep(13, LIKE, tenth)
    assert memory.take(4) is LIKE
    memory.keep(14, LIKE, just_read.BYTES_MOST + 1)
    assert len(memory) == 0
    memory.keep(15, LIKE, just_read.BYTES_MOST)
    assert memory.take(15) is LIKE


async def test_words_that_nobody_comes_for_do_not_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(just_read, "SECONDS", 0.02)
    memory = JustRead()
    memory.keep(1, LIKE, 100)
    await asyncio.sleep(0.01)
    memory.keep(2, LIKE, 100)
    async with asyncio.timeout(5):
        while len(memory):
            await asyncio.sleep(0.005)
