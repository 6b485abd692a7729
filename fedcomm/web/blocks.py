"""`GET /api/v1/instance/domain_blocks`: the published list of blocks in Mastodon's form."""

from __future__ import annotations

from typing import Final

from aiohttp import hdrs, web

from fedcomm.http import site_of
from fedcomm.hub import published_blocks
from fedcomm.web.visits import VISIT, begin_visit

SEVERITY: Final = {"limit": "silence", "suspend": "suspend"}
"""Our levels in Mastodon's words."""


async def domain_blocks(request: web.Request) -> web.StreamResponse:
    """The list, or 404 for who may not see it, as Mastodon answers."""
    db = site_of(request).db
    audience = await published_blocks.audience(db)
    # Under /api/ nobody is looked up unless it matters who asks.
    visit = request.get(VISIT) or await begin_visit(request)
    is_member = visit.member is not None
    if not await published_blocks.may_see(db, is_member=is_member):
        return web.json_response({"error": "Record not found"}, status=404)
    return web.json_response(
        [
            {
                "domain": block.domain,
                "digest": block.digest,
                "severity": SEVERITY[block.level],
                "comment": block.comment,
            }
            for block in await published_blocks.published(db)
        ],
        headers={
            hdrs.CACHE_CONTROL: "public, max-age=300"
            if audience == "public"
            else "private, no-store",
            hdrs.VARY: "Cookie",
            **({hdrs.ACCESS_CONTROL_ALLOW_ORIGIN: "*"} if audience == "public" else {}),
        },
    )
