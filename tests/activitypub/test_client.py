"""The outbound client against real servers on this machine."""

from __future__ import annotations

import ast
import asyncio
import gzip
import socket
import ssl
import time
import tracemalloc
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from activitypub import cavage, keys, network
from activitypub.client import (
    ACTIVITY_ACCEPT,
    Client,
    FetchBudget,
    FetchError,
    NegativeCache,
    Signer,
)
from activitypub.network import NetworkPolicy

ROOT = Path(__file__).parents[2]
AGENT = "fedcomm/0.1.0 (+https://hub.example/)"
ACTIVITY = "application/activity+json"
HOSTS = {"*.example": "127.0.0.1"}

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Peer:
    """A web server on loopback, reachable by any name below `.example`. Notes all it is asked."""

    def __init__(self) -> None:
        self.requests: list[web.Request] = []
        self.bodies: list[bytes] = []
        self.handlers: dict[str, Handler] = {}
        self.port = 0

    def url(self, path: str, host: str = "peer.example") -> str:
        return f"http://{host}:{self.port}{path}"

    def document(self, path: str, document: Any = None, content_type: str = ACTIVITY) -> str:
        """Serves a document; without one given, a note that lives at its own URL."""
        url = self.url(path)
        served = {"id": url, "type": "Note"} if document is None else document

        async def answer(request: web.Request) -> web.Response:
            return web.json_response(served, content_type=content_type)

        self.handlers[path] = answer
        return url

    def raw(self, path: str, body: bytes = b"", status: int = 200, **headers: str) -> str:
        fields = {name.replace("_", "-"): value for name, value in headers.items()}

        async def answer(request: web.Request) -> web.Response:
            return web.Response(status=status, body=body, headers=fields)

        self.handlers[path] = answer
        return self.url(path)

    def redirect(self, path: str, target: str, status: int = 302) -> str:
        return self.raw(path, status=status, Location=target)

    @property
    def paths(self) -> list[str]:
        return [request.path for request in self.requests]

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.requests.append(request)
        self.bodies.append(await request.read())
        handler = self.handlers.get(request.path)
        return web.Response(status=404) if handler is None else await handler(request)


async def serve(peer: Peer, tls: ssl.SSLContext | None = None) -> web.AppRunner:
    application = web.Application()
    application.router.add_route("*", "/{tail:.*}", peer.answer)
    runner = web.AppRunner(application, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls).start()
    peer.port = runner.addresses[0][1]
    return runner


@asynccontextmanager
async def bare_server(answer: bytes | None) -> AsyncIterator[str]:
    """A server that answers each request with these bytes, or with nothing; gives its URL."""
    writers: list[asyncio.StreamWriter] = []

    async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        await reader.readuntil(b"\r\n\r\n")
        if answer is not None:
            writer.write(answer)
            writer.close()

    server = await asyncio.start_server(converse, "127.0.0.1", 0)
    yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    server.close()
    for writer in writers:
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()


@pytest.fixture
async def peer() -> AsyncIterator[Peer]:
    served = Peer()
    runner = await serve(served)
    yield served
    await runner.cleanup()


@pytest.fixture
def policy() -> NetworkPolicy:
    return NetworkPolicy.loopback(resolve=HOSTS)


@pytest.fixture
async def client(policy: NetworkPolicy) -> AsyncIterator[Client]:
    async with Client(policy, AGENT) as started:
        yield started


@pytest.fixture(scope="module")
def signer() -> Signer:
    return Signer("https://hub.example/ap/actor#main-key", keys.generate_rsa())


async def failure(awaitable: Awaitable[object]) -> FetchError:
    with pytest.raises(FetchError) as caught:
        await awaitable
    return caught.value


# One client


FORBIDDEN_MODULES = {
    "aiohttp.client",
    "aiohttp.connector",
    "ftplib",
    "http.client",
    "httpx",
    "pycurl",
    "requests",
    "socket",
    "urllib.request",
    "urllib3",
    "xmlrpc.client",
}
FORBIDDEN_NAMES = {"ClientSession", "TCPConnector", "BaseConnector", "request"}
EXEMPT = {
    "activitypub/client.py": {"ClientSession"},
    "activitypub/network.py": {"TCPConnector", "socket"},
    # Names of machines, free ports, and our own server's socket.
    "fedcomm/cli/listening.py": {"socket"},
    "fedcomm/demo/ports.py": {"socket"},
    "fedcomm/federation/lanes.py": {"socket"},
    "fedcomm/selfcheck.py": {"socket"},
}


def outbound_clients(source: str, exempt: set[str]) -> list[str]:
    """What in this source could make an HTTP request by itself."""
    found: list[str] = []
    forbidden = FORBIDDEN_MODULES - exempt
    aliases = {"aiohttp"}
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for name in node.names:
                if name.name in forbidden or name.name.split(".")[0] in forbidden:
                    found.append(name.name)
                if name.name == "aiohttp":
                    aliases.add(name.asname or name.name)
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            for name in node.names:
                full = f"{node.module}.{name.name}"
                if (
                    node.module in forbidden
                    or node.module.split(".")[0] in forbidden
                    or full in forbidden
                    or (node.module == "aiohttp" and name.name in FORBIDDEN_NAMES - exempt)
                ):
                    found.append(full)
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Attribute)
            and isinstance(node.value, ast.Name)
            and node.value.id in aliases
            and node.attr in FORBIDDEN_NAMES - exempt
        ):
            found.append(f"aiohttp.{node.attr}")
    return found


def test_inv_22_nothing_but_the_one_client_can_make_an_outbound_request() -> None:
    found = {}
    for package in ("activitypub", "fedcomm"):
        for path in (ROOT / package).rglob("*.py"):
            name = path.relative_to(ROOT).as_posix()
            if clients := outbound_clients(path.read_text("utf-8"), EXEMPT.get(name, set())):
                found[name] = clients
    assert found == {}


@pytest.mark.parametrize(
    "source",
    [
        "import requests",
        "import httpx as web",
        "import http.client",
        "import socket",
        "from http import client",
        "import urllib.request",
        "from urllib import request",
        "from urllib.request import urlopen",
        "from aiohttp import ClientSession",
        "from aiohttp import request as ask",
        "from aiohttp.client import ClientSession",
        "import aiohttp\naiohttp.ClientSession()",
        "import aiohttp as web\nweb.request('GET', '')",
        "import aiohttp\naiohttp.TCPConnector()",
    ],
)
def test_inv_22_the_search_for_other_clients_finds_them(source: str) -> None:
    assert outbound_clients(source, set())


@pytest.mark.parametrize("source", ["from aiohttp import web", "from urllib.parse import quote"])
def test_the_search_for_other_clients_leaves_servers_and_parsers_alone(source: str) -> None:
    assert not outbound_clients(source, set())


# Where a document lives


async def test_a_document_at_its_own_id_is_returned(peer: Peer, client: Client) -> None:
    url = peer.document("/notes/1")
    assert (await client.fetch_object(url))["id"] == url
    headers = peer.requests[0].headers
    assert headers["User-Agent"] == AGENT
    assert headers["Accept"] == ACTIVITY_ACCEPT
    assert headers["Host"] == f"peer.example:{peer.port}"


async def test_inv_5_a_document_with_another_id_of_its_origin_is_fetched_once_more_there(
    peer: Peer, client: Client
) -> None:
    url = peer.document("/users/1", {"id": peer.url("/users/1"), "name": "true"})
    peer.document("/@alice", {"id": url, "name": "alias"})
    assert (await client.fetch_object(peer.url("/@alice")))["name"] == "true"
    assert peer.paths == ["/@alice", "/users/1"]


async def test_inv_5_a_document_that_points_on_and_on_is_refused_after_one_more_fetch(
    peer: Peer, client: Client
) -> None:
    peer.document("/a", {"id": peer.url("/b")})
    peer.document("/b", {"id": peer.url("/c")})
    peer.document("/c")
    assert (await failure(client.fetch_object(peer.url("/a")))).reason == "id_mismatch"
    assert peer.paths == ["/a", "/b"]


@pytest.mark.parametrize("claimed", ["/b", "/c"])
async def test_inv_5_the_second_fetch_must_end_where_the_first_document_said(
    peer: Peer, client: Client, claimed: str
) -> None:
    peer.document("/a", {"id": peer.url("/b")})
    peer.redirect("/b", peer.url("/c", host="files.example"))
    peer.document("/c", {"id": peer.url(claimed)})
    assert (await failure(client.fetch_object(peer.url("/a")))).reason == "id_mismatch"


async def test_inv_5_a_document_that_claims_another_origin_is_refused_without_a_fetch(
    peer: Peer, client: Client
) -> None:
    peer.document("/victim")
    forged = peer.document("/a", {"id": peer.url("/victim", host="victim.example")})
    assert (await failure(client.fetch_object(forged))).reason == "id_mismatch"
    assert peer.paths == ["/a"]


@pytest.mark.parametrize(
    "claimed",
    [
        None,
        1,
        True,
        [],
        {},
        "",
        "notes/1",
        "urn:uuid:1",
        "ftp://peer.example/a",
        "https://10.0.0.1/",
    ],
)
async def test_inv_5_a_document_without_a_usable_id_is_refused(
    peer: Peer, client: Client, claimed: object
) -> None:
    url = peer.document("/a", {"id": claimed})
    assert (await failure(client.fetch_object(url))).reason == "id_mismatch"


async def test_inv_5_after_a_redirect_the_last_url_owns_the_document(
    peer: Peer, client: Client
) -> None:
    last = peer.url("/notes/1", host="moved.example")
    peer.document("/notes/1", {"id": last})
    start = peer.redirect("/old", last)
    assert (await client.fetch_object(start))["id"] == last


async def test_inv_5_a_redirecting_origin_does_not_own_what_another_origin_serves(
    peer: Peer, client: Client
) -> None:
    start = peer.redirect("/notes/1", peer.url("/upload", host="files.example"))
    peer.document("/upload", {"id": start})
    assert (await failure(client.fetch_object(start))).reason == "id_mismatch"


async def test_inv_5_a_fragment_is_vouched_for_only_when_it_was_asked_for(
    peer: Peer, client: Client
) -> None:
    actor = peer.document("/actor")
    assert (await client.fetch_object(f"{actor}#main-key"))["id"] == actor
    key = peer.url("/key#1")
    peer.document("/key", {"id": key})
    assert (await client.fetch_object(key))["id"] == key
    assert (await failure(client.fetch_object(peer.url("/key")))).reason == "id_mismatch"


async def test_get_document_returns_any_document_with_the_url_it_came_from(
    peer: Peer, client: Client
) -> None:
    last = peer.document("/page", {"type": "CollectionPage"})
    start = peer.redirect("/first", "/page")
    assert await client.get_document(start) == ({"type": "CollectionPage"}, last)


@pytest.mark.parametrize(
    "content_type",
    [
        "application/json",
        "application/ld+json",
        "text/html",
        "text/plain",
        "image/png",
        "application/octet-stream",
        "application/activity+json-seq",
    ],
)
async def test_json_of_another_content_type_is_no_activitypub_document(
    peer: Peer, client: Client, content_type: str
) -> None:
    url = peer.raw("/a", b'{"id": 1}', Content_Type=content_type)
    assert (await failure(client.get_document(url))).reason == "content_type"


@pytest.mark.parametrize(
    "content_type",
    [
        "application/activity+json",
        "application/activity+json; charset=utf-8",
        'application/ld+json; profile="https://www.w3.org/ns/activitystreams"',
    ],
)
async def test_activitypub_content_types_are_accepted(
    peer: Peer, client: Client, content_type: str
) -> None:
    url = peer.raw("/a", b'{"type": "Note"}', Content_Type=content_type)
    assert (await client.get_document(url))[0] == {"type": "Note"}


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b'"text"', b'{"a": NaN}', b'{"a":1,"a":2}', b'{"a":"\xff"}']
)
async def test_a_body_that_is_not_one_strict_json_object_is_refused(
    peer: Peer, client: Client, body: bytes
) -> None:
    url = peer.raw("/a", body, Content_Type=ACTIVITY)
    assert (await failure(client.get_document(url))).reason == "json"


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410, 418, 429, 500, 503])
async def test_a_status_that_is_no_success_is_reported(
    peer: Peer, client: Client, status: int
) -> None:
    url = peer.raw("/a", b'{"type": "Note"}', status, Content_Type=ACTIVITY, Retry_After="120")
    error = await failure(client.get_document(url))
    assert (error.reason, error.status, error.retry_after) == ("status", status, 120)
    assert error.permanent == (status in (404, 410))


async def test_webfinger_and_nodeinfo_are_read_by_their_own_types(
    peer: Peer, client: Client
) -> None:
    jrd = peer.document("/jrd", {"subject": "acct:a@b"}, "application/jrd+json")
    assert await client.get_json(jrd) == {"subject": "acct:a@b"}
    nodeinfo = peer.document("/nodeinfo", {"version": "2.1"}, "application/json")
    assert await client.get_json(nodeinfo, "application/json", {"application/json"}) == {
        "version": "2.1"
    }
    page = peer.document("/page", {}, "text/html")
    assert (await failure(client.get_json(page))).reason == "content_type"


async def test_host_meta_is_read_as_text(peer: Peer, client: Client) -> None:
    xrd = peer.raw("/xrd", b"\xef\xbb\xbf<XRD/>", Content_Type="application/xrd+xml")
    assert await client.get_text(xrd) == "<XRD/>"
    latin = peer.raw("/latin", b"<\xe8/>", Content_Type="application/xrd+xml")
    assert (await failure(client.get_text(latin))).reason == "encoding"
    page = peer.raw("/page", b"<p>", Content_Type="text/html")
    assert (await failure(client.get_text(page))).reason == "content_type"


# Where a connection may lead


async def test_inv_23_a_redirect_inward_is_refused(peer: Peer, client: Client) -> None:
    for index, target in enumerate(
        (
            "http://10.0.0.1/",
            "http://169.254.169.254/latest/meta-data/",
            f"http://[::ffff:10.0.0.1]:{peer.port}/",
            f"http://0.0.0.0:{peer.port}/secret",
            "file:///etc/passwd",
            "http://user@peer.example/",
        )
    ):
        start = peer.redirect(f"/{index}", target)
        error = await failure(client.get(start, accept="*/*"))
        assert error.reason == "refused", target
    assert "/secret" not in peer.paths


async def test_inv_23_with_the_policy_of_production_this_machine_cannot_be_reached(
    peer: Peer,
) -> None:
    async with Client(NetworkPolicy(), AGENT) as client:
        for url in (
            peer.url("/"),
            f"https://127.0.0.1:{peer.port}/",
            "https://127.0.0.1/",
            "https://localhost/",
            "https://[::1]/",
            "https://１２７.0.0.1/",
        ):
            assert (await failure(client.get(url, accept="*/*"))).reason == "refused"
            assert (await failure(client.post(url, b"{}", headers={}))).reason == "refused"
    assert peer.requests == []


async def test_inv_23_a_name_that_answers_differently_the_second_time_is_stopped(
    peer: Peer, policy: NetworkPolicy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DNS rebinding: first an allowed address, then one of the inside."""
    monkeypatch.setattr(network, "DNS_CACHE_SECONDS", 0)
    answers = ["127.0.0.1", "0.0.0.0"]

    def lookup(host: str, port: int) -> Sequence[tuple[Any, ...]]:
        address = answers.pop(0)
        return [(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (address, port))]

    # Kept alive, the checked connection would rightly be used again.
    url = peer.raw("/a", Connection="close")
    async with Client(replace(policy, resolve={}), AGENT, lookup=lookup) as client:
        assert (await client.get(url, accept="*/*")).status == 200
        assert (await failure(client.get(url, accept="*/*"))).reason == "refused"
    assert answers == []
    assert len(peer.requests) == 1


async def test_inv_23_a_redirect_by_name_to_an_inner_address_is_refused(
    peer: Peer, policy: NetworkPolicy
) -> None:
    inward = replace(policy, resolve={**HOSTS, "inner.example": "10.0.0.1"})
    start = peer.redirect("/a", "http://inner.example/")
    async with Client(inward, AGENT) as client:
        error = await failure(client.get(start, accept="*/*"))
    assert (error.reason, error.host) == ("refused", "inner.example")


async def test_proxies_of_the_environment_are_ignored(
    peer: Peer, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9/")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9/")
    assert (await client.get(peer.document("/a"), accept="*/*")).status == 200


# Limits


async def test_inv_24_three_redirects_are_followed_and_a_fourth_is_not(
    peer: Peer, client: Client
) -> None:
    peer.document("/4")
    for hop in range(4):
        peer.redirect(f"/{hop}", f"/{hop + 1}", status=(301, 302, 307, 308)[hop])
    response = await client.get(peer.url("/1"), accept="*/*")
    assert (response.status, response.url) == (200, peer.url("/4"))
    peer.requests.clear()
    assert (await failure(client.get(peer.url("/0"), accept="*/*"))).reason == "redirects"
    assert peer.paths == ["/0", "/1", "/2", "/3"]


async def test_inv_24_a_circle_of_redirects_ends(peer: Peer, client: Client) -> None:
    url = peer.redirect("/a", "/a")
    assert (await failure(client.get(url, accept="*/*"))).reason == "redirects"
    assert len(peer.requests) == 4


async def test_a_redirect_without_a_target_is_a_failure(peer: Peer, client: Client) -> None:
    error = await failure(client.get(peer.raw("/a", status=302), accept="*/*"))
    assert (error.reason, error.status) == ("redirects", 302)


async def test_inv_24_a_redirect_of_a_post_is_a_failure(peer: Peer, client: Client) -> None:
    peer.document("/other")
    for status in (301, 302, 303, 307, 308):
        url = peer.redirect(f"/{status}", "/other", status)
        error = await failure(client.post(url, b"{}", headers={}))
        assert (error.reason, error.status) == ("redirects", status)
    assert "/other" not in peer.paths


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("chunked", [False, True])
async def test_inv_24_a_body_of_the_limit_passes_and_one_byte_more_does_not(
    peer: Peer, policy: NetworkPolicy, compressed: bool, chunked: bool
) -> None:
    limit = 100_000

    async def answer(request: web.Request) -> web.StreamResponse:
        body = b"x" * int(request.query["bytes"])
        headers = {}
        if compressed:
            body = gzip.compress(body)
            headers["Content-Encoding"] = "gzip"
        if not chunked:
            return web.Response(body=body, headers=headers)
        response = web.StreamResponse(headers=headers)
        response.enable_chunked_encoding()
        await response.prepare(request)
        await response.write(body)
        await response.write_eof()
        return response

    peer.handlers["/a"] = answer
    async with Client(replace(policy, max_bytes=limit), AGENT) as client:
        response = await client.get(peer.url(f"/a?bytes={limit}"), accept="*/*")
        assert response.body == b"x" * limit
        error = await failure(client.get(peer.url(f"/a?bytes={limit + 1}"), accept="*/*"))
        assert error.reason == "too_large"
        assert (await client.get(peer.url("/a?bytes=7"), accept="*/*", max_bytes=7)).body
        error = await failure(client.get(peer.url("/a?bytes=8"), accept="*/*", max_bytes=7))
        assert error.reason == "too_large"


async def test_inv_24_a_gzip_bomb_is_not_inflated_beyond_the_limit(
    peer: Peer, client: Client
) -> None:
    bomb = gzip.compress(bytes(64 * 1024 * 1024), 9)  # 64 MiB in 64 KiB
    url = peer.raw("/bomb", bomb, Content_Encoding="gzip", Content_Type=ACTIVITY)
    tracemalloc.start()
    try:
        assert (await failure(client.get_document(url))).reason == "too_large"
        assert tracemalloc.get_traced_memory()[1] < 8 * 1024 * 1024
    finally:
        tracemalloc.stop()


async def test_inv_24_compressed_data_that_inflates_to_nothing_is_not_read_for_ever(
    peer: Peer, client: Client
) -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Encoding": "gzip"})
        await response.prepare(request)
        await response.write(gzip.compress(b"")[:10])
        for _ in range(100):
            await response.write(b"\x00\x00\x00\xff\xff" * 20_000)  # Empty stored blocks.
        return response

    peer.handlers["/a"] = answer
    assert (await failure(client.get(peer.url("/a"), accept="*/*"))).reason == "too_large"


@pytest.mark.parametrize(
    ("encoding", "body"),
    [
        ("gzip", b"this is not gzip"),
        ("gzip", b""),
        ("gzip", gzip.compress(b"cut off" * 100)[:-12]),
        ("gzip", gzip.compress(b"more than ") + gzip.compress(b"one member")),
        ("br", b"unasked"),
        ("gzip, gzip", gzip.compress(gzip.compress(b"twice"))),
    ],
    # Compressed bytes hold the time of day, and a name has to be the same in every process.
    ids=["no-gzip", "empty", "cut-off", "two-members", "unasked", "twice"],
)
async def test_a_broken_or_unasked_compression_is_refused(
    peer: Peer, client: Client, encoding: str, body: bytes
) -> None:
    url = peer.raw("/a", body, Content_Encoding=encoding)
    assert (await failure(client.get(url, accept="*/*"))).reason == "encoding"


async def drip(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(status=int(request.query.get("status", "200")))
    await response.prepare(request)
    for _ in range(100):
        await response.write(b" ")
        await asyncio.sleep(0.02)
    return response


async def test_inv_24_a_body_that_drips_ends_at_the_deadline(
    peer: Peer, policy: NetworkPolicy
) -> None:
    peer.handlers["/drip"] = drip
    async with Client(replace(policy, total_seconds=0.2), AGENT) as client:
        started = time.monotonic()
        assert (await failure(client.get(peer.url("/drip"), accept="*/*"))).reason == "timeout"
        assert time.monotonic() - started < 1


async def test_inv_24_the_deadline_covers_all_redirects_together(
    peer: Peer, policy: NetworkPolicy
) -> None:
    async def slow(request: web.Request) -> web.Response:
        await asyncio.sleep(0.15)
        return web.Response(status=302, headers={"Location": request.path + "x"})

    for hop in range(4):
        peer.handlers["/" + "x" * hop] = slow
    async with Client(replace(policy, total_seconds=0.2), AGENT) as client:
        assert (await failure(client.get(peer.url("/"), accept="*/*"))).reason == "timeout"


async def test_inv_24_a_server_that_accepts_and_says_nothing_ends_at_the_deadline(
    policy: NetworkPolicy,
) -> None:
    async with (
        bare_server(None) as url,
        Client(replace(policy, total_seconds=0.1), AGENT) as client,
    ):
        assert (await failure(client.get(url, accept="*/*"))).reason == "timeout"
        assert (await failure(client.post(url, b"{}", headers={}))).reason == "timeout"


async def test_inv_24_a_spent_budget_ends_fetching_before_anything_is_sent(
    peer: Peer, client: Client
) -> None:
    budget = FetchBudget(2)
    peer.document("/a", {"id": peer.url("/b")})
    peer.document("/b")
    await client.fetch_object(peer.url("/a"), budget=budget)
    assert budget.left == 0
    error = await failure(client.fetch_object(peer.url("/b"), budget=budget))
    assert error.reason == "budget"
    assert len(peer.requests) == 2
    assert (await client.fetch_object(peer.url("/b")))["id"] == peer.url("/b")


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"\x00" * 100,
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nZZZ\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"a" * 100_000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X: a\r\n" * 10_000 + b"\r\n",
        b"HTTP/9.9 999 ?\r\n\r\n",
    ],
)
async def test_an_answer_that_is_not_http_is_a_failed_connection(
    client: Client, answer: bytes
) -> None:
    async with bare_server(answer) as url:
        assert (await failure(client.get(url, accept="*/*"))).reason == "connect"


async def test_a_closed_port_and_an_unknown_name_are_failed_connections_of_the_host(
    client: Client,
) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    error = await failure(client.get(f"http://peer.example:{port}/", accept="*/*"))
    assert (error.reason, error.host_down, error.host) == (
        "connect",
        True,
        f"peer.example:{port}",
    )

    def unknown(host: str, port: int) -> Sequence[tuple[Any, ...]]:
        raise socket.gaierror(socket.EAI_NONAME, "unknown")

    async with Client(NetworkPolicy(), AGENT, lookup=unknown) as other:
        error = await failure(other.get("https://peer.example/", accept="*/*"))
        assert (error.reason, error.host_down) == ("connect", True)


# TLS


class Authority:
    """A certificate authority of the test's own."""

    def __init__(self) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test authority")])
        self.certificate = self._issue(self._name, self._key, authority=True)

    def server(self, host: str, folder: Path, age: timedelta = timedelta()) -> ssl.SSLContext:
        """A server's context with a certificate for this host, issued so long ago for a day."""
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)])
        chain = folder / f"{host}.pem"
        chain.write_bytes(
            key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
            + self._issue(name, key, host=host, age=age)
        )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(chain)
        return context

    def _issue(
        self,
        name: x509.Name,
        key: ec.EllipticCurvePrivateKey,
        *,
        authority: bool = False,
        host: str | None = None,
        age: timedelta = timedelta(),
    ) -> bytes:
        now = datetime.now(UTC) - timedelta(minutes=1) - age
        builder = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now)
            .not_valid_after(now + timedelta(days=1))
            .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        )
        if host is not None:
            builder = builder.add_extension(
                x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False
            )
        return builder.sign(self._key, hashes.SHA256()).public_bytes(Encoding.PEM)


@pytest.mark.parametrize(
    ("host", "trusted", "age", "reason"),
    [
        ("peer.example", True, timedelta(), None),
        ("peer.example", False, timedelta(), "tls"),
        ("other.example", True, timedelta(), "tls"),
        ("peer.example", True, timedelta(days=3), "tls"),
    ],
    ids=["good", "unknown authority", "another host", "expired"],
)
async def test_only_a_valid_certificate_of_a_known_authority_for_the_host_is_accepted(
    policy: NetworkPolicy,
    tmp_path: Path,
    host: str,
    trusted: bool,
    age: timedelta,
    reason: str | None,
) -> None:
    authority = Authority()
    ca_file = tmp_path / "authority.pem"
    ca_file.write_bytes(authority.certificate)
    peer = Peer()
    runner = await serve(peer, authority.server(host, tmp_path, age))
    url = f"https://peer.example:{peer.port}/"
    try:
        trusting = replace(policy, ca_file=str(ca_file) if trusted else None)
        async with Client(trusting, AGENT) as client:
            if reason is None:
                assert (await client.get(url, accept="*/*")).status == 404
            else:
                error = await failure(client.get(url, accept="*/*"))
                assert (error.reason, error.host_down) == (reason, True)
                assert peer.requests == []
    finally:
        await runner.cleanup()


# Memory


async def test_inv_25_a_failure_causes_one_request_and_not_another(
    peer: Peer, client: Client
) -> None:
    for _ in range(5):
        error = await failure(client.fetch_object(peer.url("/missing#main-key")))
        assert error.permanent
    assert error.remembered
    assert len(peer.requests) == 1


@pytest.mark.parametrize("fetch", ["get_document", "get_json", "get_text", "fetch_object"])
async def test_inv_25_every_kind_of_fetch_remembers_a_bad_answer(
    peer: Peer, client: Client, fetch: str
) -> None:
    url = peer.raw("/a", b"<p>", Content_Type="text/html")
    for _ in range(3):
        assert (await failure(getattr(client, fetch)(url))).reason == "content_type"
    assert len(peer.requests) == 1


async def test_inv_25_a_wrong_id_and_bad_json_are_remembered(peer: Peer, client: Client) -> None:
    wrong = peer.document("/wrong", {"id": "https://other.example/"})
    broken = peer.raw("/broken", b"{", Content_Type=ACTIVITY)
    for _ in range(3):
        assert (await failure(client.fetch_object(wrong))).reason == "id_mismatch"
        assert (await failure(client.fetch_object(broken))).reason == "json"
    assert peer.paths == ["/wrong", "/broken"]


async def test_inv_25_a_host_that_does_not_answer_is_asked_once_for_all_its_urls(
    policy: NetworkPolicy,
) -> None:
    asked: list[str] = []

    def unknown(host: str, port: int) -> Sequence[tuple[Any, ...]]:
        asked.append(host)
        raise socket.gaierror(socket.EAI_NONAME, "unknown")

    async with Client(replace(policy, resolve={}), AGENT, lookup=unknown) as client:
        for number in range(5):
            url = f"http://peer.example/{number}"
            assert (await failure(client.fetch_object(url))).reason == "connect"
        assert asked == ["peer.example"]
        client.negative.forget("peer.example")
        await failure(client.fetch_object("http://peer.example/5"))
        assert asked == ["peer.example"] * 2


async def test_what_was_refused_to_a_stranger_is_still_asked_for_with_a_signature(
    peer: Peer, client: Client, signer: Signer
) -> None:
    async def answer(request: web.Request) -> web.Response:
        if "Signature" not in request.headers:
            return web.Response(status=401)
        return web.json_response({"id": peer.url("/a")}, content_type=ACTIVITY)

    peer.handlers["/a"] = answer
    assert (await failure(client.fetch_object(peer.url("/a")))).status == 401
    assert (await client.fetch_object(peer.url("/a"), signer))["id"] == peer.url("/a")


async def test_a_remembered_failure_costs_no_budget(peer: Peer, client: Client) -> None:
    budget = FetchBudget(1)
    for _ in range(3):
        error = await failure(client.fetch_object(peer.url("/missing"), budget=budget))
        assert error.status == 404


async def test_failures_are_tried_again_when_their_time_is_over(
    peer: Peer, policy: NetworkPolicy
) -> None:
    now = 0.0
    negative = NegativeCache(clock=lambda: now)
    async with Client(policy, AGENT, negative=negative) as client:
        await failure(client.fetch_object(peer.url("/late")))
        url = peer.document("/late")
        now = 3600.0
        assert (await client.fetch_object(url))["id"] == url


async def test_concurrent_fetches_of_one_document_share_one_request(
    peer: Peer, client: Client
) -> None:
    async def slow(request: web.Request) -> web.Response:
        await asyncio.sleep(0.05)
        return web.json_response({"id": peer.url("/a")}, content_type=ACTIVITY)

    peer.handlers["/a"] = slow
    documents = await asyncio.gather(*(client.fetch_object(peer.url("/a")) for _ in range(20)))
    assert len(peer.requests) == 1
    # Each caller may change what it got without the others seeing it.
    assert len({id(document) for document in documents}) == 20


async def test_concurrent_failures_are_shared_too(peer: Peer, client: Client) -> None:
    results = await asyncio.gather(
        *(client.fetch_object(peer.url("/missing")) for _ in range(20)), return_exceptions=True
    )
    assert {getattr(result, "status", None) for result in results} == {404}
    assert len(peer.requests) == 1


async def test_a_caller_that_gives_up_does_not_take_the_answer_from_the_others(
    peer: Peer, client: Client
) -> None:
    entered = asyncio.Event()

    async def slow(request: web.Request) -> web.Response:
        entered.set()
        await asyncio.sleep(0.05)
        return web.json_response({"id": peer.url("/a")}, content_type=ACTIVITY)

    peer.handlers["/a"] = slow
    first = asyncio.create_task(client.fetch_object(peer.url("/a")))
    await entered.wait()
    second = asyncio.create_task(client.fetch_object(peer.url("/a")))
    await asyncio.sleep(0)
    first.cancel()
    assert (await second)["id"] == peer.url("/a")
    assert first.cancelled()
    assert len(peer.requests) == 1


async def test_two_signers_do_not_share_an_answer(
    peer: Peer, client: Client, signer: Signer
) -> None:
    url = peer.document("/a")
    other = Signer("https://hub.example/ap/other#main-key", signer.key)
    await asyncio.gather(*(client.get_document(url, who) for who in (None, signer, other)))
    assert len(peer.requests) == 3


async def test_cookies_are_not_kept(peer: Peer, client: Client) -> None:
    url = peer.raw("/a", Set_Cookie="a=b; Path=/")
    await client.get(url, accept="*/*")
    await client.get(url, accept="*/*")
    assert "Cookie" not in peer.requests[1].headers


# Signatures and deliveries


@pytest.mark.parametrize("in_thread", [False, True])
async def test_a_signed_get_signs_each_hop_anew_and_forwards_no_signature(
    peer: Peer, policy: NetworkPolicy, signer: Signer, in_thread: bool
) -> None:
    last = peer.url("/b?x=%7E", host="other.example")
    start = peer.redirect("/a", last)
    peer.document("/b", {"id": last})
    with ThreadPoolExecutor(1) as threads:
        executor = threads if in_thread else None
        async with Client(policy, AGENT, sign_in_thread=executor) as client:
            assert (await client.fetch_object(start, signer))["id"] == last
    first, second = peer.requests
    assert first.headers["Signature"] != second.headers["Signature"]
    for request, host, target in (
        (first, "peer.example", "/a"),
        (second, "other.example", "/b?x=%7E"),
    ):
        assert request.raw_path == target
        assert request.headers["Host"] == f"{host}:{peer.port}"
        signature = cavage.parse(request.headers["Signature"])
        text = "\n".join(
            f"{name}: {f'get {target}' if name == '(request-target)' else request.headers[name]}"
            for name in signature.headers
        )
        assert {"(request-target)", "host", "date"} <= set(signature.headers)
        assert signature.key_id == signer.key_id
        assert signer.key.public().verify(signature.signature, text.encode())


async def test_extra_headers_stay_within_their_origin(peer: Peer, client: Client) -> None:
    peer.document("/c")
    peer.redirect("/b", peer.url("/c", host="other.example"))
    start = peer.redirect("/a", "/b")
    await client.get(start, accept="*/*", headers={"Authorization": "Bearer secret"})
    assert [request.headers.get("Authorization") for request in peer.requests] == [
        "Bearer secret",
        "Bearer secret",
        None,
    ]


async def test_a_post_sends_the_body_and_the_headers_as_given(peer: Peer, client: Client) -> None:
    url = peer.raw("/inbox", b"accepted", 202)
    headers = {"Content-Type": ACTIVITY, "Signature": "s", "Date": "d", "Digest": "SHA-256=x"}
    response = await client.post(url, b'{"a": 1}', headers=headers)
    assert (response.status, response.ok, response.body) == (202, True, b"accepted")
    assert peer.bodies == [b'{"a": 1}']
    sent = peer.requests[0].headers
    assert {name: sent[name] for name in headers} == headers
    assert sent["User-Agent"] == AGENT
    assert sent.getall("Host") == [f"peer.example:{peer.port}"]


@pytest.mark.parametrize("status", [400, 401, 404, 410, 429, 500, 503])
async def test_a_refused_post_is_an_answer_with_its_reason(
    peer: Peer, client: Client, status: int
) -> None:
    url = peer.raw("/inbox", b'{"error": "no"}', status, Retry_After="90")
    response = await client.post(url, b"{}", headers={})
    assert (response.status, response.ok, response.body) == (status, False, b'{"error": "no"}')
    assert response.retry_after() == 90


async def test_of_the_answer_to_a_post_only_the_beginning_is_kept(
    peer: Peer, client: Client
) -> None:
    url = peer.raw("/inbox", b"x" * 1_000_000)
    assert len((await client.post(url, b"{}", headers={})).body) == 8192


async def test_a_post_that_was_answered_counts_although_its_body_drips_on(
    peer: Peer, policy: NetworkPolicy
) -> None:
    peer.handlers["/inbox"] = drip
    async with Client(replace(policy, total_seconds=0.2), AGENT) as client:
        started = time.monotonic()
        response = await client.post(peer.url("/inbox?status=202"), b"{}", headers={})
        assert response.status == 202
        assert time.monotonic() - started < 1


async def test_a_post_does_not_consult_the_memory_of_failed_fetches(
    peer: Peer, client: Client
) -> None:
    url = peer.raw("/inbox", status=404)
    await failure(client.get_document(url))
    peer.raw("/inbox", status=202)
    assert (await client.post(url, b"{}", headers={})).status == 202


async def test_no_more_connections_than_allowed_are_open_to_one_host(
    peer: Peer, policy: NetworkPolicy
) -> None:
    inside = most = 0

    async def slow(request: web.Request) -> web.Response:
        nonlocal inside, most
        inside += 1
        most = max(most, inside)
        await asyncio.sleep(0.02)
        inside -= 1
        return web.Response()

    peer.handlers["/a"] = slow
    async with Client(policy, AGENT, limit_per_host=2) as client:
        await asyncio.gather(*(client.post(peer.url("/a"), b"", headers={}) for _ in range(8)))
    assert most == 2


async def test_connections_stay_open_to_so_many_hosts_only(
    peer: Peer, policy: NetworkPolicy
) -> None:
    transports = []

    async def noted(request: web.Request) -> web.Response:
        transports.append(request.transport)
        return web.Response()

    peer.handlers["/a"] = noted
    async with Client(policy, AGENT, kept_hosts=2) as client:
        for _ in range(2):
            for number in range(5):
                await client.post(peer.url("/a", f"h{number}.example"), b"", headers={})
        # The two that stay were used again, and the others closed after each answer.
        assert transports[:2] == transports[5:7]
        assert len(set(transports)) == 2 + 3 * 2
        async with asyncio.timeout(5):
            while sum(not each.is_closing() for each in set(transports)) > 2:
                await asyncio.sleep(0)
        assert not any(each.is_closing() for each in transports[:2])


async def test_a_client_that_is_not_started_says_so(policy: NetworkPolicy) -> None:
    with pytest.raises(RuntimeError, match="not started"):
        await Client(policy, AGENT).get("http://peer.example/", accept="*/*")


async def test_closing_ends_what_is_under_way(peer: Peer, policy: NetworkPolicy) -> None:
    entered = asyncio.Event()

    async def slow(request: web.Request) -> web.Response:
        entered.set()
        await asyncio.sleep(30)
        return web.Response()

    peer.handlers["/a"] = slow
    client = Client(policy, AGENT)
    await client.start()
    fetching = asyncio.create_task(client.get_document(peer.url("/a")))
    await entered.wait()
    await client.close()
    with pytest.raises(asyncio.CancelledError):
        await fetching
