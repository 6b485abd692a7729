"""The documents of what is ours, loaded and rendered: for those who fetch them and for what is sent."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal

from activitypub.contexts import with_context
from activitypub.ijson import JSONObject
from fedcomm.federation.addresses import Addresses
from fedcomm.federation.forms import Quoted
from fedcomm.federation.keyring import Keyring
from fedcomm.federation.rendering import Renderer
from fedcomm.hub import actors, circles, emoji, groups, media, profiles, quotes, threads, timelines
from fedcomm.hub.consents import FREE, Consent
from fedcomm.hub.visibility import Viewer, can_read, member
from fedcomm.store.database import Reader

CONVERSATION: Final = 1000
"""Objects that a collection of a conversation names."""


class Catalogue:
    """Loads and renders documents of our own actors and objects."""

    def __init__(
        self,
        renderer: Renderer,
        keyring: Keyring,
        addresses: Addresses,
        consent: Consent = FREE,
    ) -> None:
        self._renderer = renderer
        self._keyring = keyring
        self._at = addresses
        self.consent = consent

    async def actor(self, db: Reader, actor: actors.Actor) -> JSONObject:
        """The full document of a member, a group or the instance."""
        keys = await self._keyring.pair(actor.id)
        if actor.kind == "application":
            return self._renderer.instance(keys)
        shown = [number for number in (actor.avatar_id, actor.header_id) if number is not None]
        images = await media.images(db, shown)
        if actor.kind == "group":
            group = await groups.group(db, actor.id)
            assert group is not None
            used = await _emoji_in(db, actor.display_name, actor.summary_html)
            aliases = await profiles.aliases_of(db, actor.id)
            return self._renderer.group(actor, group, keys, images, emoji=used, aliases=aliases)
        fields = await profiles.fields_of(db, actor.id)
        said = [text for field in fields for text in (field.name, field.html)]
        return self._renderer.person(
            actor,
            keys,
            images,
            aliases=await profiles.aliases_of(db, actor.id),
            fields=fields,
            emoji=await _emoji_in(db, actor.display_name, actor.summary_html, *said),
        )

    async def emoji(self, db: Reader, emoji_id: int) -> JSONObject | None:
        """The document of an emoji of ours that may be shown, without context."""
        found = (await emoji.by_ids(db, [emoji_id])).get(emoji_id)
        return self._renderer.emoji(found) if found is not None and found.is_local else None

    def stub(self, document: JSONObject) -> JSONObject:
        """What of an actor's document an unsigned fetch gets."""
        return self._renderer.actor_stub(document)

    async def object(
        self, db: Reader, object_id: int, viewer: Viewer | None = None
    ) -> JSONObject | None:
        """The document of a local object without context, as its author would see it or as `viewer` may."""
        thing = await threads.thing(db, object_id)
        if thing is None or not thing.is_local or thing.deleted_at is not None:
            return None
        post = await timelines.post(db, viewer or member(thing.author_id), object_id)
        return None if post is None else await self.render(db, post)

    async def render(self, db: Reader, post: timelines.Post) -> JSONObject:
        """The document of a loaded local object, without context."""
        thing = post.thing
        author_uri = self._at.actor(post.author)
        group_uri = self._at.group(thing.group_id) if thing.group_id is not None else None
        circle: str | None = None
        if thing.community_id is not None:
            community = await actors.actor(db, thing.community_id)
            if community is not None:
                group_uri, circle = community.uri, community.followers_uri
        parent = await threads.thing(db, thing.parent_id) if thing.parent_id is not None else None
        others: list[str] = []
        if parent is not None:
            parent_author = await actors.actor(db, parent.author_id)
            if (
                parent_author is not None
                and parent_author.deleted_at is None
                and await self.consent.allows(db, parent_author.id, "activitypub")
            ):
                others.append(self._at.actor(parent_author))
        mentioned = [
            actors.actor_of(row)
            for row in await db.all(
                f"SELECT {actors.COLUMNS} {actors.FROM} JOIN mentions x ON x.actor_id = a.id"
                " WHERE x.object_id = ? ORDER BY a.id",
                thing.id,
            )
        ]
        if thing.visibility == "members" and thing.group_id is not None:
            # A server shows what names its people to them, also to those who are not in the group.
            inside = await circles.members_among(
                db, thing.group_id, [person.id for person in mentioned]
            )
            mentioned = [person for person in mentioned if person.id in inside]
        # Whose words stay here is not named to others by a tag either.
        willing = await self.consent.willing(
            db, [person.id for person in mentioned if person.is_local], "activitypub"
        )
        mentioned = [person for person in mentioned if not person.is_local or person.id in willing]
        others += [self._at.actor(person) for person in mentioned if person.kind != "group"]
        if parent is not None and not parent.is_local:
            # Mastodon notifies only who is in `to` or `cc` and has a Mention as well (§4.5).
            above = await actors.actor(db, parent.author_id)
            if above is not None and all(person.id != above.id for person in mentioned):
                mentioned.append(above)
        hashtags = [
            row["tag"]
            for row in await db.all(
                "SELECT tag FROM hashtags WHERE object_id = ? ORDER BY tag", thing.id
            )
        ]
        return self._renderer.object(
            post,
            audience=self._renderer.audience(post, author_uri, group_uri, others, circle=circle),
            author_uri=author_uri,
            group_uri=group_uri,
            parent_uri=(self._at.object(parent) if parent is not None else thing.parent_uri),
            mentions=mentioned,
            hashtags=hashtags,
            emoji=await _emoji_in(
                db,
                thing.title,
                thing.summary,
                thing.html,
                *(option.name for option in (post.poll.options if post.poll else ())),
            ),
            quoted=await self._quoted(db, post),
        )

    async def _quoted(self, db: Reader, post: timelines.Post) -> Quoted | None:
        """What a local post quotes; nothing once its author said no or took their consent back."""
        known = post.quote
        if known is None or known.state in ("rejected", "revoked") or known.quoted_id is None:
            return None
        target = await threads.thing(db, known.quoted_id)
        if target is None or target.deleted_at is not None:
            return Quoted(None)
        url = target.url or target.uri
        if target.is_local:
            beside = await groups.group(db, target.group_id) if target.group_id else None
            url = self._at.thing_page(target, beside.name if beside else None)
        stamp = known.stamp_uri
        if known.state != "accepted" or target.author_id == known.actor_id:
            stamp = None
        elif target.is_local:
            stamp = self._at.of("z", known.id)
        return Quoted(self._at.object(target), url or "", stamp)

    async def authorization(self, db: Reader, viewer: Viewer, quote_id: int) -> JSONObject | None:
        """Our consent to a quote, without context; None if there is none, or not for this viewer."""
        known = await quotes.quote(db, quote_id)
        if known is None or known.state != "accepted":
            return None
        if known.quoted_id is None or known.object_id is None:
            return None
        target = await threads.thing(db, known.quoted_id)
        own = await threads.thing(db, known.object_id)
        if target is None or own is None or not target.is_local or own.deleted_at is not None:
            return None
        if not await can_read(db, viewer, target.id):
            return None
        if own.visibility not in quotes.OPEN and (
            viewer.kind == "anonymous" or (own.is_local and not await can_read(db, viewer, own.id))
        ):
            # Of what is not public the id alone would be too much (INV-20).
            return None
        author = await actors.actor(db, target.author_id)
        assert author is not None
        return self._renderer.authorization(
            known.id, self._at.actor(author), self._at.object(own), self._at.object(target)
        )

    async def told(self, db: Reader, viewer: Viewer, object_id: int) -> JSONObject | None:
        """An object of a private group as the group tells microblogs of it, without context."""
        post = await timelines.post(db, viewer, object_id)
        if post is None or post.thing.visibility != "members" or post.thing.group_id is None:
            return None
        return self._renderer.told(
            post,
            self._at.group(post.thing.group_id),
            author=post.author,
            parent_id=post.thing.parent_id,
        )

    async def vote(self, db: Reader, vote_id: int, host_id: int) -> JSONObject | None:
        """A vote of a member for the server `host_id`, without context; None if it is not of a poll there."""
        row = await db.one(
            "SELECT v.actor_id, v.object_id, o.name FROM poll_votes v JOIN poll_options o"
            " ON o.object_id = v.object_id AND o.position = v.position WHERE v.id = ?",
            vote_id,
        )
        if row is None:
            return None
        thing = await threads.thing(db, row["object_id"])
        voter = await actors.actor(db, row["actor_id"])
        if thing is None or thing.host_id != host_id or voter is None or not voter.is_local:
            return None
        if not await self.consent.allows(db, voter.id, "activitypub"):
            return None
        author = await actors.actor(db, thing.author_id)
        assert author is not None
        return self._renderer.vote(
            vote_id,
            str(row["name"]),
            self._at.actor(voter),
            self._at.object(thing),
            self._at.actor(author),
        )

    def create(self, activity_id: int, document: JSONObject, published: int) -> JSONObject:
        """The `Create` of an object's document, without context."""
        return self._about(activity_id, "Create", document, published)

    def update(self, activity_id: int, document: JSONObject, published: int | None) -> JSONObject:
        """The `Update` of an object's document, without context."""
        return self._about(activity_id, "Update", document, published)

    def _about(
        self, activity_id: int, kind: str, document: JSONObject, published: int | None
    ) -> JSONObject:
        """By the author, addressed as the object is."""
        return self._renderer.activity(
            activity_id,
            kind,
            str(document["attributedTo"]),
            document,
            to=document["to"],
            cc=document["cc"],
            published=published,
            audience=document.get("audience"),
        )

    async def context(self, db: Reader, viewer: Viewer, topic: threads.Thing) -> JSONObject | None:
        """The conversation of a topic: ids, root first, in time order (§4.11)."""
        items = [self._at.object(topic), *await self._below(db, viewer, "topic_id", topic.id)]
        assert topic.group_id is not None
        group_uri = self._at.group(topic.group_id)
        return with_context(
            {
                "id": self._at.of("x", topic.id),
                "type": "OrderedCollection",
                "attributedTo": group_uri,
                "audience": group_uri,
                "name": topic.title,
                "totalItems": len(items),
                "orderedItems": items,
            }
        )

    async def replies(self, db: Reader, viewer: Viewer, thing: threads.Thing) -> JSONObject:
        """The direct answers to an object, with those of other servers, as a `Collection`."""
        uri = f"{self._at.object(thing)}/replies"
        items = await self._below(db, viewer, "parent_id", thing.id)
        return with_context(
            {
                "id": uri,
                "type": "Collection",
                "totalItems": len(items),
                "first": {
                    "id": f"{uri}?page=1",
                    "type": "CollectionPage",
                    "partOf": uri,
                    "items": items,
                },
            }
        )

    async def _below(
        self, db: Reader, viewer: Viewer, place: Literal["topic_id", "parent_id"], object_id: int
    ) -> list[str]:
        """The ids of what stands there and may leave."""
        leaving = self.consent.leaving("activitypub")
        found = await timelines.named_below(
            db, viewer, place, object_id, also=leaving, limit=CONVERSATION
        )
        return [uri if uri is not None else self._at.of("o", number) for number, uri in found]

    async def group_outbox(
        self, db: Reader, viewer: Viewer, group_id: int, *, before: int | None, limit: int
    ) -> tuple[list[JSONObject], int | None]:
        """A page of a group's outbox, `Announce` of `Create` of its topics, newest first; (items, last topic id)."""
        topics = await timelines.newest_topics(db, viewer, group_id, before=before, limit=limit)
        items: list[JSONObject] = []
        for post in await self._leaving(db, topics):
            announced = await self.stored_announce(db, group_id, post)
            if announced is not None:
                items.append(announced)
        return items, topics[-1].thing.id if len(topics) == limit else None

    async def _leaving(self, db: Reader, posts: Sequence[timelines.Post]) -> list[timelines.Post]:
        """Those of the posts that their authors let go."""
        free = await self.consent.leaves(db, [post.thing.id for post in posts], "activitypub")
        return [post for post in posts if post.thing.id in free]

    async def stored_announce(
        self, db: Reader, group_id: int, post: timelines.Post
    ) -> JSONObject | None:
        """The announcement of a topic in the form of a whole activity, rendered as it is now."""
        row = await db.one(
            "SELECT id, created_at FROM activities"
            " WHERE object_id = ? AND type = 'Announce/activity' AND actor_id = ?",
            post.thing.id,
            group_id,
        )
        create_id = await db.value(
            "SELECT id FROM activities WHERE object_id = ? AND type = 'Create' AND actor_id = ?",
            post.thing.id,
            post.author.id,
        )
        if row is None or (create_id is None and post.thing.is_local):
            return None
        content: JSONObject | str
        if post.thing.is_local:
            content = self.create(
                int(create_id), await self.render(db, post), post.thing.published_at
            )
        else:
            content = self._at.object(post.thing)
        return self._renderer.announce(
            row["id"],
            self._at.group(group_id),
            content,
            author_uri=self._at.actor(post.author),
            published=row["created_at"],
            is_open=post.thing.visibility != "members",
        )

    async def member_outbox(
        self, db: Reader, viewer: Viewer, author_id: int, *, before: int | None, limit: int
    ) -> tuple[list[JSONObject], int | None]:
        """A page of a member's outbox, `Create` of what they wrote, newest first; (items, last object id)."""
        posts = await timelines.by_author(db, viewer, author_id, before=before, limit=limit)
        items: list[JSONObject] = []
        for post in await self._leaving(db, posts):
            create_id = await db.value(
                "SELECT id FROM activities WHERE object_id = ? AND type = 'Create' AND actor_id = ?",
                post.thing.id,
                author_id,
            )
            if create_id is not None:
                items.append(
                    self.create(
                        int(create_id), await self.render(db, post), post.thing.published_at
                    )
                )
        return items, posts[-1].thing.id if len(posts) == limit else None


async def _emoji_in(db: Reader, *texts: str) -> list[emoji.Emoji]:
    """The emoji of ours that the texts use, by name."""
    found = (await emoji.shown(db, {None: texts})).get(None, {})
    return [found[code] for code in sorted(found)]
