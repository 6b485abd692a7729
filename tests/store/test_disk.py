"""What is asked of the disk: to keep, and to let go."""

from __future__ import annotations

import os
from pathlib import Path

from fedcomm.store import disk


def test_a_shredded_file_is_gone_and_so_are_its_bytes(tmp_path: Path) -> None:
    path, other = tmp_path / "file", tmp_path / "other name"
    path.write_bytes(b"secret" * (disk.OVERWRITE_BYTES // 3))
    os.link(path, other)
    disk.shred(path)
    assert not path.exists()
    assert not other.read_bytes().strip(b"\0")
    assert other.stat().st_size == 6 * (disk.OVERWRITE_BYTES // 3)


def test_shredding_what_is_not_there_or_empty_is_fine(tmp_path: Path) -> None:
    disk.shred(tmp_path / "nothing")
    (tmp_path / "empty").touch()
    disk.shred(tmp_path / "empty")
    assert not (tmp_path / "empty").exists()


def test_files_and_folders_are_synced(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x")
    disk.sync(tmp_path / "file")
    disk.sync(tmp_path)
