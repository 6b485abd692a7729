"""The hub under an independent, strict peer: a bot on Fedify, over TLS with a private authority.

Nothing in these tests is our own code on the other side: the bot finds, parses, verifies and signs by itself.
"""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from fedcomm.hub import threads
from fedcomm.store.schema import open_database
from tests.federation.fedify_peer import FedifyPeer, PeerError, running_peer
from tests.federation.hub import Hub, running_hub
from tests.federation.private_ca import CertificateAuthority, make_private_ca
from tests.ports import free_port

ACTIVITY = "application/activity+json"
AUTHORIZED = {"federation": {"authorized_fetch": True}}
DELIVERED = "SELECT count(*) = 0 FROM deliveries WHERE state IN ('waiting', 'sending')"


@dataclass(frozen=True)
class World:
    """A hub at `https://hub.test:PORT` and a bot at `https://bot.test:PORT`."""

    hub: Hub
    bot: FedifyPeer
    ca: CertificateAuthority

    @property
    def group(self) -> str:
        """The actor id of the group `gardening`."""
        ((number,),) = self.hub.sql("SELECT id FROM actors WHERE name = 'gardening'")
        return f"{self.hub.origin}/ap/g/{number}"

    async def join(self) -> None:
        """Follow the group, and wait for its Accept."""
        await self.bot.follow(self.group)
        await self.bot.wait_for("Accept")

    async def topic(self, title: str = "Which soil?", text: str = "Clay, north side.") -> Any:
        """A topic of anna's in the group: `id`, `uri`, `url`."""
        return await self.hub.run(
            *("post", "gardening", "--as", "anna", "--title", title, "--text", text)
        )

    async def pin(self, topic_id: int) -> None:
        """Pin a topic, as its moderator anna, in a process of its own as a command would."""
        ((anna,),) = self.hub.sql("SELECT id FROM actors WHERE name = 'anna'")
        db = await open_database(f"sqlite:///{self.hub.folder / 'fedcomm.db'}")
        try:
            async with db.transaction() as tx:
                await threads.set_pinned(tx, anna, topic_id, pinned=True)
        finally:
            await db.close()

    async def reply_arrives(self, uri: str) -> int:
        """The hub's number of a Note of the bot's."""
        return int(await self.hub.until("SELECT id FROM objects WHERE uri = ?", uri))

    async def page(self, path: str) -> str:
        """A page of the hub as an anonymous browser sees it."""
        status, text = await self.hub.get(path)
        for _ in range(3):
            if status not in (301, 302, 303, 307, 308):
                break
            status, text = await self._follow_redirect(path)
        assert status == 200, (path, status, text[:300])
        return text

    async def _follow_redirect(self, path: str) -> tuple[int, str]:
        async with (
            aiohttp.ClientSession(connector=self.hub._connector()) as session,
            session.get(
                self.hub.local_url(path.removeprefix(self.hub.origin)),
                headers={"Accept": "text/html"},
            ) as answer,
        ):
            return answer.status, await answer.text()

    async def unsigned(self, url: str) -> tuple[int, Any, dict[str, str]]:
        """GET an ActivityPub document without a signature: status, JSON, headers."""
        async with (
            aiohttp.ClientSession(connector=self.hub._connector()) as session,
            session.get(url, headers={"Accept": ACTIVITY}) as answer,
        ):
            return answer.status, json.loads(await answer.text()), dict(answer.headers)

    async def status_for_bot(self, url: str) -> int | None:
        """What the bot gets when it dereferences an id, signed."""
        results = await self.bot.call("POST", "/crawl", uri=url, max=1)
        status: int | None = results["results"][0]["status"]
        return status


CAVAGE = pytest.mark.parametrize(
    "world", [{"first_knock": "draft-cavage-http-signatures-12"}], indirect=True, ids=["cavage"]
)
GUARDED = pytest.mark.parametrize(
    "world", [{"authorized_fetch": True}], indirect=True, ids=["authorized-fetch"]
)


@pytest.fixture
async def world(tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[World]:
    """The hub and the bot; a parameter of the fixture holds further options of the bot."""
    ca = make_private_ca(tmp_path / "ca")
    options: dict[str, Any] = getattr(request, "param", {})
    port = free_port()
    async with (
        running_hub(
            tmp_path / "hub",
            origin=f"https://hub.test:{port}",
            port=port,
            tls=ca.issue("hub.test"),
            ca_file=ca.path,
            settings=AUTHORIZED,
            groups={
                "gardening": (),
                "board": ("--mode", "private"),
                "canteen": ("--mode", "local"),
            },
        ) as hub,
        running_peer(tmp_path / "bot", ca, hosts={"hub.test": "127.0.0.1"}, **options) as bot,
    ):
        yield World(hub, bot, ca)


def announces(log: list[dict[str, Any]], kind: str | None) -> list[dict[str, Any]]:
    """The Announces in a log that wrap an activity of this kind; None: those of an id."""
    return [
        entry
        for entry in log
        if entry["type"] == "Announce"
        and (entry["objectForm"] == "id" if kind is None else entry["objectType"] == kind)
    ]


def failures(results: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The documents of a crawl that could not be fetched, parsed or verified."""
    return [result for result in results if result.get("error")]


def walked(results: list[dict[str, Any]], base: str) -> set[str]:
    """The paths under `base` that a crawl read with success."""
    return {
        re.sub(r"\?.*", "", result["url"]).removeprefix(base)
        for result in results
        if result.get("status") == 200
    }


async def test_the_group_is_found_by_its_handle_and_accepts_a_follower(world: World) -> None:
    found = await world.bot.lookup(f"@gardening@{world.hub.host}")
    assert found["type"] == "Group"
    assert found["id"] == world.group
    assert found["preferredUsername"] == "gardening"
    assert found["sharedInbox"] == f"{world.hub.origin}/ap/inbox"
    assert found["webfinger"]["subject"] == f"acct:gardening@{world.hub.host}"

    follow = await world.bot.follow(found["id"])
    accept = await world.bot.wait_for("Accept")
    assert accept["actor"] == world.group
    assert accept["objectId"] == follow
    assert accept["raw"]["object"]["actor"] == world.bot.uri
    states = world.hub.sql(
        "SELECT m.state FROM memberships m JOIN actors a ON a.id = m.actor_id WHERE a.uri = ?",
        world.bot.uri,
    )
    assert states == [("active",)]


async def test_a_topic_arrives_in_both_announce_forms_and_is_believed(world: World) -> None:
    await world.join()
    topic = await world.topic()
    by_id = await world.bot.wait_for("Announce", lambda entry: entry["objectForm"] == "id")
    log = await world.bot.log()
    (whole,) = announces(log, "Create")
    # Lemmy's kin build a thread of the activity, microblogs show a boost of the id; who says of itself
    # neither gets both, the activity first.
    assert whole["seq"] < by_id["seq"]
    assert whole["actor"] == by_id["actor"] == world.group
    assert by_id["objectId"] == topic["uri"]
    assert by_id["resolved"]["type"] == "Page"
    assert "north side" in by_id["resolved"]["content"]
    assert whole["resolved"]["type"] == "Create"
    assert whole["resolved"]["innerId"] == topic["uri"]
    refused = [entry for entry in await world.bot.requests() if (entry["status"] or 0) >= 400]
    assert refused == []


async def test_every_id_and_collection_dereferences_and_parses(world: World) -> None:
    await world.join()
    topic = await world.topic()
    await world.pin(int(topic["id"]))
    await world.hub.run("follow", "gardening", "--as", "ben")
    await world.hub.run("reply", topic["uri"], "--as", "ben", "--text", "Sand, I would say.")
    answer = await world.bot.reply(topic["uri"], "<p>Add compost.</p>")
    await world.reply_arrives(answer)
    await world.bot.like(topic["uri"])
    await world.hub.until("SELECT like_count FROM objects WHERE id = ?", topic["id"], wanted=1)
    for number in range(24):
        await world.topic(f"Topic {number}", f"Words of number {number}.")
    await world.bot.wait_for("Announce", lambda entry: "Topic 23" in json.dumps(entry["raw"]))
    await world.hub.until(DELIVERED)

    read: set[str] = set()
    proven: set[str] = set()
    for start in (world.group, topic["uri"], f"{world.hub.origin}/ap/instance"):
        results = await world.bot.crawl(start, 600)
        assert failures(results) == []
        read |= walked(results, world.hub.origin)
        proven |= {str(result["type"]) for result in results if result.get("proof") == "verified"}
    # Fedify checked the proofs that it met; one that it refuses is a failure above.
    assert any("Announce" in kind for kind in proven), proven
    group, words = (
        world.group.removeprefix(world.hub.origin),
        topic["uri"].removeprefix(world.hub.origin),
    )
    anna = (await world.bot.lookup(f"@anna@{world.hub.host}"))["id"]
    member = anna.removeprefix(world.hub.origin)
    wanted = {group, words, member, "/ap/instance"}
    wanted |= {f"{group}/{name}" for name in ("outbox", "followers", "featured", "moderators")}
    wanted |= {f"{member}/{name}" for name in ("outbox", "followers", "following", "featured")}
    wanted |= {f"{words}/{name}" for name in ("replies", "likes", "shares")}
    wanted |= {f"/ap/x/{topic['id']}"}
    assert wanted - read == set()
    assert any(path.startswith("/ap/c/") for path in read)

    by_url = {result["url"]: result for result in await world.bot.crawl(world.group, 600)}
    outbox = by_url[f"{world.group}/outbox"]
    assert outbox["items"] == outbox["totalItems"] == 25
    assert by_url[f"{anna}/outbox"]["items"] >= 25
    # Fedify knocks with RFC 9421 first, and never needed a second style.
    sent = [entry for entry in await world.bot.sent() if world.hub.host in entry["url"]]
    assert {entry["signature"] for entry in sent} <= {"rfc9421", "unsigned"}
    assert not [entry for entry in sent if entry["status"] in (401, 403, 500)]


async def test_a_reply_and_its_edit_and_deletion_show_in_the_thread(world: World) -> None:
    await world.join()
    topic = await world.topic()
    reply = await world.bot.reply(topic["uri"], "<p>Add <b>compost</b>.<script>x()</script></p>")
    number = await world.reply_arrives(reply)
    assert world.hub.sql("SELECT parent_id, topic_id FROM objects WHERE id = ?", number) == [
        (int(topic["id"]), int(topic["id"]))
    ]
    page = await world.page(topic["url"])
    assert "compost" in page
    assert "x()" not in page
    echoed = await world.bot.wait_for(
        "Announce",
        lambda entry: (
            entry["objectType"] == "Create" and entry["raw"]["object"]["object"]["id"] == reply
        ),
    )
    assert echoed["actor"] == world.group
    assert echoed["resolved"]["innerId"] == reply

    await world.bot.update(reply, "<p>Add manure.</p>")
    await world.hub.until("SELECT html LIKE '%manure%' FROM objects WHERE id = ?", number)
    page = await world.page(topic["url"])
    assert "manure" in page
    assert "compost" not in page

    await world.bot.delete(reply)
    await world.hub.until("SELECT deleted_at FROM objects WHERE id = ?", number)
    assert "manure" not in await world.page(topic["url"])
    assert not world.hub.sql("SELECT 1 FROM objects WHERE html LIKE '%manure%'")


async def test_a_like_is_counted_until_it_is_undone(world: World) -> None:
    await world.join()
    topic = await world.topic()
    like = await world.bot.like(topic["uri"])
    count = "SELECT like_count FROM objects WHERE id = ?"
    await world.hub.until(count, int(topic["id"]), wanted=1)
    _, likes, _ = await world.unsigned(f"{topic['uri']}/likes")
    assert "totalItems" not in likes
    (seen,) = await world.bot.crawl(f"{topic['uri']}/likes")
    assert seen["totalItems"] == 1
    await world.bot.undo(like)
    await world.hub.until("SELECT like_count = 0 FROM objects WHERE id = ?", int(topic["id"]))
    assert world.hub.sql("SELECT 1 FROM reactions WHERE object_id = ?", int(topic["id"])) == []


async def test_a_topic_that_a_follower_starts_by_mention_is_announced_back(world: World) -> None:
    await world.join()
    note = await world.bot.note("<p>Who has seeds to swap?</p>", mention=(world.group,))
    number = await world.reply_arrives(note)
    ((kind, group_id),) = world.hub.sql("SELECT kind, group_id FROM objects WHERE id = ?", number)
    assert (kind, world.group.endswith(f"/{group_id}")) == ("topic", True)
    assert "seeds to swap" in await world.page("/@gardening")
    whole = await world.bot.wait_for("Announce", lambda entry: entry["objectType"] == "Create")
    by_id = await world.bot.wait_for("Announce", lambda entry: entry["objectForm"] == "id")
    assert whole["raw"]["object"]["object"]["id"] == by_id["objectId"] == note
    assert by_id["actor"] == world.group
    outbox = await world.bot.crawl(f"{world.group}/outbox")
    assert failures(outbox) == []
    assert note in {result["url"] for result in outbox}


async def test_an_edit_and_a_deletion_on_the_hub_reach_the_follower(world: World) -> None:
    await world.join()
    topic = await world.topic()
    by_id = await world.bot.wait_for("Announce", lambda entry: entry["objectForm"] == "id")
    await world.hub.run(
        *("edit", topic["url"], "--as", "anna", "--title", "Which soil now?"),
        *("--text", "Clay with sand."),
    )
    update = await world.bot.wait_for("Update", lambda entry: entry["objectId"] == topic["uri"])
    assert update["raw"]["object"]["name"] == "Which soil now?"
    assert "Clay with sand" in update["raw"]["object"]["content"]
    await world.hub.until(DELIVERED)

    await world.hub.run("delete", topic["url"], "--as", "anna")
    delete = await world.bot.wait_for("Delete", lambda entry: entry["objectId"] == topic["uri"])
    assert delete["raw"]["object"]["type"] == "Tombstone"
    assert "sand" not in json.dumps(delete["raw"])
    recalled = await world.bot.wait_for("Announce", lambda entry: entry["objectType"] == "Delete")
    assert recalled["actor"] == world.group
    undo = await world.bot.wait_for("Undo")
    assert undo["objectId"] == by_id["id"]
    assert await world.status_for_bot(topic["uri"]) == 404
    status, _, _ = await world.unsigned(topic["uri"])
    assert status == 404
    await world.hub.until(DELIVERED)
    ((recalled_at, answered),) = world.hub.sql(
        "SELECT recalled_at, recall_status FROM reach WHERE subject_id = ?", int(topic["id"])
    )
    assert recalled_at and answered == 202


async def test_whatever_id_the_follower_was_sent_can_be_fetched(world: World) -> None:
    await world.join()
    topic = await world.topic()
    reply = await world.bot.reply(topic["uri"], "<p>Add compost.</p>")
    await world.reply_arrives(reply)
    await world.bot.like(topic["uri"])
    await world.hub.until("SELECT like_count FROM objects WHERE id = ?", topic["id"], wanted=1)
    await world.hub.run("follow", "gardening", "--as", "ben")
    await world.hub.run("reply", reply, "--as", "ben", "--text", "Sand, I would say.")
    await world.hub.run("like", reply, "--as", "ben")
    await world.hub.run("edit", topic["url"], "--as", "anna", "--text", "Clay with sand.")
    await world.bot.wait_for("Announce", lambda entry: entry["objectType"] == "Update")
    await world.hub.until(DELIVERED)
    log = await world.bot.log()
    assert {entry["type"] for entry in log} == {"Accept", "Announce", "Create", "Like", "Update"}
    for entry in log:
        assert failures(await world.bot.crawl(entry["id"], 400)) == [], entry["raw"]

    await world.hub.run("delete", topic["url"], "--as", "anna")
    await world.bot.wait_for("Undo")
    await world.hub.until(DELIVERED)
    for entry in (await world.bot.log())[len(log) :]:
        assert entry["type"] in ("Delete", "Announce", "Undo")
        assert await world.status_for_bot(entry["id"]) == 200, entry["raw"]
    for uri in (topic["uri"], f"{topic['uri']}/replies", f"{topic['uri']}/likes"):
        assert await world.status_for_bot(uri) == 404


async def test_inv_20_what_is_private_is_not_there_for_a_signed_stranger(world: World) -> None:
    await world.join()
    secret = await world.hub.run(
        *("post", "board", "--as", "anna", "--title", "Salaries", "--text", "A secret sum.")
    )
    inner = await world.hub.run(
        *("post", "canteen", "--as", "anna", "--title", "Menu", "--text", "Soup for us.")
    )
    open_topic = await world.topic()
    await world.bot.wait_for("Announce", lambda entry: entry["objectId"] == open_topic["uri"])
    ((board,), (canteen,)) = world.hub.sql(
        "SELECT id FROM actors WHERE name IN ('board', 'canteen') ORDER BY name"
    )
    here = world.hub.origin
    for post in (secret, inner):
        uri = f"{here}/ap/o/{post['id']}"
        hidden = [uri, *(f"{uri}/{name}" for name in ("replies", "likes", "shares"))]
        hidden += [f"{here}/ap/x/{post['id']}"]
        assert {url: await world.status_for_bot(url) for url in hidden} == dict.fromkeys(
            hidden, 404
        )
    group = f"{here}/ap/g/{board}"
    hidden = [group, *(f"{group}/{n}" for n in ("outbox", "followers", "featured", "moderators"))]
    hidden += [f"{here}/ap/g/{canteen}/outbox"]
    assert {url: await world.status_for_bot(url) for url in hidden} == dict.fromkeys(hidden, 404)
    with pytest.raises(PeerError):
        await world.bot.lookup(f"@board@{world.hub.host}")
    for path in (world.group, f"{here}/ap/instance"):
        told = json.dumps(await world.bot.crawl(path, 300))
        assert "Salaries" not in told and f"/{secret['id']}" not in told
        assert f"/{inner['id']}" not in told and f"/{board}" not in told
    assert "secret" not in json.dumps(await world.bot.log())


async def test_objects_are_for_signed_requests_and_the_group_for_everybody(world: World) -> None:
    topic = await world.topic()
    for url in (topic["uri"], f"{topic['uri']}/replies", f"{world.hub.origin}/ap/x/{topic['id']}"):
        status, _, headers = await world.unsigned(url)
        assert status == 401
        assert headers["Accept-Signature"].startswith('sig1=("@method" "@target-uri")')
    status, group, headers = await world.unsigned(world.group)
    assert (status, headers["Content-Type"]) == (200, ACTIVITY)
    assert group["publicKey"]["owner"] == world.group
    status, stub, _ = await world.unsigned(group["attributedTo"])
    assert status == 200
    status, stub, _ = await world.unsigned(stub["orderedItems"][0])
    assert status == 200
    assert {"id", "type", "inbox", "publicKey", "preferredUsername"} <= set(stub)
    assert "summary" not in stub
    assert (await world.bot.lookup(topic["uri"]))["name"] == "Which soil?"


@CAVAGE
async def test_a_bot_that_signs_in_the_older_style_is_understood_as_well(world: World) -> None:
    await world.join()
    topic = await world.topic()
    await world.bot.like(topic["uri"])
    await world.hub.until("SELECT like_count FROM objects WHERE id = ?", int(topic["id"]), wanted=1)
    assert failures(await world.bot.crawl(topic["uri"])) == []
    sent = [entry for entry in await world.bot.sent() if world.hub.host in entry["url"]]
    signed = [entry for entry in sent if entry["signature"] != "unsigned"]
    assert {(entry["method"], entry["signature"]) for entry in signed} == {
        ("GET", "draft-cavage"),
        ("POST", "draft-cavage"),
    }
    assert {entry["status"] for entry in signed} == {200, 202}


@GUARDED
async def test_a_member_follows_somebody_whose_words_are_for_signed_requests(world: World) -> None:
    """Both sides want signatures: neither can check a key without the other's actor (federation.md A2)."""
    note = await world.bot.note("<p>Basil on the sill.</p>")
    await world.hub.run("follow", world.bot.handle, "--as", "anna")
    await world.hub.until("SELECT 1 FROM follows WHERE state = 'active'")
    follow = await world.bot.wait_for("Follow")
    anna = (await world.bot.lookup(f"@anna@{world.hub.host}"))["id"]
    assert (follow["actor"], follow["objectId"]) == (anna, world.bot.uri)

    await world.bot.announce(note)
    number = await world.reply_arrives(note)
    assert world.hub.sql("SELECT html FROM objects WHERE id = ?", number) == [
        ("<p>Basil on the sill.</p>",)
    ]
    reads = [
        entry["status"]
        for entry in await world.bot.requests()
        if entry["method"] == "GET" and entry["path"].endswith(note.rpartition("/")[2])
    ]
    assert reads and reads[-1] == 200
    await world.hub.run("like", note, "--as", "anna")
    like = await world.bot.wait_for("Like")
    assert (like["actor"], like["objectId"]) == (anna, note)
    await world.hub.run("reply", note, "--as", "anna", "--text", "And mint?")
    reply = await world.bot.wait_for("Create")
    assert reply["raw"]["object"]["inReplyTo"] == note
    await world.hub.run("unfollow", world.bot.handle, "--as", "anna")
    undo = await world.bot.wait_for("Undo")
    assert undo["objectId"] == follow["id"]
