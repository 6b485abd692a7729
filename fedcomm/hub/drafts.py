"""Drafts: what a member has begun to write, kept on the server until it is posted, thrown away or forgotten.

A draft is its member's alone: no gate opens it to anybody else. Its pictures stay as long as it does.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import Final, Literal

from fedcomm.hub.errors import Invalid, NotFound
from fedcomm.hub.reservations import Reservation, numbers_of, numbers_text
from fedcomm.store.database import Reader, Row, Transaction
from fedcomm.store.ids import new_id, now_ms

KEPT_MS: Final = 30 * 86_400_000
"""A draft that nobody touched for so long goes."""

DRAFTS_LIMIT: Final = 50
"""Drafts that one member can have."""

BODY_CHARACTERS: Final = 200_000
"""The longest stored form of a draft; texts have narrower limits, which hold when it is posted."""

STEP: Final = 200

Kind = Literal["topic", "reply"]


@dataclass(frozen=True, slots=True)
class Words:
    """What stands in the form, as it was typed. `poll`: options in lines; `poll_minutes`: how long it would run.
    `media`: ids of the member's pictures, in order; `alts`: what each was described as. `quote`: the address of what is
    quoted; `quote_policy`: who may quote this."""

    title: str = ""
    text: str = ""
    summary: str = ""
    sensitive: bool = False
    language: str = ""
    media: tuple[int, ...] = ()
    alts: tuple[str, ...] = ()
    poll: str = ""
    poll_multiple: bool = False
    poll_minutes: int = 0
    quote: str = ""
    quote_policy: str = ""
    only_here: bool = False
    event: dict[str, str] = field(default_factory=dict)
    """The fields of an event, as they were typed."""

    @property
    def is_empty(self) -> bool:
        """Whether nothing was typed."""
        return not (
            self.title or self.text.strip() or self.summary or self.media or self.poll or self.event
        )


@dataclass(frozen=True, slots=True)
class SavedDraft:
    """A draft. A topic has a group, a reply has what it answers. Times: Unix ms. `fingerprint`: of what the last
    preview said would be sent; None without one."""

    id: int
    member_id: int
    kind: Kind
    group_id: int | None
    parent_id: int | None
    words: Words
    created_at: int
    updated_at: int
    reservation: Reservation | None
    fingerprint: str | None


async def save(
    tx: Transaction,
    member_id: int,
    words: Words,
    *,
    draft_id: int | None = None,
    group_id: int | None = None,
    parent_id: int | None = None,
) -> int:
    """Keep what was typed, in the draft that there is or in a new one; its id.

    A reply names what it answers (`parent_id`), a topic its group. What was reserved for other words is given up.
    Raises Invalid when there are too many drafts or the text is far too long.
    """
    body = json.dumps(asdict(words), ensure_ascii=False)
    if len(body) > BODY_CHARACTERS:
        raise Invalid("text", "The text is too long.")
    known = await find(tx, member_id, draft_id) if draft_id is not None else None
    now = now_ms()
    if known is not None and (known.group_id, known.parent_id) == (group_id, parent_id):
        if known.words != words:
            await tx.execute(
                "UPDATE drafts SET body = ?, updated_at = ?, object_id = NULL, reserved_at = NULL,"
                " numbers = NULL, fingerprint = NULL WHERE id = ?",
                body,
                now,
                known.id,
            )
            await _set_media(tx, known.id, words.media)
        return known.id
    count = int(await tx.value("SELECT count(*) FROM drafts WHERE member_id = ?", member_id))
    if count >= DRAFTS_LIMIT:
        raise Invalid("text", "You have too many drafts. Post or delete one first.")
    made = new_id()
    await tx.execute(
        "INSERT INTO drafts (id, member_id, kind, group_id, parent_id, body, created_at, updated_at)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        made,
        member_id,
        "topic" if parent_id is None else "reply",
        group_id,
        parent_id,
        body,
        now,
        now,
    )
    await _set_media(tx, made, words.media)
    return made


async def find(db: Reader, member_id: int, draft_id: int) -> SavedDraft | None:
    """The member's draft with this id; somebody else's is not there."""
    row = await db.one(f"{_SELECT} WHERE id = ? AND member_id = ?", draft_id, member_id)
    return _draft_of(row) if row is not None else None


async def draft(db: Reader, member_id: int, draft_id: int) -> SavedDraft:
    """The member's draft with this id. Raises NotFound."""
    found = await find(db, member_id, draft_id)
    if found is None:
        raise NotFound("There is no such draft.")
    return found


async def draft_by_id(db: Reader, draft_id: int) -> SavedDraft | None:
    """The draft with this id, whoever wrote it: for the command line."""
    row = await db.one(f"{_SELECT} WHERE id = ?", draft_id)
    return _draft_of(row) if row is not None else None


async def drafts_of(db: Reader, member_id: int) -> Sequence[SavedDraft]:
    """The member's drafts, the last changed first."""
    rows = await db.all(
        f"{_SELECT} WHERE member_id = ? ORDER BY updated_at DESC, id DESC LIMIT ?",
        member_id,
        DRAFTS_LIMIT,
    )
    return [_draft_of(row) for row in rows]


async def promise(
    tx: Transaction, draft_id: int, reservation: Reservation, fingerprint: str
) -> None:
    """Note what a preview of the draft reserved, and the fingerprint of what it said would be sent."""
    await tx.execute(
        "UPDATE drafts SET object_id = ?, reserved_at = ?, numbers = ?, fingerprint = ?"
        " WHERE id = ?",
        reservation.object_id,
        reservation.at,
        numbers_text(reservation.numbers),
        fingerprint,
        draft_id,
    )


async def delete(tx: Transaction, member_id: int, draft_id: int) -> bool:
    """Throw a draft of the member away, every word of it; whether there was one."""
    if await find(tx, member_id, draft_id) is None:
        return False
    await _erase(tx, [draft_id])
    return True


async def tidy(tx: Transaction) -> int:
    """Forget what nobody touched for a month; how many, a step at most."""
    rows = await tx.all(
        "SELECT id FROM drafts WHERE updated_at < ? ORDER BY updated_at LIMIT ?",
        now_ms() - KEPT_MS,
        STEP,
    )
    await _erase(tx, [row["id"] for row in rows])
    return len(rows)


_SELECT = (
    "SELECT id, member_id, kind, group_id, parent_id, body, created_at, updated_at, object_id,"
    " reserved_at, numbers, fingerprint FROM drafts"
)


async def _erase(tx: Transaction, ids: Sequence[int]) -> None:
    await tx.many("DELETE FROM draft_media WHERE draft_id = ?", [(one,) for one in ids])
    await tx.many("DELETE FROM drafts WHERE id = ?", [(one,) for one in ids])


async def _set_media(tx: Transaction, draft_id: int, media: Sequence[int]) -> None:
    await tx.execute("DELETE FROM draft_media WHERE draft_id = ?", draft_id)
    await tx.many(
        "INSERT INTO draft_media (draft_id, media_id) VALUES (?, ?)",
        [(draft_id, one) for one in dict.fromkeys(media)],
    )


def _draft_of(row: Row) -> SavedDraft:
    stored = json.loads(row["body"])
    known = {one.name: stored[one.name] for one in fields(Words) if one.name in stored}
    for name in ("media", "alts"):
        known[name] = tuple(known.get(name, ()))
    reservation = None
    if row["object_id"] is not None:
        reservation = Reservation(row["object_id"], row["reserved_at"], numbers_of(row["numbers"]))
    return SavedDraft(
        row["id"],
        row["member_id"],
        row["kind"],
        row["group_id"],
        row["parent_id"],
        Words(**known),
        row["created_at"],
        row["updated_at"],
        reservation,
        row["fingerprint"],
    )
