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

MOST = 20
"""Statements in the transaction of a reply to a topic of ours by somebody known, its savepoint left out."""


async def test_a_reply_by_somebody_known_takes_few_statements(
    town: LocalHub, servers: ScriptedStubs, monkeypatch: pytest.MonkeyPatch
) -> None:
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

    monkeypatch.setattr(Intake, "_make", watched)
    monkeypatch.setattr(_Measured, "_note", noted)
    bob = servers.somebody("bob")
    for number in range(2):
        seen.clear()
        uri = f"{bob}/notes/{number}"
        note_of_theirs = {
            "id": uri,
            "type": "Note",
            "attributedTo": bob,
            "to": [PUBLIC],
            "cc": [f"{bob}/followers"],
            "inReplyTo": town.object_uri(town.topic),
            "content": "<p>Add compost, then wait.</p>",
        }
        create = {"id": f"{uri}/create", "type": "Create", "actor": bob, "to": [PUBLIC]}
        assert await town.deliver({**create, "object": note_of_theirs}) == "done: stored"
    assert 5 < len(seen) <= MOST, "\n".join(seen)
    reads = [sql for sql in seen if sql.startswith("SELECT")]
    assert len(reads) < 14, "\n".join(reads)
