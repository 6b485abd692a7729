"""A hub inside the test's own process, on a real port: quick to make, and the test can look into it."""

from __future__ import annotations

import asyncio
import itertools
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any

from aiohttp import web

from activitypub import cavage
from fedcomm.config import load
from fedcomm.federation.vault import create_key_file
from fedcomm.hub import groups, journal, members, sessions, threads
from fedcomm.hub.composition import Draft
from fedcomm.hub.passwords import hash_password
from fedcomm.server import build_app, open_site
from fedcomm.site import Site
from fedcomm.store.database import Row
from fedcomm.store.ids import now_ms
from fedcomm.web.visits import cookie_name
from tests.federation.hub import LOOPBACK, PASSWORD, merged, toml
from tests.federation.stub import ACTIVITY, Stubs, test_key
from tests.ports import free_port

Headers = dict[str, str]
Script = Mapping[str, Any] | Callable[[web.Request], Awaitable[web.StreamResponse]]


class LocalHub:
    """A running hub with `anna` (administrator) and `ben`; `stubs` are the servers around it.

    `group` is an open federated group of anna's, `secret` a private one, each with one topic of hers.
    """

    def __init__(self, site: Site, stubs: ScriptedStubs) -> None:
        self.site = site
        self.db = site.db
        self.stubs = stubs
        self.origin = site.origin
        self.shared_inbox = f"{self.origin}/ap/inbox"
        self.anna = self.ben = self.group = self.secret = self.topic = self.secret_topic = 0

    # Addresses

    def person(self, member_id: int) -> str:
        return f"{self.origin}/ap/p/{member_id}"

    def group_uri(self, group_id: int) -> str:
        return f"{self.origin}/ap/g/{group_id}"

    def object_uri(self, object_id: int) -> str:
        return f"{self.origin}/ap/o/{object_id}"

    # The hub's own people

    async def settle_in(self) -> None:
        """Make the members, the groups and their first topics."""
        hashed = await hash_password(PASSWORD)
        async with self.db.transaction() as tx:
            self.anna = await members.create_member(
                tx, "anna", role="administrator", password_hash=hashed
            )
            self.ben = await members.create_member(tx, "ben")
        self.group = await self.make_group("gardening")
        self.secret = await self.make_group("cellar", mode="private")
        self.topic = await self.write_topic(self.group, "Which soil?", "Clay, north side.")
        self.secret_topic = await self.write_topic(self.secret, "MARKERSECRET", "MARKERSECRET text")

    def continue_as(self, before: LocalHub) -> None:
        """Know the members, groups and topics that another hub on the same database has made."""
        self.anna, self.ben = before.anna, before.ben
        self.group, self.secret = before.group, before.secret
        self.topic, self.secret_topic = before.topic, before.secret_topic

    async def make_group(self, name: str, **options: Any) -> int:
        """A group of anna's."""
        async with self.db.transaction() as tx:
            return await groups.create_group(
                tx,
                name,
                title=name.capitalize(),
                creator_id=self.anna,
                local_origin=self.origin,
                **options,
            )

    async def write_topic(
        self, group_id: int, title: str, text: str = "Words.", **parts: Any
    ) -> int:
        """A topic of anna's, with more `parts` of a draft; its id."""
        async with self.db.transaction() as tx:
            content = await self.site.compose(
                tx, Draft(text, title, **parts), is_topic=True, author_id=self.anna
            )
            made = await threads.create_topic(tx, self.anna, group_id, content)
        self.site.wake()
        return made

    async def cookie(self) -> Headers:
        """The header of anna's browser, signed in."""
        token = await sessions.log_in(self.db, "anna", PASSWORD)
        return {"Cookie": f"{cookie_name(self.site.config)}={token}"}

    # What comes from outside

    async def post(
        self,
        body: bytes | Mapping[str, Any],
        *,
        signer: str | None = None,
        inbox: str | None = None,
        headers: Mapping[str, str] | None = None,
        key_id: str | None = None,
        change: Callable[[Headers, bytes], tuple[Headers, bytes]] | None = None,
    ) -> int:
        """POST any body with a valid signature of the actor `signer` (or of its `actor`); the status."""
        if isinstance(body, bytes):
            data = body
        else:
            data = json.dumps(body).encode()
            signer = signer or str(body.get("actor"))
        url = inbox or self.shared_inbox
        sent = cavage.sign("POST", url, data, test_key(), key_id or f"{signer}#main-key")
        sent["Content-Type"] = ACTIVITY
        sent.update(headers or {})
        if change is not None:
            sent, data = change(sent, data)
        session = self.stubs._session
        assert session is not None
        async with session.post(url, data=data, headers=sent) as answer:
            await answer.read()
            return answer.status

    async def deliver(self, activity: Mapping[str, Any], **options: Any) -> str:
        """POST an activity, wait until it was processed: `done: stored`, `refused: no-actor` …

        An answer other than 202 is an assertion failure.
        """
        status = await self.post(activity, **options)
        assert status == 202, status
        return await self.verdict(activity)

    async def verdict(self, activity: Mapping[str, Any], seconds: float = 45.0) -> str:
        """What became of an activity that was posted."""
        uri = activity.get("id") or f"sha256:{sha256(json.dumps(activity).encode()).hexdigest()}"
        deadline = time.monotonic() + seconds
        row: Row | None = None
        while time.monotonic() < deadline:
            row = await self.db.one("SELECT state, verdict FROM inbox WHERE uri = ?", uri)
            if row is not None and row["state"] != "waiting":
                return f"{row['state']}: {row['verdict']}"
            await asyncio.sleep(0.01)
        raise AssertionError(f"not processed: {row['verdict'] if row else 'not even stored'}")

    async def quiet(self, seconds: float = 60.0) -> None:
        """Wait until nothing is left to process or to deliver."""
        deadline = time.monotonic() + seconds
        while await self._at_work():
            if time.monotonic() > deadline:
                raise AssertionError(f"still at work: {await self._what_is_left()}")
            await asyncio.sleep(0.01)

    async def _at_work(self) -> bool:
        # Downstream, in this order: what has left one station has reached the next.
        return (
            await self.count("SELECT count(*) FROM inbox WHERE state = 'waiting'") > 0
            or await journal.last_seq(self.db) != await journal.cursor(self.db, "activitypub")
            or await self.count(
                "SELECT count(*) FROM deliveries WHERE state IN ('waiting', 'sending')"
            )
            > 0
        )

    async def _what_is_left(self) -> dict[str, object]:
        """Where it stands, for whoever has to find out why."""
        left: dict[str, object] = {
            "journal": await journal.last_seq(self.db),
            "cursor": await journal.cursor(self.db, "activitypub"),
            "now": now_ms(),
        }
        for name, sql in (
            ("lanes", "SELECT * FROM lanes WHERE next_at IS NOT NULL OR lease_owner IS NOT NULL"),
            ("inbox", "SELECT * FROM inbox WHERE state = 'waiting' LIMIT 3"),
            (
                "deliveries",
                "SELECT * FROM deliveries WHERE state IN ('waiting', 'sending') LIMIT 3",
            ),
        ):
            left[name] = [dict(row) for row in await self.db.all(sql)]
        return left

    # What can be seen

    async def get(
        self, path: str, headers: Mapping[str, str] | None = None, accept: str = "text/html"
    ) -> tuple[int, str]:
        """GET a page as a browser; redirects are followed."""
        session = self.stubs._session
        assert session is not None
        url = path if path.startswith("http") else self.origin + path
        async with session.get(url, headers={"Accept": accept, **(headers or {})}) as answer:
            return answer.status, await answer.text()

    async def count(self, sql: str, *args: Any) -> int:
        """The first value of a query, as a number."""
        return int(await self.db.value(sql, *args) or 0)

    async def fingerprint(self) -> tuple[int, ...]:
        """How much there is of everything that an inbox can change, with what follows from it."""
        async with asyncio.timeout(30):
            while await journal.last_seq(self.db) != await journal.cursor(self.db, "activitypub"):
                await asyncio.sleep(0.01)
        tables = (
            *(
                "objects",
                "actors",
                "actor_keys",
                "memberships",
                "follows",
                "reactions",
                "revisions",
            ),
            *(
                "notifications",
                "mentions",
                "reports",
                "journal",
                "inbox",
                "tombstones",
                "activities",
            ),
            *("received_activities", "deliveries", "reach"),
        )
        return tuple([await self.count(f"SELECT count(*) FROM {table}") for table in tables])


class ScriptedStubs(Stubs):
    """Servers that answer what a test wrote: by host and path, a document, a response or a handler."""

    def __init__(self) -> None:
        super().__init__()
        self.scripts: dict[str, Script] = {}
        self._numbers = itertools.count(1)

    async def stop(self) -> None:
        if self._runner is not None:
            self._runner._shutdown_timeout = 0.2  # Some answers of these servers never end.
        await super().stop()

    def new_host(self, kind: str = "h") -> str:
        """A host that no test has talked about: nothing about it is cached anywhere."""
        name = f"{kind}{next(self._numbers)}.test"
        self.host(name)
        return name

    def somebody(self, name: str = "mallory", host: str | None = None, **more: Any) -> str:
        """A new actor, on a new host if none is named; its id."""
        return self.actor(name, host or self.new_host(), **more)

    def script(self, url: str, answer: Script) -> str:
        """Answer GETs of this URL so; the URL."""
        self.scripts[url] = answer
        return url

    def fetched(self, url: str) -> int:
        """How often a URL was asked for."""
        host, _, path = url.split("://", 1)[1].partition("/")
        return self.hosts[host.partition(":")[0]].fetched.count(f"/{path}")

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        name = (request.host or "").partition(":")[0]
        script = self.scripts.get(f"http://{request.host}{request.path_qs}")
        if script is None or request.method != "GET":
            return await super()._answer(request)
        self.host(name).fetched.append(request.path)
        if callable(script):
            return await script(request)
        return web.Response(text=json.dumps(script), content_type=ACTIVITY)


def moved_to(url: str) -> Script:
    """An answer that redirects."""

    async def answer(request: web.Request) -> web.Response:
        return web.Response(status=302, headers={"Location": url})

    return answer


@asynccontextmanager
async def local_hub(
    folder: Path,
    database_url: str,
    stubs: ScriptedStubs,
    settings: Mapping[str, Mapping[str, Any]] | None = None,
    again: LocalHub | None = None,
) -> AsyncIterator[LocalHub]:
    """A hub on a migrated database, its workers running, until the block ends. `again`: the one that ran on it before,
    whose address and people it has."""
    port = again.site.config.server.port if again is not None else free_port()
    tables = merged(
        {
            "instance": {"origin": f"http://localhost:{port}", "name": "Hub under test"},
            "server": {"host": "127.0.0.1", "port": port},
            "database": {"url": database_url},
        },
        LOOPBACK,
        settings or {},
    )
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "fedcomm.toml").write_text(toml(tables))
    if again is None:
        create_key_file(folder / "fedcomm.key")
    site = await open_site(load(folder / "fedcomm.toml", {}))
    runner = web.AppRunner(build_app(site), access_log=None, shutdown_timeout=1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    hub = LocalHub(site, stubs)
    try:
        if again is None:
            await hub.settle_in()
        else:
            hub.continue_as(again)
        yield hub
    finally:
        await runner.cleanup()
