"""What waits for a moderator because it looks like abuse: held with its reasons, then let in or refused.

What is let in is processed as if it had just come. The words stay in the queue of what came in (`inbox`); here stands
only who sent what and why it waits.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from fedcomm.hub import actors, audit, authority, notifications, reports, statements
from fedcomm.hub.errors import NotFound
from fedcomm.hub.visibility import Clause
from fedcomm.store.database import Reader, Transaction, marks
from fedcomm.store.ids import now_ms

PER_HOST: Final = 200
"""So much of one host is held; what comes then waits in the queue until there is room again."""

COUNTED: Final = 1_000

Reach = Literal["this", "person", "host"]
"""What a decision is about: one post, all that is held of its author, or of its server."""


@dataclass(frozen=True, slots=True)
class Entry:
    """Something that is held. `body`: as it came; times: Unix milliseconds; `like_it`: how many of its host wait."""

    id: int
    author: actors.Actor
    group_name: str | None
    reasons: tuple[str, ...]
    score: int
    held_at: int
    body: str
    like_it: int


async def hold(
    tx: Transaction,
    inbox_id: int,
    *,
    actor_id: int,
    host_id: int,
    group_id: int | None,
    object_uri: str | None,
    score: int,
    reasons: tuple[str, ...],
) -> None:
    """Keep it for a moderator, and tell those who judge there once, however many it becomes."""
    await tx.execute(
        "INSERT INTO held (inbox_id, actor_id, host_id, group_id, object_uri, score, reasons, held_at)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (inbox_id) DO NOTHING",
        inbox_id,
        actor_id,
        host_id,
        group_id,
        object_uri,
        score,
        " ".join(reasons),
        now_ms(),
    )
    for judge in await reports.judges(tx, group_id):
        await notifications.remind(tx, judge, "held", actor_id, group_id=group_id)


async def has_room(db: Reader, host_id: int) -> bool:
    """Whether more of this host may be held."""
    held = await db.value(
        "SELECT count(*) FROM (SELECT 1 AS one FROM held WHERE host_id = ?"
        " AND released_at IS NULL LIMIT ?) AS waiting",
        host_id,
        PER_HOST,
    )
    return int(held) < PER_HOST


async def is_released(db: Reader, inbox_id: int) -> bool:
    """Whether a moderator has let this in."""
    found = await db.value(
        "SELECT 1 FROM held WHERE inbox_id = ? AND released_at IS NOT NULL", inbox_id
    )
    return found is not None


async def entries(
    db: Reader, viewer_id: int, *, before: int | None = None, limit: int = 50
) -> list[Entry]:
    """What this moderator may decide about, the newest first, before id `before`."""
    allowed = await authority.within(db, viewer_id, "q.group_id")
    rows = await db.all(
        f"SELECT {actors.COLUMNS}, q.inbox_id, q.reasons, q.score, q.held_at, i.body,"
        " g.name AS group_name, (SELECT count(*) FROM (SELECT 1 AS one FROM held k"
        "  WHERE k.host_id = q.host_id AND k.released_at IS NULL LIMIT ?) AS more) AS like_it"
        " FROM held q JOIN inbox i ON i.id = q.inbox_id AND i.state = 'suspect'"
        " JOIN actors a ON a.id = q.actor_id LEFT JOIN hosts h ON h.id = a.host_id"
        " LEFT JOIN actors g ON g.id = q.group_id"
        f" WHERE q.released_at IS NULL AND q.inbox_id < ? AND {allowed.sql}"
        " ORDER BY q.inbox_id DESC LIMIT ?",
        COUNTED,
        before if before is not None else (1 << 63) - 1,
        *allowed.args,
        limit,
    )
    return [
        Entry(
            row["inbox_id"],
            actors.actor_of(row),
            row["group_name"],
            tuple(row["reasons"].split()),
            row["score"],
            row["held_at"],
            row["body"] or "",
            int(row["like_it"]),
        )
        for row in rows
    ]


async def count(db: Reader, viewer_id: int) -> int:
    """How much waits for this moderator, counted to 1,000 at most."""
    allowed = await authority.within(db, viewer_id, "q.group_id")
    return int(
        await db.value(
            "SELECT count(*) FROM (SELECT 1 AS one FROM held q JOIN inbox i ON i.id = q.inbox_id"
            " AND i.state = 'suspect' WHERE q.released_at IS NULL"
            f" AND {allowed.sql} LIMIT ?) AS waiting",
            *allowed.args,
            COUNTED,
        )
    )


async def release(tx: Transaction, moderator_id: int, inbox_id: int, reach: Reach = "this") -> int:
    """Let it in: it is processed as if it had just come; how many. Raises NotFound."""
    ids = await _meant(tx, moderator_id, inbox_id, reach)
    await tx.execute(
        f"UPDATE held SET released_at = ?, released_by = ? WHERE inbox_id IN ({marks(len(ids))})",
        now_ms(),
        moderator_id,
        *ids,
    )
    # By way of `held`, from where the spoke takes what is decided and wakes its lane.
    await tx.execute(
        "UPDATE inbox SET state = 'held', verdict = NULL WHERE state = 'suspect'"
        f" AND id IN ({marks(len(ids))})",
        *ids,
    )
    await _noted(tx, "held_let_in", moderator_id, inbox_id, len(ids), "")
    return len(ids)


async def refuse(
    tx: Transaction, moderator_id: int, inbox_id: int, reason: str, reach: Reach = "this"
) -> int:
    """Refuse it: its words go at once; how many. Raises NotFound, Invalid without a reason."""
    reason = statements.required(reason)
    ids = await _meant(tx, moderator_id, inbox_id, reach)
    await _drop(tx, ids, "refused by a moderator")
    await _noted(tx, "held_refused", moderator_id, inbox_id, len(ids), reason)
    return len(ids)


async def _meant(tx: Transaction, moderator_id: int, inbox_id: int, reach: Reach) -> list[int]:
    """What the decision is about, as far as this moderator may judge. Raises NotFound."""
    row = await tx.one(
        "SELECT actor_id, host_id, group_id, object_uri FROM held"
        " WHERE inbox_id = ? AND released_at IS NULL",
        inbox_id,
    )
    if row is None or await authority.role_in(tx, moderator_id, row["group_id"]) is None:
        raise NotFound("This is not there any more.")
    if reach == "this":
        # Later versions of the same post wait with it.
        same = Clause("(q.inbox_id = ? OR q.object_uri = ?)", (inbox_id, row["object_uri"]))
    elif reach == "person":
        same = Clause("q.actor_id = ?", (row["actor_id"],))
    else:
        same = Clause("q.host_id = ?", (row["host_id"],))
    allowed = await authority.within(tx, moderator_id, "q.group_id")
    rows = await tx.all(
        f"SELECT q.inbox_id FROM held q WHERE q.released_at IS NULL AND {same.sql}"
        f" AND {allowed.sql} ORDER BY q.inbox_id",
        *same.args,
        *allowed.args,
    )
    return [found["inbox_id"] for found in rows]


async def forget(tx: Transaction, actor_id: int, object_uri: str | None = None) -> None:
    """Its author deleted it, or (without an id) themselves: then nothing of it waits any more."""
    rows = await tx.all(
        "SELECT inbox_id FROM held WHERE actor_id = ? AND released_at IS NULL"
        + (" AND object_uri = ?" if object_uri is not None else ""),
        actor_id,
        *((object_uri,) if object_uri is not None else ()),
    )
    await _drop(tx, [row["inbox_id"] for row in rows], "deleted by its author")


async def _drop(tx: Transaction, ids: list[int], verdict: str) -> None:
    if not ids:
        return
    await tx.execute(
        "UPDATE inbox SET state = 'refused', verdict = ?, body = NULL"
        f" WHERE state = 'suspect' AND id IN ({marks(len(ids))})",
        verdict,
        *ids,
    )
    await tx.execute(f"DELETE FROM held WHERE inbox_id IN ({marks(len(ids))})", *ids)


async def _noted(
    tx: Transaction, event: str, moderator_id: int, inbox_id: int, number: int, reason: str
) -> None:
    await audit.record(
        tx,
        event,
        actor_id=moderator_id,
        subject_id=inbox_id,
        detail={"number": number} | ({"reason": reason} if reason else {}),
    )
