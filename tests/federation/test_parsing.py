"""INV-11 to INV-14 of the security reference, end to end: what is odd or poisoned changes nothing and stops nobody."""

from __future__ import annotations

import json
from typing import Any

import pytest
from aiohttp import web

from fedcomm.hub import threads
from tests.federation.acts import activity, create, to_group
from tests.federation.inprocess import LocalHub, ScriptedStubs
from tests.federation.stub import ACTIVITY, AS

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_inv_11_a_poisoned_activity_does_not_stop_the_next(
    town: LocalHub, servers: ScriptedStubs
) -> None:
    mallory = servers.somebody()
    topic = await town.write_topic(town.group, "After the poison")
    poison: tuple[Any, ...] = (
        {"id": []},
        [[]],
        {"type": {}},
        1,
        "",
        None,
        {"object": {"object": {}}},
    )
    for thing in poison:
        assert await town.post(activity(mallory, "Announce", thing)) in (202, 400)
    assert await town.deliver(activity(mallory, "Like", town.object_uri(topic))) == "done: like"


async def test_inv_12_a_number_is_never_an_id(town: LocalHub, servers: ScriptedStubs) -> None:
    """Ids of ours are numbers and ids of others are URLs; neither becomes the other (NodeBB, 2026)."""
    mallory = servers.somebody()
    local = town.topic
    # As numbers our ids are beyond what I-JSON allows; as anything else they are no URLs.
    assert await town.post(activity(mallory, "Like", local)) == 400
    for odd in (str(local), float(local), 1, [1], {"id": 1}, {"id": str(local)}, True):
        verdict = await town.deliver(activity(mallory, "Like", odd))
        assert verdict.startswith(("refused", "done: ignored")), odd
        verdict = await town.deliver(activity(mallory, "Follow", odd))
        assert verdict.startswith("refused"), odd
    for path in (
        f"/ap/o/0{local}",
        f"/ap/o/{local}.0",
        f"/ap/o/{local}/",
        f"/ap/o/-{local}",
        "/ap/o/1e3",
    ):
        verdict = await town.deliver(activity(mallory, "Like", town.origin + path))
        assert verdict.startswith("done: ignored"), path
    known = await threads.thing(town.db, local)
    assert known is not None and known.like_count == 0


@pytest.mark.parametrize(
    "fault",
    [
        b'"x": 1, "x": 2',
        b'"x": NaN',
        b'"x": 1e400',
        b'"x": 9007199254740993',
        b'"x": "\\u0000"',
        b'"x": "\\ud800"',
        b'"\\u0074ype": "Delete"',
        b'"x": ' + b"[" * 40 + b"]" * 40,
        b'"x": "\xff"',
    ],
)
async def test_inv_13_what_is_no_i_json_is_refused(
    town: LocalHub, servers: ScriptedStubs, fault: bytes
) -> None:
    mallory = servers.somebody()
    like = json.dumps(activity(mallory, "Like", town.object_uri(town.topic))).encode()
    assert await town.post(like[:-1] + b", " + fault + b"}", signer=mallory) == 400
    assert await town.post(like.decode().encode("utf-16"), signer=mallory) == 400
    assert await town.post(b"\xef\xbb\xbf" + like, signer=mallory) == 400


async def test_inv_13_documents_that_we_fetch_obey_the_same_rules(
    town: LocalHub, servers: ScriptedStubs
) -> None:
    author = servers.somebody("author")
    note = servers.note(author, **to_group(town))

    async def doubled(request: web.Request) -> web.Response:
        text = json.dumps(note)[:-1] + f', "attributedTo": "{author}"}}'
        return web.Response(text=text, content_type=ACTIVITY)

    servers.script(note["id"], doubled)
    assert (await town.deliver(activity(author, "Create", note["id"]))).startswith("refused")


async def test_inv_14_no_context_is_ever_fetched(town: LocalHub, servers: ScriptedStubs) -> None:
    contexts = servers.host(servers.new_host("contexts"))
    author = servers.somebody("author")
    remapped = [
        AS,
        f"{contexts.origin}/context",
        {"Note": "as:Person", "@vocab": f"{contexts.origin}/#"},
    ]
    note = servers.note(author, **to_group(town)) | {"@context": remapped}
    servers.host(author.split("/")[2].partition(":")[0]).actors["author"]["@context"] = remapped
    assert await town.deliver(create(note) | {"@context": remapped}) == "done: stored"
    assert contexts.fetched == [] and contexts.arrived == []
