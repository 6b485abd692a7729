"""The list of blocks as others may see it."""

from __future__ import annotations

import hashlib

import pytest

from fedcomm.hub import policies, policy_changes, published_blocks
from fedcomm.hub.errors import Invalid
from tests.hub.world import World


async def test_only_limits_and_suspensions_are_published_and_letters_can_be_left_out(
    world: World,
) -> None:
    entries = {
        "bad.example": policies.Entry("bad.example", "suspend", public_comment="Spam."),
        "loud.example": policies.Entry("loud.example", "limit", private_comment="SECRET"),
        "fine.example": policies.Entry("fine.example", "none"),
        "new.example": policies.Entry("new.example", "queue"),
    }
    await world.do(policy_changes.apply, entries, by=None, kind="set", reason="Why not.")
    assert await world.do(published_blocks.set_obfuscated, "loud.example", on=True)
    found = await published_blocks.published(world.db)
    assert [(block.domain, block.level, block.comment) for block in found] == [
        ("bad.example", "suspend", "Spam."),
        ("lou*.****ple", "limit", ""),
    ]
    assert found[1].digest == hashlib.sha256(b"loud.example").hexdigest()
    # Changing the entry keeps what was decided about its letters.
    again = {"loud.example": policies.Entry("loud.example", "suspend")}
    await world.do(policy_changes.apply, again, by=None, kind="set", reason="Worse.")
    assert (await published_blocks.published(world.db))[1].domain == "lou*.****ple"
    assert not await world.do(published_blocks.set_obfuscated, "absent.example", on=True)


async def test_it_is_off_until_somebody_decides(world: World) -> None:
    for audience, strangers, members in (
        (None, False, False),
        ("members", False, True),
        ("public", True, True),
        ("off", False, False),
    ):
        if audience is not None:
            await world.do(published_blocks.set_audience, audience, by=None)
        seen = [await published_blocks.may_see(world.db, is_member=who) for who in (False, True)]
        assert seen == [strangers, members]
    with pytest.raises(Invalid):
        await world.do(published_blocks.set_audience, "enemies", by=None)
