"""Files that are never taken again, from the command line."""

from __future__ import annotations

from pathlib import Path

from PIL import Image

from tests.cli.conftest import Hub


def test_a_file_is_blocked_listed_and_taken_again(hub: Hub, tmp_path: Path) -> None:
    picture = tmp_path / "x.png"
    Image.linear_gradient("L").save(picture)
    hub.run("group", "create", "garden", "--title", "Garden", "--owner", "anna")
    post = ("post", "garden", "--as", "anna", "--text", "x", "--title", "x")
    hub.run(*post, "--file", str(picture), "--alt", "A gradient")
    (file,) = (path.name for path in hub.folder.glob("media/*.png"))
    assert hub.json("media", "blocked") == []
    assert hub.json("media", "block", f"/media/{file}", "--reason", "Rule 3")["blocked"]
    assert "already" in hub.run("media", "block", file)
    (listed,) = hub.json("media", "blocked")
    assert listed["reason"] == "Rule 3" and len(listed["sha256"]) == 64
    assert "removed from here" in hub.refusal(*post, "--file", str(picture), "--alt", "")
    assert listed["sha256"] in hub.run("media", "blocked")
    hub.run("media", "unblock", listed["sha256"])
    hub.run(*post, "--file", str(picture), "--alt", "")
    assert "no such file" in hub.refusal("media", "unblock", listed["sha256"])
    assert "no upload" in hub.refusal("media", "block", "nothing.png")
