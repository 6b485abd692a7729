"""Where it is measured: one hub as a process of its own, on one engine, with other servers and load around it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import sqlite3
import tempfile
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import aiohttp

from activitypub import cavage
from benchmarks.elsewhere import AS, Elsewhere
from benchmarks.figures import Figure, Floor, Meter
from benchmarks.load import CONNECTIONS, Loaders, Poured, request
from fedcomm.hub import sessions
from fedcomm.hub.submissions import new_token
from fedcomm.store.database import Database, Value
from fedcomm.store.ids import new_id, now_ms
from fedcomm.store.schema import open_database
from tests.databases import Engine, PostgreSQLServer, find_binaries
from tests.federation.hub import LOOPBACK, PASSWORD, Hub, make_hub, merged
from tests.federation.stub import ACTIVITY, PUBLIC, test_key

MANY: Final = 10_000_000

SETTINGS: Final[Mapping[str, Mapping[str, Any]]] = {
    # All limits are counted; none is met, since a few addresses play everybody.
    "rates": {
        "login_per_prefix_5min": MANY,
        "login_per_account_hour": MANY,
        "posts_per_member_5min": MANY,
    },
    "abuse": {
        "posts_per_actor_hour": MANY,
        "activities_per_actor_hour": MANY,
        "posts_per_host_and_group_hour": MANY,
        "new_subdomains_per_hour": MANY,
        "hold_score": 1000,
    },
    "web": {"page_size": 30},
    # As installed, and not as impatient as in the tests.
    "delivery": {"retry_minutes": [1, 5, 15, 60], "jitter_percent": 20},
    # Nobody listens at the second address: who lives there is dead.
    "development": {"resolve": {"*.gone.test": "127.0.0.2", "*.test": "127.0.0.1"}},
}

POSTGRESQL: Final = {"shared_buffers": "128MB", "autovacuum": "on"}
"""What a packaged PostgreSQL has."""

QUIET: Final = (
    "SELECT (SELECT count(*) FROM inbox WHERE state = 'waiting')"
    " + (SELECT count(*) FROM deliveries d JOIN hosts h ON h.id = d.host_id"
    " WHERE d.state IN ('waiting', 'sending')"
    " AND h.name NOT LIKE '%.gone.test:%' AND h.name NOT LIKE '%.late.test:%')"
    " + (SELECT COALESCE(max(seq), 0) FROM journal)"
    " - (SELECT COALESCE(max(seq), 0) FROM cursors WHERE consumer = 'activitypub')"
)


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic of anna's: its number, its id on the wire, its page."""

    id: int
    uri: str
    path: str


class OtherAnswers(Exception):
    """Not every answer was the one that was to be measured."""


@dataclass
class Stage:
    """A hub that runs, and what is around it. `db` looks into its database beside it."""

    hub: Hub
    db: Database
    elsewhere: Elsewhere
    loaders: Loaders
    session: aiohttp.ClientSession
    database: PostgreSQLServer | None = None
    _cookie: dict[str, str] = field(default_factory=dict)

    @property
    def address(self) -> tuple[str, int]:
        """Where the hub listens."""
        return "127.0.0.1", self.hub.port

    @property
    def inbox(self) -> str:
        """The shared inbox."""
        return f"{self.hub.origin}/ap/inbox"

    def meter(self) -> Meter:
        """CPU seconds from now on."""
        return Meter.of(self.hub, self.database)

    async def number(self, sql: str, *args: Value) -> int:
        """The first value of a query."""
        return int(await self.db.value(sql, *args) or 0)

    async def until(self, sql: str, *args: Value, wanted: int, seconds: float = 600.0) -> None:
        """Wait until a query says so much (or more)."""
        deadline = time.monotonic() + seconds
        while (now := await self.number(sql, *args)) < wanted:
            assert time.monotonic() < deadline, f"{now} of {wanted} after {seconds} s: {sql}"
            await asyncio.sleep(0.02)

    async def quiet(self, seconds: float = 600.0) -> None:
        """Wait until nothing is left to do but for hosts that are sick."""
        deadline = time.monotonic() + seconds
        while left := await self.number(QUIET):
            assert time.monotonic() < deadline, f"{left} things are left after {seconds} s"
            await asyncio.sleep(0.05)

    async def group(self) -> int:
        """The number of the group."""
        return await self.number("SELECT min(actor_id) FROM groups")

    async def cookie(self) -> dict[str, str]:
        """The header of anna's browser, signed in."""
        if not self._cookie:
            token = await sessions.log_in(self.db, "anna", PASSWORD)
            self._cookie = {"Cookie": f"session-{self.hub.port}={token}"}
        return self._cookie

    async def write_topic(self, title: str, text: str = "Clay, north side.") -> Topic:
        """Anna writes a topic on the group's page."""
        headers = {**await self.cookie(), "Host": self.hub.host, "Origin": self.hub.origin}
        form = {"once": new_token(), "title": title, "text": text}
        async with self.session.post(
            self.hub.local_url("/g/gardening/new"),
            data=form,
            headers=headers,
            allow_redirects=False,
        ) as answer:
            assert answer.status == 303, (answer.status, await answer.text())
            path = answer.headers["Location"].removeprefix(self.hub.origin).partition("?")[0]
        found = re.search(r"/t/(\d+)", path)
        assert found is not None, path
        number = int(found[1])
        return Topic(number, f"{self.hub.origin}/ap/o/{number}", path)

    def reply(self, topic: Topic, number: int, *, people: int = 200, hosts: int = 10) -> bytes:
        """A signed POST of an answer to `topic` by the next of `people` on `hosts` servers."""
        person = number % people
        author = f"{self.elsewhere.origin(f'load{person % hosts}.test')}/users/a{person}"
        uri = f"{author}/notes/{topic.id}-{number}"
        return self.signed(author, created(author, uri, topic.uri, number))

    def signature(self, path: str) -> dict[str, str]:
        """Headers of a GET that somebody elsewhere signed."""
        author = f"{self.elsewhere.origin('load0.test')}/users/a0"
        url = f"{self.hub.origin}{path}"
        signed = cavage.sign("GET", url, None, test_key(), f"{author}#main-key")
        return {name.title(): value for name, value in signed.items() if name.lower() != "host"}

    def signed(self, author: str, activity: Mapping[str, Any]) -> bytes:
        """A signed POST of an activity to the shared inbox."""
        body = json.dumps(activity).encode()
        headers = cavage.sign("POST", self.inbox, body, test_key(), f"{author}#main-key")
        headers = {name.title(): value for name, value in headers.items() if name.lower() != "host"}
        return request(
            "POST", "/ap/inbox", self.hub.host, headers | {"Content-Type": ACTIVITY}, body
        )

    async def pour(
        self, requests: Sequence[bytes], times: int = 1, *, connections: int = CONNECTIONS
    ) -> Poured:
        """The load, all of it answered."""
        return await self.loaders.pour(self.address, requests, times=times, connections=connections)

    async def read(
        self,
        name: str,
        path: str,
        headers: Mapping[str, str],
        times: int,
        floor: Floor | None = None,
        *,
        wanted: int = 200,
    ) -> Figure:
        """Ask for one path, 32 at once; the first time, when templates are compiled, does not count."""
        one = request("GET", path, self.hub.host, {"Accept-Encoding": "gzip, deflate", **headers})
        await self.pour([one])
        meter = self.meter()
        poured = await self.pour([one], times)
        if set(poured.statuses) != {wanted}:
            raise OtherAnswers(f"{name}: {dict(poured.statuses)} instead of {wanted}")
        return meter.figure(name, times, floor, seconds=poured.took).timed(poured)

    async def follow_from(self, names: Sequence[str], software: str = "stub") -> None:
        """One follower of the group on each of these hosts, written straight into the database: a thousand handshakes
        are not what is measured. Hosts of an unknown kind get a topic in both forms."""
        group, now = await self.group(), now_ms()
        people, hosts, members = [], [], []
        for name in names:
            host_id, actor_id = new_id(), new_id()
            origin = self.elsewhere.origin(name)
            uri = f"{origin}/users/fan"
            hosts.append((host_id, origin.removeprefix("http://"), now, software, now))
            people.append(
                (actor_id, host_id, uri, f"{uri}/inbox", f"{origin}/inbox", now, now, now)
            )
            members.append((group, actor_id, now))
        async with self.db.transaction() as tx:
            await tx.many(
                "INSERT INTO hosts (id, name, first_seen_at, software, probed_at)"
                " VALUES (?, ?, ?, ?, ?)",
                hosts,
            )
            await tx.many(
                "INSERT INTO actors (id, kind, host_id, uri, name, inbox, shared_inbox, created_at,"
                " updated_at, fetched_at) VALUES (?, 'person', ?, ?, 'fan', ?, ?, ?, ?, ?)",
                people,
            )
            await tx.many(
                "INSERT INTO memberships (group_id, actor_id, role, state, created_at)"
                " VALUES (?, ?, 'member', 'active', ?)",
                members,
            )

    async def analyse(self) -> None:
        """What PostgreSQL does by itself within a minute: here it would be in the middle of something, or after it. But
        not of the queues: they are empty at this moment, which says nothing of them (docs/performance.md)."""
        if self.db.dialect != "postgresql":
            return
        for table in await self.db.all(
            "SELECT relname AS name FROM pg_class WHERE relkind = 'r'"
            " AND relnamespace = 'public'::regnamespace"
            " AND relname NOT IN ('deliveries', 'inbox', 'backfill')"
        ):
            async with self.db.queue_transaction() as tx:
                await tx.execute(f'ANALYZE "{table["name"]}"')

    async def bulk(self, statements: Sequence[str]) -> None:
        """Statements by an administrator while the hub does not run: without its limits of time, all in one."""
        if self.db.dialect == "sqlite":

            def run() -> None:
                path = self.hub.folder / "fedcomm.db"
                with contextlib.closing(sqlite3.connect(path)) as file, file:
                    file.execute("PRAGMA synchronous = OFF")
                    for statement in statements:
                        file.execute(statement)
                # What was written at once is no work of the hub's.
                with contextlib.closing(sqlite3.connect(path)) as file:
                    file.execute("PRAGMA wal_checkpoint(TRUNCATE)")

            await asyncio.to_thread(run)
            return
        import asyncpg

        connection = await asyncpg.connect(self.hub.settings["database"]["url"])
        try:
            async with connection.transaction():
                for statement in statements:
                    await connection.execute(statement)
            # What was written at once is no work of the hub's.
            await connection.execute("VACUUM")
        finally:
            await connection.close()


def created(author: str, uri: str, answered: str, number: int) -> dict[str, Any]:
    """A Create of a note that answers."""
    return {
        "@context": AS,
        "id": f"{uri}/create",
        "type": "Create",
        "actor": author,
        "to": [PUBLIC],
        "object": {
            "id": uri,
            "type": "Note",
            "attributedTo": author,
            "to": [PUBLIC],
            "cc": [f"{author}/followers"],
            "inReplyTo": answered,
            "content": f"<p>Answer {number}: add compost, then wait.</p>",
            "published": "2026-11-01T10:00:00Z",
        },
    }


@contextlib.asynccontextmanager
async def staged(
    folder: Path,
    engine: Engine = "sqlite",
    *,
    processes: int = 1,
    settings: Mapping[str, Mapping[str, Any]] | None = None,
) -> AsyncIterator[Stage]:
    """A running hub with anna, ben and the group `gardening`, and everything around it, until the block ends.

    Raises RuntimeError when the engine is not installed.
    """
    async with contextlib.AsyncExitStack() as stack:
        database: PostgreSQLServer | None = None
        url = None
        if engine == "postgresql":
            binaries = find_binaries()
            if binaries is None:
                raise RuntimeError(
                    "PostgreSQL is not installed (Debian: apt-get install postgresql)"
                )
            # On the disk, and waiting for it, as the hub's file is with SQLite.
            place = Path(tempfile.gettempdir())
            database = PostgreSQLServer(binaries, durable=True, place=place, settings=POSTGRESQL)
            stack.callback(database.close)
            await asyncio.to_thread(database.start)
            url = database.url(await asyncio.to_thread(database.create))
        hub = await make_hub(
            folder,
            database_url=url,
            settings=merged(
                LOOPBACK, SETTINGS, {"server": {"processes": processes}}, settings or {}
            ),
        )
        db = await open_database(
            url or f"sqlite:///{folder / 'fedcomm.db'}", readers=1, pool_size=2
        )
        stack.push_async_callback(db.close)
        elsewhere = await stack.enter_async_context(Elsewhere(test_key().public().to_pem()))
        loaders = await stack.enter_async_context(Loaders())
        session = await stack.enter_async_context(
            aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar())
        )
        await hub.start()
        stage = Stage(hub, db, elsewhere, loaders, session, database)
        try:
            yield stage
        finally:
            if hub.process is not None:
                await hub.stop()
