"""Restrictions, suspensions and bans: what they keep out, and when they end."""

from __future__ import annotations

import pytest

from fedcomm.hub import (
    actors,
    bans,
    groups,
    moderation,
    reactions,
    restrictions,
    statements,
    threads,
)
from fedcomm.hub.errors import Invalid, NotAllowed, NotFound
from fedcomm.hub.visibility import ANONYMOUS, can_read
from fedcomm.store.ids import now_ms
from tests.hub.moderated import WHY, Town, audited, from_elsewhere, told, town_of
from tests.hub.world import World, words


@pytest.fixture
async def town(world: World) -> Town:
    return await town_of(world)


async def test_what_a_restricted_person_writes_waits_until_it_is_let_in(
    world: World, town: Town
) -> None:
    other = await world.group("bici", town.anna)
    await world.do(groups.add_member, other, town.anna, town.carla)
    made = await world.do(moderation.restrict, town.mara, town.carla, WHY, town.group, days=3)
    stated = await moderation.readable_statement(world.db, town.carla, made)
    assert stated.expires_at is not None and stated.group_id == town.group
    last = await world.db.value("SELECT max(seq) FROM journal")
    reply = await world.reply(town.carla, town.topic, "Again.")
    topic = await world.topic(town.carla, town.group)
    assert {(await world.thing(each)).withheld for each in (reply, topic)} == {"waiting"}
    for each in (reply, topic):
        assert not await can_read(world.db, ANONYMOUS, each)
    assert (await world.thing(town.topic)).reply_count == 1
    # The journal, which every spoke reads, tells of nothing but what waits.
    assert set(await world.events(last)) == {"object_held"}
    assert "post_waiting" in await told(world, town.mara)
    # What stands cannot become what nobody looked at; what waits can still be changed.
    with pytest.raises(NotAllowed, match="waits for a moderator"):
        await world.do(threads.edit, town.carla, town.reply, words("Worse."))
    await world.do(threads.edit, town.carla, reply, words("Better."))
    # She reads, likes and writes elsewhere as before.
    await world.do(reactions.add, town.carla, town.topic, "like")
    assert (await world.thing(await world.topic(town.carla, other))).withheld is None
    await world.do(moderation.let_in, town.mara, reply)
    assert (await world.thing(reply)).withheld is None
    # Let in once is not let in for ever.
    assert (await world.thing(await world.reply(town.carla, town.topic))).withheld == "waiting"
    assert [each.person.id for each in await restrictions.restrictions(world.db, town.group)] == [
        town.carla
    ]
    await world.do(moderation.lift_restriction, town.mara, made)
    assert (await world.thing(await world.reply(town.carla, town.topic))).withheld is None
    assert await restrictions.restrictions(world.db, town.group) == []


async def test_a_restriction_is_over_at_its_time_and_a_new_one_replaces_it(
    world: World, town: Town
) -> None:
    first = await world.do(moderation.restrict, town.mara, town.carla, WHY, town.group)
    second = await world.do(moderation.restrict, town.mara, town.carla, WHY, town.group, days=1)
    (holding,) = await restrictions.restrictions(world.db, town.group)
    assert holding.statement_id == second
    known = await statements.statement(world.db, first)
    assert known is not None and known.ended_at is not None
    await world.run("UPDATE statements SET expires_at = ? WHERE id = ?", now_ms() - 1, second)
    assert (await world.thing(await world.reply(town.carla, town.topic))).withheld is None
    with pytest.raises(Invalid):
        await world.do(moderation.restrict, town.mara, town.carla, WHY, town.group, days=0)


async def test_staff_restricts_in_all_groups_and_a_reversed_appeal_ends_it(
    world: World, town: Town
) -> None:
    made = await world.do(moderation.restrict, town.boss, town.carla, WHY)
    reply = await world.reply(town.carla, town.topic)
    assert (await world.thing(reply)).withheld == "waiting"
    await world.do(moderation.appeal, made, town.carla, "I was right.")
    await world.do(moderation.answer_appeal, made, town.bruno, "reversed", "She was.")
    assert (await world.thing(await world.reply(town.carla, town.topic))).withheld is None


async def test_inv_21_who_may_not_judge_neither_restricts_nor_lifts(
    world: World, town: Town
) -> None:
    for judge, person, group in (
        (town.berta, town.carla, town.group),  # A member.
        (town.mara, town.carla, None),  # A moderator of one group, for all of them.
        (town.mara, town.mara, town.group),  # Oneself.
        (town.boss, town.anna, town.group),  # Who looks after the group.
    ):
        with pytest.raises(NotAllowed):
            await world.do(moderation.restrict, judge, person, WHY, group)
    made = await world.do(moderation.restrict, town.mara, town.carla, WHY, town.group)
    for stranger in (town.berta, town.carla):
        with pytest.raises(NotFound):
            await world.do(moderation.lift_restriction, stranger, made)
    warned = await world.do(moderation.warn, town.mara, town.berta, WHY, town.group)
    with pytest.raises(NotFound):
        await world.do(moderation.lift_restriction, town.mara, warned)


async def test_a_suspension_ends_by_itself_unless_another_one_holds(
    world: World, town: Town
) -> None:
    remote = await world.remote("rex")
    for person in (town.carla, remote):
        made = await world.do(moderation.suspend, town.boss, person, WHY, days=2)
        assert (await world.actor(person)).suspended_at is not None
        assert await world.do(moderation.end_suspensions) == 0
        await world.run("UPDATE statements SET expires_at = ? WHERE id = ?", now_ms() - 1, made)
        assert await world.do(moderation.end_suspensions) == 1
        assert (await world.actor(person)).suspended_at is None
        stated = await statements.statement(world.db, made)
        assert stated is not None and stated.ended_at is not None
    assert "suspension_over" in await audited(world)
    first = await world.do(moderation.suspend, town.boss, town.carla, WHY, days=2)
    # The second is for good, a ban from the hub. It replaces the first, whose end changes nothing any more.
    await world.do(moderation.suspend, town.boss, town.carla, WHY)
    await world.run("UPDATE statements SET expires_at = ? WHERE id = ?", now_ms() - 1, first)
    assert await world.do(moderation.end_suspensions) == 0
    assert (await world.actor(town.carla)).suspended_at is not None


async def test_a_suspension_by_the_operator_replaces_another_one_as_well(
    world: World, town: Town
) -> None:
    first = await world.do(moderation.suspend, town.boss, town.carla, WHY, days=2)
    second = await world.do(moderation.suspend_by_operator, town.carla, "The board decided.")
    await world.run("UPDATE statements SET expires_at = ? WHERE id = ?", now_ms() - 1, first)
    assert await world.do(moderation.end_suspensions) == 0
    assert (await world.actor(town.carla)).suspended_at is not None
    standing = [one.id for one in await statements.about(world.db, town.carla) if not one.ended_at]
    assert standing == [second]
    assert (await told(world, town.carla)).count("statement") == 2
    with pytest.raises(Invalid):
        await world.do(moderation.suspend_by_operator, town.carla, " ")


async def test_a_measure_ends_however_much_was_decided_about_the_person_since(
    world: World, town: Town
) -> None:
    restriction = await world.do(moderation.restrict, town.mara, town.carla, WHY, town.group)
    second = await world.group("altro", town.anna)
    other = await world.do(moderation.restrict, town.anna, town.carla, WHY, second)
    for _ in range(60):
        await world.do(moderation.warn, town.mara, town.carla, WHY, town.group)
    again = await world.do(moderation.restrict, town.mara, town.carla, WHY, town.group)
    await world.do(moderation.lift_restriction, town.mara, again)
    assert not await restrictions.holds(world.db, town.carla, town.group)
    assert await restrictions.holds(world.db, town.carla, second)
    ended = {one: await statements.statement(world.db, one) for one in (restriction, other)}
    assert ended[restriction].ended_at is not None
    assert ended[other].ended_at is None


async def test_who_is_banned_is_out_and_stays_out_until_the_ban_is_lifted(
    world: World, town: Town
) -> None:
    await world.do(moderation.ban, town.group, town.mara, town.carla, WHY)
    for attempt in (
        world.topic(town.carla, town.group),
        world.reply(town.carla, town.topic),
        world.do(groups.join, town.group, town.carla),
        world.do(groups.add_member, town.group, town.anna, town.carla),
        world.do(groups.refuse, town.group, town.anna, town.carla),
        world.do(reactions.add, town.carla, town.topic, "like"),
    ):
        with pytest.raises(NotAllowed):
            await attempt
    await world.do(groups.leave, town.group, town.carla)
    (ban,) = await bans.bans(world.db, town.group)
    assert (ban.person.id, ban.reason, ban.until) == (town.carla, WHY.reason, None)
    assert await world.do(moderation.unban, town.group, town.mara, town.carla)
    assert not await world.do(moderation.unban, town.group, town.mara, town.carla)
    assert await world.do(groups.join, town.group, town.carla) == "active"
    assert {"decided_ban", "member_unbanned"} <= set(await audited(world))


async def test_a_ban_ends_at_its_time_also_when_nobody_tidies_up(world: World, town: Town) -> None:
    await world.do(moderation.ban, town.group, town.mara, town.carla, WHY, days=3)
    ban = await bans.ban(world.db, town.group, town.carla)
    assert ban is not None and ban.until is not None
    assert abs(ban.until - now_ms() - 3 * 86_400_000) < 60_000
    assert await world.do(bans.tidy) == 0
    await world.run("UPDATE memberships SET banned_until = ? WHERE state = 'banned'", now_ms() - 1)
    assert await bans.bans(world.db, town.group) == []
    assert await world.do(groups.join, town.group, town.carla) == "active"
    assert (await groups.membership(world.db, town.group, town.carla)) is not None


@pytest.mark.parametrize("days", [0, -1, 3_651])
async def test_a_ban_lasts_a_sensible_time(world: World, town: Town, days: int) -> None:
    with pytest.raises(Invalid):
        await world.do(moderation.ban, town.group, town.mara, town.carla, WHY, days=days)


async def test_a_ban_can_take_along_what_was_written(world: World, town: Town) -> None:
    second = await world.group("altro", town.anna)
    await world.do(groups.join, second, town.carla)
    elsewhere = await world.topic(town.carla, second)
    await world.do(moderation.ban, town.group, town.mara, town.carla, WHY, remove_posts=True)
    assert (await world.thing(town.reply)).withheld == "removed"
    assert (await world.thing(elsewhere)).withheld is None, "what stands in another group stays"
    kinds = sorted(each.action for each in await statements.about(world.db, town.carla))
    assert kinds == ["ban", "remove"]


async def test_inv_21_only_who_moderates_the_group_bans_and_never_its_owner_or_moderators(
    world: World, town: Town
) -> None:
    other = await world.member("oda")
    await world.group("altro", other)
    for nobody in (other, town.berta):
        with pytest.raises(NotAllowed):
            await world.do(moderation.ban, town.group, nobody, town.carla, WHY)
    for looked_after in (town.anna, town.mara):
        with pytest.raises(NotAllowed):
            await world.do(moderation.ban, town.group, town.bruno, looked_after, WHY)
    await world.do(groups.add_member, town.group, town.anna, town.mara, "member")
    with pytest.raises(NotAllowed):
        await world.do(moderation.ban, town.group, town.mara, town.carla, WHY)


async def test_a_suspended_person_from_elsewhere_stays_so_when_their_server_says_otherwise(
    world: World, town: Town
) -> None:
    bob = await world.remote("bob")
    await world.do(moderation.suspend, town.boss, bob, WHY)
    assert await world.remote("bob") == bob, "the profile is fetched again"
    assert (await world.actor(bob)).suspended_at is not None
    with pytest.raises(NotAllowed):
        await from_elsewhere(world, bob, town.group)
    await world.do(moderation.unsuspend, town.boss, bob)
    await world.remote("bob")
    assert (await actors.actor(world.db, bob)).suspended_at is None  # type: ignore[union-attr]
