"""The outbox reads the journal in order, and one entry that it cannot read does not stop it."""

from __future__ import annotations

import pytest

from fedcomm.federation import outbox
from fedcomm.hub import journal
from tests.federation.inprocess import LocalHub

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_inv_47_an_entry_that_breaks_the_outbox_is_set_aside_and_the_rest_goes_on(
    town: LocalHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox, "TRIES", 2)
    spoke = town.site.federation
    assert spoke is not None
    box = spoke._outbox

    async def broken(_tx: object, entry: journal.Entry) -> None:
        raise ValueError(f"cannot read entry {entry.seq}")

    monkeypatch.setitem(box._steps, "group_edited", broken)
    async with town.db.transaction() as tx:
        await journal.record(tx, "group_edited", actor_id=town.anna, group_id=town.group)
        poisoned = await journal.last_seq(tx)
    fan = town.stubs.somebody("fan")
    await town.deliver(
        {
            "@context": "https://www.w3.org/ns/activitystreams",
            "id": f"{fan}/follows/1",
            "type": "Follow",
            "actor": fan,
            "object": town.group_uri(town.group),
        }
    )
    await town.quiet()
    rows = await town.db.all("SELECT seq, event FROM outbox_failures")
    assert [(row["seq"], row["event"]) for row in rows] == [(poisoned, "group_edited")]
    host = town.stubs.hosts[fan.split("/")[2].partition(":")[0]]
    assert "Accept" in host.kinds()
    assert (await spoke.totals())["outbox_failed"] == 1
