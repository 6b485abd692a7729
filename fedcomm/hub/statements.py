"""Statements of reasons: what was decided about somebody, by which rule, in which role, and how to appeal.

The person concerned can read theirs, and so can those who could have decided. A statement names its
decider only to them: to the person it tells the role.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from fedcomm.hub import rules
from fedcomm.hub.errors import Invalid, NotAllowed, NotFound
from fedcomm.hub.removal import APPEAL_DAYS, DAY_MS
from fedcomm.store.database import Reader, Row, Transaction
from fedcomm.store.ids import new_id, now_ms

Action = Literal["warn", "hide", "remove", "restrict", "ban", "suspend", "refuse"]
"""What was done; `refuse`: a first post was not let in (`fedcomm.hub.admission`)."""

Role = Literal["group", "hub"]
"""In which role somebody decided: as a moderator of the group, or of the hub."""

Outcome = Literal["confirmed", "reversed"]

REASON_CHARACTERS: Final = 5_000
APPEAL_CHARACTERS: Final = 5_000


@dataclass(frozen=True, slots=True)
class Statement:
    """One decision about one person. Times: Unix milliseconds.

    `expires_at`: when the measure ends by itself; `ended_at`: when it was taken back.
    """

    id: int
    report_id: int | None
    action: Action
    person_id: int
    object_id: int | None
    group_id: int | None
    reason: str
    rule: rules.Reference | None
    decided_by: int | None
    decided_as: Role
    expires_at: int | None
    created_at: int
    ended_at: int | None
    appeal: str | None
    appealed_at: int | None
    appeal_outcome: Outcome | None
    appeal_reason: str
    appeal_decided_at: int | None

    @property
    def appeal_until(self) -> int:
        """Until when one may appeal."""
        return self.created_at + APPEAL_DAYS * DAY_MS

    @property
    def is_appealable(self) -> bool:
        return self.appealed_at is None and self.ended_at is None and now_ms() < self.appeal_until

    @property
    def awaits_answer(self) -> bool:
        return self.appealed_at is not None and self.appeal_outcome is None


SELECT: Final = (
    "SELECT s.id, s.report_id, s.action, s.person_id, s.object_id, s.group_id, s.reason,"
    " s.rules_version, s.rule_number, s.decided_by, s.decided_as, s.expires_at, s.created_at,"
    " s.ended_at, s.appeal, s.appealed_at, s.appeal_outcome, s.appeal_reason, s.appeal_decided_at"
    " FROM statements s"
)


def statement_of(row: Row) -> Statement:
    return Statement(
        row["id"],
        row["report_id"],
        row["action"],
        row["person_id"],
        row["object_id"],
        row["group_id"],
        row["reason"],
        rules.reference_of(row),
        row["decided_by"],
        row["decided_as"],
        row["expires_at"],
        row["created_at"],
        row["ended_at"],
        row["appeal"],
        row["appealed_at"],
        row["appeal_outcome"],
        row["appeal_reason"],
        row["appeal_decided_at"],
    )


async def statement(db: Reader, statement_id: int) -> Statement | None:
    """The statement with this id, whoever asks (see `moderation.readable_statement`)."""
    row = await db.one(f"{SELECT} WHERE s.id = ?", statement_id)
    return statement_of(row) if row else None


async def of_report(db: Reader, report_id: int) -> list[Statement]:
    """What was decided about a report."""
    rows = await db.all(f"{SELECT} WHERE s.report_id = ? ORDER BY s.id", report_id)
    return [statement_of(row) for row in rows]


async def about(db: Reader, person_id: int, *, limit: int = 50) -> list[Statement]:
    """What was decided about a person, the newest first."""
    rows = await db.all(
        f"{SELECT} WHERE s.person_id = ? ORDER BY s.id DESC LIMIT ?", person_id, limit
    )
    return [statement_of(row) for row in rows]


async def latest(db: Reader, object_id: int, action: Action) -> Statement | None:
    """The last decision of this kind about an object."""
    row = await db.one(
        f"{SELECT} WHERE s.object_id = ? AND s.action = ? ORDER BY s.id DESC LIMIT 1",
        object_id,
        action,
    )
    return statement_of(row) if row else None


async def make(
    tx: Transaction,
    action: Action,
    person_id: int,
    *,
    reason: str,
    decided_by: int | None,
    decided_as: Role,
    rule: rules.Reference | None = None,
    report_id: int | None = None,
    object_id: int | None = None,
    group_id: int | None = None,
    expires_at: int | None = None,
) -> int:
    """Keep the reasons for a decision; the statement's id. Raises Invalid without a reason (P1)."""
    text = required(reason)
    statement_id = new_id()
    await tx.execute(
        "INSERT INTO statements (id, report_id, action, person_id, object_id, group_id, reason,"
        " rules_version, rule_number, decided_by, decided_as, expires_at, created_at)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        statement_id,
        report_id,
        action,
        person_id,
        object_id,
        group_id,
        text,
        rule.version if rule else None,
        rule.number if rule else None,
        decided_by,
        decided_as,
        expires_at,
        now_ms(),
    )
    return statement_id


async def end(tx: Transaction, statement_id: int, reason: str = "") -> None:
    """Note that the measure was taken back, and why."""
    await tx.execute(
        "UPDATE statements SET ended_at = ?, ended_reason = ? WHERE id = ? AND ended_at IS NULL",
        now_ms(),
        reason,
        statement_id,
    )


async def end_all(tx: Transaction, person_id: int, action: Action, group_id: int | None) -> None:
    """Note that every such measure against a person in this group, or (None) on the hub, was taken back."""
    place, args = ("group_id IS NULL", ()) if group_id is None else ("group_id = ?", (group_id,))
    await tx.execute(
        "UPDATE statements SET ended_at = ? WHERE person_id = ? AND action = ?"
        f" AND ended_at IS NULL AND {place}",
        now_ms(),
        person_id,
        action,
        *args,
    )


async def end_of_object(tx: Transaction, object_id: int, reason: str = "") -> None:
    """Note that what was taken down is in view again, and why."""
    await tx.execute(
        "UPDATE statements SET ended_at = ?, ended_reason = ? WHERE object_id = ?"
        " AND action IN ('hide', 'remove') AND ended_at IS NULL",
        now_ms(),
        reason,
        object_id,
    )


async def appeal(tx: Transaction, statement_id: int, person_id: int, text: str) -> Statement:
    """The person concerned objects, once and in time; the statement as it was. Raises NotFound, NotAllowed,
    Invalid."""
    known = await statement(tx, statement_id)
    if known is None or known.person_id != person_id:
        raise NotFound("There is no such decision.")
    if not known.is_appealable:
        raise NotAllowed("One can appeal once, while the decision holds and in time.")
    words = text.strip()
    if not words:
        raise Invalid("appeal", "Write why the decision is wrong.")
    if len(words) > APPEAL_CHARACTERS:
        raise Invalid("appeal", "The text is too long.")
    await tx.execute(
        "UPDATE statements SET appeal = ?, appealed_at = ? WHERE id = ? AND appealed_at IS NULL",
        words,
        now_ms(),
        statement_id,
    )
    return known


async def answer(
    tx: Transaction, statement_id: int, decider_id: int, outcome: Outcome, reason: str
) -> Statement:
    """Somebody else than who decided answers an appeal, with a reason; the statement as it was.

    What `reversed` undoes is the caller's work. Raises NotFound, NotAllowed, Invalid.
    """
    known = await statement(tx, statement_id)
    if known is None or not known.awaits_answer:
        raise NotFound("There is no appeal that waits for an answer.")
    if decider_id in (known.decided_by, known.person_id):
        raise NotAllowed("An appeal is decided by somebody else than who decided first.")
    if outcome not in ("confirmed", "reversed"):
        raise Invalid("outcome", "A decision is confirmed or reversed.")
    await tx.execute(
        "UPDATE statements SET appeal_outcome = ?, appeal_reason = ?, appeal_decided_by = ?,"
        " appeal_decided_at = ? WHERE id = ?",
        outcome,
        required(reason),
        decider_id,
        now_ms(),
        statement_id,
    )
    return known


def required(reason: str) -> str:
    """The reason without space around it. Raises Invalid if there is none, or too much of it."""
    text = reason.strip()
    if not text:
        raise Invalid("reason", "Nothing is decided without a reason. Write one.")
    if len(text) > REASON_CHARACTERS:
        raise Invalid("reason", "The reason is too long.")
    return text
