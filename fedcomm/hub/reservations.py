"""What a preview reserves, so that what is sent later is the same to the byte: the object's id, its time, and the
numbers that a spoke will give its activities.

A reservation holds for minutes only: what is posted with it is dated at the preview.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from fedcomm.store.database import Reader, Transaction, marks
from fedcomm.store.ids import new_id, now_ms

HELD_MS: Final = 10 * 60_000
"""How long what was previewed can be posted just so; later it needs another look."""

FORGOTTEN_MS: Final = 86_400_000
"""A reservation that no spoke has used goes after a day: the post waited for a moderator, and is dated anew."""


@dataclass(frozen=True, slots=True)
class Reservation:
    """What is set aside for one object. `at`: Unix ms, when it counts as published. `numbers`: ids of the activities
    that a spoke will make, by the spoke's own words for them."""

    object_id: int
    at: int
    numbers: Mapping[str, int] = field(default_factory=dict)

    def is_held(self, now: int) -> bool:
        """Whether it can still be used at `now` (Unix ms); one from the future (the clock was set back) cannot."""
        return 0 <= now - self.at < HELD_MS


def reserve() -> Reservation:
    """Set something aside now."""
    return Reservation(new_id(), now_ms())


def numbers_text(numbers: Mapping[str, int]) -> str:
    """The numbers as they are stored."""
    return json.dumps(dict(numbers), sort_keys=True)


def numbers_of(text: str | None) -> dict[str, int]:
    """The numbers out of their column."""
    return {str(key): int(value) for key, value in json.loads(text or "{}").items()}


async def keep(tx: Transaction, reservation: Reservation) -> None:
    """The object is posted: whoever sends it finds here what was promised."""
    await tx.execute(
        "INSERT INTO reservations (object_id, reserved_at, numbers) VALUES (?, ?, ?)",
        reservation.object_id,
        reservation.at,
        numbers_text(reservation.numbers),
    )


async def of_objects(db: Reader, object_ids: Sequence[int]) -> dict[int, Reservation]:
    """What was reserved for objects that are posted, by their ids, unless it is too long ago to be true."""
    if not object_ids:
        return {}
    rows = await db.all(
        "SELECT object_id, reserved_at, numbers FROM reservations"
        f" WHERE object_id IN ({marks(len(object_ids))}) AND reserved_at > ?",
        *object_ids,
        now_ms() - FORGOTTEN_MS,
    )
    return {
        row["object_id"]: Reservation(
            row["object_id"], row["reserved_at"], numbers_of(row["numbers"])
        )
        for row in rows
    }


async def use_up(tx: Transaction, object_id: int) -> None:
    """It is sent: what was reserved is used."""
    await tx.execute("DELETE FROM reservations WHERE object_id = ?", object_id)


async def tidy(tx: Transaction) -> int:
    """Forget what nobody used; how many."""
    return await tx.execute(
        "DELETE FROM reservations WHERE reserved_at < ?", now_ms() - FORGOTTEN_MS
    )
