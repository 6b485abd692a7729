"""Catalogues: complete in Italian, compiled from what is written, found in code and templates."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from babel.messages.catalog import Message

import fedcomm
from fedcomm.settings import LOCALES
from fedcomm.web import catalogues


def ids(catalogue) -> set[object]:  # type: ignore[no-untyped-def]
    """The texts of a catalogue, plurals as pairs."""
    return {message.id for message in catalogue if message.id}


@pytest.mark.parametrize("locale", LOCALES)
def test_every_text_of_code_and_templates_is_in_the_catalogue(locale: str) -> None:
    assert ids(catalogues.read(locale)) == ids(catalogues.extract()), (
        "run: python -m fedcomm.web.catalogues"
    )


def test_texts_of_templates_pages_and_the_hub_are_found() -> None:
    found = ids(catalogues.extract())
    assert {"Log in", "Saved.", "There is no such group.", "The text is too long."} <= found
    assert ("%(num)s reply", "%(num)s replies") in found
    assert len(found) > 400


def test_the_italian_catalogue_is_complete() -> None:
    assert catalogues.missing(catalogues.read("it")) == []


@pytest.mark.parametrize("locale", LOCALES)
def test_the_compiled_catalogue_is_the_written_one(locale: str) -> None:
    compiled = catalogues.catalogue_path(locale, ".mo").read_bytes()
    assert compiled == catalogues.compiled(catalogues.read(locale)), (
        "run: python -m fedcomm.web.catalogues"
    )


def test_translations_keep_their_placeholders_and_hold_no_html() -> None:
    for message in catalogues.read("it"):
        if not message.id:
            continue
        originals = message.id if isinstance(message.id, tuple) else (message.id,)
        strings = message.string if isinstance(message.string, tuple) else (message.string,)
        wanted = {found for text in originals for found in re.findall(r"%\(\w+\)s", text)}
        for string in strings:
            assert set(re.findall(r"%\(\w+\)s", string)) == wanted, string
            assert "<" not in string
            assert string == string.strip()


def test_what_is_missing_is_noticed() -> None:
    catalogue = catalogues.read("it")
    catalogue.add("A new text")
    catalogue.add(("%(num)s new", "%(num)s news"), ("uno", ""))
    assert catalogues.missing(catalogue) == ["A new text", "%(num)s new"]


def test_the_english_texts_are_those_of_the_code() -> None:
    english = catalogues.read("en")
    written = [message.id for message in english if message.id and any(_texts(message))]
    assert written == [], "an English text stands where it is used, and nowhere else"


def _texts(message: Message) -> tuple[str, ...]:
    return (message.string,) if isinstance(message.string, str) else tuple(message.string or ())


def test_every_module_that_marks_texts_is_read() -> None:
    read = {file for message in catalogues.extract() for file, _line in message.locations}
    package = Path(fedcomm.__file__).parent
    marked = {
        f"fedcomm/{path.relative_to(package).as_posix()}"
        for path in package.rglob("*.py")
        if re.search(r"\bN_\(\s*[\"']", path.read_text("utf-8"))
    }
    assert len(marked) > 5
    assert marked <= read
