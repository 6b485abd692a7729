"""What monitors, supervisors and reverse proxies ask."""

from __future__ import annotations

from aiohttp import web

from fedcomm.http import site_of
from fedcomm.store.database import DatabaseError


async def health(request: web.Request) -> web.StreamResponse:
    """Whether this process answers and reaches its database."""
    try:
        await site_of(request).db.value("SELECT 1")
    except DatabaseError:
        return web.Response(text="the database does not answer\n", status=503)
    return web.Response(text="ok\n")


async def ready(request: web.Request) -> web.StreamResponse:
    """Whether this process should be sent more: not while it stops."""
    if site_of(request).stopping:
        return web.Response(text="stopping\n", status=503)
    return await health(request)
