"""What tells a member that something concerns them. Nobody is told of what they may not read
(INV-20)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Literal

from fedcomm.hub import actors, avoidance
from fedcomm.hub.visibility import VIEWERS, Clause, member, readable, shown
from fedcomm.store.database import Reader, Transaction
from fedcomm.store.ids import first_id_at, new_id, now_ms

Kind = Literal[
    "reply", "mention", "quote", "like", "share", "follow", "follow_requested", "follow_accepted",
    "membership_requested", "membership_activated", "poll_ended",
    "event_joined", "event_requested", "event_accepted", "event_refused", "event_changed",
    "group_moved",
    "post_waiting", "held", "report", "statement", "appeal", "appeal_answered",
]  # fmt: skip


COLLAPSED: Final[frozenset[Kind]] = frozenset(
    {"follow", "follow_requested", "membership_requested", "report"}
)
"""What many strangers of one server may do to one member within minutes."""

LINES_PER_HOST: Final = 5
"""Unread lines of one kind from one server within an hour; what comes then is counted on the last of them."""

HOUR_MS: Final = 3_600_000


ALWAYS: Final = Clause("1 = 1")


@dataclass(frozen=True, slots=True)
class Notification:
    """One line of the notifications page; `actor` did it. Times: Unix milliseconds."""

    id: int
    kind: Kind
    actor: actors.Actor
    object_id: int | None
    object_title: str
    object_html: str
    topic_id: int | None
    group_name: str | None
    matter_id: int | None
    created_at: int
    read: bool
    more: int = 0
    """How many others from the same server did the same right after."""


async def notify(
    tx: Transaction,
    recipient: actors.Actor,
    kind: Kind,
    actor_id: int,
    *,
    object_id: int | None = None,
    group_id: int | None = None,
    matter_id: int | None = None,
    about_oneself: bool = False,
) -> None:
    """Tell `recipient` once, if they are a member here, did not do it themselves (or it is
    `about_oneself`: nobody did it), and may read the object."""
    if not recipient.is_local or recipient.kind != "person":
        return
    if recipient.id == actor_id and not about_oneself:
        return
    if recipient.suspended_at is not None or recipient.deleted_at is not None:
        return
    person, thing = _may_know_of(recipient.id)
    may_know = Clause(person.sql, (actor_id, *person.args))
    if object_id is not None:
        may_know = Clause(thing.sql, (actor_id, *person.args, object_id, *thing.args))
    if kind in COLLAPSED:
        # Else it would be counted on a line that is there.
        known = await tx.value(f"SELECT 1 FROM actors a WHERE {may_know.sql}", *may_know.args)
        if known is None:
            return
    await _insert(tx, recipient.id, kind, actor_id, object_id, group_id, matter_id, may_know)


@lru_cache(maxsize=VIEWERS)
def _may_know_of(member_id: int) -> tuple[Clause, Clause]:
    """The condition on the row `a` of a person, and the one that holds for an object as well. Parameters: the person's
    id, those of the first; the object's id, those of the second."""
    viewer = member(member_id)
    allowed = shown(viewer, "a.host_id", "a.id")
    met = avoidance.not_avoided(viewer, "a.id", "a.host_id")
    person = Clause(f"a.id = ? AND {allowed.sql} AND {met.sql}", (*allowed.args, *met.args))
    gate = readable(viewer)
    about = f"EXISTS (SELECT 1 FROM objects o WHERE o.id = ? AND {gate.sql})"
    return person, Clause(f"{person.sql} AND {about}", gate.args)


@lru_cache(maxsize=16)
def _insert_if(condition: str) -> str:
    return (
        "INSERT INTO notifications (id, member_id, kind, actor_id, object_id, group_id, matter_id,"
        " created_at) SELECT CAST(? AS BIGINT), CAST(? AS BIGINT), CAST(? AS TEXT), a.id,"
        " CAST(? AS BIGINT), CAST(? AS BIGINT), CAST(? AS BIGINT), CAST(? AS BIGINT)"
        f" FROM actors a WHERE a.id = ? AND {condition} ON CONFLICT DO NOTHING"
    )


async def remind(
    tx: Transaction,
    recipient: actors.Actor,
    kind: Kind,
    actor_id: int,
    *,
    group_id: int | None = None,
) -> None:
    """Tell `recipient` that there is something to do, unless a line that they have not read says so already."""
    if not recipient.is_local or recipient.suspended_at is not None:
        return
    unread = await tx.value(
        "SELECT 1 FROM notifications WHERE member_id = ? AND read_at IS NULL AND kind = ? LIMIT 1",
        recipient.id,
        kind,
    )
    if unread is None:
        await tx.execute(
            "DELETE FROM notifications WHERE member_id = ? AND kind = ?", recipient.id, kind
        )
        await _insert(tx, recipient.id, kind, actor_id, None, group_id, None)


async def tell(
    tx: Transaction,
    recipient: actors.Actor,
    kind: Kind,
    *,
    matter_id: int,
    group_id: int | None = None,
) -> None:
    """Tell a member what was decided about them, by the group or the hub and not by a person.

    `matter_id`: the statement's id. People of other servers read no notifications here.
    """
    if recipient.is_local and recipient.kind == "person" and recipient.deleted_at is None:
        actor_id = group_id if group_id is not None else recipient.id
        await _insert(tx, recipient.id, kind, actor_id, None, group_id, matter_id)


async def _insert(
    tx: Transaction,
    member_id: int,
    kind: Kind,
    actor_id: int,
    object_id: int | None,
    group_id: int | None,
    matter_id: int | None,
    if_so: Clause = ALWAYS,
) -> None:
    """`if_so`: a condition on the row `a` of who did it."""
    if kind in COLLAPSED and await _collapsed(tx, member_id, kind, actor_id):
        return
    # A unique index refuses the second of two that say the same.
    await tx.later(
        _insert_if(if_so.sql),
        new_id(),
        member_id,
        kind,
        object_id,
        group_id,
        matter_id,
        now_ms(),
        actor_id,
        *if_so.args,
    )


async def _collapsed(tx: Transaction, member_id: int, kind: Kind, actor_id: int) -> bool:
    """Whether it is counted on a line that is there: a wave from one server is a few lines, not a hundred."""
    lines = await tx.all(
        "SELECT n.id, n.actor_id FROM actors a JOIN notifications n ON n.actor_id = a.id"
        " WHERE n.member_id = ? AND n.id > ? AND n.kind = ? AND n.read_at IS NULL"
        " AND a.host_id = (SELECT b.host_id FROM actors b WHERE b.id = ?)"
        " ORDER BY n.id DESC LIMIT ?",
        member_id,
        first_id_at(now_ms() - HOUR_MS),
        kind,
        actor_id,
        LINES_PER_HOST,
    )
    if len(lines) < LINES_PER_HOST or actor_id in {line["actor_id"] for line in lines}:
        return False
    await tx.execute("UPDATE notifications SET more = more + 1 WHERE id = ?", lines[0]["id"])
    return True


async def unread_count(db: Reader, member_id: int) -> int:
    """How many notifications the member has not seen, counted to 100 at most: of those that
    `list_notifications` shows."""
    clause = readable(member(member_id))
    allowed = shown(member(member_id), "na.host_id", "na.id")
    met = avoidance.not_avoided(member(member_id), "na.id", "na.host_id")
    return int(
        await db.value(
            "SELECT count(*) FROM (SELECT 1 AS one FROM notifications n"
            " LEFT JOIN actors na ON na.id = n.actor_id"
            f" LEFT JOIN objects o ON o.id = n.object_id AND {clause.sql}"
            " WHERE n.member_id = ? AND n.read_at IS NULL"
            f" AND (n.object_id IS NULL OR o.id IS NOT NULL) AND {allowed.sql}"
            f" AND {met.sql} LIMIT 100) AS unread",
            *clause.args,
            member_id,
            *allowed.args,
            *met.args,
        )
    )


async def list_notifications(
    db: Reader, member_id: int, *, before: int | None = None, limit: int = 30
) -> list[Notification]:
    """The member's notifications, newest first, before id `before`; those of objects no longer
    readable are left out."""
    clause = readable(member(member_id))
    allowed = shown(member(member_id), "a.host_id", "a.id")
    met = avoidance.not_avoided(member(member_id), "a.id", "a.host_id")
    rows = await db.all(
        f"SELECT {actors.COLUMNS}, n.id AS notification_id, n.kind AS notification_kind,"
        " n.object_id, n.matter_id,"
        " n.created_at AS told_at, n.read_at, n.more, o.title, o.html, o.topic_id, ga.name AS group_name"
        " FROM notifications n JOIN actors a ON a.id = n.actor_id LEFT JOIN hosts h ON h.id = a.host_id"
        f" LEFT JOIN objects o ON o.id = n.object_id AND {clause.sql}"
        " LEFT JOIN actors ga ON ga.id = COALESCE(n.group_id, o.group_id)"
        " WHERE n.member_id = ? AND n.id < ? AND (n.object_id IS NULL OR o.id IS NOT NULL)"
        f" AND {allowed.sql} AND {met.sql} ORDER BY n.id DESC LIMIT ?",
        *clause.args,
        member_id,
        before if before is not None else (1 << 63) - 1,
        *allowed.args,
        *met.args,
        limit,
    )
    return [
        Notification(
            row["notification_id"],
            row["notification_kind"],
            actors.actor_of(row),
            row["object_id"],
            row["title"] or "",
            row["html"] or "",
            row["topic_id"],
            row["group_name"],
            row["matter_id"],
            row["told_at"],
            row["read_at"] is not None,
            row["more"],
        )
        for row in rows
    ]


async def mark_read(tx: Transaction, member_id: int, up_to: int) -> None:
    """The member has seen everything up to notification `up_to`."""
    await tx.execute(
        "UPDATE notifications SET read_at = ? WHERE member_id = ? AND id <= ? AND read_at IS NULL",
        now_ms(),
        member_id,
        up_to,
    )
