"""The one verifier of signed requests (INV-1, INV-4).

A request is read once, by :func:`inspect`, into a :class:`Claim`: who says to have signed it, and
the exact bytes that were signed. Everything that needs no key is checked there. The claim is then
passed on as a value; with the key that its `key_id` leads to, :func:`verify` decides.

Two styles are understood: draft-cavage-12 and RFC 9421. If ``Signature-Input`` is present the
request is RFC 9421 and nothing else. What a signature has to cover is the same in spirit for both:
method and path, host, a time, and the digest of the body.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Literal

from activitypub import cavage, message_signatures
from activitypub.digests import check_content_digest, check_digest
from activitypub.keys import Algorithm, PublicKey

WINDOW_S: Final = 3600
"""How far the time of a signature may lie in the past or in the future, in seconds, the skew of
clocks included. An ``expires`` shortens it and is exact, as both specifications demand."""

ACCEPT_SIGNATURE: Final = (
    'sig1=("@method" "@target-uri" "content-digest");created;keyid;alg="rsa-v1_5-sha256"'
)
"""Value of ``Accept-Signature`` in a 401 to a POST (federation reference §3.4 rule 5)."""

ACCEPT_SIGNATURE_GET: Final = 'sig1=("@method" "@target-uri");created;keyid;alg="rsa-v1_5-sha256"'
"""The same for a GET, which has no body to digest."""

KEY_FRAGMENTS: Final = ("#main-key", "#ed25519-key")
"""The fragments of the ids of our keys (federation reference §0.2 rule 4): for requests, for proofs."""

KEY_ID_CHARS_MAX: Final = 2048
"""Longest key id, in characters."""

Style = Literal["cavage", "rfc9421"]

Reason = Literal[
    "missing",  # no signature at all
    "malformed",  # the headers cannot be read without guessing
    "duplicate",  # a header that must be single came twice
    "key-id",  # the key id is no http(s) URL
    "algorithm",  # an algorithm that is not verified here
    "component",  # covers a component that is not rebuilt here
    "uncovered",  # something that has to be signed is not
    "host",  # addressed to another host
    "time",  # outside the window
    "expired",  # past its own expiry
    "digest",  # the digest is missing or does not fit the body
]

# Headers that decide, and that a proxy or a peer never sends twice for an honest reason.
_SINGLE: Final = frozenset(
    {
        "content-digest",
        "content-length",
        "content-type",
        "date",
        "digest",
        "host",
        "signature",
        "signature-input",
    }
)

_CAVAGE_ALGORITHMS: Final[dict[str | None, Algorithm | None]] = {
    None: None,
    "hs2019": None,
    "rsa-sha256": "rsa-sha256",
    "ed25519": "ed25519",
    "ed25519-sha512": "ed25519",
}
_MESSAGE_ALGORITHMS: Final[dict[str | None, Algorithm | None]] = {
    None: None,
    "rsa-v1_5-sha256": "rsa-sha256",
    "ed25519": "ed25519",
}

# An http(s) URL of printable ASCII with a host and without userinfo or backslash (INV-10).
_KEY_ID: Final = re.compile(
    r"https?://[A-Za-z0-9._~%:\[\]-]+(?:[/?#][\x21\x23-\x5b\x5d-\x7e]*)?\Z", re.ASCII
)
_METHOD: Final = re.compile(r"[A-Z]{1,16}\Z", re.ASCII)


class SignatureRefused(Exception):
    """The request does not carry a signature worth checking against a key.

    `reason` is one of :data:`Reason`, for metrics and the choice of the answer; the message is for
    the log and for the developer of the peer, and holds nothing of the request but names.
    """

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(message)
        self.reason: Reason = reason
        self.message = message


@dataclass(frozen=True, slots=True)
class Request:
    """A request as it came over the wire.

    `method` is upper-case; `target` is path and query as received; `url` is the absolute URL of the
    configured origin and the target, never of the Host header (INV-29); `headers` are all header
    lines in order; `body` is raw, before any decoding.
    """

    method: str
    target: str
    url: str
    headers: Sequence[tuple[str, str]]
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class Claim:
    """What a request claims about its signer: checked in all that needs no key.

    `key_algorithm` is the algorithm that the signer named, or None where the key decides.
    `messages` are the byte strings of which one has to be what was signed. `signed_at` is in Unix
    seconds. `covered` are the covered headers or components, in order.
    """

    style: Style
    key_id: str
    key_algorithm: Algorithm | None
    signature: bytes
    messages: tuple[bytes, ...]
    signed_at: int
    covered: tuple[str, ...]


def inspect(request: Request, *, now: int, window: int = WINDOW_S) -> Claim:
    """Read the signature of a request and check all that needs no key. `now` is in Unix seconds,
    `window` in seconds.

    Raises :class:`SignatureRefused`, never anything else, whatever the headers hold.
    """
    fields = _fields(request)
    # What is verified as @target-uri and what is answered must be one and the same resource.
    origin = request.url.removesuffix(request.target)
    if not request.target.startswith("/") or origin.count("/") != 2 or origin == request.url:
        raise SignatureRefused("malformed", "The request target is not a path on this server.")
    if not _METHOD.match(request.method):
        raise SignatureRefused("malformed", "The request method is not known.")
    try:
        # One style, never the other as a second chance: else a stripped header would downgrade.
        if "signature-input" in fields:
            return _inspect_message(request, fields, now, window)
        if "signature" in fields:
            return _inspect_cavage(request, fields, now, window)
    except message_signatures.UnsupportedComponent as error:
        raise SignatureRefused("component", str(error)) from error
    except cavage.MalformedSignature as error:
        raise SignatureRefused("malformed", str(error)) from error
    raise SignatureRefused("missing", "The request is not signed.")


def verify(claim: Claim, key: PublicKey) -> bool:
    """Tell whether the key made the claim's signature.

    False when the signer named another algorithm than the key's: what a key is for is decided by
    the key, never by the request.
    """
    if claim.key_algorithm is not None and claim.key_algorithm != key.algorithm:
        return False
    return any(key.verify(claim.signature, message) for message in claim.messages)


def _inspect_cavage(request: Request, fields: dict[str, str], now: int, window: int) -> Claim:
    parsed = cavage.parse(fields["signature"])
    _check_key_id(parsed.key_id)
    if parsed.algorithm not in _CAVAGE_ALGORITHMS:
        raise SignatureRefused("algorithm", "The algorithm is not one that is verified here.")
    covered = frozenset(parsed.headers)
    _require(covered, "(request-target)", "host")
    _check_host(request, fields)

    signed_at = None
    if "(created)" in covered:
        # Draft §2.3: an error beside the older algorithm names. Only hs2019 knows the parameter.
        if parsed.algorithm not in (None, "hs2019"):
            raise SignatureRefused("malformed", "(created) is only for the algorithm hs2019.")
        if parsed.created is not None:
            signed_at = parsed.created
            _check_window(signed_at, now, window)
    if "date" in covered and "date" in fields:
        signed_at = cavage.parse_http_date(fields["date"].strip(" \t"))
        _check_window(signed_at, now, window)
    if signed_at is None:
        raise SignatureRefused("uncovered", "The signature covers no time: date or (created).")
    _check_expiry(parsed.expires, now)

    if _has_body(request):
        _require(covered, "digest")
    _check_digests(request, fields, covered)

    targets = [request.target]
    path, question, _ = request.target.partition("?")
    if question:
        # PieFed and Discourse sign the path alone; Mastodon tries with, then without the query.
        targets.append(path)
    return Claim(
        style="cavage",
        key_id=parsed.key_id,
        key_algorithm=_CAVAGE_ALGORITHMS[parsed.algorithm],
        signature=parsed.signature,
        messages=tuple(
            cavage.signing_string(
                parsed.headers,
                method=request.method,
                target=target,
                fields=fields,
                created=parsed.created,
                expires=parsed.expires,
            )
            for target in targets
        ),
        signed_at=signed_at,
        covered=parsed.headers,
    )


def _inspect_message(request: Request, fields: dict[str, str], now: int, window: int) -> Claim:
    if "signature" not in fields:
        raise SignatureRefused("malformed", "Signature-Input comes without Signature.")
    parsed = message_signatures.parse(fields["signature-input"], fields["signature"])
    if parsed.key_id is None:
        raise SignatureRefused("key-id", "The signature names no key.")
    _check_key_id(parsed.key_id)
    if parsed.algorithm not in _MESSAGE_ALGORITHMS:
        raise SignatureRefused("algorithm", "The algorithm is not one that is verified here.")
    covered = frozenset(parsed.components)
    _require(covered, "@method")
    if "@target-uri" not in covered:
        _require(covered, "@authority")
        if "@request-target" not in covered:
            # Authority and path without the query would let the query be changed.
            _require(covered, "@path", *(["@query"] if "?" in request.target else []))
    _check_host(request, fields)

    if parsed.created is None:
        raise SignatureRefused("uncovered", "The signature has no time of creation.")
    _check_window(parsed.created, now, window)
    if "date" in covered and "date" in fields:
        _check_window(cavage.parse_http_date(fields["date"].strip(" \t")), now, window)
    _check_expiry(parsed.expires, now)

    if _has_body(request):
        _require(covered, "content-digest")
    _check_digests(request, fields, covered)

    urls = [request.url]
    if "@target-uri" in covered and not _has_body(request):
        # Fedify (2.3) fetches a key by its id and signs the fragment, which never travels, as well.
        # Refused, it would give up RFC 9421 towards us for good.
        urls += [request.url + fragment for fragment in KEY_FRAGMENTS]
    return Claim(
        style="rfc9421",
        key_id=parsed.key_id,
        key_algorithm=_MESSAGE_ALGORITHMS[parsed.algorithm],
        signature=parsed.signature,
        messages=tuple(
            message_signatures.signature_base(
                parsed.components,
                parsed.parameters,
                method=request.method,
                url=url,
                target=request.target,
                fields=fields,
            )
            for url in urls
        ),
        signed_at=parsed.created,
        covered=parsed.components,
    )


def _fields(request: Request) -> dict[str, str]:
    fields: dict[str, str] = {}
    for name, value in request.headers:
        name = name.lower()
        if name not in fields:
            fields[name] = value
        elif name in _SINGLE:
            raise SignatureRefused("duplicate", f"The header {name} came more than once.")
        else:
            # Several lines of one field are one list (RFC 9110 §5.3), so they are signed as one.
            fields[name] = f"{fields[name].strip()}, {value.strip()}"
    return fields


def _has_body(request: Request) -> bool:
    return bool(request.body) or request.method in ("POST", "PUT", "PATCH")


def _require(covered: frozenset[str], *names: str) -> None:
    for name in names:
        if name not in covered:
            raise SignatureRefused("uncovered", f"The signature does not cover {name}.")


def _check_key_id(key_id: str) -> None:
    # acct: names of accounts are a legacy of Mastodon alone, and no URL to ask for the key.
    if len(key_id) > KEY_ID_CHARS_MAX or not _KEY_ID.match(key_id):
        raise SignatureRefused("key-id", "The key id is not an http(s) URL.")


def _check_host(request: Request, fields: dict[str, str]) -> None:
    scheme = request.url.partition(":")[0]
    received = fields.get("host", "").strip(" \t").lower()
    received = received.removesuffix({"https": ":443", "http": ":80"}.get(scheme, ":"))
    # Its own name is what stands before the target: see `inspect`.
    expected = _authority(request.url.removesuffix(request.target))
    if not expected or received != expected:
        raise SignatureRefused("host", "The request is addressed to another host.")


@lru_cache(maxsize=8)
def _authority(origin: str) -> str:
    """The ``Host`` of requests to our own origin, empty if there is none."""
    try:
        return cavage.target_and_host(origin)[1]
    except ValueError:
        return ""


def _check_window(moment: int, now: int, window: int) -> None:
    if not -window <= now - moment <= window:
        raise SignatureRefused("time", "The time of the signature is too far from ours.")


def _check_expiry(expires: int | None, now: int) -> None:
    if expires is not None and expires < now:
        raise SignatureRefused("expired", "The signature has expired.")


def _check_digests(request: Request, fields: dict[str, str], covered: frozenset[str]) -> None:
    for name, fits in (("digest", check_digest), ("content-digest", check_content_digest)):
        if name not in covered:
            continue
        value = fields.get(name)
        if value is None or not fits(value.strip(" \t"), request.body):
            raise SignatureRefused("digest", f"The header {name} does not fit the body.")
