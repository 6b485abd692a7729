"""PieFed 1.6 (federation.md §4.2, §4.3, §5.3; recorded documents)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from tests.federation.dialects import reasons
from tests.federation.dialects.dialect import AS, JSON, PUBLIC, SECURITY, Ours, Person
from tests.federation.dialects.signing import Signing
from tests.federation.dialects.threadiverse import Threadiverse


class PieFed(Threadiverse):
    slug = "piefed"
    title = "PieFed 1.6"
    software = "piefed"
    version = "1.6.6"
    signing = Signing(
        covered=("(request-target)", "host", "date", "digest", "content-type"),
        parameters=("keyId", "headers", "signature", "algorithm"),
    )
    absent: ClassVar[Mapping[str, str]] = {
        "boost": reasons.NO_BOOSTS,
        "move": reasons.NO_MOVE,
        "block": reasons.NO_BLOCKS_SENT,
        "quote": reasons.NO_QUOTES,
    }

    def now(self, later: int = 0) -> str:
        return super().now(later).replace("Z", ".760814+00:00")

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

    def undo(self, activity: JSON, **more: Any) -> JSON:
        addressed = {name: activity[name] for name in ("to", "cc", "audience") if name in activity}
        return super().undo(activity, **(addressed | more))

    def unmoderation(self, activity: JSON) -> JSON:
        return self.undo(activity)

    def page(self, person: Person, ours: Ours, words: str) -> JSON:
        return super().page(person, ours, words) | {
            "attachment": [{"href": "https://example.org/slugs", "type": "Link"}],
            "tag": [],
            "commentsEnabled": True,
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

    def reply(self, person: Person, ours: Ours, words: str) -> JSON:
        note = self.comment(person, ours, words) | {
            "to": [PUBLIC, ours.author],
            "cc": [ours.group, self.followers(person.id)],
            "flair": "",
            "repliesEnabled": True,
        }
        return self.create(note, tag=note["tag"])

    def update(self, create: JSON, words: str, later: int = 2) -> JSON:
        post = self.edited(create, words, later)
        return self.activity(
            "Update", create["actor"], post, to=[PUBLIC], cc=[post["audience"]],
            audience=post["audience"],
        )  # fmt: skip

    def leave(self, person: Person) -> JSON:
        return super().leave(person) | {"id": f"{person.id}#delete"}

    def chat(self, person: Person, member: str, words: str) -> JSON:
        return super().chat(person, member, words) | {"encrypted": None}

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
        return super().report(person, ours, words) | {"content": words}

    def announce(self, group: str, thing: Any) -> JSON:
        return self.activity(
            "Announce", group, thing, to=[group, PUBLIC], cc=[self.followers(group)]
        )

    def group_topic(self, group: str, create: JSON) -> list[JSON]:
        """Several activities at once, where several wait."""
        other = self.inner(create) | {"id": self.activity_id("Create", create["actor"], "")}
        return [self.announce(group, [other, self.inner(create)])]
