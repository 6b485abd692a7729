"""What erasure does to the rows about a person, a bounded part at a time: relations, reactions, votes, what others say
with an @, files, and all else that the register names (`fedcomm.hub.register`).

Each step can be done twice, and is repeated until it finds nothing more.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from fedcomm.hub.neutralising import Person, mentioning, neutralise, neutralise_profiles
from fedcomm.hub.reactions import COUNTERS
from fedcomm.hub.register import REGISTER, Blank, Delete
from fedcomm.store.database import Transaction, marks

OBJECTS_STEP: Final = 20
"""Objects that one transaction erases: about 20 ms, in which nobody else can write."""

ROWS_STEP: Final = 500
"""Rows that one transaction erases."""

FEW_VOTERS: Final = 5
"""Below this many, a count would tell what one person chose (product.md D2)."""

RowStep = Callable[[Transaction, int, Person], Awaitable[int]]
"""Does a bounded part for the actor with this id, who was called so; how many rows it was. 0: nothing is left."""


async def _mentions(tx: Transaction, actor_id: int, person: Person) -> int:
    found = await mentioning(tx, actor_id, 0, OBJECTS_STEP)
    for object_id in found:
        await neutralise(tx, person, object_id)
    if found:
        await tx.execute(
            f"DELETE FROM mentions WHERE actor_id = ? AND object_id IN ({marks(len(found))})",
            actor_id,
            *found,
        )
    return len(found)


async def _profiles(tx: Transaction, actor_id: int, person: Person) -> int:
    return await neutralise_profiles(tx, person) if person.name else 0


async def _reactions(tx: Transaction, actor_id: int, person: Person) -> int:
    rows = await tx.all(
        "SELECT id, object_id, kind FROM reactions WHERE actor_id = ? LIMIT ?", actor_id, ROWS_STEP
    )
    for kind, column in COUNTERS.items():
        ids = [row["object_id"] for row in rows if row["kind"] == kind]
        if ids:
            await tx.execute(
                f"UPDATE objects SET {column} = {column} - 1"
                f" WHERE {column} > 0 AND id IN ({marks(len(ids))})",
                *ids,
            )
    await _delete_ids(tx, "reactions", [row["id"] for row in rows])
    return len(rows)


async def _votes(tx: Transaction, actor_id: int, person: Person) -> int:
    rows = await tx.all(
        "SELECT v.id, v.object_id, v.position, v.slot FROM poll_votes v JOIN polls p"
        " ON p.object_id = v.object_id WHERE v.actor_id = ? AND p.voter_count < ? LIMIT ?",
        actor_id,
        FEW_VOTERS,
        ROWS_STEP,
    )
    for row in rows:
        await tx.execute(
            "UPDATE poll_options SET vote_count = vote_count - 1"
            " WHERE vote_count > 0 AND object_id = ? AND position = ?",
            row["object_id"],
            row["position"],
        )
    voted = sorted({row["object_id"] for row in rows})
    if voted:
        await tx.execute(
            "UPDATE polls SET voter_count = voter_count - 1"
            f" WHERE voter_count > 0 AND object_id IN ({marks(len(voted))})",
            *voted,
        )
    await _delete_ids(tx, "poll_votes", [row["id"] for row in rows])
    return len(rows)


async def _participations(tx: Transaction, actor_id: int, person: Person) -> int:
    """Whoever would have come does not; of events elsewhere their own server counts."""
    rows = await tx.all(
        "SELECT p.object_id FROM participations p JOIN objects o ON o.id = p.object_id"
        " WHERE p.actor_id = ? AND p.state = 'going' AND o.host_id IS NULL LIMIT ?",
        actor_id,
        ROWS_STEP,
    )
    ids = [row["object_id"] for row in rows]
    if ids:
        listed = marks(len(ids))
        await tx.execute(
            "UPDATE events SET going_count = going_count - 1"
            f" WHERE going_count > 0 AND object_id IN ({listed})",
            *ids,
        )
        await tx.execute(
            f"DELETE FROM participations WHERE actor_id = ? AND object_id IN ({listed})",
            actor_id,
            *ids,
        )
    return len(ids)


async def _reports(tx: Transaction, actor_id: int, person: Person) -> int:
    about = [
        row["report_id"]
        for row in await tx.all(
            "SELECT r.id AS report_id FROM reports r WHERE r.id IN"
            " (SELECT report_id FROM report_subjects WHERE actor_id = ? UNION"
            "  SELECT s.report_id FROM report_subjects s JOIN objects o ON o.id = s.object_id"
            "  WHERE o.author_id = ?)"
            " AND (r.reason <> '' OR r.decision_reason <> ''"
            "  OR EXISTS (SELECT 1 FROM report_notes n WHERE n.report_id = r.id)) LIMIT ?",
            actor_id,
            actor_id,
            ROWS_STEP,
        )
    ]
    if about:
        listed = marks(len(about))
        await tx.execute(f"DELETE FROM report_notes WHERE report_id IN ({listed})", *about)
        await tx.execute(
            f"UPDATE reports SET reason = '', decision_reason = '', uri = NULL WHERE id IN ({listed})",
            *about,
        )
    return len(about)


async def _media(tx: Transaction, actor_id: int, person: Person) -> int:
    """Everything that the person uploaded, but for the picture of a group that lives on."""
    await tx.execute("UPDATE actors SET avatar_id = NULL, header_id = NULL WHERE id = ?", actor_id)
    return await tx.execute(
        "UPDATE media SET state = 'erased', alt = '', name = '', blurhash = NULL WHERE owner_id = ?"
        " AND state <> 'erased' AND NOT EXISTS (SELECT 1 FROM actors a WHERE a.deleted_at IS NULL"
        " AND (a.avatar_id = media.id OR a.header_id = media.id))"
        " AND NOT EXISTS (SELECT 1 FROM attachments t JOIN objects o ON o.id = t.object_id"
        "  WHERE t.media_id = media.id AND o.withheld = 'kept')",
        actor_id,
    )


async def _place(tx: Transaction, actor_id: int, person: Person) -> int:
    """Who belonged to a group that goes, and what its members were told of it."""
    gone = 0
    for table in ("memberships", "notifications"):
        gone += await tx.execute(
            f"DELETE FROM {table} WHERE {tx.row} IN"
            f" (SELECT {tx.row} FROM {table} WHERE group_id = ? LIMIT ?)",
            actor_id,
            ROWS_STEP,
        )
    return gone


async def _sent(tx: Transaction, actor_id: int, person: Person) -> int:
    """Nothing of the person is sent any more, and no rendered activity keeps a word."""
    gone = await tx.execute(
        "DELETE FROM deliveries WHERE recall = 0 AND state <> 'sending' AND activity_id IN"
        " (SELECT id FROM activities WHERE actor_id = ?)",
        actor_id,
    )
    return gone + await tx.execute(
        f"UPDATE activities SET body = NULL WHERE {tx.row} IN (SELECT {tx.row} FROM activities"
        " WHERE actor_id = ? AND body IS NOT NULL AND type NOT IN ('Delete', 'Undo') LIMIT ?)",
        actor_id,
        ROWS_STEP,
    )


async def _came(tx: Transaction, actor_id: int, person: Person) -> int:
    """What the person sent, and what was sent to them."""
    gone = await tx.execute(
        "DELETE FROM received_activities WHERE object_id = ? AND type = 'Follow'", actor_id
    )
    signer = await tx.value("SELECT uri FROM actors WHERE id = ?", actor_id)
    if signer:
        gone += await tx.execute(
            "DELETE FROM inbox WHERE state <> 'working' AND host_id ="
            " (SELECT host_id FROM actors WHERE id = ?) AND signer_uri = ?",
            actor_id,
            signer,
        )
    return gone


async def _delete_ids(tx: Transaction, table: str, ids: Sequence[int]) -> None:
    if ids:
        await tx.execute(f"DELETE FROM {table} WHERE id IN ({marks(len(ids))})", *ids)


def _by_register(table: str, rule: Delete | Blank) -> RowStep:
    async def step(tx: Transaction, actor_id: int, person: Person) -> int:
        if isinstance(rule, Delete):
            return await tx.execute(
                f"DELETE FROM {table} WHERE {tx.row} IN"
                f" (SELECT {tx.row} FROM {table} WHERE {rule.column} = ? LIMIT ?)",
                actor_id,
                ROWS_STEP,
            )
        empty = {word: "NULL" if word in NULLABLE.get(table, ()) else "''" for word in rule.words}
        filled = " OR ".join(
            f"{word} IS NOT NULL" if value == "NULL" else f"{word} <> ''"
            for word, value in empty.items()
        )
        return await tx.execute(
            f"UPDATE {table} SET {', '.join(f'{word} = {value}' for word, value in empty.items())}"
            f" WHERE {tx.row} IN (SELECT {tx.row} FROM {table} WHERE {rule.column} = ?"
            f" AND ({filled}) LIMIT ?)",
            actor_id,
            ROWS_STEP,
        )

    return step


NULLABLE: Final = {
    "reports": ("uri",),
    "statements": ("appeal",),
    "activities": ("body",),
    "inbox": ("body",),
}
"""Columns of words that are empty as NULL, not as an empty text."""

STEPS: Final[tuple[RowStep, ...]] = (
    _mentions,
    _profiles,
    _reactions,
    _votes,
    _participations,
    _reports,
    _media,
    _place,
    _sent,
    _came,
    *(
        _by_register(table, step)
        for table, entry in REGISTER.items()
        for step in entry.steps
        if isinstance(step, Delete | Blank)
    ),
)
