"""Likes, dislikes and shares. An actor has at most one of each kind on an object.

A like may carry an emoji (FEP-c0e0): it counts as one like, and is shown as what it was. Whoever sends
several has one like with the last of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from fedcomm.hub import (
    actors,
    emoji,
    group_hosts,
    groups,
    journal,
    notifications,
    permissions,
    things,
    threads,
)
from fedcomm.hub.errors import NotAllowed, NotFound
from fedcomm.hub.visibility import can_read, member, remote
from fedcomm.store.database import Reader, Transaction, marks
from fedcomm.store.ids import new_id, now_ms
from fedcomm.store.remembered import by_key

Kind = Literal["like", "dislike", "share"]

COUNTERS: Final[dict[Kind, things.Counted]] = {
    "like": "like_count",
    "dislike": "dislike_count",
    "share": "share_count",
}
"""The column of `objects` that counts each kind."""


@dataclass(frozen=True, slots=True)
class Feeling:
    """The emoji of a like: one of Unicode, or `:shortcode:` with the picture that its sender names."""

    text: str
    picture: emoji.NamedEmoji | None = None


@dataclass(frozen=True, slots=True)
class Tally:
    """How many likes of an object carry this emoji. `emoji_id` for a custom one."""

    text: str
    emoji_id: int | None
    count: int


EMOJI_SHOWN = 20
"""Different emoji of one object that are counted apart; all of them are among its likes."""


async def add(
    tx: Transaction,
    actor_id: int,
    object_id: int,
    kind: Kind,
    *,
    uri: str | None = None,
    feeling: Feeling | None = None,
) -> bool:
    """React to an object; False if the actor had already. `uri`: the id of the remote activity.

    A like takes the actor's dislike back and the other way round. Raises NotFound.
    """
    person, target = await require(tx, actor_id, object_id, kind)
    opposite = _OPPOSITE.get(kind)
    if opposite is not None:
        await withdraw(tx, actor_id, object_id, opposite)
    reaction_id = new_id()
    text, emoji_id = await _felt(tx, person, kind, feeling)
    added = await tx.execute(
        "INSERT INTO reactions (id, object_id, actor_id, kind, uri, created_at, emoji, emoji_id)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
        reaction_id,
        object_id,
        actor_id,
        kind,
        uri,
        now_ms(),
        text,
        emoji_id,
        keys=(actor_id,),
    )
    if not added:
        if text:
            await tx.execute(
                "UPDATE reactions SET emoji = ?, emoji_id = ? WHERE object_id = ? AND actor_id = ?"
                " AND kind = ?",
                text,
                emoji_id,
                object_id,
                actor_id,
                kind,
            )
        return False
    await things.count(tx, object_id, COUNTERS[kind], 1)
    await journal.record(
        tx,
        "reaction_added",
        actor_id=actor_id,
        object_id=object_id,
        group_id=target.group_id,
        target_id=reaction_id,
    )
    if kind in ("like", "share"):
        author = await actors.actor(tx, target.author_id)
        if author is not None:
            told: notifications.Kind = "like" if kind == "like" else "share"
            await notifications.notify(tx, author, told, actor_id, object_id=object_id)
    return True


async def require(
    db: Reader, actor_id: int, object_id: int, kind: Kind
) -> tuple[actors.Actor, things.Thing]:
    """Who reacts, and to what. Raises NotFound, NotAllowed unless they may."""
    await threads.require_home(db, actor_id)
    target = await threads.thing(db, object_id)
    person = await actors.actor(db, actor_id)
    if target is None or target.deleted_at is not None or person is None:
        raise NotFound("This is not there any more.")
    viewer = member(actor_id) if person.is_local else remote(actor_id, person.host_id or 0)
    if not await can_read(db, viewer, object_id):
        raise NotFound("This is not there any more.")
    if target.visibility == "members":
        # Their server may have the copy; only those who are in the group take part.
        await threads.require_place_of(db, target, actor_id)
    if (
        kind == "like"
        and person.is_local
        and not await permissions.may_on_remote(db, "like", object_id, actor_id)
    ):
        raise NotAllowed("Its author does not let you like this.")
    if target.group_id is not None:
        place = await groups.membership(db, target.group_id, actor_id)
        if place is not None and place.state == "banned":
            raise NotAllowed("You may not take part in this group.")
        if await group_hosts.access(db, target.group_id, person.host_id) == "none":
            raise NotAllowed("You may not take part in this group.")
    return person, target


async def look(db: Reader, actor_id: int, object_id: int, kind: Kind) -> None:
    """Read what `add` will read. Raises NotFound, NotAllowed."""
    await require(db, actor_id, object_id, kind)
    if kind in _OPPOSITE:
        await db.one(_FIND, object_id, actor_id, _OPPOSITE[kind])


_OPPOSITE: Final[dict[Kind, Kind]] = {"like": "dislike", "dislike": "like"}
_FIND: Final = by_key("SELECT id FROM reactions WHERE object_id = ? AND actor_id = ? AND kind = ?")


async def withdraw(tx: Transaction, actor_id: int, object_id: int, kind: Kind) -> bool:
    """Take a reaction back; False if there was none. The journal names its id, its kind stays with
    the spoke."""
    row = await tx.one(_FIND, object_id, actor_id, kind)
    if row is None:
        return False
    await tx.execute("DELETE FROM reactions WHERE id = ?", row["id"])
    await things.count(tx, object_id, COUNTERS[kind], -1)
    target = await things.thing(tx, object_id)
    await journal.record(
        tx,
        "reaction_withdrawn",
        actor_id=actor_id,
        object_id=object_id,
        group_id=target.group_id if target is not None else None,
        target_id=row["id"],
    )
    return True


async def _felt(
    tx: Transaction, person: actors.Actor, kind: Kind, feeling: Feeling | None
) -> tuple[str, int | None]:
    """What is kept of an emoji: custom ones only where their picture may be noted."""
    if feeling is None or kind != "like":
        return "", None
    if feeling.picture is None:
        return feeling.text, None
    noted = await emoji.note(tx, person.host_id or 0, [feeling.picture])
    emoji_id = noted.get(feeling.picture.shortcode)
    return (feeling.text, emoji_id) if emoji_id is not None else ("", None)


async def feelings(db: Reader, object_ids: Sequence[int]) -> dict[int, list[Tally]]:
    """The emoji that likes of these objects carry, the most frequent first."""
    found: dict[int, list[Tally]] = {}
    if not object_ids:
        return found
    for row in await db.all(
        "SELECT object_id, emoji, emoji_id, count(*) AS many FROM reactions"
        f" WHERE emoji <> '' AND object_id IN ({marks(len(object_ids))})"
        " GROUP BY object_id, emoji, emoji_id ORDER BY object_id, many DESC, emoji",
        *object_ids,
    ):
        tallies = found.setdefault(row["object_id"], [])
        if len(tallies) < EMOJI_SHOWN:
            tallies.append(Tally(row["emoji"], row["emoji_id"], int(row["many"])))
    return found


async def reacted(db: Reader, actor_id: int, object_ids: list[int]) -> dict[int, set[Kind]]:
    """Which of these objects the actor reacted to, and how."""
    found: dict[int, set[Kind]] = {}
    if not object_ids:
        return found
    rows = await db.all(
        "SELECT object_id, kind FROM reactions WHERE actor_id = ?"
        f" AND object_id IN ({marks(len(object_ids))})",
        actor_id,
        *object_ids,
    )
    for row in rows:
        found.setdefault(row["object_id"], set()).add(row["kind"])
    return found
