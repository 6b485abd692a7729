"""Whether a page that a profile links to links back with `rel="me"`: then both belong to the same person.

Only what we have looked at ourselves is marked, of members here and of people whom a member follows: nobody else can
make the hub fetch pages. Each link is looked at again from time to time, and what no longer links back loses its mark.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from html.parser import HTMLParser
from typing import Final
from urllib.parse import urldefrag

from activitypub.client import Client
from activitypub.failures import FetchError
from activitypub.origins import parse_url
from fedcomm.federation.addresses import Addresses
from fedcomm.hub import actors, profiles
from fedcomm.store.database import Database, DatabaseUnavailable

log = logging.getLogger("fedcomm.federation")

EVERY_S: Final = 60.0
AT_ONCE: Final = 5
"""Links that one round looks at: this is never urgent."""

HTML_TYPES: Final = frozenset({"text/html", "application/xhtml+xml"})
LINKS: Final = 500
"""Links of one page that are looked at."""


class _Links(HTMLParser):
    """The addresses in a page that say `rel="me"`."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.mine: set[str] = set()
        self._seen = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in ("a", "link") or self._seen >= LINKS:
            return
        self._seen += 1
        said = {name: value or "" for name, value in attrs}
        if "me" in said.get("rel", "").lower().split():
            self.mine.add(_canonical(said.get("href", "")))


def links_back(page: str, addresses: set[str]) -> bool:
    """Whether the page names one of these profile addresses as its own."""
    parser = _Links()
    # So ends a declaration that is none (`<![ x`): what stands before it counts, and the next page is looked at.
    with suppress(AssertionError):
        parser.feed(page)
    return not parser.mine.isdisjoint(_canonical(address) for address in addresses)


async def run(db: Database, client: Client, addresses: Addresses, *, allow_http: bool) -> None:
    """Look at links until cancelled."""
    while True:
        try:
            await check(db, client, addresses, allow_http=allow_http)
        except DatabaseUnavailable as error:
            log.error("links of profiles: the database is away: %s", error)
        except Exception:
            log.exception("links of profiles")
        await asyncio.sleep(EVERY_S)


async def check(db: Database, client: Client, addresses: Addresses, *, allow_http: bool) -> int:
    """Look at the next links; how many there were."""
    found = await profiles.due_for_check(db, AT_ONCE)
    for link in found:
        actor = await actors.actor(db, link.actor_id)
        verified = False
        url = parse_url(link.url, allow_http=allow_http)
        if actor is not None and url is not None and not addresses.is_ours(url):
            shown = actor.url if actor.uri is not None else addresses.page(actor)
            own = {address for address in (shown, addresses.actor(actor)) if address}
            try:
                page = await client.get_text(urldefrag(url)[0], "text/html", HTML_TYPES)
                # A page of a megabyte takes longer than the loop may be held (INV-26).
                verified = await asyncio.to_thread(links_back, page, own)
            except FetchError as error:
                log.info("link of a profile not verified: %s", error)
        async with db.transaction() as tx:
            await profiles.note_check(tx, link, verified=verified)
    return len(found)


def _canonical(address: str) -> str:
    return address.strip().rstrip("/")
