"""What Lemmy began to write and PieFed writes in the same way (federation.md §4): pages, comments and private messages
with their Markdown, each in a community."""

from __future__ import annotations

from typing import Any, ClassVar

from tests.federation.dialects.dialect import JSON, PUBLIC, Dialect, Family, Ours, Person

ENGLISH = {"identifier": "en", "name": "English"}


class Threadiverse(Dialect):
    """The forms that both have; each adds what is its own."""

    family: ClassVar[Family] = "threads"
    group_inbox = True

    def person_id(self, name: str) -> str:
        return f"{self.origin}/u/{name}"

    def group_id(self, name: str) -> str:
        return f"{self.origin}/c/{name}"

    def follow(self, person: Person, target: str) -> JSON:
        return self.activity("Follow", person.id, target, to=[target])

    def leave(self, person: Person) -> JSON:
        return self.activity("Delete", person.id, person.id, to=[PUBLIC], removeData=True)

    def said(self, words: str) -> JSON:
        return {
            "content": f"<p>{words}</p>\n",
            "mediaType": "text/html",
            "source": {"content": words, "mediaType": "text/markdown"},
        }

    def page(self, person: Person, ours: Ours, words: str) -> JSON:
        return {
            "type": "Page",
            "id": self.post_id(person.id),
            "attributedTo": person.id,
            "to": [ours.group, PUBLIC],
            "cc": [],
            "name": words,
            **self.said(f"{words}, at length"),
            "sensitive": False,
            "published": self.now(),
            "language": ENGLISH,
            "audience": ours.group,
        }

    def comment(self, person: Person, ours: Ours, words: str) -> JSON:
        return {
            "type": "Note",
            "id": f"{self.origin}/comment/{self.number()}",
            "attributedTo": person.id,
            "inReplyTo": ours.topic,
            **self.said(words),
            "published": self.now(),
            "tag": [self.mention(ours.author, "anna")],
            "distinguished": False,
            "language": ENGLISH,
            "audience": ours.group,
        }

    def topic(self, person: Person, ours: Ours, words: str) -> JSON:
        return self.create(self.page(person, ours, words))

    def edited(self, create: JSON, words: str, later: int) -> JSON:
        edited: JSON = create["object"] | self.said(words) | {"updated": self.now(later)}
        return edited

    def delete(self, create: JSON) -> JSON:
        post = create["object"]
        return self.activity(
            "Delete", create["actor"], post["id"], to=[PUBLIC], cc=[post["audience"]],
            audience=post["audience"],
        )  # fmt: skip

    def chat(self, person: Person, member: str, words: str) -> JSON:
        return {
            "type": "ChatMessage",
            "id": f"{self.origin}/private_message/{self.number()}",
            "attributedTo": person.id,
            "to": [member],
            **self.said(words),
            "published": self.now(),
        }

    def message(self, person: Person, member: str, words: str) -> JSON:
        return self.activity("Create", person.id, self.chat(person, member, words), to=[member])

    def report(self, person: Person, ours: Ours, words: str) -> JSON:
        """Of one post, in the person's own name."""
        addressed: dict[str, Any] = {"to": [ours.group], "audience": ours.group}
        return self.activity("Flag", person.id, ours.topic, **addressed, summary=words)
