"""Asks a server of ours on this machine whether it is well: one line out, one line back, on its own socket.

Not an HTTP client and not for anybody else: what goes out to the network goes through `activitypub.client` (INV-22).
"""

from __future__ import annotations

import socket
import ssl
from pathlib import Path

STATUS_LINE_BYTES = 64


class NotAHub(Exception):
    """Something listens there, but it does not answer as a hub."""


def health_status(
    host: str,
    port: int,
    *,
    name: str = "localhost",
    unix_socket: Path | None = None,
    tls: bool = False,
    seconds: float = 5.0,
) -> int:
    """The status of `GET /health` where a server listens, whatever its certificate says.

    `name` is the host that it is asked for. Raises OSError when nobody answers, NotAHub.
    """
    if unix_socket is not None:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.settimeout(seconds)
        connection.connect(str(unix_socket))
    else:
        reachable = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104
        connection = socket.create_connection((reachable, port), timeout=seconds)
    with connection:
        if tls:
            unchecked = ssl._create_unverified_context()  # noqa: S323  # our own, on this machine
            with unchecked.wrap_socket(
                connection, server_hostname=name.partition(":")[0]
            ) as sealed:
                return _ask(sealed, name)
        return _ask(connection, name)


def _ask(connection: socket.socket, name: str) -> int:
    request = f"GET /health HTTP/1.1\r\nHost: {name}\r\nConnection: close\r\n\r\n"
    connection.sendall(request.encode("ascii"))
    answer = b""
    while b"\r\n" not in answer and len(answer) < STATUS_LINE_BYTES:
        chunk = connection.recv(STATUS_LINE_BYTES)
        if not chunk:
            break
        answer += chunk
    parts = answer.split(b" ", 2)
    if len(parts) < 2 or not parts[0].startswith(b"HTTP/1.") or not parts[1][:3].isdigit():
        raise NotAHub("what it says is no HTTP")
    return int(parts[1][:3])
