"""Where words went, legal holds and requests for access, from the command line."""

from __future__ import annotations

import zipfile
from pathlib import Path

from tests.cli.conftest import Hub


def test_words_that_went_nowhere_are_listed_as_such(community: Hub, topic: dict[str, str]) -> None:
    hub, number = community, topic["id"]
    assert hub.json("reach", "member", "bob") == []
    assert hub.json("reach", "member", "bob", "--every-copy") == []
    assert hub.json("reach", "object", number) == []
    assert hub.refusal("reach", "host", "nowhere.example")
    assert hub.refusal("reach", "member", "!garden")


def test_a_hold_keeps_an_account_from_being_erased_until_it_ends(community: Hub) -> None:
    hub = community
    held = hub.json("erasure", "hold", "bob", "--reason", "A court asks.")
    assert [each["hold"] for each in hub.json("erasure", "holds")] == [held["hold"]]
    assert "legal hold" in hub.refusal(
        "erasure", "request", "bob", "--reason", "By letter.", "--yes"
    )
    hub.json("erasure", "release", held["hold"], "--reason", "Closed.")
    assert hub.json("erasure", "holds") == []
    assert len(hub.json("erasure", "holds", "--all")) == 1
    assert hub.refusal("erasure", "release", held["hold"], "--reason", "Again.")
    assert hub.json("erasure", "request", "bob", "--reason", "By letter.", "--yes")["case"]


def test_everything_about_somebody_is_written_to_one_file(
    community: Hub, topic: dict[str, str], tmp_path: Path
) -> None:
    hub = community
    target = tmp_path / "bob.zip"
    made = hub.json("access", "request", "bob", str(target))
    assert made["bytes"] == target.stat().st_size and target.stat().st_mode & 0o077 == 0
    with zipfile.ZipFile(target) as archive:
        assert "They *grow*." in archive.read("index.html").decode()
    [asked] = hub.json("access", "list")
    assert asked["state"] == "ready" and asked["due_at"] > asked["asked_at"]
    assert "exists already" in hub.refusal("access", "request", "bob", str(target))
