"""The journal: one entry for each operation, written in its transaction. Every spoke reads it with
a cursor.

An entry says what happened to which ids, never what was written: erasure has nothing to rewrite
here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from fedcomm.store.database import Reader, Transaction
from fedcomm.store.ids import now_ms

Event = Literal[
    "member_created",
    "member_edited",
    "member_suspended",
    "member_deleted",
    "member_moved",
    "block_announced",
    "block_withdrawn",
    "group_created",
    "group_edited",
    "group_moved",
    "membership_requested",
    "membership_activated",
    "membership_refused",
    "membership_ended",
    "member_banned",
    "member_unbanned",
    "moderator_added",
    "moderator_removed",
    "topic_created",
    "reply_created",
    "post_stored",
    "object_edited",
    "object_refreshed",
    "object_deleted",
    "object_removed",
    "object_hidden",
    "object_restored",
    "object_shown",
    "object_held",
    "object_purged",
    "topic_pinned",
    "topic_unpinned",
    "topic_locked",
    "topic_unlocked",
    "reaction_added",
    "reaction_withdrawn",
    "quote_requested",
    "quote_accepted",
    "quote_refused",
    "quote_revoked",
    "quote_granted",
    "quote_lost",
    "poll_voted",
    "poll_counted",
    "poll_closed",
    "event_requested",
    "event_joined",
    "event_refused",
    "event_left",
    "follow_requested",
    "follow_accepted",
    "follow_refused",
    "follow_ended",
    "report_filed",
    "report_forwarded",
    "report_decided",
    "person_barred",
    "relay_added",
    "relay_removed",
    "relay_followed",
    "canary_asked",
    "canary_answered",
    "erasure_requested",
    "object_erased",
    "group_erased",
    "consent_granted",
    "consent_withdrawn",
    "object_recalled",
]


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry. `actor_id` did it; `object_id`, `group_id` and `target_id` (an actor or a
    reaction) are what it
    concerns; `at` is Unix milliseconds."""

    seq: int
    event: Event
    actor_id: int | None
    object_id: int | None
    group_id: int | None
    target_id: int | None
    at: int


async def record(
    tx: Transaction,
    event: Event,
    *,
    actor_id: int | None = None,
    object_id: int | None = None,
    group_id: int | None = None,
    target_id: int | None = None,
) -> None:
    """Append an entry to the journal, in the transaction of the operation that it tells of."""
    await tx.later(
        "INSERT INTO journal (event, actor_id, object_id, group_id, target_id, created_at)"
        " VALUES (?, ?, ?, ?, ?, ?)",
        event,
        actor_id,
        object_id,
        group_id,
        target_id,
        now_ms(),
    )


async def entries_after(db: Reader, seq: int, limit: int) -> Sequence[Entry]:
    """The next `limit` entries after number `seq`, oldest first."""
    rows = await db.all(
        "SELECT seq, event, actor_id, object_id, group_id, target_id, created_at FROM journal"
        " WHERE seq > ? ORDER BY seq LIMIT ?",
        seq,
        limit,
    )
    return [
        Entry(
            row["seq"],
            row["event"],
            row["actor_id"],
            row["object_id"],
            row["group_id"],
            row["target_id"],
            row["created_at"],
        )
        for row in rows
    ]


async def last_seq(db: Reader) -> int:
    """The number of the newest entry, 0 for an empty journal."""
    return int(await db.value("SELECT max(seq) FROM journal") or 0)


async def cursor(db: Reader, consumer: str) -> int:
    """How far `consumer` has read; 0 if it never did."""
    return int(await db.value("SELECT seq FROM cursors WHERE consumer = ?", consumer) or 0)


async def move_cursor(tx: Transaction, consumer: str, seq: int) -> None:
    """Note, in the transaction of its effects, that `consumer` has read up to `seq`."""
    await tx.execute(
        "INSERT INTO cursors (consumer, seq) VALUES (?, ?)"
        " ON CONFLICT (consumer) DO UPDATE SET seq = excluded.seq",
        consumer,
        seq,
    )
