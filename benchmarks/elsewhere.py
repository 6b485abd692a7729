"""All other servers, in a process of their own: actors whoever asks for them, and inboxes that count what arrives.

Each name under `.test` is a host, each `/users/NAME` an actor of it, all with the same key. Hosts in `late.test` take
`LATE_SECONDS` to answer. A few of the requests that arrived are kept whole, so that their signatures can be checked.
As a program (`python -m benchmarks.elsewhere`) it is that process, told by pickles on its standard input.
"""

from __future__ import annotations

import asyncio
import json
import pickle
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Final, cast

AS: Final = "https://www.w3.org/ns/activitystreams"
ACTIVITY: Final = "application/activity+json"
LATE: Final = ".late.test"
LATE_SECONDS: Final = 10.0
SAMPLES: Final = 40
"""Requests that are kept whole."""
EACH: Final = 101
"""One in so many is kept."""


@dataclass(frozen=True, slots=True)
class Taken:
    """A request that came to an inbox, whole."""

    target: str
    headers: tuple[tuple[str, str], ...]
    body: bytes


@dataclass(slots=True)
class Arrivals:
    """What came to inboxes: how many by host, and when the last one of each came (monotonic seconds)."""

    counts: dict[str, int] = field(default_factory=dict)
    last: dict[str, float] = field(default_factory=dict)
    fetched: int = 0
    """GETs."""
    samples: list[Taken] = field(default_factory=list)

    @property
    def total(self) -> int:
        return sum(self.counts.values())


class Elsewhere:
    """The process that plays the other servers, for the length of a block."""

    def __init__(self, public_key_pem: str) -> None:
        self._pem = public_key_pem
        self._process: subprocess.Popen[bytes] | None = None
        self._asking = asyncio.Lock()
        self.port = 0

    async def __aenter__(self) -> Elsewhere:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.elsewhere"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=Path(__file__).parent.parent,
        )
        answer = await self._ask(self._pem)
        assert isinstance(answer, int)
        self.port = answer
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._process is not None
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        await asyncio.to_thread(self._process.wait, 20)
        self._process.stdout.close()

    def origin(self, host: str) -> str:
        """The origin of a host by its name (`h1.test`)."""
        return f"http://{host}:{self.port}"

    async def arrivals(self) -> Arrivals:
        """What arrived since `forget`."""
        found = await self._ask("arrivals")
        assert isinstance(found, Arrivals)
        return found

    async def total(self) -> int:
        """How much arrived since `forget`."""
        found = await self._ask("total")
        assert isinstance(found, int)
        return found

    async def forget(self) -> None:
        """Begin to count anew."""
        await self._ask("forget")

    async def until(self, wanted: int, seconds: float) -> None:
        """Wait until so much has arrived. Raises AssertionError when it does not."""
        deadline = time.monotonic() + seconds
        while (now := await self.total()) < wanted:
            assert time.monotonic() < deadline, f"only {now} of {wanted} arrived in {seconds} s"
            await asyncio.sleep(0.02)

    async def _ask(self, what: str) -> object:
        # Of several tasks that ask at once, each gets its own answer.
        async with self._asking:
            return await asyncio.to_thread(self._asked, what)

    def _asked(self, what: str) -> object:
        assert self._process is not None
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        pickle.dump(what, self._process.stdin)
        self._process.stdin.flush()
        return pickle.load(self._process.stdout)


# --- In the process that plays the other servers ---


class _World:
    """Everything that was asked of it."""

    def __init__(self, pem: str) -> None:
        self.pem = pem
        self.port = 0
        self.arrivals = Arrivals()

    def document(self, host: str, path: str) -> dict[str, Any] | None:
        """What is at a path of a host."""
        origin = f"http://{host}:{self.port}"
        if path == "/.well-known/nodeinfo":
            schema = "http://nodeinfo.diaspora.software/ns/schema/2.0"
            return {"links": [{"rel": schema, "href": f"{origin}/nodeinfo/2.0"}]}
        if path == "/nodeinfo/2.0":
            return {"version": "2.0", "software": {"name": "stub", "version": "1.0"}}
        name = path.removeprefix("/users/")
        if name == path or "/" in name:
            return None
        uri = origin + path
        return {
            "@context": [AS, "https://w3id.org/security/v1"],
            "id": uri,
            "type": "Person",
            "preferredUsername": name,
            "name": name.capitalize(),
            "inbox": f"{uri}/inbox",
            "outbox": f"{uri}/outbox",
            "followers": f"{uri}/followers",
            "url": f"{origin}/@{name}",
            "endpoints": {"sharedInbox": f"{origin}/inbox"},
            "publicKey": {"id": f"{uri}#main-key", "owner": uri, "publicKeyPem": self.pem},
        }

    def take(self, host: str, head: bytes, body: bytes) -> None:
        """Something came to an inbox."""
        arrivals = self.arrivals
        arrivals.counts[host] = arrivals.counts.get(host, 0) + 1
        arrivals.last[host] = time.monotonic()
        if len(arrivals.samples) < SAMPLES and sum(arrivals.counts.values()) % EACH == 1:
            first, *rest = head.decode("latin-1").split("\r\n")
            fields = tuple(
                (line.partition(":")[0], line.partition(":")[2].strip()) for line in rest
            )
            arrivals.samples.append(Taken(first.split(" ")[1], fields, body))


class _Server(asyncio.Protocol):
    """One connection of somebody who fetches or delivers."""

    def __init__(self, world: _World) -> None:
        self._world = world
        self._buffer = bytearray()
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # Of uvloop, which calls it something else.
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while (end := self._buffer.find(b"\r\n\r\n")) >= 0:
            head = bytes(self._buffer[:end])
            lower = head.lower() + b"\r\n"
            at = lower.find(b"\r\ncontent-length:")
            length = int(lower[at + 17 : lower.index(b"\r\n", at + 17)]) if at >= 0 else 0
            if len(self._buffer) < end + 4 + length:
                return
            body = bytes(self._buffer[end + 4 : end + 4 + length])
            del self._buffer[: end + 4 + length]
            at = lower.index(b"\r\nhost:") + 7
            host = lower[at : lower.index(b"\r\n", at)].strip().partition(b":")[0].decode()
            self._answer(host, head, body)

    def _answer(self, host: str, head: bytes, body: bytes) -> None:
        if not head.startswith(b"POST"):
            self._world.arrivals.fetched += 1
            found = self._world.document(host, head.split(b" ", 2)[1].decode())
            text = json.dumps(found).encode() if found is not None else b""
            status = b"200 OK" if found is not None else b"404 Not Found"
            kind = f"Content-Type: {ACTIVITY}".encode()
            self._write(
                b"HTTP/1.1 %b\r\n%b\r\nContent-Length: %d\r\n\r\n%b"
                % (status, kind, len(text), text)
            )
        elif host.endswith(LATE):
            asyncio.get_running_loop().call_later(LATE_SECONDS, self._accept, host, head, body)
        else:
            self._accept(host, head, body)

    def _accept(self, host: str, head: bytes, body: bytes) -> None:
        self._world.take(host, head, body)
        self._write(b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n")

    def _write(self, answer: bytes) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(answer)


async def _serve(pem: str) -> None:
    loop = asyncio.get_running_loop()
    world = _World(pem)
    server = await loop.create_server(lambda: _Server(world), "127.0.0.1", 0, backlog=4096)
    world.port = server.sockets[0].getsockname()[1]
    over = asyncio.Event()
    _say(world.port)

    def obey(word: str) -> None:
        if word == "forget":
            world.arrivals = Arrivals()
            _say(None)
        else:
            _say(world.arrivals if word == "arrivals" else world.arrivals.total)

    def listen() -> None:
        while True:
            try:
                word = pickle.load(sys.stdin.buffer)
            except EOFError:
                loop.call_soon_threadsafe(over.set)
                return
            loop.call_soon_threadsafe(obey, word)

    threading.Thread(target=listen, daemon=True).start()
    await over.wait()


def _say(what: object) -> None:
    pickle.dump(what, sys.stdout.buffer)
    sys.stdout.buffer.flush()


def main() -> None:
    import uvloop

    # Under its own name and not as __main__, so that the other side knows what comes.
    from benchmarks import elsewhere

    pem = pickle.load(sys.stdin.buffer)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(elsewhere._serve(pem))


if __name__ == "__main__":
    main()
