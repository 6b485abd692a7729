"""About the hub: for people, for crawlers, for browsers that install it."""

from __future__ import annotations

import asyncio
import io
import tarfile
from pathlib import Path
from typing import Final

from aiohttp import hdrs, web

import activitypub
import fedcomm
from fedcomm.http import site_of
from fedcomm.hub import instance, published_blocks, removal, rules
from fedcomm.hub.access_requests import DEADLINE_DAYS
from fedcomm.resources import resource_folder
from fedcomm.web import headers
from fedcomm.web.rendering import RENDERER, SOURCE, page
from fedcomm.web.visits import visit_of

NOT_FOR_CRAWLERS = (
    *("/settings", "/notifications", "/following", "/search", "/interact", "/admin"),
    *("/moderation", "/statements", "/report", "/drafts", "/erasures"),
)

SOURCE_SUFFIXES: Final = frozenset(
    {".py", ".pyi", ".typed", ".html", ".xml", ".css", ".js", ".svg", ".png", ".po", ".mo", ".mako"}
    | {".toml", ".json", ".jsonld", ".txt", ".md"}
)
"""Files that are source; nothing that an installation adds has one of these names there."""


async def about(request: web.Request) -> web.StreamResponse:
    """Who runs this place, and what becomes of what one writes here."""
    site = site_of(request)
    usage = await instance.usage(site.db)
    is_member = visit_of(request).member is not None
    shown = await published_blocks.may_see(site.db, is_member=is_member)
    return await page(
        request,
        "about.html",
        public=True,
        usage=usage,
        federates=site.federation is not None,
        retention=site.config.retention,
        deadline_days=DEADLINE_DAYS,
        kept_days=removal.APPEAL_DAYS,
        rules=await rules.current(site.db),
        blocks=await published_blocks.published(site.db) if shown else None,
    )


async def robots(request: web.Request) -> web.StreamResponse:
    """What crawlers may visit (RFC 9309)."""
    lines = ["User-agent: *", *(f"Disallow: {path}" for path in NOT_FOR_CRAWLERS)]
    return web.Response(text="\n".join(lines) + "\n", headers={hdrs.CACHE_CONTROL: headers.FEED})


async def manifest(request: web.Request) -> web.StreamResponse:
    """What a browser needs to install the hub as an application."""
    config = site_of(request).config
    renderer = request.config_dict[RENDERER]
    return web.json_response(
        {
            "name": config.instance.name,
            "short_name": config.instance.name[:30],
            "description": config.instance.description,
            "id": "/",
            "start_url": "/",
            "scope": "/",
            "display": "standalone",
            "background_color": "#fbf7f1",
            "theme_color": "#8a3b1e",
            "icons": [
                {"src": renderer.static_path(f"icon-{size}.png"), "sizes": f"{size}x{size}"}
                for size in (192, 512)
            ],
        },
        content_type="application/manifest+json",
        headers={hdrs.CACHE_CONTROL: headers.FEED},
    )


async def source(request: web.Request) -> web.StreamResponse:
    """The source of what runs here, changed or not, for everybody who uses it (AGPL, section 13)."""
    kept = request.config_dict[SOURCE]
    if not kept:
        kept.append(await asyncio.to_thread(source_archive))
    return web.Response(
        body=kept[0],
        content_type="application/gzip",
        headers={
            hdrs.CACHE_CONTROL: headers.FEED,
            hdrs.CONTENT_DISPOSITION: 'attachment; filename="fedcomm-source.tar.gz"',
        },
    )


def source_archive() -> bytes:
    """The packages, templates and migrations as a compressed tar archive. Blocks."""
    packages = [Path(fedcomm.__file__).parent, Path(activitypub.__file__).parent]
    folders = [*packages, resource_folder("templates"), resource_folder("migrations")]
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for folder in folders:
            for path in sorted(folder.rglob("*")):
                if path.is_file() and path.suffix in SOURCE_SUFFIXES:
                    archive.add(path, f"fedcomm-source/{folder.name}/{path.relative_to(folder)}")
    return buffer.getvalue()
