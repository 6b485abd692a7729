"""Who may close a group for good."""

from __future__ import annotations

import pytest

from fedcomm.hub import closing, groups
from fedcomm.hub.errors import NotAllowed
from tests.hub.world import World


async def test_administrators_close_groups_that_they_can_see_and_owners_their_own(
    world: World,
) -> None:
    anna, berta = await world.member("anna"), await world.member("berta")
    boss = await world.member("boss", role="administrator")
    helper = await world.member("helper", role="moderator")
    circle = await world.group("circle", anna, mode="private")
    garden = await world.group("garden", anna)
    await world.do(groups.add_member, circle, anna, berta, "moderator")
    for group, may in ((circle, {anna}), (garden, {anna, boss})):
        for person in (anna, berta, boss, helper):
            assert await closing.may_close(world.db, group, person) is (person in may)
    with pytest.raises(NotAllowed):
        await world.do(closing.close, circle, boss, "They talk.")
    await world.do(groups.add_member, circle, anna, boss)
    assert await world.do(closing.close, circle, boss, "It was asked for.")
