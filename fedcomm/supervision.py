"""Keeps workers at work: one that ends by an error that nobody caught is started again, and the log says so.

A task that dies in silence is the worst of failures: everything looks well, and one queue stands still until somebody
restarts the server (INV-47).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, Final

log = logging.getLogger("fedcomm")

AGAIN_S: Final = 1.0
"""How long after its end a worker is started again."""


def start(name: str, run: Callable[[], Coroutine[Any, Any, None]]) -> asyncio.Task[None]:
    """Run the worker until it is cancelled, or done."""
    return asyncio.create_task(_keep(name, run), name=name)


async def _keep(name: str, run: Callable[[], Coroutine[Any, Any, None]]) -> None:
    while True:
        try:
            await run()
        except Exception:
            log.exception("%s ended unexpectedly, and is started again", name)
        else:
            return
        await asyncio.sleep(AGAIN_S)


@contextmanager
def apart(log: logging.Logger, what: str, *expected: type[Exception]) -> Iterator[None]:
    """One step of a round: what fails in it holds up nothing behind it, and comes again with the next round.

    `expected` errors are said in one line, others with where they came from.
    """
    try:
        yield
    except expected as error:
        log.error("%s: %s", what, error)
    except Exception:
        log.exception("%s", what)
