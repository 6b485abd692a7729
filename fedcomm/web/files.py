"""Files: pictures of members behind the gate, downloads that are made while they are sent, and the static files of the
pages."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from typing import Final
from urllib.parse import quote

from aiohttp import hdrs, web

from fedcomm.http import site_of
from fedcomm.hub import emoji, media
from fedcomm.web import headers
from fedcomm.web.rendering import RENDERER, STATIC_TYPES
from fedcomm.web.visits import visit_of

MEDIA_NAME: Final = re.compile(
    r"[A-Za-z0-9_-]{8,80}\.(jpg|png|webp|gif|mp4|webm|weba|ogg|mp3|flac|pdf|txt)"
)
"""Names as we make them: nothing else reaches the disk."""


async def media_file(request: web.Request) -> web.StreamResponse:
    """A picture, if the visitor may see what it belongs to."""
    site = site_of(request)
    name = request.match_info["file"]
    if not MEDIA_NAME.fullmatch(name):
        raise web.HTTPNotFound()
    if (of_emoji := await emoji.mime_of_file(site.db, name)) is not None:
        mime, public = of_emoji, True
    else:
        mime, public = await media.mime_of_file(site.db, visit_of(request).viewer, name)
    path = site.media_folder / name
    if not path.is_file():
        raise web.HTTPNotFound()
    inline = mime.startswith(media.INLINE)
    sent = {
        hdrs.CONTENT_TYPE: mime if inline else _as_download(mime),
        hdrs.CONTENT_DISPOSITION: (
            "inline" if inline else _saved_as(await media.name_of_file(site.db, name), name)
        ),
        "Content-Security-Policy": headers.MEDIA_POLICY,
        hdrs.CACHE_CONTROL: headers.FOREVER if public else headers.PRIVATE,
    }
    if public:
        sent["Cross-Origin-Resource-Policy"] = "cross-origin"
    else:
        sent["Cross-Origin-Resource-Policy"] = "same-origin"
        sent[hdrs.VARY] = headers.VARY
    return web.FileResponse(path, headers=sent)


def _as_download(mime: str) -> str:
    return f"{mime}; charset=utf-8" if mime.startswith("text/") else mime


def _saved_as(called: str, name: str) -> str:
    """The header that makes a browser save a file, under its own name but with our ending (RFC 6266)."""
    stem = re.sub(r'[/\\\x00-\x1f"]', "_", called.rpartition(".")[0] or called) or "document"
    return f"attachment; filename*=UTF-8''{quote(stem, safe='')}.{name.rpartition('.')[2]}"


async def download(
    request: web.Request, name: str, mime: str, pieces: AsyncIterator[bytes]
) -> web.StreamResponse:
    """A private file, sent piece by piece as it is made: never whole in memory. `name`: what a browser saves it as."""
    response = web.StreamResponse(
        headers={
            hdrs.CONTENT_TYPE: mime,
            hdrs.CONTENT_DISPOSITION: f'attachment; filename="{name}"',
            hdrs.CACHE_CONTROL: headers.PRIVATE,
        }
    )
    # Once it has begun nobody can add a header to it any more.
    headers.add_security_headers(response, secure=site_of(request).config.is_secure)
    await response.prepare(request)
    async for piece in pieces:
        await response.write(piece)
    await response.write_eof()
    return response


async def static_file(request: web.Request) -> web.StreamResponse:
    """A style sheet, script or picture of the pages."""
    name = request.match_info["file"]
    renderer = request.config_dict[RENDERER]
    path = renderer.static_file(name)
    if path is None:
        raise web.HTTPNotFound()
    current = renderer.static_path(name).partition("?v=")[2]
    kept = request.query.get("v") == current
    return web.FileResponse(
        path,
        headers={
            hdrs.CONTENT_TYPE: STATIC_TYPES[name.rpartition(".")[2]],
            hdrs.CACHE_CONTROL: headers.FOREVER if kept else headers.PUBLIC,
            hdrs.VARY: hdrs.ACCEPT_ENCODING,
        },
    )
