"""Turns HTML from strangers, and from our own Markdown, into HTML that a page may show.

`nh3` decides, and runs last: nothing touches its output (INV-27). What it cannot do is done on a
tree before it: headings are shifted, images go through the media proxy, links get their ``rel``.
The policy is security.md §8. What is stored is the result, not the original: a change of policy holds for
what arrives after it. One that forbids more comes with a revision of the schema that cleans what is stored.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Container, Mapping
from dataclasses import dataclass, field
from functools import cache, lru_cache
from html import escape
from typing import Final
from urllib.parse import urlsplit

import nh3

from fedcomm.hub.html_policy import (
    ATTRIBUTES,
    DROPPED,
    EXTERNAL_REL,
    LOCAL_TAGS,
    REMOTE_TAGS,
    SCHEMES,
    attribute_value,
)
from fedcomm.hub.html_tree import BLOCKS, Element, parse, parse_tidy, serialise
from fedcomm.hub.shortcodes import Shortcode, split
from fedcomm.hub.spoilers import open_spoilers

INPUT_LIMIT: Final = 100_000
"""Characters of HTML that are read (twice the 50,000 of a post); the rest is not shown."""

OUTPUT_LIMIT: Final = 4 * INPUT_LIMIT
"""Characters of clean HTML; what would grow beyond is shown as plain text."""

EXCERPT_LIMIT: Final = 500
"""Characters of an excerpt: what Mastodon shows of a titled post (federation.md)."""

_HEADINGS: Final = {"h1": "h3", "h2": "h4", "h3": "h5", "h4": "h6", "h5": "h6", "h6": "h6"}
_BREAKS: Final = {
    "br": ("\n", ""),
    "img": ("", ""),
    "li": ("\n", ""),
    "tr": ("\n", ""),
    "dt": ("\n", ""),
    "dd": ("\n", ""),
    "td": ("", " "),
    "th": ("", " "),
}
"""What plain text has before and after an element; other blocks stand between empty lines."""
_PARAGRAPHS: Final = re.compile(
    r"(?:<p>[^<>&\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]*</p>)+"
)
"""Paragraphs of plain text, in which nothing has to be decoded or left out."""
_SPACE: Final = re.compile(r"[ \t\n]+")
_DOUBTFUL: Final = re.compile(r"[\x00-\x20\x7f\\]")
"""What no address holds."""
_ADDRESS_REMEMBERED: Final = 512
"""Characters of an address that is remembered as it was read."""
_STABLE_PASSES: Final = 6
_PLAIN_LIMIT: Final = OUTPUT_LIMIT // 6
"""Characters of the plain text that replaces what cannot be cleaned: ``&`` takes five."""


class SafeHtml(str):
    """HTML that came out of the sanitiser: the only text that templates do not escape.

    Only this module makes it (a test looks for other callers). ``__html__`` is the protocol of
    markupsafe.
    """

    __slots__ = ()

    def __html__(self) -> SafeHtml:
        return self


EMPTY: Final = SafeHtml("")
"""No words at all."""


_EDITED: Final = frozenset({"img", "math", "annotation", "h1", "h2"})
_LOOKED_AT: Final = _EDITED | frozenset(_HEADINGS) | {"a", "pre", "iframe"}
"""Elements that are edited themselves; of all others only what is in them."""


@dataclass(frozen=True, slots=True)
class _Policy:
    tags: frozenset[str]
    shift_headings: bool
    resolve_relative: bool
    read: frozenset[str] = field(init=False, compare=False)
    """What stays in the tree until it is edited."""
    unedited: frozenset[str] = field(init=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "read", self.tags | _EDITED)
        object.__setattr__(self, "unedited", self.tags - _LOOKED_AT)


_REMOTE: Final = _Policy(REMOTE_TAGS, shift_headings=True, resolve_relative=False)
_LOCAL: Final = _Policy(LOCAL_TAGS, shift_headings=False, resolve_relative=True)
_PAGE: Final = _Policy(REMOTE_TAGS | LOCAL_TAGS, shift_headings=False, resolve_relative=False)
_EMPTIED: Final = frozenset({"iframe"})
_NEVER_TIDY: Final = DROPPED | _EMPTIED
_NAMES: Final = {
    tag: frozenset(ATTRIBUTES["*"] | ATTRIBUTES.get(tag, set())) for tag in REMOTE_TAGS | LOCAL_TAGS
}
"""What the sanitiser lets an element have."""
_VERBATIM: Final = frozenset({"code", "pre", "kbd", "samp"})
"""Elements in whose text a shortcode is what was written."""
EMOJI_PIXELS: Final = "20"
"""What an emoji's element says of its size until the style sheet has its own word."""


def clean_remote(
    html: str, *, media_proxy: Callable[[str], str] | None = None, local_origin: str
) -> SafeHtml:
    """Return what may be shown of ``html`` that another server sent. Never raises on bad input.

    Ordinary posts take about a millisecond, hostile ones up to half a second: call it in a thread
    for anything that came from outside (INV-26).

    ``media_proxy`` maps the address of a remote image to one of ours (absolute, or a path of
    ``local_origin``); without it an image becomes its alternative text. ``local_origin`` is our
    own ``https://host``: links to it stay in the page, all others open outside.
    """
    return _clean(html, _REMOTE, media_proxy, local_origin)


def clean_local(html: str, *, local_origin: str) -> SafeHtml:
    """Return what may be shown of the output of our own Markdown: fewer elements, no images.

    Links that are paths (``/g/gardening``) become absolute, because the text also leaves the hub.
    """
    return _clean(html, _LOCAL, None, local_origin)


def with_emoji(html: SafeHtml, pictures: Mapping[str, str]) -> SafeHtml:
    """Return clean HTML with custom emoji as pictures; `pictures` maps shortcodes to addresses of ours.

    They are put into a tree, on text nodes only and never into code, and the sanitiser reads the
    result again (INV-27): the shortcode of an emoji can say what it likes, it is an attribute's value.
    """
    if not pictures:
        return html
    tree = parse(html, kept=_PAGE.tags, dropped=DROPPED)
    images = set(pictures.values()) | _sources(tree)
    _insert_emoji(tree, pictures)
    return SafeHtml(_cleaner(_PAGE, images, relative=images).clean(serialise(tree)))


def text_with_emoji(text: str, pictures: Mapping[str, str]) -> SafeHtml:
    """Return plain text (a name, a title) as HTML, with custom emoji as pictures."""
    tree = Element("", {}, [text])
    _insert_emoji(tree, pictures)
    images = set(pictures.values())
    return SafeHtml(_cleaner(_PAGE, images, relative=images).clean(serialise(tree)))


def text_of(html: str) -> str:
    """Return the plain text of ``html``: paragraphs apart by an empty line, ``<br>`` as a line."""
    if not html:
        return ""
    if len(html) <= INPUT_LIMIT and _PARAGRAPHS.fullmatch(html):
        # Most posts are that, and need no tree to be read.
        lines = (_SPACE.sub(" ", text).strip(" ") for text in html[3:-4].split("</p><p>"))
        return "\n\n".join(line for line in lines if line)
    return _text_by_tree(html)


def _text_by_tree(html: str) -> str:
    kept = BLOCKS | {"br", "img"}
    tree = parse(html[:INPUT_LIMIT], kept=kept, dropped=DROPPED | {"iframe", "annotation"})
    pieces: list[str] = []
    _write_text(tree, pieces, preformatted=False)
    lines = [line.rstrip(" \t") for line in "".join(pieces).split("\n")]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip("\n")


def excerpt(text: str, limit: int = EXCERPT_LIMIT) -> str:
    """Return ``text`` on one line, at most ``limit`` characters, cut at a word with ``…``."""
    line = " ".join(text.split())
    if len(line) <= limit:
        return line
    room = line[: max(limit - 1, 0)]
    if not line[len(room)].isspace():
        word = room.rfind(" ")
        if word > len(room) // 2:  # a language without spaces is cut anywhere
            room = room[:word]
    while room and unicodedata.combining(line[len(room)]):
        room = room[:-1]
    return room.rstrip(" ,;:.") + "…"


def plain_name(text: str, limit: int) -> str:
    """Return a name or title as one line of at most ``limit`` characters (NFC).

    Control characters and those that turn the direction of writing are left out: a name must not
    rearrange the page around it (CVE-2023-36462). Joiners stay, since Persian and emoji need them.
    """
    kept = text
    if not text.isprintable():
        # All that may have to go, and all white space but the blank, is not printable.
        kept = "".join(
            " " if character.isspace() else character
            for character in text
            if character.isspace() or not _reorders(character)
        )
    return " ".join(unicodedata.normalize("NFC", kept).split())[:limit].strip()


def _reorders(character: str) -> bool:
    category = unicodedata.category(character)
    if category in {"Cc", "Cs", "Co", "Cn"}:
        return True
    # Format characters: keep ZWNJ, ZWJ and the tag letters of flag emoji.
    return (
        category == "Cf"
        and character not in "\u200c\u200d"
        and not 0xE0020 <= ord(character) <= 0xE007F
    )


def _clean(
    html: str, policy: _Policy, media_proxy: Callable[[str], str] | None, local_origin: str
) -> SafeHtml:
    source = html[:INPUT_LIMIT]
    editor = _Editor(policy, media_proxy, local_origin)
    # Without a proxy there are no images, and the cleaner is always the same.
    cleaner = _without_images(policy) if media_proxy is None else _cleaner(policy, editor.images)
    given, before, clean = None, None, source
    for _ in range(_STABLE_PASSES):
        # Again until the output reads as itself: what a browser parses is what was checked.
        edited = editor.edit(clean)
        if edited == given:
            # The cleaner has just read that, and would say the same again.
            return SafeHtml(clean)
        given, before, clean = edited, clean, cleaner.clean(edited)
        # What even the first pass leaves as it is, which does more than the others, they leave too.
        if clean == before:
            return SafeHtml(clean)
        if len(clean) > OUTPUT_LIMIT:
            break
        if clean == given and editor.was_tidy:
            # Read by the standard as it was written, and to edit it again would change nothing.
            return SafeHtml(clean)
    lines = (
        escape(paragraph, quote=False).replace("\n", "<br>")
        for paragraph in text_of(source)[:_PLAIN_LIMIT].split("\n\n")
    )
    plain = "".join(f"<p>{line}</p>" for line in lines)
    return SafeHtml(nh3.clean(plain, tags={"p", "br"}, attributes={}))


@cache
def _without_images(policy: _Policy) -> nh3.Cleaner:
    return _cleaner(policy, set())


def _cleaner(policy: _Policy, images: set[str], *, relative: Container[str] = ()) -> nh3.Cleaner:
    def allowed(tag: str, name: str, value: str) -> str | None:
        return attribute_value(tag, name, value, images)

    return nh3.Cleaner(
        tags=set(policy.tags),
        clean_content_tags={"script", "style"},
        attributes={
            tag: names for tag, names in ATTRIBUTES.items() if tag == "*" or tag in policy.tags
        },
        attribute_filter=allowed,
        link_rel=None,  # written in the tree, and checked by the filter
        url_schemes=set(SCHEMES),
        url_relative=lambda url: url if url in relative else None,
    )


class _Editor:
    """Does on the tree what the sanitiser cannot do."""

    def __init__(
        self, policy: _Policy, media_proxy: Callable[[str], str] | None, local_origin: str
    ) -> None:
        self._policy = policy
        self._proxy = media_proxy
        self._local_origin = local_origin.rstrip("/")
        self._local = _origin(local_origin)
        self.images: set[str] = set()
        self.passes = 0
        self.was_tidy = False
        """Whether the last pass read markup that a second one would write as it was written."""

    def edit(self, html: str) -> str:
        """Return ``html`` balanced and edited; only the first pass shifts headings."""
        tree = parse_tidy(html, kept=self._policy.read, dropped=_NEVER_TIDY)
        self.was_tidy = tree is not None
        if tree is None:
            tree = parse(html, kept=self._policy.read, dropped=DROPPED, emptied=_EMPTIED)
        if self._policy.shift_headings and self.passes == 0 and open_spoilers(tree):
            self.was_tidy = False
        tree.children = self._edited(tree.children)
        self.passes += 1
        return serialise(tree)

    def _edited(self, children: list[Element | str]) -> list[Element | str]:
        result: list[Element | str] = []
        unedited = self._policy.unedited
        for child in children:
            if isinstance(child, str):
                result.append(child)
            elif child.tag in unedited:
                if child.attrs and not child.attrs.keys() <= (names := _NAMES[child.tag]):
                    # The sanitiser would leave them out: so it has nothing to change.
                    child.attrs = {
                        name: value for name, value in child.attrs.items() if name in names
                    }
                child.children = self._edited(child.children)
                result.append(child)
            else:
                result.extend(self._element(child))
        return result

    def _element(self, node: Element) -> list[Element | str]:
        match node.tag:
            case "img":
                return self._image(node)
            case "iframe":
                address = node.attrs.get("src", "").strip()
                return self._link(Element("a", {"href": address}, [address]))
            case "math":
                return [_annotation(node) or node.attrs.get("alttext", "") or node.text()]
            case "annotation":
                return []
        node.children = self._edited(node.children)
        if node.tag == "a":
            return self._link(node)
        if node.tag == "pre" and node.children and isinstance(node.children[0], str):
            # HTML drops the first line break of <pre>: drop it here, or each reading drops one.
            node.children[0] = node.children[0].lstrip("\n")
        if node.tag in _HEADINGS and self._policy.shift_headings and self.passes == 0:
            node.tag = _HEADINGS[node.tag]
        return [node] if node.tag in self._policy.tags else node.children

    def _link(self, node: Element) -> list[Element | str]:
        href = self._target(node.attrs.get("href", ""))
        if href is None or not _visible(node):
            return node.children
        tag = ["tag"] if "tag" in node.attrs.get("rel", "").lower().split() else []
        kept: dict[str, str] = {
            name: node.attrs[name]
            for name in ("class", "title", "translate", "lang", "dir", "role")
            if name in node.attrs
        }
        node.attrs = {"href": href, **kept}
        if self._local is None or _origin(href) != self._local:
            node.attrs["rel"] = " ".join([*tag, EXTERNAL_REL])
            node.attrs["target"] = "_blank"
        elif tag:
            node.attrs["rel"] = "tag"
        return [node]

    def _target(self, href: str) -> str | None:
        """Return the address of a link, or None when it becomes its text."""
        href = href.replace("\n", "").replace("\t", "").strip()
        if self._policy.resolve_relative and href.startswith("/") and href[1:2] not in ("/", "\\"):
            href = self._local_origin + href
        return _address(href) if len(href) <= _ADDRESS_REMEMBERED else _address.__wrapped__(href)

    def _image(self, node: Element) -> list[Element | str]:
        alt = node.attrs.get("alt", "")
        source = node.attrs.get("src", "").strip()
        if source in self.images:  # ours already, from an earlier pass
            return [node]
        if self._proxy is None or "img" not in self._policy.tags or _origin(source) is None:
            return [alt] if alt else []
        address = self._proxy(source)
        if address.startswith("/"):
            address = self._local_origin + address
        self.images.add(address)
        sizes: dict[str, str] = {
            name: node.attrs[name]
            for name in ("title", "width", "height", "class")
            if name in node.attrs
        }
        return [Element("img", {"src": address, "alt": alt, **sizes})]


def _insert_emoji(node: Element, pictures: Mapping[str, str]) -> None:
    children: list[Element | str] = []
    for child in node.children:
        if isinstance(child, Element):
            if child.tag not in _VERBATIM:
                _insert_emoji(child, pictures)
            children.append(child)
            continue
        for piece in split(child, pictures):
            children.append(piece if isinstance(piece, str) else _emoji(piece, pictures))
    node.children = children


def _emoji(code: Shortcode, pictures: Mapping[str, str]) -> Element:
    attributes = {"src": pictures[code.name], "alt": code.text, "title": code.text}
    size = {"class": "emoji", "width": EMOJI_PIXELS, "height": EMOJI_PIXELS}
    return Element("img", attributes | size)


def _sources(node: Element) -> set[str]:
    """Return the addresses of pictures that clean HTML has already."""
    found: set[str] = set()
    for child in node.children:
        if isinstance(child, Element):
            found |= {child.attrs.get("src", "")} if child.tag == "img" else _sources(child)
    return found


def _visible(node: Element) -> bool:
    """Tell whether a link has something that one can see and click."""
    for child in node.children:
        if isinstance(child, str):
            if child and not child.isspace():
                return True
        elif child.tag == "img" or _visible(child):
            return True
    return False


@lru_cache(maxsize=512)
def _address(href: str) -> str | None:
    """Return the address of a link as it is written, or None for one that nobody should follow."""
    try:
        parts = urlsplit(href)
    except ValueError:
        return None
    if parts.scheme not in SCHEMES:
        return None
    if parts.scheme in {"http", "https"} and _origin(href) is None:
        return None
    return href.replace(" ", "%20")


def _origin(url: str) -> tuple[str, str, int] | None:
    """Return (scheme, host, port) of an http address, None for anything doubtful (INV-10)."""
    if len(url) > _ADDRESS_REMEMBERED:
        return _read_origin.__wrapped__(url)
    return _read_origin(url)


@lru_cache(maxsize=512)
def _read_origin(url: str) -> tuple[str, str, int] | None:
    # Remembered: it is asked for twice for each link in each pass, and people link to the same hosts.
    if _DOUBTFUL.search(url):
        return None
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return None
    if parts.scheme not in {"http", "https"} or not parts.hostname or "@" in parts.netloc:
        return None
    return parts.scheme, parts.hostname, port or (443 if parts.scheme == "https" else 80)


def _annotation(math: Element) -> str:
    """Return the TeX or plain text that a formula carries with it (FEP-dc88)."""
    found: dict[str, str] = {}
    pending = [math]
    while pending:
        for child in pending.pop().children:
            if isinstance(child, Element):
                pending.append(child)
                if child.tag == "annotation":
                    found.setdefault(child.attrs.get("encoding", "").lower(), child.text())
    for encoding in ("application/x-tex", "text/plain"):
        if text := found.get(encoding, "").strip():
            return text
    return ""


def _write_text(node: Element, pieces: list[str], *, preformatted: bool) -> None:
    """Append the text of ``node`` to ``pieces``; none of them is empty."""
    for child in node.children:
        if isinstance(child, str):
            text = child
            if not preformatted:
                text = re.sub(r"[ \t\n]+", " ", child)
                if not pieces or pieces[-1].endswith(("\n", " ")):
                    text = text.lstrip(" ")
            pieces.extend([text] if text else [])
            continue
        before, after = _BREAKS.get(child.tag, ("\n\n", "\n\n"))
        inside = child.attrs.get("alt", "") if child.tag == "img" else ""
        pieces.extend(piece for piece in (before, inside) if piece)
        _write_text(child, pieces, preformatted=preformatted or child.tag == "pre")
        pieces.extend([after] if after else [])
