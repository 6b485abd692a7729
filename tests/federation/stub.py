"""Other servers, as many as a test wants: one process plays them all under names like `h7.test`.

Each has actors with keys, answers WebFinger, NodeInfo and actor fetches, notes what is posted to its inboxes,
and can be made ill: answer 500, hang, or be gone.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp
from aiohttp import web

from activitypub import cavage
from activitypub.keys import PrivateKey, generate_rsa, load_public_pem
from activitypub.signatures import Request, inspect, verify

AS = "https://www.w3.org/ns/activitystreams"
PUBLIC = f"{AS}#Public"
ACTIVITY = "application/activity+json"

_KEY: list[PrivateKey] = []


def test_key() -> PrivateKey:
    """One RSA key for all actors of the tests: making one takes a while."""
    if not _KEY:
        _KEY.append(generate_rsa())
    return _KEY[0]


test_key.__test__ = False  # type: ignore[attr-defined]  # not a test, whatever it is called


@dataclass(frozen=True)
class Arrived:
    """A request that came to an inbox. `at`: monotonic seconds; `raw`: its body as it came."""

    host: str
    path: str
    headers: dict[str, str]
    body: dict[str, Any]
    at: float
    status: int
    raw: bytes = b""


@dataclass
class StubHost:
    """One server. `status` is what its inboxes answer; `hang` seconds it takes for that.

    `refuses`: whether a delivery with these headers is answered 401 instead.
    """

    name: str
    origin: str
    software: str = "stub"
    status: int = 202
    hang: float = 0.0
    refuses: Callable[[Mapping[str, str]], bool] | None = None
    actors: dict[str, dict[str, Any]] = field(default_factory=dict)
    objects: dict[str, dict[str, Any]] = field(default_factory=dict)
    arrived: list[Arrived] = field(default_factory=list)
    fetched: list[str] = field(default_factory=list)

    def kinds(self) -> list[str]:
        """The types of what arrived and was accepted, in order: `Announce/Create` for a wrapped one."""
        return [kind_of(arrival.body) for arrival in self.arrived if arrival.status < 300]


def kind_of(activity: dict[str, Any]) -> str:
    """`Follow`, `Announce/id`, `Announce/Create` …"""
    kind = str(activity.get("type"))
    if kind not in ("Announce", "Undo"):
        return kind
    wrapped = activity.get("object")
    return f"{kind}/{wrapped.get('type')}" if isinstance(wrapped, dict) else f"{kind}/id"


class Stubs:
    """All servers of one test, on one port."""

    def __init__(self, *, scheme: str = "http") -> None:
        self.port = 0
        self.scheme = scheme
        self.hosts: dict[str, StubHost] = {}
        self.on_arrival: Callable[[StubHost, dict[str, Any]], None] | None = None
        self.shared_inbox = True
        self._session: aiohttp.ClientSession | None = None
        self._runner: web.AppRunner | None = None

    def host(self, name: str, *, software: str = "stub") -> StubHost:
        """The server called `name` (`h1.test`), made on first use."""
        known = self.hosts.get(name)
        if known is None:
            origin = f"{self.scheme}://{name}:{self.port}"
            known = StubHost(name, origin, software)
            self.hosts[name] = known
        return known

    def actor(
        self, name: str, host: str, *, kind: str = "Person", software: str = "stub", **more: Any
    ) -> str:
        """An actor `name` on `host`; its id."""
        server = self.host(host, software=software)
        uri = f"{server.origin}/users/{name}"
        document: dict[str, Any] = {
            "@context": [AS, "https://w3id.org/security/v1"],
            "id": uri,
            "type": kind,
            "preferredUsername": name,
            "name": name.capitalize(),
            "inbox": f"{uri}/inbox",
            "outbox": f"{uri}/outbox",
            "followers": f"{uri}/followers",
            "url": f"{server.origin}/@{name}",
            "publicKey": {
                "id": f"{uri}#main-key",
                "owner": uri,
                "publicKeyPem": test_key().public().to_pem(),
            },
        }
        if self.shared_inbox:
            document["endpoints"] = {"sharedInbox": f"{server.origin}/inbox"}
        server.actors[name] = document | more
        return uri

    def publish(self, document: dict[str, Any]) -> str:
        """Make an object dereferenceable; its id."""
        name = document["id"].split("/")[2].partition(":")[0]
        self.host(name).objects[document["id"]] = document
        return str(document["id"])

    def note(self, author: str, *, number: int | str = 1, **more: Any) -> dict[str, Any]:
        """A public Note of `author`, published at its id."""
        document: dict[str, Any] = {
            "@context": AS,
            "id": f"{author}/notes/{number}",
            "type": "Note",
            "attributedTo": author,
            "to": [PUBLIC],
            "cc": [f"{author}/followers"],
            "content": "<p>A note.</p>",
            "published": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        } | more
        self.publish(document)
        return document

    async def post(
        self,
        inbox: str,
        activity: dict[str, Any],
        *,
        key_id: str | None = None,
        via: str | None = None,
        change: Callable[[dict[str, str], bytes], tuple[dict[str, str], bytes]] | None = None,
    ) -> int:
        """Sign and POST an activity to a hub's inbox; the status.

        `via`: the address that stands in for the hub's name. `change` may spoil headers and body
        after they were signed.
        """
        body = json.dumps(activity).encode()
        headers = cavage.sign(
            "POST", inbox, body, test_key(), key_id or f"{activity['actor']}#main-key"
        )
        headers["Content-Type"] = ACTIVITY
        if change is not None:
            headers, body = change(headers, body)
        assert self._session is not None
        async with self._session.post(via or inbox, data=body, headers=headers) as answer:
            await answer.read()
            return answer.status

    async def get(
        self, url: str, *, signer: str | None = None, accept: str = ACTIVITY
    ) -> tuple[int, Any]:
        """GET a document, signed by the actor `signer` if given; status and JSON (or text)."""
        headers = {"Accept": accept}
        if signer is not None:
            headers |= cavage.sign("GET", url, None, test_key(), f"{signer}#main-key")
        assert self._session is not None
        async with self._session.get(url, headers=headers, allow_redirects=False) as answer:
            text = await answer.text()
            try:
                return answer.status, json.loads(text)
            except ValueError:
                return answer.status, text

    async def until(
        self, condition: Callable[[], Any], seconds: float = 45.0, why: str = ""
    ) -> Any:
        """Wait until `condition` is true; its value."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            value = condition()
            if value:
                return value
            await asyncio.sleep(0.02)
        seen = {host.name: host.kinds() for host in self.hosts.values()}
        raise AssertionError(f"not within {seconds} s: {why} {seen}")

    async def start(self) -> None:
        self._session = aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar())
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._answer)
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self.port)
        await site.start()
        if not self.port:
            server = site._server
            assert isinstance(server, asyncio.Server)
            self.port = server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        if self._session is not None:
            await self._session.close()
        if self._runner is not None:
            await self._runner.cleanup()

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        host = self.hosts.get((request.host or "").partition(":")[0])
        if host is None:
            return web.Response(status=421)
        if request.method == "POST":
            return await self._inbox(request, host)
        host.fetched.append(request.path)
        if request.path == "/.well-known/nodeinfo":
            link = {
                "rel": "http://nodeinfo.diaspora.software/ns/schema/2.0",
                "href": f"{host.origin}/nodeinfo/2.0",
            }
            return web.json_response({"links": [link]})
        if request.path == "/nodeinfo/2.0":
            return web.json_response(
                {"version": "2.0", "software": {"name": host.software, "version": "1.0"}}
            )
        if request.path == "/.well-known/webfinger":
            return self._webfinger(request, host)
        name = request.path.removeprefix("/users/")
        document = host.actors.get(name) or host.objects.get(host.origin + request.path_qs)
        if document is None:
            return web.Response(status=404)
        return web.Response(text=json.dumps(document), content_type=ACTIVITY)

    def _webfinger(self, request: web.Request, host: StubHost) -> web.Response:
        acct = request.query.get("resource", "").removeprefix("acct:")
        name = acct.partition("@")[0]
        if name not in host.actors:
            return web.Response(status=404)
        link = {"rel": "self", "type": ACTIVITY, "href": host.actors[name]["id"]}
        return web.json_response({"subject": f"acct:{acct}", "links": [link]})

    async def _inbox(self, request: web.Request, host: StubHost) -> web.Response:
        body = await request.read()
        if host.hang:
            await asyncio.sleep(host.hang)
        activity = json.loads(body)
        refused = host.refuses is not None and host.refuses(request.headers)
        status = 401 if refused else host.status
        headers = dict(request.headers)
        host.arrived.append(
            Arrived(host.name, request.path, headers, activity, time.monotonic(), status, body)
        )
        if self.on_arrival is not None:
            self.on_arrival(host, activity)
        return web.Response(status=status)


def fits_key(arrived: Arrived, url: str, body: bytes, pem: str) -> bool:
    """Whether a delivery's signature was made by the key `pem`."""
    target = "/" + url.split("/", 3)[3]
    claim = inspect(
        Request("POST", target, url, tuple(arrived.headers.items()), body), now=int(time.time())
    )
    return verify(claim, load_public_pem(pem))


@asynccontextmanager
async def stubs(**options: Any) -> AsyncIterator[Stubs]:
    """Other servers that answer until the block ends."""
    servers = Stubs(**options)
    await servers.start()
    try:
        yield servers
    finally:
        await servers.stop()
