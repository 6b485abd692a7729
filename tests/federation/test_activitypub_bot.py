"""The hub with a second foreign stack: activitypub.bot, over TLS with a private authority.

It shares nothing with the Fedify bot: other signature code, another JSON-LD processor, queues and
storage of its own. What it does on its own account (it answers a Follow with an Add to its followers, a
Like with an Add to the likes) arrives at the hub as well.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from tests.databases import PostgreSQLDatabases
from tests.federation import activitypub_bot_peer
from tests.federation.activitypub_bot_peer import ActivityPubBot, running_bot
from tests.federation.hub import Hub, running_hub
from tests.federation.private_ca import make_private_ca
from tests.ports import free_port

pytestmark = pytest.mark.asyncio(loop_scope="module")

DELIVERED = "SELECT count(*) = 0 FROM deliveries WHERE state IN ('waiting', 'sending')"
PROCESSED = "SELECT count(*) = 0 FROM inbox WHERE state = 'waiting'"


@dataclass(frozen=True)
class World:
    """A hub at `https://hub.test:PORT` and a server of robots at `https://robot.test:PORT`."""

    hub: Hub
    bot: ActivityPubBot

    @property
    def group(self) -> str:
        """The actor id of the group `gardening`."""
        ((number,),) = self.hub.sql("SELECT id FROM actors WHERE name = 'gardening'")
        return f"{self.hub.origin}/ap/g/{number}"

    def person(self, name: str) -> str:
        """The actor id of a member."""
        ((number,),) = self.hub.sql("SELECT id FROM actors WHERE name = ?", name)
        return f"{self.hub.origin}/ap/p/{number}"

    async def join(self) -> None:
        """Follow the group, if the robot does not yet, and wait for the Accept."""
        follow = await self.bot.tell("follow", uri=self.group)
        await self.bot.wait_for("Accept", lambda entry: entry["objectId"] == follow)

    async def topic(self, title: str, text: str = "Clay, north side.") -> Any:
        """A topic of anna's in the group: `id`, `uri`, `url`."""
        return await self.hub.run(
            *("post", "gardening", "--as", "anna", "--title", title, "--text", text)
        )

    async def number_of(self, uri: str) -> int:
        """The hub's number of an object of the robot's, when it has arrived."""
        return int(await self.hub.until("SELECT id FROM objects WHERE uri = ?", uri))

    async def page(self, path: str) -> str:
        """A page of the hub as an anonymous browser sees it, wherever it moved to."""
        path = path.removeprefix(self.hub.origin)
        async with (
            aiohttp.ClientSession(connector=self.hub._connector()) as session,
            session.get(self.hub.local_url(path), headers={"Accept": "text/html"}) as answer,
        ):
            text = await answer.text()
        assert answer.status == 200, (path, answer.status, text[:300])
        return text


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[World]:
    """Both servers, for all tests of this file: each test minds only its own objects."""
    activitypub_bot_peer.install()
    databases = PostgreSQLDatabases(*request.getfixturevalue("migrated_postgresql"))
    folder = tmp_path_factory.mktemp("world")
    ca = make_private_ca(folder / "ca")
    port = free_port()
    async with (
        running_hub(
            folder / "hub",
            origin=f"https://hub.test:{port}",
            port=port,
            tls=ca.issue("hub.test"),
            ca_file=ca.path,
            settings={"federation": {"authorized_fetch": True}},
        ) as hub,
        running_bot(folder / "bot", ca, databases.empty(), {"hub.test": "127.0.0.1"}) as bot,
    ):
        yield World(hub, bot)
    databases.remove_all()


async def test_the_group_is_found_by_its_handle_and_accepts_a_follower(world: World) -> None:
    found = await world.bot.lookup(f"@gardening@{world.hub.host}")
    assert found["id"] == world.group
    assert found["name"] == "Gardening"
    await world.join()
    await world.bot.until_follows(world.group)
    states = world.hub.sql(
        "SELECT m.state FROM memberships m JOIN actors a ON a.id = m.actor_id WHERE a.uri = ?",
        world.bot.uri,
    )
    assert states == [("active",)]


async def test_a_topic_its_edit_and_its_deletion_reach_the_follower(world: World) -> None:
    await world.join()
    topic = await world.topic("Which soil?")
    whole = await world.bot.wait_for(
        "Announce",
        lambda entry: entry["objectType"] == "Create" and "Which soil?" in str(entry["raw"]),
    )
    by_id = await world.bot.wait_for("Announce", lambda entry: entry["objectId"] == topic["uri"])
    assert whole["actor"] == by_id["actor"] == world.group
    page = whole["raw"]["object"]["object"]
    assert (page["id"], page["type"], page["name"]) == (topic["uri"], "Page", "Which soil?")
    assert "north side" in page["content"]

    await world.hub.run("edit", topic["url"], "--as", "anna", "--text", "Clay with sand.")
    edited = await world.bot.wait_for("Announce", lambda entry: entry["objectType"] == "Update")
    assert edited["actor"] == world.group
    assert edited["raw"]["object"]["object"]["id"] == topic["uri"]
    assert "with sand" in edited["raw"]["object"]["object"]["content"]

    await world.hub.run("delete", topic["url"], "--as", "anna")
    gone = await world.bot.wait_for("Announce", lambda entry: entry["objectType"] == "Delete")
    assert gone["raw"]["object"]["object"] == topic["uri"]
    assert "sand" not in str(gone["raw"])
    await world.bot.wait_for("Undo", lambda entry: entry["objectId"] == by_id["id"])
    await world.hub.until(DELIVERED)
    assert world.hub.sql("SELECT 1 FROM deliveries WHERE state = 'failed'") == []
    ((answered,),) = world.hub.sql(
        "SELECT recall_status FROM reach WHERE subject_id = ?", int(topic["id"])
    )
    assert 200 <= answered < 300


async def test_a_reply_its_edit_and_its_deletion_show_in_the_thread(world: World) -> None:
    await world.join()
    topic = await world.topic("When to prune?")
    reply = await world.bot.tell("reply", to=topic["uri"], content="In late winter, #roses too")
    number = await world.number_of(reply)
    assert world.hub.sql("SELECT kind, parent_id, topic_id FROM objects WHERE id = ?", number) == [
        ("reply", int(topic["id"]), int(topic["id"]))
    ]
    assert "late winter" in await world.page(topic["url"])
    # The group tells its followers; the robot's server knows its own activity again.
    echoed = await world.bot.wait_for("(announce)", lambda entry: "/create/" in entry["objectId"])
    assert echoed["objectId"].startswith(world.bot.uri)

    await world.bot.tell("update", uri=reply, content="In early spring")
    await world.hub.until("SELECT html LIKE '%early spring%' FROM objects WHERE id = ?", number)
    page = await world.page(topic["url"])
    assert "early spring" in page and "late winter" not in page

    await world.bot.tell("delete", uri=reply)
    await world.hub.until("SELECT deleted_at FROM objects WHERE id = ?", number)
    assert "early spring" not in await world.page(topic["url"])


async def test_a_note_to_the_group_opens_a_topic(world: World) -> None:
    await world.join()
    note = await world.bot.tell("note", to=[world.group], content="Who has seeds to swap?")
    number = await world.number_of(note)
    ((kind, group_id),) = world.hub.sql("SELECT kind, group_id FROM objects WHERE id = ?", number)
    assert kind == "topic"
    assert world.group.endswith(f"/{group_id}")
    assert "seeds to swap" in await world.page("/@gardening")
    announced = await world.bot.wait_for("(announce)", lambda entry: entry["objectId"] == note)
    assert announced["id"].startswith(world.hub.origin)


async def test_a_like_and_a_share_are_counted_until_they_are_undone(world: World) -> None:
    topic = await world.topic("A question of taste")
    counts = "SELECT like_count || '-' || share_count FROM objects WHERE id = ?"
    await world.bot.tell("like", uri=topic["uri"])
    await world.bot.tell("announce", uri=topic["uri"])
    await world.hub.until(counts, int(topic["id"]), wanted="1-1")
    await world.bot.tell("unlike", uri=topic["uri"])
    await world.bot.tell("unannounce", uri=topic["uri"])
    await world.hub.until(counts, int(topic["id"]), wanted="0-0")


async def test_a_member_follows_the_robot_reads_likes_and_answers(world: World) -> None:
    await world.hub.run("follow", world.bot.handle, "--as", "ben")
    follow = await world.bot.wait_for("Follow")
    assert (follow["actor"], follow["objectId"]) == (world.person("ben"), world.bot.uri)
    await world.hub.until("SELECT 1 FROM follows WHERE state = 'active'")
    assert await world.bot.call("GET", "/followers") == [world.person("ben")]

    note = await world.bot.tell("note", content="Basil on the sill")
    number = await world.number_of(note)
    assert world.hub.sql("SELECT html FROM objects WHERE id = ?", number) == [
        ("<p>Basil on the sill</p>",)
    ]
    await world.hub.run("like", note, "--as", "ben")
    liked = await world.bot.wait_for("(like)")
    assert liked["objectId"] == note
    await world.hub.run("reply", note, "--as", "ben", "--text", "And mint?")
    mentioned = await world.bot.wait_for("(mention)")
    answer = await world.bot.wait_for("Create")
    assert answer["objectId"] == mentioned["objectId"]
    assert answer["raw"]["object"]["inReplyTo"] == note

    await world.hub.run("unfollow", world.bot.handle, "--as", "ben")
    await world.bot.wait_for("Undo", lambda entry: entry["objectId"] == follow["id"])
    await world.bot.until_followers([])


async def test_a_member_follows_their_group_and_gets_what_it_shares(world: World) -> None:
    club = f"@club@{world.bot.host}"
    await world.hub.run("follow", club, "--as", "ben")
    await world.hub.until(
        "SELECT f.state = 'active' FROM follows f JOIN actors a ON a.id = f.followed_id"
        " WHERE a.uri = ?",
        world.bot.club,
    )
    note = await world.bot.tell("note", content="The club meets on Monday")
    await world.bot.tell("share-in-club", uri=note)
    number = await world.number_of(note)
    assert "Monday" in str(world.hub.sql("SELECT html FROM objects WHERE id = ?", number))


async def test_leaving_the_group_ends_the_membership(world: World) -> None:
    await world.join()
    await world.bot.tell("unfollow", uri=world.group)
    await world.hub.until(
        "SELECT count(*) FROM memberships m JOIN actors a ON a.id = m.actor_id"
        " WHERE a.uri = ? AND m.state = 'active'",
        world.bot.uri,
        wanted=0,
    )
    await world.hub.until(PROCESSED)
    await world.topic("Among ourselves")
    await world.hub.until(DELIVERED)
    assert "Among ourselves" not in str(await world.bot.log())


async def test_nothing_was_refused_on_either_side(world: World) -> None:
    """What the tests before this one left behind: each request was taken at its first knock."""
    await world.hub.until(PROCESSED)
    sent = [entry for entry in await world.bot.sent() if world.hub.host in entry["url"]]
    assert {entry["signature"] for entry in sent if entry["method"] == "POST"} == {"rfc9421"}
    assert [entry for entry in sent if entry["status"] not in (200, 202, 304)] == []
    arrived = await world.bot.requests()
    assert {entry["signature"] for entry in arrived if entry["method"] == "POST"} == {"rfc9421"}
    assert [entry for entry in arrived if (entry["status"] or 0) >= 400] == []
    assert world.hub.sql("SELECT uri, verdict FROM inbox WHERE state = 'failed'") == []
    assert world.hub.sql("SELECT uri, verdict FROM inbox WHERE state = 'refused'") == []


@pytest.mark.parametrize("required", [True, False])
async def test_a_missing_npm_skips_unless_the_peer_is_required(
    monkeypatch: pytest.MonkeyPatch, required: bool
) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    monkeypatch.setenv(activitypub_bot_peer.REQUIRED, "1" if required else "0")
    outcome = pytest.fail.Exception if required else pytest.skip.Exception
    with pytest.raises(outcome, match=r"activitypub\.bot peer needs npm"):
        activitypub_bot_peer.PACKAGES.install()
