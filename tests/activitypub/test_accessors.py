from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from activitypub import accessors
from activitypub.origins import parse_url
from activitypub.vocabulary import AS_PUBLIC

WRONG_FOR_TEXT: list[Any] = [None, True, 0, 1, 1.5, [], ["a"], {}, {"id": "a"}]


@pytest.mark.parametrize("value", WRONG_FOR_TEXT)
def test_inv_12_text_of_another_type_is_absent(value: Any) -> None:
    assert accessors.text({"name": value}, "name", limit=9) is None
    assert accessors.natural({"name": value}, "name", limit=9) == (None, None)


@pytest.mark.parametrize("value", [None, True, False, 1.0, "1", [1], {"id": 1}, 10**20])
def test_inv_12_an_integer_is_never_made_of_something_else(value: Any) -> None:
    assert accessors.integer({"n": value}, "n", 0, 2**53) is None


@pytest.mark.parametrize("value", [None, 0, 1, "true", "false", "", [], {}])
def test_inv_12_a_boolean_is_never_made_of_something_else(value: Any) -> None:
    assert accessors.boolean({"b": value}, "b") is None


@pytest.mark.parametrize("value", [None, True, 1, 1.0, [], [1], [None], [[]], {}, {"id": 1}])
def test_inv_12_a_number_is_no_id(value: Any) -> None:
    """`attributedTo: 1` once became a local user of that number elsewhere."""
    assert accessors.identifier(value) is None
    assert accessors.link({"attributedTo": value}, "attributedTo") is None
    assert accessors.links({"attributedTo": value}, "attributedTo", 9) == ()
    assert accessors.url({"attributedTo": value}, "attributedTo") is None


@pytest.mark.parametrize("value", [None, True, 0, 1795293457, 1795293457.4, [], {}, ["2026-11-21"]])
def test_inv_12_a_number_is_no_time(value: Any) -> None:
    assert accessors.time({"published": value}, "published") is None


def test_text_is_cut_at_its_limit() -> None:
    assert accessors.text({"name": "abcd"}, "name", limit=4) == "abcd"
    assert accessors.text({"name": "abcde"}, "name", limit=4) == "abcd"


def test_text_may_have_lines_and_tabs_but_no_other_controls() -> None:
    assert accessors.text({"t": "a\n\tb\r\nc\u00a0é"}, "t", limit=99) == "a\n\tb\r\nc\u00a0é"
    for control in "\x00\x01\x08\x0b\x0c\x1b\x1f\x7f":
        assert accessors.text({"t": f"a{control}b"}, "t", limit=99) is None


def test_natural_language_takes_the_language_of_the_entry_that_equals_the_value() -> None:
    doc = {"content": "ciao", "contentMap": {"en": "hello", "it": "ciao"}}
    assert accessors.natural(doc, "content", limit=99) == ("ciao", "it")
    assert accessors.natural(doc, "content", limit=2) == ("ci", "it")
    assert accessors.natural({"content": "salut"} | doc, "content", limit=9)[0] == "ciao"
    unlike = {"content": "salut", "contentMap": {"en": "hello"}}
    assert accessors.natural(unlike, "content", limit=99) == ("salut", None)


def test_natural_language_falls_back_to_the_first_entry_of_the_map() -> None:
    doc = {"contentMap": {"pt-BR": "olá", "en": "hello"}}
    assert accessors.natural(doc, "content", limit=99) == ("olá", "pt-BR")
    assert accessors.natural({"contentMap": {"en": 1}}, "content", limit=9) == (None, None)
    assert accessors.natural({"contentMap": ["en"]}, "content", limit=9) == (None, None)
    assert accessors.natural({"contentMap": {}}, "content", limit=9) == (None, None)


@pytest.mark.parametrize(
    ("tag", "language"),
    [
        ("en", "en"),
        ("pt_BR", "pt-BR"),
        ("zh-Hant-TW", "zh-Hant-TW"),
        ("und", None),
        ("", None),
        ("e", None),
        ("en<script>", None),
        ("en-" + "a" * 40, None),
        (1, None),
    ],
)
def test_languages_are_plausible_tags(tag: object, language: str | None) -> None:
    assert accessors.language_tag(tag) == language


def test_an_id_is_a_string_or_stands_in_an_object_or_first_in_an_array() -> None:
    for value in ("a:b", {"id": "a:b"}, ["a:b", "c:d"], [{"id": "a:b"}]):
        assert accessors.link({"object": value}, "object") == "a:b"
    for value in ("", "a b", "a\n", "x" * 2049):
        assert accessors.identifier(value) is None


def test_links_are_distinct_in_order_and_counted_before_they_are_checked() -> None:
    doc = {"to": ["a", 2, {"id": "b"}, "a", None, "c"]}
    assert accessors.links(doc, "to", 500) == ("a", "b", "c")
    assert accessors.links(doc, "to", 2) == ("a",)
    assert accessors.links({"to": "a"}, "to", 500) == ("a",)
    assert accessors.links({"to": None}, "to", 500) == ()
    many = {"to": [f"https://h.example/{n}" for n in range(501)]}
    assert len(accessors.links(many, "to", 500)) == 500


def test_objects_are_strings_and_objects() -> None:
    doc = {"object": ["a", {"b": 1}, 48, None, ["c"]]}
    assert accessors.objects(doc, "object", 9) == ("a", {"b": 1})
    assert accessors.objects({"object": {"b": 1}}, "object", 9) == ({"b": 1},)
    assert accessors.documents(doc, "object", 9) == ({"b": 1},)
    assert accessors.document({"object": [{"b": 1}]}, "object") == {"b": 1}
    assert accessors.document({"object": []}, "object") is None


def test_an_integer_lies_within_its_bounds() -> None:
    for value, expected in ((0, 0), (9, 9), (-1, None), (10, None)):
        assert accessors.integer({"n": value}, "n", 0, 9) == expected


@pytest.mark.parametrize(
    ("text", "iso"),
    [
        ("2026-11-21T20:03:33Z", "2026-11-21T20:03:33+00:00"),
        ("2026-11-21T20:03:33.801Z", "2026-11-21T20:03:33.801+00:00"),
        ("2026-11-21T20:03:33.8Z", "2026-11-21T20:03:33.800+00:00"),
        ("2026-11-21T21:29:06.760814+00:00", "2026-11-21T21:29:06.760+00:00"),
        ("2026-11-21T20:03:33.123456789Z", "2026-11-21T20:03:33.123+00:00"),
        ("2026-11-21T20:03:33+05:30", "2026-11-21T14:33:33+00:00"),
        ("2026-11-21T20:03:33-0200", "2026-11-21T22:03:33+00:00"),
        ("2026-11-21 20:03:33", "2026-11-21T20:03:33+00:00"),
        ("2026-11-21t20:03:33z", "2026-11-21T20:03:33+00:00"),
        ("2016-12-31T23:59:60Z", "2017-01-01T00:00:00+00:00"),
        ("1970-01-01T00:00:00Z", "1970-01-01T00:00:00+00:00"),
        ("2200-12-31T23:59:59Z", "2200-12-31T23:59:59+00:00"),
    ],
)
def test_times_become_unix_milliseconds(text: str, iso: str) -> None:
    expected = (datetime.fromisoformat(iso) - datetime(1970, 1, 1, tzinfo=UTC)) / timedelta(
        milliseconds=1
    )
    assert accessors.time({"t": text}, "t") == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "now",
        "2026-11-21",
        "20261121T200333Z",
        "2026-11-21T20:03Z",
        "2026-11-21T24:00:00Z",
        "2026-02-30T00:00:00Z",
        "2026-13-01T00:00:00Z",
        "2026-11-21T20:60:00Z",
        "0000-01-01T00:00:00Z",
        "2026-11-21T20:03:61Z",
        "2026-11-21T20:03:33+24:00",
        "2026-11-21T20:03:33+00:60",
        "1969-12-31T23:59:59Z",
        "1970-01-01T00:00:00+00:01",
        "2201-01-01T00:00:00Z",
        "9999-12-31T23:59:59Z",
        "2026-11-21T20:03:33.Z",
        "2026-11-21T20:03:33Z\n",
        " 2026-11-21T20:03:33Z",
        "２０２６-11-21T20:03:33Z",
        "Sat, 21 Nov 2026 20:03:33 GMT",
        "1795293457",
        "-001-01-01T00:00:00Z",
    ],
)
def test_what_is_no_time_is_absent(text: str) -> None:
    assert accessors.time({"t": text}, "t") is None


@given(st.datetimes(datetime(1970, 1, 2), datetime(2200, 12, 30), timezones=st.timezones()))
def test_times_agree_with_the_standard_library(moment: datetime) -> None:
    offset = moment.utcoffset()
    if offset is None or offset.seconds % 60 or offset.microseconds:
        return
    expected = (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)
    assert accessors.time({"t": moment.isoformat()}, "t") == expected


def test_types_lose_the_prefix_of_activitystreams() -> None:
    assert accessors.types({"type": "Note"}) == ("Note",)
    assert accessors.types(
        {"type": ["as:Note", "https://www.w3.org/ns/activitystreams#Page", 1]}
    ) == (
        "Note",
        "Page",
    )
    assert (
        accessors.types({"type": None}) == accessors.types({}) == accessors.types({"type": 1}) == ()
    )
    assert accessors.types({"type": ""}) == ()


def test_the_page_for_people_is_the_first_html_link() -> None:
    video = {"type": "Link", "href": "https://h.example/v.mp4", "mediaType": "video/mp4"}
    page = {"type": "Link", "href": "https://h.example/v", "mediaType": "text/html; charset=utf-8"}
    assert accessors.html_url({"url": [video, page]}) == "https://h.example/v"
    assert accessors.html_url({"url": ["https://h.example/s", page]}) == "https://h.example/v"
    assert accessors.html_url({"url": [video, "https://h.example/s"]}) == "https://h.example/s"
    assert accessors.html_url({"url": "http://h.example/s"}) == "http://h.example/s"
    for value in (video, "javascript:alert(1)", 1, [1], {"href": 1}, None, []):
        assert accessors.html_url({"url": value}) is None


@pytest.mark.parametrize("iri", [AS_PUBLIC, "as:Public", "Public"])
def test_the_public_collection_has_three_names(iri: str) -> None:
    assert accessors.is_public(iri)
    assert accessors.recipients({"to": [iri, "as:Public"]}, "to", 9) == (AS_PUBLIC,)


@pytest.mark.parametrize("iri", [None, 1, [AS_PUBLIC], "public", "https://h.example/#Public", ""])
def test_nothing_else_is_public(iri: Any) -> None:
    assert not accessors.is_public(iri)


def test_recipients_are_canonical_urls_only() -> None:
    doc = {
        "cc": ["https://H.example/a", 2, "bare", {"id": "https://h.example/a"}, "http://h.example/"]
    }
    assert accessors.recipients(doc, "cc", 9) == ("https://h.example/a",)
    assert accessors.recipients(doc, "cc", 9, allow_http=True)[1:] == ("http://h.example/",)


ANY_VALUE = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(max_size=12)
    | st.sampled_from(
        [
            *("https://a.example/1", "HTTPS://A.example:443/1", "http://a.example/1", "as:Public"),
            *("Public", AS_PUBLIC, " https://a.example/1", "https://a.example/\u2028", "tag:x"),
        ]
    )
    | st.text(max_size=3).map(lambda text: f"https://a.example/{text}"),
    lambda inner: st.lists(inner, max_size=4) | st.fixed_dictionaries({"id": inner}),
    max_leaves=6,
)


def test_inv_12_no_url_holds_what_an_identifier_must_not_hold() -> None:
    """So whoever wants a URL need not ask for an identifier first."""
    for number in range(0x110000):
        letter = chr(number)
        if letter.isspace() or number < 0x20 or number == 0x7F:
            assert accessors.identifier(f"https://a.example/{letter}") is None
            assert accessors.address(f"https://a.example/{letter}") is None


@given(ANY_VALUE, st.booleans())
def test_inv_12_an_address_is_the_identifier_as_a_url(value: Any, allow_http: bool) -> None:
    expected = parse_url(accessors.identifier(value), allow_http=allow_http)
    assert accessors.address(value, allow_http=allow_http) == expected
    first = parse_url(accessors.link({"x": value}, "x"), allow_http=allow_http)
    assert accessors.url({"x": value}, "x", allow_http=allow_http) == first


@given(ANY_VALUE, st.booleans(), st.integers(1, 4))
def test_inv_12_recipients_are_links_as_urls(value: Any, allow_http: bool, limit: int) -> None:
    expected = [
        AS_PUBLIC if accessors.is_public(link) else parse_url(link, allow_http=allow_http)
        for link in accessors.links({"to": value}, "to", limit)
    ]
    found = accessors.recipients({"to": value}, "to", limit, allow_http=allow_http)
    assert found == tuple(dict.fromkeys(url for url in expected if url is not None))
