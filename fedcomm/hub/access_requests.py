"""Requests for access: a copy of everything that is held about a person, made in the background (product.md D4).

A member asks for themselves; for somebody of another server an administrator does, who has made sure who is asking.
The file is for whoever asked, for a week; then, and at once when the person is erased, it is overwritten. That there
was a request stays, with its dates.

    waiting -> making -> ready -> gone
                      -> failed
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from fedcomm.hub import actors, audit
from fedcomm.hub.errors import NotFound
from fedcomm.store.database import Database, Reader, Row, Transaction
from fedcomm.store.ids import new_id, now_ms

Kind = Literal["member", "remote"]
State = Literal["waiting", "making", "ready", "failed", "gone"]

DAY_MS: Final = 86_400_000
KEPT_DAYS: Final = 7
"""How long a file can be fetched (security.md §13)."""

DEADLINE_DAYS: Final = 30
"""Within how many days a request must be answered (GDPR art. 12 (3))."""

LEASE_MS: Final = 3_600_000
"""A file that was being made so long was broken off by a crash: it is begun again."""


@dataclass(frozen=True, slots=True)
class AccessRequest:
    """One request. `requested_by` None: the command line. Times: Unix ms; `size`: bytes."""

    id: int
    kind: Kind
    subject_id: int
    requested_by: int | None
    state: State
    file: str
    size: int
    created_at: int
    finished_at: int | None
    expires_at: int | None
    fetched_at: int | None

    @property
    def is_open(self) -> bool:
        """Whether the file is still being made."""
        return self.state in ("waiting", "making")

    @property
    def due_at(self) -> int:
        """Until when it must be answered."""
        return self.created_at + DEADLINE_DAYS * DAY_MS


_COLUMNS = (
    "id, kind, subject_id, requested_by, state, file, size, created_at, finished_at, expires_at,"
    " fetched_at"
)


def _request(row: Row) -> AccessRequest:
    return AccessRequest(**{name: row[name] for name in AccessRequest.__slots__})


async def access_request(db: Reader, number: int) -> AccessRequest | None:
    """The request with this id."""
    row = await db.one(f"SELECT {_COLUMNS} FROM access_requests WHERE id = ?", number)
    return _request(row) if row else None


async def of_subject(db: Reader, subject_id: int, *, limit: int = 20) -> list[AccessRequest]:
    """Requests about somebody, the newest first."""
    rows = await db.all(
        f"SELECT {_COLUMNS} FROM access_requests WHERE subject_id = ? ORDER BY id DESC LIMIT ?",
        subject_id,
        limit,
    )
    return [_request(row) for row in rows]


async def requests(
    db: Reader, *, before: int | None = None, limit: int = 50
) -> list[AccessRequest]:
    """All of them, the newest first, before id `before`."""
    rows = await db.all(
        f"SELECT {_COLUMNS} FROM access_requests WHERE id < ? ORDER BY id DESC LIMIT ?",
        before if before is not None else (1 << 63) - 1,
        limit,
    )
    return [_request(row) for row in rows]


async def ask(tx: Transaction, kind: Kind, subject_id: int, *, requested_by: int | None) -> int:
    """Ask for a copy; the id of the request, or of the one that is being made already. Raises NotFound."""
    actor = await actors.actor(tx, subject_id)
    if (
        actor is None
        or actor.deleted_at is not None
        or actor.kind == "group"
        or actor.is_local != (kind == "member")
    ):
        raise NotFound("There is nobody of this name here.")
    for known in await of_subject(tx, subject_id):
        if known.is_open:
            return known.id
    number = new_id()
    await tx.execute(
        "INSERT INTO access_requests (id, kind, subject_id, requested_by, state, created_at)"
        " VALUES (?, ?, ?, ?, 'waiting', ?)",
        number,
        kind,
        subject_id,
        requested_by,
        now_ms(),
    )
    await audit.record(
        tx,
        "access_requested",
        actor_id=requested_by,
        subject_id=subject_id,
        detail={"request": number, "kind": kind},
    )
    return number


async def take(db: Database) -> AccessRequest | None:
    """The next one that is to be made, taken by this process."""
    now = now_ms()
    async with db.transaction() as tx:
        row = await tx.one(
            f"SELECT {_COLUMNS} FROM access_requests WHERE state <> 'gone'"
            " AND (state = 'waiting' OR (state = 'making' AND expires_at < ?)) ORDER BY id LIMIT 1",
            now,
        )
        if row is None:
            return None
        # Until it is ready `expires_at` says when another process may begin again.
        await tx.execute(
            "UPDATE access_requests SET state = 'making', expires_at = ? WHERE id = ?",
            now + LEASE_MS,
            row["id"],
        )
    return _request(row)


async def made(db: Database, number: int, file: str, size: int) -> bool:
    """The file is there; False if nobody may have it any more (the person is being erased)."""
    now = now_ms()
    async with db.transaction() as tx:
        changed = await tx.execute(
            "UPDATE access_requests SET state = 'ready', file = ?, size = ?, finished_at = ?,"
            " expires_at = ? WHERE id = ? AND state = 'making'",
            file,
            size,
            now,
            now + KEPT_DAYS * DAY_MS,
            number,
        )
    return bool(changed)


async def failed(db: Database, number: int) -> None:
    """It could not be made: an administrator sees it."""
    async with db.transaction() as tx:
        await tx.execute(
            "UPDATE access_requests SET state = 'failed', finished_at = ? WHERE id = ?"
            " AND state = 'making'",
            now_ms(),
            number,
        )


async def fetched(db: Database, number: int) -> None:
    """Whoever asked has it."""
    async with db.transaction() as tx:
        await tx.execute(
            "UPDATE access_requests SET fetched_at = COALESCE(fetched_at, ?) WHERE id = ?",
            now_ms(),
            number,
        )


async def over(db: Reader) -> list[AccessRequest]:
    """Requests whose file must go: its week is over, or the person is erased."""
    rows = await db.all(
        f"SELECT {_COLUMNS} FROM access_requests WHERE state <> 'gone' AND ((state = 'ready'"
        " AND expires_at < ?) OR EXISTS (SELECT 1 FROM actors a WHERE a.id = subject_id"
        " AND a.deleted_at IS NOT NULL)) ORDER BY id LIMIT 100",
        now_ms(),
    )
    return [_request(row) for row in rows]


async def let_go(db: Database, number: int) -> None:
    """Its file is overwritten and gone."""
    async with db.transaction() as tx:
        await tx.execute(
            "UPDATE access_requests SET state = 'gone', file = '' WHERE id = ?", number
        )
