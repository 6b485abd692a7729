"""Who is asking: verifies the signature of a request and says whose it is (INV-1 to INV-4).

One parser, one answer: everything behind it gets the verified signer as a value.
"""

from __future__ import annotations

import time

from aiohttp import web

from activitypub.accessors import Refused
from activitypub.failures import FetchError
from activitypub.keys import InvalidKey
from activitypub.origins import host as host_of
from activitypub.signatures import Claim, Request, SignatureRefused, inspect, verify
from fedcomm.federation.directory import Directory, KnownKey
from fedcomm.hub.policies import Level, PolicyBook
from fedcomm.hub.visibility import ANONYMOUS, Viewer, remote, remote_host
from fedcomm.store.database import Database
from fedcomm.store.ids import now_ms

KEY_MAY_BE_OLD_MS = 300_000
"""A key that is younger than this is not fetched again because a signature does not fit."""


class Turned(Exception):
    """The request is turned away with this HTTP status; `reason` is for the log and the metrics.

    `retry_after`: seconds after which it may come again, where that is known."""

    def __init__(
        self, status: int, reason: str, message: str = "", *, retry_after: int | None = None
    ) -> None:
        super().__init__(message or reason)
        self.status = status
        self.reason = reason
        self.retry_after = retry_after


class Visitors:
    """Verifies signed requests."""

    def __init__(
        self,
        db: Database,
        directory: Directory,
        book: PolicyBook,
        origin: str,
        *,
        allow_http: bool,
        window_seconds: int,
    ) -> None:
        self._db = db
        self._directory = directory
        self._origin = origin
        self._http = allow_http
        self._window = window_seconds
        self._book = book

    def claim(self, request: web.Request, body: bytes) -> Claim:
        """What the request says of its signer; all checks that need no key. Raises SignatureRefused."""
        target = request.raw_path
        return inspect(
            Request(
                request.method,
                target,
                self._origin + target,
                tuple(request.headers.items()),
                body,
            ),
            now=int(time.time()),
            window=self._window,
        )

    async def admit(self, claim: Claim) -> Level:
        """The level of the host that claims to have signed; raises Turned (401, 403).

        Before anything is verified or fetched: a suspended host costs nothing.
        """
        authority = host_of(claim.key_id, allow_http=self._http)
        if authority is None:
            raise Turned(401, "key-id")
        level = await self.policy(authority)
        if level == "suspend":
            raise Turned(403, "suspended", "This hub does not federate with your server.")
        return level

    async def signer(self, claim: Claim) -> KnownKey:
        """The owner of the key that made the signature. Raises Turned (401, 403 or 503)."""
        await self.admit(claim)
        return await self.holder(claim)

    async def holder(self, claim: Claim) -> KnownKey:
        """The same for a claim that was admitted. Raises Turned (401 or 503)."""
        try:
            known = await self._directory.key(claim.key_id)
            if not verify(claim, known.key):
                known = await self._again(claim, known)
        except Refused as error:
            raise Turned(401, error.reason) from error
        except InvalidKey as error:
            raise Turned(401, "bad-key") from error
        except FetchError as error:
            # 503 asks an honest peer to come again; what we do not want to fetch stays 401.
            status = 401 if error.permanent or error.reason in ("refused", "id_mismatch") else 503
            raise Turned(status, f"key-{error.reason}") from error
        return known

    async def _again(self, claim: Claim, known: KnownKey) -> KnownKey:
        """The key may have changed: fetched once more, then the signature fits or is refused (§3.7)."""
        if now_ms() - known.fetched_at > KEY_MAY_BE_OLD_MS:
            fresh = await self._directory.refetch_key(claim.key_id)
            if fresh is not None and verify(claim, fresh.key):
                return fresh
        raise Turned(401, "signature", "The signature does not fit the key.")

    async def viewer(self, request: web.Request) -> tuple[Viewer, KnownKey | None]:
        """Who fetches: nobody known when there is no signature. Raises Turned for a bad one."""
        if "Signature" not in request.headers:
            return ANONYMOUS, None
        try:
            claim = self.claim(request, b"")
        except SignatureRefused as error:
            raise Turned(401, error.reason, error.message) from error
        known = await self.signer(claim)
        if known.actor_kind == "application":
            return remote_host(known.host_id), known
        return remote(known.actor_id, known.host_id), known

    async def policy(self, authority: str) -> Level:
        """The level of a host (`host[:port]`), from memory."""
        return (await self._book.policy(authority)).level
