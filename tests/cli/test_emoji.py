"""Custom emoji from the command line."""

from __future__ import annotations

from pathlib import Path

from PIL import Image

from tests.cli.conftest import Hub


def test_emoji_are_added_listed_disabled_and_removed(hub: Hub, tmp_path: Path) -> None:
    file = tmp_path / "leaf.png"
    Image.new("RGBA", (32, 32), "teal").save(file)
    assert hub.json("emoji", "list") == []
    made = hub.json("emoji", "add", "leaf", str(file), "--category", "Plants")
    assert (made["shortcode"], made["category"], made["state"]) == ("leaf", "Plants", "shown")
    assert (hub.folder / "media" / made["file"]).is_file()
    assert "already" in hub.refusal("emoji", "add", "leaf", str(file))
    assert hub.json("emoji", "disable", ":leaf:")["state"] == "disabled"
    assert ":leaf:" in hub.run("emoji", "list")
    assert "shown" in hub.run("emoji", "enable", "leaf")
    assert hub.json("emoji", "remove", "leaf") == {"removed": "leaf", "host": None}
    assert "no emoji" in hub.refusal("emoji", "remove", "leaf")
    assert not (hub.folder / "media" / made["file"]).exists()


def test_what_is_no_small_picture_is_refused(hub: Hub, tmp_path: Path) -> None:
    file = tmp_path / "leaf.svg"
    file.write_bytes(b"<svg/>")
    assert "not a JPEG" in hub.refusal("emoji", "add", "leaf", str(file))
    file.write_bytes(b"x" * (256 * 1024 + 1))
    assert "larger than 256 KiB" in hub.refusal("emoji", "add", "leaf", str(file))
    assert hub.json("emoji", "list", "--foreign") == []
    assert "of far.test" in hub.refusal("emoji", "disable", "leaf", "--host", "far.test")
