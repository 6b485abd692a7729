"""Relays: servers that hand public posts on between servers that know nothing of each other (FEP-ae0c).

What one brings belongs to nobody's timeline: search and the pages of hashtags find it, and it goes after a while
unless somebody here took an interest. What goes out are public topics of groups whose moderators want it, by members
who have not refused. States of a relay:  requested → active | refused; *ended* until it has been told.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from fedcomm.hub import audit, journal, search, threads
from fedcomm.hub.errors import Invalid, NotFound
from fedcomm.store.database import Reader, Row, Transaction
from fedcomm.store.ids import new_id, now_ms

Style = Literal["litepub", "mastodon"]
STYLES: Final[tuple[Style, ...]] = ("litepub", "mastodon")

State = Literal["requested", "active", "refused", "ended"]

HOUR_MS: Final = 3_600_000

MOST: Final = 20
"""Relays that a hub can have: each brings what thousands write."""


@dataclass(frozen=True, slots=True)
class Relay:
    """A relay. `address`: the id of its actor (LitePub) or its inbox (Mastodon). Times: Unix milliseconds."""

    id: int
    style: Style
    address: str
    host_id: int
    host: str
    actor_id: int | None
    state: State
    follow_id: int | None
    follow_uri: str | None
    created_at: int
    decided_at: int | None


_SELECT = (
    "SELECT r.id, r.style, r.address, r.host_id, h.name AS host, r.actor_id, r.state, r.follow_id,"
    " r.follow_uri, r.created_at, r.decided_at FROM relays r JOIN hosts h ON h.id = r.host_id"
)


def _relay(row: Row) -> Relay:
    return Relay(*(row[key] for key in row.keys()))  # noqa: SIM118


async def relays(db: Reader, *, state: State | None = None) -> list[Relay]:
    """All relays, in the order in which they were added; those that were removed are left out."""
    rows = await db.all(f"{_SELECT} WHERE r.state <> 'ended' ORDER BY r.id")
    return [_relay(row) for row in rows if state is None or row["state"] == state]


async def relay(db: Reader, relay_id: int) -> Relay | None:
    """The relay with this number, in any state."""
    row = await db.one(f"{_SELECT} WHERE r.id = ?", relay_id)
    return _relay(row) if row else None


async def by_address(db: Reader, address: str) -> Relay | None:
    """The relay that was added under this address."""
    row = await db.one(f"{_SELECT} WHERE r.address = ?", address)
    return _relay(row) if row else None


async def by_actor(db: Reader, actor_id: int) -> Relay | None:
    """The relay whose actor this is."""
    row = await db.one(f"{_SELECT} WHERE r.actor_id = ?", actor_id)
    return _relay(row) if row else None


async def by_follow(db: Reader, activity_id: int) -> Relay | None:
    """The relay that we asked with this activity (INV-7)."""
    rows = await db.all(f"{_SELECT} WHERE r.state <> 'ended' ORDER BY r.id")
    return next((_relay(row) for row in rows if row["follow_id"] == activity_id), None)


async def add(
    tx: Transaction,
    style: Style,
    address: str,
    host_id: int,
    *,
    actor_id: int | None,
    by: int | None,
) -> int:
    """Ask a relay to take this hub in; its number. Raises Invalid (`address`)."""
    if style not in STYLES:
        raise Invalid("style", "A relay speaks LitePub or as Mastodon does.")
    if await by_address(tx, address) is not None:
        raise Invalid("address", "This relay is known already.")
    if len(await relays(tx)) >= MOST:
        raise Invalid("address", "There are many relays already. Remove one first.")
    relay_id = new_id()
    await tx.execute(
        "INSERT INTO relays (id, style, address, host_id, actor_id, state, created_by, created_at)"
        " VALUES (?, ?, ?, ?, ?, 'requested', ?, ?)",
        relay_id,
        style,
        address,
        host_id,
        actor_id,
        by,
        now_ms(),
    )
    await journal.record(tx, "relay_added", actor_id=by, target_id=relay_id)
    await audit.record(
        tx, "relay_added", actor_id=by, subject_id=relay_id, detail={"address": address}
    )
    return relay_id


async def remove(tx: Transaction, relay_id: int, *, by: int | None) -> None:
    """Have nothing to do with a relay any more. Raises NotFound."""
    found = await relay(tx, relay_id)
    if found is None or found.state == "ended":
        raise NotFound("There is no such relay.")
    await tx.execute("UPDATE relays SET state = 'ended' WHERE id = ?", relay_id)
    await journal.record(tx, "relay_removed", actor_id=by, target_id=relay_id)
    await audit.record(
        tx, "relay_removed", actor_id=by, subject_id=relay_id, detail={"address": found.address}
    )


async def forget(tx: Transaction, relay_id: int) -> None:
    """The relay was told: nothing about it is kept but what it brought."""
    await tx.execute("DELETE FROM relays WHERE id = ? AND state = 'ended'", relay_id)


async def set_follow(tx: Transaction, relay_id: int, activity_id: int) -> None:
    """Note under which activity of ours we asked."""
    await tx.execute("UPDATE relays SET follow_id = ? WHERE id = ?", activity_id, relay_id)


async def decide(tx: Transaction, relay_id: int, actor_id: int, *, accepted: bool) -> None:
    """The relay answered our request."""
    await tx.execute(
        "UPDATE relays SET state = ?, actor_id = ?, decided_at = ?"
        " WHERE id = ? AND state <> 'ended'",
        "active" if accepted else "refused",
        actor_id,
        now_ms(),
        relay_id,
    )


async def note_follow(tx: Transaction, relay_id: int, follow_uri: str | None) -> None:
    """A LitePub relay follows us in turn; it is answered."""
    await tx.execute("UPDATE relays SET follow_uri = ? WHERE id = ?", follow_uri, relay_id)
    await journal.record(tx, "relay_followed", target_id=relay_id)


# What relays bring


async def brought_lately(db: Reader, relay_id: int, limit: int) -> int:
    """How much a relay brought within the hour, `limit` at most."""
    return int(
        await db.value(
            "SELECT count(*) FROM (SELECT 1 AS one FROM relayed_objects WHERE relay_id = ?"
            " AND created_at > ? LIMIT ?) AS lately",
            relay_id,
            now_ms() - HOUR_MS,
            limit,
        )
    )


async def note_brought(tx: Transaction, relay_id: int, object_id: int) -> None:
    """A relay brought this object; words of somebody who did not agree to be searched are not searched."""
    await tx.execute(
        "INSERT INTO relayed_objects (object_id, relay_id, created_at) VALUES (?, ?, ?)"
        " ON CONFLICT DO NOTHING",
        object_id,
        relay_id,
        now_ms(),
    )
    agrees = await tx.value(
        "SELECT a.indexable FROM objects o JOIN actors a ON a.id = o.author_id WHERE o.id = ?",
        object_id,
    )
    if not agrees:
        await search.forget(tx, object_id)


async def forget_old(tx: Transaction, before: int, *, limit: int) -> int:
    """Let go of what relays brought before `before` (Unix ms) and nobody here took an interest in; how much was
    looked at."""
    rows = await tx.all(
        "SELECT r.object_id, CASE WHEN EXISTS (SELECT 1 FROM reactions x WHERE x.object_id = r.object_id)"
        " OR EXISTS (SELECT 1 FROM objects c WHERE c.parent_id = r.object_id)"
        " OR EXISTS (SELECT 1 FROM notifications n WHERE n.object_id = r.object_id)"
        " OR EXISTS (SELECT 1 FROM follows f JOIN objects o ON o.author_id = f.followed_id"
        "  WHERE o.id = r.object_id AND f.state = 'active') THEN 1 ELSE 0 END AS wanted"
        " FROM relayed_objects r WHERE r.created_at < ? ORDER BY r.created_at, r.object_id LIMIT ?",
        before,
        limit,
    )
    for row in rows:
        thing = await threads.thing(tx, row["object_id"])
        if not row["wanted"] and thing is not None and thing.deleted_at is None:
            await threads.erase(tx, thing)
        await tx.execute("DELETE FROM relayed_objects WHERE object_id = ?", row["object_id"])
    return len(rows)


# What goes out


async def may_be_relayed(db: Reader, thing: threads.Thing) -> bool:
    """Whether a topic may be handed to relays: public, of a group that wants it, by somebody who has not refused."""
    if not thing.is_local or thing.kind != "topic" or thing.visibility != "public":
        return False
    if thing.deleted_at is not None or thing.withheld is not None or thing.group_id is None:
        return False
    agreed = await db.value(
        "SELECT 1 FROM groups g JOIN members m ON m.actor_id = ? WHERE g.actor_id = ?"
        " AND g.mode = 'federated' AND g.relayed = 1 AND m.unrelayed = 0",
        thing.author_id,
        thing.group_id,
    )
    return agreed is not None


async def refuses(db: Reader, member_id: int) -> bool:
    """Whether a member wants no topic of theirs to go to relays."""
    return bool(await db.value("SELECT unrelayed FROM members WHERE actor_id = ?", member_id))


async def set_refusal(tx: Transaction, member_id: int, *, refused: bool) -> None:
    """A member refuses, or not any more, that topics of theirs go to relays."""
    await tx.execute("UPDATE members SET unrelayed = ? WHERE actor_id = ?", int(refused), member_id)


async def brought_by(db: Reader, relay_ids: Sequence[int]) -> dict[int, int]:
    """How much is kept of what each of these relays brought within a day."""
    found: dict[int, int] = {}
    for relay_id in relay_ids:
        found[relay_id] = int(
            await db.value(
                "SELECT count(*) FROM relayed_objects WHERE relay_id = ? AND created_at > ?",
                relay_id,
                now_ms() - 24 * HOUR_MS,
            )
        )
    return found
