"""Addresses of pages."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedcomm.web.paths import SLUG_LENGTH, safe_path, slug, thread_path


@pytest.mark.parametrize(
    ("title", "words"),
    [
        ("Sowing beans", "sowing-beans"),
        ("Perché no? È così!", "perche-no-e-cosi"),
        ("  --  ", ""),
        ("日本語", ""),
        ("a/b\\c?d#e", "a-b-c-d-e"),
        ("x" * 100, "x" * SLUG_LENGTH),
    ],
)
def test_a_title_becomes_words_for_an_address(title: str, words: str) -> None:
    assert slug(title) == words


@given(st.text(max_size=300))
def test_any_title_makes_a_path_that_needs_no_escaping(title: str) -> None:
    words = slug(title)
    assert len(words) <= SLUG_LENGTH
    assert words == "" or all(part.isalnum() and part.isascii() for part in words.split("-"))


def test_a_title_without_letters_has_an_address_without_words() -> None:
    assert thread_path("garden", 5, "日本語") == "/g/garden/t/5"


@given(st.text(max_size=60) | st.from_regex(r"\A[/\\]{0,3}[a-z:./\\?#@\x00-\x20]{0,20}\Z"))
def test_inv_32_a_target_that_is_used_stays_on_this_server(text: str) -> None:
    from yarl import URL

    path = safe_path(text, "/default")
    assert path.startswith("/") and not path.startswith("//") and "\\" not in path
    assert not any(ord(character) <= 32 or 127 <= ord(character) < 160 for character in path)
    joined = URL("https://hub.test/login").join(URL(path))
    assert joined.host == "hub.test"


@pytest.mark.parametrize("path", ["/", "/g/garden?before=1-2#r5", "/@chiara", "/search?q=a%20b"])
def test_paths_of_ours_are_kept(path: str) -> None:
    assert safe_path(path) == path
