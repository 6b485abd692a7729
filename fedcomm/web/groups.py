"""Groups: their pages, joining and leaving, founding one."""

from __future__ import annotations

import re
from typing import Final, cast

from aiohttp import hdrs, web

from activitypub.vocabulary import CONTENT_TYPE
from fedcomm.http import site_of
from fedcomm.hub import actors, circles, group_hosts, groups, timelines
from fedcomm.hub.errors import Invalid, NotAllowed
from fedcomm.hub.visibility import can_see_group
from fedcomm.i18n import LANGUAGES
from fedcomm.i18n import gettext as _
from fedcomm.web import paths, presentation
from fedcomm.web.federated import activity_answer, actor_uri
from fedcomm.web.forms import Form, query_text, read_form
from fedcomm.web.rendering import page, see_other
from fedcomm.web.rows import rows_of
from fedcomm.web.threads import place_in
from fedcomm.web.visits import signed_in, visit_of

_BEFORE: Final = re.compile(r"([0-9]{1,16})-([0-9]{1,19})")


async def groups_page(request: web.Request) -> web.StreamResponse:
    """All groups that the visitor may know of."""
    visit = visit_of(request)
    db = visit.site.db
    after = query_text(request, "after", 100)
    found = await groups.list_groups(db, visit.viewer, after=after, limit=51)
    following = found[49].name if len(found) > 50 else None
    counts = await groups.member_counts(db, [group.id for group in found[:50]])
    mine: set[int] = set()
    if visit.member is not None:
        mine = {group.id for group in await groups.memberships_of(db, visit.member.id)}
    return await page(
        request,
        "groups.html",
        public=True,
        cards=await presentation.group_cards(db, found[:50], counts),
        mine=mine,
        following=following,
    )


async def group_page(request: web.Request) -> web.StreamResponse:
    """A group: what is pinned, then its topics, the last active first."""
    visit = visit_of(request)
    db = visit.site.db
    name = request.match_info["name"]
    known = await groups.group_by_name(db, name)
    answer = await activity_answer(request, "actor", known.id if known else None)
    if answer is not None:
        return answer
    group = await groups.known_group(db, visit.viewer, name)
    if group.name != name:
        raise web.HTTPMovedPermanently(paths.group_path(group.name))
    if not await can_see_group(db, visit.viewer, group.id):
        return await _door(request, group)
    before = None
    if match := _BEFORE.fullmatch(request.query.get("before", "")):
        before = (int(match[1]), min(int(match[2]), timelines.LAST_ID))
    size = visit.site.config.web.page_size
    pinned = [] if before else await timelines.pinned_topics(db, visit.viewer, group.id)
    found = await timelines.group_topics(db, visit.viewer, group.id, before=before, limit=size + 1)
    following = None
    if len(found) > size:
        last = found[size - 1].thing
        following = f"{last.active_at}-{last.id}"
    shown = await rows_of(request, [*pinned, *found[:size]], with_group=False)
    count = await groups.member_count(db, group.id)
    actor = await actors.actor(db, group.id)
    uri = actor_uri(visit.site, actor) if group.mode == "federated" else None
    response = await page(
        request,
        "group.html",
        public=True,
        group=group,
        card=(await presentation.group_cards(db, [group], {group.id: count}))[0],
        pinned=shown.rows[: len(pinned)],
        topics=shown.rows[len(pinned) :],
        now=shown.now,
        is_first_page=before is None,
        following=following,
        place=await place_in(visit, group),
        moved_to=presentation.web_address(group.moved_to),
        activity_uri=uri,
    )
    shown.shown()
    if uri is not None:
        response.headers.add(hdrs.LINK, f'<{uri}>; rel="alternate"; type="{CONTENT_TYPE}"')
    return response


async def _door(request: web.Request, group: groups.Group) -> web.StreamResponse:
    """What somebody sees of a reserved group who is not in it: what it is for, and how to ask."""
    visit = visit_of(request)
    return await page(
        request,
        "group_door.html",
        group=group,
        card=(await presentation.group_cards(visit.site.db, [group]))[0],
        place=await place_in(visit, group),
        askers=await circles.askers(visit.site.db, group.id),
    )


async def group_about(request: web.Request) -> web.StreamResponse:
    """What a group is for, who looks after it, and what leaves this server."""
    visit = visit_of(request)
    db = visit.site.db
    group = await groups.visible_group(db, visit.viewer, request.match_info["name"])
    count = await groups.member_count(db, group.id)
    return await page(
        request,
        "group_about.html",
        public=True,
        group=group,
        card=(await presentation.group_cards(db, [group], {group.id: count}))[0],
        moderators=await presentation.faces(db, await groups.moderators(db, group.id)),
        homes=await group_hosts.homes(db, group.id) if group.mode == "reserved" else [],
        place=await place_in(visit, group),
    )


async def membership(request: web.Request) -> web.StreamResponse:
    """Join, ask to join, or leave."""
    member = signed_in(request)
    visit = visit_of(request)
    site = visit.site
    group = await groups.known_group(site.db, visit.viewer, request.match_info["name"])
    form = await read_form(request)
    leaving = form.text("action") == "leave"
    async with site.db.transaction() as tx:
        if leaving:
            await groups.leave(tx, group.id, member.id)
            said = "left"
        else:
            state = await groups.join(tx, group.id, member.id)
            said = "joined" if state == "active" else "requested"
    site.wake()
    if leaving and group.mode == "private":
        return see_other("/groups", said)
    return see_other(paths.group_path(group.name), said)


async def new_group_form(request: web.Request) -> web.StreamResponse:
    """The form to found a group."""
    if not signed_in(request).is_staff:
        raise NotAllowed("Administrators and moderators found groups here. Ask one of them.")
    form = Form({"mode": ["federated"], "language": [site_of(request).config.instance.language]})
    return await page(request, "new_group.html", form=form, errors={})


async def new_group(request: web.Request) -> web.StreamResponse:
    """Found a group."""
    member = signed_in(request)
    if not member.is_staff:
        raise NotAllowed("Administrators and moderators found groups here. Ask one of them.")
    site = site_of(request)
    form = await read_form(request)
    name = form.line("name").lower().removeprefix("!").removeprefix("@")
    language = form.line("language")
    try:
        async with site.db.transaction() as tx:
            await groups.create_group(
                tx,
                name,
                title=form.line("title"),
                creator_id=member.id,
                local_origin=site.origin,
                description=form.text("description"),
                mode=cast(groups.Mode, form.line("mode")),
                approval=form.flag("approval"),
                language=language if language in LANGUAGES else site.config.instance.language,
                limits=site.limits,
            )
    except Invalid as refusal:
        return await page(
            request,
            "new_group.html",
            status=422,
            form=form,
            errors={refusal.field: _(refusal.message)},
        )
    site.wake()
    return see_other(paths.group_path(name), "created")
