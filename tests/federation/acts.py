"""Activities of other servers as tests write them, and what of them stands here."""

from __future__ import annotations

import itertools
from typing import Any

from fedcomm.hub import follows, threads
from tests.federation.inprocess import LocalHub
from tests.federation.stub import AS, PUBLIC

Activity = dict[str, Any]

_numbers = itertools.count(1)


def unaddressed(actor: str, kind: str, thing: Any, **more: Any) -> Activity:
    """An activity with an id of its own that names nobody."""
    uri = f"{actor}/activities/{next(_numbers)}"
    return {"@context": AS, "id": uri, "type": kind, "actor": actor, "object": thing, **more}


def activity(actor: str, kind: str, thing: Any, **more: Any) -> Activity:
    """An activity for everybody, if `more` does not say otherwise."""
    return unaddressed(actor, kind, thing, **{"to": [PUBLIC], **more})


def create(note: Activity, **more: Any) -> Activity:
    """Its author publishes a note."""
    return activity(note["attributedTo"], "Create", note, **more)


def to_group(town: LocalHub, group: int | None = None, **more: Any) -> Activity:
    """The fields of a Note that mentions a group, as Mastodon writes them."""
    uri = town.group_uri(group or town.group)
    mention = {"type": "Mention", "href": uri, "name": "@gardening@localhost"}
    return {"to": [PUBLIC], "cc": [uri], "tag": [mention], **more}


async def follower(town: LocalHub, **more: Any) -> str:
    """Somebody elsewhere who follows the group; their id. `more`: of their server."""
    fan = town.stubs.somebody("fan", **more)
    assert (await town.deliver(activity(fan, "Follow", town.group_uri(town.group)))).startswith(
        "done"
    )
    return fan


def host_of(uri: str) -> str:
    """The name of the host in an id, without its port."""
    return uri.split("/")[2].partition(":")[0]


async def stored(town: LocalHub, uri: str) -> threads.Thing | None:
    """What of another server stands here under this id."""
    return await threads.thing_by_uri(town.db, uri)


async def anna_follows(town: LocalHub, who: str) -> None:
    """anna follows a remote actor, who has accepted."""
    followed = await town.site.federation.find_actor(who)  # type: ignore[union-attr]
    assert followed is not None
    async with town.db.transaction() as tx:
        await follows.request(tx, town.anna, followed.id)
        await follows.accept(tx, town.anna, followed.id)
    town.site.wake()


def other_body(headers: dict[str, str], body: bytes) -> tuple[dict[str, str], bytes]:
    """A request changed on its way: another body than the one that was signed."""
    return headers, body.replace(b"Follow", b"Follow ")
