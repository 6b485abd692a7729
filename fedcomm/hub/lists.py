"""Lists: a member sorts whom they follow, and reads each list as a page of its own.

They are the member's alone: nobody is told, and no gate opens them to anybody else. A list shows what would stand at
the member's home, so that whoever is on it is followed, or a group that the member is in. Who is not any more stays on
the list, says so there, and shows nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from fedcomm.hub import actors
from fedcomm.hub.errors import Invalid, NotAllowed, NotFound
from fedcomm.store.database import Conflict, Reader, Transaction
from fedcomm.store.ids import new_id, now_ms

TITLE_CHARACTERS: Final = 100
LISTS: Final = 50
"""Lists that one member can have (Mastodon's limit too)."""

ENTRIES: Final = 1_000
"""People and groups on one list."""


@dataclass(frozen=True, slots=True)
class MemberList:
    """A list with its title and how many are on it."""

    id: int
    title: str
    count: int


_SELECT: Final = (
    "SELECT l.id, l.title, (SELECT count(*) FROM list_entries e WHERE e.list_id = l.id) AS entries"
    " FROM lists l WHERE l.member_id = ?"
)


async def of_member(db: Reader, member_id: int) -> list[MemberList]:
    """The member's lists, by title."""
    rows = await db.all(f"{_SELECT} ORDER BY l.title", member_id)
    return [MemberList(row["id"], row["title"], row["entries"]) for row in rows]


async def find(db: Reader, member_id: int, list_id: int) -> MemberList:
    """The member's list with this number. Raises NotFound, also for somebody else's."""
    row = await db.one(f"{_SELECT} AND l.id = ?", member_id, list_id)
    if row is None:
        raise NotFound("There is no such list.")
    return MemberList(row["id"], row["title"], row["entries"])


async def create(tx: Transaction, member_id: int, title: str) -> int:
    """A new list; its number, or that of the one that has this title. Raises Invalid, NotAllowed."""
    title = _checked(title)
    known = await tx.value(
        "SELECT id FROM lists WHERE member_id = ? AND title = ?", member_id, title
    )
    if known is not None:
        return int(known)
    count = await tx.value("SELECT count(*) FROM lists WHERE member_id = ?", member_id)
    if int(count) >= LISTS:
        raise NotAllowed("You have too many lists: delete one first.")
    list_id = new_id()
    await tx.execute(
        "INSERT INTO lists (id, member_id, title, created_at) VALUES (?, ?, ?, ?)",
        *(list_id, member_id, title, now_ms()),
    )
    return list_id


async def rename(tx: Transaction, member_id: int, list_id: int, title: str) -> None:
    """Give the list another title. Raises NotFound, Invalid."""
    found = await find(tx, member_id, list_id)
    try:
        await tx.execute("UPDATE lists SET title = ? WHERE id = ?", _checked(title), found.id)
    except Conflict as error:
        raise Invalid("title", "You have a list with this title.") from error


async def delete(tx: Transaction, member_id: int, list_id: int) -> None:
    """The list goes; whoever was on it stays followed. Raises NotFound."""
    found = await find(tx, member_id, list_id)
    await tx.execute("DELETE FROM list_entries WHERE list_id = ?", found.id)
    await tx.execute("DELETE FROM lists WHERE id = ?", found.id)


async def put(tx: Transaction, member_id: int, list_id: int, actor_id: int) -> None:
    """Put somebody on a list whom the member follows or asked to follow, or a group that they are in. Raises
    NotFound, NotAllowed."""
    found = await find(tx, member_id, list_id)
    if not await may_be_on(tx, member_id, actor_id):
        raise NotAllowed("Follow them first: a list shows those whom you follow.")
    if found.count >= ENTRIES:
        raise NotAllowed("The list is full.")
    await tx.execute(
        "INSERT INTO list_entries (list_id, actor_id, member_id) VALUES (?, ?, ?)"
        " ON CONFLICT (list_id, actor_id) DO NOTHING",
        *(found.id, actor_id, member_id),
    )


async def may_be_on(db: Reader, member_id: int, actor_id: int) -> bool:
    """Whether the member follows or asked to follow somebody, or is in the group or asked to be."""
    found = await db.value(
        "SELECT 1 FROM follows WHERE follower_id = ? AND followed_id = ?"
        " UNION ALL SELECT 1 FROM memberships WHERE actor_id = ? AND group_id = ?"
        "  AND state IN ('active', 'requested') LIMIT 1",
        *(member_id, actor_id, member_id, actor_id),
    )
    return found is not None


async def take_off(tx: Transaction, member_id: int, list_id: int, actor_id: int) -> None:
    """Take somebody off a list. Repeats are harmless. Raises NotFound."""
    found = await find(tx, member_id, list_id)
    await tx.execute(
        "DELETE FROM list_entries WHERE list_id = ? AND actor_id = ?", found.id, actor_id
    )


async def put_on(tx: Transaction, member_id: int, actor_id: int, list_ids: Iterable[int]) -> None:
    """Have somebody on exactly these of the member's lists. Raises NotFound, NotAllowed; NotFound for whoever the
    member does not follow, as if they were not there."""
    if not await may_be_on(tx, member_id, actor_id):
        raise NotFound("There is no such person.")
    wanted, present = set(list_ids), await holding(tx, member_id, actor_id)
    for list_id in sorted(wanted - present):
        await put(tx, member_id, list_id, actor_id)
    for list_id in sorted(present - wanted):
        await take_off(tx, member_id, list_id, actor_id)


async def holding(db: Reader, member_id: int, actor_id: int) -> set[int]:
    """On which of the member's lists somebody is."""
    rows = await db.all(
        "SELECT list_id FROM list_entries WHERE member_id = ? AND actor_id = ?", member_id, actor_id
    )
    return {row["list_id"] for row in rows}


async def entries(
    db: Reader, list_id: int, *, limit: int = ENTRIES
) -> list[tuple[actors.Actor, bool]]:
    """Who is on a list, by name, and whether the member still follows them or is in the group."""
    rows = await db.all(
        f"SELECT {actors.COLUMNS},"
        " CASE WHEN EXISTS (SELECT 1 FROM follows f WHERE f.follower_id = e.member_id"
        "  AND f.followed_id = e.actor_id) OR EXISTS (SELECT 1 FROM memberships m"
        "  WHERE m.actor_id = e.member_id AND m.group_id = e.actor_id AND m.state = 'active')"
        f" THEN 1 ELSE 0 END AS is_followed {actors.FROM}"
        " JOIN list_entries e ON e.actor_id = a.id WHERE e.list_id = ? AND a.deleted_at IS NULL"
        # What a group of ours is called now is only for those who are in it.
        " AND (a.kind <> 'group' OR a.host_id IS NOT NULL OR EXISTS (SELECT 1 FROM memberships n"
        "  WHERE n.actor_id = e.member_id AND n.group_id = a.id AND n.state = 'active'))"
        " ORDER BY a.name, a.id LIMIT ?",
        *(list_id, limit),
    )
    return [(actors.actor_of(row), bool(row["is_followed"])) for row in rows]


def _checked(title: str) -> str:
    title = " ".join(title.split())
    if not title:
        raise Invalid("title", "A list needs a title.")
    if len(title) > TITLE_CHARACTERS:
        raise Invalid("title", "The title is too long.")
    return title
