"""The way between servers: our members sent here to follow or answer something elsewhere, and
people of other servers who want to follow something of ours from there."""

from __future__ import annotations

from urllib.parse import quote, urlsplit

from aiohttp import web

from fedcomm.hub import actors, groups
from fedcomm.hub.errors import NotFound
from fedcomm.i18n import gettext as _
from fedcomm.web import paths
from fedcomm.web.forms import query_text, read_form
from fedcomm.web.lookup import (
    can_be_fetched,
    find_location,
    handle_of,
    is_address,
    known_location,
)
from fedcomm.web.presentation import web_address
from fedcomm.web.rendering import page, see_other
from fedcomm.web.visits import signed_in, visit_of


async def interact_form(request: web.Request) -> web.StreamResponse:
    """A member was sent here with an address of another server: go to it, or offer to fetch it."""
    signed_in(request)
    uri = query_text(request, "uri", 2000).removeprefix("acct:")
    location = await known_location(visit_of(request), uri) if uri else None
    if location is not None:
        return see_other(location)
    error = "" if can_be_fetched(uri) else _("This is not the address of a person or a post.")
    return await _interact_page(request, uri, error)


async def interact(request: web.Request) -> web.StreamResponse:
    """Fetch the address and go to it."""
    signed_in(request)
    uri = (await read_form(request)).line("uri").removeprefix("acct:")[:2000]
    location = await find_location(visit_of(request), uri)
    if location is not None:
        return see_other(location)
    return await _interact_page(
        request, uri, _("Nothing was found there, or the other server does not show it.")
    )


async def _interact_page(request: web.Request, uri: str, error: str) -> web.Response:
    host = (urlsplit(uri).hostname or "") if is_address(uri) else uri.rpartition("@")[2]
    return await page(
        request,
        "interact.html",
        status=422 if error else 200,
        uri=uri,
        host=host,
        error=error,
    )


async def follow_from(request: web.Request) -> web.StreamResponse:
    """Somebody of another server wants to follow a person or group of ours: find the page of their
    server where they confirm.

    It is shown as a link, since browsers hold back a redirect to another site after a form
    (`form-action`).
    """
    visit = visit_of(request)
    db = visit.site.db
    kind, name = request.match_info["kind"], request.match_info["name"]
    if kind == "group":
        actor_name = (await groups.known_group(db, visit.viewer, name)).name
        back = paths.group_path(actor_name)
    else:
        actor = await actors.local_actor(db, name)
        if actor is None or actor.kind != "person" or actor.suspended_at is not None:
            raise NotFound("There is no such person.")
        actor_name = actor.name
        back = paths.actor_path(actor)
    handle = (await read_form(request)).line("handle")
    named = handle_of(handle)
    address = f"{actor_name}@{visit.site.host}"
    target = None
    error = ""
    if named is None or named.host is None:
        error = _("Write your address as @name@your.server.")
    elif named.host == visit.site.host:
        error = _("This is an address of this server: log in here instead.")
    elif visit.site.federation is not None:
        template = await visit.site.federation.subscribe_template(f"{named.name}@{named.host}")
        target = _filled(template, address)
        if target is None:
            error = _(
                "Your server does not say where to follow from. Search there for the address below."
            )
    return await page(
        request,
        "follow_from.html",
        status=422 if error else 200,
        target=target,
        host=urlsplit(target).netloc if target else "",
        error=error,
        handle=handle,
        address=address,
        back=back,
        action=request.path,
    )


def _filled(template: str | None, address: str) -> str | None:
    """The subscribe template of another server with `address` in it; None unless it is an address
    that a browser may be sent to."""
    if not template or "{uri}" not in template:
        return None
    return web_address(template.replace("{uri}", quote(address, safe="")))
