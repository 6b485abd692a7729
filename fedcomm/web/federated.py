"""Where pages touch the ActivityPub spoke: the same address answers both, and some pages look
elsewhere. Everything here works, with less to offer, where federation is switched off."""

from __future__ import annotations

from typing import Literal

from aiohttp import hdrs, web

from activitypub.vocabulary import wants_activity
from fedcomm.http import site_of
from fedcomm.hub import actors
from fedcomm.hub.threads import Thing
from fedcomm.site import Site

NOBODY = 0
"""An id that nothing has: the spoke then says that there is nothing, just as it always does."""


async def activity_answer(
    request: web.Request, kind: Literal["actor", "object"], identifier: int | None
) -> web.StreamResponse | None:
    """The ActivityPub form of this page if the visitor asks for it. The spoke asks the gate itself;
    what does not exist goes through it too, so that nobody can tell the two apart (INV-20)."""
    site = site_of(request)
    if site.federation is None or not wants_activity(request.headers.get(hdrs.ACCEPT)):
        return None
    return await site.federation.respond(request, kind, identifier or NOBODY)


def actor_uri(site: Site, actor: actors.Actor | None) -> str | None:
    """The ActivityPub id of an actor of ours."""
    if site.federation is None or actor is None or not actor.is_local:
        return None
    return site.federation.actor_uri(actor)


def object_uri(site: Site, thing: Thing) -> str | None:
    """The ActivityPub id of something public that was written here."""
    if site.federation is None or thing.visibility not in ("public", "unlisted"):
        return None
    return site.federation.object_uri(thing)
