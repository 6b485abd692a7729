"""Which servers may follow a group and write in it."""

from __future__ import annotations

import pytest

from fedcomm.hub import admission, group_hosts, groups, reactions, threads
from fedcomm.hub.errors import HubError, Invalid, NotAllowed
from fedcomm.hub.group_hosts import Access
from tests.hub.world import World, words


@pytest.fixture
async def town(world: World) -> tuple[int, int, int]:
    """anna, her group, and a topic in it."""
    anna = await world.member("anna")
    group = await world.group("soil", anna)
    return anna, group, await world.topic(anna, group)


async def answer(world: World, author: int, topic: int) -> int:
    return await world.do(
        threads.create_reply, author, topic, words("Clay."),
        provenance=await world.provenance(author),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("others", "rules", "host", "expected"),
    [
        ("write", {}, "far.test", "write"),
        ("write", {"far.test": "none"}, "far.test", "none"),
        ("write", {"far.test": "none"}, "a.far.test", "none"),
        ("write", {"far.test": "none"}, "notfar.test", "write"),
        ("write", {"far.test": "none", "a.far.test": "read"}, "b.a.far.test", "read"),
        ("none", {"far.test": "write"}, "a.far.test", "write"),
        ("none", {"far.test": "write"}, "other.test", "none"),
        ("read", {}, "other.test:8443", "read"),
    ],
)
async def test_the_longest_rule_wins_and_the_rest_is_the_groups_word(
    world: World, town: tuple[int, int, int], others: Access, rules: dict[str, Access],
    host: str, expected: Access,
) -> None:  # fmt: skip
    anna, group, _topic = town
    await world.do(admission.set_other_hosts, group, anna, others)
    for domain, access in rules.items():
        await world.do(admission.set_host, group, anna, domain, access)
    person = await world.actor(await world.remote("p", host))
    assert await group_hosts.access(world.db, group, person.host_id) == expected
    assert await group_hosts.access(world.db, group, None) == "write"


async def test_who_may_read_follows_and_does_not_write(
    world: World, town: tuple[int, int, int]
) -> None:
    anna, group, topic = town
    await world.do(admission.set_host, group, anna, "Far.Test", "read")
    person = await world.remote("p", "far.test")
    assert await world.do(groups.join, group, person, follow_uri="https://far.test/1") == "active"
    with pytest.raises(NotAllowed, match="no posts from your server"):
        await answer(world, person, topic)
    assert await world.do(reactions.add, person, topic, "like")
    (rule,) = await group_hosts.rules(world.db, group)
    assert (rule.domain, rule.access, rule.members) == ("far.test", "read", 1)


async def test_who_may_nothing_is_refused_as_their_server_is_told(
    world: World, town: tuple[int, int, int]
) -> None:
    anna, group, topic = town
    member = await world.remote("early", "far.test")
    await world.do(groups.join, group, member, follow_uri="https://far.test/0")
    await world.do(admission.set_host, group, anna, "far.test", "none")
    person = await world.remote("late", "far.test")
    assert await world.do(groups.join, group, person, follow_uri="https://far.test/1") == "banned"
    assert await groups.membership(world.db, group, person) is None
    told = await world.db.value(
        "SELECT count(*) FROM journal WHERE event = 'membership_refused' AND target_id = ?", person
    )
    assert told == 1
    for who in (member, person):
        with pytest.raises(NotAllowed):
            await answer(world, who, topic)
        with pytest.raises(NotAllowed):
            await world.do(reactions.add, who, topic, "like")
    await world.do(admission.set_host, group, anna, "far.test", None)
    assert await answer(world, member, topic)


async def test_a_moderator_from_elsewhere_may_always_write(
    world: World, town: tuple[int, int, int]
) -> None:
    anna, group, topic = town
    person = await world.remote("p", "far.test")
    await world.do(groups.add_member, group, anna, person, "moderator")
    await world.do(admission.set_other_hosts, group, anna, "none")
    assert await answer(world, person, topic)


@pytest.mark.parametrize(
    ("domain", "access", "error"),
    [
        ("nonsense", "none", Invalid),
        ("far.test", "explode", Invalid),
        ("127.0.0.1", "none", Invalid),
    ],
)
async def test_what_cannot_be_is_refused(
    world: World, town: tuple[int, int, int], domain: str, access: Access, error: type[HubError]
) -> None:
    anna, group, _topic = town
    with pytest.raises(error):
        await world.do(admission.set_host, group, anna, domain, access)


async def test_only_moderators_of_the_group_decide(
    world: World, town: tuple[int, int, int]
) -> None:
    _anna, group, _topic = town
    ben = await world.member("ben", role="administrator")
    with pytest.raises(NotAllowed):
        await world.do(admission.set_host, group, ben, "far.test", "none")
    with pytest.raises(NotAllowed):
        await world.do(admission.set_other_hosts, group, ben, "none")


async def test_a_rule_counts_the_members_whom_it_covers(
    world: World, town: tuple[int, int, int]
) -> None:
    anna, group, _ = town
    for name, host in (
        ("bea", "far.test"),
        ("ciro", "a.far.test"),
        ("dora", "a.far.test:8443"),
        ("emil", "notfar.test"),
    ):
        await world.do(groups.join, group, await world.remote(name, host))
    for domain in ("far.test", "a.far.test", "nobody.test"):
        await world.do(admission.set_host, group, anna, domain, "read")
    found = await group_hosts.rules(world.db, group)
    assert [(rule.domain, rule.members) for rule in found] == [
        ("a.far.test", 2),
        ("far.test", 3),
        ("nobody.test", 0),
    ]
    homes = await group_hosts.homes(world.db, group)
    assert {home.host: home.members for home in homes} == {
        "far.test": 1,
        "a.far.test": 1,
        "a.far.test:8443": 1,
        "notfar.test": 1,
    }
