"""WordPress with its ActivityPub plugin (federation.md §3.1, §12; recorded documents)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from tests.federation.dialects import reasons
from tests.federation.dialects.dialect import AS, JSON, PUBLIC, SECURITY, Dialect, Ours, Person
from tests.federation.dialects.signing import Signing

CONTEXT = [AS, {"Hashtag": "as:Hashtag", "sensitive": "as:sensitive"}]


class WordPress(Dialect):
    """Ids with queries; an Update of a profile without an id."""

    slug = "wordpress"
    title = "WordPress 4–7"
    software = "wordpress"
    version = "6.8"
    context: ClassVar[Any] = CONTEXT
    signing = Signing(
        style="rfc9421",
        covered=("@method", "@target-uri", "content-digest"),
        algorithm="rsa-v1_5-sha256",
        label="wp",
    )
    words: ClassVar[Mapping[str, str]] = {"quote": "asked, agreed"}
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
        }
    )

    def person_id(self, name: str) -> str:
        return f"{self.origin}/?author={sum(map(ord, name))}"

    def instance_id(self) -> str:
        return f"{self.origin}/wp-json/activitypub/1.0/application"

    def rest(self, actor: str, what: str) -> str:
        return f"{self.origin}/wp-json/activitypub/1.0/actors/{actor.rpartition('=')[2]}/{what}"

    def inbox(self, actor: str) -> str:
        return self.rest(actor, "inbox")

    def shared_inbox(self) -> str:
        return f"{self.origin}/wp-json/activitypub/1.0/inbox"

    def followers(self, actor: str) -> str:
        return self.rest(actor, "followers")

    def post_id(self, author: str) -> str:
        return f"{self.origin}/?p={self.number()}"

    def activity_id(self, kind: str, actor: str, thing: Any) -> str:
        return f"{actor}#activity-{kind.lower()}-{self.now()}-{self.number()}"

    def actor(self, actor: str, name: str, kind: str = "Person") -> JSON:
        return super().actor(actor, name, kind) | {
            "@context": [AS, SECURITY, "https://purl.archive.org/socialweb/webfinger"],
            "url": f"{self.origin}/author/{name}/",
            "outbox": self.rest(actor, "outbox"),
            "following": self.rest(actor, "following"),
            "featured": self.rest(actor, "collections/featured"),
            "featuredTags": self.rest(actor, "collections/tags"),
            "attachment": [
                {"type": "PropertyValue", "name": "Blog", "value": "<p>b</p>"},
                {"type": "Note", "name": "Blog", "content": "<p>b</p>"},
            ],
            "webfinger": f"{name}@{self.origin.split('://')[1]}",
            "generator": {
                "type": "Application",
                "implements": [
                    {
                        "href": "https://datatracker.ietf.org/doc/html/rfc9421",
                        "name": "RFC-9421: HTTP Message Signatures",
                    }
                ],
            },
        }

    def profile(self, person: Person, document: JSON) -> JSON:
        return {
            "@context": [AS],
            "type": "Update",
            "to": [PUBLIC],
            "sensitive": False,
            "object": person.id,
            "actor": person.id,
        }

    def create(self, post: JSON, **more: Any) -> JSON:
        return super().create(
            post, id=f"{post['id']}#activity-create-{post['published']}", sensitive=False, **more
        )

    def post(self, person: Person, words: str, **more: Any) -> JSON:
        post = super().post(person, words, **more)
        del post["inReplyTo"]
        return (
            post
            | {
                "contentMap": {"en": post["content"]},
                "interactionPolicy": {"canQuote": {"automaticApproval": PUBLIC, "always": PUBLIC}},
                "replies": {
                    "id": f"{self.origin}/wp-json/activitypub/1.0/posts/7/replies",
                    "type": "Collection",
                    "first": {
                        "id": f"{self.origin}/wp-json/activitypub/1.0/posts/7/replies?page=0",
                        "type": "CollectionPage",
                        "partOf": f"{self.origin}/wp-json/activitypub/1.0/posts/7/replies",
                        "items": [],
                    },
                },
            }
            | more
        )

    def quote(self, person: Person, ours: Ours, words: str) -> JSON:
        create = self.topic(person, ours, words)
        keys = ("quote", "quoteUrl", "quoteUri", "_misskey_quote")
        create["object"] |= dict.fromkeys(keys, ours.topic)
        return create

    def quote_request(self, create: JSON, ours: Ours) -> JSON | None:
        return self.activity(
            "QuoteRequest", create["actor"], ours.topic, instrument=create["object"]["id"],
            to=[ours.author],
        )  # fmt: skip

    def topic(self, person: Person, ours: Ours, words: str) -> JSON:
        """A long post is an Article, with an excerpt as `summary`."""
        create = super().topic(person, ours, words)
        create["object"] |= {"type": "Article", "name": words, "summary": f"<p>{words} […]</p>"}
        return create
