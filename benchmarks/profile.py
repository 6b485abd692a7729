"""Where the time goes: what py-spy sees of a running hub, by module of ours.

Each sample of a thread that is at work counts for the innermost module of ours on its stack, with the libraries that it
called (a signature counts for the module that signs). What has none of ours is the HTTP server and the event loop.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import shutil
import signal
import sys
import tempfile
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

from benchmarks.stage import Stage

RATE: Final = 200
"""Samples a second."""

SHOWN: Final = 12
LOOP: Final = "HTTP server and event loop (aiohttp, uvloop)"
OURS: Final = re.compile(
    r"\((?:.*/)?((?:fedcomm|activitypub|templates)/(?!cli/)[^:)]+\.(?:py|html))"
)
"""A file of ours in a frame; the command that runs the event loop is below everything, and does not count."""

Shares = list[tuple[str, float]]
"""Modules with their share of the samples, the largest first."""


def py_spy() -> str | None:
    """Where it is, or None: it is not needed for anything else."""
    beside = Path(sys.executable).parent / "py-spy"
    return str(beside) if beside.exists() else shutil.which("py-spy")


def shares(raw: str) -> Shares:
    """What stacks (`frame;frame;frame count` a line) say about modules."""
    counts: Counter[str] = Counter()
    for line in raw.splitlines():
        stack, _, number = line.rpartition(" ")
        if not number.isdigit():
            continue
        inner = next(
            (found[1] for frame in reversed(stack.split(";")) if (found := OURS.search(frame))),
            LOOP,
        )
        counts[inner] += int(number)
    total = sum(counts.values())
    return [(name, round(count / total, 3)) for name, count in counts.most_common(SHOWN)]


@contextlib.asynccontextmanager
async def watched(stage: Stage, found: dict[str, Shares], name: str) -> AsyncIterator[None]:
    """Look at the hub until the block ends; what was seen is `found[name]`."""
    program = py_spy()
    assert program is not None
    assert stage.hub.process is not None
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / "stacks.txt"
        looking = await asyncio.create_subprocess_exec(
            program,
            *("record", "--pid", str(stage.hub.process.pid), "--rate", str(RATE)),
            *("--format", "raw", "--full-filenames", "--nonblocking", "--duration", "3600"),
            *("--output", str(output)),
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )
        try:
            yield
        finally:
            with contextlib.suppress(ProcessLookupError):
                looking.send_signal(signal.SIGINT)
            await looking.wait()
        if output.exists():
            found[name] = shares(output.read_text())
