"""Full-text search: every word must occur (as a beginning); results pass the gate, counts are not
told."""

from __future__ import annotations

import re
import unicodedata

from fedcomm.hub import avoidance
from fedcomm.hub.visibility import Viewer, readable
from fedcomm.store.database import Database, Transaction

WORD = re.compile(r"[^\W_]+")
MAX_WORDS = 8
MAX_CHARACTERS = 200
"""Of a query."""

MAX_WORD_CHARACTERS = 100
"""Of a word in a query: it is the beginning of a longer one, and PostgreSQL refuses 2,047 bytes."""

MAX_INDEXED_CHARACTERS = 100_000
"""Of a title and of a text: PostgreSQL refuses an index entry of more than 1 MiB."""


def words_of(text: str) -> list[str]:
    """The words of `text` without case and accents, cut in one place for both engines: `perché`,
    `Perche` and `PERCHÉ` are one word."""
    # Twice, because what decomposes may have a case and what has a case may decompose.
    for _ in range(2):
        text = unicodedata.normalize("NFKD", text.casefold())
    return WORD.findall("".join(c for c in text if unicodedata.category(c) != "Mn"))


async def index(tx: Transaction, object_id: int, title: str, text: str) -> None:
    """Make the object findable by these words, instead of those before."""
    await tx.execute(tx.search.upsert, object_id, _indexed(title), _indexed(text))


async def forget(tx: Transaction, object_id: int) -> None:
    """Take the object out of the index."""
    await tx.execute(tx.search.remove, object_id)


async def find(
    db: Database, viewer: Viewer, words: str, *, before: int | None = None, limit: int = 20
) -> list[int]:
    """Ids of the objects that hold every word of `words` and that `viewer` may read, newest first.

    *Unlisted* ones are left out: they are for those who have the address.
    """
    found = [word[:MAX_WORD_CHARACTERS] for word in words_of(words[:MAX_CHARACTERS])[:MAX_WORDS]]
    if not found:
        return []
    clause = readable(viewer)
    met = avoidance.not_avoided(viewer, "o.author_id", "o.host_id")
    fts = db.search
    rows = await db.all(
        f"SELECT o.id FROM {fts.found} WHERE {fts.matching} AND {fts.number} < ?"
        f" AND o.visibility <> 'unlisted' AND {clause.sql} AND {met.sql}"
        f" ORDER BY {fts.number} DESC LIMIT ?",
        fts.query(found),
        before if before is not None else (1 << 63) - 1,
        *clause.args,
        *met.args,
        limit,
    )
    return [row["id"] for row in rows]


def _indexed(text: str) -> str:
    return " ".join(words_of(text[:MAX_INDEXED_CHARACTERS]))[:MAX_INDEXED_CHARACTERS]
