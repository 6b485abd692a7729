"""How much one activity asks the database for: what is read twice, or for nobody, costs a server that is busy."""

from __future__ import annotations

import asyncio
from contextvars import ContextVar
from typing import Any

import pytest

from fedcomm.federation.intake import Intake
from fedcomm.federation.pressure import Pressure
from fedcomm.store import postgresql
from fedcomm.store.measured import _Measured
from tests.federation.inprocess import LocalHub, ScriptedStubs
from tests.federation.stub import PUBLIC

pytestmark = pytest.mark.asyncio(loop_scope="module")

MOST = 11
"""Statements in the transaction of a reply to a topic of ours by somebody known: reads. Everything that it writes is
written together with what others write, at its end."""


async def test_a_reply_by_somebody_known_takes_few_statements(
    town: LocalHub, servers: ScriptedStubs, monkeypatch: pytest.MonkeyPatch
) -> None:
    bob = servers.somebody("bob")
    for number in range(2):
        seen = await statements_of(town, reply(town, bob, f"{bob}/notes/{number}"), monkeypatch)
    assert 5 < len(seen) <= MOST, "\n".join(seen)
    assert all(sql.startswith("SELECT") for sql in seen), "\n".join(seen)


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


PEOPLE = 24


@pytest.mark.parametrize("form", ["plain", "as Mastodon", "likes"])
async def test_what_one_server_sends_at_once_shares_its_trips(
    town: LocalHub, servers: ScriptedStubs, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    """To PostgreSQL every statement is a trip: many answers, or likes, of one server make a few together."""
    if not town.db.trips:
        pytest.skip("no statement is a trip")
    host = servers.new_host()
    people = [servers.somebody(f"{form[-1]}{number}", host) for number in range(PEOPLE)]
    wave = [said(town, who, f"{who}/notes/wave", form) for who in people]
    # Who they are is known, as it is of most who write.
    before = await town.write_topic(town.group, "Before")
    for who in people:
        await town.deliver(like(town, who, f"{who}/first", before))
    trips: list[str] = []
    direct, combined = postgresql.numbered, postgresql._Combined.fetch

    def numbered(sql: str) -> str:
        if "inbox WHERE uri" not in sql:  # This test waits.
            trips.append(sql)
        return direct(sql)

    async def together(self: Any, connection: Any, sql: str, asked: Any) -> Any:
        trips.append(f"{len(asked)} × {sql}")
        return await combined(self, connection, sql, asked)

    with monkeypatch.context() as busy:
        busy.setattr(Pressure, "hands", lambda self, hands: 0)
        for act in wave:
            assert await town.post(act) == 202
        await asyncio.sleep(0.2)
        busy.setattr(postgresql, "numbered", numbered)
        busy.setattr(postgresql._Combined, "fetch", together)
        busy.setattr(Pressure, "hands", lambda self, hands: hands)
        assert {await town.verdict(act) for act in wave} == {
            "done: like" if form == "likes" else "done: stored"
        }
    # With the rows of the inbox the batch ends; what follows is the telling.
    made = max(n for n, sql in enumerate(trips, 1) if sql.startswith("UPDATE inbox SET state"))
    # A like is written alone: whether it is the first one must be known.
    alone = PEOPLE if form == "likes" else 0
    assert made - alone < 3 * PEOPLE, "\n".join(one[:150] for one in trips)


def said(town: LocalHub, who: str, uri: str, form: str) -> dict[str, Any]:
    if form == "likes":
        return like(town, who, uri, town.topic)
    if form == "plain":
        return reply(town, who, uri)
    mention = {"type": "Mention", "href": town.person(town.anna), "name": "@anna"}
    replies = {"id": f"{uri}/replies", "type": "Collection"}
    return reply(town, who, uri, tag=[mention], replies=replies)


def like(town: LocalHub, who: str, uri: str, thing: int) -> dict[str, Any]:
    return {"id": f"{uri}/like", "type": "Like", "actor": who, "object": town.object_uri(thing)}
