"""The end of a group here, and its moves: for its owner, and closing for administrators as well."""

from __future__ import annotations

from aiohttp import web

from fedcomm.http import site_of
from fedcomm.hub import actors, closing, groups, members, moving, profiles
from fedcomm.hub.errors import HubError, Invalid, NotAllowed
from fedcomm.i18n import gettext as _
from fedcomm.web import paths, presentation
from fedcomm.web.forms import Form, read_form
from fedcomm.web.lookup import find_actor
from fedcomm.web.rendering import page, see_other
from fedcomm.web.threads import place_in
from fedcomm.web.visits import signed_in, visit_of


async def life_form(request: web.Request) -> web.StreamResponse:
    """Moving the group, taking it back, closing it."""
    return await _page(request, await _governed(request), Form(), {})


async def move(request: web.Request) -> web.StreamResponse:
    """Name where the group was before, move it to another server, or take it up here again."""
    member = signed_in(request)
    visit = visit_of(request)
    site = visit.site
    group = await _governed(request)
    form = await read_form(request)
    action = form.text("action")
    said = "saved"
    try:
        if action in ("former", "no_former"):
            uri = form.text("uri")
            if action == "former":
                other = await find_actor(visit, form.line("alias"))
                if other is None or other.uri is None or other.kind != "group":
                    raise Invalid("alias", "No group of another server was found there.")
                uri = other.uri
            async with site.db.transaction() as tx:
                await moving.name_former_group(
                    tx, group.id, member.id, uri, removed=action == "no_former"
                )
        elif action == "return":
            async with site.db.transaction() as tx:
                await moving.take_group_back(tx, group.id, member.id)
        elif action == "move":
            await _move_out(request, group, form)
            said = "group_moved"
        else:
            raise web.HTTPBadRequest()
    except Invalid as refusal:
        return await _page(request, group, form, {refusal.field: _(refusal.message)})
    except HubError as refusal:
        return await _page(request, group, form, {"target": _(refusal.message)})
    site.wake()
    return see_other(f"{paths.group_path(group.name)}/life", said)


async def _move_out(request: web.Request, group: groups.Group, form: Form) -> None:
    member = signed_in(request)
    visit = visit_of(request)
    site = visit.site
    if form.line("confirm").removeprefix("!").removeprefix("@") != group.name:
        raise Invalid("confirm", "Write the name of the group here to confirm.")
    target = await find_actor(visit, form.line("target"))
    own = await actors.actor(site.db, group.id)
    if target is None or target.uri is None or site.federation is None or own is None:
        raise Invalid("target", "No group of another server was found there.")
    # Fetched now: the new place must say today that it was this group (INV-19).
    if not await site.federation.is_alias(target.uri, own):
        raise Invalid("target", "That group does not name this one as its alias yet.")
    async with site.db.transaction() as tx:
        await moving.move_group_out(tx, group.id, member.id, target.id)


async def close(request: web.Request) -> web.StreamResponse:
    """Close the group for good, knowing one's password."""
    member = signed_in(request)
    site = site_of(request)
    group = await _governed(request)
    form = await read_form(request)
    try:
        if form.line("close_confirm").removeprefix("!").removeprefix("@") != group.name:
            raise Invalid("close_confirm", "Write the name of the group here to confirm.")
        if not await members.has_password(site.db, member.id, form.text("password")):
            raise Invalid("password", "This is not your password.")
        async with site.db.transaction() as tx:
            await closing.close(tx, group.id, member.id, form.text("reason"))
    except Invalid as refusal:
        return await _page(request, group, form, {refusal.field: _(refusal.message)})
    # Said only when it is written down where no backup can undo it (INV-51).
    await site.erasure_journal.catch_up(site.db)
    site.wake()
    return see_other("/groups", "group_closed")


async def _governed(request: web.Request) -> groups.Group:
    """The group, for who may end it here."""
    member = signed_in(request)
    visit = visit_of(request)
    group = await groups.visible_group(visit.site.db, visit.viewer, request.match_info["name"])
    if not await closing.may_close(visit.site.db, group.id, member.id):
        raise NotAllowed("Only the owner of the group or an administrator does this.")
    return group


async def _page(
    request: web.Request, group: groups.Group, form: Form, errors: dict[str, str]
) -> web.StreamResponse:
    visit = visit_of(request)
    return await page(
        request,
        "group_life.html",
        status=422 if errors else 200,
        group=group,
        place=await place_in(visit, group),
        aliases=await profiles.aliases_of(visit.site.db, group.id),
        moved_to=presentation.web_address(group.moved_to),
        members=await groups.member_count(visit.site.db, group.id),
        form=form,
        errors=errors,
    )
