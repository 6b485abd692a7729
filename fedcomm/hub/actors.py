"""Actors: everybody who can act, here or elsewhere. Members and groups add their own rows to this
one.

A local actor has no `uri`: its ActivityPub id is made from its number. A remote one has the `uri`
under which
its server publishes it, and a host.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Final, Literal

from fedcomm.hub import domains, emoji, policies
from fedcomm.hub.emoji import NamedEmoji
from fedcomm.hub.errors import Invalid
from fedcomm.store.database import Reader, Row, Transaction, marks, values
from fedcomm.store.frozen import made_through_slots
from fedcomm.store.ids import new_id, now_ms

Kind = Literal["person", "group", "service", "application", "canary"]
"""*canary*: ours, with no handle, to test the way out and in; nothing that lists or counts actors knows this kind."""

HANDLE_CHARACTERS = frozenset("abcdefghijklmnopqrstuvwxyz0123456789_")
HANDLE_LENGTH = range(2, 31)
"""federation.md §1.1: names that every peer accepts."""

RESERVED_HANDLES = frozenset(
    [
        "admin",
        "administrator",
        "moderator",
        "root",
        "support",
        "help",
        "about",
        "api",
        "ap",
        "g",
        "media",
        "static",
        "settings",
        "login",
        "logout",
        "home",
        "search",
        "notifications",
        "interact",
        "instance",
        "everyone",
        "all",
        "here",
        "inbox",
        "outbox",
        "null",
        "undefined",
    ]
)


@made_through_slots
@dataclass(frozen=True, slots=True)
class Actor:
    """A row of `actors` with the name of its host; `host` is None for one of ours. Times: Unix
    milliseconds."""

    id: int
    kind: Kind
    name: str
    display_name: str
    host_id: int | None
    host: str | None
    uri: str | None
    url: str | None
    summary_source: str
    summary_html: str
    avatar_id: int | None
    header_id: int | None
    avatar_url: str | None
    inbox: str | None
    shared_inbox: str | None
    outbox: str | None
    followers_uri: str | None
    locked: bool
    discoverable: bool
    indexable: bool
    suspended_at: int | None
    deleted_at: int | None
    created_at: int
    updated_at: int
    fetched_at: int | None
    moved_to_uri: str | None

    @property
    def is_local(self) -> bool:
        return self.host_id is None

    @property
    def handle(self) -> str:
        """`name` here, `name@host` elsewhere."""
        return self.name if self.host is None else f"{self.name}@{self.host}"

    @property
    def title(self) -> str:
        """The display name, or the handle's name where there is none."""
        return self.display_name or self.name


COLUMNS = (
    "a.id, a.kind, a.name, a.display_name, a.host_id, h.name AS host, a.uri, a.url, a.summary_source,"
    " a.summary_html, a.avatar_id, a.header_id, a.avatar_url, a.inbox, a.shared_inbox, a.outbox,"
    " a.followers_uri, a.locked, a.discoverable, a.indexable, a.suspended_at, a.deleted_at,"
    " a.created_at, a.updated_at, a.fetched_at, a.moved_to_uri"
)
FROM = "FROM actors a LEFT JOIN hosts h ON h.id = a.host_id"


_NAMES: Final = [field.name for field in fields(Actor)]
_FLAGS: Final = [_NAMES.index(name) for name in ("locked", "discoverable", "indexable")]


def actor_of(row: Row) -> Actor:
    """The actor in a row that selected `COLUMNS` before anything else."""
    found = list(values(row)[: len(_NAMES)])
    for place in _FLAGS:
        found[place] = bool(found[place])
    return Actor(*found)


async def actor(db: Reader, actor_id: int) -> Actor | None:
    """The actor with this id, deleted ones included."""
    row = await db.one(f"SELECT {COLUMNS} {FROM} WHERE a.id = ?", actor_id)
    return actor_of(row) if row else None


async def actors(db: Reader, ids: Sequence[int]) -> dict[int, Actor]:
    """The actors with these ids, by id."""
    if not ids:
        return {}
    rows = await db.all(
        f"SELECT {COLUMNS} {FROM} WHERE a.id IN ({marks(len(ids))})",
        *ids,
    )
    return {row["id"]: actor_of(row) for row in rows}


async def actor_by_uri(db: Reader, uri: str) -> Actor | None:
    """The remote actor published under `uri`."""
    row = await db.one(f"SELECT {COLUMNS} {FROM} WHERE a.uri = ?", uri)
    return actor_of(row) if row else None


async def local_actor(db: Reader, name: str) -> Actor | None:
    """The member or group here that is called `name` (any case); None if there is none or it was
    deleted."""
    row = await db.one(
        f"SELECT {COLUMNS} {FROM} JOIN handles n ON n.actor_id = a.id"
        " WHERE n.name = ? AND a.deleted_at IS NULL",
        name.lower(),
    )
    return actor_of(row) if row else None


async def remote_actor(db: Reader, name: str, host: str) -> Actor | None:
    """The remote actor known as `name@host` (any case)."""
    row = await db.one(
        f"SELECT {COLUMNS} {FROM} WHERE h.name = ? AND lower(a.name) = ? AND a.deleted_at IS NULL"
        " ORDER BY CASE a.kind WHEN 'person' THEN 0 WHEN 'group' THEN 1 ELSE 2 END LIMIT 1",
        host.lower(),
        name.lower(),
    )
    return actor_of(row) if row else None


async def take_handle(tx: Transaction, name: str, actor_id: int) -> None:
    """Give `name` to a new member or group: one namespace, never given twice (INV-50). Raises
    Invalid."""
    if len(name) not in HANDLE_LENGTH or not set(name) <= HANDLE_CHARACTERS:
        raise Invalid(
            "name", "A name has 2 to 30 characters: lower-case letters, digits and underscores."
        )
    if name in RESERVED_HANDLES:
        raise Invalid("name", "This name is reserved.")
    taken = await tx.value(
        "SELECT 1 FROM handles WHERE name = ? UNION ALL SELECT 1 FROM erased WHERE pseudonym = ?",
        name,
        tx.pseudonyms.of("handle", name),
    )
    if taken:
        # Also of somebody who was erased: others still know the name, and would take one for the other.
        raise Invalid("name", "This name is taken.")
    await tx.execute("INSERT INTO handles (name, actor_id) VALUES (?, ?)", name, actor_id)


async def insert_local(
    tx: Transaction, kind: Kind, name: str, display_name: str, *, locked: bool = False
) -> int:
    """A new actor of ours; its id."""
    actor_id = new_id()
    if kind in ("person", "group"):
        await take_handle(tx, name, actor_id)
    now = now_ms()
    await tx.execute(
        "INSERT INTO actors (id, kind, name, display_name, locked, created_at, updated_at)"
        " VALUES (?, ?, ?, ?, ?, ?, ?)",
        actor_id,
        kind,
        name,
        display_name,
        int(locked),
        now,
        now,
    )
    return actor_id


async def ensure_host(tx: Transaction, name: str) -> int:
    """The id of the host `name` (`host[:port]`, lower case), which is noted if it is new."""
    known = await tx.value("SELECT id FROM hosts WHERE name = ?", name)
    if known is not None:
        return int(known)
    host_id = new_id()
    policy = await policies.of_new_host(tx, name)
    await tx.execute(
        "INSERT INTO hosts (id, name, family, first_seen_at, policy, reject_media, reject_reports)"
        " VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (name) DO NOTHING",
        host_id,
        name,
        domains.family(name),
        now_ms(),
        policy.level,
        int(policy.reject_media),
        int(policy.reject_reports),
    )
    return int(await tx.value("SELECT id FROM hosts WHERE name = ?", name))


@dataclass(frozen=True, slots=True)
class RemoteProfile:
    """What another server says of one of its actors; `summary_html` is clean already."""

    uri: str
    host: str
    kind: Kind
    name: str
    display_name: str
    summary_html: str
    url: str | None
    avatar_url: str | None
    inbox: str
    shared_inbox: str | None
    outbox: str | None
    followers_uri: str | None
    featured_uri: str | None
    locked: bool
    discoverable: bool
    indexable: bool
    moved_to_uri: str | None
    suspended: bool
    keys: tuple[tuple[str, str, str], ...]
    """(key id, algorithm, public key as PEM or multibase)"""
    published_at: int | None = None
    """Since when the account exists, as its server says; Unix ms."""
    emoji: tuple[NamedEmoji, ...] = ()
    """What its server says that the shortcodes in the name and the description mean."""


async def store_remote(tx: Transaction, profile: RemoteProfile) -> int:
    """Note or refresh a remote actor and its keys; its id here."""
    host_id = await ensure_host(tx, profile.host)
    now = now_ms()
    actor_id = int(
        await tx.value(
            "INSERT INTO actors (id, kind, host_id, uri, name, display_name, summary_html, url,"
            " avatar_url, inbox, shared_inbox, outbox, followers_uri, featured_uri, locked, discoverable,"
            " indexable, moved_to_uri, suspended_at, published_at, created_at, updated_at, fetched_at)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
            " ON CONFLICT (uri) DO UPDATE SET kind = excluded.kind, name = excluded.name,"
            " display_name = excluded.display_name, summary_html = excluded.summary_html,"
            " url = excluded.url, avatar_url = excluded.avatar_url, inbox = excluded.inbox,"
            " shared_inbox = excluded.shared_inbox, outbox = excluded.outbox,"
            " followers_uri = excluded.followers_uri, featured_uri = excluded.featured_uri,"
            " locked = excluded.locked, discoverable = excluded.discoverable,"
            " indexable = excluded.indexable, moved_to_uri = excluded.moved_to_uri,"
            " suspended_at = COALESCE(actors.barred_at, excluded.suspended_at),"
            # Whoever is being erased does not come back before that has ended (INV-50).
            " deleted_at = CASE WHEN EXISTS (SELECT 1 FROM erasures e"
            "  WHERE e.subject_id IN (actors.id, actors.host_id) AND e.finished_at IS NULL)"
            "  THEN actors.deleted_at ELSE NULL END,"
            " published_at = excluded.published_at,"
            " updated_at = excluded.updated_at, fetched_at = excluded.fetched_at"
            " RETURNING id",
            new_id(),
            profile.kind,
            host_id,
            profile.uri,
            profile.name,
            profile.display_name,
            profile.summary_html,
            profile.url,
            profile.avatar_url,
            profile.inbox,
            profile.shared_inbox,
            profile.outbox,
            profile.followers_uri,
            profile.featured_uri,
            int(profile.locked),
            int(profile.discoverable),
            int(profile.indexable),
            profile.moved_to_uri,
            now if profile.suspended else None,
            profile.published_at,
            now,
            now,
            now,
        )
    )
    await emoji.note(tx, host_id, profile.emoji)
    await tx.execute("DELETE FROM actor_keys WHERE actor_id = ?", actor_id)
    for key_uri, algorithm, public_key in profile.keys:
        # A key id that another actor holds stays with that actor (INV-3).
        await tx.execute(
            "INSERT INTO actor_keys (uri, actor_id, algorithm, public_key, created_at, fetched_at)"
            " VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (uri) DO NOTHING",
            key_uri,
            actor_id,
            algorithm,
            public_key,
            now,
            now,
        )
    return actor_id


async def forget_remote(tx: Transaction, actor_id: int) -> None:
    """A remote actor is gone: relations, reactions and profile go, a row without personal data stays."""
    for statement in (
        "UPDATE objects SET like_count = like_count - 1 WHERE like_count > 0 AND id IN"
        " (SELECT object_id FROM reactions WHERE actor_id = ? AND kind = 'like')",
        "UPDATE objects SET dislike_count = dislike_count - 1 WHERE dislike_count > 0 AND id IN"
        " (SELECT object_id FROM reactions WHERE actor_id = ? AND kind = 'dislike')",
        "UPDATE objects SET share_count = share_count - 1 WHERE share_count > 0 AND id IN"
        " (SELECT object_id FROM reactions WHERE actor_id = ? AND kind = 'share')",
        "DELETE FROM reactions WHERE actor_id = ?",
        "DELETE FROM poll_votes WHERE actor_id = ?",
        "DELETE FROM profile_fields WHERE actor_id = ?",
        "DELETE FROM avoided_actors WHERE actor_id = ?",
        "DELETE FROM memberships WHERE actor_id = ?",
        "DELETE FROM follows WHERE follower_id = ?",
        "DELETE FROM follows WHERE followed_id = ?",
        "DELETE FROM mentions WHERE actor_id = ?",
        "DELETE FROM notifications WHERE actor_id = ?",
        "DELETE FROM actor_keys WHERE actor_id = ?",
        "DELETE FROM received_activities WHERE actor_id = ?",
    ):
        await tx.execute(statement, actor_id)
    await tx.execute(
        "UPDATE actors SET name = '', display_name = '', summary_html = '', url = NULL,"
        " avatar_url = NULL, deleted_at = ?, updated_at = ? WHERE id = ?",
        now_ms(),
        now_ms(),
        actor_id,
    )
