"""Who may quote what, as far as the hub decides it alone."""

from __future__ import annotations

import pytest

from fedcomm.hub import groups, moderation, quotes
from fedcomm.hub.errors import Invalid
from tests.hub.world import World


async def test_who_is_banned_quotes_nothing_of_the_group_until_the_ban_is_over(
    world: World,
) -> None:
    anna, berta = await world.member("anna"), await world.member("berta")
    group = await world.group("garden", anna)
    await world.do(groups.join, group, berta)
    topic = await world.topic(anna, group)
    await quotes.check(world.db, berta, topic)
    why = moderation.Grounds("It insults somebody.")
    await world.do(moderation.ban, group, anna, berta, why, days=3)
    with pytest.raises(Invalid):
        await quotes.check(world.db, berta, topic)
    await world.run("UPDATE memberships SET banned_until = 1 WHERE actor_id = ?", berta)
    await quotes.check(world.db, berta, topic)
