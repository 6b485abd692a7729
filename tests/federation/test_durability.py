"""Acceptance 4: what was acknowledged survives kill -9, and nothing is done twice."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path

import psutil

from tests.federation.hub import Hub, running_hub
from tests.federation.stub import PUBLIC, Stubs, stubs

HOSTS = 1_000


async def _join_from(servers: Stubs, hub: Hub, hosts: int, *, software: str = "lemmy") -> None:
    """One follower of the group on each of `hosts` servers, written straight into the database: a thousand
    handshakes are not what these tests are about."""
    import sqlite3

    from fedcomm.store.ids import new_id, now_ms

    with sqlite3.connect(hub.folder / "fedcomm.db", timeout=10) as file:
        group = file.execute("SELECT actor_id FROM groups").fetchone()[0]
        for number in range(hosts):
            name = f"h{number}.test"
            uri = servers.actor("fan", name, software=software)
            host_id, actor_id = new_id(), new_id()
            now = now_ms()
            file.execute(
                "INSERT INTO hosts (id, name, first_seen_at, software, probed_at) VALUES (?,?,?,?,?)",
                (host_id, f"{name}:{servers.port}", now, software, now),
            )
            file.execute(
                "INSERT INTO actors (id, kind, host_id, uri, name, inbox, shared_inbox, created_at,"
                " updated_at, fetched_at) VALUES (?, 'person', ?, ?, 'fan', ?, ?, ?, ?, ?)",
                (
                    *(actor_id, host_id, uri, f"{uri}/inbox"),
                    f"{servers.host(name).origin}/inbox",
                    *(now, now, now),
                ),
            )
            file.execute(
                "INSERT INTO memberships (group_id, actor_id, role, state, created_at)"
                " VALUES (?, ?, 'member', 'active', ?)",
                (group, actor_id, now),
            )


async def test_a_kill_in_the_middle_of_a_fan_out_to_a_thousand_inboxes_loses_nothing(
    tmp_path: Path,
) -> None:
    async with stubs() as servers, running_hub(tmp_path / "hub") as hub:
        await _join_from(servers, hub, HOSTS)
        total = lambda: sum(len(h.arrived) for h in servers.hosts.values())  # noqa: E731

        first = await hub.run("post", "gardening", "--as", "anna", "--title", "One", "--text", "1")
        second = await hub.run("post", "gardening", "--as", "anna", "--title", "Two", "--text", "2")
        await servers.until(lambda: total() > HOSTS // 5, why="the fan-out begins")
        await hub.kill()
        seen = total()
        assert seen < 2 * HOSTS, "killed too late to prove anything"
        await hub.start()
        await servers.until(
            lambda: all(len(set(_ids(h.arrived))) >= 2 for h in servers.hosts.values()),
            seconds=60,
            why="every inbox has both",
        )
        assert total() >= 2 * HOSTS

        announced: list[tuple[str, ...]] = []
        for host in servers.hosts.values():
            # Repeats of what was in flight are harmless, since they carry the same id …
            once = tuple(dict.fromkeys(_ids(host.arrived)))
            announced.append(once)
            objects = [arrival.body["object"]["object"]["id"] for arrival in host.arrived]
            assert list(dict.fromkeys(objects)) == [first["uri"], second["uri"]], (
                "in order per host"
            )
        # … and every host got the same two activities.
        assert Counter(announced).most_common() == [(announced[0], HOSTS)]
        await hub.until("SELECT count(*) FROM deliveries", wanted=0)
        reached = hub.sql("SELECT count(*) FROM reach WHERE subject_id = ?", int(first["id"]))
        assert reached == [(HOSTS,)], "the ledger knows every one"


def _ids(arrived: list[object]) -> list[str]:
    return [arrival.body["id"] for arrival in arrived]  # type: ignore[attr-defined]


async def test_inv_42_an_activity_that_was_answered_with_202_is_processed_after_a_kill_once(
    tmp_path: Path,
) -> None:
    settings = {"server": {"workers": False}}
    async with stubs() as servers, running_hub(tmp_path / "hub", settings=settings) as hub:
        topic = await hub.run("post", "gardening", "--as", "anna", "--title", "T", "--text", "t")
        ida = servers.actor("ida", "peer.test")
        note = servers.note(ida, inReplyTo=topic["uri"], content="<p>An answer.</p>")
        activity = {
            "@context": "https://www.w3.org/ns/activitystreams",
            "id": f"{ida}/activities/1",
            "type": "Create",
            "actor": ida,
            "to": [PUBLIC],
            "object": note,
        }
        # Without workers nothing is processed before the kill.
        assert await servers.post(f"{hub.origin}/ap/inbox", activity) == 202
        await hub.kill()
        assert hub.sql("SELECT state FROM inbox") == [("waiting",)]

        hub.settings["server"]["workers"] = True
        hub.config.unlink()
        (hub.folder / "fedcomm.key").rename(hub.folder / "kept.key")
        hub.write()
        (hub.folder / "kept.key").replace(hub.folder / "fedcomm.key")
        await hub.start()
        await hub.until("SELECT state FROM inbox", wanted="done")
        assert await servers.post(f"{hub.origin}/ap/inbox", activity) == 202
        await asyncio.sleep(0.5)
        replies = hub.sql("SELECT count(*) FROM objects WHERE uri = ?", note["id"])
        assert replies == [(1,)]
        assert hub.sql("SELECT reply_count FROM objects WHERE id = ?", int(topic["id"])) == [(1,)]


async def test_inv_46_two_processes_on_one_queue_deliver_each_row_once(
    database_url: str, tmp_path: Path
) -> None:
    url = database_url
    settings = {"server": {"processes": 2}}
    async with (
        stubs() as servers,
        running_hub(tmp_path / "hub", database_url=url, settings=settings) as hub,
    ):
        for number in range(12):
            fan = servers.actor("fan", f"h{number}.test", software="lemmy")
            follow = {
                "@context": "https://www.w3.org/ns/activitystreams",
                "id": f"{fan}/follow",
                "type": "Follow",
                "actor": fan,
                "object": f"{hub.origin}/ap/g/{await _group_id(url)}",
            }
            assert await servers.post(f"{hub.origin}/ap/inbox", follow) == 202
        fans = list(servers.hosts.values())
        await servers.until(lambda: all("Accept" in fan.kinds() for fan in fans))
        for number in range(5):
            await hub.run(
                "post", "gardening", "--as", "anna", "--title", f"T{number}", "--text", "t"
            )
        await servers.until(lambda: all(len(fan.arrived) >= 6 for fan in fans), why="all topics")
        await asyncio.sleep(1)
        for fan in fans:
            names = [a.body["object"]["object"]["name"] for a in fan.arrived[1:]]
            assert names == [f"T{number}" for number in range(5)]
        assert hub.process is not None
        owners = psutil.Process(hub.process.pid).children()
        assert len(owners) == 2


async def _group_id(url: str) -> int:
    from fedcomm.store.schema import open_database

    database = await open_database(url)
    try:
        return int(await database.value("SELECT actor_id FROM groups"))
    finally:
        await database.close()
