"""Sweeps from the command line; a command that is killed loses nothing."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

import pytest

from fedcomm.config import load
from fedcomm.hub import actors
from fedcomm.site import Site
from fedcomm.store.ids import new_id, now_ms
from fedcomm.store.schema import open_database
from tests.cli.conftest import Hub
from tests.hub.world import World

T = TypeVar("T")


def within(hub: Hub, work: Callable[[World], Awaitable[T]]) -> T:
    """Do something on the hub's database."""

    async def run() -> T:
        config = load(hub.config, {})
        db = await open_database(config.database.url)
        try:
            return await work(World(Site(config, db)))
        finally:
            await db.close()

    return asyncio.run(run())


async def wave(world: World, posts: int = 3) -> int:
    """eve of evil.test has written so much; her id."""
    eve = await world.remote("eve", "evil.test")
    found = await actors.actor(world.db, eve)
    assert found is not None
    now = now_ms()
    async with world.db.transaction() as tx:
        rows = []
        for number in range(posts):
            object_id = new_id()
            uri = f"https://evil.test/o/{number}"
            rows.append((object_id, uri, found.host_id, eve, object_id, now, now, now))
        await tx.many(
            "INSERT INTO objects (id, kind, type, uri, host_id, author_id, topic_id, visibility, html,"
            " created_at, published_at, active_at)"
            " VALUES (?, 'post', 'Note', ?, ?, ?, ?, 'public', 'Buy', ?, ?, ?)",
            rows,
        )
    return eve


def removed(hub: Hub) -> int:
    with sqlite3.connect(load(hub.config, {}).database.file or "") as db:
        return int(
            db.execute("SELECT count(*) FROM objects WHERE withheld = 'removed'").fetchone()[0]
        )


def test_a_wave_is_previewed_swept_listed_and_undone(hub: Hub) -> None:
    within(hub, wave)
    found = hub.json("sweep", "preview", "evil.test", "--since", "2h")
    assert (found["people"], found["posts"], found["total"]) == (["eve@evil.test"], 3, 3)
    assert removed(hub) == 0
    made = hub.json("sweep", "run", "evil.test", "--since", "2h", "--reason", "Spam.", "--yes")
    assert (made["state"], made["done"], made["target"]) == ("done", 3, "evil.test")
    assert removed(hub) == 3
    (listed,) = hub.json("sweep", "list")
    assert listed == made
    assert made["sweep"] in hub.run("sweep", "list")
    back = hub.json("sweep", "undo", made["sweep"], "--reason", "Sorry.")
    assert (back["state"], back["undo_reason"]) == ("undone", "Sorry.")
    assert removed(hub) == 0
    assert "no longer be undone" in hub.refusal("sweep", "undo", made["sweep"], "--reason", "x")
    assert hub.json("sweep", "show", made["sweep"])["state"] == "undone"


def test_a_question_comes_first_and_no_is_an_answer(hub: Hub) -> None:
    within(hub, wave)
    arguments = ("sweep", "run", "@eve@evil.test", "--since", "all", "--reason", "Spam.")
    assert hub.invoke(*arguments, stdin="n\n").exit_code == 1
    assert removed(hub) == 0
    assert hub.invoke(*arguments, stdin="y\n").exit_code == 0
    assert removed(hub) == 3


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("preview", "nobody.test", "--since", "2h"), "not known here"),
        (("preview", "@eve@nobody.test", "--since", "2h"), "Nobody of this address"),
        (("preview", "anna", "--since", "yesterday"), "length of time"),
        (("run", "anna", "--since", "2h", "--reason", "x", "--yes"), "decides about themselves"),
        (("run", "anna", "--since", "2h", "--reason", "x", "--yes", "--as", "eva"), "no member"),
        (("undo", "12", "--reason", "x"), "no such sweep"),
        (("resume", "12"), "no such sweep"),
    ],
)
def test_what_cannot_be_is_refused(arguments: tuple[str, ...], reason: str, hub: Hub) -> None:
    assert reason in hub.refusal("sweep", *arguments)


def test_inv_49_a_sweep_that_is_killed_goes_on_where_it_was(hub: Hub) -> None:
    posts = 3000
    within(hub, lambda world: wave(world, posts))
    command = [sys.executable, "-m", "fedcomm.cli", "--config", str(hub.config), "sweep", "run"]
    process = subprocess.Popen(
        [*command, "evil.test", "--since", "all", "--reason", "Spam.", "--yes"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 30
    while removed(hub) < 100 and time.monotonic() < deadline:
        time.sleep(0.005)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    before = removed(hub)
    assert 100 <= before < posts
    (left,) = hub.json("sweep", "list")
    # What was told as done is done, and nothing else.
    assert (left["state"], left["done"]) == ("running", before)
    done = hub.json("sweep", "resume", left["sweep"])
    assert (done["state"], done["done"]) == ("done", posts)
    assert removed(hub) == posts
    with sqlite3.connect(load(hub.config, {}).database.file or "") as db:
        told = db.execute(
            "SELECT count(*), count(DISTINCT object_id) FROM journal WHERE event = 'object_removed'"
        ).fetchone()
    assert told == (posts, posts)
    assert json.dumps(done)
