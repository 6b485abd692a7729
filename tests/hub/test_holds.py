"""Legal holds: exactly what is held stays, out of view, and goes when the hold ends."""

from __future__ import annotations

import pytest

from fedcomm.hub import audit, erasure, holds, removal, threads, timelines
from fedcomm.hub.errors import Invalid, NotAllowed, NotFound
from fedcomm.hub.holds import Kind
from tests.databases import ORIGIN
from tests.hub.world import World


@pytest.fixture
async def anna(world: World) -> int:
    return await world.member("anna", role="administrator")


async def hold(world: World, kind: Kind, subject_id: int) -> int:
    return await world.do(holds.place, kind, subject_id, reason="A court asks.", by=None)


async def test_what_is_held_goes_out_of_view_and_is_erased_when_the_hold_ends(
    world: World, anna: int
) -> None:
    group = await world.group("garden", anna)
    held, free = [await world.topic(anna, group, title=name) for name in ("Held", "Free")]
    placed = await hold(world, "object", held)
    assert await hold(world, "object", held) == placed, "one is enough"
    for topic in (held, free):
        await world.do(threads.delete, anna, topic)
    kept, gone = await world.thing(held), await world.thing(free)
    assert (kept.title, kept.withheld, kept.deleted_at) == ("Held", "kept", None)
    assert gone.title == "" and gone.deleted_at is not None
    assert await timelines.post(world.db, await world.viewer(anna), held) is None
    with pytest.raises(NotFound):
        await world.do(threads.delete, anna, held)
    with pytest.raises(NotFound):
        await world.do(removal.restore, anna, held)
    with pytest.raises(NotAllowed):
        await world.do(threads.edit, anna, held, await world.compose(anna, "Other", title="O"))
    assert await erasure.let_go(world.db) == (0, [])

    with pytest.raises(Invalid):
        await world.do(holds.release, placed, reason=" ", by=anna)
    await world.do(holds.release, placed, reason="The case is over.", by=anna)
    with pytest.raises(NotFound):
        await world.do(holds.release, placed, reason="Again.", by=anna)
    assert (await erasure.let_go(world.db))[0] == 1
    after = await world.thing(held)
    assert after.title == after.source == "" and after.deleted_at is not None
    assert [line.event for line in await audit.lines(world.db)][:2] == [
        "hold_released",
        "hold_placed",
    ]


async def test_an_erasure_leaves_what_is_held_and_is_not_finished_before_it_ends(
    world: World, anna: int
) -> None:
    berta = await world.member("berta", display_name="Berta")
    group = await world.group("garden", anna)
    await world.run(
        "INSERT INTO memberships (group_id, actor_id, role, state, created_at)"
        " VALUES (?, ?, 'member', 'active', 1)",
        group,
        berta,
    )
    held, free = [await world.topic(berta, group, title=name) for name in ("Held", "Free")]
    placed = await hold(world, "object", held)
    case_id = await world.do(erasure.request, "member", berta, requested_by=None, own=True)
    case = await erasure.case(world.db, case_id)
    assert case is not None
    while case.state in ("objects", "rows"):
        case = await erasure.advance(world.db, case, origin=ORIGIN)
    assert (await world.thing(held)).title == "Held" and (await world.thing(free)).title == ""
    assert case.objects == 1 and await erasure.is_keeping(world.db, case) == 1
    assert (await world.actor(berta)).display_name == ""
    assert [event for event in await world.events() if event == "object_erased"] == [
        "object_erased",
        "object_erased",
    ], "other servers are asked for both"
    await world.do(holds.release, placed, reason="Over.", by=anna)
    await erasure.let_go(world.db)
    assert await erasure.is_keeping(world.db, case) == 0


async def test_a_hold_on_somebody_covers_their_words_and_refuses_their_erasure(
    world: World, anna: int
) -> None:
    group = await world.group("garden", anna)
    eve = await world.remote("eve")
    post = await world.post(eve)
    topic = await world.topic(anna, group)
    host = await world.host_id("far.test")
    for kind, subject, thing in (
        ("remote", eve, post),
        ("group", group, topic),
        ("host", host, post),
    ):
        placed = await hold(world, kind, subject)  # type: ignore[arg-type]
        known = await world.thing(thing)
        assert await holds.covers(
            world.db, known.id, known.author_id, known.group_id, known.host_id
        )
        with pytest.raises(NotAllowed, match="legal hold"):
            await world.do(
                erasure.request,
                kind,
                subject,
                requested_by=anna,
                reason="Asked.",  # type: ignore[arg-type]
            )
        await world.do(holds.release, placed, reason="Over.", by=anna)
    # What comes from elsewhere as a deletion is obeyed as far as anybody can see.
    placed = await hold(world, "remote", eve)
    await world.do(threads.delete, eve, post)
    assert (await world.thing(post)).withheld == "kept"
    with pytest.raises(Invalid):
        await world.do(holds.place, "member", anna, reason="", by=None)
    with pytest.raises(NotFound):
        await world.do(holds.place, "member", 4711, reason="x", by=None)
