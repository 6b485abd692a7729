"""The second foreign peer as seen from the tests: activitypub.bot, installed once, started, driven, stopped.

See `activitypub_bot/README.md` for what it serves and how its control API answers.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import time
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

from tests.federation import fedify_peer
from tests.federation.npm_folder import NpmFolder
from tests.federation.private_ca import CertificateAuthority

FOLDER = Path(__file__).parent / "activitypub_bot"
REQUIRED = "FEDCOMM_REQUIRE_ACTIVITYPUB_BOT"
"""Set to 1 where the peer must run (CI): a missing npm then fails instead of skipping."""

# Its optional packages are the drivers of other databases, and one of them compiles C++.
PACKAGES = NpmFolder(FOLDER, "activitypub.bot", REQUIRED, ("--omit=optional",))

START_SECONDS = 30.0
CALL_SECONDS = 30.0
POLL_SECONDS = 0.05

JsonObject = dict[str, Any]
Predicate = Callable[[JsonObject], bool]


def install() -> None:
    """Install its packages, and Node, which is the other peer's."""
    fedify_peer.install()
    PACKAGES.install()


@dataclass(slots=True)
class ActivityPubBot:
    """A running server with two actors: `robot`, which does as told, and `club`, a group.

    Methods that tell the robot something return the id of what it made, and raise AssertionError
    with the server's own error where it could not. Deliveries happen after the answer.
    """

    folder: Path
    ca: CertificateAuthority
    database_url: str
    """An empty PostgreSQL database."""
    hosts: Mapping[str, str]
    """Names that the server can resolve, and their loopback addresses. All others do not exist."""
    hostname: str = "robot.test"
    origin: str = ""
    control: str = ""
    _process: asyncio.subprocess.Process | None = None
    _session: aiohttp.ClientSession | None = field(default=None, repr=False)
    _reader: asyncio.Task[None] | None = field(default=None, repr=False)

    @property
    def uri(self) -> str:
        """The actor that does as told."""
        return f"{self.origin}/user/robot"

    @property
    def host(self) -> str:
        """Name and port."""
        return self.origin.removeprefix("https://")

    @property
    def handle(self) -> str:
        return f"@robot@{self.host}"

    @property
    def club(self) -> str:
        """A group that announces ids: what mentions it, and what `share-in-club` names."""
        return f"{self.origin}/user/club"

    async def start(self) -> None:
        """Install if needed, start the process, return when it answers."""
        await asyncio.to_thread(install)
        self.folder.mkdir(parents=True, exist_ok=True)
        certificate, key = self.ca.issue(self.hostname)
        with self.error_log.open("ab") as error_log:
            self._process = await asyncio.create_subprocess_exec(
                str(fedify_peer.NODE),
                str(FOLDER / "server.mjs"),
                env={
                    "PATH": os.environ.get("PATH", ""),
                    "NODE_EXTRA_CA_CERTS": str(self.ca.path),
                    "APBOT_CERT": str(certificate),
                    "APBOT_KEY": str(key),
                    "APBOT_DATABASE": self.database_url,
                    "APBOT_HOST": self.hostname,
                    "APBOT_HOSTS": json.dumps({self.hostname: "127.0.0.1", **self.hosts}),
                },
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=error_log,
            )
        assert self._process.stdout is not None
        lines: list[bytes] = []
        try:
            async with asyncio.timeout(START_SECONDS):
                while not self.origin:
                    # The server writes its log to standard output as well.
                    lines.append(await self._process.stdout.readline())
                    if not lines[-1]:
                        raise ValueError("it ended")
                    ready = json.loads(lines[-1])
                    if ready.get("ready"):
                        self.origin, self.control = ready["origin"], ready["control"]
        except (TimeoutError, ValueError) as error:
            await self.stop()
            said = b"".join(lines).decode(errors="replace")
            raise RuntimeError(f"it did not start:\n{said}{self.errors()}") from error
        self._reader = asyncio.create_task(self._keep_log())
        timeout = aiohttp.ClientTimeout(total=CALL_SECONDS)
        self._session = aiohttp.ClientSession(timeout=timeout)
        await self.call("GET", "/health")

    async def _keep_log(self) -> None:
        assert self._process is not None and self._process.stdout is not None
        while line := await self._process.stdout.readline():
            with self.error_log.open("ab") as log:
                log.write(line)

    async def stop(self) -> None:
        """Stop the process that `start` started; does nothing when there is none."""
        if self._session is not None:
            await self._session.close()
            self._session = None
        if self._process is not None:
            if self._process.returncode is None:
                self._process.terminate()
            await self._process.wait()
            self._process = None
        if self._reader is not None:
            await self._reader
            self._reader = None

    @property
    def error_log(self) -> Path:
        return self.folder / "log.txt"

    def errors(self) -> str:
        """What the process wrote so far."""
        return self.error_log.read_text() if self.error_log.exists() else ""

    async def call(self, method: str, path: str, **body: Any) -> Any:
        """One request to the control API."""
        assert self._session is not None, "the peer is not running"
        payload = body if method == "POST" else None
        async with self._session.request(method, self.control + path, json=payload) as response:
            answer = await response.json()
        assert response.status == 200, f"{method} {path} {body}: {answer['error']}"
        return answer

    async def tell(self, what: str, **body: Any) -> str:
        """Let the robot do something (`follow`, `reply` …); the id of what it made."""
        return str((await self.call("POST", f"/{what}", **body))["id"])

    async def lookup(self, handle: str) -> JsonObject:
        """Find an actor by WebFinger and fetch it, signed: `id`, `type`, `name`."""
        found: JsonObject = await self.call("POST", "/lookup", handle=handle.removeprefix("@"))
        return found

    async def log(self) -> list[JsonObject]:
        """What reached the robot, verified, oldest first; `(mention)` and its like are what the
        server made of it."""
        entries: list[JsonObject] = await self.call("GET", "/log")
        return entries

    async def requests(self) -> list[JsonObject]:
        """Every request that reached the server: method, path, signature style, status."""
        entries: list[JsonObject] = await self.call("GET", "/requests")
        return entries

    async def sent(self) -> list[JsonObject]:
        """Every request that left the server: method, url, signature style, status or error."""
        entries: list[JsonObject] = await self.call("GET", "/sent")
        return entries

    async def until_follows(self, uri: str, seconds: float = 15.0) -> None:
        """Wait until the robot counts `uri` among those it follows (its Accept was processed)."""
        await self._until("/following", lambda ids: uri in ids, seconds)

    async def until_followers(self, uris: list[str], seconds: float = 15.0) -> None:
        """Wait until these are the robot's followers."""
        await self._until("/followers", lambda ids: ids == uris, seconds)

    async def _until(self, path: str, good: Callable[[list[str]], bool], seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while not good(ids := await self.call("GET", path)):
            assert time.monotonic() < deadline, f"{path} is still {ids}"
            await asyncio.sleep(POLL_SECONDS)

    async def wait_for(
        self, kind: str, where: Predicate = lambda _entry: True, seconds: float = 15.0
    ) -> JsonObject:
        """The first entry of the log of this type that `where` accepts.

        Raises AssertionError with all that arrived instead when `seconds` have passed.
        """
        deadline = time.monotonic() + seconds
        entries: list[JsonObject] = []
        while time.monotonic() < deadline:
            entries = await self.log()
            for entry in entries:
                if entry["type"] == kind and where(entry):
                    return entry
            await asyncio.sleep(POLL_SECONDS)
        seen = [(entry["type"], entry.get("objectType"), entry["objectId"]) for entry in entries]
        refused = [entry for entry in await self.requests() if (entry["status"] or 0) >= 400]
        raise AssertionError(
            f"no {kind} in {seconds} s; got {seen}; refused {refused}\n{self.errors()[-3000:]}"
        )


@contextlib.asynccontextmanager
async def running_bot(
    folder: Path, ca: CertificateAuthority, database_url: str, hosts: Mapping[str, str]
) -> AsyncIterator[ActivityPubBot]:
    """The server for the length of the block."""
    peer = ActivityPubBot(folder, ca, database_url, hosts)
    await peer.start()
    try:
        yield peer
    finally:
        await peer.stop()
