"""Who may federate, from the command line."""

from __future__ import annotations

from pathlib import Path

import pytest

from fedcomm.cli.policy import MODES
from fedcomm.cli.policy_printing import LEVELS
from fedcomm.hub import policies
from tests.cli.conftest import Hub


def test_levels_and_modes_are_those_of_the_hub() -> None:
    assert (LEVELS, MODES) == (policies.LEVELS, policies.MODES)


def test_a_level_is_previewed_set_listed_and_undone(hub: Hub) -> None:
    found = hub.json("policy", "preview", "Bad.Example", "--level", "suspend")
    assert (found["hosts_total"], found["memberships"]) == (0, 0)
    made = hub.json(
        *("policy", "set", "Bad.Example", "--level", "suspend", "--days", "7"),
        *("--public-comment", "Spam.", "--private-comment", "Ask Eva.", "--reason", "A wave."),
    )
    (entry,) = hub.json("policy", "list")["entries"]
    assert (entry["domain"], entry["level"]) == ("bad.example", "suspend")
    assert (entry["public_comment"], entry["private_comment"]) == ("Spam.", "Ask Eva.")
    assert entry["expires_at"]
    (change,) = hub.json("policy", "history")
    assert (change["id"], change["reason"], change["kind"]) == (made["change"], "A wave.", "set")
    assert hub.json("policy", "undo", "--reason", "Sorry.") == {
        "undone": made["change"],
        "left": [],
    }
    assert hub.json("policy", "list")["entries"] == []
    assert "no change to undo" in hub.refusal("policy", "undo", "--reason", "Again.")


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("set", "hub.example", "--level", "suspend", "--reason", "x"), "this hub itself"),
        (("set", "nonsense", "--level", "suspend", "--reason", "x"), "not the name of a server"),
        (("set", "bad.example", "--level", "suspend", "--reason", " "), "without a reason"),
        (("remove", "bad.example", "--reason", "x"), "no entry"),
        (("mode", "cautious"), "say why"),
        (("drafts", "12"), "no such list"),
        (("drafts", "12", "--apply"), "say why"),
        (("unsubscribe", "https://list.test/"), "no such subscription"),
    ],
)
def test_what_cannot_be_is_refused(arguments: tuple[str, ...], reason: str, hub: Hub) -> None:
    assert reason in hub.refusal("policy", *arguments)


def test_the_mode_is_shown_previewed_and_changed(hub: Hub) -> None:
    assert hub.run("policy", "mode") == "open\n"
    assert hub.json("policy", "mode", "allow-list", "--preview")["hosts_total"] == 0
    hub.run("policy", "mode", "allow-list", "--reason", "Among friends.")
    assert hub.json("policy", "mode") == {"mode": "allow-list"}
    assert "so already" in hub.run("policy", "mode", "allow-list", "--reason", "Again.")


def test_a_list_is_compared_first_and_applied_with_yes(hub: Hub, tmp_path: Path) -> None:
    file = tmp_path / "blocks.csv"
    file.write_text(
        "#domain,#severity,#reject_media,#reject_reports,#public_comment,#obfuscate\n"
        "bad.example,suspend,false,false,Spam,false\nex**ple.test,suspend,,,,true\n"
    )
    shown = hub.run("policy", "import", str(file), "--dry-run")
    assert "New: 1" in shown
    assert "line 3: 'ex**ple.test'" in shown
    assert "--yes" in hub.invoke("policy", "import", str(file)).stderr
    assert hub.json("policy", "list")["entries"] == []
    found = hub.json("policy", "import", str(file), "--yes")
    assert found["change"] and [each["line"] for each in found["refused"]] == [3]
    assert hub.json("policy", "drafts")["drafts"] == []
    exported = hub.run("policy", "export")
    assert exported.splitlines()[1] == "bad.example,suspend,false,false,Spam,false"
    assert hub.run("policy", "export", "--format", "lines") == "bad.example\n"
    assert hub.run("policy", "export", "--format", "allow-list") == "#domain\n"
    again = hub.json("policy", "import", "-", "--yes", stdin=exported)
    assert (again["same"], again["change"]) == (1, None)


def test_what_is_no_list_is_refused(hub: Hub, tmp_path: Path) -> None:
    file = tmp_path / "picture.png"
    file.write_bytes(b"\xff\xd8\xff")
    assert "not UTF-8" in hub.refusal("policy", "import", str(file), "--yes")
