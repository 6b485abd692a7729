"""Mobilizon 5 (federation.md §5.4; its own test documents)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from cryptography.hazmat.primitives import serialization

from tests.federation.dialects import reasons
from tests.federation.dialects.dialect import AS, JSON, PUBLIC, SECURITY, Dialect, Ours, Person
from tests.federation.dialects.signing import Signing


class Mobilizon(Dialect):
    """Events, which a group owns and a person writes; the key as PKCS #1."""

    slug = "mobilizon"
    title = "Mobilizon 5"
    software = "mobilizon"
    version = "5.1.2"
    family = "both"
    context: ClassVar[Any] = [
        AS,
        SECURITY,
        {
            "sc": "http://schema.org#",
            "mz": "https://joinmobilizon.org/ns#",
            "ical": "http://www.w3.org/2002/12/cal/ical#",
            "uuid": "sc:identifier",
            "@language": "und",
        },
    ]
    signing = Signing(covered=("(request-target)", "content-length", "date", "digest", "host"))
    absent: ClassVar[Mapping[str, str]] = reasons.MODERATES_NOT | {
        "dislike": reasons.NO_DOWNVOTES,
        "group vote": "Its people do not vote.",
        "like": "Its people answer or come, and nothing else.",
        "boost": reasons.NO_BOOSTS,
        "poll": reasons.NO_POLLS,
        "vote": reasons.NO_VOTES_SENT,
        "quote": reasons.NO_QUOTES,
        "move": reasons.NO_MOVE,
        "block": reasons.NO_BLOCKS_SENT,
    }

    def person_id(self, name: str) -> str:
        return f"{self.origin}/@{name}"

    def instance_id(self) -> str:
        return f"{self.origin}/relay"

    def post_id(self, author: str) -> str:
        return f"{self.origin}/events/b81c0531-a57c-497d-93ba-{self.number():012d}"

    def activity_id(self, kind: str, actor: str, thing: Any) -> str:
        return f"{self.origin}/{kind.lower()}/726f43ab-bd0e-4ab3-89c8-{self.number():012d}"

    def key(self, actor: str) -> JSON:
        document = super().key(actor)
        public = serialization.load_pem_public_key(document["publicKeyPem"].encode())
        pem = public.public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.PKCS1
        ).decode()
        return document | {"publicKeyPem": f"{pem}\n"}

    def actor(self, actor: str, name: str, kind: str = "Person") -> JSON:
        document = super().actor(actor, name, kind) | {
            "url": actor,
            "discoverable": True,
            "icon": {
                "mediaType": None,
                "type": "Image",
                "url": f"{self.origin}/media/a.png?name=a",
            },
        }
        if kind == "Group":
            own = {what: f"{actor}/{what}" for what in ("members", "events", "posts", "resources")}
            document |= own | {"memberCount": 13, "openness": "open"}
            document["endpoints"] = {**own, "sharedInbox": self.shared_inbox()}
        return document

    def event(self, person: Person, ours: Ours, words: str) -> JSON:
        uri = self.post_id(person.id)
        return {
            "id": uri,
            "type": "Event",
            "uuid": uri.rpartition("/")[2],
            "actor": person.id,
            "attributedTo": self.group_id("dancers"),
            "name": words,
            "content": f"<p>{words}, at length</p>",
            "mediaType": "text/html",
            "inLanguage": "en",
            "startTime": self.now(90_000),
            "endTime": self.now(97_200),
            "timezone": "Europe/London",
            "joinMode": "free",
            "ical:status": "CONFIRMED",
            "maximumAttendeeCapacity": 0,
            "remainingAttendeeCapacity": None,
            "commentsEnabled": True,
            "repliesModerationOption": "allow_all",
            "isOnline": False,
            "draft": False,
            "location": {
                "type": "Place",
                "id": f"{self.origin}/address/e4c95383-15ac-4cc7-adf6-723d74ee2ccc",
                "name": "Old mill",
                "latitude": 50.66881615,
                "longitude": -3.537739788359949,
                "address": {"type": "PostalAddress", "addressLocality": "Teignbridge"},
            },
            "attachment": [
                {
                    "mediaType": "image/jpeg",
                    "name": "Banner",
                    "type": "Document",
                    "url": f"{self.origin}/media/cd75.jpg?name=it%27s%20banner.jpg",
                }
            ],
            "tag": [self.mention(ours.group, ours.group_name)],
            "published": self.now(),
            "url": uri,
            "to": [PUBLIC, ours.group],
            "cc": [self.followers(self.group_id("dancers"))],
        }

    def create(self, post: JSON, **more: Any) -> JSON:
        return self.activity(
            "Create", post.get("actor", post["attributedTo"]), post,
            attributedTo=post["attributedTo"], published=post["published"], to=post["to"],
            cc=post["cc"], id=f"{post['id']}/activity", **more,
        )  # fmt: skip

    def topic(self, person: Person, ours: Ours, words: str) -> JSON:
        return self.create(self.event(person, ours, words))

    def reply(self, person: Person, ours: Ours, words: str) -> JSON:
        uri = f"{self.origin}/comments/726f43ab-{self.number():012d}"
        note = {
            "id": uri,
            "type": "Note",
            "actor": person.id,
            "attributedTo": person.id,
            "content": self.html(words),
            "inReplyTo": ours.topic,
            "isAnnouncement": False,
            "mediaType": "text/html",
            "published": self.now(),
            "uuid": uri.rpartition("/")[2],
            "tag": [],
            "to": [PUBLIC, ours.author],
            "cc": [self.followers(person.id)],
        }
        return self.create(note)

    def update(self, create: JSON, words: str, later: int = 2) -> JSON:
        made = super().update(create, words, later)
        return made | {"id": f"{made['object']['id']}/activity/{self.number()}"}

    def delete(self, create: JSON) -> JSON:
        gone = {"id": create["object"]["id"], "type": "Tombstone", "deleted": self.now()}
        return self.activity(
            "Delete", create["actor"], gone, to=[PUBLIC], id=f"{gone['id']}/delete"
        )

    def message(self, person: Person, member: str, words: str) -> JSON:
        create = self.reply(person, Ours("", "", member), words)
        note = create["object"] | {"inReplyTo": None, "to": [member], "cc": []}
        return self.create(note | {"tag": [self.mention(member, "ben")]})

    def report(self, person: Person, ours: Ours, words: str) -> JSON:
        return self.activity(
            "Flag", self.instance_id(), [ours.author, ours.topic], content=words, to=[ours.author]
        )

    def group_topic(self, group: str, create: JSON) -> list[JSON]:
        """By id, and as the relay of the server does."""
        return [self.announce(group, create["object"]["id"])]
