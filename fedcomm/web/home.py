"""The first page: for strangers what this place is, for members what is new."""

from __future__ import annotations

from aiohttp import web

from fedcomm.hub import groups, timelines
from fedcomm.web import presentation
from fedcomm.web.forms import query_id
from fedcomm.web.rendering import page
from fedcomm.web.rows import rows_of
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
    rows = await rows_of(request, newest[:size])
    response = await page(
        request,
        "landing.html",
        public=True,
        cards=await presentation.group_cards(db, shown, counts),
        more_groups=len(found) > GROUPS_SHOWN,
        topics=rows.rows,
        now=rows.now,
        is_first_page="before" not in request.query,
        following=newest[size - 1].thing.id if len(newest) > size else None,
    )
    rows.shown()
    return response


async def _timeline(request: web.Request, visit: Visit) -> web.Response:
    assert visit.member is not None
    db = visit.site.db
    size = visit.site.config.web.page_size
    found = await timelines.home(
        db, visit.viewer, before=query_id(request, "before"), limit=size + 1
    )
    rows = await rows_of(request, found[:size])
    response = await page(
        request,
        "home.html",
        cards=await presentation.group_cards(db, await groups.memberships_of(db, visit.member.id)),
        topics=rows.rows,
        now=rows.now,
        following=found[size - 1].thing.id if len(found) > size else None,
    )
    rows.shown()
    return response
