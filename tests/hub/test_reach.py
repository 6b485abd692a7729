"""The ledger of reach is read by its keys, however large it is; so are consents, holds and requests for access."""

from __future__ import annotations

from typing import Any

from fedcomm.hub import access_requests, consents, erasure, holds, reach, receipts
from fedcomm.hub.consents import FREE
from tests.hub.test_query_plans import WALKS, Recorder, Statement, plan_of, tables_of
from tests.hub.world import World

FEW = frozenset({"access_requests", "erasures", "hosts", "holds"})
"""Tables of which a hub has hundreds of rows."""


async def spread(world: World, subject: int, *names: str, status: int | None = None) -> None:
    """These servers got the object or actor, and answered so when they were asked for it."""
    for name in names:
        await world.remote("somebody", name)
        await world.run(
            "INSERT INTO reach (subject_id, host_id, how, first_at, last_at, recalled_at,"
            " recall_status) VALUES (?, ?, 1, 5, 6, ?, ?)",
            subject,
            await world.host_id(name),
            7 if status is not None else None,
            status,
        )


async def test_a_summary_counts_copies_by_server_and_says_what_they_answered(world: World) -> None:
    anna = await world.member("anna")
    group = await world.group("garden", anna)
    first, second = await world.topic(anna, group), await world.topic(anna, group)
    await spread(world, first, "a.test", "b.test")
    await spread(world, second, "a.test", status=202)
    await spread(world, anna, "c.test", status=503)
    found = {one.host: one for one in await reach.holders_of(world.db, anna)}
    assert {name: one.copies for name, one in found.items()} == {
        "a.test": 2,
        "b.test": 1,
        "c.test": 1,
    }
    assert await reach.count_holders(world.db, anna) == 3
    assert len(await reach.holders_of(world.db, anna, limit=2)) == 2
    assert (found["a.test"].asked, found["a.test"].acknowledged) == (1, 1)
    assert (found["c.test"].asked, found["c.test"].acknowledged) == (1, 0)
    [copy] = await reach.copies_of(world.db, second)
    assert (copy.answer, copy.delivered, copy.fetched) == ("acknowledged", True, False)
    assert [piece.servers for piece in await reach.pieces_of(world.db, anna)] == [1, 2]
    ledger = [
        (piece.id if piece else None, one.host)
        async for piece, one in reach.whole_ledger(world.db, anna)
    ]
    assert ledger == [(None, "c.test"), (second, "a.test"), (first, "a.test"), (first, "b.test")]
    got = await reach.held_by(world.db, await world.host_id("a.test"))
    assert [(one.subject_id, one.author) for one in got] == [(second, "anna"), (first, "anna")]


async def test_no_statement_walks_through_a_table_that_grows(world: World) -> None:
    anna = await world.member("anna", role="administrator")
    berta = await world.member("berta")
    group = await world.group("garden", anna)
    topic = await world.topic(anna, group)
    await spread(world, topic, "a.test")
    seen: dict[str, Statement] = {}
    db: Any = Recorder(world.db, seen)
    await reach.holders_of(db, anna)
    await reach.count_holders(db, anna)
    await reach.copies_of(db, topic)
    await reach.pieces_of(db, anna)
    await reach.held_by(db, await world.host_id("a.test"))
    await FREE.allows(db, anna, "activitypub")
    await FREE.leaves(db, [topic], "activitypub")
    async with db.transaction() as tx:
        await FREE.decide(tx, anna, "activitypub", granted=False)
        await holds.place(tx, "object", topic, reason="A court asks.", by=anna)
        await access_requests.ask(tx, "member", anna, requested_by=anna)
        case_id = await erasure.request(tx, "member", berta, requested_by=berta, own=True)
    await consents.withdrawing(db)
    await consents.withdraw_step(db, anna, "activitypub", 1)
    await holds.covers(db, topic, anna, group, None)
    await holds.kept(db)
    await access_requests.of_subject(db, anna)
    await access_requests.take(db)
    case = await erasure.case(db, case_id)
    assert case is not None
    await receipts.tally(db, case)
    await erasure.is_keeping(db, case)
    walked = []
    for statement in seen.values():
        tables = tables_of(statement.sql)
        for line in await plan_of(world.db, statement):
            match = WALKS[world.db.dialect].search(line)
            table = tables.get(match.group(1)) if match else None
            if table is not None and table not in FEW and "consents_at_work" not in line:
                walked.append(f"{line}: {statement.sql}")
    assert len(seen) > 20 and not walked, "\n\n".join(walked)
