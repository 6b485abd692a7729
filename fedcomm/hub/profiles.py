"""What a profile says besides its text: up to eight fields, and the member's other accounts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from urllib.parse import urlsplit

from fedcomm.hub import journal
from fedcomm.hub.errors import Invalid
from fedcomm.hub.sanitizer import plain_name
from fedcomm.store.database import Reader, Transaction

FIELDS = 8
FIELD_NAME_CHARS = 100
FIELD_VALUE_CHARS = 500
ALIASES = 10
"""Other accounts that one member names."""


@dataclass(frozen=True, slots=True)
class Field:
    """A name and a value: as it was typed, and as clean HTML."""

    name: str
    source: str
    html: str


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
    await tx.execute("DELETE FROM profile_fields WHERE actor_id = ?", actor_id)
    await tx.many(
        "INSERT INTO profile_fields (actor_id, position, name, source, html) VALUES (?, ?, ?, ?, ?)",
        [
            (actor_id, position, field.name, field.source, field.html)
            for position, field in enumerate(kept)
        ],
    )


async def fields_of(db: Reader, actor_id: int) -> list[Field]:
    """The fields of a profile."""
    rows = await db.all(
        "SELECT name, source, html FROM profile_fields WHERE actor_id = ? ORDER BY position",
        actor_id,
    )
    return [Field(row["name"], row["source"], row["html"]) for row in rows]


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
