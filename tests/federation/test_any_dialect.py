"""INV-11 with dialects: what real servers send, moved to a server of the tests and then spoilt in several places, goes
all the way through the inbox and the handlers. Nothing answers 5xx, nothing gets stuck, every page still works.

Beside the samples, which may not be here, the examples of Activity Streams 2.0 are what is spoilt.
"""

from __future__ import annotations

import copy
import itertools
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from activitypub.ijson import MAX_DEPTH
from activitypub.origins import origin
from tests.activitypub import samples
from tests.activitypub.vectors import load
from tests.federation.inprocess import LocalHub, ScriptedStubs
from tests.federation.stub import PUBLIC
from tests.federation.test_any_body import Peer, encoded, places

pytestmark = pytest.mark.asyncio(loop_scope="module")

BODIES = 12
"""Activities of one example of Hypothesis, posted at once."""

_numbers = itertools.count(1)


def nested(value: Any, depth: int) -> Any:
    """The value within lists and objects in turn."""
    for level in range(depth):
        value = {"id": value} if level % 2 else [value]
    return value


FAULTS: tuple[Callable[[Any], Any], ...] = (
    lambda value: [value],
    lambda value: [value, value],
    lambda value: [None, 1, value],
    lambda value: {"id": value},
    lambda value: {"type": "Link", "href": value},
    lambda value: {"en": value},
    lambda value: nested(value, 12),
    lambda value: nested(value, MAX_DEPTH + 8),
    json.dumps,
    lambda value: value * 40 if isinstance(value, (str, list)) else value,
    lambda _: 1,
    lambda _: -1.5,
    lambda _: True,
    lambda _: None,
    lambda _: "",
    lambda _: [],
    lambda _: {},
    lambda _: "https://elsewhere.example/1",
    lambda _: PUBLIC,
)
"""What may become of a value. Beside these it may be missing, or stand under another key."""


def documents() -> list[tuple[str, str, dict[str, Any]]]:
    """A name, the origin that speaks, and the document: samples and examples."""
    found = []
    examples = load("activitystreams")["examples"].items()
    for name, document in (*samples.every_document(), *examples):
        speaker = document.get("actor") or document.get("attributedTo") or document.get("id")
        speaker = speaker.get("id") if isinstance(speaker, dict) else speaker
        home = origin(speaker, allow_http=True) or "http://example.org"
        found.append((name, home, document))
    return found


DOCUMENTS = documents()


def moved(home: str, document: dict[str, Any], peer: Peer, *, about_topic: bool) -> dict[str, Any]:
    """An activity of the peer's own: what was at `home` is at the peer's server, and to the hub's group; and about
    its topic, if it is about anything by its id."""
    theirs = str(origin(peer.uri, allow_http=True))
    act: dict[str, Any] = json.loads(json.dumps(document).replace(home, theirs))
    number = next(_numbers)
    group = peer.town.group_uri(peer.town.group)
    topic = peer.town.object_uri(peer.town.topic)
    if "actor" not in act or "object" not in act:
        act = {
            "type": "Create",
            "object": {
                **act,
                "id": f"{peer.uri}/dialect/object/{number}",
                "attributedTo": peer.uri,
                "to": [PUBLIC],
                "cc": [group],
                **({"inReplyTo": topic} if about_topic else {}),
            },
        }
    elif isinstance(act["object"], dict):
        act["object"]["attributedTo"] = peer.uri
        act["object"]["id"] = f"{peer.uri}/dialect/object/{number}"
    elif about_topic:
        act["object"] = topic
    return {**act, "id": f"{peer.uri}/dialect/{number}", "actor": peer.uri, "to": [PUBLIC, group]}


def spoilt(act: dict[str, Any], data: st.DataObject) -> dict[str, Any]:
    """A copy with faults in up to three places, mostly within the object; the actor stays who signed."""
    act = copy.deepcopy(act)
    for _ in range(data.draw(st.integers(0, 3))):
        found = [path for path in places(act) if path[0] not in ("id", "actor")]
        path = data.draw(st.sampled_from(found))
        holder: Any = act
        for step in path[:-1]:
            holder = holder[step]
        fault = data.draw(st.sampled_from([*FAULTS, "gone", "elsewhere"]))
        value = holder[path[-1]]
        if callable(fault):
            holder[path[-1]] = fault(value)
        elif len(path) > 1:
            del holder[path[-1]]
            if fault == "elsewhere" and isinstance(holder, dict):
                holder[data.draw(st.sampled_from(["url", "tag", "content", "inReplyTo"]))] = value
    return act


def chunks(values: list[Any], size: int) -> Iterator[list[Any]]:
    for start in range(0, len(values), size):
        yield values[start : start + size]


@pytest.fixture
def peer(town: LocalHub, servers: ScriptedStubs) -> Peer:
    return Peer(town, servers)


async def test_inv_11_every_dialect_moved_here_as_it_is(peer: Peer) -> None:
    bodies = [
        encoded(moved(home, document, peer, about_topic=number % 4 < 2))
        for number, (_, home, document) in enumerate(DOCUMENTS)
    ]
    for some in chunks(bodies[:: peer.stride], 60):
        await peer.send(some)
    await peer.assert_well()
    # They are no longer refused at the door: the handlers see what is in them.
    stored = await peer.town.count(
        "SELECT count(*) FROM inbox WHERE uri LIKE ? AND verdict = 'stored'",
        f"{peer.uri}/dialect/%",
    )
    assert stored > 20 // peer.stride


@settings(max_examples=25)
@given(data=st.data())
async def test_inv_11_every_dialect_spoilt_in_several_places(
    peer: Peer, data: st.DataObject
) -> None:
    bodies = []
    for _ in range(BODIES):
        _, home, document = data.draw(st.sampled_from(DOCUMENTS))
        act = moved(home, document, peer, about_topic=data.draw(st.booleans()))
        bodies.append(encoded(spoilt(act, data)))
    await peer.send(bodies)
    await peer.town.quiet()


async def test_inv_11_the_hub_is_well_after_all_of_it(peer: Peer) -> None:
    """After the test before this one: no row waits or failed, no page is broken."""
    peer.since = 0
    await peer.assert_well()
