"""Erasure: nothing that a person gave or wrote is left in any table, and what others wrote stays."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from fedcomm.hub import actors, erasure, follows, groups, members, reactions, reports, threads
from fedcomm.hub.errors import Invalid, NotAllowed, NotFound
from fedcomm.hub.register import REGISTER, Blank, Delete
from fedcomm.hub.visibility import ANONYMOUS, can_read
from fedcomm.store.ids import new_id, now_ms
from fedcomm.store.pseudonyms import Pseudonyms
from tests.databases import ORIGIN
from tests.hub.world import World

MARK = "zqmarkerqz"


async def finish_rows(world: World, case_id: int) -> erasure.Case:
    """All steps in the database."""
    for _ in range(500):
        one = await erasure.case(world.db, case_id)
        assert one is not None
        if one.state not in ("objects", "rows"):
            return one
        await erasure.advance(world.db, one, origin=ORIGIN)
    raise AssertionError("the erasure does not end")


async def erase(world: World, kind: erasure.Kind, subject_id: int) -> erasure.Case:
    case_id = await world.do(
        erasure.request, kind, subject_id, requested_by=None, reason="They asked for it."
    )
    return await finish_rows(world, case_id)


class Schema:
    """The tables with their columns and keys, read from a migrated file."""

    def __init__(self, path: Path) -> None:
        self._db = sqlite3.connect(path)
        names = self._db.execute(
            "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
        )
        self.tables = sorted(
            name
            for (name,) in names
            if name != "alembic_version" and not name.startswith("search_index_")
        )

    def columns(self, table: str) -> list[tuple[str, str, bool]]:
        """(name, type, may be NULL)."""
        return [
            (row[1], row[2].upper(), not row[3] and not row[5])
            for row in self._db.execute(f"PRAGMA table_info({table})")
        ]

    def references(self, table: str) -> dict[str, str]:
        return {row[3]: row[2] for row in self._db.execute(f"PRAGMA foreign_key_list({table})")}


@pytest.fixture(scope="session")
def schema(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Schema]:
    from tests.databases import sqlite_template

    yield Schema(sqlite_template(tmp_path_factory.mktemp("schema")))


async def texts(world: World, schema: Schema) -> list[str]:
    """`table.column: value` of every text in the database that holds the mark."""
    found = []
    for table in schema.tables:
        for name, kind, _ in schema.columns(table):
            if "TEXT" not in kind and table != "search_index":
                continue
            if table == "search_index" and world.db.dialect == "postgresql":
                name = "document"
            if table == "search_index" and name not in ("title", "body", "document"):
                continue
            rows = await world.db.all(
                f"SELECT CAST({name} AS TEXT) AS value FROM {table}"
                f" WHERE lower(CAST({name} AS TEXT)) LIKE ?",
                f"%{MARK}%",
            )
            found += [f"{table}.{name}: {row['value']}" for row in rows]
    return found


async def insert(
    world: World,
    schema: Schema,
    table: str,
    ids: dict[str, int],
    marked: Sequence[str] = (),
    **given: Any,
) -> dict[str, Any]:
    """A row with marks in these columns; what it refers to is made if `ids` has none of it."""
    row: dict[str, Any] = dict(given)
    references = schema.references(table)
    for name, kind, nullable in schema.columns(table):
        if name in row:
            continue
        if name in references and not nullable:
            target = references[name]
            if target not in ids:
                made = await insert(world, schema, target, ids)
                ids[target] = made.get("id", made.get("object_id", 0))
            row[name] = ids[target]
        elif "TEXT" in kind:
            word = MARK if name in marked else "x"
            row[name] = f"{word} {table} {name} {new_id()}"
        elif name == "id" or (name == "object_id" and not nullable):
            row[name] = new_id() if name == "id" else ids["objects"]
        elif not nullable:
            row[name] = 1
    marks = ", ".join("?" for _ in row)
    await world.run(
        f"INSERT INTO {table} ({', '.join(row)}) VALUES ({marks}) ON CONFLICT DO NOTHING",
        *row.values(),
    )
    return row


async def fill(
    world: World, schema: Schema, person: int, object_id: int, ids: dict[str, int]
) -> int:
    """A row with marks in each table and for each column that erasure goes by; how many."""
    made = 0
    for table, entry in REGISTER.items():
        if table == "erasures":
            continue  # The case itself.
        columns: list[tuple[str, tuple[str, ...]]] = [
            (step.column, step.words if isinstance(step, Blank) else entry.words)
            for step in entry.steps
            if isinstance(step, Delete | Blank)
        ]
        with_object = any("with the object" in getattr(step, "how", "") for step in entry.steps)
        if with_object and table != "search_index":
            columns.append(("object_id", entry.words))
        for column, words in columns:
            given = object_id if column == "object_id" else person
            await insert(world, schema, table, ids, words, **{column: given})
            made += 1
    return made


def test_every_table_and_every_text_is_in_the_register(schema: Schema) -> None:
    missing = []
    for table in schema.tables:
        if table not in REGISTER:
            missing.append(table)
            continue
        entry = REGISTER[table]
        for name, kind, _ in schema.columns(table):
            known = {*entry.words, *entry.people, *CODES}
            if "TEXT" in kind and name not in known and f"{table}.{name}" not in CODES:
                missing.append(f"{table}.{name}")
        references = schema.references(table)
        missing += [
            f"{table}.{name} is a person"
            for name, target in references.items()
            if target in ("actors", "members") and name not in entry.people
        ]
    assert missing == []
    gone = [table for table in REGISTER if table not in schema.tables]
    assert gone == []


CODES = frozenset(
    "kind type state role mode level policy language locale visibility how event consumer key software"
    " software_version signature_style signature_source algorithm public_key private_key purpose mime"
    " blurhash token_hash scopes topics_by withheld forward outcome action decided_as appeal_outcome"
    " uri_hash queue spoke pseudonym etag zone attendance joining uri sha256 family decided_as purpose"
    " quote_policy reply_policy like_policy hosts_access".split()
)
"""Columns that hold words of ours, keys, hashes or times, not of people."""


async def test_a_member_leaves_nothing_in_any_table(world: World, schema: Schema) -> None:
    anna, name = await world.member("boss", role="administrator"), f"a{MARK}"
    berta = await world.member(
        name, display_name=f"Berta {MARK}", email=f"{MARK}@example.org", password_hash=MARK
    )
    carla = await world.member("carla")
    far = await world.remote("rita")
    group = await world.group("garden", anna)
    for person in (berta, carla):
        await world.do(groups.join, group, person)
    await world.run(
        "UPDATE actors SET summary_source = ?, summary_html = ? WHERE id = ?", MARK, MARK, berta
    )
    topic = await world.topic(
        anna, group, f"Ask @{name}, or @{name}@hub.test!", title=f"For @{name}"
    )
    mine = await world.topic(berta, group, f"All of {MARK}.", title=f"My {MARK}")
    answer = await world.reply(carla, mine, f"I agree with @{name}.")
    await world.do(
        threads.edit,
        berta,
        mine,
        await world.compose(berta, f"New {MARK}", is_topic=True, title=MARK),
    )
    await world.do(reactions.add, berta, topic, "like")
    await world.do(follows.request, far, berta)
    await world.do(reports.file, reporter_id=carla, things=[mine], reason=f"It says {MARK}.")
    ids = {
        "actors": carla, "members": carla, "objects": topic, "groups": group,
        "hosts": int(await world.db.value("SELECT id FROM hosts LIMIT 1")),
    }  # fmt: skip
    made = await fill(world, schema, berta, mine, ids)
    assert made > 30
    before = await texts(world, schema)
    assert len(before) > 50

    one = await erase(world, "member", berta)

    assert one.state == "scrub"
    left = await texts(world, schema)
    assert left == []
    # What others wrote is there, without the name.
    assert (await threads.thing(world.db, topic)).title == "For @[erased]"  # type: ignore[union-attr]
    thing = await threads.thing(world.db, answer)
    assert thing is not None
    assert thing.source == "I agree with @[erased]."
    assert "href" not in thing.html
    tombstone = await threads.thing(world.db, mine)
    assert tombstone is not None
    assert tombstone.deleted_at is not None
    assert not await can_read(world.db, ANONYMOUS, mine)
