"""HTTP Message Signatures (RFC 9421), in the profile that the fediverse uses.

Only form lives here: writing the headers of a signed request, reading one ``Signature-Input`` with
its ``Signature``, and building the signature base. What a *trustworthy* signature must cover is
decided in one place, :mod:`activitypub.signatures`.

Structured fields (RFC 8941) are read as far as the profile needs: one dictionary member, an inner
list of plain strings, parameters of integers, strings, tokens, booleans or byte sequences.
Components with parameters (``;bs``, ``;key``, ``;req``, ``;sf``, ``;tr``) are refused.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from activitypub.cavage import MalformedSignature, decode_base64, encode_lines, target_and_host
from activitypub.digests import content_digest_header
from activitypub.keys import PrivateKey

FIELD_CHARS_MAX: Final = 8192
"""Longest ``Signature-Input`` or ``Signature`` that is read, in characters."""

COMPONENTS_MAX: Final = 64
"""Most components that one signature may cover."""

PARAMETERS_MAX: Final = 16
"""Most parameters of one signature; RFC 9421 registers six."""

LABEL: Final = "sig1"
"""Label of the signatures that we make."""

DERIVED: Final = frozenset(
    {
        "@method",
        "@target-uri",
        "@authority",
        "@scheme",
        "@path",
        "@query",
        "@request-target",
    }
)
"""Derived components that are rebuilt (RFC 9421 §2.2); a signature over others is refused."""

ALGORITHM_NAMES: Final = {"rsa-sha256": "rsa-v1_5-sha256", "ed25519": "ed25519"}
"""Our names of algorithms, and those registered by RFC 9421 §6.2."""

_KEY: Final = r"[a-z*][a-z0-9_.*-]{0,63}"
_STRING: Final = r'"(?:[\x20\x21\x23-\x5b\x5d-\x7e]|\\["\\])*"'
_INPUT_START: Final = re.compile(rf"[ \t]*({_KEY})=\([ ]*")
_COMPONENT: Final = re.compile(rf"({_STRING})([ ]+|(?=\))|(?=;))")
_PARAMETER: Final = re.compile(
    rf";[ ]*({_KEY})(?:=(?:({_STRING})|(-?[0-9]{{1,15}})(?![0-9.])|(\?[01])"
    r"|(:[A-Za-z0-9+/]*={0,2}:)|([A-Za-z*][!#$%&'*+.^_`|~:/0-9A-Za-z-]*)))?"
)
_SIGNATURE: Final = re.compile(rf"[ \t]*({_KEY})=:([A-Za-z0-9+/]*={{0,2}}):[ \t]*\Z")
_FIELD_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9a-z-]+")


class UnsupportedComponent(MalformedSignature):
    """The signature covers something that is not rebuilt here."""


@dataclass(frozen=True, slots=True)
class MessageSignature:
    """One parsed signature of RFC 9421.

    `components` are the covered names in order; `parameters` is the serialised inner list with its
    parameters, the value of ``@signature-params``; `created` and `expires` are Unix seconds.
    """

    label: str
    components: tuple[str, ...]
    parameters: str
    signature: bytes
    key_id: str | None
    algorithm: str | None
    created: int | None
    expires: int | None
    nonce: str | None
    tag: str | None


def sign(
    method: str,
    url: str,
    body: bytes | None,
    key: PrivateKey,
    key_id: str,
    created: int,
    *,
    headers: Mapping[str, str] | None = None,
    expires: int | None = None,
    nonce: str | None = None,
    tag: str | None = None,
) -> dict[str, str]:
    """Sign a request; return ``Host``, ``Content-Digest`` (with a body), ``Signature-Input`` and
    ``Signature``.

    `url` is absolute and already encoded: send its path and query byte for byte as given. `body`
    is None for a request without digest. `created` and `expires` are Unix seconds. `headers` are
    further headers to cover; they are not repeated in the answer. Never send this style and
    draft-cavage in one request (federation reference §3.3).
    """
    target, host = target_and_host(url)
    fields = {name.lower(): value for name, value in (headers or {}).items()}
    answer = {"Host": host}
    components = ["@method", "@target-uri"]
    if body is not None:
        answer["Content-Digest"] = fields["content-digest"] = content_digest_header(body)
        components.append("content-digest")
    components += [name for name in fields if name not in components]
    parameters = f"({' '.join(map(_quote, components))});created={created}"
    if expires is not None:
        parameters += f";expires={expires}"
    parameters += f";keyid={_quote(key_id)};alg={_quote(ALGORITHM_NAMES[key.algorithm])}"
    if nonce is not None:
        parameters += f";nonce={_quote(nonce)}"
    if tag is not None:
        parameters += f";tag={_quote(tag)}"
    base = signature_base(
        tuple(components),
        parameters,
        method=method,
        url=f"{urlsplit(url).scheme}://{host}{target}",
        target=target,
        fields=fields,
    )
    answer["Signature-Input"] = f"{LABEL}={parameters}"
    answer["Signature"] = f"{LABEL}=:{b64encode(key.sign(base)).decode('ascii')}:"
    return answer


def parse(signature_input: str, signature: str) -> MessageSignature:
    """Read ``Signature-Input`` and ``Signature``, which must hold exactly one signature, the same.

    Raises :class:`MalformedSignature` for several signatures, differing labels, repeated
    components or parameters and broken syntax; :class:`UnsupportedComponent` for components that
    carry parameters or are not rebuilt here.
    """
    if max(len(signature_input), len(signature)) > FIELD_CHARS_MAX:
        raise MalformedSignature("The signature headers are too long.")
    start = _INPUT_START.match(signature_input)
    if start is None:
        raise MalformedSignature("Signature-Input is not a list of covered components.")
    components, position = _components(signature_input, start.end())
    parameters, serialised, position = _parameters(signature_input, position)
    if signature_input[position:].strip(" \t"):
        raise MalformedSignature("Signature-Input holds more than one signature, or broken ones.")
    value = _SIGNATURE.match(signature)
    if value is None or value.group(1) != start.group(1):
        raise MalformedSignature("Signature does not hold exactly the signature announced.")
    return MessageSignature(
        label=start.group(1),
        components=components,
        parameters=f"({' '.join(map(_quote, components))}){serialised}",
        signature=decode_base64(value.group(2)),
        key_id=_text(parameters, "keyid"),
        algorithm=_text(parameters, "alg"),
        created=_seconds(parameters, "created"),
        expires=_seconds(parameters, "expires"),
        nonce=_text(parameters, "nonce"),
        tag=_text(parameters, "tag"),
    )


def signature_base(
    components: tuple[str, ...],
    parameters: str,
    *,
    method: str,
    url: str,
    target: str,
    fields: Mapping[str, str],
) -> bytes:
    """Build the bytes that are signed (RFC 9421 §2.5).

    `url` is absolute, its origin the one the receiver is configured with; `target` is its path and
    query as received; `fields` maps lower-case names to values, several lines already joined by
    ``, ``. Raises :class:`MalformedSignature` when a covered field is absent or a value holds a
    line break, which could forge another line.
    """
    lines = []
    for name in components:
        if name.startswith("@"):
            value = _derived(name, method, url, target)
        elif name in fields:
            value = fields[name].strip(" \t")
        else:
            raise MalformedSignature(f"The signature covers {name}, which the request lacks.")
        lines.append(f'"{name}": {value}')
    lines.append(f'"@signature-params": {parameters}')
    text = "\n".join(lines)
    return encode_lines(text, len(components) + 1)


def _derived(name: str, method: str, url: str, target: str) -> str:
    if name == "@method":
        return method
    if name == "@target-uri":
        return url
    if name == "@authority":
        return target_and_host(url)[1]
    if name == "@scheme":
        return url.partition(":")[0].lower()
    if name == "@request-target":
        return target
    path, _, query = target.partition("?")
    if name == "@path":
        return path or "/"
    if name == "@query":
        return f"?{query}"
    raise UnsupportedComponent(f"The component {name} cannot be rebuilt here.")


def _components(text: str, position: int) -> tuple[tuple[str, ...], int]:
    names: list[str] = []
    while not text.startswith(")", position):
        found = _COMPONENT.match(text, position)
        if found is None:
            raise MalformedSignature("Signature-Input is not a list of covered components.")
        name = found.group(1)[1:-1]
        position = found.end()
        if text.startswith(";", position):
            raise UnsupportedComponent(f"The component {name} carries parameters.")
        if name not in DERIVED and not _FIELD_NAME.fullmatch(name):
            raise UnsupportedComponent("The signature covers a component that is not known here.")
        if name in names:
            raise MalformedSignature(f"The signature covers {name} twice.")
        names.append(name)
        if len(names) > COMPONENTS_MAX:
            raise MalformedSignature("The signature covers too many components.")
    return tuple(names), position + 1


def _parameters(text: str, position: int) -> tuple[dict[str, str | int | bool], str, int]:
    values: dict[str, str | int | bool] = {}
    serialised = ""
    while text.startswith(";", position):
        found = _PARAMETER.match(text, position)
        if found is None:
            raise MalformedSignature("Signature-Input has a broken parameter.")
        name, string, integer, boolean, binary, token = found.groups()
        # Structured fields let the last of two win; a second keyid is never honest (INV-4).
        if name in values or len(values) == PARAMETERS_MAX:
            raise MalformedSignature("Signature-Input repeats a parameter, or has too many.")
        if string is not None:
            values[name] = re.sub(r'\\(["\\])', r"\1", string[1:-1])
            serialised += f";{name}={string}"
        elif integer is not None:
            values[name] = number = int(integer)
            serialised += f";{name}={number}"
        elif binary is not None or token is not None:
            # Not of a type that any registered parameter has: kept for the base, never read.
            values[name] = False
            serialised += f";{name}={binary or token}"
        else:
            values[name] = boolean != "?0"
            serialised += f";{name}" if boolean != "?0" else f";{name}=?0"
        position = found.end()
    return values, serialised, position


def _text(parameters: dict[str, str | int | bool], name: str) -> str | None:
    value = parameters.get(name)
    if value is None or isinstance(value, str):
        return value
    raise MalformedSignature(f"The parameter {name} is a string.")


def _seconds(parameters: dict[str, str | int | bool], name: str) -> int | None:
    value = parameters.get(name)
    if value is None or (isinstance(value, int) and not isinstance(value, bool)):
        return value
    raise MalformedSignature(f"The parameter {name} is an integer.")


def _quote(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
