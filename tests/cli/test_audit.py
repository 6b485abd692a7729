"""The audit log, read from the command line."""

from __future__ import annotations

from tests.cli.conftest import Hub


def test_the_log_says_who_decided_what_about_whom(hub: Hub) -> None:
    assert hub.run("audit").strip() == "There is nothing yet."
    hub.run("member", "create", "bob", "--password-stdin", stdin="a-long-password\n")
    hub.run("group", "create", "garden", "--title", "Garden", "--owner", "anna")
    hub.run("group", "add", "garden", "bob", "--role", "moderator")
    hub.run("member", "suspend", "bob", "--reason", "They asked for it.")
    hub.run("erasure", "hold", "!garden", "--reason", "A court asked.")
    lines = hub.json("audit")
    assert [(line["by"], line["event"], line["subject"]) for line in lines] == [
        ("command line", "hold_placed", "!garden"),
        ("command line", "decided_suspend", "bob"),
        ("anna", "moderator_added", "bob"),
    ]
    assert lines[1]["detail"]["as"] == "hub"
    titles, line = hub.run("audit", "--event", "hold_placed").splitlines()
    assert titles.split() == ["WHEN", "WHO", "EVENT", "ABOUT", "DETAIL"]
    assert "hold_placed" in line and '"kind": "group"' in line
    assert len(hub.json("audit", "--limit", "1")) == 1
