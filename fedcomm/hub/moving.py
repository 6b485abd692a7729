"""Moving house: a member, or a group by its owner, leaves for an account elsewhere, and followers go along.

What was written stays here. Whether the other account names this one (INV-19) is for the spoke to
find out, before.
"""

from __future__ import annotations

from contextlib import suppress

from fedcomm.hub import actors, audit, follows, groups, journal, notifications, profiles
from fedcomm.hub.errors import HubError, Invalid, NotAllowed, NotFound
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
    await _note_move(tx, member_id, target)
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
    followers = await _members_following(tx, old_id)
    for follower_id in followers:
        # Blocked, moved away themselves, or of a server that this hub has nothing to do with.
        with suppress(HubError):
            await follows.request(tx, follower_id, new_id)
        await follows.end(tx, follower_id, old_id)
    return len(followers)


async def move_group_out(tx: Transaction, group_id: int, owner_id: int, target_id: int) -> int:
    """The group is now `target_id`, a group of another server; how many members here ask to follow it.

    Its topics stay to be read; nobody writes in it any more, until its owner takes it up again. Only open groups
    can move: of the others nobody elsewhere is to know. Raises NotFound, NotAllowed.
    """
    group = await groups.group(tx, group_id)
    target = await actors.actor(tx, target_id)
    if group is None:
        raise NotFound("There is no such group.")
    await groups.require_owner(tx, group_id, owner_id)
    if group.mode != "federated":
        raise NotAllowed("Only a group that everybody can see can move.")
    if target is None or target.is_local or target.deleted_at is not None:
        raise NotFound("There is no such group.")
    if target.kind != "group":
        raise NotAllowed("A group moves to a group.")
    await _note_move(tx, group_id, target)
    await audit.record(tx, "group_moved", actor_id=owner_id, subject_id=group_id)
    await journal.record(
        tx, "group_moved", actor_id=owner_id, group_id=group_id, target_id=target_id
    )
    rows = await tx.all(
        "SELECT s.actor_id FROM memberships s JOIN actors a ON a.id = s.actor_id"
        " WHERE s.group_id = ? AND s.state = 'active' AND a.host_id IS NULL",
        group_id,
    )
    people = await actors.actors(tx, [row["actor_id"] for row in rows])
    for person in people.values():
        await notifications.notify(tx, person, "group_moved", owner_id, group_id=group_id)
    return await _send_along(tx, list(people), target_id)


async def take_group_back(tx: Transaction, group_id: int, owner_id: int) -> None:
    """The group is used here again. Followers who went along do not come back by themselves."""
    await groups.require_owner(tx, group_id, owner_id)
    changed = await tx.execute(
        "UPDATE actors SET moved_to_uri = NULL, updated_at = ?"
        " WHERE id = ? AND moved_to_uri IS NOT NULL",
        now_ms(),
        group_id,
    )
    if changed:
        await journal.record(tx, "group_edited", actor_id=owner_id, group_id=group_id)


async def name_former_group(
    tx: Transaction, group_id: int, owner_id: int, uri: str, *, removed: bool = False
) -> None:
    """Say that the group at `uri`, elsewhere, was this one before: from there its members may be sent here. Raises
    NotAllowed, Invalid."""
    await groups.require_owner(tx, group_id, owner_id)
    known = await profiles.aliases_of(tx, group_id)
    if removed:
        await tx.execute("DELETE FROM aliases WHERE actor_id = ? AND uri = ?", group_id, uri)
    elif uri not in known:
        if len(known) >= profiles.ALIASES:
            raise Invalid("alias", "These are too many accounts.")
        await tx.execute("INSERT INTO aliases (actor_id, uri) VALUES (?, ?)", group_id, uri)
    if (uri in known) is removed:
        await journal.record(tx, "group_edited", actor_id=owner_id, group_id=group_id)


async def join_along(tx: Transaction, old_id: int, group_id: int) -> int:
    """A group of another server has become one of ours: members here who followed it join it; how many did."""
    followers = await _members_following(tx, old_id)
    for follower_id in followers:
        # Who is banned there, or away, just stops following what is no more.
        with suppress(HubError):
            await groups.join(tx, group_id, follower_id)
        await follows.end(tx, follower_id, old_id)
    return len(followers)


async def _members_following(tx: Transaction, followed_id: int) -> list[int]:
    rows = await tx.all(
        "SELECT f.follower_id FROM follows f JOIN actors a ON a.id = f.follower_id"
        " WHERE f.followed_id = ? AND a.host_id IS NULL",
        followed_id,
    )
    return [row["follower_id"] for row in rows]


async def _note_move(tx: Transaction, old_id: int, target: actors.Actor) -> None:
    """Raises NotAllowed within the cooldown."""
    moved_at = await tx.value("SELECT moved_at FROM actors WHERE id = ?", old_id)
    now = now_ms()
    if moved_at is not None and now - int(moved_at) < COOLDOWN_MS:
        raise NotAllowed("An account can move once a week.")
    await tx.execute(
        "UPDATE actors SET moved_to_uri = ?, moved_at = ?, updated_at = ? WHERE id = ?",
        target.uri,
        now,
        now,
        old_id,
    )


async def _send_along(tx: Transaction, member_ids: list[int], target_id: int) -> int:
    """Members ask to follow the new place of their group; who may not, or has moved away, is left out."""
    count = 0
    for member_id in member_ids:
        with suppress(HubError):
            await follows.request(tx, member_id, target_id)
            count += 1
    return count
