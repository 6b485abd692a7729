"""What is stored of an image is ours: bounded, turned upright, without a word in it (INV-33)."""

from __future__ import annotations

import asyncio
import hashlib
import io
import json
import os
import re
import struct
import subprocess
import sys
import zipfile
import zlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms, PngImagePlugin

from fedcomm.hub import images
from fedcomm.hub.image_headers import Header, read_header
from fedcomm.hub.images import (
    ATTACHMENT,
    AVATAR,
    EMOJI,
    HEADER,
    ImageLimits,
    ImageRefused,
    ProcessedImage,
    process_image,
)

MARKER = b"SECRET-PLACE-45.4642"


def encoded(image: Image.Image, kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def picture(width: int = 60, height: int = 40) -> Image.Image:
    """Left half red, right half blue, a green bar on top."""
    image = Image.new("RGB", (width, height), (220, 20, 20))
    image.paste((20, 20, 220), (width // 2, 0, width, height))
    image.paste((20, 220, 20), (0, 0, width, height // 4))
    return image


def frames(count: int, width: int = 32, height: int = 24) -> list[Image.Image]:
    return [
        Image.new("RGB", (width, height), ((n * 37) % 256, (n * 91) % 256, n % 256))
        for n in range(count)
    ]


def animated(kind: str, count: int, **size: int) -> bytes:
    first, *others = frames(count, **size)
    return encoded(first, kind, save_all=True, append_images=others, duration=70, loop=0)


def exif(orientation: int = 1) -> bytes:
    tags = Image.Exif()
    tags[0x0112] = orientation
    tags[0x010E] = MARKER.decode()
    tags[0x8825] = {1: "N", 2: (45.0, 27.0, 51.0)}
    return tags.tobytes()


def stored(processed: ProcessedImage) -> list[bytes]:
    return [processed.path.read_bytes(), processed.thumbnail_path.read_bytes()]


async def refused(data: bytes, folder: Path, limits: ImageLimits = ATTACHMENT) -> str:
    with pytest.raises(ImageRefused) as caught:
        await process_image(data, folder, limits=limits)
    assert caught.value.message.endswith(".")
    assert not folder.exists() or not any(folder.iterdir())
    return caught.value.reason


@pytest.mark.parametrize(
    ("kind", "mime", "extension"),
    [
        ("JPEG", "image/jpeg", ".jpg"),
        ("PNG", "image/png", ".png"),
        ("WEBP", "image/webp", ".webp"),
        ("GIF", "image/png", ".png"),
    ],
)
async def test_an_image_is_stored_with_its_thumbnail(
    tmp_path: Path, kind: str, mime: str, extension: str
) -> None:
    data = encoded(picture(900, 600), kind)
    result = await process_image(data, tmp_path / "media")
    assert (result.mime, result.width, result.height) == (mime, 900, 600)
    assert (result.thumbnail_width, result.thumbnail_height) == (640, 427)
    assert re.fullmatch(r"[0-9a-f]{32}" + re.escape(extension), result.path.name)
    assert re.fullmatch(r"[0-9a-f]{32}_small\.webp", result.thumbnail_path.name)
    assert sorted((tmp_path / "media").iterdir()) == sorted([result.path, result.thumbnail_path])
    assert [len(file) for file in stored(result)] == [result.size, result.thumbnail_size]
    assert result.sha256 == hashlib.sha256(data).hexdigest()
    assert len(result.blurhash) == 28 and not result.animated
    with Image.open(result.path) as ours:
        red, green, blue = ours.convert("RGB").getpixel((100, 500))  # type: ignore[misc]
        assert red > 180 and green < 70 and blue < 70


async def test_inv_33_the_same_image_gets_another_random_name_each_time(tmp_path: Path) -> None:
    data = encoded(picture(), "PNG")
    first, second = await asyncio.gather(*(process_image(data, tmp_path) for _ in range(2)))
    assert first.path != second.path


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
async def test_the_orientation_is_applied_before_it_is_forgotten(
    tmp_path: Path, kind: str, orientation: int
) -> None:
    data = encoded(picture(), kind, exif=exif(orientation))
    result = await process_image(data, tmp_path)
    assert (result.width, result.height) == ((60, 40) if orientation < 5 else (40, 60))
    with Image.open(io.BytesIO(data)) as theirs, Image.open(result.path) as ours:
        from PIL import ImageOps

        expected = ImageOps.exif_transpose(theirs).convert("RGB").resize((3, 3))
        got = ours.convert("RGB").resize((3, 3))
        pairs = zip(expected.tobytes(), got.tobytes(), strict=True)
        assert all(abs(wanted - found) < 40 for wanted, found in pairs)


def jpeg_with_everything() -> bytes:
    data = encoded(
        picture(),
        "JPEG",
        exif=exif(),
        comment=MARKER,
        xmp=b"<x:xmpmeta>" + MARKER + b"</x:xmpmeta>",
        icc_profile=MARKER * 7,
    )
    iptc = b"Photoshop 3.0\x008BIM\x04\x04\x00\x00" + struct.pack(">I", len(MARKER)) + MARKER
    return data[:2] + b"\xff\xed" + struct.pack(">H", len(iptc) + 2) + iptc + data[2:] + MARKER


def png_with_everything() -> bytes:
    text = PngImagePlugin.PngInfo()
    text.add_text("Comment", MARKER.decode())
    text.add_text("Location", MARKER.decode(), zip=True)
    text.add_itxt("XML:com.adobe.xmp", f"<x:xmpmeta>{MARKER.decode()}</x:xmpmeta>")
    text.add(b"prVt", MARKER)
    return encoded(picture(), "PNG", pnginfo=text, exif=exif()) + MARKER


def webp_with_everything() -> bytes:
    return encoded(picture(), "WEBP", exif=exif(), xmp=b"<x>" + MARKER + b"</x>")


@pytest.mark.parametrize(
    "data",
    [
        jpeg_with_everything(),
        png_with_everything(),
        webp_with_everything(),
        encoded(picture(), "GIF", comment=MARKER),
        animated("GIF", 3) + MARKER,
        encoded(
            frames(3)[0],
            "WEBP",
            save_all=True,
            append_images=frames(3)[1:],
            exif=exif(),
            xmp=MARKER,
        ),
        encoded(frames(3)[0], "PNG", save_all=True, append_images=frames(3)[1:], exif=exif()),
    ],
    ids=["jpeg", "png", "webp", "gif", "animated-gif", "animated-webp", "animated-png"],
)
@pytest.mark.parametrize("limits", [ATTACHMENT, AVATAR], ids=["attachment", "avatar"])
async def test_inv_33_no_metadata_survives(
    tmp_path: Path, data: bytes, limits: ImageLimits
) -> None:
    assert MARKER in data or b"eXIf" in data
    result = await process_image(data, tmp_path, limits=limits)
    for file in stored(result):
        for trace in (MARKER, b"Exif", b"eXIf", b"EXIF", b"XMP ", b"xmpmeta", b"tEXt", b"zTXt"):
            assert trace not in file
        with Image.open(io.BytesIO(file)) as ours:
            assert not ours.getexif()
            assert not {"exif", "xmp", "comment", "photoshop", "icc_profile"} & set(ours.info)


async def test_a_small_colour_profile_is_kept_and_a_large_one_is_not(tmp_path: Path) -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    for kind in ("JPEG", "PNG", "WEBP"):
        result = await process_image(encoded(picture(), kind, icc_profile=profile), tmp_path)
        with Image.open(result.path) as ours:
            assert ours.info["icc_profile"] == profile
    size = 64 * 1024 + 1
    large = struct.pack(">I", size) + profile[4:] + bytes(size - len(profile))
    result = await process_image(encoded(picture(), "JPEG", icc_profile=large), tmp_path)
    with Image.open(result.path) as ours:
        assert "icc_profile" not in ours.info


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16", "CMYK"])
async def test_every_way_to_hold_colours_is_read(tmp_path: Path, mode: str) -> None:
    kind = "JPEG" if mode == "CMYK" else "PNG"
    image = Image.new("I;16", (60, 40), 40_000) if mode == "I;16" else picture().convert(mode)
    result = await process_image(encoded(image, kind), tmp_path)
    with Image.open(result.path) as ours:
        assert ours.size == (60, 40)
        if mode == "I;16":
            assert ours.getpixel((5, 5)) == pytest.approx(40_000 / 257, abs=1)


async def test_transparency_survives(tmp_path: Path) -> None:
    image = picture().convert("RGBA")
    image.putpixel((30, 20), (0, 0, 0, 0))
    for kind in ("PNG", "WEBP"):
        result = await process_image(encoded(image, kind, lossless=True), tmp_path)
        with Image.open(result.path) as ours:
            pixel = ours.convert("RGBA").getpixel((30, 20))
            assert isinstance(pixel, tuple) and pixel[3] < 60


async def test_an_avatar_is_a_square_and_a_header_three_to_one(tmp_path: Path) -> None:
    avatar = await process_image(
        encoded(picture(900, 600), "JPEG", exif=exif(6)), tmp_path, limits=AVATAR
    )
    assert (avatar.mime, avatar.width, avatar.height) == ("image/webp", 400, 400)
    header = await process_image(encoded(picture(3000, 3000), "PNG"), tmp_path, limits=HEADER)
    assert (header.mime, header.width, header.height) == ("image/webp", 1500, 500)
    tiny = await process_image(encoded(picture(3, 1), "PNG"), tmp_path, limits=AVATAR)
    assert (tiny.width, tiny.height) == (1, 1)


async def test_a_large_photograph_is_shrunk_and_a_camera_s_second_picture_dropped(
    tmp_path: Path,
) -> None:
    data = encoded(picture(5000, 4000), "MPO", save_all=True, append_images=[picture(50, 40)])
    result = await process_image(data, tmp_path)
    assert result.width * result.height <= ATTACHMENT.stored_pixels + 5000
    assert result.width / result.height == pytest.approx(1.25, abs=0.01)
    assert result.mime == "image/jpeg"
    with Image.open(result.path) as ours:
        assert ours.format == "JPEG"


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG"])
async def test_an_animation_keeps_its_frames_and_their_time(tmp_path: Path, kind: str) -> None:
    result = await process_image(animated(kind, 5), tmp_path)
    assert (result.mime, result.animated) == ("image/webp", True)
    with Image.open(result.path) as ours:
        assert ours.n_frames == 5  # type: ignore[attr-defined]
        for number, frame in enumerate(frames(5)):
            ours.seek(number)
            pixel = ours.convert("RGB").getpixel((9, 9))
            assert isinstance(pixel, tuple)
            wanted = frame.getpixel((9, 9))
            assert isinstance(wanted, tuple)
            assert all(abs(a - b) < 30 for a, b in zip(pixel, wanted, strict=True))
            assert ours.info["duration"] == 70
    still = await process_image(animated(kind, 5), tmp_path, limits=AVATAR)
    assert not still.animated
    with Image.open(still.path) as ours:
        assert getattr(ours, "n_frames", 1) == 1


async def test_inv_33_an_animation_has_its_limits_and_not_one_more(tmp_path: Path) -> None:
    limits = replace(ATTACHMENT, frames=5, frame_pixels=32 * 24)
    for kind in ("GIF", "WEBP", "PNG"):
        await process_image(animated(kind, 5), tmp_path / "taken", limits=limits)
        folder = tmp_path / "refused"
        assert await refused(animated(kind, 6), folder, limits) == "frames"
        assert await refused(animated(kind, 2, width=33), folder, limits) == "pixels"


async def test_inv_33_a_still_image_has_its_limits_and_not_one_more(tmp_path: Path) -> None:
    data = encoded(picture(60, 40), "PNG")
    limits = replace(ATTACHMENT, pixels=60 * 40, bytes=len(data))
    await process_image(data, tmp_path / "taken", limits=limits)
    folder = tmp_path / "refused"
    assert await refused(data + b"\x00", folder, limits) == "bytes"
    assert await refused(data, folder, replace(limits, pixels=60 * 40 - 1)) == "pixels"


async def test_the_largest_allowed_photograph_fits_into_the_memory_of_the_worker(
    tmp_path: Path,
) -> None:
    image = picture(7680, 4320)
    for kind, options in (("JPEG", {"progressive": True}), ("PNG", {"compress_level": 1})):
        result = await process_image(encoded(image, kind, **options), tmp_path)
        assert (result.width, result.height) == (3840, 2160)


def png_that_promises(width: int, height: int) -> bytes:
    def chunk(name: bytes, body: bytes) -> bytes:
        return (
            struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        )

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = zlib.compress(bytes(1_000_000))
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", body) + chunk(b"IEND", b"")
    )


BOMBS = {
    "png": png_that_promises(60_000, 60_000),
    "png-line": png_that_promises(2**31 - 1, 1),
    "gif": b"GIF89a" + struct.pack("<HH", 65_535, 65_535) + bytes(20),
    "webp": b"RIFF\x16\x00\x00\x00WEBPVP8X\x0a\x00\x00\x00\x00\x00\x00\x00" + b"\xfe\xff\xff" * 2,
    "jpeg": b"\xff\xd8\xff\xc0\x00\x11\x08\xff\xff\xff\xff\x03" + bytes(20),
}


@pytest.mark.parametrize("name", BOMBS)
async def test_inv_33_a_bomb_is_refused_by_its_header_before_any_process_starts(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def never(*_: object, **__: object) -> object:
        raise AssertionError("a decoder was started")

    monkeypatch.setattr(asyncio, "create_subprocess_exec", never)
    assert await refused(BOMBS[name], tmp_path / "media") == "pixels"


async def test_inv_33_a_bomb_in_the_text_of_a_png_is_refused(tmp_path: Path) -> None:
    text = PngImagePlugin.PngInfo()
    text.add_text("Comment", "x" * 40_000_000, zip=True)
    assert await refused(encoded(picture(), "PNG", pnginfo=text), tmp_path / "media") == "broken"


def zipped() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("x.js", "alert(1)")
    return buffer.getvalue()


SVG = b'<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"><script>alert(1)</script></svg>'


@pytest.mark.parametrize(
    "data",
    [
        SVG,
        b'<?xml version="1.0"?>' + SVG,
        b"\xef\xbb\xbf" + SVG,
        zlib.compress(SVG),
        b"",
        b"<html><script>alert(1)</script>",
        zipped(),
        b"%PDF-1.7\n",
        b"\x00\x00\x00\x20ftypavif" + bytes(40),
        b"\x00\x00\x00\x0cjP  \r\n\x87\n" + bytes(40),
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n",
        b"II*\x00\x08\x00\x00\x00" + bytes(40),
        encoded(picture(), "BMP"),
        encoded(picture(), "TIFF"),
        encoded(picture(), "ICO"),
        encoded(picture(), "PPM"),
        b"\x89PNG\r\n\x1a\n",
        b"\xff\xd8\xff",
        b"GIF89a",
        b"RIFF\x00\x00\x00\x00WEBP",
        b"\x89PNG\r\n\x1a\n" + SVG,
        b"GIF89a/*" + b"\x00" * 4,
    ],
)
async def test_inv_34_what_is_not_an_allowed_image_is_refused(tmp_path: Path, data: bytes) -> None:
    assert await refused(data, tmp_path / "media") in {"type", "broken", "pixels"}


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "WEBP"])
async def test_inv_34_nothing_appended_to_an_image_is_ever_served(
    tmp_path: Path, kind: str
) -> None:
    tail = b"<script>alert(document.domain)</script>" + zipped()
    data = encoded(picture(), kind) + tail
    result = await process_image(data, tmp_path)
    for file in stored(result):
        assert b"<script" not in file and b"PK\x03\x04" not in file
        assert not zipfile.is_zipfile(io.BytesIO(file))
    assert result.path.suffix in {".jpg", ".png", ".webp"}


async def test_inv_34_a_gif_that_is_also_a_script_comes_out_as_pixels(tmp_path: Path) -> None:
    gif = encoded(picture(), "GIF", comment=b"*/=1;alert(1)//")
    result = await process_image(gif, tmp_path)
    assert all(b"alert" not in file for file in stored(result))


async def test_a_lie_about_the_kind_in_later_bytes_is_not_believed(tmp_path: Path) -> None:
    # The first bytes say JPEG, the rest is a PNG: only the decoder for JPEG is asked.
    data = b"\xff\xd8\xff\xc0\x00\x11\x08\x00\x28\x00\x3c\x03" + encoded(picture(), "PNG")
    assert await refused(data, tmp_path / "media") == "broken"


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "WEBP"])
async def test_a_truncated_file_is_refused(tmp_path: Path, kind: str) -> None:
    image = Image.effect_noise((200, 150), 80).convert("RGB")
    data = encoded(image, kind)
    for share in (0.1, 0.5, 0.9):
        assert await refused(data[: int(len(data) * share)], tmp_path / "media") == "broken"


async def test_too_much_memory_and_time_are_refused_with_a_reason(tmp_path: Path) -> None:
    data = encoded(picture(4000, 4000), "PNG")
    folder = tmp_path / "media"
    scarce = replace(ATTACHMENT, memory_bytes=96 * 1024 * 1024)
    assert await refused(data, folder, scarce) in {"memory", "broken"}
    started = asyncio.get_running_loop().time()
    assert await refused(data, folder, replace(ATTACHMENT, seconds=0.02)) == "time"
    assert asyncio.get_running_loop().time() - started < 10


async def test_inv_33_no_more_than_two_decoders_run_at_once_and_none_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started = asyncio.create_subprocess_exec
    running: set[asyncio.subprocess.Process] = set()
    most = 0

    async def counted(*arguments: Any, **options: Any) -> asyncio.subprocess.Process:
        nonlocal most
        process = await started(*arguments, **options)
        running.add(process)
        most = max(most, sum(one.returncode is None for one in running))
        return process

    monkeypatch.setattr(asyncio, "create_subprocess_exec", counted)
    data = encoded(picture(900, 600), "PNG")
    tasks = [asyncio.create_task(process_image(data, tmp_path)) for _ in range(5)]
    await asyncio.gather(*tasks)
    assert most == images.AT_ONCE == 2
    cancelled = asyncio.create_task(process_image(data, tmp_path))
    await asyncio.sleep(0.03)
    cancelled.cancel()
    with pytest.raises(asyncio.CancelledError):
        await cancelled
    assert all(process.returncode is not None for process in running)


async def test_an_answer_that_is_not_what_it_says_is_not_stored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    good = encoded(picture(), "PNG")
    thumbnail = encoded(picture(), "WEBP")
    honest = {"sizes": [len(good), len(thumbnail)], "blurhash": "00Aa", "animated": False}
    line = json.dumps(honest).encode() + b"\n"
    answers = [
        b"nonsense",
        b"[]\n",
        b"{}\n",
        b'{"refused": "because"}\n',
        line,
        line + good + SVG,
        line + SVG.ljust(len(good)) + thumbnail,
        line.replace(b"00Aa", b"<b>") + good + thumbnail,
    ]
    for answer in answers:

        async def lie(*_: object, answer: bytes = answer) -> bytes:
            return answer

        monkeypatch.setattr(images, "_work", lie)
        assert await refused(good, tmp_path / "media") == "broken"


async def test_inv_33_the_worker_cannot_write_files_and_sees_no_secret(tmp_path: Path) -> None:
    program = (
        "import os, signal, sys\n"
        "from fedcomm.hub import image_worker as worker\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "job = worker.Job('PNG', 1, 1, 1, 1, 1, 1, None, False, False, 2**29, 5)\n"
        "worker._bound(job)\n"
        "try:\n"
        "    with open(sys.argv[1], 'wb') as file:\n"
        "        file.write(b'x')\n"
        "except OSError:\n"
        "    print('refused')\n"
    )
    target = tmp_path / "planted"
    answer = subprocess.run(
        [sys.executable, "-c", program, str(target)], capture_output=True, check=True, timeout=30
    )
    assert answer.stdout == b"refused\n"
    assert not target.exists() or target.stat().st_size == 0


async def test_inv_33_the_environment_of_the_worker_holds_no_secret(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FEDCOMM_SECRET", "s3cret")
    started = asyncio.create_subprocess_exec
    seen: list[dict[str, str]] = []

    async def watched(*arguments: Any, **options: Any) -> asyncio.subprocess.Process:
        seen.append(options["env"])
        return await started(*arguments, **options)

    monkeypatch.setattr(asyncio, "create_subprocess_exec", watched)
    await process_image(encoded(picture(), "PNG"), tmp_path)
    assert set(seen[0]) == {"PYTHONPATH", "PYTHONDONTWRITEBYTECODE"}


def test_inv_33_the_server_itself_never_loads_a_decoder() -> None:
    program = "import sys, fedcomm.hub.images; print([m for m in sys.modules if 'PIL' in m])"
    answer = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, check=True, timeout=30
    )
    assert answer.stdout == b"[]\n"


async def test_a_folder_that_cannot_be_written_is_an_error_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced = os.fsync
    calls = 0

    def full(descriptor: int) -> None:
        nonlocal calls
        calls += 1
        if calls == 2:
            raise OSError(28, "No space left on device")
        synced(descriptor)

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        await process_image(encoded(picture(), "PNG"), tmp_path / "media")
    assert list((tmp_path / "media").iterdir()) == []


async def test_emoji_are_small_and_may_move(tmp_path: Path) -> None:
    result = await process_image(animated("GIF", 3), tmp_path, limits=EMOJI)
    assert result.animated and result.mime == "image/webp"
    assert await refused(bytes(256 * 1024 + 1), tmp_path / "media", EMOJI) == "bytes"


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "WEBP"])
@pytest.mark.parametrize("size", [(1, 1), (300, 200), (1023, 4000)])
def test_the_size_in_a_header_is_the_one_that_a_decoder_finds(
    kind: str, size: tuple[int, int]
) -> None:
    for options in ({}, {"lossless": True}, {"exif": exif()}, {"progressive": True}):
        data = encoded(picture(*size), kind, **options)
        assert read_header(data) == Header(kind, *size)  # type: ignore[arg-type]


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from([encoded(picture(), kind) for kind in ("JPEG", "PNG", "GIF", "WEBP")]),
    st.lists(st.tuples(st.integers(0, 60), st.integers(0, 255)), max_size=6),
    st.integers(0, 80),
)
def test_a_damaged_header_never_raises(
    data: bytes, damages: list[tuple[int, int]], length: int
) -> None:
    damaged = bytearray(data)
    for position, value in damages:
        damaged[position] = value
    for candidate in (bytes(damaged), bytes(damaged[:length])):
        header = read_header(candidate)
        assert header is None or (header.width > 0 and header.height > 0)
