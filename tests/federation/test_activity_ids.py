"""The ids of our activities: whoever was sent one can fetch it, nobody else learns of it, no edit leaves old words."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from fedcomm.federation.activities import refreshed, without_copy
from tests.federation.hub import Hub, running_hub
from tests.federation.stub import AS, PUBLIC, StubHost, Stubs, kind_of, stubs


@dataclass(frozen=True)
class World:
    """A hub; ida of a.test follows its group, eve of b.test only asks."""

    hub: Hub
    peers: Stubs
    ida: str
    eve: str

    async def got(self, kind: str) -> dict[str, Any]:
        """The first activity of a kind that ida's server was sent."""
        peer: StubHost = self.peers.host("a.test")

        def first() -> dict[str, Any] | None:
            found = [one.body for one in peer.arrived if kind_of(one.body) == kind]
            return found[0] if found else None

        activity: dict[str, Any] = await self.peers.until(first, why=kind)
        return activity

    async def fetch(self, uri: str, signer: str | None) -> tuple[int, str]:
        """A document by its id: status, and JSON as text."""
        status, document = await self.peers.get(uri, signer=signer)
        return status, json.dumps(document)

    async def statuses(self, uri: str) -> dict[str, int]:
        """What ida, eve and somebody who does not sign get for an id."""
        signers = {"ida": self.ida, "eve": self.eve, "nobody": None}
        return {name: (await self.fetch(uri, signer))[0] for name, signer in signers.items()}


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with stubs() as peers:
        ida, eve = peers.actor("ida", "a.test"), peers.actor("eve", "b.test")
        async with running_hub(tmp_path / "hub") as hub:
            ((group,),) = hub.sql("SELECT id FROM actors WHERE name = 'gardening'")
            follow = {
                "@context": AS,
                "id": f"{ida}/follows/1",
                "type": "Follow",
                "actor": ida,
                "object": f"{hub.origin}/ap/g/{group}",
            }
            assert await peers.post(f"{hub.origin}/ap/inbox", follow) == 202
            yield World(hub, peers, ida, eve)


FOR_THE_ONE = {"ida": 200, "eve": 404, "nobody": 404}
FOR_WHO_SIGNS = {"ida": 200, "eve": 200, "nobody": 401}
FOR_NOBODY = {"ida": 404, "eve": 404, "nobody": 404}


async def test_inv_18_an_accept_is_told_to_the_server_that_asked_and_to_nobody_else(
    world: World,
) -> None:
    accept = await world.got("Accept")
    assert await world.statuses(accept["id"]) == FOR_THE_ONE
    _, text = await world.fetch(accept["id"], world.ida)
    assert json.loads(text)["object"]["id"] == f"{world.ida}/follows/1"


async def test_an_activity_that_is_fetched_holds_the_words_of_today(world: World) -> None:
    await world.got("Accept")
    topic = await world.hub.run(
        *("post", "gardening", "--as", "anna", "--title", "Which soil?", "--text", "Secret bog.")
    )
    sent = [await world.got("Announce/Create"), await world.got("Announce/id")]
    await world.hub.run("edit", topic["url"], "--as", "anna", "--text", "Clay, first thought.")
    sent += [await world.got("Update"), await world.got("Announce/Update")]
    await world.hub.run("edit", topic["url"], "--as", "anna", "--text", "Clay, second thought.")
    await world.hub.until("SELECT count(*) FROM activities WHERE type = 'Update'", wanted=2)
    sent.append(sent[0]["object"])
    for activity in sent:
        assert await world.statuses(activity["id"]) == FOR_WHO_SIGNS, activity["type"]
        _, text = await world.fetch(activity["id"], world.eve)
        assert json.loads(text)["id"] == activity["id"]
        assert "bog" not in text and "first thought" not in text, activity["type"]
        whole = isinstance(activity["object"], dict)
        assert ("second thought" in text) is whole, activity["type"]


async def test_a_recall_is_told_to_a_server_that_had_a_copy_and_to_nobody_else(
    world: World,
) -> None:
    await world.got("Accept")
    topic = await world.hub.run(
        *("post", "gardening", "--as", "anna", "--title", "Which soil?", "--text", "Clay.")
    )
    announced = [await world.got("Announce/Create"), await world.got("Announce/id")]
    await world.hub.until("SELECT count(*) FROM reach WHERE subject_id = ?", topic["id"])
    await world.hub.run("delete", topic["url"], "--as", "anna")
    for kind in ("Delete", "Announce/Delete", "Undo/Announce"):
        recall = await world.got(kind)
        assert await world.statuses(recall["id"]) == FOR_THE_ONE, kind
    for activity in (*announced, announced[0]["object"]):
        assert await world.statuses(activity["id"]) == FOR_NOBODY, activity["type"]
    assert await world.statuses(topic["uri"]) == FOR_NOBODY


async def test_what_is_no_activity_of_ours_answers_404(world: World) -> None:
    for name in ("1", "0", "x", "9" * 40, "382670759133462986"):
        assert await world.statuses(f"{world.hub.origin}/ap/c/{name}") == FOR_NOBODY


def test_an_object_is_renewed_however_deep_it_is_wrapped() -> None:
    uri, now = "https://hub.test/ap/o/1", {"id": "https://hub.test/ap/o/1", "content": "new"}
    create = {"id": "c", "type": "Create", "object": {"id": uri, "content": "old"}}
    announce = {"id": "a", "type": "Announce", "to": [PUBLIC], "object": create}
    assert refreshed(announce, uri, now) == announce | {"object": create | {"object": now}}
    by_id = announce | {"object": uri}
    assert refreshed(by_id, uri, now) == by_id
    assert refreshed(announce, "https://hub.test/ap/o/2", now) == announce
    assert without_copy(announce) == announce | {"object": "c"}
    assert without_copy(by_id) == by_id
