"""One peer's server as a test plays it: its people, what it sends signed as it signs, and what arrived there."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from fedcomm.hub import actors, groups, threads
from fedcomm.hub.composition import Draft
from tests.federation.dialects.dialect import JSON, Dialect, Ours, Person
from tests.federation.inprocess import LocalHub, ScriptedStubs
from tests.federation.stub import Arrived, test_key


class Scene:
    """`ours`: the hub's group and its first topic, as the peer knows them."""

    def __init__(self, town: LocalHub, servers: ScriptedStubs, dialect: type[Dialect]) -> None:
        name = servers.new_host(dialect.slug.replace(".", "").replace("-", ""))
        self.town = town
        self.servers = servers
        self.host = servers.host(name)
        self.host.software = dialect.software
        self.dialect = dialect(self.host.origin, town.origin)
        self.authority = self.host.origin.split("://")[1]
        self.ours = Ours(
            town.group_uri(town.group), town.object_uri(town.topic), town.person(town.anna)
        )
        self._people = 0
        instance = self.serve(self.dialect.instance())
        stub = self.dialect.key_document(instance["id"], instance["preferredUsername"])
        if stub is not None:
            self.host.objects[self.dialect.key_id(instance["id"])] = stub

    # Its people

    def serve(self, document: JSON) -> JSON:
        """Answer GETs of the document's id with it; what has a fragment in its id is not to be had so."""
        if "#" not in document["id"]:
            self.host.objects[document["id"]] = document
        return document

    def somebody(self, name: str = "ida", kind: str = "Person") -> Person:
        """A new person (or group) of the server."""
        self._people += 1
        name = f"{name}{self._people}"
        uri = self.dialect.group_id(name) if kind == "Group" else self.dialect.person_id(name)
        document = self.serve(self.dialect.actor(uri, name, kind))
        self.host.actors[name] = document
        stub = self.dialect.key_document(uri, name)
        if stub is not None:
            self.host.objects[self.dialect.key_id(uri)] = stub
        return Person(name, uri)

    async def member(self, name: str = "ida") -> Person:
        """Somebody who follows our group."""
        person = self.somebody(name)
        follow = self.dialect.follow(person, self.ours.group)
        assert await self.send(follow) == "done: membership active"
        return person

    async def moderator(self) -> Person:
        """Somebody whom the group's owner made a moderator."""
        person = await self.member("mod")
        known = await self.known(person)
        async with self.town.db.transaction() as tx:
            await groups.add_member(tx, self.town.group, self.town.anna, known.id, "moderator")
        self.town.site.wake()
        return person

    async def known(self, person: Person) -> actors.Actor:
        found = await actors.actor_by_uri(self.town.db, person.id)
        assert found is not None, person
        return found

    # What it sends

    async def send(self, activity: JSON, inbox: str | None = None) -> str:
        """POST it, signed as the peer signs, and what became of it."""
        await self.post(activity, inbox)
        return await self.town.verdict(activity)

    async def post(self, activity: JSON, inbox: str | None = None) -> None:
        if inbox is None:
            shared = self.town.shared_inbox
            inbox = f"{self.ours.group}/inbox" if self.dialect.group_inbox else shared
        actor = activity["actor"]
        # Spaces as json.dumps leaves them: `verdict` knows an activity without id by its bytes.
        body = json.dumps(activity).encode()
        headers = self.dialect.signing.headers(inbox, body, test_key(), self.dialect.key_id(actor))
        session = self.servers._session
        assert session is not None
        async with session.post(inbox, data=body, headers=headers) as answer:
            text = await answer.text()
            assert (answer.status, text) == (202, ""), (answer.status, text)

    async def create(self, activity: JSON) -> threads.Thing:
        """Send a Create (served at its object's id as well); what it became."""
        document = activity["object"]
        self.serve_post(document)
        assert await self.send(activity) == "done: stored"
        return await self.thing(document["id"])

    def serve_post(self, document: JSON) -> None:
        """Answer GETs of a post with it, and of the group that owns it, if one does."""
        owner = document["attributedTo"]
        if isinstance(owner, str) and owner not in self.host.objects:
            self.serve(self.dialect.actor(owner, "dancers", "Group"))
        self.serve({"@context": self.dialect.context} | document)

    async def thing(self, uri: str) -> threads.Thing:
        found = await threads.thing_by_uri(self.town.db, uri)
        assert found is not None, uri
        return found

    async def our_topic(self, title: str = "Ours", *, poll: Any = None) -> tuple[int, Ours]:
        """A new topic of anna's in the group, and how the peer knows it."""
        town = self.town
        async with town.db.transaction() as tx:
            draft = Draft("Words.", title, poll=poll)
            content = await town.site.compose(tx, draft, is_topic=True, author_id=town.anna)
            topic = await threads.create_topic(tx, town.anna, town.group, content)
        town.site.wake()
        return topic, Ours(self.ours.group, town.object_uri(topic), self.ours.author)

    # What arrived there

    def arrived(self, since: int = 0) -> Sequence[Arrived]:
        return self.host.arrived[since:]

    async def until(self, *path: str, since: int = 0) -> JSON:
        """The first arrival after `since` whose types, from outside inwards, begin so."""

        def found() -> JSON | None:
            for arrival in self.arrived(since):
                if tuple(shape(arrival.body).split("/")[: len(path)]) == path:
                    return arrival.body
            return None

        await self.servers.until(found, why=f"{self.dialect.slug}: {path}")
        body = found()
        assert body is not None
        return body


def shape(document: Any) -> str:
    """The types of a document from outside inwards: `Announce/Create/Page`, `Announce/id`."""
    if isinstance(document, str):
        return "id"
    if not isinstance(document, dict):
        return type(document).__name__
    kind = str(document.get("type"))
    wraps = "object" in document
    return f"{kind}/{shape(document['object'])}" if wraps else kind
