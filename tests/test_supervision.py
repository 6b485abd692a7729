"""Workers that end by an error are started again (INV-47)."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from fedcomm import supervision
from fedcomm.federation.outbox import Outbox
from fedcomm.store.database import DatabaseUnavailable
from tests.federation.inprocess import LocalHub, ScriptedStubs, local_hub


async def test_a_worker_that_ends_by_an_error_is_started_again_and_one_that_is_done_is_not(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(supervision, "AGAIN_S", 0.0)
    runs = []

    async def work() -> None:
        runs.append(1)
        if len(runs) < 3:
            raise RuntimeError("unforeseen")

    await asyncio.wait_for(supervision.start("work", work), 5)
    assert len(runs) == 3
    assert caplog.text.count("work ended unexpectedly") == 2


async def test_a_worker_that_is_cancelled_ends() -> None:
    task = supervision.start("work", asyncio.Event().wait)  # type: ignore[arg-type]
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_inv_47_an_outbox_whose_mending_fails_as_well_goes_on(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As it was when PostgreSQL went away in the middle of a statement: first an error that nobody knew, then, while
    that was looked into, no database."""
    consume, failures = Outbox.consume, []

    async def broken(self: Outbox) -> int:
        if not failures:
            failures.append("unknown")
            raise RuntimeError("another operation is in progress")
        return await consume(self)

    async def away(self: Outbox, tries: int) -> None:
        failures.append("away")
        raise DatabaseUnavailable("gone")

    monkeypatch.setattr(Outbox, "consume", broken)
    monkeypatch.setattr(Outbox, "_set_aside_after", away)
    stubs = ScriptedStubs()
    await stubs.start()
    try:
        async with local_hub(tmp_path, database_url, stubs) as hub:
            assert isinstance(hub, LocalHub)
            await hub.write_topic(hub.group, "Still there?")
            await hub.quiet(10)
    finally:
        await stubs.stop()
    assert failures == ["unknown", "away"]
