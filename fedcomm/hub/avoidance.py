"""Whom a member does not want to meet: people and whole servers, blocked or muted.

Who is muted is not shown to the member and tells them nothing any more. Who is blocked cannot follow
them either, and what follows there were end. Both are the member's own: nobody is told, and of a mute
not even the journal. Only if the member chooses so, a block of somebody elsewhere is sent to their
server.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from fedcomm.hub import actors, journal
from fedcomm.hub.errors import NotAllowed, NotFound
from fedcomm.hub.visibility import VIEWERS, Clause, Viewer
from fedcomm.store.database import Reader, Transaction
from fedcomm.store.ids import now_ms

Kind = Literal["block", "mute"]


@dataclass(frozen=True, slots=True)
class AvoidedHost:
    """A server that the member avoids."""

    id: int
    name: str
    kind: Kind


@lru_cache(maxsize=VIEWERS)
def not_avoided(viewer: Viewer, author: str, host: str) -> Clause:
    """The condition under which lists show `viewer` something of `author` on `host` (SQL expressions)."""
    if viewer.kind != "member":
        return Clause("1 = 1")
    return Clause(
        f"NOT EXISTS (SELECT 1 FROM avoided_actors vz WHERE vz.member_id = ? AND vz.actor_id = {author})"
        f" AND NOT EXISTS (SELECT 1 FROM avoided_hosts vy WHERE vy.member_id = ? AND vy.host_id = {host})",
        (viewer.actor_id, viewer.actor_id),
    )


async def kind_of(db: Reader, member_id: int, actor_id: int) -> Kind | None:
    """How the member avoids this person, by themselves or with their server; a block goes before a mute."""
    rows = await db.all(
        "SELECT kind FROM avoided_actors WHERE member_id = ? AND actor_id = ?"
        " UNION SELECT v.kind FROM avoided_hosts v JOIN actors a ON a.host_id = v.host_id"
        " WHERE v.member_id = ? AND a.id = ?",
        member_id,
        actor_id,
        member_id,
        actor_id,
    )
    kinds: set[Kind] = {row["kind"] for row in rows}
    return "block" if "block" in kinds else "mute" if kinds else None


async def avoid(
    tx: Transaction, member_id: int, actor_id: int, kind: Kind, *, announce: bool = False
) -> None:
    """Block or mute somebody. `announce`: a block is told to their server, and to no other.

    The follows between the two have to be ended by the caller for a block. Raises NotFound, NotAllowed.
    """
    person = await actors.actor(tx, actor_id)
    if (
        person is None
        or person.deleted_at is not None
        or (person.is_local and person.kind != "person")
    ):
        raise NotFound("There is no such person.")
    if actor_id == member_id:
        raise NotAllowed("Nobody can block themselves.")
    told = kind == "block" and announce and not person.is_local
    before = await tx.one(
        "SELECT kind, announced FROM avoided_actors WHERE member_id = ? AND actor_id = ?",
        member_id,
        actor_id,
    )
    await tx.execute(
        "INSERT INTO avoided_actors (member_id, actor_id, kind, announced, created_at)"
        " VALUES (?, ?, ?, ?, ?) ON CONFLICT (member_id, actor_id) DO UPDATE SET"
        " kind = excluded.kind, announced = excluded.announced",
        member_id,
        actor_id,
        kind,
        int(told),
        now_ms(),
    )
    was_told = before is not None and bool(before["announced"])
    if told != was_told:
        event: journal.Event = "block_announced" if told else "block_withdrawn"
        await journal.record(tx, event, actor_id=member_id, target_id=actor_id)


async def meet_again(tx: Transaction, member_id: int, actor_id: int) -> None:
    """End a block or mute. Repeats are harmless."""
    announced = await tx.value(
        "SELECT announced FROM avoided_actors WHERE member_id = ? AND actor_id = ?",
        member_id,
        actor_id,
    )
    await tx.execute(
        "DELETE FROM avoided_actors WHERE member_id = ? AND actor_id = ?", member_id, actor_id
    )
    if announced:
        await journal.record(tx, "block_withdrawn", actor_id=member_id, target_id=actor_id)


async def avoid_host(tx: Transaction, member_id: int, name: str, kind: Kind) -> int:
    """Block or mute a whole server that this hub knows; its id. Raises NotFound."""
    host_id = await tx.value("SELECT id FROM hosts WHERE name = ?", name.strip().lower())
    if host_id is None:
        raise NotFound("This server is not known here.")
    await tx.execute(
        "INSERT INTO avoided_hosts (member_id, host_id, kind, created_at) VALUES (?, ?, ?, ?)"
        " ON CONFLICT (member_id, host_id) DO UPDATE SET kind = excluded.kind",
        member_id,
        host_id,
        kind,
        now_ms(),
    )
    return int(host_id)


async def meet_host_again(tx: Transaction, member_id: int, host_id: int) -> None:
    """End the block or mute of a server."""
    await tx.execute(
        "DELETE FROM avoided_hosts WHERE member_id = ? AND host_id = ?", member_id, host_id
    )


async def avoided_by(db: Reader, member_id: int) -> list[tuple[actors.Actor, Kind]]:
    """The people whom the member avoids, the last 500 first."""
    rows = await db.all(
        f"SELECT {actors.COLUMNS}, v.kind AS avoided_as {actors.FROM}"
        " JOIN avoided_actors v ON v.actor_id = a.id WHERE v.member_id = ?"
        " ORDER BY v.created_at DESC LIMIT 500",
        member_id,
    )
    return [(actors.actor_of(row), row["avoided_as"]) for row in rows]


async def hosts_avoided_by(db: Reader, member_id: int) -> list[AvoidedHost]:
    """The servers that the member avoids, by name."""
    rows = await db.all(
        "SELECT h.id, h.name, v.kind FROM avoided_hosts v JOIN hosts h ON h.id = v.host_id"
        " WHERE v.member_id = ? ORDER BY h.name LIMIT 500",
        member_id,
    )
    return [AvoidedHost(row["id"], row["name"], row["kind"]) for row in rows]
