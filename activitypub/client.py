"""The one outbound HTTP client (INV-22): every request that leaves this server is made here.

A request passes `activitypub.network` (which URL, which address), carries a deadline, a byte limit
and a redirect limit (INV-24), and keeps no cookies. Documents are accepted with the right content
type only and are owned by the place they were fetched from (INV-5, federation.md §8). Failures are
remembered (INV-25).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Collection, Mapping
from concurrent.futures import Executor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from types import TracebackType
from typing import Self
from urllib.parse import urljoin

import aiohttp
from multidict import CIMultiDict
from yarl import URL

from activitypub import bodies, cavage, ijson, network, origins, vocabulary
from activitypub.failures import FetchBudget, FetchError, NegativeCache, retry_after_seconds
from activitypub.ijson import JSONObject
from activitypub.keys import PrivateKey
from activitypub.network import NetworkPolicy

__all__ = [
    "ACTIVITY_ACCEPT",
    "JRD_ACCEPT",
    "JRD_TYPES",
    "JSON_TYPES",
    "XRD_TYPES",
    "Client",
    "FetchBudget",
    "FetchError",
    "NegativeCache",
    "Response",
    "Signer",
    "retry_after_seconds",
]

ACTIVITY_ACCEPT = (
    "application/activity+json, "
    'application/ld+json; profile="https://www.w3.org/ns/activitystreams"'
)
"""federation.md §3.6."""

JRD_ACCEPT = "application/jrd+json, application/json"
JRD_TYPES = frozenset({"application/jrd+json", "application/json"})
JSON_TYPES = frozenset({"application/json"})
XRD_TYPES = frozenset({"application/xrd+xml", "application/xml", "text/xml"})

CONNECTIONS = 256
CONNECTIONS_PER_HOST = 4
"""federation.md §7.2: no more than four at once to one host."""

REDIRECTS = frozenset({301, 302, 303, 307, 308})


@dataclass(frozen=True, slots=True)
class Response:
    """An answer. url: the last one, as sent. body: decompressed, within the byte limit."""

    status: int
    url: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def ok(self) -> bool:
        return 200 <= self.status < 300

    @property
    def content_type(self) -> str:
        """Media type in lower case, without parameters; empty when there is none."""
        return self.headers.get("Content-Type", "").partition(";")[0].strip().lower()

    def retry_after(self, now: float | None = None) -> int | None:
        """Seconds that the peer asks to wait, clamped. now: Unix seconds."""
        header = self.headers.get("Retry-After")
        return retry_after_seconds(header, time.time() if now is None else now)


@dataclass(frozen=True, slots=True)
class Signer:
    """Who signs a GET: normally the instance actor (federation.md §3.6)."""

    key_id: str
    key: PrivateKey


class Client:
    """Outbound HTTP. Use as an asynchronous context manager, or call `start` and `close`.

    user_agent: `fedcomm/0.1.0 (+https://hub.example/)`; GoToSocial answers 418 without one.
    sign_in_thread: executor that signs GETs (an RSA signature takes 1 ms); None signs in place.
    kept_hosts: to how many hosts connections stay open after an answer.
    lookup: replaces the system's name lookup (see `network.Lookup`).
    """

    def __init__(
        self,
        policy: NetworkPolicy,
        user_agent: str,
        *,
        sign_in_thread: Executor | None = None,
        limit: int = CONNECTIONS,
        limit_per_host: int = CONNECTIONS_PER_HOST,
        kept_hosts: int = network.KEPT_HOSTS,
        negative: NegativeCache | None = None,
        lookup: network.Lookup | None = None,
    ) -> None:
        self.policy = policy
        self.negative = NegativeCache() if negative is None else negative
        self._user_agent = user_agent
        self._sign_in_thread = sign_in_thread
        self._limit = limit
        self._limit_per_host = limit_per_host
        self._lookup = lookup
        self._keep_alive = network.KeepAlive(kept_hosts)
        self._session: aiohttp.ClientSession | None = None
        self._brief: aiohttp.ClientSession | None = None
        """For hosts whose connections do not stay."""
        self._flights: dict[tuple[str, str, str], asyncio.Task[Response]] = {}

    async def start(self) -> None:
        """Opens the sessions. Raises OSError when the policy's `ca_file` cannot be read."""
        if self._session is not None:
            return
        self._session = self._opened(keep_alive=True)
        self._brief = self._opened(keep_alive=False)

    def _opened(self, *, keep_alive: bool) -> aiohttp.ClientSession:
        return aiohttp.ClientSession(
            connector=network.connector(
                self.policy,
                limit=self._limit,
                limit_per_host=self._limit_per_host,
                lookup=self._lookup,
                keep_alive=keep_alive,
            ),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(
                total=self.policy.total_seconds, sock_connect=self.policy.connect_seconds
            ),
            # Decompressed here, where the limit is known before the bytes exist.
            auto_decompress=False,
            trust_env=False,
        )

    async def close(self) -> None:
        """Cancels what is under way and closes all connections."""
        flights = list(self._flights.values())
        for flight in flights:
            flight.cancel()
        await asyncio.gather(*flights, return_exceptions=True)
        for session in (self._session, self._brief):
            if session is not None:
                await session.close()
        self._session = self._brief = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    # Documents

    async def fetch_object(
        self, uri: str, signer: Signer | None = None, *, budget: FetchBudget | None = None
    ) -> JSONObject:
        """The ActivityPub document that lives under its own `id` (INV-5).

        A document found at another URL of the same origin than its id is fetched once more, by that
        id, and must then be where it says. Raises FetchError.
        """
        document, url = await self.get_document(uri, signer, budget=budget)
        found = self._own_url(document, uri)
        if found == url:
            return document
        if found is not None and _same_origin(found, url):
            document, url = await self.get_document(str(document["id"]), signer, budget=budget)
            if self._own_url(document, str(document.get("id"))) == url == found:
                return document
        raise self._refuse(uri, "id_mismatch", signer, ACTIVITY_ACCEPT)

    async def get_document(
        self, url: str, signer: Signer | None = None, *, budget: FetchBudget | None = None
    ) -> tuple[JSONObject, str]:
        """An ActivityPub document, whatever id it claims, and the URL it came from.

        Raises FetchError. For what has no identity of its own to check, such as pages of a
        collection; for everything else there is `fetch_object`.
        """
        response = await self._retrieve(url, ACTIVITY_ACCEPT, signer, budget)
        # Before parsing: uploaded JSON served under another type was the classic forged actor.
        if not vocabulary.is_activity_type(response.headers.get("Content-Type", "")):
            raise self._refuse(url, "content_type", signer, ACTIVITY_ACCEPT)
        return self._parse(url, response, signer, ACTIVITY_ACCEPT), response.url

    async def get_json(
        self,
        url: str,
        accept: str = JRD_ACCEPT,
        content_types: Collection[str] = JRD_TYPES,
        *,
        signer: Signer | None = None,
        budget: FetchBudget | None = None,
    ) -> JSONObject:
        """A JSON object that is not ActivityPub: a JRD (WebFinger), NodeInfo. Raises FetchError."""
        response = await self._retrieve(url, accept, signer, budget)
        if response.content_type not in content_types:
            raise self._refuse(url, "content_type", signer, accept)
        return self._parse(url, response, signer, accept)

    async def get_text(
        self,
        url: str,
        accept: str = "application/xrd+xml",
        content_types: Collection[str] = XRD_TYPES,
        *,
        budget: FetchBudget | None = None,
    ) -> str:
        """UTF-8 text, by default the XRD of host-meta. Raises FetchError."""
        response = await self._retrieve(url, accept, None, budget)
        if response.content_type not in content_types:
            raise self._refuse(url, "content_type", None, accept)
        try:
            return response.body.decode("utf-8-sig")
        except UnicodeDecodeError:
            raise self._refuse(url, "encoding", None, accept) from None

    # Exchanges

    async def get(
        self,
        url: str,
        *,
        accept: str,
        signer: Signer | None = None,
        max_bytes: int | None = None,
        redirects: int | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Response:
        """GET, following redirects by hand: each hop is checked and signed anew.

        max_bytes: of a successful body after decompression; other answers keep an excerpt.
        redirects: hops allowed. headers: extra ones, not sent on to another origin.
        The deadline covers all hops and the last byte. Any final status is a Response; raises
        FetchError when there is none.
        """
        most = self.policy.max_bytes if max_bytes is None else max_bytes
        hops = self.policy.max_redirects if redirects is None else redirects
        first = target = self._allowed(url)
        try:
            async with asyncio.timeout(self.policy.total_seconds):
                while True:
                    sent = CIMultiDict({"Accept": accept})
                    if headers is not None and _same_origin(first, target):
                        sent.extend(headers)
                    if signer is not None:
                        sent.update(await self._signature(target, signer))
                    async with self._request("GET", target, sent) as answer:
                        status, location = answer.status, answer.headers.get("Location")
                        if status not in REDIRECTS:
                            return await _final(answer, target, most)
                    if not location or hops <= 0:
                        raise FetchError("redirects", host=_host(target), status=status)
                    hops -= 1
                    target = self._allowed(urljoin(target, location))
        except TimeoutError:
            raise FetchError("timeout", host=_host(target)) from None

    async def post(self, url: str, body: bytes, *, headers: Mapping[str, str]) -> Response:
        """POST with headers that are already complete (content type, signature).

        Any status but a redirect is a Response, with an excerpt of the body: once the status has
        arrived the peer has decided, so an answer that breaks off or drips afterwards still counts.
        Raises FetchError. Never follows a redirect: the signature is for this target.
        """
        target = self._allowed(url)
        loop = asyncio.get_running_loop()
        try:
            async with (
                asyncio.timeout(self.policy.total_seconds) as deadline,
                self._request("POST", target, CIMultiDict(headers), body) as answer,
            ):
                if answer.status in REDIRECTS:
                    raise FetchError("redirects", host=_host(target), status=answer.status)
                # From here on the excerpt keeps the time: running out cannot undo the answer.
                left = max(0.0, (deadline.when() or 0.0) - loop.time())
                deadline.reschedule(None)
                excerpt = await bodies.read_excerpt(answer, min(left, bodies.EXCERPT_SECONDS))
                return Response(answer.status, target, answer.headers, excerpt)
        except TimeoutError:
            raise FetchError("timeout", host=_host(target)) from None

    # Inside

    async def _retrieve(
        self, url: str, accept: str, signer: Signer | None, budget: FetchBudget | None
    ) -> Response:
        """A successful answer; concurrent callers share one request."""
        key = self._key(url, accept, signer)
        host = _host(key[0])
        self.negative.check(host, key)
        if budget is not None:
            budget.spend()
        flight = self._flights.get(key)
        if flight is None:
            flight = asyncio.create_task(self._successful(key, host, accept, signer))
            self._flights[key] = flight
            flight.add_done_callback(partial(self._landed, key))
        # Shielded: one caller that gives up must not take the answer from the others.
        return await asyncio.shield(flight)

    async def _successful(
        self, key: tuple[str, str, str], host: str, accept: str, signer: Signer | None
    ) -> Response:
        try:
            response = await self.get(key[0], accept=accept, signer=signer)
            if not response.ok:
                raise FetchError(
                    "status",
                    host=_host(response.url),
                    status=response.status,
                    retry_after=response.retry_after(),
                )
        except FetchError as error:
            self.negative.remember(host, key, error)
            raise
        return response

    def _landed(self, key: tuple[str, str, str], flight: asyncio.Task[Response]) -> None:
        del self._flights[key]
        if not flight.cancelled():
            flight.exception()  # Seen, even when every caller has given up.

    def _key(self, url: str, accept: str, signer: Signer | None) -> tuple[str, str, str]:
        # What is refused to a stranger may be given to a signer, so the signer is part of the key.
        return self._allowed(url), accept, "" if signer is None else signer.key_id

    def _allowed(self, url: str) -> str:
        try:
            return network.url_allowed(url, self.policy)
        except network.UrlRefused:
            raise FetchError("refused", host=_host(url)) from None

    def _own_url(self, document: JSONObject, asked: str) -> str | None:
        """The document's id as it would be fetched, or None when it cannot be."""
        claimed = document.get("id")
        # A fragment never reaches the server: only the one that was asked for is vouched for.
        if not isinstance(claimed, str) or ("#" in claimed and claimed != asked):
            return None
        try:
            return network.url_allowed(claimed, self.policy)
        except network.UrlRefused:
            return None

    def _parse(
        self, url: str, response: Response, signer: Signer | None, accept: str
    ) -> JSONObject:
        try:
            return ijson.parse_object(response.body)
        except ijson.IJSONError:
            raise self._refuse(url, "json", signer, accept) from None

    def _refuse(self, url: str, reason: str, signer: Signer | None, accept: str) -> FetchError:
        """A failure of the content, remembered like one of the transport."""
        key = self._key(url, accept, signer)
        host = _host(key[0])
        error = FetchError(reason, host=host)
        self.negative.remember(host, key, error)
        return error

    async def _signature(self, url: str, signer: Signer) -> Mapping[str, str]:
        sign = partial(cavage.sign, "GET", url, None, signer.key, signer.key_id)
        if self._sign_in_thread is None:
            return sign()
        return await asyncio.get_running_loop().run_in_executor(self._sign_in_thread, sign)

    @asynccontextmanager
    async def _request(
        self, method: str, url: str, headers: CIMultiDict[str], body: bytes | None = None
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        if self._session is None or self._brief is None:
            raise RuntimeError("the client is not started")
        headers["User-Agent"] = self._user_agent
        headers["Accept-Encoding"] = bodies.ACCEPT_ENCODING
        host = _host(url)
        stays = self._keep_alive.stays(host, time.monotonic())
        session = self._session if stays else self._brief
        try:
            # Already encoded: the bytes that were checked and signed are the bytes that are sent.
            async with session.request(
                method, URL(url, encoded=True), headers=headers, data=body, allow_redirects=False
            ) as answer:
                yield answer
        except aiohttp.ConnectionTimeoutError:
            raise FetchError("timeout", host=host, host_down=True) from None
        except TimeoutError:
            raise FetchError("timeout", host=host) from None
        except (aiohttp.ClientSSLError, aiohttp.ServerFingerprintMismatch):
            raise FetchError("tls", host=host, host_down=True) from None
        except aiohttp.ClientConnectorError as error:
            refused = isinstance(error.os_error, network.AddressRefused)
            reason = "refused" if refused else "connect"
            raise FetchError(reason, host=host, host_down=True) from None
        except (aiohttp.ClientError, OSError):
            raise FetchError("connect", host=host) from None


def _host(url: str) -> str:
    """Host and port of a URL; whether http is allowed at all was decided by the policy."""
    return origins.host(url, allow_http=True) or ""


def _same_origin(first: str, second: str) -> bool:
    return origins.same_origin(first, second, allow_http=True)


async def _final(answer: aiohttp.ClientResponse, url: str, max_bytes: int) -> Response:
    if 200 <= answer.status < 300:
        body = await bodies.read_body(answer, max_bytes, _host(url))
    else:
        body = await bodies.read_excerpt(answer)
    return Response(answer.status, url, answer.headers, body)
