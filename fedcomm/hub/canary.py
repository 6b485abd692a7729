"""Whether what this hub sends comes round: the cycles of the canary, and what an administrator is told of them.

The spoke sings and listens (`fedcomm.federation.canary`); here stands only what came of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from fedcomm.hub import instance
from fedcomm.store.database import Reader, Row, Transaction
from fedcomm.store.ids import first_id_at, new_id, now_ms

State = Literal["asked", "answered", "arrived", "missed", "abandoned"]
"""Follow sent; Follow arrived and Announce sent; Announce arrived; too late; nobody was there to look (a restart)."""

OPEN: Final = ("asked", "answered")

ACTOR_OF: Final = {"group": "canary_group", "follower": "canary_follower"}
"""The settings that name the canary's actors."""

ALARMED: Final = "canary_alarm"
"""The setting that holds since when (Unix ms) the alarm is on; empty when it is off."""

KEPT_MS: Final = 30 * 86_400_000
"""How long cycles are remembered."""

TRACES_MS: Final = 86_400_000
"""How long the rows that a cycle left in queues are kept."""

FUTURE_MS: Final = 60_000
"""A cycle that began later than now by more than this: the clock was set back, and it says nothing."""

REMINDED_MS: Final = 86_400_000
"""How often an alarm that stays on is told again."""

TRIES_SHOWN: Final = 100


@dataclass(frozen=True, slots=True)
class Cycle:
    """One round. Times: Unix ms; `duration_ms` once it has arrived; `error` of one that was missed."""

    id: int
    state: State
    started_at: int
    followed_at: int | None
    arrived_at: int | None
    duration_ms: int | None
    error: str


@dataclass(frozen=True, slots=True)
class Status:
    """How the canary does. `missed`: cycles in a row without a song; `last` is the last one that ended."""

    last: Cycle | None
    last_arrived: Cycle | None
    missed: int

    @property
    def is_alarming(self) -> bool:
        return self.missed > 0


_SELECT = (
    "SELECT id, state, started_at, followed_at, arrived_at, duration_ms, error FROM canary_cycles"
)


async def cycle(db: Reader, number: int) -> Cycle | None:
    """The cycle with this number."""
    row = await db.one(f"{_SELECT} WHERE id = ?", number)
    return _cycle_of(row) if row is not None else None


async def may_begin(tx: Transaction, *, interval_ms: int, deadline_ms: int) -> bool:
    """Whether it is time for a cycle. One that another process began is left to it; one that nobody looks after any
    more, and any that the clock has left in the future, is abandoned."""
    now = now_ms()
    await tx.execute(
        "UPDATE canary_cycles SET state = 'abandoned', started_at = ? WHERE started_at > ?",
        *(now - interval_ms, now + FUTURE_MS),
    )
    row = await tx.one(f"{_SELECT} ORDER BY started_at DESC, id DESC LIMIT 1")
    if row is None:
        return True
    age = now - int(row["started_at"])
    if row["state"] in OPEN:
        if 0 <= age <= 2 * deadline_ms:
            return False
        await abandon(tx, row["id"])
        return True
    # A little early is in time: sleeps are not exact.
    return row["state"] == "abandoned" or not 0 <= age < interval_ms * 9 // 10


async def begin(tx: Transaction) -> int:
    """A new cycle; its number."""
    number = new_id()
    await tx.execute(
        "INSERT INTO canary_cycles (id, state, started_at) VALUES (?, 'asked', ?)",
        *(number, now_ms()),
    )
    return number


async def arrive(tx: Transaction, number: int, stage: State) -> bool:
    """The Follow (`asked`) or the Announce (`answered`) has come round; False if nobody waits for it any more."""
    now = now_ms()
    if stage == "asked":
        sql = "UPDATE canary_cycles SET state = 'answered', followed_at = ? WHERE id = ? AND state = 'asked'"
        return bool(await tx.execute(sql, now, number))
    known = await cycle(tx, number)
    if known is None or known.state != "answered":
        return False
    # The clock may have been set back meanwhile: a negative length says nothing.
    return bool(
        await tx.execute(
            "UPDATE canary_cycles SET state = 'arrived', arrived_at = ?, duration_ms = ? WHERE id = ?",
            *(now, max(0, now - known.started_at), number),
        )
    )


async def miss(tx: Transaction, number: int, error: str) -> bool:
    """It has not come round in time; False if it just did."""
    return bool(
        await tx.execute(
            "UPDATE canary_cycles SET state = 'missed', error = ?"
            " WHERE id = ? AND state IN ('asked', 'answered')",
            *(error[:500], number),
        )
    )


async def abandon(tx: Transaction, number: int) -> None:
    """Nobody looked after it: it says nothing."""
    await tx.execute(
        "UPDATE canary_cycles SET state = 'abandoned'"
        " WHERE id = ? AND state IN ('asked', 'answered')",
        number,
    )


async def status(db: Reader) -> Status:
    """How the canary does, by the cycles that ended."""
    rows = await db.all(
        f"{_SELECT} WHERE state IN ('arrived', 'missed') ORDER BY id DESC LIMIT ?", TRIES_SHOWN
    )
    ended = [_cycle_of(row) for row in rows]
    missed = next((n for n, one in enumerate(ended) if one.state == "arrived"), len(ended))
    arrived = next((one for one in ended if one.state == "arrived"), None)
    return Status(ended[0] if ended else None, arrived, missed)


async def note_alarm(tx: Transaction, now_is: Status) -> bool:
    """Remember whether the alarm is on; True when somebody is to be told: it went on, goes on for a day, or went
    off."""
    now = now_ms()
    since = await instance.setting(tx, ALARMED) or ""
    if not now_is.is_alarming:
        if since:
            await instance.set_setting(tx, ALARMED, "")
        return bool(since)
    if since and 0 <= now - int(since) < REMINDED_MS:
        return False
    await instance.set_setting(tx, ALARMED, str(now))
    return True


async def tidy(tx: Transaction, actor_ids: tuple[int, int], host_id: int) -> None:
    """Remove what older cycles left: in queues after a day, their own rows after a month."""
    before = first_id_at(now_ms() - TRACES_MS)
    await tx.execute(
        "DELETE FROM inbox WHERE host_id = ? AND state <> 'waiting' AND id < ?", host_id, before
    )
    await tx.execute(
        "DELETE FROM activities WHERE actor_id IN (?, ?) AND id < ? AND NOT EXISTS"
        " (SELECT 1 FROM deliveries d WHERE d.activity_id = activities.id)",
        *(*actor_ids, before),
    )
    await tx.execute("DELETE FROM canary_cycles WHERE started_at < ?", now_ms() - KEPT_MS)


def _cycle_of(row: Row) -> Cycle:
    return Cycle(
        row["id"],
        row["state"],
        row["started_at"],
        row["followed_at"],
        row["arrived_at"],
        row["duration_ms"],
        row["error"],
    )
