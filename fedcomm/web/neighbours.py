"""A member's relations that are nobody else's business: whom they avoid, their other accounts, moving."""

from __future__ import annotations

from aiohttp import web

from fedcomm.http import site_of
from fedcomm.hub import actors, avoidance, follows, moving, profiles
from fedcomm.hub.errors import HubError, Invalid, NotFound
from fedcomm.i18n import gettext as _
from fedcomm.web import paths, presentation
from fedcomm.web.forms import Form, path_id, posted_id, read_form
from fedcomm.web.lookup import find_actor
from fedcomm.web.rendering import page, see_other
from fedcomm.web.visits import signed_in, visit_of


async def neighbours_page(request: web.Request) -> web.StreamResponse:
    """Blocked and muted people and servers, other accounts, and moving."""
    signed_in(request)
    return await _neighbours_page(request)


async def _neighbours_page(
    request: web.Request, errors: dict[str, str] | None = None, form: Form | None = None
) -> web.StreamResponse:
    member = signed_in(request)
    db = visit_of(request).site.db
    avoided = await avoidance.avoided_by(db, member.id)
    faces = await presentation.faces(db, [person for person, _kind in avoided])
    own = await actors.actor(db, member.id)
    assert own is not None
    return await page(
        request,
        "neighbours.html",
        status=422 if errors else 200,
        errors=errors or {},
        form=form or Form(),
        people=[(face, kind) for face, (_person, kind) in zip(faces, avoided, strict=True)],
        servers=await avoidance.hosts_avoided_by(db, member.id),
        aliases=await profiles.aliases_of(db, member.id),
        moved_to=presentation.web_address(own.moved_to_uri),
    )


async def avoid(request: web.Request) -> web.StreamResponse:
    """Block or mute the person whose page is shown, or end it."""
    member = signed_in(request)
    site = site_of(request)
    actor_id = path_id(request)
    form = await read_form(request)
    actor = await actors.actor(site.db, actor_id)
    if actor is None or (actor.is_local and actor.kind != "person"):
        raise NotFound("There is no such person.")
    action = form.text("action")
    async with site.db.transaction() as tx:
        if action == "block":
            await follows.keep_away(tx, member.id, actor_id)
            await avoidance.avoid(tx, member.id, actor_id, "block", announce=form.flag("announce"))
        elif action == "mute":
            await avoidance.avoid(tx, member.id, actor_id, "mute")
        else:
            await avoidance.meet_again(tx, member.id, actor_id)
    site.wake()
    said = {"block": "blocked", "mute": "muted"}.get(action, "unavoided")
    return see_other(paths.safe_path(form.text("back"), paths.actor_path(actor)), said)


async def avoid_server(request: web.Request) -> web.StreamResponse:
    """Block or mute a whole server, or end it."""
    member = signed_in(request)
    site = site_of(request)
    form = await read_form(request)
    action = form.text("action")
    try:
        async with site.db.transaction() as tx:
            if action == "end":
                await avoidance.meet_host_again(tx, member.id, posted_id(form, "server"))
            else:
                kind: avoidance.Kind = "block" if action == "block" else "mute"
                name = form.line("name").removeprefix("https://").strip("/").rpartition("@")[2]
                host_id = await avoidance.avoid_host(tx, member.id, name, kind)
                if kind == "block":
                    await follows.keep_host_away(tx, member.id, host_id)
    except NotFound as refusal:
        return await _neighbours_page(request, {"name": _(refusal.message)}, form)
    site.wake()
    return see_other("/settings/people", "saved")


async def name_alias(request: web.Request) -> web.StreamResponse:
    """Name another account of the member, or name it no longer."""
    member = signed_in(request)
    site = site_of(request)
    form = await read_form(request)
    removed = form.text("remove")
    try:
        if removed:
            async with site.db.transaction() as tx:
                await profiles.remove_alias(tx, member.id, removed)
        else:
            other = await find_actor(visit_of(request), form.line("alias"))
            if other is None or other.uri is None or other.id == member.id:
                raise Invalid("alias", "No account of another server was found there.")
            async with site.db.transaction() as tx:
                await profiles.add_alias(tx, member.id, other.uri)
    except Invalid as refusal:
        return await _neighbours_page(request, {refusal.field: _(refusal.message)}, form)
    site.wake()
    return see_other("/settings/people", "saved")


async def move(request: web.Request) -> web.StreamResponse:
    """Move to an account elsewhere that names this one; or use this one again."""
    member = signed_in(request)
    site = site_of(request)
    form = await read_form(request)
    if form.flag("return"):
        async with site.db.transaction() as tx:
            await moving.come_back(tx, member.id)
        site.wake()
        return see_other("/settings/people", "saved")
    own = await actors.actor(site.db, member.id)
    assert own is not None
    try:
        if form.line("confirm").removeprefix("@") != member.name:
            raise Invalid("confirm", "Write your name here to confirm.")
        target = await find_actor(visit_of(request), form.line("target"))
        if target is None or target.uri is None or site.federation is None:
            raise Invalid("target", "No account of another server was found there.")
        if not await site.federation.is_alias(target.uri, own):
            raise Invalid("target", "That account does not name this one as its alias yet.")
        async with site.db.transaction() as tx:
            await moving.move_out(tx, member.id, target.id)
    except HubError as refusal:
        field = refusal.field if isinstance(refusal, Invalid) else "target"
        return await _neighbours_page(request, {field: _(refusal.message)}, form)
    site.wake()
    return see_other("/settings/people", "moved")
