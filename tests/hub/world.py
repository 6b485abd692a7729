"""A small community for tests of the hub: people, groups and words, made through its own operations."""

from __future__ import annotations

import itertools
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Any, Concatenate, ParamSpec, TypeVar

from fedcomm.hub import actors, groups, journal, members, threads
from fedcomm.hub.actors import RemoteProfile
from fedcomm.hub.composition import Attachment, Content, Draft
from fedcomm.hub.sanitizer import SafeHtml
from fedcomm.hub.visibility import Viewer, Visibility, member, remote
from fedcomm.site import Site
from fedcomm.store.database import Database, Row, Transaction
from fedcomm.store.ids import new_id, now_ms
from tests.databases import ORIGIN

P = ParamSpec("P")
T = TypeVar("T")


def words(text: str, *, title: str = "", **parts: Any) -> Content:
    """Content that needs no rendering."""
    return Content(title=title, source=text, html=SafeHtml(f"<p>{text}</p>"), plain=text, **parts)


class World:
    """Shorthand for what tests do all the time. People, groups and objects are told by their ids."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.db: Database = site.db
        self._numbers = itertools.count(1)

    async def do(
        self,
        operation: Callable[Concatenate[Transaction, P], Awaitable[T]],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        """Run one operation of the hub in a transaction of its own."""
        async with self.db.transaction() as tx:
            return await operation(tx, *args, **kwargs)

    async def run(self, sql: str, *args: Any) -> int:
        """Run one statement."""
        async with self.db.transaction() as tx:
            return await tx.execute(sql, *args)

    async def member(self, name: str, **facts: Any) -> int:
        return await self.do(members.create_member, name, **facts)

    async def remote(self, name: str, host: str = "far.test", **changes: Any) -> int:
        uri = f"https://{host}/users/{name}"
        profile = RemoteProfile(
            uri=uri,
            host=host,
            kind="person",
            name=name,
            display_name=name.title(),
            summary_html="",
            url=f"https://{host}/@{name}",
            avatar_url=None,
            inbox=f"{uri}/inbox",
            shared_inbox=f"https://{host}/inbox",
            outbox=None,
            followers_uri=f"{uri}/followers",
            featured_uri=None,
            locked=False,
            discoverable=True,
            indexable=True,
            moved_to_uri=None,
            suspended=False,
            keys=((f"{uri}#main-key", "rsa", f"PEM of {name}"),),
        )
        return await self.do(actors.store_remote, replace(profile, **changes))

    async def group(self, name: str, owner_id: int, **facts: Any) -> int:
        return await self.do(
            groups.create_group,
            name,
            title=facts.pop("title", name.title()),
            creator_id=owner_id,
            local_origin=ORIGIN,
            **facts,
        )

    async def compose(
        self, author_id: int, text: str, *, is_topic: bool = False, **draft: Any
    ) -> Content:
        return await self.site.compose(
            self.db, Draft(text, **draft), is_topic=is_topic, author_id=author_id
        )

    async def topic(
        self, author_id: int, group_id: int, text: str = "Some words.", title: str = "A topic"
    ) -> int:
        content = await self.compose(author_id, text, is_topic=True, title=title)
        return await self.do(threads.create_topic, author_id, group_id, content)

    async def reply(self, author_id: int, parent_id: int, text: str = "An answer.") -> int:
        content = await self.compose(author_id, text)
        return await self.do(threads.create_reply, author_id, parent_id, content)

    async def provenance(self, author_id: int, **changes: Any) -> threads.Provenance:
        """Where a new remote object of this author comes from."""
        author = await self.actor(author_id)
        assert author.host_id is not None
        uri = f"https://{author.host}/objects/{next(self._numbers)}"
        return replace(threads.Provenance(uri, author.host_id, "Note", uri, now_ms()), **changes)

    async def post(
        self,
        author_id: int,
        text: str = "From elsewhere.",
        *,
        visibility: Visibility = "public",
        mentions: Sequence[int] = (),
    ) -> int:
        return await self.do(
            threads.store_post,
            author_id,
            words(text, mentions=tuple(mentions)),
            await self.provenance(author_id),
            visibility=visibility,
        )

    async def picture(self, owner_id: int, alt: str = "", **facts: Any) -> tuple[int, str]:
        """The row of a stored image (no file): its id and its file's name."""
        media_id = new_id()
        file = f"{media_id:x}.png"
        row = {"purpose": "attachment", "state": "stored", "created_at": now_ms(), **facts}
        await self.run(
            "INSERT INTO media (id, owner_id, purpose, state, file, thumbnail, mime, width, height,"
            " bytes, alt, created_at) VALUES (?, ?, ?, ?, ?, ?, 'image/png', 4, 4, 1000, ?, ?)",
            media_id,
            owner_id,
            row["purpose"],
            row["state"],
            file,
            f"{media_id:x}_small.webp",
            alt,
            row["created_at"],
        )
        return media_id, file

    async def actor(self, actor_id: int) -> actors.Actor:
        found = await actors.actor(self.db, actor_id)
        assert found is not None
        return found

    async def thing(self, object_id: int) -> threads.Thing:
        found = await threads.thing(self.db, object_id)
        assert found is not None
        return found

    async def viewer(self, actor_id: int) -> Viewer:
        """How this actor looks at things: as a signed-in member, or with a verified signature."""
        host_id = (await self.actor(actor_id)).host_id
        return member(actor_id) if host_id is None else remote(actor_id, host_id)

    async def host_id(self, name: str) -> int:
        return int(await self.db.value("SELECT id FROM hosts WHERE name = ?", name))

    async def events(self, after: int = 0) -> list[journal.Event]:
        """What the journal tells after entry number `after`."""
        return [entry.event for entry in await journal.entries_after(self.db, after, 1000)]

    async def rows(self, sql: str, *args: Any) -> Sequence[Row]:
        return await self.db.all(sql, *args)


def attachment(media_id: int, alt: str = "") -> Attachment:
    """An image of ours as part of a content."""
    return Attachment("Image", media_id=media_id, mime="image/png", alt=alt, width=4, height=4)
