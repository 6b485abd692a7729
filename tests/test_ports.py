from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

from tests.ports import BLOCK_PORTS, BLOCKS, FIRST_PORT, free_port

ROOT = Path(__file__).parents[1]
EPHEMERAL = 32_768
"""Where Linux begins to take ports for outgoing connections."""


def test_two_processes_are_never_given_the_same_port() -> None:
    ours = {free_port() for _ in range(BLOCK_PORTS)}
    code = f"from tests.ports import free_port\nfor _ in range({BLOCK_PORTS}): print(free_port())"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    theirs = {int(line) for line in done.stdout.split()}
    assert theirs and ours.isdisjoint(theirs)
    assert max(ours | theirs) < FIRST_PORT + BLOCKS * BLOCK_PORTS < EPHEMERAL


def test_a_port_that_somebody_listens_on_is_passed_over() -> None:
    port = free_port()
    with socket.create_server(("127.0.0.1", port)):
        assert port not in {free_port() for _ in range(BLOCK_PORTS)}
