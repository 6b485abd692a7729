"""What every handler needs of a request: the site, and who is really at the other end."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from functools import lru_cache
from ipaddress import ip_address
from typing import Final

from aiohttp import hdrs, web

from fedcomm.site import Site

SITE = web.AppKey("site", Site)

RATE_HEADERS: Final = ("X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset")
"""What clients of Mastodon read besides `Retry-After`; the last one is a time (security.md §10)."""


def site_of(request: web.Request) -> Site:
    """The hub that answers this request."""
    return request.config_dict[SITE]


def client_address(request: web.Request) -> str:
    """The address of the client: forwarded ones count only from listed proxies (INV-29)."""
    address = request.remote or "127.0.0.1"
    proxies = site_of(request).config.server.trusted_proxies
    hops = [hop.strip() for hop in request.headers.get("X-Forwarded-For", "").split(",")]
    while proxies and hops and _listed(address, proxies):
        hop = hops.pop()
        if not hop:
            break
        address = hop
    return address


@lru_cache(maxsize=256)
def network_prefix(address: str) -> str:
    """The network that a rate limit counts: an IPv4 address, or the /64 of an IPv6 address."""
    try:
        parsed = ip_address(address.split("%")[0])
    except ValueError:
        return address
    if parsed.version == 4:
        return str(parsed)
    return ":".join(parsed.exploded.split(":")[:4]) + "::/64"


def come_again(seconds: int, most: int | None = None) -> dict[str, str]:
    """The headers of a 429: nothing is left of `most` requests (None: it is not told), and when there will be."""
    reset = datetime.fromtimestamp(int(time.time()) + seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    limit = {} if most is None else {RATE_HEADERS[0]: str(most)}
    return {hdrs.RETRY_AFTER: str(seconds), **limit, RATE_HEADERS[1]: "0", RATE_HEADERS[2]: reset}


def _listed(address: str, proxies: tuple[object, ...]) -> bool:
    try:
        parsed = ip_address(address)
    except ValueError:
        return False
    return any(parsed in proxy for proxy in proxies)  # type: ignore[operator]
