"""Receipts of erasure: how far a case is, for whoever has its address and nobody else.

Who was erased has no account any more, so the address itself is the key: the number of the case, and a token that only
this hub can make (an HMAC under the key file). The receipt names servers, never the person.
"""

from __future__ import annotations

import hmac
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Final, Literal

from fedcomm.hub import erasure
from fedcomm.hub.reach import outcome
from fedcomm.store.database import Database, Reader
from fedcomm.store.ids import parse_id
from fedcomm.store.pseudonyms import Pseudonyms

TOKEN_CHARACTERS: Final = 32
"""128 bits."""

PAGE: Final = 500
"""Servers that are read at a time."""

Progress = Literal["waiting", "told", "acknowledged", "refused", "unreachable"]
PROGRESS: Final[tuple[Progress, ...]] = (
    "acknowledged",
    "refused",
    "unreachable",
    "told",
    "waiting",
)


def reference(pseudonyms: Pseudonyms, case_id: int) -> str | None:
    """The last part of the receipt's address: `<case>-<token>`; None on a hub without a key file, where anybody
    could make one."""
    if not pseudonyms.secret:
        return None
    return f"{case_id}-{pseudonyms.of('receipt', str(case_id))[:TOKEN_CHARACTERS]}"


async def find(db: Database, text: str) -> erasure.Case | None:
    """The case to which this reference leads; None for one that this hub did not make."""
    number, _, token = text.partition("-")
    case_id = parse_id(number)
    expected = reference(db.pseudonyms, case_id) if case_id is not None else None
    if case_id is None or expected is None:
        return None
    if not hmac.compare_digest(expected.encode(), f"{case_id}-{token}".encode()):
        return None
    return await erasure.case(db, case_id)


@dataclass(frozen=True, slots=True)
class Told:
    """One server that had something. Times: Unix ms."""

    host_id: int
    host: str
    copies: int
    told_at: int | None
    answered_at: int | None
    status: int | None
    progress: Progress


async def recipients(
    db: Reader, case: erasure.Case, *, after: int = 0, limit: int = 200
) -> list[Told]:
    """The servers of a case and what they answered so far, in the order of their numbers, after host `after`."""
    rows = await db.all(
        "SELECT r.host_id, h.name, r.copies, r.told_at,"
        " COALESCE(r.answered_at, l.recalled_at) AS answered_at,"
        " COALESCE(r.status, l.recall_status) AS status"
        " FROM erasure_recipients r JOIN hosts h ON h.id = r.host_id"
        " LEFT JOIN reach l ON l.subject_id = ? AND l.host_id = r.host_id"
        " WHERE r.case_id = ? AND r.host_id > ? ORDER BY r.host_id LIMIT ?",
        case.subject_id,
        case.id,
        after,
        limit,
    )
    return [
        Told(
            row["host_id"],
            row["name"],
            row["copies"],
            row["told_at"],
            row["answered_at"],
            row["status"],
            _progress(case, row["told_at"], row["status"]),
        )
        for row in rows
    ]


def _progress(case: erasure.Case, told_at: int | None, status: int | None) -> Progress:
    if case.finished_at is not None:
        return outcome(status)
    if status is not None and outcome(status) != "unreachable":
        return outcome(status)
    return "told" if told_at is not None else "waiting"


async def every_recipient(db: Reader, case: erasure.Case) -> AsyncIterator[Told]:
    """All servers of a case, however many; reads a page at a time."""
    after = 0
    while page := await recipients(db, case, after=after, limit=PAGE):
        for one in page:
            yield one
        after = page[-1].host_id


async def tally(db: Reader, case: erasure.Case) -> dict[Progress, int]:
    """How many servers stand where."""
    found: dict[Progress, int] = dict.fromkeys(PROGRESS, 0)
    async for one in every_recipient(db, case):
        found[one.progress] += 1
    return found
