"""What a group asks of those who write in it: who opens topics, how many in an hour, and whose posts wait.

A host is unknown to a group until something from it was let in. Its posts wait as `withheld = 'waiting'`
(`fedcomm.hub.removal`) until a moderator lets them in or refuses them; so does what restricted people write
(`fedcomm.hub.restrictions`).
"""

from __future__ import annotations

from typing import Final

from fedcomm.hub import audit, group_hosts, groups, journal, notifications, policies, restrictions
from fedcomm.hub.errors import Invalid, NotAllowed
from fedcomm.hub.group_hosts import Access
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


async def require_host(
    tx: Reader, group_id: int, host_id: int | None, place: groups.Membership | None
) -> None:
    """Raises NotAllowed unless people of this host may write in the group. Who looks after it may always."""
    if place is not None and place.moderates:
        return
    if await group_hosts.access(tx, group_id, host_id) != "write":
        raise NotAllowed("This group takes no posts from your server.")


async def set_host(
    tx: Transaction, group_id: int, moderator_id: int, domain: str, access: Access | None
) -> None:
    """Say what people of a domain may do in the group; None removes the rule. Raises NotAllowed, Invalid."""
    await groups.require_moderator(tx, group_id, moderator_id)
    name = policies.normal_domain(domain)
    if access is None:
        await tx.execute(
            "DELETE FROM group_hosts WHERE group_id = ? AND domain = ?", group_id, name
        )
    else:
        _require_access(access)
        number = await tx.value("SELECT count(*) FROM group_hosts WHERE group_id = ?", group_id)
        if int(number) >= group_hosts.RULES_MOST:
            raise Invalid("domain", "There are too many rules.")
        await tx.execute(
            "INSERT INTO group_hosts (group_id, domain, access, created_by, created_at)"
            " VALUES (?, ?, ?, ?, ?) ON CONFLICT (group_id, domain) DO UPDATE SET"
            " access = excluded.access, created_by = excluded.created_by,"
            " created_at = excluded.created_at",
            group_id,
            name,
            access,
            moderator_id,
            now_ms(),
        )
    await _note_hosts(tx, group_id, moderator_id, {"domain": name, "access": access})


async def set_other_hosts(
    tx: Transaction, group_id: int, moderator_id: int, access: Access
) -> None:
    """Say what holds for servers without a rule. Raises NotAllowed, Invalid."""
    await groups.require_moderator(tx, group_id, moderator_id)
    _require_access(access)
    await tx.execute("UPDATE groups SET hosts_access = ? WHERE actor_id = ?", access, group_id)
    await _note_hosts(tx, group_id, moderator_id, {"others": access})


def _require_access(access: str) -> None:
    if access not in group_hosts.ACCESSES:
        raise Invalid("access", "Choose what people of the server may do.")


async def _note_hosts(
    tx: Transaction, group_id: int, moderator_id: int, detail: dict[str, object]
) -> None:
    await audit.record(tx, "group_hosts", actor_id=moderator_id, subject_id=group_id, detail=detail)


async def must_wait(
    tx: Reader,
    group: groups.Group,
    author_id: int,
    host_id: int | None,
    place: groups.Membership | None,
) -> bool:
    """Whether something by this person, from this host, waits for a moderator."""
    if place is not None and place.moderates:
        return False
    if await restrictions.holds(tx, author_id, group.id):
        return True
    if host_id is None or not group.first_posts_wait:
        return False
    known = await tx.value(
        "SELECT 1 FROM objects WHERE group_id = ? AND host_id = ? AND withheld IS NULL"
        " AND deleted_at IS NULL LIMIT 1",
        group.id,
        host_id,
    )
    return known is None


async def require_free(tx: Transaction, group_id: int, author_id: int) -> None:
    """Raises NotAllowed for somebody whose words wait: what is shown cannot become something that nobody looked at."""
    place = await groups.membership(tx, group_id, author_id)
    if place is not None and place.moderates:
        return
    if await restrictions.holds(tx, author_id, group_id):
        raise NotAllowed(
            "What you write waits for a moderator, so what is shown cannot be changed."
        )


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
