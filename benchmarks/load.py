"""The load: processes of their own that send prepared requests over connections that stay open.

They are as lean as they can be in Python, so that the machine's second core is left to the server: what is sent was
signed and serialised before, and of an answer only its status and its end are looked at. As a program
(`python -m benchmarks.load`) it is one such process, told by pickles on its standard input.
"""

from __future__ import annotations

import asyncio
import pickle
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, repeat
from pathlib import Path
from types import TracebackType
from typing import Final, cast

CONNECTIONS: Final = 32
"""Of all processes together."""

PROCESSES: Final = 2

COME_AGAIN: Final = (429, 503)
"""Statuses after which other servers try again."""

PAUSE_S: Final = 0.25
"""Until then: less than they would wait, so that the server stays as busy as it can be."""

ANSWER_SECONDS: Final = 120.0
"""After which an answer does not come any more."""


@dataclass(frozen=True, slots=True)
class Job:
    """What one process sends: `requests` as bytes on the wire, all of them `times` times."""

    address: tuple[str, int]
    requests: tuple[bytes, ...]
    times: int
    connections: int


@dataclass(slots=True)
class Poured:
    """What came back. `seconds` that each answer took; `began` and `ended` by the monotonic clock of the machine."""

    statuses: Counter[int] = field(default_factory=Counter)
    seconds: list[float] = field(default_factory=list)
    put_off: int = 0
    """Answers that said *come again*; the same request was sent until it was answered otherwise."""
    body_bytes: int = 0
    """Of the largest body."""
    began: float = float("inf")
    ended: float = 0.0

    @property
    def took(self) -> float:
        return self.ended - self.began

    def add(self, other: Poured) -> None:
        """What another process got."""
        self.statuses.update(other.statuses)
        self.seconds += other.seconds
        self.put_off += other.put_off
        self.body_bytes = max(self.body_bytes, other.body_bytes)
        self.began = min(self.began, other.began)
        self.ended = max(self.ended, other.ended)


def request(
    method: str, path: str, host: str, headers: Mapping[str, str] | None = None, body: bytes = b""
) -> bytes:
    """A request on the wire."""
    lines = [f"{method} {path} HTTP/1.1"]
    fields = {"Host": host, **(headers or {})}
    if body or method == "POST":
        fields["Content-Length"] = str(len(body))
    lines += [f"{name}: {value}" for name, value in fields.items()]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


class Loaders:
    """The processes that make the load, for the length of a block."""

    def __init__(self, processes: int = PROCESSES) -> None:
        self._count = processes
        self._processes: list[subprocess.Popen[bytes]] = []

    async def __aenter__(self) -> Loaders:
        for _ in range(self._count):
            self._processes.append(
                subprocess.Popen(
                    [sys.executable, "-m", "benchmarks.load"],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    cwd=Path(__file__).parent.parent,
                )
            )
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for process in self._processes:
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.close()
            process.stdout.close()
        for process in self._processes:
            await asyncio.to_thread(process.wait, 20)

    async def pour(
        self,
        address: tuple[str, int],
        requests: Sequence[bytes],
        *,
        times: int = 1,
        connections: int = CONNECTIONS,
    ) -> Poured:
        """Send all requests `times` times, `connections` at once, and wait for the answers.

        Raises RuntimeError when an answer does not come.
        """
        busy = self._processes[: max(1, min(self._count, len(requests) * times, connections))]
        if len(requests) >= len(busy):
            shares = [(tuple(requests[number :: len(busy)]), times) for number in range(len(busy))]
        else:
            each, rest = divmod(times, len(busy))
            shares = [(tuple(requests), each + (number < rest)) for number in range(len(busy))]
        hands = max(1, connections // len(busy))
        jobs = [Job(address, part, count, hands) for part, count in shares]
        for process, job in zip(busy, jobs, strict=True):
            await asyncio.to_thread(_say, process, job)
        # Connections first, so that none of that is measured.
        for process in busy:
            _raise_if_told(await asyncio.to_thread(_hear, process))
        for process in busy:
            _say(process, "go")
        poured = Poured()
        for process in busy:
            answer = await asyncio.to_thread(_hear, process)
            _raise_if_told(answer)
            assert isinstance(answer, Poured)
            poured.add(answer)
        return poured


def _say(process: subprocess.Popen[bytes], what: object) -> None:
    assert process.stdin is not None
    pickle.dump(what, process.stdin)
    process.stdin.flush()


def _hear(process: subprocess.Popen[bytes]) -> object:
    assert process.stdout is not None
    try:
        return pickle.load(process.stdout)
    except EOFError:
        return "the process that makes the load ended"


def _raise_if_told(answer: object) -> None:
    if isinstance(answer, str) and answer != "ready":
        raise RuntimeError(answer)


# --- In the process that makes the load ---


class _Connection(asyncio.Protocol):
    """One connection: a request, its answer, the next one."""

    def __init__(self, work: Iterator[bytes], poured: Poured) -> None:
        self._work = work
        self._poured = poured
        self._buffer = bytearray()
        self._length = -1  # Of the body; -2 for chunks, -1 while the head is not whole.
        self._head = 0
        self._sent = 0.0
        self._request = b""
        self._transport: asyncio.Transport | None = None
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # Of uvloop, which calls it something else.
        self._transport = cast(asyncio.Transport, transport)

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.done.done():
            self.done.set_exception(ConnectionError(f"the server hung up: {exc}"))

    def send(self) -> None:
        """The next request, or the end."""
        following = next(self._work, None)
        assert self._transport is not None
        if following is None:
            if not self.done.done():
                self.done.set_result(None)
            self._transport.close()
            return
        self._sent = time.monotonic()
        self._request = following
        self._transport.write(following)

    def send_again(self) -> None:
        """What the server could not take just now; the time that it takes counts from the first try."""
        assert self._transport is not None
        self._transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        buffer = self._buffer
        buffer += data
        if self._length == -1:
            end = buffer.find(b"\r\n\r\n")
            if end < 0:
                return
            self._head = end + 4
            head = bytes(buffer[:end]).lower() + b"\r\n"
            if head[9:12] in (b"204", b"304"):
                self._length = 0
            elif (at := head.find(b"\r\ncontent-length:")) >= 0:
                self._length = int(head[at + 17 : head.index(b"\r\n", at + 17)])
            else:
                self._length = -2
        if self._length == -2:
            if not buffer.endswith(b"0\r\n\r\n"):
                return
        elif len(buffer) < self._head + self._length:
            return
        poured = self._poured
        status = int(buffer[9:12])
        if status in COME_AGAIN:
            poured.put_off += 1
            buffer.clear()
            self._length = -1
            asyncio.get_running_loop().call_later(PAUSE_S, self.send_again)
            return
        poured.statuses[status] += 1
        poured.seconds.append(time.monotonic() - self._sent)
        poured.body_bytes = max(poured.body_bytes, len(buffer) - self._head)
        buffer.clear()
        self._length = -1
        self.send()


async def _pour(job: Job) -> Poured:
    loop = asyncio.get_running_loop()
    work = chain.from_iterable(repeat(job.requests, job.times))
    poured = Poured()
    connections = [
        (await loop.create_connection(lambda: _Connection(work, poured), *job.address))[1]
        for _ in range(min(job.connections, len(job.requests) * job.times))
    ]
    _answer("ready")
    await asyncio.to_thread(pickle.load, sys.stdin.buffer)
    poured.began = time.monotonic()
    for connection in connections:
        connection.send()
    async with asyncio.timeout(ANSWER_SECONDS):
        await asyncio.gather(*(connection.done for connection in connections))
    poured.ended = time.monotonic()
    return poured


def _answer(what: object) -> None:
    pickle.dump(what, sys.stdout.buffer)
    sys.stdout.buffer.flush()


def main() -> None:
    import uvloop

    # Under its own name and not as __main__, so that the other side knows what comes.
    from benchmarks import load

    while True:
        try:
            job = pickle.load(sys.stdin.buffer)
        except EOFError:
            return
        try:
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                load._answer(runner.run(load._pour(job)))
        except Exception as error:
            _answer(f"{type(error).__name__}: {error}")


if __name__ == "__main__":
    main()
