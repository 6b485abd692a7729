"""Registrable domains: what one person can buy, under which they can make any number of host names (federation.md §8).

The public suffix list comes with the package `publicsuffixlist` and is read when the first name is asked for; it is
never fetched. Its private section counts: each name below `github.io` is a family of its own.
"""

from __future__ import annotations

from functools import cache, lru_cache
from ipaddress import ip_address
from typing import Final

from publicsuffixlist import PublicSuffixList

from fedcomm.store.database import Database

REMEMBERED: Final = 10_000
FILLED_AT_ONCE: Final = 500


@cache
def _list() -> PublicSuffixList:
    return PublicSuffixList()


@lru_cache(REMEMBERED)
def family(authority: str) -> str:
    """The registrable domain of a host (`host[:port]`, lower-case A-labels).

    An address, a single label and a public suffix are a family of their own, each port for itself: nobody can make
    more of them by writing into a zone.
    """
    name = authority.partition(":")[0] if not authority.startswith("[") else authority
    if _is_address(name):
        return authority
    return _list().privatesuffix(name) or authority


def _is_address(name: str) -> bool:
    try:
        ip_address(name.strip("[]").partition("]")[0])
    except ValueError:
        return False
    return True


async def fill(db: Database) -> int:
    """Note the family of hosts from before there were families; how many."""
    filled = 0
    while True:
        rows = await db.all(
            "SELECT id, name FROM hosts WHERE family IS NULL LIMIT ?", FILLED_AT_ONCE
        )
        if not rows:
            return filled
        async with db.queue_transaction() as tx:
            await tx.many(
                "UPDATE hosts SET family = ? WHERE id = ?",
                [(family(row["name"]), row["id"]) for row in rows],
            )
        filled += len(rows)
