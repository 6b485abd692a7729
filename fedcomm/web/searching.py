"""Search and tags: both list only what the gate lets through, and tell no counts."""

from __future__ import annotations

import unicodedata

from aiohttp import web

from fedcomm.hub import groups, search, timelines
from fedcomm.hub.errors import NotFound
from fedcomm.i18n import gettext as _
from fedcomm.web import presentation
from fedcomm.web.forms import plain, query_id, query_text, read_form
from fedcomm.web.lookup import can_be_fetched, find_location, known_location
from fedcomm.web.rendering import page, see_other
from fedcomm.web.rows import rows_of
from fedcomm.web.visits import signed_in, visit_of


async def search_page(request: web.Request) -> web.StreamResponse:
    """What holds the words; a handle or an address leads to its page, or offers to look it up."""
    return await _search_page(request, query_text(request, "q"))


async def fetch(request: web.Request) -> web.StreamResponse:
    """Ask another server for a person or a post."""
    signed_in(request)
    text = (await read_form(request)).line("q")[:500]
    location = await find_location(visit_of(request), text)
    if location is not None:
        return see_other(location)
    return await _search_page(
        request, text, _("Nothing was found there, or the other server does not show it.")
    )


async def _search_page(request: web.Request, text: str, error: str = "") -> web.StreamResponse:
    visit = visit_of(request)
    db = visit.site.db
    size = visit.site.config.web.page_size
    is_elsewhere = can_be_fetched(text)
    location = await known_location(visit, text) if text else None
    found: list[int] = []
    cards: list[presentation.GroupCard] = []
    if text and not is_elsewhere:
        before = query_id(request, "before")
        found = await search.find(db, visit.viewer, text, before=before, limit=size + 1)
        if before is None:
            matching = await groups.find_groups(db, visit.viewer, text.lstrip("!@"))
            cards = await presentation.group_cards(db, matching)
    posts = await timelines.posts(db, visit.viewer, found[:size])
    rows = await rows_of(request, posts)
    response = await page(
        request,
        "search.html",
        status=404 if error else 200,
        q=text,
        error=error,
        cards=cards,
        topics=rows.rows,
        now=rows.now,
        location=location,
        can_fetch=is_elsewhere
        and location is None
        and visit.member is not None
        and visit.site.federation is not None
        and not error,
        is_elsewhere=is_elsewhere,
        following=found[size - 1] if len(found) > size else None,
    )
    rows.shown()
    return response


async def tag_page(request: web.Request) -> web.StreamResponse:
    """What carries a hashtag, newest first."""
    visit = visit_of(request)
    db = visit.site.db
    tag = unicodedata.normalize("NFC", plain(request.match_info["tag"])).lower()
    if not tag or len(tag) > 100:
        raise NotFound("There is no such tag.")
    size = visit.site.config.web.page_size
    found = await timelines.tagged(
        db, visit.viewer, tag, before=query_id(request, "before"), limit=size + 1
    )
    rows = await rows_of(request, found[:size])
    response = await page(
        request,
        "tag.html",
        public=True,
        tag=tag,
        topics=rows.rows,
        now=rows.now,
        following=found[size - 1].thing.id if len(found) > size else None,
    )
    rows.shown()
    return response
