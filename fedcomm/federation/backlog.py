"""What of other servers' conversations is still to be looked for: durable rows, one for each collection.

States of a row:  waiting → done, and back to waiting when something new arrives in the thread, at the earliest
`REST_MS` after the collection was read last. The lane of the host that serves the collection says when.
"""

from __future__ import annotations

from typing import Literal

from activitypub.documents import ObjectDocument
from activitypub.origins import host as host_of
from activitypub.origins import parse_url
from fedcomm.federation import lanes
from fedcomm.federation.addresses import Addresses
from fedcomm.hub import actors, threads
from fedcomm.store.database import Transaction
from fedcomm.store.ids import now_ms

Kind = Literal["context", "replies", "outbox", "followers"]
"""`context` (FEP-7888) and `replies` of an object; the `outbox` of a group that somebody here follows; the
`followers` that an actor believes to have here (FEP-8fcf)."""

REST_MS = 15 * 60_000
"""A collection that was read is read again at most this often, whatever arrives meanwhile."""

_WANT = (
    "INSERT INTO backfill (root_id, uri, kind, host_id, state, next_at)"
    " VALUES (?, ?, ?, ?, 'waiting', ?) ON CONFLICT (root_id, uri) DO UPDATE SET"
    " state = 'waiting', attempts = 0, pages = 0, page = NULL, next_at = excluded.next_at"
    " WHERE backfill.state = 'done' AND backfill.walked_at < ?"
)


async def want(tx: Transaction, root_id: int, kind: Kind, uri: str, host_id: int) -> None:
    """Note that a collection is to be read: for the thread (or actor) `root_id`, in the lane of `host_id`."""
    now = now_ms()
    wanted = (root_id, uri, kind, host_id, now, now - REST_MS)
    if kind == "replies":
        # Each object has its own: this one is nearly always new.
        await tx.later(_WANT, *wanted)
        await tx.later(lanes.WAKE, "backfill", host_id, now)
    elif await tx.execute(_WANT, *wanted):
        await lanes.wake(tx, "backfill", [host_id])


async def want_thread(
    tx: Transaction,
    thing: threads.Thing,
    document: ObjectDocument,
    addresses: Addresses,
    *,
    allow_http: bool,
) -> None:
    """A remote object was stored in a thread that we hold: look for the rest of its conversation.

    Only of public conversations: for the others nobody here has a right to ask (INV-15).
    """
    if thing.topic_id is None or thing.visibility not in ("public", "unlisted"):
        return
    # A context may be any opaque word (§4.11); only an address on another server can be read.
    context = parse_url(document.context, allow_http=allow_http)
    collections: tuple[tuple[Kind, str | None], ...] = (
        ("context", context),
        ("replies", document.replies),
    )
    for kind, uri in collections:
        if uri is None or addresses.is_ours(uri):
            continue
        host_id = thing.host_id
        if kind == "context":
            # A sick host must delay only itself: a context may live elsewhere than the object.
            authority = host_of(uri, allow_http=allow_http)
            known = await tx.value("SELECT id FROM hosts WHERE name = ?", authority)
            host_id = int(known) if known is not None else host_id
        if host_id is not None:
            await want(tx, thing.topic_id, kind, uri, host_id)


async def want_rest(
    tx: Transaction,
    object_id: int,
    document: ObjectDocument,
    addresses: Addresses,
    *,
    allow_http: bool,
) -> None:
    """The conversation around something that was just stored is completed in the background (§4.11)."""
    if document.context is None and document.replies is None:
        return
    thing = await threads.thing(tx, object_id)
    if thing is not None and thing.host_id is not None:
        await want_thread(tx, thing, document, addresses, allow_http=allow_http)


async def want_outbox(tx: Transaction, group: actors.Actor) -> None:
    """Somebody here follows a group of another server from now on: what it announced lately is wanted."""
    if group.kind != "group" or group.host_id is None:
        return
    outbox = await tx.value("SELECT outbox FROM actors WHERE id = ?", group.id)
    if outbox is not None:
        await want(tx, group.id, "outbox", str(outbox), group.host_id)
