"""What is stored of a file: ranges of it, and bytes that are written over others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

Kind = Literal["audio", "video"]


class Bytes(Protocol):
    """A file in memory or mapped into it."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: slice, /) -> bytes: ...

    def find(self, needle: bytes, start: int, end: int, /) -> int: ...


@dataclass(frozen=True, slots=True)
class Plan:
    """How to store a recording. Ranges are (first byte, first byte after) of the file that came.

    `kept` are copied one after the other. `blanks` become zeros and `patches` (address, bytes) are
    written over them; both only where the whole file is kept. `width` and `height` are pixels as
    shown, `duration_ms` milliseconds; None where the file does not say.
    """

    kind: Kind
    mime: str
    suffix: str
    kept: tuple[tuple[int, int], ...]
    blanks: tuple[tuple[int, int], ...] = ()
    patches: tuple[tuple[int, bytes], ...] = ()
    width: int | None = None
    height: int | None = None
    duration_ms: int | None = None


class Unreadable(Exception):
    """The file is not taken; `message` says why, to the person who sent it."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


def damaged() -> Unreadable:
    """The file is not what its first bytes promise."""
    return Unreadable("The file could not be read. It may be damaged.")


def milliseconds(units: float, per_second: float) -> int | None:
    """A length in milliseconds; None if it says nothing sensible (more than a week is nonsense)."""
    if per_second <= 0 or units <= 0:
        return None
    found = round(units * 1000 / per_second)
    return found if 0 < found <= 7 * 86_400_000 else None
