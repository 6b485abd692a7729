"""A member's lists: what those on each have written, and who is on it."""

from __future__ import annotations

from collections.abc import Mapping

from aiohttp import web

from fedcomm.hub import actors, lists, timelines
from fedcomm.hub.errors import HubError, Invalid, NotAllowed
from fedcomm.i18n import gettext as _
from fedcomm.web import paths, presentation
from fedcomm.web.forms import path_id, posted_id, query_id, read_form
from fedcomm.web.rendering import page, see_other
from fedcomm.web.rows import rows_of
from fedcomm.web.visits import signed_in, visit_of


async def lists_page(request: web.Request) -> web.StreamResponse:
    """All lists, and a form for another one."""
    return await _lists_page(request)


async def _lists_page(
    request: web.Request, errors: Mapping[str, str] | None = None, title: str = ""
) -> web.StreamResponse:
    member = signed_in(request)
    return await page(
        request,
        "lists.html",
        status=422 if errors else 200,
        errors=errors or {},
        title=title,
        lists=await lists.of_member(visit_of(request).site.db, member.id),
    )


async def create(request: web.Request) -> web.StreamResponse:
    """Make a list."""
    member = signed_in(request)
    form = await read_form(request)
    try:
        async with visit_of(request).site.db.transaction() as tx:
            number = await lists.create(tx, member.id, form.line("title"))
    except HubError as refusal:
        return await _lists_page(request, {"title": _(refusal.message)}, form.line("title"))
    return see_other(f"/lists/{number}")


async def list_page(request: web.Request) -> web.StreamResponse:
    """What those on a list have written, newest first."""
    return await _list_page(request)


async def _list_page(
    request: web.Request, errors: Mapping[str, str] | None = None, title: str | None = None
) -> web.StreamResponse:
    member = signed_in(request)
    visit = visit_of(request)
    db = visit.site.db
    found = await lists.find(db, member.id, path_id(request))
    size = visit.site.config.web.page_size
    posts = await timelines.home(
        db,
        visit.viewer,
        list_id=found.id,
        before=query_id(request, "before"),
        limit=size + 1,
    )
    people = await lists.entries(db, found.id)
    faces = await presentation.faces(db, [actor for actor, _followed in people])
    rows = await rows_of(request, posts[:size])
    response = await page(
        request,
        "list.html",
        status=422 if errors else 200,
        errors=errors or {},
        list=found,
        title=found.title if title is None else title,
        people=[(face, followed) for face, (_actor, followed) in zip(faces, people, strict=True)],
        topics=rows.rows,
        now=rows.now,
        following=posts[size - 1].thing.id if len(posts) > size else None,
    )
    rows.shown()
    return response


async def change(request: web.Request) -> web.StreamResponse:
    """Give a list another title, delete it, or take somebody off it."""
    member = signed_in(request)
    number = path_id(request)
    form = await read_form(request)
    action = form.text("action")
    try:
        async with visit_of(request).site.db.transaction() as tx:
            if action == "delete":
                await lists.delete(tx, member.id, number)
            elif action == "put":
                await lists.put(tx, member.id, number, await _found(request, form.line("person")))
            elif action == "take-off":
                await lists.take_off(tx, member.id, number, posted_id(form, "person"))
            else:
                await lists.rename(tx, member.id, number, form.line("title"))
    except NotAllowed as refusal:
        return await _list_page(request, {"person": _(refusal.message)})
    except Invalid as refusal:
        return await _list_page(request, {refusal.field: _(refusal.message)}, form.line("title"))
    if action == "delete":
        return see_other("/lists", "list_deleted")
    return see_other(f"/lists/{number}", "saved")


async def _found(request: web.Request, handle: str) -> int:
    """Who is meant, if the member follows them already: nobody is looked for elsewhere."""
    visit = visit_of(request)
    name, _at, host = handle.removeprefix("@").partition("@")
    if not host or host.lower() == visit.site.host:
        found = await actors.local_actor(visit.site.db, name)
    else:
        found = await actors.remote_actor(visit.site.db, name, host)
    if found is None:
        raise NotAllowed("Follow them first: a list shows those whom you follow.")
    return found.id


async def put(request: web.Request) -> web.StreamResponse:
    """Say on which lists somebody is whose page is shown."""
    member = signed_in(request)
    actor_id = path_id(request)
    form = await read_form(request)
    async with visit_of(request).site.db.transaction() as tx:
        await lists.put_on(tx, member.id, actor_id, form.ids("list"))
        actor = await actors.actor(tx, actor_id)
    assert actor is not None
    return see_other(paths.safe_path(form.text("back"), paths.actor_path(actor)), "saved")
