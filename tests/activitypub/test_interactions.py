"""Interaction policies, stamps and quotes as peers write them."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from activitypub.accessors import Refused
from activitypub.interactions import (
    Approval,
    AuthorizationDocument,
    PolicyDocument,
    read_authorization,
    read_policies,
    read_quote,
)
from activitypub.vocabulary import AS_PUBLIC

AUTHOR = "https://a.example/users/ida"
STAMP: dict[str, Any] = {
    "id": f"{AUTHOR}/stamps/1",
    "type": "QuoteAuthorization",
    "attributedTo": AUTHOR,
    "interactingObject": "https://b.example/notes/1",
    "interactionTarget": f"{AUTHOR}/notes/1",
}
OBJECT_LINK = 'application/ld+json; profile="https://www.w3.org/ns/activitystreams"'


@pytest.mark.parametrize(
    ("stated", "automatic", "manual"),
    [
        ({"automaticApproval": [AS_PUBLIC]}, (AS_PUBLIC,), ()),
        ({"automaticApproval": "as:Public"}, (AS_PUBLIC,), ()),
        ({"manualApproval": [f"{AUTHOR}/followers", 7, None]}, (), (f"{AUTHOR}/followers",)),
        ({"always": ["Public"], "approvalRequired": [AUTHOR]}, (AS_PUBLIC,), (AUTHOR,)),
        ({"automaticApproval": [AS_PUBLIC], "always": [AS_PUBLIC]}, (AS_PUBLIC,), ()),
        ({"automaticApproval": []}, (), ()),
        ({}, (), ()),
    ],
)
def test_a_policy_is_read_in_both_generations(
    stated: dict[str, Any], automatic: tuple[str, ...], manual: tuple[str, ...]
) -> None:
    policies = read_policies({"interactionPolicy": {"canQuote": stated}})
    assert policies == PolicyDocument(Approval(automatic, manual), None, None)


@pytest.mark.parametrize("policy", [None, "Public", 3, [], {"canQuote": "Public"}, {"canFly": {}}])
def test_what_is_no_policy_says_nothing(policy: object) -> None:
    assert read_policies({"interactionPolicy": policy}) == PolicyDocument(None, None, None)


def test_a_stamp_is_read_whole() -> None:
    assert read_authorization(STAMP) == AuthorizationDocument(
        f"{AUTHOR}/stamps/1", AUTHOR, "https://b.example/notes/1", f"{AUTHOR}/notes/1"
    )
    # Mastodon may put the whole post where its id is enough.
    inlined = STAMP | {"interactionTarget": {"id": f"{AUTHOR}/notes/1", "type": "Note"}}
    assert read_authorization(inlined) == read_authorization(STAMP)


@pytest.mark.parametrize(
    "change",
    [
        {"type": "Note"},
        {"type": ["Note", "Article"]},
        {"attributedTo": None},
        {"interactingObject": "not a url"},
        {"interactionTarget": 5},
        {"id": "javascript:alert(1)"},
    ],
)
def test_half_a_stamp_is_none(change: dict[str, Any]) -> None:
    with pytest.raises(Refused, match="not-a-stamp"):
        read_authorization(STAMP | change)


@pytest.mark.parametrize(
    ("link", "is_quote"),
    [
        ({"rel": "https://misskey-hub.net/ns#_misskey_quote"}, True),
        ({"rel": ["canonical", "https://w3id.org/fep/044f#quote"]}, True),
        ({"rel": "canonical", "name": "RE: https://b.example/1"}, False),
        ({"name": "RE: https://b.example/1", "mediaType": OBJECT_LINK}, True),
        ({"name": "RE: https://b.example/1", "mediaType": "application/activity+json"}, True),
        ({"name": "RE: https://b.example/1", "mediaType": "text/html"}, False),
        ({"name": "[1]", "mediaType": OBJECT_LINK}, False),
        ({}, False),
    ],
)
def test_an_object_link_is_a_quote_when_it_says_so(link: dict[str, Any], is_quote: bool) -> None:
    tag = {"type": "Link", "href": "https://b.example/1"} | link
    assert read_quote({"tag": [tag]}) == ("https://b.example/1" if is_quote else None)


def test_the_consented_form_goes_before_the_older_ones_and_a_tombstone_is_nothing() -> None:
    assert read_quote({"quoteUrl": "https://b.example/2", "quote": "https://b.example/1"}) == (
        "https://b.example/1"
    )
    assert read_quote({"quote": {"type": "Tombstone"}}) is None


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=10,
)


@given(_JSON, _JSON)
def test_no_value_makes_the_readers_fail(policy: Any, tag: Any) -> None:
    doc = {"interactionPolicy": {"canQuote": policy}, "quote": tag, "tag": [tag, {"type": "Link"}]}
    read_policies(doc)
    read_quote(doc)
