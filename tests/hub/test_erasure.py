"""Erasure: nothing that a person gave or wrote is left in any table, and what others wrote stays."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from fedcomm.hub import actors, erasure, follows, groups, reactions, reports, threads
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
def schema(tmp_path_factory: pytest.TempPathFactory) -> Schema:
    from tests.databases import sqlite_template

    return Schema(sqlite_template(tmp_path_factory.mktemp("schema")))


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
    [
        "action",
        "algorithm",
        "appeal_outcome",
        "attendance",
        "blurhash",
        "consumer",
        "decided_as",
        "etag",
        "event",
        "family",
        "forward",
        "hosts_access",
        "how",
        "joining",
        "key",
        "kind",
        "language",
        "level",
        "like_policy",
        "locale",
        "mime",
        "mode",
        "outcome",
        "policy",
        "private_key",
        "pseudonym",
        "public_key",
        "purpose",
        "queue",
        "quote_policy",
        "reply_policy",
        "role",
        "scopes",
        "sha256",
        "signature_source",
        "signature_style",
        "software",
        "software_version",
        "spoke",
        "state",
        "token_hash",
        "topics_by",
        "type",
        "uri",
        "uri_hash",
        "visibility",
        "withheld",
        "zone",
    ]
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


async def test_inv_50_the_name_of_an_erased_member_is_given_to_nobody(world: World) -> None:
    await world.member("boss", role="administrator")
    anna = await world.member("anna")
    await erase(world, "member", anna)
    with pytest.raises(Invalid, match="taken"):
        await world.member("anna")
    assert await erasure.erased_at(world.db, "handle", "anna") is not None
    assert await erasure.erased_at(world.db, "handle", "berta") is None
    # Another hub, with another secret, would not find it by trying names.
    guess = Pseudonyms(b"another secret").of("handle", "anna")
    assert await world.db.value("SELECT 1 FROM erased WHERE pseudonym = ?", guess) is None


async def test_a_legal_hold_forbids_to_erase_exactly_the_held(world: World) -> None:
    await world.member("boss", role="administrator")
    anna, berta = await world.member("anna"), await world.member("berta")
    await world.run(
        "INSERT INTO holds (id, kind, subject_id, reason, created_at) VALUES (?, ?, ?, ?, ?)",
        new_id(), "member", anna, "A court asked.", now_ms(),
    )  # fmt: skip
    with pytest.raises(NotAllowed, match="legal hold"):
        await erase(world, "member", anna)
    assert (await erase(world, "member", berta)).state == "scrub"
    await world.run("UPDATE holds SET ended_at = ?", now_ms())
    assert (await erase(world, "member", anna)).state == "scrub"


async def test_the_last_administrator_cannot_go(world: World) -> None:
    boss = await world.member("boss", role="administrator")
    with pytest.raises(NotAllowed, match="only administrator"):
        await erase(world, "member", boss)
    await world.member("deputy", role="administrator")
    assert (await erase(world, "member", boss)).state == "scrub"


async def test_what_is_asked_wrongly_changes_nothing(world: World) -> None:
    anna = await world.member("anna")
    group = await world.group("garden", anna)
    with pytest.raises(NotFound):
        await erase(world, "member", group)
    with pytest.raises(NotFound):
        await erase(world, "remote", anna)
    with pytest.raises(NotFound):
        await erase(world, "host", 12345)
    with pytest.raises(Invalid, match="why"):
        await world.do(erasure.request, "member", anna, requested_by=None)
    assert await erasure.cases(world.db) == []
    assert (await actors.actor(world.db, anna)).deleted_at is None  # type: ignore[union-attr]


async def test_asking_twice_is_one_case(world: World) -> None:
    await world.member("boss", role="administrator")
    anna = await world.member("anna")
    first = await world.do(erasure.request, "member", anna, requested_by=anna, own=True)
    second = await world.do(erasure.request, "member", anna, requested_by=None, reason="Again.")
    assert first == second


async def test_a_group_goes_with_all_that_was_said_in_it_and_its_people_stay(world: World) -> None:
    anna, berta = await world.member("anna"), await world.member("berta")
    group = await world.group("garden", anna)
    other = await world.group("kitchen", anna)
    await world.do(groups.join, group, berta)
    topic = await world.topic(anna, group, f"{MARK} here.", title=MARK)
    reply = await world.reply(berta, topic, f"{MARK} too.")
    kept = await world.topic(anna, other, "Kept.", title="Kept")
    one = await erase(world, "group", group)
    assert one.objects == 2
    for gone in (topic, reply):
        assert (await threads.thing(world.db, gone)).deleted_at is not None  # type: ignore[union-attr]
    assert (await threads.thing(world.db, kept)).deleted_at is None  # type: ignore[union-attr]
    assert await groups.memberships_of(world.db, berta) == []
    assert await actors.local_actor(world.db, "anna") is not None
    assert await actors.local_actor(world.db, "garden") is None


async def test_everything_of_a_host_goes_and_nothing_of_others(
    world: World, schema: Schema
) -> None:
    anna = await world.member("anna")
    group = await world.group("garden", anna)
    topic = await world.topic(anna, group)
    people = [await world.remote(f"{MARK}{n}", "bad.test") for n in range(7)]
    good = await world.remote("rita", "good.test")
    for person in (*people, good):
        await world.do(groups.join, group, person)
        await world.do(reactions.add, person, topic, "like")
    posts = [await world.post(person, f"{MARK} from there") for person in people]
    stays = await world.post(good, "stays")
    host = await world.db.value("SELECT host_id FROM actors WHERE id = ?", people[0])
    uri = f"https://bad.test/users/{MARK}0"

    one = await erase(world, "host", host)

    assert one.objects == len(posts)
    assert await texts(world, schema) == []
    assert (await threads.thing(world.db, topic)).like_count == 1  # type: ignore[union-attr]
    assert (await threads.thing(world.db, stays)).deleted_at is None  # type: ignore[union-attr]
    assert await actors.actor_by_uri(world.db, uri) is None
    assert await erasure.erased_at(world.db, "actor", uri) is not None
    # A row of somebody elsewhere never turns into one of ours.
    for person in people:
        assert not (await actors.actor(world.db, person)).is_local  # type: ignore[union-attr]


async def test_counts_stay_where_nobody_can_be_read_out_of_them(world: World) -> None:
    await world.member("boss", role="administrator")
    anna = await world.member("anna")
    crowd = [await world.member(f"voter{n}") for n in range(6)]
    group = await world.group("garden", anna)
    from fedcomm.hub import ballots, polls

    results = {}
    for name, voters in (("few", crowd[:3]), ("many", crowd)):
        poll = ballots.Ballot(("yes", "no"), False, now_ms() + 3_600_000)
        content = await world.compose(anna, "?", is_topic=True, title=name, poll=poll)
        results[name] = await world.do(threads.create_topic, anna, group, content)
        for voter in voters:
            await world.do(groups.join, group, voter)
            await world.do(polls.vote, voter, results[name], (0,))
    await erase(world, "member", crowd[0])
    counts = {
        name: await world.db.value(
            "SELECT vote_count FROM poll_options WHERE object_id = ? AND position = 0", poll_id
        )
        for name, poll_id in results.items()
    }
    assert counts == {"few": 2, "many": 6}
    assert await world.db.value("SELECT 1 FROM poll_votes WHERE actor_id = ?", crowd[0]) is None


async def test_whoever_was_to_come_to_an_event_is_not_counted_any_more(world: World) -> None:
    await world.member("boss", role="administrator")
    anna, berta = await world.member("anna"), await world.member("berta")
    group = await world.group("garden", anna)
    topic = await world.topic(anna, group)
    await world.run(
        "INSERT INTO events (object_id, starts_at, state, joining, going_count)"
        " VALUES (?, ?, 'CONFIRMED', 'free', 2)",
        topic,
        now_ms(),
    )
    for person in (anna, berta):
        await world.run(
            "INSERT INTO participations (object_id, actor_id, state, created_at) VALUES (?, ?, 'going', ?)",
            topic,
            person,
            now_ms(),
        )
    await erase(world, "member", berta)
    assert await world.db.value("SELECT going_count FROM events WHERE object_id = ?", topic) == 1
