"""`python -m tests.nightly`: what takes too long for every run: kills by the hundreds, ten minutes of overload, a soak.

It runs the same tests as `make test` with larger numbers, and ends with 0 if all of them passed. So many kills while
people write, upload, answer from elsewhere and are delivered to; as many during erasures, on each engine; as many
during migrations. What was interrupted how often stands in the output. `--only` runs some of it.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from typing import Final

KILLS = 500

PARTS: Final = {
    "kills": ("tests/reliability/test_kills.py", "tests/federation/test_durability.py"),
    "erasures": ("tests/test_erasure_bytes.py", "tests/test_erasure_places.py"),
    "failures": (
        *("tests/reliability/test_failures.py", "tests/reliability/test_clock.py"),
        "tests/reliability/test_upgrades.py",
    ),
    "overload": ("tests/reliability/test_overload.py",),
    "races": ("tests/reliability/test_races.py",),
    "restarts": ("tests/reliability/test_restart.py", "tests/reliability/test_logs.py"),
    "soak": ("tests/reliability/test_soak.py",),
}
"""What there is to run, by name. A test holds it against the folder, so that nothing is forgotten."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, prog="python -m tests.nightly")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS), metavar="PART",
                        help=f"some of it: {', '.join(PARTS)}")  # fmt: skip
    parser.add_argument(
        "--kills", type=int, default=KILLS, help="how often a hub is killed in each of the ways"
    )
    parser.add_argument(
        "--outage-seconds", type=float, default=60.0, help="how long PostgreSQL is away"
    )
    parser.add_argument(
        "--overload-minutes", type=float, default=10.0, help="how long more comes than can be done"
    )
    parser.add_argument("--seeds", type=int, default=30, help="how many runs with late answers")
    parser.add_argument("--soak-hours", type=float, default=1.0, help="how long it just runs")
    wanted = parser.parse_args()
    environment = os.environ | {
        "FEDCOMM_TEST_KILLS_ALIVE": str(wanted.kills),
        "FEDCOMM_TEST_KILLS_ERASING": str(wanted.kills),
        "FEDCOMM_TEST_KILLS_MIGRATING": str(wanted.kills),
        "FEDCOMM_TEST_OUTAGE_SECONDS": str(wanted.outage_seconds),
        "FEDCOMM_TEST_OVERLOAD_SECONDS": str(wanted.overload_minutes * 60),
        "FEDCOMM_TEST_RACES": str(wanted.seeds),
        "FEDCOMM_TEST_RESTARTS": "20",
        "FEDCOMM_TEST_SOAK_SECONDS": str(wanted.soak_hours * 3600),
    }
    tests = [path for part in dict.fromkeys(wanted.only) for path in PARTS[part]]
    command = [sys.executable, "-m", "pytest", "-n", "0", "-v", "-rP", "--durations=0", *tests]
    return subprocess.run(command, env=environment, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
