"""How fetching fails, how long failures are remembered, and how much one trigger may fetch."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from email.utils import parsedate_to_datetime

NEGATIVE_SECONDS = 300.0
"""A failure that may pass is not tried again for this long (INV-25)."""

NEGATIVE_GONE_SECONDS = 3600.0
"""The same for 404 and 410."""

NEGATIVE_ENTRIES = 10_000

FETCHES_PER_TRIGGER = 30
"""security.md §4: fetches caused by one inbound activity."""

RETRY_AFTER_LEAST = 60
RETRY_AFTER_MOST = 86_400
"""Bounds put on a peer's Retry-After, in seconds (security.md §12)."""

GONE = frozenset({404, 410})

_FINAL = frozenset({"refused", "id_mismatch", "content_type", "json"})


class FetchError(Exception):
    """An outbound exchange that gave nothing usable.

    reason, one of:
      `refused`       our policy forbids the URL or the address
      `timeout`       the deadline passed
      `connect`       no connection, an unknown name, or the connection broke
      `tls`           the certificate or the handshake is bad
      `status`        the answer is not a success; see `status`
      `redirects`     too many, without a target, or a redirect of a POST
      `too_large`     more than the byte limit, counted after decompression
      `encoding`      unknown or broken compression, or text that is not UTF-8
      `content_type`  not a type that was asked for
      `json`          not acceptable JSON, or not an object
      `id_mismatch`   the document does not live where it claims to (INV-5)
      `budget`        the trigger has used up its fetches (INV-24)
    status: HTTP status where there was one.
    retry_after: seconds that the peer asks to wait, clamped.
    host_down: the host as a whole did not answer, so other URLs on it will fail as well.
    remembered: not tried now, because it failed a short while ago.
    host: where it failed (after redirects), without path, fit for a log.
    """

    def __init__(
        self,
        reason: str,
        *,
        host: str | None = None,
        status: int | None = None,
        retry_after: int | None = None,
        host_down: bool = False,
        remembered: bool = False,
    ) -> None:
        what = reason if status is None else f"{reason} {status}"
        super().__init__(f"fetch failed: {what}" + (f" ({host})" if host else ""))
        self.reason = reason
        self.host = host
        self.status = status
        self.retry_after = retry_after
        self.host_down = host_down
        self.remembered = remembered

    @property
    def permanent(self) -> bool:
        """The peer says that the document does not exist (404) or no longer exists (410)."""
        return self.reason == "status" and self.status in GONE

    @property
    def final(self) -> bool:
        """Nothing usable is there, and asking again would not change that."""
        return self.permanent or self.reason in _FINAL

    def again(self) -> FetchError:
        """The same failure, told from memory."""
        return FetchError(
            self.reason,
            host=self.host,
            status=self.status,
            retry_after=self.retry_after,
            host_down=self.host_down,
            remembered=True,
        )


class FetchBudget:
    """How many documents one trigger (an inbound activity, a search) may still fetch (INV-24).

    overdrawn: whether more was asked for than there was.
    """

    def __init__(self, limit: int = FETCHES_PER_TRIGGER) -> None:
        self.left = limit
        self.overdrawn = False

    def spend(self) -> None:
        """Counts one fetch. Raises FetchError `budget` when nothing is left."""
        if self.left <= 0:
            self.overdrawn = True
            raise FetchError("budget")
        self.left -= 1


class NegativeCache:
    """Remembers what failed, so that inbound junk cannot be turned into outbound traffic (INV-25).

    Bounded: the entry used least recently goes first. Kept in memory only; a restart forgets.
    ttl_seconds: for failures that may pass. gone_seconds: for 404 and 410. A longer Retry-After of
    the peer wins over both.
    """

    def __init__(
        self,
        ttl_seconds: float = NEGATIVE_SECONDS,
        *,
        gone_seconds: float = NEGATIVE_GONE_SECONDS,
        max_entries: int = NEGATIVE_ENTRIES,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._ttl = ttl_seconds
        self._gone = gone_seconds
        self._max_entries = max_entries
        self._clock = clock
        # Key None stands for the whole host.
        self._entries: OrderedDict[tuple[str, Hashable], tuple[float, FetchError]] = OrderedDict()
        self._by_host: dict[str, set[Hashable]] = {}

    def __len__(self) -> int:
        return len(self._entries)

    def check(self, host: str, key: Hashable) -> None:
        """Raises the remembered FetchError for this host or for this key on it."""
        for entry in ((host, None), (host, key)):
            known = self._entries.get(entry)
            if known is None:
                continue
            expires, error = known
            if expires <= self._clock():
                self._drop(entry)
                continue
            self._entries.move_to_end(entry)
            raise error.again()

    def remember(self, host: str, key: Hashable, error: FetchError) -> None:
        """Notes a failure; the whole host when it did not answer at all."""
        if error.reason == "budget" or error.remembered:
            return
        # A redirect may have led elsewhere: only the host that failed is down.
        down = error.host_down and error.host in (None, host)
        entry = (host, None if down else key)
        seconds = max(self._gone if error.permanent else self._ttl, error.retry_after or 0)
        self._entries[entry] = (self._clock() + seconds, error.again())
        self._entries.move_to_end(entry)
        self._by_host.setdefault(host, set()).add(entry[1])
        while len(self._entries) > self._max_entries:
            self._drop(next(iter(self._entries)))

    def forget(self, host: str) -> None:
        """Drops everything about a host, for instance when it has just spoken to us."""
        for key in tuple(self._by_host.get(host, ())):
            self._drop((host, key))

    def _drop(self, entry: tuple[str, Hashable]) -> None:
        del self._entries[entry]
        host, key = entry
        keys = self._by_host[host]
        keys.discard(key)
        if not keys:
            del self._by_host[host]


def retry_after_seconds(header: str | None, now: float) -> int | None:
    """Seconds to wait by a Retry-After header (RFC 9110 §10.2.3), clamped to 60 s … 24 h.

    now: Unix seconds, for the form with a date. None when the header is absent or means nothing.
    """
    text = (header or "").strip()
    if text.isascii() and text.isdigit():
        # The length check keeps int() away from a number of a thousand digits.
        seconds = int(text) if len(text) <= 9 else RETRY_AFTER_MOST
    else:
        try:
            seconds = int(parsedate_to_datetime(text).timestamp() - now)
        except (ValueError, TypeError, OverflowError, IndexError):
            return None
    return min(max(seconds, RETRY_AFTER_LEAST), RETRY_AFTER_MOST)
