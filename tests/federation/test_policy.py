"""The policy at the door: every activity under every level and mode, deliveries, fetches, decisions, lists."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from activitypub.origins import host as host_of
from fedcomm.federation import handlers, reception
from fedcomm.federation.decisions import Decisions
from fedcomm.hub import (
    events,
    follows,
    groups,
    participation,
    policies,
    policy_changes,
    policy_drafts,
    reactions,
    threads,
)
from fedcomm.hub.policies import Entry, Level
from fedcomm.hub.visibility import ANONYMOUS, can_read, member
from fedcomm.store.ids import now_ms
from tests.federation import policy_matrix
from tests.federation.acts import activity
from tests.federation.inprocess import LocalHub, ScriptedStubs
from tests.federation.policy_matrix import ACQUAINTANCES, ACTIVITIES, Acquaintance, Policy, Word
from tests.federation.stub import PUBLIC

pytestmark = pytest.mark.asyncio(loop_scope="module")

WHY = "For a test."
AN_EVENT = events.Occasion(now_ms() + 86_400_000, zone="UTC", joining="free")
AT_ONCE = 8
SETTLE_S = 20.0

LEVELS: dict[Policy, Entry] = {
    "none": Entry("", "none"),
    "queue": Entry("", "queue"),
    "limit": Entry("", "limit"),
    "reject media": Entry("", "none", reject_media=True),
    "reject reports": Entry("", "none", reject_reports=True),
    "suspend": Entry("", "suspend"),
}


def domain_of(uri: str) -> str:
    name = host_of(uri, allow_http=True)
    assert name is not None
    return name


async def decide(town: LocalHub, *entries: Entry) -> int:
    """Set entries; the id of the change. They hold at once in this process."""
    async with town.db.transaction() as tx:
        change = await policy_changes.apply(
            tx, {entry.domain: entry for entry in entries}, by=None, kind="set", reason=WHY
        )
    assert change is not None and town.site.federation is not None
    town.site.federation.policies_changed()
    return change


async def decided(town: LocalHub, sent: dict[str, Any]) -> str:
    """What became of an activity that had to wait for a decision."""
    deadline = asyncio.get_running_loop().time() + SETTLE_S
    while (found := await town.verdict(sent)).startswith("held"):
        assert asyncio.get_running_loop().time() < deadline, "still held"
        await asyncio.sleep(0.02)
    return found


async def undo(town: LocalHub, change: int) -> None:
    async with town.db.transaction() as tx:
        await policy_changes.undo(tx, change, by=None, reason=WHY)
    assert town.site.federation is not None
    town.site.federation.policies_changed()


@asynccontextmanager
async def under(town: LocalHub, policy: Policy, actors: Sequence[str]) -> AsyncIterator[None]:
    """The policy holds for the actors' hosts until the block ends."""
    if policy in ("cautious", "allow-list"):
        async with town.db.transaction() as tx:
            made = await policy_changes.set_mode(tx, policy, by=None, reason=WHY)  # type: ignore[arg-type]
        assert made is not None and town.site.federation is not None
        town.site.federation.policies_changed()
        change = made
    else:
        entry = LEVELS[policy]
        change = await decide(
            town,
            *(
                Entry(domain_of(a), entry.level, entry.reject_media, entry.reject_reports)
                for a in actors
            ),
        )
    try:
        yield
    finally:
        await undo(town, change)


# The matrix


@dataclass
class Case:
    """One cell: an actor with a host of its own, and what it is about to send."""

    kind: str
    acquaintance: Acquaintance
    actor: str
    sent: dict[str, Any]
    topic: int
    note: str
    """The id of a reply of theirs, for what is about words."""


async def number_of(town: LocalHub, uri: str) -> int:
    return int(await town.db.value("SELECT id FROM actors WHERE uri = ?", uri) or 0)


async def acquaint(town: LocalHub, case: Case) -> None:
    """Bring about what there is between us and the actor before."""
    if case.acquaintance == "new":
        return
    assert town.site.federation is not None
    found = await town.site.federation.find_actor(case.actor)
    assert found is not None, case.actor
    async with town.db.transaction() as tx:
        await follows.request(tx, town.anna, found.id)
        if case.acquaintance == "followed":
            await follows.accept(tx, town.anna, found.id)
        elif case.kind not in ("Accept", "TentativeAccept", "Reject", "TentativeReject"):
            await follows.end(tx, town.anna, found.id)
        if case.kind in ("Add", "Remove", "Lock"):
            await groups.add_member(tx, town.group, town.anna, found.id, "moderator")
        if case.kind == "Remove":
            await threads.set_pinned(tx, town.anna, case.topic, pinned=True)
        if case.kind == "Leave":
            await participation.join(tx, found.id, case.topic)
        if case.kind == "Undo":
            await reactions.add(tx, found.id, case.topic, "like", uri=f"{case.actor}/likes/1")
    if case.kind in ("Update", "Delete"):
        made = activity(case.actor, "Create", note(town, case, "Before."))
        assert (await town.deliver(made)).startswith("done")


def note(town: LocalHub, case: Case, text: str) -> dict[str, Any]:
    picture = {"type": "Document", "mediaType": "image/png", "url": f"{case.actor}/picture.png"}
    return {
        "id": case.note,
        "type": "Note",
        "attributedTo": case.actor,
        "inReplyTo": town.object_uri(case.topic),
        "to": [PUBLIC],
        "content": f"<p>{text}</p>",
        "attachment": [picture],
    }


async def cases(town: LocalHub, servers: ScriptedStubs) -> list[Case]:
    """One for each activity and acquaintance, with everything in its place."""
    made = []
    for kind in ACTIVITIES:
        for acquaintance in ACQUAINTANCES:
            actor = servers.somebody("eve")
            topic = await town.write_topic(
                town.group,
                f"{kind} {acquaintance}",
                event=AN_EVENT if kind in ("Join", "Leave") else None,
            )
            case = Case(kind, acquaintance, actor, {}, topic, f"{actor}/notes/1")
            case.sent = message(town, servers, case)
            made.append(case)
    limit = asyncio.Semaphore(AT_ONCE)

    async def one(case: Case) -> None:
        async with limit:
            await acquaint(town, case)

    await asyncio.gather(*map(one, made))
    return made


def message(town: LocalHub, servers: ScriptedStubs, case: Case) -> dict[str, Any]:
    """What the actor sends."""
    actor, kind, topic = case.actor, case.kind, town.object_uri(case.topic)
    our_follow = {"type": "Follow", "actor": town.person(town.anna), "object": actor}
    featured = f"{town.group_uri(town.group)}/featured"
    match kind:
        case "Follow":
            return activity(actor, kind, town.person(town.ben))
        case "Accept" | "TentativeAccept" | "Reject" | "TentativeReject":
            return activity(actor, kind, our_follow)
        case "Create" | "Update":
            return activity(actor, kind, note(town, case, "After."))
        case "Delete":
            return activity(actor, kind, case.note)
        case "Delete of the actor":
            return activity(actor, "Delete", actor)
        case "Undo":
            return activity(actor, kind, activity(actor, "Like", topic, id=f"{actor}/likes/1"))
        case "Add" | "Remove":
            return activity(actor, kind, topic, target=featured)
        case "Move":
            new = servers.actor("evan", domain_of(actor).partition(":")[0], alsoKnownAs=[actor])
            return activity(actor, kind, actor, target=new)
        case "Block":
            return activity(actor, kind, town.person(town.anna))
        case "QuoteRequest":
            quoting = note(town, case, "After.") | {"quote": topic}
            del quoting["inReplyTo"]
            return activity(actor, kind, topic, instrument=quoting)
    return activity(actor, kind, topic)


async def has_taken_effect(town: LocalHub, case: Case) -> bool:
    """Whether the hub is as the activity wants it."""
    db, eve = town.db, await number_of(town, case.actor)

    async def there(sql: str, *args: Any) -> bool:
        return await db.value(sql, *args) is not None

    match case.kind:
        case "Follow":
            return await follows.find(db, eve, town.ben) is not None
        case "Accept" | "TentativeAccept":
            found = await follows.find(db, town.anna, eve)
            return found is not None and found.state == "active"
        case "Reject" | "TentativeReject" | "Block":
            gone = await follows.find(db, town.anna, eve) is None
            had = case.acquaintance == "followed" or (
                case.acquaintance == "known" and case.kind != "Block"
            )
            return gone and had
        case "Create":
            return await there("SELECT 1 FROM objects WHERE uri = ?", case.note)
        case "Update":
            return await there(
                "SELECT 1 FROM objects WHERE uri = ? AND html LIKE '%After.%'", case.note
            )
        case "Delete":
            return await there(
                "SELECT 1 FROM objects WHERE uri = ? AND deleted_at IS NOT NULL", case.note
            )
        case "Delete of the actor":
            return await there(
                "SELECT 1 FROM actors WHERE uri = ? AND deleted_at IS NOT NULL", case.actor
            )
        case "Like" | "EmojiReact" | "Dislike" | "Announce":
            return await there(
                "SELECT 1 FROM reactions WHERE object_id = ? AND actor_id = ?", case.topic, eve
            )
        case "Undo":
            likes = await town.count(
                "SELECT count(*) FROM reactions WHERE object_id = ?", case.topic
            )
            return case.acquaintance != "new" and not likes
        case "Flag":
            return await there("SELECT 1 FROM reports WHERE uri = ?", case.sent["id"])
        case "Add":
            return await there(
                "SELECT 1 FROM objects WHERE id = ? AND pinned_at IS NOT NULL", case.topic
            )
        case "Remove":
            return case.acquaintance != "new" and await there(
                "SELECT 1 FROM objects WHERE id = ? AND pinned_at IS NULL", case.topic
            )
        case "Lock":
            return await there(
                "SELECT 1 FROM objects WHERE id = ? AND locked_at IS NOT NULL", case.topic
            )
        case "Join":
            return await participation.find(db, case.topic, eve) is not None
        case "Leave":
            gone = await participation.find(db, case.topic, eve) is None
            return gone and case.acquaintance != "new"
        case "Move":
            return await there(
                "SELECT 1 FROM actors WHERE uri = ? AND moved_to_uri IS NOT NULL", case.actor
            )
        case "QuoteRequest":
            return await there(
                "SELECT 1 FROM quotes WHERE quoted_id = ? AND state = 'accepted'", case.topic
            )
    return False


async def observe(town: LocalHub, case: Case) -> Word:
    """Send it over the wire and look what happened."""
    before = await has_taken_effect(town, case)
    status = await town.post(case.sent)
    if status == 403:
        assert await town.db.value("SELECT 1 FROM inbox WHERE uri = ?", case.sent["id"]) is None
        assert await has_taken_effect(town, case) is before
        return "403"
    assert status == 202, status
    state = await town.db.value("SELECT state FROM inbox WHERE uri = ?", case.sent["id"])
    if state is None:
        return "no effect"
    if state == "held":
        assert await has_taken_effect(town, case) is before
        return "waits"
    await town.verdict(case.sent, SETTLE_S)
    if not await has_taken_effect(town, case):
        return "no effect"
    return await _how(town, case)


async def _how(town: LocalHub, case: Case) -> Word:
    db = town.db
    if case.kind == "Follow":
        found = await follows.find(db, await number_of(town, case.actor), town.ben)
        assert found is not None
        return "takes effect" if found.state == "active" else "asks first"
    if case.kind not in policy_matrix.SHOWS_WORDS:
        return "takes effect"
    thing = int(await db.value("SELECT id FROM objects WHERE uri = ?", case.note))
    if not await can_read(db, ANONYMOUS, thing):
        return "seen by followers" if await can_read(db, member(town.anna), thing) else "hidden"
    pictures = await town.count("SELECT count(*) FROM attachments WHERE object_id = ?", thing)
    return "takes effect" if pictures else "without media"


@pytest.mark.parametrize("policy", policy_matrix.POLICIES)
async def test_every_activity_meets_every_policy(
    policy: Policy, town: LocalHub, servers: ScriptedStubs
) -> None:
    """Acceptance 4: the matrix of docs/federating.md, walked over the wire."""
    made = await cases(town, servers)
    limit = asyncio.Semaphore(AT_ONCE)
    seen: dict[tuple[str, str], Word] = {}

    async def one(case: Case) -> None:
        async with limit:
            seen[case.kind, case.acquaintance] = await observe(town, case)

    async with under(town, policy, [case.actor for case in made]):
        await asyncio.gather(*map(one, made))
    wrong = {
        (case.kind, case.acquaintance): (found, wanted)
        for case in made
        if (found := seen[case.kind, case.acquaintance])
        != (wanted := policy_matrix.expected(case.kind, policy, case.acquaintance))
    }
    assert not wrong, f"(seen, expected): {wrong}"
    await town.quiet(SETTLE_S)


async def test_the_matrix_names_every_activity_that_has_a_handler() -> None:
    source = re.search(
        r"async def prepare\(.*?\n    # ", Path(handlers.__file__).read_text("utf-8"), re.S
    )
    assert source is not None
    handled = set(re.findall(r'"(\w+)"', " ".join(re.findall(r"case (.+):", source[0]))))
    assert handled and handled <= set(ACTIVITIES)


async def test_the_table_in_the_documents_is_current() -> None:
    text = policy_matrix.DOCUMENT.read_text("utf-8")
    assert policy_matrix.BEGIN in text and policy_matrix.END in text
    assert policy_matrix.with_table(text) == text, "python -m tests.federation.policy_matrix"


# What else a level means


async def joined(town: LocalHub, servers: ScriptedStubs, *, software: str = "mastodon") -> str:
    """A person of another server in anna's group."""
    fan = servers.somebody("fan", servers.new_host(), software=software)
    follow = activity(fan, "Follow", town.group_uri(town.group))
    assert (await town.deliver(follow)) == "done: membership active"
    await town.quiet()
    return fan


async def test_a_former_recipient_that_is_suspended_gets_the_delete_and_nothing_else(
    town: LocalHub, servers: ScriptedStubs
) -> None:
    fan = await joined(town, servers)
    near = await joined(town, servers)
    topic = await town.write_topic(town.group, "Soon gone")
    await town.quiet()
    host, neighbour = (servers.hosts[domain_of(uri).partition(":")[0]] for uri in (fan, near))
    before = len(host.arrived)
    assert "Announce/id" in host.kinds()
    change = await decide(town, Entry(domain_of(fan), "suspend"))
    await town.write_topic(town.group, "Not for them")
    async with town.db.transaction() as tx:
        await threads.delete(tx, town.anna, topic)
    town.site.wake()
    await town.quiet()
    assert [arrival.body["type"] for arrival in host.arrived[before:]] == ["Delete"]
    assert {"Delete", "Undo/Announce"} <= set(neighbour.kinds())
    assert await groups.member_count(town.db, town.group) >= 2
    await undo(town, change)
    await town.write_topic(town.group, "Welcome back")
    await town.quiet()
    assert host.kinds()[-1] == "Announce/id"


@pytest.mark.parametrize(
    ("level", "status"), [("none", 200), ("limit", 200), ("queue", 200), ("suspend", 403)]
)
async def test_what_is_ours_is_served_to_all_but_the_suspended(
    level: Level, status: int, town: LocalHub, servers: ScriptedStubs
) -> None:
    somebody = servers.somebody()
    await decide(town, Entry(domain_of(somebody), level))
    for path in (town.object_uri(town.topic), town.group_uri(town.group)):
        assert (await servers.get(path, signer=somebody))[0] == status


async def test_nothing_is_asked_of_a_suspended_host(town: LocalHub, servers: ScriptedStubs) -> None:
    somebody = servers.somebody()
    await decide(town, Entry(domain_of(somebody), "suspend"))
    like = activity(somebody, "Like", town.object_uri(town.topic))
    assert await town.post(like) == 403
    assert town.site.federation is not None
    assert await town.site.federation.find_actor(somebody) is None
    assert await town.site.federation.find_actor(f"@mallory@{domain_of(somebody)}") is None
    written = servers.note(somebody)
    assert await town.site.federation.find_object(written["id"]) is None
    host = servers.hosts[domain_of(somebody).partition(":")[0]]
    assert (host.fetched, host.arrived) == ([], [])


async def test_what_waited_is_processed_in_order_once_the_host_is_let_in(
    town: LocalHub, servers: ScriptedStubs
) -> None:
    somebody = servers.somebody()
    name = domain_of(somebody)
    await decide(town, Entry(name, "queue"))
    case = Case("Create", "new", somebody, {}, town.topic, f"{somebody}/notes/1")
    first = activity(somebody, "Create", note(town, case, "Before."))
    second = activity(somebody, "Update", note(town, case, "After."))
    for each in (first, second):
        assert await town.post(each) == 202
    assert await town.count("SELECT count(*) FROM inbox WHERE state = 'held'") == 2
    waiting = {host.name: host.waiting for host in await policies.undecided(town.db)}
    assert waiting[name] == 2
    await decide(town, Entry(name, "none"))
    assert (await decided(town, first), await decided(town, second)) == (
        "done: stored",
        "done: edited",
    )


async def test_what_waited_of_a_host_that_is_then_suspended_is_refused(
    town: LocalHub, servers: ScriptedStubs
) -> None:
    somebody = servers.somebody()
    await decide(town, Entry(domain_of(somebody), "queue"))
    like = activity(somebody, "Like", town.object_uri(town.topic))
    assert await town.post(like) == 202
    await decide(town, Entry(domain_of(somebody), "suspend"))
    assert await decided(town, like) == "refused: suspended"
    assert await town.db.value("SELECT body FROM inbox WHERE uri = ?", like["id"]) is None


async def test_words_of_a_limited_host_are_not_handed_on_by_the_group(
    town: LocalHub, servers: ScriptedStubs
) -> None:
    fan = await joined(town, servers, software="lemmy")
    somebody = servers.somebody()
    await decide(town, Entry(domain_of(somebody), "limit"))
    case = Case("Create", "new", somebody, {}, town.topic, f"{somebody}/notes/1")
    sent = activity(somebody, "Create", note(town, case, "Psst."))
    assert await town.deliver(sent) == "done: stored"
    like = activity(somebody, "Like", town.object_uri(town.topic))
    assert await town.deliver(like) == "done: like"
    await town.quiet()
    host = servers.hosts[domain_of(fan).partition(":")[0]]
    assert not [a for a in host.arrived if somebody in str(a.body)]


async def test_as_much_may_wait_for_a_decision_as_may_wait_at_all(
    town: LocalHub, servers: ScriptedStubs, monkeypatch: pytest.MonkeyPatch
) -> None:
    somebody = servers.somebody()
    await decide(town, Entry(domain_of(somebody), "queue"))
    most = town.site.config.inbox.per_host_queued
    assert await town.post(activity(somebody, "Like", town.object_uri(town.topic))) == 202
    host_id = await town.db.value("SELECT id FROM hosts WHERE name = ?", domain_of(somebody))
    async with town.db.queue_transaction() as tx:
        await tx.many(
            "INSERT INTO inbox (id, uri, host_id, signer_uri, state, body, received_at)"
            " VALUES (?, ?, ?, ?, 'held', '{}', 0)",
            [(n + 1, f"{somebody}/x/{n}", host_id, somebody) for n in range(most)],
        )
    monkeypatch.setattr(reception, "BUSY_LOOK_S", 0.0)
    assert await town.post(activity(somebody, "Like", town.object_uri(town.topic))) == 429
    async with town.db.queue_transaction() as tx:
        await tx.execute("DELETE FROM inbox WHERE host_id = ?", host_id)


# Lists from elsewhere


async def test_a_subscribed_list_arrives_as_a_draft_with_its_etag(
    town: LocalHub, servers: ScriptedStubs
) -> None:
    name = servers.new_host("lists")
    url = f"{servers.host(name).origin}/blocks.csv"
    asked: list[str | None] = []

    async def answer(request: web.Request) -> web.Response:
        asked.append(request.headers.get("If-None-Match"))
        if asked[-1] == '"1"':
            return web.Response(status=304)
        text = "#domain,#severity\nworst.example,suspend\n"
        return web.Response(text=text, content_type="text/csv", headers={"ETag": '"1"'})

    servers.script(url, answer)
    async with town.db.transaction() as tx:
        subscribed = await policy_drafts.subscribe(tx, url, level="suspend", by=None)
    federation = town.site.federation
    assert federation is not None
    found = await federation.fetch_list(subscribed)
    assert found is not None and [entry.domain for entry in found.new] == ["worst.example"]
    assert await policies.find(town.db, "worst.example") is None
    assert [draft.source for draft in await policy_drafts.drafts(town.db)] == [url]
    assert await federation.fetch_list(subscribed) is None
    assert asked == [None, '"1"']
    assert (await policy_drafts.subscription(town.db, subscribed)).error is None
    async with town.db.transaction() as tx:
        await policy_drafts.unsubscribe(tx, subscribed, by=None)


@pytest.mark.parametrize(
    ("status", "body", "reason"),
    [
        (404, b"", "404"),
        (200, b"\xff\xfe", "not UTF-8"),
        (200, b"x" * 5_000_000, "too_large"),
        (302, b"", "redirects"),
    ],
)
async def test_a_list_that_cannot_be_had_changes_nothing(
    status: int, body: bytes, reason: str, town: LocalHub, servers: ScriptedStubs
) -> None:
    url = f"{servers.host(servers.new_host('lists')).origin}/blocks.csv"

    async def answer(_request: web.Request) -> web.Response:
        return web.Response(status=status, body=body, headers={"Location": url})

    servers.script(url, answer)
    async with town.db.transaction() as tx:
        subscribed = await policy_drafts.subscribe(tx, url, level="suspend", by=None)
    assert town.site.federation is not None
    assert await town.site.federation.fetch_list(subscribed) is None
    assert reason in str((await policy_drafts.subscription(town.db, subscribed)).error)
    assert await policy_drafts.drafts(town.db) == []
    async with town.db.transaction() as tx:
        await policy_drafts.unsubscribe(tx, subscribed, by=None)


async def test_a_trial_block_is_over_without_anybody(
    town: LocalHub, servers: ScriptedStubs
) -> None:
    somebody = servers.somebody()
    await decide(town, Entry(domain_of(somebody), "suspend", expires_at=1))
    federation = town.site.federation
    assert federation is not None
    worker: Decisions = federation._decisions
    await worker.round()
    assert await policies.find(town.db, domain_of(somebody)) is None
    like = activity(somebody, "Like", town.object_uri(town.topic))
    assert await town.deliver(like) == "done: like"
