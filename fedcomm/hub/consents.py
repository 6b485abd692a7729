"""Consent: through which channels a member's words may leave this hub (product.md D4).

Each decision is a row of its own, with a version, so that it can be shown what held when. As long as somebody has not
decided, the organization's default holds. A consent covers what is said from then on, and goes back to what was said
before only as far as it was never interrupted: granting again resends nothing.

To withdraw stops new copies at once, and asks for the earlier ones through the same channel, a few objects at a time
(`withdraw_step`). The words stay here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, Literal

from fedcomm.hub import journal
from fedcomm.hub.visibility import Clause
from fedcomm.store.database import Database, Reader, Transaction, marks
from fedcomm.store.ids import now_ms

Spoke = Literal["activitypub", "feeds"]

SPOKES: Final[tuple[Spoke, ...]] = ("activitypub", "feeds")
"""The channels that members decide about."""

RECALLS: Final[frozenset[Spoke]] = frozenset({"activitypub"})
"""Channels that know who has a copy, so that it can be asked back. Nobody knows who read a feed."""

STEP: Final = 50
"""Objects that one transaction of a withdrawal looks at."""


@dataclass(frozen=True, slots=True)
class Decision:
    """One decision. `version` counts from 1; times are Unix ms; `since`: what was said from then on may leave.
    `position`: how far the earlier copies are asked back, None when that is over."""

    spoke: Spoke
    version: int
    granted: bool
    decided_at: int
    since: int
    position: int | None


async def decisions(db: Reader, member_id: int) -> list[Decision]:
    """Every decision of the member, the newest first."""
    rows = await db.all(
        "SELECT spoke, version, granted, decided_at, since, position FROM consents"
        " WHERE member_id = ? ORDER BY decided_at DESC, spoke, version DESC",
        member_id,
    )
    return [
        Decision(
            row["spoke"],
            row["version"],
            bool(row["granted"]),
            row["decided_at"],
            row["since"],
            row["position"],
        )
        for row in rows
    ]


async def latest(db: Reader, member_id: int, spoke: Spoke) -> Decision | None:
    """What the member decided last; None if they never did."""
    return next((one for one in await decisions(db, member_id) if one.spoke == spoke), None)


@dataclass(frozen=True, slots=True)
class Consent:
    """What holds on this hub: `defaults` is what the organization set for those who have not decided."""

    defaults: Mapping[Spoke, bool]

    async def allows(self, db: Reader, actor_id: int, spoke: Spoke) -> bool:
        """Whether what the actor says now may leave. Who is no member here needs no consent of ours."""
        return bool(
            await db.value(
                f"SELECT {_state('a.id')} FROM actors a WHERE a.id = ?",
                spoke,
                self._default(spoke),
                actor_id,
            )
        )

    def leaving(self, spoke: Spoke, alias: str = "o") -> Clause:
        """The condition under which the row `alias` of `objects` may leave, as far as its author decides: what is
        not theirs to decide (written elsewhere) always. A member's answer to what stays here stays here too."""
        o = alias
        own = _state(f"{o}.author_id", f"{o}.published_at")
        above = _state("lp.author_id", "lp.published_at")
        return Clause(
            f"({o}.host_id IS NOT NULL OR ({own} = 1 AND ({o}.kind <> 'reply' OR NOT EXISTS"
            f" (SELECT 1 FROM objects lp WHERE lp.id = {o}.parent_id AND lp.host_id IS NULL"
            f" AND {above} = 0))))",
            (spoke, self._default(spoke)) * 2,
        )

    async def leaves(self, db: Reader, object_ids: Iterable[int], spoke: Spoke) -> set[int]:
        """Those of the objects that may leave."""
        ids = sorted(set(object_ids))
        found: set[int] = set()
        clause = self.leaving(spoke)
        for start in range(0, len(ids), 500):
            page = ids[start : start + 500]
            rows = await db.all(
                f"SELECT o.id FROM objects o WHERE o.id IN ({marks(len(page))}) AND {clause.sql}",
                *page,
                *clause.args,
            )
            found |= {int(row["id"]) for row in rows}
        return found

    async def willing(self, db: Reader, actor_ids: Iterable[int], spoke: Spoke) -> set[int]:
        """Those of the actors who consent, or are not asked."""
        return {one for one in set(actor_ids) if await self.allows(db, one, spoke)}

    async def decide(
        self,
        tx: Transaction,
        member_id: int,
        spoke: Spoke,
        *,
        granted: bool,
        since: int | None = None,
    ) -> Decision:
        """The member decides; saying the same again changes nothing. `since`: what was said from then on is meant
        (a preview has reserved an earlier time), else from now on."""
        before = await latest(tx, member_id, spoke)
        if before is not None and before.granted == granted:
            return before
        now = now_ms()
        held = before.granted if before is not None else self.defaults[spoke]
        begins = min(since or now, now)
        if held:
            begins = before.since if before is not None else 0
        asks_back = not granted and spoke in RECALLS
        made = Decision(
            spoke,
            before.version + 1 if before is not None else 1,
            granted,
            now,
            begins if granted else 0,
            0 if asks_back else None,
        )
        await tx.execute(
            "INSERT INTO consents (member_id, spoke, version, granted, decided_at, since, position)"
            " VALUES (?, ?, ?, ?, ?, ?, ?)",
            member_id,
            spoke,
            made.version,
            int(granted),
            now,
            made.since,
            made.position,
        )
        await journal.record(
            tx, "consent_granted" if granted else "consent_withdrawn", actor_id=member_id
        )
        return made

    def _default(self, spoke: Spoke) -> int:
        return int(self.defaults[spoke])


FREE: Final = Consent(dict.fromkeys(SPOKES, True))
"""Where whoever has not decided lets everything go."""


def _state(author: str, published: str | None = None) -> str:
    """1 or 0 in SQL: whether `author` consents, to what was `published` at a time; parameters: the channel, and
    the default."""
    granted = "lc.granted = 1"
    if published is not None:
        granted += f" AND {published} >= lc.since"
    return (
        f"COALESCE((SELECT CASE WHEN {granted} THEN 1 ELSE 0 END FROM consents lc"
        f" WHERE lc.member_id = {author} AND lc.spoke = ? ORDER BY lc.version DESC LIMIT 1),"
        f" CASE WHEN EXISTS (SELECT 1 FROM members lm WHERE lm.actor_id = {author})"
        " THEN CAST(? AS INTEGER) ELSE 1 END)"
    )


# Asking back what went out before


async def withdrawing(db: Reader) -> list[tuple[int, Spoke, int]]:
    """(member, channel, version) of withdrawals whose copies are still being asked back."""
    rows = await db.all(
        "SELECT member_id, spoke, version FROM consents WHERE position IS NOT NULL"
        " ORDER BY member_id LIMIT 100"
    )
    return [(row["member_id"], row["spoke"], row["version"]) for row in rows]


async def withdraw_step(db: Database, member_id: int, spoke: Spoke, version: int) -> bool:
    """Ask for the copies of the next few objects, through the journal; whether there may be more. What has never
    left, and what is deleted already, is passed over."""
    async with db.transaction() as tx:
        row = await tx.one(
            "SELECT position, decided_at FROM consents WHERE member_id = ? AND spoke = ? AND version = ?",
            member_id,
            spoke,
            version,
        )
        if row is None or row["position"] is None:
            return False
        found = await tx.all(
            "SELECT o.id, o.group_id, CASE WHEN o.deleted_at IS NULL AND o.published_at <= ?"
            " AND (EXISTS (SELECT 1 FROM activities c WHERE c.object_id = o.id)"
            "  OR EXISTS (SELECT 1 FROM reach r WHERE r.subject_id = o.id)) THEN 1 ELSE 0 END AS went"
            " FROM objects o WHERE o.author_id = ? AND o.id > ? ORDER BY o.id LIMIT ?",
            row["decided_at"],
            member_id,
            row["position"],
            STEP,
        )
        for one in found:
            if one["went"]:
                await journal.record(
                    tx,
                    "object_recalled",
                    actor_id=member_id,
                    object_id=one["id"],
                    group_id=one["group_id"],
                )
        more = len(found) == STEP
        await tx.execute(
            "UPDATE consents SET position = ? WHERE member_id = ? AND spoke = ? AND version = ?",
            found[-1]["id"] if more else None,
            member_id,
            spoke,
            version,
        )
    return more
