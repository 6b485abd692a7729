"""`python -m benchmarks.soak --hours 24`: a hub that just runs, with people who write, upload, answer and follow.

Its memory is noted all along; at the end all counts are made anew and compared, the queues must be empty and the file
whole. What it prints is one line a sample and a verdict; `--json FILE` keeps the samples. Ends with 1 if memory grew
by more than a quarter after the first quarter of the time, or anything was lost or miscounted.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import aiohttp
import psutil

from fedcomm.store.schema import open_database
from tests.federation.hub import make_hub
from tests.federation.stub import stubs
from tests.hub.test_counters import RECOUNTS
from tests.reliability.life import Life
from tests.reliability.processes import Mortal

SAMPLES = 200
GROWTH = 1.25
"""How much the last quarter may need of what the second one did."""

SETTINGS = {
    "rates": {"posts_per_member_5min": 1_000_000, "uploads_per_30min": 1_000_000},
    "abuse": {"posts_per_actor_hour": 0, "activities_per_actor_hour": 0, "hold_score": 1000,
              "posts_per_host_and_group_hour": 0, "follows_per_group_hour": 0},
    "media": {"daily_bytes_per_member": 1 << 40},
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Sample:
    """One look. `seconds` since the beginning; `memory` resident bytes; `done`: what was answered well so far."""

    seconds: float
    memory: int
    descriptors: int
    threads: int
    done: int


@dataclass(frozen=True, slots=True)
class Soak:
    """What came of it."""

    samples: list[Sample]

    @property
    def growth(self) -> float:
        """Memory of the last quarter by that of the second, when caches are warm (medians)."""
        quarter = max(1, len(self.samples) // 4)
        early = statistics.median(each.memory for each in self.samples[quarter : 2 * quarter])
        late = statistics.median(each.memory for each in self.samples[-quarter:])
        return late / early


async def soak(folder: Path, seconds: float, *, pause_s: float, told: bool = False) -> Soak:
    """Run a hub in `folder` for so long. Raises AssertionError when something is lost, stuck or miscounted."""
    hub = await make_hub(folder, settings=SETTINGS)
    mortal = Mortal(hub)
    samples: list[Sample] = []
    async with stubs() as servers, aiohttp.ClientSession() as session:
        db = await open_database(f"sqlite:///{folder / 'fedcomm.db'}", readers=1)
        life = Life(hub, servers, db, pause_s=pause_s)
        mortal.start()
        try:
            await mortal.answers(session)
            await life.settle_in()
            # What arrived would fill the memory of this process in a day.
            servers.on_arrival = lambda host, _: host.arrived.clear()
            assert mortal._process is not None
            process = psutil.Process(mortal._process.pid)
            started = time.monotonic()
            async with life.going_on():
                while (now := time.monotonic() - started) < seconds:
                    with process.oneshot():
                        sample = Sample(
                            *(round(now, 1), process.memory_info().rss, process.num_fds()),
                            *(process.num_threads(), life.progress),
                        )
                    samples.append(sample)
                    if told:
                        print(
                            f"{sample.seconds:10.1f} s  {sample.memory / 1e6:7.1f} MB "
                            f" {sample.descriptors:4} descriptors  {sample.done:8} done",
                            flush=True,
                        )
                    status, _ = await hub.get("/g/gardening")
                    assert status == 200
                    await asyncio.sleep(seconds / SAMPLES)
            await life.audit_hub()
            for name, sql in RECOUNTS.items():
                wrong = await db.all(f"SELECT * FROM ({sql}) AS counts WHERE kept <> counted")
                assert not wrong, f"{name}: {len(wrong)} counts are wrong"
        finally:
            code = await mortal.stop()
            await db.close()
        assert code == 0
    return Soak(samples)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, prog="python -m benchmarks.soak")
    parser.add_argument("--hours", type=float, default=24.0)
    parser.add_argument("--pause", type=float, default=2.0, help="seconds between two deeds")
    parser.add_argument("--json", type=Path, help="write the samples here")
    wanted = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = asyncio.run(
            soak(Path(folder) / "hub", wanted.hours * 3600, pause_s=wanted.pause, told=True)
        )
    if wanted.json is not None:
        wanted.json.write_text(json.dumps([asdict(each) for each in found.samples], indent=1))
    print(f"memory by the end: {found.growth:.2f} of what it was after the first quarter")
    return 0 if found.growth <= GROWTH else 1


if __name__ == "__main__":
    sys.exit(main())
