"""The examples of Activity Streams 2.0, and what is made of them: nothing raises, nothing is coerced."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator
from dataclasses import fields
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from activitypub.documents import (
    Refused,
    read_activity,
    read_actor,
    read_collection,
    read_object,
)
from activitypub.ijson import IJSONError, JSONObject, parse_object
from activitypub.origins import origin
from tests.activitypub import samples
from tests.activitypub.provenance import Source, check, parts
from tests.activitypub.vectors import load

VECTORS = load("activitystreams")
EXAMPLES: dict[str, JSONObject] = VECTORS["examples"]
FAULTY: dict[str, JSONObject] = VECTORS["faulty"]
READERS: tuple[Callable[..., Any], ...] = (
    read_object,
    read_activity,
    read_collection,
    read_actor,
)


def results(document: JSONObject) -> Iterator[Any]:
    """What each reader makes of the document, and of every object in it, as it stands and with what
    examples leave out."""
    for part in parts(document):
        if not isinstance(part, dict):
            continue
        for one in (part, completed(part)):
            for reader in READERS:
                try:
                    result = reader(one, allow_http=True)
                except Refused:
                    continue
                check(result, one)
                yield result


def completed(document: JSONObject) -> JSONObject:
    """The document with an id, an actor and what else makes a reader go on, where it has none."""
    author = document.get("attributedTo") or document.get("actor")
    author = author.get("id") if isinstance(author, dict) else author
    home = origin(author, allow_http=True) or "http://added.example"
    actor = f"{home}/added/actor"
    sound = origin(document.get("id"), allow_http=True) == home
    return {
        **({} if origin(author, allow_http=True) else {"actor": actor, "attributedTo": actor}),
        "preferredUsername": "added",
        "type": "Note",
        **document,
        **({} if sound else {"id": f"{home}/added"}),
        "inbox": f"{document['id'] if sound else home}/inbox",
    }


def test_there_are_as_many_examples_as_in_the_two_recommendations() -> None:
    assert len([name for name in EXAMPLES if name.startswith("core-")]) == 32
    # One of them is no JSON: a line break stands in a string.
    assert len([name for name in EXAMPLES if name.startswith("vocabulary-")]) + 1 == 159
    for text in VECTORS["not-json"].values():
        with pytest.raises(IJSONError):
            parse_object(text.encode())


@pytest.mark.parametrize("name", EXAMPLES)
def test_inv_12_an_example_is_read_without_an_exception_or_a_coerced_value(name: str) -> None:
    document = parse_object(json.dumps(EXAMPLES[name]).encode())
    before = copy.deepcopy(document)
    assert list(results(document)), "no reader wanted it, however it was completed"
    assert document == before


def test_each_field_is_seen_in_some_example() -> None:
    """The check is worth something only if the examples reach the fields of the plain vocabulary."""
    seen: set[str] = set()
    for document in EXAMPLES.values():
        for result in results(document):
            for field in fields(result):
                if getattr(result, field.name) not in (None, (), False):
                    seen.add(field.name)
    assert {
        *("id", "type", "name", "content_html", "summary", "language", "in_reply_to", "context"),
        *("to", "cc", "published", "updated", "url", "image", "attachments", "tags"),
        *("options", "closed", "start_time", "end_time", "location_name", "generator"),
        *("actor", "object", "object_id", "target", "items", "first", "next", "part_of"),
        *("total_items", "deleted", "inbox", "preferred_username", "event"),
    } <= seen


@pytest.mark.parametrize(
    ("name", "reader", "field"),
    [
        ("number-as-content", read_object, "content_html"),
        ("number-as-name", read_object, "name"),
        ("relative-uri-for-url", read_object, "url"),
        ("number-as-object", read_activity, "object"),
        ("namemap-as-name", read_object, "name"),
        ("name-as-namemap", read_object, "name"),
    ],
)
def test_inv_12_what_the_w3c_calls_faulty_is_absent(
    name: str, reader: Callable[..., Any], field: str
) -> None:
    document = completed(FAULTY[name])
    assert getattr(reader(document, allow_http=True), field) is None


@pytest.mark.parametrize(
    ("name", "reader", "reason"),
    [
        ("number-as-actor", read_activity, "no-actor"),
        ("number-as-id", read_object, "no-id"),
        ("number-as-type", read_object, "no-type"),
    ],
)
def test_inv_12_what_nothing_can_be_without_is_refused_when_it_is_faulty(
    name: str, reader: Callable[..., Any], reason: str
) -> None:
    with pytest.raises(Refused) as refused:
        reader(FAULTY[name], allow_http=True)
    assert refused.value.reason == reason


@pytest.mark.parametrize("name", FAULTY)
def test_inv_12_nothing_of_what_is_faulty_is_coerced(name: str) -> None:
    list(results(FAULTY[name]))


@samples.needs_samples
def test_inv_12_nothing_that_real_servers_send_is_coerced() -> None:
    read = 0
    for _, document in samples.every_document():
        read += len(list(results(document)))
    assert read > 1_000


# -- with their types mixed up ----------------------------------------------------------------------


def places(value: Any, here: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The paths to everything inside a document."""
    items: Any = ()
    if isinstance(value, dict):
        items = value.items()
    elif isinstance(value, list):
        items = enumerate(value)
    for key, inner in items:
        yield (*here, key)
        yield from places(inner, (*here, key))


def at(document: Any, path: tuple[Any, ...]) -> Any:
    for step in path:
        document = document[step]
    return document


SWAPS: tuple[Callable[[Any], Any], ...] = (
    lambda value: [value],
    lambda value: [[value]],
    lambda value: [None, 7, value],
    lambda value: {"id": value},
    lambda value: {"type": "Link", "href": value},
    lambda value: {"@value": value},
    lambda value: {"en": value},
    json.dumps,
    lambda value: {"[]": value, "0": value},
    lambda _: 41_731,
    lambda _: 1,
    lambda _: 0,
    lambda _: True,
    lambda _: None,
    lambda _: 2.5,
    lambda _: "41732",
    lambda _: "true",
    lambda _: "",
    lambda _: [],
    lambda _: {},
)
"""Other types for a value. The numbers occur in no document, so that each is known again."""

DOCUMENTS: list[JSONObject] = [
    *EXAMPLES.values(),
    *(document for _, document in samples.every_document()),
]


@settings(max_examples=500)
@given(data=st.data())
def test_inv_12_types_mixed_up_are_absent_and_never_coerced(data: st.DataObject) -> None:
    document = copy.deepcopy(data.draw(st.sampled_from(DOCUMENTS)))
    for _ in range(data.draw(st.integers(1, 4))):
        found = list(places(document))
        if not found:
            break
        path = data.draw(st.sampled_from(found))
        change = data.draw(st.sampled_from([*SWAPS, None]))
        holder = at(document, path[:-1])
        if change is None:
            del holder[path[-1]]
        else:
            holder[path[-1]] = change(holder[path[-1]])
    list(results(document))


def test_the_check_finds_a_coerced_value() -> None:
    note = {"id": "http://a.example/1", "type": "Note", "name": "7", "sensitive": 1}
    source = Source(note)
    assert not source.has_integer(7, "likes")
    assert not source.booleans
    result = read_object(note, allow_http=True)
    check(result, note)
    with pytest.raises(AssertionError, match="name was coerced"):
        check(result, note | {"name": 7})
    with pytest.raises(AssertionError, match="url was coerced"):
        check(read_object(note | {"url": "http://a.example/2"}, allow_http=True), note)
