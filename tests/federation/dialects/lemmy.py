"""Lemmy 0.19 and 1.0 (federation.md §4, §4.9; its own test documents)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from tests.federation.dialects import reasons
from tests.federation.dialects.dialect import AS, JSON, PUBLIC, Ours, Person
from tests.federation.dialects.signing import Signing
from tests.federation.dialects.threadiverse import ENGLISH, Threadiverse

CONTEXT = ["https://join-lemmy.org/context.json", AS]


class Lemmy(Threadiverse):
    slug = "lemmy"
    title = "Lemmy 0.19"
    software = "lemmy"
    version = "0.19.20"
    context: ClassVar[Any] = CONTEXT
    signing = Signing(
        algorithm="hs2019", covered=("(request-target)", "content-type", "date", "digest", "host")
    )
    absent: ClassVar[Mapping[str, str]] = {
        "move": reasons.NO_MOVE,
        "block": reasons.NO_BLOCKS_SENT,
        "boost": reasons.NO_BOOSTS,
        "poll": reasons.NO_POLLS,
        "vote": "Gets our polls as a page with a link.",
        "quote": reasons.NO_QUOTES,
    }

    gets: ClassVar[Mapping[str, tuple[str, ...]]] = {"our poll": ("Announce/Create/Page",)}

    def now(self, later: int = 0) -> str:
        return super().now(later).replace("Z", ".557399Z")

    def instance_id(self) -> str:
        return f"{self.origin}/"

    def inbox(self, actor: str) -> str:
        return f"{actor.rstrip('/')}/inbox"

    def post_id(self, author: str) -> str:
        return f"{self.origin}/post/{self.number()}"

    def activity_id(self, kind: str, actor: str, thing: Any) -> str:
        return (
            f"{self.origin}/activities/{kind.lower()}/eee6a57a-622f-464d-b560-{self.number():012d}"
        )

    def actor(self, actor: str, name: str, kind: str = "Person") -> JSON:
        document = super().actor(actor, name, kind) | {
            "published": "2021-03-01T10:00:00.557399Z",
            "source": {"content": "Hello", "mediaType": "text/markdown"},
            "icon": {"type": "Image", "url": f"{self.origin}/pictrs/image/a.webp"},
        }
        for left_out in ("followers", "following", "url", "manuallyApprovesFollowers"):
            del document[left_out]
        if kind == "Group":
            document |= {
                "followers": self.followers(actor),
                "attributedTo": f"{actor}/moderators",
                "featured": f"{actor}/featured",
                "postingRestrictedToMods": False,
                "sensitive": False,
                "language": [ENGLISH],
            }
        if kind == "Application":
            del document["endpoints"]
        return document

    def undo(self, activity: JSON, **more: Any) -> JSON:
        return super().undo(
            activity, **({"to": activity["to"]} if "to" in activity else {}), **more
        )

    def unmoderation(self, activity: JSON) -> JSON:
        addressed = {name: activity[name] for name in ("cc", "audience") if name in activity}
        return self.undo(activity, **addressed)

    def page(self, person: Person, ours: Ours, words: str) -> JSON:
        return super().page(person, ours, words) | {
            "attachment": [
                {"type": "Link", "href": "https://example.org/slugs", "mediaType": "text/html"}
            ],
            "tag": [
                {
                    "href": f"{self.origin}/post/1",
                    "name": f"#{ours.group_name}",
                    "type": "Hashtag",
                }
            ],
        }

    def create(self, post: JSON, **more: Any) -> JSON:
        made = self.activity("Create", post["attributedTo"], post, to=post["to"], cc=post["cc"])
        return made | {"audience": post["audience"]} | more if "audience" in post else made | more

    def reply(self, person: Person, ours: Ours, words: str) -> JSON:
        note = self.comment(person, ours, words) | {
            "to": [PUBLIC],
            "cc": [ours.group, ours.author],
            "attachment": [],
        }
        return self.create(note, tag=note["tag"])

    def update(self, create: JSON, words: str, later: int = 2) -> JSON:
        addressed = {name: create[name] for name in ("to", "cc", "audience") if name in create}
        post = self.edited(create, words, later)
        return self.activity("Update", create["actor"], post, **addressed)

    def like(self, person: Person, ours: Ours) -> JSON:
        return self.activity("Like", person.id, ours.topic, audience=ours.group)

    def dislike(self, person: Person, ours: Ours) -> JSON:
        return self.activity("Dislike", person.id, ours.topic, audience=ours.group)

    def unlike(self, like: JSON) -> JSON:
        """Its Undo names a Like that was never sent, with an id of its own, whatever the vote was."""
        vote = self.inner(like) | {
            "id": self.activity_id("Like", like["actor"], ""),
            "type": "Like",
        }
        return self.activity("Undo", like["actor"], vote, audience=like["audience"])

    def undislike(self, dislike: JSON) -> JSON:
        return self.unlike(dislike)

    def announce(self, group: str, thing: Any) -> JSON:
        return self.activity("Announce", group, thing, to=[PUBLIC], cc=[self.followers(group)])

    def group_topic(self, group: str, create: JSON) -> list[JSON]:
        """The activity, then the page itself for Pleroma and Mastodon."""
        return [
            self.announce(group, self.inner(create)),
            self.announce(group, create["object"] | {"@context": CONTEXT}),
        ]


class Lemmy10(Lemmy):
    """What 1.0 does otherwise: no group in `to` of the activity, messages as Note, locked comments, `context`."""

    slug = "lemmy-1.0"
    title = "Lemmy 1.0"
    version = "1.0.0-beta.1"

    def page(self, person: Person, ours: Ours, words: str) -> JSON:
        page = super().page(person, ours, words)
        return page | {
            "context": f"{page['id']}/context",
            "tag": [
                *page["tag"],
                {
                    "type": "CommunityPostTag",
                    "id": f"{ours.group}/tag/news",
                    "preferredUsername": "news",
                },
            ],
        }

    def create(self, post: JSON, **more: Any) -> JSON:
        made = super().create(post, **more)
        if post["type"] == "Page":
            made |= {"to": [PUBLIC], "cc": [post["audience"]]}
        return made

    def chat(self, person: Person, member: str, words: str) -> JSON:
        return super().chat(person, member, words) | {"type": "Note"}

    def remove(self, person: Person, ours: Ours, reason: str) -> JSON:
        return self.moderation(
            "Delete", person, ours, ours.topic, summary=reason, withReplies=False
        )

    def lock(self, person: Person, ours: Ours) -> JSON:
        return self.moderation(
            "Lock", person, ours, ours.topic, to=[ours.group, PUBLIC], summary="Enough"
        )

    def moderation(self, kind: str, person: Person, ours: Ours, thing: Any, **more: Any) -> JSON:
        addressed = {"to": [PUBLIC], "cc": [ours.group], "audience": ours.group}
        return self.activity(kind, person.id, thing, **(addressed | more))
