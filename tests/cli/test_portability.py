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


def test_a_member_moves_from_one_hub_to_another_with_what_they_wrote(
    hub: Hub, tmp_path: Path
) -> None:
    hub.run("group", "create", "garden", "--title", "Garden", "--owner", "anna")
    hub.run("post", "garden", "--as", "anna", "--title", "Bees", "--text", "They *fly*.")
    file = tmp_path / "anna.zip"
    hub.run("export", "member", "anna", str(file))

    taken = hub.refusal("import", "member", str(file))
    assert "name" in taken
    came = hub.json("import", "member", str(file), "--name", "anna2", "--email", "a2@hub.example")
    assert (came["state"], came["posts"], came["left_out"]) == ("done", 1, 0)
    assert came["source"].startswith("https://hub.example/ap/p/")
    assert came["wishes"] == {"follows": 1}
    second = tmp_path / "anna2.zip"
    hub.run("export", "member", "anna2", str(second))
    with zipfile.ZipFile(second) as archive:
        (item,) = json.loads(archive.read("outbox.json"))["orderedItems"]
        actor = json.loads(archive.read("actor.json"))
    assert item["object"]["name"] == "Bees"
    assert "<em>fly</em>" in item["object"]["content"]
    assert actor["alsoKnownAs"] == [came["source"]]

    assert "not empty" in hub.refusal("import", "member", str(file), "--into", "anna2")


def test_a_changed_parcel_is_refused_and_makes_no_account(hub: Hub, tmp_path: Path) -> None:
    file = tmp_path / "anna.zip"
    hub.run("export", "member", "anna", str(file))
    changed = tmp_path / "changed.zip"
    with zipfile.ZipFile(file) as source, zipfile.ZipFile(changed, "w") as target:
        for name in source.namelist():
            data = source.read(name)
            target.writestr(name, data.replace(b"anna", b"bert") if name == "actor.json" else data)
    assert "changed" in hub.refusal("import", "member", str(changed), "--name", "bert")
    cut = tmp_path / "cut.zip"
    cut.write_bytes(file.read_bytes()[:-100])
    assert "damaged" in hub.refusal("import", "member", str(cut), "--name", "bert")
    assert [one["name"] for one in hub.json("member", "list")] == ["anna"]
