"""Ports for servers under test, which nobody else on this machine is given.

A port that was free a moment ago may be gone when the server binds it: to another test run, or to an
outgoing connection, whose ports the system takes from its ephemeral range. So each process reserves a
block of ports below that range, and goes round in it.
"""

from __future__ import annotations

import fcntl
import itertools
import os
import random
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

FIRST_PORT = 10_000
BLOCK_PORTS = 100
BLOCKS = 100
"""The blocks end below 20,000; the ephemeral range of Linux begins at 32,768."""

_held: list[TextIO] = []
_numbers: dict[int, Iterator[int]] = {}


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on, and that no other test run is given."""
    process = os.getpid()
    if process not in _numbers:
        _numbers[process] = itertools.cycle(_block())
    for port in itertools.islice(_numbers[process], BLOCK_PORTS):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise OSError("no port of this test run's block is free")


def _block() -> range:
    """The ports of a block that this process has reserved until it ends."""
    folder = Path(tempfile.gettempdir()) / "fedcomm-test-ports"
    folder.mkdir(exist_ok=True)
    for number in random.sample(range(BLOCKS), BLOCKS):
        note = (folder / str(number)).open("w")
        try:
            fcntl.flock(note, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            note.close()
            continue
        _held.append(note)
        start = FIRST_PORT + number * BLOCK_PORTS
        return range(start, start + BLOCK_PORTS)
    raise OSError(f"{BLOCKS} test runs at once: no block of ports is left")
