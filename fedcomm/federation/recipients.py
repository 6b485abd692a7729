"""Who gets an activity: inboxes, one for each host where it has a shared one, in the order of hosts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from fedcomm.store.database import Reader, Row, Value, at_length, marks

HOSTS_AT_ONCE: Final = 500
"""Hosts that one statement asks for by their ids."""


@dataclass(frozen=True, slots=True)
class Inbox:
    """An inbox and whose it is. A suspended host, which is not `is_welcome`, is only asked for what it has."""

    url: str
    host_id: int
    software: str | None
    is_welcome: bool = True


_COLUMNS = "COALESCE(a.shared_inbox, a.inbox) AS inbox, a.host_id, h.software, h.policy"
_LIVE = "a.deleted_at IS NULL AND a.inbox IS NOT NULL"
# However many actors of a host are known, the first that fits is found by the index.
_FIRST = "SELECT a.id FROM actors a WHERE a.host_id = h.id AND {0} AND {1} ORDER BY a.id LIMIT 1"
_OF_HOSTS = (
    f"SELECT {_COLUMNS} FROM hosts h JOIN actors a ON a.id = COALESCE("
    f"({_FIRST.format(_LIVE, 'a.shared_inbox IS NOT NULL')}), ({_FIRST.format(_LIVE, 'TRUE')}))"
    " WHERE h.id IN"
)
_WELCOME = f"{_LIVE} AND h.policy <> 'suspend' AND h.dead_at IS NULL"


async def group_members(db: Reader, group_id: int) -> list[Inbox]:
    """The inboxes of a group's active members on other servers."""
    return await _inboxes(
        db,
        f"SELECT DISTINCT {_COLUMNS} FROM memberships s JOIN actors a ON a.id = s.actor_id"
        f" JOIN hosts h ON h.id = a.host_id WHERE s.group_id = ? AND s.state = 'active'"
        f" AND s.suspended = 0 AND {_WELCOME}",
        group_id,
    )


async def followers(db: Reader, actor_id: int) -> list[Inbox]:
    """The inboxes of a member's followers on other servers."""
    return await _inboxes(
        db,
        f"SELECT DISTINCT {_COLUMNS} FROM follows f JOIN actors a ON a.id = f.follower_id"
        f" JOIN hosts h ON h.id = a.host_id WHERE f.followed_id = ? AND f.state = 'active'"
        f" AND f.suspended = 0 AND {_WELCOME}",
        actor_id,
    )


async def people(db: Reader, actor_ids: Iterable[int]) -> list[Inbox]:
    """The inboxes of these people, as far as they are on other servers."""
    ids = sorted(set(actor_ids))
    if not ids:
        return []
    return await _inboxes(
        db,
        f"SELECT DISTINCT {_COLUMNS} FROM actors a JOIN hosts h ON h.id = a.host_id"
        f" WHERE a.id IN ({marks(len(ids))}) AND {_WELCOME}",
        *ids,
    )


async def own_inbox(db: Reader, actor_id: int) -> list[Inbox]:
    """One person's own inbox: for what concerns them alone (Accept, Follow, Like of theirs)."""
    return await _inboxes(
        db,
        "SELECT a.inbox, a.host_id, h.software, h.policy FROM actors a JOIN hosts h ON h.id = a.host_id"
        f" WHERE a.id = ? AND {_WELCOME}",
        actor_id,
    )


async def reached(db: Reader, subject_id: int) -> list[Inbox]:
    """One inbox of every host that has, or may have, a copy of the subject: the ledger of reach, and deliveries
    that were tried without an answer. Blocked hosts are asked as well (product.md, principle 4)."""
    return await _inboxes(
        db,
        f"{_OF_HOSTS} (SELECT host_id FROM reach WHERE subject_id = ?"
        " UNION SELECT d.host_id FROM deliveries d JOIN activities c ON c.id = d.activity_id"
        " WHERE c.object_id = ? AND (d.attempts > 0 OR d.state = 'sending')) ORDER BY h.id",
        subject_id,
        subject_id,
    )


async def of_hosts(db: Reader, host_ids: Sequence[int]) -> list[Inbox]:
    """One inbox of each host: the shared one of whom we have known longest, else anybody's."""
    found: list[Inbox] = []
    ids = sorted(set(host_ids))
    for at in range(0, len(ids), HOSTS_AT_ONCE):
        some = ids[at : at + HOSTS_AT_ONCE]
        found += await _inboxes(db, f"{_OF_HOSTS} ({marks(len(some))}) ORDER BY h.id", *some)
    return found


def merged(*lists: Sequence[Inbox]) -> list[Inbox]:
    """All inboxes once, in order."""
    return list(dict.fromkeys(inbox for inboxes in lists for inbox in inboxes))


async def _inboxes(db: Reader, sql: str, *args: Value) -> list[Inbox]:
    # A group may have members on thousands of servers.
    with at_length():
        return [_inbox(row) for row in await db.all(sql, *args)]


def _inbox(row: Row) -> Inbox:
    return Inbox(row["inbox"], row["host_id"], row["software"], row["policy"] != "suspend")
