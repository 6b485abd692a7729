"""The rows of `objects`: topics, replies, and posts of other servers, as values, by their ids, whoever asks."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields
from functools import lru_cache
from operator import attrgetter
from typing import Final, Literal, get_args

from fedcomm.hub.visibility import Viewer, Visibility, readable
from fedcomm.store.database import Reader, Row, Transaction, marks, values
from fedcomm.store.frozen import made_through_slots
from fedcomm.store.remembered import by_key

Kind = Literal["topic", "reply", "post"]

Withheld = Literal["waiting", "hidden", "removed", "kept"]
"""How something is out of view without being erased (`fedcomm.hub.removal`)."""


@dataclass(frozen=True, slots=True)
class Provenance:
    """Where a remote object comes from. `uri` its id there, `published_at` Unix ms as its server says (never in the
    future), `details` JSON of what only its type has (an event's time)."""

    uri: str
    host_id: int
    type: str
    url: str | None
    published_at: int
    context_uri: str | None = None
    details: str | None = None


@made_through_slots
@dataclass(frozen=True, slots=True)
class Thing:
    """A row of `objects`. Times: Unix milliseconds. `uri` and `host_id` only for remote ones."""

    id: int
    kind: Kind
    type: str
    uri: str | None
    host_id: int | None
    author_id: int
    group_id: int | None
    community_id: int | None
    """The private group of another server whose members it is for."""
    topic_id: int | None
    parent_id: int | None
    parent_uri: str | None
    context_uri: str | None
    visibility: Visibility
    title: str
    source: str
    html: str
    summary: str
    sensitive: bool
    language: str
    url: str | None
    details: str | None
    created_at: int
    published_at: int
    edited_at: int | None
    deleted_at: int | None
    withheld: Withheld | None
    pinned_at: int | None
    locked_at: int | None
    quote_policy: str | None
    reply_count: int
    like_count: int
    dislike_count: int
    share_count: int
    active_at: int

    @property
    def is_local(self) -> bool:
        return self.host_id is None


COLUMNS = (
    "o.id, o.kind, o.type, o.uri, o.host_id, o.author_id, o.group_id, o.community_id, o.topic_id, o.parent_id,"
    " o.parent_uri, o.context_uri, o.visibility, o.title, o.source, o.html, o.summary, o.sensitive,"
    " o.language, o.url, o.details, o.created_at, o.published_at, o.edited_at, o.deleted_at,"
    " o.withheld, o.pinned_at, o.locked_at, o.quote_policy, o.reply_count, o.like_count, o.dislike_count,"
    " o.share_count, o.active_at"
)


_BY_ID: Final = by_key(f"SELECT {COLUMNS} FROM objects o WHERE o.id = ?")

_COUNT: Final = len(fields(Thing))
_SENSITIVE: Final = [field.name for field in fields(Thing)].index("sensitive")


def thing_of(row: Row) -> Thing:
    """The object in a row that selected `COLUMNS` before anything else."""
    found = list(values(row)[:_COUNT])
    found[_SENSITIVE] = bool(found[_SENSITIVE])
    return Thing(*found)


async def thing(db: Reader, object_id: int) -> Thing | None:
    """The object with this id, whoever asks, deleted ones included: for the hub and its spokes themselves."""
    row = await db.one(_BY_ID, object_id)
    return thing_of(row) if row else None


async def readable_thing(db: Reader, viewer: Viewer, object_id: int) -> Thing | None:
    """The object with this id if `viewer` may read it."""
    clause = readable(viewer)
    row = await db.one(_by_id_if(clause.sql), object_id, *clause.args)
    return thing_of(row) if row else None


@lru_cache(maxsize=16)
def _by_id_if(condition: str) -> str:
    return by_key(f"{_BY_ID} AND {condition}")


async def things_at_hand(tx: Transaction, object_ids: Iterable[int]) -> None:
    """Read these objects in one statement: `thing` finds them until somebody writes."""
    ids = list(dict.fromkeys(object_ids))
    if len(ids) < 2:
        return
    rows = await tx.all(f"SELECT {COLUMNS} FROM objects o WHERE o.id IN ({marks(len(ids))})", *ids)
    for row in rows:
        tx.remember(values(row), _BY_ID, row["id"])


async def insert(
    tx: Transaction, made: Thing, *, reply_policy: str | None, like_policy: str | None
) -> None:
    """Store an object that is new: nobody has answered, edited or marked it. What it says besides (mentions, files, the
    index of words) is stored after it."""
    now = made.created_at if made.withheld is not None else None
    await tx.later(
        _INSERT,
        *_inserted(made),
        int(made.sensitive),
        now,
        reply_policy,
        like_policy,
        keys=(made.id,) if made.uri is None else (made.id, made.uri),
        first=True,
    )
    tx.remember(_all_of(made), _BY_ID, made.id)


_INSERTED: Final = (
    "id", "kind", "type", "uri", "host_id", "author_id", "group_id", "community_id", "topic_id", "parent_id",
    "parent_uri", "context_uri", "visibility", "title", "source", "html", "summary", "language", "url", "details",
    "created_at", "published_at", "withheld", "quote_policy", "active_at",
)  # fmt: skip
_inserted: Final = attrgetter(*_INSERTED)
_all_of: Final = attrgetter(*(field.name for field in fields(Thing)))
_INSERT: Final = (
    f"INSERT INTO objects ({', '.join(_INSERTED)}, sensitive, withheld_at, reply_policy, like_policy)"
    f" VALUES ({marks(len(_INSERTED) + 4)})"
)


Counted = Literal["reply_count", "like_count", "dislike_count", "share_count"]


async def count(
    tx: Transaction, object_id: int, what: Counted, by: int, *, active_at: int | None = None
) -> None:
    """There are so many more (`by` below zero: fewer) of what an object counts. `active_at` (Unix ms): since then there
    is something new in it."""
    await tx.count(_COUNTING[what], object_id, by, active_at)


_COUNTING: Final[dict[Counted, str]] = {
    column: (
        f"UPDATE objects SET {column} = CASE WHEN {column} + ? < 0 THEN 0 ELSE {column} + ? END,"
        " active_at = COALESCE(?, active_at) WHERE id = ?"
    )
    for column in get_args(Counted)
}


async def thing_by_uri(db: Reader, uri: str) -> Thing | None:
    """The remote object published under `uri`, deleted ones included."""
    row = await db.one(f"SELECT {COLUMNS} FROM objects o WHERE o.uri = ?", uri)
    return thing_of(row) if row else None
