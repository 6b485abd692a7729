"""What a received activity does to the hub, prepared outside and made inside one transaction."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from fedcomm.store.database import Transaction

Change = Callable[[Transaction], Awaitable[str]]
"""Applies a prepared activity; returns the verdict that the inbox row keeps."""


Look = Callable[[Transaction], Awaitable[None]]
"""Reads what a change will read, ahead of it and together with others; what it raises the change will raise."""


@dataclass(frozen=True, slots=True)
class Foreseen:
    """A change of which it is known what it will read."""

    change: Change
    look: Look

    async def __call__(self, tx: Transaction) -> str:
        return await self.change(tx)


def nothing(verdict: str) -> Change:
    """A change that changes nothing."""

    async def change(tx: Transaction) -> str:
        return verdict

    return change
