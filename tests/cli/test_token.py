"""Tokens from the command line."""

from __future__ import annotations

import asyncio

from fedcomm.config import load
from fedcomm.hub.sessions import SCOPES, Bearer, bearer
from fedcomm.store.schema import open_database
from tests.cli.conftest import Hub


def bearer_of(hub: Hub, token: str) -> Bearer | None:
    async def read() -> Bearer | None:
        db = await open_database(load(hub.config, {}).database.url)
        try:
            return await bearer(db, token)
        finally:
            await db.close()

    return asyncio.run(read())


def test_a_token_may_read_and_write_unless_said_otherwise(hub: Hub) -> None:
    token = hub.run("token", "create", "--member", "anna").strip()
    found = bearer_of(hub, token)
    assert found is not None
    assert (found.member.name, found.scopes) == ("anna", frozenset(SCOPES))


def test_a_token_has_only_the_scopes_that_it_was_given(hub: Hub) -> None:
    made = hub.json("token", "create", "--member", "anna", "--scope", "read", "--name", "reader")
    assert made["member"] == "anna"
    assert (made["scopes"], made["name"]) == (["read"], "reader")
    found = bearer_of(hub, made["token"])
    assert found is not None
    assert found.scopes == {"read"}


def test_a_token_can_be_given(hub: Hub) -> None:
    value = "0123456789abcdef"
    assert hub.run("token", "create", "--member", "anna", "--token", value) == f"{value}\n"
    assert bearer_of(hub, value) is not None
    assert "16 characters" in hub.refusal("token", "create", "--member", "anna", "--token", "short")


def test_inv_40_the_token_itself_is_not_in_the_database(hub: Hub) -> None:
    token = hub.run("token", "create", "--member", "anna").strip().encode()
    for path in hub.folder.glob("fedcomm.db*"):
        assert token not in path.read_bytes()


def test_a_token_for_nobody_is_refused(hub: Hub) -> None:
    assert "no member" in hub.refusal("token", "create", "--member", "nobody")
    assert hub.invoke("token", "create", "--member", "anna", "--scope", "all").exit_code == 2
