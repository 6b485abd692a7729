"""Accounts elsewhere that are deleted: all that they said goes, however much it is, and nobody waits for it."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from fedcomm.federation import hearsay
from fedcomm.hub import actors, holds, threads
from tests.federation.acts import activity, create, stored
from tests.federation.inprocess import LocalHub, ScriptedStubs

pytestmark = pytest.mark.asyncio(loop_scope="module")

_numbers = itertools.count(1)


async def said(town: LocalHub, servers: ScriptedStubs, author: str, many: int) -> list[int]:
    """So many answers of theirs; the ids here."""
    found: list[int] = []
    for number in range(many):
        note = servers.note(
            author,
            number=f"d{next(_numbers)}",
            content=f"<p>Thought {number} of {author}</p>",
            inReplyTo=town.object_uri(town.topic),
        )
        assert await town.deliver(create(note)) == "done: stored"
        known = await stored(town, note["id"])
        assert known is not None
        found.append(known.id)
    return found


@pytest.mark.parametrize("many", [1, 3, 4, 6])
async def test_inv_26_what_a_deleted_account_has_said_goes_a_few_at_a_time(
    town: LocalHub, servers: ScriptedStubs, monkeypatch: pytest.MonkeyPatch, many: int
) -> None:
    monkeypatch.setattr(hearsay, "GONE_STEP", 3)
    sizes: list[int] = []
    really = threads.delete_some_of

    async def delete_some_of(*args: Any, **more: Any) -> list[int]:
        gone = await really(*args, **more)
        sizes.append(len(gone))
        return gone

    monkeypatch.setattr(threads, "delete_some_of", delete_some_of)
    author = servers.somebody("leaver", indexable=True)
    theirs = await said(town, servers, author, many)
    verdict = await town.deliver(activity(author, "Delete", author))
    assert verdict == f"done: actor deleted with {many} objects"
    assert sum(sizes) == many and max(sizes) <= 3
    for number in theirs:
        gone = await threads.thing(town.db, number)
        assert gone is not None and gone.deleted_at is not None and gone.html == ""
    person = await actors.actor_by_uri(town.db, author)
    assert person is not None and person.deleted_at is not None


async def test_what_a_legal_hold_keeps_of_a_deleted_account_stays_and_holds_up_nothing(
    town: LocalHub, servers: ScriptedStubs
) -> None:
    author = servers.somebody("witness", indexable=True)
    kept, free = await said(town, servers, author, 2)
    async with town.db.transaction() as tx:
        await holds.place(tx, "object", kept, reason="A court asks.", by=None)
    verdict = await town.deliver(activity(author, "Delete", author))
    assert verdict == "done: actor deleted with 2 objects"
    held, gone = [await threads.thing(town.db, number) for number in (kept, free)]
    assert held is not None and held.withheld == "kept" and "Thought" in held.html
    assert gone is not None and gone.deleted_at is not None
