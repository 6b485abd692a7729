"""Finding people and posts by what a member typed or was sent with: an address, a handle."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from fedcomm.hub import actors, policies, threads, timelines
from fedcomm.hub.visibility import ANONYMOUS, can_know_group
from fedcomm.store.ids import parse_id
from fedcomm.web import paths
from fedcomm.web.visits import Visit

HANDLE: Final = re.compile(r"[@!]?([\w.-]{1,64})@([^\W_][\w.-]{0,251}[^\W_](?::[0-9]{1,5})?)")
NAME: Final = re.compile(r"[@!]([\w.-]{1,64})")


OWN_ADDRESS: Final = re.compile(
    r"/(?:ap/)?o/([0-9]{1,19})/?|/g/[^/?#]+/t/([0-9]{1,19})(?:/[^/?#]*)?(?:\?[^#]*)?(?:#r([0-9]{1,19}))?"
)
"""The path of a post of ours: its permanent address, its id, or where it stands in its thread."""

ADDRESS_LENGTH: Final = 2000


@dataclass(frozen=True, slots=True)
class Handle:
    """`name` here, or `name` at `host`."""

    name: str
    host: str | None


def handle_of(text: str) -> Handle | None:
    """The handle that `text` is, with or without `@` or `!` before it; None if it is none."""
    if match := HANDLE.fullmatch(text):
        return Handle(match[1].lower(), match[2].lower())
    if match := NAME.fullmatch(text):
        return Handle(match[1].lower(), None)
    return None


def is_address(text: str) -> bool:
    """Whether `text` is the address of a page."""
    if not text.startswith(("https://", "http://")) or any(c.isspace() for c in text):
        return False
    try:
        return bool(urlsplit(text).hostname)
    except ValueError:
        return False


def can_be_fetched(text: str) -> bool:
    """Whether another server can be asked about `text`."""
    handle = handle_of(text)
    return is_address(text) or (handle is not None and handle.host is not None)


async def known_location(visit: Visit, text: str) -> str | None:
    """The page here about what `text` names, if it is known here and the visitor may see it."""
    site = visit.site
    if text.startswith(f"{site.origin}/") and not text.startswith(f"{site.origin}/ap/"):
        return paths.safe_path(text.removeprefix(site.origin))
    actor = await known_actor(visit, text)
    if actor is not None:
        return paths.actor_path(actor)
    if is_address(text):
        thing = await threads.thing_by_uri(site.db, text)
        if thing is not None and await timelines.post(site.db, visit.viewer, thing.id):
            return paths.object_path(thing.id)
    return None


async def known_actor(visit: Visit, text: str) -> actors.Actor | None:
    """Whom `text` names, as far as this hub knows already and the visitor may see."""
    db = visit.site.db
    handle = handle_of(text)
    actor = None
    if handle is not None and handle.host in (None, visit.site.host):
        actor = await actors.local_actor(db, handle.name)
    elif handle is not None and handle.host is not None:
        actor = await actors.remote_actor(db, handle.name, handle.host)
    elif is_address(text):
        actor = await actors.actor_by_uri(db, text)
    if actor is None or actor.deleted_at is not None or actor.suspended_at is not None:
        return None
    if actor.is_local and actor.kind not in ("person", "group"):
        return None
    if actor.is_local and actor.kind == "group":
        return actor if await can_know_group(db, visit.viewer, actor.id) else None
    return actor if actor.is_local or await is_shown(visit, actor) else None


async def is_shown(visit: Visit, actor: actors.Actor) -> bool:
    """Whether the visitor may see that this actor of another server is known here. Strangers see only who spoke here in
    public: whom members follow is not theirs to learn."""
    db = visit.site.db
    if await policies.level_of(db, actor.host_id) in ("queue", "suspend"):
        return False
    if visit.member is not None:
        return True
    return bool(await timelines.by_author(db, ANONYMOUS, actor.id, limit=1))


async def find_actor(visit: Visit, text: str) -> actors.Actor | None:
    """Whom `text` names; asks the other server when this hub does not know."""
    known = await known_actor(visit, text)
    federation = visit.site.federation
    if known is not None or federation is None or not can_be_fetched(text):
        return known
    handle = handle_of(text)
    if handle is not None and handle.host == visit.site.host:
        return None
    return await federation.find_actor(text)


async def find_location(visit: Visit, text: str) -> str | None:
    """The page here about what `text` names; asks the other server when this hub does not know."""
    known = await known_location(visit, text)
    federation = visit.site.federation
    if known is not None or federation is None or not can_be_fetched(text):
        return known
    if is_address(text):
        object_id = await federation.find_object(text)
        if object_id is not None and await timelines.post(visit.site.db, visit.viewer, object_id):
            return paths.object_path(object_id)
    actor = await find_actor(visit, text)
    return paths.actor_path(actor) if actor is not None else None


async def find_quoted(visit: Visit, address: str) -> int | None:
    """The post that an address names, as far as the visitor may read it; other servers are asked."""
    site = visit.site
    if address.startswith(f"{site.origin}/"):
        match = OWN_ADDRESS.fullmatch(address.removeprefix(site.origin))
        number = parse_id(match[3] or match[2] or match[1]) if match else None
    elif is_address(address) and len(address) <= ADDRESS_LENGTH:
        known = await threads.thing_by_uri(site.db, address)
        number = known.id if known is not None else None
        if number is None and site.federation is not None:
            number = await site.federation.find_object(address)
    else:
        number = None
    if number is None or await timelines.post(site.db, visit.viewer, number) is None:
        return None
    return number
