"""What a group asks of those who write in it: who opens topics, how many in an hour, and whose first posts wait.

A host is unknown to a group until something from it was let in. Its posts wait as `withheld = 'waiting'`
(`fedcomm.hub.removal`) until a moderator lets them in or refuses them.
"""

from __future__ import annotations

from typing import Final

from fedcomm.hub import groups, journal, notifications
from fedcomm.hub.errors import NotAllowed
from fedcomm.store.database import Reader, Transaction
from fedcomm.store.ids import first_id_at, now_ms

HOUR_MS: Final = 3_600_000


async def require_topic(
    tx: Transaction, group: groups.Group, author_id: int, place: groups.Membership | None
) -> None:
    """Raises NotAllowed unless this person may open a topic now."""
    if place is not None and place.moderates:
        return
    if group.topics_by == "moderators":
        raise NotAllowed("Only moderators start topics in this group.")
    if group.topics_by == "members" and (place is None or place.state != "active"):
        raise NotAllowed("Only members start topics in this group.")
    if group.topics_per_hour:
        lately = await tx.value(
            "SELECT count(*) FROM (SELECT 1 AS one FROM objects WHERE author_id = ? AND id > ?"
            " AND group_id = ? AND kind = 'topic' LIMIT ?) AS lately",
            author_id,
            first_id_at(now_ms() - HOUR_MS),
            group.id,
            group.topics_per_hour,
        )
        if int(lately) >= group.topics_per_hour:
            raise NotAllowed("You have opened many topics in this group. Try again in an hour.")


async def must_wait(
    tx: Transaction, group: groups.Group, host_id: int | None, place: groups.Membership | None
) -> bool:
    """Whether something from this host waits for a moderator."""
    if host_id is None or not group.first_posts_wait or (place is not None and place.moderates):
        return False
    known = await tx.value(
        "SELECT 1 FROM objects WHERE group_id = ? AND host_id = ? AND withheld IS NULL"
        " AND deleted_at IS NULL LIMIT 1",
        group.id,
        host_id,
    )
    return known is None


async def hold(tx: Transaction, group: groups.Group, object_id: int, author_id: int) -> None:
    """Note that a post waits, and tell the moderators once for each author."""
    await journal.record(
        tx, "object_held", actor_id=author_id, object_id=object_id, group_id=group.id
    )
    for moderator in await groups.moderators(tx, group.id):
        await notifications.notify(tx, moderator, "post_waiting", author_id, group_id=group.id)


async def waiting(db: Reader, group_id: int, *, limit: int = 50) -> list[int]:
    """Ids of what waits in a group, the oldest first."""
    rows = await db.all(
        "SELECT id FROM objects WHERE group_id = ? AND withheld = 'waiting' ORDER BY id LIMIT ?",
        group_id,
        limit,
    )
    return [row["id"] for row in rows]
