"""Moving house: a member leaves for an account elsewhere, and followers go along.

What they wrote stays here. Whether the other account names this one (INV-19) is for the spoke to
find out, before.
"""

from __future__ import annotations

from fedcomm.hub import actors, follows, journal
from fedcomm.hub.errors import NotAllowed, NotFound
from fedcomm.store.database import Transaction
from fedcomm.store.ids import now_ms

COOLDOWN_MS = 7 * 86_400_000
"""Between two moves of one account; other servers follow no second one before (federation.md §6.5)."""


async def move_out(tx: Transaction, member_id: int, target_id: int) -> None:
    """The member's account is now `target_id`, on another server. Raises NotFound, NotAllowed."""
    member = await actors.actor(tx, member_id)
    target = await actors.actor(tx, target_id)
    if member is None or target is None or target.is_local or target.deleted_at is not None:
        raise NotFound("There is no such person.")
    if target.kind not in ("person", "service"):
        raise NotAllowed("Only the account of a person can be moved to.")
    moved_at = await tx.value("SELECT moved_at FROM actors WHERE id = ?", member_id)
    now = now_ms()
    if moved_at is not None and now - int(moved_at) < COOLDOWN_MS:
        raise NotAllowed("An account can move once a week.")
    await tx.execute(
        "UPDATE actors SET moved_to_uri = ?, moved_at = ?, updated_at = ? WHERE id = ?",
        target.uri,
        now,
        now,
        member_id,
    )
    await journal.record(tx, "member_moved", actor_id=member_id, target_id=target_id)
    await follow_along(tx, member_id, target_id)


async def come_back(tx: Transaction, member_id: int) -> None:
    """The account is used again. Followers who went along do not come back by themselves."""
    changed = await tx.execute(
        "UPDATE actors SET moved_to_uri = NULL, updated_at = ?"
        " WHERE id = ? AND moved_to_uri IS NOT NULL",
        now_ms(),
        member_id,
    )
    if changed:
        await journal.record(tx, "member_edited", actor_id=member_id)


async def follow_along(tx: Transaction, old_id: int, new_id: int) -> int:
    """Members who follow the old account follow the new one; how many did. Who may not, or is the new
    one themselves, just stops following the old one."""
    rows = await tx.all(
        "SELECT f.follower_id FROM follows f JOIN actors a ON a.id = f.follower_id"
        " WHERE f.followed_id = ? AND a.host_id IS NULL",
        old_id,
    )
    for row in rows:
        follower_id = int(row["follower_id"])
        if follower_id != new_id and not await follows.is_kept_away(tx, follower_id, new_id):
            await follows.request(tx, follower_id, new_id)
        await follows.end(tx, follower_id, old_id)
    return len(rows)
