"""Tidy markup takes a shorter way to the same tree and the same clean HTML (INV-27)."""

from __future__ import annotations

from unittest.mock import patch

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from fedcomm.hub import html_tree, sanitizer
from fedcomm.hub.html_policy import DROPPED
from fedcomm.hub.html_tree import BLOCKS, MAX_DEPTH, attributes_of, parse_tidy, without_controls
from fedcomm.hub.sanitizer import clean_local, clean_remote, text_of
from tests.hub.test_sanitizer import FRAGMENTS, ORIGIN, elements_of

IFRAME = frozenset({"iframe"})
READINGS = (
    (sanitizer._REMOTE.tags | sanitizer._EDITED, DROPPED, IFRAME),
    (sanitizer._LOCAL.tags | sanitizer._EDITED, DROPPED, IFRAME),
    (BLOCKS | {"br", "img"}, DROPPED | IFRAME | {"annotation"}, frozenset()),
)
"""What is kept, dropped and emptied by those who read."""

ATTRIBUTES = st.lists(
    st.sampled_from(
        [
            *('class="h-card"', 'class="u-url mention"', 'class="odd"', 'translate="no"', 'id="x"'),
            *('href="https://a.example/x"', f'href="{ORIGIN}/y"', 'href="/z"', 'href=""'),
            *('href="javascript:alert(1)"', 'href="https://a.example/?a=1&amp;b=2"', 'rel="tag"'),
            *('href="https://a.example/?a=1&b=2"', 'href="https://a.example/a b"', 'lang="it"'),
            *('href=" https://a.example/"', 'href="&nbsp;https://a.example/"', "title='x'"),
            *('title="x&quot;y\'z"', 'title="a&nbsp;b"', 'title="a&copy=b"', 'title="a\nb"'),
            *('title="&lt;b&gt;"', 'class="x" class="ellipsis"', 'onclick="x"', 'style="a:b"'),
        ]
    ),
    max_size=2,
).map(lambda found: "".join(f" {attribute}" for attribute in found))
WORDS = st.sampled_from(
    [
        *("hello", "a b", " ", "\n", "&amp;", "&lt;b&gt;", "&nbsp;", "\xa0", "&#58;::", "&quot;"),
        *("&copy", "&", "&amp;amp;", "::: spoiler T", "\n:::\n", ":::", "\r\n", "\x00", "\x85"),
        *("&#0;", "&#13;", "'", '"', ">", "\u2028", "<br>", "<br />", '<br class="x"/>', "<hr>"),
    ]
) | st.text(max_size=5)
MARKUP = st.recursive(
    WORDS,
    lambda inner: st.builds(
        "<{0}{1}>{2}</{0}>".format,
        st.sampled_from(
            [
                *(
                    "p",
                    "p",
                    "a",
                    "a",
                    "span",
                    "strong",
                    "code",
                    "pre",
                    "ul",
                    "ol",
                    "li",
                    "li",
                    "div",
                ),
                *("blockquote", "h1", "h4", "sub", "del", "table", "img", "details", "script"),
            ]
        ),
        ATTRIBUTES,
        st.lists(inner, max_size=4).map("".join),
    ),
    max_leaves=12,
)
ANYTHING = st.lists(MARKUP, max_size=4).map("".join) | FRAGMENTS

MENTION = (
    '<p><span class="h-card" translate="no"><a href="https://peer.example/@ida" '
    'class="u-url mention">@<span>ida</span></a></span> look &amp; see <a '
    'href="https://a.example/long?a=1&amp;b=2" target="_blank" rel="nofollow noopener" '
    'translate="no"><span class="invisible">https://</span><span class="ellipsis">a.example/'
    'lo</span></a><br />it\'s "here"</p>'
)
LISTS = '<h2>Beds</h2>\n<ol>\n<li>one</li>\n<li>two<ul><li class="x">three</li></ul></li>\n</ol>\n<hr />'


def read_both(html: str, reading: int) -> tuple[html_tree.Element | None, html_tree.Element]:
    kept, dropped, emptied = READINGS[reading]
    tidy = parse_tidy(html, kept=kept, dropped=dropped | emptied)
    return tidy, html_tree._built(without_controls(html), kept, dropped, emptied)


@settings(max_examples=400, deadline=None)
@given(ANYTHING, st.integers(0, 2))
@example("&#0;", 0)
@example("a &amp", 2)
@example("<p>a</p>&lt", 0)
def test_inv_27_tidy_markup_is_read_as_the_parser_reads_it(html: str, reading: int) -> None:
    tidy, built = read_both(html, reading)
    assert tidy is None or tidy == built


@pytest.mark.parametrize("html", ["", "words", MENTION, LISTS, "<p>a</p>" * 50, "<pre>\nx</pre>"])
def test_what_servers_write_is_tidy(html: str) -> None:
    for reading in range(3):
        tidy, built = read_both(html, reading)
        assert tidy is not None and tidy == built


@pytest.mark.parametrize(
    "html",
    [
        *("<p>", "</p>", "<p><b></p></b>", "<p><p>x</p></p>", "<p><div>x</div></p>", "<p/>x</p>"),
        *("<a><b><a>x</a></b></a>", "<li>x</li>", "<ul><b><li>x</li></b></ul>", "<P>x</P>"),
        *("a < b", "<", "<p", "<!-- x -->", "<![CDATA[x]]>", "<?x?>", "<script>x</script>"),
        *(
            "<table></table>",
            "<iframe></iframe>",
            "<img>",
            "<p><hr></p>",
            "<svg></svg>",
            "<x-y></x-y>",
        ),
        *("<p class=x>y</p>", "<p class='x'>y</p>", '<p class="x"id="y">z</p>', "<p a>y</p>"),
        *('<p title="a>b">x</p>', '<p title="&copy">x</p>', '<p title="a&b">x</p>', "<p\n>x</p>"),
        "<b>" * (MAX_DEPTH + 1) + "</b>" * (MAX_DEPTH + 1),
    ],
)
def test_inv_27_what_parsers_may_read_differently_is_not_tidy(html: str) -> None:
    for reading in range(3):
        assert read_both(html, reading)[0] is None


@settings(max_examples=400, deadline=None)
@given(ANYTHING)
@example(MENTION)
@example(LISTS)
def test_inv_27_the_short_way_leads_where_the_long_way_leads(html: str) -> None:
    def results() -> list[str]:
        return [
            clean_remote(html, local_origin=ORIGIN),
            clean_remote(html, local_origin=ORIGIN, media_proxy=lambda url: f"/proxy/{len(url)}"),
            clean_local(html, local_origin=ORIGIN),
            text_of(html),
        ]

    short = results()
    nothing_is_tidy = patch.object(html_tree, "parse_tidy", return_value=None)
    with nothing_is_tidy, patch.object(sanitizer, "parse_tidy", return_value=None):
        assert results() == short


@settings(max_examples=400, deadline=None)
@given(ANYTHING, st.sampled_from([sanitizer._REMOTE, sanitizer._LOCAL]))
@example(MENTION, sanitizer._REMOTE)
def test_inv_27_what_was_written_of_tidy_markup_is_written_again(
    html: str, policy: sanitizer._Policy
) -> None:
    """So it is not edited a second time, if the cleaner left it as it was."""
    editor = sanitizer._Editor(policy, None, ORIGIN)
    edited = editor.edit(html)
    if editor.was_tidy and sanitizer._without_images(policy).clean(edited) == edited:
        assert editor.edit(edited) == edited


@settings(max_examples=200, deadline=None)
@given(ANYTHING)
@example(MENTION)
def test_the_links_of_clean_markup_are_found_in_their_order(html: str) -> None:
    clean = clean_remote(html, local_origin=ORIGIN)
    links = [attributes for tag, attributes in elements_of(clean) if tag == "a"]
    assert attributes_of(clean, "a") == links
