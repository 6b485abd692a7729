"""Whom or what a request about data means: a member, a group, somebody elsewhere, a server, or one post."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from fedcomm.hub import actors, erasure, holds
from fedcomm.hub.errors import Invalid
from fedcomm.store.database import Reader
from fedcomm.store.ids import parse_id

Kind = Literal["member", "group", "remote", "host", "object"]
COUNTED_TO: Final = 10_000


@dataclass(frozen=True, slots=True)
class Subject:
    """`name` as people type it: `anna`, `!garden`, `@rosa@server`, `server`, `#123`."""

    kind: Kind
    id: int
    name: str

    @property
    def hold_kind(self) -> holds.Kind:
        """As a legal hold calls it."""
        return self.kind

    @property
    def erasure_kind(self) -> erasure.Kind:
        """As an erasure calls it. Raises Invalid for a single post, which is removed where it stands."""
        if self.kind == "object":
            raise Invalid("target", "A single post is removed on its own page.")
        return self.kind


async def find(db: Reader, text: str) -> Subject:
    """What was meant. Raises Invalid (`target`)."""
    text = text.strip()
    number = parse_id(text.removeprefix("#"))
    if number is not None:
        if await db.value("SELECT 1 FROM objects WHERE id = ?", number) is None:
            raise Invalid("target", "There is no such post.")
        return Subject("object", number, f"#{number}")
    if text.startswith("!") and "@" not in text[1:]:
        group = await actors.local_actor(db, text[1:])
        if group is None or group.kind != "group":
            raise Invalid("target", "There is no such group.")
        return Subject("group", group.id, f"!{group.name}")
    name, at, host = text.lstrip("@!").partition("@")
    if at:
        person = await actors.remote_actor(db, name, host)
        if person is None:
            raise Invalid("target", "Nobody of this name is known here.")
        return Subject("remote", person.id, f"@{name}@{host}")
    member = await actors.local_actor(db, name)
    if member is not None and member.kind != "group":
        return Subject("member", member.id, f"@{member.name}")
    found = await db.value("SELECT id FROM hosts WHERE name = ?", name.lower())
    if found is None:
        raise Invalid("target", "There is neither a member nor a server of this name.")
    return Subject("host", int(found), name.lower())


async def called(db: Reader, kind: str, subject_id: int) -> str:
    """What a subject is called, as long as it has a name; else its number."""
    if kind == "object":
        return f"#{subject_id}"
    if kind == "host":
        return str(await db.value("SELECT name FROM hosts WHERE id = ?", subject_id) or subject_id)
    actor = await actors.actor(db, subject_id)
    if actor is None or not actor.name:
        return f"#{subject_id}"
    return f"!{actor.handle}" if actor.kind == "group" else f"@{actor.handle}"


async def counts(db: Reader, subject: Subject) -> dict[str, int]:
    """How many posts and files of the subject there are, counted up to `COUNTED_TO`."""
    column = erasure.OBJECTS_OF[subject.erasure_kind]
    owner = (
        "owner_id IN (SELECT id FROM actors WHERE host_id = ?)"
        if subject.kind == "host"
        else "owner_id = ?"
    )
    return {
        "posts": int(
            await db.value(
                f"SELECT count(*) FROM (SELECT 1 FROM objects WHERE {column} = ?"
                " AND deleted_at IS NULL LIMIT ?) counted",
                subject.id,
                COUNTED_TO + 1,
            )
        ),
        "files": int(
            await db.value(
                f"SELECT count(*) FROM (SELECT 1 FROM media WHERE {owner} LIMIT ?) counted",
                subject.id,
                COUNTED_TO + 1,
            )
        ),
    }
