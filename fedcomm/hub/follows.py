"""Who follows whom: members and remote people, and members following groups of other servers.

Following a group of ours is membership (`fedcomm.hub.groups`). A follow is active only after the
followed side
accepted the request that we stored (INV-15).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from fedcomm.hub import actors, avoidance, journal, notifications, policies
from fedcomm.hub.errors import NotAllowed, NotFound
from fedcomm.store.database import Reader, Transaction
from fedcomm.store.ids import now_ms

State = Literal["requested", "active"]


@dataclass(frozen=True, slots=True)
class Follow:
    """One follow. `follow_uri`: the remote Follow's id; `activity_id`: ours, when we asked."""

    follower_id: int
    followed_id: int
    state: State
    follow_uri: str | None
    activity_id: int | None


async def find(db: Reader, follower_id: int, followed_id: int) -> Follow | None:
    """The follow between the two, whatever its state."""
    row = await db.one(
        "SELECT follower_id, followed_id, state, follow_uri, activity_id FROM follows"
        " WHERE follower_id = ? AND followed_id = ?",
        follower_id,
        followed_id,
    )
    return Follow(*(row[key] for key in row.keys())) if row else None  # noqa: SIM118


async def request(
    tx: Transaction, follower_id: int, followed_id: int, *, follow_uri: str | None = None
) -> State:
    """`follower` asks to follow; the state afterwards. Local people who are not locked accept at
    once.

    A repeated request of a remote follower refreshes `follow_uri` and is answered again.
    """
    if follower_id == followed_id:
        raise NotAllowed("Nobody can follow themselves.")
    follower = await actors.actor(tx, follower_id)
    followed = await actors.actor(tx, followed_id)
    if followed is None or follower is None or followed.deleted_at or followed.suspended_at:
        raise NotFound("There is no such person.")
    if follower.deleted_at is not None:
        # They are being erased since this began.
        raise NotFound("There is no such person.")
    if followed.is_local and followed.kind != "person":
        raise NotFound("There is no such person.")
    if await policies.level_of(tx, followed.host_id) == "suspend":
        raise NotAllowed("This hub does not exchange anything with that server.")
    if follower.is_local and follower.moved_to_uri is not None:
        raise NotAllowed("Your account has moved: use the new one.")
    if await is_kept_away(tx, follower_id, followed_id):
        if follower.is_local and await avoidance.kind_of(tx, follower_id, followed_id) == "block":
            raise NotAllowed("You have blocked them. End the block first.")
        # In the words for somebody who is not there: whom one has blocked is one's own business.
        raise NotFound("There is no such person.")
    known = await find(tx, follower_id, followed_id)
    # Whoever comes from a limited host is let in by the member, not by the open door.
    is_limited = await policies.level_of(tx, follower.host_id) != "none"
    open_door = followed.is_local and not followed.locked and not is_limited
    state: State = "active" if open_door or (known and known.state == "active") else "requested"
    now = now_ms()
    await tx.execute(
        "INSERT INTO follows (follower_id, followed_id, state, follow_uri, created_at, decided_at)"
        " VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (follower_id, followed_id) DO UPDATE SET"
        " state = excluded.state, follow_uri = COALESCE(excluded.follow_uri, follows.follow_uri),"
        " decided_at = COALESCE(follows.decided_at, excluded.decided_at)",
        follower_id,
        followed_id,
        state,
        follow_uri,
        now,
        now if state == "active" else None,
    )
    if known is None or known.state != state or follow_uri is not None:
        event: journal.Event = "follow_accepted" if state == "active" else "follow_requested"
        await journal.record(tx, event, actor_id=follower_id, target_id=followed_id)
    if known is None:
        kind: notifications.Kind = "follow" if state == "active" else "follow_requested"
        await notifications.notify(tx, followed, kind, follower_id)
    return state


async def is_kept_away(db: Reader, follower_id: int, followed_id: int) -> bool:
    """Whether one of the two has blocked the other."""
    for one, other in ((followed_id, follower_id), (follower_id, followed_id)):
        if await avoidance.kind_of(db, one, other) == "block":
            return True
    return False


async def keep_away(tx: Transaction, member_id: int, actor_id: int) -> None:
    """End the follows between a member and somebody whom they have blocked."""
    await end(tx, actor_id, member_id, refused=True)
    await end(tx, member_id, actor_id)


async def keep_host_away(tx: Transaction, member_id: int, host_id: int) -> None:
    """End the follows between a member and everybody of a server that they have blocked."""
    for row in await tx.all(
        "SELECT f.follower_id AS other FROM follows f JOIN actors a ON a.id = f.follower_id"
        " WHERE f.followed_id = ? AND a.host_id = ?"
        " UNION SELECT f.followed_id FROM follows f JOIN actors a ON a.id = f.followed_id"
        " WHERE f.follower_id = ? AND a.host_id = ?",
        member_id,
        host_id,
        member_id,
        host_id,
    ):
        await keep_away(tx, member_id, row["other"])


async def accept(tx: Transaction, follower_id: int, followed_id: int) -> None:
    """The followed side accepts a stored request. Raises NotFound when there was none (INV-7,
    INV-15)."""
    changed = await tx.execute(
        "UPDATE follows SET state = 'active', decided_at = ?"
        " WHERE follower_id = ? AND followed_id = ? AND state = 'requested'",
        now_ms(),
        follower_id,
        followed_id,
    )
    if not changed:
        if await find(tx, follower_id, followed_id) is not None:
            return
        raise NotFound("There is no such request.")
    await journal.record(tx, "follow_accepted", actor_id=follower_id, target_id=followed_id)
    follower = await actors.actor(tx, follower_id)
    assert follower is not None
    await notifications.notify(tx, follower, "follow_accepted", followed_id)


async def end(
    tx: Transaction, follower_id: int, followed_id: int, *, refused: bool = False
) -> None:
    """The follower unfollows, or (`refused`) the followed side rejects or removes them. Repeats are
    harmless."""
    known = await find(tx, follower_id, followed_id)
    if known is None:
        return
    await tx.execute(
        "DELETE FROM follows WHERE follower_id = ? AND followed_id = ?", follower_id, followed_id
    )
    event: journal.Event = "follow_refused" if refused else "follow_ended"
    await journal.record(tx, event, actor_id=follower_id, target_id=followed_id)


async def set_activity(
    tx: Transaction, follower_id: int, followed_id: int, activity_id: int
) -> None:
    """Note under which activity of ours the request went out."""
    await tx.execute(
        "UPDATE follows SET activity_id = ? WHERE follower_id = ? AND followed_id = ?",
        activity_id,
        follower_id,
        followed_id,
    )


async def counts(db: Reader, actor_id: int) -> tuple[int, int]:
    """(followers, following), active ones."""
    return (
        int(
            await db.value(
                "SELECT count(*) FROM follows WHERE followed_id = ? AND state = 'active'"
                " AND suspended = 0",
                actor_id,
            )
        ),
        int(
            await db.value(
                "SELECT count(*) FROM follows WHERE follower_id = ? AND state = 'active'"
                " AND suspended = 0",
                actor_id,
            )
        ),
    )


async def is_followed_here(db: Reader, actor_id: int) -> bool:
    """Whether a member of this hub follows the actor."""
    found = await db.value(
        "SELECT 1 FROM follows f JOIN actors a ON a.id = f.follower_id"
        " WHERE f.followed_id = ? AND f.state = 'active' AND f.suspended = 0"
        " AND a.host_id IS NULL LIMIT 1",
        actor_id,
    )
    return found is not None


async def requests_to(db: Reader, followed_id: int) -> Sequence[actors.Actor]:
    """Who waits for the member's answer, oldest first."""
    rows = await db.all(
        f"SELECT {actors.COLUMNS} {actors.FROM} JOIN follows f ON f.follower_id = a.id"
        " WHERE f.followed_id = ? AND f.state = 'requested' AND f.suspended = 0"
        " ORDER BY f.created_at LIMIT 100",
        followed_id,
    )
    return [actors.actor_of(row) for row in rows]


async def followed_by(
    db: Reader, follower_id: int, *, after: int = 0, limit: int = 100
) -> list[tuple[actors.Actor, State]]:
    """Whom the actor follows or asked to follow, by actor id."""
    rows = await db.all(
        f"SELECT {actors.COLUMNS}, f.state {actors.FROM} JOIN follows f ON f.followed_id = a.id"
        " WHERE f.follower_id = ? AND a.id > ? ORDER BY a.id LIMIT ?",
        follower_id,
        after,
        limit,
    )
    return [(actors.actor_of(row), row["state"]) for row in rows]
