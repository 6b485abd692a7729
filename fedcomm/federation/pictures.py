"""Fetches the pictures of other servers' emoji, in the background and within bounds.

Nobody waits for them: a text shows the shortcode until its picture is here. Each fetch goes through
the one client (INV-22), each picture through the image worker (INV-33); a host whose media are
rejected, and a picture that was purged, gives nothing. How often a host is asked is bounded for the
host that names the pictures and for the host that has them, since anybody may name any address.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import OrderedDict
from pathlib import Path
from typing import Final

from activitypub.client import Client
from activitypub.failures import FetchError
from activitypub.origins import host as host_of
from fedcomm.hub import emoji, purged
from fedcomm.hub.images import EMOJI, ImageRefused, process_image
from fedcomm.hub.policies import PolicyBook
from fedcomm.hub.space import Space
from fedcomm.store.database import Database

log = logging.getLogger("fedcomm.federation")

LOOK_S: Final = 5.0
"""How often is looked for pictures to fetch, when nobody says that there are new ones."""

AT_ONCE: Final = 4
PER_HOST_HOUR: Final = 240
"""Pictures that one host may name, and that are asked of one host, in an hour."""

COUNT_S: Final = 10.0
"""How often is counted how much room they take."""

HOSTS_COUNTED: Final = 10_000
ACCEPT: Final = "image/webp, image/png, image/gif, image/jpeg"
TYPES: Final = frozenset(
    {"image/webp", "image/png", "image/apng", "image/gif", "image/jpeg", "application/octet-stream"}
)
"""What an answer may call itself; what it is, its first bytes say."""

_PASSING: Final = frozenset({"timeout", "connect", "tls", "status"})


class Pictures:
    """The task that fetches. `wake` tells it that something new was noted."""

    def __init__(
        self, db: Database, client: Client, book: PolicyBook, folder: Path, *, allow_http: bool
    ) -> None:
        self._db = db
        self._client = client
        self._book = book
        self._folder = folder
        self._http = allow_http
        self._awake = asyncio.Event()
        self._spent: OrderedDict[str, tuple[float, float]] = OrderedDict()
        self.space: Space | None = None
        self.budget = 0
        """Bytes that the pictures of others may take together; 0: no limit."""
        self._taken = (float("-inf"), 0)

    def wake(self) -> None:
        """There may be something to fetch."""
        self._awake.set()

    async def run(self) -> None:
        """Fetch what is due until cancelled."""
        while True:
            self._awake.clear()
            try:
                while await self.fetch_due():
                    pass
            except Exception:
                log.exception("pictures")
            try:
                await asyncio.wait_for(self._awake.wait(), LOOK_S)
            except TimeoutError:
                continue

    async def fetch_due(self) -> int:
        """Fetch some of what is due; how many were tried. None while the disk is nearly full, or pictures of others
        take as much of it as they may."""
        if self.space is not None and self.space.is_short():
            return 0
        if self.budget and await self._bytes_taken() >= self.budget:
            return 0
        claimed = await emoji.claim(self._db)
        turns = asyncio.Semaphore(AT_ONCE)

        async def one(known: emoji.Emoji, named_by: str) -> None:
            async with turns:
                await self._fetch(known, named_by)

        await asyncio.gather(*(one(known, host) for known, host in claimed))
        return len(claimed)

    async def _fetch(self, known: emoji.Emoji, named_by: str) -> None:
        url = known.url or ""
        asked = host_of(url, allow_http=self._http)
        if asked is None or not await self._is_welcome(named_by, asked):
            await emoji.put_off(self._db, known.id, for_good=True)
            return
        if not (self._may_spend(named_by) and (asked == named_by or self._may_spend(asked))):
            await emoji.put_off(self._db, known.id)
            return
        try:
            self._client.negative.check(asked, url)
            response = await self._client.get(url, accept=ACCEPT, max_bytes=EMOJI.bytes)
            if not response.ok:
                raise FetchError("status", host=asked, status=response.status)
            if response.content_type not in TYPES:
                raise FetchError("content_type", host=asked)
        except FetchError as error:
            self._client.negative.remember(asked, url, error)
            hopeless = error.permanent or error.reason not in _PASSING
            await emoji.put_off(self._db, known.id, for_good=hopeless)
            return
        if await purged.is_blocked(self._db, response.body):
            await emoji.put_off(self._db, known.id, for_good=True)
            return
        try:
            image = await process_image(response.body, self._folder, limits=EMOJI)
        except ImageRefused:
            await emoji.put_off(self._db, known.id, for_good=True)
            return
        emoji.remove_files(self._folder, await emoji.keep_picture(self._db, known, image))

    async def _bytes_taken(self) -> int:
        """What the pictures of others take, as it was a moment ago."""
        now = time.monotonic()
        if now - self._taken[0] > COUNT_S:
            self._taken = (now, await emoji.bytes_of_others(self._db))
        return self._taken[1]

    async def _is_welcome(self, named_by: str, asked: str) -> bool:
        policy = await self._book.policy(named_by)
        if policy.reject_media or policy.level == "suspend":
            return False
        there = policy if asked == named_by else await self._book.policy(asked)
        return there.level != "suspend" and not there.reject_media

    def _may_spend(self, host: str) -> bool:
        """Count a fetch for this host, if it has not had its hourly measure."""
        now = time.monotonic()
        used, at = self._spent.get(host, (0.0, now))
        used = max(0.0, used - (now - at) * PER_HOST_HOUR / 3600)
        allowed = used + 1 <= PER_HOST_HOUR
        self._spent[host] = (used + 1 if allowed else used, now)
        self._spent.move_to_end(host)
        while len(self._spent) > HOSTS_COUNTED:
            self._spent.popitem(last=False)
        return allowed
