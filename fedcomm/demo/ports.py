"""Ports of this computer on which the demonstration can listen."""

from __future__ import annotations

import errno
import socket
from collections.abc import Collection
from typing import Final

TRIES: Final = 200
"""Ports that are looked at after the wanted one."""

_LOOPBACK: Final = ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1"))


class NoFreePort(Exception):
    """Every port that was looked at is taken."""


def is_free(port: int) -> bool:
    """Whether nobody listens on `port` of `localhost`, by IPv4 or IPv6: a browser may try either."""
    for family, address in _LOOPBACK:
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            # What was closed a moment ago does not count as taken.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((address, port))
            except OSError as error:
                if error.errno in (errno.EADDRINUSE, errno.EACCES):
                    return False
                # No IPv6 here: then nobody listens on it either.
    return True


def choose(wanted: int, reserved: Collection[int] = ()) -> int:
    """`wanted`, or the next port above it that is free and not `reserved`. Raises NoFreePort."""
    for port in range(wanted, min(wanted + TRIES, 65_536)):
        if port not in reserved and is_free(port):
            return port
    raise NoFreePort(f"every port from {wanted} on is taken.")
