"""Servers made with Fedify: Hollo and Ghost (federation.md §3.1, §3.4; the framework's own documents)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from tests.federation.dialects import reasons
from tests.federation.dialects.dialect import AS, JSON, SECURITY, Dialect, Ours, Person
from tests.federation.dialects.signing import Signing

MESSAGE = Signing(
    style="rfc9421",
    covered=("@method", "@target-uri", "@authority", "host", "date", "content-digest"),
    algorithm="rsa-v1_5-sha256",
)
CONTEXT = [
    AS,
    SECURITY,
    "https://w3id.org/security/data-integrity/v1",
    "https://w3id.org/identity/v1",
    {
        "toot": "http://joinmastodon.org/ns#",
        "misskey": "https://misskey-hub.net/ns#",
        "fedibird": "http://fedibird.com/ns#",
        "Hashtag": "as:Hashtag",
        "sensitive": "as:sensitive",
        "Emoji": "toot:Emoji",
        "quoteUrl": "as:quoteUrl",
        "_misskey_quote": "misskey:_misskey_quote",
        "ChatMessage": "http://litepub.social/ns#ChatMessage",
    },
]


class Hollo(Dialect):
    """Keys in both forms, ids with fragments, single values where there is one."""

    slug = "hollo"
    title = "Hollo (Fedify)"
    software = "hollo"
    version = "0.6.11"
    context: ClassVar[Any] = CONTEXT
    signing = MESSAGE
    absent: ClassVar[Mapping[str, str]] = (
        reasons.MODERATES_NOT
        | reasons.BOOSTS_AS_GROUP_NOT
        | {"dislike": reasons.NO_DOWNVOTES, "report": reasons.NO_REPORTS_SENT}
    )

    def now(self, later: int = 0) -> str:
        return super().now(later).replace("Z", ".123Z")

    def person_id(self, name: str) -> str:
        return f"{self.origin}/@{name}"

    def post_id(self, author: str) -> str:
        return f"{author}/0190df6f-1bb1-7b8d-9d2e-{self.number():012d}"

    def activity_id(self, kind: str, actor: str, thing: Any) -> str:
        return f"{actor}#{kind.lower()}s/{self.number()}/{self.now()}"

    def actor(self, actor: str, name: str, kind: str = "Person") -> JSON:
        document = super().actor(actor, name, kind)
        document["publicKey"] = document["publicKey"] | {"type": "CryptographicKey"}
        return document | {
            "assertionMethod": {
                "id": f"{actor}#multikey-2",
                "type": "Multikey",
                "controller": actor,
                "publicKeyMultibase": "z6MkpRQKMWBF1rFvNU62jJFKdRDuuSWydYbyVa2FPqi3ov7n",
            },
            "name": {"@value": name.capitalize()},
            "nameMap": {"en": name.capitalize()},
            "published": "2025-01-01T00:00:00Z",
            "url": {"type": "Link", "href": f"{self.origin}/@{name}", "mediaType": "text/html"},
        }

    def post(self, person: Person, words: str, **more: Any) -> JSON:
        post = super().post(person, words, to="as:Public", cc=self.followers(person.id)) | more
        for empty in ("inReplyTo", "tag", "attachment"):
            if not post[empty]:
                del post[empty]
            elif isinstance(post[empty], list) and len(post[empty]) == 1:
                post[empty] = post[empty][0]
        return post | {
            "contentMap": {"en": post["content"]},
            "source": {"content": words, "mediaType": "text/markdown"},
            "replies": {
                "id": f"{post['id']}/replies",
                "type": "Collection",
                "totalItems": 0,
                "items": [],
            },
            "likes": f"{post['id']}/likes",
            "shares": f"{post['id']}/shares",
            "emojiReactions": f"{post['id']}/reactions",
        }

    def create(self, post: JSON, **more: Any) -> JSON:
        return super().create(post, id=f"{post['id']}#create", **more)

    def update(self, create: JSON, words: str, later: int = 2) -> JSON:
        made = super().update(create, words, later)
        made["object"]["contentMap"] = {"en": made["object"]["content"]}
        return made | {"id": f"{made['object']['id']}#update/{self.now(later)}"}

    def delete(self, create: JSON) -> JSON:
        uri = create["object"]["id"]
        gone = {"id": uri, "type": "Tombstone", "deleted": self.now()}
        return self.activity("Delete", create["actor"], gone, to="as:Public", id=f"{uri}#delete")

    def quote(self, person: Person, ours: Ours, words: str) -> JSON:
        create = self.topic(person, ours, words)
        link = {
            "type": "Link",
            "mediaType": 'application/ld+json; profile="https://www.w3.org/ns/activitystreams"',
            "href": ours.topic,
            "rel": "https://misskey-hub.net/ns#_misskey_quote",
            "name": "RE:",
        }
        tag = create["object"]["tag"]
        create["object"] |= {"quoteUrl": ours.topic, "_misskey_quote": ours.topic}
        create["object"]["tag"] = [*(tag if isinstance(tag, list) else [tag]), link]
        return create

    def like(self, person: Person, ours: Ours) -> JSON:
        """A reaction with an emoji of its own."""
        emoji = {
            "id": f"{self.origin}/emojis/:leaf:",
            "type": "Emoji",
            "name": ":leaf:",
            "icon": {"type": "Image", "mediaType": "image/png", "url": f"{self.origin}/leaf.png"},
        }
        return self.activity(
            "EmojiReact", person.id, ours.topic, content=":leaf:", tag=emoji, to=ours.author,
            id=f"{person.id}#reactions/{self.number()}",
        )  # fmt: skip


class Ghost(Dialect):
    """Posts are articles with a preview; the author stands whole in them."""

    slug = "ghost"
    title = "Ghost (Fedify)"
    software = "ghost"
    version = "6.0.0"
    context: ClassVar[Any] = CONTEXT
    signing = MESSAGE
    absent: ClassVar[Mapping[str, str]] = (
        reasons.MODERATES_NOT
        | reasons.BOOSTS_AS_GROUP_NOT
        | {
            "dislike": reasons.NO_DOWNVOTES,
            "poll": reasons.NO_POLLS,
            "vote": reasons.NO_VOTES_SENT,
            "message": reasons.NO_MESSAGES,
            "report": reasons.NO_REPORTS_SENT,
            "block": reasons.NO_BLOCKS_SENT,
            "quote": reasons.NO_QUOTES,
        }
    )

    def now(self, later: int = 0) -> str:
        return super().now(later).replace("Z", ".123Z")

    def path(self, kind: str) -> str:
        return f"{self.origin}/.ghost/activitypub/{kind}/5e348297-7b05-{self.number():016d}"

    def person_id(self, name: str) -> str:
        return f"{self.origin}/.ghost/activitypub/users/{name}"

    def inbox(self, actor: str) -> str:
        return actor.replace("/users/", "/inbox/")

    def shared_inbox(self) -> str:
        return f"{self.origin}/.ghost/activitypub/inbox"

    def followers(self, actor: str) -> str:
        return actor.replace("/users/", "/followers/")

    def post_id(self, author: str) -> str:
        return self.path("note")

    def activity_id(self, kind: str, actor: str, thing: Any) -> str:
        return self.path(kind.lower())

    def topic(self, person: Person, ours: Ours, words: str) -> JSON:
        create = super().topic(person, ours, words)
        create["object"] |= {
            "id": self.path("article"),
            "type": "Article",
            "name": words,
            "attributedTo": self.inner(self.actor(person.id, person.name)),
            "image": f"{self.origin}/content/images/cover.png",
            "summary": None,
            "preview": {
                "id": self.path("note"),
                "type": "Note",
                "content": words,
            },
        }
        return create | {"to": "as:Public"}

    def delete(self, create: JSON) -> JSON:
        return self.activity(
            "Delete", create["actor"], {"id": create["object"]["id"], "type": "Article"},
            to="as:Public",
        )  # fmt: skip
