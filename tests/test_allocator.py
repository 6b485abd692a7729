"""Memory that goes back: in a process of its own, since the allocator's state is the process's."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

from fedcomm.hub.passwords import MEMORY_KIB

HASHING = """
import asyncio
from pathlib import Path
from fedcomm.hub import passwords

def resident_kib():
    status = Path("/proc/self/status").read_text()
    return int(status.partition("RssAnon:")[2].split()[0])

async def main():
    # In parts, so that each of several threads has one.
    before = None
    for count in (1, 4, 4, 4):
        await asyncio.gather(*(passwords.hash_password("correct horse") for _ in range(count)))
        before = before or resident_kib()
    print(resident_kib() - before)

asyncio.run(main())
"""


@pytest.mark.skipif(
    sys.platform != "linux" or platform.libc_ver()[0] != "glibc", reason="glibc on Linux only"
)
def test_what_a_password_was_hashed_in_goes_back_to_the_system() -> None:
    done = subprocess.run(
        [sys.executable, "-c", HASHING], capture_output=True, text=True, check=True
    )
    # Each thread that hashed would keep one such block.
    assert int(done.stdout) < MEMORY_KIB / 2
