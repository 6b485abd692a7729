from __future__ import annotations

import pytest

from activitypub.reactions import ReactionDocument, read_reaction

TAG = {"type": "Emoji", "name": ":blob:", "icon": {"type": "Image", "url": "https://p.example/b"}}


@pytest.mark.parametrize(
    ("document", "text"),
    [
        ({"content": "🔥"}, "🔥"),
        ({"content": " 🔥 "}, "🔥"),
        ({"_misskey_reaction": "🔥"}, "🔥"),
        ({"content": "❤", "_misskey_reaction": "🔥"}, "❤"),
        ({"content": "", "_misskey_reaction": "🔥"}, "🔥"),
        ({"content": ["🔥"]}, None),
        ({"content": 7}, None),
        ({"content": "\x00"}, None),
        ({}, None),
    ],
)
def test_the_emoji_of_a_reaction_is_text_or_nothing(
    document: dict[str, object], text: str | None
) -> None:
    found = read_reaction(document)
    assert (found.text if found else None) == text


def test_a_custom_emoji_is_the_one_that_the_activity_names() -> None:
    other = TAG | {"name": ":other:"}
    found = read_reaction({"content": ":blob:", "tag": [other, TAG, {"type": "Emoji"}]})
    assert found is not None and found.tag is not None
    assert (found.tag.name, found.tag.icon_url) == (":blob:", "https://p.example/b")
    assert read_reaction({"content": ":none:", "tag": [TAG]}) == ReactionDocument(":none:", None)
