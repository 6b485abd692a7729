"""Full-text search: every word must occur (as a beginning); results pass the gate, counts are not
told."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from fedcomm.hub import avoidance
from fedcomm.hub.visibility import Clause, Viewer, readable
from fedcomm.store.database import Database, TextsSQL, Transaction

WORD = re.compile(r"[^\W_]+")
MAX_WORDS = 8
MAX_CHARACTERS = 200
"""Of a query."""

MAX_WORD_CHARACTERS = 100
"""Of a word in a query: it is the beginning of a longer one, and PostgreSQL refuses 2,047 bytes."""

MAX_INDEXED_CHARACTERS = 100_000
"""Of a title and of a text: PostgreSQL refuses an index entry of more than 1 MiB."""

GLANCE: Final = 256
"""The newest texts that are looked at first: they tell how often the words occur, for less than a trip to the index
costs."""

OFTEN: Final = 4
"""So many of them hold all words: the page is filled by looking at more of them. The index would be the dearer the more
texts have the words."""

ROOM: Final = 8
"""How many more texts are looked at than should be needed: not all may be shown to everybody."""

MOST_LOOKED_AT: Final = 4_096

EVERYWHERE: Final = 2
"""Beside a word that is not found often, one that each second text has is looked for in what the index finds for the
others."""


def words_of(text: str) -> list[str]:
    """The words of `text` without case and accents, cut in one place for both engines: `perché`,
    `Perche` and `PERCHÉ` are one word."""
    # Twice, because what decomposes may have a case and what has a case may decompose.
    for _ in range(2):
        text = unicodedata.normalize("NFKD", text.casefold())
    return WORD.findall("".join(c for c in text if unicodedata.category(c) != "Mn"))


async def index(tx: Transaction, object_id: int, title: str, text: str) -> None:
    """Make the object findable by these words, instead of those before."""
    await tx.later(tx.search.upsert, object_id, _indexed(title), _indexed(text))


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
    query = _Query(
        db, found, readable(viewer), avoidance.not_avoided(viewer, "o.author_id", "o.host_id")
    )
    below = before if before is not None else (1 << 63) - 1
    if db.search.texts is None:
        return await query.through_index(below, limit)
    glance = await query.glance(db.search.texts, below)
    if glance.hits < OFTEN:
        return await query.through_index(below, limit, glance.chosen)
    wanted = min(MOST_LOOKED_AT, GLANCE * ROOM * limit // glance.hits)
    last: int | None = glance.lowest
    if wanted > GLANCE:
        last = await db.value(db.search.texts.nth, below, wanted)
    ids = await query.through_texts(db.search.texts, below, last or 0, limit)
    if len(ids) < limit and last is not None:
        ids += await query.through_index(last, limit - len(ids))
    return ids


@dataclass(frozen=True, slots=True)
class _Glance:
    """What the newest texts say: how many hold all words, the lowest id, and for which words to ask the index."""

    hits: int
    lowest: int
    chosen: Sequence[str]


@dataclass(frozen=True, slots=True)
class _Query:
    """Words that somebody looks for, and what that person may see."""

    db: Database
    words: Sequence[str]
    gate: Clause
    met: Clause

    async def glance(self, texts: TextsSQL, below: int) -> _Glance:
        """Look at the newest texts, whoever may read them."""
        every = range(len(self.words))
        holds = ", ".join(f"{texts.newest_holds} AS w{n}" for n in every)
        sums = ", ".join(f"sum(w{n}) AS n{n}" for n in every)
        row = await self.db.one(
            f"SELECT count(*) AS texts, min(id) AS lowest, sum({' AND '.join(f'w{n}' for n in every)}) AS hits,"
            f" {sums} FROM (SELECT id, {holds} FROM {texts.newest})",
            *(f" {word}" for word in self.words),
            below,
            GLANCE,
        )
        if row is None or not row["texts"]:
            return _Glance(0, 0, self.words)
        counts = [(word, row[f"n{n}"]) for n, word in enumerate(self.words)]
        chosen: Sequence[str] = self.words
        if any(count < OFTEN for _, count in counts):
            chosen = [
                word for word, count in counts if count * EVERYWHERE < row["texts"] or count < OFTEN
            ]
        return _Glance(row["hits"], row["lowest"], chosen)

    async def through_texts(
        self, texts: TextsSQL, below: int, lowest: int, limit: int
    ) -> list[int]:
        """What the texts from `lowest` to `below` say, newest first, until the page is full."""
        number = self.db.search.number
        return await self._ids(
            f"{number} >= ? AND {' AND '.join([texts.found_holds] * len(self.words))}",
            (lowest, *(f" {word}" for word in self.words)),
            below,
            limit,
        )

    async def through_index(
        self, below: int, limit: int, words: Sequence[str] | None = None
    ) -> list[int]:
        """What the index finds for `words` (all of them if not said which), and holds the others as well."""
        fts, chosen = self.db.search, self.words if words is None else words
        others = [] if words is None else [word for word in self.words if word not in chosen]
        holds = [fts.matching]
        if fts.texts is not None:
            holds += [fts.texts.found_holds] * len(others)
        return await self._ids(
            " AND ".join(holds),
            (fts.query(chosen), *(f" {word}" for word in others)),
            below,
            limit,
        )

    async def _ids(
        self, condition: str, args: Sequence[str | int], below: int, limit: int
    ) -> list[int]:
        fts = self.db.search
        rows = await self.db.all(
            f"SELECT o.id FROM {fts.found} WHERE {condition} AND {fts.number} < ?"
            f" AND o.visibility <> 'unlisted' AND {self.gate.sql} AND {self.met.sql}"
            f" ORDER BY {fts.number} DESC LIMIT ?",
            *args,
            below,
            *self.gate.args,
            *self.met.args,
            limit,
        )
        return [row["id"] for row in rows]


def _indexed(text: str) -> str:
    return " ".join(words_of(text[:MAX_INDEXED_CHARACTERS]))[:MAX_INDEXED_CHARACTERS]
