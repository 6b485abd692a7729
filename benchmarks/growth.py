"""The same figures when much has been written: what grows must not make what is asked for dearer.

The past is written in bulk: topics and answers, the answers by people of other servers, their words in the search
index, a notification for each tenth, ten lines in the ledger of reach for each. At a million objects these are a
hundred thousand people on a thousand hosts, and ten million lines in the ledger.
"""

from __future__ import annotations

from typing import Final

from benchmarks.fanout import FORMS, tell
from benchmarks.figures import Figure, Floor
from benchmarks.inbox import arrive
from benchmarks.reading import DOCUMENT, MADE_ANEW, PAGE, REPLIES
from benchmarks.stage import Stage
from fedcomm.store.ids import TAIL_BITS

SIZES: Final = (1_000, 100_000, 1_000_000)
"""Objects in the hub."""

REPLIES_PER_TOPIC: Final = 9

PER_PERSON: Final = 10
"""Objects for each person elsewhere."""

PEOPLE_PER_HOST: Final = 100

FEW: Final = 60
"""Objects with a word that others do not have, each time."""

OTHER_WORDS: Final = 997
"""Times 26 letters: so many words there are besides those that each text has."""

COPIES: Final = 10
"""Hosts that each object reached."""

STEP_MS: Final = 60_000
"""Between two objects: what is made here was written before everything else."""

ID_STEP: Final = STEP_MS << TAIL_BITS

FANS: Final = 100
TOPICS: Final = 5

FANS_OFF: Final = "UPDATE memberships SET suspended = {} WHERE actor_id IN (SELECT id FROM actors WHERE name = 'fan')"


async def grow(stage: Stage, wanted: int) -> None:
    """Write older topics and answers into the group of the newest topic until there are `wanted` objects. The hub must
    not be running."""
    is_sqlite = stage.db.dialect == "sqlite"
    fresh = wanted - await stage.number("SELECT count(*) FROM objects")
    if fresh <= 0:
        return
    oldest = await stage.number(
        "SELECT min(id) FROM (SELECT min(id) AS id FROM objects UNION ALL SELECT min(id) FROM actors"
        " UNION ALL SELECT min(id) FROM hosts) AS ids"
    )
    first = await stage.number("SELECT max(id) FROM objects WHERE kind = 'topic'")
    row = await stage.db.one("SELECT * FROM objects WHERE id = ?", first)
    assert row is not None
    columns = list(row.keys())
    anna = await stage.number("SELECT actor_id FROM handles WHERE name = 'anna'")
    people = max(10, fresh // PER_PERSON)
    hosts = max(10, people // PEOPLE_PER_HOST)
    each = REPLIES_PER_TOPIC + 1
    written = f"{oldest} - n * {ID_STEP}"
    opened = f"{oldest} - (n - n % {each}) * {ID_STEP}"
    is_reply = f"n % {each} > 0"
    person = f"{oldest} - (1 + n % {people}) * {ID_STEP} - 1"
    place = f"{oldest} - (1 + n % {people} % {hosts}) * {ID_STEP} - 2"
    values = {
        "id": written,
        "kind": f"CASE WHEN {is_reply} THEN 'reply' ELSE 'topic' END",
        "type": f"CASE WHEN {is_reply} THEN 'Note' ELSE 'Page' END",
        "uri": f"CASE WHEN {is_reply} THEN 'http://past.test/{wanted}/' || n END",
        "host_id": f"CASE WHEN {is_reply} THEN {place} END",
        "author_id": f"CASE WHEN {is_reply} THEN {person} ELSE author_id END",
        "topic_id": opened,
        "parent_id": f"CASE WHEN {is_reply} THEN {opened} END",
        "title": f"CASE WHEN {is_reply} THEN '' ELSE 'Topic ' || n END",
        "reply_count": f"CASE WHEN {is_reply} THEN 0 ELSE {REPLIES_PER_TOPIC} END",
        "like_count": "0",
    }
    for name in ("created_at", "published_at", "active_at"):
        values[name] = f"{name} - CAST(n AS BIGINT) * {STEP_MS}"
    chosen = ", ".join(values.get(name, name) for name in columns)
    # Whole topics, so that an answer and what it answers are made together.
    last = each + fresh - fresh % each - 1
    found = "body" if is_sqlite else "document"
    rare = f"CASE WHEN id > {oldest} - {each + FEW} * {ID_STEP} THEN ' quince' ELSE '' END"
    # As texts have: words that each of them has, and one that few others have, anywhere in the alphabet.
    letter = f"{'char' if is_sqlite else 'chr'}(CAST(97 + id / {ID_STEP} % 26 AS INTEGER))"
    other = f"{letter} || (id / {ID_STEP} % {OTHER_WORDS})"
    words = f"'clay, north side, compost ' || id || ' ' || {other} || {rare}"
    text = words if is_sqlite else f"to_tsvector('simple', {words})"
    index = "rowid, title, body" if is_sqlite else f"object_id, {found}"
    what = f"id, lower(title), {text}" if is_sqlite else f"id, {text}"
    past = f"id BETWEEN {oldest} - {last} * {ID_STEP} AND {oldest} - {each} * {ID_STEP}"
    now = "(SELECT max(created_at) FROM objects)"
    indexes = await indexes_of(stage)
    await stage.bulk(
        [
            *(f"DROP INDEX {name}" for name in indexes),
            f"{_counted(1, hosts)} INSERT INTO hosts (id, name, first_seen_at, software, probed_at)"
            f" SELECT {oldest} - n * {ID_STEP} - 2, 'p' || n || '.{wanted}.past.test', {now}, 'mastodon', {now}"
            " FROM counted",
            f"{_counted(1, people)} INSERT INTO actors (id, kind, host_id, uri, name, inbox, shared_inbox,"
            " created_at, updated_at, fetched_at)"
            f" SELECT {oldest} - n * {ID_STEP} - 1, 'person', {oldest} - (1 + (n - 1) % {hosts}) * {ID_STEP} - 2,"
            f" 'http://past.test/{wanted}/users/' || n, 'p' || n, 'http://past.test/inbox/' || n,"
            f" 'http://past.test/inbox', {now}, {now}, {now} FROM counted",
            f"{_counted(each, last)} INSERT INTO objects ({', '.join(columns)})"
            f" SELECT {chosen} FROM objects, counted WHERE id = {first} ORDER BY n",
            f"INSERT INTO search_index ({index}) SELECT {what} FROM objects WHERE {past}",
            "INSERT INTO notifications (id, member_id, kind, actor_id, object_id, group_id, created_at,"
            f" read_at) SELECT id, {anna}, 'reply', author_id, id, group_id, created_at, created_at"
            f" FROM objects WHERE {past} AND kind = 'reply' AND id / {ID_STEP} % {PER_PERSON - 1} = 0",
            f"{_counted(0, COPIES - 1)} INSERT INTO reach (subject_id, host_id, how, first_at, last_at)"
            f" SELECT id, {oldest} - (1 + (id / {ID_STEP} + n) % {hosts}) * {ID_STEP} - 2, 1, created_at,"
            f" created_at FROM objects, counted WHERE {past}",
            *indexes.values(),
            *(["ANALYZE"] if is_sqlite else []),
        ]
    )
    await stage.analyse()
    now_there = await stage.number("SELECT count(*) FROM objects")
    assert abs(now_there - wanted) <= each, f"{now_there} objects instead of {wanted}"


def _counted(start: int, last: int) -> str:
    """The numbers `n` of the table `counted`, both ends included."""
    return (
        f"WITH RECURSIVE counted (n) AS (SELECT {start} UNION ALL"
        f" SELECT n + 1 FROM counted WHERE n < {last})"
    )


async def indexes_of(stage: Stage) -> dict[str, str]:
    """What is made again after much was written, which is quicker than to keep it up to date: name → statement. What
    is unique stays."""
    if stage.db.dialect == "sqlite":
        sql = (
            "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL"
            " AND tbl_name IN ('objects', 'reach', 'notifications') AND sql NOT LIKE 'CREATE UNIQUE%'"
        )
    else:
        sql = (
            "SELECT indexname AS name, indexdef AS sql FROM pg_indexes"
            " WHERE tablename IN ('objects', 'reach', 'notifications', 'search_index')"
            " AND indexdef NOT LIKE 'CREATE UNIQUE%'"
        )
    return {row["name"]: row["sql"] for row in await stage.db.all(sql)}


async def when_grown(
    stage: Stage,
    floor: Floor,
    sign: Floor,
    *,
    reads: int,
    replies: int,
    sizes: tuple[int, ...] = SIZES,
) -> list[Figure]:
    """What arrives, what is shown and what leaves, with few and with many objects; `ratio` is against the fewest."""
    fans = [f"h{number}.fan.test" for number in range(FANS)]
    await stage.follow_from(fans)
    who = await stage.cookie()
    group = await stage.group()
    figures: list[Figure] = []
    for size in sizes:
        topic = await stage.write_topic(f"With {size}")
        await stage.quiet()
        await stage.hub.stop()
        await grow(stage, size)
        await stage.bulk([FANS_OFF.format(1)])
        await stage.hub.start()
        # People and pages are known, as on a hub that has run for a while.
        await arrive(stage, topic, [stage.reply(topic, n) for n in range(REPLIES)], "", floor)
        requests = [stage.reply(topic, REPLIES + number) for number in range(replies)]
        _, visible = await arrive(stage, topic, requests, "inbox warm", floor)
        measured = [visible]
        note, outbox = f"/ap/o/{topic.id}", f"/ap/g/{group}/outbox?page=true"
        for name, path, headers, share in (
            ("group page, made anew", "/g/gardening", PAGE | MADE_ANEW, 1.0),
            ("thread page, made anew", topic.path, PAGE | MADE_ANEW, 0.5),
            ("home, signed in", "/", {**PAGE, **who}, 1.0),
            ("search for what each post says", "/search?q=compost", PAGE, 0.25),
            ("search for what few posts say", "/search?q=quince", PAGE, 1.0),
            ("notifications", "/notifications", {**PAGE, **who}, 1.0),
            ("actor document, made anew", f"/ap/g/{group}", DOCUMENT | MADE_ANEW, 8.0),
            ("object document, signed", note, {**DOCUMENT, **stage.signature(note)}, 4.0),
            ("outbox page, signed", outbox, {**DOCUMENT, **stage.signature(outbox)}, 0.5),
        ):
            measured.append(await stage.read(name, path, headers, max(8, round(reads * share))))
        await stage.bulk([FANS_OFF.format(0)])
        left, _ = await tell(stage, TOPICS, FANS, f"fan-out of {TOPICS * FANS * FORMS:,}", sign)
        measured.append(left)
        for figure in measured:
            figure.ratio, figure.floor = None, ""
            first = next((one for one in figures if one.name.startswith(f"{figure.name}; ")), None)
            if first is not None and first.cpu_s_per_1000:
                figure.ratio = round(_whole(figure) / _whole(first), 2)
                figure.floor = f"with {sizes[0]:,}"
            figure.name = f"{figure.name}; {size:,} objects"
        figures += measured
    return figures


def _whole(figure: Figure) -> float:
    """With what the database's own processes did."""
    return figure.cpu_s_per_1000 + (figure.database_cpu_s_per_1000 or 0.0)
