"""How many new host names one registrable domain may bring (federation.md §8: ten an hour).

Whoever owns a domain can make any number of names below it, each with keys and people of its own. Before anything is
fetched from a name that is not known yet, it is counted here; more than allowed come again later.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from typing import Final

from activitypub.failures import FetchError
from fedcomm.hub import domains
from fedcomm.store.database import Database
from fedcomm.store.ids import now_ms

HOUR_S: Final = 3600.0

FETCHES_PER_FAMILY: Final = 4
"""Keys of one registrable domain that are fetched at the same time; more are answered 503."""

REMEMBERED: Final = 10_000
"""Host names, and families, that a process remembers; the oldest go first (INV-45)."""


class Newcomers:
    """The count of this process; what is known already stands in `hosts`."""

    def __init__(self, db: Database, most: int) -> None:
        """`most`: new names of one registrable domain within an hour; 0: any number."""
        self._db = db
        self._most = most
        self._known: OrderedDict[str, None] = OrderedDict()
        self._new: OrderedDict[str, dict[str, float]] = OrderedDict()
        self._fetching: dict[str, int] = {}

    async def admit(self, authority: str) -> None:
        """Raises FetchError (`busy`) if too many names of its family are new."""
        if not self._most or authority in self._known:
            return
        family = domains.family(authority)
        # The domain itself is one, however many names there are below it.
        if authority.partition(":")[0] == family or await self._is_known(authority):
            self._remember(authority)
            return
        names = await self._names(family)
        if authority in names:
            return
        if len(names) >= self._most:
            raise FetchError("busy", host=authority)
        names[authority] = time.monotonic()

    async def _is_known(self, authority: str) -> bool:
        found = await self._db.value("SELECT 1 FROM hosts WHERE name = ?", authority)
        return found is not None

    async def _names(self, family: str) -> dict[str, float]:
        """The new names of this hour, those included that were noted before this process began."""
        now = time.monotonic()
        names = self._new.get(family)
        if names is None:
            names = {
                row["name"]: now - (now_ms() - row["first_seen_at"]) / 1000
                for row in await self._db.all(
                    "SELECT name, first_seen_at FROM hosts WHERE family = ? AND first_seen_at > ?"
                    " ORDER BY first_seen_at DESC LIMIT ?",
                    family,
                    now_ms() - int(HOUR_S * 1000),
                    self._most,
                )
            }
            names.pop(family, None)
            # Another request may have looked meanwhile.
            names = self._new.setdefault(family, names)
            while len(self._new) > REMEMBERED:
                self._new.popitem(last=False)
        for name in [name for name, since in names.items() if now - since > HOUR_S]:
            del names[name]
        return names

    def _remember(self, authority: str) -> None:
        self._known[authority] = None
        while len(self._known) > REMEMBERED:
            self._known.popitem(last=False)

    def begin_fetch(self, authority: str) -> str:
        """Count a fetch; what `end_fetch` wants to be given. Raises FetchError (`busy`)."""
        family = domains.family(authority)
        if self._fetching.get(family, 0) >= FETCHES_PER_FAMILY:
            raise FetchError("busy", host=authority)
        self._fetching[family] = self._fetching.get(family, 0) + 1
        return family

    def end_fetch(self, family: str) -> None:
        """It has ended, however it did."""
        left = self._fetching.get(family, 1) - 1
        if left > 0:
            self._fetching[family] = left
        else:
            self._fetching.pop(family, None)
