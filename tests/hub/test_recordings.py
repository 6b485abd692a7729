from __future__ import annotations

import contextlib
import io
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import IO, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fedcomm.hub.formats import flac, mp3, mp4, ogg, webm
from fedcomm.hub.formats.plan import Plan, Unreadable
from fedcomm.hub.recordings import Recording, RecordingLimits, digest, family_of, kind_of, store

SAMPLES: Final = Path(__file__).parent / "recordings"
"""A second of a test picture and of a tone in each container, with words in every tag that it has."""

MARKER: Final = b"MARKER"
TAKEN: Final = {
    "video.mp4": ("video", "video/mp4", (64, 48), 1000),
    "fragmented.mp4": ("video", "video/mp4", (64, 48), None),
    "video.webm": ("video", "video/webm", (64, 48), 1008),
    "sound.webm": ("audio", "audio/webm", (None, None), 1008),
    "vorbis.ogg": ("audio", "audio/ogg", (None, None), 1000),
    "opus.ogg": ("audio", "audio/ogg", (None, None), 1000),
    "sound.mp3": ("audio", "audio/mpeg", (None, None), 1097),
    "sound.flac": ("audio", "audio/flac", (None, None), 300),
}
REFUSED: Final = {
    "refused.m4a": "save it as an MP4 video",
    "refused.mov": "save it as an MP4 video",
    "refused.mp4": "more than picture and sound",
    "refused.mkv": "save it as a WebM video",
    "refused.ogv": "only Vorbis and Opus",
}
READERS: Final[dict[str, Callable[[bytes], Plan]]] = {
    ".mp4": mp4.read,
    ".webm": webm.read,
    ".ogg": ogg.read,
    ".mp3": mp3.read,
    ".flac": flac.read,
}


def on_disk(folder: Path, content: bytes) -> IO[bytes]:
    path = folder / "came"
    path.write_bytes(content)
    return path.open("rb")


async def stored(folder: Path, content: bytes, name: str, **limits: int) -> Recording:
    with on_disk(folder, content) as file:
        family = family_of(content, name)
        assert family is not None
        return await store(file, family, folder / "media", RecordingLimits(**limits))


def applied(plan: Plan, content: bytes) -> bytes:
    """What a plan makes of a file."""
    made = bytearray(b"".join(content[start:end] for start, end in plan.kept))
    for start, end in plan.blanks:
        made[start:end] = bytes(end - start)
    for start, patch in plan.patches:
        made[start : start + len(patch)] = patch
    return bytes(made)


@pytest.mark.parametrize("name", TAKEN)
async def test_a_recording_is_kept_without_what_it_tells_of_its_maker(
    tmp_path: Path, name: str
) -> None:
    content = (SAMPLES / name).read_bytes()
    assert MARKER in content
    made = await stored(tmp_path, content, name)
    assert (made.kind, made.mime, (made.width, made.height), made.duration_ms) == TAKEN[name]
    kept = made.path.read_bytes()
    assert MARKER not in kept and b"+45" not in kept
    assert len(kept) == made.size <= len(content)
    assert made.path.name != name and made.path.suffix in (".mp4", ".webm", ".weba", *READERS)
    assert not list((tmp_path / "media").glob("*.part"))
    # What was stored is taken again as it is.
    assert applied(READERS[Path(name).suffix](kept), kept) == kept


@pytest.mark.parametrize("name", TAKEN)
def test_the_coded_picture_and_sound_are_untouched(name: str) -> None:
    """All the bytes that a decoder gets are in what is kept: nothing was blanked among them."""
    content = (SAMPLES / name).read_bytes()
    kept = applied(READERS[Path(name).suffix](content), content)
    if name == "video.mp4":
        at = content.index(b"mdat")
        assert content[at:] in kept
    elif name == "fragmented.mp4":
        for piece in content.split(b"mdat")[1:]:
            assert piece.split(b"moof")[0][:-4] in kept
    elif name.endswith(".webm"):
        at = content.index(b"\x1f\x43\xb6\x75")
        assert content[at : at + 1500] in kept
    elif name.endswith(".flac"):
        at = content.index(b"\xff\xf8")
        assert kept[42:] == content[at:]
    elif name.endswith(".mp3"):
        assert content[-len(kept) :] == kept or kept in content
    else:
        assert kept[-1000:] == content[-1000:]


@pytest.mark.parametrize("name", REFUSED)
async def test_what_is_not_taken_is_refused_with_a_word(tmp_path: Path, name: str) -> None:
    with pytest.raises(Unreadable) as caught:
        await stored(tmp_path, (SAMPLES / name).read_bytes(), name)
    assert REFUSED[name] in caught.value.message
    assert not list((tmp_path / "media").glob("*"))


@pytest.mark.parametrize("name", ["vorbis.ogg", "opus.ogg"])
def test_the_pages_of_ogg_have_their_right_checksums(name: str) -> None:
    content = (SAMPLES / name).read_bytes()
    kept = applied(ogg.read(content), content)
    at = 0
    while at < len(kept):
        lacing = kept[at + 27 : at + 27 + kept[at + 26]]
        end = at + 27 + len(lacing) + sum(lacing)
        page = kept[at : at + 22] + bytes(4) + kept[at + 26 : end]
        assert int.from_bytes(kept[at + 22 : at + 26], "little") == _slow_checksum(page)
        at = end


def _slow_checksum(page: bytes) -> int:
    value = 0
    for byte in page:
        value ^= byte << 24
        for _bit in range(8):
            value = (value << 1) ^ (0x04C11DB7 if value & 1 << 31 else 0)
            value &= 0xFFFFFFFF
    return value


# Hostile files


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from(sorted(TAKEN)),
    st.lists(st.tuples(st.floats(0, 1), st.binary(min_size=1, max_size=8)), max_size=6),
    st.floats(0, 1),
)
def test_inv_33_a_damaged_file_is_refused_or_read_within_its_bounds(
    name: str, changes: list[tuple[float, bytes]], cut: float
) -> None:
    content = bytearray((SAMPLES / name).read_bytes())
    for where, patch in changes:
        # Mostly near the beginning, where the structure stands.
        at = int(where**3 * (len(content) - 1))
        content[at : at + len(patch)] = patch
    raw = bytes(content[: max(40, int(len(content) * (1 - cut**4)))])
    try:
        plan = READERS[Path(name).suffix](raw)
    except Unreadable:
        return
    for start, end in (*plan.kept, *plan.blanks):
        assert 0 <= start <= end <= len(raw)
    size = sum(end - start for start, end in plan.kept)
    for start, patch in plan.patches:
        assert start >= 0 and start + len(patch) <= size
    assert len(applied(plan, raw)) == size


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(sorted(READERS)), st.binary(max_size=300))
def test_inv_33_anything_is_read_without_an_accident(suffix: str, tail: bytes) -> None:
    head = {
        ".mp4": b"\0\0\0\x14ftypisom\0\0\0\0isom",
        ".webm": b"\x1a\x45\xdf\xa3\x87\x42\x82\x84webm\x18\x53\x80\x67",
        ".ogg": b"OggS\0\x02" + bytes(20),
        ".mp3": b"ID3\4\0\0\0\0\0\0",
        ".flac": b"fLaC\x80\0\0\x22",
    }[suffix]
    with contextlib.suppress(Unreadable):
        READERS[suffix](head + tail)


def box(kind: bytes, content: bytes = b"") -> bytes:
    return (8 + len(content)).to_bytes(4, "big") + kind + content


def test_unknown_boxes_and_free_space_of_an_mp4_are_emptied_in_place() -> None:
    content = (SAMPLES / "video.mp4").read_bytes()
    hidden = b"".join(
        box(kind, b"MARKER<script>alert(1)</script>")
        for kind in (b"uuid", b"free", b"skip", b"XMP_", b"meta", b"\0\0\0\0")
    )
    kept = applied(mp4.read(content + hidden), content + hidden)
    assert MARKER not in kept and b"script" not in kept
    assert len(kept) == len(content + hidden)
    assert kept.endswith(box(b"free", bytes(31)) * 6)


@pytest.mark.parametrize(
    "tail",
    [b"PK\3\4" + b"x" * 40, b"<html><script>alert(1)</script>", b"\0\0\0\4free", b"\0\0\0\0"],
)
def test_a_polyglot_behind_an_mp4_is_refused_or_emptied(tail: bytes) -> None:
    content = (SAMPLES / "video.mp4").read_bytes() + tail
    with pytest.raises(Unreadable):
        mp4.read(content)


def test_media_that_lie_elsewhere_are_refused() -> None:
    """A player must not be made to ask another server for the samples."""
    content = (SAMPLES / "video.mp4").read_bytes()
    at = content.index(b"url \0\0\0\1")
    with pytest.raises(Unreadable):
        mp4.read(content[: at + 4] + bytes(4) + content[at + 8 :])


def test_boxes_that_promise_too_much_cost_nothing() -> None:
    start = box(b"ftyp", b"isom\0\0\0\0isom")
    many = box(b"free") * 300_000
    huge = (1).to_bytes(4, "big") + b"mdat" + (1 << 62).to_bytes(8, "big")
    for content in (start + huge, start + many, start + box(b"moov", many[:800])):
        with pytest.raises(Unreadable):
            mp4.read(content)


def test_a_second_thing_behind_an_mp3_is_not_kept() -> None:
    content = (SAMPLES / "sound.mp3").read_bytes()
    polyglot = content + b"PK\3\4MARKER<script>alert(1)</script>" + b"x" * 500
    kept = applied(mp3.read(polyglot), polyglot)
    assert b"script" not in kept and kept[:1] == b"\xff"
    with pytest.raises(Unreadable):
        mp3.read(b"ID3\4\0\0\0\0\0\0" + b"\xff\xfb" + b"<script>" * 2_000)
    with pytest.raises(Unreadable):
        mp3.read(content + b"x" * 200_000)


def test_of_flac_only_the_description_of_the_stream_is_kept() -> None:
    content = (SAMPLES / "sound.flac").read_bytes()
    picture = b"\x06\0\0\x20" + b"MARKER<script>alert(1)</script>x"
    more = content[:42] + picture + content[42:]
    kept = applied(flac.read(more), more)
    assert kept == applied(flac.read(content), content)
    assert kept[:8] == b"fLaC\x80\0\0\x22" and kept[42:44] == b"\xff\xf8"


def test_files_glued_together_are_refused() -> None:
    content = (SAMPLES / "opus.ogg").read_bytes()
    with pytest.raises(Unreadable, match="only Vorbis and Opus"):
        ogg.read(content + content)
    with pytest.raises(Unreadable):
        ogg.read(content + b"PK\3\4")


# Kinds


@pytest.mark.parametrize(
    ("head", "name", "family"),
    [
        (b"%PDF-1.7", "a.pdf", "pdf"),
        (b"%PDF-1.7", "a.png", "pdf"),
        (b"Hello", "notes.TXT", "text"),
        (b"Hello", "notes.html", None),
        (b"<svg/>", "picture.svg", None),
        (b"<html>", "page", None),
        (b"MZ\x90\0", "setup.exe", None),
        (b"PK\3\4", "a.docx", None),
        (b"\xff\xd8\xff\xe0", "photo.jpg", None),
        (b"GIF89a\1\0\1\0\0\0\0", "a.pdf", "image"),
        (b"", "a", None),
        (b"\xff", "a.mp3", None),
    ],
)
def test_what_a_file_is_its_first_bytes_say(head: bytes, name: str, family: str | None) -> None:
    assert family_of(head, name) == family


async def test_documents_are_what_they_say(tmp_path: Path) -> None:
    pdf = b"%PDF-1.4\n" + zlib.compress(b"x" * 500) + b"\nstartxref\n0\n%%EOF\n"
    made = await stored(tmp_path, pdf, "a.pdf")
    assert (made.kind, made.mime, made.path.suffix) == ("document", "application/pdf", ".pdf")
    assert made.path.read_bytes() == pdf
    made = await stored(tmp_path, "Caffè\r\n<script>\n".encode(), "list.csv")
    assert (made.kind, made.mime, made.path.suffix) == ("document", "text/plain", ".txt")
    for bad in (b"\xff\xfeH\0i\0", b"a\0b", b"\x1b[31m", "caffè".encode("latin-1")):
        with pytest.raises(Unreadable, match="UTF-8"):
            await stored(tmp_path, bad, "a.txt")
    with pytest.raises(Unreadable):
        await stored(tmp_path, pdf[:-10], "a.pdf")


async def test_each_kind_has_its_limit_and_can_be_switched_off(tmp_path: Path) -> None:
    for name, kind in (("video.mp4", "video"), ("sound.mp3", "audio")):
        content = (SAMPLES / name).read_bytes()
        await stored(tmp_path, content, name, **{kind: len(content)})
        with pytest.raises(Unreadable, match="too large"):
            await stored(tmp_path, content, name, **{kind: len(content) - 1})
        with pytest.raises(Unreadable, match="not taken here"):
            await stored(tmp_path, content, name, **{kind: 0})
    assert kind_of("webm") == "video"
    assert digest(io.BytesIO(b"")) == (
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    )
