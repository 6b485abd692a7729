"""Atom feeds (RFC 4287): what strangers may read, since feed readers carry no session."""

from __future__ import annotations

from aiohttp import web

from fedcomm.http import site_of
from fedcomm.hub import groups, timelines
from fedcomm.hub.visibility import ANONYMOUS
from fedcomm.store.ids import now_ms
from fedcomm.web import paths, presentation
from fedcomm.web.rendering import document

ENTRIES = 20
"""Topics in a feed."""

LOOKED_AT = 3 * ENTRIES
"""The newest topics among which those are whose authors let them into feeds."""

CONTENT_TYPE = "application/atom+xml"


async def group_feed(request: web.Request) -> web.StreamResponse:
    """The newest topics of one group that is open to the world."""
    site = site_of(request)
    group = await groups.visible_group(site.db, ANONYMOUS, request.match_info["name"])
    posts = await timelines.newest_topics(site.db, ANONYMOUS, group.id, limit=LOOKED_AT)
    return await _feed(request, posts, paths.group_path(group.name), group)


async def site_feed(request: web.Request) -> web.StreamResponse:
    """The newest public topics of all groups."""
    posts = await timelines.newest_everywhere(site_of(request).db, ANONYMOUS, limit=LOOKED_AT)
    return await _feed(request, posts, "", None)


async def _feed(
    request: web.Request, posts: list[timelines.Post], path: str, group: groups.Group | None
) -> web.Response:
    site = site_of(request)
    free = await site.consent.leaves(site.db, [post.thing.id for post in posts], "feeds")
    posts = [post for post in posts if post.thing.id in free][:ENTRIES]
    entries = await presentation.entries(site.db, posts)
    changed = [post.thing.edited_at or post.thing.published_at for post in posts]
    updated = max(changed) if changed else group.created_at if group else now_ms()
    return document(
        request,
        "feed.xml",
        CONTENT_TYPE,
        entries=entries,
        group=group,
        path=path,
        updated=updated,
    )
