"""The demonstration's running servers: `fedcomm serve` as child processes, each in its own folder."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final

from fedcomm.selfcheck import NotAHub, health_status

READY_SECONDS: Final = 30.0
"""How long a server may take until it answers."""

STOP_SECONDS: Final = 35.0
"""How long a server may take to finish what it has in hand."""

COMMAND_SECONDS: Final = 90.0

LOG_NAME: Final = "server.log"


class InstanceFailed(Exception):
    """A server or a command of the demonstration failed; the message says which and why."""


@dataclass(frozen=True, slots=True)
class Instance:
    """One server: its folder with `fedcomm.toml`, and the port of its origin on localhost."""

    folder: Path
    port: int

    @property
    def origin(self) -> str:
        """`http://localhost:8080`"""
        return f"http://localhost:{self.port}"

    @property
    def host(self) -> str:
        """The domain of its handles."""
        return f"localhost:{self.port}"

    @property
    def config(self) -> Path:
        """Its configuration file."""
        return self.folder / "fedcomm.toml"

    @property
    def log(self) -> Path:
        """What it says while it runs."""
        return self.folder / LOG_NAME

    def run(self, *arguments: str) -> Any:
        """Run `fedcomm … --json` on this instance; what it printed. Raises InstanceFailed."""
        try:
            done = subprocess.run(  # noqa: S603
                [*_program(), *arguments, "--json", "--config", str(self.config)],
                env=environment(),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=COMMAND_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise InstanceFailed(f"fedcomm {arguments[0]} did not end.") from error
        if done.returncode:
            raise InstanceFailed(done.stderr.strip().removeprefix("fedcomm: "))
        return json.loads(done.stdout)

    def start(self) -> subprocess.Popen[bytes]:
        """Start its server in a session of its own: Ctrl-C reaches the demonstration only, which then
        ends both in order."""
        with self.log.open("ab") as log:
            return subprocess.Popen(  # noqa: S603
                [*_program(), "serve", "--config", str(self.config)],
                env=environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def wait_until_ready(self, process: subprocess.Popen[bytes]) -> None:
        """Return when the server answers. Raises InstanceFailed."""
        deadline = time.monotonic() + READY_SECONDS
        while time.monotonic() < deadline:
            if process.poll() is not None:
                raise InstanceFailed(self.last_words())
            if self._answers():
                return
            time.sleep(0.05)
        raise InstanceFailed(f"the server at {self.origin} does not answer; see {self.log}.")

    def last_words(self) -> str:
        """Why the server has ended, as far as its log tells."""
        lines = self.log.read_text("utf-8", errors="replace").strip().splitlines()
        reason = lines[-1] if lines else "it said nothing"
        return f"the server at {self.origin} has ended ({reason}); see {self.log}."

    def _answers(self) -> bool:
        try:
            return health_status("127.0.0.1", self.port) == HTTPStatus.OK
        except (OSError, NotAHub):
            return False


def stop(processes: list[subprocess.Popen[bytes]]) -> None:
    """End the servers, all at once, and wait for them; who does not end is killed."""
    for process in processes:
        with suppress(ProcessLookupError):
            process.send_signal(signal.SIGTERM)
    deadline = time.monotonic() + STOP_SECONDS
    for process in processes:
        try:
            process.wait(max(deadline - time.monotonic(), 0.1))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def environment() -> Mapping[str, str]:
    """The environment without options of ours, which would override both instances alike."""
    return {name: value for name, value in os.environ.items() if not name.startswith("FEDCOMM_")}


def _program() -> list[str]:
    return [sys.executable, "-m", "fedcomm.cli"]
