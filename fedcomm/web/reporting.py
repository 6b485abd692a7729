"""The form by which a member reports a post or a person."""

from __future__ import annotations

from typing import cast

from aiohttp import web

from fedcomm.hub import actors, reports, rules, timelines
from fedcomm.hub.errors import Invalid, NotFound
from fedcomm.i18n import gettext as _
from fedcomm.store.ids import parse_id
from fedcomm.web import paths, presentation
from fedcomm.web.forms import Form, path_id, read_form
from fedcomm.web.rendering import page, see_other
from fedcomm.web.visits import signed_in, visit_of


async def report_post_form(request: web.Request) -> web.StreamResponse:
    """The form to report a post."""
    return await _page(request, await _post(request), None, Form(), {})


async def report_post(request: web.Request) -> web.StreamResponse:
    """Report a post."""
    return await _file(request, await _post(request), None)


async def report_person_form(request: web.Request) -> web.StreamResponse:
    """The form to report a person."""
    return await _page(request, None, await _person(request), Form(), {})


async def report_person(request: web.Request) -> web.StreamResponse:
    """Report a person."""
    return await _file(request, None, await _person(request))


async def _post(request: web.Request) -> timelines.Post:
    """The post, if the member may read it: nobody reports what they cannot see (INV-20)."""
    signed_in(request)
    visit = visit_of(request)
    post = await timelines.post(visit.site.db, visit.viewer, path_id(request))
    if post is None:
        raise NotFound("This is not there any more.")
    return post


async def _person(request: web.Request) -> actors.Actor:
    signed_in(request)
    actor = await actors.actor(visit_of(request).site.db, path_id(request))
    if actor is None or actor.deleted_at is not None or actor.kind not in ("person", "service"):
        raise NotFound("There is no such person.")
    return actor


async def _file(
    request: web.Request, post: timelines.Post | None, person: actors.Actor | None
) -> web.StreamResponse:
    member = signed_in(request)
    site = visit_of(request).site
    form = await read_form(request)
    is_remote = not (post.author if post is not None else cast(actors.Actor, person)).is_local
    forward = form.text("forward") if is_remote else ""
    if forward not in ("", "anonymous", "named"):
        raise web.HTTPBadRequest()
    try:
        async with site.db.transaction() as tx:
            await reports.file(
                tx,
                reporter_id=member.id,
                people=[person.id] if person is not None else [],
                things=[post.thing.id] if post is not None else [],
                reason=form.text("reason"),
                rule=await rules.reference(tx, parse_id(form.text("rule"))),
                forward=cast(reports.Forward, forward),
            )
    except Invalid as refusal:
        return await _page(request, post, person, form, {refusal.field: _(refusal.message)})
    site.wake()
    if post is not None:
        return see_other(presentation.entry_path(post), "reported")
    return see_other(paths.actor_path(cast(actors.Actor, person)), "reported")


async def _page(
    request: web.Request,
    post: timelines.Post | None,
    person: actors.Actor | None,
    form: Form,
    errors: dict[str, str],
) -> web.StreamResponse:
    db = visit_of(request).site.db
    author = post.author if post is not None else cast(actors.Actor, person)
    return await page(
        request,
        "report.html",
        status=422 if errors else 200,
        entry=(await presentation.entries(db, [post]))[0] if post is not None else None,
        face=(await presentation.faces(db, [author]))[0],
        rules=await rules.current(db),
        form=form,
        errors=errors,
        action=request.rel_url.raw_path,
    )
