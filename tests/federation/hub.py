"""A real hub for tests: its own folder, its own process (`fedcomm serve`), driven by the command line and HTTP."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
from click.testing import CliRunner

from fedcomm.cli import main
from fedcomm.federation.vault import create_key_file
from fedcomm.store.schema import migrate
from tests.ports import free_port

START_SECONDS = 30.0
_PR_SET_PDEATHSIG = 1
_ONE_COMMAND = threading.Lock()
PASSWORD = "a-long-test-password"

LOOPBACK: dict[str, dict[str, Any]] = {
    "federation": {
        "private_addresses": ["127.0.0.0/8", "::1/128"],
        "any_port": True,
    },
    "delivery": {"retry_minutes": [0.005, 0.01, 0.02, 0.02], "jitter_percent": 10},
    "inbox": {"retry_seconds": [0.2, 0.5, 1], "per_host_per_second": 10_000},
    "development": {"allow_http": True, "resolve": {"*.test": "127.0.0.1"}},
}
"""Settings with which a hub may talk to servers on this machine, and tries again soon."""


def _end_with_parent() -> None:
    """In the child: the server ends when the test process does, however that ends."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def merged(*settings: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Tables of settings on top of each other."""
    result: dict[str, dict[str, Any]] = {}
    for layer in settings:
        for table, options in layer.items():
            result[table] = {**result.get(table, {}), **options}
    return result


def toml(settings: Mapping[str, Mapping[str, Any]]) -> str:
    """Settings as a configuration file."""
    lines = []
    for table, options in settings.items():
        lines.append(f"[{table}]")
        for name, value in options.items():
            if isinstance(value, Mapping):
                inner = ", ".join(f"{json.dumps(k)} = {json.dumps(v)}" for k, v in value.items())
                lines.append(f"{name} = {{{inner}}}")
            else:
                lines.append(f"{name} = {json.dumps(value)}")
    return "\n".join(lines) + "\n"


@dataclass
class Hub:
    """A hub in a folder. `origin` without a slash at the end; `stop` and `kill` keep its data."""

    folder: Path
    origin: str
    port: int
    settings: dict[str, dict[str, Any]]
    ca_file: Path | None = None
    process: subprocess.Popen[bytes] | None = None
    _environment: dict[str, str] = field(default_factory=dict)

    @property
    def config(self) -> Path:
        return self.folder / "fedcomm.toml"

    @property
    def host(self) -> str:
        return self.origin.split("://", 1)[1]

    def write(self) -> None:
        """Write the configuration, the key and an empty database."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.config.write_text(toml(self.settings))
        create_key_file(self.folder / "fedcomm.key")

    def cli(self, *args: str, text: str | None = None, check: bool = True) -> str:
        """Run `fedcomm …`; what it printed. Raises AssertionError when it failed.

        In this process: starting one takes ten times as long as most commands, and `tests/cli` does it.
        """
        # The runner takes the standard streams of the process for as long as the command runs.
        with _ONE_COMMAND:
            done = CliRunner().invoke(main, ["--config", str(self.config), *args], input=text)
        if check and done.exit_code != 0:
            raise AssertionError(f"fedcomm {' '.join(args)}: {done.output}{done.exception!r}")
        return done.stdout

    def cli_json(self, *args: str, text: str | None = None) -> Any:
        """Run `fedcomm … --json`; what it printed, parsed."""
        return json.loads(self.cli(*args, "--json", text=text))

    async def run(self, *args: str, text: str | None = None) -> Any:
        """`cli_json` without holding up the event loop."""
        return await asyncio.to_thread(self.cli_json, *args, text=text)

    async def start(self) -> None:
        """Start the server and wait until it answers."""
        with (self.folder / "server.log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "fedcomm.cli", "--config", str(self.config), "serve"],
                stdout=log,
                stderr=log,
                env={**os.environ, **self._environment},
                preexec_fn=_end_with_parent,
            )
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise AssertionError(f"the hub did not start: {self.log()[-3000:]}")
            with contextlib.suppress(OSError, aiohttp.ClientError, AssertionError):
                status, _ = await self.get("/health")
                if status == 200:
                    return
            await asyncio.sleep(0.05)
        raise AssertionError(f"the hub does not answer: {self.log()[-3000:]}")

    async def stop(self) -> None:
        """End the server as an operator would."""
        await self._end(signal.SIGTERM)

    async def kill(self) -> None:
        """End the server as a power cut would."""
        await self._end(signal.SIGKILL)

    async def _end(self, how: signal.Signals) -> None:
        if self.process is None:
            return
        self.process.send_signal(how)
        await asyncio.to_thread(self.process.wait, 40)
        self.process = None

    def log(self) -> str:
        """What the server wrote."""
        path = self.folder / "server.log"
        return path.read_text(errors="replace") if path.exists() else ""

    async def get(
        self, path: str, *, accept: str = "text/html", headers: Mapping[str, str] | None = None
    ) -> tuple[int, str]:
        """GET a path (or a URL of this hub); status and text."""
        path = path.removeprefix(self.origin)
        async with (
            aiohttp.ClientSession(connector=self._connector()) as session,
            session.get(
                self.local_url(path),
                headers={"Accept": accept, "Host": self.host, **(headers or {})},
                allow_redirects=False,
            ) as answer,
        ):
            return answer.status, await answer.text()

    def local_url(self, path: str) -> str:
        """The address at which this machine reaches a path of the hub."""
        scheme = self.origin.split("://", 1)[0]
        name = "127.0.0.1" if scheme == "http" else self.host.partition(":")[0]
        return f"{scheme}://{name}:{self.port}{path}"

    def _connector(self) -> aiohttp.TCPConnector:
        import ssl

        if self.ca_file is None:
            return aiohttp.TCPConnector()
        return aiohttp.TCPConnector(
            ssl=ssl.create_default_context(cafile=str(self.ca_file)), resolver=_Loopback()
        )

    def sql(self, statement: str, *args: Any) -> list[Any]:
        """Rows straight out of the SQLite file, for what no page shows."""
        import sqlite3

        with contextlib.closing(sqlite3.connect(self.folder / "fedcomm.db", timeout=10)) as file:
            return file.execute(statement, args).fetchall()

    async def until(
        self, statement: str, *args: Any, wanted: Any = None, seconds: float = 45.0
    ) -> Any:
        """Wait until the first value of a query is `wanted` (or true); the value."""
        deadline = time.monotonic() + seconds
        value: Any = None
        while time.monotonic() < deadline:
            rows = self.sql(statement, *args)
            value = rows[0][0] if rows else None
            if (value == wanted) if wanted is not None else bool(value):
                return value
            await asyncio.sleep(0.05)
        raise AssertionError(f"still {value!r} after {seconds} s: {statement} {args}")


class _Loopback(aiohttp.abc.AbstractResolver):
    async def resolve(self, host: str, port: int = 0, family: int = 0) -> list[Any]:
        return [
            {
                "hostname": host,
                "host": "127.0.0.1",
                "port": port,
                "family": socket.AF_INET,
                "proto": 0,
                "flags": 0,
            }
        ]

    async def close(self) -> None:
        return None


async def make_hub(
    folder: Path,
    *,
    origin: str | None = None,
    port: int | None = None,
    database_url: str | None = None,
    tls: tuple[Path, Path] | None = None,
    ca_file: Path | None = None,
    settings: Mapping[str, Mapping[str, Any]] | None = None,
    members: Sequence[str] = ("anna", "ben"),
    groups: Mapping[str, Sequence[str]] | None = None,
) -> Hub:
    """A hub that is not running yet: `anna` is its administrator and owns the group `gardening`.

    `groups`: name → more options of `group create`.
    """
    port = port or free_port()
    origin = origin or f"http://localhost:{port}"
    tables = merged(
        {
            "instance": {"origin": origin, "name": "Hub under test"},
            "server": {"host": "127.0.0.1", "port": port},
        },
        LOOPBACK,
        {"database": {"url": database_url}} if database_url else {},
        {"server": {"tls_certificate": str(tls[0]), "tls_key": str(tls[1])}} if tls else {},
        {"federation": {"ca_file": str(ca_file)}} if ca_file else {},
        settings or {},
    )
    hub = Hub(folder, origin, port, tables, ca_file)
    hub.write()
    await asyncio.to_thread(migrate, database_url or f"sqlite:///{folder / 'fedcomm.db'}")
    for name in members:
        role = "administrator" if name == members[0] else "member"
        await asyncio.to_thread(
            hub.cli, "member", "create", name, "--role", role, "--password-stdin", text=PASSWORD
        )
    for name, options in (groups or {"gardening": ()}).items():
        await asyncio.to_thread(
            hub.cli,
            *("group", "create", name, "--title", name.capitalize(), "--owner", members[0]),
            *options,
        )
    return hub


@contextlib.asynccontextmanager
async def running_hub(folder: Path, **options: Any) -> AsyncIterator[Hub]:
    """A hub that runs until the block ends (see `make_hub`)."""
    hub = await make_hub(folder, **options)
    await hub.start()
    try:
        yield hub
    finally:
        if hub.process is not None:
            await hub.stop()
