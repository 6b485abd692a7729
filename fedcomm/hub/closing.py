"""Closing a group for good: by its owner, or by an administrator, with a reason.

What was written in it is erased here and asked back everywhere, its actor is gone for every server, and its name is
given to nobody again; `fedcomm.hub.erasure` does it, in steps. Whoever wants to keep it readable moves it, or lets only
moderators write.
"""

from __future__ import annotations

from fedcomm.hub import audit, erasure, groups, members, statements
from fedcomm.hub.errors import NotAllowed, NotFound
from fedcomm.hub.visibility import can_see_group, member
from fedcomm.store.database import Reader, Transaction
from fedcomm.store.ids import now_ms


async def may_close(db: Reader, group_id: int, actor_id: int) -> bool:
    """Whether the actor owns the group, or administers a hub on which they can see it."""
    place = await groups.membership(db, group_id, actor_id)
    if place is not None and place.state == "active" and place.role == "owner":
        return True
    person = await members.member(db, actor_id)
    if person is None or person.state != "active" or person.role != "administrator":
        return False
    return await can_see_group(db, member(actor_id), group_id)


async def close(tx: Transaction, group_id: int, by_id: int | None, reason: str) -> int:
    """Close the group; the id of its case of erasure. `by_id` None: the command line. The caller has asked for the
    password again. Raises NotFound, NotAllowed, Invalid (no reason)."""
    group = await groups.group(tx, group_id)
    if group is None:
        raise NotFound("There is no such group.")
    if by_id is not None and not await may_close(tx, group_id, by_id):
        raise NotAllowed("Only the owner of the group or an administrator closes it.")
    text = statements.required(reason)
    await tx.execute(
        "UPDATE groups SET closed_at = ?, closed_by = ?, closing_reason = ? WHERE actor_id = ?",
        now_ms(),
        by_id,
        text,
        group_id,
    )
    await audit.record(
        tx, "group_closed", actor_id=by_id, subject_id=group_id, detail={"name": group.name}
    )
    return await erasure.request(tx, "group", group_id, requested_by=by_id, reason=text)
