"""Real payloads of other servers, where the folder with them stands beside the repository."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from activitypub.ijson import JSONObject, parse_object

FOLDER = (Path(__file__).parents[2] / "../shared/samples").resolve()
needs_samples = pytest.mark.skipif(not FOLDER.is_dir(), reason="the samples are not here")


def load(name: str) -> JSONObject:
    """The document of `folder/name` without the wrapper that tells where it came from."""
    return next(unwrap(parse_object((FOLDER / f"{name}.json").read_bytes())))


def every_document() -> Iterator[tuple[str, JSONObject]]:
    for path in sorted(FOLDER.glob("*/*.json")):
        for document in unwrap(parse_object(path.read_bytes())):
            yield f"{path.parent.name}/{path.stem}", document


def unwrap(wrapper: JSONObject) -> Iterator[JSONObject]:
    for key in ("body", "sample"):
        if isinstance(wrapper.get(key), dict):
            yield wrapper[key]
    for sent in wrapper.get("sent", []):
        yield sent["body"]
