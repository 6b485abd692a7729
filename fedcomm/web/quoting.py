"""Quoting: where to write, and taking back one's consent."""

from __future__ import annotations

from aiohttp import web

from fedcomm.http import site_of
from fedcomm.hub import groups, quotes, timelines
from fedcomm.hub.errors import Invalid, NotFound
from fedcomm.i18n import gettext as _
from fedcomm.store.ids import parse_id
from fedcomm.web import paths, presentation
from fedcomm.web.forms import path_id, query_text, read_form
from fedcomm.web.rendering import page, see_other
from fedcomm.web.visits import signed_in, visit_of


async def quote_form(request: web.Request) -> web.StreamResponse:
    """Where to write something that quotes a post: the member's groups."""
    member = signed_in(request)
    visit = visit_of(request)
    db = visit.site.db
    post = await timelines.post(db, visit.viewer, path_id(request))
    if post is None:
        raise NotFound("This is not there any more.")
    refusal = ""
    try:
        await quotes.check(db, member.id, post.thing.id)
    except Invalid as error:
        refusal = _(error.message)
    places = []
    for group in await groups.memberships_of(db, member.id):
        place = await groups.membership(db, group.id, member.id)
        if place is not None and (place.moderates or group.topics_by != "moderators"):
            places.append(group)
    # Where the post stands comes first.
    places.sort(key=lambda group: (group.id != post.thing.group_id, group.title.lower()))
    return await page(
        request,
        "quote.html",
        entry=(await presentation.entries(db, [post]))[0],
        refusal=refusal,
        groups=places,
        address=f"{visit.site.origin}{paths.object_path(post.thing.id)}",
        asks=not post.thing.is_local,
    )


async def unquote(request: web.Request) -> web.StreamResponse:
    """Take back one's consent to being quoted by a post."""
    member = signed_in(request)
    site = site_of(request)
    object_id = path_id(request)
    form = await read_form(request)
    async with site.db.transaction() as tx:
        await quotes.revoke(tx, member.id, object_id)
    site.wake()
    return see_other(paths.safe_path(form.text("back"), paths.object_path(object_id)), "unquoted")


async def quoted_address(request: web.Request) -> str:
    """The address with which a form to write begins: from `?quote=` with the id of a post here."""
    number = parse_id(query_text(request, "quote", 20))
    visit = visit_of(request)
    if number is None or await timelines.post(visit.site.db, visit.viewer, number) is None:
        return ""
    return f"{visit.site.origin}{paths.object_path(number)}"
