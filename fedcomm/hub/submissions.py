"""Forms that are sent twice: a second click, a reload, a browser that tries again because the answer was lost.

Each form that writes something carries a random token. The token and the words together name one submission; what it
made is remembered for a day, in the same transaction, so that the same form with the same words leads to the same
post. Other words under the same token are another post: somebody went back and wrote on.
"""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Sequence
from hashlib import sha256
from typing import Final

from fedcomm.store.database import Transaction
from fedcomm.store.ids import now_ms

TOKEN: Final = re.compile(r"[A-Za-z0-9_-]{22}")
REMEMBERED_MS: Final = 86_400_000
"""How long a form counts once: nobody finds out a day later that an answer was lost."""


def new_token() -> str:
    """A token for one form: 128 random bits."""
    return secrets.token_urlsafe(16)


def digest_of(token: str, member_id: int, words: Sequence[object]) -> str:
    """The name of what `member_id` sent; `words`: everything that makes it this post and no other. Empty without a
    proper token: then every submission is a new one."""
    if not TOKEN.fullmatch(token):
        return ""
    # The token is not kept, so nobody can find out by trying which words the digest is of.
    return sha256(json.dumps([token, member_id, *words]).encode()).hexdigest()


async def earlier(tx: Transaction, digest: str) -> int | None:
    """The object that this submission has made already."""
    if not digest:
        return None
    found = await tx.value("SELECT object_id FROM submissions WHERE digest = ?", digest)
    return int(found) if found is not None else None


async def note(tx: Transaction, digest: str, object_id: int) -> None:
    """Remember what this submission made."""
    if digest:
        await tx.execute(
            "INSERT INTO submissions (digest, object_id, created_at) VALUES (?, ?, ?)",
            digest,
            object_id,
            now_ms(),
        )


async def tidy(tx: Transaction) -> int:
    """Forget submissions of yesterday; how many."""
    return await tx.execute(
        "DELETE FROM submissions WHERE created_at < ?", now_ms() - REMEMBERED_MS
    )
