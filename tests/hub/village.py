"""A small community with relations to three other servers, and what tests of policies do with it."""

from __future__ import annotations

from dataclasses import replace

from fedcomm.hub import follows, groups, policy_changes, threads
from fedcomm.hub.policies import Entry, Level
from tests.hub.world import World, words

WHY = "Spam, three days in a row."


async def decide(world: World, level: Level, domain: str = "far.test", **facts: object) -> int:
    """Set an entry; the id of the change."""
    entry = replace(Entry(domain, level), **facts)  # type: ignore[arg-type]
    change = await world.do(policy_changes.apply, {domain: entry}, by=None, kind="set", reason=WHY)
    assert change is not None
    return change


async def relations(world: World) -> list[tuple[object, ...]]:
    """The tables of relations, every column of every row in the order of the table."""
    found: list[tuple[object, ...]] = []
    for table in ("memberships", "follows"):
        rows = await world.rows(f"SELECT * FROM {table} ORDER BY 1, 2")
        found += [(table, *(row[key] for key in row.keys())) for row in rows]  # noqa: SIM118
    return found


class Village:
    """Anna's group with members here and elsewhere, follows in both directions, words of Bob's."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.anna = self.berta = self.bob = self.group = self.topic = self.theirs = self.post = 0

    async def build(self) -> Village:
        world = self.world
        self.anna, self.berta = await world.member("anna"), await world.member("berta")
        self.bob = await world.remote("bob")
        elsa = await world.remote("elsa", "sub.far.test")
        carl = await world.remote("carl", "near.test")
        self.group = await world.group("ambiente", self.anna)
        for person in (self.berta, self.bob, elsa, carl):
            await world.do(groups.join, self.group, person, follow_uri=f"https://x.test/{person}")
        await world.do(follows.request, self.anna, self.bob)
        await world.do(follows.accept, self.anna, self.bob)
        await world.do(follows.request, self.bob, self.berta, follow_uri="https://far.test/f/1")
        await world.do(follows.request, self.berta, elsa)
        self.topic = await world.topic(self.anna, self.group, title="Which soil?")
        self.theirs = await world.do(
            threads.create_reply,
            self.bob,
            self.topic,
            words("Clay."),
            provenance=await world.provenance(self.bob),
        )
        self.post = await world.post(self.bob, "Something else.")
        return self
