"""The Fedify bot as seen from the tests: install once, start, drive, stop.

See `fedify/README.md` for what the bot serves and how its control API answers.
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

from tests.federation.npm_folder import NpmFolder
from tests.federation.private_ca import CertificateAuthority

FOLDER = Path(__file__).parent / "fedify"
NODE = FOLDER / "node_modules" / ".bin" / "node"
REQUIRED = "FEDCOMM_REQUIRE_FEDIFY"
"""Set to 1 where the bot must run (CI): a missing npm then fails instead of skipping."""

PACKAGES = NpmFolder(FOLDER, "Fedify", REQUIRED)

START_SECONDS = 30.0
CALL_SECONDS = 120.0
POLL_SECONDS = 0.05

JsonObject = dict[str, Any]
Predicate = Callable[[JsonObject], bool]


class PeerError(Exception):
    """The bot could not do what it was asked; `answer` is what its control API said."""

    def __init__(self, message: str, answer: JsonObject) -> None:
        super().__init__(message)
        self.answer = answer


def install() -> None:
    """Install the bot's packages and Node, once per lock file (see `NpmFolder.install`)."""
    PACKAGES.install()


@dataclass(slots=True)
class FedifyPeer:
    """A running bot. Make one with `running_peer` or `start`.

    Methods return the decoded JSON of the control API and raise `PeerError` when the bot failed,
    for instance because the server under test refused a delivery.
    """

    folder: Path
    ca: CertificateAuthority
    hosts: Mapping[str, str]
    """Names that the bot can resolve, and their loopback addresses. All others do not exist."""
    hostname: str = "bot.test"
    name: str = "bot"
    port: int = 0
    """0 lets the system choose; after `start` it is the real one, kept over a restart."""
    authorized_fetch: bool = False
    """Whether the bot's objects (never its actor) are for signed requests only."""
    first_knock: str = "rfc9421"
    """The style of the first signature: or `draft-cavage-http-signatures-12`."""
    origin: str = ""
    control: str = ""
    _process: asyncio.subprocess.Process | None = None
    _session: aiohttp.ClientSession | None = field(default=None, repr=False)

    @property
    def uri(self) -> str:
        return f"{self.origin}/users/{self.name}"

    @property
    def handle(self) -> str:
        return f"@{self.name}@{self.hostname}:{self.port}"

    @property
    def pid(self) -> int:
        assert self._process is not None, "the bot is not running"
        return self._process.pid

    async def start(self) -> None:
        """Install if needed, start the process, return when it answers.

        Its keys live in `folder` and are the same after a restart; notes and followers are not.
        """
        await asyncio.to_thread(install)
        self.folder.mkdir(parents=True, exist_ok=True)
        certificate, key = self.ca.issue(self.hostname)
        environment = {
            "PATH": os.environ.get("PATH", ""),
            "NODE_EXTRA_CA_CERTS": str(self.ca.path),
            "FEDIFY_CERT": str(certificate),
            "FEDIFY_KEY": str(key),
            "FEDIFY_KEYS": str(self.folder / f"{self.hostname}.{self.name}.keys.json"),
            "FEDIFY_HOST": self.hostname,
            "FEDIFY_HOSTS": json.dumps({self.hostname: "127.0.0.1", **self.hosts}),
            "FEDIFY_NAME": self.name,
            "FEDIFY_PORT": str(self.port),
            "FEDIFY_AUTHORIZED_FETCH": "1" if self.authorized_fetch else "0",
            "FEDIFY_FIRST_KNOCK": self.first_knock,
        }
        with self.error_log.open("ab") as error_log:
            self._process = await asyncio.create_subprocess_exec(
                str(NODE),
                str(FOLDER / "bot.mjs"),
                env=environment,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=error_log,
            )
        assert self._process.stdout is not None
        try:
            line = await asyncio.wait_for(self._process.stdout.readline(), START_SECONDS)
            ready = json.loads(line)
        except (TimeoutError, ValueError) as error:
            await self.stop()
            raise RuntimeError(f"the bot did not start:\n{self.errors()}") from error
        self.origin, self.control = ready["origin"], ready["control"]
        self.port = int(self.origin.rpartition(":")[2])
        timeout = aiohttp.ClientTimeout(total=CALL_SECONDS)
        self._session = aiohttp.ClientSession(timeout=timeout)
        await self.call("GET", "/health")

    async def stop(self) -> None:
        """Stop the process that `start` started; does nothing when there is none."""
        if self._session is not None:
            await self._session.close()
            self._session = None
        if self._process is None:
            return
        if self._process.returncode is None:
            self._process.terminate()
        await self._process.wait()
        self._process = None

    @property
    def error_log(self) -> Path:
        return self.folder / f"{self.hostname}.{self.name}.stderr.txt"

    def errors(self) -> str:
        """What the process wrote to its error output so far."""
        return self.error_log.read_text() if self.error_log.exists() else ""

    async def call(self, method: str, path: str, **body: Any) -> Any:
        """One request to the control API; raises `PeerError` on any status but 200."""
        assert self._session is not None, "the bot is not running"
        payload = body if method == "POST" else None
        async with self._session.request(method, self.control + path, json=payload) as response:
            answer = await response.json()
        if response.status != 200:
            raise PeerError(f"{method} {path}: {answer.get('error')}", answer)
        return answer

    async def lookup(self, what: str) -> JsonObject:
        """Look up a handle (`@name@host`, by WebFinger) or the URI of an object."""
        key = "uri" if what.startswith("https://") else "handle"
        found: JsonObject = await self.call("POST", "/lookup", **{key: what})
        return found

    async def follow(self, uri: str) -> str:
        """Follow an actor; returns the id of the Follow."""
        return str((await self.call("POST", "/follow", uri=uri))["activity"])

    async def note(
        self, content: str, *, mention: tuple[str, ...] = (), group: str | None = None
    ) -> str:
        """Publish a Note to followers, those mentioned and a group; returns the id of the Note."""
        answer = await self.call("POST", "/note", content=content, mention=mention, group=group)
        return str(answer["object"])

    async def reply(self, to: str, content: str) -> str:
        """Answer an object, towards its author, its group and the bot's followers; Note's id."""
        return str((await self.call("POST", "/reply", to=to, content=content))["object"])

    async def like(self, uri: str) -> str:
        """Like an object, towards its author and its group; returns the id of the Like."""
        return str((await self.call("POST", "/like", object=uri))["activity"])

    async def announce(self, uri: str, *, embed: bool = False) -> str:
        """Announce an id, or with `embed` an activity of the bot's own as a whole."""
        answer = await self.call("POST", "/announce", object=uri, embed=embed)
        return str(answer["activity"])

    async def undo(self, activity: str) -> str:
        """Undo a Follow, Like or Announce of the bot's own, by its id."""
        return str((await self.call("POST", "/undo", activity=activity))["activity"])

    async def update(self, uri: str, content: str) -> str:
        """Change a Note of the bot's own."""
        answer = await self.call("POST", "/update", object=uri, content=content)
        return str(answer["activity"])

    async def delete(self, uri: str) -> str:
        """Delete a Note of the bot's own; its id answers 410 with a Tombstone from then on."""
        return str((await self.call("POST", "/delete", object=uri))["activity"])

    async def crawl(self, uri: str, limit: int = 200) -> list[JsonObject]:
        """Dereference `uri` and all that it leads to on its origin; see `fedify/crawl.mjs`.

        Raises AssertionError when `limit` documents were not enough, so that nothing is left
        unread in silence.
        """
        answer = await self.call("POST", "/crawl", uri=uri, max=limit)
        assert answer["left"] == 0, f"{answer['left']} documents left after {limit}"
        results: list[JsonObject] = answer["results"]
        return results

    async def log(self) -> list[JsonObject]:
        """Every activity that was received and verified, oldest first."""
        received: list[JsonObject] = await self.call("GET", "/log")
        return received

    async def requests(self) -> list[JsonObject]:
        """Every request that reached the bot, verified or not, with the status of the answer."""
        arrived: list[JsonObject] = await self.call("GET", "/requests")
        return arrived

    async def sent(self) -> list[JsonObject]:
        """Every request that the bot sent, with the style of its signature and the answer."""
        left: list[JsonObject] = await self.call("GET", "/sent")
        return left

    async def wait_for(
        self, activity_type: str, where: Predicate = lambda _entry: True, seconds: float = 20.0
    ) -> JsonObject:
        """The first received activity of this type that `where` accepts.

        Raises AssertionError with all that arrived instead when `seconds` have passed.
        """
        deadline = time.monotonic() + seconds
        while True:
            received = await self.log()
            for entry in received:
                if entry["type"] == activity_type and where(entry):
                    return entry
            if time.monotonic() > deadline:
                break
            await asyncio.sleep(POLL_SECONDS)
        seen = [(entry["type"], entry["objectType"], entry["objectId"]) for entry in received]
        refused = [
            (entry["method"], entry["path"], entry["status"], entry.get("refusal"))
            for entry in await self.requests()
            if (entry["status"] or 0) >= 400
        ]
        raise AssertionError(f"no {activity_type} in {seconds} s; got {seen}; refused {refused}")


@contextlib.asynccontextmanager
async def running_peer(
    folder: Path, ca: CertificateAuthority, **options: Any
) -> AsyncIterator[FedifyPeer]:
    """A bot for the length of the block. Options are the fields of `FedifyPeer`."""
    options.setdefault("hosts", {"hub.test": "127.0.0.1"})
    peer = FedifyPeer(folder=folder, ca=ca, **options)
    await peer.start()
    try:
        yield peer
    finally:
        await peer.stop()
