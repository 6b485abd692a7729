"""Side by side: the same load against another ActivityPub server, in the same run.

The other one is activitypub.bot, the only server that installs by name and takes deliveries without services of its
own besides PostgreSQL (docs/decisions/0007 says what else was looked at). Both get the same signed answers to a post,
from the same people, over the same connections; both tell as many followers of as many posts; both are asked for an
actor. What they do for it differs, and `DIFFERENCES` says how.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import aiohttp

from activitypub import cavage
from benchmarks.elsewhere import AS, Elsewhere
from benchmarks.figures import Figure, Floor, Meter
from benchmarks.load import Loaders, request
from benchmarks.stage import POSTGRESQL, Stage, created
from tests.databases import PostgreSQLServer, find_binaries
from tests.federation import activitypub_bot_peer, fedify_peer
from tests.federation.stub import ACTIVITY, PUBLIC, test_key
from tests.ports import free_port

PROGRAM: Final = Path(__file__).with_suffix(".mjs")

REPLIES: Final = 100
"""Each cold and warm; the other server takes about a second for one."""

PEOPLE: Final = 50
HOSTS: Final = 10
FANS: Final = 50
TOPICS: Final = 4
READS: Final = 1_000

STILL_S: Final = 15.0
"""After which what is not visible is not going to be: of answers that come at once it can lose some."""

CALM_S: Final = 5.0
"""For which nothing arrives when nothing is left to do."""

DIFFERENCES: Final = (
    "Both verify each signature, keep the activity in a durable queue and add the answer to the post's replies. The"
    " hub besides cleans the HTML, applies policies and limits, files the answer into a thread with a page, a search"
    " index, notifications and counters, and sends it on to the group's followers where there are any."
    " activitypub.bot, a server for robots without pages, expands JSON-LD, and tells the followers and the thread of"
    " each answer with an `Add` activity; its `Create` of a note names the object by id, so that its followers would"
    " fetch it. The hub's topic goes out twice (as activity and as id), each of which counts as a delivery."
)


@dataclass
class Other:
    """A running activitypub.bot."""

    process: asyncio.subprocess.Process
    origin: str
    port: int
    database: PostgreSQLServer
    session: aiohttp.ClientSession
    address: tuple[str, int] = field(init=False)

    def __post_init__(self) -> None:
        self.address = ("127.0.0.1", self.port)

    @property
    def actor(self) -> str:
        return f"{self.origin}/user/robot"

    @property
    def host(self) -> str:
        return self.origin.removeprefix("http://")

    def meter(self) -> Meter:
        """CPU seconds from now on."""
        return Meter(self.process.pid, self.database.pid)

    async def note(self, text: str) -> str:
        """The robot writes a note; its id."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps({"note": text}).encode() + b"\n")
        return str((await self.said("id"))["id"])

    async def said(self, key: str) -> dict[str, Any]:
        """The next of its answers that has a `key`."""
        assert self.process.stderr is not None
        while line := await self.process.stderr.readline():
            if line.startswith(f'{{"{key}"'.encode()):
                found: dict[str, Any] = json.loads(line)
                return found
        raise AssertionError("the other server ended")

    async def document(self, url: str) -> Any:
        """What is at an address of its own."""
        path = url.removeprefix(self.origin)
        headers = {"Accept": ACTIVITY, "Host": self.host, "X-Forwarded-For": _somewhere()}
        async with self.session.get(
            f"http://127.0.0.1:{self.port}{path}", headers=headers
        ) as answer:
            text = await answer.text()
            assert answer.status == 200, (url, answer.status, text[:300])
            return json.loads(text)

    async def count(self, collection: str) -> int:
        """How much is in a collection."""
        return int((await self.document(collection)).get("totalItems", 0))

    def signed(self, author: str, activity: Mapping[str, Any], address: str) -> bytes:
        """A signed POST to its shared inbox, as through a proxy that saw `address`."""
        body = json.dumps(activity).encode()
        url = f"{self.origin}/shared/inbox"
        headers = cavage.sign("POST", url, body, test_key(), f"{author}#main-key")
        headers = {name.title(): value for name, value in headers.items() if name.lower() != "host"}
        more = {"Content-Type": ACTIVITY, "X-Forwarded-For": address}
        return request("POST", "/shared/inbox", self.host, headers | more, body)


_addresses = iter(range(1 << 62))


def _somewhere() -> str:
    """Another address each time: its limits count by them."""
    number = next(_addresses)
    return f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"


@contextlib.asynccontextmanager
async def running_other(folder: Path) -> AsyncIterator[tuple[Other, float]]:
    """The other server, and seconds from its start to its first 200. Raises RuntimeError when it cannot run here."""
    binaries = find_binaries()
    if binaries is None:
        raise RuntimeError("activitypub.bot needs PostgreSQL (Debian: apt-get install postgresql)")
    if shutil.which("npm") is None:
        raise RuntimeError("activitypub.bot needs npm, and there is none on this machine")
    await asyncio.to_thread(activitypub_bot_peer.install)
    database = PostgreSQLServer(
        binaries, durable=True, place=Path(tempfile.gettempdir()), settings=POSTGRESQL
    )
    try:
        await asyncio.to_thread(database.start)
        url = database.url(await asyncio.to_thread(database.create))
        port = free_port()
        origin = f"http://robot.test:{port}"
        async with aiohttp.ClientSession() as session:
            # Its tables are made at the first start, which is not what is timed.
            async with _started(folder, port, origin, url) as process:
                other = Other(process, origin, port, database, session)
                await _answers(other)
            began = time.monotonic()
            async with _started(folder, port, origin, url) as process:
                other = Other(process, origin, port, database, session)
                await _answers(other)
                yield other, time.monotonic() - began
    finally:
        database.close()


@contextlib.asynccontextmanager
async def _started(
    folder: Path, port: int, origin: str, url: str
) -> AsyncIterator[asyncio.subprocess.Process]:
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "other.log").open("ab") as log:
        process = await asyncio.create_subprocess_exec(
            *(str(_node()), str(PROGRAM)),
            env={
                "PATH": os.environ.get("PATH", ""),
                "NODE_ENV": "production",
                "BESIDE_PORT": str(port),
                "BESIDE_ORIGIN": origin,
                "BESIDE_DATABASE": url,
            },
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=subprocess.PIPE,
        )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.terminate()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(process.wait(), 10)
        if process.returncode is None:
            process.kill()
            await process.wait()


def _node() -> Path:
    """The program itself and not the script around it, so that its processes are the server's."""
    return fedify_peer.NODE.resolve()


async def _answers(other: Other) -> None:
    """Wait until its actor is answered."""
    deadline = time.monotonic() + 60
    while True:
        try:
            await other.document(other.actor)
            break
        except (aiohttp.ClientError, OSError, AssertionError):
            assert other.process.returncode is None, "the other server ended"
            assert time.monotonic() < deadline, "the other server does not answer"
            await asyncio.sleep(0.01)
    await other.said("ready")


async def measure_other(
    folder: Path, replies: int, verify: Floor, sign: Floor
) -> tuple[list[Figure], dict[str, Any]]:
    """The figures of the other server, and what else is known of it."""
    async with (
        Elsewhere(test_key().public().to_pem()) as elsewhere,
        Loaders() as loaders,
        running_other(folder) as (other, seconds),
    ):
        await asyncio.sleep(2)
        idle = other.meter().memory_mb()
        figures = []
        missing = 0
        note = await other.note("Which soil?")
        replies_of = (await other.document(note))["replies"]
        collection = replies_of if isinstance(replies_of, str) else replies_of["id"]
        for turn, temperature in enumerate(("cold", "warm")):
            requests = []
            for number in range(turn * replies, (turn + 1) * replies):
                person = number % PEOPLE
                author = f"{elsewhere.origin(f'load{person % HOSTS}.test')}/users/a{person}"
                activity = created(author, f"{author}/notes/{number}", note, number)
                # Its inbox hands on what names one of its robots.
                activity["to"] = activity["object"]["to"] = [PUBLIC, other.actor]
                requests.append(other.signed(author, activity, _somewhere()))
            meter = other.meter()
            poured = await loaders.pour(other.address, requests)
            assert set(poured.statuses) == {202}, poured.statuses
            shown, ended = await _settled(other, collection, (turn + 1) * replies)
            missing = (turn + 1) * replies - shown
            took = ended - poured.began
            figures.append(
                meter.figure(f"inbox {temperature}, visible", replies, verify, seconds=took)
            )
        figures.append(await _actor(loaders, other.meter, other.address, other.host, "/user/robot"))
        fans = await _follow(other, elsewhere, loaders)
        await _calm(elsewhere)
        await elsewhere.forget()
        meter = other.meter()
        started = time.monotonic()
        for number in range(TOPICS):
            await other.note(f"Topic {number}")
        await elsewhere.until(TOPICS * fans, 600)
        took = time.monotonic() - started
        figures.append(meter.figure("fan-out", TOPICS * fans, sign, seconds=took))
        loaded = other.meter().memory_mb()
    return figures, {
        "start_seconds": round(seconds, 3),
        "idle_rss_pss_mb": idle,
        "after_load_rss_pss_mb": loaded,
        "missing": missing,
    }


async def _settled(other: Other, collection: str, wanted: int) -> tuple[int, float]:
    """How much is in a collection when it has all or nothing more comes, and when that was (monotonic seconds)."""
    shown, at = -1, time.monotonic()
    while shown < wanted and time.monotonic() < at + STILL_S:
        now = await other.count(collection)
        if now != shown:
            shown, at = now, time.monotonic()
        # Rarely: being asked costs it something as well.
        await asyncio.sleep(0.25)
    return shown, at


async def _follow(other: Other, elsewhere: Elsewhere, loaders: Loaders) -> int:
    """Followers, each on a host of its own; how many were taken (of those who come at once it can lose one)."""
    requests = []
    for number in range(FANS):
        author = f"{elsewhere.origin(f'h{number}.fan.test')}/users/fan"
        follow = {
            "@context": AS,
            "id": f"{author}/follow",
            "type": "Follow",
            "actor": author,
            "to": other.actor,
            "object": other.actor,
        }
        requests.append(other.signed(author, follow, _somewhere()))
    followers = f"{other.actor}/followers"
    # The first makes the collection.
    for part in (requests[:1], requests[1:]):
        poured = await loaders.pour(other.address, part)
        assert set(poured.statuses) == {202}, poured.statuses
        await _calm(elsewhere)
    taken = await other.count(followers)
    assert taken > FANS // 2, f"only {taken} followers were taken"
    return taken


async def _calm(elsewhere: Elsewhere) -> None:
    """Wait until nothing more arrives."""
    last, now = -1, 0
    while last != now:
        last = now
        await asyncio.sleep(CALM_S)
        now = await elsewhere.total()


async def _actor(
    loaders: Loaders,
    meter: Callable[[], Meter],
    address: tuple[str, int],
    host: str,
    path: str,
) -> Figure:
    # From many addresses: the other server's limits count by them.
    requests = [
        request("GET", path, host, {"Accept": ACTIVITY, "X-Forwarded-For": _somewhere()})
        for _ in range(READS // 10)
    ]
    await loaders.pour(address, requests[:1])
    running = meter()
    poured = await loaders.pour(address, requests, times=10)
    assert set(poured.statuses) == {200}, poured.statuses
    made = running.figure("actor document", len(poured.seconds), seconds=poured.took)
    return made.timed(poured)


async def measure_hub(stage: Stage, replies: int, verify: Floor, sign: Floor) -> list[Figure]:
    """The same of the hub, in the same order."""
    from benchmarks.fanout import FORMS, tell
    from benchmarks.inbox import inbox

    topic = await stage.write_topic("Which soil?")
    found = await inbox(stage, topic, replies, verify, people=PEOPLE, hosts=HOSTS)
    figures = [figure for figure in found if figure.name.endswith("visible")]
    group = await stage.group()
    figures.append(
        await _actor(stage.loaders, stage.meter, stage.address, stage.hub.host, f"/ap/g/{group}")
    )
    await stage.follow_from([f"h{number}.fan.test" for number in range(FANS)])
    left, _ = await tell(stage, TOPICS, FANS, "fan-out", sign)
    assert left.operations == TOPICS * FANS * FORMS
    return [*figures, left]


def compared(other: list[Figure], hub: list[Figure]) -> None:
    """Give the other's figures their ratio to the hub's: how many times the CPU, database included."""
    for theirs, ours in zip(other, hub, strict=True):
        assert theirs.name == ours.name
        mine = ours.cpu_s_per_1000 + (ours.database_cpu_s_per_1000 or 0)
        whole = theirs.cpu_s_per_1000 + (theirs.database_cpu_s_per_1000 or 0)
        theirs.ratio, theirs.floor = (round(whole / mine, 1) if mine else None), "the hub"
