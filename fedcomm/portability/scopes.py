"""What of the hub belongs to one person, or to one group: the rows of an export or of an access request.

For each table of the register (`fedcomm.hub.register`) a rule says which rows are theirs and which columns are kept
back, or why there are none. Rows of a person hold everything about them and nothing private of others (INV-53): what
others wrote to them alone is theirs as well; who reported them, who moderated, and what others did with their posts
is not. A test holds the rules against the register and the schema.

Besides the tables there are `people`: the public names of everybody whom the rows speak of by a number.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Final, Literal

from fedcomm.i18n import N_
from fedcomm.portability.tables import Cell, Column, Record, Table, chosen, table_of
from fedcomm.store.database import Database, Reader, marks

Scope = Literal["person", "group"]

PEOPLE: Final = Table(
    "people",
    (
        Column("display_name", "text", False),
        Column("host", "text", True),
        Column("id", "integer", False),
        Column("kind", "text", False),
        Column("name", "text", False),
        Column("uri", "text", True),
        Column("url", "text", True),
    ),
    ("id",),
)
"""The public names of others. `host` and `uri` are empty for people and groups of this hub."""

PEOPLE_HOLDS: Final = N_("the public names of everybody whom the other tables speak of by a number")


@dataclass(frozen=True, slots=True)
class Theirs:
    """The rows for which `condition` holds, `?` being the person or group; the columns `without` are kept back.

    `names`: columns with ids of others, who are named in `people`.
    """

    condition: str
    without: frozenset[str] = frozenset()
    names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class NotTheirs:
    """No rows of this table, and `why`."""

    why: str


Rule = Theirs | NotTheirs


def _of(column: str, *without: str, names: tuple[str, ...] = ()) -> Theirs:
    return Theirs(f"{column} = ?", frozenset(without), names)


_WRITTEN = "SELECT o.id FROM objects o WHERE o.author_id = ? AND o.deleted_at IS NULL"
_TOLD = (
    "SELECT o.id FROM mentions x JOIN objects o ON o.id = x.object_id WHERE x.actor_id = ?"
    " AND o.visibility = 'direct' AND o.deleted_at IS NULL AND o.withheld IS NULL"
)
_OPEN = (
    "SELECT o.id FROM objects o WHERE o.group_id = ? AND o.deleted_at IS NULL"
    " AND (o.withheld IS NULL OR o.withheld = 'waiting')"
    " AND o.visibility IN ('public', 'unlisted', 'local', 'members')"
)
"""What was said in a group to all of it: an answer for somebody alone is not the group's."""

_MINE = f"object_id IN ({_WRITTEN})"
_MINE_OR_TOLD = f"object_id IN ({_WRITTEN} UNION {_TOLD})"
_HERS = f"object_id IN ({_OPEN})"

_OFFICE = NotTheirs("what is done in office is the organization's, and speaks of others")
_ORGANIZATION = NotTheirs("the organization's own, about no person")
_PASSING = NotTheirs("passes through: what became of it stands in the other tables")
_MODERATION = NotTheirs("how moderators work; what was decided stands in the statements")

OF_A_PERSON: Final[dict[str, Rule]] = {
    "actors": _of("id"),
    "handles": _of("actor_id"),
    "actor_keys": _of("actor_id", "private_key"),
    "members": _of("actor_id", "password_hash"),
    "profile_fields": _of("actor_id"),
    "aliases": _of("actor_id"),
    "avoided_actors": _of("member_id", names=("actor_id",)),
    "avoided_hosts": _of("member_id"),
    "lists": _of("member_id"),
    "list_entries": _of("member_id", names=("actor_id",)),
    "groups": NotTheirs("a group's own export holds it; the memberships say what somebody is in it"),
    "memberships": _of("actor_id", "banned_by", names=("group_id",)),
    "follows": Theirs("follower_id = ? OR followed_id = ?", names=("follower_id", "followed_id")),
    "objects": Theirs(
        f"id IN ({_WRITTEN} UNION {_TOLD})",
        frozenset({"removed_by"}),
        ("author_id", "group_id", "community_id"),
    ),
    "revisions": Theirs(_MINE),
    "mentions": Theirs(f"{_MINE_OR_TOLD} OR actor_id = ?", names=("actor_id",)),
    "hashtags": Theirs(_MINE_OR_TOLD),
    "attachments": Theirs(_MINE_OR_TOLD),
    "media": Theirs("owner_id = ? AND state = 'stored'"),
    "reactions": _of("actor_id"),
    "polls": Theirs(_MINE),
    "poll_options": Theirs(_MINE),
    "poll_votes": _of("actor_id"),
    "events": Theirs(_MINE),
    "participations": _of("actor_id"),
    "quotes": _of("actor_id"),
    "notifications": _of("member_id", names=("actor_id", "group_id")),
    "drafts": _of("member_id", names=("group_id",)),
    "draft_media": Theirs("draft_id IN (SELECT d.id FROM drafts d WHERE d.member_id = ?)"),
    "consents": _of("member_id"),
    "access_requests": _of("subject_id", "requested_by", "file"),
    "imports": _of("member_id", "file"),
    "import_lines": _of("member_id"),
    "imported_objects": _of("member_id"),
    "sessions": _of("member_id", "token_hash"),
    "tokens": _of("member_id", "token_hash"),
    "reports": _of("reporter_id", "assignee_id", "decided_by", "decision_reason"),
    "report_subjects": Theirs(
        "report_id IN (SELECT r.id FROM reports r WHERE r.reporter_id = ?)", names=("actor_id",)
    ),
    "statements": _of("person_id", "decided_by", "appeal_decided_by", "report_id"),
    "audit": _of("subject_id", "actor_id"),
    "reach": Theirs(f"subject_id = ? OR subject_id IN ({_WRITTEN})"),
    "hosts": Theirs(
        "id IN (SELECT v.host_id FROM avoided_hosts v WHERE v.member_id = ?"
        f" UNION SELECT e.host_id FROM reach e WHERE e.subject_id = ? OR e.subject_id IN ({_WRITTEN}))",
        frozenset(
            {
                "heard_at", "software_version", "probed_at", "signature_style", "signature_learned_at",
                "signature_source", "dead_at", "policy", "reject_media", "reject_reports", "first_seen_at",
                "family",
            }
        ),
    ),
    "report_notes": NotTheirs("moderators' notes speak of others"),
    "settings": _ORGANIZATION,
    "host_policies": _OFFICE,
    "policy_changes": _OFFICE,
    "policy_change_entries": _ORGANIZATION,
    "policy_subscriptions": _OFFICE,
    "policy_drafts": _OFFICE,
    "rules": _OFFICE,
    "journal": NotTheirs("numbers of what happened, which the other tables say in words"),
    "cursors": _ORGANIZATION,
    "outbox_failures": _ORGANIZATION,
    "tombstones": _ORGANIZATION,
    "activities": NotTheirs("rendered anew from what the other tables hold"),
    "received_activities": _PASSING,
    "deliveries": _PASSING,
    "inbox": _PASSING,
    "backfill": _PASSING,
    "backfill_days": _PASSING,
    "lanes": _PASSING,
    "search_index": NotTheirs("made from the words of the objects"),
    "erasures": NotTheirs("who is being erased has an account no more; the receipt says the rest"),
    "erasure_recipients": NotTheirs("stands in the receipt of the erasure"),
    "erased": NotTheirs("keyed hashes of what is gone"),
    "holds": NotTheirs("the organization's; told when an erasure is asked for"),
    "reservations": _PASSING,
    "submissions": _PASSING,
    "canary_cycles": _ORGANIZATION,
    "emoji": _ORGANIZATION,
    "blocked_media": _OFFICE,
    "held": _MODERATION,
    "group_hosts": _ORGANIZATION,
    "group_askers": _ORGANIZATION,
    "sweeps": _MODERATION,
    "sweep_items": _MODERATION,
    "relays": _ORGANIZATION,
    "relayed_objects": _PASSING,
}  # fmt: skip
"""What belongs to a person: a member, or somebody elsewhere of whom the hub knows."""

_PRIVATE = NotTheirs("each member's own, not the group's")
_COUNTED = NotTheirs("who did it is theirs; the group has the counts")

OF_A_GROUP: Final[dict[str, Rule]] = {
    **dict.fromkeys(
        (
            "members", "avoided_actors", "avoided_hosts", "lists", "list_entries", "notifications",
            "drafts", "draft_media",
            "consents", "sessions", "tokens", "imports", "import_lines", "imported_objects",
            "access_requests",
        ),
        _PRIVATE,
    ),
    **{name: rule for name, rule in OF_A_PERSON.items() if isinstance(rule, NotTheirs)},
    "actors": _of("id"),
    "handles": _of("actor_id"),
    "actor_keys": _of("actor_id", "private_key"),
    "profile_fields": _of("actor_id"),
    "aliases": _of("actor_id"),
    "groups": _of("actor_id", names=("created_by", "closed_by")),
    "memberships": _of("group_id", "follow_uri", names=("actor_id", "banned_by")),
    "group_hosts": _of("group_id", "created_by"),
    "group_askers": _of("group_id"),
    "follows": NotTheirs("who follows a group is its member"),
    "objects": Theirs(f"id IN ({_OPEN})", frozenset({"removed_by"}), ("author_id",)),
    "revisions": Theirs(_HERS),
    "mentions": Theirs(_HERS, names=("actor_id",)),
    "hashtags": Theirs(_HERS),
    "attachments": Theirs(_HERS),
    "media": Theirs(
        f"state = 'stored' AND (id IN (SELECT t.media_id FROM attachments t WHERE t.{_HERS})"
        " OR id IN (SELECT g.avatar_id FROM actors g WHERE g.id = ?)"
        " OR id IN (SELECT g.header_id FROM actors g WHERE g.id = ?))",
        frozenset({"fingerprint", "sha256"}),
    ),
    "polls": Theirs(_HERS),
    "poll_options": Theirs(_HERS),
    "events": Theirs(_HERS),
    "quotes": Theirs(_HERS, frozenset({"request_uri"})),
    "reactions": _COUNTED,
    "poll_votes": _COUNTED,
    "participations": _COUNTED,
    "reports": _MODERATION,
    "report_subjects": _MODERATION,
    "statements": NotTheirs("a decision about a person is theirs"),
    "audit": _OFFICE,
    "reach": _of("subject_id"),
    "hosts": Theirs(
        "id IN (SELECT e.host_id FROM reach e WHERE e.subject_id = ?"
        f" UNION SELECT h.host_id FROM objects h WHERE h.id IN ({_OPEN}))",
        OF_A_PERSON["hosts"].without if isinstance(OF_A_PERSON["hosts"], Theirs) else frozenset(),
    ),
}  # fmt: skip
"""What belongs to a group: its settings, who belongs to it, and what was said in it to all of it."""

RULES: Final[dict[Scope, dict[str, Rule]]] = {"person": OF_A_PERSON, "group": OF_A_GROUP}


@dataclass(frozen=True, slots=True)
class Part:
    """The rows of one table that belong to somebody. `table` has only the columns that are shown."""

    table: Table
    source: Table
    rule: Theirs

    @property
    def name(self) -> str:
        return self.table.name


async def parts(db: Database, scope: Scope) -> list[Part]:
    """The tables of which a person or group may have rows, in the order of their names. `people` comes besides."""
    found = []
    for name, rule in sorted(RULES[scope].items()):
        if isinstance(rule, Theirs):
            source = await table_of(db, name)
            columns = tuple(one for one in source.columns if one.name not in rule.without)
            key = tuple(one for one in source.key if one not in rule.without)
            found.append(Part(Table(name, columns, key), source, rule))
    return found


async def rows_of(db: Reader, part: Part, subject_id: int, dialect: str) -> AsyncIterator[Record]:
    """The rows of `part` that belong to the person or group, in the order of the key."""
    rule = part.rule
    async for record in chosen(
        db,
        part.source,
        dialect,
        f"({rule.condition})",
        (subject_id,) * rule.condition.count("?"),
        rule.without,
    ):
        yield record


async def people(db: Reader, ids: set[int]) -> AsyncIterator[Record]:
    """The public names of these actors, in the order of their numbers; who was erased has none any more."""
    ordered = sorted(ids)
    for start in range(0, len(ordered), 500):
        page = ordered[start : start + 500]
        for row in await db.all(
            "SELECT a.display_name, h.name AS host, a.id, a.kind, a.name, a.uri, a.url FROM actors a"
            f" LEFT JOIN hosts h ON h.id = a.host_id WHERE a.id IN ({marks(len(page))})"
            " AND a.deleted_at IS NULL ORDER BY a.id",
            *page,
        ):
            yield tuple(row[column.name] for column in PEOPLE.columns)


def named_in(part: Part, record: Record) -> set[int]:
    """The numbers of others of whom a row speaks."""
    cells: dict[str, Cell] = dict(zip(part.table.names, record, strict=True))
    return {cell for name in part.rule.names if isinstance(cell := cells[name], int)}


async def files(db: Reader, scope: Scope, subject_id: int) -> list[str]:
    """Names in the media folder of the files that belong to the person or group, thumbnails left out."""
    rule = RULES[scope]["media"]
    assert isinstance(rule, Theirs)
    rows = await db.all(
        f"SELECT file FROM media WHERE ({rule.condition}) AND file IS NOT NULL ORDER BY file",
        *(subject_id,) * rule.condition.count("?"),
    )
    return [row["file"] for row in rows]


def left_out(scope: Scope) -> dict[str, str]:
    """The tables of which nothing is given, with the reason; and the columns that are kept back."""
    return {
        name: rule.why for name, rule in sorted(RULES[scope].items()) if isinstance(rule, NotTheirs)
    }
