"""The ledger of reach, as the hub reads it: which servers hold a copy of an object or an actor.

For each object and actor a line for each host: whether it was delivered or fetched, when first and last, and what the
host answered when it was asked back. Copies that somebody fetched without saying who they are are in no ledger.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Final, Literal

from fedcomm.hub.sanitizer import text_of
from fedcomm.store.database import Reader, Row

LOOKED_AT: Final = 2_000
"""The newest objects of a member that a summary looks at; a list, and an export, has every one."""

COPIES_LOOKED_AT: Final = 50_000
"""Copies that a summary looks at, however many servers have them: a page waits for it."""

SERVERS: Final = 500
"""Servers that a summary names."""

PAGE: Final = 200
EXCERPT: Final = 80
LAST_ID: Final = (1 << 63) - 1

Answer = Literal["not asked", "asked", "acknowledged", "refused", "unreachable"]


async def hosts_reached(db: Reader, subject_id: int, *, limit: int = 500) -> list[str]:
    """Names of the hosts that received or fetched the object or actor, in order."""
    rows = await db.all(
        "SELECT h.name FROM reach r JOIN hosts h ON h.id = r.host_id WHERE r.subject_id = ?"
        " ORDER BY h.name LIMIT ?",
        subject_id,
        limit,
    )
    return [row["name"] for row in rows]


def outcome(status: int | None) -> Literal["acknowledged", "refused", "unreachable"]:
    """What a server's last answer means when it was asked for a copy."""
    if status is None or status == 0 or status >= 500 or status == 429:
        return "unreachable"
    return "acknowledged" if status < 400 else "refused"


@dataclass(frozen=True, slots=True)
class Copy:
    """A server's copy of one object or actor. Times: Unix ms."""

    host_id: int
    host: str
    delivered: bool
    fetched: bool
    first_at: int
    last_at: int
    recalled_at: int | None
    status: int | None

    @property
    def answer(self) -> Answer:
        """What it said when it was asked back."""
        return "not asked" if self.recalled_at is None else outcome(self.status)


_COPY = "r.host_id, h.name, r.how, r.first_at, r.last_at, r.recalled_at, r.recall_status"


def _copy(row: Row) -> Copy:
    return Copy(
        row["host_id"],
        row["name"],
        bool(row["how"] & 1),
        bool(row["how"] & 2),
        row["first_at"],
        row["last_at"],
        row["recalled_at"],
        row["recall_status"],
    )


async def copies_of(
    db: Reader, subject_id: int, *, after: int = 0, limit: int = PAGE
) -> list[Copy]:
    """The copies of one object or actor, in the order of the hosts' numbers, after host `after`."""
    rows = await db.all(
        f"SELECT {_COPY} FROM reach r JOIN hosts h ON h.id = r.host_id"
        " WHERE r.subject_id = ? AND r.host_id > ? ORDER BY r.host_id LIMIT ?",
        subject_id,
        after,
        limit,
    )
    return [_copy(row) for row in rows]


@dataclass(frozen=True, slots=True)
class Holder:
    """A server that has something of somebody: how much of it, when first and last, and how many copies it was asked
    for and said that it lets go."""

    host_id: int
    host: str
    copies: int
    delivered: bool
    fetched: bool
    first_at: int
    last_at: int
    asked: int
    acknowledged: int


_NEWEST_COPIES: Final = (
    "(SELECT e.host_id, e.how, e.first_at, e.last_at, e.recalled_at, e.recall_status"
    " FROM (SELECT CAST(? AS BIGINT) AS id UNION ALL SELECT id FROM (SELECT o.id"
    "  FROM objects o WHERE o.author_id = ? ORDER BY o.id DESC LIMIT ?) newest) mine"
    " CROSS JOIN reach e WHERE e.subject_id = mine.id AND e.how > 0 LIMIT ?)"
)
"""The copies that a summary looks at: of the profile and of the newest objects."""


async def count_holders(db: Reader, actor_id: int) -> int:
    """How many servers `holders_of` would name, however many that are."""
    return int(
        await db.value(
            f"SELECT count(DISTINCT r.host_id) FROM {_NEWEST_COPIES} r",
            actor_id,
            actor_id,
            LOOKED_AT,
            COPIES_LOOKED_AT,
        )
    )


async def holders_of(db: Reader, actor_id: int, *, limit: int = SERVERS) -> list[Holder]:
    """The servers that have the actor's profile or something of their newest `LOOKED_AT` objects; who has most of it
    first."""
    rows = await db.all(
        "SELECT r.host_id, h.name, count(*) AS copies, max(r.how & 1) AS delivered,"
        " max(r.how & 2) AS fetched, min(r.first_at) AS first_at, max(r.last_at) AS last_at,"
        " sum(CASE WHEN r.recalled_at IS NULL THEN 0 ELSE 1 END) AS asked,"
        " sum(CASE WHEN r.recall_status BETWEEN 200 AND 399 THEN 1 ELSE 0 END) AS acknowledged"
        f" FROM {_NEWEST_COPIES} r"
        " JOIN hosts h ON h.id = r.host_id"
        " GROUP BY r.host_id, h.name ORDER BY count(*) DESC, h.name LIMIT ?",
        actor_id,
        actor_id,
        LOOKED_AT,
        COPIES_LOOKED_AT,
        limit,
    )
    return [
        Holder(
            row["host_id"],
            row["name"],
            row["copies"],
            bool(row["delivered"]),
            bool(row["fetched"]),
            row["first_at"],
            row["last_at"],
            int(row["asked"]),
            int(row["acknowledged"]),
        )
        for row in rows
    ]


@dataclass(frozen=True, slots=True)
class Piece:
    """Something that somebody wrote, and how many servers have a copy. `words`: its title or how it begins."""

    id: int
    kind: str
    words: str
    visibility: str
    published_at: int
    deleted_at: int | None
    servers: int


async def pieces_of(
    db: Reader, author_id: int, *, before: int | None = None, limit: int = PAGE
) -> list[Piece]:
    """What somebody wrote, newest first, before id `before`; deleted things too, since copies may be left."""
    rows = await db.all(
        "SELECT o.id, o.kind, o.title, o.html, o.visibility, o.published_at, o.deleted_at,"
        " (SELECT count(*) FROM reach r WHERE r.subject_id = o.id) AS servers"
        " FROM objects o WHERE o.author_id = ? AND o.id < ? ORDER BY o.id DESC LIMIT ?",
        author_id,
        before if before is not None else LAST_ID,
        limit,
    )
    return [
        Piece(
            row["id"],
            row["kind"],
            row["title"] or _begin(text_of(row["html"])),
            row["visibility"],
            row["published_at"],
            row["deleted_at"],
            row["servers"],
        )
        for row in rows
    ]


def _begin(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= EXCERPT else line[:EXCERPT].rsplit(" ", 1)[0] + " …"


async def whole_ledger(db: Reader, actor_id: int) -> AsyncIterator[tuple[Piece | None, Copy]]:
    """Every line about somebody: first those of their profile (no piece), then of all they wrote, newest first. Reads
    a page at a time, however much there is."""
    async for copy in _every_copy(db, actor_id):
        yield None, copy
    before: int | None = None
    while True:
        pieces = await pieces_of(db, actor_id, before=before)
        for piece in pieces:
            if piece.servers:
                async for copy in _every_copy(db, piece.id):
                    yield piece, copy
        if len(pieces) < PAGE:
            return
        before = pieces[-1].id


async def _every_copy(db: Reader, subject_id: int) -> AsyncIterator[Copy]:
    after = 0
    while True:
        page = await copies_of(db, subject_id, after=after)
        for copy in page:
            yield copy
        if len(page) < PAGE:
            return
        after = page[-1].host_id


@dataclass(frozen=True, slots=True)
class Held:
    """What one server has: an object or a profile (`kind` is the actor's then), and whose."""

    subject_id: int
    kind: str
    author: str
    copy: Copy


async def held_by(
    db: Reader, host_id: int, *, before: int | None = None, limit: int = PAGE
) -> list[Held]:
    """What a server got of ours, newest first."""
    rows = await db.all(
        f"SELECT {_COPY}, r.subject_id, COALESCE(o.kind, a.kind, '') AS kind,"
        " COALESCE(w.name, a.name, '') AS author FROM reach r JOIN hosts h ON h.id = r.host_id"
        " LEFT JOIN objects o ON o.id = r.subject_id LEFT JOIN actors w ON w.id = o.author_id"
        " LEFT JOIN actors a ON a.id = r.subject_id"
        " WHERE r.host_id = ? AND r.subject_id < ? ORDER BY r.subject_id DESC LIMIT ?",
        host_id,
        before if before is not None else LAST_ID,
        limit,
    )
    return [Held(row["subject_id"], row["kind"], row["author"], _copy(row)) for row in rows]
