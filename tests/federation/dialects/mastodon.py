"""Mastodon 4.3 to 4.6 (federation.md §1.1, §3.2, §4.2, §4.9; its serializers)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from tests.federation.dialects import reasons
from tests.federation.dialects.dialect import AS, JSON, PUBLIC, SECURITY, Dialect, Ours, Person
from tests.federation.dialects.signing import Signing

TERMS = {
    "ostatus": "http://ostatus.org#",
    "atomUri": "ostatus:atomUri",
    "inReplyToAtomUri": "ostatus:inReplyToAtomUri",
    "conversation": "ostatus:conversation",
    "sensitive": "as:sensitive",
    "toot": "http://joinmastodon.org/ns#",
    "votersCount": "toot:votersCount",
    "Hashtag": "as:Hashtag",
    "gts": "https://gotosocial.org/ns#",
    "interactionPolicy": {"@id": "gts:interactionPolicy", "@type": "@id"},
    "canQuote": {"@id": "gts:canQuote", "@type": "@id"},
    "automaticApproval": {"@id": "gts:automaticApproval", "@type": "@id"},
    "quote": {"@id": "https://w3id.org/fep/044f#quote", "@type": "@id"},
}


class Mastodon(Dialect):
    slug = "mastodon"
    title = "Mastodon 4.3–4.6"
    software = "mastodon"
    version = "4.5.3"
    context: ClassVar[Any] = [AS, SECURITY, TERMS]
    signing = Signing(covered=("host", "date", "digest", "content-type", "(request-target)"))
    words: ClassVar[Mapping[str, str]] = {"quote": "asked, agreed"}
    absent: ClassVar[Mapping[str, str]] = (
        reasons.MODERATES_NOT | reasons.BOOSTS_AS_GROUP_NOT | {"dislike": reasons.NO_DOWNVOTES}
    )

    def actor(self, actor: str, name: str, kind: str = "Person") -> JSON:
        icon = {"type": "Image", "mediaType": "image/png", "url": f"{self.origin}/a.png"}
        return super().actor(actor, name, kind) | {
            "featured": f"{actor}/collections/featured",
            "featuredTags": f"{actor}/collections/tags",
            "discoverable": True,
            "indexable": False,
            "published": "2024-03-01T00:00:00Z",
            "memorial": False,
            "attributionDomains": [],
            "tag": [],
            "attachment": [
                {
                    "type": "PropertyValue",
                    "name": "Web",
                    "value": '<a href="https://a.example">a</a>',
                }
            ],
            "icon": icon,
            "interactionPolicy": {"canFeature": {"automaticApproval": [PUBLIC]}},
            "webfinger": f"{name}@{self.origin.split('://')[1]}",
        }

    def post(self, person: Person, words: str, **more: Any) -> JSON:
        uri = self.post_id(person.id)
        host = self.origin.split("://")[1]
        text = self.html(more.pop("text", words))
        return {
            "id": uri,
            "type": "Note",
            "summary": None,
            "inReplyTo": None,
            "published": self.now(),
            "url": f"{self.origin}/@{person.name}/{uri.rpartition('/')[2]}",
            "attributedTo": person.id,
            "to": [PUBLIC],
            "cc": [self.followers(person.id)],
            "sensitive": False,
            "atomUri": uri,
            "inReplyToAtomUri": None,
            "conversation": f"tag:{host},2026-11-21:objectId=61:objectType=Conversation",
            "context": f"{self.origin}/contexts/{self.number()}-61",
            "content": text,
            "contentMap": {"en": text},
            "interactionPolicy": {
                "canQuote": {"automaticApproval": [PUBLIC], "manualApproval": []}
            },
            "attachment": [],
            "tag": [],
            "replies": {
                "id": f"{uri}/replies",
                "type": "Collection",
                "first": {
                    "type": "CollectionPage",
                    "next": f"{uri}/replies?only_other_accounts=true&page=true",
                    "partOf": f"{uri}/replies",
                    "items": [],
                },
            },
            "likes": {"id": f"{uri}/likes", "type": "Collection", "totalItems": 0},
            "shares": {"id": f"{uri}/shares", "type": "Collection", "totalItems": 0},
        } | more

    def create(self, post: JSON, **more: Any) -> JSON:
        signature = {
            "type": "RsaSignature2017",
            "creator": self.key_id(post["attributedTo"]),
            "created": self.now(),
            "signatureValue": "bm90IGxvb2tlZCBhdA==",
        }
        return super().create(post, id=f"{post['id']}/activity", signature=signature, **more)

    def linked(self, uri: str, name: str) -> str:
        return (
            f'<span class="h-card" translate="no"><a href="{uri}" class="u-url mention">'
            f"@<span>{name}</span></a></span>"
        )

    def topic(self, person: Person, ours: Ours, words: str) -> JSON:
        text = f"{self.linked(ours.group, ours.group_name)} {words}"
        post = self.post(
            person,
            words,
            text=text,
            cc=[self.followers(person.id), ours.group],
            tag=[self.mention(ours.group, ours.group_name)],
        )
        return self.create(post)

    def reply(self, person: Person, ours: Ours, words: str) -> JSON:
        create = super().reply(person, ours, words)
        create["object"]["inReplyToAtomUri"] = ours.topic
        return create

    def update(self, create: JSON, words: str, later: int = 2) -> JSON:
        text = self.html(words)
        post = create["object"] | {
            "content": text,
            "contentMap": {"en": text},
            "updated": self.now(later),
        }
        uri = f"{post['id']}#updates/{self.number()}"
        return self.activity(
            "Update",
            create["actor"],
            post,
            id=uri,
            published=self.now(),
            to=[PUBLIC],
            cc=post["cc"],
        )

    def delete(self, create: JSON) -> JSON:
        uri = create["object"]["id"]
        gone = {"id": uri, "type": "Tombstone", "atomUri": uri}
        return self.activity("Delete", create["actor"], gone, id=f"{uri}#delete", to=[PUBLIC])

    def question(self) -> JSON:
        return super().question() | {"votersCount": 0}

    def quote(self, person: Person, ours: Ours, words: str) -> JSON:
        create = self.topic(person, ours, words)
        link = f'<p class="quote-inline">RE: <a href="{ours.topic}">{ours.topic}</a></p>'
        post = create["object"]
        post |= {
            "quote": ours.topic,
            "quoteUri": ours.topic,
            "_misskey_quote": ours.topic,
            "content": link + post["content"],
        }
        return create

    def quote_request(self, create: JSON, ours: Ours) -> JSON | None:
        """With the whole post as its instrument."""
        author = create["actor"]
        return self.activity(
            "QuoteRequest",
            author,
            ours.topic,
            id=f"{author}/quote_requests/{self.number()}",
            instrument=create["object"],
        )

    def boost(self, person: Person, ours: Ours) -> JSON:
        boost = super().boost(person, ours)
        return boost | {"id": f"{self.post_id(person.id)}/activity"}

    def unboost(self, boost: JSON) -> JSON:
        return self.undo(boost, id=f"{boost['id']}/undo", to=[PUBLIC])

    def report(self, person: Person, ours: Ours, words: str) -> JSON:
        """In the name of the server, about the account and its posts."""
        return {
            "@context": AS,
            "id": f"{self.origin}/{self.number()}-506a-490e-9a8c-71831c7713a4",
            "type": "Flag",
            "actor": self.instance_id(),
            "content": words,
            "object": [ours.author, ours.topic],
            "to": ours.author,
        }
