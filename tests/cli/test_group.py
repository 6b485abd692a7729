"""Groups from the command line."""

from __future__ import annotations

import pytest

from fedcomm.cli.group import MODES
from fedcomm.config import load
from fedcomm.hub import groups
from tests.cli.conftest import Hub

FACTS = {
    *("id", "name", "title", "url", "handle", "mode", "approval", "language", "members"),
    "created_at",
}


def test_the_modes_are_those_of_the_hub() -> None:
    assert MODES == groups.MODES


def test_a_group_is_created_with_its_owner_in_it(hub: Hub) -> None:
    made = hub.json(
        *("group", "create", "orto", "--title", "L'orto", "--owner", "anna", "--approval"),
        *("--description", "Trenta *aiuole*.", "--mode", "local", "--language", "it"),
    )
    assert set(made) == FACTS
    assert (made["name"], made["title"], made["mode"]) == ("orto", "L'orto", "local")
    assert (made["approval"], made["language"], made["members"]) == (True, "it", 1)
    assert made["url"] == "https://hub.example/g/orto"
    assert made["handle"] == "orto@hub.example"
    shown = hub.json("group", "show", "orto")
    assert shown["moderators"] == ["anna"]
    assert shown["description"] == "Trenta *aiuole*."


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("anna", "--title", "T", "--owner", "anna"), "taken"),
        (("garden", "--title", " ", "--owner", "anna"), "needs a title"),
        (("garden", "--title", "T", "--owner", "nobody"), "no member"),
    ],
)
def test_a_group_that_cannot_be_is_refused(
    arguments: tuple[str, ...], reason: str, hub: Hub
) -> None:
    assert reason in hub.refusal("group", "create", *arguments)
    assert hub.json("group", "list") == []


def test_the_operator_sees_private_groups_too(community: Hub) -> None:
    found = community.json("group", "list")
    assert [(group["name"], group["mode"], group["members"]) for group in found] == [
        ("cellar", "private", 1),
        ("garden", "federated", 2),
    ]
    assert "The cellar" in community.run("group", "list")


def test_an_empty_list_is_a_sentence(hub: Hub) -> None:
    assert hub.run("group", "list") == "There are no groups yet.\n"


def test_a_member_is_added_with_a_role(community: Hub) -> None:
    community.run("group", "add", "cellar", "bob", "--role", "moderator")
    assert community.json("group", "show", "cellar")["moderators"] == ["anna", "bob"]
    assert "keeps this role" in community.refusal("group", "add", "cellar", "anna")


def test_a_request_is_shown_and_let_in(community: Hub) -> None:
    community.run(*("group", "create", "club", "--title", "Club", "--owner", "anna", "--approval"))
    assert community.json("follow", "club", "--as", "bob")["state"] == "requested"
    assert community.json("group", "show", "club")["requests"] == ["bob"]
    community.run("group", "add", "club", "bob")
    shown = community.json("group", "show", "club")
    assert (shown["requests"], shown["members"]) == ([], 2)


@pytest.mark.parametrize("arguments", [("show", "none"), ("add", "none", "anna")])
def test_a_group_that_is_not_there_is_refused(arguments: tuple[str, ...], hub: Hub) -> None:
    assert "no group 'none'" in hub.refusal("group", *arguments)


def test_somebody_is_banned_with_a_reason_and_comes_back(community: Hub) -> None:
    assert community.invoke("group", "ban", "garden", "bob").exit_code == 2, "without a reason"
    made = community.json(
        *("group", "ban", "garden", "bob", "--reason", "Spam.", "--days", "3", "--remove-posts")
    )
    assert made["days"] == 3 and made["statement"].isdigit()
    assert community.json("group", "show", "garden")["members"] == 1
    assert "banned" in community.refusal("group", "add", "garden", "bob")
    assert "may not write" in community.refusal(
        "post", "garden", "--as", "bob", "--title", "T", "--text", "t"
    )
    assert "not banned" in community.run("group", "unban", "garden", "bob")
    assert "is not banned" in community.refusal("group", "unban", "garden", "bob")
    community.run("group", "add", "garden", "bob")
    # The operator acts in the name of anna, who owns the group.
    refusal = community.refusal("group", "ban", "garden", "anna", "--reason", "x")
    assert "Nobody decides about themselves." in refusal


def test_somebody_is_removed(community: Hub) -> None:
    community.run("group", "remove", "garden", "@bob@hub.example")
    assert community.json("group", "show", "garden")["members"] == 1
    assert "is not in the group" in community.refusal("group", "remove", "garden", "bob")
    assert "nobody called" in community.refusal("group", "remove", "garden", "x@far.example")


def test_a_closed_group_is_gone_and_its_erasure_is_written_down_before_it_is_said(
    community: Hub,
) -> None:
    number = community.json("group", "show", "garden")["id"]
    assert "reason" in community.refusal("group", "close", "garden", "--reason", " ", "--yes")
    answer = community.json("group", "close", "garden", "--reason", "Done.", "--yes")
    assert answer["name"] == "garden" and answer["case"].isdigit()
    assert f'"{number}"' in load(community.config, {}).erasure.journal.read_text()
    assert [each["name"] for each in community.json("group", "list")] == ["cellar"]
