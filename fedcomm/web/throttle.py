"""How often people may do things: counted per route, account and network, in fixed windows.

The rules are data, keyed on the normalised route (INV-39); a test walks them against the router.
Counts are kept in memory, bounded, and forgotten at a restart: they slow guessing down, they are no
record of anybody.
"""

from __future__ import annotations

import time
from asyncio import sleep
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal

from fedcomm.settings import Rates

Limit = Literal[
    "login_per_prefix_5min",
    "login_per_account_hour",
    "posts_per_member_5min",
    "uploads_per_30min",
    "lookups_per_5min",
    "passwords_per_hour",
    "reactions_per_5min",
    "copies_per_day",
]

WINDOWS: Final[dict[Limit, int]] = {
    "login_per_prefix_5min": 300,
    "login_per_account_hour": 3600,
    "posts_per_member_5min": 300,
    "uploads_per_30min": 1800,
    "lookups_per_5min": 300,
    "passwords_per_hour": 3600,
    "reactions_per_5min": 300,
    "copies_per_day": 86_400,
}
"""Seconds of each limit's window."""

LOOKUPS_PER_5MIN: Final = 30
"""Requests of one member, or of one network, that make this server ask another one, or read all that it has of them."""

PASSWORDS_PER_HOUR: Final = 10
"""Forms of one member that are sent with their password, each of which checks it."""

REACTIONS_PER_5MIN: Final = 300
"""Likes, votes, follows, memberships and the like of one member: more is a program."""

COPIES_PER_DAY: Final = 5
"""Files with everything about a member that are made for them: each is as large as all their files, and kept a week."""

MAX_KEYS: Final = 50_000
"""Counters that are kept; the oldest go first."""

SLOWEST_SECONDS: Final = 5.0
"""The longest that an answer to a much-tried account is held back."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One route's limit. `by`: the network prefix, the signed-in member, the account that is named
    in the form, or each file of an upload."""

    method: str
    route: str
    by: Literal["prefix", "member", "account", "file"]
    limit: Limit


RULES: Final = (
    Rule("POST", "/login", "prefix", "login_per_prefix_5min"),
    Rule("POST", "/login", "account", "login_per_account_hour"),
    Rule("POST", "/appeal", "prefix", "login_per_prefix_5min"),
    Rule("POST", "/appeal", "account", "login_per_account_hour"),
    Rule("POST", "/g/{name}/new", "member", "posts_per_member_5min"),
    Rule("POST", "/o/{id}/reply", "member", "posts_per_member_5min"),
    Rule("POST", "/o/{id}/edit", "member", "posts_per_member_5min"),
    Rule("POST", "/o/{id}/delete", "member", "posts_per_member_5min"),
    Rule("POST", "/groups/new", "member", "posts_per_member_5min"),
    Rule("POST", "/settings/profile", "member", "posts_per_member_5min"),
    Rule("POST", "/g/{name}/manage", "member", "posts_per_member_5min"),
    Rule("POST", "/g/{name}/new", "file", "uploads_per_30min"),
    Rule("POST", "/o/{id}/reply", "file", "uploads_per_30min"),
    Rule("POST", "/o/{id}/edit", "file", "uploads_per_30min"),
    Rule("POST", "/settings/profile", "file", "uploads_per_30min"),
    Rule("POST", "/settings/bring/archive", "file", "uploads_per_30min"),
    Rule("POST", "/settings/bring/list", "file", "uploads_per_30min"),
    Rule("GET", "/settings/take/{file}", "member", "lookups_per_5min"),
    Rule("GET", "/g/{name}/take/{file}", "member", "lookups_per_5min"),
    Rule("GET", "/settings/data/reach.csv", "member", "lookups_per_5min"),
    Rule("GET", "/settings/data/reach.json", "member", "lookups_per_5min"),
    Rule("POST", "/g/{name}/manage", "file", "uploads_per_30min"),
    Rule("POST", "/settings/data/copy", "member", "copies_per_day"),
    Rule("POST", "/settings/password", "member", "passwords_per_hour"),
    Rule("POST", "/settings/data/erase", "member", "passwords_per_hour"),
    Rule("POST", "/g/{name}/life/close", "member", "passwords_per_hour"),
    Rule("POST", "/following", "member", "lookups_per_5min"),
    Rule("POST", "/search/fetch", "member", "lookups_per_5min"),
    Rule("POST", "/interact", "member", "lookups_per_5min"),
    Rule("POST", "/settings/aliases", "member", "lookups_per_5min"),
    Rule("POST", "/settings/move", "member", "lookups_per_5min"),
    Rule("POST", "/g/{name}/life/move", "member", "lookups_per_5min"),
    Rule("POST", "/follow-from/{kind}/{name}", "prefix", "lookups_per_5min"),
    Rule("POST", "/o/{id}/like", "member", "reactions_per_5min"),
    Rule("POST", "/o/{id}/vote", "member", "reactions_per_5min"),
    Rule("POST", "/o/{id}/attend", "member", "reactions_per_5min"),
    Rule("POST", "/o/{id}/unquote", "member", "reactions_per_5min"),
    Rule("POST", "/people/{id}/avoid", "member", "reactions_per_5min"),
    Rule("POST", "/settings/servers", "member", "reactions_per_5min"),
    Rule("POST", "/settings/data/consent/{spoke}", "member", "reactions_per_5min"),
    Rule("POST", "/following/{id}", "member", "reactions_per_5min"),
    Rule("POST", "/followers/{id}", "member", "reactions_per_5min"),
    Rule("POST", "/g/{name}/membership", "member", "reactions_per_5min"),
    Rule("POST", "/g/{name}/members", "member", "reactions_per_5min"),
)


def rules_of(method: str, route: str) -> tuple[Rule, ...]:
    """The rules of a normalised route."""
    return _BY_ROUTE.get((method, route), ())


_BY_ROUTE: Final[dict[tuple[str, str], tuple[Rule, ...]]] = {
    (rule.method, rule.route): tuple(
        other for other in RULES if (other.method, other.route) == (rule.method, rule.route)
    )
    for rule in RULES
}


class Throttle:
    """Counters of this process."""

    def __init__(self, rates: Rates, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._counters: OrderedDict[tuple[Limit, str], tuple[int, int]] = OrderedDict()
        self._most: dict[Limit, int] = {
            "login_per_prefix_5min": rates.login_per_prefix_5min,
            "login_per_account_hour": rates.login_per_account_hour,
            "posts_per_member_5min": rates.posts_per_member_5min,
            "uploads_per_30min": rates.uploads_per_30min,
            "lookups_per_5min": LOOKUPS_PER_5MIN,
            "passwords_per_hour": PASSWORDS_PER_HOUR,
            "reactions_per_5min": REACTIONS_PER_5MIN,
            "copies_per_day": COPIES_PER_DAY,
        }

    def most(self, limit: Limit) -> int:
        """How much one window allows."""
        return self._most[limit]

    def spend(self, limit: Limit, key: str, amount: int = 1) -> int:
        """Count `amount` for `key`; 0 if the window allows it, else the seconds until it ends."""
        window, used, left = self._look(limit, key)
        used += amount
        self._counters[limit, key] = (window, used)
        self._counters.move_to_end((limit, key))
        while len(self._counters) > MAX_KEYS:
            self._counters.popitem(last=False)
        return left if used > self._most[limit] else 0

    def excess(self, limit: Limit, key: str) -> int:
        """By how much `key` is over the limit of this window already; 0 or less: it is not."""
        return self._look(limit, key)[1] - self._most[limit]

    async def log_in_of(self, name: str) -> str:
        """Count a log-in as `name`; the answer to an account that was tried too often is held back: delayed rather than
        locked, so that nobody can lock somebody else out by guessing. What the account is counted as, for `forgive`."""
        account = name.lower().removeprefix("@")[:254]
        self.spend("login_per_account_hour", account)
        excess = self.excess("login_per_account_hour", account)
        if excess > 0:
            await sleep(min(SLOWEST_SECONDS, 0.5 * excess))
        return account

    def forgive(self, limit: Limit, key: str) -> None:
        """Forget what was counted for `key`: the right person was there after all."""
        self._counters.pop((limit, key), None)

    def _look(self, limit: Limit, key: str) -> tuple[int, int, int]:
        """(number of the window, what is used of it, seconds until it ends)."""
        length = WINDOWS[limit]
        now = self._clock()
        window = int(now // length)
        known = self._counters.get((limit, key))
        used = known[1] if known is not None and known[0] == window else 0
        return window, used, int((window + 1) * length - now) + 1
