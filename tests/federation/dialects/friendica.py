"""Friendica (federation.md §4.7, §4.9; documents in other servers' tests)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from tests.federation.dialects import reasons
from tests.federation.dialects.dialect import AS, JSON, PUBLIC, SECURITY, Dialect, Ours, Person
from tests.federation.dialects.signing import Signing


class Friendica(Dialect):
    """All activities have ids like objects; the Public stands in `cc` when a group is addressed."""

    slug = "friendica"
    title = "Friendica"
    software = "friendica"
    version = "2026.06"
    context: ClassVar[Any] = [
        AS,
        SECURITY,
        {
            "vcard": "http://www.w3.org/2006/vcard/ns#",
            "dfrn": "http://purl.org/macgirvin/dfrn/1.0/",
            "diaspora": "https://diasporafoundation.org/ns/",
            "litepub": "http://litepub.social/ns#",
            "directMessage": "litepub:directMessage",
        },
    ]
    signing = Signing(covered=("(request-target)", "date", "content-length", "digest", "host"))
    absent: ClassVar[Mapping[str, str]] = (
        reasons.MODERATES_NOT
        | reasons.BOOSTS_AS_GROUP_NOT
        | {"poll": "Reads polls, writes none.", "vote": reasons.NO_VOTES_SENT,
           "move": reasons.NO_MOVE, "block": reasons.NO_BLOCKS_SENT}
    )  # fmt: skip

    def person_id(self, name: str) -> str:
        return f"{self.origin}/profile/{name}"

    def instance_id(self) -> str:
        return f"{self.origin}/friendica"

    def inbox(self, actor: str) -> str:
        return f"{self.origin}/inbox/{actor.rpartition('/')[2]}"

    def followers(self, actor: str) -> str:
        return f"{self.origin}/followers/{actor.rpartition('/')[2]}"

    def post_id(self, author: str) -> str:
        return f"{self.origin}/objects/ec054ce7-2062-3bfa-8687-{self.number():012d}"

    def activity_id(self, kind: str, actor: str, thing: Any) -> str:
        return self.post_id(actor)

    def activity(self, kind: str, actor: str, thing: Any, **more: Any) -> JSON:
        return super().activity(kind, actor, thing, **more) | {
            "instrument": {
                "type": "Application",
                "name": "Friendica 'Blutwurz' 2026.06",
                "url": self.origin,
            },
            "published": self.now(),
        }

    def actor(self, actor: str, name: str, kind: str = "Person") -> JSON:
        return super().actor(actor, name, kind) | {
            "url": actor,
            "generator": {"type": "Application", "name": "Friendica"},
            "diaspora:guid": "ec054ce7-1862-3ce2-b3e4-870035437794",
            "vcard:hasAddress": {"@type": "vcard:Home", "vcard:country-name": ""},
            "vcard:hasInstantMessage": "xmpp:a@a.example",
        }

    def post(self, person: Person, words: str, **more: Any) -> JSON:
        post = super().post(person, words, **more)
        return post | {
            "diaspora:guid": post["id"].rpartition("/")[2],
            "context": f"{post['id']}#context",
            "conversation": f"{post['id']}#context",
            "directMessage": False,
            "contentMap": {"en": post["content"]},
            "source": {"content": f"[b]{words}[/b]", "mediaType": "text/bbcode"},
            "mediaType": "text/html",
        }

    def topic(self, person: Person, ours: Ours, words: str) -> JSON:
        post = self.post(
            person,
            words,
            type="Article",
            name=words,
            to=[ours.group],
            cc=[PUBLIC, f"{ours.group}/followers"],
            tag=[self.mention(ours.group, ours.group_name)],
        )
        return self.create(post)

    def message(self, person: Person, member: str, words: str) -> JSON:
        create = super().message(person, member, words)
        create["object"]["directMessage"] = True
        return create

    def delete(self, create: JSON) -> JSON:
        gone = {"id": create["object"]["id"], "type": "Tombstone"}
        return self.activity(
            "Delete", create["actor"], gone, id=f"{gone['id']}/Delete", to=create["to"],
            cc=create["cc"],
        )  # fmt: skip

    def like(self, person: Person, ours: Ours) -> JSON:
        return self.activity(
            "Like", person.id, ours.topic, to=[ours.author, ours.group], cc=[PUBLIC],
            **{"diaspora:like": '{"positive":"true"}'},
        )  # fmt: skip

    def dislike(self, person: Person, ours: Ours) -> JSON:
        return self.like(person, ours) | {"type": "Dislike"}

    def report(self, person: Person, ours: Ours, words: str) -> JSON:
        return self.activity(
            "Flag", self.instance_id(), [ours.author, ours.topic], content=words, to=[ours.author]
        )
