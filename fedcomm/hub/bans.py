"""Bans from a group: who may neither join it nor write in it, until when, and why.

A ban stands in the person's membership (state `banned`), so whatever asks for a place in the group meets
it. Statements and rights are the business of `fedcomm.hub.moderation`; here is only what a ban is.
"""

from __future__ import annotations

from dataclasses import dataclass

from fedcomm.hub import actors, groups, journal
from fedcomm.hub.errors import NotAllowed, NotFound
from fedcomm.store.database import Reader, Transaction
from fedcomm.store.ids import now_ms


@dataclass(frozen=True, slots=True)
class Ban:
    """One person's ban from one group. Times: Unix milliseconds; `until` None: for good."""

    group_id: int
    person: actors.Actor
    reason: str
    by_id: int | None
    since: int
    until: int | None


async def ban(db: Reader, group_id: int, actor_id: int) -> Ban | None:
    """The person's ban from the group, if one holds now."""
    found = await _bans(db, "s.group_id = ? AND s.actor_id = ?", group_id, actor_id, 1)
    return found[0] if found else None


async def bans(db: Reader, group_id: int, *, after: int = 0, limit: int = 100) -> list[Ban]:
    """Who is banned from the group now, by actor id after `after`."""
    return await _bans(db, "s.group_id = ? AND s.actor_id > ?", group_id, after, limit)


async def _bans(db: Reader, where: str, first: int, second: int, limit: int) -> list[Ban]:
    rows = await db.all(
        f"SELECT {actors.COLUMNS}, s.group_id, s.ban_reason, s.banned_by, s.decided_at,"
        f" s.banned_until {actors.FROM} JOIN memberships s ON s.actor_id = a.id"
        f" WHERE {where} AND s.state = 'banned' AND (s.banned_until IS NULL OR s.banned_until > ?)"
        " ORDER BY s.actor_id LIMIT ?",
        first,
        second,
        now_ms(),
        limit,
    )
    return [
        Ban(
            row["group_id"],
            actors.actor_of(row),
            row["ban_reason"],
            row["banned_by"],
            row["decided_at"] or 0,
            row["banned_until"],
        )
        for row in rows
    ]


async def impose(
    tx: Transaction,
    group_id: int,
    by_id: int,
    actor_id: int,
    *,
    reason: str,
    until: int | None = None,
) -> None:
    """Ban a person. The caller has checked who may do this.

    A member loses their place; who was no member cannot become one. A second ban replaces the first.
    Raises NotFound, NotAllowed (an owner, a moderator, a group).
    """
    person = await actors.actor(tx, actor_id)
    if person is None or person.deleted_at is not None or person.kind == "group":
        raise NotFound("There is no such person.")
    known = await groups.membership(tx, group_id, actor_id)
    if known is not None and known.role != "member":
        raise NotAllowed("Who looks after the group cannot be banned from it.")
    now = now_ms()
    await tx.execute(
        "INSERT INTO memberships (group_id, actor_id, role, state, follow_uri, created_at, decided_at,"
        " banned_until, banned_by, ban_reason) VALUES (?, ?, 'member', 'banned', ?, ?, ?, ?, ?, ?)"
        " ON CONFLICT (group_id, actor_id) DO UPDATE SET role = 'member', state = 'banned',"
        " decided_at = excluded.decided_at, banned_until = excluded.banned_until,"
        " banned_by = excluded.banned_by, ban_reason = excluded.ban_reason",
        group_id,
        actor_id,
        known.follow_uri if known is not None else None,
        now,
        now,
        until,
        by_id,
        reason,
    )
    if known is not None and known.state != "banned":
        # Their server takes the follow down; who is banned does not go on receiving.
        await journal.record(
            tx, "membership_refused", actor_id=by_id, group_id=group_id, target_id=actor_id
        )
    await journal.record(tx, "member_banned", actor_id=by_id, group_id=group_id, target_id=actor_id)


async def lift(tx: Transaction, group_id: int, by_id: int | None, actor_id: int) -> bool:
    """Let a banned person come back, as somebody who is no member; False if there was no ban.

    The caller has checked who may do this.
    """
    gone = await tx.execute(
        "DELETE FROM memberships WHERE group_id = ? AND actor_id = ? AND state = 'banned'",
        group_id,
        actor_id,
    )
    if gone:
        await journal.record(
            tx, "member_unbanned", actor_id=by_id, group_id=group_id, target_id=actor_id
        )
    return gone > 0


async def tidy(tx: Transaction, *, limit: int = 500) -> int:
    """Forget bans that are over; how many. Other servers were told the end with the ban."""
    return await tx.execute(
        "DELETE FROM memberships WHERE (group_id, actor_id) IN (SELECT group_id, actor_id"
        " FROM memberships WHERE banned_until IS NOT NULL AND banned_until <= ?"
        " AND state = 'banned' LIMIT ?)",
        now_ms(),
        limit,
    )
