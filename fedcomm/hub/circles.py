"""Who is in a *reserved* group from where: which servers may ask. Which have its words, `group_hosts.homes` says.

A group that names no server can be asked by people of any; one that names some is unknown to all others
(`fedcomm.hub.visibility.group_known`). A name holds for that server alone, not for servers below it: who runs
a domain need not answer for everybody who has a name in it.
"""

from __future__ import annotations

from collections.abc import Sequence

from fedcomm.hub import audit, groups, journal, policies
from fedcomm.hub.errors import Invalid, NotAllowed
from fedcomm.store.database import Reader, Transaction, marks


async def is_home(db: Reader, group_id: int, host_id: int) -> bool:
    """Whether somebody of this host is an active member of the group now (INV-17, INV-21)."""
    found = await db.value(
        "SELECT 1 FROM memberships s JOIN actors a ON a.id = s.actor_id WHERE s.group_id = ?"
        " AND s.state = 'active' AND s.suspended = 0 AND a.deleted_at IS NULL AND a.host_id = ?"
        " LIMIT 1",
        group_id,
        host_id,
    )
    return found is not None


async def members_among(db: Reader, group_id: int, actor_ids: Sequence[int]) -> set[int]:
    """Which of these are active members of the group."""
    rows = await db.all(
        "SELECT actor_id FROM memberships WHERE group_id = ? AND state = 'active'"
        f" AND suspended = 0 AND actor_id IN ({marks(len(actor_ids))})",
        group_id,
        *(actor_ids or (0,)),
    )
    return {int(row["actor_id"]) for row in rows}


async def askers(db: Reader, group_id: int) -> list[str]:
    """The servers whose people may ask to join, by name; none: all may."""
    rows = await db.all(
        "SELECT domain FROM group_askers WHERE group_id = ? ORDER BY domain", group_id
    )
    return [row["domain"] for row in rows]


async def set_askers(
    tx: Transaction, group_id: int, moderator_id: int, names: Sequence[str]
) -> int:
    """Say which servers' people may ask, an empty list for all; how many people it took out of the group.

    Whoever is in the group, or waits, from a server that is not named any more is turned away: a list that
    says who may be here is true of those who are here. Raises Invalid (`askers`), NotAllowed.
    """
    await groups.require_moderator(tx, group_id, moderator_id)
    found = await groups.group(tx, group_id)
    if found is None or found.mode != "reserved":
        raise NotAllowed(
            "Only a group with members on other servers names the servers that may ask."
        )
    try:
        wanted = sorted({policies.normal_domain(name) for name in names if name.strip()})
    except Invalid as refusal:
        raise Invalid("askers", refusal.message) from refusal
    if len(wanted) > groups.ASKERS_MOST:
        raise Invalid("askers", "Name 200 servers at most.")
    before = await askers(tx, group_id)
    if wanted == before:
        return 0
    await tx.execute("DELETE FROM group_askers WHERE group_id = ?", group_id)
    if wanted:
        await tx.many(
            "INSERT INTO group_askers (group_id, domain) VALUES (?, ?)",
            [(group_id, domain) for domain in wanted],
        )
    gone = await _outside(tx, group_id) if wanted else []
    for actor_id, role in gone:
        if role == "moderator":
            await groups.require_owner(tx, group_id, moderator_id)
        await groups.refuse(tx, group_id, moderator_id, actor_id)
    await audit.record(
        tx,
        "group_askers_changed",
        actor_id=moderator_id,
        subject_id=group_id,
        detail={"servers": len(wanted), "removed": len(gone)},
    )
    await journal.record(tx, "group_edited", actor_id=moderator_id, group_id=group_id)
    return len(gone)


async def _outside(tx: Transaction, group_id: int) -> list[tuple[int, str]]:
    """Who is in the group, or asks, from a server that it does not name."""
    rows = await tx.all(
        "SELECT s.actor_id, s.role FROM memberships s JOIN actors a ON a.id = s.actor_id"
        " JOIN hosts h ON h.id = a.host_id WHERE s.group_id = ? AND s.state IN ('active', 'requested')"
        " AND NOT EXISTS (SELECT 1 FROM group_askers g WHERE g.group_id = s.group_id"
        " AND g.domain = h.name) ORDER BY s.actor_id",
        group_id,
    )
    return [(row["actor_id"], row["role"]) for row in rows]
