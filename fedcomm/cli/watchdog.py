"""Ends connections that never finish asking (security.md §4): aiohttp itself waits for ever for the
header of a request that comes drop by drop.

A new connection has `HEADER_SECONDS` to send its first whole header; one that had an answer may stay
for `IDLE_SECONDS`, as reverse proxies keep connections for later.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Handler
from aiohttp.web_protocol import RequestHandler

HEADER_SECONDS: Final = 10.0
IDLE_SECONDS: Final = 75.0
LOOK_SECONDS: Final = 1.0
"""How often the connections are looked at."""


class Watchdog:
    """Watches the connections of one runner. `attach` before its set-up, `watch` while it serves."""

    def __init__(
        self, *, header_seconds: float = HEADER_SECONDS, idle_seconds: float = IDLE_SECONDS
    ) -> None:
        self._header_seconds = header_seconds
        self._idle_seconds = idle_seconds
        # When a connection has to be done with its next header; None while a request is worked on.
        self._deadlines: dict[RequestHandler, float | None] = {}

    def attach(self, app: web.Application) -> None:
        """Learn from every request of `app` that its header has come."""

        @web.middleware
        async def header_has_come(request: web.Request, handler: Handler) -> web.StreamResponse:
            connection = request.protocol
            self._deadlines[connection] = None
            try:
                return await handler(request)
            finally:
                self._deadlines[connection] = _now() + self._idle_seconds

        app.middlewares.insert(0, header_has_come)

    @contextlib.asynccontextmanager
    async def watch(self, runner: web.BaseRunner) -> AsyncIterator[None]:
        """End what takes too long, for as long as the block lasts."""
        task = asyncio.create_task(self._look(runner))
        try:
            yield
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    async def _look(self, runner: web.BaseRunner) -> None:
        while True:
            await asyncio.sleep(min(LOOK_SECONDS, self._header_seconds / 4))
            server = runner.server
            live = list(server.connections) if server is not None else []
            for gone in self._deadlines.keys() - set(live):
                del self._deadlines[gone]
            for connection in live:
                deadline = self._deadlines.setdefault(connection, _now() + self._header_seconds)
                if deadline is not None and deadline < _now():
                    connection.force_close()


def _now() -> float:
    return asyncio.get_running_loop().time()
