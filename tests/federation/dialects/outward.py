"""What peers get from us: everything is done once in a group in which all of them are, and each gets its own form.

What is expected stands here by family, written from federation.md §4.2, §4.3, §4.9 and §6.1 rather than read from the
code that decides; a dialect that gets something else says so in its `gets`.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from fedcomm.hub import bans, follows, groups, moderation, reactions, reports, threads
from fedcomm.hub.ballots import Ballot
from fedcomm.hub.composition import Draft
from tests.federation.dialects.dialect import JSON, Dialect, Family, Person
from tests.federation.dialects.scene import Scene, shape
from tests.federation.inprocess import LocalHub
from tests.federation.stub import PUBLIC

Forms = tuple[str, ...]
"""The shapes of what arrives, in any order: `Announce/Create/Page`."""

WHY: Final = moderation.Grounds("Off topic")


@dataclass(frozen=True, slots=True)
class Gift:
    """Something that we tell. `forms` by family; `name` is the row's, and the key of a dialect's `gets`."""

    name: str
    title: str
    forms: Mapping[Family, Forms]

    def expected(self, dialect: type[Dialect]) -> Forms:
        return dialect.gets.get(self.name, self.forms[dialect.family])


def _wrapped(*forms: str) -> dict[Family, Forms]:
    """Told to who builds threads of announced activities, and to nobody else."""
    return {"threads": forms, "both": forms, "microblog": ()}


def _everybody(*forms: str) -> dict[Family, Forms]:
    return {"threads": forms, "both": forms, "microblog": forms}


GIFTS: Final[tuple[Gift, ...]] = (
    Gift(
        "our topic",
        "a topic",
        {
            "threads": ("Announce/Create/Page",),
            "microblog": ("Announce/id",),
            "both": ("Announce/Create/Page", "Announce/id"),
        },
    ),
    Gift("our reply", "an answer", _wrapped("Announce/Create/Note")),
    Gift("our like", "a like", _wrapped("Announce/Like/id")),
    Gift(
        "our edit",
        "an edit",
        {
            "threads": ("Announce/Update/Page", "Update/Page"),
            "microblog": ("Update/Page",),
            "both": ("Announce/Update/Page", "Update/Page"),
        },
    ),
    Gift("our lock", "closing", _wrapped("Announce/Lock/id")),
    Gift("our pin", "pinning", _wrapped("Announce/Add/id")),
    Gift("our moderator", "a new moderator", _wrapped("Announce/Add/id")),
    Gift("our ban", "a ban", _wrapped("Announce/Block/id")),
    Gift(
        "our removal",
        "a moderator's removal",
        {
            "threads": ("Announce/Delete/id",),
            "microblog": ("Delete/Tombstone", "Undo/Announce/id"),
            "both": ("Announce/Delete/id", "Delete/Tombstone", "Undo/Announce/id"),
        },
    ),
    Gift(
        "our restoring",
        "its restoring",
        {
            "threads": ("Announce/Undo/Delete/id",),
            "microblog": ("Announce/id", "Create/Page"),
            "both": ("Announce/Undo/Delete/id", "Announce/id", "Create/Page"),
        },
    ),
    Gift(
        "our deletion",
        "a deletion",
        {
            "threads": ("Announce/Delete/id", "Delete/Tombstone"),
            "microblog": ("Delete/Tombstone", "Undo/Announce/id"),
            "both": ("Announce/Delete/id", "Delete/Tombstone", "Undo/Announce/id"),
        },
    ),
    Gift(
        "our poll",
        "a poll",
        {
            "threads": ("Announce/Create/Question",),
            "microblog": ("Announce/id", "Create/Question"),
            "both": ("Announce/Create/Question", "Announce/id"),
        },
    ),
    Gift(
        "our group",
        "a new description of the group",
        _everybody("Update/Group"),
    ),
    Gift(
        "our follow",
        "a member's follow",
        _everybody("Follow/id"),
    ),
    Gift(
        "our report",
        "a report that a member lets us forward in their name",
        {"threads": ("Flag/id",), "microblog": ("Flag/list",), "both": ("Flag/list",)},
    ),
)

Sent = dict[str, dict[str, list[JSON]]]
"""What arrived, by gift and slug of the dialect."""


class Round:
    """Does everything once."""

    def __init__(self, town: LocalHub, scenes: Mapping[str, Scene]) -> None:
        self.town = town
        self.scenes = scenes
        self.group = 0
        self.people: dict[str, Person] = {}
        self.posts: dict[str, threads.Thing] = {}
        self.sent: Sent = {}

    async def run(self) -> Sent:
        await self._gather()
        topic = await self._tell("our topic", self._topic("Ours to tell"))
        await self._tell("our reply", self._reply(topic))
        await self._tell("our like", self._like(topic))
        await self._tell("our edit", self._edit(topic))
        await self._tell("our lock", self._lock(topic))
        await self._tell("our pin", self._pin(topic))
        await self._tell("our moderator", self._appoint())
        await self._tell("our ban", self._ban())
        doubtful = await self._tell("", self._topic("In doubt"))
        await self._tell("our removal", self._remove(doubtful))
        await self._tell("our restoring", self._restore(doubtful))
        await self._tell("our deletion", self._delete(topic))
        await self._tell("our poll", self._poll())
        await self._tell("our group", self._describe())
        await self._tell("our follow", self._follow())
        await self._tell("our report", self._report())
        return self.sent

    async def _gather(self) -> None:
        """A group with somebody of every peer in it, each with a post of theirs."""
        town = self.town
        self.group = await town.make_group("harbour")
        uri = town.group_uri(self.group)
        for slug, scene in self.scenes.items():
            person = self.people[slug] = scene.somebody("crew")
            follow = scene.dialect.follow(person, uri)
            assert await scene.send(follow, town.shared_inbox) == "done: membership active"
            self.posts[slug] = await scene.create(
                scene.dialect.reply(person, scene.ours, "To be reported")
            )
        await town.quiet()

    async def _tell(self, name: str, work: Awaitable[Any]) -> Any:
        since = {slug: len(scene.host.arrived) for slug, scene in self.scenes.items()}
        result = await work
        self.town.site.wake()
        await self.town.quiet()
        self.sent[name] = {
            slug: [each.body for each in scene.arrived(since[slug])]
            for slug, scene in self.scenes.items()
        }
        return result

    async def _topic(self, title: str, **more: Any) -> int:
        town = self.town
        async with town.db.transaction() as tx:
            content = await town.site.compose(
                tx, Draft("Words.", title, **more), is_topic=True, author_id=town.ben
            )
            place = await groups.membership(tx, self.group, town.ben)
            if place is None:
                await groups.join(tx, self.group, town.ben)
            return await threads.create_topic(tx, town.ben, self.group, content)

    async def _reply(self, topic: int) -> None:
        town = self.town
        async with town.db.transaction() as tx:
            content = await town.site.compose(
                tx, Draft("An answer."), is_topic=False, author_id=town.anna
            )
            await threads.create_reply(tx, town.anna, topic, content)

    async def _like(self, topic: int) -> None:
        async with self.town.db.transaction() as tx:
            await reactions.add(tx, self.town.anna, topic, "like")

    async def _edit(self, topic: int) -> None:
        town = self.town
        async with town.db.transaction() as tx:
            content = await town.site.compose(
                tx, Draft("Other words.", "Ours to tell"), is_topic=True, author_id=town.ben
            )
            await threads.edit(tx, town.ben, topic, content)

    async def _lock(self, topic: int) -> None:
        async with self.town.db.transaction() as tx:
            await threads.set_locked(tx, self.town.anna, topic, locked=True)

    async def _pin(self, topic: int) -> None:
        async with self.town.db.transaction() as tx:
            await threads.set_pinned(tx, self.town.anna, topic, pinned=True)

    async def _appoint(self) -> None:
        async with self.town.db.transaction() as tx:
            await groups.add_member(tx, self.group, self.town.anna, self.town.ben, "moderator")

    async def _ban(self) -> None:
        villain = await self._known(self.town.stubs.somebody("villain"))
        async with self.town.db.transaction() as tx:
            await moderation.ban(tx, self.group, self.town.anna, villain, WHY, days=1)
        assert await bans.ban(self.town.db, self.group, villain) is not None

    async def _remove(self, topic: int) -> None:
        async with self.town.db.transaction() as tx:
            await moderation.take_down(tx, self.town.anna, topic, "remove", WHY)

    async def _restore(self, topic: int) -> None:
        async with self.town.db.transaction() as tx:
            await moderation.restore(tx, self.town.anna, topic, "A mistake")

    async def _delete(self, topic: int) -> None:
        async with self.town.db.transaction() as tx:
            await threads.delete(tx, self.town.ben, topic)

    async def _poll(self) -> int:
        ends = int(time.time() * 1000) + 86_400_000
        return await self._topic(
            "Which soil?", poll=Ballot(("Clay", "Sand"), False, ends, None, (), 0)
        )

    async def _describe(self) -> None:
        async with self.town.db.transaction() as tx:
            await groups.edit_group(
                tx, self.group, self.town.anna, title="Harbour", description="Boats.",
                approval=False, announce_replies=False, local_origin=self.town.origin,
            )  # fmt: skip

    async def _follow(self) -> None:
        for person in self.people.values():
            known = await self._known(person.id)
            async with self.town.db.transaction() as tx:
                await follows.request(tx, self.town.ben, known)

    async def _report(self) -> None:
        for slug, person in self.people.items():
            async with self.town.db.transaction() as tx:
                report_id = await reports.file(
                    tx,
                    reporter_id=self.town.ben,
                    people=[await self._known(person.id)],
                    things=[self.posts[slug].id],
                    reason="Spam",
                    forward="named",
                )
            assert report_id

    async def _known(self, uri: str) -> int:
        spoke = self.town.site.federation
        assert spoke is not None
        found = await spoke.find_actor(uri)
        assert found is not None, uri
        return found.id


def forms_of(bodies: list[JSON]) -> Forms:
    """The shapes of what arrived, sorted."""
    return tuple(sorted(shape(body) for body in bodies))


def check(name: str, scene: Scene, bodies: list[JSON], group: str) -> None:
    """What every receiver needs in it (federation.md §0.2, §4.3 to §4.9), whichever forms it gets."""
    for body in bodies:
        _check_common(scene, body)
        inner = body["object"]
        if body["type"] == "Announce":
            assert body["actor"] == group and PUBLIC in body["to"]
            assert f"{group}/followers" in body["cc"]
        if isinstance(inner, dict) and body["type"] == "Announce":
            # Lemmy checks the announcer against it.
            assert inner["audience"] == group and inner["id"] != body["id"]
            assert PUBLIC in inner["to"] or PUBLIC in inner.get("cc", []) or "Like" in inner["type"]
    check_one = _CHECKS.get(name)
    if check_one is not None and bodies:
        check_one(bodies[0], group)


def _check_common(scene: Scene, body: JSON) -> None:
    documents = [body]
    while isinstance(documents[-1].get("object"), dict):
        documents.append(documents[-1]["object"])
    for document in documents:
        for name in ("to", "cc", "tag", "attachment"):
            assert isinstance(document.get(name, []), list), name
        for name in ("actor", "attributedTo", "inReplyTo", "audience"):
            assert isinstance(document.get(name, ""), str), name
        uri = document.get("id", "")
        assert uri.startswith(scene.town.origin) or uri == "" or not uri.endswith("?"), uri
    assert "@context" in body and body["id"].startswith(f"{scene.town.origin}/ap/c/")


def _topic_form(body: JSON, group: str) -> None:
    if isinstance(body["object"], str):
        return
    page = body["object"]["object"]
    assert page["name"] and page["summary"] and page["source"]["mediaType"] == "text/markdown"
    assert page["to"][0] == group and page["audience"] == group and page["published"].endswith("Z")
    assert "inReplyTo" not in page and page["mediaType"] == "text/html" and page["context"]


def _reply_form(body: JSON, group: str) -> None:
    note = body["object"]["object"]
    assert note["inReplyTo"].startswith("http") and "name" not in note and note["published"]
    assert group in note["cc"] and note["audience"] == group


def _removal_form(body: JSON, group: str) -> None:
    if body["type"] == "Announce":
        # Its presence tells a moderator's removal from an author's deletion.
        assert body["object"]["summary"] == WHY.reason


def _deletion_form(body: JSON, group: str) -> None:
    inner = body["object"]
    if body["type"] == "Announce":
        assert "summary" not in inner and isinstance(inner["object"], str)
    elif body["type"] == "Delete" and isinstance(inner, dict):
        assert set(inner) == {"id", "type"}


def _ban_form(body: JSON, group: str) -> None:
    block = body["object"]
    assert block["target"] == group and block["summary"] == WHY.reason and block["endTime"]


def _appointment_form(body: JSON, group: str) -> None:
    add = body["object"]
    assert add["target"] == f"{group}/moderators" and "/ap/p/" in add["object"]


def _report_form(body: JSON, group: str) -> None:
    assert body["content"] == body["summary"] == "Spam" and len(body["to"]) == 1
    assert "proof" not in body and "signature" not in body


def _poll_form(body: JSON, group: str) -> None:
    document = body["object"]
    while isinstance(document, dict) and isinstance(document.get("object"), dict):
        document = document["object"]
    if isinstance(document, dict) and document["type"] == "Question":
        assert [option["name"] for option in document["oneOf"]] == ["Clay", "Sand"]
        assert document["endTime"] and document["votersCount"] == 0 and document["name"]


_CHECKS = {
    "our topic": _topic_form,
    "our reply": _reply_form,
    "our removal": _removal_form,
    "our deletion": _deletion_form,
    "our moderator": _appointment_form,
    "our ban": _ban_form,
    "our report": _report_form,
    "our poll": _poll_form,
}
