"""Counters, kept step by step, equal what a recount finds, whatever happens in whatever order."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Awaitable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)

from fedcomm.hub import actors, groups, reactions, threads
from fedcomm.hub.errors import HubError
from tests.databases import Databases, make_site
from tests.hub.world import World, words

RECOUNTS = {
    "replies in a thread": (
        "SELECT o.id, o.reply_count AS kept, (SELECT count(*) FROM objects r"
        " WHERE r.topic_id = o.id AND r.kind = 'reply' AND r.deleted_at IS NULL) AS counted"
        " FROM objects o WHERE o.kind <> 'reply'"
    ),
    "answers to a reply": (
        "SELECT o.id, o.reply_count AS kept, (SELECT count(*) FROM objects r"
        " WHERE r.parent_id = o.id AND r.deleted_at IS NULL) AS counted"
        " FROM objects o WHERE o.kind = 'reply'"
    ),
} | {
    f"{kind}s": (
        f"SELECT o.id, o.{kind}_count AS kept, (SELECT count(*) FROM reactions r"
        f" WHERE r.object_id = o.id AND r.kind = '{kind}') AS counted FROM objects o"
    )
    for kind in ("like", "dislike", "share")
}

kinds = st.sampled_from(["like", "dislike", "share"])
people = st.integers(min_value=0, max_value=3)


class Community(RuleBasedStateMachine):
    """People write, answer, react, delete and disappear."""

    objects: Bundle[int] = Bundle("objects")
    databases: Databases

    def __init__(self) -> None:
        super().__init__()
        self._folder = tempfile.TemporaryDirectory()
        self._loop = asyncio.new_event_loop()
        site = self._wait(make_site(self.databases.migrated(), Path(self._folder.name)))
        self.world = World(site)

    def _wait(self, task: Awaitable[Any]) -> Any:
        async def wait() -> Any:
            return await task

        return self._loop.run_until_complete(wait())

    def _try(self, task: Awaitable[Any]) -> Any:
        """The result, or None where the hub refuses."""
        try:
            return self._wait(task)
        except HubError:
            return None

    @initialize()
    def people_and_a_group(self) -> None:
        async def fill() -> None:
            world = self.world
            self.people = [await world.member("anna"), await world.member("berta")]
            self.people += [await world.remote("bob"), await world.remote("eve")]
            self.group = await world.group("ambiente", self.people[0])
            await world.do(groups.join, self.group, self.people[1])

        self._wait(fill())

    def teardown(self) -> None:
        self._wait(self.world.db.close())
        self._loop.close()
        self._folder.cleanup()

    @rule(target=objects, person=people)
    def open_a_topic(self, person: int) -> Any:
        content = words("x", title="t")
        done = self._try(
            self.world.do(threads.create_topic, self.people[person], self.group, content)
        )
        return done or multiple()

    @rule(target=objects)
    def store_a_post(self) -> Any:
        return self._try(self.world.post(self.people[2])) or multiple()

    @rule(target=objects, person=people, parent=objects)
    def answer(self, person: int, parent: int) -> Any:
        done = self._try(
            self.world.do(threads.create_reply, self.people[person], parent, words("x"))
        )
        return done or multiple()

    @rule(person=people, target_id=objects, kind=kinds)
    def react(self, person: int, target_id: int, kind: Any) -> None:
        self._try(self.world.do(reactions.add, self.people[person], target_id, kind))

    @rule(person=people, target_id=objects, kind=kinds)
    def withdraw(self, person: int, target_id: int, kind: Any) -> None:
        self._try(self.world.do(reactions.withdraw, self.people[person], target_id, kind))

    @rule(person=people, target_id=objects)
    def delete(self, person: int, target_id: int) -> None:
        self._try(self.world.do(threads.delete, self.people[person], target_id))

    @rule(target=objects, target_id=consumes(objects))
    def delete_by_its_author(self, target_id: int) -> int:
        author = self._wait(self.world.thing(target_id)).author_id
        self._try(self.world.do(threads.delete, author, target_id))
        return target_id

    @rule(target_id=objects)
    def edit(self, target_id: int) -> None:
        author = self._wait(self.world.thing(target_id)).author_id
        self._try(self.world.do(threads.edit, author, target_id, words("y", title="u")))

    @rule()
    def a_remote_person_disappears(self) -> None:
        self._try(self.world.do(actors.forget_remote, self.people[3]))

    @invariant()
    def counters_equal_a_recount(self) -> None:
        for name, sql in RECOUNTS.items():
            for row in self._wait(self.world.rows(sql)):
                assert row["kept"] == row["counted"] >= 0, (name, dict(row))


@pytest.fixture
def community(databases: Databases) -> type[Community]:
    return type("Community", (Community,), {"databases": databases})


def test_counters_equal_a_recount_whatever_happens(community: type[Community]) -> None:
    run_state_machine_as_test(
        community,
        settings=settings(max_examples=12, stateful_step_count=25, deadline=None),
    )


async def test_simultaneous_likes_are_all_counted(world: World) -> None:
    anna = await world.member("anna")
    topic = await world.topic(anna, await world.group("ambiente", anna))
    likers = [await world.remote(f"bob{number}") for number in range(12)]
    await asyncio.gather(
        *(world.do(reactions.add, liker, topic, "like") for liker in likers for _ in range(2))
    )
    assert (await world.thing(topic)).like_count == 12
    await asyncio.gather(*(world.do(reactions.withdraw, liker, topic, "like") for liker in likers))
    assert (await world.thing(topic)).like_count == 0
