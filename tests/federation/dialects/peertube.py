"""PeerTube 7 (federation.md §4.2; documents in other servers' tests, its addresses)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from tests.federation.dialects import reasons
from tests.federation.dialects.dialect import AS, JSON, PUBLIC, SECURITY, Dialect, Ours, Person
from tests.federation.dialects.signing import Signing


class PeerTube(Dialect):
    """Videos by an account and a channel; what is liked or followed again has the same id again."""

    slug = "peertube"
    title = "PeerTube 7"
    software = "peertube"
    version = "7.3.0"
    family = "both"
    context: ClassVar[Any] = [
        AS,
        SECURITY,
        {"RsaSignature2017": "https://w3id.org/security#RsaSignature2017"},
    ]
    signing = Signing()
    absent: ClassVar[Mapping[str, str]] = reasons.MODERATES_NOT | {
        "group vote": "Its channels announce no votes.",
        "topic": "Its videos name no group of others.",
        "edit": "Its comments cannot be edited, and its videos are in no group of ours.",
        "boost": "Its channels announce their own videos and nothing else.",
        "message": reasons.NO_MESSAGES,
        "poll": reasons.NO_POLLS,
        "vote": reasons.NO_VOTES_SENT,
        "quote": reasons.NO_QUOTES,
        "move": reasons.NO_MOVE,
        "block": reasons.NO_BLOCKS_SENT,
    }

    def now(self, later: int = 0) -> str:
        return super().now(later).replace("Z", ".721Z")

    def person_id(self, name: str) -> str:
        return f"{self.origin}/accounts/{name}"

    def group_id(self, name: str) -> str:
        return f"{self.origin}/video-channels/{name}"

    def instance_id(self) -> str:
        return f"{self.origin}/accounts/peertube"

    def post_id(self, author: str) -> str:
        return f"{self.origin}/videos/watch/5e348297-7b05-4fe1-807d-{self.number():012d}"

    def activity_id(self, kind: str, actor: str, thing: Any) -> str:
        uri = self.id_of(thing)
        about = sum(map(ord, uri))
        if kind in ("Like", "Dislike", "Follow"):
            return f"{actor}/{kind.lower()}s/{about}"
        return f"{uri if uri.startswith(self.origin) else actor}/{kind.lower()}/{self.number()}"

    def actor(self, actor: str, name: str, kind: str = "Person") -> JSON:
        document = super().actor(actor, name, kind) | {
            "url": actor,
            "playlists": f"{actor}/playlists",
            "published": "2025-01-01T00:00:00.000Z",
            "icon": [{"type": "Image", "mediaType": "image/png", "url": f"{self.origin}/a.png"}],
        }
        if kind == "Group":
            document["attributedTo"] = [{"type": "Person", "id": self.person_id("keeper")}]
        return document

    def undo(self, activity: JSON, **more: Any) -> JSON:
        return super().undo(activity, id=f"{activity['id']}/undo", **more)

    def video(self, person: Person, words: str) -> JSON:
        uri = self.post_id(person.id)
        return {
            "to": [PUBLIC],
            "cc": [self.followers(person.id)],
            "type": "Video",
            "id": uri,
            "name": words,
            "duration": "PT2814S",
            "uuid": uri.rpartition("/")[2],
            "category": {"identifier": "15", "name": "Science & Technology"},
            "language": {"identifier": "en", "name": "English"},
            "views": 6,
            "sensitive": False,
            "summary": None,
            "state": 1,
            "commentsEnabled": True,
            "canReply": None,
            "commentsPolicy": 1,
            "published": self.now(),
            "originallyPublishedAt": None,
            "updated": self.now(),
            "tag": [{"type": "Hashtag", "name": "garden"}],
            "mediaType": "text/markdown",
            "content": f"{words}, **at length**",
            "support": None,
            "subtitleLanguage": [],
            "icon": [
                {
                    "type": "Image",
                    "url": f"{self.origin}/lazy-static/thumbnails/c3.jpg",
                    "mediaType": "image/jpeg",
                    "width": 280,
                    "height": 157,
                }
            ],
            "url": [
                {"type": "Link", "mediaType": "text/html", "href": f"{self.origin}/w/cCGUxnZuDU"},
                {
                    "type": "Link",
                    "mediaType": "application/x-mpegURL",
                    "href": f"{self.origin}/streaming/master.m3u8",
                    "tag": [{"type": "Infohash", "name": "6949"}],
                },
                {
                    "type": "Link",
                    "name": "tracker-websocket",
                    "rel": ["tracker", "websocket"],
                    "href": "wss://peertube.test/tracker/socket",
                },
            ],
            "likes": f"{uri}/likes",
            "dislikes": f"{uri}/dislikes",
            "shares": f"{uri}/announces",
            "comments": f"{uri}/comments",
            "attributedTo": [
                {"type": "Person", "id": person.id},
                {"type": "Group", "id": self.group_id("channel")},
            ],
            "isLiveBroadcast": False,
        }

    def reply(self, person: Person, ours: Ours, words: str) -> JSON:
        uri = f"{self.post_id(person.id)}/comments/{self.number()}"
        note = {
            "type": "Note",
            "id": uri,
            "content": self.html(words),
            "mediaType": "text/html",
            "inReplyTo": ours.topic,
            "updated": self.now(),
            "published": self.now(),
            "url": uri,
            "attributedTo": person.id,
            "tag": [self.mention(ours.author, "anna")],
            "to": [PUBLIC],
            "cc": [self.followers(person.id), ours.author],
            "replyApproval": None,
        }
        return self.create(note)

    def delete(self, create: JSON) -> JSON:
        uri = create["object"]["id"]
        return self.activity("Delete", create["actor"], uri, id=f"{uri}/delete", to=[PUBLIC])

    def report(self, person: Person, ours: Ours, words: str) -> JSON:
        return self.activity(
            "Flag", self.instance_id(), [ours.topic], content=words, tag=[],
            id=f"{self.origin}/admin/abuses/{self.number()}", to=[PUBLIC], cc=[ours.author],
        )  # fmt: skip

    def group_topic(self, group: str, create: JSON) -> list[JSON]:
        return [self.announce(group, create["object"]["id"])]

    def topic(self, person: Person, ours: Ours, words: str) -> JSON:
        """For its own channel: see `absent`."""
        video = self.video(person, words)
        return self.activity(
            "Create", person.id, video, to=video["to"], cc=video["cc"], published=video["published"]
        )

    def update(self, create: JSON, words: str, later: int = 2) -> JSON:
        video = create["object"] | {"content": words, "updated": self.now(later)}
        return self.activity("Update", create["actor"], video, to=video["to"], cc=video["cc"])
