"""Who may judge what: moderators of a group what is in it, administrators and moderators of the hub the rest.

Staff of the hub may also judge in groups that they can see anyway; of a private group only its own
moderators learn anything. Rights are asked for at the time of the act (INV-21).
"""

from __future__ import annotations

from fedcomm.hub import groups, members
from fedcomm.hub.errors import NotAllowed
from fedcomm.hub.statements import Role
from fedcomm.hub.visibility import Clause
from fedcomm.store.database import Reader


async def is_staff(db: Reader, actor_id: int) -> bool:
    """Whether the actor is an active administrator or moderator of this hub."""
    person = await members.member(db, actor_id)
    return person is not None and person.state == "active" and person.is_staff


async def role_in(db: Reader, actor_id: int, group_id: int | None) -> Role | None:
    """In which role the actor judges what belongs to this group, or (None) to the hub; None if in none."""
    if group_id is not None:
        place = await groups.membership(db, group_id, actor_id)
        if place is not None and place.moderates:
            return "group"
        group = await groups.group(db, group_id)
        if group is None or group.is_members_only:
            return None
    return "hub" if await is_staff(db, actor_id) else None


async def require(db: Reader, actor_id: int, group_id: int | None) -> Role:
    """The role in which the actor judges here. Raises NotAllowed."""
    role = await role_in(db, actor_id, group_id)
    if role is None:
        raise NotAllowed("Only moderators can do this.")
    return role


async def require_staff(db: Reader, actor_id: int) -> None:
    """Raises NotAllowed unless the actor is staff of the hub."""
    if not await is_staff(db, actor_id):
        raise NotAllowed("Only administrators and moderators of this site can do this.")


async def judges_at_all(db: Reader, actor_id: int) -> bool:
    """Whether there is anything that the actor could have to judge."""
    if await is_staff(db, actor_id):
        return True
    found = await db.value(
        "SELECT 1 FROM memberships WHERE actor_id = ? AND state = 'active'"
        " AND role IN ('owner', 'moderator') LIMIT 1",
        actor_id,
    )
    return found is not None


async def within(db: Reader, actor_id: int, group: str) -> Clause:
    """The condition under which the actor judges a row whose group is the SQL expression `group` (NULL: the
    hub's)."""
    mine = (
        f"EXISTS (SELECT 1 FROM memberships jm WHERE jm.group_id = {group} AND jm.actor_id = ?"
        " AND jm.state = 'active' AND jm.suspended = 0 AND jm.role IN ('owner', 'moderator'))"
    )
    if not await is_staff(db, actor_id):
        return Clause(mine, (actor_id,))
    return Clause(
        f"({mine} OR {group} IS NULL OR EXISTS (SELECT 1 FROM groups jg"
        f" WHERE jg.actor_id = {group} AND jg.mode NOT IN ('private', 'reserved')))",
        (actor_id,),
    )
