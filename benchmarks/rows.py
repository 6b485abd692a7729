"""`python -m benchmarks.rows`: what SQLite alone needs for the rows that an answer from elsewhere leaves here.

The same file, settings and statements as in the hub, eight answers in each transaction and nothing around them: two
commits for eight, no Python but the calls. What the inbox costs above this, one signature checked and one bare request
is what Python does in between.
"""

from __future__ import annotations

import argparse
import asyncio
import sqlite3
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from benchmarks.floors import signing
from fedcomm.federation import lanes, repeats
from fedcomm.hub import actors, groups, members, threads
from fedcomm.hub.composition import Draft, compose
from fedcomm.store.ids import new_id, now_ms
from fedcomm.store.schema import migrate, open_database
from fedcomm.store.sqlite import SEARCH, WRITER_CACHE_KIB, sqlite_pragmas

TOGETHER: Final = 8
"""Answers in one transaction: as many as the inbox has hands."""

ORIGIN: Final = "https://hub.test"
AUTHOR: Final = "https://far.test/users/bob"
BODY: Final = "x" * 700
WORDS: Final = "Answer: add compost, then wait."


@dataclass
class Scene:
    """A member, their group with a topic, and somebody elsewhere."""

    member_id: int
    group_id: int
    topic: dict[str, Any]
    author_id: int
    host_id: int


async def _set(url: str) -> Scene:
    db = await open_database(url, readers=1, pool_size=1)
    try:
        async with db.transaction() as tx:
            anna = await members.create_member(tx, "anna")
            group = await groups.create_group(
                tx, "gardening", title="Gardening", creator_id=anna, local_origin=ORIGIN
            )
            draft = Draft("Clay.", "Which soil?")
            content = await compose(tx, draft, local_origin=ORIGIN, is_topic=True, author_id=anna)
            topic = await threads.create_topic(tx, anna, group, content)
            author = await actors.store_remote(tx, _bob())
            row = await tx.one("SELECT * FROM objects WHERE id = ?", topic)
            host = await tx.value("SELECT host_id FROM actors WHERE id = ?", author)
        assert row is not None
        return Scene(anna, group, dict(zip(row.keys(), tuple(row), strict=True)), author, host)
    finally:
        await db.close()


def _bob() -> actors.RemoteProfile:
    return actors.RemoteProfile(
        uri=AUTHOR,
        host="far.test",
        kind="person",
        name="bob",
        display_name="Bob",
        summary_html="",
        url=None,
        avatar_url=None,
        shared_inbox=None,
        outbox=None,
        featured_uri=None,
        locked=False,
        discoverable=True,
        indexable=False,
        suspended=False,
        inbox=f"{AUTHOR}/inbox",
        followers_uri=f"{AUTHOR}/followers",
        moved_to_uri=None,
        keys=(),
    )


def write(connection: sqlite3.Connection, scene: Scene, answers: int) -> float:
    """Seconds of CPU for so many answers, `TOGETHER` at a time."""
    columns = ", ".join(scene.topic)
    marks = ", ".join("?" * len(scene.topic))
    run = connection.execute
    started = time.process_time()
    for start in range(0, answers, TOGETHER):
        numbers = [(new_id(), f"{AUTHOR}/notes/{start + n}") for n in range(TOGETHER)]
        now = now_ms()
        run("BEGIN IMMEDIATE")
        for number, uri in numbers:
            row = (f"{uri}/create", scene.host_id, AUTHOR, None, "waiting", BODY, "0" * 64, now)
            run(repeats.INSERT, (number, *row, 0, 0))
            run(lanes.WAKE, ("inbox", scene.host_id, now))
        run("COMMIT")
        run("BEGIN IMMEDIATE")
        for number, uri in numbers:
            reply = scene.topic | {
                "id": number,
                "kind": "reply",
                "type": "Note",
                "uri": uri,
                "host_id": scene.host_id,
                "author_id": scene.author_id,
                "parent_id": scene.topic["id"],
            }
            run("UPDATE inbox SET state = 'done', body = NULL WHERE id = ?", (number,))
            run(f"INSERT INTO objects ({columns}) VALUES ({marks})", tuple(reply.values()))
            run(SEARCH.upsert, (number, "", WORDS))
            run(
                "UPDATE objects SET reply_count = reply_count + 1, active_at = ? WHERE id = ?",
                (now, scene.topic["id"]),
            )
            run(
                "INSERT INTO journal (event, actor_id, object_id, group_id, created_at)"
                " VALUES ('reply_created', ?, ?, ?, ?)",
                (scene.author_id, number, scene.group_id, now),
            )
            run(
                "INSERT INTO notifications (id, member_id, kind, actor_id, object_id, created_at)"
                " VALUES (?, ?, 'reply', ?, ?, ?)",
                (number, scene.member_id, scene.author_id, number, now),
            )
            run(
                "INSERT INTO received_activities (uri, type, actor_id, object_id, body, created_at)"
                " VALUES (?, 'Create', ?, ?, ?, ?)",
                (f"{uri}/create", scene.author_id, number, BODY, now),
            )
        run("COMMIT")
    return time.process_time() - started


def measure(answers: int) -> float:
    """CPU seconds for the rows of 1,000 answers, in a file of its own."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows.db"
        migrate(f"sqlite:///{path}")
        scene = asyncio.run(_set(f"sqlite:///{path}"))
        connection = sqlite3.connect(path, isolation_level=None, cached_statements=256)
        try:
            for pragma in sqlite_pragmas(WRITER_CACHE_KIB):
                connection.execute(pragma)
            return write(connection, scene, answers) / answers * 1000
        finally:
            connection.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--answers", type=int, default=4000)
    options = parser.parse_args()
    _, verify = signing()
    rows = measure(options.answers)
    print(f"CPU s per 1,000: RSA verify {verify.cpu_s_per_1000:.4f}, the rows {rows:.4f}")


if __name__ == "__main__":
    main()
