"""What moderators of a group do: its texts and rules, its pictures, its people."""

from __future__ import annotations

from typing import cast

from aiohttp import web

from fedcomm.http import site_of
from fedcomm.hub import (
    actors,
    admission,
    bans,
    circles,
    group_hosts,
    groups,
    media,
    moderation,
    restrictions,
    threads,
)
from fedcomm.hub.errors import Invalid, NotAllowed, NotFound
from fedcomm.hub.images import AVATAR, HEADER
from fedcomm.i18n import gettext as _
from fedcomm.store.database import Transaction
from fedcomm.web import paths, presentation
from fedcomm.web.composer import store_picture
from fedcomm.web.forms import Form, posted_id, query_id, read_form, whole_number
from fedcomm.web.rendering import page, see_other
from fedcomm.web.threads import place_in
from fedcomm.web.visits import signed_in, visit_of

MEMBERS_PER_PAGE = 50


async def manage_form(request: web.Request) -> web.StreamResponse:
    """Everything that moderators can change, on one page."""
    group = await _moderated(request)
    return await _manage_page(request, group, None, {})


async def manage(request: web.Request) -> web.StreamResponse:
    """Change the group's texts, rules and pictures."""
    member = signed_in(request)
    site = site_of(request)
    group = await _moderated(request)
    form = await read_form(request, files=2)
    try:
        pictures: dict[str, int | None] = {"avatar": None, "header": None}
        if "avatar" in form.files:
            pictures["avatar"] = await store_picture(
                request,
                form.files["avatar"],
                member,
                purpose="avatar",
                limits=AVATAR,
                alt=form.text("avatar_alt"),
            )
        if "header" in form.files:
            pictures["header"] = await store_picture(
                request,
                form.files["header"],
                member,
                purpose="header",
                limits=HEADER,
                alt=form.text("header_alt"),
            )
        async with site.db.transaction() as tx:
            await groups.edit_group(
                tx,
                group.id,
                member.id,
                title=form.line("title"),
                description=form.text("description"),
                approval=form.flag("approval"),
                announce_replies=form.flag("announce_replies"),
                relayed=form.flag("relayed") if site.config.relays.enabled else None,
                topics_by=cast(groups.TopicsBy, form.text("topics_by") or group.topics_by),
                topics_per_hour=_number(form, "topics_per_hour"),
                first_posts_wait=form.flag("first_posts_wait"),
                local_origin=site.origin,
                avatar_id=pictures["avatar"],
                header_id=pictures["header"],
                limits=site.limits,
            )
    except Invalid as refusal:
        return await _manage_page(request, group, form, {refusal.field: _(refusal.message)})
    site.wake()
    replaced = [
        old
        for old, new in ((group.avatar_id, "avatar"), (group.header_id, "header"))
        if old is not None and pictures[new] is not None
    ]
    await media.remove_orphans(site.db, site.media_folder, replaced)
    return see_other(f"{paths.group_path(group.name)}/manage", "saved")


async def members(request: web.Request) -> web.StreamResponse:
    """Let somebody in, refuse or remove them, add a member by name, change a role."""
    member = signed_in(request)
    site = site_of(request)
    group = await _moderated(request)
    form = await read_form(request)
    action = form.text("action")
    said = "saved"
    try:
        async with site.db.transaction() as tx:
            if action == "add":
                name = form.line("name").lower().removeprefix("@")
                person = await actors.local_actor(tx, name)
                if person is None or person.kind != "person":
                    raise Invalid("name", "There is no member with this name.")
                await groups.add_member(tx, group.id, member.id, person.id)
            elif action in ("approve", "demote"):
                await groups.add_member(tx, group.id, member.id, posted_id(form, "person"))
                said = "accepted" if action == "approve" else "saved"
            elif action == "promote":
                person_id = posted_id(form, "person")
                await groups.add_member(tx, group.id, member.id, person_id, "moderator")
            elif action in ("refuse", "remove"):
                await groups.refuse(tx, group.id, member.id, posted_id(form, "person"))
                said = "refused" if action == "refuse" else "removed"
            elif action == "ban":
                await moderation.ban(
                    tx,
                    group.id,
                    member.id,
                    await _person_to_ban(tx, form),
                    moderation.Grounds(form.text("reason")),
                    days=_number(form, "days") or None,
                    remove_posts=form.flag("remove_posts"),
                )
                said = "banned"
            elif action == "restrict":
                await moderation.restrict(
                    tx,
                    member.id,
                    await _person_to_ban(tx, form),
                    moderation.Grounds(form.text("reason")),
                    group.id,
                    days=_number(form, "days") or None,
                )
            elif action == "unban":
                await moderation.unban(tx, group.id, member.id, posted_id(form, "person"))
                said = "unbanned"
            else:
                raise web.HTTPBadRequest()
    except Invalid as refusal:
        return await _manage_page(request, group, None, {refusal.field: _(refusal.message)}, form)
    site.wake()
    return see_other(f"{paths.group_path(group.name)}/manage", said)


async def hosts(request: web.Request) -> web.StreamResponse:
    """Say which servers may follow the group and write in it."""
    member = signed_in(request)
    site = site_of(request)
    group = await _moderated(request)
    form = await read_form(request)
    try:
        async with site.db.transaction() as tx:
            access = cast(group_hosts.Access, form.text("access"))
            if form.text("action") == "others":
                await admission.set_other_hosts(tx, group.id, member.id, access)
            elif form.text("action") == "set":
                await admission.set_host(tx, group.id, member.id, form.line("domain"), access)
            elif form.text("action") == "remove":
                await admission.set_host(tx, group.id, member.id, form.line("domain"), None)
            else:
                raise web.HTTPBadRequest()
    except Invalid as refusal:
        return await _manage_page(request, group, None, {refusal.field: _(refusal.message)}, form)
    return see_other(f"{paths.group_path(group.name)}/manage", "saved")


async def askers(request: web.Request) -> web.StreamResponse:
    """Say which servers' people may ask to join a reserved group."""
    member = signed_in(request)
    site = site_of(request)
    group = await _moderated(request)
    form = await read_form(request)
    try:
        async with site.db.transaction() as tx:
            await circles.set_askers(tx, group.id, member.id, form.text("askers").split())
    except Invalid as refusal:
        return await _manage_page(request, group, None, {refusal.field: _(refusal.message)}, form)
    site.wake()
    return see_other(f"{paths.group_path(group.name)}/manage", "saved")


async def waiting(request: web.Request) -> web.StreamResponse:
    """Let a first post of an unknown server in, or refuse it."""
    member = signed_in(request)
    site = site_of(request)
    group = await _moderated(request)
    form = await read_form(request)
    post_id = posted_id(form, "post")
    found = await threads.thing(site.db, post_id)
    if found is None or found.group_id != group.id:
        raise NotFound("This is not there any more.")
    try:
        async with site.db.transaction() as tx:
            if form.text("action") == "let_in":
                await moderation.let_in(tx, member.id, post_id)
            elif form.text("action") == "turn_away":
                await moderation.turn_away(tx, member.id, post_id, form.text("reason"))
            else:
                raise web.HTTPBadRequest()
    except Invalid as refusal:
        return await _manage_page(request, group, None, {refusal.field: _(refusal.message)}, form)
    site.wake()
    said = "accepted" if form.text("action") == "let_in" else "refused"
    return see_other(f"{paths.group_path(group.name)}/manage", said)


def _number(form: Form, name: str) -> int:
    """A whole number in a field; an empty one is 0."""
    number = whole_number(form.line(name) or "0", 999_999)
    if number is None:
        raise Invalid(name, "Write a whole number.")
    return number


async def _person_to_ban(tx: Transaction, form: Form) -> int:
    """Who is named by address, or by the button beside them."""
    handle = form.line("handle").removeprefix("@")
    if not handle:
        return posted_id(form, "person")
    name, _at, host = handle.partition("@")
    person = (
        await actors.remote_actor(tx, name, host) if host else await actors.local_actor(tx, name)
    )
    if person is None or person.kind == "group":
        raise Invalid("handle", "Nobody of this address is known here.")
    return person.id


async def _moderated(request: web.Request) -> groups.Group:
    signed_in(request)
    visit = visit_of(request)
    group = await groups.visible_group(visit.site.db, visit.viewer, request.match_info["name"])
    if not (await place_in(visit, group)).moderates:
        raise NotAllowed("Only moderators of the group can do this.")
    return group


async def _manage_page(
    request: web.Request,
    group: groups.Group,
    form: Form | None,
    errors: dict[str, str],
    people_form: Form | None = None,
) -> web.StreamResponse:
    visit = visit_of(request)
    db = visit.site.db
    after = query_id(request, "after") or 0
    requests = await groups.list_memberships(db, group.id, "requested", limit=100)
    found = await groups.list_memberships(
        db, group.id, "active", after=after, limit=MEMBERS_PER_PAGE + 1
    )
    shown = found[:MEMBERS_PER_PAGE]
    if form is None:
        form = Form(
            {
                "title": [group.title],
                "description": [group.summary_source],
                "approval": ["1" if group.approval else ""],
                "announce_replies": ["1" if group.announce_replies else ""],
                "relayed": ["1" if group.relayed else ""],
                "topics_by": [group.topics_by],
                "topics_per_hour": [str(group.topics_per_hour)],
                "first_posts_wait": ["1" if group.first_posts_wait else ""],
            }
        )
    faces = await presentation.faces(db, [person for person, _role in shown])
    banned = await bans.bans(db, group.id)
    restricted = await restrictions.restrictions(db, group.id)
    held = [await threads.thing(db, each) for each in await admission.waiting(db, group.id)]
    posts = [thing for thing in held if thing is not None]
    authors = await actors.actors(db, sorted({thing.author_id for thing in posts}))
    writers = await presentation.faces(db, [authors[thing.author_id] for thing in posts])
    return await page(
        request,
        "group_manage.html",
        status=422 if errors else 200,
        group=group,
        card=(await presentation.group_cards(db, [group]))[0],
        place=await place_in(visit, group),
        form=form,
        errors=errors,
        added_name=people_form.line("name") if people_form else "",
        requests=await presentation.faces(db, [person for person, _role in requests]),
        banned=list(
            zip(await presentation.faces(db, [ban.person for ban in banned]), banned, strict=True)
        ),
        restricted=list(
            zip(
                await presentation.faces(db, [each.person for each in restricted]),
                restricted,
                strict=True,
            )
        ),
        waiting=list(zip(writers, posts, strict=True)),
        ban_form=people_form or Form(),
        with_relays=visit.site.config.relays.enabled,
        homes=await group_hosts.homes(db, group.id) if group.mode == "reserved" else [],
        askers_text=(people_form.text("askers") if people_form else "")
        or "\n".join(await circles.askers(db, group.id)),
        host_rules=await group_hosts.rules(db, group.id),
        other_hosts=await group_hosts.default(db, group.id),
        people=[(face, role) for face, (_person, role) in zip(faces, shown, strict=True)],
        following=shown[-1][0].id if len(found) > MEMBERS_PER_PAGE else None,
    )
