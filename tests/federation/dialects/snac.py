"""snac2 2.9 (federation.md §12; recorded documents)."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import md5
from typing import Any, ClassVar

from tests.federation.dialects import reasons
from tests.federation.dialects.dialect import AS, JSON, PUBLIC, Dialect, Ours, Person
from tests.federation.dialects.signing import Signing


class Snac(Dialect):
    """The id of a like or a share is made of what is liked: it is the same the next time."""

    slug = "snac"
    title = "snac2 2.9"
    software = "snac"
    version = "2.94"
    context: ClassVar[Any] = AS
    signing = Signing(covered=("(request-target)", "host", "digest", "date"), header="signature")
    absent: ClassVar[Mapping[str, str]] = (
        reasons.MODERATES_NOT
        | reasons.BOOSTS_AS_GROUP_NOT
        | {
            "dislike": reasons.NO_DOWNVOTES,
            "quote": reasons.NO_QUOTES,
            "report": reasons.NO_REPORTS_SENT,
            "block": reasons.NO_BLOCKS_SENT,
            "leave": "An account that is removed sends nothing; the actor answers 410 afterwards.",
        }
    )

    def person_id(self, name: str) -> str:
        return f"{self.origin}/{name}"

    def shared_inbox(self) -> str:
        return f"{self.origin}/shared-inbox"

    def post_id(self, author: str) -> str:
        return f"{author}/p/1795291313.{self.number():06d}"

    def activity_id(self, kind: str, actor: str, thing: Any) -> str:
        uri = self.id_of(thing)
        if kind in ("Like", "Announce"):
            return f"{actor}/{kind[0].lower()}/{md5(uri.encode()).hexdigest()}"
        return f"{actor}/d/1795291307.{self.number():06d}/{kind}"

    def actor(self, actor: str, name: str, kind: str = "Person") -> JSON:
        return super().actor(actor, name, kind) | {
            "url": actor,
            "featured": f"{actor}/featured",
            "published": "2026-03-01T19:59:50Z",
            "tag": [],
            "webfinger": f"{name}@{self.origin.split('://')[1]}",
        }

    def inner(self, activity: JSON) -> JSON:
        """The context stays."""
        return activity

    def undo(self, activity: JSON, **more: Any) -> JSON:
        addressed = {"to": activity["to"]} if "to" in activity else {"to": activity["object"]}
        return super().undo(
            activity, id=f"{activity['id']}/Undo_1795291353.{self.number()}", **(addressed | more)
        )

    def post(self, person: Person, words: str, **more: Any) -> JSON:
        post = super().post(person, words) | {
            "@context": AS,
            "content": f"{words}<br>",
            "summary": "",
            "sourceContent": words,
            "cc": [],
        }
        del post["attachment"]
        post |= {"context": f"{post['id']}#ctxt", "contentMap": {"en": post["content"]}}
        return post | more

    def create(self, post: JSON, **more: Any) -> JSON:
        made = super().create(post, id=f"{post['id']}/Create", **more)
        return made | {"attributedTo": post["attributedTo"]}

    def reply(self, person: Person, ours: Ours, words: str) -> JSON:
        create = super().reply(person, ours, words)
        mention = self.mention(ours.author, "anna")
        create["object"] |= {"to": [ours.author, PUBLIC], "cc": [ours.author], "tag": [mention] * 2}
        return create | {"to": [ours.author, PUBLIC], "cc": [ours.author]}

    def update(self, create: JSON, words: str, later: int = 2) -> JSON:
        made = super().update(create, words, later)
        return made | {"id": f"{made['object']['id']}/Update_1795291341.{self.number()}"}

    def delete(self, create: JSON) -> JSON:
        uri = create["object"]["id"]
        gone = {"type": "Tombstone", "id": uri}
        return self.activity(
            "Delete", create["actor"], gone, id=f"{uri}/Delete_1795291375.{self.number()}",
            to=[PUBLIC], published=self.now(),
        )  # fmt: skip

    def like(self, person: Person, ours: Ours) -> JSON:
        return self.activity(
            "Like", person.id, ours.topic, published=self.now(), to=[PUBLIC, ours.author]
        )

    def boost(self, person: Person, ours: Ours) -> JSON:
        return self.activity(
            "Announce", person.id, ours.topic, published=self.now(), to=[PUBLIC, ours.author]
        )
