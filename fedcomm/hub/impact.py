"""What a change of policy would touch, looked at before it is made: hosts, follows, groups, threads, by name.

Counts are exact, lists are short.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from fedcomm.hub import policies
from fedcomm.hub.policies import Entry, Level, Mode, Policy, Rules
from fedcomm.store.database import Reader, marks
from fedcomm.store.ids import now_ms

NAMED: Final = 20
"""Names in each list."""

IDS_AT_ONCE: Final = 500
HOSTS_AT_ONCE: Final = 2_000


@dataclass(frozen=True, slots=True)
class Listing:
    """The first `NAMED` names and how many there are."""

    names: tuple[str, ...]
    total: int

    @property
    def more(self) -> int:
        return self.total - len(self.names)


@dataclass(frozen=True, slots=True)
class HostImpact:
    """A host for which something else would hold."""

    name: str
    before: Level
    after: Level


@dataclass(frozen=True, slots=True)
class GroupImpact:
    """A group of ours and how many people of the hosts are in it."""

    name: str
    title: str
    members: int


@dataclass(frozen=True, slots=True)
class Impact:
    """What a change touches. `following`: members here and whom they follow there; `followers`: the
    other way round; `threads`: threads in groups of ours in which they wrote; `posts`: what they wrote;
    `waiting`: activities of theirs that wait for a decision."""

    hosts: tuple[HostImpact, ...]
    hosts_total: int
    following: Listing
    followers: Listing
    groups: tuple[GroupImpact, ...]
    memberships: int
    threads: Listing
    posts: int
    waiting: int

    @property
    def relations(self) -> int:
        """How many follows and memberships there are."""
        return self.following.total + self.followers.total + self.memberships


async def of_entries(db: Reader, changes: Mapping[str, Entry | None]) -> Impact:
    """What setting these entries (None: removing them) would touch."""
    current = await policies.rules(db)
    listed: dict[str, tuple[Policy, int | None]] = dict(current.listed)
    for domain, entry in changes.items():
        if entry is None:
            listed.pop(domain, None)
        else:
            listed[domain] = (entry.policy, entry.expires_at)
    return await _of_rules(db, replace(current, listed=listed))


async def of_mode(db: Reader, mode: Mode) -> Impact:
    """What changing to this mode would touch."""
    current = await policies.rules(db)
    since = now_ms() if current.mode == "open" else current.careful_since
    return await _of_rules(db, replace(current, mode=mode, careful_since=since))


async def _of_rules(db: Reader, after: Rules) -> Impact:
    hosts: list[HostImpact] = []
    ids: list[int] = []
    last, now = 0, now_ms()
    while True:
        rows = await db.all(
            "SELECT id, name, first_seen_at, policy, reject_media, reject_reports FROM hosts"
            " WHERE id > ? ORDER BY id LIMIT ?",
            last,
            HOSTS_AT_ONCE,
        )
        if not rows:
            break
        last = rows[-1]["id"]
        for row in rows:
            then = after.of_known(row["name"], row["first_seen_at"], now)
            today = Policy(row["policy"], bool(row["reject_media"]), bool(row["reject_reports"]))
            if then != today:
                ids.append(row["id"])
                hosts.append(HostImpact(row["name"], today.level, then.level))
    return await _on_hosts(db, hosts, ids)


async def _on_hosts(db: Reader, hosts: Sequence[HostImpact], ids: Sequence[int]) -> Impact:
    following, followers, threads = _Names(), _Names(), _Names()
    groups: dict[str, GroupImpact] = {}
    posts = waiting = 0
    for start in range(0, len(ids), IDS_AT_ONCE):
        some = ids[start : start + IDS_AT_ONCE]
        there = f"a.host_id IN ({marks(len(some))})"
        for names, theirs, ours in (
            (following, "followed_id", "follower_id"),
            (followers, "follower_id", "followed_id"),
        ):
            joined = f"FROM actors a JOIN follows f ON f.{theirs} = a.id WHERE {there}"
            names.total += int(await db.value(f"SELECT count(*) {joined}", *some))
            for row in await db.all(
                "SELECT m.name AS member, a.name, h.name AS host FROM actors a"
                f" JOIN follows f ON f.{theirs} = a.id JOIN actors m ON m.id = f.{ours}"
                f" JOIN hosts h ON h.id = a.host_id WHERE {there} ORDER BY m.name, a.name LIMIT ?",
                *some,
                NAMED,
            ):
                pair = (f"@{row['member']}", f"@{row['name']}@{row['host']}")
                names.add(" → ".join(pair if theirs == "followed_id" else pair[::-1]))
        for row in await db.all(
            "SELECT g.name, g.display_name, count(*) AS members FROM actors a"
            " JOIN memberships s ON s.actor_id = a.id JOIN actors g ON g.id = s.group_id"
            f" WHERE {there} GROUP BY g.id, g.name, g.display_name",
            *some,
        ):
            known = groups.get(row["name"])
            members = int(row["members"]) + (known.members if known else 0)
            groups[row["name"]] = GroupImpact(
                row["name"], row["display_name"] or row["name"], members
            )
        written = f"FROM actors a JOIN objects o ON o.author_id = a.id WHERE {there} AND o.deleted_at IS NULL"
        posts += int(await db.value(f"SELECT count(*) {written}", *some))
        touched = f"{written} AND o.group_id IS NOT NULL"
        threads.total += int(await db.value(f"SELECT count(DISTINCT o.topic_id) {touched}", *some))
        for row in await db.all(
            "SELECT t.title FROM objects t WHERE t.id IN"
            f" (SELECT DISTINCT o.topic_id {touched} LIMIT ?) ORDER BY t.id DESC",
            *some,
            NAMED,
        ):
            threads.add(row["title"] or "…")
        waiting += int(
            await db.value(
                "SELECT count(*) FROM inbox WHERE state = 'held'"
                f" AND host_id IN ({marks(len(some))})",
                *some,
            )
        )
    by_size = sorted(groups.values(), key=lambda group: (-group.members, group.name))
    return Impact(
        tuple(hosts[:NAMED]),
        len(hosts),
        following.listing(),
        followers.listing(),
        tuple(by_size[:NAMED]),
        sum(group.members for group in by_size),
        threads.listing(),
        posts,
        waiting,
    )


class _Names:
    """The beginning of a list and its length."""

    def __init__(self) -> None:
        self.total = 0
        self._names: list[str] = []

    def add(self, name: str) -> None:
        if len(self._names) < NAMED:
            self._names.append(name)

    def listing(self) -> Listing:
        return Listing(tuple(self._names), self.total)
