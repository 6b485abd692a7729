"""The clock is set by an hour, forward and back, while people write and answer: nothing stops, nothing is lost, order
is kept, nobody is signed out."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.federation.acts import follower, host_of
from tests.federation.inprocess import ScriptedStubs, local_hub
from tests.reliability.test_failures import RETRY, answer_of, servers, write
from tests.reliability.test_races import until_nothing_is_held

__all__ = ["servers"]

HOUR_S = 3_600


class Clock:
    """The wall clock of this process, as somebody has set it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.ahead_s = 0
        real, real_ns = time.time, time.time_ns
        monkeypatch.setattr(time, "time", lambda: real() + self.ahead_s)
        monkeypatch.setattr(time, "time_ns", lambda: real_ns() + self.ahead_s * 10**9)


@pytest.mark.parametrize("hours", [1, -1])
async def test_inv_44_46_a_clock_that_is_set_by_an_hour_and_back_stops_nothing(
    database_url: str,
    tmp_path: Path,
    servers: ScriptedStubs,
    monkeypatch: pytest.MonkeyPatch,
    hours: int,
) -> None:
    clock = Clock(monkeypatch)
    async with local_hub(tmp_path, database_url, servers, RETRY) as hub:
        cookie = await hub.cookie()
        host = host_of(await follower(hub))
        author = servers.somebody("ida")
        for step in range(3):
            # As it was, an hour off, and as it was again; what is under way then goes on.
            assert (await write(hub, cookie, f"Before {step}"))[0] == 303
            assert await hub.post(answer_of(hub, author, step)) == 202
            clock.ahead_s = hours * HOUR_S if step == 0 else 0
            assert (await write(hub, cookie, f"After {step}"))[0] == 303
            assert await hub.post(answer_of(hub, author, 10 + step)) == 202
            await hub.quiet(30)
        told = [
            arrival.body["object"]["object"].get("name") or arrival.body["object"]["object"]["id"]
            for arrival in servers.hosts[host].arrived
            if arrival.body["type"] == "Announce" and isinstance(arrival.body["object"], dict)
        ]
        ours = [f"{when} {step}" for step in range(3) for when in ("Before", "After")]
        theirs = [f"{author}/notes/{number}" for step in range(3) for number in (step, 10 + step)]
        assert [each for each in told if each in ours] == ours
        assert [each for each in told if each in theirs] == theirs
        rows = await hub.db.all(
            "SELECT uri FROM objects WHERE uri LIKE ? ORDER BY id", f"{author}%"
        )
        assert [row["uri"] for row in rows] == theirs
        await until_nothing_is_held(hub)
