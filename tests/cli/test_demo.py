"""`fedcomm demo`: its ports, its communities, and both servers together."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from fedcomm.cli.console import Refused
from fedcomm.cli.demo import EXTRA, PASSWORD, _port
from fedcomm.cli.init import Founding, found_hub
from fedcomm.config import Config, load
from fedcomm.demo import ports
from fedcomm.demo.community import Community, Words
from fedcomm.demo.elsewhere import ANSWER, ELSEWHERE
from fedcomm.demo.hub import FRESH_TOPIC, HUB
from fedcomm.demo.instances import Instance, environment
from fedcomm.demo.seeding import seed
from fedcomm.hub import groups, timelines, visibility
from fedcomm.hub.sessions import log_in
from fedcomm.site import Site
from fedcomm.store.schema import open_database
from tests.cli.conftest import Hub

COMMUNITIES = (HUB, ELSEWHERE)


def name_of(community: object) -> str:
    return community.name if isinstance(community, Community) else str(community)


def free_pair() -> int:
    """A port that is free together with the next two."""
    for port in range(21_000 + os.getpid() % 3000, 30_000, 3):
        if all(ports.is_free(port + offset) for offset in range(3)):
            return port
    raise AssertionError("no free ports")


@contextlib.contextmanager
def taken(port: int, address: str = "127.0.0.1") -> Iterator[None]:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.create_server((address, port), family=family):
        yield


# --- Ports ---


@pytest.mark.parametrize("address", ["127.0.0.1", "0.0.0.0", "::1"])
def test_a_port_is_taken_whichever_way_localhost_leads_to_it(address: str) -> None:
    port = free_pair()
    try:
        with taken(port, address):
            assert not ports.is_free(port)
            assert ports.choose(port) == port + 1
    except OSError:
        pytest.skip(f"this machine has no {address}")
    assert ports.is_free(port)


def test_a_reserved_port_is_passed_over() -> None:
    port = free_pair()
    assert ports.choose(port, {port}) == port + 1


def test_no_free_port_is_told() -> None:
    with (
        taken(port := 65_535 if ports.is_free(65_535) else free_pair()),
        pytest.raises(ports.NoFreePort),
    ):
        ports.choose(port, range(port, 65_536))


def test_a_new_demo_takes_the_next_free_port_and_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    port = free_pair()
    with taken(port):
        assert _port(tmp_path / "hub", port, 8080, "--port", frozenset()) == port + 1
    assert f"Port {port} is taken; using {port + 1} instead." in capsys.readouterr().out


def existing(folder: Path, port: int) -> Path:
    folder.mkdir()
    (folder / "fedcomm.toml").write_text(f'[instance]\norigin = "http://localhost:{port}"\n')
    return folder


def test_an_old_demo_keeps_its_port(tmp_path: Path) -> None:
    port = free_pair()
    folder = existing(tmp_path / "hub", port)
    assert _port(folder, None, 8080, "--port", frozenset()) == port
    assert _port(folder, port, 8080, "--port", frozenset()) == port


def test_an_old_demo_whose_port_is_taken_is_refused(tmp_path: Path) -> None:
    port = free_pair()
    folder = existing(tmp_path / "hub", port)
    with taken(port), pytest.raises(Refused, match=r"cannot change later.*make clean-demo"):
        _port(folder, None, 8080, "--port", frozenset())


def test_an_old_demo_cannot_move_to_another_port(tmp_path: Path) -> None:
    port = free_pair()
    with pytest.raises(Refused, match=rf"belongs to http://localhost:{port}.*without --port"):
        _port(existing(tmp_path / "hub", port), port + 1, 8080, "--port", frozenset())


def test_options_from_outside_do_not_reach_the_servers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FEDCOMM_SERVER_PORT", "1")
    assert "FEDCOMM_SERVER_PORT" not in environment()
    assert environment()["PATH"] == os.environ["PATH"]


# --- Communities ---


def all_words(community: Community) -> list[tuple[Words, Words | None]]:
    """Everything that is said, with what it answers."""
    found: list[tuple[Words, Words | None]] = []

    def walk(words: Words, parent: Words | None) -> None:
        found.append((words, parent))
        for reply in words.replies:
            walk(reply, words)

    for place in community.places:
        for topic in place.topics:
            walk(topic, None)
    return found


@pytest.mark.parametrize("community", COMMUNITIES, ids=name_of)
def test_nobody_speaks_before_being_there_or_before_what_they_answer(community: Community) -> None:
    names = {person.name for person in community.people}
    for words, parent in all_words(community):
        assert {words.author, *words.likes} <= names
        assert words.author not in words.likes
        assert words.days < (parent.days if parent else community.days)
    for place in community.places:
        assert set(place.members) <= names
        for topic in place.topics:
            assert {words.author for words in topic.walk()} <= set(place.members)


def test_the_hub_is_as_big_as_promised() -> None:
    assert len(HUB.people) == 5
    assert [place.language for place in HUB.places] == ["en", "it"]
    assert len(ELSEWHERE.people) == 1
    assert FRESH_TOPIC.author in HUB.places[0].members
    assert ANSWER.author == ELSEWHERE.administrator.name


def founded(folder: Path, community: Community, port: int = 8080) -> Config:
    return found_hub(
        folder / "fedcomm.toml",
        Founding(
            f"http://localhost:{port}",
            community.name,
            community.administrator.name,
            f"{community.administrator.name}@example.org",
            PASSWORD,
            port=port,
            description=community.description,
            extra=EXTRA,
        ),
        {},
    )


@pytest.mark.parametrize("community", COMMUNITIES, ids=name_of)
def test_a_seeded_community_reads_as_it_was_written(community: Community, tmp_path: Path) -> None:
    config = founded(tmp_path, community)
    steps = 0

    def step() -> None:
        nonlocal steps
        steps += 1

    async def look() -> None:
        db = await open_database(config.database.url)
        try:
            await seed(Site(config, db), community, password=PASSWORD, step=step)
            for person in community.people:
                assert await log_in(db, person.name, PASSWORD)
            for place in community.places:
                group = await groups.group_by_name(db, place.name)
                assert group is not None
                assert (group.title, group.language) == (place.title, place.language)
                topics = await timelines.group_topics(db, visibility.ANONYMOUS, group.id)
                pinned = await timelines.pinned_topics(db, visibility.ANONYMOUS, group.id)
                titles = {post.thing.title for post in (*topics, *pinned)}
                assert titles == {topic.title for topic in place.topics}
                moments = [post.thing.active_at for post in topics]
                assert moments == sorted(moments, reverse=True)
            for words, _ in all_words(community):
                row = await db.one(
                    "SELECT like_count, reply_count, sensitive, edited_at, active_at, published_at"
                    " FROM objects WHERE source = ?",
                    words.text,
                )
                assert row is not None, words.text
                assert row["like_count"] == len(words.likes)
                answers = len(list(words.walk())) - 1 if words.title else len(words.replies)
                assert row["reply_count"] == answers
                assert bool(row["sensitive"]) == bool(words.warning)
                assert bool(row["edited_at"]) == bool(words.edited)
                assert row["active_at"] >= row["published_at"]
        finally:
            await db.close()

    asyncio.run(look())
    assert steps == community.steps


def test_the_demos_configuration_reaches_the_loopback_and_nothing_else(tmp_path: Path) -> None:
    config = founded(tmp_path, ELSEWHERE)
    assert config.server.host == "127.0.0.1"
    assert all(network.is_loopback for network in config.federation.private_addresses)
    assert config.is_development


# --- Both servers ---


def demo(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "fedcomm.cli", "demo", "--folder", str(folder), *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_the_two_servers_meet_continue_and_stop(tmp_path: Path) -> None:
    folder = tmp_path / "demo"
    port = free_pair()
    first = demo(folder, "--port", str(port), "--elsewhere-port", str(port), "--once")
    output, errors = first.communicate(timeout=180)
    assert first.returncode == 0, errors
    assert f"Port {port} is taken; using {port + 1} instead." in output
    for said in (f"http://localhost:{port}", f"http://localhost:{port + 1}", PASSWORD, "giulia"):
        assert said in output
    hub, elsewhere = Hub(folder / "hub"), Hub(folder / "elsewhere")
    assert elsewhere.json("member", "show", "kim")["following"] == [f"garden@localhost:{port}"]
    assert hub.json("group", "show", "garden")["members"] == 6
    assert "Traceback" not in errors

    second = demo(folder)
    watch = threading.Timer(120, second.kill)
    watch.start()
    try:
        assert second.stdout is not None
        for line in second.stdout:
            if "Ctrl-C" in line:
                break
        assert not ports.is_free(port)
        # What an operator does while it runs.
        assert hub.json("doctor", "--online")["healthy"]
        shown = hub.json("actor", "fetch", f"kim@localhost:{port + 1}")
        assert (shown["kind"], shown["display_name"]) == ("person", "Kim Jansen")
        assert "nobody was found" in hub.refusal("actor", "fetch", f"lee@localhost:{port + 1}")
        second.send_signal(signal.SIGINT)
        output, errors = second.communicate(timeout=60)
    finally:
        watch.cancel()
        if second.poll() is None:
            second.terminate()
            second.communicate(timeout=60)
    assert second.returncode == 0, errors
    assert "get to know each other" not in output
    assert errors.strip().endswith("Both servers have stopped.")
    assert ports.is_free(port)
    assert ports.is_free(port + 1)


def test_an_interrupted_start_leaves_no_half_community(tmp_path: Path) -> None:
    folder = tmp_path / "demo"
    unfinished = folder / "hub.unfinished"
    unfinished.mkdir(parents=True)
    (unfinished / "fedcomm.toml").write_text("half")
    port = free_pair()
    process = demo(folder, "--port", str(port), "--elsewhere-port", str(port + 1), "--once")
    _, errors = process.communicate(timeout=180)
    assert process.returncode == 0, errors
    assert not unfinished.exists()
    assert load(folder / "hub" / "fedcomm.toml", {}).instance.origin == f"http://localhost:{port}"


def test_a_server_that_ends_says_why_and_ends_the_demo(tmp_path: Path) -> None:
    folder = tmp_path / "demo"
    port = free_pair()
    for name, community, number in (("hub", HUB, port), ("elsewhere", ELSEWHERE, port + 1)):
        founded(folder / name, community, number)
    (folder / "elsewhere" / "fedcomm.key").unlink()
    process = demo(folder)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 1
    assert re.search(r"fedcomm: the server at \S+ has ended \(.*key file.*\); see ", errors)
    assert ports.is_free(port)
    assert Instance(folder / "hub", port).log.exists()
