"""`fedcomm relay`: off by default, listed, left."""

from __future__ import annotations

import asyncio

from fedcomm.config import load
from fedcomm.hub import actors, relays
from fedcomm.store.schema import open_database
from tests.cli.conftest import Hub

ADDRESS = "https://relay.example/inbox"


def test_relays_are_refused_while_they_are_switched_off(hub: Hub) -> None:
    said = hub.refusal("relay", "add", ADDRESS, "--style", "mastodon")
    assert "relays.enabled" in said
    assert hub.json("relay", "list") == []
    assert "There are no relays." in hub.run("relay", "list")


def test_a_relay_is_listed_and_left(hub: Hub) -> None:
    async def note() -> None:
        db = await open_database(load(hub.config, {}).database.url)
        async with db.transaction() as tx:
            host_id = await actors.ensure_host(tx, "relay.example")
            await relays.add(tx, "mastodon", ADDRESS, host_id, actor_id=None, by=None)
        await db.close()

    asyncio.run(note())
    [found] = hub.json("relay", "list")
    assert (found["address"], found["style"], found["state"]) == (ADDRESS, "mastodon", "requested")
    assert ADDRESS in hub.run("relay", "list")
    hub.refusal("relay", "remove", "https://relay.example/other")
    assert "Left" in hub.run("relay", "remove", ADDRESS)
    assert hub.json("relay", "list") == []
    hub.refusal("relay", "remove", ADDRESS)
