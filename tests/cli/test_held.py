"""What is held back, the servers of a group and the published list, from the command line."""

from __future__ import annotations

import asyncio

from fedcomm.config import load
from fedcomm.hub import holding
from fedcomm.site import Site
from fedcomm.store.ids import new_id, now_ms
from fedcomm.store.schema import open_database
from tests.cli.conftest import Hub
from tests.hub.world import World


def hold(hub: Hub, number: int) -> list[int]:
    """So many posts of eve are held; their numbers."""

    async def run() -> list[int]:
        config = load(hub.config, {})
        world = World(Site(config, await open_database(config.database.url)))
        eve = await world.actor(await world.remote("eve", "evil.test"))
        made = []
        for _ in range(number):
            held = new_id()
            made.append(held)
            await world.run(
                "INSERT INTO inbox (id, uri, host_id, signer_uri, state, body, received_at)"
                " VALUES (?, ?, ?, ?, 'suspect', '{}', ?)",
                *(held, f"https://evil.test/{held}", eve.host_id, eve.uri, now_ms()),
            )
            await world.do(
                holding.hold, held, actor_id=eve.id, host_id=eve.host_id or 0, group_id=None,
                object_uri=None, score=8, reasons=("same_text",),
            )  # fmt: skip
        await world.db.close()
        return made

    return asyncio.run(run())


def test_what_is_held_is_listed_let_in_and_refused(hub: Hub) -> None:
    first, *_others = hold(hub, 3)
    found = hub.json("held", "list", "--as", "anna")
    assert [each["author"] for each in found] == ["eve@evil.test"] * 3
    assert "same_text" in hub.run("held", "list", "--as", "anna")
    assert hub.json("held", "let-in", str(first), "--as", "anna") == {"let_in": 1}
    left = hub.json("held", "list", "--as", "anna")[0]["held"]
    refused = hub.json(
        "held", "refuse", left, "--as", "anna", "--reason", "Spam.", "--reach", "person"
    )
    assert refused == {"refused": 2}
    assert hub.run("held", "list", "--as", "anna") == "Nothing is held back.\n"
    assert "not there any more" in hub.refusal("held", "let-in", left, "--as", "anna")


def test_servers_of_a_group_are_shown_and_decided(hub: Hub) -> None:
    hub.run("group", "create", "soil", "--title", "Soil", "--owner", "anna")
    facts = hub.json(
        "group", "hosts", "soil", "--others", "read", "--set", "Bad.Example", "--access", "none"
    )
    assert facts == {
        "group": "soil",
        "others": "read",
        "rules": [{"domain": "bad.example", "access": "none", "members": 0}],
    }
    assert "bad.example" in hub.run("group", "hosts", "soil")
    assert hub.json("group", "hosts", "soil", "--remove", "bad.example")["rules"] == []
    assert hub.invoke("group", "hosts", "soil", "--set", "bad.example").exit_code == 2


def test_the_list_of_blocks_is_published(hub: Hub) -> None:
    assert hub.json("policy", "publish")["audience"] == "off"
    hub.run("policy", "set", "bad.example", "--level", "suspend", "--reason", "Spam.")
    facts = hub.json("policy", "publish", "public", "--obfuscate", "bad.example")
    assert facts["audience"] == "public"
    assert "*" in facts["blocks"][0]["domain"]
    shown = hub.json("policy", "publish", "--reveal", "bad.example")
    assert shown["blocks"][0]["domain"] == "bad.example"
    assert "no entry" in hub.refusal("policy", "publish", "--obfuscate", "absent.example")
