"""The limit of open files, in a process of its own."""

from __future__ import annotations

import resource
import subprocess
import sys


def raised(soft: int, hard: int) -> tuple[int, int]:
    """What `raise_limit` says and what the limit is then, in a process that begins with these."""
    program = (
        "from fedcomm import descriptors; print(descriptors.raise_limit(), descriptors.limit())"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard)),
        capture_output=True,
        text=True,
        check=True,
    )
    said, is_now = map(int, done.stdout.split())
    return said, is_now


def test_the_limit_is_raised_as_far_as_the_system_allows() -> None:
    assert raised(200, 300) == (300, 300)


def test_a_limit_that_cannot_be_raised_stays() -> None:
    assert raised(300, 300) == (300, 300)
