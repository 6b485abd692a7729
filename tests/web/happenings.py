"""What may happen to a thread, at random: whatever a page shows of it can be changed by one of these."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from fedcomm.hub import avoidance, policy_changes, reactions, removal, threads
from fedcomm.hub.composition import Content, Draft
from fedcomm.hub.policies import Entry
from fedcomm.hub.sanitizer import clean_remote
from fedcomm.store.database import Transaction
from fedcomm.store.ids import now_ms
from tests.databases import ORIGIN
from tests.web.world import World

MEMBERS = ("chiara", "dario", "bruno")

Happening = Callable[["Scene", Transaction, int], Awaitable[Any]]


@dataclass
class Scene:
    """A thread in the garden. `objects`: the topic, then replies to it and to each other."""

    world: World
    chance: random.Random
    objects: list[int]

    @property
    def who(self) -> int:
        """One of those who may write there."""
        return self.world.people[self.chance.choice(MEMBERS)]

    async def go_on(self) -> None:
        """One happening. Raises HubError where it is not possible now."""
        if self.chance.random() < 0.2:
            name, words = (
                self.chance.choice(MEMBERS),
                f"Words {self.chance.random()} :leaf: *here*.",
            )
            quoted = self.chance.choice([None, None, *self.objects])
            self.objects.append(
                await self.world.reply(self.chance.choice(self.objects), name, words, quote=quoted)
            )
            return
        happening = self.chance.choice(HAPPENINGS)
        async with self.world.site.db.transaction() as tx:
            await happening(self, tx, self.chance.choice(self.objects))


async def _comes_from_elsewhere(scene: Scene, tx: Transaction, which: int) -> None:
    number = len(scene.objects)
    host_id = await tx.value("SELECT host_id FROM actors WHERE id = ?", scene.world.remote_id)
    html = clean_remote(f"<p>From afar {number}</p>", local_origin=ORIGIN)
    scene.objects.append(
        await threads.create_reply(
            tx,
            scene.world.remote_id,
            which,
            Content(title="", source="", html=html, plain=f"From afar {number}", language="it"),
            provenance=threads.Provenance(
                f"https://social.example/notes/9{number}", host_id, "Note", None, now_ms()
            ),
        )
    )


async def _is_edited(scene: Scene, tx: Transaction, which: int) -> None:
    thing = await threads.thing(tx, which)
    assert thing is not None
    if not thing.is_local:
        return
    draft = Draft(
        f"Other words {scene.chance.random()}.",
        title=f"Title {scene.chance.random()}" if thing.kind == "topic" else "",
        summary=scene.chance.choice(["", "Careful"]),
        language=scene.chance.choice(["", "it"]),
    )
    content = await scene.world.site.compose(
        tx, draft, is_topic=thing.kind == "topic", author_id=thing.author_id
    )
    await threads.edit(tx, thing.author_id, which, content)


async def _is_deleted(scene: Scene, tx: Transaction, which: int) -> None:
    thing = await threads.thing(tx, which)
    if thing is not None and thing.kind == "reply":
        await threads.delete(tx, thing.author_id, which)


async def _is_hidden(scene: Scene, tx: Transaction, which: int) -> None:
    if which != scene.objects[0]:
        await removal.withhold(tx, scene.world.people["bruno"], which, "hidden")


async def _is_liked(scene: Scene, tx: Transaction, which: int) -> None:
    feeling = scene.chance.choice([None, reactions.Feeling("🌱"), reactions.Feeling("🐝")])
    await reactions.add(tx, scene.who, which, "like", feeling=feeling)


async def _is_liked_no_more(scene: Scene, tx: Transaction, which: int) -> None:
    await reactions.withdraw(tx, scene.who, which, "like")


async def _is_locked(scene: Scene, tx: Transaction, which: int) -> None:
    await threads.set_locked(
        tx, scene.world.people["bruno"], scene.objects[0], locked=scene.chance.random() < 0.4
    )


async def _is_pinned(scene: Scene, tx: Transaction, which: int) -> None:
    await threads.set_pinned(
        tx, scene.world.people["bruno"], scene.objects[0], pinned=scene.chance.random() < 0.5
    )


async def _has_a_new_name(scene: Scene, tx: Transaction, which: int) -> None:
    name = f"Name {scene.chance.random()} :leaf:"
    who = scene.chance.choice([scene.who, scene.world.remote_id])
    await tx.execute("UPDATE actors SET display_name = ? WHERE id = ?", name, who)


async def _has_a_new_picture(scene: Scene, tx: Transaction, which: int) -> None:
    picture = scene.chance.choice([None, await tx.value("SELECT min(id) FROM media")])
    await tx.execute("UPDATE actors SET avatar_id = ? WHERE id = ?", picture, scene.who)


async def _has_a_picture(scene: Scene, tx: Transaction, which: int) -> None:
    await tx.execute("DELETE FROM attachments WHERE object_id = ?", which)
    await tx.execute(
        "INSERT INTO attachments (object_id, position, media_id, uri, type, mime, alt)"
        " SELECT ?, 0, id, NULL, 'Image', 'image/webp', ? FROM media ORDER BY id LIMIT 1",
        which,
        f"Alt {scene.chance.random()}",
    )


async def _is_avoided(scene: Scene, tx: Transaction, which: int) -> None:
    reader = scene.world.people[scene.chance.choice(["elsa", "dario"])]
    await avoidance.avoid(tx, reader, scene.world.people["chiara"], "mute")


async def _is_met_again(scene: Scene, tx: Transaction, which: int) -> None:
    for name in ("elsa", "dario"):
        await avoidance.meet_again(tx, scene.world.people[name], scene.world.people["chiara"])


async def _server_is_judged(scene: Scene, tx: Transaction, which: int) -> None:
    level = scene.chance.choice(["suspend", "limit", None])
    entry = Entry("social.example", level) if level is not None else None  # type: ignore[arg-type]
    await policy_changes.apply(
        tx, {"social.example": entry}, by=None, kind="set", reason="At random."
    )


async def _emoji_appears(scene: Scene, tx: Transaction, which: int) -> None:
    await tx.execute("DELETE FROM emoji WHERE shortcode = 'leaf'")
    if scene.chance.random() < 0.7:
        await tx.execute(
            "INSERT INTO emoji (id, host_id, shortcode, file, created_at, updated_at)"
            " VALUES (?, NULL, 'leaf', ?, 0, 0)",
            scene.chance.randrange(1, 1 << 40),
            f"{scene.chance.randrange(1 << 60):032x}.webp",
        )


HAPPENINGS: tuple[Happening, ...] = (
    _comes_from_elsewhere,
    _is_edited,
    _is_deleted,
    _is_hidden,
    _is_liked,
    _is_liked,
    _is_liked_no_more,
    _is_locked,
    _is_pinned,
    _has_a_new_name,
    _has_a_new_picture,
    _has_a_picture,
    _is_avoided,
    _is_met_again,
    _server_is_judged,
    _emoji_appears,
    _emoji_appears,
)
