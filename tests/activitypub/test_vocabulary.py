from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from activitypub.vocabulary import ACCEPT, LD_PROFILE_TYPE, is_activity_type, wants_activity

FIREFOX = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8"


@pytest.mark.parametrize(
    "content_type",
    [
        "application/activity+json",
        "application/activity+json; charset=utf-8",
        "Application/Activity+JSON",
        " application/activity+json ",
        'application/activity+json; profile="https://www.w3.org/ns/activitystreams"',
        LD_PROFILE_TYPE,
        'application/ld+json;profile="https://www.w3.org/ns/activitystreams"',
        "application/ld+json; profile=https://www.w3.org/ns/activitystreams",
        'application/ld+json; charset=utf-8; profile="https://www.w3.org/ns/activitystreams"',
        'application/ld+json ; profile = "https://a.example https://www.w3.org/ns/activitystreams"',
    ],
)
def test_activitystreams_types_are_known_in_every_spelling(content_type: str) -> None:
    assert is_activity_type(content_type)


@pytest.mark.parametrize(
    "content_type",
    [
        None,
        "",
        "application/json",
        "application/ld+json",
        'application/ld+json; profile="https://www.w3.org/ns/activitystreams.evil"',
        "application/ld+json; charset=https://www.w3.org/ns/activitystreams",
        "text/html",
        "text/plain; application/activity+json",
        "application/activity+jsonx",
        "image/png;application/activity+json",
    ],
)
def test_what_a_file_host_would_serve_is_no_activitystreams(content_type: str | None) -> None:
    assert not is_activity_type(content_type)


@pytest.mark.parametrize(
    "accept",
    [
        ACCEPT,
        "application/activity+json",
        "application/ld+json",
        'application/ld+json;profile="https://www.w3.org/ns/activitystreams"',
        "application/activity+json, application/ld+json",
        "application/activity+json, application/ld+json, text/html;q=0.1",
        "application/activity+json, */*",
        "text/html;q=0.5, application/activity+json;q=0.9",
        "application/activity+json;q=0.8, text/html;q=0.8",
    ],
)
def test_servers_get_activitystreams(accept: str) -> None:
    assert wants_activity(accept)


@pytest.mark.parametrize(
    "accept",
    [
        None,
        "",
        "*/*",
        "text/html",
        FIREFOX,
        "application/json",
        "application/activity+json;q=0",
        "text/html, application/activity+json;q=0.9",
        "text/html, application/activity+json",
        "application/activity+json;q=nan, text/html",
        "application/activity+json;q=1e9, text/html;q=0.1",
    ],
)
def test_people_get_pages(accept: str | None) -> None:
    assert not wants_activity(accept)


@given(st.text(st.sampled_from('application/vty+jsonld;, q=0.159"prfilehtms:*\x00é٣'), max_size=60))
def test_any_header_has_an_answer(header: str) -> None:
    assert is_activity_type(header) in (True, False)
    assert wants_activity(header) in (True, False)
