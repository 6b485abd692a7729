"""The same figures when much has been written: what grows must not make what is asked for dearer."""

from __future__ import annotations

import contextlib
import secrets
import sqlite3
from typing import Final

from fedcomm.hub import sessions
from fedcomm.store.ids import TAIL_BITS, now_ms
from tests.federation.hub import Hub

SIZES: Final = (1_000, 100_000)
"""Objects in the hub."""

REPLIES_PER_TOPIC: Final = 9

STEP_MS: Final = 60_000
"""Between two objects: what is made here was written before everything else."""

ID_STEP: Final = STEP_MS << TAIL_BITS


def grow(hub: Hub, wanted: int) -> None:
    """Write older topics and replies into the group of the newest topic until there are `wanted` objects. The hub must
    not be running."""
    with contextlib.closing(sqlite3.connect(hub.folder / "fedcomm.db")) as db:
        before = int(db.execute("SELECT count(*) FROM objects").fetchone()[0])
        columns = [row[1] for row in db.execute("PRAGMA table_info(objects)")]
        oldest, first = db.execute(
            "SELECT min(id), (SELECT id FROM objects WHERE kind = 'topic' ORDER BY id DESC LIMIT 1)"
            " FROM objects"
        ).fetchone()
        each = REPLIES_PER_TOPIC + 1
        # Number n is a topic when it is the first of its ten, else an answer to that topic.
        own = f"? - n * {ID_STEP}"
        opened = f"? - (n - n % {each}) * {ID_STEP}"
        reply = f"n % {each} > 0"
        values = {
            "id": own,
            "kind": f"CASE WHEN {reply} THEN 'reply' ELSE 'topic' END",
            "type": f"CASE WHEN {reply} THEN 'Note' ELSE 'Page' END",
            "topic_id": opened,
            "parent_id": f"CASE WHEN {reply} THEN {opened} END",
            "title": f"CASE WHEN {reply} THEN '' ELSE 'Topic ' || n END",
            "reply_count": f"CASE WHEN {reply} THEN 0 ELSE {REPLIES_PER_TOPIC} END",
            "like_count": "0",
        }
        for name in ("created_at", "published_at", "active_at"):
            values[name] = f"{name} - n * {STEP_MS}"
        chosen = [values.get(name, name) for name in columns]
        args = [oldest] * sum(text.count("?") for text in chosen)
        db.execute(
            f"WITH RECURSIVE counted (n) AS (SELECT {each} UNION ALL SELECT n + 1 FROM counted"
            f" WHERE n < {each} + ? - 1) INSERT INTO objects ({', '.join(columns)})"
            f" SELECT {', '.join(chosen)} FROM objects, counted WHERE id = ? ORDER BY n",
            (wanted - before, *args, first),
        )
        db.execute("ANALYZE")
        db.commit()


def log_in(hub: Hub) -> dict[str, str]:
    """The cookie of a member. The hub must not be running."""
    token = secrets.token_urlsafe(32)
    with contextlib.closing(sqlite3.connect(hub.folder / "fedcomm.db")) as db:
        db.execute(
            "INSERT INTO sessions (token_hash, member_id, created_at, seen_at)"
            " SELECT ?, min(actor_id), ?, ? FROM members",
            (sessions.token_hash(token), now_ms(), now_ms()),
        )
        db.commit()
    return {"Cookie": f"session-{hub.port}={token}"}
