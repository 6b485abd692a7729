"""Events: saying that one comes, who comes (for the organiser), and the event as calendars read it."""

from __future__ import annotations

from typing import Final

from aiohttp import hdrs, web

from fedcomm.http import site_of
from fedcomm.hub import events, participation, timelines
from fedcomm.hub.errors import NotFound
from fedcomm.web import headers, paths, presentation
from fedcomm.web.calendars import CONTENT_TYPE, event_file
from fedcomm.web.forms import path_id, posted_id, read_form
from fedcomm.web.rendering import page, see_other
from fedcomm.web.visits import signed_in, visit_of

STATES: Final[tuple[events.Answer, ...]] = ("requested", "going", "refused")


async def attend(request: web.Request) -> web.StreamResponse:
    """Say that one comes, or does not come after all."""
    member = signed_in(request)
    site = site_of(request)
    object_id = path_id(request)
    form = await read_form(request)
    async with site.db.transaction() as tx:
        if form.flag("undo"):
            await participation.leave(tx, member.id, object_id)
            said = "event_left"
        else:
            state = await participation.join(tx, member.id, object_id)
            said = "event_joined" if state == "going" else "requested"
    site.wake()
    return see_other(paths.safe_path(form.text("back"), paths.object_path(object_id)), said)


async def participants_page(request: web.Request) -> web.StreamResponse:
    """Who comes and who asks to, for the organiser."""
    post = await _organised(request)
    db = visit_of(request).site.db
    people = {}
    for state in STATES:
        found = await participation.participants(db, post.thing.id, state)
        people[state] = await presentation.faces(db, found)
    return await page(
        request,
        "participants.html",
        entry=(await presentation.entries(db, [post]))[0],
        people=people,
    )


async def answer_participant(request: web.Request) -> web.StreamResponse:
    """Let somebody come, or not."""
    member = signed_in(request)
    site = site_of(request)
    post = await _organised(request)
    form = await read_form(request)
    accepted = form.text("action") == "accept"
    async with site.db.transaction() as tx:
        await participation.answer(
            tx, member.id, post.thing.id, posted_id(form, "person"), accepted=accepted
        )
    site.wake()
    path = f"{paths.object_path(post.thing.id)}/participants"
    return see_other(path, "accepted" if accepted else "refused")


async def calendar_file(request: web.Request) -> web.StreamResponse:
    """The event as a file for calendars, for whoever may read it."""
    visit = visit_of(request)
    post = await timelines.post(visit.site.db, visit.viewer, path_id(request))
    if post is None or post.event is None:
        raise NotFound("This is not there any more.")
    page_address = visit.site.origin + presentation.entry_path(post)
    return web.Response(
        body=event_file(post, visit.site.origin, page_address),
        headers={
            hdrs.CONTENT_TYPE: CONTENT_TYPE,
            hdrs.CONTENT_DISPOSITION: 'attachment; filename="event.ics"',
            hdrs.CACHE_CONTROL: headers.PRIVATE,
        },
    )


async def _organised(request: web.Request) -> timelines.Post:
    """The event, if it is the member's own."""
    member = signed_in(request)
    visit = visit_of(request)
    post = await timelines.post(visit.site.db, visit.viewer, path_id(request))
    if post is None or post.event is None or post.thing.author_id != member.id:
        raise NotFound("This is not there any more.")
    return post
