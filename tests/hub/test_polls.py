"""Polls: who may vote, how often, until when, and what is told of it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from fedcomm.hub import ballots, groups, notifications, polls, threads, timelines
from fedcomm.hub.ballots import Ballot
from fedcomm.hub.errors import Invalid, NotAllowed, NotFound
from fedcomm.hub.visibility import ANONYMOUS, member
from fedcomm.store.ids import now_ms
from tests.hub.world import World, words

HOUR_MS = 3_600_000


class Asked:
    """Anna's group with a poll of hers, and Ben who is a member."""

    def __init__(self, world: World, anna: int, ben: int, group: int) -> None:
        self.world = world
        self.anna, self.ben, self.group = anna, ben, group

    async def poll(self, *options: str, **facts: Any) -> int:
        content = await self.world.compose(
            self.anna,
            "",
            is_topic=True,
            title="Which soil?",
            poll=Ballot(options, ends_at=now_ms() + HOUR_MS, **facts),
        )
        return await self.world.do(threads.create_topic, self.anna, self.group, content)

    async def standing(self, object_id: int, viewer: int = 0) -> ballots.Poll:
        found = await ballots.poll_of(self.world.db, viewer, object_id)
        assert found is not None
        return found

    async def votes(self, object_id: int) -> list[int]:
        return [option.votes for option in (await self.standing(object_id)).options]


@pytest.fixture
async def asked(world: World) -> Asked:
    anna, ben = await world.member("anna"), await world.member("ben")
    group = await world.group("garden", anna)
    await world.do(groups.join, group, ben)
    return Asked(world, anna, ben, group)


@pytest.mark.parametrize(
    ("options", "minutes"),
    [
        (("one",), 60),
        (("one", "  "), 60),
        (tuple(str(n) for n in range(21)), 60),
        (("Clay", "clay"), 60),
        (("a", "b" * 201), 60),
        (("a", "b"), 1),
        (("a", "b"), 367 * 24 * 60),
    ],
)
async def test_a_poll_that_nobody_could_answer_is_refused(
    world: World, options: tuple[str, ...], minutes: int
) -> None:
    with pytest.raises(Invalid):
        ballots.checked(Ballot(options, ends_at=now_ms() + minutes * 60_000))


async def test_twenty_options_are_a_poll(asked: Asked) -> None:
    topic = await asked.poll(*(str(n) for n in range(20)))
    assert len((await asked.standing(topic)).options) == 20
    assert (await asked.world.thing(topic)).type == "Question"


async def test_a_member_votes_once_and_sees_the_results_only_then(asked: Asked) -> None:
    topic = await asked.poll("Clay", "Sand")
    before = await timelines.post(asked.world.db, member(asked.ben), topic)
    assert before is not None and before.poll is not None and not before.poll.shows_results
    assert await asked.world.do(polls.vote, asked.ben, topic, [1]) == 1
    after = await timelines.post(asked.world.db, member(asked.ben), topic)
    assert after is not None and after.poll is not None and after.poll.shows_results
    assert after.poll.chosen == {1} and after.poll.voters == 1
    for again in ([0], [1]):
        with pytest.raises(NotAllowed):
            await asked.world.do(polls.vote, asked.ben, topic, again)
    assert await asked.votes(topic) == [0, 1]
    stranger = await timelines.post(asked.world.db, ANONYMOUS, topic)
    assert stranger is not None and stranger.poll is not None and not stranger.poll.shows_results


async def test_only_a_multiple_choice_takes_several(asked: Asked) -> None:
    single, multiple = await asked.poll("a", "b"), await asked.poll("a", "b", "c", multiple=True)
    with pytest.raises(Invalid):
        await asked.world.do(polls.vote, asked.ben, single, [0, 1])
    assert await asked.world.do(polls.vote, asked.ben, multiple, [0, 2, 2]) == 2
    assert await asked.votes(multiple) == [1, 0, 1]
    assert (await asked.standing(multiple)).voters == 1


@pytest.mark.parametrize("choices", [[], [2], [-1], [0, 7]])
async def test_a_vote_for_what_is_not_there_is_refused(asked: Asked, choices: list[int]) -> None:
    topic = await asked.poll("a", "b", multiple=True)
    with pytest.raises(Invalid):
        await asked.world.do(polls.vote, asked.ben, topic, choices)


async def test_inv_35_parallel_votes_of_one_account_count_once(asked: Asked) -> None:
    topic = await asked.poll("a", "b")
    bob = await asked.world.remote("bob")

    async def try_to(actor: int, choice: int) -> int:
        try:
            return await asked.world.do(polls.vote, actor, topic, [choice])
        except NotAllowed:
            return 0

    counted = await asyncio.gather(*(try_to(asked.ben, n % 2) for n in range(10)))
    assert sum(counted) == 1
    counted = await asyncio.gather(*(try_to(bob, n % 2) for n in range(10)))
    assert sum(counted) == 1
    assert sum(await asked.votes(topic)) == 2
    assert (await asked.standing(topic)).voters == 2


async def test_choices_of_another_server_come_one_by_one(asked: Asked) -> None:
    topic = await asked.poll("a", "b", "c", multiple=True)
    bob = await asked.world.remote("bob")
    assert await asked.world.do(polls.vote, bob, topic, [0]) == 1
    assert await asked.world.do(polls.vote, bob, topic, [2]) == 1
    assert await asked.world.do(polls.vote, bob, topic, [0]) == 0
    assert await asked.votes(topic) == [1, 0, 1]
    assert (await asked.standing(topic)).voters == 1


async def test_nobody_votes_who_may_not_speak_there(asked: Asked) -> None:
    topic = await asked.poll("a", "b")
    outsider, bob = await asked.world.member("outsider"), await asked.world.remote("bob")
    with pytest.raises(NotAllowed):
        await asked.world.do(polls.vote, outsider, topic, [0])
    secret = await asked.world.group("cellar", asked.anna, mode="private")
    asked.group = secret
    hidden = await asked.poll("a", "b")
    for actor in (asked.ben, bob):
        with pytest.raises(NotFound):
            await asked.world.do(polls.vote, actor, hidden, [0])
    assert await asked.votes(hidden) == [0, 0]


async def test_no_vote_is_taken_after_the_end_even_before_it_is_closed(asked: Asked) -> None:
    topic = await asked.poll("a", "b")
    await asked.world.run("UPDATE polls SET ends_at = ? WHERE object_id = ?", now_ms() - 1, topic)
    with pytest.raises(NotAllowed):
        await asked.world.do(polls.vote, asked.ben, topic, [0])
    assert (await asked.standing(topic)).shows_results


async def test_a_poll_is_closed_once_and_those_who_took_part_are_told(asked: Asked) -> None:
    topic = await asked.poll("a", "b")
    await asked.world.do(polls.vote, asked.ben, topic, [0])
    assert await asked.world.do(polls.close_due) == 0
    await asked.world.run("UPDATE polls SET close_at = ? WHERE object_id = ?", now_ms() - 1, topic)
    assert await asked.world.do(polls.close_due) == 1
    assert await asked.world.do(polls.close_due) == 0
    assert (await asked.world.events())[-1] == "poll_closed"
    assert (await asked.standing(topic)).closed_at is not None
    for who in (asked.anna, asked.ben):
        [note] = [
            note
            for note in await notifications.list_notifications(asked.world.db, who)
            if note.kind == "poll_ended"
        ]
        assert note.object_id == topic
    with pytest.raises(NotAllowed):
        await asked.world.do(polls.vote, asked.anna, topic, [0])


async def test_many_votes_are_reported_together(asked: Asked) -> None:
    topic = await asked.poll("a", "b")
    await asked.world.do(polls.vote, asked.ben, topic, [0])
    due = await asked.world.db.value("SELECT report_at FROM polls WHERE object_id = ?", topic)
    assert due > now_ms() + polls.REPORT_DELAY_MS - 60_000
    await asked.world.do(polls.vote, asked.anna, topic, [1])
    assert due == await asked.world.db.value(
        "SELECT report_at FROM polls WHERE object_id = ?", topic
    )
    assert await asked.world.do(polls.report_due) == 0
    await asked.world.run("UPDATE polls SET report_at = 1 WHERE object_id = ?", topic)
    assert await asked.world.do(polls.report_due) == 1
    assert (await asked.world.events()).count("poll_counted") == 1


async def test_a_deleted_poll_leaves_no_option_and_no_vote(asked: Asked) -> None:
    topic = await asked.poll("a", "b")
    await asked.world.do(polls.vote, asked.ben, topic, [0])
    await asked.world.do(threads.delete, asked.anna, topic)
    for table in ("polls", "poll_options", "poll_votes"):
        assert not await asked.world.rows(f"SELECT * FROM {table}")
    with pytest.raises(NotFound):
        await asked.world.do(polls.vote, asked.ben, topic, [0])


async def test_an_edit_of_the_words_leaves_the_votes_alone(asked: Asked) -> None:
    topic = await asked.poll("a", "b")
    await asked.world.do(polls.vote, asked.ben, topic, [0])
    changed = await asked.world.compose(
        asked.anna,
        "More.",
        is_topic=True,
        title="T",
        poll=Ballot(("x", "y"), ends_at=now_ms() + HOUR_MS),
    )
    await asked.world.do(threads.edit, asked.anna, topic, changed)
    assert await asked.votes(topic) == [1, 0]
    assert (await asked.world.thing(topic)).type == "Question"


async def test_a_poll_elsewhere_shows_what_its_server_counts(asked: Asked) -> None:
    rosa = await asked.world.remote("rosa")
    ballot = Ballot(("yes", "no"), ends_at=now_ms() + HOUR_MS, votes=(3, 4), voters=7)
    content = words("Ready?", poll=ballot)
    provenance = await asked.world.provenance(rosa, type="Question")
    post = await asked.world.do(threads.store_post, rosa, content, provenance, visibility="public")
    assert await asked.votes(post) == [3, 4]
    await asked.world.do(polls.vote, asked.ben, post, [0])
    assert await asked.votes(post) == [4, 4]
    assert await asked.world.db.value("SELECT report_at FROM polls") is None
    assert await asked.world.do(polls.close_due) == 0
    newer = Ballot(("yes", "no"), ends_at=ballot.ends_at, votes=(5, 9), voters=14)
    await asked.world.do(polls.refresh, post, newer)
    standing = await asked.standing(post, asked.ben)
    assert [option.votes for option in standing.options] == [5, 9]
    assert standing.voters == 14 and standing.chosen == {0}
    await asked.world.do(polls.refresh, post, Ballot(("perhaps", "no"), votes=(0, 0)))
    standing = await asked.standing(post, asked.ben)
    assert [option.name for option in standing.options] == ["perhaps", "no"]
    assert not standing.chosen
