"""Reports, decisions with reasons, and appeals."""

from __future__ import annotations

import pytest

from fedcomm.hub import (
    bans,
    groups,
    moderation,
    reactions,
    removal,
    reports,
    rules,
    search,
    statements,
    threads,
)
from fedcomm.hub.errors import Invalid, NotAllowed, NotFound
from fedcomm.hub.visibility import ANONYMOUS, can_read
from fedcomm.store.ids import now_ms
from tests.hub.moderated import WHY, Town, audited, told, town_of
from tests.hub.world import World, words


@pytest.fixture
async def town(world: World) -> Town:
    return await town_of(world)


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
