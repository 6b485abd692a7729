"""Compiled templates on disk, for the next start: to compile one takes longer than to render it, and memory that stays.

They lie beside the media in a folder for this release, for this Python and this Jinja2; those of others are removed.
They are code, and whoever may write files is not by that allowed to run code here: each begins with a MAC under the
hub's key file, and what does not fit is compiled anew. Where nothing can be written everything works without.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import shutil
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Final

import jinja2
from jinja2 import BytecodeCache
from jinja2.bccache import Bucket

from fedcomm.config import Config
from fedcomm.version import VERSION

MAC_BYTES: Final = 32
PURPOSE: Final = b"fedcomm templates"


def folder_of(config: Config) -> Path:
    """Where they lie, whether it is there or not; all of it may be deleted at any time."""
    return config.media.folder.with_name(f"{config.media.folder.name}-templates")


def compiled(config: Config, code: Path) -> BytecodeCache | None:
    """The cache of a hub; None without its key file or a folder of its own. `code`: the file that makes the engine,
    whose options decide what templates are compiled to."""
    made_by = (VERSION, jinja2.__version__, sys.implementation.cache_tag, sys.version)
    whole = hashlib.blake2b(repr(made_by).encode() + code.read_bytes(), digest_size=8)
    place = folder_of(config) / whole.hexdigest()
    try:
        key = hmac.digest(config.secrets.key_file.read_bytes(), PURPOSE, "sha256")
        place.mkdir(mode=0o700, parents=True, exist_ok=True)
        for other in place.parent.iterdir():
            if other != place:
                shutil.rmtree(other, ignore_errors=True)
    except OSError:
        return None
    return SealedBytecode(place, key)


class SealedBytecode(BytecodeCache):
    """Compiled templates in `folder`, sealed with `key`."""

    def __init__(self, folder: Path, key: bytes) -> None:
        self._folder = folder
        self._key = key

    def load_bytecode(self, bucket: Bucket) -> None:
        """Fill the bucket if there is a file for it, sealed by us and made of the same source."""
        try:
            file = (self._folder / bucket.key).read_bytes()
        except OSError:
            return
        if hmac.compare_digest(file[:MAC_BYTES], self._mac(bucket, file[MAC_BYTES:])):
            bucket.bytecode_from_string(file[MAC_BYTES:])

    def dump_bytecode(self, bucket: Bucket) -> None:
        """Write what was compiled, whole or not at all."""
        content = bucket.bytecode_to_string()
        with suppress(OSError):
            descriptor, name = tempfile.mkstemp(dir=self._folder)
            try:
                with open(descriptor, "wb") as file:
                    file.write(self._mac(bucket, content) + content)
                os.replace(name, self._folder / bucket.key)
            except OSError:
                os.unlink(name)

    def _mac(self, bucket: Bucket, content: bytes) -> bytes:
        # With its name, so that one template cannot be put in place of another.
        return hmac.digest(self._key, bucket.key.encode() + b"\0" + content, "sha256")
