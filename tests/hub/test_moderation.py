"""Reports, decisions with reasons, appeals, bans, and what waits for a moderator."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from fedcomm.hub import (
    actors,
    audit,
    bans,
    groups,
    moderation,
    notifications,
    reactions,
    removal,
    reports,
    restrictions,
    rules,
    search,
    statements,
    threads,
)
from fedcomm.hub.errors import Invalid, NotAllowed, NotFound
from fedcomm.hub.visibility import ANONYMOUS, can_read
from fedcomm.store.ids import now_ms
from tests.hub.world import World, words

WHY = moderation.Grounds("It insults somebody.")


@dataclass(frozen=True)
class Town:
    """Anna owns the group, Mara moderates it; Berta and Carla are members; Boss and Bruno are staff."""

    anna: int
    mara: int
    berta: int
    carla: int
    boss: int
    bruno: int
    group: int
    topic: int
    """Berta's."""
    reply: int
    """Carla's."""


@pytest.fixture
async def town(world: World) -> Town:
    anna = await world.member("anna")
    people = [await world.member(name) for name in ("mara", "berta", "carla")]
    boss = await world.member("boss", role="administrator")
    bruno = await world.member("bruno", role="moderator")
    group = await world.group("ambiente", anna)
    for person in people:
        await world.do(groups.add_member, group, anna, person)
    mara, berta, carla = people
    await world.do(groups.add_member, group, anna, mara, "moderator")
    topic = await world.topic(berta, group, "Zanzibar words.", title="Zanzibar")
    reply = await world.reply(carla, topic, "You fool.")
    return Town(anna, mara, berta, carla, boss, bruno, group, topic, reply)


async def told(world: World, person: int) -> list[str]:
    return [note.kind for note in await notifications.list_notifications(world.db, person)]


async def audited(world: World) -> list[str]:
    return [line.event for line in await audit.lines(world.db)]


# Reports


async def test_a_report_about_a_group_waits_for_its_moderators_and_for_staff(
    world: World, town: Town
) -> None:
    report = await world.do(
        reports.file, reporter_id=town.berta, things=[town.reply], reason="An insult."
    )
    for judge in (town.anna, town.mara, town.boss, town.bruno):
        (found,) = await reports.queue(world.db, judge, "open")
        assert (found.id, found.group_name, found.reporter) == (report, "ambiente", "berta")
        assert [each.id for each in found.people] == [town.carla]
    assert await reports.queue(world.db, town.berta, "open") == []
    with pytest.raises(NotFound):
        await reports.judged_report(world.db, town.berta, report)
    assert "report" in await told(world, town.mara)
    assert "report" not in await told(world, town.carla), "who is reported learns nothing of it"


async def test_inv_20_a_report_from_a_private_group_is_for_its_moderators_alone(
    world: World, town: Town
) -> None:
    secret = await world.group("cantina", town.anna, mode="private")
    await world.do(groups.add_member, secret, town.anna, town.berta)
    topic = await world.topic(town.berta, secret)
    report = await world.do(reports.file, reporter_id=town.anna, things=[topic], reason="Not here.")
    assert await reports.queue(world.db, town.boss, "open") == []
    with pytest.raises(NotFound):
        await reports.judged_report(world.db, town.boss, report)
    with pytest.raises(NotAllowed):
        await world.do(moderation.take_down, town.boss, topic, "remove", WHY)
    assert await told(world, town.boss) == []
    assert len(await reports.queue(world.db, town.anna, "open")) == 1


async def test_who_reports_the_same_again_gets_the_report_that_there_is(
    world: World, town: Town
) -> None:
    first = await world.do(
        reports.file, reporter_id=town.berta, things=[town.reply], reason="An insult."
    )
    again = await world.do(
        reports.file, reporter_id=town.berta, things=[town.reply], reason="Really."
    )
    assert first == again
    other = await world.do(
        reports.file, reporter_id=town.mara, things=[town.reply], reason="An insult."
    )
    assert other != first


async def test_a_member_and_a_server_send_so_many_reports_an_hour_and_no_more(
    world: World, town: Town
) -> None:
    bob = await world.remote("bob")
    host = await world.host_id("far.test")
    for host_id, reporter in ((None, town.berta), (host, bob)):
        for _ in range(reports.PER_HOUR):
            topic = await world.topic(town.carla, town.group)
            await world.do(
                reports.file, reporter_id=reporter, things=[topic], reason="x", host_id=host_id
            )
        with pytest.raises(NotAllowed):
            await world.do(
                reports.file, reporter_id=reporter, things=[town.topic], reason="x", host_id=host_id
            )


async def test_a_member_reports_with_a_reason_and_a_rule_that_there_is(
    world: World, town: Town
) -> None:
    with pytest.raises(Invalid):
        await world.do(reports.file, reporter_id=town.berta, things=[town.reply], reason="  ")
    with pytest.raises(Invalid):
        await rules.reference(world.db, 1)
    await world.do(rules.publish, town.boss, "Be kind.\n\n  No   advertisements. ")
    rule = await rules.reference(world.db, 2)
    await world.do(rules.publish, town.boss, "Be kind.")
    await world.do(
        reports.file, reporter_id=town.berta, things=[town.reply], reason="Sells.", rule=rule
    )
    (report,) = await reports.queue(world.db, town.anna, "open")
    assert report.rule == rules.Reference(1, 2)
    old = await rules.version(world.db, 1)
    assert old is not None and old.text(2) == "No advertisements."
    with pytest.raises(Invalid):
        await rules.reference(world.db, 2)


async def test_the_same_rules_again_are_no_new_version(world: World, town: Town) -> None:
    assert await world.do(rules.publish, town.boss, "Be kind.") == 1
    assert await world.do(rules.publish, town.boss, "  Be kind.\n") == 1
    assert await world.do(rules.publish, town.boss, "Be very kind.") == 2
    with pytest.raises(Invalid):
        await world.do(rules.publish, town.boss, " \n ")


async def test_a_report_is_taken_on_by_who_may_judge_it_and_noted_on(
    world: World, town: Town
) -> None:
    report = await world.do(
        reports.file, reporter_id=town.berta, things=[town.reply], reason="An insult."
    )
    await world.do(reports.assign, town.mara, report, town.mara)
    await world.do(reports.note, town.mara, report, "Happened before.")
    with pytest.raises(NotAllowed):
        await world.do(reports.assign, town.mara, report, town.berta)
    with pytest.raises(NotFound):
        await world.do(reports.note, town.berta, report, "Me too.")
    found = await reports.judged_report(world.db, town.anna, report)
    assert found.assignee == "mara"
    assert [note.text for note in await reports.notes(world.db, report)] == ["Happened before."]


# Decisions


@pytest.mark.parametrize("action", moderation.ACTIONS)
async def test_p1_nothing_is_decided_without_a_reason(
    world: World, town: Town, action: moderation.Action
) -> None:
    report = await world.do(
        reports.file, reporter_id=town.berta, things=[town.reply], reason="An insult."
    )
    before = len(await world.events())
    with pytest.raises(Invalid):
        await world.do(moderation.decide, town.boss, report, action, moderation.Grounds(" \n"))
    assert len(await world.events()) == before, "and nothing else has happened"
    assert (await reports.queue(world.db, town.boss, "open"))[0].state == "open"
    assert await statements.about(world.db, town.carla) == []
    assert (await world.thing(town.reply)).withheld is None


@pytest.mark.parametrize("action", ["warn", "hide", "remove", "restrict", "ban", "suspend"])
async def test_p1_each_decision_leaves_a_statement_that_can_be_appealed(
    world: World, town: Town, action: moderation.Action
) -> None:
    await world.do(rules.publish, town.boss, "Be kind.")
    rule = await rules.reference(world.db, 1)
    report = await world.do(
        reports.file, reporter_id=town.berta, things=[town.reply], reason="An insult."
    )
    grounds = moderation.Grounds(" It insults Berta. ", rule)
    (made,) = await world.do(moderation.decide, town.boss, report, action, grounds)
    found = await moderation.readable_statement(world.db, town.carla, made)
    assert (found.action, found.reason, found.decided_as) == (action, "It insults Berta.", "hub")
    assert found.rule == rules.Reference(1, 1) and found.is_appealable
    assert "statement" in await told(world, town.carla)
    for stranger in (town.berta,):
        with pytest.raises(NotFound):
            await moderation.readable_statement(world.db, stranger, made)
    assert f"decided_{action}" in await audited(world)
    (decided,) = await reports.queue(world.db, town.boss, "decided")
    assert (decided.outcome, decided.decision_reason) == (action, "It insults Berta.")
    with pytest.raises(NotAllowed):
        await world.do(moderation.decide, town.boss, report, "dismiss", grounds)


async def test_a_dismissed_report_concerns_nobody(world: World, town: Town) -> None:
    report = await world.do(
        reports.file, reporter_id=town.berta, things=[town.reply], reason="An insult."
    )
    assert await world.do(moderation.decide, town.mara, report, "dismiss", WHY) == []
    assert await statements.about(world.db, town.carla) == []
    assert "statement" not in await told(world, town.carla)


async def test_nobody_decides_about_themselves_and_nobody_without_the_right(
    world: World, town: Town
) -> None:
    mine = await world.topic(town.mara, town.group)
    report = await world.do(
        reports.file, reporter_id=town.berta, things=[mine], reason="Off topic."
    )
    for action in moderation.ACTIONS:
        with pytest.raises(NotAllowed):
            await world.do(moderation.decide, town.mara, report, action, WHY)
        with pytest.raises(NotFound):
            await world.do(moderation.decide, town.carla, report, action, WHY)
    with pytest.raises(NotAllowed):
        # A moderator of a group does not decide about the whole hub.
        await world.do(moderation.suspend, town.anna, town.carla, WHY)
    with pytest.raises(NotAllowed):
        await world.do(moderation.suspend, town.bruno, town.boss, WHY)


# What is out of view


@pytest.mark.parametrize("how", ["hide", "remove"])
async def test_inv_20_what_is_taken_down_is_shown_to_nobody_and_can_come_back(
    world: World, town: Town, how: str
) -> None:
    answer = await world.reply(town.berta, town.topic, "Answer.")
    assert (await world.thing(town.topic)).reply_count == 2
    await world.do(moderation.take_down, town.mara, answer, how, WHY)  # type: ignore[arg-type]
    await world.do(moderation.take_down, town.mara, town.topic, how, WHY)  # type: ignore[arg-type]
    assert (await world.thing(town.topic)).reply_count == 1
    viewers = [ANONYMOUS, *[await world.viewer(each) for each in (town.berta, town.anna)]]
    for viewer in viewers:
        assert not await can_read(world.db, viewer, town.topic)
        assert await search.find(world.db, viewer, "zanzibar") == []
    for attempt in (
        world.do(reactions.add, town.carla, town.topic, "like"),
        world.reply(town.carla, town.topic),
    ):
        with pytest.raises(NotFound):
            await attempt
    with pytest.raises(NotAllowed):
        await world.do(threads.edit, town.berta, town.topic, words("b", title="b"))
    await world.do(moderation.restore, town.anna, town.topic, "A mistake.")
    await world.do(moderation.restore, town.anna, answer, "A mistake.")
    thing = await world.thing(town.topic)
    assert (thing.title, thing.reply_count, thing.withheld) == ("Zanzibar", 2, None)
    assert await search.find(world.db, ANONYMOUS, "zanzibar") == [town.topic]
    assert all(each.ended_at for each in await statements.about(world.db, town.berta))


async def test_hiding_and_then_removing_counts_once(world: World, town: Town) -> None:
    await world.do(moderation.take_down, town.mara, town.reply, "hide", WHY)
    await world.do(moderation.take_down, town.mara, town.reply, "remove", WHY)
    assert (await world.thing(town.topic)).reply_count == 0
    await world.do(moderation.take_down, town.mara, town.reply, "hide", WHY)
    assert (await world.thing(town.reply)).withheld == "removed"
    await world.do(moderation.restore, town.mara, town.reply, "A mistake.")
    assert (await world.thing(town.topic)).reply_count == 1


async def test_inv_50_an_author_erases_at_once_also_what_was_removed(
    world: World, town: Town
) -> None:
    await world.do(moderation.take_down, town.mara, town.reply, "remove", WHY)
    await world.do(threads.delete, town.carla, town.reply)
    thing = await world.thing(town.reply)
    assert (thing.html, thing.source) == ("", "") and thing.deleted_at is not None
    assert (await world.thing(town.topic)).reply_count == 0
    with pytest.raises(NotFound):
        await world.do(moderation.restore, town.mara, town.reply, "Too late.")


async def test_removed_words_are_kept_for_the_appeal_and_no_longer(
    world: World, town: Town
) -> None:
    second = await world.reply(town.carla, town.topic, "Another one.")
    hidden = await world.reply(town.carla, town.topic, "A third one.")
    made = await world.do(moderation.take_down, town.mara, town.reply, "remove", WHY)
    await world.do(moderation.take_down, town.mara, second, "remove", WHY)
    await world.do(moderation.take_down, town.mara, hidden, "hide", WHY)
    await world.do(moderation.appeal, made, town.carla, "It is a quotation.")
    almost = now_ms() + removal.APPEAL_DAYS * removal.DAY_MS - 60_000
    assert await removal.due(world.db, now=almost) == []
    over = almost + 120_000
    await removal.purge(world.db, now=over)
    assert (await world.thing(second)).html == ""
    assert (await world.thing(hidden)).html != "", "what is hidden has no term"
    assert (await world.thing(town.reply)).html != "", "an appeal waits for it"
    await world.do(moderation.answer_appeal, made, town.anna, "confirmed", "It is none.")
    await removal.purge(world.db, now=over)
    assert (await world.thing(town.reply)).html == ""


# Appeals


async def test_an_appeal_is_made_once_by_the_person_and_decided_by_somebody_else(
    world: World, town: Town
) -> None:
    made = await world.do(moderation.take_down, town.mara, town.reply, "remove", WHY)
    with pytest.raises(NotFound):
        await world.do(moderation.appeal, made, town.berta, "Not mine.")
    with pytest.raises(Invalid):
        await world.do(moderation.appeal, made, town.carla, " ")
    await world.do(moderation.appeal, made, town.carla, "It is a quotation.")
    with pytest.raises(NotAllowed):
        await world.do(moderation.appeal, made, town.carla, "Once more.")
    assert "appeal" in await told(world, town.anna)
    assert "appeal" not in await told(world, town.mara)
    assert [each.id for each in await moderation.open_appeals(world.db, town.anna)] == [made]
    for judge, error in ((town.mara, NotAllowed), (town.carla, NotFound), (town.berta, NotFound)):
        with pytest.raises(error):
            await world.do(moderation.answer_appeal, made, judge, "reversed", "Yes.")
    with pytest.raises(Invalid):
        await world.do(moderation.answer_appeal, made, town.anna, "reversed", "")
    await world.do(moderation.answer_appeal, made, town.anna, "reversed", "It is one.")
    assert (await world.thing(town.reply)).withheld is None
    assert "appeal_answered" in await told(world, town.carla)
    known = await statements.statement(world.db, made)
    assert known is not None and known.ended_at and known.appeal_outcome == "reversed"
    assert await moderation.open_appeals(world.db, town.anna) == []
    assert {"appeal_made", "appeal_reversed"} <= set(await audited(world))


async def test_a_confirmed_decision_stands(world: World, town: Town) -> None:
    made = await world.do(moderation.ban, town.group, town.mara, town.carla, WHY)
    await world.do(moderation.appeal, made, town.carla, "Why?")
    await world.do(moderation.answer_appeal, made, town.anna, "confirmed", "Because.")
    assert await bans.ban(world.db, town.group, town.carla) is not None


@pytest.mark.parametrize("action", ["ban", "suspend"])
async def test_a_reversed_measure_is_undone(
    world: World, town: Town, action: moderation.Action
) -> None:
    report = await world.do(
        reports.file, reporter_id=town.berta, things=[town.reply], reason="An insult."
    )
    (made,) = await world.do(moderation.decide, town.boss, report, action, WHY)
    await world.do(moderation.appeal, made, town.carla, "Why?")
    await world.do(moderation.answer_appeal, made, town.bruno, "reversed", "A mix-up.")
    assert await bans.ban(world.db, town.group, town.carla) is None
    assert (await world.actor(town.carla)).suspended_at is None


async def test_where_a_private_group_has_one_moderator_an_administrator_answers(
    world: World, town: Town
) -> None:
    secret = await world.group("cantina", town.anna, mode="private")
    await world.do(groups.add_member, secret, town.anna, town.berta)
    topic = await world.topic(town.berta, secret)
    made = await world.do(moderation.take_down, town.anna, topic, "remove", WHY)
    for outsider in (town.boss, town.bruno):
        with pytest.raises(NotFound):
            await moderation.readable_statement(world.db, outsider, made)
    await world.do(moderation.appeal, made, town.berta, "It was wanted.")
    with pytest.raises(NotFound):
        await moderation.readable_statement(world.db, town.bruno, made)
    assert "appeal" in await told(world, town.boss) and await told(world, town.bruno) == []
    await world.do(moderation.answer_appeal, made, town.boss, "reversed", "It was.")
    assert (await world.thing(topic)).withheld is None


# Bans


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


# What a group asks of those who write in it


async def from_elsewhere(world: World, author: int, group: int, title: str = "t") -> int:
    return await world.do(
        threads.create_topic,
        author,
        group,
        words("x", title=title),
        provenance=await world.provenance(author),
    )


async def test_who_opens_topics(world: World, town: Town) -> None:
    bob = await world.remote("bob")
    await from_elsewhere(world, bob, town.group)
    await world.run("UPDATE groups SET topics_by = 'members'")
    with pytest.raises(NotAllowed):
        await from_elsewhere(world, bob, town.group)
    await world.do(groups.join, town.group, bob, follow_uri="https://far.test/f")
    await from_elsewhere(world, bob, town.group)
    await world.run("UPDATE groups SET topics_by = 'moderators'")
    with pytest.raises(NotAllowed):
        await from_elsewhere(world, bob, town.group)
    with pytest.raises(NotAllowed):
        await world.topic(town.carla, town.group)
    await world.topic(town.mara, town.group)


async def test_so_many_topics_an_hour_and_no_more(world: World, town: Town) -> None:
    await world.run("UPDATE groups SET topics_per_hour = 2")
    await world.topic(town.carla, town.group)
    await world.topic(town.carla, town.group)
    with pytest.raises(NotAllowed):
        await world.topic(town.carla, town.group)
    await world.topic(town.berta, town.group)
    with pytest.raises(NotAllowed):
        await world.topic(town.berta, town.group)
    for _ in range(3):
        await world.topic(town.mara, town.group)


async def test_a_first_post_waits_unseen_and_is_news_when_it_is_let_in(
    world: World, town: Town
) -> None:
    await world.run("UPDATE groups SET first_posts_wait = 1")
    bob = await world.remote("bob")
    last = len(await world.events())
    topic = await from_elsewhere(world, bob, town.group, "Greetings")
    assert (await world.events())[last:] == ["object_held"]
    assert not await can_read(world.db, ANONYMOUS, topic)
    assert not await can_read(world.db, await world.viewer(bob), topic)
    assert "post_waiting" in await told(world, town.mara)
    with pytest.raises(NotAllowed):
        await world.do(moderation.let_in, town.carla, topic)
    await world.do(moderation.let_in, town.mara, topic)
    assert (await world.events())[last:] == ["object_held", "topic_created"]
    assert await can_read(world.db, ANONYMOUS, topic)
    second = await from_elsewhere(world, bob, town.group)
    assert await can_read(world.db, ANONYMOUS, second), "its host is known from now on"


async def test_a_first_reply_waits_uncounted(world: World, town: Town) -> None:
    await world.run("UPDATE groups SET first_posts_wait = 1")
    bob = await world.remote("bob")
    before = (await world.thing(town.topic)).reply_count
    reply = await world.do(
        threads.create_reply,
        bob,
        town.topic,
        words("x"),
        provenance=await world.provenance(bob),
    )
    assert (await world.thing(town.topic)).reply_count == before
    assert await told(world, town.berta) == ["reply", "membership_activated"], "Carla's"
    await world.do(moderation.let_in, town.mara, reply)
    assert (await world.thing(town.topic)).reply_count == before + 1
    assert (await told(world, town.berta))[:2] == ["reply", "reply"]


async def test_a_refused_first_post_leaves_no_word_but_the_reason(world: World, town: Town) -> None:
    await world.run("UPDATE groups SET first_posts_wait = 1")
    bob = await world.remote("bob")
    topic = await from_elsewhere(world, bob, town.group, "Zucchini")
    with pytest.raises(Invalid):
        await world.do(moderation.turn_away, town.mara, topic, " ")
    await world.do(moderation.turn_away, town.mara, topic, "Advertising.")
    assert (await world.thing(topic)).title == ""
    (made,) = await statements.about(world.db, bob)
    assert (made.action, made.reason) == ("refuse", "Advertising.")
    assert (await world.thing(await from_elsewhere(world, bob, town.group))).withheld == "waiting"
