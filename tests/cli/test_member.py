"""Accounts from the command line."""

from __future__ import annotations

import asyncio

import pytest

from fedcomm.cli.member import LOCALES, ROLES
from fedcomm.config import load
from fedcomm.hub import members
from fedcomm.store.schema import open_database
from tests.cli.conftest import PASSWORD, Hub, can_log_in

FACTS = {"id", "name", "display_name", "email", "role", "state", "locale", "created_at"}


def test_the_choices_are_those_of_the_hub() -> None:
    assert ROLES == members.ROLES
    assert LOCALES == members.LOCALES


def test_a_created_member_can_log_in_with_the_printed_password(hub: Hub) -> None:
    made = hub.json(
        *("member", "create", "bob", "--email", "Bob@Hub.example"),
        *("--display-name", "Bob B.", "--role", "moderator", "--locale", "it"),
    )
    assert set(made) == FACTS | {"password"}
    assert (made["name"], made["display_name"]) == ("bob", "Bob B.")
    assert (made["email"], made["role"], made["locale"]) == ("bob@hub.example", "moderator", "it")
    assert made["created_at"].endswith("Z")
    assert can_log_in(hub.config, "bob", made["password"])


def test_a_password_from_standard_input_is_used_and_not_shown(hub: Hub) -> None:
    made = hub.json("member", "create", "bob", "--password-stdin", stdin=f"{PASSWORD}\n")
    assert set(made) == FACTS
    assert can_log_in(hub.config, "bob", PASSWORD)
    assert not can_log_in(hub.config, "bob", PASSWORD + " ")


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("anna",), "taken"),
        (("Bob",), "lower-case"),
        (("admin",), "reserved"),
        (("bob", "--email", "anna@hub.example"), "another account"),
    ],
)
def test_a_member_that_cannot_be_is_refused(
    arguments: tuple[str, ...], reason: str, hub: Hub
) -> None:
    assert reason in hub.refusal("member", "create", *arguments)


def test_no_password_on_standard_input_is_refused(hub: Hub) -> None:
    assert "no password" in hub.refusal("member", "create", "bob", "--password-stdin", stdin="")
    assert "8 to 128" in hub.refusal("member", "create", "bob", "--password-stdin", stdin="x\n")


def test_an_unknown_role_is_wrong_usage(hub: Hub) -> None:
    assert hub.invoke("member", "create", "bob", "--role", "king").exit_code == 2


def test_all_members_are_listed_the_oldest_first(community: Hub) -> None:
    found = community.json("member", "list")
    assert [member["name"] for member in found] == ["anna", "bob"]
    assert all(set(member) == FACTS for member in found)
    lines = community.run("member", "list").splitlines()
    assert [line.split()[0] for line in lines] == ["NAME", "anna", "bob"]


def test_a_member_is_shown_with_groups_and_follows(community: Hub) -> None:
    community.run("follow", "anna", "--as", "bob")
    shown = community.json("member", "show", "@bob")
    assert shown["url"] == "https://hub.example/@bob"
    assert shown["groups"] == ["garden"]
    assert shown["following"] == ["anna"]
    assert "garden" in community.run("member", "show", "bob")


@pytest.mark.parametrize("command", ["show", "password", "suspend"])
def test_somebody_who_is_not_there_is_refused(command: str, hub: Hub) -> None:
    why = ("--reason", "Spam.") if command == "suspend" else ()
    assert "no member 'nobody'" in hub.refusal("member", command, "nobody", *why)


def test_inv_38_a_new_password_ends_sessions_and_tokens(hub: Hub) -> None:
    hub.run("member", "create", "bob", "--password-stdin", stdin=f"{PASSWORD}\n")
    hub.run("token", "create", "--member", "bob")
    assert can_log_in(hub.config, "bob", PASSWORD)
    made = hub.json("member", "password", "bob")
    assert can_log_in(hub.config, "bob", made["password"])
    assert not can_log_in(hub.config, "bob", PASSWORD)
    assert counts(hub) == (1, 0)
    assert hub.json("member", "password", "bob", "--stdin", stdin="another one\n") == {
        "name": "bob"
    }
    assert can_log_in(hub.config, "bob", "another one")


def test_inv_21_a_suspended_member_can_do_nothing_until_let_back_in(community: Hub) -> None:
    assert can_log_in(community.config, "bob", PASSWORD)
    assert community.json("member", "suspend", "bob", "--reason", "Spam.")["state"] == "suspended"
    assert counts(community) == (0, 0)
    assert not can_log_in(community.config, "bob", PASSWORD)
    posting = ("post", "garden", "--as", "bob", "--title", "T", "--text", "x")
    assert "suspended" in community.refusal(*posting)
    assert "suspended" in community.refusal("token", "create", "--member", "bob")
    assert community.json("member", "suspend", "bob", "--undo")["state"] == "active"
    community.run(*posting)


def test_the_only_administrator_cannot_be_suspended(hub: Hub) -> None:
    why = ("--reason", "A test.")
    assert "only administrator" in hub.refusal("member", "suspend", "anna", *why)
    hub.run("member", "create", "ada", "--role", "administrator")
    hub.run("member", "suspend", "anna", *why)


def test_nobody_is_suspended_without_a_reason(community: Hub) -> None:
    assert "reason" in community.refusal("member", "suspend", "bob")
    assert "reason" in community.refusal("member", "suspend", "bob", "--reason", " ")
    assert community.json("member", "show", "bob")["state"] == "active"


def counts(hub: Hub) -> tuple[int, int]:
    """(sessions, tokens) in the database."""

    async def count() -> tuple[int, int]:
        db = await open_database(load(hub.config, {}).database.url)
        try:
            sessions = await db.value("SELECT count(*) FROM sessions")
            return int(sessions), int(await db.value("SELECT count(*) FROM tokens"))
        finally:
            await db.close()

    return asyncio.run(count())
