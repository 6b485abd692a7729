"""Values as people write them: in TOML, in an environment variable, and back again.

Which kinds of value there are follows from the types of the options in `fedcomm.settings`.
"""

from __future__ import annotations

import ipaddress
import json
import math
import re
from collections.abc import Mapping
from dataclasses import MISSING
from pathlib import Path
from typing import Any, Final, cast
from urllib.parse import urlsplit

import idna

from fedcomm.settings import Network

LABEL: Final = re.compile(r"(?!-)[a-z0-9-]{1,63}(?<!-)")
"""One label of a host name (RFC 1123 §2.1)."""


class Invalid(Exception):
    """A value that does not fit; the message says what would, as in "must be ..."."""


def from_toml(kind: Any, raw: Any) -> Any:
    """The value of type `kind` that a TOML value stands for; raises `Invalid`."""
    if kind is bool:
        if isinstance(raw, bool):
            return raw
        raise Invalid("true or false")
    if kind is int:
        if isinstance(raw, int) and not isinstance(raw, bool):
            return raw
        raise Invalid("a whole number")
    if kind is float:
        if isinstance(raw, int | float) and not isinstance(raw, bool) and math.isfinite(raw):
            return float(raw)
        raise Invalid("a number")
    if kind is str:
        return _string(raw)
    if kind is Path or kind == Path | None:
        return _path(kind, _string(raw))
    if kind == tuple[float, ...]:
        if not isinstance(raw, list) or not raw:
            raise Invalid("a list of numbers, as in [1, 5, 15]")
        return tuple(from_toml(float, item) for item in raw)
    if kind == tuple[Network, ...]:
        if not isinstance(raw, list):
            raise Invalid('a list of networks, as in ["127.0.0.1", "10.0.0.0/8"]')
        return tuple(_network(item) for item in raw)
    if kind == Mapping[str, str]:
        if not isinstance(raw, dict):
            raise Invalid('a table of names and addresses, as in {"hub.test" = "127.0.0.1"}')
        return {_string(name).lower(): _address(address) for name, address in raw.items()}
    raise AssertionError(f"no reader for options of type {kind}")


def from_text(kind: Any, raw: str) -> Any:
    """The same for an environment variable; lists are separated by commas."""
    text = raw.strip()
    if kind is bool:
        # Spelled out: "0", "no" or "off" as a true string would switch something on.
        return from_toml(bool, {"true": True, "false": False}.get(text.lower(), text))
    if kind is int or kind is float:
        return _number(kind, text)
    parts = [part.strip() for part in text.split(",") if part.strip()]
    if kind == tuple[float, ...]:
        return from_toml(kind, [_number(float, part) for part in parts])
    if kind == tuple[Network, ...]:
        return from_toml(kind, parts)
    if kind == Mapping[str, str]:
        pairs = [part.partition("=") for part in parts]
        return from_toml(kind, {name.strip(): address.strip() for name, _, address in pairs})
    return from_toml(kind, raw)


def _number(kind: type[int] | type[float], text: str) -> int | float:
    try:
        number = kind(text)
    except ValueError:
        raise Invalid("a whole number" if kind is int else "a number") from None
    return cast("int | float", from_toml(kind, number))


def _string(raw: Any) -> str:
    if not isinstance(raw, str):
        raise Invalid("text in quotes")
    if re.search(r"[\x00-\x08\x0b-\x1f\x7f]", raw):
        raise Invalid("text without control characters")
    return raw


def _path(kind: Any, text: str) -> Path | None:
    if text:
        return Path(text).expanduser()
    if kind is Path:
        raise Invalid("a path")
    return None


def _network(raw: Any) -> Network:
    try:
        return ipaddress.ip_network(_string(raw))
    except ValueError as error:
        raise Invalid(f"networks such as 127.0.0.1 or 10.0.0.0/8 ({error})") from None


def _address(raw: Any) -> str:
    try:
        return str(ipaddress.ip_address(_string(raw)))
    except ValueError as error:
        raise Invalid(f"IP addresses ({error})") from None


def to_toml(value: Any) -> str:
    """`value` as TOML; nothing (`MISSING`) becomes an empty text."""
    if value is MISSING:
        return ""
    if value is None:
        return '""'
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, tuple):
        return f"[{', '.join(map(to_toml, value))}]"
    if isinstance(value, dict):
        pairs = (f"{to_toml(name)} = {to_toml(content)}" for name, content in value.items())
        return f"{{{', '.join(pairs)}}}"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return f"{value:g}" if value.is_integer() else repr(value)
    # A JSON string is a TOML basic string, except that TOML wants DEL escaped too.
    return json.dumps(str(value), ensure_ascii=False).replace("\x7f", "\\u007f")


def normalize_origin(text: str) -> str:
    """`scheme://host[:port]` in lower case, as A-labels, without the default port (RFC 6454 §4)."""
    wanted = "an address such as https://hub.example, without path, user or query"
    # urlsplit drops tabs and newlines without a word, so they are refused before it.
    if re.search(r"[\s\\@?#]", text):
        raise Invalid(wanted)
    try:
        parts = urlsplit(text)
        host, port = parts.hostname, parts.port
    except ValueError:
        raise Invalid(wanted) from None
    if (
        parts.scheme not in ("http", "https")
        or not host
        or parts.path not in ("", "/")
        or port == 0
    ):
        raise Invalid(wanted)
    if not host.isascii():
        try:
            host = idna.encode(host, uts46=True).decode("ascii")
        except idna.IDNAError as error:
            raise Invalid(f"{wanted} ({error})") from None
    if ":" in host:
        host = f"[{host}]"
    elif not all(LABEL.fullmatch(label) for label in host.split(".")):
        raise Invalid(wanted)
    default = 443 if parts.scheme == "https" else 80
    suffix = "" if port in (None, default) else f":{port}"
    return f"{parts.scheme}://{host}{suffix}"


def check_database_url(text: str) -> str:
    """`text`, if it names a file of SQLite or a database of PostgreSQL."""
    if text.startswith("sqlite:///") and len(text) > len("sqlite:///"):
        if ":memory:" in text:
            raise Invalid("a file: a database in memory would not outlive its first connection")
        return text
    try:
        parts = urlsplit(text)
    except ValueError as error:
        raise Invalid(f"an address ({error})") from None
    if parts.scheme == "postgresql" and len(parts.path) > 1:
        return text
    raise Invalid("sqlite:///FILE or postgresql://USER:PASSWORD@HOST/NAME")
