"""Pseudonyms: what can still be recognised after it was erased, and by nobody who has only the database.

A name that was erased must not be given to another person, and what was erased must not come in again. So the
database keeps an HMAC of them under a secret that lives in the key file, outside the database and its backups: a
thief of the database cannot try names (security.md, INV-40 and INV-50).
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from pathlib import Path

PURPOSE = b"fedcomm pseudonyms"


@dataclass(frozen=True, slots=True)
class Pseudonyms:
    """Makes the pseudonyms of one hub."""

    secret: bytes = b""

    @classmethod
    def under(cls, key_file: Path) -> Pseudonyms:
        """Those of the hub whose key is in `key_file`; without the file, those of a hub that has no secret."""
        try:
            key = key_file.read_bytes().strip()
        except OSError:
            return cls()
        return cls(hmac.digest(key, PURPOSE, hashlib.sha256))

    def of(self, kind: str, text: str) -> str:
        """The pseudonym of `text` as a `kind` of thing: 64 hexadecimal digits."""
        return hmac.digest(self.secret, f"{kind}\0{text}".encode(), hashlib.sha256).hex()
