from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedcomm.hub.shortcodes import (
    CODES_LIMIT,
    OWN,
    Shortcode,
    candidates,
    is_unicode_emoji,
    name_of,
    split,
)

TEXTS = st.text(alphabet=st.sampled_from(":ab1_é文 \n<&\"'>") | st.characters(), max_size=60)


@given(TEXTS, st.frozensets(st.text("ab1_", min_size=1, max_size=3)))
def test_the_pieces_of_a_text_are_the_text(text: str, known: frozenset[str]) -> None:
    pieces = list(split(text, known))
    assert "".join(piece if isinstance(piece, str) else piece.text for piece in pieces) == text
    for piece in pieces:
        if isinstance(piece, Shortcode):
            assert piece.name in known
    cut = {piece.name for piece in pieces if isinstance(piece, Shortcode)}
    assert cut <= candidates([text])


@given(st.text(max_size=40))
def test_the_name_in_a_tag_is_a_shortcode_or_nothing(text: str) -> None:
    name = name_of(text)
    if name is not None:
        assert candidates([f":{name}:"]) == {name}
        assert set(name) <= set(string.ascii_letters + string.digits + "_+.-")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (":leaf:", {"leaf"}),
        ("(:leaf:)", {"leaf"}),
        (":leaf::rose:", {"leaf", "rose"}),
        ("文:leaf:文", {"leaf"}),
        ("at 10:30:45", set()),
        ("a:leaf:", set()),
        (":leaf:b", set()),
        ("https://a.example:80:x", set()),
        (": leaf :", set()),
        (":" + "x" * 65 + ":", set()),
        (":<b>:", set()),
    ],
)
def test_a_shortcode_stands_between_anything_but_letters_and_digits(
    text: str, found: set[str]
) -> None:
    assert candidates([text]) == found


def test_only_so_many_shortcodes_of_a_text_are_looked_at() -> None:
    text = " ".join(f":e{number}:" for number in range(CODES_LIMIT + 1))
    assert len(candidates([text])) == CODES_LIMIT
    assert len(candidates([text, ":other:"])) == CODES_LIMIT + 1


@pytest.mark.parametrize("text", ["❤️", "👍🏽", "🇮🇹", "1️⃣", "👩‍👩‍👧", "🏴󠁧󠁢󠁥󠁮󠁧󠁿", "⭐", "♥"])
def test_emoji_of_unicode_are_known(text: str) -> None:
    assert is_unicode_emoji(text)


@pytest.mark.parametrize(
    "text", ["", "a", "11", "<b>", "❤️ or not", "\u202e❤", "\u200d", "❤" * 17, "👍a", "\ufe0f", "#"]
)
def test_words_are_no_emoji(text: str) -> None:
    assert not is_unicode_emoji(text)


@given(st.text(max_size=20))
def test_an_emoji_of_unicode_holds_no_letters_and_no_markup(text: str) -> None:
    if is_unicode_emoji(text):
        assert not any(character.isalpha() or character in "<>&\"'" for character in text)


@pytest.mark.parametrize("name", ["leaf", "a1", "x" * 32, "blob_cat"])
def test_our_own_names_are_read_by_everybody(name: str) -> None:
    assert OWN.fullmatch(name)
    assert candidates([f":{name}:"]) == {name}


@pytest.mark.parametrize("name", ["", "a", "Leaf", "_leaf", "leaf_", "le-af", "x" * 33, "fö"])
def test_others_are_refused(name: str) -> None:
    assert not OWN.fullmatch(name)
