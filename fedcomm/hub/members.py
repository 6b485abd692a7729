"""Members: people with an account here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from fedcomm.hub import actors, journal, profiles
from fedcomm.hub.errors import Invalid, NotFound
from fedcomm.hub.limits import DEFAULT_LIMITS, TextLimits
from fedcomm.hub.markup import NAME_CHARACTERS, render_plain
from fedcomm.hub.passwords import check_password, verify_password
from fedcomm.hub.permissions import Policy
from fedcomm.hub.sanitizer import plain_name
from fedcomm.store.database import Reader, Row, Transaction
from fedcomm.store.ids import now_ms

Role = Literal["administrator", "moderator", "member"]
State = Literal["active", "suspended"]
ROLES: tuple[Role, ...] = ("administrator", "moderator", "member")
LOCALES = ("en", "it")


@dataclass(frozen=True, slots=True)
class Member:
    """An account: the actor's id and name, and what only this hub knows. Times: Unix milliseconds."""

    id: int
    name: str
    display_name: str
    email: str | None
    role: Role
    state: State
    locale: str
    created_at: int

    @property
    def is_staff(self) -> bool:
        return self.role in ("administrator", "moderator")


_SELECT = (
    "SELECT m.actor_id, a.name, a.display_name, m.email, m.role, m.state, m.locale, m.created_at"
    " FROM members m JOIN actors a ON a.id = m.actor_id"
)


def _member(row: Row) -> Member:
    return Member(
        row["actor_id"],
        row["name"],
        row["display_name"],
        row["email"],
        row["role"],
        row["state"],
        row["locale"],
        row["created_at"],
    )


async def member(db: Reader, member_id: int) -> Member | None:
    """The member with this id."""
    row = await db.one(f"{_SELECT} WHERE m.actor_id = ?", member_id)
    return _member(row) if row else None


async def member_by_name(db: Reader, name: str) -> Member | None:
    """The member called `name`."""
    row = await db.one(
        f"{_SELECT} JOIN handles n ON n.actor_id = a.id WHERE n.name = ? AND a.deleted_at IS NULL",
        name.lower().removeprefix("@"),
    )
    return _member(row) if row else None


async def list_members(db: Reader, *, after: int = 0, limit: int = 100) -> list[Member]:
    """Members by id, `limit` at a time after id `after`."""
    rows = await db.all(
        f"{_SELECT} WHERE m.actor_id > ? AND a.deleted_at IS NULL ORDER BY m.actor_id LIMIT ?",
        after,
        limit,
    )
    return [_member(row) for row in rows]


async def create_member(
    tx: Transaction,
    name: str,
    *,
    display_name: str = "",
    email: str | None = None,
    password_hash: str | None = None,
    role: Role = "member",
    locale: str = "en",
) -> int:
    """A new account; its id. Raises Invalid (name taken, e-mail address taken or odd, role or
    locale unknown)."""
    if role not in ROLES:
        raise Invalid("role", "A role is administrator, moderator or member.")
    if locale not in LOCALES:
        raise Invalid("locale", "This language is not available.")
    address = _email(email)
    if address and await tx.value("SELECT 1 FROM members WHERE email = ?", address):
        raise Invalid("email", "This e-mail address belongs to another account.")
    actor_id = await actors.insert_local(
        tx, "person", name, plain_name(display_name, NAME_CHARACTERS)
    )
    await tx.execute(
        "INSERT INTO members (actor_id, email, password_hash, role, state, locale, created_at)"
        " VALUES (?, ?, ?, ?, 'active', ?, ?)",
        actor_id,
        address,
        password_hash,
        role,
        locale,
        now_ms(),
    )
    await journal.record(tx, "member_created", actor_id=actor_id)
    return actor_id


async def edit_profile(
    tx: Transaction,
    member_id: int,
    *,
    display_name: str,
    summary: str,
    locale: str,
    local_origin: str,
    avatar_id: int | None = None,
    locked: bool | None = None,
    quote_policy: Policy | None = None,
    fields: Sequence[profiles.Field] | None = None,
    limits: TextLimits = DEFAULT_LIMITS,
) -> None:
    """Change what the member shows of themselves. `avatar_id`: a stored image of theirs, None keeps
    the old one. `locked`: followers are let in by the member. `quote_policy`: who may quote what they
    write from now on. None keeps what `locked`, `quote_policy` and `fields` were."""
    if len(summary) > limits.profile_chars:
        raise Invalid("summary", "The description is too long.")
    if locale not in LOCALES:
        raise Invalid("locale", "This language is not available.")
    await tx.execute(
        "UPDATE actors SET display_name = ?, summary_source = ?, summary_html = ?, updated_at = ?"
        " WHERE id = ?",
        plain_name(display_name, limits.name_chars),
        summary,
        render_plain(summary, local_origin=local_origin),
        now_ms(),
        member_id,
    )
    if avatar_id is not None:
        await tx.execute("UPDATE actors SET avatar_id = ? WHERE id = ?", avatar_id, member_id)
    if locked is not None:
        await tx.execute("UPDATE actors SET locked = ? WHERE id = ?", int(locked), member_id)
    if quote_policy is not None:
        await tx.execute(
            "UPDATE members SET quote_policy = ? WHERE actor_id = ?", quote_policy, member_id
        )
    if fields is not None:
        await profiles.set_fields(tx, member_id, fields)
    await tx.execute("UPDATE members SET locale = ? WHERE actor_id = ?", locale, member_id)
    await journal.record(tx, "member_edited", actor_id=member_id)


async def set_password(
    tx: Transaction, member_id: int, password_hash: str, *, keep_session: str | None = None
) -> None:
    """Store a new password hash; every other session and every token ends (INV-38)."""
    await tx.execute(
        "UPDATE members SET password_hash = ? WHERE actor_id = ?", password_hash, member_id
    )
    await tx.execute(
        "DELETE FROM sessions WHERE member_id = ? AND token_hash <> ?",
        member_id,
        keep_session or "",
    )
    await tx.execute("DELETE FROM tokens WHERE member_id = ?", member_id)


async def is_only_administrator(db: Reader, member_id: int) -> bool:
    """Whether the member administers this hub, and nobody else could."""
    found = await db.value(
        "SELECT 1 FROM members WHERE actor_id = ? AND role = 'administrator' AND NOT EXISTS"
        " (SELECT 1 FROM members m JOIN actors a ON a.id = m.actor_id"
        "  WHERE m.role = 'administrator' AND m.state = 'active' AND a.deleted_at IS NULL"
        "  AND m.actor_id <> ?)",
        member_id,
        member_id,
    )
    return found is not None


async def has_password(db: Reader, member_id: int, password: str) -> bool:
    """Whether this is the member's password: asked again before what cannot be undone (security.md §6)."""
    stored = await db.value("SELECT password_hash FROM members WHERE actor_id = ?", member_id)
    return await verify_password(stored, password)


async def suspend_member(tx: Transaction, member_id: int, *, suspended: bool) -> None:
    """Suspend an account (its sessions and tokens end, INV-21) or let it back in."""
    state = "suspended" if suspended else "active"
    if not await tx.execute("UPDATE members SET state = ? WHERE actor_id = ?", state, member_id):
        raise NotFound("There is no such member.")
    await tx.execute(
        "UPDATE actors SET suspended_at = ?, updated_at = ? WHERE id = ?",
        now_ms() if suspended else None,
        now_ms(),
        member_id,
    )
    if suspended:
        await tx.execute("DELETE FROM sessions WHERE member_id = ?", member_id)
        await tx.execute("DELETE FROM tokens WHERE member_id = ?", member_id)
    await journal.record(tx, "member_suspended", actor_id=member_id)


def password_acceptable(password: str, name: str, email: str | None) -> None:
    """Raises Invalid unless `password` may be this person's."""
    check_password(password, name, email or "")


def _email(text: str | None) -> str | None:
    if not text:
        return None
    address = text.strip().lower()
    local, at, domain = address.rpartition("@")
    if not at or not local or ("." not in domain and domain != "localhost") or len(address) > 254:
        raise Invalid("email", "This does not look like an e-mail address.")
    if any(character.isspace() or not character.isprintable() for character in address):
        raise Invalid("email", "This does not look like an e-mail address.")
    return address
