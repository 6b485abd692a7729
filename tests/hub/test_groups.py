from __future__ import annotations

import pytest

from fedcomm.hub import groups, notifications, threads
from fedcomm.hub.errors import Invalid, NotAllowed, NotFound
from tests.databases import ORIGIN
from tests.hub.world import World, words


async def state_of(world: World, group_id: int, actor_id: int) -> str | None:
    place = await groups.membership(world.db, group_id, actor_id)
    return place.state if place else None


async def test_a_group_belongs_to_who_made_it(world: World) -> None:
    anna = await world.member("anna")
    group_id = await world.group("ambiente", anna, title="Ambiente", description="**Alberi**")
    group = await groups.group_by_name(world.db, "Ambiente")
    assert group is not None
    assert (group.id, group.title, group.mode) == (group_id, "Ambiente", "federated")
    assert "<strong>Alberi</strong>" in group.summary_html
    assert [person.id for person in await groups.moderators(world.db, group_id)] == [anna]
    assert await groups.member_count(world.db, group_id) == 1
    assert await world.events() == ["member_created", "group_created"]


@pytest.mark.parametrize(
    ("facts", "field"),
    [
        ({"title": " "}, "title"),
        ({"title": "\u202e\0"}, "title"),
        ({"description": "x" * 5001}, "description"),
        ({"mode": "secret"}, "mode"),
    ],
)
async def test_what_is_odd_about_a_group_is_named(
    world: World, facts: dict[str, str], field: str
) -> None:
    anna = await world.member("anna")
    with pytest.raises(Invalid) as caught:
        await world.group("ambiente", anna, **facts)
    assert caught.value.field == field


async def test_only_federated_groups_are_discoverable(world: World) -> None:
    anna = await world.member("anna")
    for mode in groups.MODES:
        actor = await world.actor(await world.group(f"g_{mode}", anna, mode=mode))
        assert actor.discoverable == (mode == "federated")


JOINS = {
    ("federated", False, "local"): "active",
    ("federated", False, "remote"): "active",
    ("federated", True, "local"): "requested",
    ("federated", True, "remote"): "requested",
    ("local", False, "local"): "active",
    ("local", False, "remote"): None,
    ("local", True, "local"): "requested",
    ("local", True, "remote"): None,
    ("private", False, "local"): None,
    ("private", False, "remote"): None,
    ("private", True, "local"): None,
    ("private", True, "remote"): None,
}
"""(mode, approval, who) → the state after asking; None: the group does not exist for them."""


async def test_who_may_join_is_the_modes_decision(world: World) -> None:
    owner = await world.member("owner")
    people = {"local": await world.member("anna"), "remote": await world.remote("bob")}
    for (mode, approval, who), expected in JOINS.items():
        name = f"g_{mode}_{who}_{int(approval)}"
        group = await world.group(name, owner, mode=mode, approval=approval)
        follow = "https://far.test/follow/1" if who == "remote" else None
        if expected is None:
            with pytest.raises(NotFound):
                await world.do(groups.join, group, people[who], follow_uri=follow)
        else:
            assert await world.do(groups.join, group, people[who], follow_uri=follow) == expected
        assert await state_of(world, group, people[who]) == expected, (mode, approval, who)


async def test_joining_twice_is_harmless_and_a_repeated_follow_is_remembered(world: World) -> None:
    owner = await world.member("owner")
    bob = await world.remote("bob")
    anna = await world.member("anna")
    group = await world.group("ambiente", owner)
    for person, follow in (
        (anna, None),
        (anna, None),
        (bob, "https://f.test/1"),
        (bob, "https://f.test/2"),
    ):
        assert await world.do(groups.join, group, person, follow_uri=follow) == "active"
    place = await groups.membership(world.db, group, bob)
    assert place is not None and place.follow_uri == "https://f.test/2"
    assert await groups.member_count(world.db, group) == 3
    # The second Follow is journalled, since it is answered again; the member's second try is not.
    assert (await world.events()).count("membership_activated") == 3


async def test_who_asked_gets_in_when_approval_is_no_longer_wanted(world: World) -> None:
    owner = await world.member("owner")
    bob = await world.remote("bob")
    group = await world.group("ambiente", owner, approval=True)
    assert await world.do(groups.join, group, bob, follow_uri="https://f.test/1") == "requested"
    await world.run("UPDATE groups SET approval = 0")
    assert await world.do(groups.join, group, bob, follow_uri="https://f.test/2") == "active"
    assert (await world.events())[-1] == "membership_activated"


async def test_a_request_reaches_the_moderators_and_their_answer_the_person(world: World) -> None:
    owner = await world.member("owner")
    anna = await world.member("anna")
    group = await world.group("ambiente", owner, approval=True)
    await world.do(groups.join, group, anna)
    asked = await notifications.list_notifications(world.db, owner)
    assert [(line.kind, line.actor.id, line.group_name) for line in asked] == [
        ("membership_requested", anna, "ambiente")
    ]
    waiting = await groups.list_memberships(world.db, group, "requested")
    assert [person.id for person, _ in waiting] == [anna]
    await world.do(groups.add_member, group, owner, anna)
    told = await notifications.list_notifications(world.db, anna)
    assert [line.kind for line in told] == ["membership_activated"]
    assert await state_of(world, group, anna) == "active"
    assert [found.id for found in await groups.memberships_of(world.db, anna)] == [group]
    assert (await world.events())[-2:] == ["membership_requested", "membership_activated"]


async def test_a_refused_request_leaves_nothing_and_may_be_asked_again(world: World) -> None:
    owner = await world.member("owner")
    anna = await world.member("anna")
    group = await world.group("ambiente", owner, approval=True)
    await world.do(groups.join, group, anna)
    await world.do(groups.refuse, group, owner, anna)
    await world.do(groups.refuse, group, owner, anna)
    assert await state_of(world, group, anna) is None
    assert (await world.events())[-2:] == ["membership_requested", "membership_refused"]
    assert await world.do(groups.join, group, anna) == "requested"


async def test_a_banned_person_neither_joins_nor_writes_nor_leaves(world: World) -> None:
    owner = await world.member("owner")
    anna = await world.member("anna")
    group = await world.group("ambiente", owner)
    await world.do(groups.join, group, anna)
    await world.run("UPDATE memberships SET state = 'banned' WHERE actor_id = ?", anna)
    with pytest.raises(NotAllowed):
        await world.do(groups.join, group, anna)
    with pytest.raises(NotAllowed):
        await world.topic(anna, group)
    await world.do(groups.leave, group, anna)
    assert await state_of(world, group, anna) == "banned"


async def test_leaving_ends_the_membership_once(world: World) -> None:
    owner = await world.member("owner")
    anna = await world.member("anna")
    group = await world.group("ambiente", owner)
    await world.do(groups.join, group, anna)
    await world.do(groups.leave, group, anna)
    await world.do(groups.leave, group, anna)
    assert await state_of(world, group, anna) is None
    assert (await world.events())[-2:] == ["membership_activated", "membership_ended"]


async def test_the_owner_stays(world: World) -> None:
    owner = await world.member("owner")
    deputy = await world.member("deputy")
    group = await world.group("ambiente", owner)
    await world.do(groups.add_member, group, owner, deputy, "moderator")
    with pytest.raises(NotAllowed):
        await world.do(groups.leave, group, owner)
    with pytest.raises(NotAllowed):
        await world.do(groups.refuse, group, deputy, owner)
    with pytest.raises(NotAllowed):
        await world.do(groups.add_member, group, deputy, owner, "member")
    place = await groups.membership(world.db, group, owner)
    assert place is not None and place.role == "owner"


async def test_only_the_owner_decides_who_moderates(world: World) -> None:
    owner = await world.member("owner")
    deputy = await world.member("deputy")
    other = await world.member("other")
    group = await world.group("ambiente", owner)
    for person in (deputy, other):
        await world.do(groups.add_member, group, owner, person, "moderator")
    for role in ("owner", "moderator", "member"):
        with pytest.raises(NotAllowed):
            await world.do(groups.add_member, group, deputy, other, role)  # type: ignore[arg-type]
        with pytest.raises(NotAllowed):
            await world.do(groups.add_member, group, deputy, deputy, role)  # type: ignore[arg-type]
    with pytest.raises(NotAllowed):
        await world.do(groups.refuse, group, deputy, other)
    anna = await world.member("anna")
    await world.do(groups.add_member, group, deputy, anna)
    await world.do(groups.refuse, group, deputy, anna)
    await world.do(groups.add_member, group, owner, other, "member")
    assert [person.id for person in await groups.moderators(world.db, group)] == [owner, deputy]


async def test_inv_21_a_moderator_of_one_group_is_nobody_in_another(world: World) -> None:
    owner = await world.member("owner")
    other = await world.member("other")
    anna = await world.member("anna")
    group = await world.group("ambiente", owner)
    await world.group("altro", other)
    topic = await world.topic(owner, group)
    operations = [
        (groups.add_member, (group, other, anna)),
        (groups.refuse, (group, other, owner)),
        (threads.delete, (other, topic)),
    ]
    for operation, args in operations:
        with pytest.raises(NotAllowed):
            await world.do(operation, *args)  # type: ignore[arg-type]
    for mark in (threads.set_locked, threads.set_pinned):
        with pytest.raises(NotAllowed):
            await world.do(mark, other, topic, **{mark.__name__.removeprefix("set_"): True})  # type: ignore[arg-type]
    with pytest.raises(NotAllowed):
        await world.do(
            groups.edit_group,
            group,
            other,
            title="Mine",
            description="",
            approval=False,
            announce_replies=False,
            local_origin=ORIGIN,
        )


async def test_closed_groups_take_members_of_this_hub_only(world: World) -> None:
    owner = await world.member("owner")
    bob = await world.remote("bob")
    for mode in ("local", "private"):
        group = await world.group(f"g_{mode}", owner, mode=mode)
        with pytest.raises(NotAllowed):
            await world.do(groups.add_member, group, owner, bob)


async def test_editing_changes_texts_and_rules_but_not_the_mode(world: World) -> None:
    owner = await world.member("owner")
    group_id = await world.group("ambiente", owner, mode="private")
    await world.do(
        groups.edit_group,
        group_id,
        owner,
        title="Nuovo",
        description="Altro",
        approval=True,
        announce_replies=True,
        topics_by="moderators",
        local_origin=ORIGIN,
    )
    group = await groups.group(world.db, group_id)
    assert group is not None
    assert (group.title, group.summary_source, group.mode) == ("Nuovo", "Altro", "private")
    assert group.approval and group.announce_replies and group.posting_restricted
    assert (await world.events())[-1] == "group_edited"


async def test_who_may_write_where(world: World) -> None:
    owner = await world.member("owner")
    inside = await world.member("inside")
    outside = await world.member("outside")
    bob = await world.remote("bob")
    refused: dict[tuple[str, int], type[Exception] | None] = {
        ("federated", inside): None,
        ("federated", outside): NotAllowed,
        ("federated", bob): None,
        ("local", inside): None,
        ("local", outside): NotAllowed,
        ("local", bob): NotAllowed,
        ("private", inside): None,
        ("private", outside): NotFound,
        ("private", bob): NotFound,
    }
    found = {mode: await world.group(f"g_{mode}", owner, mode=mode) for mode in groups.MODES}
    for group in found.values():
        await world.do(groups.add_member, group, owner, inside)
    for (mode, person), error in refused.items():
        provenance = await world.provenance(bob) if person == bob else None
        content = words("text", title="title")
        if error is None:
            await world.do(
                threads.create_topic,
                person,
                found[mode],
                content,
                provenance=provenance,  # type: ignore[index]
            )
        else:
            with pytest.raises(error):
                await world.do(
                    threads.create_topic,
                    person,
                    found[mode],
                    content,
                    provenance=provenance,  # type: ignore[index]
                )


async def test_in_a_restricted_group_only_moderators_start_topics(world: World) -> None:
    owner = await world.member("owner")
    anna = await world.member("anna")
    group = await world.group("annunci", owner)
    await world.do(groups.add_member, group, owner, anna)
    await world.run("UPDATE groups SET topics_by = 'moderators'")
    with pytest.raises(NotAllowed):
        await world.topic(anna, group)
    topic = await world.topic(owner, group)
    await world.reply(anna, topic)


async def test_members_are_listed_in_pages_and_counted_together(world: World) -> None:
    owner = await world.member("owner")
    one = await world.group("one", owner)
    two = await world.group("two", owner)
    joined = [owner]
    for number in range(5):
        joined.append(await world.member(f"member{number}"))
        await world.do(groups.join, one, joined[-1])
    seen: list[int] = []
    while page := await groups.list_memberships(
        world.db, one, "active", after=seen[-1] if seen else 0, limit=2
    ):
        seen += [person.id for person, _ in page]
    assert seen == sorted(joined)
    assert await groups.member_counts(world.db, [one, two]) == {one: 6, two: 1}
    assert await groups.member_counts(world.db, []) == {}


async def test_groups_are_listed_by_name_in_pages(world: World) -> None:
    owner = await world.member("owner")
    names = ["zoo", "alpi", "mare", "bici"]
    for name in names:
        await world.group(name, owner)
    viewer = await world.viewer(owner)
    seen: list[str] = []
    while page := await groups.list_groups(
        world.db, viewer, after=seen[-1] if seen else "", limit=3
    ):
        seen += [group.name for group in page]
    assert seen == sorted(names)


@pytest.mark.parametrize(
    ("text", "found"),
    [("amb", 1), ("AMBIENTE", 1), ("e per tutti", 1), ("_", 0), ("'", 0), ("\0", 0), ("zz", 0)],
)
async def test_finding_groups_takes_any_text_literally(world: World, text: str, found: int) -> None:
    owner = await world.member("owner")
    await world.group("ambiente", owner, title="Ambiente per tutti")
    viewer = await world.viewer(owner)
    assert len(await groups.find_groups(world.db, viewer, text)) == found
