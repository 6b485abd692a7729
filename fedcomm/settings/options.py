"""How an option is declared: its default, and what else is known of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network
from typing import Final, TypeVar

Network = IPv4Network | IPv6Network

KIB: Final = 1024
MIB: Final = 1024 * KIB
GIB: Final = 1024 * MIB

LOCALES: Final = ("en", "it")
"""Languages that the pages are translated into."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class About:
    """What is known of an option besides its name, type and default.

    `low` and `high` are inclusive and hold for each item of a list. `secret` values are never
    repeated in a message.
    """

    help: str
    unit: str = ""
    low: float = 0
    high: float = float("inf")
    choices: tuple[str, ...] = ()
    secret: bool = False


def option(
    default: T,
    help: str,
    unit: str = "",
    *,
    low: float = 0,
    high: float = float("inf"),
    choices: tuple[str, ...] = (),
    secret: bool = False,
) -> T:
    """An option with its default; what it says of itself is as in `About`."""
    about = About(help, unit, low, high, choices, secret)
    return field(default=default, repr=not secret, metadata={"about": about})
