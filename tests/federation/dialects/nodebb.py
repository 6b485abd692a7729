"""NodeBB 4 (federation.md §4.2, §4.9, §6.1, §12; recorded documents)."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, ClassVar
from urllib.parse import quote

from tests.federation.dialects import reasons
from tests.federation.dialects.dialect import AS, JSON, PUBLIC, Dialect, Ours, Person
from tests.federation.dialects.signing import LD_JSON, Signing


class NodeBB(Dialect):
    slug = "nodebb"
    title = "NodeBB 4.15"
    software = "NodeBB"
    version = "4.15.1"
    family = "threads"
    context: ClassVar[Any] = AS
    signing = Signing(content_type=LD_JSON)
    absent: ClassVar[Mapping[str, str]] = {
        "move": reasons.NO_MOVE,
        "block": reasons.NO_BLOCKS_SENT,
        "boost": "Its people share into categories of their own only.",
        "poll": "Reads polls, writes none.",
        "vote": reasons.NO_VOTES_SENT,
        "quote": reasons.NO_QUOTES,
        "leave": "A person who is deleted sends nothing; the actor answers 404 afterwards.",
        "lock": "Locks topics here and tells nobody.",
        "pin": "Pins topics here and tells nobody.",
        "ban": "Bans here and tells nobody.",
        "appoint": "Names moderators here and tells nobody.",
        "remove": "Sends a Delete only of what is stored in a category of its own.",
    }

    flaws: ClassVar[Mapping[str, tuple[str, str]]] = {
        "group vote": (
            "not counted",
            "The ids of its votes have fragments: nothing is served there by which we could tell that it is true.",
        )
    }
    gets: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "our deletion": ("Announce/Delete/id", "Delete/id")
    }

    def now(self, later: int = 0) -> str:
        return super().now(later).replace("Z", ".400Z")

    def person_id(self, name: str) -> str:
        return f"{self.origin}/uid/{sum(map(ord, name))}"

    def group_id(self, name: str) -> str:
        return f"{self.origin}/category/{sum(map(ord, name))}"

    def key_id(self, actor: str) -> str:
        return f"{actor}#key"

    def post_id(self, author: str) -> str:
        return f"{self.origin}/post/{self.number()}"

    def activity_id(self, kind: str, actor: str, thing: Any) -> str:
        uri = self.id_of(thing)
        about = quote(uri, safe="")
        if kind in ("Like", "Dislike"):
            # The same for every vote on one thing.
            return f"{actor}#activity/{kind.lower()}/{about}"
        return f"{actor}#activity/{kind.lower()}/{about}/{int(time.time() * 1000)}{self.number()}"

    def actor(self, actor: str, name: str, kind: str = "Person") -> JSON:
        document = super().actor(actor, name, kind) | {
            "url": f"{self.origin}/user/{name}",
            "published": "2026-03-01T19:32:58.801Z",
            "attachment": [],
            "image": {"type": "Image", "mediaType": None, "url": f"{self.origin}/assets/c.png"},
        }
        del document["manuallyApprovesFollowers"]
        if kind == "Group":
            document |= {"attributedTo": f"{actor}/moderators", "postingRestrictedToMods": False}
            del document["followers"]
        return document

    def follow(self, person: Person, target: str) -> JSON:
        return self.activity("Follow", person.id, target, to=[target])

    def undo(self, activity: JSON, **more: Any) -> JSON:
        made = super().undo(activity, **more)
        kind = activity["type"].lower()
        uri = f"{activity['actor']}#activity/undo:{kind}/{quote(str(activity['object']), safe='')}"
        return made | {"id": f"{uri}/{self.number()}"}

    def unfollow(self, follow: JSON) -> JSON:
        return self.undo(follow, to=[follow["object"]])

    def article(self, person: Person, ours: Ours, words: str) -> JSON:
        uri = self.post_id(person.id)
        content = f"<p>{words}, at length</p>\n"
        return {
            "@context": [AS, {"toot": "http://joinmastodon.org/ns#", "Emoji": "toot:Emoji"}],
            "id": uri,
            "type": "Article",
            "to": [PUBLIC, ours.group],
            "cc": [self.followers(person.id)],
            "name": words,
            "published": self.now(),
            "url": uri,
            "attributedTo": person.id,
            "context": f"{self.origin}/topic/{self.number()}",
            "audience": ours.group,
            "summary": content,
            "preview": {
                "type": "Note",
                "attributedTo": person.id,
                "content": content,
                "published": self.now(),
                "attachment": [],
            },
            "content": content,
            "source": {"content": f"{words}, at length", "mediaType": "text/markdown"},
            "tag": [self.mention(ours.group, ours.group_name)],
            "attachment": [],
        }

    def create(self, post: JSON, **more: Any) -> JSON:
        made = self.activity("Create", post["attributedTo"], post, to=post["to"], cc=post["cc"])
        return made | {"id": f"{post['id']}#activity/create/{int(time.time() * 1000)}"} | more

    def topic(self, person: Person, ours: Ours, words: str) -> JSON:
        return self.create(self.article(person, ours, words))

    def reply(self, person: Person, ours: Ours, words: str) -> JSON:
        """An answer carries the topic's title as `name`, and addresses people twice."""
        note = self.article(person, ours, "Which soil?") | {
            "type": "Note",
            "inReplyTo": ours.topic,
            "to": [PUBLIC, ours.author, ours.group],
            "cc": [self.followers(person.id), f"{ours.author}/followers", ours.author],
            "content": f"<p>{words}</p>\n",
            "source": {"content": words, "mediaType": "text/markdown"},
            "tag": [self.mention(ours.author, "anna")],
        }
        for left_out in ("summary", "preview"):
            del note[left_out]
        return self.create(note)

    def update(self, create: JSON, words: str, later: int = 2) -> JSON:
        post = create["object"] | {
            "content": f"<p>{words}</p>\n",
            "source": {"content": words, "mediaType": "text/markdown"},
            "updated": self.now(later),
        }
        made = self.activity("Update", create["actor"], post, to=post["to"], cc=post["cc"])
        return made | {"id": f"{post['id']}#activity/update/{self.number()}"}

    def delete(self, create: JSON) -> JSON:
        post = create["object"]
        return self.activity(
            "Delete", create["actor"], post["id"], to=post["to"], cc=post["cc"],
            origin=post["context"], id=f"{post['id']}#activity/delete/{self.number()}",
        )  # fmt: skip

    def message(self, person: Person, member: str, words: str) -> JSON:
        uri = f"{self.origin}/message/{self.number()}"
        note = {
            "@context": [AS],
            "id": uri,
            "type": "Note",
            "to": [member],
            "cc": [],
            "published": self.now(),
            "url": uri,
            "attributedTo": person.id,
            "summary": None,
            "content": f"<p>{words}</p>\n",
            "source": {"content": words, "mediaType": "text/markdown"},
            "tag": [{"type": "Mention", "href": member, "name": "ben@localhost"}],
            "attachment": [],
        }
        return self.activity("Create", person.id, note, to=[member], id=f"{uri}#activity/create/1")

    def dislike(self, person: Person, ours: Ours) -> JSON:
        return self.activity("Dislike", person.id, ours.topic, to=[PUBLIC], cc=[ours.author])

    def report(self, person: Person, ours: Ours, words: str) -> JSON:
        """The post first, then the account; in the reporter's name, without `to`."""
        return self.activity(
            "Flag", person.id, [ours.topic, ours.author], content=words,
            id=f"{self.origin}/post/{quote(ours.topic, safe='')}#activity/flag/{self.number()}",
        )  # fmt: skip

    def announce(self, group: str, thing: Any) -> JSON:
        """The Public in `cc` only."""
        uri = thing if isinstance(thing, str) else thing["id"]
        return self.activity(
            "Announce", group, thing, to=[self.followers(group)], cc=[PUBLIC],
            id=f"{self.origin}/post/{quote(uri, safe='')}#activity/announce/{self.number()}",
        )  # fmt: skip

    def group_topic(self, group: str, create: JSON) -> list[JSON]:
        """The object, then the activity."""
        return [self.announce(group, create["object"]), self.announce(group, create)]
