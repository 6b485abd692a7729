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
    memory.keep(1, LIKE)
    assert memory.take(2) is None
    assert memory.take(1) is LIKE
    assert memory.take(1) is None


async def test_it_is_bounded() -> None:
    memory = JustRead()
    for number in range(just_read.MOST + 3):
        memory.keep(number, LIKE)
    assert len(memory) == just_read.MOST
    assert memory.take(2) is None
    assert memory.take(3) is LIKE


async def test_words_that_nobody_comes_for_do_not_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(just_read, "SECONDS", 0.02)
    memory = JustRead()
    memory.keep(1, LIKE)
    await asyncio.sleep(0.01)
    memory.keep(2, LIKE)
    async with asyncio.timeout(5):
        while len(memory):
            await asyncio.sleep(0.005)
