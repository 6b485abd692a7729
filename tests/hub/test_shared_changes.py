"""Changes that share one transaction leave what transactions one after the other leave."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, NamedTuple

import pytest

from fedcomm.hub import follows, reactions, threads
from fedcomm.hub.errors import HubError
from fedcomm.hub.visibility import Visibility
from fedcomm.store.database import Transaction
from fedcomm.store.remembered import remembering
from tests.databases import Databases, make_site
from tests.hub.world import World, words

STEPS = 25
SEEDS = 25

LEFT = {
    "objects": "SELECT id, title, html, visibility, parent_id, topic_id, reply_count, like_count,"
    " dislike_count, share_count, deleted_at IS NULL FROM objects",
    "mentions": "SELECT object_id, actor_id FROM mentions",
    "hashtags": "SELECT object_id, tag FROM hashtags",
    "reactions": "SELECT object_id, actor_id, kind FROM reactions",
    "notifications": "SELECT member_id, kind, actor_id, object_id FROM notifications",
}


@dataclass
class Setting:
    """What the steps are about, in the same order in both worlds."""

    people: list[int]
    group: int
    objects: list[int] = field(default_factory=list)


class Step(NamedTuple):
    what: Literal["reply", "post", "react", "withdraw", "edit", "delete", "topic"]
    who: int
    about: float
    visibility: Visibility
    mentioned: tuple[int, ...]
    hashtags: tuple[str, ...]
    reaction: reactions.Kind
    quotes: bool


@pytest.fixture
async def make_world(
    databases: Databases, tmp_path: Path
) -> AsyncIterator[Callable[[], Awaitable[World]]]:
    """Makes worlds on databases of their own."""
    sites = []

    async def make() -> World:
        sites.append(await make_site(databases.migrated(), tmp_path))
        return World(sites[-1])

    yield make
    for each in sites:
        await each.db.close()


async def setting_of(world: World) -> Setting:
    """Two members and four people elsewhere, of whom two ask to follow; an open and a private group."""
    anna, ben = await world.member("anna"), await world.member("ben")
    far = [await world.remote(f"r{number}") for number in range(4)]
    open_, private = (
        await world.group("open", anna),
        await world.group("inner", anna, mode="private"),
    )
    setting = Setting([anna, ben, *far], open_)
    for group in (open_, private, open_):
        setting.objects.append(await world.topic(anna, group))
    for one in far[:2]:
        await world.do(follows.request, one, anna)
    return setting


def a_step(chance: random.Random) -> Step:
    return Step(
        chance.choice(
            ("reply", "reply", "reply", "post", "react", "withdraw", "edit", "delete", "topic")
        ),
        chance.randrange(6),
        chance.random(),
        chance.choice(("public", "direct", "followers", "unlisted")),
        tuple(sorted({chance.randrange(6) for _ in range(chance.choice((0, 0, 1, 2)))})),
        chance.choice(((), ("one",), ("one", "two"))),
        chance.choice(("like", "dislike", "share")),
        chance.random() < 0.25,
    )


async def take(tx: Transaction, setting: Setting, step: Step, number: int) -> None:
    who = setting.people[step.who]
    target = setting.objects[int(step.about * len(setting.objects))]
    content = words(
        f"text {number}",
        title=f"T {number}" if step.what == "topic" else "",
        mentions=tuple(setting.people[each] for each in step.mentioned),
        hashtags=step.hashtags,
        quote=target if step.quotes else None,
    )
    origin = None
    if step.who > 1:
        host = await tx.value("SELECT host_id FROM actors WHERE id = ?", who)
        origin = threads.Provenance(f"https://far.test/o/{number}", host, "Note", None, 5)
    match step.what:
        case "reply":
            made = await threads.create_reply(
                tx, who, target, content, provenance=origin, visibility=step.visibility
            )
            setting.objects.append(made)
        case "topic":
            made = await threads.create_topic(tx, who, setting.group, content, provenance=origin)
            setting.objects.append(made)
        case "post" if origin is not None:
            made = await threads.store_post(tx, who, content, origin, visibility=step.visibility)
            setting.objects.append(made)
        case "react":
            uri = f"https://far.test/r/{number}" if origin else None
            await reactions.add(tx, who, target, step.reaction, uri=uri)
        case "withdraw":
            await reactions.withdraw(tx, who, target, step.reaction)
        case "edit":
            await threads.edit(tx, who, target, content)
        case "delete":
            await threads.delete(tx, who, target)


async def left(world: World, setting: Setting) -> dict[str, list[Any]]:
    """What the world holds, with names in place of ids."""
    names: dict[object, str] = {one: f"o{n}" for n, one in enumerate(setting.objects)}
    names |= {one: f"p{n}" for n, one in enumerate(setting.people)}
    found: dict[str, list[Any]] = {}
    for table, sql in LEFT.items():
        rows = await world.db.all(sql)
        found[table] = sorted(
            str([names.get(value, value) for value in tuple(row)]) for row in rows
        )
    found["journal"] = [
        [names.get(value, value) for value in tuple(row)]
        for row in await world.db.all("SELECT event, actor_id, object_id FROM journal ORDER BY seq")
    ]
    return found


@pytest.mark.parametrize("how", ["in one piece", "with savepoints"])
@pytest.mark.parametrize("seed", range(SEEDS))
async def test_what_shares_a_transaction_leaves_what_transactions_in_a_row_leave(
    make_world: Callable[[], Awaitable[World]], seed: int, how: str
) -> None:
    apart, shared = await make_world(), await make_world()
    one, other = await setting_of(apart), await setting_of(shared)
    chance = random.Random(seed)
    taken = []
    for number in range(STEPS):
        step = a_step(chance)
        try:
            async with apart.db.transaction() as tx:
                await take(tx, one, step, number)
        except HubError:
            continue
        taken.append((step, number))
    async with remembering(shared.db) as tx:
        for step, number in taken:
            if how == "in one piece":
                await take(tx, other, step, number)
            else:
                async with tx.savepoint():
                    await take(tx, other, step, number)
    assert len(taken) > 2
    assert await left(shared, other) == await left(apart, one)
