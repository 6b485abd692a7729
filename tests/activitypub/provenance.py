"""Where a value that was read comes from (INV-12): out of the document, with the type that it has there.

`check` knows nothing of which property a field is read from. It asks of each value in a result whether the
document holds it at all, as that type of JSON: a number that stood in a string, a list that became
a text, a `1` that became `True` are in no document.
"""

from __future__ import annotations

import dataclasses
import html
from collections.abc import Iterator
from typing import Any

from activitypub import accessors
from activitypub.origins import host, parse_url
from activitypub.vocabulary import AS_PUBLIC, PUBLIC_ALIASES

ENUMERATIONS = frozenset({"status", "attendance", "joining"})
"""Fields of events that hold words of ours."""

DERIVED = frozenset({"is_public", "is_unlisted", "multiple", "implements_rfc9421"})
"""Booleans that say something about the document and stand for no boolean in it."""

CUT_CHARS = 200
"""The smallest limit to which texts are cut."""


def parts(value: Any) -> Iterator[Any]:
    """The document and everything in it; keys count as strings."""
    yield value
    if isinstance(value, dict):
        for key, inner in value.items():
            yield key
            yield from parts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from parts(inner)


class Source:
    """What a document holds, by type."""

    def __init__(self, document: Any) -> None:
        held = list(parts(document))
        self.strings = {value for value in held if isinstance(value, str)}
        self.integers = {value for value in held if type(value) is int}
        self.numbers = {value for value in held if type(value) in (int, float)}
        self.booleans = {value for value in held if isinstance(value, bool)}
        self.structures = [value for value in held if isinstance(value, (dict, list))]
        self.times = {accessors.time({"at": value}, "at") for value in self.strings}
        self.urls = {parse_url(value, allow_http=True) for value in self.strings}
        self.tags = {accessors.language_tag(value) for value in self.strings}

    def has_text(self, text: str) -> bool:
        if text in self.strings or text in self.urls or text in self.tags:
            return True
        if text == AS_PUBLIC:
            return not self.strings.isdisjoint(PUBLIC_ALIASES)
        for held in self.strings:
            # Cut to a limit; plain text written as HTML; a type without its namespace; a host's name.
            if len(text) >= CUT_CHARS and held.startswith(text):
                return True
            if text == html.escape(held, quote=False).replace("\n", "<br>"):
                return True
            if text in (*accessors.types({"type": held}), host(held, allow_http=True)):
                return True
            if held.lower() == text:  # A media type.
                return True
        return self._is_joined(text)

    def has_integer(self, number: int, field: str) -> bool:
        if number in self.integers or number in self.times:
            return True
        return field == "duration_ms" and any(held.startswith("P") for held in self.strings)

    def _is_joined(self, text: str) -> bool:
        """An address is put together of its lines."""
        for held in sorted(self.strings, key=len, reverse=True):
            if held:
                text = text.replace(held, "")
        return not text.strip(" ,")


def check(result: Any, document: Any) -> None:
    """Assert that every value of a result (a dataclass) occurs in the document with its own type."""
    source = Source(document)
    _check(result, source, type(result).__name__)


def _check(value: Any, source: Source, field: str) -> None:
    if dataclasses.is_dataclass(value):
        for one in dataclasses.fields(value):
            _check(getattr(value, one.name), source, one.name)
    elif isinstance(value, tuple):
        for inner in value:
            _check(inner, source, field)
    elif isinstance(value, (dict, list)):
        assert any(value is held for held in source.structures), f"{field} was made up: {value!r}"
    elif isinstance(value, bool):
        assert not value or field in DERIVED or True in source.booleans, f"{field} was coerced"
    elif isinstance(value, int):
        assert source.has_integer(value, field), f"{field} was coerced: {value!r}"
    elif isinstance(value, float):
        assert value in source.numbers, f"{field} was coerced: {value!r}"
    elif isinstance(value, str):
        known = not value or field in ENUMERATIONS or source.has_text(value)
        assert known, f"{field} was coerced: {value!r}"
    else:
        assert value is None, f"{field} is {value!r}"
