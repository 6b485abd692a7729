"""GoToSocial 0.20 and 0.21 (federation.md §3.1, §5.6, §12; recorded documents)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from tests.federation.dialects import reasons
from tests.federation.dialects.dialect import AS, JSON, PUBLIC, Dialect, Ours, Person
from tests.federation.dialects.signing import LD_JSON, Signing

OPEN = {
    "always": [PUBLIC],
    "approvalRequired": [],
    "automaticApproval": [PUBLIC],
    "manualApproval": [],
}


class GoToSocial(Dialect):
    """Single recipients are strings; keys are paths; an edit has the same id each time."""

    slug = "gotosocial"
    title = "GoToSocial 0.20"
    software = "gotosocial"
    version = "0.20.2"
    context: ClassVar[Any] = AS
    signing = Signing(algorithm="hs2019", content_type=LD_JSON)
    has_shared_inbox = False
    absent: ClassVar[Mapping[str, str]] = (
        reasons.MODERATES_NOT
        | reasons.BOOSTS_AS_GROUP_NOT
        | {"dislike": reasons.NO_DOWNVOTES, "quote": reasons.NO_QUOTES}
    )

    def key_id(self, actor: str) -> str:
        return f"{actor}/main-key"

    def key_document(self, actor: str, name: str) -> JSON | None:
        """Without a signature, a stub of the actor."""
        return {
            "@context": ["https://w3id.org/security/v1", AS],
            "id": actor,
            "preferredUsername": name,
            "publicKey": self.key(actor),
            "type": "Person",
        }

    def instance_id(self) -> str:
        return f"{self.origin}/users/{self.origin.split('://')[1].partition(':')[0]}"

    def activity_id(self, kind: str, actor: str, thing: Any) -> str:
        return f"{self.origin}/01M7ZV9P3RA4KEGSHXTMZ{self.number():05d}"

    def post_id(self, author: str) -> str:
        return f"{author}/statuses/01M7ZVACK0NDPJ6FBBB6{self.number():06d}"

    def actor(self, actor: str, name: str, kind: str = "Person") -> JSON:
        return super().actor(actor, name, kind) | {
            "featured": f"{actor}/collections/featured",
            "discoverable": True,
            "hidesCcPublicFromUnauthedWeb": True,
            "hidesToPublicFromUnauthedWeb": False,
            "published": "2026-03-01T00:00:00Z",
            "tag": [],
        }

    def post(self, person: Person, words: str, **more: Any) -> JSON:
        post = super().post(person, words, to=PUBLIC, cc=self.followers(person.id))
        for empty in ("inReplyTo", "tag"):
            del post[empty]
        post |= {
            "contentMap": {"en": post["content"]},
            "interactionPolicy": {"canAnnounce": OPEN, "canLike": OPEN, "canReply": OPEN},
            "replies": {
                "first": {
                    "id": f"{post['id']}/replies?limit=20&only_other_accounts=false",
                    "next": f"{post['id']}/replies?limit=20&only_other_accounts=false&page=true",
                    "partOf": f"{post['id']}/replies",
                    "type": "CollectionPage",
                },
                "id": f"{post['id']}/replies",
                "type": "Collection",
            },
        }
        post |= more
        if isinstance(post.get("tag"), list) and len(post["tag"]) == 1:
            post["tag"] = post["tag"][0]
        return post

    def create(self, post: JSON, **more: Any) -> JSON:
        return super().create(post, id=f"{post['id']}/activity#Create", **more)

    def message(self, person: Person, member: str, words: str) -> JSON:
        create = super().message(person, member, words)
        for document in (create, create["object"]):
            del document["cc"]
            document["to"] = member
        return create

    def follow(self, person: Person, target: str) -> JSON:
        return self.activity(
            "Follow", person.id, target, to=target, id=f"{person.id}/follow/01NXA01Q{self.number()}"
        )

    def undo(self, activity: JSON, **more: Any) -> JSON:
        return super().undo(
            activity, **({"to": activity["to"]} if "to" in activity else {}), **more
        )

    def update(self, create: JSON, words: str, later: int = 2) -> JSON:
        made = super().update(create, words, later)
        made["object"]["contentMap"] = {"en": made["object"]["content"]}
        return made | {"id": f"{made['object']['id']}/activity#Update"}

    def delete(self, create: JSON) -> JSON:
        post = create["object"]
        return self.activity(
            "Delete", create["actor"], post["id"], to=PUBLIC, cc=self.followers(create["actor"])
        )

    def leave(self, person: Person) -> JSON:
        return self.activity(
            "Delete", person.id, person.id, to=self.followers(person.id), cc=PUBLIC
        )

    def block(self, person: Person, member: str) -> JSON:
        return self.activity("Block", person.id, member, to=member)

    def like(self, person: Person, ours: Ours) -> JSON:
        return self.activity(
            "Like",
            person.id,
            ours.topic,
            to=ours.author,
            id=f"{person.id}/liked/01M{self.number()}",
        )

    def boost(self, person: Person, ours: Ours) -> JSON:
        return self.activity(
            "Announce", person.id, ours.topic, published=self.now(),
            to=self.followers(person.id), cc=[ours.author, PUBLIC], id=self.post_id(person.id),
        )  # fmt: skip

    def vote(self, person: Person, ours: Ours, choice: str) -> JSON:
        """One Create, of a list of notes where several were chosen."""
        made = super().vote(person, ours, choice)
        return made | {"object": [made["object"]]}

    def report(self, person: Person, ours: Ours, words: str) -> JSON:
        return self.activity(
            "Flag", self.instance_id(), [ours.author, ours.topic], content=words,
            id=f"{self.origin}/reports/01M7ZVBQM3NJ6T69{self.number()}",
        )  # fmt: skip
