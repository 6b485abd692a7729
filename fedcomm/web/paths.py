"""Addresses of the pages: each path is made here and nowhere else, from ids and names of ours."""

from __future__ import annotations

import re
import unicodedata
from typing import Final
from urllib.parse import quote

from fedcomm.hub import actors

SLUG_LENGTH: Final = 60
"""Characters of a title that stand in the address of its thread."""

_NOT_IN_SLUG: Final = re.compile(r"[^a-z0-9]+")
_NOT_IN_PATH: Final = re.compile(r"[\x00-\x20\\\x7f-\x9f]")


def slug(title: str) -> str:
    """The words of a title for an address: lower-case ASCII, `-` between them; may be empty."""
    plain = unicodedata.normalize("NFKD", title).encode("ascii", "ignore").decode().lower()
    words = _NOT_IN_SLUG.sub("-", plain).strip("-")
    if len(words) <= SLUG_LENGTH:
        return words
    return words[: SLUG_LENGTH + 1].rpartition("-")[0] or words[:SLUG_LENGTH]


def group_path(name: str) -> str:
    """The page of a group of ours."""
    return f"/g/{name}"


def actor_path(actor: actors.Actor) -> str:
    """The page, here, about a person or a group."""
    if actor.is_local and actor.kind == "group":
        return group_path(actor.name)
    return f"/@{quote(actor.handle, safe='@:')}"


def thread_path(group_name: str, topic_id: int, title: str) -> str:
    """The page of a thread."""
    words = slug(title)
    return f"{group_path(group_name)}/t/{topic_id}" + (f"/{words}" if words else "")


def object_path(object_id: int) -> str:
    """The permanent address of anything that was written; leads to its thread."""
    return f"/o/{object_id}"


def safe_path(text: str, default: str = "/") -> str:
    """`text` if it is an absolute path on this server, else `default` (INV-32)."""
    if not text.startswith("/") or text.startswith("//") or len(text) > 2000:
        return default
    if _NOT_IN_PATH.search(text):
        return default
    return text
