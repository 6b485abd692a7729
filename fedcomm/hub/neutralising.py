"""What others wrote about an erased person stays; the person's name in their mentions goes.

A mention is a link to the person's page, or `@name` in the text it was made from. Both become a plain word, in every
version of an object and in what members and groups say of themselves. Names that people typed without an `@` are
their own words.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from fedcomm.hub import search
from fedcomm.hub.html_policy import DROPPED, REMOTE_TAGS
from fedcomm.hub.html_tree import Element, parse, serialise
from fedcomm.hub.sanitizer import clean_local, clean_remote, text_of
from fedcomm.store.database import Reader, Transaction, Value

ERASED_NAME: Final = "[erased]"
"""What stands where a name was: the same in every language, since others' words are not translated."""

_WORDS = ("title", "source", "html", "summary")


@dataclass(frozen=True, slots=True)
class Person:
    """Who is erased: the name, the domain of the handle, and every address that a link may lead to."""

    name: str
    host: str
    addresses: frozenset[str]
    local_origin: str

    @property
    def is_local(self) -> bool:
        return self.local_origin.endswith(f"//{self.host}")

    def without_name(self, text: str) -> str:
        """`text` with every `@name` (here) and `@name@host` as a plain word, and no address of theirs."""
        if not self.name:
            return text
        for address in self.addresses:
            text = re.sub(
                re.escape(address) + r"(?![\w/-])", ERASED_NAME, text, flags=re.IGNORECASE
            )
        host = f"@{re.escape(self.host)}"
        # One of ours is also called without the host; `@ann` is not `@anna` and not `x@ann`.
        whole = f"(?:{host})?" if self.is_local else host
        pattern = rf"(?<![\w@/])([@!]){re.escape(self.name)}{whole}(?![\w@])(?![.-]\w)"
        return re.sub(pattern, rf"\1{ERASED_NAME}", text, flags=re.IGNORECASE)

    def without_link(self, html: str, *, is_local: bool) -> str:
        """Clean HTML whose links to the person are plain words, and whose text does not call them."""
        if not html:
            return html
        tree = parse(html, kept=REMOTE_TAGS, dropped=DROPPED)
        self._edit(tree)
        written = serialise(tree)
        if is_local:
            return clean_local(written, local_origin=self.local_origin)
        # Images already lead through our proxy.
        return clean_remote(written, media_proxy=lambda url: url, local_origin=self.local_origin)

    def _edit(self, element: Element) -> None:
        children: list[Element | str] = []
        for child in element.children:
            if isinstance(child, str):
                children.append(self.without_name(child))
            elif child.tag == "a" and child.attrs.get("href", "").lower() in self.addresses:
                children.append(f"@{ERASED_NAME}")
            else:
                self._edit(child)
                children.append(child)
        element.children = children


async def mentioning(db: Reader, person_id: int, after: int, limit: int) -> list[int]:
    """Ids of others' objects that mention the person, after id `after`."""
    rows = await db.all(
        "SELECT m.object_id FROM mentions m JOIN objects o ON o.id = m.object_id"
        " WHERE m.actor_id = ? AND m.object_id > ? AND o.deleted_at IS NULL AND o.author_id <> ?"
        " ORDER BY m.object_id LIMIT ?",
        person_id,
        after,
        person_id,
        limit,
    )
    return [row["object_id"] for row in rows]


async def neutralise(tx: Transaction, person: Person, object_id: int) -> None:
    """Take the person's name out of one object, its earlier versions, the index and what was rendered of it."""
    row = await tx.one(
        "SELECT title, source, html, summary, host_id, deleted_at FROM objects WHERE id = ?",
        object_id,
    )
    if row is None or row["deleted_at"] is not None:
        return
    is_local = row["host_id"] is None
    words = _neutral(person, [row[name] for name in _WORDS], is_local=is_local)
    await tx.execute(
        "UPDATE objects SET title = ?, source = ?, html = ?, summary = ? WHERE id = ?",
        *words,
        object_id,
    )
    for version in await tx.all(
        "SELECT number, title, source, html, summary FROM revisions WHERE object_id = ?", object_id
    ):
        await tx.execute(
            "UPDATE revisions SET title = ?, source = ?, html = ?, summary = ?"
            " WHERE object_id = ? AND number = ?",
            *_neutral(person, [version[name] for name in _WORDS], is_local=is_local),
            object_id,
            version["number"],
        )
    for file in await tx.all(
        "SELECT position, alt FROM attachments WHERE object_id = ?", object_id
    ):
        await tx.execute(
            "UPDATE attachments SET alt = ? WHERE object_id = ? AND position = ?",
            person.without_name(file["alt"]),
            object_id,
            file["position"],
        )
    await search.index(tx, object_id, str(words[0]), text_of(str(words[2])))
    # It is rendered anew when somebody asks; what waits to be sent still mentions somebody who is gone.
    await tx.execute(
        "UPDATE activities SET body = NULL WHERE object_id = ? AND body IS NOT NULL AND type"
        " NOT IN ('Delete', 'Undo')",
        object_id,
    )
    await tx.execute("DELETE FROM received_activities WHERE object_id = ?", object_id)


async def neutralise_profiles(tx: Transaction, person: Person) -> int:
    """Take the person's name out of what our members and groups say of themselves; how many changed."""
    changed = 0
    for row in await tx.all(
        "SELECT id, summary_source, summary_html FROM actors WHERE host_id IS NULL"
        " AND deleted_at IS NULL AND (lower(summary_source) LIKE ? OR lower(summary_html) LIKE ?)",
        f"%{person.name.lower()}%",
        f"%{person.name.lower()}%",
    ):
        source = person.without_name(row["summary_source"])
        html = person.without_link(row["summary_html"], is_local=True)
        if (source, html) != (row["summary_source"], row["summary_html"]):
            changed += await tx.execute(
                "UPDATE actors SET summary_source = ?, summary_html = ? WHERE id = ?",
                source,
                html,
                row["id"],
            )
    return changed


def _neutral(person: Person, words: Sequence[str], *, is_local: bool) -> list[Value]:
    title, source, html, summary = words
    return [
        person.without_name(title),
        person.without_name(source),
        person.without_link(html, is_local=is_local),
        person.without_name(summary),
    ]
