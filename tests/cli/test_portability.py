"""`fedcomm export`, `fedcomm import` and `fedcomm checksum`."""

from __future__ import annotations

import json
import shutil
import zipfile
from pathlib import Path

import pytest

from tests.cli.conftest import Hub


def test_a_hub_leaves_with_its_key_and_arrives_elsewhere_with_equal_checksums(
    hub: Hub, tmp_path: Path
) -> None:
    hub.run("group", "create", "garden", "--title", "Garden", "--owner", "anna")
    hub.run("post", "garden", "--as", "anna", "--title", "Bees", "--text", "Flowers.")
    before = hub.json("checksum")
    file = tmp_path / "site.tar"
    made = hub.json("export", "site", str(file), "--format", "csv", "--with-key")
    assert made["root"] == before["root"]
    assert made["with_key"] is True
    assert file.stat().st_mode & 0o077 == 0
    assert "exists already" in hub.refusal("export", "site", str(file))

    there = Hub(tmp_path / "there")
    there.folder.mkdir()
    shutil.copy(hub.config, there.config)
    text = there.config.read_text().replace(str(hub.folder), str(there.folder))
    there.config.write_text(text)
    there.run("migrate")
    assert there.json("import", "site", str(file))["root"] == before["root"]
    assert there.json("checksum")["root"] == before["root"]
    assert "not empty" in there.refusal("import", "site", str(file))
    assert there.json("member", "list") == hub.json("member", "list")


@pytest.mark.parametrize("form", ["json", "csv", "xml"])
def test_a_member_and_a_group_leave_as_a_zip(hub: Hub, tmp_path: Path, form: str) -> None:
    hub.run("group", "create", "garden", "--title", "Garden", "--owner", "anna")
    hub.run("post", "garden", "--as", "anna", "--title", "Bees", "--text", "Flowers.")
    for kind, name in (("member", "anna"), ("group", "garden")):
        file = tmp_path / f"{kind}.zip"
        made = hub.json("export", kind, name, str(file), "--format", form)
        assert made["bytes"] == file.stat().st_size
        assert file.stat().st_mode & 0o077 == 0
        with zipfile.ZipFile(file) as archive:
            outbox = json.loads(archive.read("outbox.json"))
            assert outbox["orderedItems"][0]["object"]["name"] == "Bees"
        assert "exists already" in hub.refusal("export", kind, name, str(file))
    assert "no member" in hub.refusal("export", "member", "nobody", str(tmp_path / "x"))
    assert not (tmp_path / "x").exists()


def test_a_broken_export_is_refused_and_changes_nothing(hub: Hub, tmp_path: Path) -> None:
    file = tmp_path / "site.tar"
    file.write_bytes(b"no export")
    assert "cannot be used" in hub.refusal("import", "site", str(file))
    assert "no file" in hub.refusal("import", "site", str(tmp_path / "nothing"))


def test_the_description_of_a_format_is_printed(hub: Hub) -> None:
    assert "objects" in hub.run("export", "schema", "--format", "xml")
