"""Sweeps: everything of somebody within some time goes, comes back exactly, or is erased for good."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from fedcomm.hub import (
    erasure,
    follows,
    groups,
    moderation,
    participation,
    policies,
    policy_changes,
    polls,
    reactions,
    removal,
    reports,
    statements,
    sweeping,
    sweeps,
    threads,
)  # fmt: skip
from fedcomm.hub.ballots import Ballot
from fedcomm.hub.errors import HubError, Invalid, NotAllowed, NotFound
from fedcomm.hub.events import Occasion
from fedcomm.hub.sweep_places import SWEPT
from fedcomm.hub.sweeps import Scope
from fedcomm.store.ids import now_ms
from tests.databases import ORIGIN
from tests.hub.world import World, words

MARKER = "MARKERSWEEP"
DAY_MS = 86_400_000
DAY_LATER = now_ms() + DAY_MS

TABLES = (
    "objects", "reactions", "notifications", "reports", "follows", "memberships", "attachments",
    "mentions", "hashtags", "revisions", "media", "poll_votes", "poll_options", "participations",
    "events",
)  # fmt: skip


class Town:
    """anna administers and owns a group; a wave has come from evil.test, and quiet.test is quiet."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.db = world.db

    async def settle(self) -> Town:
        world = self.world
        self.anna = await world.member("anna", role="administrator")
        self.ben = await world.member("ben")
        self.group = await world.group("soil", self.anna)
        self.topic = await world.topic(self.anna, self.group, "Clay.", "Which soil?")
        self.poll = await self.thread(
            "Clay or sand?", poll=Ballot(("Clay", "Sand"), True, DAY_LATER)
        )
        self.feast = await self.thread(
            "Feast", event=Occasion(DAY_LATER, zone="Europe/Rome", joining="free")
        )
        self.eve = await world.remote("eve", "evil.test")
        self.mallory = await world.remote("mallory", "evil.test")
        self.quinn = await world.remote("quinn", "quiet.test")
        self.spam = [await self.wave(author) for author in (self.eve, self.mallory)]
        self.fine = await self.answer(self.quinn, "A kind word.")
        return self

    async def thread(self, title: str, **facts: Any) -> int:
        content = await self.world.compose(self.anna, "", is_topic=True, title=title, **facts)
        return await self.world.do(threads.create_topic, self.anna, self.group, content)

    async def answer(self, author: int, text: str) -> int:
        return await self.world.do(
            threads.create_reply,
            author,
            self.topic,
            words(text, hashtags=("spam",)),
            provenance=await self.world.provenance(author),
        )

    async def wave(self, author: int) -> int:
        """What one of them does: joins, follows, answers, mentions, likes, reports."""
        world = self.world
        await world.do(groups.join, self.group, author, follow_uri=f"https://evil.test/f/{author}")
        await world.do(
            follows.request, author, self.ben, follow_uri=f"https://evil.test/g/{author}"
        )
        spam = await self.answer(author, f"{MARKER} buy now")
        await world.post(author, f"{MARKER} @ben", mentions=[self.ben])
        await world.do(reactions.add, author, self.topic, "like")
        await world.do(polls.vote, author, self.poll, [0, 1])
        await world.do(participation.join, author, self.feast, uri=f"https://evil.test/j/{author}")
        await world.do(
            reports.file,
            reporter_id=author,
            things=[self.topic],
            reason=f"{MARKER} report",
            host_id=await self.host("evil.test"),
            uri=f"https://evil.test/flags/{author}",
        )
        await world.run(
            "INSERT INTO inbox (id, uri, host_id, signer_uri, state, body, received_at)"
            " VALUES (?, ?, ?, ?, 'waiting', ?, ?)",
            spam + 1,
            f"https://evil.test/a/{author}",
            await self.host("evil.test"),
            (await world.actor(author)).uri,
            f'{{"content": "{MARKER}"}}',
            now_ms(),
        )
        return spam

    async def host(self, name: str) -> int:
        return int(await self.db.value("SELECT id FROM hosts WHERE name = ?", name))

    async def scope(self, name: str = "evil.test", **changes: Any) -> Scope:
        facts = {"kind": "host", "subject_id": await self.host(name), "since": 0}
        return Scope(**(facts | {"until": now_ms() + 1} | changes))  # type: ignore[arg-type]

    async def begin(self, scope: Scope, **options: Any) -> int:
        found = await sweeps.preview(self.db, scope)
        return await self.world.do(
            sweeps.begin, scope, reason="A wave.", by=self.anna, total=found.total, **options
        )

    async def carry_out(self, sweep_id: int) -> sweeps.Sweep:
        return await sweeping.advance(self.db, sweep_id, folder=self.folder)

    @property
    def folder(self) -> Path:
        return self.world.site.media_folder

    async def state(self) -> dict[str, list[dict[str, Any]]]:
        """Every row of every table that a sweep touches."""
        found = {}
        for table in TABLES:
            rows = [dict(row) for row in await self.db.all(f"SELECT * FROM {table}")]
            found[table] = sorted(rows, key=lambda row: json.dumps(row, default=str))
        found["polls"] = [
            dict(row) for row in await self.db.all("SELECT object_id, voter_count FROM polls")
        ]
        found["inbox"] = [
            dict(row) for row in await self.db.all("SELECT id, uri, body FROM inbox ORDER BY id")
        ]
        return found


@pytest.fixture
async def town(world: World) -> Town:
    return await Town(world).settle()


async def withheld(town: Town, object_id: int) -> str | None:
    found = await threads.thing(town.db, object_id)
    assert found is not None
    return found.withheld


async def test_a_preview_names_and_counts_everything_and_changes_nothing(town: Town) -> None:
    before = await town.state()
    found = await sweeps.preview(town.db, await town.scope())
    assert set(found.people) == {"eve@evil.test", "mallory@evil.test"}
    assert found.people_total == 2
    assert (found.topics, found.replies, found.posts) == (0, 2, 2)
    assert found.groups == (("Soil", 2),)
    assert (found.reactions, found.reports, found.follows, found.memberships) == (2, 2, 2, 2)
    assert found.waiting == 2
    assert (found.votes, found.participations) == (4, 2)
    assert found.notifications > 0
    assert await town.state() == before


async def test_a_sweep_takes_everything_of_a_host_and_leaves_others_alone(town: Town) -> None:
    done = await town.carry_out(await town.begin(await town.scope()))
    assert done.state == "done"
    assert done.done == done.total
    assert [await withheld(town, spam) for spam in town.spam] == ["removed", "removed"]
    assert await withheld(town, town.fine) is None
    for sql in (
        "SELECT count(*) FROM reactions",
        "SELECT count(*) FROM poll_votes",
        "SELECT sum(vote_count) FROM poll_options",
        "SELECT voter_count FROM polls",
        "SELECT count(*) FROM participations",
        "SELECT going_count FROM events",
        "SELECT count(*) FROM reports WHERE state = 'open'",
        "SELECT count(*) FROM follows WHERE suspended = 0",
        "SELECT count(*) FROM inbox WHERE state = 'waiting'",
        f"SELECT count(*) FROM notifications WHERE actor_id IN ({town.eve}, {town.mallory})",
    ):
        assert await town.db.value(sql) == 0, sql
    assert await groups.member_count(town.db, town.group) == 1
    topic = await threads.thing(town.db, town.topic)
    assert topic is not None
    assert (topic.like_count, topic.reply_count) == (0, 1)
    after = await sweeps.preview(town.db, await town.scope())
    assert after.total == 0


async def test_undo_brings_everything_back_exactly(town: Town) -> None:
    # Things of which it is easy to lose something: pinned, hidden before, waiting in a queue.
    await town.world.run("UPDATE objects SET pinned_at = 5 WHERE id = ?", town.spam[0])
    await town.world.do(removal.withhold, town.anna, town.spam[1], "hidden")
    before = await town.state()
    sweep_id = await town.begin(await town.scope())
    await town.carry_out(sweep_id)
    assert await town.state() != before
    await town.world.do(sweeps.undo, sweep_id, by=town.anna, reason="It was a mistake.")
    assert (await town.carry_out(sweep_id)).state == "undone"
    assert await town.state() == before
    assert await town.db.value("SELECT count(*) FROM sweep_items") == 0


async def test_undo_of_a_sweep_that_is_half_done_brings_back_the_half(town: Town) -> None:
    before = await town.state()
    sweep_id = await town.begin(await town.scope())
    for _ in range(4):
        await sweeping.step(town.db, sweep_id, folder=town.folder)
    await town.world.do(sweeps.undo, sweep_id, by=town.anna, reason="Stop.")
    assert (await town.carry_out(sweep_id)).state == "undone"
    assert await town.state() == before


async def test_what_happened_since_wins_over_undo(town: Town) -> None:
    sweep_id = await town.begin(await town.scope())
    await town.carry_out(sweep_id)
    await town.world.do(threads.delete, town.eve, town.spam[0])
    entry = policies.Entry("evil.test", "suspend")
    await town.world.do(
        policy_changes.apply, {"evil.test": entry}, by=town.anna, kind="set", reason="A wave."
    )
    await town.world.do(sweeps.undo, sweep_id, by=town.anna, reason="Enough.")
    await town.carry_out(sweep_id)
    gone = await threads.thing(town.db, town.spam[0])
    assert gone is not None
    assert gone.deleted_at is not None
    # The relations belong to the policy now, and come back with it.
    assert await town.db.value("SELECT count(*) FROM follows WHERE suspended = 1") == 2
    await town.world.do(
        policy_changes.apply, {"evil.test": None}, by=town.anna, kind="removed", reason="Over."
    )
    assert await town.db.value("SELECT count(*) FROM follows WHERE suspended = 0") == 2


async def erase(town: Town, kind: erasure.Kind, subject: int) -> None:
    """An erasure as far as the database goes."""
    case_id = await town.world.do(
        erasure.request, kind, subject, requested_by=town.anna, reason="They asked."
    )
    one = await erasure.case(town.db, case_id)
    assert one is not None
    while one.state in ("objects", "rows"):
        one = await erasure.advance(town.db, one, origin=ORIGIN)


async def test_inv_50_undo_brings_back_nothing_of_who_was_erased_meanwhile(town: Town) -> None:
    sweep_id = await town.begin(await town.scope())
    await town.carry_out(sweep_id)
    # Somebody who was swept, and somebody here whom the wave had told things.
    await erase(town, "remote", town.eve)
    await erase(town, "member", town.ben)
    for id_or_name in (f'"actor_id": {town.eve},', "users/eve"):
        left = await town.db.value(
            "SELECT count(*) FROM sweep_items WHERE before LIKE ?", f"%{id_or_name}%"
        )
        assert left == 0, id_or_name
    await town.world.do(sweeps.undo, sweep_id, by=town.anna, reason="Enough.")
    assert (await town.carry_out(sweep_id)).state == "undone"
    for table, column in (
        ("reactions", "actor_id"),
        ("notifications", "actor_id"),
        ("notifications", "member_id"),
        ("follows", "follower_id"),
        ("memberships", "actor_id"),
    ):
        for gone in (town.eve, town.ben):
            sql = f"SELECT count(*) FROM {table} WHERE {column} = ?"
            assert await town.db.value(sql, gone) == 0, (table, column)
    erased = await threads.thing(town.db, town.spam[0])
    assert erased is not None and erased.deleted_at is not None and not erased.html
    # What mallory did is back, as far as it concerns nobody who is gone.
    likes = await town.db.value("SELECT like_count FROM objects WHERE id = ?", town.topic)
    assert likes == 1


async def test_inv_50_undo_restores_no_post_of_somebody_who_is_being_erased(town: Town) -> None:
    sweep_id = await town.begin(await town.scope())
    await town.carry_out(sweep_id)
    await town.world.do(
        erasure.request, "remote", town.eve, requested_by=town.anna, reason="They asked."
    )
    await town.world.do(sweeps.undo, sweep_id, by=town.anna, reason="Enough.")
    assert (await town.carry_out(sweep_id)).state == "undone"
    known = [await threads.thing(town.db, post) for post in town.spam]
    assert [thing.withheld for thing in known if thing] == ["removed", None]


async def test_a_like_does_not_come_back_to_what_is_gone(town: Town) -> None:
    sweep_id = await town.begin(await town.scope())
    await town.carry_out(sweep_id)
    await town.world.do(threads.delete, town.anna, town.topic)
    await town.world.do(sweeps.undo, sweep_id, by=town.anna, reason="Enough.")
    assert (await town.carry_out(sweep_id)).state == "undone"
    sql = "SELECT count(*) FROM reactions WHERE object_id = ?"
    assert await town.db.value(sql, town.topic) == 0


async def test_a_sweep_of_who_is_erased_finds_nothing_and_ends(town: Town) -> None:
    await erase(town, "remote", town.eve)
    scope = await town.scope()
    sweep_id = await town.begin(Scope("actor", town.eve, scope.since, now_ms() + 1))
    known = await town.carry_out(sweep_id)
    assert known.state == "done"
    await town.world.do(sweeps.undo, sweep_id, by=town.anna, reason="Enough.")
    assert (await town.carry_out(sweep_id)).state == "undone"


async def test_a_vote_and_an_answer_that_came_since_stand(town: Town) -> None:
    """What was swept and then said anew counts once when the sweep is undone; what its poll lost is not voted for."""
    sweep_id = await town.begin(await town.scope())
    await town.carry_out(sweep_id)
    report_at = "SELECT report_at FROM polls WHERE object_id = ?"
    assert await town.db.value(report_at, town.poll) is not None  # Others hear of the new counts.
    await town.world.do(polls.vote, town.eve, town.poll, [0])
    await town.world.do(participation.join, town.eve, town.feast, uri="https://evil.test/j/new")
    await town.world.run("DELETE FROM poll_options WHERE object_id = ? AND position = 1", town.poll)
    await town.world.do(sweeps.undo, sweep_id, by=town.anna, reason="Enough.")
    assert (await town.carry_out(sweep_id)).state == "undone"
    assert await town.db.value("SELECT voter_count FROM polls") == 2
    assert await town.db.value("SELECT vote_count FROM poll_options WHERE position = 0") == 2
    assert await town.db.value("SELECT count(*) FROM poll_votes") == 2
    assert await town.db.value("SELECT going_count FROM events") == 2


async def test_a_policy_does_not_bring_back_what_a_sweep_took(town: Town) -> None:
    await town.carry_out(await town.begin(await town.scope()))
    for entry in (policies.Entry("evil.test", "suspend"), None):
        await town.world.do(
            policy_changes.apply, {"evil.test": entry}, by=town.anna, kind="set", reason="Try."
        )
    assert await town.db.value("SELECT DISTINCT suspended FROM follows") == SWEPT


async def test_only_the_time_that_was_named_is_swept(town: Town) -> None:
    middle = now_ms()
    while now_ms() <= middle:
        pass
    late = await town.answer(town.eve, "Later.")
    scope = await town.scope(since=middle + 1)
    assert (await sweeps.preview(town.db, scope)).replies == 1
    await town.carry_out(await town.begin(scope))
    assert await withheld(town, late) == "removed"
    assert await withheld(town, town.spam[0]) is None


async def test_one_person_or_a_whole_family_of_hosts_can_be_swept(town: Town) -> None:
    await town.carry_out(await town.begin(Scope("actor", town.eve, 0, now_ms() + 1)))
    assert await withheld(town, town.spam[0]) == "removed"
    assert await withheld(town, town.spam[1]) is None
    sub = await town.world.remote("sub", "s7.evil.test")
    more = await town.answer(sub, "From below.")
    scope = await town.scope(kind="family")
    assert await sweeps.name_of(town.db, scope) == "*.evil.test"
    await town.carry_out(await town.begin(scope))
    assert await withheld(town, town.spam[1]) == "removed"
    assert await withheld(town, more) == "removed"
    assert await withheld(town, town.fine) is None


async def test_a_member_gets_the_reasons_and_an_open_appeal_keeps_the_words(town: Town) -> None:
    await town.world.do(groups.join, town.group, town.ben)
    mine = await town.world.reply(town.ben, town.topic, "Buy my book.")
    scope = Scope("actor", town.ben, 0, now_ms() + 1)
    sweep_id = await town.begin(scope)
    await town.carry_out(sweep_id)
    stated = await statements.latest(town.db, mine, "remove")
    assert stated is not None
    assert (stated.reason, stated.person_id) == ("A wave.", town.ben)
    await town.world.do(moderation.appeal, stated.id, town.ben, "It is a good book.")
    await town.world.run("UPDATE sweeps SET purge_at = 1 WHERE id = ?", sweep_id)
    purged = await town.carry_out(sweep_id)
    assert purged.state == "purged"
    assert json.loads(purged.certificate or "")["erased"]["kept for an appeal"] == 1
    kept = await threads.thing(town.db, mine)
    assert kept is not None
    assert "book" in kept.html


async def everything_stored(town: Town) -> str:
    """Every word in every table."""
    sql = (
        "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'search_index_%'"
        if town.db.dialect == "sqlite"
        else "SELECT tablename AS name FROM pg_tables WHERE schemaname = 'public'"
    )
    found = []
    for row in await town.db.all(sql):
        rows = await town.db.all(f"SELECT * FROM {row['name']}")
        found.append(f"{row['name']}: {[dict(each) for each in rows]}")
    return "\n".join(found)


async def test_inv_49_a_purge_leaves_no_word_in_any_place_and_says_what_went(
    town: Town, tmp_path: Path
) -> None:
    world = town.world
    media_id, file = await world.picture(town.ben)
    town.folder.mkdir(parents=True, exist_ok=True)
    (town.folder / file).write_bytes(MARKER.encode())
    await world.run("UPDATE media SET sha256 = 'aa11', alt = ? WHERE id = ?", MARKER, media_id)
    await world.run(
        "INSERT INTO attachments (object_id, position, media_id, type, alt) VALUES (?, 0, ?, 'Image', ?)",
        town.spam[0],
        media_id,
        MARKER,
    )
    await world.do(threads.edit, town.mallory, town.spam[1], words(f"{MARKER} again"))
    await world.run("UPDATE actors SET display_name = ? WHERE id = ?", MARKER, town.eve)
    for table, columns, values in (
        ("activities", "id, actor_id, type, object_id, body, created_at", "9, ?, 'Announce/activity', ?, ?, 1"),
        ("received_activities", "uri, type, actor_id, object_id, body, created_at", "'u', 'Create', ?, ?, ?, 1"),
    ):  # fmt: skip
        await world.run(
            f"INSERT INTO {table} ({columns}) VALUES ({values})",
            town.eve,
            town.spam[0],
            MARKER,
        )
    assert MARKER in await everything_stored(town)
    sweep_id = await town.begin(await town.scope())
    await town.carry_out(sweep_id)
    assert MARKER in await everything_stored(town)  # It could still be undone.
    await world.run("UPDATE sweeps SET purge_at = ? WHERE id = ?", now_ms(), sweep_id)
    assert sweep_id in await sweeps.waiting(town.db)
    for _ in range(10):
        purged = await town.carry_out(sweep_id)
        if purged.state == "purged":
            break
    assert purged.state == "purged"
    stored = await everything_stored(town)
    assert MARKER not in stored, [line[:80] for line in stored.split("\n") if MARKER in line]
    assert not (town.folder / file).exists()
    assert await town.db.value("SELECT count(*) FROM blocked_media WHERE sha256 = 'aa11'") == 1
    certificate = json.loads(purged.certificate or "")
    assert certificate["left"] == 0
    assert certificate["erased"]["posts"] == 4
    assert certificate["erased"]["profiles"] == 2
    if town.db.dialect == "sqlite":
        # Bytes, not rows: in the file, its log, and the pages that are free now.
        path = await town.db.value("SELECT file FROM pragma_database_list WHERE name = 'main'")
        for name in (path, f"{path}-wal"):
            assert MARKER.encode() not in Path(name).read_bytes(), name
    with pytest.raises(NotAllowed, match="no longer be undone"):
        await world.do(sweeps.undo, sweep_id, by=town.anna, reason="Too late.")


async def test_a_sweep_goes_on_from_wherever_it_was_left(town: Town) -> None:
    """Step by step, each followed by nothing at all: whatever was done stays, and nothing is done twice."""
    sweep_id = await town.begin(await town.scope())
    seen = []
    while await sweeping.step(town.db, sweep_id, folder=town.folder):
        seen.append((await sweeps.sweep(town.db, sweep_id)).done)
    done = await sweeps.sweep(town.db, sweep_id)
    assert seen == sorted(seen)
    assert (done.state, done.done) == ("done", done.total)
    assert await sweeping.step(town.db, sweep_id, folder=town.folder) is False
    assert (await sweeps.sweep(town.db, sweep_id)) == done


async def test_a_ban_or_suspension_removes_more_than_one_step_can(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(moderation, "REMOVED_AT_ONCE", 2)
    more = [await town.answer(town.quinn, f"Number {n}.") for n in range(5)]
    outside = await town.world.post(town.quinn, "Not in a group.")
    await town.world.do(
        moderation.ban, town.group, town.anna, town.quinn, moderation.Grounds("Spam."),
        remove_posts=True,
    )  # fmt: skip
    assert [await withheld(town, post) for post in more[-2:]] == ["removed"] * 2
    assert await withheld(town, town.fine) is None
    for sweep_id in await sweeps.waiting(town.db):
        await town.carry_out(sweep_id)
    assert {await withheld(town, post) for post in [*more, town.fine]} == {"removed"}
    assert await withheld(town, outside) is None
    stated = await statements.about(town.db, town.quinn)
    assert sorted(each.action for each in stated) == ["ban", *["remove"] * 6]
    await town.world.do(
        moderation.suspend, town.anna, town.quinn, moderation.Grounds("Spam."), remove_posts=True
    )
    assert await withheld(town, outside) == "removed"


@pytest.mark.parametrize(
    ("who", "reason", "error"),
    [("ben", "Because.", NotAllowed), ("anna", "  ", Invalid), ("nobody", "Because.", NotAllowed)],
)
async def test_only_administrators_with_a_reason_sweep(
    town: Town, who: str, reason: str, error: type[HubError]
) -> None:
    by = {"ben": town.ben, "anna": town.anna, "nobody": 1}[who]
    scope = await town.scope()
    with pytest.raises(error):
        await town.world.do(sweeps.begin, scope, reason=reason, by=by)
    assert await town.db.value("SELECT count(*) FROM sweeps") == 0


async def test_nobody_sweeps_themselves_a_group_of_ours_or_the_unknown(town: Town) -> None:
    for kind, subject, error in (
        ("actor", town.anna, NotAllowed),
        ("actor", town.group, NotFound),
        ("actor", 1, NotFound),
        ("host", 1, NotFound),
    ):
        scope = Scope(kind, subject, 0, now_ms())  # type: ignore[arg-type]
        with pytest.raises(error):
            await town.world.do(sweeps.begin, scope, reason="Why not.", by=town.anna)


def test_states_follow_each_other_as_the_table_says() -> None:
    reachable = {"running"}
    for _ in range(5):
        reachable |= {after for state in reachable for after in sweeps.ALLOWED[state]}  # type: ignore[index]
    assert reachable == set(sweeps.ALLOWED)
    assert "undoing" not in sweeps.ALLOWED["purging"]
    assert all(after not in sweeps.ALLOWED[after] for after in sweeps.ALLOWED)
