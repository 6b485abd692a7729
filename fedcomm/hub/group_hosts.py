"""Which servers may join a group and write in it: rules of the group itself, narrower than those of the hub.

    write   people of the server follow the group and write in it
    read    they follow it and read
    none    they can do neither; who is in already stays a member, and cannot write or react any more

A rule covers a domain and every subdomain; the longest match wins. What holds for all others the group says as well:
`write` makes the rules a list of exceptions, `none` a list of those who are let in.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Final, Literal, cast

from fedcomm.hub.policies import coverings
from fedcomm.store.database import Reader, marks

Access = Literal["write", "read", "none"]
ACCESSES: Final[tuple[Access, ...]] = ("write", "read", "none")

RULES_MOST: Final = 1_000
"""Rules of one group."""


@dataclass(frozen=True, slots=True)
class HostRule:
    """What a group says of a domain. `members`: how many of its people are in the group now."""

    domain: str
    access: Access
    members: int


async def access(db: Reader, group_id: int, host_id: int | None) -> Access:
    """What people of a host may do in a group; `write` for our own."""
    if host_id is None:
        return "write"
    row = await db.one(
        "SELECT g.hosts_access, h.name FROM groups g, hosts h WHERE g.actor_id = ? AND h.id = ?",
        group_id,
        host_id,
    )
    if row is None:
        return "none"
    names = list(coverings(row["name"]))
    rules = await db.all(
        f"SELECT domain, access FROM group_hosts WHERE group_id = ? AND domain IN ({marks(len(names))})",
        group_id,
        *names,
    )
    found = max(rules, key=lambda rule: len(rule["domain"]), default=None)
    return cast(Access, found["access"] if found is not None else row["hosts_access"])


async def default(db: Reader, group_id: int) -> Access:
    """What holds for servers without a rule."""
    found = await db.value("SELECT hosts_access FROM groups WHERE actor_id = ?", group_id)
    return cast(Access, found or "none")


@dataclass(frozen=True, slots=True)
class Home:
    """A server on which members of a group live, and how many they are."""

    host: str
    members: int


async def homes(db: Reader, group_id: int) -> list[Home]:
    """The other servers with active members in the group, those with most first: what is said there has a
    copy on each."""
    rows = await db.all(
        "SELECT h.name, count(*) AS members FROM memberships s JOIN actors a ON a.id = s.actor_id"
        " JOIN hosts h ON h.id = a.host_id WHERE s.group_id = ? AND s.state = 'active'"
        " AND s.suspended = 0 AND a.deleted_at IS NULL GROUP BY h.name ORDER BY 2 DESC, 1",
        group_id,
    )
    return [Home(row["name"], int(row["members"])) for row in rows]


async def rules(db: Reader, group_id: int) -> list[HostRule]:
    """The rules of a group, by domain."""
    rows = await db.all(
        "SELECT domain, access FROM group_hosts WHERE group_id = ? ORDER BY domain LIMIT ?",
        group_id,
        RULES_MOST,
    )
    covered: Counter[str] = Counter()
    for home in await homes(db, group_id) if rows else ():
        for domain in coverings(home.host):
            covered[domain] += home.members
    return [HostRule(row["domain"], row["access"], covered[row["domain"]]) for row in rows]
