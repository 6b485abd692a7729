"""Following from the command line, and looking people up; elsewhere is a second hub on the loopback
(tests/cli/test_demo.py)."""

from __future__ import annotations

import pytest

from tests.cli.conftest import Hub


def test_a_group_of_the_hub_is_joined_and_left(community: Hub) -> None:
    community.run("member", "create", "carl")
    for name in (
        "garden",
        "garden@hub.example",
        "!garden@hub.example",
        "https://hub.example/g/garden",
    ):
        followed = community.json("follow", name, "--as", "carl")
        assert (followed["state"], followed["kind"]) == ("active", "group")
        assert followed["handle"] == "garden@hub.example"
        assert followed["uri"] == f"https://hub.example/ap/g/{followed['id']}"
        assert community.json("member", "show", "carl")["groups"] == ["garden"]
        assert community.json("unfollow", name, "--as", "carl")["state"] == "none"
        assert community.json("member", "show", "carl")["groups"] == []


def test_a_member_of_the_hub_is_followed(community: Hub) -> None:
    assert community.run("follow", "@anna", "--as", "bob") == "bob follows anna@hub.example.\n"
    assert community.json("member", "show", "anna")["followers"] == 1
    community.run("unfollow", "https://hub.example/@anna", "--as", "bob")
    assert community.json("member", "show", "anna")["followers"] == 0


def test_a_request_that_nobody_answers_is_told_after_waiting(community: Hub) -> None:
    community.run("group", "create", "club", "--title", "Club", "--owner", "anna", "--approval")
    result = community.invoke("follow", "club", "--as", "bob", "--wait", "0.3")
    assert result.exit_code == 1
    assert "asked to follow" in result.stdout
    assert "has not accepted within 0.3 s" in result.stderr


@pytest.mark.parametrize(
    ("target", "reason"),
    [
        ("nobody", "nobody was found"),
        ("cellar", "no such group"),
        ("bob", "follow themselves"),
        ("https://hub.example/@nobody", "nobody was found"),
    ],
)
def test_whom_nobody_can_follow(target: str, reason: str, community: Hub) -> None:
    assert reason in community.refusal("follow", target, "--as", "bob")


@pytest.mark.parametrize(
    "target", ["kim@127.0.0.1", "https://127.0.0.1:9/@kim", "kim@nowhere.invalid"]
)
def test_inv_22_private_and_unknown_addresses_are_not_looked_up(target: str, hub: Hub) -> None:
    assert "nobody was found" in hub.refusal("actor", "fetch", target)


def test_somebody_here_is_shown(hub: Hub) -> None:
    shown = hub.json("actor", "fetch", "anna")
    assert set(shown) == {"id", "kind", "handle", "display_name", "url", "uri", "inbox"}
    assert (shown["kind"], shown["url"]) == ("person", "https://hub.example/@anna")


def test_without_federation_nobody_elsewhere_is_looked_up(hub: Hub) -> None:
    with hub.config.open("a") as file:
        file.write("\n[federation]\nenabled = false\n")
    assert "switched off" in hub.refusal("actor", "fetch", "kim@elsewhere.example")
    assert "switched off" in hub.refusal("queue", "status")
    reply = ("reply", "https://elsewhere.example/1", "--as", "anna", "--text", "x")
    assert "switched off" in hub.refusal(*reply)
