"""Fetches the lists of policies that administrators subscribed to; what is new becomes a draft, nothing more.

A list is somebody else's text: bounded in bytes and rows, fetched through the one client (INV-22), asked for with
its ETag so that an unchanged one costs nothing.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from activitypub.client import Client
from activitypub.failures import FetchError
from fedcomm.hub import policy_drafts
from fedcomm.hub.policy_drafts import Subscription
from fedcomm.late import Late
from fedcomm.store.database import Database

if TYPE_CHECKING:
    from fedcomm.hub import blocklists
    from fedcomm.hub.blocklists import Difference
else:
    blocklists = Late("fedcomm.hub.blocklists")

log = logging.getLogger("fedcomm.policy")

ACCEPT = "text/csv, text/plain;q=0.9, */*;q=0.1"
ETAG_CHARACTERS = 200


async def fetch_due(db: Database, client: Client, own_host: str) -> int:
    """Fetch every list whose day is over; how many."""
    count = 0
    while count < policy_drafts.SUBSCRIPTIONS:
        async with db.transaction() as tx:
            due = await policy_drafts.take_due(tx)
        if due is None:
            break
        await fetch(db, client, due, own_host)
        count += 1
    return count


async def fetch(
    db: Database, client: Client, subscription: Subscription, own_host: str
) -> Difference | None:
    """Fetch one list now; what it would change, None when it is as it was or could not be had."""
    body: bytes | None = None
    etag, error = subscription.etag, None
    headers = {"If-None-Match": etag} if etag else None
    try:
        answer = await client.get(
            subscription.url, accept=ACCEPT, max_bytes=blocklists.BYTES, headers=headers
        )
    except FetchError as failure:
        error = str(failure)
    else:
        if answer.ok:
            body = answer.body
            named = answer.headers.get("ETag", "")
            etag = named if 0 < len(named) <= ETAG_CHARACTERS else None
        elif answer.status != 304:
            error = f"answered {answer.status}"
    if error:
        log.info("policies: a subscribed list could not be fetched: %s", error)
    async with db.transaction() as tx:
        return await policy_drafts.fetched(
            tx, subscription, body, etag=etag, error=error, own_host=own_host
        )
