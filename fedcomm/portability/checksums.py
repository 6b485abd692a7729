"""Checksums that mean the same everywhere: a Merkle root over canonical rows, for each table and for all of them.

A row is the JSON array of its values in the order of the columns' names (RFC 8259, UTF-8, no blanks; a real number as
Python's shortest form, `null` for what is empty); its leaf is SHA-256 of a zero byte and that text. Two nodes make
one: SHA-256 of a one byte and both (RFC 6962, section 2.1, with a last node without a neighbour carried up). A table's
root is over its rows in the order of the key; the root of all is over `name`, a zero byte and the table's root, in the
order of the names. Neither the engine nor the format of an archive shows in it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping

from fedcomm.portability.tables import Record

EMPTY = hashlib.sha256(b"").hexdigest()


class Merkle:
    """A root over leaves that come one by one; keeps one node for each level."""

    def __init__(self) -> None:
        self._levels: list[bytes | None] = []
        self.count = 0

    def add(self, data: bytes) -> None:
        """One more leaf."""
        node = hashlib.sha256(b"\0" + data).digest()
        self.count += 1
        for level, waiting in enumerate(self._levels):
            if waiting is None:
                self._levels[level] = node
                return
            self._levels[level] = None
            node = hashlib.sha256(b"\1" + waiting + node).digest()
        self._levels.append(node)

    def root(self) -> str:
        """The root over what was added so far, in hexadecimal digits."""
        node: bytes | None = None
        for waiting in self._levels:
            if waiting is not None:
                node = waiting if node is None else hashlib.sha256(b"\1" + waiting + node).digest()
        return EMPTY if node is None else node.hex()


def canonical(record: Record) -> bytes:
    """A row as its leaf sees it."""
    return json.dumps(record, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()


def whole(roots: Mapping[str, str]) -> str:
    """The root over the roots of all tables."""
    tree = Merkle()
    for name in sorted(roots):
        tree.add(name.encode() + b"\0" + bytes.fromhex(roots[name]))
    return tree.root()
