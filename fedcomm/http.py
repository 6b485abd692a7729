"""What every handler needs of a request: the site, and who is really at the other end."""

from __future__ import annotations

from ipaddress import ip_address

from aiohttp import web

from fedcomm.site import Site

SITE = web.AppKey("site", Site)


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


def network_prefix(address: str) -> str:
    """The network that a rate limit counts: an IPv4 address, or the /64 of an IPv6 address."""
    try:
        parsed = ip_address(address.split("%")[0])
    except ValueError:
        return address
    if parsed.version == 4:
        return str(parsed)
    return ":".join(parsed.exploded.split(":")[:4]) + "::/64"


def _listed(address: str, proxies: tuple[object, ...]) -> bool:
    try:
        parsed = ip_address(address)
    except ValueError:
        return False
    return any(parsed in proxy for proxy in proxies)  # type: ignore[operator]
