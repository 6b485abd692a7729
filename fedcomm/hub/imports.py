"""What members bring from elsewhere: posts out of an archive, and lists of whom they follow, block and mute
and of who is on which list of theirs.

Posts of the past are the member's from then on, with the time at which they were published there. They are told to
nobody: no journal entry, no notification, no place in anybody's home, no reactions. They can be taken back as a whole.

    waiting -> working -> done -> undoing -> undone          working -> failed -> undoing
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Final, Literal

from fedcomm.hub import search, threads
from fedcomm.hub.composition import Content
from fedcomm.hub.errors import NotAllowed, NotFound
from fedcomm.hub.visibility import Visibility, narrower
from fedcomm.store.database import Reader, Row, Transaction, marks
from fedcomm.store.ids import EPOCH_MS, TAIL_BITS, new_id, now_ms

Kind = Literal["archive", "follows", "blocks", "mutes", "servers", "lists"]
State = Literal["waiting", "working", "done", "failed", "undoing", "undone"]

OPEN: Final = 8
"""Imports of one member that may be open at a time."""

ATTEMPTS: Final = 3
"""How often an account of a list is looked for."""

KEPT_MS: Final = 30 * 86_400_000
"""How long the lines are kept that came to nothing, for the member to see."""

HOUR_MS: Final = 3_600_000
LONG_AGO_MS: Final = 631_152_000_000
"""1990."""


@dataclass(frozen=True, slots=True)
class Import:
    """One import. `file`: the archive while it is needed; `source`: whose it is; times: Unix ms."""

    id: int
    member_id: int
    kind: Kind
    state: State
    file: str
    source: str
    position: int
    total: int
    made: int
    skipped: int
    error: str
    created_at: int
    finished_at: int | None

    @property
    def is_open(self) -> bool:
        return self.state in ("waiting", "working", "undoing")

    @property
    def can_be_undone(self) -> bool:
        return self.kind == "archive" and self.state in ("done", "failed")


@dataclass(frozen=True, slots=True)
class Line:
    """One address of a list that is still to be dealt with, or came to nothing (`failed`). `detail`: the title of the
    list of the member's on which it is to be."""

    import_id: int
    position: int
    address: str
    attempts: int
    state: Literal["waiting", "failed"]
    detail: str = ""


_COLUMNS: Final = (
    "id, member_id, kind, state, file, source, position, total, made, skipped, error, created_at,"
    " finished_at"
)


def _import(row: Row) -> Import:
    return Import(*(row[name.strip()] for name in _COLUMNS.split(",")))


async def find(db: Reader, member_id: int, import_id: int) -> Import | None:
    """The member's import with this number."""
    row = await db.one(
        f"SELECT {_COLUMNS} FROM imports WHERE id = ? AND member_id = ?", import_id, member_id
    )
    return _import(row) if row else None


async def of_member(db: Reader, member_id: int, *, limit: int = 20) -> list[Import]:
    """What the member has brought, the newest first."""
    rows = await db.all(
        f"SELECT {_COLUMNS} FROM imports WHERE member_id = ? ORDER BY id DESC LIMIT ?",
        member_id,
        limit,
    )
    return [_import(row) for row in rows]


async def unfinished(db: Reader, *, limit: int = 20) -> list[Import]:
    """What is to be gone on with, the oldest first."""
    rows = await db.all(
        f"SELECT {_COLUMNS} FROM imports WHERE finished_at IS NULL ORDER BY id LIMIT ?", limit
    )
    return [_import(row) for row in rows]


async def begin_archive(tx: Transaction, member_id: int, file: str) -> int:
    """An archive in `file` waits to be read; the import's number. Raises NotAllowed."""
    await _require_room(tx, member_id)
    await threads.require_home(tx, member_id)
    return await _begin(tx, member_id, "archive", file)


async def begin_list(
    tx: Transaction,
    member_id: int,
    kind: Kind,
    addresses: Sequence[str],
    refused: int,
    details: Sequence[str] = (),
) -> int:
    """The addresses of a list wait to be dealt with, with a detail each if there is any; the import's number. Raises
    NotAllowed."""
    await _require_room(tx, member_id)
    import_id = await _begin(tx, member_id, kind, "", state="working", total=len(addresses))
    await tx.execute("UPDATE imports SET skipped = ? WHERE id = ?", refused, import_id)
    await tx.many(
        "INSERT INTO import_lines (import_id, position, member_id, address, detail, state)"
        " VALUES (?, ?, ?, ?, ?, 'waiting')",
        [
            (import_id, number, member_id, address, detail)
            for number, (address, detail) in enumerate(
                zip_longest(addresses, details[: len(addresses)], fillvalue="")
            )
        ],
    )
    return import_id


async def _require_room(tx: Transaction, member_id: int) -> None:
    count = await tx.value(
        "SELECT count(*) FROM imports WHERE member_id = ? AND finished_at IS NULL", member_id
    )
    if int(count) >= OPEN:
        raise NotAllowed("Wait until what you brought before is done.")


async def _begin(
    tx: Transaction,
    member_id: int,
    kind: Kind,
    file: str,
    *,
    state: State = "waiting",
    total: int = 0,
) -> int:
    import_id = new_id()
    await tx.execute(
        "INSERT INTO imports (id, member_id, kind, state, file, total, created_at)"
        " VALUES (?, ?, ?, ?, ?, ?, ?)",
        import_id,
        member_id,
        kind,
        state,
        file,
        total,
        now_ms(),
    )
    return import_id


async def opened(tx: Transaction, one: Import, *, source: str, total: int) -> None:
    """The archive was unpacked: it is of the account `source` and holds `total` items."""
    await tx.execute(
        "UPDATE imports SET state = 'working', source = ?, total = ? WHERE id = ? AND state = 'waiting'",
        source,
        total,
        one.id,
    )


async def advance(tx: Transaction, one: Import, *, looked_at: int, made: int, skipped: int) -> bool:
    """So many more items are done; False if somebody else did them, or the import is over."""
    changed = await tx.execute(
        "UPDATE imports SET position = position + ?, made = made + ?, skipped = skipped + ?"
        " WHERE id = ? AND position = ? AND state = 'working' AND NOT EXISTS (SELECT 1 FROM actors a"
        "  WHERE a.id = imports.member_id AND (a.deleted_at IS NOT NULL OR a.suspended_at IS NOT NULL))",
        looked_at,
        made,
        skipped,
        one.id,
        one.position,
    )
    return changed == 1


async def finish(tx: Transaction, one: Import, state: State, *, error: str = "") -> None:
    """It is over; the archive is needed no more."""
    await tx.execute(
        "UPDATE imports SET state = ?, error = ?, file = '', finished_at = ? WHERE id = ?",
        state,
        error,
        now_ms(),
        one.id,
    )


# Posts


async def store_past(
    tx: Transaction,
    one: Import,
    content: Content,
    *,
    uri: str,
    parent_uri: str | None,
    published_at: int,
    visibility: Visibility,
) -> int | None:
    """Keep a post that the member published elsewhere; its number, or None if it was brought before.

    `uri` and `parent_uri` are its own id there and that of what it answered. A continuation of the member's own post
    stands below it.
    """
    known = await tx.value(
        "SELECT object_id FROM imported_objects WHERE member_id = ? AND uri = ?", one.member_id, uri
    )
    if known is not None:
        return None
    above = await _parent(tx, one.member_id, parent_uri)
    now = now_ms()
    published_at = min(published_at, now)
    object_id = await _free_id(tx, published_at)
    await tx.execute(
        "INSERT INTO objects (id, kind, type, author_id, topic_id, parent_id, visibility, title, source,"
        " html, summary, sensitive, language, created_at, published_at, active_at, quote_policy)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 'nobody')",
        object_id,
        "post" if above is None else "reply",
        "Page" if content.title else "Note",
        one.member_id,
        object_id if above is None else above.topic_id,
        above.id if above is not None else None,
        narrower(above.visibility, visibility) if above is not None else visibility,
        content.title,
        content.source,
        content.html,
        content.summary,
        int(content.sensitive),
        content.language,
        now,
        published_at,
        published_at,
    )
    await threads.insert_parts(tx, object_id, content)
    await search.index(tx, object_id, content.title, content.plain)
    await tx.execute(
        "INSERT INTO imported_objects (object_id, import_id, member_id, uri, parent_uri)"
        " VALUES (?, ?, ?, ?, ?)",
        object_id,
        one.id,
        one.member_id,
        uri,
        parent_uri,
    )
    made = await threads.thing(tx, object_id)
    assert made is not None
    await threads.count_reply(tx, made, 1)
    return object_id


async def _parent(tx: Transaction, member_id: int, uri: str | None) -> threads.Thing | None:
    if uri is None:
        return None
    found = await tx.value(
        "SELECT object_id FROM imported_objects WHERE member_id = ? AND uri = ?", member_id, uri
    )
    above = await threads.thing(tx, int(found)) if found is not None else None
    return above if above is not None and above.deleted_at is None else None


async def _free_id(tx: Transaction, at_ms: int) -> int:
    fresh = past_id(at_ms)
    while await tx.value("SELECT 1 FROM objects WHERE id = ?", fresh) is not None:
        fresh += 1
    return fresh


def past_id(at_ms: int) -> int:
    """A number that stands among the others where one of that time (Unix ms) would.

    Numbers begin with 2024; what is older stands in order within the first hour of it.
    """
    if at_ms >= EPOCH_MS + HOUR_MS:
        return new_id(at_ms)
    span = EPOCH_MS + HOUR_MS - LONG_AGO_MS
    since = min(max(at_ms - LONG_AGO_MS, 0), span - 1)
    return since * ((HOUR_MS << TAIL_BITS) // span) + secrets.randbelow(12) + 1


async def sources(db: Reader, object_ids: Sequence[int]) -> dict[int, str]:
    """For those of the objects that were brought from elsewhere, their ids there."""
    if not object_ids:
        return {}
    rows = await db.all(
        f"SELECT object_id, uri FROM imported_objects WHERE object_id IN ({marks(len(object_ids))})",
        *object_ids,
    )
    return {row["object_id"]: row["uri"] for row in rows}


async def ask_undo(tx: Transaction, member_id: int, import_id: int) -> None:
    """Everything that this import brought goes again. Raises NotFound, NotAllowed."""
    one = await find(tx, member_id, import_id)
    if one is None:
        raise NotFound("There is no such import.")
    if not one.can_be_undone:
        raise NotAllowed("This cannot be undone.")
    await tx.execute(
        "UPDATE imports SET state = 'undoing', finished_at = NULL, error = '' WHERE id = ?", one.id
    )


async def undo_step(tx: Transaction, one: Import, limit: int) -> list[int]:
    """Delete some of what was brought; the numbers of it, none when all is gone. Whoever fetched a post is asked to
    delete it."""
    rows = await tx.all(
        "SELECT object_id FROM imported_objects WHERE import_id = ? ORDER BY object_id DESC LIMIT ?",
        one.id,
        limit,
    )
    for row in rows:
        known = await threads.thing(tx, row["object_id"])
        if known is not None and known.deleted_at is None:
            await threads.delete(tx, one.member_id, known.id)
        await tx.execute("DELETE FROM imported_objects WHERE object_id = ?", row["object_id"])
    return [row["object_id"] for row in rows]


# Lists


async def lines(db: Reader, one: Import, *, limit: int) -> list[Line]:
    """Lines that wait, those that were tried least first."""
    rows = await db.all(
        "SELECT import_id, position, address, attempts, state, detail FROM import_lines"
        " WHERE import_id = ? AND state = 'waiting' ORDER BY attempts, position LIMIT ?",
        one.id,
        limit,
    )
    return [_line(row) for row in rows]


async def failures(db: Reader, import_id: int, *, limit: int = 100) -> list[Line]:
    """Lines that came to nothing."""
    rows = await db.all(
        "SELECT import_id, position, address, attempts, state, detail FROM import_lines"
        " WHERE import_id = ? AND state = 'failed' ORDER BY position LIMIT ?",
        import_id,
        limit,
    )
    return [_line(row) for row in rows]


def _line(row: Row) -> Line:
    return Line(
        row["import_id"],
        row["position"],
        row["address"],
        row["attempts"],
        row["state"],
        row["detail"],
    )


async def line_done(tx: Transaction, line: Line) -> None:
    """The line is dealt with and forgotten."""
    gone = await tx.execute(
        "DELETE FROM import_lines WHERE import_id = ? AND position = ?",
        line.import_id,
        line.position,
    )
    await tx.execute(
        "UPDATE imports SET position = position + ?, made = made + ? WHERE id = ?",
        gone,
        gone,
        line.import_id,
    )


async def line_failed(tx: Transaction, line: Line, *, finally_so: bool) -> None:
    """Nothing came of the line this time. After some attempts, or `finally_so`, it is given up."""
    over = finally_so or line.attempts + 1 >= ATTEMPTS
    changed = await tx.execute(
        "UPDATE import_lines SET attempts = attempts + 1, state = ?"
        " WHERE import_id = ? AND position = ? AND state = 'waiting'",
        "failed" if over else "waiting",
        line.import_id,
        line.position,
    )
    if over and changed:
        await tx.execute(
            "UPDATE imports SET position = position + 1, skipped = skipped + 1 WHERE id = ?",
            line.import_id,
        )


async def tidy(tx: Transaction) -> int:
    """Forget lines that came to nothing a month ago; how many."""
    return await tx.execute(
        "DELETE FROM import_lines WHERE import_id IN (SELECT id FROM imports WHERE finished_at < ?)",
        now_ms() - KEPT_MS,
    )
