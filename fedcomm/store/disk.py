"""What is asked of the disk beyond writing: to keep something for good, and to let it go for good."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

OVERWRITE_BYTES: Final = 1 << 20


def sync(path: Path) -> None:
    """Wait until a file's bytes, or a folder's names, would outlive a power cut."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def shred(path: Path) -> None:
    """Overwrite the file and remove it; a file that is not there is fine.

    On a journalling or copying file system, and on flash, the old blocks may live on until they are used again: the
    documentation says so.
    """
    try:
        size = path.stat().st_size
        with path.open("r+b") as file:
            while file.tell() < size:
                file.write(bytes(min(OVERWRITE_BYTES, size - file.tell())))
            file.flush()
            os.fsync(file.fileno())
        path.unlink()
    except FileNotFoundError:
        return
