"""Misskey and Sharkey (federation.md §3.1; its renderer)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from tests.federation.dialects import reasons
from tests.federation.dialects.dialect import AS, JSON, SECURITY, Dialect, Ours, Person
from tests.federation.dialects.signing import Signing


class Misskey(Dialect):
    """The id of a Follow is the same each time, and so is its Undo's."""

    slug = "misskey"
    title = "Misskey, Sharkey"
    software = "misskey"
    version = "2026.6.0"
    context: ClassVar[Any] = [
        AS,
        SECURITY,
        {
            "Key": "sec:Key",
            "sensitive": "as:sensitive",
            "quoteUrl": "as:quoteUrl",
            "misskey": "https://misskey-hub.net/ns#",
            "_misskey_content": "misskey:_misskey_content",
            "_misskey_quote": "misskey:_misskey_quote",
            "_misskey_reaction": "misskey:_misskey_reaction",
            "_misskey_votes": "misskey:_misskey_votes",
        },
    ]
    signing = Signing(covered=("(request-target)", "date", "host", "digest"))
    absent: ClassVar[Mapping[str, str]] = (
        reasons.MODERATES_NOT | reasons.BOOSTS_AS_GROUP_NOT | {"dislike": reasons.NO_DOWNVOTES}
    )

    def now(self, later: int = 0) -> str:
        return super().now(later).replace("Z", ".987Z")

    def person_id(self, name: str) -> str:
        return f"{self.origin}/users/9{name.encode().hex()}"

    def instance_id(self) -> str:
        return f"{self.origin}/users/90instance"

    def post_id(self, author: str) -> str:
        return f"{self.origin}/notes/9k{self.number()}"

    def activity_id(self, kind: str, actor: str, thing: Any) -> str:
        return f"{self.origin}/{self.number()}-464d-b560-73ae1fcd3ddf"

    def actor(self, actor: str, name: str, kind: str = "Person") -> JSON:
        return super().actor(actor, name, kind) | {
            "featured": f"{actor}/collections/featured",
            "sharedInbox": self.shared_inbox(),
            "publicKey": self.key(actor) | {"type": "Key"},
            "isCat": False,
            "_misskey_summary": "Hello",
            "noindex": True,
            "vcard:bday": "2000-02-29",
            "image": None,
            "tag": [],
        }

    def follow(self, person: Person, target: str) -> JSON:
        mine = person.id.rpartition("/")[2]
        return self.activity(
            "Follow", person.id, target,
            id=f"{self.origin}/follows/{mine}/{target.rpartition('/')[2]}",
        )  # fmt: skip

    def undo(self, activity: JSON, **more: Any) -> JSON:
        return super().undo(activity, id=f"{activity['id']}/undo", published=self.now(), **more)

    def post(self, person: Person, words: str, **more: Any) -> JSON:
        return (
            super().post(person, words)
            | {
                "_misskey_content": words,
                "source": {"content": words, "mediaType": "text/x.misskeymarkdown"},
            }
            | more
        )

    def create(self, post: JSON, **more: Any) -> JSON:
        return super().create(post, id=f"{post['id']}/activity", **more)

    def reply(self, person: Person, ours: Ours, words: str) -> JSON:
        """A warning without words is a character without width."""
        create = super().reply(person, ours, words)
        create["object"] |= {"summary": "\u200b", "sensitive": True}
        return create

    def update(self, create: JSON, words: str, later: int = 2) -> JSON:
        made = super().update(create, words, later)
        return made | {"id": f"{made['object']['id']}#updates/{self.number()}"}

    def delete(self, create: JSON) -> JSON:
        gone = {"id": create["object"]["id"], "type": "Tombstone"}
        return self.activity("Delete", create["actor"], gone, published=self.now())

    def question(self) -> JSON:
        question = super().question()
        for option in question["oneOf"]:
            option["_misskey_votes"] = 0
        return question

    def vote(self, person: Person, ours: Ours, choice: str) -> JSON:
        made = super().vote(person, ours, choice)
        made["object"]["to"] = made["to"] = [ours.author]
        return made

    def like(self, person: Person, ours: Ours) -> JSON:
        return self.activity(
            "Like", person.id, ours.topic, content="🎉", _misskey_reaction="🎉",
            id=f"{self.origin}/likes/9m{self.number()}",
        )  # fmt: skip

    def boost(self, person: Person, ours: Ours) -> JSON:
        return super().boost(person, ours) | {
            "id": f"{self.post_id(person.id)}/activity",
            "cc": [self.followers(person.id)],
        }

    def report(self, person: Person, ours: Ours, words: str) -> JSON:
        """About an account; the addresses of notes stand in the text."""
        return self.activity(
            "Flag", self.instance_id(), ours.author, content=f"Note: {ours.topic}\n-----\n{words}"
        )
