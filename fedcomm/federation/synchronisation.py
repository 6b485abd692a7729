"""Followers-only content needs both sides to agree on who follows whom: FEP-8fcf (federation.md §6.5).

With what goes to followers only travels a digest of the followers that we believe to be on the receiving host; a host
that counts others asks for the list, which only it gets (INV-18). The other way round a digest that differs from ours
makes us ask, in the background (backfill.py), and end what the other side does not know of.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from hashlib import sha256

from fedcomm.federation.addresses import Addresses
from fedcomm.hub import actors, follows, journal
from fedcomm.store.database import Reader, Transaction

HEADER = "Collection-Synchronization"

MOST_FOLLOWERS = 25_000
"""From so many followers on one host on there is no digest any more (as at Mastodon)."""

MOST_PAGES = 10
"""Pages of a list of followers that are read (as at Mastodon)."""

HEADER_CHARACTERS = 4_096

_PARAMETER = re.compile(r'\s*([A-Za-z]+)="([^"\\]*)"\s*')
_DIGEST = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Offer:
    """What a header says: the followers collection, where its part for us is, and the part's digest."""

    collection_id: str
    url: str
    digest: str


def digest(uris: Iterable[str]) -> str:
    """The XOR of the SHA-256 digests of the ids, 64 hexadecimal digits; zeros for none. Order does not matter."""
    total = 0
    for uri in uris:
        total ^= int.from_bytes(sha256(uri.encode()).digest())
    return f"{total:064x}"


def write(offer: Offer) -> str:
    """The value of the header."""
    return f'collectionId="{offer.collection_id}", url="{offer.url}", digest="{offer.digest}"'


def read(value: str) -> Offer | None:
    """What a header's value says, or None for anything that is not exactly an offer."""
    if len(value) > HEADER_CHARACTERS:
        return None
    found: dict[str, str] = {}
    for part in value.split(","):
        match = _PARAMETER.fullmatch(part)
        if match is None or match[1] in found:
            return None
        found[match[1]] = match[2]
    offer = Offer(found.get("collectionId", ""), found.get("url", ""), found.get("digest", ""))
    if not offer.collection_id or not offer.url or _DIGEST.fullmatch(offer.digest) is None:
        return None
    return offer


async def followers_on(db: Reader, actor_id: int, host_id: int) -> list[str]:
    """The ids of the followers of a member, or of the members of a group, on one host, `MOST_FOLLOWERS` at most."""
    kind = await db.value("SELECT kind FROM actors WHERE id = ?", actor_id)
    if kind == "group":
        rows = await db.all(
            "SELECT a.uri FROM memberships s JOIN actors a ON a.id = s.actor_id"
            " WHERE s.group_id = ? AND s.state = 'active' AND s.suspended = 0 AND a.host_id = ?"
            " AND a.deleted_at IS NULL ORDER BY a.id LIMIT ?",
            actor_id,
            host_id,
            MOST_FOLLOWERS,
        )
        return [row["uri"] for row in rows]
    rows = await db.all(
        "SELECT a.uri FROM follows f JOIN actors a ON a.id = f.follower_id"
        " WHERE f.followed_id = ? AND f.state = 'active' AND f.suspended = 0 AND a.host_id = ?"
        " AND a.deleted_at IS NULL ORDER BY a.id LIMIT ?",
        actor_id,
        host_id,
        MOST_FOLLOWERS,
    )
    return [row["uri"] for row in rows]


async def followers_here(db: Reader, actor_id: int, *, before: int | None = None) -> list[int]:
    """Our members who follow a remote actor; `before`: since before this moment (Unix ms)."""
    since, args = ("", ()) if before is None else (" AND COALESCE(f.decided_at, 0) < ?", (before,))
    rows = await db.all(
        "SELECT f.follower_id FROM follows f JOIN actors a ON a.id = f.follower_id"
        " WHERE f.followed_id = ? AND f.state = 'active' AND f.suspended = 0 AND a.host_id IS NULL"
        f"{since} ORDER BY f.follower_id LIMIT ?",
        actor_id,
        *args,
        MOST_FOLLOWERS,
    )
    return [row["follower_id"] for row in rows]


async def agrees(db: Reader, actor_id: int, offer: Offer, addresses: Addresses) -> bool:
    """Whether the digest is that of those of ours who follow the actor."""
    ours = await followers_here(db, actor_id)
    return digest(addresses.member(number) for number in ours) == offer.digest


async def settle(
    tx: Transaction,
    followed_id: int,
    listed: Collection[str],
    addresses: Addresses,
    *,
    before: int,
) -> tuple[int, int]:
    """Bring our follows of an actor in line with whom their server lists; (ended here, undone there).

    `before`: Unix ms at which the list was wanted. What began later may not be in it yet.
    """
    known = set(listed)
    ended = 0
    for follower_id in await followers_here(tx, followed_id, before=before):
        if addresses.member(follower_id) not in known:
            await follows.end(tx, follower_id, followed_id, refused=True)
            ended += 1
    undone = 0
    for uri in sorted(known):
        member_id = addresses.local(uri, "p")
        if member_id is None or await follows.find(tx, member_id, followed_id) is not None:
            continue
        person = await actors.actor(tx, member_id)
        if person is not None and person.is_local:
            # Our Undo was lost: it is said again (only if we ever asked, see Outbox).
            await journal.record(tx, "follow_ended", actor_id=member_id, target_id=followed_id)
            undone += 1
    return ended, undone
