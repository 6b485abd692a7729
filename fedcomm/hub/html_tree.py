"""A small, bounded tree of HTML that may be edited *before* it is sanitised.

The sanitiser (:mod:`fedcomm.hub.sanitizer`) decides what is safe, and it has the last word. This
module only does what it cannot: change the level of a heading, turn a frame into a link, limit
nesting. It reads any text without an error and writes balanced markup: no more than a given depth,
no construct left open. That also protects the sanitiser, whose standard-conforming parser copies
every formatting element that was left open into each following paragraph (a short text could grow
a thousandfold).

What most servers write is tidy, and read in one walk; the parser of the standard library, which
takes five times as long, reads the rest. Both make the same tree.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from functools import lru_cache
from html import escape, unescape
from html.parser import HTMLParser
from typing import Final

MAX_DEPTH: Final = 50
"""Elements inside each other; deeper ones are unwrapped, their text stays (security.md §8)."""

VOID: Final = frozenset({"br", "hr", "img", "wbr"})
"""Kept elements that have no content and no end tag."""

VOID_DROPPED: Final = frozenset(
    {"area", "base", "basefont", "bgsound", "col", "embed", "frame", "input", "keygen"}
    | {"link", "meta", "param", "source", "track"}
)
"""Elements without content that are never kept: they must not wait for an end tag."""

BLOCKS: Final = frozenset(
    {"p", "div", "section", "article", "aside", "blockquote", "pre", "ul", "ol", "li", "dl", "dt"}
    | {"dd", "table", "caption", "thead", "tbody", "tfoot", "tr", "th", "td", "details", "summary"}
    | {"figure", "figcaption", "hr", "h1", "h2", "h3", "h4", "h5", "h6"}
)
"""Elements that stand on lines of their own."""

_CLOSES_PARAGRAPH: Final = BLOCKS - {"li", "dt", "dd", "caption", "thead", "tbody", "tfoot"}
_CELLS: Final = frozenset({"td", "th", "caption"})
_IMPLIED_END: Final[dict[str, tuple[frozenset[str], frozenset[str]]]] = {
    # start tag: (open elements that it ends, elements that it does not look beyond)
    "li": (frozenset({"li"}), frozenset({"ul", "ol"}) | _CELLS),
    "dt": (frozenset({"dt", "dd"}), frozenset({"dl"}) | _CELLS),
    "dd": (frozenset({"dt", "dd"}), frozenset({"dl"}) | _CELLS),
    "tr": (frozenset({"tr"}), frozenset({"table"})),
    "td": (frozenset({"td", "th"}), frozenset({"tr", "table"})),
    "th": (frozenset({"td", "th"}), frozenset({"tr", "table"})),
    "a": (frozenset({"a"}), _CELLS),
    "rt": (frozenset({"rt", "rp"}), frozenset({"ruby"})),
    "rp": (frozenset({"rt", "rp"}), frozenset({"ruby"})),
}
_SCAN: Final = 64
"""Open elements that an implied end looks through: keeps hostile nesting linear."""

_TERMINATOR: Final = "-->]]>\"'>"
"""Ends whatever construct the text left open, so that the parser never searches it twice."""

_TIDY: Final = frozenset(
    {
        "p",
        "br",
        "a",
        "span",
        "b",
        "strong",
        "i",
        "em",
        "u",
        "s",
        "del",
        "ins",
        "small",
        "mark",
        "sub",
    }
    | {"sup", "code", "pre", "q", "cite", "abbr", "blockquote", "ul", "ol", "li", "div"}
    | {"hr", "bdi", "kbd"}
    | {"h1", "h2", "h3", "h4", "h5", "h6"}
)
"""Elements of tidy markup: none ends another one but those that `_tidy_tree` looks at."""

_TIDY_TAG: Final = re.compile(r'([a-z][a-z0-9]*)((?: +[a-z]+(?:-[a-z]+)*="[^"<>]*")*)( ?/)?')
_TIDY_ATTRIBUTE: Final = re.compile(r' +([a-z-]+)="([^"]*)"')
_DOUBTFUL_REFERENCE: Final = re.compile(r"&(?!(?:amp|lt|gt|quot|nbsp|#34|#39|#x27);)")
"""What versions of the library's parser do not decode alike in the value of an attribute."""

_TAG_REMEMBERED: Final = 256
"""Characters of a start tag that is remembered as it was read: the posts of a thread mention the same people."""

_SPECIAL: Final = re.compile("[&<>\xa0]")
_QUOTE: Final = '"'

_UNWANTED: Final = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]"
)


@dataclass(slots=True)
class Element:
    """One element: lower-case tag, decoded attributes, children in order."""

    tag: str
    attrs: dict[str, str] = field(default_factory=dict)
    children: list[Element | str] = field(default_factory=list)

    def text(self) -> str:
        """Return the text of all descendants, without breaks."""
        return "".join(child if isinstance(child, str) else child.text() for child in self.children)


def without_controls(text: str) -> str:
    """Return ``text`` with ``\\n`` line ends and without control characters and surrogates."""
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    return _UNWANTED.sub("", text)


@dataclass(slots=True)
class _Open:
    tag: str
    node: Element | None  # None: unwrapped, its children go to the element around it
    dropped: bool


class _Builder(HTMLParser):
    # Read up to their end tag as text; "iframe" is not in the standard library's own tuple.
    CDATA_CONTENT_ELEMENTS = ("script", "style", "iframe")  # type: ignore[misc]

    def __init__(self, kept: frozenset[str], dropped: frozenset[str], emptied: frozenset[str]):
        super().__init__(convert_charrefs=True)
        self.root = Element("")
        self._kept = kept
        self._dropped = dropped
        self._emptied = emptied
        self._stack: list[_Open] = []
        self._nodes = [self.root]
        self._open: Counter[str] = Counter()
        self._muted = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in VOID_DROPPED:
            return
        if tag in VOID:
            if tag == "hr":
                self._end_paragraph()
            if not self._muted and tag in self._kept:
                self._nodes[-1].children.append(Element(tag, _attributes(attrs)))
            return
        if not self._muted:
            if tag in _CLOSES_PARAGRAPH:
                self._end_paragraph()
            implied = _IMPLIED_END.get(tag)
            if implied is not None:
                self._end_nearest(*implied)
        node = None
        emptied = tag in self._emptied
        wanted = emptied or tag in self._kept
        if wanted and not self._muted and len(self._nodes) <= MAX_DEPTH:
            node = Element(tag, _attributes(attrs))
            self._nodes[-1].children.append(node)
            self._nodes.append(node)
        dropped = emptied or tag in self._dropped
        self._muted += dropped
        self._open[tag] += 1
        self._stack.append(_Open(tag, node, dropped))

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        # Only foreign elements can be closed by their own slash (HTML, 13.2.6.5).
        if tag in {"svg", "math"} or self._open["svg"] or self._open["math"]:
            self.handle_endtag(tag)

    def parse_marked_section(self, i: int, report: bool = True) -> int:
        # "<![…" is a comment that ends at the next ">" (HTML, 13.2.5.42); the base class raises.
        end = self.rawdata.find(">", i)
        return end + 1 if end >= 0 else -1

    def handle_endtag(self, tag: str) -> None:
        if tag == "br":  # browsers read </br> as <br>
            self.handle_starttag("br", [])
        elif self._open[tag]:
            while self._pop() != tag:
                pass

    def handle_data(self, data: str) -> None:
        if not self._muted and (text := without_controls(data)):
            siblings = self._nodes[-1].children
            if siblings and isinstance(siblings[-1], str):
                siblings[-1] += text
            else:
                siblings.append(text)

    def _pop(self) -> str:
        entry = self._stack.pop()
        self._open[entry.tag] -= 1
        self._muted -= entry.dropped
        if entry.node is not None:
            self._nodes.pop()
        return entry.tag

    def _end_paragraph(self) -> None:
        self._end_nearest(frozenset({"p"}), _CELLS | {"button", "object", "table"})

    def _end_nearest(self, ended: frozenset[str], borders: frozenset[str]) -> None:
        if not any(self._open[tag] for tag in ended):
            return
        for back, entry in enumerate(reversed(self._stack[-_SCAN:]), 1):
            if entry.tag in ended:
                for _ in range(back):
                    self._pop()
                return
            if entry.tag in borders:
                return


def _attributes(attrs: list[tuple[str, str | None]]) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, value in attrs:  # the first of equal names counts, as in browsers
        found.setdefault(name, without_controls(value or ""))
    return found


def parse(
    html: str,
    *,
    kept: frozenset[str],
    dropped: frozenset[str],
    emptied: frozenset[str] = frozenset(),
) -> Element:
    """Read ``html`` into a tree whose root has the tag ``""``. Never raises on strange input.

    ``kept`` elements stay, ``dropped`` ones go with their content, ``emptied`` ones stay without
    it, all others are unwrapped. The tree is at most :data:`MAX_DEPTH` deep.
    """
    tidy = parse_tidy(html, kept=kept, dropped=dropped | emptied)
    return tidy if tidy is not None else _built(without_controls(html), kept, dropped, emptied)


def _built(
    text: str, kept: frozenset[str], dropped: frozenset[str], emptied: frozenset[str]
) -> Element:
    """Read any text, clean of controls, with the library's parser."""
    builder = _Builder(kept, dropped, emptied)
    if text.rfind("<") > text.rfind(">"):
        # A tag that was cut off: its name and attributes are not text.
        cut = text.rfind("<")
        if cut + 1 < len(text) and (text[cut + 1].isalpha() or text[cut + 1] in "/!?"):
            text = text[:cut]
    builder.feed(text)
    pending = bool(builder.rawdata) or builder.cdata_elem is not None
    if pending and ("<" in builder.rawdata or builder.cdata_elem is not None):
        builder.feed(_TERMINATOR)
    builder.close()
    return builder.root


def parse_tidy(html: str, *, kept: frozenset[str], dropped: frozenset[str]) -> Element | None:
    """Read tidy markup, which most posts are, into the tree that `parse` makes of it, in a fifth of the time.

    Tidy is what two parsers cannot read differently: known elements that are closed in turn, attributes in double
    quotes, paragraphs and links not inside each other, items right in their lists. None for all else.
    """
    text = without_controls(html)
    root = Element("")
    children = root.children
    outside: list[
        tuple[str, list[Element | str]]
    ] = []  # what is open, and where its end leads back
    in_paragraph = in_link = False
    # Before the first tag there are only words: as if an element that nobody keeps had ended there.
    for number, piece in enumerate(text.split("<")):
        inside, closed, words = piece.partition(">") if number else ("", ">", piece)
        if not closed:
            return None
        if not number:
            pass
        elif inside[:1] == "/":
            if not outside or inside[1:] != outside[-1][0]:
                return None
            tag, children = outside.pop()
            if tag == "p":
                in_paragraph = False
            elif tag == "a":
                in_link = False
        else:
            short = len(inside) <= _TAG_REMEMBERED
            read = _tidy_tag(inside) if short else _tidy_tag.__wrapped__(inside)
            if read is None:
                return None
            tag, attributes = read
            if tag in dropped or (in_paragraph and tag in _CLOSES_PARAGRAPH):
                return None
            if tag in VOID:
                if tag in kept:
                    children.append(Element(tag, dict(attributes)))
            else:
                if tag == "p":
                    in_paragraph = True
                elif tag == "a":
                    if in_link:
                        return None
                    in_link = True
                elif tag == "li" and (not outside or outside[-1][0] not in ("ul", "ol")):
                    return None
                outside.append((tag, children))
                if len(outside) > MAX_DEPTH:
                    return None
                if tag in kept:
                    node = Element(tag, dict(attributes))
                    children.append(node)
                    children = node.children
        if words:
            if "&" in words:
                words = without_controls(unescape(words))
            if children and isinstance(children[-1], str):
                children[-1] += words
            elif words:
                children.append(words)
    return None if outside else root


@lru_cache(maxsize=1024)
def _tidy_tag(inside: str) -> tuple[str, tuple[tuple[str, str], ...]] | None:
    """Name and attributes of what stands inside `<…>`, if it is a start tag that any parser reads so."""
    found = _TIDY_TAG.fullmatch(inside)
    if found is None:
        return None
    tag, written, slash = found.groups()
    if tag not in _TIDY or (slash and tag not in VOID):
        return None
    if "&" in written and _DOUBTFUL_REFERENCE.search(written):
        return None
    attributes: dict[str, str] = {}
    for name, value in _TIDY_ATTRIBUTE.findall(written):
        # The first of equal names counts, as in browsers.
        attributes.setdefault(name, unescape(value) if "&" in value else value)
    return tag, tuple(attributes.items())


def attributes_of(html: str, tag: str) -> list[dict[str, str]]:
    """Return the attributes of each element of this name, in their order."""
    if f"<{tag}" not in html:
        return []
    found: list[dict[str, str]] = []
    pending = parse(html, kept=frozenset({tag}), dropped=frozenset()).children[::-1]
    while pending:
        node = pending.pop()
        if isinstance(node, Element):
            found.append(node.attrs)
            pending += node.children[::-1]
    return found


def serialise(node: Element) -> str:
    """Return the markup of the children of ``node``: balanced and escaped."""
    pieces: list[str] = []
    _write(node, pieces)
    return "".join(pieces)


def _escaped(text: str) -> str:
    """As the sanitiser writes it (HTML, 13.3), so that it finds nothing to change."""
    if _SPECIAL.search(text):
        return escape(text, quote=False).replace("\xa0", "&nbsp;")
    return text


def _write(node: Element, pieces: list[str]) -> None:
    for child in node.children:
        if isinstance(child, str):
            pieces.append(_escaped(child))
            continue
        tag = child.tag
        if child.attrs:
            attributes = [
                f' {name}="{_escaped(value).replace(_QUOTE, "&quot;")}"'
                for name, value in child.attrs.items()
            ]
            pieces.append(f"<{tag}{''.join(attributes)}>")
        else:
            pieces.append(f"<{tag}>")
        if tag not in VOID:
            _write(child, pieces)
            pieces.append(f"</{tag}>")
