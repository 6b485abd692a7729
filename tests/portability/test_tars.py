"""Archives that end with their manifest: whole or refused, and nothing in them reaches beyond the folder."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedcomm.portability import tars


class Broken(Exception):
    """What is raised here."""


LAYOUT = tars.Layout("box", "about.json", frozenset({"key"}), ("media/",), Broken)

NAMES = (
    *("../evil", "/etc/evil", "media/../../evil", "media//etc/evil", "media/./evil", "./key"),
    *("media", "media/", "", ".", "strange", "mediaX/evil", "media/..", "key/"),
)


def made(path: Path, files: dict[str, bytes]) -> Path:
    with path.open("wb") as file:
        writer = tars.Writer(file, LAYOUT, {"kind": "box"})
        for name, data in files.items():
            writer.add(name, io.BytesIO(data))
        writer.close(root="00")
    return path


def test_what_was_put_in_comes_out(tmp_path: Path) -> None:
    path = made(tmp_path / "box", {"key": b"secret", "media/a/b.png": b"x" * 3_000_000})
    told: list[tuple[str, int]] = []
    found = tars.unpack(path, tmp_path / "out", LAYOUT, told=lambda *what: told.append(what))
    assert found.about == {"kind": "box"}
    assert found.manifest["root"] == "00"
    assert (tmp_path / "out/key").read_bytes() == b"secret"
    assert (tmp_path / "out/media/a/b.png").read_bytes() == b"x" * 3_000_000
    assert (tmp_path / "out/key").stat().st_mode & 0o077 == 0
    assert sum(count for name, count in told if name == "media/a/b.png") == 3_000_000
    assert tars.read(path, LAYOUT) == found


@pytest.mark.parametrize("name", NAMES)
def test_a_name_has_no_place_unless_it_means_one_path_below(name: str, tmp_path: Path) -> None:
    assert not LAYOUT.has_place_for(name)
    path = tmp_path / "box"
    with path.open("wb") as file:
        writer = tars.Writer(file, LAYOUT, {})
        writer.add(name, io.BytesIO(b"evil"))
        writer.close()
    with pytest.raises(Broken):
        tars.unpack(path, tmp_path / "out", LAYOUT)


@given(st.text(st.sampled_from("a./\\ media\n"), max_size=12))
def test_whatever_has_a_place_stays_below_the_folder(rest: str) -> None:
    name = f"media/{rest}"
    if LAYOUT.has_place_for(name):
        # As a restore does it: what stands behind the folder's name is put into another folder.
        below = Path("/elsewhere") / name.removeprefix("media/")
        assert below.is_relative_to("/elsewhere")
        assert ".." not in below.parts


@pytest.mark.parametrize(
    "kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE, tarfile.FIFOTYPE]
)
def test_only_files_have_a_place(kind: bytes, tmp_path: Path) -> None:
    path = tmp_path / "box"
    with tarfile.open(path, "w") as archive:
        info = tarfile.TarInfo("media/link")
        info.type, info.linkname = kind, "/etc/passwd"
        archive.addfile(info)
    with pytest.raises(Broken, match="place"):
        tars.read(path, LAYOUT)


def test_what_is_cut_changed_doubled_or_longer_is_refused(tmp_path: Path) -> None:
    path = made(tmp_path / "box", {"key": b"secret", "media/a": b"words"})
    data = path.read_bytes()
    with tarfile.open(path) as archive:
        parts = [(info, archive.extractfile(info)) for info in archive]
        pieces = [(info, part.read()) for info, part in parts if part is not None]
    bad = tmp_path / "bad"

    def refused(content: bytes) -> None:
        bad.write_bytes(content)
        for attempt in (
            lambda: tars.read(bad, LAYOUT),
            lambda: tars.unpack(bad, tmp_path / "out", LAYOUT),
        ):
            with pytest.raises(Broken, match="bad cannot be"):
                attempt()

    def packed(*members: tuple[tarfile.TarInfo, bytes]) -> bytes:
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode="w") as archive:
            for info, content in members:
                archive.addfile(info, io.BytesIO(content))
        return out.getvalue()

    refused(data.replace(b"words", b"wordz"))
    refused(data[:900])
    refused(b"")
    refused(b"no archive" * 100)
    refused(packed(*pieces[:-1]))  # no manifest
    refused(packed(*pieces[:1], *pieces[2:]))  # a file is missing
    refused(packed(*pieces[:2], *pieces[1:]))  # one stands in it twice
    refused(packed(*pieces, pieces[1]))  # something stands behind
    refused(packed(*pieces[1:]))  # nothing says what it is
    large = tarfile.TarInfo("about.json")
    large.size = tars.ABOUT_BYTES + 1
    refused(packed((large, b" " * large.size)))


def test_a_missing_file_is_no_traceback(tmp_path: Path) -> None:
    with pytest.raises(Broken, match="cannot be read"):
        tars.read(tmp_path / "nothing", LAYOUT)
