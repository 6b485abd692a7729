"""A hub that just runs: its memory stays flat and its counts are right (`python -m benchmarks.soak` for a day)."""

from __future__ import annotations

import os
from pathlib import Path

from benchmarks.soak import GROWTH, Sample, Soak, soak

SECONDS = float(os.environ.get("FEDCOMM_TEST_SOAK_SECONDS", "8"))


async def test_memory_stays_flat_and_counts_are_right(tmp_path: Path) -> None:
    pause = 0.03 if SECONDS < 60 else 0.5
    found = await soak(tmp_path / "hub", SECONDS, pause_s=pause)
    done = found.samples[-1].done
    print(
        f"soak: {done} deeds in {SECONDS:.0f} s, {found.samples[-1].memory / 1e6:.0f} MB,"
        f" growth {found.growth:.3f}"
    )
    assert done > 20
    assert found.growth <= GROWTH
    assert found.samples[-1].descriptors <= found.samples[len(found.samples) // 4].descriptors + 40


def test_growth_compares_the_last_quarter_with_the_second() -> None:
    flat = [Sample(float(n), 100, 5, 3, n) for n in range(40)]
    assert Soak(flat).growth == 1
    leaking = [Sample(float(n), 100 + n, 5, 3, n) for n in range(40)]
    assert Soak(leaking).growth > 1.15
