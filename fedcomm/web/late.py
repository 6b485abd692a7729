"""Pages that are imported when they are first asked for, with the template engine and all that only they need.

What a page of the administration needs stays out of the memory of a hub where nobody administers, and out of the time
that it takes to start.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from importlib import import_module

from aiohttp import web

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class LatePages:
    """A module `fedcomm.web.<name>`: its attributes are handlers that import it when they are first called."""

    def __init__(self, name: str) -> None:
        self._module = f"{__package__}.{name}"

    def __getattr__(self, name: str) -> Handler:
        async def handler(request: web.Request) -> web.StreamResponse:
            return await resolve(handler)(request)

        handler.__module__, handler.__name__ = self._module, name
        return handler


def resolve(handler: Handler) -> Handler:
    """The function that a handler of `LatePages` calls; raises AttributeError if the module has none of this name."""
    found: Handler = getattr(import_module(handler.__module__), handler.__name__)
    return found
