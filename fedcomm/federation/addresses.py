"""The ActivityPub ids of what is ours: opaque, lower case, without query or fragment, never reused.

    /ap/p/<id>  member    /ap/g/<id>  group    /ap/o/<id>  object    /ap/c/<id>  activity
    /ap/x/<id>  conversation of a topic        /ap/v/<id>  vote of a member in a poll elsewhere
    /ap/w/<id>  an object in the words of a private group, for microblogs
    /ap/e/<id>  custom emoji                   /ap/z/<id>  consent to a quote (FEP-044f)
    /ap/instance  the instance actor

They are numbers, so that a tombstone holds no name (design.md, Ids).
"""

from __future__ import annotations

from typing import Literal

from fedcomm.hub.actors import Actor
from fedcomm.hub.composition import profile_url
from fedcomm.hub.threads import Thing
from fedcomm.store.ids import parse_id

Path = Literal["p", "g", "o", "c", "x", "v", "w", "e", "z"]
_PATH_OF_KIND: dict[str, Path] = {"person": "p", "service": "p", "group": "g"}


class Addresses:
    """Makes and reads the ids of one hub. `origin` is `https://hub.example`."""

    def __init__(self, origin: str) -> None:
        self.origin = origin
        self._prefix = f"{origin}/ap/"
        self.instance = f"{origin}/ap/instance"
        self.shared_inbox = f"{origin}/ap/inbox"

    def actor(self, actor: Actor) -> str:
        """The id of any actor."""
        if actor.uri is not None:
            return actor.uri
        if actor.kind == "application":
            return self.instance
        if actor.kind == "canary":
            return self.canary(actor.name)
        return self.of(_PATH_OF_KIND[actor.kind], actor.id)

    def member(self, member_id: int) -> str:
        return self.of("p", member_id)

    def group(self, group_id: int) -> str:
        return self.of("g", group_id)

    def activity(self, activity_id: int) -> str:
        return self.of("c", activity_id)

    def object(self, thing: Thing) -> str:
        """The id of any object."""
        return thing.uri if thing.uri is not None else self.of("o", thing.id)

    def context(self, thing: Thing) -> str | None:
        """The conversation that a local object belongs to (FEP-7888)."""
        if thing.topic_id is not None and thing.group_id is not None:
            return self.of("x", thing.topic_id)
        return thing.context_uri

    def canary(self, name: str) -> str:
        """The id of one of the canary's actors, or of its post (`fedcomm.federation.canary`)."""
        return f"{self._prefix}canary/{name}"

    def of(self, path: Path, number: int) -> str:
        return f"{self._prefix}{path}/{number}"

    def local(self, uri: str | None, path: Path) -> int | None:
        """The number in an id of ours of this kind; None for anything else (INV-12)."""
        prefix = f"{self._prefix}{path}/"
        return parse_id(uri.removeprefix(prefix)) if uri and uri.startswith(prefix) else None

    def local_actor(self, uri: str | None) -> int | None:
        """The number in the id of one of our members or groups."""
        return self.local(uri, "p") or self.local(uri, "g")

    def told(self, object_id: int) -> str:
        """The id under which a private group tells microblogs of an object."""
        return self.of("w", object_id)

    def is_ours(self, uri: str) -> bool:
        """Whether the address is on this hub at all."""
        return uri == self.origin or uri.startswith(f"{self.origin}/")

    def page(self, actor: Actor) -> str:
        """The page for people about an actor of ours."""
        return profile_url(actor, self.origin)

    def thing_page(self, thing: Thing, group_name: str | None) -> str:
        """The page for people on which a local object stands."""
        if thing.kind == "topic" and group_name:
            return f"{self.origin}/g/{group_name}/t/{thing.id}"
        return f"{self.origin}/o/{thing.id}"
