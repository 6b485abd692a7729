"""How much one activity asks the database for: what is read twice, or for nobody, costs a server that is busy."""

from __future__ import annotations

from contextvars import ContextVar
from typing import Any

import pytest

from fedcomm.federation.intake import Intake
from fedcomm.store.measured import _Measured
from tests.federation.inprocess import LocalHub, ScriptedStubs
from tests.federation.stub import PUBLIC

pytestmark = pytest.mark.asyncio(loop_scope="module")

MOST = 13
"""Statements in the transaction of a reply to a topic of ours by somebody known, without those that are made together
with others' at its end."""


async def test_a_reply_by_somebody_known_takes_few_statements(
    town: LocalHub, servers: ScriptedStubs, monkeypatch: pytest.MonkeyPatch
) -> None:
    bob = servers.somebody("bob")
    for number in range(2):
        seen = await statements_of(town, reply(town, bob, f"{bob}/notes/{number}"), monkeypatch)
    assert 5 < len(seen) <= MOST, "\n".join(seen)
    reads = [sql for sql in seen if sql.startswith("SELECT")]
    assert len(reads) <= 10, "\n".join(reads)


async def test_whether_those_whom_it_mentions_were_erased_is_asked_once(
    town: LocalHub, servers: ScriptedStubs, monkeypatch: pytest.MonkeyPatch
) -> None:
    bob = servers.somebody("bob")
    mentions = [
        {"type": "Mention", "href": f"{town.origin}/@anna", "name": "@anna"},
        {"type": "Mention", "href": f"{town.origin}/@ben", "name": "@ben"},
        {"type": "Mention", "href": "https://else.example/users/zoe", "name": "@zoe@else.example"},
    ]
    activity = reply(town, bob, f"{bob}/notes/mentions", tag=mentions)
    seen = await statements_of(town, activity, monkeypatch)
    assert sum("FROM erased" in sql for sql in seen) == 1, "\n".join(seen)


def reply(town: LocalHub, author: str, uri: str, **more: Any) -> dict[str, Any]:
    return {
        "id": f"{uri}/create",
        "type": "Create",
        "actor": author,
        "to": [PUBLIC],
        "object": {
            "id": uri,
            "type": "Note",
            "attributedTo": author,
            "to": [PUBLIC],
            "cc": [f"{author}/followers"],
            "inReplyTo": town.object_uri(town.topic),
            "content": "<p>Add compost, then wait.</p>",
        }
        | more,
    }


async def statements_of(
    town: LocalHub, activity: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> list[str]:
    """What runs in the transaction of the activity."""
    inside: ContextVar[bool] = ContextVar("inside", default=False)
    seen: list[str] = []
    make, note = Intake._make, _Measured._note

    async def watched(self: Intake, *args: Any) -> bool:
        token = inside.set(True)
        try:
            return await make(self, *args)
        finally:
            inside.reset(token)

    def noted(self: _Measured, kind: str, sql: str, started: float) -> None:
        if inside.get():
            seen.append(sql)
        note(self, kind, sql, started)

    with monkeypatch.context() as patched:
        patched.setattr(Intake, "_make", watched)
        patched.setattr(_Measured, "_note", noted)
        assert await town.deliver(activity) == "done: stored"
    return seen
