"""What a profile says besides its text: up to eight fields, and the member's other accounts."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape, unescape
from urllib.parse import urlsplit

from fedcomm.hub import journal
from fedcomm.hub.errors import Invalid
from fedcomm.hub.sanitizer import plain_name
from fedcomm.store.database import Reader, Transaction
from fedcomm.store.ids import now_ms

FIELDS = 8
FIELD_NAME_CHARS = 100
FIELD_VALUE_CHARS = 500
REMOTE_FIELDS = 16
"""Fields of somebody elsewhere that are kept; servers send 50 at most."""

REMOTE_ALIASES = 32

LINKS_CHECKED = 4
"""Links of one profile that are looked at."""

CHECK_AGAIN_MS = 7 * 86_400_000
CHECK_SOON_MS = 86_400_000
"""How long after a look a link is looked at again: one that links back, and one that does not."""

_ONE_LINK = re.compile(
    r'(?:<p>)?<a\s[^<>]*?href="(https?://[^"<>]{1,2000})"[^<>]*>'
    r"(?:(?!</?a\b).){0,4000}</a>(?:</p>)?",
    re.IGNORECASE | re.DOTALL,
)

ALIASES = 10
"""Other accounts that one member names."""


@dataclass(frozen=True, slots=True)
class Field:
    """A name and a value: as it was typed, and as clean HTML."""

    name: str
    source: str
    html: str
    verified_at: int | None = None
    """When the page that it links to was seen to link back (Unix ms); None for every other value."""


@dataclass(frozen=True, slots=True)
class LinkToCheck:
    """A field whose value is a link, to be looked at by the spoke."""

    actor_id: int
    position: int
    html: str
    url: str


def field_of(name: str, value: str) -> Field:
    """A member's field. An address of the web becomes a link with `rel="me"`: the page there can
    name this profile in turn, and so both prove that they belong together."""
    clean_name, source = plain_name(name, FIELD_NAME_CHARS), plain_name(value, FIELD_VALUE_CHARS)
    return Field(clean_name, source, _html_of(source))


async def set_fields(tx: Transaction, actor_id: int, fields: Sequence[Field]) -> None:
    """Replace the fields of a profile; those without name or value are left out. The journal is told
    by who edits the profile. Raises Invalid."""
    kept = [field for field in fields if field.name and field.source]
    if len(kept) > FIELDS:
        raise Invalid("fields", "These are too many fields.")
    await _replace(tx, actor_id, kept)


async def keep_remote(
    tx: Transaction, actor_id: int, fields: Sequence[tuple[str, str]], aliases: Sequence[str]
) -> None:
    """What another server says of one of its people: fields (name, clean HTML) and their other accounts. What is as
    before is not written again."""
    wanted = [Field(name, "", html) for name, html in fields if name and html][:REMOTE_FIELDS]
    known = await fields_of(tx, actor_id)
    if [(one.name, one.html) for one in known] != [(one.name, one.html) for one in wanted]:
        await _replace(tx, actor_id, wanted)
    others = set(aliases[:REMOTE_ALIASES])
    before = set(await aliases_of(tx, actor_id))
    for uri in sorted(before - others):
        await tx.execute("DELETE FROM aliases WHERE actor_id = ? AND uri = ?", actor_id, uri)
    for uri in sorted(others - before):
        await tx.execute("INSERT INTO aliases (actor_id, uri) VALUES (?, ?)", actor_id, uri)


async def _replace(tx: Transaction, actor_id: int, fields: Sequence[Field]) -> None:
    """A link that stays keeps its mark; a new one is to be looked at."""
    before = {one.html: one for one in await fields_of(tx, actor_id)}
    now = now_ms()
    links = 0
    rows = []
    for position, one in enumerate(fields):
        known = before.get(one.html)
        is_link = link_in(one.html) is not None and links < LINKS_CHECKED
        links += is_link
        rows.append(
            (
                actor_id,
                position,
                one.name,
                one.source,
                one.html,
                known.verified_at if known is not None else None,
                now if is_link else None,
            )
        )
    await tx.execute("DELETE FROM profile_fields WHERE actor_id = ?", actor_id)
    await tx.many(
        "INSERT INTO profile_fields (actor_id, position, name, source, html, verified_at, check_at)"
        " VALUES (?, ?, ?, ?, ?, ?, ?)",
        rows,
    )


def link_in(html: str) -> str | None:
    """The address that a field's value is a link to: one link and nothing else (Mastodon asks for no more)."""
    found = _ONE_LINK.fullmatch(html.strip())
    return unescape(found[1]) if found else None


async def due_for_check(db: Reader, limit: int) -> list[LinkToCheck]:
    """Links that nobody has looked at for some time, of members here and of people whom a member follows."""
    rows = await db.all(
        "SELECT p.actor_id, p.position, p.html FROM profile_fields p JOIN actors a ON a.id = p.actor_id"
        " WHERE p.check_at <= ? AND a.deleted_at IS NULL AND a.suspended_at IS NULL"
        " AND (a.host_id IS NULL OR EXISTS (SELECT 1 FROM follows f JOIN members m"
        "  ON m.actor_id = f.follower_id WHERE f.followed_id = a.id AND f.state = 'active'"
        "  AND f.suspended = 0)) ORDER BY p.check_at LIMIT ?",
        now_ms(),
        limit,
    )
    found = [
        LinkToCheck(row["actor_id"], row["position"], row["html"], link_in(row["html"]) or "")
        for row in rows
    ]
    return [link for link in found if link.url]


async def note_check(tx: Transaction, link: LinkToCheck, *, verified: bool) -> None:
    """What a look at a link has shown; nothing if the field is another one by now."""
    now = now_ms()
    await tx.execute(
        "UPDATE profile_fields SET verified_at = ?, check_at = ?"
        " WHERE actor_id = ? AND position = ? AND html = ?",
        now if verified else None,
        now + (CHECK_AGAIN_MS if verified else CHECK_SOON_MS),
        link.actor_id,
        link.position,
        link.html,
    )


async def fields_of(db: Reader, actor_id: int) -> list[Field]:
    """The fields of a profile."""
    rows = await db.all(
        "SELECT name, source, html, verified_at FROM profile_fields WHERE actor_id = ?"
        " ORDER BY position",
        actor_id,
    )
    return [Field(row["name"], row["source"], row["html"], row["verified_at"]) for row in rows]


async def add_alias(tx: Transaction, member_id: int, uri: str) -> None:
    """Name another account of the member: from there they may move here. Raises Invalid."""
    known = await aliases_of(tx, member_id)
    if uri in known:
        return
    if len(known) >= ALIASES:
        raise Invalid("alias", "These are too many accounts.")
    await tx.execute("INSERT INTO aliases (actor_id, uri) VALUES (?, ?)", member_id, uri)
    await journal.record(tx, "member_edited", actor_id=member_id)


async def remove_alias(tx: Transaction, member_id: int, uri: str) -> None:
    """Name the account no longer."""
    if await tx.execute("DELETE FROM aliases WHERE actor_id = ? AND uri = ?", member_id, uri):
        await journal.record(tx, "member_edited", actor_id=member_id)


async def aliases_of(db: Reader, member_id: int) -> list[str]:
    """The ids of the member's other accounts."""
    rows = await db.all("SELECT uri FROM aliases WHERE actor_id = ? ORDER BY uri", member_id)
    return [row["uri"] for row in rows]


def _html_of(value: str) -> str:
    """Escaped text, or one link around it."""
    try:
        parts = urlsplit(value)
    except ValueError:
        return escape(value)
    if parts.scheme not in ("https", "http") or not parts.netloc or " " in value:
        return escape(value)
    shown = escape(value.split("://", 1)[1].rstrip("/"))
    return f'<a href="{escape(value)}" rel="me nofollow noopener noreferrer">{shown}</a>'
