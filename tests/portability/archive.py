"""Makes archives as Mastodon makes them, for the tests."""

from __future__ import annotations

import io
import json
import tarfile
import zipfile
from pathlib import Path
from typing import Any, Final, Literal

OLD: Final = "https://old.example/users/anna"
PUBLIC: Final = "https://www.w3.org/ns/activitystreams#Public"
FOLLOWERS: Final = f"{OLD}/followers"


def note(
    number: int, content: str, *, published: str = "2023-04-05T06:07:08Z", **more: Any
) -> dict[str, Any]:
    """A `Create` of a public note."""
    document = {
        "id": f"{OLD}/statuses/{number}",
        "type": "Note",
        "attributedTo": OLD,
        "content": content,
        "published": published,
        "to": [PUBLIC],
        "cc": [FOLLOWERS],
        "summary": None,
        "inReplyTo": None,
        "sensitive": False,
        "attachment": [],
        "tag": [],
        **more,
    }
    return {
        "id": f"{OLD}/statuses/{number}/activity",
        "type": "Create",
        "actor": OLD,
        "published": published,
        "to": document["to"],
        "cc": document["cc"],
        "object": document,
    }


def boost(number: int) -> dict[str, Any]:
    """An `Announce` of somebody else's post."""
    return {
        "id": f"{OLD}/statuses/{number}/activity",
        "type": "Announce",
        "actor": OLD,
        "published": "2023-04-05T06:07:08Z",
        "to": [PUBLIC],
        "object": "https://elsewhere.example/notes/1",
    }


ACTOR: Final[dict[str, Any]] = {
    "@context": "https://www.w3.org/ns/activitystreams",
    "id": OLD,
    "type": "Person",
    "preferredUsername": "anna",
    "name": "Anna of old",
    "summary": "<p>I was there.</p>",
    "followers": FOLLOWERS,
    "outbox": "outbox.json",
}


def files_of(items: list[dict[str, Any]], **more: bytes) -> dict[str, bytes]:
    """The files of an archive with these items."""
    outbox = {
        "@context": "https://www.w3.org/ns/activitystreams",
        "id": "outbox.json",
        "type": "OrderedCollection",
        "totalItems": len(items),
        "orderedItems": items,
    }
    return {
        "actor.json": json.dumps(ACTOR).encode(),
        "outbox.json": json.dumps(outbox).encode(),
        **more,
    }


def pack(
    path: Path, files: dict[str, bytes], form: Literal["zip", "tar.gz", "tar"] = "zip"
) -> Path:
    """An archive of these files."""
    if form == "zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, data in files.items():
                archive.writestr(name, data)
        return path
    with tarfile.open(path, "w:gz" if form == "tar.gz" else "w") as packed:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            packed.addfile(info, io.BytesIO(data))
    return path
