"""Our blurhash is the one that other programs write."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from fedcomm.hub.blurhash import DIGITS, Pixel, encode

Painter = Callable[[int, int], Pixel]


# The expected values were written by another implementation (PyPI "blurhash" 1.1).
@pytest.mark.parametrize(
    ("width", "height", "paint", "across", "down", "expected"),
    [
        (8, 6, lambda x, y: (x * 30, y * 40, 128), 4, 3, "LcE.-D3Ba|%2zONLfQnTeqf7fQf7"),
        (8, 6, lambda x, y: (x * 30, y * 40, 128), 3, 4, "TcE.-D3Ba|zONLfQeqf7fQ%fOXfQ"),
        (4, 4, lambda x, y: (10, 200, 90), 1, 1, "001Jl;"),
        (1, 1, lambda x, y: (0, 0, 0), 4, 3, "L00000fQfQfQfQfQfQfQfQfQfQfQ"),
        (16, 2, lambda x, y: (x * 16, 255 - x * 16, 0), 4, 3, "L[GvM^8mtzk,?nK_o^kTfQfQfQfQ"),
    ],
)
def test_a_picture_has_the_hash_that_others_give_it(
    width: int, height: int, paint: Painter, across: int, down: int, expected: str
) -> None:
    pixels = [paint(x, y) for y in range(height) for x in range(width)]
    assert encode(pixels, width, across=across, down=down) == expected


def test_the_alphabet_has_eighty_three_digits() -> None:
    assert len(set(DIGITS)) == len(DIGITS) == 83


@pytest.mark.parametrize(
    ("count", "width", "across"), [(5, 2, 4), (0, 1, 4), (4, 0, 4), (4, 2, 0), (4, 2, 10)]
)
def test_incomplete_rows_and_odd_numbers_are_refused(count: int, width: int, across: int) -> None:
    with pytest.raises(ValueError):
        encode([(0, 0, 0)] * count, width, across=across)
