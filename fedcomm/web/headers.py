"""Headers of our answers (security.md §5)."""

from __future__ import annotations

from typing import Final

from aiohttp import hdrs, web

PAGE_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; media-src 'self'; "
    "font-src 'self'; connect-src 'self'; manifest-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'; object-src 'none'"
)
"""Content-Security-Policy of every page: this server only, nothing inline."""

MEDIA_POLICY: Final = "default-src 'none'; form-action 'none'; sandbox"

EVERYWHERE: Final = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "browsing-topics=(), camera=(), microphone=(), geolocation=()",
}

STRICT_TRANSPORT: Final = "max-age=31536000"

VARY: Final = "Accept, Cookie, Signature"
"""The same address answers with a page or with ActivityPub, and by who asks (INV-31)."""

PRIVATE: Final = "private, no-store"
PUBLIC: Final = "public, max-age=0, must-revalidate"
FOREVER: Final = "public, max-age=31536000, immutable"
FEED: Final = "public, max-age=300"

FEDERATION_PATHS: Final = ("/ap/", "/.well-known/", "/nodeinfo/", "/api/")
"""Paths of other spokes: they have no cookies, no pages and headers of their own."""


def is_federation(path: str) -> bool:
    """Whether another spoke answers there."""
    return path.startswith(FEDERATION_PATHS) or path == "/ap"


def add_security_headers(response: web.StreamResponse, *, secure: bool) -> None:
    """Add what is missing of the headers that every answer of a page's address has."""
    headers = response.headers
    for name, value in EVERYWHERE.items():
        headers.setdefault(name, value)
    if secure:
        headers.setdefault("Strict-Transport-Security", STRICT_TRANSPORT)
    headers.setdefault(hdrs.CACHE_CONTROL, PRIVATE)
    headers[hdrs.SERVER] = "fedcomm"
    if response.content_type == "text/html":
        headers.setdefault("Content-Security-Policy", PAGE_POLICY)
        headers[hdrs.VARY] = f"{VARY}, Accept-Language"
    elif headers[hdrs.CACHE_CONTROL] != FOREVER:
        known = [part.strip() for part in headers.get(hdrs.VARY, "").split(",") if part.strip()]
        wanted = [part for part in VARY.split(", ") if part not in known]
        headers[hdrs.VARY] = ", ".join([*known, *wanted])
