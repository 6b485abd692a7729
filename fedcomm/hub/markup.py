"""The Markdown of members: CommonMark with line breaks kept, links found, mentions and hashtags.

Raw HTML, tables and inline images are not part of it (an image becomes a link; pictures are
attachments). Mentions and hashtags are found while the text is parsed, so those in code or inside
a link are left alone, and the result goes through the sanitiser like everything else (INV-27).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from html import escape
from typing import TYPE_CHECKING, Final

import idna

from fedcomm.hub.sanitizer import SafeHtml, clean_local, text_of

if TYPE_CHECKING:
    # Seventy modules, imported when somebody first writes something.
    from markdown_it import MarkdownIt
    from markdown_it.rules_core import StateCore
    from markdown_it.rules_inline import StateInline
    from markdown_it.token import Token

POST_CHARACTERS: Final = 50_000
"""Characters of the source of a post (security.md §4)."""

COMMENT_CHARACTERS: Final = 10_000
"""Characters of the source of a comment."""

PROFILE_CHARACTERS: Final = 5_000
"""Characters of the source of a profile."""

ALT_CHARACTERS: Final = 1_500
"""Characters of the description of an image."""

NAME_CHARACTERS: Final = 200
"""Characters of a name, title or filter."""

MENTIONS_LIMIT: Final = 50
"""Different people and groups mentioned in one text; further ones stay plain text."""

HASHTAGS_LIMIT: Final = 30
"""Different hashtags in one text; further ones stay plain text."""

HASHTAG_CHARACTERS: Final = 100
"""Length of one hashtag without its ``#``."""

ADDRESS_CHARACTERS: Final = 2_048
"""Length of an address that is found in a text; a longer one is linked up to here."""

_SCHEME: Final = re.compile(r"(?<![A-Za-z0-9.+-])https?$", re.IGNORECASE)
_NESTING: Final = 20
"""Quotes and lists inside each other that are read as such."""

_MENTION: Final = re.compile(
    r"(?P<sigil>[@!])(?P<name>[A-Za-z0-9_](?:[A-Za-z0-9_.-]{0,62}[A-Za-z0-9_])?)"
    r"(?:@(?P<host>[^\W_](?:[\w.-]{0,251}[^\W_])?)(?P<port>:[0-9]{1,5})?)?(?![\w@])"
)
_INSIDE_HASHTAG: Final = frozenset("_\u00b7\u200c")
"""Besides letters, digits and their marks: underscore, Catalan's dot, Persian's joiner."""
_GLUE: Final = frozenset("/@#&=.!")
"""Characters that, standing before a sigil, make it a part of something else."""


class TextTooLong(ValueError):
    """The source has more characters than :data:`POST_CHARACTERS`."""


@dataclass(frozen=True, slots=True)
class Mention:
    """Somebody addressed in a text: lower-case name, and host (A-labels, with a port that is not
    the default) or None for one of ours. ``group`` tells that it was written ``!name@host``."""

    name: str
    host: str | None
    group: bool = False


@dataclass(frozen=True, slots=True)
class Rendered:
    """A text as it is shown. ``mentions`` and ``hashtags`` in order, each once.

    ``hashtags`` are lower-case, NFC, without ``#``. ``mentions`` holds the unresolved ones too.
    """

    html: SafeHtml
    text: str
    mentions: tuple[Mention, ...]
    hashtags: tuple[str, ...]


def find_mentions(source: str, *, limit: int = MENTIONS_LIMIT) -> tuple[Mention, ...]:
    """Return whom the Markdown ``source`` addresses, outside of code and links, each once.

    Raises :class:`TextTooLong`.
    """
    return _mentions(_parse(source), limit)


def render(
    source: str,
    *,
    mention_links: Mapping[tuple[str, str | None], str],
    hashtag_link: Callable[[str], str],
    local_origin: str,
    mentions_limit: int = MENTIONS_LIMIT,
    hashtags_limit: int = HASHTAGS_LIMIT,
) -> Rendered:
    """Return the Markdown ``source`` as HTML and text.

    ``mention_links`` maps (lower-case name, host or None) to the address of a profile; who is not
    in it stays text. ``hashtag_link`` maps a hashtag (lower-case, without ``#``) to its page.
    Look both up first: :func:`find_mentions` tells the names. Raises :class:`TextTooLong`.
    """
    tokens = _parse(source)
    mentions = _mentions(tokens, mentions_limit)
    hashtags = _hashtags(tokens, hashtags_limit)
    for token in _inline(tokens):
        if token.type == "mention":
            mention = token.meta["mention"]
            href = mention_links.get((mention.name, mention.host))
            if href is not None and mention in mentions:
                token.meta["href"] = href
        elif token.type == "hashtag" and token.meta["hashtag"] in hashtags:
            token.meta["href"] = hashtag_link(token.meta["hashtag"])
    parser = _parser()
    html = clean_local(
        parser.renderer.render(tokens, parser.options, {}), local_origin=local_origin
    )
    return Rendered(html, text_of(html), mentions, hashtags)


def render_plain(source: str, *, local_origin: str) -> SafeHtml:
    """Return the Markdown ``source`` with its mentions and hashtags as text (profiles, rules).

    Raises :class:`TextTooLong`.
    """
    parser = _parser()
    html = parser.renderer.render(_parse(source), parser.options, {})
    return clean_local(html, local_origin=local_origin)


def _parse(source: str) -> list[Token]:
    if len(source) > POST_CHARACTERS:
        raise TextTooLong(f"The text has {len(source)} characters, {POST_CHARACTERS} are allowed.")
    return _parser().parse(source)


@cache
def _parser() -> MarkdownIt:
    """Return the one parser. It keeps nothing between texts, so threads may share it."""
    from markdown_it import MarkdownIt

    parser = MarkdownIt(
        "commonmark",
        {"html": False, "linkify": True, "breaks": True, "maxNesting": _NESTING},
    )
    parser.enable(["linkify", "strikethrough"])
    parser.disable(["html_block", "html_inline"])
    # "readme.md" and "name@host" are not links: only what is written with its scheme.
    assert parser.linkify is not None
    parser.linkify.set({"fuzzy_link": False, "fuzzy_email": False, "fuzzy_ip": False})
    parser.inline.ruler.at("linkify", _address_rule)
    parser.inline.ruler.before("emphasis", "mention", _mention_rule)
    parser.inline.ruler.before("emphasis", "hashtag", _hashtag_rule)
    parser.core.ruler.push("own_elements", _use_own_elements)
    parser.add_render_rule("mention", _render_mention)
    parser.add_render_rule("hashtag", _render_hashtag)
    return parser


def _address_rule(state: StateInline, silent: bool) -> bool:
    """Read a bare address as a whole, before its underscores and signs mean anything.

    The library's own rule searches all text before each ``://``: seconds for a hostile text.
    """
    if not state.src.startswith("://", state.pos) or state.linkLevel > 0:
        return False
    scheme = _SCHEME.search(state.pending[-8:])
    if scheme is None or state.md.linkify is None:
        return False
    start = state.pos - len(scheme[0])
    link = state.md.linkify.match_at_start(state.src[start : start + ADDRESS_CHARACTERS])
    if link is None:
        return False
    shown = link.url.rstrip("*")  # emphasis that ends behind the address
    address = state.md.normalizeLink(shown)
    if not state.md.validateLink(address):
        return False
    if not silent:
        state.pending = state.pending[: -len(scheme[0])]
        state.push("link_open", "a", 1).attrs = {"href": address}
        state.push("text", "", 0).content = state.md.normalizeLinkText(shown)
        state.push("link_close", "a", -1)
    state.pos = start + len(shown)
    return True


def _mention_rule(state: StateInline, silent: bool) -> bool:
    if state.src[state.pos] not in "@!" or not _stands_free(state):
        return False
    match = _MENTION.match(state.src, state.pos, state.posMax)
    mention = _mention(match) if match is not None else None
    if match is None or mention is None:
        return False
    if not silent:
        token = state.push("mention", "", 0)
        token.content = match[0]
        token.meta = {"mention": mention, "sigil": match["sigil"], "shown": match["name"]}
    state.pos = match.end()
    return True


def _mention(match: re.Match[str]) -> Mention | None:
    name = match["name"].lower()
    group = match["sigil"] == "!"
    if match["host"] is None:
        return None if group else Mention(name, None)
    try:
        host = idna.encode(match["host"], uts46=True).decode("ascii").lower()
    except idna.IDNAError:
        return None
    port = match["port"] or ""
    if "." not in host and not port:  # a host of the network has a dot; a test has a port
        return None
    return Mention(name, host + ("" if port == ":443" else port), group)


def _hashtag_rule(state: StateInline, silent: bool) -> bool:
    if state.src[state.pos] != "#" or not _stands_free(state):
        return False
    end = state.pos + 1
    while end < state.posMax and _belongs_to_hashtag(state.src[end]):
        end += 1
    shown = state.src[state.pos + 1 : end].rstrip("\u00b7\u200c")
    if not 0 < len(shown) <= HASHTAG_CHARACTERS or not any(map(str.isalpha, shown)):
        return False  # "#1" is a number
    if not silent:
        token = state.push("hashtag", "", 0)
        token.content = f"#{shown}"
        token.meta = {"hashtag": _hashtag_key(shown), "shown": shown}
    state.pos += 1 + len(shown)
    return True


def _belongs_to_hashtag(character: str) -> bool:
    # Marks (category M) are vowels in Hindi or Thai, and accents that stand alone.
    return (
        character.isalnum()
        or character in _INSIDE_HASHTAG
        or unicodedata.category(character).startswith("M")
    )


def _hashtag_key(shown: str) -> str:
    return unicodedata.normalize("NFC", shown.lower())


def _stands_free(state: StateInline) -> bool:
    if state.linkLevel > 0:
        return False
    if state.pos == 0:
        return True
    before = state.src[state.pos - 1]
    return before not in _GLUE and (before == "_" or not before.isalnum())


def _use_own_elements(state: StateCore) -> None:
    """Write ``<del>``, begin headings at level two, turn images into links.

    The page around a text has its own ``<h1>``.
    """
    for token in state.tokens:
        if token.type in {"heading_open", "heading_close"}:
            token.tag = "h2" if token.tag == "h1" else "h3"
        if token.children is None:
            continue
        children: list[Token] = []
        in_link = 0
        for child in token.children:
            if child.type in {"s_open", "s_close"}:
                child.tag = "del"
            in_link += (child.type == "link_open") - (child.type == "link_close")
            if child.type == "image":
                children.extend(_image_link(child, linked=in_link > 0))
            else:
                children.append(child)
        token.children = children


def _image_link(image: Token, *, linked: bool) -> list[Token]:
    from markdown_it.token import Token

    label = "".join(_plain(child) for child in image.children or ())
    address = str(image.attrs.get("src", ""))
    text = Token("text", "", 0, content=label or address)
    if linked:
        return [text]
    opening = Token("link_open", "a", 1, attrs={"href": address})
    return [opening, text, Token("link_close", "a", -1)]


def _plain(token: Token) -> str:
    if token.children:
        return "".join(_plain(child) for child in token.children)
    return " " if token.type in {"softbreak", "hardbreak"} else token.content


def _inline(tokens: Sequence[Token]) -> list[Token]:
    return [child for token in tokens for child in token.children or ()]


def _mentions(tokens: Sequence[Token], limit: int) -> tuple[Mention, ...]:
    found = dict.fromkeys(
        token.meta["mention"] for token in _inline(tokens) if token.type == "mention"
    )
    return tuple(found)[:limit]


def _hashtags(tokens: Sequence[Token], limit: int) -> tuple[str, ...]:
    found = dict.fromkeys(
        token.meta["hashtag"] for token in _inline(tokens) if token.type == "hashtag"
    )
    return tuple(found)[:limit]


def _render_mention(
    _renderer: object, tokens: Sequence[Token], index: int, _options: object, _env: object
) -> str:
    token = tokens[index]
    href = token.meta.get("href")
    if href is None:
        return escape(token.content)
    # The markup that Mastodon writes and reads (federation.md §4.5).
    return (
        f'<span class="h-card"><a href="{escape(href)}" class="u-url mention">'
        f"{token.meta['sigil']}<span>{escape(token.meta['shown'])}</span></a></span>"
    )


def _render_hashtag(
    _renderer: object, tokens: Sequence[Token], index: int, _options: object, _env: object
) -> str:
    token = tokens[index]
    href = token.meta.get("href")
    if href is None:
        return escape(token.content)
    return (
        f'<a href="{escape(href)}" class="mention hashtag" rel="tag">'
        f"#<span>{escape(token.meta['shown'])}</span></a>"
    )
