"""Groups and who belongs to them.

Modes: *federated* (anybody reads, other servers follow), *local* (signed-in members of this hub),
*private* (active members only; nobody else learns that it exists, people are added by its moderators),
*reserved* (active members only, people of other servers among them: who knows of it may ask, its moderators
decide). A membership is requested, active or banned; roles in a group are owner, moderator, member.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from fedcomm.hub import actors, audit, group_hosts, journal, notifications, policies
from fedcomm.hub.errors import Invalid, NotAllowed, NotFound
from fedcomm.hub.limits import DEFAULT_LIMITS, TextLimits
from fedcomm.hub.markup import render_plain
from fedcomm.hub.sanitizer import plain_name
from fedcomm.hub.visibility import (
    Viewer,
    Visibility,
    can_know_group,
    can_see_group,
    group_listed,
    remote,
)
from fedcomm.store.database import Reader, Row, Transaction, marks
from fedcomm.store.frozen import made_through_slots
from fedcomm.store.ids import end_of_second_ms, now_ms

Mode = Literal["federated", "local", "private", "reserved"]
MODES: tuple[Mode, ...] = ("federated", "local", "private", "reserved")

MEMBERS_ONLY: tuple[Mode, ...] = ("private", "reserved")
"""What is said in these is for their members, and nobody else judges it."""

LEAVES_HUB: tuple[Mode, ...] = ("federated", "reserved")
"""Groups with people on other servers, to which their words go."""

ASKERS_MOST: Final = 200
"""The longest list of servers that may ask to join a reserved group."""

TOPICS_PER_HOUR_MOST: Final = 1_000
"""The largest cap that can be set."""

VISIBILITY_OF_MODE: dict[Mode, Visibility] = {
    "federated": "public",
    "local": "local",
    "private": "members",
    "reserved": "members",
}
"""What an object written in a group of this mode is stored with."""

TopicsBy = Literal["everyone", "members", "moderators"]
TOPICS_BY: tuple[TopicsBy, ...] = ("everyone", "members", "moderators")
"""Who opens topics; *everyone* means whoever may write in the group at all, people of other servers included."""

GroupRole = Literal["owner", "moderator", "member"]
State = Literal["requested", "active", "banned"]


@made_through_slots
@dataclass(frozen=True, slots=True)
class Group:
    """A group with its actor's texts. Times: Unix milliseconds."""

    id: int
    name: str
    display_name: str
    mode: Mode
    approval: bool
    language: str
    topics_by: TopicsBy
    topics_per_hour: int
    """Topics that one person may open within an hour; 0: any number."""
    first_posts_wait: bool
    """Whether posts from a host of which nothing was let in yet wait for a moderator."""
    announce_replies: bool
    relayed: bool
    """Whether its public topics may be handed to relays."""
    summary_source: str
    summary_html: str
    avatar_id: int | None
    header_id: int | None
    created_at: int
    updated_at: int
    moved_to: str | None = None
    """The id of the group on another server that this one is now."""

    @property
    def title(self) -> str:
        return self.display_name or self.name

    @property
    def posting_restricted(self) -> bool:
        """Whether only moderators open topics."""
        return self.topics_by == "moderators"

    @property
    def is_members_only(self) -> bool:
        """Whether what is said in it is for its members."""
        return self.mode in MEMBERS_ONLY

    @property
    def leaves_hub(self) -> bool:
        """Whether its words go to other servers at all."""
        return self.mode in LEAVES_HUB


@dataclass(frozen=True, slots=True)
class Membership:
    """One person's place in one group."""

    group_id: int
    actor_id: int
    role: GroupRole
    state: State
    follow_uri: str | None

    @property
    def moderates(self) -> bool:
        return self.state == "active" and self.role in ("owner", "moderator")


_COLUMNS = (
    "g.actor_id, a.name, a.display_name, g.mode, g.approval, g.language, g.topics_by,"
    " g.topics_per_hour, g.first_posts_wait,"
    " g.announce_replies, g.relayed, a.summary_source, a.summary_html, a.avatar_id, a.header_id, g.created_at,"
    " a.updated_at, a.moved_to_uri"
)
_FROM = "FROM groups g JOIN actors a ON a.id = g.actor_id AND a.deleted_at IS NULL"


def _group(row: Row) -> Group:
    return Group(
        row["actor_id"],
        row["name"],
        row["display_name"],
        row["mode"],
        bool(row["approval"]),
        row["language"],
        row["topics_by"],
        row["topics_per_hour"],
        bool(row["first_posts_wait"]),
        bool(row["announce_replies"]),
        bool(row["relayed"]),
        row["summary_source"],
        row["summary_html"],
        row["avatar_id"],
        row["header_id"],
        row["created_at"],
        row["updated_at"],
        row["moved_to_uri"],
    )


async def group(db: Reader, group_id: int) -> Group | None:
    """The group with this id, whoever asks: for the hub itself, never for an answer to somebody."""
    row = await db.one(f"SELECT {_COLUMNS} {_FROM} WHERE g.actor_id = ?", group_id)
    return _group(row) if row else None


async def group_by_name(db: Reader, name: str) -> Group | None:
    """The group called `name`, whoever asks (see `group`)."""
    row = await db.one(
        f"SELECT {_COLUMNS} {_FROM} JOIN handles n ON n.actor_id = a.id WHERE n.name = ?",
        name.lower(),
    )
    return _group(row) if row else None


async def visible_group(db: Reader, viewer: Viewer, name: str) -> Group:
    """The group called `name`; NotFound if there is none or `viewer` may not look into it."""
    found = await group_by_name(db, name)
    if found is None or not await can_see_group(db, viewer, found.id):
        raise NotFound("There is no such group.")
    return found


async def known_group(db: Reader, viewer: Viewer, name: str) -> Group:
    """The group called `name`; NotFound if there is none or `viewer` may not know that it exists."""
    found = await group_by_name(db, name)
    if found is None or not await can_know_group(db, viewer, found.id):
        raise NotFound("There is no such group.")
    return found


async def list_groups(
    db: Reader, viewer: Viewer, *, after: str = "", limit: int = 100
) -> list[Group]:
    """The groups that `viewer` finds listed, by name."""
    clause = group_listed(viewer)
    rows = await db.all(
        f"SELECT {_COLUMNS} {_FROM} JOIN handles n ON n.actor_id = g.actor_id"
        f" WHERE n.name > ? AND {clause.sql} ORDER BY n.name LIMIT ?",
        after,
        *clause.args,
        limit,
    )
    return [_group(row) for row in rows]


async def membership(db: Reader, group_id: int, actor_id: int) -> Membership | None:
    """The actor's place in the group, whatever its state."""
    row = await db.one(
        # A ban that is over is none, also before somebody has tidied it up.
        "SELECT group_id, actor_id, role, state, follow_uri FROM memberships"
        " WHERE group_id = ? AND actor_id = ?"
        " AND (state <> 'banned' OR banned_until IS NULL OR banned_until > ?)",
        group_id,
        actor_id,
        end_of_second_ms(),
    )
    if row is None:
        return None
    return Membership(
        row["group_id"], row["actor_id"], row["role"], row["state"], row["follow_uri"]
    )


async def memberships_of(db: Reader, actor_id: int) -> Sequence[Group]:
    """The groups of which the actor is an active member, by name."""
    rows = await db.all(
        f"SELECT {_COLUMNS} {_FROM} JOIN memberships s ON s.group_id = g.actor_id"
        " WHERE s.actor_id = ? AND s.state = 'active' AND s.suspended = 0 ORDER BY a.name",
        actor_id,
    )
    return [_group(row) for row in rows]


async def member_count(db: Reader, group_id: int) -> int:
    """How many active members the group has, here and elsewhere."""
    return int(
        await db.value(
            "SELECT count(*) FROM memberships WHERE group_id = ? AND state = 'active'"
            " AND suspended = 0",
            group_id,
        )
    )


async def member_counts(db: Reader, group_ids: Sequence[int]) -> dict[int, int]:
    """How many active members each of the groups has."""
    rows = await db.all(
        "SELECT group_id, count(*) AS members FROM memberships WHERE state = 'active'"
        f" AND suspended = 0 AND group_id IN ({marks(len(group_ids))}) GROUP BY group_id",
        *(group_ids or (0,)),
    )
    return {row["group_id"]: int(row["members"]) for row in rows}


async def find_groups(db: Reader, viewer: Viewer, text: str, *, limit: int = 10) -> list[Group]:
    """Groups whose name or title holds `text` (any case), of those that `viewer` finds listed."""
    clause = group_listed(viewer)
    pattern = text.lower().replace("\\", "").replace("%", "").replace("_", "\\_").strip()
    if not pattern:
        return []
    rows = await db.all(
        # By way of the handles, which are ours alone: `actors` holds everybody we ever heard of.
        f"SELECT {_COLUMNS} {_FROM} JOIN handles n ON n.actor_id = g.actor_id WHERE n.name > ''"
        " AND (n.name LIKE ? ESCAPE '\\' OR lower(a.display_name) LIKE ? ESCAPE '\\')"
        f" AND {clause.sql} ORDER BY n.name LIMIT ?",
        f"%{pattern}%",
        f"%{pattern}%",
        *clause.args,
        limit,
    )
    return [_group(row) for row in rows]


async def list_memberships(
    db: Reader, group_id: int, state: State, *, after: int = 0, limit: int = 100
) -> list[tuple[actors.Actor, GroupRole]]:
    """The people of a group in one state, by actor id after `after`."""
    rows = await db.all(
        f"SELECT {actors.COLUMNS}, s.role AS group_role {actors.FROM}"
        " JOIN memberships s ON s.actor_id = a.id"
        " WHERE s.group_id = ? AND s.state = ? AND s.suspended = 0 AND s.actor_id > ?"
        " ORDER BY s.actor_id LIMIT ?",
        group_id,
        state,
        after,
        limit,
    )
    return [(actors.actor_of(row), row["group_role"]) for row in rows]


async def moderators(db: Reader, group_id: int) -> list[actors.Actor]:
    """Owners and moderators, the longest-serving first."""
    rows = await db.all(
        f"SELECT {actors.COLUMNS} {actors.FROM} JOIN memberships s ON s.actor_id = a.id"
        " WHERE s.group_id = ? AND s.state = 'active' AND s.suspended = 0"
        " AND s.role IN ('owner', 'moderator')"
        " ORDER BY s.created_at, a.id",
        group_id,
    )
    return [actors.actor_of(row) for row in rows]


async def create_group(
    tx: Transaction,
    name: str,
    *,
    title: str,
    creator_id: int,
    local_origin: str,
    description: str = "",
    mode: Mode = "federated",
    approval: bool = False,
    language: str = "en",
    limits: TextLimits = DEFAULT_LIMITS,
) -> int:
    """A new group owned by `creator_id`; its id. Raises Invalid."""
    _check(title, description, mode, limits)
    group_id = await actors.insert_local(
        tx, "group", name, plain_name(title, limits.name_chars), locked=False
    )
    now = now_ms()
    await tx.execute(
        "UPDATE actors SET summary_source = ?, summary_html = ?, discoverable = ? WHERE id = ?",
        description,
        render_plain(description, local_origin=local_origin),
        int(mode == "federated"),
        group_id,
    )
    await tx.execute(
        "INSERT INTO groups (actor_id, mode, approval, language, created_by, created_at)"
        " VALUES (?, ?, ?, ?, ?, ?)",
        group_id,
        mode,
        int(approval),
        language,
        creator_id,
        now,
    )
    await _place(tx, group_id, creator_id, "owner", "active")
    await journal.record(tx, "group_created", actor_id=creator_id, group_id=group_id)
    return group_id


async def edit_group(
    tx: Transaction,
    group_id: int,
    editor_id: int,
    *,
    title: str,
    description: str,
    approval: bool,
    announce_replies: bool,
    topics_by: TopicsBy = "everyone",
    topics_per_hour: int = 0,
    first_posts_wait: bool = False,
    relayed: bool | None = None,
    local_origin: str,
    avatar_id: int | None = None,
    header_id: int | None = None,
    limits: TextLimits = DEFAULT_LIMITS,
) -> None:
    """Change a group's texts and rules; its mode stays (what was said in private stays private)."""
    found = await _moderated(tx, group_id, editor_id)
    _check(title, description, found.mode, limits)
    if topics_by not in TOPICS_BY:
        raise Invalid("topics_by", "Topics are opened by everyone, members or moderators.")
    if not 0 <= topics_per_hour <= TOPICS_PER_HOUR_MOST:
        raise Invalid("topics_per_hour", "Write a number from 0 (no limit) to 1000.")
    await tx.execute(
        "UPDATE actors SET display_name = ?, summary_source = ?, summary_html = ?, updated_at = ?"
        " WHERE id = ?",
        plain_name(title, limits.name_chars),
        description,
        render_plain(description, local_origin=local_origin),
        now_ms(),
        group_id,
    )
    await tx.execute(
        "UPDATE groups SET approval = ?, announce_replies = ?, topics_by = ?,"
        " topics_per_hour = ?, first_posts_wait = ?, relayed = ? WHERE actor_id = ?",
        int(approval),
        int(announce_replies),
        topics_by,
        topics_per_hour,
        int(first_posts_wait),
        int(found.relayed if relayed is None else relayed and found.mode == "federated"),
        group_id,
    )
    for column, media_id in (("avatar_id", avatar_id), ("header_id", header_id)):
        if media_id is not None:
            await tx.execute(f"UPDATE actors SET {column} = ? WHERE id = ?", media_id, group_id)
    await journal.record(tx, "group_edited", actor_id=editor_id, group_id=group_id)


async def join(
    tx: Transaction, group_id: int, actor_id: int, *, follow_uri: str | None = None
) -> State:
    """The actor joins, or asks to where the group wants approval; the state afterwards. Repeats are
    harmless.

    `follow_uri`: the id of the Follow by which a remote person joined. Raises NotFound, NotAllowed.
    """
    found = await group(tx, group_id)
    if found is None:
        raise NotFound("There is no such group.")
    known = await membership(tx, group_id, actor_id)
    if known is not None and known.state == "banned":
        raise NotAllowed("You may not join this group.")
    if known is not None and (known.state == "active" or follow_uri is None):
        if follow_uri is not None:
            # A repeated Follow is answered again: Lemmy and Friendica send it so (federation.md §4.7).
            await _note_follow(tx, group_id, actor_id, follow_uri)
            await journal.record(
                tx,
                "membership_activated",
                actor_id=actor_id,
                group_id=group_id,
                target_id=actor_id,
            )
        return known.state
    joiner = await actors.actor(tx, actor_id)
    assert joiner is not None
    if joiner.deleted_at is not None:
        raise NotAllowed("This account is gone.")
    if found.moved_to is not None:
        raise NotAllowed("This group has moved: join it in its new place.")
    if found.mode == "private" or (found.mode == "local" and not joiner.is_local):
        # A private group adds people itself; to everybody else it does not exist.
        raise NotFound("There is no such group.")
    if not joiner.is_local and not await can_know_group(
        tx, remote(joiner.id, joiner.host_id or 0), group_id
    ):
        # A server that may not ask gets what it gets of a group that never was.
        raise NotFound("There is no such group.")
    if await group_hosts.access(tx, group_id, joiner.host_id) == "none":
        # Said to their server as well, which would go on waiting.
        await journal.record(
            tx, "membership_refused", actor_id=actor_id, group_id=group_id, target_id=actor_id
        )
        return "banned"
    # Whoever comes from a limited host is let in by a moderator, not by the open door.
    is_limited = await policies.level_of(tx, joiner.host_id) != "none"
    asks = found.approval or found.mode == "reserved" or is_limited
    state: State = "requested" if asks else "active"
    await _place(tx, group_id, actor_id, "member", state, follow_uri)
    if known is None or known.state != state:
        event: journal.Event = (
            "membership_requested" if state == "requested" else "membership_activated"
        )
        await journal.record(tx, event, actor_id=actor_id, group_id=group_id, target_id=actor_id)
        if state == "requested":
            for moderator in await moderators(tx, group_id):
                await notifications.notify(
                    tx, moderator, "membership_requested", actor_id, group_id=group_id
                )
    return state


async def add_member(
    tx: Transaction, group_id: int, moderator_id: int, actor_id: int, role: GroupRole = "member"
) -> None:
    """A moderator adds somebody, or lets in who asked, or changes a role. Raises NotAllowed."""
    found = await _moderated(tx, group_id, moderator_id)
    person = await actors.actor(tx, actor_id)
    if person is None or person.deleted_at is not None:
        raise NotFound("There is no such person.")
    if not found.leaves_hub and not person.is_local:
        raise NotAllowed("Only members of this hub can be in this group.")
    known = await membership(tx, group_id, actor_id)
    if found.mode == "reserved" and not person.is_local and known is None:
        # Their server must have asked for them: it is what will keep the copies (INV-15).
        raise NotAllowed("People of other servers ask to join from there.")
    if known is not None and known.state == "banned":
        raise NotAllowed("This person is banned from the group. Lift the ban first.")
    if known is not None and known.role == "owner" and role != "owner":
        raise NotAllowed("The owner of a group keeps this role.")
    if role != "member" or (known is not None and known.role != "member"):
        await require_owner(tx, group_id, moderator_id)
    await _place(tx, group_id, actor_id, role, "active", known.follow_uri if known else None)
    await journal.record(
        tx, "membership_activated", actor_id=moderator_id, group_id=group_id, target_id=actor_id
    )
    moderated = known is not None and known.moderates
    if moderated != (role != "member"):
        await _note_moderator(tx, group_id, moderator_id, actor_id, made=not moderated)
    if known is None or known.state != "active":
        await notifications.notify(
            tx, person, "membership_activated", moderator_id, group_id=group_id
        )


async def refuse(tx: Transaction, group_id: int, moderator_id: int, actor_id: int) -> None:
    """A moderator refuses a request or removes a member."""
    await _moderated(tx, group_id, moderator_id)
    known = await membership(tx, group_id, actor_id)
    if known is None:
        return
    if known.role == "owner":
        raise NotAllowed("The owner of a group cannot be removed.")
    if known.state == "banned":
        raise NotAllowed("This person is banned from the group. Lift the ban first.")
    if known.role == "moderator":
        await require_owner(tx, group_id, moderator_id)
        await _note_moderator(tx, group_id, moderator_id, actor_id, made=False)
    await journal.record(
        tx, "membership_refused", actor_id=moderator_id, group_id=group_id, target_id=actor_id
    )
    await _remove(tx, group_id, actor_id)


async def leave(tx: Transaction, group_id: int, actor_id: int) -> None:
    """The actor leaves, or takes a request back. Repeats are harmless."""
    known = await membership(tx, group_id, actor_id)
    if known is None or known.state == "banned":
        return
    if known.role == "owner":
        raise NotAllowed("The owner of a group cannot leave it.")
    if known.moderates:
        await _note_moderator(tx, group_id, actor_id, actor_id, made=False)
    await _remove(tx, group_id, actor_id)
    await journal.record(
        tx, "membership_ended", actor_id=actor_id, group_id=group_id, target_id=actor_id
    )


async def require_moderator(db: Reader, group_id: int, actor_id: int) -> None:
    """Raises NotAllowed unless the actor moderates this group now (INV-21)."""
    place = await membership(db, group_id, actor_id)
    if place is None or not place.moderates:
        raise NotAllowed("Only moderators of the group can do this.")


async def _note_moderator(
    tx: Transaction, group_id: int, by_id: int, actor_id: int, *, made: bool
) -> None:
    event: journal.Event = "moderator_added" if made else "moderator_removed"
    await journal.record(tx, event, actor_id=by_id, group_id=group_id, target_id=actor_id)
    await audit.record(
        tx, event, actor_id=by_id, subject_id=actor_id, detail={"group": str(group_id)}
    )


async def require_owner(db: Reader, group_id: int, actor_id: int) -> None:
    """Raises NotAllowed unless the actor owns this group now.

    Otherwise a moderator could make themselves owner, or push the others out.
    """
    place = await membership(db, group_id, actor_id)
    if place is None or place.state != "active" or place.role != "owner":
        raise NotAllowed("Only the owner of the group decides who moderates it.")


async def _moderated(tx: Transaction, group_id: int, actor_id: int) -> Group:
    found = await group(tx, group_id)
    if found is None:
        raise NotFound("There is no such group.")
    await require_moderator(tx, group_id, actor_id)
    return found


async def _place(
    tx: Transaction,
    group_id: int,
    actor_id: int,
    role: GroupRole,
    state: State,
    follow_uri: str | None = None,
) -> None:
    now = now_ms()
    await tx.execute(
        "INSERT INTO memberships (group_id, actor_id, role, state, follow_uri, created_at, decided_at)"
        " VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (group_id, actor_id) DO UPDATE SET"
        " role = excluded.role, state = excluded.state, follow_uri = excluded.follow_uri,"
        " decided_at = excluded.decided_at, banned_until = NULL, banned_by = NULL, ban_reason = ''",
        group_id,
        actor_id,
        role,
        state,
        follow_uri,
        now,
        now if state == "active" else None,
    )


async def _note_follow(tx: Transaction, group_id: int, actor_id: int, follow_uri: str) -> None:
    await tx.execute(
        "UPDATE memberships SET follow_uri = ? WHERE group_id = ? AND actor_id = ?",
        follow_uri,
        group_id,
        actor_id,
    )


async def _remove(tx: Transaction, group_id: int, actor_id: int) -> None:
    await tx.execute(
        "DELETE FROM memberships WHERE group_id = ? AND actor_id = ?", group_id, actor_id
    )


def _check(title: str, description: str, mode: str, limits: TextLimits) -> None:
    if not plain_name(title, limits.name_chars):
        raise Invalid("title", "A group needs a title.")
    if len(description) > limits.profile_chars:
        raise Invalid("description", "The description is too long.")
    if mode not in MODES:
        raise Invalid("mode", "A mode is federated, local, private or reserved.")
