"""I-JSON at the gate (RFC 7493) and its canonical form (RFC 8785, JCS).

Every document from outside passes `parse` before anything else looks at it. Python's own parser
accepts duplicate keys (last wins), NaN, UTF-16 and `1e400`; two readers of one such document can
disagree on what it says, and then a signature is checked over one thing and another is used.

`parse` is on the inbox's hot path. orjson does the work and proves nothing about duplicate keys and
big integers, so three byte-level counts give a certificate that a document is clean; a document
without the certificate (rare) goes to `_parse_strictly`, which looks at every token.
"""

from __future__ import annotations

import json
import re
from json.encoder import encode_basestring
from typing import Any, TypeAlias

import orjson

JSONObject: TypeAlias = dict[str, Any]
JSONValue: TypeAlias = JSONObject | list[Any] | str | int | float | bool | None

MAX_BYTES = 1_048_576
"""Largest document that is read, in bytes (what Mastodon and Lemmy accept, too)."""

MAX_DEPTH = 32
"""Deepest nesting of objects and arrays that is read; the outermost one has depth 1."""

MAX_INTEGER = 2**53 - 1
"""Largest magnitude of an integer that every JSON reader agrees on (RFC 7493 §2.2)."""

_MAX_INTEGER_DIGITS = 16

# Folds a document so that one search finds an integer of 16 digits or more: digits become `0`, what
# may stand before a number becomes `:`, all else `x`. (Ids of 18 digits inside URLs stay unfound.)
_BEFORE_NUMBER = b" \t\r\n:[,-"
_FOLD = bytes(
    ord("0") if 0x30 <= byte <= 0x39 else ord(":") if byte in _BEFORE_NUMBER else ord("x")
    for byte in range(256)
)
_LONG_INTEGER = b":" + b"0" * _MAX_INTEGER_DIGITS


_ESCAPED = re.compile(rb"\\u00(?:3[aA]|00)")
"""An escaped colon or NUL; or what looks like one behind an escaped backslash."""


class IJSONError(ValueError):
    """The bytes are no I-JSON document within our limits. The message holds no content of it."""


def parse(data: bytes, *, max_bytes: int = MAX_BYTES, max_depth: int = MAX_DEPTH) -> JSONValue:
    """Read one I-JSON document (RFC 7493).

    Refused: more than `max_bytes` bytes, nesting deeper than `max_depth`, all but UTF-8, a byte
    order mark, duplicate keys, NaN and infinities (`1e400` too), integers beyond ±(2^53−1), NUL in
    any string or key, lone surrogates.

    Raises `IJSONError` and nothing else.
    """
    if len(data) > max_bytes:
        raise IJSONError(f"larger than {max_bytes} bytes")
    try:
        value: JSONValue = orjson.loads(data)
    except ValueError as error:
        raise IJSONError("not JSON in UTF-8") from error
    # Depth first: what follows may then recurse.
    if data.count(b"{") + data.count(b"[") > max_depth and _is_deeper(value, max_depth):
        raise IJSONError(f"nested deeper than {max_depth}")
    if not _is_certified(data, value):
        _parse_strictly(data)
    return value


def parse_object(
    data: bytes, *, max_bytes: int = MAX_BYTES, max_depth: int = MAX_DEPTH
) -> JSONObject:
    """`parse`, and refuse with `IJSONError` what is not an object."""
    value = parse(data, max_bytes=max_bytes, max_depth=max_depth)
    if not isinstance(value, dict):
        raise IJSONError("not a JSON object")
    return value


def dumps(value: JSONValue) -> bytes:
    """Compact UTF-8 JSON. Raises `TypeError` for values that JSON cannot hold."""
    return orjson.dumps(value)


def canonicalize(value: JSONValue) -> bytes:
    """The JSON Canonicalization Scheme (RFC 8785): UTF-8, keys sorted by UTF-16 code units,
    numbers as ECMAScript writes them.

    Raises `IJSONError` for what I-JSON cannot hold (NaN, large integers, lone surrogates, keys that
    are no strings) and for nesting deeper than twice `MAX_DEPTH` (ours wrap foreign documents).
    """
    chunks: list[str] = []
    _write_canonical(value, chunks, 2 * MAX_DEPTH)
    try:
        return "".join(chunks).encode("utf-8")
    except UnicodeEncodeError as error:
        raise IJSONError("a lone surrogate") from error


def _is_deeper(value: JSONValue, max_depth: int) -> bool:
    level: list[Any] = [value] if type(value) in (dict, list) else []
    for _ in range(max_depth):
        if not level:
            return False
        below: list[Any] = []
        for container in level:
            children = container.values() if type(container) is dict else container
            below += [child for child in children if type(child) is dict or type(child) is list]
        level = below
    return bool(level)


def _is_certified(data: bytes, value: JSONValue) -> bool:
    """Whether counting alone proves that there are no duplicate keys, long integers and NULs.

    A colon in a document ends a key or stands in a string. orjson drops the former of two duplicate
    members, with their colons, and writes a colon in a string as itself, so without escaped
    colons in the source the number of colons is kept exactly when no member was dropped.
    """
    # `\u003c` is no such escape: some encoders write every `<` of a text so.
    if b"\\u00" in data and _ESCAPED.search(data):
        return False
    if data[:1].isdigit() or _LONG_INTEGER in data.translate(_FOLD):
        return False
    return data.count(b":") == orjson.dumps(value).count(b":")


def _parse_strictly(data: bytes) -> None:
    """Check every token of a document that orjson took and whose depth is known to be bounded."""
    try:
        value = json.loads(
            data.decode("utf-8"),
            object_pairs_hook=_object_without_duplicates,
            parse_int=_bounded_integer,
        )
    except IJSONError:
        raise
    except (ValueError, RecursionError) as error:
        raise IJSONError("not I-JSON") from error
    _refuse_nul(value)


def _object_without_duplicates(pairs: list[tuple[str, Any]]) -> JSONObject:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise IJSONError("a duplicate key")
    return members


def _bounded_integer(digits: str) -> int:
    # The length first: int() of a long string takes quadratic time.
    if len(digits.lstrip("-")) > _MAX_INTEGER_DIGITS or abs(int(digits)) > MAX_INTEGER:
        raise IJSONError("an integer beyond 2^53-1")
    return int(digits)


def _refuse_nul(value: JSONValue) -> None:
    waiting: list[Any] = [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, str):
            if "\x00" in item:
                raise IJSONError("a NUL character")
        elif isinstance(item, list):
            waiting += item
        elif isinstance(item, dict):
            waiting += item.keys()
            waiting += item.values()


def _write_canonical(value: Any, chunks: list[str], depth: int) -> None:
    if isinstance(value, str):
        chunks.append(encode_basestring(value))
    elif value is None:
        chunks.append("null")
    elif value is True:
        chunks.append("true")
    elif value is False:
        chunks.append("false")
    elif isinstance(value, int):
        if abs(value) > MAX_INTEGER:
            raise IJSONError("an integer beyond 2^53-1")
        chunks.append(str(value))
    elif isinstance(value, float):
        chunks.append(_ecmascript_number(value))
    elif depth == 0:
        raise IJSONError("nested too deep")
    elif isinstance(value, dict):
        _write_canonical_object(value, chunks, depth)
    elif isinstance(value, (list, tuple)):
        separator = "["
        for item in value:
            chunks.append(separator)
            _write_canonical(item, chunks, depth - 1)
            separator = ","
        chunks.append("]" if value else "[]")
    else:
        raise IJSONError("a value that JSON cannot hold")


def _write_canonical_object(value: JSONObject, chunks: list[str], depth: int) -> None:
    if not all(isinstance(key, str) for key in value):
        raise IJSONError("a key that is no string")
    separator = "{"
    for key in sorted(value, key=_utf16):
        chunks += (separator, encode_basestring(key), ":")
        _write_canonical(value[key], chunks, depth - 1)
        separator = ","
    chunks.append("}" if value else "{}")


def _utf16(key: str) -> bytes:
    return key.encode("utf-16-be", "surrogatepass")


def _ecmascript_number(number: float) -> str:
    """Number::toString of ECMAScript, from Python's equally shortest digits (RFC 8785 §3.2.2.3)."""
    if number != number or number in (float("inf"), float("-inf")):
        raise IJSONError("a number that is not finite")
    if number == 0:
        return "0"
    sign = "-" if number < 0 else ""
    mantissa, _, exponent = f"{abs(number)!r}".partition("e")
    whole, _, fraction = mantissa.partition(".")
    digits = (whole + fraction).lstrip("0")
    # `point` is how many digits stand before the decimal point.
    point = len(whole) + int(exponent or 0) - (len(whole + fraction) - len(digits))
    digits = digits.rstrip("0")
    if len(digits) <= point <= 21:
        return sign + digits.ljust(point, "0")
    if 0 < point <= 21:
        return f"{sign}{digits[:point]}.{digits[point:]}"
    if -6 < point <= 0:
        return f"{sign}0.{'0' * -point}{digits}"
    rest = f".{digits[1:]}" if len(digits) > 1 else ""
    return f"{sign}{digits[0]}{rest}e{point - 1:+d}"
