"""People: members of this hub, people of other servers, and who follows whom."""

from __future__ import annotations

from typing import Final

from aiohttp import hdrs, web

from activitypub.vocabulary import CONTENT_TYPE
from fedcomm.http import site_of
from fedcomm.hub import actors, avoidance, follows, groups, lists, profiles, timelines
from fedcomm.hub.errors import NotFound
from fedcomm.hub.visibility import can_know_group
from fedcomm.i18n import gettext as _
from fedcomm.web import emotes, paths, presentation
from fedcomm.web.federated import activity_answer, actor_uri
from fedcomm.web.forms import path_id, query_id, read_form
from fedcomm.web.lookup import find_actor, is_shown
from fedcomm.web.rendering import page, see_other
from fedcomm.web.rows import rows_of
from fedcomm.web.visits import Visit, signed_in, visit_of

ALIASES_SHOWN: Final = 10


async def member_page(request: web.Request) -> web.StreamResponse:
    """A member: what they say of themselves and what they wrote."""
    visit = visit_of(request)
    db = visit.site.db
    name = request.match_info["name"]
    actor = await actors.local_actor(db, name)
    if actor is not None and actor.kind not in ("person", "group"):
        actor = None
    answer = await activity_answer(request, "actor", actor.id if actor else None)
    if answer is not None:
        return answer
    if actor is None:
        raise NotFound("There is no such person.")
    if actor.kind == "group":
        if not await can_know_group(db, visit.viewer, actor.id):
            raise NotFound("There is no such group.")
        raise web.HTTPMovedPermanently(paths.group_path(actor.name))
    if actor.suspended_at is not None:
        raise NotFound("There is no such person.")
    if actor.name != name:
        raise web.HTTPMovedPermanently(paths.actor_path(actor))
    uri = actor_uri(visit.site, actor)
    response = await _actor_page(request, actor, uri)
    if uri is not None:
        response.headers.add(hdrs.LINK, f'<{uri}>; rel="alternate"; type="{CONTENT_TYPE}"')
    return response


async def remote_page(request: web.Request) -> web.StreamResponse:
    """A person or group of another server, as far as this hub knows them and the visitor may see it."""
    visit = visit_of(request)
    db = visit.site.db
    name, host = request.match_info["name"], request.match_info["host"]
    if host.lower() == visit.site.host:
        raise web.HTTPMovedPermanently(f"/@{name.lower()}")
    actor = await actors.remote_actor(db, name, host)
    if actor is None or actor.suspended_at is not None or not await is_shown(visit, actor):
        raise NotFound("There is no such person.")
    return await _actor_page(request, actor, None)


async def _actor_page(request: web.Request, actor: actors.Actor, uri: str | None) -> web.Response:
    visit = visit_of(request)
    db = visit.site.db
    size = visit.site.config.web.page_size
    found = await timelines.by_author(
        db, visit.viewer, actor.id, before=query_id(request, "before"), limit=size + 1
    )
    followed = None
    if visit.member is not None and visit.member.id != actor.id:
        followed = await follows.find(db, visit.member.id, actor.id)
    files = await presentation.files_of(db, [actor.avatar_id])
    picture = files.get(actor.avatar_id) if actor.avatar_id is not None else None
    known = await emotes.pictures(db, {actor.host_id: [actor.title, actor.summary_html]})
    rows = await rows_of(request, found[:size])
    response = await page(
        request,
        "person.html",
        public=True,
        actor=actor,
        face=presentation.face(actor, files, known),
        about=emotes.said(presentation.html_of(actor), actor.host_id, known),
        picture=picture,
        counts=await follows.counts(db, actor.id) if actor.is_local else None,
        followed=followed,
        lists=await lists.of_member(db, visit.member.id) if followed and visit.member else [],
        on_lists=(
            await lists.holding(db, visit.member.id, actor.id) if followed and visit.member else ()
        ),
        is_self=visit.member is not None and visit.member.id == actor.id,
        address=presentation.web_address(actor.url) or presentation.web_address(actor.uri),
        topics=rows.rows,
        now=rows.now,
        following=found[size - 1].thing.id if len(found) > size else None,
        activity_uri=uri,
        fields=await profiles.fields_of(db, actor.id),
        aliases=[
            uri
            for uri in (await profiles.aliases_of(db, actor.id))[:ALIASES_SHOWN]
            if presentation.web_address(uri)
        ],
        moved_to=presentation.web_address(actor.moved_to_uri),
        avoided=(await avoidance.kind_of(db, visit.member.id, actor.id) if visit.member else None),
    )
    rows.shown()
    return response


async def following_page(request: web.Request) -> web.StreamResponse:
    """Whom the member follows, here and elsewhere."""
    signed_in(request)
    return await _following_page(request)


async def _following_page(
    request: web.Request, handle: str = "", error: str = ""
) -> web.StreamResponse:
    visit = visit_of(request)
    db = visit.site.db
    member = signed_in(request)
    found = await follows.followed_by(
        db, member.id, after=query_id(request, "after") or 0, limit=51
    )
    shown = found[:50]
    faces = await presentation.faces(db, [actor for actor, _state in shown])
    waiting = await follows.requests_to(db, member.id)
    return await page(
        request,
        "following.html",
        status=422 if error else 200,
        handle=handle,
        error=error,
        people=[(face, state) for face, (_actor, state) in zip(faces, shown, strict=True)],
        groups=await groups.memberships_of(db, member.id),
        requests=await presentation.faces(db, waiting),
        following=shown[-1][0].id if len(found) > 50 else None,
    )


async def follow_handle(request: web.Request) -> web.StreamResponse:
    """Follow somebody by their address; a group of ours is shown instead, to be joined there."""
    member = signed_in(request)
    site = site_of(request)
    form = await read_form(request)
    handle = form.line("handle")
    actor = await find_actor(visit_of(request), handle)
    if actor is None:
        return await _following_page(
            request,
            handle,
            _("Nobody was found there. Is the address right? It looks like @name@server."),
        )
    if actor.is_local and actor.kind == "group":
        return see_other(paths.group_path(actor.name))
    if actor.id == member.id:
        return await _following_page(request, handle, _("Nobody can follow themselves."))
    async with site.db.transaction() as tx:
        state = await follows.request(tx, member.id, actor.id)
    site.wake()
    return see_other(paths.actor_path(actor), "followed" if state == "active" else "requested")


async def follow(request: web.Request) -> web.StreamResponse:
    """Follow, or stop following, somebody whose page is shown."""
    member = signed_in(request)
    visit = visit_of(request)
    actor = await _known(visit, path_id(request))
    form = await read_form(request)
    back = paths.safe_path(form.text("back"), paths.actor_path(actor))
    async with visit.site.db.transaction() as tx:
        if form.flag("undo"):
            await follows.end(tx, member.id, actor.id)
            said = "unfollowed"
        else:
            state = await follows.request(tx, member.id, actor.id)
            said = "followed" if state == "active" else "requested"
    visit.site.wake()
    return see_other(back, said)


async def answer_follower(request: web.Request) -> web.StreamResponse:
    """Accept or refuse somebody who asked to follow."""
    member = signed_in(request)
    site = site_of(request)
    follower_id = path_id(request)
    form = await read_form(request)
    accepting = form.text("action") == "accept"
    async with site.db.transaction() as tx:
        if accepting:
            await follows.accept(tx, follower_id, member.id)
        else:
            await follows.end(tx, follower_id, member.id, refused=True)
    site.wake()
    back = paths.safe_path(form.text("back"), "/following")
    return see_other(back, "accepted" if accepting else "refused")


async def _known(visit: Visit, actor_id: int) -> actors.Actor:
    actor = await actors.actor(visit.site.db, actor_id)
    if actor is None or actor.deleted_at is not None or (actor.is_local and actor.kind != "person"):
        raise NotFound("There is no such person.")
    return actor
