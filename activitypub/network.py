"""Which addresses and URLs this server may call, and the connector that enforces it.

Two gates (INV-23, security.md §7). `url_allowed` judges the text of a URL before anything is sent.
`open_socket` judges the address at the moment of connecting; it is the one that counts, because it
sees what literals, redirects and a changing DNS answer have become by then.
"""

from __future__ import annotations

import asyncio
import re
import socket
import ssl
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)
from typing import Any, Literal, TypeAlias
from urllib.parse import quote, urlsplit

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

from activitypub import origins

Address: TypeAlias = IPv4Address | IPv6Address
Network: TypeAlias = IPv4Network | IPv6Network
Lookup: TypeAlias = Callable[[str, int], Sequence[tuple[Any, ...]]]
"""`(host, port)` to rows shaped as those of `socket.getaddrinfo`. Called in a thread; may block."""

CONNECT_SECONDS = 5.0
TOTAL_SECONDS = 15.0
MAX_BYTES = 1_048_576
MAX_REDIRECTS = 3
"""security.md §4, row "Outbound"."""

DNS_CACHE_SECONDS = 60
"""How long a name's addresses are reused. Each connection checks its address again regardless."""

KEEPALIVE_SECONDS = 15.0

KEPT_HOSTS = 1000
"""To how many hosts connections stay open after an answer. One with TLS takes about 36 kB and a descriptor."""

LOOKUP_THREADS = 16
"""Threads for name lookups. Their own pool: a hostile, silent name server must not occupy the
threads that the rest of the program waits for (INV-45)."""

IPV4_REFUSED: tuple[IPv4Network, ...] = tuple(
    IPv4Network(block)
    for block in (
        "0.0.0.0/8",  # this network
        "10.0.0.0/8",  # private
        "100.64.0.0/10",  # carrier-grade NAT
        "127.0.0.0/8",  # loopback
        "169.254.0.0/16",  # link-local, cloud metadata
        "172.16.0.0/12",  # private
        "192.0.0.0/24",  # IETF protocol assignments
        "192.0.2.0/24",  # documentation
        "192.31.196.0/24",  # AS112
        "192.52.193.0/24",  # AMT
        "192.88.99.0/24",  # 6to4 relays
        "192.168.0.0/16",  # private
        "192.175.48.0/24",  # AS112
        "198.18.0.0/15",  # benchmarking
        "198.51.100.0/24",  # documentation
        "203.0.113.0/24",  # documentation
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, broadcast
    )
)
"""IANA's special-purpose registry for IPv4, and multicast."""

IPV6_ALLOWED = IPv6Network("2000::/3")
IPV6_REFUSED: tuple[IPv6Network, ...] = tuple(
    IPv6Network(block)
    for block in (
        "2001::/23",  # protocol assignments: Teredo, ORCHID, benchmarking
        "2001:db8::/32",  # documentation
        "2002::/16",  # 6to4, which embeds an IPv4 address
        "3fff::/20",  # documentation
    )
)
LOOPBACK: tuple[Network, ...] = (ip_network("127.0.0.0/8"), ip_network("::1/128"))

_NUMERIC_LABEL = re.compile(r"[0-9]+|0x[0-9a-f]*")
_NOT_PRINTABLE_ASCII = re.compile(r"[^\x21-\x7e]")


class UrlRefused(ValueError):
    """The text of a URL is outside the policy.

    reason: `url` (no URL at all, userinfo, control characters …), `scheme`, `port`, `host`,
    `literal` (an IP address in any spelling) or `own` (this server itself).
    """

    def __init__(self, reason: str) -> None:
        super().__init__(f"this address may not be fetched ({reason})")
        self.reason = reason


class AddressRefused(OSError):
    """A name leads to an address, or a URL names one, that this server never calls."""


@dataclass(frozen=True, slots=True)
class NetworkPolicy:
    """What the outbound client may do. The defaults are the ones for the public internet.

    allow_private: networks that are reachable although they are not public.
    allow_http: plain http besides https. allow_any_port: ports besides the scheme's default.
    own_origin: this server's, as `scheme://host[:port]`: never called, whoever points there.
    own_paths: paths of it that may be called all the same, exact, or prefixes where they end with a slash.
    development: hosts without a dot and IP literals may stand in URLs (addresses stay checked).
    ca_file: PEM file of certificate authorities trusted besides the system's.
    resolve: names answered here instead of by DNS: an exact name, or `*.suffix` for any name below
    the suffix. The address still has to be allowed.
    """

    allow_private: tuple[Network, ...] = ()
    allow_http: bool = False
    allow_any_port: bool = False
    own_origin: str | None = None
    own_paths: tuple[str, ...] = ()
    development: bool = False
    ca_file: str | None = None
    resolve: Mapping[str, str] = field(default_factory=dict)
    connect_seconds: float = CONNECT_SECONDS
    total_seconds: float = TOTAL_SECONDS
    max_bytes: int = MAX_BYTES
    max_redirects: int = MAX_REDIRECTS

    @classmethod
    def loopback(cls, *, resolve: Mapping[str, str] | None = None) -> NetworkPolicy:
        """The policy of tests and of a development server: plain http to this machine, any port."""
        return cls(
            allow_private=LOOPBACK,
            allow_http=True,
            allow_any_port=True,
            development=True,
            resolve=resolve or {},
        )


def address_allowed(address: Address | str, policy: NetworkPolicy) -> bool:
    """Whether a connection to this IP address is allowed (security.md §7, allow-list logic).

    `ipaddress.is_global` is not used: it calls NAT64 and 6to4 addresses global.
    """
    if isinstance(address, str):
        try:
            address = ip_address(address)
        except ValueError:
            return False
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is not None:
            address = address.ipv4_mapped
        elif address.scope_id is not None:
            # A zone belongs to link-local addresses, which are never called.
            return False
    if any(address in network for network in policy.allow_private):
        return True
    if isinstance(address, IPv4Address):
        return not any(address in network for network in IPV4_REFUSED)
    return address in IPV6_ALLOWED and not any(address in network for network in IPV6_REFUSED)


def url_allowed(url: str, policy: NetworkPolicy) -> str:
    """The URL as it goes on the wire: canonical, printable ASCII, with a path, without a fragment.

    Raises `UrlRefused`. The answer is the value to sign, to send and to compare ids with; whoever
    checks one spelling and sends another has checked nothing.
    """
    canonical = origins.parse_url(url, allow_http=True)
    if canonical is None:
        raise UrlRefused("url")
    canonical = canonical.partition("#")[0]
    parts = urlsplit(canonical)
    if parts.scheme != "https" and not policy.allow_http:
        raise UrlRefused("scheme")
    if parts.port is not None and not policy.allow_any_port:
        raise UrlRefused("port")
    _check_host(parts.hostname or "", policy)
    rest = canonical[len(parts.scheme) + 3 + len(parts.netloc) :]
    if (
        policy.own_origin is not None
        and origins.same_origin(canonical, policy.own_origin, allow_http=True)
        and not _excepted(rest, policy.own_paths)
    ):
        raise UrlRefused("own")
    if not rest.startswith("/"):
        rest = "/" + rest
    return f"{parts.scheme}://{parts.netloc}{_printable(rest)}"


def connector(
    policy: NetworkPolicy,
    *,
    limit: int,
    limit_per_host: int,
    lookup: Lookup | None = None,
    keep_alive: bool = True,
) -> aiohttp.TCPConnector:
    """The only kind of connector in the process. Each new connection passes `open_socket`.

    limit, limit_per_host: simultaneous connections. keep_alive: whether they stay open after an
    answer. Needs a running loop. Reads certificate files, so call it at start-up. Raises OSError
    or ssl.SSLError when `policy.ca_file` cannot be used.
    """
    return aiohttp.TCPConnector(
        ssl=_tls(policy),
        resolver=PolicyResolver(policy, lookup or _system_lookup),
        ttl_dns_cache=DNS_CACHE_SECONDS,
        limit=limit,
        limit_per_host=limit_per_host,
        keepalive_timeout=KEEPALIVE_SECONDS if keep_alive else None,
        force_close=not keep_alive,
        socket_factory=partial(open_socket, policy),
    )


def open_socket(policy: NetworkPolicy, address_info: tuple[Any, ...]) -> socket.socket:
    """A socket for this row of `getaddrinfo`, or `AddressRefused`. Has the last word."""
    family, kind, protocol, _, destination = address_info
    if family not in (socket.AF_INET, socket.AF_INET6) or not address_allowed(
        str(destination[0]), policy
    ):
        raise AddressRefused("the address is not a public one")
    return socket.socket(family=family, type=kind, proto=protocol)


class KeepAlive:
    """To which hosts connections stay open: the first `most` of those that were asked within `seconds`.

    aiohttp bounds the connections in use and not the idle ones: a post to ten thousand hosts would leave as many open,
    and the process without a descriptor for anything else.
    """

    def __init__(self, most: int = KEPT_HOSTS, seconds: float = KEEPALIVE_SECONDS) -> None:
        self._most = most
        self._seconds = seconds
        self._asked: dict[str, float] = {}
        """When each was asked last; the one that waits longest comes first."""

    def stays(self, host: str, now: float) -> bool:
        """Whether the connection for a request that is made now may stay. `now`: monotonic seconds."""
        while self._asked:
            longest = next(iter(self._asked))
            if now - self._asked[longest] <= self._seconds:
                break
            del self._asked[longest]
        if self._asked.pop(host, None) is None and len(self._asked) >= self._most:
            return False
        self._asked[host] = now
        return True


class PolicyResolver(AbstractResolver):
    """Name lookup with the policy's own answers, in threads of its own.

    Addresses outside the policy are left out already here, so that a name with a public and a
    private address uses the public one. That is a convenience; `open_socket` is the guard.
    """

    def __init__(self, policy: NetworkPolicy, lookup: Lookup) -> None:
        self._policy = policy
        self._lookup = lookup
        self._threads = ThreadPoolExecutor(LOOKUP_THREADS, thread_name_prefix="lookup")

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Allowed addresses of a host. Raises OSError: unknown, or none allowed."""
        fixed = _fixed_address(host, self._policy.resolve)
        loop = asyncio.get_running_loop()
        lookup = self._lookup if fixed is None else _system_lookup
        try:
            async with asyncio.timeout(self._policy.connect_seconds):
                rows = await loop.run_in_executor(self._threads, lookup, fixed or host, port)
        except TimeoutError:
            raise OSError("the name server does not answer") from None
        allowed: list[ResolveResult] = [
            ResolveResult(
                hostname=host,
                host=str(row[4][0]),
                port=port,
                family=row[0],
                proto=row[2],
                flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
            )
            for row in rows
            if family in (socket.AF_UNSPEC, row[0])
            and row[0] in (socket.AF_INET, socket.AF_INET6)
            and address_allowed(str(row[4][0]), self._policy)
        ]
        if rows and not allowed:
            raise AddressRefused("the name leads to no public address")
        return allowed

    async def close(self) -> None:
        """Waits for no lookup: a silent name server may keep one for many seconds."""
        self._threads.shutdown(wait=False, cancel_futures=True)


def _system_lookup(host: str, port: int) -> Sequence[tuple[Any, ...]]:
    return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP)


def _fixed_address(host: str, table: Mapping[str, str]) -> str | None:
    if not table:
        return None
    if host in table:
        return table[host]
    suffix = host
    while "." in suffix:
        suffix = suffix.partition(".")[2]
        if (address := table.get(f"*.{suffix}")) is not None:
            return address
    return None


def _excepted(rest: str, paths: tuple[str, ...]) -> bool:
    """Whether path and query are one of the few of ours that we may call: nothing escaped, nothing to walk up."""
    if not re.fullmatch(r"[a-z0-9/]+", rest):
        return False
    return any(rest.startswith(path) if path.endswith("/") else rest == path for path in paths)


def _check_host(host: str, policy: NetworkPolicy) -> None:
    if ":" in host or _NUMERIC_LABEL.fullmatch(host.rpartition(".")[2]):
        # The system's resolver reads "127.1", "0x7f.1" and "2130706433" as IPv4 addresses, so a
        # last label that is a number makes a literal (as browsers decide it).
        if not policy.development:
            raise UrlRefused("literal")
        return
    if "." not in host and not policy.development:
        raise UrlRefused("host")


def _printable(rest: str) -> str:
    # Only what cannot stand in a request line is encoded: existing escapes stay byte for byte,
    # because the path is signed and ids are compared.
    return _NOT_PRINTABLE_ASCII.sub(lambda found: quote(found.group()), rest)


def _tls(policy: NetworkPolicy) -> ssl.SSLContext | Literal[True]:
    """What the connector checks certificates with.

    `True` is aiohttp's own default, made when it is imported: the system's authorities, TLS 1.2 and later, HTTP/1.1. To
    read the authorities once more would take time and a megabyte.
    """
    if policy.ca_file is None:
        return True
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    context.load_verify_locations(cafile=policy.ca_file)
    return context
