"""What HTML may hold: the lists of security.md §8, and which values an attribute keeps.

A change here is a change of policy: what is stored already was cleaned with the one before.
"""

from __future__ import annotations

import re
from typing import Final

EXTERNAL_REL: Final = "nofollow noopener noreferrer ugc"
"""``rel`` of every link that leaves the hub."""

REMOTE_TAGS: Final = frozenset(
    {"p", "br", "span", "a", "b", "strong", "i", "em", "u", "s", "del", "ins", "small"}
    | {"mark", "sub", "sup", "code", "pre", "kbd", "samp", "var", "q", "cite", "blockquote"}
    | {"abbr", "dfn", "time", "h3", "h4", "h5", "h6", "hr", "ul", "ol", "li", "dl", "dt"}
    | {"dd", "table", "caption", "thead", "tbody", "tfoot", "tr", "th", "td", "details"}
    | {"summary", "figure", "figcaption", "img", "ruby", "rt", "rp", "bdi", "bdo", "wbr"}
    | {"div", "section", "article", "aside"}
)
LOCAL_TAGS: Final = frozenset(
    {"p", "br", "a", "strong", "em", "del", "code", "pre", "blockquote", "ul", "ol", "li"}
    | {"h1", "h2", "h3", "hr", "span"}
)
DROPPED: Final = frozenset(
    {"script", "style", "svg", "template", "object", "applet", "form", "audio", "video"}
    | {"canvas", "noscript", "noembed", "noframes", "title", "textarea", "select", "button"}
    | {"datalist", "dialog", "head", "xmp", "plaintext", "portal", "frameset"}
)
"""Removed with their content."""

SCHEMES: Final = frozenset({"http", "https", "mailto", "xmpp", "gemini", "magnet"})
"""Of links; a link with another one becomes its text."""
_CLASSES: Final = frozenset({"mention", "hashtag", "ellipsis", "invisible", "quote-inline"})
_CLASS: Final = re.compile(r"(?:h|p|u|dt|e)-[a-z0-9-]{1,40}")
_CODE_CLASS: Final = re.compile(r"language-[A-Za-z0-9_+#.-]{1,40}")
_ROLES: Final = frozenset({"doc-noteref", "doc-backlink", "doc-endnotes", "doc-endnote"})
_INTEGER: Final = re.compile(r"-?[0-9]{1,6}")
_SIZE: Final = re.compile(r"[0-9]{1,5}")
_DATETIME: Final = re.compile(r"[0-9A-Za-z:.,+ -]{1,40}")
_LANGUAGE: Final = re.compile(r"[A-Za-z]{1,8}(?:-[A-Za-z0-9]{1,8}){0,6}")
_MAX_SPAN: Final = 20
ATTRIBUTES: Final[dict[str, set[str]]] = {
    "*": {"lang", "dir", "class", "role"},
    "a": {"href", "title", "translate", "rel", "target"},
    "img": {"src", "alt", "title", "width", "height"},
    "ol": {"start", "reversed"},
    "li": {"value"},
    "td": {"colspan", "rowspan"},
    "th": {"colspan", "rowspan"},
    "time": {"datetime"},
    "del": {"datetime"},
    "ins": {"datetime"},
    "details": {"open"},
    "abbr": {"title"},
}


def attribute_value(tag: str, name: str, value: str, images: set[str]) -> str | None:
    """Return the value that the attribute keeps, or None."""
    match name:
        case "class":
            kept = [
                word
                for word in value.split()
                if word in _CLASSES
                or _CLASS.fullmatch(word)
                or (tag == "code" and _CODE_CLASS.fullmatch(word))
                or (tag == "img" and word == "emoji")
            ]
            return " ".join(kept) or None
        case "rel":
            return value if value in {EXTERNAL_REL, f"tag {EXTERNAL_REL}", "tag"} else None
        case "target":
            return value if value == "_blank" else None
        case "translate":
            return value if value == "no" else None
        case "src":
            return value if value in images else None
        case "width" | "height":
            return value if _SIZE.fullmatch(value) else None
        case "start" | "value":
            return value if _INTEGER.fullmatch(value) else None
        case "colspan" | "rowspan":
            return (
                value
                if value.isascii()
                and value.isdecimal()
                and len(value) < 3
                and (1 <= int(value) <= _MAX_SPAN)
                else None
            )
        case "datetime":
            return value if _DATETIME.fullmatch(value) else None
        case "lang":
            return value if _LANGUAGE.fullmatch(value) else None
        case "dir":
            return value if value in {"ltr", "rtl", "auto"} else None
        case "role":
            return value if value in _ROLES else None
        case "open" | "reversed":
            return ""
        case _:
            return value
