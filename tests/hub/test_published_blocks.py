"""The list of blocks as others may see it."""

from __future__ import annotations

import hashlib

import pytest

from fedcomm.hub import blocklists, policies, policy_changes, published_blocks
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


async def test_letters_left_out_travel_with_the_list_and_come_back_with_undo(world: World) -> None:
    mine = {
        "bad.example": policies.Entry("bad.example", "suspend", obfuscate=True),
        "loud.example": policies.Entry("loud.example", "limit"),
    }
    first = await world.do(policy_changes.apply, mine, by=None, kind="set", reason="Why not.")
    assert await letters(world) == {"bad.example": True, "loud.example": False}
    # Whole names in our own list, for whoever administers; the last column says what others see of them.
    written = blocklists.as_csv((await policies.all_entries(world.db)).values())
    assert written.splitlines()[1:] == [
        "bad.example,suspend,false,false,,true",
        "loud.example,silence,false,false,,false",
    ]
    found = blocklists.read(written.encode())
    known = await policies.all_entries(world.db)
    assert blocklists.difference(known, found).is_empty
    # A list that differs in nothing else changes it; one without the column leaves it as it is.
    for text, after in (
        (written.replace("true", "false"), False),
        ("#domain,#severity\nbad.example,noop\nbad.example,suspend", False),
        (written, True),
        ("#domain,#severity\nbad.example,silence", True),
    ):
        known = await policies.all_entries(world.db)
        found = blocklists.read(text.encode())
        wanted = blocklists.changes(blocklists.difference(known, found))
        await world.do(policy_changes.apply, wanted, by=None, kind="imported", reason="A list.")
        assert (await letters(world))["bad.example"] is after, text
    # What was decided about letters alone stands in nobody's way.
    assert await world.do(published_blocks.set_obfuscated, "loud.example", on=True)
    assert first is not None
    left = await world.do(policy_changes.undo, first, by=None, reason="Enough.")
    assert left == ["bad.example"]  # It is limited by now.
    assert await letters(world) == {"bad.example": True}


async def letters(world: World) -> dict[str, bool | None]:
    """Of which entries letters are left out."""
    found = await policies.all_entries(world.db)
    return {domain: entry.obfuscate for domain, entry in found.items()}
