"""HTTP signatures of draft-cavage-http-signatures-12, as the fediverse practises them.

Only form lives here: writing the headers of a signed request, reading a ``Signature`` header, and
building the signing string. What a *trustworthy* signature must cover is decided in one place,
:mod:`activitypub.signatures`.
"""

from __future__ import annotations

import binascii
import calendar
import re
import time
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import formatdate
from functools import lru_cache
from typing import Final
from urllib.parse import urlsplit

from activitypub.digests import digest_header
from activitypub.keys import PrivateKey

SIGNATURE_CHARS_MAX: Final = 8192
"""Longest ``Signature`` header that is read, in characters (RSA-4096 needs about 1,000)."""

COVERED_MAX: Final = 64
"""Most headers that one signature may list."""

_PARAMETER: Final = re.compile(
    r"[ \t]*([A-Za-z][A-Za-z0-9_-]{0,31})[ \t]*=[ \t]*"
    r'(?:"([^"\r\n]*)"|([0-9]{1,15}))[ \t]*(,|\Z)'
)
_HEADER_NAME: Final = re.compile(
    r"\(request-target\)|\(created\)|\(expires\)|[!#$%&'*+.^_`|~0-9a-z-]+"
)
_INTEGER: Final = re.compile(r"[0-9]{1,15}\Z", re.ASCII)
_HTTP_DATE: Final = re.compile(
    r"(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun), (\d{1,2}) "
    r"(Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) (\d{4}) (\d\d):(\d\d):(\d\d) GMT\Z",
    re.ASCII,
)
_MONTHS: Final = {
    name: number
    for number, name in enumerate(
        ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"), 1
    )
}
_ALGORITHM_SENT: Final = {"rsa-sha256": "rsa-sha256", "ed25519": "hs2019"}


class MalformedSignature(ValueError):
    """The header is not a signature that can be read without guessing."""


@dataclass(frozen=True, slots=True)
class CavageSignature:
    """One parsed ``Signature`` header.

    `headers` are lower-case, in signing order; `algorithm` is lower-case, or None when absent;
    `created` and `expires` are Unix seconds, or None.
    """

    key_id: str
    algorithm: str | None
    headers: tuple[str, ...]
    signature: bytes
    created: int | None
    expires: int | None


def sign(
    method: str,
    url: str,
    body: bytes | None,
    key: PrivateKey,
    key_id: str,
    *,
    date: int | None = None,
    headers: Mapping[str, str] | None = None,
) -> dict[str, str]:
    """Sign a request; return ``Host``, ``Date``, ``Digest`` (with a body) and ``Signature``.

    `url` is absolute and already encoded: send its path and query byte for byte as given. `body`
    is None for a request without digest; ``b""`` makes the digest of the empty body (Lemmy's
    private communities want it on GET). `date` is in Unix seconds, now by default. `headers` are
    further headers to cover; they are not repeated in the answer.

    Order and spelling follow the strictest peers: keyId first, no spaces (NodeBB), the algorithm
    present (PieFed).
    """
    target, host = target_and_host(url)
    fields = {
        "host": host,
        "date": http_date(int(time.time()) if date is None else date),
    }
    answer = {"Host": fields["host"], "Date": fields["date"]}
    if body is not None:
        answer["Digest"] = fields["digest"] = digest_header(body)
    for name, value in (headers or {}).items():
        fields[name.lower()] = value
    covered = ("(request-target)", *fields)
    message = signing_string(covered, method=method, target=target, fields=fields)
    signature = b64encode(key.sign(message)).decode("ascii")
    answer["Signature"] = (
        f'keyId="{key_id}",algorithm="{_ALGORITHM_SENT[key.algorithm]}",'
        f'headers="{" ".join(covered)}",signature="{signature}"'
    )
    return answer


def parse(header: str) -> CavageSignature:
    """Read one ``Signature`` header.

    Spaces around names, values and commas are tolerated, integers may be quoted or bare. Unknown
    parameters are passed over. Raises :class:`MalformedSignature` for repeated parameters, repeated
    or no covered headers, a missing keyId or signature, and broken base64.
    """
    if len(header) > SIGNATURE_CHARS_MAX:
        raise MalformedSignature("The Signature header is too long.")
    parameters = _parameters(header)
    key_id = parameters.get("keyid")
    if not key_id:
        raise MalformedSignature("The Signature header names no keyId.")
    covered = _covered(parameters.get("headers", "date"))
    algorithm = parameters.get("algorithm")
    return CavageSignature(
        key_id=key_id,
        algorithm=algorithm.lower() if algorithm is not None else None,
        headers=covered,
        signature=decode_base64(parameters.get("signature", "")),
        created=_integer(parameters.get("created")),
        expires=_integer(parameters.get("expires")),
    )


def signing_string(
    covered: tuple[str, ...],
    *,
    method: str,
    target: str,
    fields: Mapping[str, str],
    created: int | None = None,
    expires: int | None = None,
) -> bytes:
    """Build the bytes that are signed (draft §2.3).

    `fields` maps lower-case names to values. Raises :class:`MalformedSignature` when a covered
    header is absent or a value holds a line break, which could forge another line.
    """
    lines = []
    for name in covered:
        value: str | int | None
        if name == "(request-target)":
            value = f"{method.lower()} {target}"
        elif name == "(created)":
            value = created
        elif name == "(expires)":
            value = expires
        else:
            value = fields.get(name)
            value = value.strip(" \t") if value is not None else None
        if value is None:
            raise MalformedSignature(f"The signature covers {name}, which the request lacks.")
        lines.append(f"{name}: {value}")
    text = "\n".join(lines)
    return encode_lines(text, len(covered))


def encode_lines(text: str, lines: int) -> bytes:
    """Encode a text that must have exactly so many lines; header bytes that are no UTF-8 survive.

    Raises :class:`MalformedSignature` when a value smuggled in a line break.
    """
    if text.count("\n") != lines - 1 or "\r" in text:
        raise MalformedSignature("A covered value holds a line break.")
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError as error:
        raise MalformedSignature("A covered value is no text.") from error


def target_and_host(url: str) -> tuple[str, str]:
    """Split an absolute URL into request target (path and query) and ``Host`` value.

    The host keeps its port unless that is the scheme's default; a fragment is dropped.
    """
    parts = urlsplit(url)
    host = (parts.hostname or "").lower()
    if ":" in host:
        host = f"[{host}]"
    port = parts.port
    if port is not None and port != {"https": 443, "http": 80}.get(parts.scheme):
        host = f"{host}:{port}"
    path = parts.path or "/"
    return (f"{path}?{parts.query}" if parts.query else path), host


def http_date(seconds: int) -> str:
    """Write Unix seconds as an IMF-fixdate (RFC 9110 §5.6.7)."""
    return formatdate(seconds, usegmt=True)


@lru_cache(maxsize=64)
def parse_http_date(text: str) -> int:
    """Read an IMF-fixdate into Unix seconds. Raises :class:`MalformedSignature`."""
    # Remembered: what is signed within a second bears the same date.
    found = _HTTP_DATE.match(text)
    if found is None:
        raise MalformedSignature("The Date header is not a date of the form HTTP prescribes.")
    day, month, year, hour, minute, second = found.groups()
    if not (1 <= int(day) <= 31 and int(hour) < 24 and int(minute) < 60 and int(second) <= 60):
        raise MalformedSignature("The Date header names a moment that does not exist.")
    if int(year) < 1970:
        raise MalformedSignature("The Date header is before the epoch.")
    return calendar.timegm(
        (int(year), _MONTHS[month], int(day), int(hour), int(minute), int(second))
    )


def decode_base64(text: str) -> bytes:
    """Decode strict base64 with padding, not empty. Raises :class:`MalformedSignature`."""
    try:
        data = binascii.a2b_base64(text)
    except ValueError as error:
        raise MalformedSignature("The signature is not base64.") from error
    if not data:
        raise MalformedSignature("The signature is missing or empty.")
    # One signature, one text: the decoder alone passes over foreign characters.
    if binascii.b2a_base64(data, newline=False).decode("ascii") != text:
        raise MalformedSignature("The signature is not canonical base64.")
    return data


@lru_cache(maxsize=64)
def _covered(text: str) -> tuple[str, ...]:
    # Remembered: each peer's software lists the same few headers in each request.
    covered = tuple(text.lower().split())
    if not covered or len(covered) > COVERED_MAX:
        raise MalformedSignature("The Signature header covers no header, or too many.")
    if len(set(covered)) != len(covered):
        raise MalformedSignature("The Signature header covers a header twice.")
    if not all(_HEADER_NAME.fullmatch(name) for name in covered):
        raise MalformedSignature("The Signature header covers something that is no header.")
    return covered


def _parameters(header: str) -> dict[str, str]:
    parameters: dict[str, str] = {}
    position = 0
    while True:
        found = _PARAMETER.match(header, position)
        if found is None:
            raise MalformedSignature("The Signature header is not a list of parameters.")
        name, quoted, bare, end = found.groups()
        name = name.lower()
        # A second keyId, or a second headers list, would let two readers see two signers (INV-4).
        if name in parameters:
            raise MalformedSignature(f"The Signature header repeats {name}.")
        parameters[name] = quoted if quoted is not None else bare
        if not end:
            return parameters
        position = found.end()


def _integer(text: str | None) -> int | None:
    if text is None:
        return None
    if not _INTEGER.match(text):
        raise MalformedSignature("created and expires are whole seconds.")
    return int(text)
