"""Takes an image that somebody sent and stores our own copy of it (INV-33, security.md §9).

What is served is never the bytes that came: kind and size are read from the first bytes, a child
process decodes and re-encodes within bounds of memory and time, and the files get random names.
Turning, cropping and shrinking happen there; metadata does not survive.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import os
import re
import secrets
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from weakref import WeakKeyDictionary

import fedcomm
from fedcomm.hub.blurhash import DIGITS
from fedcomm.hub.image_headers import Header, read_header
from fedcomm.hub.image_worker import Job, Refusal, encode_job
from fedcomm.store import disk

AT_ONCE: Final = 2
"""Images that are worked on at the same time: a small machine has two cores."""

ANSWER_BYTES: Final = 64 * 1024 * 1024
"""The most that the worker may send back: an incompressible image of the stored size fits."""

_FILES: Final = {
    "JPEG": ("image/jpeg", ".jpg"),
    "PNG": ("image/png", ".png"),
    "WEBP": ("image/webp", ".webp"),
}
_BLURHASH_CHARACTERS: Final = 100
_FINGERPRINT: Final = re.compile(r"(?:[0-9a-f]{16})?")
_MESSAGES: Final[dict[Refusal, str]] = {
    "type": "This is not a JPEG, PNG, GIF or WebP image.",
    "bytes": "The image file is too large.",
    "pixels": "The image has too many pixels. Make it smaller and try again.",
    "frames": "The animation has too many frames.",
    "broken": "The image could not be read. The file may be damaged.",
    "memory": "The image needs too much memory. Make it smaller and try again.",
    "time": "The image takes too long to process. Make it smaller and try again.",
}


@dataclass(frozen=True, slots=True)
class ImageLimits:
    """What an image may be, and what is stored of it. Defaults are those of an attachment."""

    bytes: int = 16 * 1024 * 1024
    """Size of the file that is sent."""
    pixels: int = 33_177_600
    """Width times height (7680 x 4320)."""
    frame_pixels: int = 921_600
    """Width times height of an animation (1280 x 720)."""
    frames: int = 600
    """Frames of an animation."""
    stored_pixels: int = 8_294_400
    """Larger images are shrunk to this (3840 x 2160), as Mastodon does."""
    stored_side: int = 8_192
    """Longer sides are shrunk to this many pixels."""
    thumbnail_side: int = 640
    """Longest side of the thumbnail in pixels."""
    aspect: tuple[int, int] | None = None
    """Width to height that the image is cropped to, around its middle."""
    always_webp: bool = False
    """Store WebP whatever came; otherwise JPEG, PNG and WebP stay what they are."""
    still: bool = False
    """Keep the first frame only."""
    memory_bytes: int = 512 * 1024 * 1024
    """Address space of the process that decodes."""
    seconds: float = 20.0
    """Time that one image may take, waiting for its turn not counted."""


ATTACHMENT: Final = ImageLimits()
AVATAR: Final = ImageLimits(
    stored_pixels=400 * 400,
    stored_side=400,
    thumbnail_side=120,
    aspect=(1, 1),
    always_webp=True,
    still=True,
)
HEADER: Final = ImageLimits(
    stored_pixels=1500 * 500,
    stored_side=1500,
    aspect=(3, 1),
    always_webp=True,
    still=True,
)
EMOJI: Final = ImageLimits(
    bytes=256 * 1024,
    frame_pixels=512 * 512,
    stored_pixels=256 * 256,
    stored_side=256,
    thumbnail_side=64,
    always_webp=True,
)


@dataclass(frozen=True, slots=True)
class ProcessedImage:
    """The two files that were stored. Sizes in pixels, ``size`` and ``thumbnail_size`` in bytes.

    ``sha256`` is that of the bytes which came, in hex: a purged image is known again by it.
    """

    path: Path
    mime: str
    width: int
    height: int
    size: int
    thumbnail_path: Path
    thumbnail_mime: str
    thumbnail_width: int
    thumbnail_height: int
    thumbnail_size: int
    blurhash: str
    animated: bool
    sha256: str
    fingerprint: str = ""
    """16 hex digits by which the picture is known in another size or format; empty for a plain one."""


class ImageRefused(Exception):
    """The image is not taken. ``reason`` is for code, ``message`` for the person who sent it."""

    def __init__(self, reason: Refusal) -> None:
        super().__init__(_MESSAGES[reason])
        self.reason: Refusal = reason
        self.message = _MESSAGES[reason]


async def process_image(
    data: bytes, folder: Path, *, limits: ImageLimits = ATTACHMENT
) -> ProcessedImage:
    """Store our copy of the image ``data`` and its thumbnail in ``folder``, durably.

    The files are on disk before this returns; commit the row afterwards. Raises
    :class:`ImageRefused` if it is not an image that we take, OSError if it cannot be stored.
    """
    header = _check(data, limits)
    async with _turn():
        answer = await _work(data, header, limits)
    return await asyncio.to_thread(_store, answer, folder, hashlib.sha256(data).hexdigest())


def _check(data: bytes, limits: ImageLimits) -> Header:
    if len(data) > limits.bytes:
        raise ImageRefused("bytes")
    header = read_header(data)
    if header is None:
        raise ImageRefused("type")
    if header.width * header.height > limits.pixels:
        raise ImageRefused("pixels")
    return header


_turns: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Semaphore] = WeakKeyDictionary()


def _turn() -> asyncio.Semaphore:
    return _turns.setdefault(asyncio.get_running_loop(), asyncio.Semaphore(AT_ONCE))


async def _work(data: bytes, header: Header, limits: ImageLimits) -> bytes:
    job = Job(
        kind=header.kind,
        pixels=limits.pixels,
        frame_pixels=limits.frame_pixels,
        frames=limits.frames,
        stored_pixels=limits.stored_pixels,
        stored_side=limits.stored_side,
        thumbnail_side=limits.thumbnail_side,
        aspect=limits.aspect,
        always_webp=limits.always_webp,
        still=limits.still,
        memory_bytes=limits.memory_bytes,
        cpu_seconds=int(limits.seconds) + 1,
    )
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-s", "-P", "-m", "fedcomm.hub.image_worker"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        # Nothing of ours is in its environment: no password, no path but the package's own.
        env={"PYTHONPATH": str(Path(fedcomm.__file__).parents[1]), "PYTHONDONTWRITEBYTECODE": "1"},
        start_new_session=True,
    )
    try:
        async with asyncio.timeout(limits.seconds):
            answer = await _exchange(process, encode_job(job) + data)
    except TimeoutError:
        raise ImageRefused("time") from None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if not answer:
        # Ended without a word: by the limit of CPU time, of memory, or by the decoder's crash.
        raise ImageRefused("time" if process.returncode in _OUT_OF_TIME else "broken")
    return answer


async def _exchange(process: asyncio.subprocess.Process, request: bytes) -> bytes:
    """Send the request and return the answer; one beyond :data:`ANSWER_BYTES` is refused."""
    assert process.stdin is not None
    assert process.stdout is not None
    # It may end before it has read everything: what it says then is its answer.
    with contextlib.suppress(ConnectionError):
        process.stdin.write(request)
        await process.stdin.drain()
        process.stdin.close()
    answer = bytearray()
    while chunk := await process.stdout.read(256 * 1024):
        answer += chunk
        if len(answer) > ANSWER_BYTES:
            raise ImageRefused("broken")
    await process.wait()
    return bytes(answer)


_OUT_OF_TIME: Final = frozenset({-24, -9})
"""SIGXCPU and SIGKILL, as a return code."""


@dataclass(frozen=True, slots=True)
class _Answer:
    original: bytes
    thumbnail: bytes
    first: Header
    second: Header
    blurhash: str
    animated: bool
    fingerprint: str


def _understood(answer: bytes) -> _Answer:
    """Read what the worker sent. It is not trusted: what it sent must be what it says."""
    line, _, content = answer.partition(b"\n")
    try:
        described = json.loads(line)
        if refused := described.get("refused"):
            raise ImageRefused(refused if refused in _MESSAGES else "broken")
        length = int(described["sizes"][0])
        blurhash, animated = str(described["blurhash"]), bool(described["animated"])
        fingerprint = str(described["fingerprint"])
    except (ValueError, KeyError, TypeError, AttributeError, IndexError):
        raise ImageRefused("broken") from None
    original, thumbnail = content[:length], content[length:]
    first, second = read_header(original), read_header(thumbnail)
    if first is None or second is None or first.kind not in _FILES or second.kind != "WEBP":
        raise ImageRefused("broken")
    if len(blurhash) > _BLURHASH_CHARACTERS or not set(blurhash) <= set(DIGITS):
        raise ImageRefused("broken")
    if not _FINGERPRINT.fullmatch(fingerprint):
        raise ImageRefused("broken")
    return _Answer(original, thumbnail, first, second, blurhash, animated, fingerprint)


def _store(answer: bytes, folder: Path, sha256: str) -> ProcessedImage:
    """Write both files: temporary name, fsync, rename, fsync of the folder."""
    images = _understood(answer)
    mime, extension = _FILES[images.first.kind]
    folder.mkdir(parents=True, exist_ok=True)
    name = secrets.token_hex(16)
    paths = (folder / f"{name}{extension}", folder / f"{name}_small.webp")
    written: list[Path] = []
    try:
        for path, file in zip(paths, (images.original, images.thumbnail), strict=True):
            temporary = path.with_suffix(".part")
            written += [temporary, path]
            _write(temporary, file)
            temporary.replace(path)
        disk.sync(folder)
    except OSError:
        for path in written:
            path.unlink(missing_ok=True)
        raise
    return ProcessedImage(
        path=paths[0],
        mime=mime,
        width=images.first.width,
        height=images.first.height,
        size=len(images.original),
        thumbnail_path=paths[1],
        thumbnail_mime="image/webp",
        thumbnail_width=images.second.width,
        thumbnail_height=images.second.height,
        thumbnail_size=len(images.thumbnail),
        blurhash=images.blurhash,
        animated=images.animated,
        sha256=sha256,
        fingerprint=images.fingerprint,
    )


def _write(path: Path, content: bytes) -> None:
    with path.open("xb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
