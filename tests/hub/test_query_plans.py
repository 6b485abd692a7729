"""No read of the hub walks through a table that grows: each goes by an index."""

from __future__ import annotations

import io
import re
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

import pytest
from PIL import Image

from fedcomm.hub import (
    actors,
    admission,
    authority,
    bans,
    canary,
    drafts,
    emoji,
    follows,
    group_hosts,
    groups,
    holding,
    images,
    instance,
    journal,
    lists,
    media,
    members,
    moderation,
    notifications,
    passwords,
    permissions,
    purged,
    quotes,
    reactions,
    removal,
    reports,
    reservations,
    restrictions,
    rules,
    search,
    sessions,
    sweeping,
    sweeps,
    threads,
    timelines,
)
from fedcomm.hub import statements as statements_of
from fedcomm.hub.consents import FREE
from fedcomm.hub.visibility import ANONYMOUS, can_read, can_see_group, remote_host
from fedcomm.store.database import Database, Row, Transaction, Value
from fedcomm.store.ids import now_ms
from fedcomm.store.postgresql import spelled
from tests.databases import ORIGIN
from tests.hub.world import World, words

SMALL = frozenset(
    {"settings", "cursors", "groups", "handles", "alembic_version", "rules", "canary_cycles"}
    | {"blocked_media"}
)
"""Tables that may be walked through: a hub has tens or hundreds of groups and of files that were purged, and a
month of the canary's cycles."""

FIGURES = re.compile(r"^SELECT count\(\*\) FROM members WHERE state = 'active'")
"""The figures of NodeInfo, which are cached: accounts may be counted."""


@dataclass(frozen=True, slots=True)
class Statement:
    sql: str
    args: tuple[Value, ...]


class Recorder:
    """Notes every statement on its way to a database or a transaction."""

    def __init__(self, inner: Any, seen: dict[str, Statement]) -> None:
        self._inner = inner
        self._seen = seen

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def _note(self, sql: str, args: Sequence[Value]) -> None:
        # Lists of marks of different lengths are one statement.
        self._seen.setdefault(re.sub(r"\?(, \?)+", "?…", sql), Statement(sql, tuple(args)))

    async def all(self, sql: str, *args: Value) -> Sequence[Row]:
        self._note(sql, args)
        rows: Sequence[Row] = await self._inner.all(sql, *args)
        return rows

    async def one(self, sql: str, *args: Value) -> Row | None:
        self._note(sql, args)
        row: Row | None = await self._inner.one(sql, *args)
        return row

    async def value(self, sql: str, *args: Value) -> Any:
        self._note(sql, args)
        return await self._inner.value(sql, *args)

    async def execute(self, sql: str, *args: Value, **more: Any) -> int:
        self._note(sql, args)
        changed: int = await self._inner.execute(sql, *args, **more)
        return changed

    async def later(self, sql: str, *args: Value, **more: Any) -> None:
        self._note(sql, args)
        await self._inner.later(sql, *args, **more)

    async def count(self, sql: str, key: int | str, by: int, latest: Value = None) -> None:
        self._note(sql, (by, by, latest, key))
        await self._inner.count(sql, key, by, latest)

    async def many(self, sql: str, rows: Iterable[Sequence[Value]]) -> None:
        kept = list(rows)
        if kept:
            self._note(sql, kept[0])
        await self._inner.many(sql, kept)

    async def append(self, sql: str, row: Sequence[Value]) -> None:
        self._note(sql, row)
        await self._inner.append(sql, row)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Transaction]:
        async with self._inner.transaction() as tx:
            yield Recorder(tx, self._seen)  # type: ignore[misc]


async def live_through_quotes(
    world: World, anna: int, berta: int, bob: int, group: int, topic: int, post: int
) -> None:
    """Quotes of ours and of others, asked for, granted, refused and taken back."""
    db = world.db
    draft = await world.compose(berta, "Look at that", is_topic=True, title="q", quote=topic)
    own = await world.do(threads.create_topic, berta, group, draft)
    await quotes.check_place(db, topic, group_id=group, parent_id=None)
    await quotes.check_place(db, topic, group_id=None, parent_id=topic)
    await timelines.post(db, await world.viewer(anna), own)
    await world.do(quotes.revoke, anna, own)
    stamp = "https://far.test/stamp"
    for quoted in (own, post, post):
        await world.do(
            quotes.claim, post, quoted_id=quoted, quoted_uri=None, proven=True, stamp_uri=stamp
        )
    known = await quotes.by_stamp(db, stamp)
    assert known is not None
    await world.do(quotes.denied, known.id)
    await world.do(quotes.granted, known.id, "https://far.test/other")
    await quotes.may_request(db, bob, topic)
    await world.do(quotes.accept_request, bob, post, topic, "https://far.test/r")
    await world.do(quotes.accept_request, bob, post, topic, "https://far.test/r")
    await world.do(quotes.refuse_request, bob, topic, None, "https://far.test/q")
    await world.do(quotes.forget_refused, 1)
    for policy in ("followers", "following"):
        await permissions.permits(db, policy, author_id=anna, actor_id=bob, unsaid=True)
    before = await threads.thing(db, post)
    assert before is not None
    await threads.says(db, before, words("x"), "public")
    for allowed in (permissions.Permissions("everyone", "nobody"), permissions.Permissions()):
        await world.do(threads.permit, before, allowed)
        await permissions.may_on_remote(db, "reply", post, anna)
    written = await threads.thing(db, topic)
    assert written is not None
    await world.do(threads.permit, written, permissions.Permissions("everyone"))


async def live_through_drafts(world: World, anna: int, group: int) -> None:
    """Drafts and what their previews reserve; the canary's cycles."""
    db = world.db
    picture, _file = await world.picture(anna)
    typed = drafts.Words(title="t", text="x", media=(picture,))
    number = await world.do(drafts.save, anna, typed, group_id=group)
    await world.do(drafts.save, anna, replace(typed, text="y"), draft_id=number, group_id=group)
    held = reservations.reserve()
    await world.do(drafts.promise, number, held, "fingerprint")
    await drafts.drafts_of(db, anna)
    await drafts.draft(db, anna, number)
    await drafts.draft_by_id(db, number)
    await world.do(drafts.delete, anna, number)
    await world.do(drafts.tidy)
    draft = await world.compose(anna, "As previewed", is_topic=True, title="p")
    topic = await world.do(threads.create_topic, anna, group, draft, reserved=held)
    await reservations.of_objects(db, [topic])
    await world.do(reservations.use_up, topic)
    await world.do(reservations.tidy)
    await world.do(canary.may_begin, interval_ms=1, deadline_ms=1)
    for _ in range(3):
        cycle = await world.do(canary.begin)
        await world.do(canary.arrive, cycle, "asked")
        await world.do(canary.arrive, cycle, "answered")
        await world.do(canary.miss, cycle, "late")
        await world.do(canary.abandon, cycle)
    await world.do(canary.may_begin, interval_ms=1, deadline_ms=1)
    await world.do(canary.note_alarm, await canary.status(db))
    await world.do(canary.tidy, (1, 2), 3)


async def live_through_emoji(world: World, bob: int, topic: int) -> None:
    """Emoji of ours and of others, reactions with one, and what was purged."""
    db, folder = world.db, world.site.media_folder
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8), "teal").save(buffer, "PNG")
    own = await emoji.add(db, "leaf", buffer.getvalue(), folder=folder)
    far = await world.host_id("far.test")
    named = emoji.NamedEmoji("rose", "https://far.test/rose.png")
    for url in ("https://far.test/rose.png", "https://far.test/other.png"):
        await world.do(emoji.note, far, [replace(named, url=url)])
    ((known, _host),) = await emoji.claim(db)
    await emoji.put_off(db, known.id)
    image = await images.process_image(buffer.getvalue(), folder, limits=images.EMOJI)
    await emoji.keep_picture(db, known, image)
    await emoji.own(db)
    await emoji.own(db, shown_only=True)
    await emoji.of_others(db)
    await emoji.by_shortcode(db, "rose", "far.test")
    await emoji.shown(db, {None: [":leaf:"], far: [":rose:"]})
    await emoji.by_ids(db, [own.id, known.id])
    await emoji.mime_of_file(db, own.file or "")
    await emoji.names_file(db, own.file or "")
    feeling = reactions.Feeling(":rose:", named)
    for _ in range(2):
        await world.do(reactions.add, bob, topic, "like", feeling=feeling)
    await reactions.feelings(db, [topic])
    await world.do(emoji.set_disabled, own.id, disabled=True, by=None)
    await world.do(emoji.remove, own.id, by=None)
    await world.do(emoji.forget_unused, now=now_ms() * 2)
    picture, file = await world.picture(await world.member("emil"))
    await media.name_of_file(db, file)
    await world.do(purged.block, [picture], by=None)
    await purged.blocked(db)
    await purged.looks_blocked(db, "f" * 16)
    await purged.is_blocked_hash(db, "0" * 64)


async def live_through_everything(world: World) -> None:
    """Calls every operation and every read of the hub."""
    db = world.db
    password = await passwords.hash_password("correct horse")
    anna = await world.member("anna", password_hash=password, email="anna@hub.test")
    berta = await world.member("berta")
    bob = await world.remote("bob")
    await world.remote("bob")
    group = await world.group("ambiente", anna, approval=True)
    await world.do(groups.join, group, berta)
    await world.do(groups.join, group, bob, follow_uri="https://far.test/1")
    await world.do(groups.join, group, bob, follow_uri="https://far.test/2")
    for person in (berta, bob):
        await world.do(groups.add_member, group, anna, person)
    await world.do(groups.join, group, bob, follow_uri="https://far.test/3")
    await world.do(
        groups.edit_group,
        group,
        anna,
        title="A",
        description="",
        approval=False,
        announce_replies=False,
        local_origin=ORIGIN,
    )
    picture, file = await world.picture(anna)
    await world.do(media.describe, anna, picture, "a tree")
    content = await world.compose(
        anna, "Hello @berta and @bob@far.test #tag", is_topic=True, title="t", media=(picture,)
    )
    topic = await world.do(threads.create_topic, anna, group, content)
    reply = await world.reply(berta, topic)
    nested = await world.reply(anna, reply)
    await world.do(threads.edit, anna, topic, words("again", title="t", hashtags=("tag",)))
    await world.do(threads.set_pinned, anna, topic, pinned=True)
    await world.do(threads.set_locked, anna, topic, locked=True)
    post = await world.post(bob)
    await world.do(reactions.add, bob, topic, "like")
    await world.do(reactions.add, bob, topic, "dislike")
    await world.do(reactions.add, bob, topic, "share")
    await world.do(reactions.withdraw, bob, topic, "dislike")
    await live_through_quotes(world, anna, berta, bob, group, topic, post)
    await live_through_drafts(world, anna, group)
    await live_through_emoji(world, bob, topic)
    await world.do(follows.request, anna, bob)
    await world.do(follows.set_activity, anna, bob, 1)
    await world.do(follows.accept, anna, bob)
    await world.do(follows.request, bob, anna, follow_uri="https://far.test/f")
    await world.do(follows.end, bob, anna)
    session = await sessions.log_in(db, "anna", "correct horse")
    other = await sessions.log_in(db, "anna@hub.test", "correct horse")
    await world.run("UPDATE sessions SET seen_at = seen_at - 100000 WHERE member_id = ?", anna)
    await sessions.member_of_session(db, session)
    await sessions.sessions_of(db, anna)
    await world.do(sessions.end_session, anna, sessions.token_hash(other)[:24])
    await sessions.bearer(
        db, await world.do(sessions.create_token, anna, name="app", scopes=["read"])
    )
    host = await world.host_id("far.test")
    listed = await world.do(lists.create, anna, "Neighbours")
    await world.do(lists.put, anna, listed, group)
    await lists.of_member(db, anna)
    await lists.entries(db, listed)
    await world.do(lists.put_on, anna, group, [listed])
    await world.do(lists.rename, anna, listed, "Nearby")
    await world.do(lists.take_off, anna, await world.do(lists.create, anna, "Gone"), group)
    await world.do(lists.delete, anna, await world.do(lists.create, anna, "Gone"))
    viewers = [ANONYMOUS, await world.viewer(anna), await world.viewer(bob), remote_host(host)]
    for viewer in viewers:
        await can_read(db, viewer, topic)
        await can_see_group(db, viewer, group)
        await groups.visible_group(db, viewer, "ambiente")
        await groups.list_groups(db, viewer)
        await groups.find_groups(db, viewer, "amb")
        await timelines.post(db, viewer, topic)
        await timelines.posts(db, viewer, [topic, reply])
        await timelines.group_topics(db, viewer, group)
        await timelines.pinned_topics(db, viewer, group)
        await timelines.newest_topics(db, viewer, group)
        await timelines.newest_everywhere(db, viewer)
        await timelines.replies(db, viewer, topic)
        await timelines.page_start(db, viewer, topic, nested, size=1)
        await timelines.answers(db, viewer, topic)
        free = FREE.leaving("activitypub")
        await timelines.named_below(db, viewer, "topic_id", topic, also=free, limit=9)
        await timelines.named_below(db, viewer, "parent_id", topic, also=free, limit=9)
        await timelines.by_author(db, viewer, anna)
        await timelines.home(db, viewer)
        await timelines.home(db, viewer, list_id=listed)
        await timelines.tagged(db, viewer, "tag")
        await search.find(db, viewer, "again")
        await search.find(db, viewer, "again nothing")
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(search, "OFTEN", 1)
            await search.find(db, viewer, "again")
        await media.mime_of_file(db, await world.viewer(anna), file)
    await media.image(db, picture)
    await media.images(db, [picture])
    await media.attached_to(db, topic)
    await world.do(media.unreferenced)
    await media.remove_orphans(db, world.site.media_folder, [picture])
    await members.member(db, anna)
    await members.member_by_name(db, "anna")
    await members.list_members(db)
    await actors.actors(db, [anna, bob])
    await actors.actor_by_uri(db, "https://far.test/users/bob")
    await actors.local_actor(db, "anna")
    await actors.remote_actor(db, "bob", "far.test")
    await groups.group(db, group)
    await groups.membership(db, group, anna)
    await groups.memberships_of(db, anna)
    await groups.member_count(db, group)
    await groups.member_counts(db, [group])
    await groups.list_memberships(db, group, "active")
    await groups.moderators(db, group)
    await threads.thing_by_uri(db, "https://far.test/objects/1")
    await threads.revisions(db, topic)
    await follows.find(db, anna, bob)
    await follows.counts(db, anna)
    await follows.requests_to(db, anna)
    await follows.followed_by(db, anna)
    await notifications.unread_count(db, berta)
    lines = await notifications.list_notifications(db, berta)
    await world.do(notifications.mark_read, berta, lines[0].id)
    await journal.entries_after(db, 0, 10)
    await journal.last_seq(db)
    await journal.cursor(db, "feeds")
    await world.do(journal.move_cursor, "feeds", 1)
    await judge_everything(world, anna, berta, bob, group)
    await instance.usage(db)
    await instance.setting(db, "a")
    await world.do(instance.set_setting, "a", "b")
    await world.do(threads.delete, berta, reply)
    await world.do(threads.delete, anna, topic)
    await world.do(reactions.add, anna, post, "like")
    await world.do(threads.delete_some_of, bob, after=0, limit=1)
    await world.do(actors.forget_remote, bob)
    await world.do(groups.leave, group, berta)
    await world.do(members.set_password, anna, password)
    await world.do(members.suspend_member, anna, suspended=True)
    await world.do(sessions.log_out, session)


async def judge_everything(world: World, anna: int, berta: int, bob: int, group: int) -> None:
    """Calls every operation and every read of moderation."""
    db = world.db
    boss = await world.member("boss", role="administrator")
    await world.do(rules.publish, boss, "Be kind.\nNo advertisements.")
    rule = await rules.reference(db, 2)
    grounds = moderation.Grounds("An advertisement.", rule)
    await world.run("UPDATE groups SET first_posts_wait = 1, topics_per_hour = 9")
    eve = await world.remote("eve", host="new.test")
    held = []
    for _ in range(2):
        provenance = await world.provenance(eve)
        content = words("Buy!", title="Buy!")
        held.append(
            await world.do(threads.create_topic, eve, group, content, provenance=provenance)
        )
    await admission.waiting(db, group)
    await world.do(moderation.let_in, anna, held[0])
    await world.do(moderation.turn_away, anna, held[1], "Spam.")
    topic = await world.topic(berta, group)
    report = await world.do(reports.file, reporter_id=bob, things=[topic], reason="Spam", rule=rule)
    await world.do(reports.file, reporter_id=bob, people=[berta], reason="Spam", forward="named")
    for judge in (anna, boss):
        await reports.queue(db, judge, "open")
        await moderation.open_appeals(db, judge)
        await authority.judges_at_all(db, judge)
    await world.do(reports.assign, anna, report, anna)
    await world.do(reports.note, anna, report, "Look at this.")
    await reports.notes(db, report)
    (statement,) = await world.do(moderation.decide, anna, report, "remove", grounds)
    await statements_of.of_report(db, report)
    await removal.due(db, now=now_ms() * 2)
    await world.do(moderation.appeal, statement, berta, "It was none.")
    await world.do(moderation.answer_appeal, statement, boss, "reversed", "It was none.")
    await world.do(moderation.ban, group, anna, eve, grounds, days=3, remove_posts=True)
    await bans.ban(db, group, eve)
    await bans.bans(db, group)
    await world.do(moderation.unban, group, anna, eve)
    await world.do(bans.tidy)
    await world.do(moderation.suspend, boss, eve, grounds, remove_posts=True)
    await world.do(moderation.unsuspend, boss, eve)
    await removal.purge(db, now=now_ms() * 2)
    await sweep(world, boss, eve)
    await world.run("UPDATE groups SET first_posts_wait = 0, topics_per_hour = 0")


async def sweep(world: World, boss: int, eve: int) -> None:
    """Take, bring back and purge what a server and one of its people did."""
    db = world.db
    host = await db.value("SELECT host_id FROM actors WHERE id = ?", eve)
    kinds: tuple[tuple[sweeps.Kind, int], ...] = (("actor", eve), ("host", host), ("family", host))
    for kind, subject in kinds:
        scope = sweeps.Scope(kind, subject, 0, now_ms() + 1)
        await sweeps.preview(db, scope)
        await sweeps.name_of(db, scope)
        made = await world.do(sweeps.begin, scope, reason="A wave.", by=boss)
        await sweeping.advance(db, made, folder=world.site.media_folder)
        if kind != "host":
            await world.do(sweeps.undo, made, by=boss, reason="A mistake.")
            await sweeping.advance(db, made, folder=world.site.media_folder)
        await world.run("UPDATE sweeps SET purge_at = 1 WHERE id = ?", made)
        await sweeps.waiting(db)
        await sweeping.advance(db, made, folder=world.site.media_folder)
    await sweeps.sweeps(db)
    await hold_back(world, boss, eve, host)


async def hold_back(world: World, boss: int, eve: int, host: int) -> None:
    """Hold something of a stranger, look at it, let some in and refuse the rest; servers of a group."""
    db = world.db
    for number in range(1, 5):
        await world.do(
            holding.hold,
            number,
            actor_id=eve,
            host_id=host,
            group_id=None,
            object_uri=f"https://evil.test/{number}",
            score=8,
            reasons=("same_text",),
        )
    await holding.has_room(db, host)
    await holding.is_released(db, 1)
    await holding.entries(db, boss)
    await holding.count(db, boss)
    await world.do(holding.release, boss, 1)
    await world.do(holding.refuse, boss, 2, "Spam.", "host")
    await world.do(holding.forget, eve, "https://evil.test/1")
    group = await world.group("hostly", boss)
    await world.do(admission.set_host, group, boss, "far.test", "none")
    await world.do(admission.set_other_hosts, group, boss, "read")
    await group_hosts.access(db, group, host)
    await group_hosts.rules(db, group)
    zoe = await world.remote("zoe", "zoe.test")
    await world.do(moderation.restrict, boss, zoe, moderation.Grounds("Spam."), group, days=1)
    await restrictions.restrictions(db, group)
    await world.do(moderation.end_suspensions)


@pytest.fixture
async def statements(world: World) -> dict[str, Statement]:
    """Every statement that the hub says, by its text."""
    seen: dict[str, Statement] = {}
    plain: Database = world.db
    world.db = Recorder(plain, seen)  # type: ignore[assignment]
    await live_through_everything(world)
    world.db = plain
    assert len(seen) > 120
    return seen


NAMES = re.compile(
    r"\b(?:FROM|JOIN|UPDATE|INTO)\s+(\w+)(?:\s+(?:AS\s+)?(?!WHERE|ON|SET|JOIN|CROSS|LEFT|ORDER|VALUES)(\w+))?"
)


def tables_of(sql: str) -> dict[str, str]:
    """Alias → table."""
    found = {}
    for table, alias in NAMES.findall(sql):
        found[alias or table] = table
        found.setdefault(table, table)
    return found


async def plan_of(db: Database, statement: Statement) -> list[str]:
    if db.dialect == "sqlite":
        rows = await db.all(f"EXPLAIN QUERY PLAN {statement.sql}", *statement.args)
        return [row["detail"] for row in rows]
    async with db.transaction() as tx:
        # An empty table is always walked through, unless that is forbidden.
        await tx.execute("SET LOCAL enable_seqscan = off")
        # The plan for whatever is asked, which PostgreSQL makes when a statement is often asked.
        await tx.execute("SET LOCAL plan_cache_mode = force_generic_plan")
        sql, *values = spelled(statement.sql, statement.args)
        await tx.execute(f"PREPARE plan_ AS {sql}")
        nulls = f"({', '.join(['NULL'] * len(values))})" if values else ""
        rows = await tx.all(f"EXPLAIN EXECUTE plan_{nulls}")
        await tx.execute("DEALLOCATE plan_")
    return [row["QUERY PLAN"] for row in rows]


WALKS = {
    "sqlite": re.compile(r"^SCAN (\w+)(?! VIRTUAL)"),
    "postgresql": re.compile(r"Seq Scan on (\w+)(?: (\w+))?"),
}


async def test_no_statement_of_the_hub_walks_through_a_growing_table(
    world: World, statements: dict[str, Statement]
) -> None:
    walked = []
    for statement in statements.values():
        if FIGURES.match(statement.sql):
            continue
        tables = tables_of(statement.sql)
        for line in await plan_of(world.db, statement):
            match = WALKS[world.db.dialect].search(line)
            if match is None or "VIRTUAL TABLE" in line:
                continue
            name = match.group(1)
            table = tables.get(name)
            if table is not None and table not in SMALL:
                walked.append(f"{line}: {statement.sql}")
    assert not walked, "\n\n".join(walked)


on_sqlite = pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
"""PostgreSQL chooses by statistics, which the tables of a test do not have."""

LISTS_BY_INDEX = {
    "o.group_id = ? AND o.kind = 'topic' AND o.pinned_at IS NULL": "objects_by_group_activity",
    "o.group_id = ? AND o.kind = 'topic' AND o.id < ?": "objects_by_group",
    "o.kind = 'topic' AND o.visibility = 'public' AND o.id < ?": "objects_by_kind",
    "o.group_id = ? AND o.pinned_at IS NOT NULL": "objects_pinned",
    "WHERE o.topic_id = ? AND o.kind = 'reply' AND o.id > ?": "objects_by_topic",
    "WHERE o.parent_id = ? AND o.id > ?": "objects_by_parent",
    "WHERE o.author_id = ? AND o.id < ?": "objects_by_author",
    "WHERE t.tag = ? AND t.object_id < ?": "hashtags_by_tag",
    "FROM notifications n JOIN actors": "notifications_by_member",
}
"""What stands in a list's statement → the index by which it goes, in the order of the list."""


@on_sqlite
@pytest.mark.parametrize("condition", LISTS_BY_INDEX)
async def test_a_page_of_a_list_is_read_in_the_order_of_its_index(
    world: World, statements: dict[str, Statement], condition: str
) -> None:
    found = [each for each in statements.values() if condition in each.sql and "LIMIT" in each.sql]
    assert found
    for statement in found:
        plan = await plan_of(world.db, statement)
        assert any(f"INDEX {LISTS_BY_INDEX[condition]} " in line for line in plan), plan
        assert not any("TEMP B-TREE FOR ORDER BY" in line for line in plan), plan


@on_sqlite
async def test_home_walks_from_the_members_own_rows(
    world: World, statements: dict[str, Statement]
) -> None:
    found = [each for each in statements.values() if "hm CROSS JOIN objects" in each.sql]
    assert found
    for statement in found:
        plan = "\n".join(await plan_of(world.db, statement))
        for step in (
            r"SEARCH hm USING .*memberships_by_actor \(actor_id=\? AND state=\?\)",
            r"SEARCH t USING .*objects_by_group \(group_id=\? AND kind=\? AND id>\? AND id<\?\)",
            r"SEARCH t USING .*objects_by_author \(author_id=\? AND id>\? AND id<\?\)",
            r"SEARCH hr USING .*reactions_by_actor \(actor_id=\? AND kind=\? AND object_id>\?",
            r"SEARCH o USING INTEGER PRIMARY KEY",
        ):
            assert re.search(step, plan), (step, plan)
