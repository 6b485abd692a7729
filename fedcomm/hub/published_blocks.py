"""The list of blocks as others may see it: whether at all, and each entry whole or with letters left out."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Final, Literal

from fedcomm.hub import audit, instance, policies
from fedcomm.hub.errors import Invalid
from fedcomm.store.database import Reader, Transaction

Audience = Literal["off", "members", "public"]
AUDIENCES: Final[tuple[Audience, ...]] = ("off", "members", "public")

AUDIENCE: Final = "policies.published"
"""The setting's name. Off unless somebody decides otherwise."""

SHOWN_AT_ONCE: Final = 20_000


@dataclass(frozen=True, slots=True)
class PublishedBlock:
    """A blocked domain. `digest`: SHA-256 (hex) of its whole name, by which others can compare; `domain` may have
    letters left out."""

    domain: str
    digest: str
    level: Literal["limit", "suspend"]
    comment: str


async def audience(db: Reader) -> Audience:
    """Who may see the list."""
    found = await instance.setting(db, AUDIENCE)
    return found if found in AUDIENCES else "off"


async def set_audience(tx: Transaction, wanted: str, *, by: int | None) -> None:
    """Decide who may see the list. The caller has checked who may decide. Raises Invalid."""
    if wanted not in AUDIENCES:
        raise Invalid("audience", "The list is shown to nobody, to members, or to everybody.")
    await instance.set_setting(tx, AUDIENCE, wanted)
    await audit.record(tx, "policies_published", actor_id=by, detail={"audience": wanted})


async def may_see(db: Reader, *, is_member: bool) -> bool:
    """Whether somebody may see the list."""
    wanted = await audience(db)
    return wanted == "public" or (wanted == "members" and is_member)


async def published(db: Reader) -> list[PublishedBlock]:
    """The limited and the suspended domains, by name."""
    rows = await db.all(
        "SELECT domain, level, public_comment, obfuscate FROM host_policies"
        " WHERE level IN ('limit', 'suspend') ORDER BY domain LIMIT ?",
        SHOWN_AT_ONCE,
    )
    return [
        PublishedBlock(
            obfuscated(row["domain"]) if row["obfuscate"] else row["domain"],
            hashlib.sha256(row["domain"].encode()).hexdigest(),
            row["level"],
            row["public_comment"],
        )
        for row in rows
    ]


def obfuscated(domain: str) -> str:
    """The domain with a star for each letter of its middle, as Mastodon writes it: enough to know it again."""
    length = len(domain)
    visible = max(1, length // 4)
    return "".join(
        letter if letter == "." or place < visible or place >= length - visible else "*"
        for place, letter in enumerate(domain)
    )


async def set_obfuscated(tx: Transaction, domain: str, *, on: bool) -> bool:
    """Leave letters out of this entry where it is published; False if there is no such entry."""
    changed = await tx.execute(
        "UPDATE host_policies SET obfuscate = ? WHERE domain = ?",
        int(on),
        policies.normal_domain(domain),
    )
    return changed > 0
