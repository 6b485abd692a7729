"""What members write becomes what they meant, and nothing else."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fedcomm.hub.html_policy import LOCAL_TAGS
from fedcomm.hub.markup import (
    HASHTAGS_LIMIT,
    MENTIONS_LIMIT,
    POST_CHARACTERS,
    Mention,
    Rendered,
    TextTooLong,
    find_mentions,
    render,
    render_plain,
)
from fedcomm.hub.sanitizer import SafeHtml, clean_local
from tests.hub.test_sanitizer import PAYLOADS, assert_harmless

ORIGIN = "https://hub.example"
LINKS: dict[tuple[str, str | None], str] = {
    ("anna", None): "https://hub.example/@anna",
    ("ida", "peer.example"): "https://peer.example/@ida",
    ("gardening", "hub.example"): "https://hub.example/g/gardening",
}
EXTERNAL = 'rel="nofollow noopener noreferrer ugc" target="_blank"'


def rendered(source: str) -> Rendered:
    return render(
        source,
        mention_links=LINKS,
        hashtag_link=lambda name: f"https://hub.example/tags/{name}",
        local_origin=ORIGIN,
    )


def html_of(source: str) -> str:
    return rendered(source).html.strip()


def test_a_remote_mention_is_written_as_mastodon_writes_it() -> None:
    assert html_of("@ida@peer.example add compost.") == (
        '<p><span class="h-card"><a href="https://peer.example/@ida" class="u-url mention" '
        f"{EXTERNAL}>@<span>ida</span></a></span> add compost.</p>"
    )


def test_a_local_mention_opens_in_place() -> None:
    assert html_of("(@anna)") == (
        '<p>(<span class="h-card"><a href="https://hub.example/@anna" class="u-url mention">'
        "@<span>anna</span></a></span>)</p>"
    )


@pytest.mark.parametrize(
    ("source", "mentions"),
    [
        ("@Ida@Peer.Example and @ANNA", [Mention("ida", "peer.example"), Mention("anna", None)]),
        ("@anna @anna\n\n@anna", [Mention("anna", None)]),
        ("!gardening@hub.example!", [Mention("gardening", "hub.example", group=True)]),
        (
            "@a_b@peer.example @a_b@c.example",
            [
                Mention("a_b", "peer.example"),
                Mention("a_b", "c.example"),
            ],
        ),
        (
            "@x@localhost:8443 @x@hub.example:443",
            [
                Mention("x", "localhost:8443"),
                Mention("x", "hub.example"),
            ],
        ),
        ("@x@bücher.example", [Mention("x", "xn--bcher-kva.example")]),
        (
            "Thanks, @anna. And @ida@peer.example.",
            [
                Mention("anna", None),
                Mention("ida", "peer.example"),
            ],
        ),
        (
            "**@anna** *x @ida@peer.example*",
            [Mention("anna", None), Mention("ida", "peer.example")],
        ),
        ("> @anna\n\n- @ida@peer.example", [Mention("anna", None), Mention("ida", "peer.example")]),
        ("# @anna", [Mention("anna", None)]),
        ("@anna's", [Mention("anna", None)]),
        ("mail a@peer.example", []),
        ("`@anna` ``@anna``", []),
        ("```\n@anna\n```\n\n    @anna", []),
        ("[@anna](https://a.example) [x @anna](/y)", []),
        ("https://peer.example/@anna https://a.example/?q=(@anna)", []),
        ("<https://peer.example/@anna>", []),
        ("\\@anna @ anna @-x @@anna @a@b@c !group x@anna", []),
        ("@x@nodots", []),
    ],
)
def test_who_is_mentioned(source: str, mentions: list[Mention]) -> None:
    assert list(find_mentions(source)) == mentions
    assert list(rendered(source).mentions) == mentions


def test_who_is_not_known_stays_text() -> None:
    assert html_of("@nobody and @x@elsewhere.example") == (
        "<p>@nobody and @x@elsewhere.example</p>"
    )


def test_hashtags_are_found_lower_case_and_once() -> None:
    result = rendered("#Tomaten #tomaten #Ünï #日本 #a_b2 #1 #2024 a#b ##c `#d` [#e](/f) &#35;g")
    assert result.hashtags == ("tomaten", "ünï", "日本", "a_b2")
    assert (
        '<a href="https://hub.example/tags/tomaten" class="mention hashtag" rel="tag">'
        "#<span>Tomaten</span></a>"
    ) in result.html


def test_a_hashtag_is_the_same_however_its_letters_are_composed() -> None:
    assert rendered("#caf\u00e9 #cafe\u0301 #CAFE\u0301").hashtags == ("caf\u00e9",)


def test_hashtags_keep_the_marks_of_their_script() -> None:
    assert rendered("#हिन्दी #می\u200cخواهم #paral·lel·").hashtags == (
        *("हिन्दी", "می\u200cخواهم", "paral·lel"),
    )


def test_more_mentions_and_hashtags_than_allowed_stay_text() -> None:
    result = render(
        " ".join(f"@m{n} #h{n}" for n in range(100)),
        mention_links={(f"m{n}", None): f"https://hub.example/@m{n}" for n in range(100)},
        hashtag_link=lambda name: f"/tags/{name}",
        local_origin=ORIGIN,
    )
    assert len(result.mentions) == MENTIONS_LIMIT == result.html.count("u-url")
    assert len(result.hashtags) == HASHTAGS_LIMIT == result.html.count("hashtag")


@pytest.mark.parametrize(
    ("source", "html"),
    [
        ("one\ntwo", "<p>one<br>\ntwo</p>"),
        ("# A\n## B\n### C\n###### F", "<h2>A</h2>\n<h3>B</h3>\n<h3>C</h3>\n<h3>F</h3>"),
        (
            "~~gone~~ **b** *i* `c`",
            "<p><del>gone</del> <strong>b</strong> <em>i</em> <code>c</code></p>",
        ),
        ("```python\nx < 1\n```", '<pre><code class="language-python">x &lt; 1\n</code></pre>'),
        ("3. a\n4. b", '<ol start="3">\n<li>a</li>\n<li>b</li>\n</ol>'),
        ("***", "<hr>"),
        ("<b>x</b> <!-- y --> &lt;", "<p>&lt;b&gt;x&lt;/b&gt; &lt;!-- y --&gt; &lt;</p>"),
        ("| a |\n|---|", "<p>| a |<br>\n|---|</p>"),
        (
            "https://a.example/x_y_z?b=1&c=2.",
            f'<p><a href="https://a.example/x_y_z?b=1&amp;c=2" {EXTERNAL}>'
            "https://a.example/x_y_z?b=1&amp;c=2</a>.</p>",
        ),
        (
            "https://hub.example/g/x",
            '<p><a href="https://hub.example/g/x">https://hub.example/g/x</a></p>',
        ),
        ("[x](/g/y)", '<p><a href="https://hub.example/g/y">x</a></p>'),
        ("readme.md example.org ftp://x.example", "<p>readme.md example.org ftp://x.example</p>"),
        (
            "[x](javascript:alert(1)) [y](data:text/html,z)",
            "<p>[x](javascript:alert(1)) [y](data:text/html,z)</p>",
        ),
        (
            "![A *cat*](https://i.example/a.png)",
            f'<p><a href="https://i.example/a.png" {EXTERNAL}>A cat</a></p>',
        ),
        (
            "![](https://i.example/a.png)",
            f'<p><a href="https://i.example/a.png" {EXTERNAL}>https://i.example/a.png</a></p>',
        ),
        (
            "[![A cat](https://i.example/a.png)](/g/x)",
            '<p><a href="https://hub.example/g/x">A cat</a></p>',
        ),
    ],
)
def test_markdown_becomes(source: str, html: str) -> None:
    assert html_of(source) == html


def test_the_text_of_a_post_reads_without_marks() -> None:
    assert rendered("# T\n\n**Hello** @anna\nnext [x](/y)\n\n- a\n- b").text == (
        "T\n\nHello @anna\nnext x\n\na\nb"
    )


def test_inv_27_an_address_of_a_profile_cannot_carry_markup() -> None:
    html = render(
        "@anna #x",
        mention_links={("anna", None): 'javascript:"><script>alert(1)</script>'},
        hashtag_link=lambda name: '"><img src=x onerror=alert(1)>',
        local_origin=ORIGIN,
    ).html
    assert_harmless(html, LOCAL_TAGS)
    assert "<script" not in html and "<img" not in html


@pytest.mark.parametrize("payload", PAYLOADS)
def test_inv_27_a_published_payload_in_markdown_is_text(payload: str) -> None:
    assert_harmless(rendered(payload).html, LOCAL_TAGS)


@settings(max_examples=300, deadline=None)
@given(
    st.lists(
        st.one_of(
            st.sampled_from(
                [
                    *("@anna", "@ida@peer.example", "#tag", "![", "[", "](", ")", "`", "```\n"),
                    *("> ", "- ", "\n", "\n\n", "https://a.example/", "<b>", "**", "_", "~~"),
                    *("\\", "&lt;", "    ", "1. ", "# ", "---\n", "<script>", "\t", "https://"),
                    *("!x@y.example", "***"),
                ]
            ),
            st.text(max_size=8),
        ),
        max_size=25,
    ).map("".join)
)
def test_inv_27_any_markdown_is_harmless_and_already_clean(source: str) -> None:
    result = rendered(source)
    assert isinstance(result.html, SafeHtml)
    assert_harmless(result.html, LOCAL_TAGS)
    assert clean_local(result.html, local_origin=ORIGIN) == result.html
    assert result.mentions == find_mentions(source)
    assert all(not re.search(r"[\s<>&\"'/?#]", name) for name in result.hashtags)


def test_plain_rendering_links_nobody() -> None:
    assert render_plain("@anna #x *y*", local_origin=ORIGIN).strip() == (
        "<p>@anna #x <em>y</em></p>"
    )


def test_a_text_has_its_limit_and_not_one_character_more() -> None:
    rendered("a" * POST_CHARACTERS)
    with pytest.raises(TextTooLong, match="50001"):
        rendered("a" * (POST_CHARACTERS + 1))
    with pytest.raises(TextTooLong):
        find_mentions("a" * (POST_CHARACTERS + 1))


@pytest.mark.parametrize(
    "unit",
    [
        *(
            "[",
            "![",
            "*a_ ",
            "`a",
            "> ",
            "- ",
            "://",
            "http://",
            "http:// ",
            "@a ",
            "@a@b.c ",
            "#a ",
        ),
        *(
            "[a](",
            "[a]: b\n",
            "~~a",
            "***a",
            "@a@" + "b" * 200 + " ",
            "[a](<b",
            "<a@b.c",
            "[![",
            "\\",
        ),
    ],
)
def test_hostile_markdown_costs_little_time(unit: str) -> None:
    started = time.process_time()
    rendered(unit * (POST_CHARACTERS // len(unit)))
    assert time.process_time() - started < 20
