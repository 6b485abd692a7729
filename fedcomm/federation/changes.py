"""What a received activity does to the hub, prepared outside and made inside one transaction."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from fedcomm.store.database import Transaction

Change = Callable[[Transaction], Awaitable[str]]
"""Applies a prepared activity; returns the verdict that the inbox row keeps."""


def nothing(verdict: str) -> Change:
    """A change that changes nothing."""

    async def change(tx: Transaction) -> str:
        return verdict

    return change
