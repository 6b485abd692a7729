"""Legal holds: what must not be erased now, because a court, an authority or a dispute needs it (product.md D4).

A hold covers one object, or all that a member, a group, somebody elsewhere or a server wrote. What it covers can be
deleted all the same, as far as anybody can see: it goes out of view for everybody, other servers are asked for their
copies, and only the words stay in the database until the hold ends. Then they are erased without anybody asking again.
Everything that is not covered is erased at once. That an account, a group or a server is held refuses its erasure as a
whole, with words that say so.

Placing and ending one is for administrators, needs a reason, and stands in the audit log.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from fedcomm.hub import actors, audit
from fedcomm.hub.errors import Invalid, NotFound
from fedcomm.store.database import Reader, Row, Transaction
from fedcomm.store.ids import new_id, now_ms

Kind = Literal["object", "member", "group", "remote", "host"]

REASON_CHARACTERS: Final = 2_000


@dataclass(frozen=True, slots=True)
class Hold:
    """One hold. Times: Unix ms; `created_by` None: the command line."""

    id: int
    kind: Kind
    subject_id: int
    reason: str
    created_by: int | None
    created_at: int
    ended_at: int | None


_COLUMNS = "id, kind, subject_id, reason, created_by, created_at, ended_at"


def _hold(row: Row) -> Hold:
    return Hold(**{name: row[name] for name in Hold.__slots__})


async def hold(db: Reader, hold_id: int) -> Hold | None:
    """The hold with this id."""
    row = await db.one(f"SELECT {_COLUMNS} FROM holds WHERE id = ?", hold_id)
    return _hold(row) if row else None


async def holds(db: Reader, *, before: int | None = None, limit: int = 100) -> list[Hold]:
    """Every hold, the newest first, before id `before`; those that are over too."""
    rows = await db.all(
        f"SELECT {_COLUMNS} FROM holds WHERE id < ? ORDER BY id DESC LIMIT ?",
        before if before is not None else (1 << 63) - 1,
        limit,
    )
    return [_hold(row) for row in rows]


async def of_subject(db: Reader, subject_id: int) -> Hold | None:
    """The hold on exactly this subject that has not ended."""
    row = await db.one(
        f"SELECT {_COLUMNS} FROM holds WHERE subject_id = ? AND ended_at IS NULL", subject_id
    )
    return _hold(row) if row else None


async def ended(db: Reader) -> int:
    """How many holds have ended: when there is one more, something may go that was kept."""
    return int(await db.value("SELECT count(*) FROM holds WHERE ended_at IS NOT NULL"))


async def covers(
    db: Reader, object_id: int, author_id: int, group_id: int | None, host_id: int | None
) -> bool:
    """Whether a hold covers an object, itself or through its author, group or server."""
    found = await db.value(
        "SELECT 1 FROM holds WHERE ended_at IS NULL AND subject_id IN (?, ?, ?, ?) LIMIT 1",
        object_id,
        author_id,
        group_id if group_id is not None else object_id,
        host_id if host_id is not None else object_id,
    )
    return found is not None


async def place(
    tx: Transaction, kind: Kind, subject_id: int, *, reason: str, by: int | None
) -> int:
    """Place a hold; its id, or that of the one that stands already. The caller has checked who may do this.

    Raises NotFound, Invalid (no reason).
    """
    if not reason.strip():
        raise Invalid("reason", "Say why: it is kept with the hold.")
    if len(reason) > REASON_CHARACTERS:
        raise Invalid("reason", "The reason is too long.")
    await _require(tx, kind, subject_id)
    standing = await of_subject(tx, subject_id)
    if standing is not None:
        return standing.id
    hold_id = new_id()
    await tx.execute(
        "INSERT INTO holds (id, kind, subject_id, reason, created_by, created_at)"
        " VALUES (?, ?, ?, ?, ?, ?)",
        hold_id,
        kind,
        subject_id,
        reason.strip(),
        by,
        now_ms(),
    )
    await audit.record(
        tx,
        "hold_placed",
        actor_id=by,
        subject_id=subject_id,
        detail={"hold": hold_id, "kind": kind},
    )
    return hold_id


async def release(tx: Transaction, hold_id: int, *, reason: str, by: int | None) -> None:
    """End a hold. What it alone has kept is erased by itself, soon. Raises NotFound, Invalid (no reason)."""
    if not reason.strip():
        raise Invalid("reason", "Say why: it is kept in the log.")
    standing = await hold(tx, hold_id)
    if standing is None or standing.ended_at is not None:
        raise NotFound("There is no such hold.")
    await tx.execute("UPDATE holds SET ended_at = ? WHERE id = ?", now_ms(), hold_id)
    await audit.record(
        tx,
        "hold_released",
        actor_id=by,
        subject_id=standing.subject_id,
        detail={"hold": hold_id, "reason": reason.strip()[:REASON_CHARACTERS]},
    )


async def kept(db: Reader, *, limit: int = 100, after: int = 0) -> list[int]:
    """Ids of deleted objects whose words a hold keeps, or kept until now."""
    rows = await db.all(
        "SELECT id FROM objects WHERE withheld = 'kept' AND id > ? ORDER BY id LIMIT ?",
        after,
        limit,
    )
    return [row["id"] for row in rows]


async def _require(tx: Transaction, kind: Kind, subject_id: int) -> None:
    if kind == "object":
        there = await tx.value(
            "SELECT 1 FROM objects WHERE id = ? AND deleted_at IS NULL", subject_id
        )
    elif kind == "host":
        there = await tx.value("SELECT 1 FROM hosts WHERE id = ?", subject_id)
    else:
        actor = await actors.actor(tx, subject_id)
        there = actor is not None and {
            "member": actor.is_local and actor.kind != "group",
            "group": actor.is_local and actor.kind == "group",
            "remote": not actor.is_local,
        }.get(kind)
    if not there:
        raise NotFound("This is not there any more.")
