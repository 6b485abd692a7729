"""The one gate: who may read what (INV-16, INV-20). Pages, ActivityPub, feeds, search and media all
ask here.

A visibility is stored with the object when it is made and can only narrow afterwards:

    public     anybody, listed everywhere              unlisted   anybody who has the address
    local      signed-in members of this hub           members    active members of the object's
    group, ours or of another server (`community_id`)
    followers  followers of the author                 direct     the author and who is mentioned

The rule is written once, as SQL: lists filter by it and single objects are looked up through it.
What comes from another server is shown as far as the server's policy allows (`fedcomm.hub.policies`), and
a suspended relation opens nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Literal

from fedcomm.store.database import Reader, Value
from fedcomm.store.remembered import by_key

Visibility = Literal["public", "unlisted", "local", "members", "followers", "direct"]

ORDER: tuple[Visibility, ...] = ("public", "unlisted", "local", "members", "followers", "direct")
"""From wide to narrow: an update may only move to the right."""


VIEWERS: Final = 1_024
"""For so many who look the conditions are remembered: making and hashing a page of SQL costs more than asking it."""


@dataclass(frozen=True, slots=True)
class Viewer:
    """Who is looking: nobody known, a signed-in member, a verified remote actor, or a verified
    remote host."""

    kind: Literal["anonymous", "member", "remote", "host"]
    actor_id: int = 0
    host_id: int = 0


ANONYMOUS = Viewer("anonymous")


def member(actor_id: int) -> Viewer:
    """A signed-in member of this hub."""
    return Viewer("member", actor_id)


def remote(actor_id: int, host_id: int) -> Viewer:
    """An actor of another server, known by a verified signature."""
    return Viewer("remote", actor_id, host_id)


def remote_host(host_id: int) -> Viewer:
    """Another server as a whole, known by the signature of its instance actor."""
    return Viewer("host", 0, host_id)


@dataclass(frozen=True, slots=True)
class Clause:
    """A condition in SQL with its parameters, in the order in which they stand in it."""

    sql: str
    args: tuple[Value, ...] = ()


@lru_cache(maxsize=VIEWERS)
def shown(viewer: Viewer, host: str, author: str) -> Clause:
    """The condition under which the policy lets `viewer` see something of `author` (an actor's id) who lives on
    `host` (a host's id, NULL here); both are SQL expressions.

    Of a limited host only those see anything who follow the author; of a queued or suspended one nobody.
    """
    follows, args = "", tuple[Value, ...]()
    if viewer.kind == "host":
        follows, args = f" OR {host} = ?", (viewer.host_id,)
    elif viewer.kind != "anonymous":
        follows = (
            f" OR {author} = ? OR EXISTS (SELECT 1 FROM follows vl WHERE vl.follower_id = ?"
            f" AND vl.followed_id = {author} AND vl.state = 'active' AND vl.suspended = 0)"
        )
        args = (viewer.actor_id, viewer.actor_id)
    return Clause(
        f"({host} IS NULL OR EXISTS (SELECT 1 FROM hosts vo WHERE vo.id = {host}"
        f" AND (vo.policy = 'none' OR (vo.policy = 'limit' AND (1 = 0{follows})))))",
        args,
    )


@lru_cache(maxsize=VIEWERS)
def readable(viewer: Viewer, alias: str = "o") -> Clause:
    """The condition under which `viewer` may read the row `alias` of `objects`."""
    o = alias
    allowed = shown(viewer, f"{o}.host_id", f"{o}.author_id")
    # What a moderator took down, or what waits for one, is shown to nobody by this gate.
    here = f"{o}.deleted_at IS NULL AND {o}.withheld IS NULL AND {allowed.sql}"
    if viewer.kind == "anonymous":
        return Clause(f"({here} AND {o}.visibility IN ('public', 'unlisted'))")
    if viewer.kind == "host":
        # One copy a host: it may have what at least one of its accepted people may have (INV-17).
        among = _among_members(f"{o}.group_id", f"{o}.community_id")
        return Clause(
            f"({here} AND ({o}.visibility IN ('public', 'unlisted')"
            f" OR ({o}.visibility = 'members' AND {among})"
            f" OR ({o}.visibility = 'followers' AND EXISTS (SELECT 1 FROM follows vf"
            f"  JOIN actors va ON va.id = vf.follower_id WHERE vf.followed_id = {o}.author_id"
            f"  AND vf.state = 'active' AND vf.suspended = 0 AND va.host_id = ?))"
            f" OR ({o}.visibility IN ('followers', 'direct') AND EXISTS (SELECT 1 FROM mentions vx"
            f"  JOIN actors va ON va.id = vx.actor_id WHERE vx.object_id = {o}.id"
            f"  AND va.host_id = ?))))",
            (*allowed.args, *((viewer.host_id,) * 4)),
        )
    here_too, hosts = "", tuple[Value, ...]()
    if viewer.kind == "remote":
        # Whoever signs for a server with a member in it may have the server's copy (federation.md §3.6).
        here_too = f" OR {_among_members(f'{o}.group_id', f'{o}.community_id')}"
        hosts = (viewer.host_id,) * 2
    open_to = "'public', 'unlisted', 'local'" if viewer.kind == "member" else "'public', 'unlisted'"
    return Clause(
        f"({here} AND ({o}.visibility IN ({open_to}) OR {o}.author_id = ?"
        f" OR ({o}.visibility = 'members' AND (EXISTS (SELECT 1 FROM memberships vm"
        f"  WHERE vm.group_id = {o}.group_id AND vm.actor_id = ? AND vm.state = 'active' AND vm.suspended = 0)"
        f" OR EXISTS (SELECT 1 FROM follows vc WHERE vc.follower_id = ? AND vc.followed_id = {o}.community_id"
        f"  AND vc.state = 'active' AND vc.suspended = 0){here_too}))"
        f" OR ({o}.visibility = 'followers' AND EXISTS (SELECT 1 FROM follows vf"
        f"  WHERE vf.follower_id = ? AND vf.followed_id = {o}.author_id AND vf.state = 'active' AND vf.suspended = 0))"
        f" OR ({o}.visibility IN ('followers', 'direct') AND EXISTS (SELECT 1 FROM mentions vx"
        f"  WHERE vx.object_id = {o}.id AND vx.actor_id = ?))))",
        (*allowed.args, *((viewer.actor_id,) * 3), *hosts, *((viewer.actor_id,) * 2)),
    )


def _among_members(group: str, community: str) -> str:
    """The condition under which a host (two parameters) has somebody in the group of ours, or is the one on
    which the group lives."""
    return (
        f"(EXISTS (SELECT 1 FROM memberships vm JOIN actors va ON va.id = vm.actor_id"
        f"  WHERE vm.group_id = {group} AND vm.state = 'active' AND vm.suspended = 0"
        f"  AND va.deleted_at IS NULL AND va.host_id = ?)"
        f" OR EXISTS (SELECT 1 FROM actors vg WHERE vg.id = {community} AND vg.host_id = ?))"
    )


def group_visible(viewer: Viewer, alias: str = "g") -> Clause:
    """The condition under which `viewer` may look into the row `alias` of `groups`: its pages and collections."""
    g = alias
    if viewer.kind == "anonymous":
        return Clause(f"({g}.mode = 'federated')")
    if viewer.kind in ("host", "remote"):
        return Clause(
            f"({g}.mode = 'federated' OR EXISTS (SELECT 1 FROM memberships vm"
            f" JOIN actors va ON va.id = vm.actor_id WHERE vm.group_id = {g}.actor_id"
            f" AND vm.state = 'active' AND vm.suspended = 0 AND va.deleted_at IS NULL"
            f" AND va.host_id = ?))",
            (viewer.host_id,),
        )
    return Clause(
        f"({g}.mode IN ('federated', 'local') OR EXISTS (SELECT 1 FROM memberships vm"
        f" WHERE vm.group_id = {g}.actor_id AND vm.actor_id = ? AND vm.state = 'active' AND vm.suspended = 0))",
        (viewer.actor_id,),
    )


def group_known(viewer: Viewer, alias: str = "g") -> Clause:
    """The condition under which `viewer` may know that the row `alias` of `groups` exists, and ask to join it.

    Wider than `group_visible` for a *reserved* group only: its name and what it is for are known to members of
    this hub, and to everybody elsewhere or, where the group names servers, to these.
    """
    g, visible = alias, group_visible(viewer, alias)
    if viewer.kind == "member":
        return Clause(f"({visible.sql} OR {g}.mode = 'reserved')", visible.args)
    nobody = f"NOT EXISTS (SELECT 1 FROM group_askers vk WHERE vk.group_id = {g}.actor_id)"
    if viewer.kind == "anonymous":
        return Clause(f"({visible.sql} OR ({g}.mode = 'reserved' AND {nobody}))", visible.args)
    return Clause(
        f"({visible.sql} OR ({g}.mode = 'reserved' AND ({nobody} OR EXISTS (SELECT 1"
        f" FROM group_askers vk JOIN hosts vh ON vh.name = vk.domain"
        f" WHERE vk.group_id = {g}.actor_id AND vh.id = ?))))",
        (*visible.args, viewer.host_id),
    )


def group_listed(viewer: Viewer, alias: str = "g") -> Clause:
    """The condition under which the row `alias` of `groups` stands in lists and search for `viewer`.

    A *reserved* group is listed for members of this hub; whoever else may ask has its address.
    """
    known = group_known if viewer.kind == "member" else group_visible
    return known(viewer, alias)


async def can_read(db: Reader, viewer: Viewer, object_id: int) -> bool:
    """Whether `viewer` may read the object."""
    clause = readable(viewer)
    found = await db.value(_one_if(clause.sql), object_id, *clause.args)
    return found is not None


@lru_cache(maxsize=16)
def _one_if(condition: str) -> str:
    return by_key(f"SELECT 1 FROM objects o WHERE o.id = ? AND {condition}")


async def can_see_group(db: Reader, viewer: Viewer, group_id: int) -> bool:
    """Whether `viewer` may look into the group."""
    clause = group_visible(viewer)
    found = await db.value(
        f"SELECT 1 FROM groups g WHERE g.actor_id = ? AND {clause.sql}",
        group_id,
        *clause.args,
    )
    return found is not None


async def can_know_group(db: Reader, viewer: Viewer, group_id: int) -> bool:
    """Whether `viewer` may know that the group exists."""
    clause = group_known(viewer)
    found = await db.value(
        f"SELECT 1 FROM groups g WHERE g.actor_id = ? AND {clause.sql}",
        group_id,
        *clause.args,
    )
    return found is not None


def narrower(stored: Visibility, wanted: Visibility) -> Visibility:
    """The narrower of the two (INV-16: a later activity can only narrow)."""
    return max(stored, wanted, key=ORDER.index)
