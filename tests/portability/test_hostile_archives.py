"""Archives and lists that are made to hurt who opens them."""

from __future__ import annotations

import csv
import gzip
import io
import lzma
import resource
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from fedcomm.portability import containers, lists
from fedcomm.portability.tables import PortabilityError

MIB = 1 << 20


def header(kind: bytes, size: int, name: str = "x") -> bytes:
    info = tarfile.TarInfo(name)
    info.type, info.size = kind, size
    return info.tobuf(tarfile.GNU_FORMAT)


def long_name(pad: Callable[[int], bytes]) -> bytes:
    """A name of 300 MiB, which `tarfile` would read into memory."""
    return header(tarfile.GNUTYPE_LONGNAME, 300 * MIB) + pad(300 * MIB)


def pax(pad: Callable[[int], bytes]) -> bytes:
    return header(tarfile.XHDTYPE, 300 * MIB) + pad(300 * MIB)


def many_folders(pad: Callable[[int], bytes]) -> bytes:
    """No file at all, and no end."""
    return header(tarfile.DIRTYPE, 0) * 300_000


def links_with_bytes(pad: Callable[[int], bytes]) -> bytes:
    return header(tarfile.SYMTYPE, 0) * 10 + header(b"Q", 300 * MIB) + pad(300 * MIB)


@pytest.mark.parametrize("made", [long_name, pax, many_folders, links_with_bytes])
def test_a_tar_of_headers_is_refused_before_it_fills_the_memory(
    tmp_path: Path, made: Callable[..., bytes]
) -> None:
    path, folder = tmp_path / "archive.tar.gz", tmp_path / "out"
    folder.mkdir()
    with gzip.open(path, "wb", compresslevel=1) as file:
        file.write(made(bytes))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(PortabilityError):
        containers.unpack(path, folder)
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert after - before < 100 * 1024  # KiB
    assert not list(folder.iterdir())


def test_what_nobody_exports_is_not_unpacked(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("actor.json"), io.BytesIO())
    path, folder = tmp_path / "archive.tar.xz", tmp_path / "out"
    folder.mkdir()
    path.write_bytes(lzma.compress(buffer.getvalue()))
    with pytest.raises(PortabilityError):
        containers.unpack(path, folder)


@pytest.mark.parametrize("form", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
@pytest.mark.parametrize("packed", [True, False])
def test_an_honest_tar_is_read_with_its_long_names(tmp_path: Path, form: int, packed: bool) -> None:
    path, folder = tmp_path / "archive", tmp_path / "out"
    folder.mkdir()
    name = f"media_attachments/files/{'1' * 200}/größe.png"
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=form) as archive:
        for one, data in (("actor.json", b"{}"), (name, b"png")):
            info = tarfile.TarInfo(one)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    path.write_bytes(gzip.compress(buffer.getvalue()) if packed else buffer.getvalue())
    found = containers.unpack(path, folder)
    assert set(found) == {"actor.json", name}
    assert (folder / found[name]).read_bytes() == b"png"


def test_a_members_list_changes_nothing_for_the_lists_of_others() -> None:
    before = csv.field_size_limit()
    lists.read(b"Account address\nanna@hub.test\n", "follows")
    assert csv.field_size_limit() == before
