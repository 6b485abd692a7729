"""Consent: what holds for a member and a channel, each decision kept, and what a query filters by it."""

from __future__ import annotations

import pytest

from fedcomm.hub import consents, groups, threads
from fedcomm.hub.consents import FREE, Consent
from tests.hub.world import World, words

ASKS = Consent({"activitypub": False, "feeds": True})


@pytest.fixture
async def anna(world: World) -> int:
    return await world.member("anna")


async def test_who_has_not_decided_gets_the_organizations_default(world: World, anna: int) -> None:
    far = await world.remote("far")
    for consent, expected in ((FREE, True), (ASKS, False)):
        assert await consent.allows(world.db, anna, "activitypub") is expected
    assert await ASKS.allows(world.db, anna, "feeds")
    assert await ASKS.allows(world.db, far, "activitypub"), "others are not ours to ask"
    group = await world.group("garden", anna)
    assert await ASKS.willing(world.db, [anna, far, group], "activitypub") == {far, group}


async def test_each_decision_is_a_version_and_the_same_again_is_none(
    world: World, anna: int
) -> None:
    for granted in (False, False, True, True, False):
        await world.do(FREE.decide, anna, "activitypub", granted=granted)
    await world.do(FREE.decide, anna, "feeds", granted=False)
    kept = await consents.decisions(world.db, anna)
    assert sorted((one.spoke, one.version, one.granted) for one in kept) == [
        ("activitypub", 1, False),
        ("activitypub", 2, True),
        ("activitypub", 3, False),
        ("feeds", 1, False),
    ]
    assert (await world.events())[-4:].count("consent_withdrawn") == 3
    newest = await consents.latest(world.db, anna, "feeds")
    assert newest is not None and newest.position is None, "nobody knows who read a feed"


async def test_a_consent_covers_what_is_said_from_then_on(world: World, anna: int) -> None:
    group = await world.group("garden", anna)
    before = await world.topic(anna, group)
    assert await FREE.leaves(world.db, [before], "activitypub") == {before}
    assert await ASKS.leaves(world.db, [before], "activitypub") == set()
    await world.run("UPDATE objects SET published_at = published_at - 1000 WHERE id = ?", before)
    await world.do(ASKS.decide, anna, "activitypub", granted=True)
    after = await world.topic(anna, group)
    assert await ASKS.leaves(world.db, [before, after], "activitypub") == {after}
    # Where it was never in doubt, saying yes takes nothing back.
    berta = await world.member("berta")
    await world.do(FREE.decide, berta, "activitypub", granted=True)
    assert (await consents.decisions(world.db, berta))[0].since == 0


async def test_an_answer_to_what_stays_here_stays_here(world: World, anna: int) -> None:
    berta, far = await world.member("berta"), await world.remote("far")
    group = await world.group("garden", anna)
    await world.do(groups.join, group, berta)
    topic = await world.topic(anna, group)
    own = await world.reply(berta, topic)
    theirs = await world.do(
        threads.create_reply, far, topic, words("From far."), provenance=await world.provenance(far)
    )
    further = await world.reply(berta, theirs)
    every = [topic, own, theirs, further]
    assert await FREE.leaves(world.db, every, "activitypub") == set(every)
    await world.do(FREE.decide, anna, "activitypub", granted=False)
    assert await FREE.leaves(world.db, every, "activitypub") == {theirs, further}


async def test_a_withdrawal_walks_what_went_out_step_by_step(
    world: World, anna: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(consents, "STEP", 2)
    group = await world.group("garden", anna)
    topics = [await world.topic(anna, group, title=f"T{n}") for n in range(5)]
    await world.remote("far")
    host = await world.db.value("SELECT id FROM hosts WHERE name = 'far.test'")
    for topic in topics[1:4]:
        await world.run(
            "INSERT INTO reach (subject_id, host_id, how, first_at, last_at) VALUES (?, ?, 1, 1, 1)",
            topic,
            host,
        )
    await world.do(FREE.decide, anna, "activitypub", granted=False)
    [work] = await consents.withdrawing(world.db)
    steps = 1
    while await consents.withdraw_step(world.db, *work):
        steps += 1
    assert steps == 3 and await consents.withdrawing(world.db) == []
    rows = await world.db.all("SELECT object_id FROM journal WHERE event = 'object_recalled'")
    assert [row["object_id"] for row in rows] == topics[1:4]
    assert not await consents.withdraw_step(world.db, *work)
