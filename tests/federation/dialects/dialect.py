"""What all dialects have in common: where its server is, whom it talks about, and the plain forms of activities.

The plain forms are ActivityPub's own. A peer's module overrides whatever that peer writes differently, and says in
`absent` what it never does and why. `words` are what the walk finds in the hub afterwards, where that is not the
row's usual word; `flaws` what does not work here, with the reason.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, ClassVar, Literal

from tests.federation.dialects.signing import Signing
from tests.federation.stub import AS, PUBLIC, test_key

JSON = dict[str, Any]

Family = Literal["threads", "microblog", "both"]
"""What it gets from our groups: announced activities, announced ids, or (unknown software) both."""

SECURITY = "https://w3id.org/security/v1"


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody on the peer's server. `id` is the actor's id."""

    name: str
    id: str


@dataclass(frozen=True, slots=True)
class Ours:
    """Something of our hub that a peer talks about: ids only, as a peer knows them."""

    group: str
    topic: str
    author: str
    group_name: str = "gardening"


class Dialect:
    """One server's way of writing. `origin`: its own; `hub`: ours."""

    slug: ClassVar[str]
    title: ClassVar[str]
    software: ClassVar[str]
    version: ClassVar[str]
    family: ClassVar[Family] = "microblog"
    absent: ClassVar[Mapping[str, str]] = {}
    words: ClassVar[Mapping[str, str]] = {}
    flaws: ClassVar[Mapping[str, tuple[str, str]]] = {}
    gets: ClassVar[Mapping[str, tuple[str, ...]]] = {}
    signing: ClassVar[Signing] = Signing()
    context: ClassVar[Any] = [AS, SECURITY]
    has_shared_inbox: ClassVar[bool] = True
    group_inbox: ClassVar[bool] = False
    """Whether it delivers to the group's own inbox rather than to the shared one."""

    def __init__(self, origin: str, hub: str) -> None:
        self.origin = origin
        self.hub = hub
        self._numbers = itertools.count(1001)

    # Small parts

    def number(self) -> int:
        return next(self._numbers)

    def now(self, later: int = 0) -> str:
        """A time as it writes it, `later` seconds from now."""
        return datetime.fromtimestamp(int(time.time()) + later, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

    def html(self, words: str) -> str:
        return f"<p>{words}</p>"

    def person_id(self, name: str) -> str:
        return f"{self.origin}/users/{name}"

    def group_id(self, name: str) -> str:
        return self.person_id(name)

    def instance_id(self) -> str:
        """The actor that speaks for the server, where there is one."""
        return f"{self.origin}/actor"

    def key_id(self, actor: str) -> str:
        return f"{actor}#main-key"

    def inbox(self, actor: str) -> str:
        return f"{actor}/inbox"

    def shared_inbox(self) -> str:
        return f"{self.origin}/inbox"

    def followers(self, actor: str) -> str:
        return f"{actor}/followers"

    def post_id(self, author: str) -> str:
        return f"{author}/statuses/{self.number()}"

    def activity_id(self, kind: str, actor: str, thing: Any) -> str:
        return f"{actor}#{kind.lower()}s/{self.number()}"

    def id_of(self, thing: Any) -> str:
        """The id of an id, of a document, or of the first in a list."""
        first = thing[0] if isinstance(thing, list) else thing
        return first if isinstance(first, str) else str(first.get("id", ""))

    def activity(self, kind: str, actor: str, thing: Any, **more: Any) -> JSON:
        made = {
            "@context": self.context,
            "id": self.activity_id(kind, actor, thing),
            "type": kind,
            "actor": actor,
            "object": thing,
        } | more
        return {name: value for name, value in made.items() if value is not ...}

    def inner(self, activity: JSON) -> JSON:
        """An activity as it stands inside another one."""
        return {name: value for name, value in activity.items() if name != "@context"}

    def key(self, actor: str) -> JSON:
        return {
            "id": self.key_id(actor),
            "owner": actor,
            "publicKeyPem": test_key().public().to_pem(),
        }

    # Actors

    def actor(self, actor: str, name: str, kind: str = "Person") -> JSON:
        document: JSON = {
            "@context": self.context,
            "id": actor,
            "type": kind,
            "preferredUsername": name,
            "name": name.capitalize(),
            "summary": "<p>Hello</p>",
            "inbox": self.inbox(actor),
            "outbox": f"{actor}/outbox",
            "followers": self.followers(actor),
            "following": f"{actor}/following",
            "url": f"{self.origin}/@{name}",
            "manuallyApprovesFollowers": False,
            "publicKey": self.key(actor),
        }
        if self.has_shared_inbox:
            document["endpoints"] = {"sharedInbox": self.shared_inbox()}
        return document

    def key_document(self, actor: str, name: str) -> JSON | None:
        """What is served at the key's id, where that is another address than the actor's."""
        return None

    def instance(self) -> JSON:
        host = self.origin.split("://")[1]
        return self.actor(self.instance_id(), host, "Application")

    # People

    def follow(self, person: Person, target: str) -> JSON:
        return self.activity("Follow", person.id, target)

    def undo(self, activity: JSON, **more: Any) -> JSON:
        return self.activity("Undo", activity["actor"], self.inner(activity), **more)

    def unfollow(self, follow: JSON) -> JSON:
        return self.undo(follow)

    def accept(self, follow: JSON) -> JSON:
        """Its answer to a Follow of ours."""
        return self.activity("Accept", follow["object"], self.inner(follow))

    def profile(self, person: Person, document: JSON) -> JSON:
        return self.activity(
            "Update", person.id, self.inner(document), to=[PUBLIC], id=f"{person.id}#updates/1"
        )

    def move(self, person: Person, new: str) -> JSON:
        return self.activity("Move", person.id, person.id, target=new)

    def leave(self, person: Person) -> JSON:
        return self.activity("Delete", person.id, person.id, to=[PUBLIC], id=f"{person.id}#delete")

    def block(self, person: Person, member: str) -> JSON:
        return self.activity("Block", person.id, member)

    # Words

    def post(self, person: Person, words: str, **more: Any) -> JSON:
        """A public note with nothing special to it."""
        uri = self.post_id(person.id)
        return {
            "id": uri,
            "type": "Note",
            "attributedTo": person.id,
            "content": self.html(words),
            "published": self.now(),
            "url": uri,
            "to": [PUBLIC],
            "cc": [self.followers(person.id)],
            "inReplyTo": None,
            "sensitive": False,
            "tag": [],
            "attachment": [],
        } | more

    def create(self, post: JSON, **more: Any) -> JSON:
        addressed = {name: post[name] for name in ("to", "cc") if name in post}
        made = {"published": post["published"]} | addressed | more
        return self.activity("Create", post["attributedTo"], post, **made)

    def mention(self, uri: str, name: str) -> JSON:
        host = uri.split("://")[1].partition("/")[0]
        return {"type": "Mention", "href": uri, "name": f"@{name}@{host}"}

    def topic(self, person: Person, ours: Ours, words: str) -> JSON:
        """A post into a group of ours: by mentioning it, as microblogs do."""
        post = self.post(
            person,
            f"@{ours.group_name} {words}",
            cc=[self.followers(person.id), ours.group],
            tag=[self.mention(ours.group, ours.group_name)],
        )
        return self.create(post)

    def reply(self, person: Person, ours: Ours, words: str) -> JSON:
        post = self.post(
            person,
            words,
            inReplyTo=ours.topic,
            cc=[self.followers(person.id), ours.author],
            tag=[self.mention(ours.author, "anna")],
        )
        return self.create(post)

    def update(self, create: JSON, words: str, later: int = 2) -> JSON:
        post = create["object"] | {"content": self.html(words), "updated": self.now(later)}
        return self.activity(
            "Update", create["actor"], post, to=create.get("to", ...), cc=create.get("cc", ...)
        )

    def delete(self, create: JSON) -> JSON:
        gone = {"id": create["object"]["id"], "type": "Tombstone"}
        return self.activity("Delete", create["actor"], gone, to=[PUBLIC])

    def message(self, person: Person, member: str, words: str) -> JSON:
        """For one member alone."""
        post = self.post(person, words, to=[member], cc=[], tag=[self.mention(member, "ben")])
        return self.create(post)

    def poll(self, person: Person, ours: Ours, words: str) -> JSON:
        create = self.topic(person, ours, words)
        create["object"] |= self.question()
        return create

    def question(self) -> JSON:
        return {
            "type": "Question",
            "oneOf": [
                {"type": "Note", "name": name, "replies": {"type": "Collection", "totalItems": 0}}
                for name in ("Basil", "Mint")
            ],
            "endTime": self.now(86_400),
        }

    def quote(self, person: Person, ours: Ours, words: str) -> JSON:
        """A topic that quotes `ours.topic`, in the older keys, which ask nobody."""
        create = self.topic(person, ours, words)
        create["object"] |= {"quoteUrl": ours.topic, "_misskey_quote": ours.topic}
        return create

    def quote_request(self, create: JSON, ours: Ours) -> JSON | None:
        """How it asks for consent first (FEP-044f), if it does."""
        return None

    def vote(self, person: Person, ours: Ours, choice: str) -> JSON:
        """`ours.topic` is the poll."""
        uri = f"{person.id}#votes/{self.number()}"
        note = {
            "id": uri,
            "type": "Note",
            "name": choice,
            "attributedTo": person.id,
            "inReplyTo": ours.topic,
            "to": ours.author,
        }
        return self.activity("Create", person.id, note, id=f"{uri}/activity", to=ours.author)

    # Answers without words

    def like(self, person: Person, ours: Ours) -> JSON:
        return self.activity("Like", person.id, ours.topic)

    def unlike(self, like: JSON) -> JSON:
        return self.undo(like)

    def dislike(self, person: Person, ours: Ours) -> JSON:
        return self.activity("Dislike", person.id, ours.topic)

    def undislike(self, dislike: JSON) -> JSON:
        return self.undo(dislike)

    def boost(self, person: Person, ours: Ours) -> JSON:
        return self.activity(
            "Announce",
            person.id,
            ours.topic,
            published=self.now(),
            to=[PUBLIC],
            cc=[self.followers(person.id), ours.author],
        )

    def unboost(self, boost: JSON) -> JSON:
        return self.undo(boost)

    # Moderation: `person` moderates the group

    def report(self, person: Person, ours: Ours, words: str) -> JSON:
        return self.activity(
            "Flag", self.instance_id(), [ours.author, ours.topic], content=words, to=ours.author
        )

    def moderation(self, kind: str, person: Person, ours: Ours, thing: Any, **more: Any) -> JSON:
        """In the form of the threadiverse: addressed to the public and the group."""
        return self.activity(
            kind, person.id, thing, to=[PUBLIC], cc=[ours.group], audience=ours.group, **more
        )

    def unmoderation(self, activity: JSON) -> JSON:
        addressed = {name: activity[name] for name in ("to", "cc", "audience") if name in activity}
        return self.undo(activity, **addressed)

    def remove(self, person: Person, ours: Ours, reason: str) -> JSON:
        return self.moderation("Delete", person, ours, ours.topic, summary=reason)

    def lock(self, person: Person, ours: Ours) -> JSON:
        return self.moderation("Lock", person, ours, ours.topic)

    def pin(self, person: Person, ours: Ours) -> JSON:
        return self.moderation("Add", person, ours, ours.topic, target=f"{ours.group}/featured")

    def unpin(self, pin: JSON) -> JSON:
        return pin | {"type": "Remove", "id": self.activity_id("Remove", pin["actor"], "")}

    def ban(self, person: Person, ours: Ours, other: str, reason: str) -> JSON:
        return self.moderation(
            "Block",
            person,
            ours,
            other,
            target=ours.group,
            summary=reason,
            removeData=False,
            endTime=self.now(86_400),
        )

    def appoint(self, person: Person, ours: Ours, other: str) -> JSON:
        return self.moderation("Add", person, ours, other, target=f"{ours.group}/moderators")

    def dismiss(self, appoint: JSON) -> JSON:
        return self.unpin(appoint)

    # What its own groups tell

    def announce(self, group: str, thing: Any) -> JSON:
        return self.activity(
            "Announce", group, thing, to=[PUBLIC], cc=[self.followers(group)], published=self.now()
        )

    def group_topic(self, group: str, create: JSON) -> list[JSON]:
        """How a group of its announces a topic, in its order."""
        return [self.announce(group, self.inner(create))]
