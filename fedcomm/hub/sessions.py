"""Sessions of browsers and tokens of programs: random references, stored hashed (INV-40)."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass

from fedcomm.hub.errors import HubError, Invalid
from fedcomm.hub.members import Member, State, member
from fedcomm.hub.passwords import verify_password
from fedcomm.store.database import Database, Reader, Row, Transaction
from fedcomm.store.ids import new_id, now_ms

DAY_MS = 86_400_000
TOUCH_MS = 60_000
"""A session's last use is written at most once a minute."""

SCOPES = ("read", "write")


def token_hash(token: str) -> str:
    """What the database keeps of a token of 256 random bits: a plain SHA-256 suffices."""
    return hashlib.sha256(token.encode(errors="surrogateescape")).hexdigest()


async def log_in(db: Database, name: str, password: str) -> str:
    """A new session's token for the right name (or e-mail address) and password.

    Raises HubError with one sentence whatever was wrong (INV-36).
    """
    return await _begin(db, name, password, "active", "everything")


async def member_of_session(
    db: Database, token: str, *, idle_days: float = 14, absolute_days: float = 90
) -> Member | None:
    """The member whose live session this is, or None."""
    now = now_ms()
    row = await db.one(
        "SELECT s.member_id, s.seen_at FROM sessions s JOIN members m ON m.actor_id = s.member_id"
        " WHERE s.token_hash = ? AND s.seen_at > ? AND s.created_at > ? AND m.state = 'active'"
        " AND s.purpose = 'everything'",
        token_hash(token),
        now - int(idle_days * DAY_MS),
        now - int(absolute_days * DAY_MS),
    )
    if row is None:
        return None
    if now - row["seen_at"] > TOUCH_MS:
        await db.append(
            "UPDATE sessions SET seen_at = ? WHERE token_hash = ?", (now, token_hash(token))
        )
    return await member(db, row["member_id"])


async def began_within(db: Reader, token: str, milliseconds: int) -> bool:
    """Whether somebody has logged in so recently in this session."""
    found = await db.value(
        "SELECT 1 FROM sessions WHERE token_hash = ? AND created_at > ?",
        token_hash(token),
        now_ms() - milliseconds,
    )
    return found is not None


APPEAL_MS = 2 * 3_600_000
"""How long a suspended member can read what was decided, and appeal, before they have to log in again."""


async def log_in_to_appeal(db: Database, name: str, password: str) -> str:
    """A session in which a suspended member can do nothing but appeal; its token.

    Raises HubError with the sentence of `log_in` whatever was wrong, also for somebody who is not suspended (INV-36).
    """
    return await _begin(db, name, password, "suspended", "appeal")


async def _begin(db: Database, name: str, password: str, state: State, purpose: str) -> str:
    row = await _account(db, name)
    right = await verify_password(row["password_hash"] if row else None, password)
    if row is None or not right or row["state"] != state:
        raise HubError("Name or password is wrong.")
    token = secrets.token_urlsafe(32)
    now = now_ms()
    async with db.transaction() as tx:
        await tx.execute(
            "INSERT INTO sessions (token_hash, member_id, created_at, seen_at, purpose)"
            " VALUES (?, ?, ?, ?, ?)",
            token_hash(token),
            row["actor_id"],
            now,
            now,
            purpose,
        )
        await tx.execute("UPDATE members SET seen_at = ? WHERE actor_id = ?", now, row["actor_id"])
    return token


async def appellant(db: Reader, token: str) -> Member | None:
    """The suspended member who may appeal in this session."""
    row = await db.one(
        "SELECT s.member_id FROM sessions s JOIN members m ON m.actor_id = s.member_id"
        " WHERE s.token_hash = ? AND s.purpose = 'appeal' AND s.created_at > ?"
        " AND m.state = 'suspended'",
        token_hash(token),
        now_ms() - APPEAL_MS,
    )
    return await member(db, row["member_id"]) if row else None


async def _account(db: Reader, name: str) -> Row | None:
    """The account with this name or e-mail address."""
    return await db.one(
        "SELECT m.actor_id, m.password_hash, m.state FROM members m JOIN actors a ON a.id = m.actor_id"
        " WHERE m.actor_id IN (SELECT actor_id FROM handles WHERE name = ?"
        "  UNION SELECT actor_id FROM members WHERE email = ?) AND a.deleted_at IS NULL",
        name.strip().lower().removeprefix("@"),
        name.strip().lower(),
    )


async def log_out(tx: Transaction, token: str) -> None:
    """End the session."""
    await tx.execute("DELETE FROM sessions WHERE token_hash = ?", token_hash(token))


@dataclass(frozen=True, slots=True)
class Session:
    """A log-in as its member sees it. `reference` names it without opening it. Times: Unix ms."""

    reference: str
    created_at: int
    seen_at: int


REFERENCE_LENGTH = 24
"""Characters of a session's hash that name it on the settings page."""


async def sessions_of(db: Reader, member_id: int) -> list[Session]:
    """The member's sessions, the last used first."""
    rows = await db.all(
        "SELECT token_hash, created_at, seen_at FROM sessions WHERE member_id = ?"
        " ORDER BY seen_at DESC LIMIT 100",
        member_id,
    )
    return [
        Session(row["token_hash"][:REFERENCE_LENGTH], row["created_at"], row["seen_at"])
        for row in rows
    ]


async def end_session(tx: Transaction, member_id: int, reference: str) -> None:
    """End the one of the member's sessions that `reference` names. Repeats are harmless."""
    if len(reference) != REFERENCE_LENGTH:
        return
    await tx.execute(
        "DELETE FROM sessions WHERE member_id = ? AND substr(token_hash, 1, ?) = ?",
        member_id,
        REFERENCE_LENGTH,
        reference,
    )


async def end_others(tx: Transaction, member_id: int, token: str) -> None:
    """End all of the member's sessions but the one of `token`."""
    await tx.execute(
        "DELETE FROM sessions WHERE member_id = ? AND token_hash <> ?",
        member_id,
        token_hash(token),
    )


@dataclass(frozen=True, slots=True)
class Bearer:
    """Who a token speaks for, and what it may do."""

    member: Member
    scopes: frozenset[str]


async def create_token(
    tx: Transaction, member_id: int, *, name: str, scopes: list[str], value: str | None = None
) -> str:
    """A new token of the member; its value, which is shown this once. `value`: given instead of a
    random one."""
    unknown = [scope for scope in scopes if scope not in SCOPES]
    if unknown or not scopes:
        raise Invalid("scope", f"A scope is one of: {', '.join(SCOPES)}.")
    token = value or secrets.token_urlsafe(32)
    if len(token) < 16:
        raise Invalid("value", "A token has at least 16 characters.")
    await tx.execute(
        "INSERT INTO tokens (id, token_hash, member_id, name, scopes, created_at)"
        " VALUES (?, ?, ?, ?, ?, ?)",
        new_id(),
        token_hash(token),
        member_id,
        name,
        " ".join(scopes),
        now_ms(),
    )
    return token


async def bearer(db: Reader, token: str) -> Bearer | None:
    """Who may act with this token now (INV-37: unknown scopes give nothing)."""
    row = await db.one(
        "SELECT t.member_id, t.scopes FROM tokens t JOIN members m ON m.actor_id = t.member_id"
        " WHERE t.token_hash = ? AND m.state = 'active' AND COALESCE(t.expires_at, ?) > ?",
        token_hash(token),
        now_ms() + 1,
        now_ms(),
    )
    if row is None:
        return None
    found = await member(db, row["member_id"])
    if found is None:
        return None
    return Bearer(found, frozenset(row["scopes"].split()) & frozenset(SCOPES))
