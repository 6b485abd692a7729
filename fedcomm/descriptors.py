"""How many files and connections the process may have open."""

from __future__ import annotations

import resource
from typing import Final

ENOUGH: Final = 65_536


def limit() -> int:
    """How many the process may have open now."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return ENOUGH if soft == resource.RLIM_INFINITY else soft


def raise_limit() -> int:
    """Have `ENOUGH`, or as many as the system lets the process take; how many those are.

    Linux gives 1,024 at first, for programs that cannot handle more, and leaves it to the others to ask.
    """
    now, most = limit(), resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    wanted = ENOUGH if most == resource.RLIM_INFINITY else min(ENOUGH, most)
    if wanted > now:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, most))
        except (OSError, ValueError):  # macOS names a limit that it does not grant.
            return now
    return max(now, wanted)
