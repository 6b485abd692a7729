"""Restrictions: what somebody writes waits for a moderator, in one group or in all of them, until it is let in.

A restriction is its statement of reasons (`fedcomm.hub.statements`): it holds until it is taken back or its time is
over. Who is restricted reads, likes and votes as before, and other servers are told nothing. Decided in
`fedcomm.hub.moderation`, asked for in `fedcomm.hub.admission`.
"""

from __future__ import annotations

from dataclasses import dataclass

from fedcomm.hub import actors
from fedcomm.store.database import Reader
from fedcomm.store.ids import end_of_second_ms, now_ms


@dataclass(frozen=True, slots=True)
class Restriction:
    """One person's restriction. Times: Unix milliseconds; `until` None: for good. `group_id` None: in all groups."""

    statement_id: int
    person: actors.Actor
    group_id: int | None
    reason: str
    since: int
    until: int | None


async def holds(db: Reader, person_id: int, group_id: int) -> bool:
    """Whether what this person writes in the group waits."""
    found = await db.value(
        "SELECT 1 FROM statements WHERE person_id = ? AND action = 'restrict' AND ended_at IS NULL"
        " AND (group_id IS NULL OR group_id = ?) AND (expires_at IS NULL OR expires_at > ?)"
        " LIMIT 1",
        person_id,
        group_id,
        end_of_second_ms(),
    )
    return found is not None


async def restrictions(db: Reader, group_id: int, *, limit: int = 100) -> list[Restriction]:
    """Who is restricted in this group by its moderators now, the last decided of first."""
    rows = await db.all(
        f"SELECT {actors.COLUMNS}, s.id AS statement_id, s.group_id, s.reason,"
        f" s.created_at AS since, s.expires_at AS ends_at {actors.FROM}"
        " JOIN statements s ON s.person_id = a.id WHERE s.group_id = ? AND s.action = 'restrict'"
        " AND s.ended_at IS NULL AND (s.expires_at IS NULL OR s.expires_at > ?)"
        " ORDER BY s.id DESC LIMIT ?",
        group_id,
        now_ms(),
        limit,
    )
    return [
        Restriction(
            row["statement_id"],
            actors.actor_of(row),
            row["group_id"],
            row["reason"],
            row["since"],
            row["ends_at"],
        )
        for row in rows
    ]
