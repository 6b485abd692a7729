"""The process that decodes images: short-lived, bounded, and without a way to write a file.

Started by :mod:`fedcomm.hub.images` as ``python -m fedcomm.hub.image_worker``. It reads a line of
JSON (the job) and the bytes of the image from standard input, and writes a line of JSON (the
result) and the re-encoded files to standard output. Pillow is imported here and nowhere else, so
the server stays small, and a decoder that is taken over holds no key, no socket and no folder.
"""

from __future__ import annotations

import io
import itertools
import json
import math
import os
import resource
import sys
import warnings
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

from fedcomm.hub.blurhash import Pixel, encode

if TYPE_CHECKING:
    from PIL import Image

Refusal = Literal["type", "bytes", "pixels", "frames", "broken", "memory", "time"]
"""Why an image is not taken."""

ICC_BYTES: Final = 64 * 1024
"""A larger colour profile is dropped (security.md §9)."""

_JPEG_QUALITY: Final = 87
_WEBP_QUALITY: Final = 82
_THUMBNAIL_QUALITY: Final = 78
_BLUR_SIDE: Final = 32
_PRINT_SIDE: Final = 8
_PRINT_EDGES: Final = 8
"""A fingerprint with fewer ones, or fewer zeros, tells of no structure."""
_FORMATS: Final = {"JPEG": ("JPEG", "MPO"), "PNG": ("PNG",), "GIF": ("GIF",), "WEBP": ("WEBP",)}
"""What the decoder may call a file whose first bytes said the kind (cameras write MPO as JPEG)."""
_PLAIN_MODES: Final = frozenset({"L", "RGB", "RGBA"})
_MIN_FRAME_MS: Final = 20
_MAX_FRAME_MS: Final = 60_000
_DEFAULT_FRAME_MS: Final = 100
_STILL_OUTPUT: Final = {"JPEG": "JPEG", "PNG": "PNG", "GIF": "PNG", "WEBP": "WEBP"}
_QUARTER_TURNS: Final = frozenset({5, 6, 7, 8})
_TRANSPOSE: Final[dict[int, Any]] = {2: 0, 3: 3, 4: 1, 5: 5, 6: 4, 7: 6, 8: 2}
"""EXIF orientation (CIPA DC-008, 4.6.5) to Pillow's ``Image.Transpose``, which undoes it."""


@dataclass(frozen=True, slots=True)
class Job:
    """What the worker is asked: the kind that the first bytes say, and the limits in numbers."""

    kind: str
    pixels: int
    frame_pixels: int
    frames: int
    stored_pixels: int
    stored_side: int
    thumbnail_side: int
    aspect: tuple[int, int] | None
    always_webp: bool
    still: bool
    memory_bytes: int
    cpu_seconds: int


class _Refused(Exception):
    def __init__(self, reason: Refusal) -> None:
        super().__init__(reason)
        self.reason = reason


def encode_job(job: Job) -> bytes:
    """Return the line that the worker reads first."""
    return json.dumps(asdict(job)).encode() + b"\n"


def main() -> None:
    """Do one job and end. The answer's first line has ``refused`` or the description."""
    job = Job(**json.loads(sys.stdin.buffer.readline()))
    _bound(job)
    data = sys.stdin.buffer.read()
    output = os.fdopen(os.dup(1), "wb")
    try:
        described, files = _process(data, job)
    except _Refused as refused:
        described, files = {"refused": refused.reason}, []
    except MemoryError:
        described, files = {"refused": "memory"}, []
    except Exception:
        # A decoder raises whatever it likes on a broken file; all of it means one thing.
        described, files = {"refused": "broken"}, []
    output.write(json.dumps(described).encode() + b"\n")
    for file in files:
        output.write(file)
    output.close()


def _bound(job: Job) -> None:
    """Bound memory (bytes) and time (seconds of CPU), and forbid to write files."""
    resource.setrlimit(resource.RLIMIT_AS, (job.memory_bytes, job.memory_bytes))
    resource.setrlimit(resource.RLIMIT_CPU, (job.cpu_seconds, job.cpu_seconds))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _process(data: bytes, job: Job) -> tuple[dict[str, Any], list[bytes]]:
    from PIL import Image

    Image.MAX_IMAGE_PIXELS = job.pixels
    warnings.simplefilter("error", Image.DecompressionBombWarning)
    try:
        image: Image.Image = Image.open(io.BytesIO(data), formats=[job.kind])
        if image.format not in _FORMATS[job.kind]:
            raise _Refused("type")
        if image.width * image.height > job.pixels:
            raise _Refused("pixels")
        if job.kind != "JPEG" and not job.still and getattr(image, "is_animated", False):
            return _animation(image, job)
        return _picture(image, job)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise _Refused("pixels") from None


def _picture(image: Image.Image, job: Job) -> tuple[dict[str, Any], list[bytes]]:
    turns = _turns(image)
    size = _stored_size(image.size, job, turned=turns in _QUARTER_TURNS)
    if job.kind == "JPEG":
        # Decode a large photograph at a half or a quarter of its size: time and memory.
        image.draft(None, size)
    image.load()
    profile = image.info.get("icc_profile")
    plain = _plain(image)
    if plain.size != size:
        plain = plain.resize(size)
    if turns:
        plain = plain.transpose(_TRANSPOSE[turns])
    if job.aspect is not None:
        plain = plain.crop(_crop(plain.size, job.aspect))
    plain.info.clear()
    output = "WEBP" if job.always_webp else _STILL_OUTPUT[job.kind]
    return _answer(
        _encoded(plain, output, _usable_profile(profile, plain.mode)), output, plain, job
    )


def _animation(image: Image.Image, job: Job) -> tuple[dict[str, Any], list[bytes]]:
    if image.width * image.height > job.frame_pixels:
        raise _Refused("pixels")
    if getattr(image, "n_frames", 1) > job.frames:
        raise _Refused("frames")
    image.seek(0)
    image.load()
    first = _plain(image)
    buffer = io.BytesIO()
    loop = image.info.get("loop", 1)
    image.save(
        buffer,
        "WEBP",
        save_all=True,
        duration=_Durations(image),
        loop=loop if isinstance(loop, int) and 0 <= loop < 65536 else 0,
        background=(0, 0, 0, 0),
        quality=_WEBP_QUALITY,
        method=0,
        exif=b"",
        xmp=b"",
        icc_profile=b"",
    )
    return _answer(buffer.getvalue(), "WEBP", first, job, animated=True)


class _Durations(list[int]):
    """Milliseconds of the frame that the encoder is at: it asks for them one by one.

    A list made beforehand would need every frame to be decoded twice.
    """

    def __init__(self, image: Image.Image) -> None:
        super().__init__()
        self._image = image

    def __getitem__(self, index: object) -> int:  # type: ignore[override]
        duration = self._image.info.get("duration") or _DEFAULT_FRAME_MS
        return int(max(_MIN_FRAME_MS, min(_MAX_FRAME_MS, duration)))


def _answer(
    original: bytes, kind: str, plain: Image.Image, job: Job, *, animated: bool = False
) -> tuple[dict[str, Any], list[bytes]]:
    small = plain.copy()
    small.thumbnail((job.thumbnail_side, job.thumbnail_side))
    thumbnail = io.BytesIO()
    small.save(thumbnail, "WEBP", quality=_THUMBNAIL_QUALITY, method=4)
    files = [original, thumbnail.getvalue()]
    described = {
        "kind": kind,
        "width": plain.width,
        "height": plain.height,
        "thumbnail_width": small.width,
        "thumbnail_height": small.height,
        "blurhash": _blur(small),
        "fingerprint": _fingerprint(plain),
        "animated": animated,
        "sizes": [len(file) for file in files],
    }
    return described, files


def _encoded(plain: Image.Image, kind: str, profile: bytes) -> bytes:
    buffer = io.BytesIO()
    # Everything that could carry words is named and empty: nothing comes from the source.
    stripped = {"exif": b"", "xmp": b"", "icc_profile": profile or None}
    match kind:
        case "JPEG":
            flat = plain if plain.mode in {"L", "RGB"} else plain.convert("RGB")
            flat.save(
                buffer, "JPEG", quality=_JPEG_QUALITY, progressive=True, comment=b"", **stripped
            )
        case "PNG":
            plain.save(buffer, "PNG", icc_profile=profile or None)
        case _:
            plain.save(buffer, "WEBP", quality=_WEBP_QUALITY, method=4, **stripped)
    return buffer.getvalue()


def _turns(image: Image.Image) -> int:
    """Return the EXIF orientation, 0 if there is none or it means nothing (upright)."""
    try:
        orientation = image.getexif().get(0x0112, 0)
    except Exception:  # broken metadata of a whole picture; it is dropped anyway
        return 0
    return orientation if orientation in _TRANSPOSE else 0


def _plain(image: Image.Image) -> Image.Image:
    """Return the loaded pixels in one of three modes: grey, colour, colour with transparency."""
    mode = image.mode
    if mode.startswith("I") or mode == "F":
        # 16 bits of grey; what is brighter than white stays white.
        return image.convert("F").point(lambda value: value / 257 + 0).convert("L")
    if mode == "1" and "transparency" not in image.info:
        return image.convert("L")
    if mode in {"LA", "La", "PA", "RGBa"} or "transparency" in image.info:
        return image.convert("RGBA")
    return image.copy() if mode in _PLAIN_MODES else image.convert("RGB")


def _stored_size(size: tuple[int, int], job: Job, *, turned: bool) -> tuple[int, int]:
    """Return ``size`` scaled down so that what is stored of it keeps the limits of ``job``."""
    shown = (size[1], size[0]) if turned else size
    left, top, right, bottom = (0, 0, *shown) if job.aspect is None else _crop(shown, job.aspect)
    width, height = right - left, bottom - top
    factor = min(
        1.0, math.sqrt(job.stored_pixels / (width * height)), job.stored_side / max(width, height)
    )
    return max(1, round(size[0] * factor)), max(1, round(size[1] * factor))


def _crop(size: tuple[int, int], aspect: tuple[int, int]) -> tuple[int, int, int, int]:
    """Return the largest box of the ratio ``aspect`` in the middle of ``size``."""
    width = max(1, min(size[0], round(size[1] * aspect[0] / aspect[1])))
    height = max(1, min(size[1], round(size[0] * aspect[1] / aspect[0])))
    left, top = (size[0] - width) // 2, (size[1] - height) // 2
    return left, top, left + width, top + height


def _usable_profile(profile: object, mode: str) -> bytes:
    """Return the colour profile if it is small, whole and made for ``mode``, else nothing."""
    if not isinstance(profile, bytes) or not 128 <= len(profile) <= ICC_BYTES:
        return b""
    space = b"GRAY" if mode == "L" else b"RGB "
    # ICC.1:2022, 7.2: size, colour space and signature at fixed places.
    whole = int.from_bytes(profile[:4], "big") == len(profile) and profile[36:40] == b"acsp"
    return profile if whole and profile[16:20] == space else b""


def _blur(image: Image.Image) -> str:
    small = image.convert("RGBA")
    small.thumbnail((_BLUR_SIDE, _BLUR_SIDE))
    raw = small.tobytes()
    pixels: list[Pixel] = []
    for red, green, blue, alpha in zip(raw[::4], raw[1::4], raw[2::4], raw[3::4], strict=True):
        pixels.append(  # transparent parts lie on white
            (
                (red * alpha + 255 * (255 - alpha)) // 255,
                (green * alpha + 255 * (255 - alpha)) // 255,
                (blue * alpha + 255 * (255 - alpha)) // 255,
            )
        )
    across, down = (4, 3) if small.width >= small.height else (3, 4)
    return encode(pixels, small.width, across=across, down=down)


def _fingerprint(image: Image.Image) -> str:
    """Return 64 bits in hex that say where the picture gets darker from left to right, or nothing for a
    picture with too little structure: those would all look alike."""
    flat = image.convert("RGBA").resize((_PRINT_SIDE + 1, _PRINT_SIDE))
    grey = bytes(
        (299 * red + 587 * green + 114 * blue) * alpha // 255_000 + 255 - alpha
        for red, green, blue, alpha in zip(*[iter(flat.tobytes())] * 4, strict=True)
    )
    bits = 0
    for row in range(_PRINT_SIDE):
        line = grey[row * (_PRINT_SIDE + 1) : (row + 1) * (_PRINT_SIDE + 1)]
        for left, right in itertools.pairwise(line):
            bits = bits << 1 | (left > right)
    return f"{bits:016x}" if _PRINT_EDGES <= bits.bit_count() <= 64 - _PRINT_EDGES else ""


if __name__ == "__main__":
    main()
