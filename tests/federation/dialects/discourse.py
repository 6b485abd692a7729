"""Discourse with its ActivityPub plugin (federation.md §3.2, §4.3, §4.6; its serializers)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from tests.federation.dialects import reasons
from tests.federation.dialects.dialect import AS, JSON, PUBLIC, Dialect, Ours, Person
from tests.federation.dialects.signing import Signing


class Discourse(Dialect):
    slug = "discourse"
    title = "Discourse"
    software = "discourse"
    version = "2026.6.0"
    context: ClassVar[Any] = AS
    signing = Signing(
        algorithm="hs2019",
        covered=("(request-target)", "(created)", "(expires)", "host", "date", "digest"),
        parameters=("keyId", "headers", "signature", "algorithm"),
        created=True,
        quoted=True,
    )
    has_shared_inbox = False
    absent: ClassVar[Mapping[str, str]] = reasons.MODERATES_NOT | {
        "dislike": reasons.NO_DOWNVOTES,
        "boost": "Its people cannot share; its categories and tags announce.",
        "move": reasons.NO_MOVE,
        "block": reasons.NO_BLOCKS_SENT,
        "message": reasons.NO_MESSAGES,
        "poll": reasons.NO_POLLS,
        "vote": reasons.NO_POLLS,
        "quote": reasons.NO_QUOTES,
        "report": reasons.NO_REPORTS_SENT,
        "group vote": "Announces words only.",
        "leave": "An account that is removed sends nothing.",
    }

    def person_id(self, name: str) -> str:
        return f"{self.origin}/ap/actor/{name.encode().hex():0>32}"

    def post_id(self, author: str) -> str:
        return f"{self.origin}/ap/object/1899f65c062200daec50a4c8{self.number():08d}"

    def activity_id(self, kind: str, actor: str, thing: Any) -> str:
        return f"{self.origin}/ap/activity/8850f6e85b57c490da915a5d{self.number():08d}"

    def actor(self, actor: str, name: str, kind: str = "Person") -> JSON:
        """The shared inbox stands at the top level."""
        return super().actor(actor, name, kind) | {
            "sharedInbox": f"{self.origin}/ap/users/inbox",
            "url": f"{self.origin}/u/{name}",
            "icon": {"type": "Image", "mediaType": "image/png", "url": f"{self.origin}/i.png"},
        }

    def shared_inbox(self) -> str:
        return f"{self.origin}/ap/users/inbox"

    def follow(self, person: Person, target: str) -> JSON:
        """People of its cannot follow groups: its categories do."""
        return self.activity("Follow", person.id, target, to=[target], published=self.now())

    def unfollow(self, follow: JSON) -> JSON:
        return self.undo(follow, to=[follow["object"]], published=self.now())

    def topic(self, person: Person, ours: Ours, words: str) -> JSON:
        """A Note with a name, addressed in its activity, filed by `audience`."""
        uri = self.post_id(person.id)
        note = {
            "id": uri,
            "type": "Note",
            "audience": ours.group,
            "published": self.now(),
            "updated": self.now(),
            "url": f"{self.origin}/t/our-next-meeting/{self.number()}/1",
            "attributedTo": person.id,
            "name": words,
            "context": f"{self.origin}/ap/collection/8850f6e85b57c490da915a5dfbbd5045",
            "content": f"<h3>{words}</h3>\n<p>{words}, at length&hellip;</p>",
            "@context": AS,
        }
        return self.activity(
            "Create", person.id, note, published=self.now(), to=[PUBLIC],
            cc=[ours.group, self.followers(person.id)], audience=ours.group,
        )  # fmt: skip

    def reply(self, person: Person, ours: Ours, words: str) -> JSON:
        create = self.topic(person, ours, words)
        create["object"] |= {"inReplyTo": ours.topic, "content": self.html(words)}
        del create["object"]["name"]
        return create

    def delete(self, create: JSON) -> JSON:
        """The whole object, with its words."""
        return self.activity("Delete", create["actor"], create["object"], to=[PUBLIC])

    def group_topic(self, group: str, create: JSON) -> list[JSON]:
        return [self.announce(group, create["object"])]
