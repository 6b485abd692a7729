"""The first page: for strangers what this place is, for members what is new."""

from __future__ import annotations

from aiohttp import web

from fedcomm.hub import groups, timelines
from fedcomm.web import presentation
from fedcomm.web.forms import query_id
from fedcomm.web.rendering import page
from fedcomm.web.visits import Visit, visit_of

GROUPS_SHOWN = 12
"""Groups on the page that strangers see."""


async def home(request: web.Request) -> web.StreamResponse:
    """The landing page or the home timeline."""
    visit = visit_of(request)
    return await (_landing(request, visit) if visit.member is None else _timeline(request, visit))


async def _landing(request: web.Request, visit: Visit) -> web.Response:
    db = visit.site.db
    size = visit.site.config.web.page_size
    found = await groups.list_groups(db, visit.viewer, limit=GROUPS_SHOWN + 1)
    shown = found[:GROUPS_SHOWN]
    counts = await groups.member_counts(db, [group.id for group in shown])
    newest = await timelines.newest_everywhere(
        db, visit.viewer, before=query_id(request, "before"), limit=size + 1
    )
    return await page(
        request,
        "landing.html",
        public=True,
        cards=await presentation.group_cards(db, shown, counts),
        more_groups=len(found) > GROUPS_SHOWN,
        topics=await presentation.entries(db, newest[:size]),
        is_first_page="before" not in request.query,
        following=newest[size - 1].thing.id if len(newest) > size else None,
    )


async def _timeline(request: web.Request, visit: Visit) -> web.Response:
    assert visit.member is not None
    db = visit.site.db
    size = visit.site.config.web.page_size
    found = await timelines.home(
        db, visit.viewer, before=query_id(request, "before"), limit=size + 1
    )
    return await page(
        request,
        "home.html",
        cards=await presentation.group_cards(db, await groups.memberships_of(db, visit.member.id)),
        topics=await presentation.entries(db, found[:size]),
        following=found[size - 1].thing.id if len(found) > size else None,
    )
