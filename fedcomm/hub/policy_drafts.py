"""Lists that wait to be applied, and the subscriptions that bring them. No list is ever applied by itself.

A draft keeps the list as it came; what it would change is found out when somebody looks.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from fedcomm.hub import audit, policies, policy_changes
from fedcomm.hub.errors import Invalid, NotFound
from fedcomm.hub.policies import Level
from fedcomm.late import Late
from fedcomm.store.database import Reader, Row, Transaction
from fedcomm.store.ids import new_id, now_ms

if TYPE_CHECKING:
    from fedcomm.hub import blocklists
    from fedcomm.hub.blocklists import Blocklist, Difference
else:
    blocklists = Late("fedcomm.hub.blocklists")

EVERY_MS: Final = 86_400_000
"""How often a subscribed list is fetched: daily, as NodeBB and GoToSocial do (federation.md §9)."""

SUBSCRIPTIONS: Final = 50
URL_CHARACTERS: Final = 2_000
SOURCE_CHARACTERS: Final = 200
ERROR_CHARACTERS: Final = 200


@dataclass(frozen=True, slots=True)
class Draft:
    """A list that waits. `source`: its file or the address of the subscription. Times: Unix ms."""

    id: int
    source: str
    subscription_id: int | None
    level: Level
    created_at: int


@dataclass(frozen=True, slots=True)
class Subscription:
    """A list that is fetched daily. `level`: of rows without a severity. Times: Unix milliseconds."""

    id: int
    url: str
    level: Level
    etag: str | None
    created_at: int
    fetched_at: int | None
    error: str | None


_DRAFT = "id, source, subscription_id, level, created_at"
_SUBSCRIPTION = "id, url, level, etag, created_at, fetched_at, error"


def _draft(row: Row) -> Draft:
    return Draft(row["id"], row["source"], row["subscription_id"], row["level"], row["created_at"])


def _subscription(row: Row) -> Subscription:
    return Subscription(
        row["id"],
        row["url"],
        row["level"],
        row["etag"],
        row["created_at"],
        row["fetched_at"],
        row["error"],
    )


async def add(
    tx: Transaction,
    body: bytes,
    *,
    source: str,
    level: Level,
    by: int | None,
    subscription_id: int | None = None,
) -> int:
    """Keep a list as a draft, instead of an earlier one of the same source; its id. Raises Invalid."""
    blocklists.read(body, level=level)
    draft_id = new_id()
    return int(
        await tx.value(
            "INSERT INTO policy_drafts (id, source, subscription_id, body, level, created_by,"
            " created_at) VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (source) DO UPDATE SET"
            " body = excluded.body, level = excluded.level, created_by = excluded.created_by,"
            " created_at = excluded.created_at RETURNING id",
            draft_id,
            source[:SOURCE_CHARACTERS] if subscription_id is None else source,
            subscription_id,
            body.decode("utf-8-sig").replace("\0", ""),
            level,
            by,
            now_ms(),
        )
    )


async def drafts(db: Reader) -> list[Draft]:
    """The lists that wait, newest first."""
    rows = await db.all(f"SELECT {_DRAFT} FROM policy_drafts ORDER BY id DESC LIMIT 100")
    return [_draft(row) for row in rows]


async def draft(db: Reader, draft_id: int) -> Draft:
    """One of them. Raises NotFound."""
    row = await db.one(f"SELECT {_DRAFT} FROM policy_drafts WHERE id = ?", draft_id)
    if row is None:
        raise NotFound("There is no such list.")
    return _draft(row)


async def difference(db: Reader, draft_id: int, *, own_host: str) -> Difference:
    """What applying the draft would change now. Raises NotFound."""
    found = await draft(db, draft_id)
    body = await db.value("SELECT body FROM policy_drafts WHERE id = ?", draft_id)
    return await compare(db, str(body).encode(), found, own_host=own_host)


async def compare(
    db: Reader, body: bytes, found: Draft | Subscription, *, own_host: str
) -> Difference:
    """A list compared with what holds, read beside the event loop (INV-26). Raises Invalid."""
    source = found.url if isinstance(found, Subscription) else found.source
    is_subscribed = isinstance(found, Subscription) or found.subscription_id is not None

    def parsed() -> Blocklist:
        return blocklists.read(body, level=found.level, own_host=own_host, source=source)

    listed = await asyncio.to_thread(parsed)
    current = await policies.all_entries(db)
    return blocklists.difference(current, listed, source=source if is_subscribed else "")


async def apply(
    tx: Transaction,
    draft_id: int,
    *,
    by: int | None,
    reason: str,
    own_host: str,
    keep_existing: bool = False,
) -> int | None:
    """Apply a draft whole, in this transaction; the id of the change, None if nothing changed."""
    found = await difference(tx, draft_id, own_host=own_host)
    change_id = await policy_changes.apply(
        tx,
        blocklists.changes(found, keep_existing=keep_existing),
        by=by,
        kind="imported",
        reason=reason,
    )
    await tx.execute("DELETE FROM policy_drafts WHERE id = ?", draft_id)
    return change_id


async def discard(tx: Transaction, draft_id: int, *, by: int | None) -> None:
    """Throw a draft away. Raises NotFound."""
    found = await draft(tx, draft_id)
    await tx.execute("DELETE FROM policy_drafts WHERE id = ?", draft_id)
    await audit.record(
        tx,
        "policy_draft_discarded",
        actor_id=by,
        subject_id=draft_id,
        detail={"source": found.source},
    )


async def subscribe(tx: Transaction, url: str, *, level: Level, by: int | None) -> int:
    """Fetch the list at `url` daily from now on; the id of the subscription. Raises Invalid."""
    url = url.strip()
    if (
        not url.startswith(("https://", "http://"))
        or len(url) > URL_CHARACTERS
        or not url.isprintable()
        or " " in url
    ):
        raise Invalid("url", "This is not the address of a list.")
    if level not in policies.LEVELS:
        raise Invalid("level", "This level is unknown.")
    known = await tx.value("SELECT id FROM policy_subscriptions WHERE url = ?", url)
    if known is not None:
        return int(known)
    if int(await tx.value("SELECT count(*) FROM policy_subscriptions")) >= SUBSCRIPTIONS:
        raise Invalid("url", "There are too many subscriptions.")
    subscription_id = new_id()
    await tx.execute(
        "INSERT INTO policy_subscriptions (id, url, level, created_by, created_at)"
        " VALUES (?, ?, ?, ?, ?)",
        subscription_id,
        url,
        level,
        by,
        now_ms(),
    )
    await audit.record(
        tx,
        "policy_subscribed",
        actor_id=by,
        subject_id=subscription_id,
        detail={"url": url, "level": level},
    )
    return subscription_id


async def unsubscribe(tx: Transaction, subscription_id: int, *, by: int | None) -> None:
    """Fetch a list no longer; its draft goes, its entries stay. Raises NotFound."""
    url = await tx.value("SELECT url FROM policy_subscriptions WHERE id = ?", subscription_id)
    if url is None:
        raise NotFound("There is no such list.")
    await tx.execute("DELETE FROM policy_drafts WHERE subscription_id = ?", subscription_id)
    await tx.execute("DELETE FROM policy_subscriptions WHERE id = ?", subscription_id)
    await audit.record(
        tx,
        "policy_unsubscribed",
        actor_id=by,
        subject_id=subscription_id,
        detail={"url": str(url)},
    )


async def subscriptions(db: Reader) -> Sequence[Subscription]:
    """All of them, the oldest first."""
    rows = await db.all(f"SELECT {_SUBSCRIPTION} FROM policy_subscriptions ORDER BY id")
    return [_subscription(row) for row in rows]


async def subscription(db: Reader, subscription_id: int) -> Subscription:
    """One of them. Raises NotFound."""
    row = await db.one(
        f"SELECT {_SUBSCRIPTION} FROM policy_subscriptions WHERE id = ?", subscription_id
    )
    if row is None:
        raise NotFound("There is no such list.")
    return _subscription(row)


async def take_due(tx: Transaction) -> Subscription | None:
    """A subscription that was not fetched for a day, marked as fetched now: one process fetches it."""
    row = await tx.one(
        f"SELECT {_SUBSCRIPTION} FROM policy_subscriptions"
        " WHERE fetched_at IS NULL OR fetched_at < ? ORDER BY id LIMIT 1",
        now_ms() - EVERY_MS,
    )
    if row is None:
        return None
    await tx.execute(
        "UPDATE policy_subscriptions SET fetched_at = ? WHERE id = ?", now_ms(), row["id"]
    )
    return _subscription(row)


async def fetched(
    tx: Transaction,
    subscription: Subscription,
    body: bytes | None,
    *,
    etag: str | None = None,
    error: str | None = None,
    own_host: str,
) -> Difference | None:
    """Note what came of a fetch: with a body it is compared, and becomes a draft if it says anything new."""
    found = None
    if body is not None:
        try:
            found = await compare(tx, body, subscription, own_host=own_host)
        except Invalid as refusal:
            error = refusal.message
        else:
            await tx.execute("DELETE FROM policy_drafts WHERE subscription_id = ?", subscription.id)
            if not found.is_empty:
                await add(
                    tx,
                    body,
                    source=subscription.url,
                    level=subscription.level,
                    by=None,
                    subscription_id=subscription.id,
                )
    await tx.execute(
        "UPDATE policy_subscriptions SET etag = ?, error = ?, fetched_at = ? WHERE id = ?",
        etag if error is None else subscription.etag,
        error[:ERROR_CHARACTERS] if error else None,
        now_ms(),
        subscription.id,
    )
    return found
