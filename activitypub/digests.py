"""Digests of request bodies: ``Digest`` (RFC 3230) and ``Content-Digest`` (RFC 9530).

Both checks follow one rule: at least one known algorithm is listed, and every listed known one is
right. Unknown algorithms are passed over; a malformed header is a wrong one.
"""

from __future__ import annotations

import hashlib
import re
from base64 import b64encode
from collections.abc import Callable
from typing import Final

DIGEST_CHARS_MAX: Final = 1024
"""Longest digest header that is read; SHA-256 and SHA-512 together need about 160 characters."""

_HASHES: Final[dict[str, Callable[[bytes], bytes]]] = {
    "sha-256": lambda body: hashlib.sha256(body).digest(),
    "sha-512": lambda body: hashlib.sha512(body).digest(),
}
_CONTENT_DIGEST_MEMBER: Final = re.compile(
    r"[ \t]*([a-z*][a-z0-9_.*-]*)=:([A-Za-z0-9+/]*={0,2}):[ \t]*\Z"
)


def digest_header(body: bytes) -> str:
    """Value of ``Digest``: ``SHA-256=`` and base64. PieFed and NodeBB compare it in full."""
    return "SHA-256=" + _base64_of("sha-256", body)


def content_digest_header(body: bytes) -> str:
    """Value of ``Content-Digest``: a dictionary with one byte sequence, ``sha-256=:…:``."""
    return f"sha-256=:{_base64_of('sha-256', body)}:"


def check_digest(header: str, body: bytes) -> bool:
    """Tell whether a ``Digest`` header fits the raw body. Algorithm names ignore case."""
    if len(header) > DIGEST_CHARS_MAX:
        return False
    known = 0
    for part in header.split(","):
        name, equals, value = part.strip().partition("=")
        if not equals:
            return False
        name = name.lower()
        if name in _HASHES:
            known += 1
            if not _fits(name, value, body):
                return False
    return known > 0


def check_content_digest(header: str, body: bytes) -> bool:
    """Tell whether a ``Content-Digest`` header fits the raw body (RFC 9530 §2)."""
    if len(header) > DIGEST_CHARS_MAX:
        return False
    known = 0
    for part in header.split(","):
        member = _CONTENT_DIGEST_MEMBER.match(part)
        if member is None:
            return False
        name, value = member.groups()
        if name in _HASHES:
            known += 1
            if not _fits(name, value, body):
                return False
    return known > 0


def _fits(name: str, value: str, body: bytes) -> bool:
    # Compared as text: base64 has one canonical form, and a lax decoder would accept others.
    return value == _base64_of(name, body)


def _base64_of(name: str, body: bytes) -> str:
    return b64encode(_HASHES[name](body)).decode("ascii")
