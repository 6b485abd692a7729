"""The blurhash of an image: some twenty characters that show a blur until the picture is there.

Written after the algorithm published at blurha.sh; what peers expect in ``blurhash`` (federation.md
§5.2). Runs in the image worker on a few hundred pixels.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

Pixel = tuple[int, int, int]
"""Red, green, blue: sRGB, 0 to 255."""

DIGITS: Final = (
    "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz#$%*+,-.:;=?@[]^_{|}~"
)
MAX_COMPONENTS: Final = 9
"""Waves along each side that the format has room for."""


def encode(pixels: Sequence[Pixel], width: int, *, across: int = 4, down: int = 3) -> str:
    """Return the blurhash of ``pixels``, row by row, ``width`` to a row.

    ``across`` and ``down`` are the numbers of waves (1 to 9). Raises ValueError if the rows are
    not complete or a number is out of its range.
    """
    if width < 1 or not pixels or len(pixels) % width:
        raise ValueError("the pixels do not fill rows of this width")
    if not (1 <= across <= MAX_COMPONENTS and 1 <= down <= MAX_COMPONENTS):
        raise ValueError("a blurhash has 1 to 9 components in each direction")
    height = len(pixels) // width
    linear = [tuple(_LINEAR[channel] for channel in pixel) for pixel in pixels]
    columns = [[math.cos(math.pi * i * x / width) for x in range(width)] for i in range(across)]
    rows = [[math.cos(math.pi * j * y / height) for y in range(height)] for j in range(down)]
    factors = []
    for j in range(down):
        for i in range(across):
            sums = [0.0, 0.0, 0.0]
            for y in range(height):
                for x in range(width):
                    basis = columns[i][x] * rows[j][y]
                    pixel = linear[y * width + x]
                    sums[0] += basis * pixel[0]
                    sums[1] += basis * pixel[1]
                    sums[2] += basis * pixel[2]
            scale = (1 if i == j == 0 else 2) / len(pixels)
            factors.append([value * scale for value in sums])
    mean, *waves = factors
    largest = max((abs(value) for wave in waves for value in wave), default=0.0)
    quantised = max(0, min(82, int(largest * 166 - 0.5))) if waves else 0
    maximum = (quantised + 1) / 166 if waves else 1.0
    red, green, blue = (_srgb(value) for value in mean)
    return "".join(
        [
            _base83((across - 1) + (down - 1) * 9, 1),
            _base83(quantised, 1),
            _base83((red << 16) + (green << 8) + blue, 4),
            *(_base83(_wave(wave, maximum), 2) for wave in waves),
        ]
    )


def _wave(wave: Sequence[float], maximum: float) -> int:
    value = 0
    for channel in wave:
        part = channel / maximum
        root = math.copysign(math.sqrt(abs(part)), part)
        value = value * 19 + max(0, min(18, math.floor(root * 9 + 9.5)))
    return value


def _base83(value: int, length: int) -> str:
    digits = []
    for _ in range(length):
        value, digit = divmod(value, 83)
        digits.append(DIGITS[digit])
    return "".join(reversed(digits))


def _to_linear(channel: int) -> float:
    value = channel / 255
    return value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4


_LINEAR: Final = tuple(_to_linear(channel) for channel in range(256))


def _srgb(value: float) -> int:
    value = max(0.0, min(1.0, value))
    if value <= 0.0031308:
        return int(value * 12.92 * 255 + 0.5)
    return int((1.055 * value ** (1 / 2.4) - 0.055) * 255 + 0.5)
