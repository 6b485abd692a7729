"""Opens the spoiler boxes of Lemmy's Markdown that a server sent as plain paragraphs.

Lemmy writes ``::: spoiler Title`` … ``:::``. Renderers that do not know it leave the colons in a
paragraph, or, where a line of dashes follows, in a heading. Here they become ``<details>``.
"""

from __future__ import annotations

import re
from typing import Final

from fedcomm.hub.html_tree import Element

_CARRIERS: Final = frozenset({"p", "h1", "h2", "h3", "h4", "h5", "h6"})
_OPENING: Final = re.compile(r":{3,}\s*spoiler\b\s*(.{0,200})", re.DOTALL)
_CLOSING: Final = re.compile(r":{3,}\s*")
_MAX_BLOCKS: Final = 200
"""Blocks that one spoiler may span."""

_Line = list[Element | str]


def open_spoilers(tree: Element) -> bool:
    """Replace the spoilers among the children of ``tree``, in place; unclosed ones stay text.

    Tells whether there were any.
    """
    if not any(_opens(block) for block in tree.children):
        return False
    result: list[Element | str] = []
    position = 0
    blocks = tree.children
    hopeful, opened = True, False
    while position < len(blocks):
        block = blocks[position]
        taken = _spoiler(blocks, position) if hopeful and _opens(block) else None
        if taken is None:
            # One that is never closed ends the search: a thousand of them would each look ahead.
            hopeful = hopeful and not _opens(block)
            result.append(block)
            position += 1
        else:
            replacement, position = taken
            result.extend(replacement)
            opened = True
    tree.children = result
    return opened


def _opens(block: Element | str) -> bool:
    return (
        isinstance(block, Element)
        and block.tag in _CARRIERS
        and _first_letter(block) == ":"
        and _OPENING.match(block.text().lstrip()) is not None
    )


def _first_letter(node: Element) -> str:
    """What its text begins with, blanks left out: nearly always that alone says that it is no spoiler."""
    for child in node.children:
        begin = child.lstrip()[:1] if isinstance(child, str) else _first_letter(child)
        if begin:
            return begin
    return ""


def _spoiler(blocks: list[Element | str], start: int) -> tuple[list[Element | str], int] | None:
    """Return the elements for the spoiler that opens at ``start``, and where the rest begins."""
    title = ""
    content: list[Element | str] = []
    for position in range(start, min(len(blocks), start + _MAX_BLOCKS)):
        block = blocks[position]
        if not isinstance(block, Element) or block.tag not in _CARRIERS:
            content.append(block)
            continue
        lines = _lines(block)
        if position == start:
            opening = _OPENING.match(_text(lines[0]).strip())
            if opening is None:
                return None
            title = opening[1].strip()
            lines = lines[1:]
        for number, line in enumerate(lines):
            if _CLOSING.fullmatch(_text(line).strip()):
                content.extend(_paragraph(lines[:number]))
                summary = Element("summary", {}, [title or "…"])
                details = Element("details", {}, [summary, *content])
                return [details, *_paragraph(lines[number + 1 :])], position + 1
        content.extend(_paragraph(lines) if position == start else [block])
    return None


def _lines(block: Element) -> list[_Line]:
    lines: list[_Line] = [[]]
    for child in block.children:
        if isinstance(child, Element):
            if child.tag == "br":
                lines.append([])
            else:
                lines[-1].append(child)
            continue
        first, *others = child.split("\n")
        lines[-1].append(first)
        lines.extend([other] for other in others)
    return [line for line in lines if _text(line).strip()] or [[""]]


def _text(line: _Line) -> str:
    return "".join(part if isinstance(part, str) else part.text() for part in line)


def _paragraph(lines: list[_Line]) -> list[Element | str]:
    children: list[Element | str] = []
    for line in lines:
        if children:
            children.append(Element("br"))
        children.extend(line)
    return [Element("p", {}, children)] if children else []
