"""Mbin 1.9 (federation.md §4.2, §4.3; the snapshots of its own tests)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from tests.federation.dialects import reasons
from tests.federation.dialects.dialect import AS, JSON, PUBLIC, SECURITY, Dialect, Ours, Person
from tests.federation.dialects.signing import Signing


class Mbin(Dialect):
    slug = "mbin"
    title = "Mbin 1.9"
    software = "mbin"
    version = "1.9.0"
    family = "threads"
    signing = Signing(covered=("(request-target)", "date", "host", "accept", "digest"))
    absent: ClassVar[Mapping[str, str]] = {
        "move": reasons.NO_MOVE,
        "block": reasons.NO_BLOCKS_SENT,
        "quote": reasons.NO_QUOTES,
    }

    def __init__(self, origin: str, hub: str) -> None:
        super().__init__(origin, hub)
        self.context = [AS, SECURITY, f"{origin}/contexts"]  # type: ignore[misc]

    def now(self, later: int = 0) -> str:
        return super().now(later).replace("Z", "+00:00")

    def person_id(self, name: str) -> str:
        return f"{self.origin}/u/{name}"

    def group_id(self, name: str) -> str:
        return f"{self.origin}/m/{name}"

    def instance_id(self) -> str:
        return f"{self.origin}/i/actor"

    def shared_inbox(self) -> str:
        return f"{self.origin}/f/inbox"

    def post_id(self, author: str) -> str:
        return f"{self.origin}/m/garden/t/{self.number()}"

    def activity_id(self, kind: str, actor: str, thing: Any) -> str:
        return f"{self.origin}/f/object/06ab3ee1-4bc5-482a-a62e-{self.number():012d}"

    def actor(self, actor: str, name: str, kind: str = "Person") -> JSON:
        document = super().actor(actor, name, kind) | {"url": actor, "published": self.now(-9000)}
        if kind == "Group":
            document |= {
                "attributedTo": f"{actor}/moderators",
                "featured": f"{actor}/pinned",
                "postingRestrictedToMods": False,
                "sensitive": False,
            }
        return document

    def page(self, person: Person, ours: Ours, words: str) -> JSON:
        """Without a text of its own there is `summary` with the title and the hashtags, and a null `content`."""
        return {
            "id": self.post_id(person.id),
            "type": "Page",
            "attributedTo": person.id,
            "inReplyTo": None,
            "to": [ours.group, PUBLIC],
            "cc": [self.followers(person.id)],
            "name": words,
            "audience": ours.group,
            "content": None,
            "summary": f"{words} #{ours.group_name}",
            "mediaType": "text/html",
            "source": None,
            "tag": [
                {"type": "Hashtag", "href": f"{self.origin}/tag/x", "name": f"#{ours.group_name}"}
            ],
            "commentsEnabled": True,
            "sensitive": False,
            "stickied": False,
            "published": self.now(),
            "contentMap": {"en": None},
        }

    def create(self, post: JSON, **more: Any) -> JSON:
        made = super().create(post, **more)
        return made | ({"audience": post["audience"]} if "audience" in post else {})

    def topic(self, person: Person, ours: Ours, words: str) -> JSON:
        return self.create(self.page(person, ours, words))

    def reply(self, person: Person, ours: Ours, words: str) -> JSON:
        uri = f"{self.origin}/m/garden/t/{self.number()}/-/comment/{self.number()}"
        content = f"<p>{words}</p>\n"
        note = {
            "id": uri,
            "type": "Note",
            "attributedTo": person.id,
            "inReplyTo": ours.topic,
            "to": [PUBLIC, ours.author],
            "cc": [ours.group, self.followers(person.id)],
            "audience": ours.group,
            "sensitive": False,
            "content": content,
            "mediaType": "text/html",
            "source": {"content": words, "mediaType": "text/markdown"},
            "url": uri,
            "tag": [self.mention(ours.author, "anna")],
            "published": self.now(),
            "contentMap": {"en": content},
        }
        return self.create(note)

    def update(self, create: JSON, words: str, later: int = 2) -> JSON:
        content = f"<p>{words}</p>\n"
        post = create["object"] | {
            "content": content,
            "source": {"content": words, "mediaType": "text/markdown"},
            "contentMap": {"en": content},
            "updated": self.now(later),
        }
        addressed = {name: create[name] for name in ("to", "cc", "audience")}
        return self.activity("Update", create["actor"], post, published=self.now(), **addressed)

    def delete(self, create: JSON) -> JSON:
        post = create["object"]
        return self.activity(
            "Delete", create["actor"], {"id": post["id"], "type": "Tombstone"},
            to=post["to"], cc=post["cc"],
        )  # fmt: skip

    def leave(self, person: Person) -> JSON:
        """Without a context."""
        return self.inner(
            self.activity(
                "Delete",
                person.id,
                person.id,
                to=[PUBLIC],
                cc=[self.followers(person.id)],
                removeData=True,
            )
        )

    def message(self, person: Person, member: str, words: str) -> JSON:
        chat = {
            "id": f"{self.origin}/message/{self.number()}",
            "type": "ChatMessage",
            "attributedTo": person.id,
            "to": [member],
            "cc": [],
            "content": f"<p>{words}</p>\n",
            "mediaType": "text/html",
            "source": {"content": words, "mediaType": "text/markdown"},
            "published": self.now(),
        }
        return self.create(chat)

    def poll(self, person: Person, ours: Ours, words: str) -> JSON:
        page = self.page(person, ours, words)
        return self.create(page | self.question() | {"votersCount": 0})

    def vote(self, person: Person, ours: Ours, choice: str) -> JSON:
        note = {
            "id": f"{self.origin}/poll/vote/{self.number()}",
            "attributedTo": person.id,
            "to": [ours.author],
            "cc": [],
            "type": "Note",
            "published": self.now(),
            "inReplyTo": ours.topic,
            "name": choice,
        }
        return self.create(note)

    def reaction(self, kind: str, person: Person, ours: Ours) -> JSON:
        return self.activity(
            kind, person.id, ours.topic, to=[PUBLIC],
            cc=[self.followers(person.id), ours.group], audience=ours.group,
        )  # fmt: skip

    def like(self, person: Person, ours: Ours) -> JSON:
        return self.reaction("Like", person, ours)

    def dislike(self, person: Person, ours: Ours) -> JSON:
        return self.reaction("Dislike", person, ours)

    def unlike(self, like: JSON) -> JSON:
        return self.undo(like, to=like["to"], cc=like["cc"], audience=like["audience"])

    def undislike(self, dislike: JSON) -> JSON:
        return self.unlike(dislike)

    def report(self, person: Person, ours: Ours, words: str) -> JSON:
        """A reason is optional there: both fields can be null."""
        return self.activity(
            "Flag", person.id, ours.topic, audience=ours.group, summary=None, content=None,
            to=[ours.group],
        )  # fmt: skip

    def remove(self, person: Person, ours: Ours, reason: str) -> JSON:
        """A Tombstone, and a blank as the reason."""
        gone = {"id": ours.topic, "type": "Tombstone"}
        return self.activity(
            "Delete", person.id, gone, to=[ours.group, PUBLIC],
            cc=[f"{ours.author}/followers"], summary=" ",
        )  # fmt: skip

    def lock(self, person: Person, ours: Ours) -> JSON:
        """Without `audience`."""
        return self.activity(
            "Lock", person.id, ours.topic, to=[PUBLIC],
            cc=[ours.group, self.followers(person.id)],
        )  # fmt: skip

    def ban(self, person: Person, ours: Ours, other: str, reason: str) -> JSON:
        return self.moderation(
            "Block", person, ours, other, target=ours.group, summary=reason, expires=None
        )

    def announce(self, group: str, thing: Any) -> JSON:
        return super().announce(group, thing) | {"audience": group}
