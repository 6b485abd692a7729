"""Servers that can be started and killed many times: forked from a process that has imported everything already.

They are real (`fedcomm.cli.listening`, real sockets, the real database); only the seconds of importing are saved.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import multiprocessing
import os
import random
import signal
import time
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Final

import aiohttp
import psutil

from tests.federation.hub import Hub

_PR_SET_PDEATHSIG: Final = 1
START_SECONDS: Final = 60.0

forks = multiprocessing.get_context("forkserver")
forks.set_forkserver_preload(
    [
        *("fedcomm.cli.listening", "fedcomm.web.routes", "fedcomm.federation.spoke", "uvloop"),
        *("alembic.command", "sqlalchemy", "asyncpg", "tests.reliability.processes"),
    ]
)


def _serve(config: str) -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    from fedcomm.cli import listening
    from fedcomm.config import load

    # One of several processes may be killed while it starts, and is replaced all the same.
    setattr(listening, "LIVED_S", 0.0)  # noqa: B010
    log = os.open(str(Path(config).parent / "server.log"), os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os._exit(listening.serve(load(Path(config), {})))


class Mortal:
    """The server of a hub that is made with `make_hub`, which dies and lives again."""

    def __init__(self, hub: Hub) -> None:
        self.hub = hub
        self.kills = 0
        self._process: BaseProcess | None = None

    def start(self) -> None:
        self._process = forks.Process(target=_serve, args=(str(self.hub.config),), daemon=True)
        self._process.start()

    async def answers(self, session: aiohttp.ClientSession) -> None:
        """Wait until it serves."""
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            assert self._process is not None
            assert self._process.is_alive(), f"it ended by itself: {self.hub.log()[-2000:]}"
            try:
                async with session.get(self.hub.local_url("/health")) as answer:
                    if answer.status == 200:
                        return
            except (aiohttp.ClientError, OSError):
                await asyncio.sleep(0.02)
        raise AssertionError(f"it does not answer: {self.hub.log()[-2000:]}")

    async def kill(self) -> None:
        """As a power cut would."""
        assert self._process is not None and self._process.pid is not None
        assert self._process.is_alive(), f"it ended by itself: {self.hub.log()[-2000:]}"
        os.kill(self._process.pid, signal.SIGKILL)
        await asyncio.to_thread(self._process.join, 20)
        self.kills += 1

    def parts(self) -> list[psutil.Process]:
        """The processes that serve, where there are several of them."""
        assert self._process is not None
        assert self._process.is_alive(), f"it ended by itself: {self.hub.log()[-2000:]}"
        return psutil.Process(self._process.pid).children()

    def kill_part(self, chance: random.Random) -> None:
        """One of several processes dies, the others live."""
        with contextlib.suppress(psutil.NoSuchProcess, IndexError):
            chance.choice(self.parts()).kill()
            self.kills += 1

    async def stop(self) -> int | None:
        """As an operator would; its exit code."""
        assert self._process is not None and self._process.pid is not None
        os.kill(self._process.pid, signal.SIGTERM)
        await asyncio.to_thread(self._process.join, 60)
        return self._process.exitcode
