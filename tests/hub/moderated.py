"""A group with people who look after it and people who do not, for tests of moderation."""

from __future__ import annotations

from dataclasses import dataclass

from fedcomm.hub import (
    audit,
    groups,
    moderation,
    notifications,
    threads,
)
from tests.hub.world import World, words

WHY = moderation.Grounds("It insults somebody.")


@dataclass(frozen=True)
class Town:
    """Anna owns the group, Mara moderates it; Berta and Carla are members; Boss and Bruno are staff."""

    anna: int
    mara: int
    berta: int
    carla: int
    boss: int
    bruno: int
    group: int
    topic: int
    """Berta's."""
    reply: int
    """Carla's."""


async def town_of(world: World) -> Town:
    anna = await world.member("anna")
    people = [await world.member(name) for name in ("mara", "berta", "carla")]
    boss = await world.member("boss", role="administrator")
    bruno = await world.member("bruno", role="moderator")
    group = await world.group("ambiente", anna)
    for person in people:
        await world.do(groups.add_member, group, anna, person)
    mara, berta, carla = people
    await world.do(groups.add_member, group, anna, mara, "moderator")
    topic = await world.topic(berta, group, "Zanzibar words.", title="Zanzibar")
    reply = await world.reply(carla, topic, "You fool.")
    return Town(anna, mara, berta, carla, boss, bruno, group, topic, reply)


async def told(world: World, person: int) -> list[str]:
    return [note.kind for note in await notifications.list_notifications(world.db, person)]


async def audited(world: World) -> list[str]:
    return [line.event for line in await audit.lines(world.db)]


async def from_elsewhere(world: World, author: int, group: int, title: str = "t") -> int:
    return await world.do(
        threads.create_topic,
        author,
        group,
        words("x", title=title),
        provenance=await world.provenance(author),
    )
