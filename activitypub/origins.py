"""URLs and the origins behind them (INV-10; FEP-fe34).

Who may say what about whom is decided by origins, so there is one parser. It accepts less than a
browser does: what two parsers could read differently (user information, backslashes, control
characters, `127.1`, percent-encoded hosts) is no URL here.
"""

from __future__ import annotations

import ipaddress
import re
from functools import lru_cache
from typing import NamedTuple

import idna

MAX_URL_CHARS = 2048
"""Longest URL that is read, in bytes of UTF-8 (Mastodon's limit for ids, there in characters).

A path may hold any character, and an index of PostgreSQL takes 2,704 bytes at most."""

MAX_HOST_CHARS = 253
"""Longest host name (RFC 1035 §2.3.4), in A-label form."""

_REMEMBERED = 2048
"""URLs, and hosts, that are remembered as they were read: an activity names the same few again and again."""

_REMEMBERED_CHARS = 512
"""Longest URL that is remembered: whoever sends many long ones must not fill the memory with them."""

_DEFAULT_PORTS = {"https": 443, "http": 80}

_SPLIT = re.compile(
    r"(?P<scheme>https?)://(?P<host>\[[0-9A-Fa-f:.]+\]|[^/?#:@\[\]]+)(?::(?P<port>[0-9]{1,5}))?"
    r"(?P<rest>(?:[/?#].*)?)",
    re.IGNORECASE | re.DOTALL,
)
# Controls, white space, invisible format controls of direction, and the characters that would break
# out of a quoted header or attribute. RFC 3986 allows none of them in a URL.
_REFUSED = re.compile(
    r'[\x00-\x20\x7f-\xa0\\"<>\u1680\u2000-\u200a\u2028-\u202f\u205f\u2066-\u2069\u3000\ufeff]'
)
_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_HOST = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")
_NUMERIC_LABEL = re.compile(r"[0-9]+|0x[0-9a-f]*")


class _Parts(NamedTuple):
    scheme: str
    authority: str
    rest: str
    url: str
    """All of it in canonical form."""
    origin: str


def parse_url(text: object, *, allow_http: bool = False) -> str | None:
    """The canonical form of an absolute https URL, or None for anything else.

    Scheme and host in lower case, the host as A-labels, a default port left out; path, query and
    fragment exactly as they were, so that a URL in canonical form comes back unchanged
    (`https://h` and `https://h/` are different ids). With `allow_http`, http passes as well.
    """
    parts = _parts(text, allow_http)
    return None if parts is None else parts.url


def origin(url: object, *, allow_http: bool = False) -> str | None:
    """`https://host` or `https://host:port` of a URL (RFC 6454), or None if it is no URL."""
    parts = _parts(url, allow_http)
    return None if parts is None else parts.origin


def host(url: object, *, allow_http: bool = False) -> str | None:
    """`host` or `host:port` of a URL, lower case, A-labels, without a default port; or None."""
    parts = _parts(url, allow_http)
    return None if parts is None else parts.authority


def same_origin(a: object, b: object, *, allow_http: bool = False) -> bool:
    """Whether both are URLs and of one origin. Two non-URLs have no origin in common."""
    first = _parts(a, allow_http)
    if first is None:
        return False
    second = _parts(b, allow_http)
    return second is not None and first.origin == second.origin


def same_url(a: object, b: object, *, allow_http: bool = False) -> bool:
    """Whether both are URLs and equal in canonical form. Here `https://h` equals `https://h/`
    (RFC 3986 §6.2.3): HTTP cannot tell them apart."""
    first, second = _parts(a, allow_http), _parts(b, allow_http)
    if first is None or second is None:
        return False
    return first[:2] == second[:2] and _with_root(first.rest) == _with_root(second.rest)


def related_hosts(a: object, b: object, *, allow_http: bool = False) -> bool:
    """Whether both are URLs whose hosts are equal or one is a sub-domain of the other.

    For what is only an address to reach an actor by (a shared inbox, a profile page); never a proof
    of who speaks.
    """
    first, second = _parts(a, allow_http), _parts(b, allow_http)
    if first is None or second is None or first.scheme != second.scheme:
        return False
    if first.authority == second.authority:
        return True
    short, long = sorted((_name(first), _name(second)), key=len)
    # A dot is wanted so that a top-level domain is nobody's parent; a number is no parent either.
    return "." in short and not short[-1].isdigit() and long.endswith(f".{short}")


def _with_root(rest: str) -> str:
    return rest if rest.startswith("/") else f"/{rest}"


def _name(parts: _Parts) -> str:
    if parts.authority.startswith("["):
        return ""
    return parts.authority.partition(":")[0]


def _parts(text: object, allow_http: bool) -> _Parts | None:
    if not isinstance(text, str) or len(text) > MAX_URL_CHARS:
        return None
    # Long ones would fill the memory with what hardly comes twice.
    parts = _split(text) if len(text) <= _REMEMBERED_CHARS else _split.__wrapped__(text)
    if parts is None or not (allow_http or parts.scheme == "https"):
        return None
    return parts


@lru_cache(maxsize=_REMEMBERED)
def _split(text: str) -> _Parts | None:
    if not text.isascii() and len(text.encode("utf-8", "surrogatepass")) > MAX_URL_CHARS:
        return None
    if _REFUSED.search(text):
        return None
    match = _SPLIT.fullmatch(text)
    if match is None:
        return None
    scheme = match["scheme"].lower()
    short = len(match["host"]) <= _REMEMBERED_CHARS
    read = _canonical_authority if short else _canonical_authority.__wrapped__
    authority = read(scheme, match["host"], match["port"])
    if authority is None:
        return None
    source = f"{scheme}://{authority}"
    url = source + match["rest"]
    if type(text) is str and url == text:
        # Nearly always it is canonical already: then one text is kept, not two.
        url = text
    return _Parts(scheme, authority, match["rest"], url, source)


@lru_cache(maxsize=_REMEMBERED)
def _canonical_authority(scheme: str, name: str, digits: str | None) -> str | None:
    found = _canonical_host(name)
    if found is None or digits is None:
        return found
    port = int(digits)
    if not 0 < port < 65536 or digits.startswith("0"):
        return None
    return found if port == _DEFAULT_PORTS[scheme] else f"{found}:{port}"


def _canonical_host(name: str) -> str | None:
    if name.startswith("["):
        try:
            return f"[{ipaddress.IPv6Address(name[1:-1]).compressed}]"
        except ValueError:
            return None
    if not name.isascii():
        try:
            name = idna.encode(name, uts46=True, std3_rules=True).decode("ascii")
        except (idna.IDNAError, UnicodeError, ValueError, IndexError):
            return None
    name = name.lower()
    if len(name) > MAX_HOST_CHARS or not _HOST.fullmatch(name):
        return None
    # A last label that is a number makes an IPv4 address in some parsers: only the plain form.
    if _NUMERIC_LABEL.fullmatch(name.rpartition(".")[2]):
        try:
            return str(ipaddress.IPv4Address(name))
        except ValueError:
            return None
    return name
