"""Argon2id passwords (security.md §6): hashed in threads, as many at once as there are cores and four at
most, the same time for nobody."""

from __future__ import annotations

import asyncio
import os
import unicodedata
from typing import TYPE_CHECKING

from fedcomm import allocator
from fedcomm.hub.errors import Invalid

if TYPE_CHECKING:
    from argon2 import PasswordHasher

MINIMUM_LENGTH = 8
MAXIMUM_LENGTH = 128
TIME_COST = 2
MEMORY_KIB = 19_456
"""19 MiB, the least that OWASP and security.md §6 allow: the service shares 1 GB with everything
else."""

AT_ONCE = min(4, os.cpu_count() or 1)
"""More would take more memory and be no sooner."""

_turns = asyncio.Semaphore(AT_ONCE)
_DUMMY = (
    "$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHRzb21lc2FsdA$"
    "4Zb0xCnDUdMOF1uCIMS6yQ0hXZlqkfM3SFxVxgE7gDQ"
)


def check_password(password: str, *forbidden: str) -> None:
    """Raises Invalid if `password` is too short, too long, or one of the words that anybody would
    try."""
    if not MINIMUM_LENGTH <= len(password) <= MAXIMUM_LENGTH:
        raise Invalid("password", "A password has 8 to 128 characters.")
    plain = password.casefold()
    guessable = {"password", "12345678", "123456789", "qwertyuiop", "fedcommfedcomm"}
    if plain in guessable or plain in {word.casefold() for word in forbidden if word}:
        raise Invalid("password", "This password is too easy to guess.")


async def hash_password(password: str) -> str:
    """The Argon2id hash of `password` (NFC)."""
    async with _turns:
        return await asyncio.to_thread(_hash, password)


async def verify_password(stored: str | None, password: str) -> bool:
    """Whether `password` is the one of hash `stored`; takes as long when there is no hash (INV-36)."""
    async with _turns:
        return await asyncio.to_thread(_verify, stored, password)


def _hasher() -> PasswordHasher:
    from argon2 import PasswordHasher

    # Before the first block of that size, whose end would make the allocator keep the next.
    allocator.return_large_blocks()
    return PasswordHasher(time_cost=TIME_COST, memory_cost=MEMORY_KIB, parallelism=1)


def _hash(password: str) -> str:
    return _hasher().hash(unicodedata.normalize("NFC", password))


def _verify(stored: str | None, password: str) -> bool:
    from argon2.exceptions import InvalidHashError, VerificationError

    try:
        _hasher().verify(stored or _DUMMY, unicodedata.normalize("NFC", password))
    except (VerificationError, InvalidHashError):
        return False
    return stored is not None
