"""Reads files byte by byte for words, in a process of its own.

Of its own, since a process that opens and closes the file of a SQLite database gives up every lock that it has on it,
also those of its connections (POSIX advisory locks are held by the process, not by the descriptor:
<https://www.sqlite.org/howtocorrupt.html>, 2.2). Another process would then take the file for unused.

The words come on standard input, so that no list of processes shows them.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

CHUNK: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Scanned:
    """One file: how many bytes were read, and the offset of the first hit of each word that is in it."""

    path: Path
    size: int
    offsets: tuple[int, ...]


def scan(paths: Sequence[Path], needles: Sequence[bytes]) -> list[Scanned]:
    """Look into each of the files, in another process. Blocks. Raises RuntimeError if it could not."""
    asked = {"paths": [str(path) for path in paths], "needles": [each.hex() for each in needles]}
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-m", __name__], input=json.dumps(asked).encode(), capture_output=True
    )
    if done.returncode:
        raise RuntimeError(f"the files could not be read: {done.stderr.decode()[-500:].strip()}")
    return [
        Scanned(path, size, tuple(offsets))
        for path, (size, offsets) in zip(paths, json.loads(done.stdout), strict=True)
    ]


def scan_here(path: Path, needles: Sequence[bytes]) -> tuple[int, list[int]]:
    """(bytes read, offsets of the first hit of each needle) in one file; one that vanished meanwhile is empty. Never of
    a database that this process has open."""
    overlap = max(map(len, needles)) - 1
    hits: dict[bytes, int] = {}
    position, tail = 0, b""
    try:
        with path.open("rb") as file:
            while chunk := file.read(CHUNK):
                window = tail + chunk
                for needle in needles:
                    if needle not in hits and (at := window.find(needle)) >= 0:
                        hits[needle] = position - len(tail) + at
                position += len(chunk)
                tail = window[-overlap:] if overlap else b""
    except FileNotFoundError:
        return 0, []
    return position, sorted(set(hits.values()))


def main() -> None:
    asked = json.loads(sys.stdin.buffer.read())
    needles = [bytes.fromhex(each) for each in asked["needles"]]
    try:
        found = [scan_here(Path(path), needles) for path in asked["paths"]]
    except OSError as error:
        sys.exit(f"{error.filename}: {error.strerror}")
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    main()
