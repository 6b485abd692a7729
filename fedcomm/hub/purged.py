"""Files that were purged and must not come back: known again by what they are, not by their names.

Exact: SHA-256 of the bytes that were uploaded. For pictures besides: a fingerprint that survives
another size, another format and light retouching (a difference hash, 64 bits as 16 hex digits); few
bits apart is the same picture. A picture without any structure (one colour) has no fingerprint.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from fedcomm.hub import audit
from fedcomm.hub.errors import Invalid, NotFound
from fedcomm.store.database import Reader, Transaction, marks
from fedcomm.store.ids import now_ms

NEAR_BITS: Final = 4
"""Fingerprints that differ in no more bits are of the same picture."""

REASON_CHARACTERS: Final = 500


@dataclass(frozen=True, slots=True)
class Blocked:
    """A file that is not taken. `created_at` Unix ms."""

    sha256: str
    fingerprint: str
    reason: str
    created_by: int | None
    created_at: int


def refusal(field: str) -> Invalid:
    """What somebody is told who sends such a file in this field of a form."""
    return Invalid(
        field, "This file was removed from here by the moderators, and cannot be uploaded again."
    )


async def block(
    tx: Transaction, media_ids: Sequence[int], *, by: int | None, reason: str = ""
) -> int:
    """Take these uploads, and files like them, never again; how many are new on the list.

    Call it while the rows of the uploads are there: before what they hang on is erased.
    """
    if not media_ids:
        return 0
    added = 0
    for row in await tx.all(
        "SELECT id, sha256, fingerprint FROM media WHERE sha256 IS NOT NULL"
        f" AND id IN ({marks(len(media_ids))})",
        *media_ids,
    ):
        new = await tx.execute(
            "INSERT INTO blocked_media (sha256, fingerprint, reason, created_by, created_at)"
            " VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
            row["sha256"],
            row["fingerprint"],
            reason[:REASON_CHARACTERS],
            by,
            now_ms(),
        )
        if new:
            added += 1
            await audit.record(tx, "media_blocked", actor_id=by, subject_id=row["id"])
    return added


async def unblock(tx: Transaction, sha256: str, *, by: int | None) -> None:
    """Take a file again. Raises NotFound."""
    if not await tx.execute("DELETE FROM blocked_media WHERE sha256 = ?", sha256):
        raise NotFound("There is no such file on the list.")
    await audit.record(tx, "media_unblocked", actor_id=by, detail={"sha256": sha256})


async def blocked(db: Reader, *, limit: int = 1_000) -> list[Blocked]:
    """The list, newest first."""
    rows = await db.all(
        "SELECT sha256, fingerprint, reason, created_by, created_at FROM blocked_media"
        " ORDER BY created_at DESC, sha256 LIMIT ?",
        limit,
    )
    return [
        Blocked(
            row["sha256"], row["fingerprint"], row["reason"], row["created_by"], row["created_at"]
        )
        for row in rows
    ]


async def is_blocked(db: Reader, data: bytes) -> bool:
    """Whether these very bytes are on the list."""
    return await is_blocked_hash(db, hashlib.sha256(data).hexdigest())


async def is_blocked_hash(db: Reader, sha256: str) -> bool:
    """Whether a file with this SHA-256 (hex) is on the list."""
    found = await db.value("SELECT 1 FROM blocked_media WHERE sha256 = ?", sha256)
    return found is not None


async def looks_blocked(db: Reader, fingerprint: str) -> bool:
    """Whether a picture with this fingerprint looks like one on the list."""
    if not fingerprint:
        return False
    bits = int(fingerprint, 16)
    for row in await db.all("SELECT fingerprint FROM blocked_media WHERE fingerprint <> ''"):
        if (bits ^ int(row["fingerprint"], 16)).bit_count() <= NEAR_BITS:
            return True
    return False
