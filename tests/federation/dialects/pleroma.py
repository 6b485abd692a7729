"""Pleroma and Akkoma (federation.md §3.1, §5.3; documents in other servers' tests)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from tests.federation.dialects import reasons
from tests.federation.dialects.dialect import AS, JSON, PUBLIC, Dialect, Ours, Person
from tests.federation.dialects.signing import Signing


class Pleroma(Dialect):
    """`actor` on notes, media addresses in lists of links, the reported post embedded."""

    slug = "pleroma"
    title = "Pleroma, Akkoma"
    software = "akkoma"
    version = "3.15.2"
    signing = Signing(covered=("(request-target)", "content-length", "date", "digest", "host"))
    absent: ClassVar[Mapping[str, str]] = (
        reasons.MODERATES_NOT | reasons.BOOSTS_AS_GROUP_NOT | {"dislike": reasons.NO_DOWNVOTES}
    )

    def __init__(self, origin: str, hub: str) -> None:
        super().__init__(origin, hub)
        litepub = f"{origin}/schemas/litepub-0.1.jsonld"
        self.context = [AS, litepub, {"@language": "und"}]  # type: ignore[misc]

    def now(self, later: int = 0) -> str:
        return super().now(later).replace("Z", ".602455Z")

    def instance_id(self) -> str:
        return f"{self.origin}/internal/fetch"

    def post_id(self, author: str) -> str:
        return f"{self.origin}/objects/1a522f2e-d5ab-454b-93d7-{self.number():012d}"

    def activity_id(self, kind: str, actor: str, thing: Any) -> str:
        return f"{self.origin}/activities/db61d52b-9c35-486a-bf27-{self.number():012d}"

    def actor(self, actor: str, name: str, kind: str = "Person") -> JSON:
        document = super().actor(actor, name, kind) | {
            "url": actor,
            "capabilities": {"acceptsChatMessages": True},
            "alsoKnownAs": [],
            "discoverable": False,
            "tag": [],
        }
        document["endpoints"] |= {
            "oauthAuthorizationEndpoint": f"{self.origin}/oauth/authorize",
            "uploadMedia": f"{self.origin}/api/ap/upload_media",
        }
        return document

    def post(self, person: Person, words: str, **more: Any) -> JSON:
        context = f"{self.origin}/contexts/f6244742-{self.number()}"
        picture = {
            "type": "Document",
            "mediaType": "image/png",
            "name": "A leaf",
            "url": [
                {"type": "Link", "mediaType": "image/png", "href": f"{self.origin}/media/a.png"}
            ],
        }
        return (
            super().post(person, words)
            | {
                "actor": person.id,
                "attachment": [picture],
                "context": context,
                "conversation": context,
                "source": {"content": words, "mediaType": "text/plain"},
                "summary": "",
                "quoteUrl": None,
            }
            | more
        )

    def create(self, post: JSON, **more: Any) -> JSON:
        made = super().create(post, context=post["context"], context_id=6336544, **more)
        return made | {"directMessage": False, "bto": [], "bcc": []}

    def update(self, create: JSON, words: str, later: int = 2) -> JSON:
        made = super().update(create, words, later)
        made["object"]["formerRepresentations"] = {
            "orderedItems": [create["object"]],
            "totalItems": 1,
            "type": "OrderedCollection",
        }
        return made

    def delete(self, create: JSON) -> JSON:
        return self.activity(
            "Delete", create["actor"], create["object"]["id"], to=create["to"], cc=[],
            deleted_activity_id=create["id"], attachment=[], tag=[], conversation=None,
        )  # fmt: skip

    def like(self, person: Person, ours: Ours) -> JSON:
        return self.activity(
            "EmojiReact", person.id, ours.topic, content="🌱", to=[ours.author, PUBLIC], cc=[],
            context=f"{self.hub}/contexts/1",
        )  # fmt: skip

    def boost(self, person: Person, ours: Ours) -> JSON:
        return super().boost(person, ours) | {"context": f"{self.hub}/contexts/1", "bto": []}

    def message(self, person: Person, member: str, words: str) -> JSON:
        """A chat message: addressed, and nobody mentioned."""
        chat = {
            "type": "ChatMessage",
            "id": self.post_id(person.id),
            "attributedTo": person.id,
            "actor": person.id,
            "to": [member],
            "content": words,
            "published": self.now(),
            "emoji": {},
            "tag": [],
            "attachment": None,
        }
        return self.activity("Create", person.id, chat, to=[member], published=self.now())

    def question(self) -> JSON:
        return super().question() | {"closed": self.now(86_400), "votersCount": 0, "voters": []}

    def vote(self, person: Person, ours: Ours, choice: str) -> JSON:
        made = super().vote(person, ours, choice)
        made["object"] |= {
            "id": self.post_id(person.id),
            "to": [ours.author],
            "cc": [],
            "actor": person.id,
            "context": f"{self.hub}/contexts/1",
        }
        return made | {"to": [ours.author], "cc": []}

    def report(self, person: Person, ours: Ours, words: str) -> JSON:
        note = {
            "type": "Note",
            "id": ours.topic,
            "content": "Clay, north side.",
            "published": self.now(),
            "actor": {"id": ours.author, "type": "Person"},
        }
        return self.activity(
            "Flag", self.instance_id(), [ours.author, note], content=words, to=[], cc=[ours.author],
            context=f"{self.hub}/contexts/1",
        )  # fmt: skip
