"""Events and who comes to them."""

from __future__ import annotations

import pytest

from fedcomm.hub import events, groups, moving, notifications, participation, threads, timelines
from fedcomm.hub.errors import HubError, Invalid, NotAllowed, NotFound
from fedcomm.hub.visibility import ANONYMOUS, member
from fedcomm.store.ids import now_ms
from tests.hub.world import World, words

HOUR = 3_600_000


def occasion(**changes: object) -> events.Occasion:
    facts: dict[str, object] = {
        "starts_at": now_ms() + 24 * HOUR,
        "ends_at": now_ms() + 26 * HOUR,
        "zone": "Europe/Rome",
        "joining": "free",
        "place": "Town hall",
    }
    return events.Occasion(**(facts | changes))  # type: ignore[arg-type]


async def planned(world: World, **changes: object) -> tuple[int, int, int]:
    """(organiser, somebody else in the group, event)."""
    anna, ben = await world.member("anna"), await world.member("ben")
    group = await world.group("club", anna)
    await world.do(groups.join, group, ben)
    content = await world.compose(
        anna, "Bring a cake.", is_topic=True, title="Feast", event=occasion(**changes)
    )
    return anna, ben, await world.do(threads.create_topic, anna, group, content)


async def the_event(world: World, object_id: int, viewer: int = 0) -> events.Event:
    found = await events.event_of(world.db, viewer, object_id)
    assert found is not None
    return found


async def kinds(world: World, person: int) -> list[str]:
    found = await notifications.list_notifications(world.db, person)
    return [each.kind for each in found]


@pytest.mark.parametrize(
    ("field", "changes"),
    [
        ("event_zone", {"zone": "Mars/Olympus"}),
        ("event_zone", {"zone": "../../etc/passwd"}),
        ("event_zone", {"zone": ""}),
        ("event_start", {"starts_at": 1}),
        ("event_start", {"starts_at": now_ms() + 21 * 366 * 24 * HOUR}),
        ("event_end", {"ends_at": 1}),
        ("event_end", {"ends_at": now_ms() + 400 * 24 * HOUR}),
        ("event_register", {"joining": "external"}),
        ("event_online", {"online_url": "javascript:alert(1)"}),
        ("event_online", {"online_url": "https://"}),
        ("event_place", {"place": "x" * 201}),
        ("event_capacity", {"capacity": 0}),
        ("event_joining", {"joining": "perhaps"}),
        ("event_state", {"state": "perhaps"}),
    ],
)
def test_an_event_that_cannot_be_is_refused_with_its_field(
    field: str, changes: dict[str, object]
) -> None:
    with pytest.raises(Invalid) as refusal:
        events.checked(occasion(**changes))
    assert refusal.value.field == field


def test_where_one_takes_part_follows_from_place_and_link() -> None:
    link = "https://meet.example/feast"
    for changes, attendance in (
        ({}, "offline"),
        ({"online_url": link}, "mixed"),
        ({"online_url": link, "place": ""}, "online"),
        ({"place": ""}, ""),
    ):
        assert events.checked(occasion(**changes)).attendance == attendance  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "zone", "utc"),
    [
        ("2026-12-05T18:00", "Europe/Rome", "2026-12-05T17:00:00"),
        ("2026-07-05T18:00", "Europe/Rome", "2026-07-05T16:00:00"),
        ("2026-07-05T18:00:30", "America/New_York", "2026-07-05T22:00:30"),
        # The clocks go from 02:00 to 03:00 on this night.
        ("2026-03-29T02:30", "Europe/Rome", "2026-03-29T01:30:00"),
        # And show this twice: the first is meant.
        ("2026-10-25T02:30", "Europe/Rome", "2026-10-25T00:30:00"),
    ],
)
def test_a_time_is_read_on_the_clocks_of_its_zone(text: str, zone: str, utc: str) -> None:
    at = events.moment(text, zone, "event_start")
    assert at is not None
    assert events.clock(at, "UTC").strftime("%Y-%m-%dT%H:%M:%S") == utc


@pytest.mark.parametrize(
    "text", ["tomorrow", "2026-13-01T10:00", "2026-12-05T18:00Z", "0001-01-01T00:00"]
)
def test_what_is_no_local_time_is_refused(text: str) -> None:
    with pytest.raises(Invalid):
        events.moment(text, "Europe/Rome", "event_start")


async def test_a_topic_can_be_an_event_without_words(world: World) -> None:
    anna, _ben, event = await planned(world)
    post = await timelines.post(world.db, ANONYMOUS, event)
    assert post is not None and post.thing.type == "Event" and post.event is not None
    assert post.event.occasion.place == "Town hall" and post.event.takes_answers
    bare = await world.compose(anna, "", is_topic=True, title="Bare", event=occasion())
    assert bare.event is not None


async def test_a_topic_is_a_poll_or_an_event(world: World) -> None:
    from fedcomm.hub.ballots import Ballot

    anna = await world.member("anna")
    with pytest.raises(Invalid):
        await world.compose(
            anna,
            "x",
            is_topic=True,
            title="Both",
            event=occasion(),
            poll=Ballot(("a", "b"), ends_at=now_ms() + 24 * HOUR),
        )


async def test_who_comes_counts_once_and_can_leave(world: World) -> None:
    anna, ben, event = await planned(world)
    assert await world.do(participation.join, ben, event) == "going"
    assert await world.do(participation.join, ben, event) == "going"
    assert (await the_event(world, event)).going == 1
    assert (await the_event(world, event, ben)).answer == "going"
    assert await kinds(world, anna) == ["event_joined"]
    assert await world.do(participation.leave, ben, event)
    assert not await world.do(participation.leave, ben, event)
    assert (await the_event(world, event)).going == 0


async def test_the_organiser_does_not_count_among_those_who_come(world: World) -> None:
    anna, _ben, event = await planned(world)
    with pytest.raises(NotAllowed):
        await world.do(participation.join, anna, event)


async def test_a_restricted_event_waits_for_its_organiser(world: World) -> None:
    anna, ben, event = await planned(world, joining="restricted")
    assert await world.do(participation.join, ben, event) == "requested"
    assert (await the_event(world, event)).going == 0
    with pytest.raises(NotAllowed):
        await world.do(participation.answer, ben, event, ben, accepted=True)
    await world.do(participation.answer, anna, event, ben, accepted=True)
    assert (await the_event(world, event)).going == 1
    await world.do(participation.answer, anna, event, ben, accepted=False)
    assert (await the_event(world, event)).going == 0
    # Whoever was refused does not come by asking again.
    assert await world.do(participation.join, ben, event) == "refused"
    assert set(await kinds(world, ben)) == {"event_accepted", "event_refused"}
    assert await kinds(world, anna) == ["event_requested"]


async def test_a_full_event_takes_nobody(world: World) -> None:
    _anna, ben, event = await planned(world, capacity=1)
    far = await world.remote("rosa")
    assert await world.do(participation.join, far, event, uri="https://far.test/j/1") == "going"
    with pytest.raises(NotAllowed, match="no place left"):
        await world.do(participation.join, ben, event)


@pytest.mark.parametrize(
    "changes",
    [
        {"state": "cancelled"},
        {"joining": "none"},
        {"joining": "external", "join_url": "https://register.example/"},
        {"starts_at": now_ms() - 30 * HOUR, "ends_at": now_ms() - 28 * HOUR},
    ],
)
async def test_an_event_that_takes_no_answers_takes_none(
    world: World, changes: dict[str, object]
) -> None:
    _anna, ben, event = await planned(world, **changes)
    with pytest.raises(NotAllowed):
        await world.do(participation.join, ben, event)


async def test_who_may_not_read_an_event_cannot_come(world: World) -> None:
    anna, ben = await world.member("anna"), await world.member("ben")
    group = await world.group("cellar", anna, mode="private")
    content = await world.compose(anna, "x", is_topic=True, title="Secret", event=occasion())
    event = await world.do(threads.create_topic, anna, group, content)
    with pytest.raises(NotFound):
        await world.do(participation.join, ben, event)


async def test_members_who_come_are_told_each_change_of_time_place_or_state(world: World) -> None:
    anna, ben, event = await planned(world)
    await world.do(participation.join, ben, event)
    known = (await the_event(world, event)).occasion
    from dataclasses import replace

    async def edit(text: str, new: events.Occasion) -> None:
        content = await world.compose(anna, text, is_topic=True, title="Feast", event=new)
        await world.do(threads.edit, anna, event, content)

    await edit("Other words only.", known)
    assert await kinds(world, ben) == []
    await edit("Later.", replace(known, starts_at=known.starts_at + 60_000))
    await edit("Off.", replace(known, state="cancelled"))
    assert await kinds(world, ben) == ["event_changed"]
    now = await the_event(world, event)
    assert now.is_cancelled and now.version == 3 and now.going == 1


async def test_an_erased_event_leaves_nothing(world: World) -> None:
    anna, ben, event = await planned(world)
    await world.do(participation.join, ben, event)
    await world.do(threads.delete, anna, event)
    assert not await world.rows("SELECT 1 FROM events")
    assert not await world.rows("SELECT 1 FROM participations")


async def test_a_remote_event_counts_as_its_server_says(world: World) -> None:
    rosa = await world.remote("rosa")
    source = await world.provenance(rosa, type="Event")
    content = words("Far.", title="Far away", event=occasion(going=7))
    event = await world.do(threads.store_post, rosa, content, source, visibility="public")
    ben = await world.member("ben")
    assert (await the_event(world, event)).going == 7
    assert await world.do(participation.join, ben, event) == "requested"
    await world.do(participation.settled_elsewhere, event, ben, accepted=True)
    assert (await the_event(world, event, ben)).answer == "going"
    assert (await the_event(world, event)).going == 7
    with pytest.raises(NotFound):
        await world.do(participation.settled_elsewhere, event, rosa, accepted=True)


async def test_who_has_moved_away_neither_comes_nor_likes_nor_votes_nor_edits(
    world: World,
) -> None:
    from fedcomm.hub import polls, reactions
    from fedcomm.hub.ballots import Ballot

    anna, ben, event = await planned(world)
    group = (await world.thing(event)).group_id
    assert group is not None
    poll = await world.compose(
        anna, "?", is_topic=True, title="P", poll=Ballot(("a", "b"), ends_at=now_ms() + 24 * HOUR)
    )
    question = await world.do(threads.create_topic, anna, group, poll)
    mine = await world.reply(ben, event)
    await world.do(moving.move_out, ben, await world.remote("newben"))
    content = await world.compose(ben, "Changed.")
    attempts = (
        lambda: world.do(participation.join, ben, event),
        lambda: world.do(reactions.add, ben, event, "like"),
        lambda: world.do(polls.vote, ben, question, [0]),
        lambda: world.do(threads.edit, ben, mine, content),
        lambda: world.reply(ben, event),
    )
    for attempt in attempts:
        with pytest.raises(HubError, match="Your account has moved"):
            await attempt()
    # What they said they can still take back.
    await world.do(threads.delete, ben, mine)


async def test_what_the_viewer_answered_is_in_the_list(world: World) -> None:
    _anna, ben, event = await planned(world)
    await world.do(participation.join, ben, event)
    group = (await world.thing(event)).group_id
    assert group is not None
    [post] = await timelines.group_topics(world.db, member(ben), group)
    assert post.event is not None and post.event.answer == "going"


async def plan(world: World, sql: str, *args: object) -> str:
    rows = await world.rows(f"EXPLAIN QUERY PLAN {sql}", *args)
    return "\n".join(row["detail"] for row in rows)


@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
async def test_participants_and_links_to_check_are_found_by_their_indexes(world: World) -> None:
    found = await plan(
        world,
        "SELECT actor_id FROM participations WHERE object_id = 1 AND state = 'going'"
        " AND actor_id > 0 ORDER BY actor_id LIMIT 10",
    )
    assert "participations_by_object" in found and "B-TREE" not in found
    found = await plan(
        world,
        "SELECT p.position FROM profile_fields p JOIN actors a ON a.id = p.actor_id"
        " WHERE p.check_at <= 5 ORDER BY p.check_at LIMIT 5",
    )
    assert "profile_fields_to_check" in found and "B-TREE" not in found and "SCAN" not in found
