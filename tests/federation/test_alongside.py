"""Which activities of one host may be prepared before those before them are written, and that their order is kept."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from activitypub.documents import ActivityDocument, read_activity
from fedcomm.federation import lanes
from fedcomm.federation.alongside import MOST, Alongside
from fedcomm.federation.pressure import Pressure
from fedcomm.federation.spoke import FederationSpoke
from fedcomm.store.database import Transaction
from fedcomm.store.ids import now_ms
from tests.federation.inprocess import LocalHub, ScriptedStubs
from tests.federation.stub import PUBLIC

ANN, BEN, CLEO = (f"https://there.test/users/{name}" for name in ("ann", "ben", "cleo"))
_LINK = {
    "type": "Link",
    "href": f"{CLEO}/notes/1",
    "rel": "https://misskey-hub.net/ns#_misskey_quote",
}


def _activity(actor: str, number: int, kind: str = "Create", **more: Any) -> ActivityDocument:
    note = {"id": f"{actor}/notes/{number}", "type": "Note", "attributedTo": actor, **more}
    thing: Any = note if kind == "Create" else more.get("object", note["id"])
    return read_activity(
        {"id": f"{actor}/acts/{number}", "type": kind, "actor": actor, "object": thing}
    )


async def _under_way(*activities: ActivityDocument) -> Alongside:
    alongside = Alongside()
    for activity in activities:
        alongside.begin(activity, {}, activity.actor)
    return alongside


async def test_posts_of_different_people_go_alongside_each_other() -> None:
    alongside = await _under_way(_activity(ANN, 1))
    assert alongside.has_room_for(_activity(BEN, 1), BEN)
    assert alongside.has_room_for(_activity(BEN, 1, "Like", object="https://our.test/1"), BEN)
    assert (await _under_way()).has_room_for(_activity(ANN, 1, "Delete"), ANN)


@pytest.mark.parametrize(
    "later",
    [
        _activity(ANN, 2),
        _activity(BEN, 1, inReplyTo=f"{ANN}/notes/1"),
        _activity(BEN, 1, tag=[{"type": "Link", "href": f"{ANN}/notes/1"}]),
        _activity(BEN, 1, quoteUrl=f"{ANN}/notes/1"),
        _activity(BEN, 1, "Like", object=f"{ANN}/notes/1"),
        _activity(BEN, 1, "Undo", object=f"{ANN}/acts/1"),
        _activity(BEN, 1, "Delete", object=f"{ANN}/notes/1"),
        _activity(BEN, 1, "Follow", object="https://our.test/g"),
        _activity(BEN, 1, "Move", object=BEN),
    ],
    ids=lambda activity: activity.type,
)
async def test_what_may_depend_on_the_one_before_waits_until_it_is_written(
    later: ActivityDocument,
) -> None:
    alongside = await _under_way(_activity(ANN, 1))
    assert not alongside.has_room_for(later, later.actor)
    alongside.give_up()
    assert alongside.has_room_for(later, later.actor)


async def test_who_carries_what_others_said_brings_one_at_a_time() -> None:
    alongside = await _under_way(_activity(ANN, 1))
    assert not alongside.has_room_for(_activity(BEN, 1), ANN)
    carried = Alongside()
    carried.begin(_activity(ANN, 1), {}, CLEO)
    assert not carried.has_room_for(_activity(BEN, 1), BEN)


@pytest.mark.parametrize(
    "spelled",
    [
        *("HTTPS://there.test/users/ann/notes/1", "https://There.TEST/users/ann/notes/1"),
        *("https://there.test:443/users/ann/notes/1", "hTTps://THERE.test:443/users/ann/acts/1"),
    ],
)
async def test_what_comes_before_is_known_however_its_id_is_spelled(spelled: str) -> None:
    """Ids are compared in their canonical form by whoever looks them up."""
    alongside = await _under_way(_activity(ANN, 1))
    for later in (
        _activity(BEN, 1, "Like", object=spelled),
        _activity(BEN, 1, inReplyTo=[spelled]),
        _activity(BEN, 1, inReplyTo={"id": spelled, "type": "Note"}),
    ):
        assert not alongside.has_room_for(later, BEN)


@pytest.mark.parametrize(
    "first",
    [
        _activity(ANN, 1, quoteUrl=f"{CLEO}/notes/1"),
        _activity(ANN, 1, tag=[_LINK]),
        _activity(ANN, 1, attributedTo=CLEO),
        _activity(ANN, 1, attributedTo=[CLEO, ANN]),
        read_activity({"id": f"{ANN}/a", "type": "Create", "actor": ANN, "object": f"{ANN}/n"}),
    ],
)
async def test_nothing_goes_alongside_of_what_makes_more_than_it_names(
    first: ActivityDocument,
) -> None:
    """What is quoted is stored as well, and what is fetched may have another id: the next one may be about that."""
    alongside = await _under_way(first)
    assert not alongside.has_room_for(_activity(BEN, 1, "Like", object=f"{CLEO}/notes/1"), BEN)
    assert not (await _under_way(_activity(BEN, 1))).has_room_for(first, ANN)


async def test_nothing_goes_alongside_of_what_changes_people() -> None:
    for kind in ("Follow", "Block", "Delete", "Update", "Undo", "Announce", "Move"):
        alongside = await _under_way(_activity(ANN, 1, kind, object="https://our.test/g"))
        assert not alongside.has_room_for(_activity(BEN, 1), BEN), kind


async def test_so_many_at_most_are_prepared_and_not_written() -> None:
    people = [f"https://there.test/users/p{number}" for number in range(MOST)]
    alongside = await _under_way(*(_activity(person, 1) for person in people))
    assert not alongside.has_room_for(_activity(ANN, 1), ANN)


async def test_what_is_prepared_ahead_ends_when_nobody_wants_it_any_more() -> None:
    alongside = Alongside()
    begun = [alongside.begin(_activity(who, 1), {}, who) for who in (ANN, BEN)]
    tasks = [asyncio.create_task(asyncio.sleep(60)) for _ in begun]
    for each, task in zip(begun, tasks, strict=True):
        each.prepared = task
    await asyncio.sleep(0)
    begun[0].in_turn()
    alongside.give_up()
    await asyncio.wait(tasks, timeout=10)
    assert all(task.cancelled() for task in tasks)
    assert not alongside.begun


@pytest.mark.asyncio(loop_scope="module")
async def test_what_one_server_sends_at_once_takes_effect_in_its_order(
    town: LocalHub, servers: ScriptedStubs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Answers to answers, a like of one of them, its deletion: each finds what came before it."""
    host = servers.new_host()
    people = [servers.somebody(name, host) for name in ("ann", "ben", "cleo", "dan")]
    above = town.object_uri(town.topic)
    wave: list[dict[str, Any]] = []
    for number, person in enumerate(people):
        uri = f"{person}/notes/order-{number}"
        note = {
            "id": uri,
            "type": "Note",
            "attributedTo": person,
            "to": [PUBLIC],
            "inReplyTo": above,
            "content": "<p>And so on.</p>",
        }
        wave.append(
            {"id": f"{uri}/c", "type": "Create", "actor": person, "to": [PUBLIC], "object": note}
        )
        above = uri
    first = f"{people[0]}/notes/order-0"
    liked = {"type": "Like", "actor": people[1], "object": first}
    wave.append({"id": f"{first}/like", **liked})
    wave.append(
        {"id": f"{first}/d", "type": "Delete", "actor": people[0], "to": [PUBLIC], "object": first}
    )
    with monkeypatch.context() as busy:
        # Nobody works them off until all are there.
        busy.setattr(Pressure, "hands", lambda self, hands: 0)
        for act in wave:
            assert await town.post(act) == 202
    assert [await town.verdict(act) for act in wave[:4]] == ["done: stored"] * 4
    assert [(await town.verdict(act)).split(":")[0] for act in wave[4:]] == ["done"] * 2
    rows = await town.db.all(
        "SELECT o.uri, p.uri AS above FROM objects o JOIN objects p ON p.id = o.parent_id"
        " WHERE o.topic_id = ? AND o.uri LIKE '%order-%' ORDER BY o.id",
        town.topic,
    )
    # The topic is ours, and has no id of another server.
    notes = [act["object"] for act in wave[:4]]
    answered = [None, *(note["inReplyTo"] for note in notes[1:])]
    assert [(row["uri"], row["above"]) for row in rows] == [
        (note["id"], above) for note, above in zip(notes, answered, strict=True)
    ]


@pytest.mark.asyncio(loop_scope="module")
async def test_what_is_about_a_post_under_way_finds_it_however_its_id_is_spelled(
    town: LocalHub, servers: ScriptedStubs, monkeypatch: pytest.MonkeyPatch
) -> None:
    host = servers.new_host()
    ann, ben, cleo = (servers.somebody(name, host) for name in ("ann", "ben", "cleo"))
    quoted, note = f"{cleo}/notes/quoted", f"{ann}/notes/spelled"
    servers.scripts[quoted] = {
        "id": quoted,
        "type": "Note",
        "attributedTo": cleo,
        "to": [PUBLIC],
        "content": "<p>Worth a quote.</p>",
    }
    thing = {
        "id": note,
        "type": "Note",
        "attributedTo": ann,
        "to": [PUBLIC],
        "inReplyTo": town.object_uri(town.topic),
        "content": "<p>Look at this.</p>",
    }
    loud = note.replace(host, host.upper())
    assert loud != note
    wave: list[dict[str, Any]] = [
        {"id": f"{note}/c", "type": "Create", "actor": ann, "to": [PUBLIC], "object": thing},
        {"id": f"{ben}/likes/1", "type": "Like", "actor": ben, "object": loud},
        {
            "id": f"{note}-2/c",
            "type": "Create",
            "actor": ann,
            "to": [PUBLIC],
            "object": {**thing, "id": f"{note}-2", "quoteUrl": quoted},
        },
        {"id": f"{ben}/likes/2", "type": "Like", "actor": ben, "object": quoted},
    ]
    with monkeypatch.context() as busy:
        busy.setattr(Pressure, "hands", lambda self, hands: 0)
        for act in wave:
            assert await town.post(act) == 202
    assert [await town.verdict(act) for act in wave] == [
        "done: stored",
        "done: like",
        "done: stored",
        "done: like",
    ]


@pytest.mark.asyncio(loop_scope="module")
async def test_a_lane_that_is_given_back_holds_up_nobody_who_stores_for_its_host(
    town: LocalHub, servers: ScriptedStubs
) -> None:
    """PostgreSQL locks the lane's row until the end of the transaction: it must not be one with others' work in it."""
    if town.db.dialect == "sqlite":
        pytest.skip("one writes at a time")
    spoke = town.site.federation
    assert isinstance(spoke, FederationSpoke)
    intake, go_on = spoke._intake, asyncio.Event()
    ann = servers.somebody("ann")
    await town.deliver({"id": f"{ann}/1", "type": "Like", "actor": ann, "object": f"{ann}/n"})
    host_id = int(await town.db.value("SELECT host_id FROM actors WHERE uri = ?", ann))

    async def takes_long(tx: Transaction) -> None:
        await go_on.wait()

    giving = asyncio.create_task(intake._release(lanes.Lane(host_id, 0, None)))
    await asyncio.sleep(0)
    writing = intake._batches.ask(takes_long)
    try:
        await asyncio.sleep(0.05)
        async with asyncio.timeout(20):
            await town.db.append_together((lanes.WAKE, ("inbox", host_id, now_ms())))
    finally:
        go_on.set()
        await asyncio.gather(giving, writing)
