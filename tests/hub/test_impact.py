"""What a change of policy would touch, before it is made."""

from __future__ import annotations

from fedcomm.hub import follows, impact, policies
from fedcomm.hub.policies import Entry
from tests.hub.village import Village, decide, relations
from tests.hub.world import World


async def test_a_preview_names_what_a_change_would_touch(village: Village) -> None:
    world = village.world
    before = await relations(world)
    found = await impact.of_entries(world.db, {"far.test": Entry("far.test", "suspend")})
    assert [(host.name, host.before, host.after) for host in found.hosts] == [
        ("far.test", "none", "suspend"),
        ("sub.far.test", "none", "suspend"),
    ]
    assert found.following.names == ("@anna → @bob@far.test", "@berta → @elsa@sub.far.test")
    assert found.followers == impact.Listing(("@bob@far.test → @berta",), 1)
    assert found.groups == (impact.GroupImpact("ambiente", "Ambiente", 2),)
    assert (found.memberships, found.relations) == (2, 5)
    assert found.threads == impact.Listing(("Which soil?",), 1)
    assert found.posts == 2
    assert await relations(world) == before
    assert await policies.count(world.db) == 0
    await decide(world, "suspend")
    suspended = await world.rows(
        "SELECT 1 AS one FROM memberships WHERE suspended = 1"
        " UNION ALL SELECT 1 FROM follows WHERE suspended = 1"
    )
    assert len(suspended) == found.relations


async def test_a_preview_of_a_mode_names_who_would_fall_out(village: Village) -> None:
    await decide(village.world, "none", "near.test")
    found = await impact.of_mode(village.world.db, "allow-list")
    assert [host.name for host in found.hosts] == ["far.test", "sub.far.test"]
    assert (await impact.of_mode(village.world.db, "cautious")).hosts_total == 0


async def test_lists_in_a_preview_are_short_and_counts_exact(world: World) -> None:
    anna = await world.member("anna")
    for number in range(impact.NAMED + 5):
        person = await world.remote(f"p{number}", f"h{number}.far.test")
        await world.do(follows.request, anna, person)
    found = await impact.of_entries(world.db, {"far.test": Entry("far.test", "limit")})
    assert (len(found.hosts), found.hosts_total) == (impact.NAMED, impact.NAMED + 5)
    assert (len(found.following.names), found.following.more) == (impact.NAMED, 5)
