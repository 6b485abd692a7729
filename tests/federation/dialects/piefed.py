"""PieFed 1.6 (federation.md §4.2, §4.3, §5.3; recorded documents)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from tests.federation.dialects import reasons
from tests.federation.dialects.dialect import AS, JSON, PUBLIC, SECURITY, Dialect, Ours, Person
from tests.federation.dialects.signing import Signing


class PieFed(Dialect):
    slug = "piefed"
    title = "PieFed 1.6"
    software = "piefed"
    version = "1.6.6"
    family = "threads"
    signing = Signing(
        covered=("(request-target)", "host", "date", "digest", "content-type"),
        parameters=("keyId", "headers", "signature", "algorithm"),
    )
    group_inbox = True
    absent: ClassVar[Mapping[str, str]] = {
        "boost": reasons.NO_BOOSTS,
        "move": reasons.NO_MOVE,
        "block": reasons.NO_BLOCKS_SENT,
        "quote": reasons.NO_QUOTES,
    }

    def now(self, later: int = 0) -> str:
        return super().now(later).replace("Z", ".760814+00:00")

    def person_id(self, name: str) -> str:
        return f"{self.origin}/u/{name}"

    def group_id(self, name: str) -> str:
        return f"{self.origin}/c/{name}"

    def post_id(self, author: str) -> str:
        return f"{self.origin}/c/garden/p/{self.number()}/a-page"

    def activity_id(self, kind: str, actor: str, thing: Any) -> str:
        return f"{self.origin}/activities/{kind.lower()}/aSoZhbBvga{self.number()}"

    def activity(self, kind: str, actor: str, thing: Any, **more: Any) -> JSON:
        made = super().activity(kind, actor, thing, **more)
        return self.inner(made) | {"@context": [AS, SECURITY]}

    def actor(self, actor: str, name: str, kind: str = "Person") -> JSON:
        document = super().actor(actor, name, kind) | {
            "url": actor,
            "discoverable": True,
            "indexable": True,
            "manuallyApprovesFollowers": kind != "Group",
            "published": "2024-03-01T10:00:00.760814+00:00",
            "source": {"content": "Hello", "mediaType": "text/markdown"},
        }
        if kind == "Group":
            document |= {
                "manuallyApprovesFollowers": False,
                "attributedTo": f"{actor}/moderators",
                "moderators": f"{actor}/moderators",
                "featured": f"{actor}/featured",
                "postingRestrictedToMods": False,
                "newModsWanted": False,
                "privateMods": False,
                "sensitive": False,
                "nsfl": False,
                "lemmy:tagsForPosts": [],
            }
        return document

    def follow(self, person: Person, target: str) -> JSON:
        return self.activity("Follow", person.id, target, to=[target])

    def undo(self, activity: JSON, **more: Any) -> JSON:
        addressed = {name: activity[name] for name in ("to", "cc", "audience") if name in activity}
        return super().undo(activity, **(addressed | more))

    def unmoderation(self, activity: JSON) -> JSON:
        return self.undo(activity)

    def page(self, person: Person, ours: Ours, words: str) -> JSON:
        return {
            "type": "Page",
            "id": self.post_id(person.id),
            "attributedTo": person.id,
            "to": [ours.group, PUBLIC],
            "cc": [],
            "name": words,
            "content": f"<p>{words}, at length</p>\n",
            "mediaType": "text/html",
            "source": {"content": f"{words}, at length", "mediaType": "text/markdown"},
            "published": self.now(),
            "language": {"identifier": "en", "name": "English"},
            "attachment": [{"href": "https://example.org/slugs", "type": "Link"}],
            "tag": [],
            "audience": ours.group,
            "commentsEnabled": True,
            "sensitive": False,
            "nsfl": False,
            "genAI": False,
            "stickied": False,
            "interactionPolicy": {"canQuote": {"automaticApproval": [PUBLIC]}},
        }

    def create(self, post: JSON, **more: Any) -> JSON:
        return self.activity(
            "Create", post["attributedTo"], post, to=post["to"], cc=post["cc"],
            audience=post["audience"], **more,
        )  # fmt: skip

    def topic(self, person: Person, ours: Ours, words: str) -> JSON:
        return self.create(self.page(person, ours, words))

    def reply(self, person: Person, ours: Ours, words: str) -> JSON:
        note = {
            "type": "Note",
            "id": f"{self.origin}/comment/{self.number()}",
            "attributedTo": person.id,
            "inReplyTo": ours.topic,
            "to": [PUBLIC, ours.author],
            "cc": [ours.group, self.followers(person.id)],
            "content": f"<p>{words}</p>\n",
            "mediaType": "text/html",
            "source": {"content": words, "mediaType": "text/markdown"},
            "published": self.now(),
            "distinguished": False,
            "flair": "",
            "repliesEnabled": True,
            "audience": ours.group,
            "language": {"identifier": "en", "name": "English"},
            "tag": [self.mention(ours.author, "anna")],
        }
        return self.create(note, tag=note["tag"])

    def update(self, create: JSON, words: str, later: int = 2) -> JSON:
        post = create["object"] | {
            "content": f"<p>{words}</p>\n",
            "source": {"content": words, "mediaType": "text/markdown"},
            "updated": self.now(later),
        }
        return self.activity(
            "Update", create["actor"], post, to=[PUBLIC], cc=[post["audience"]],
            audience=post["audience"],
        )  # fmt: skip

    def delete(self, create: JSON) -> JSON:
        post = create["object"]
        return self.activity(
            "Delete", create["actor"], post["id"], to=[PUBLIC], cc=[post["audience"]],
            audience=post["audience"],
        )  # fmt: skip

    def leave(self, person: Person) -> JSON:
        return self.activity(
            "Delete", person.id, person.id, to=[PUBLIC], removeData=True,
            id=f"{person.id}#delete",
        )  # fmt: skip

    def message(self, person: Person, member: str, words: str) -> JSON:
        chat = {
            "type": "ChatMessage",
            "id": f"{self.origin}/private_message/{self.number()}",
            "attributedTo": person.id,
            "to": [member],
            "content": f"<p>{words}</p>\n",
            "mediaType": "text/html",
            "source": {"content": words, "mediaType": "text/markdown"},
            "encrypted": None,
            "published": self.now(),
        }
        return self.activity("Create", person.id, chat, to=[member])

    def poll(self, person: Person, ours: Ours, words: str) -> JSON:
        page = self.page(person, ours, words) | self.question() | {"votersCount": 0}
        page["content"] = f"<p>{words}</p>\n"
        page["attachment"] = []
        return self.create(page)

    def vote(self, person: Person, ours: Ours, choice: str) -> JSON:
        """An activity of its own, told to the group."""
        return self.activity(
            "PollVote", person.id, ours.topic, choice_text=choice, to=[PUBLIC], cc=[ours.group],
            audience=ours.group,
        )  # fmt: skip

    def like(self, person: Person, ours: Ours) -> JSON:
        return self.activity(
            "Like", person.id, ours.topic, audience=ours.group, to=[PUBLIC], cc=[ours.group]
        )

    def dislike(self, person: Person, ours: Ours) -> JSON:
        return self.like(person, ours) | {"type": "Dislike"}

    def report(self, person: Person, ours: Ours, words: str) -> JSON:
        return self.activity(
            "Flag", person.id, ours.topic, to=[ours.group], audience=ours.group, summary=words,
            content=words,
        )  # fmt: skip

    def announce(self, group: str, thing: Any) -> JSON:
        return self.activity(
            "Announce", group, thing, to=[group, PUBLIC], cc=[self.followers(group)]
        )

    def group_topic(self, group: str, create: JSON) -> list[JSON]:
        """Several activities at once, where several wait."""
        other = self.inner(create) | {"id": self.activity_id("Create", create["actor"], "")}
        return [self.announce(group, [other, self.inner(create)])]
