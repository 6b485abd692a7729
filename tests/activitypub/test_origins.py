from __future__ import annotations

import unicodedata
from urllib.parse import urlsplit

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from activitypub import origins
from activitypub.origins import (
    MAX_URL_CHARS,
    host,
    origin,
    parse_url,
    related_hosts,
    same_origin,
    same_url,
)

urls = st.builds(
    "{}://{}{}{}{}".format,
    st.sampled_from(["https", "http", "HTTPS", "ftp", "javascript", "https "]),
    st.sampled_from(
        [
            "hub.example",
            "HUB.example",
            "bücher.example",
            "xn--bcher-kva.example",
            "127.0.0.1",
            "[::1]",
            "a@hub.example",
            "hub.example.",
            "127.1",
            "",
            "hub..example",
            "-a.example",
            "１２７.0.0.1",
        ]
    ),
    st.sampled_from(["", ":443", ":80", ":8443", ":0", ":65536", ":", ":x"]),
    st.sampled_from(["", "/", "/a/B", "/a b", "/a\\b", "/ü", "/a?b=c", "?b", "#c", "/../x"]),
    st.sampled_from(["", "\x00", "\n", "\u2028", "#f"]),
)


@pytest.mark.parametrize(
    "url",
    [
        "https://hub.example",
        "https://hub.example/",
        "https://hub.example/ap/p/m81xzt",
        "https://hub.example:8443/Ap/P",
        "https://hub.example/?author=1#main-key",
        "https://hub.example?author=1",
        "https://hub.example#x",
        "https://xn--bcher-kva.example/b",
        "https://127.0.0.1:8443/x",
        "https://[::1]:8443/x",
        "https://nbb.test/post/https%3A%2F%2Fh.test%2Fn#activity/announce/cid/6",
        "https://hub.example/@jürgen",
        "https://localhost/x",
        "https://hub.1st/x",
        "https://4chan/x",
    ],
)
def test_a_canonical_url_is_kept_byte_for_byte(url: str) -> None:
    assert parse_url(url) == url


@pytest.mark.parametrize(
    ("url", "canonical"),
    [
        ("HTTPS://Hub.Example/Path", "https://hub.example/Path"),
        ("https://hub.example:443/x", "https://hub.example/x"),
        ("https://bücher.example/x", "https://xn--bcher-kva.example/x"),
        ("https://BÜCHER.example/x", "https://xn--bcher-kva.example/x"),
        ("https://hub。example/x", "https://hub.example/x"),
        ("https://[0:0:0:0:0:0:0:1]/x", "https://[::1]/x"),
        ("https://[2001:DB8::1]/x", "https://[2001:db8::1]/x"),
    ],
)
def test_inv_10_scheme_host_and_port_become_canonical(url: str, canonical: str) -> None:
    assert parse_url(url) == canonical
    assert same_url(url, canonical)


@pytest.mark.parametrize(
    "url",
    [
        None,
        1,
        True,
        b"https://hub.example/",
        ["https://hub.example/"],
        "",
        "hub.example",
        "//hub.example/x",
        "https:hub.example",
        "https:/hub.example",
        "https:///x",
        "https://",
        "https://:443/",
        "http://hub.example/",
        "ftp://hub.example/",
        "javascript:alert(1)",
        "data:text/html,x",
        "acct:a@hub.example",
        "https://user@hub.example/",
        "https://user:secret@hub.example/",
        "https://hub.example@evil.example/",
        "https://hub.example\\@evil.example/",
        "https://hub.example\\x",
        "https://hub.example/a\\b",
        "https://hub.example/a b",
        "https://hub.example/a\tb",
        "https://hub.example/a\nb",
        "https://hub.example/a\x00",
        "https://hub.example/a\x7f",
        "https://hub.example/a\x85",
        "https://hub.example/\u2028",
        "https://hub.example/\u202e",
        "https://hub.example/\u3000",
        " https://hub.example/",
        "https://hub.example/ ",
        'https://hub.example/"x',
        "https://hub.example/<x>",
        "https://hub%2eexample/",
        "https://hub.example./",
        "https://hub..example/",
        "https://.example/",
        "https://-hub.example/",
        "https://hub-.example/",
        "https://hub_x.example/",
        "https://" + "a" * 64 + ".example/",
        "https://" + "a." * 130 + "example/",
        "https://hub.example:/",
        "https://hub.example:0/",
        "https://hub.example:0443/",
        "https://hub.example:65536/",
        "https://hub.example:443:443/",
        "https://hub.example:４４３/",
        "https://127.1/",
        "https://2130706433/",
        "https://0x7f.0.0.1/",
        "https://0x7f000001/",
        "https://127.0.0.01/",
        "https://256.0.0.1/",
        "https://[::1/",
        "https://[::ffff:1.2.3]/",
        "https://[fe80::1%25eth0]/",
        "https://ex\u00admaple\u200b.example\u2060:x/",
        "https://hub.example/" + "a" * 2048,
    ],
)
def test_inv_10_what_parsers_could_read_differently_is_no_url(url: object) -> None:
    assert parse_url(url) is None
    assert origin(url) is None
    assert host(url) is None
    assert not same_origin(url, url)
    assert not same_url(url, url)


def test_inv_10_http_is_refused_unless_allowed() -> None:
    assert parse_url("http://hub.example:80/x") is None
    assert parse_url("http://hub.example:80/x", allow_http=True) == "http://hub.example/x"
    assert origin("http://hub.example:443/", allow_http=True) == "http://hub.example:443"
    assert not same_origin("http://hub.example/", "https://hub.example/", allow_http=True)


def test_inv_10_origins_are_compared_in_canonical_form() -> None:
    assert same_origin("https://Hub.example:443/a", "https://hub.EXAMPLE/b")
    assert same_origin("https://bücher.example/", "https://XN--BCHER-KVA.example/")
    assert not same_origin("https://hub.example/", "https://hub.example:8443/")
    assert not same_origin("https://hub.example/", "https://www.hub.example/")
    # A homograph is another host: here with a Cyrillic letter.
    assert not same_origin("https://hub.example/", "https://h\u0443b.example/")


def test_full_width_digits_are_the_address_they_become() -> None:
    assert host("https://１２７.0.0.1/") == "127.0.0.1"


def test_the_length_limit_holds_at_the_character() -> None:
    url = "https://hub.example/"
    longest = url + "a" * (MAX_URL_CHARS - len(url))
    assert parse_url(longest) == longest
    assert parse_url(longest + "a") is None


def test_origin_and_host_name_a_port_only_if_it_is_not_the_default() -> None:
    assert origin("https://hub.example:8443/a#b") == "https://hub.example:8443"
    assert origin("https://hub.example") == "https://hub.example"
    assert host("https://Hub.example:8443/a") == "hub.example:8443"
    assert host("https://hub.example:443/a") == "hub.example"


def test_same_url_takes_the_empty_path_for_the_root_and_nothing_else() -> None:
    assert same_url("https://hub.example", "https://HUB.example/")
    assert same_url("https://hub.example?x", "https://hub.example/?x")
    assert not same_url("https://hub.example/a", "https://hub.example/a/")
    assert not same_url("https://hub.example/a", "https://hub.example/A")
    assert not same_url("https://hub.example/a", "https://hub.example/%61")
    assert not same_url("https://hub.example/a#b", "https://hub.example/a")


def test_related_hosts_are_equal_or_parent_and_child() -> None:
    assert related_hosts("https://hub.example/a", "https://hub.example/b")
    assert related_hosts("https://media.hub.example/a", "https://hub.example/b")
    assert related_hosts("https://hub.example/a", "https://ap.hub.example/b")
    assert not related_hosts("https://evilhub.example/", "https://hub.example/")
    assert not related_hosts("https://a.hub.example/", "https://b.hub.example/")
    assert not related_hosts("https://example/", "https://hub.example/")
    assert not related_hosts("https://0.0.1/", "https://127.0.0.1/")
    assert not related_hosts("https://[::1]/", "https://a.[::1]/")
    assert not related_hosts("http://hub.example/", "https://hub.example/", allow_http=True)
    assert not related_hosts(None, None)


@given(urls | st.text(max_size=40) | st.text(max_size=20).map(lambda text: f"https://{text}"))
@example("https://xn--/")
@example("https://xn--a\u00df.example/")
@example("https://\u0660.example/")
def test_any_text_is_a_canonical_url_or_none(text: str) -> None:
    for allow_http in (False, True):
        url = parse_url(text, allow_http=allow_http)
        if url is None:
            continue
        assert parse_url(url, allow_http=allow_http) == url
        parts = urlsplit(url)
        assert parts.scheme in ({"https", "http"} if allow_http else {"https"})
        # The standard library's parser sees the same host, port and absence of a user.
        assert parts.netloc == host(url, allow_http=allow_http)
        assert parts.netloc.isascii() and parts.netloc == parts.netloc.lower()
        assert parts.username is None and parts.password is None
        assert parts.port != {"https": 443, "http": 80}[parts.scheme]
        assert not any(unicodedata.category(char) in ("Cc", "Zs", "Zl", "Zp") for char in url)
        assert same_origin(url, text, allow_http=allow_http)


def test_inv_10_what_is_remembered_of_a_url_holds_for_each_question_about_it() -> None:
    for _ in range(2):
        assert parse_url("http://kept.example/x", allow_http=True) == "http://kept.example/x"
        assert parse_url("http://kept.example/x") is None
        assert origin("HTTP://Kept.example:80/x", allow_http=True) == "http://kept.example"
        assert not same_origin("http://kept.example/x", "http://kept.example/x")
        assert same_origin("http://kept.example/x", "http://kept.example:80/y", allow_http=True)


def test_inv_10_a_url_is_plain_text_whoever_asked_first() -> None:
    """A page trusts some kinds of text more than others: what is remembered must be of no kind."""

    class Trusted(str):
        pass

    assert type(parse_url(Trusted("https://trusted.example/x"))) is str
    assert type(parse_url("https://trusted.example/x")) is str


def test_urls_that_somebody_made_long_do_not_stay_in_memory() -> None:
    """Each may have 2,048 characters of four bytes, and three copies were kept: 50 MB for 2,048 of them."""
    origins._split.cache_clear()
    origins._canonical_authority.cache_clear()
    long = "HTTPS://peer.example/" + "a" * 600 + "\U0001f600"
    assert parse_url(long) == long.replace("HTTPS", "https")
    assert parse_url(f"https://{'h' * 600}.example/") is None
    # What is left out of a name does not make it another one.
    assert parse_url("https://peer" + "\u00ad" * 600 + ".example/") == "https://peer.example/"
    assert origins._split.cache_info().currsize == 0
    assert origins._canonical_authority.cache_info().currsize == 1
