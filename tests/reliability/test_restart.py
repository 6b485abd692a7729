"""Stopping and starting again while people read and write: nobody is turned away, nothing is done twice."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections import Counter
from pathlib import Path

import aiohttp
import pytest

from fedcomm.cli.listening import FIRST_PASSED
from tests.federation.hub import _end_with_parent, make_hub

CLIENTS = 4
RESTARTS = int(os.environ.get("FEDCOMM_TEST_RESTARTS", "1"))


def start(hub_config: Path, listening: socket.socket, log: Path) -> subprocess.Popen[bytes]:
    """`fedcomm serve` with a socket that was opened for it, as systemd does."""

    def hand_over() -> None:
        _end_with_parent()
        os.dup2(listening.fileno(), FIRST_PASSED)

    with log.open("ab") as output:
        return subprocess.Popen(
            [
                *("sh", "-c", 'LISTEN_PID=$$ LISTEN_FDS=1 exec "$@"', "sh"),
                *(sys.executable, "-m", "fedcomm.cli", "--config", str(hub_config), "serve"),
            ],
            pass_fds=[FIRST_PASSED],
            stdout=output,
            stderr=output,
            preexec_fn=hand_over,
        )


@pytest.mark.parametrize("processes", [1, 2])
async def test_a_restart_under_load_drops_no_request(tmp_path: Path, processes: int) -> None:
    hub = await make_hub(tmp_path / "hub", settings={"server": {"processes": processes}})
    with socket.create_server(("127.0.0.1", hub.port), backlog=512) as listening:
        log = tmp_path / "server.log"
        answered: Counter[int] = Counter()
        failed: list[str] = []
        finished = asyncio.Event()

        async def read(session: aiohttp.ClientSession) -> None:
            while not finished.is_set():
                try:
                    # A POST is never tried again by the client itself, unlike a GET.
                    async with session.post(
                        hub.local_url("/login"),
                        headers={"Host": hub.host, "Origin": "http://elsewhere.test"},
                        data={"name": "nobody"},
                    ) as answer:
                        await answer.read()
                        answered[answer.status] += 1
                except (aiohttp.ClientError, OSError) as error:
                    failed.append(repr(error))
                await asyncio.sleep(0.005)

        process = start(hub.config, listening, log)
        async with aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=CLIENTS), timeout=aiohttp.ClientTimeout(30)
        ) as session:
            clients = [asyncio.create_task(read(session)) for _ in range(CLIENTS)]
            for _ in range(RESTARTS):
                before = answered.total()
                while answered.total() < before + 100 and process.poll() is None:
                    await asyncio.sleep(0.02)
                process.send_signal(signal.SIGTERM)
                assert await asyncio.to_thread(process.wait, 20) == 0
                process = start(hub.config, listening, log)
            before = answered.total()
            while answered.total() < before + 50 and process.poll() is None:
                await asyncio.sleep(0.02)
            finished.set()
            await asyncio.gather(*clients)
        process.send_signal(signal.SIGTERM)
        assert await asyncio.to_thread(process.wait, 20) == 0
    assert failed == [], log.read_text()[-2000:]
    assert set(answered) == {403}
