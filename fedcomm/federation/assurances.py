"""Whether a server may have what a member of ours said in a private group of another server (federation.md §4.10).

Only that group knows who is in it. It is asked as Lemmy asks: `followers?is_follower=<who fetches>`, answered by its
status. What it said is remembered for a while, so that fetches cannot be turned into questions (INV-25).
"""

from __future__ import annotations

import time
from collections import OrderedDict
from typing import Final
from urllib.parse import quote

from activitypub.client import Client
from activitypub.failures import FetchError
from activitypub.origins import same_origin
from activitypub.vocabulary import CONTENT_TYPE
from fedcomm.federation.keyring import Keyring
from fedcomm.hub import actors
from fedcomm.store.database import Database

REMEMBERED_S: Final = 300.0
"""How long an answer holds: a member who left is served this much longer at most."""

ANSWERS: Final = 10_000

MOST_BYTES: Final = 65_536


class Assurances:
    """Asks private groups of other servers who belongs to them."""

    def __init__(self, db: Database, client: Client, keyring: Keyring, *, allow_http: bool) -> None:
        self._db = db
        self._client = client
        self._keyring = keyring
        self._http = allow_http
        self._known: OrderedDict[tuple[int, int], tuple[float, bool]] = OrderedDict()

    async def admits(self, community_id: int, who: str, host_id: int) -> bool:
        """Whether the group says that the server of the actor `who` (on `host_id`) has a member in it."""
        now = time.monotonic()
        at, answer = self._known.get((community_id, host_id), (-REMEMBERED_S, False))
        if now - at < REMEMBERED_S:
            return answer
        self._known[community_id, host_id] = (now, False)
        while len(self._known) > ANSWERS:
            self._known.popitem(last=False)
        answer = await self._ask(community_id, who)
        self._known[community_id, host_id] = (now, answer)
        return answer

    async def _ask(self, community_id: int, who: str) -> bool:
        community = await actors.actor(self._db, community_id)
        if community is None or community.followers_uri is None or community.deleted_at is not None:
            return False
        if not same_origin(community.followers_uri, community.uri, allow_http=self._http):
            return False
        mark = "&" if "?" in community.followers_uri else "?"
        url = f"{community.followers_uri}{mark}is_follower={quote(who, safe='')}"
        try:
            signer = await self._keyring.instance_signer()
            response = await self._client.get(
                url, accept=CONTENT_TYPE, signer=signer, max_bytes=MOST_BYTES
            )
        except FetchError:
            return False
        return response.ok
