"""INV-11: any body whatever, validly signed, ends in 2xx or 4xx in time; nobody gets stuck, no page breaks."""

from __future__ import annotations

import asyncio
import copy
import gzip
import itertools
import json
import random
import time
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from fedcomm.federation import directory
from fedcomm.store.ids import new_id
from tests.federation.inprocess import LocalHub, ScriptedStubs
from tests.federation.stub import ACTIVITY, AS, PUBLIC

pytestmark = pytest.mark.asyncio(loop_scope="module")

SAMPLES = (Path(__file__).parents[2] / "../shared/samples").resolve()
LIMIT = 1_048_576
SECONDS = 5.0
"""Within this time whatever was posted is answered, on a busy machine."""

_numbers = itertools.count(1)

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4)
    ),
    max_leaves=12,
)


def url_of(characters: str, length: int) -> str:
    picked = random.Random(length)
    return "http://odd.test/" + "".join(picked.choice(characters) for _ in range(length - 16))


ODD_VALUES: list[Any] = [
    None, True, False, 0, -1, 2**31, 2**53 - 1, 1.5, -1e308, 5e-324,
    "", " ", "x", "x" * 60_000, "<b>" * 3_000, "<div>" * 6_000, "&" * 20_000, "</p>" * 2_000,
    "<p>" + "<a href='http://x.test'>y</a>" * 800, "<svg><script>x</script>", "<math><mtext><table>",
    "\u202e\u2066 \ufdd0 \U0001f9ff \U0010ffff \ud7ff", "a\x01b\x7f", "\u0130" * 300, "\u00df\ufb01" * 200,
    "{{ 7*7 }} %s %(x)s {0}", "'; DROP TABLE objects; --", "\\u0000", "%00", "a\u2028b",
    [], {}, [[]], [{}], [None], [None, 1, "x", {"id": 1}], {"id": None}, {"id": ["http://x.test"]},
    {"type": ["Note", "Person", 1]}, {"en": 1}, {"": ""}, {"@id": "x"}, {"@value": "y"},
    [f"http://many.test/{n}" for n in range(700)],
    [{"type": "Mention", "href": f"http://m.test/{n}"} for n in range(200)],
    [{"type": "Hashtag", "name": f"#t{n}"} for n in range(200)], [{"type": "Hashtag", "name": "#"}],
    [{"type": "Hashtag", "name": "#İ" * 50}], [{"type": "Emoji", "name": ":x:", "icon": {"url": 1}}],
    [{"type": "Image", "url": "http://x.test/1.png", "mediaType": "image/png", "width": 2**40, "height": -1,
      "blurhash": "x" * 500, "focalPoint": [1e308, -1e308]}],
    [{"type": "Document", "url": [{"type": "Link", "href": "http://x.test/v.mp4"}], "name": {"en": "x"}}],
    [{"name": "yes", "replies": {"totalItems": 2**52}}] * 40,
    "0000-00-00T00:00:00Z", "9999-12-31T23:59:59Z", "1969-12-31T23:59:59Z", "2026-02-30T25:61:61+99:99",
    "2026-11-21T10:15:00." + "9" * 40 + "Z", "-292277022657-01-27T08:29:52Z", "2199-12-31T23:59:60Z",
    PUBLIC, "as:Public", "http://", "http://[::1", "http://x.test:99999/", "http://\u00fc.test/\u00fc",
    url_of("abcdefghij0123456789", 2048), url_of("".join(chr(c) for c in range(0x4E00, 0x9000)), 2048),
    url_of("".join(chr(c) for c in range(0x10000, 0x10FFF)), 2048), "http://" + "a" * 250 + ".test/",
    "javascript:alert(1)", "data:text/html,x", "mailto:a@b.test", "at://did:x", "urn:uuid:1", "acct:x@y.test",
]  # fmt: skip


class Peer:
    """The stub actor that signs everything, and samples of what an honest one would send."""

    def __init__(self, town: LocalHub, servers: ScriptedStubs) -> None:
        self.town = town
        self.servers = servers
        self.uri = servers.somebody("fuzzer")
        self.since = new_id()
        # The engine matters for what is stored; a third of the bodies shows that as well.
        self.stride = 1 if town.site.config.database.file is not None else 3
        self.values = [
            *ODD_VALUES,
            *(
                self.uri,
                f"{self.uri}/nothing",
                f"{self.uri}#main-key",
                town.origin,
                town.shared_inbox,
            ),
            *(town.person(town.anna), town.group_uri(town.group), town.group_uri(town.secret)),
            *(town.object_uri(town.topic), town.object_uri(town.secret_topic)),
            *(
                f"{town.origin}/ap/o/{'9' * 40}",
                f"{town.origin}/ap/o/\u0663",
                f"{town.origin}/ap/x/1",
            ),
        ]

    def fresh(self) -> list[dict[str, Any]]:
        """Valid activities with new ids."""
        town, uri = self.town, self.uri
        group, topic = town.group_uri(town.group), town.object_uri(town.topic)
        number = next(_numbers)
        note = {
            "id": f"{uri}/notes/{number}",
            "type": "Note",
            "attributedTo": uri,
            "to": [PUBLIC],
            "cc": [group],
            "content": "<p>Words</p>",
            "contentMap": {"en": "<p>Words</p>"},
            "name": "A title",
            "summary": "A warning",
            "sensitive": False,
            "source": {"content": "Words", "mediaType": "text/markdown"},
            "published": "2026-11-21T10:15:00Z",
            "updated": "2026-11-21T10:16:00Z",
            "url": f"{uri}/page",
            "context": f"{uri}/context",
            "inReplyTo": topic if number % 2 else None,
            "tag": [{"type": "Mention", "href": town.person(town.anna), "name": "@anna"}],
            "attachment": [
                {"type": "Document", "mediaType": "image/png", "url": f"{uri}/1.png", "name": "alt"}
            ],
            "replies": {"type": "Collection", "first": {"type": "CollectionPage", "items": []}},
            "likes": {"type": "Collection", "totalItems": 3},
        }
        question = {
            **note,
            "id": f"{uri}/questions/{number}",
            "type": "Question",
            "oneOf": [
                {"type": "Note", "name": "a", "replies": {"type": "Collection", "totalItems": 1}}
            ],
            "endTime": "2099-12-21T10:15:00Z",
            "votersCount": 1,
        }
        event = {
            **note,
            "id": f"{uri}/events/{number}",
            "type": "Event",
            "startTime": "2026-12-21T10:15:00Z",
            "location": {"type": "Place", "name": "There"},
        }
        like = {"type": "Like", "id": f"{uri}/likes/{number}", "actor": uri, "object": topic}
        bare: list[tuple[str, Any, dict[str, Any]]] = [
            ("Create", note, {}),
            ("Create", question, {}),
            ("Create", event, {}),
            ("Update", note, {}),
            ("Delete", {"type": "Tombstone", "id": note["id"]}, {}),
            ("Follow", group, {}),
            ("Undo", {"type": "Follow", "id": f"{uri}/f", "actor": uri, "object": group}, {}),
            ("Like", topic, {}),
            ("Dislike", topic, {}),
            ("Undo", like, {}),
            ("Announce", topic, {}),
            ("Announce", {"type": "Create", "id": f"{uri}/c", "actor": uri, "object": note}, {}),
            ("Flag", [topic, town.person(town.anna)], {"content": "spam"}),
            ("Accept", {"type": "Follow", "actor": town.person(town.anna), "object": uri}, {}),
            ("Move", uri, {"target": f"{uri}/new"}),
            ("Add", topic, {"target": f"{group}/featured"}),
            ("Update", {"type": "Person", "id": uri, "name": "x"}, {}),
            ("Lock", topic, {}),
            ("Block", town.person(town.anna), {}),
        ]
        return [
            {
                "@context": AS,
                "id": f"{uri}/activities/{number}/{n}",
                "type": kind,
                "actor": uri,
                "to": [PUBLIC],
                "cc": [group],
                "published": "2026-11-21T10:15:00Z",
                "object": thing,
                **more,
            }
            for n, (kind, thing, more) in enumerate(bare)
        ]

    async def send(self, bodies: list[bytes], **options: Any) -> list[int]:
        """Post them all at once; the statuses, none of which may be 5xx or late."""
        start = time.monotonic()
        statuses = await asyncio.gather(
            *(self.town.post(body, signer=self.uri, **options) for body in bodies)
        )
        assert time.monotonic() - start < SECONDS
        strange = [s for s in statuses if not (200 <= s < 300 or 400 <= s < 500)]
        assert not strange, [
            body[:500] for body, s in zip(bodies, statuses, strict=True) if s in strange
        ]
        return list(statuses)

    async def assert_well(self) -> None:
        """Nothing waits, nothing failed for a reason of ours, work goes on, and every page still answers."""
        town = self.town
        await town.quiet(20)
        failed = await town.db.all(
            "SELECT uri, verdict FROM inbox WHERE state = 'failed'"
            " AND verdict NOT LIKE 'fetch failed%' AND id > ? LIMIT 5",
            self.since,
        )
        assert not failed, [(row["uri"][:200], row["verdict"]) for row in failed]
        friend = self.servers.somebody("friend")
        like = {
            "id": f"{friend}/1",
            "type": "Like",
            "actor": friend,
            "object": town.object_uri(town.topic),
        }
        start = time.monotonic()
        assert await town.deliver(like) == "done: like"
        assert time.monotonic() - start < SECONDS
        cookie = await town.cookie()
        newest = await town.db.all(
            "SELECT id FROM objects WHERE deleted_at IS NULL AND visibility IN ('public', 'unlisted')"
            " ORDER BY id DESC LIMIT 12"
        )
        authors = await town.db.all(
            "SELECT a.name, h.name AS host FROM actors a JOIN hosts h ON h.id = a.host_id"
            " WHERE a.deleted_at IS NULL ORDER BY a.id DESC LIMIT 5"
        )
        for path in (
            *(
                "/",
                "/groups",
                "/g/gardening",
                "/g/gardening/about",
                "/g/gardening/feed.atom",
                "/feed.atom",
            ),
            *(
                f"/g/gardening/t/{town.topic}",
                "/notifications",
                "/admin",
                "/moderation",
                "/search?q=words",
            ),
            *(f"/o/{row['id']}" for row in newest),
            *(f"/@{row['name']}@{row['host']}" for row in authors),
        ):
            status, page = await town.get(path, cookie)
            assert status == 200, (path, status, page[:300])
            assert "<script>x" not in page
            assert 'href="javascript' not in page and 'src="javascript' not in page
        for path in ("/outbox", "/outbox?page=true", "/featured", "/followers", ""):
            status, _ = await self.servers.get(town.group_uri(town.group) + path, signer=friend)
            assert status == 200, path
        for path in ("", "/replies", "/likes", "/shares"):
            status, _ = await self.servers.get(town.object_uri(town.topic) + path, signer=friend)
            assert status == 200, path


@pytest.fixture
def peer(town: LocalHub, servers: ScriptedStubs) -> Peer:
    return Peer(town, servers)


def places(value: Any, here: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The paths to everything inside a document."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield (*here, key)
            yield from places(inner, (*here, key))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield (*here, index)
            yield from places(inner, (*here, index))


def changed(document: dict[str, Any], path: tuple[Any, ...], value: Any) -> dict[str, Any]:
    """A copy of the document with another value at one place."""
    result = copy.deepcopy(document)
    inner: Any = result
    for step in path[:-1]:
        inner = inner[step]
    inner[path[-1]] = value
    return result


def encoded(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogatepass")


@settings(max_examples=15)
@given(bodies=st.lists(st.binary(max_size=200), min_size=10, max_size=10))
@example(
    bodies=[b"", b"\x00", b"\xff\xfe", b"[" * 100_000, b'"' + b"\\" * 1000, b"1e999999999", b"-"]
)
async def test_inv_11_bytes(peer: Peer, bodies: list[bytes]) -> None:
    assert set(await peer.send(bodies)) <= {400}


@settings(max_examples=15)
@given(values=st.lists(JSON, min_size=10, max_size=10))
async def test_inv_11_json_of_any_shape(peer: Peer, values: list[Any]) -> None:
    bodies = [encoded(value) for value in values]
    bodies += [
        encoded(
            {
                "id": f"{peer.uri}/{next(_numbers)}",
                "type": "Create",
                "actor": peer.uri,
                "object": value,
            }
        )
        for value in values
    ]
    bodies += [
        encoded({**act, "object": value}) for act, value in zip(peer.fresh(), values, strict=False)
    ]
    await peer.send(bodies)
    await peer.town.quiet()


async def test_inv_11_each_property_of_each_activity_with_each_odd_value(peer: Peer) -> None:
    """Every place of every activity, each with a handful of the odd values in turn."""
    values = itertools.cycle(peer.values)
    bodies = []
    for template in range(len(peer.fresh())):
        for path in places(peer.fresh()[template]):
            for _ in range(2):
                bodies.append(encoded(changed(peer.fresh()[template], path, next(values))))
    bodies = bodies[:: peer.stride]
    for start in range(0, len(bodies), 60):
        await peer.send(bodies[start : start + 60])
    await peer.assert_well()


async def test_inv_11_every_odd_value_as_text_name_link_and_recipient(peer: Peer) -> None:
    bodies = []
    for value in peer.values:
        for key in (
            "content",
            "name",
            "summary",
            "inReplyTo",
            "tag",
            "attachment",
        ):
            act = peer.fresh()[0]
            bodies.append(encoded(changed(act, ("object", key), value)))
    bodies = bodies[:: peer.stride]
    for start in range(0, len(bodies), 60):
        await peer.send(bodies[start : start + 60])
    await peer.assert_well()


@settings(max_examples=20)
@given(data=st.data())
async def test_inv_11_several_faults_at_once(peer: Peer, data: st.DataObject) -> None:
    bodies = []
    for act in peer.fresh():
        for _ in range(data.draw(st.integers(1, 3))):
            path = data.draw(st.sampled_from(sorted(places(act), key=str)))
            act = changed(act, path, data.draw(st.sampled_from(peer.values) | JSON))
        bodies.append(encoded(act))
    await peer.send(bodies)
    await peer.town.quiet()


@pytest.mark.skipif(not SAMPLES.is_dir(), reason="the samples are not here")
async def test_inv_11_what_real_servers_sent_with_their_types_mixed_up(peer: Peer) -> None:
    """Real payloads under our signer's name, as they are and with each top property spoilt."""
    from tests.activitypub.samples import every_document

    values = itertools.cycle(peer.values)
    bodies = []
    for _, document in every_document():
        theirs = document.get("actor") or document.get("attributedTo")
        text = json.dumps(document)
        if isinstance(theirs, str):
            text = text.replace(theirs, peer.uri)
        act = json.loads(text) | {"actor": peer.uri, "id": f"{peer.uri}/real/{next(_numbers)}"}
        bodies.append(encoded(act))
        for key in act:
            spoilt = {**act, "id": f"{peer.uri}/real/{next(_numbers)}", key: next(values)}
            bodies.append(encoded(spoilt))
        if isinstance(act.get("object"), dict):
            for path in places(act["object"]):
                spoilt = {**act, "id": f"{peer.uri}/real/{next(_numbers)}"}
                bodies.append(encoded(changed(spoilt, ("object", *path), next(values))))
    bodies = bodies[:: 2 * peer.stride]
    for start in range(0, len(bodies), 60):
        await peer.send(bodies[start : start + 60])
    await peer.assert_well()


async def test_inv_11_profiles_with_odd_values(peer: Peer, monkeypatch: pytest.MonkeyPatch) -> None:
    """The actor that is fetched for its key is as strange as an activity can be."""
    monkeypatch.setattr(directory, "KEY_FETCHES_PER_HOST", 10_000)
    town, servers = peer.town, peer.servers
    host = servers.new_host("odd")
    values = itertools.cycle(peer.values)
    fields = ("name", "summary", "preferredUsername", "url", "icon", "image", "outbox", "followers",
              "endpoints", "publicKey", "assertionMethod", "alsoKnownAs", "movedTo", "attachment", "tag",
              "type", "inbox", "featured", "manuallyApprovesFollowers", "discoverable", "published",
              "generator", "suspended", "@context")  # fmt: skip
    for number in range(4 * len(fields)):
        field = fields[number % len(fields)]
        odd = servers.somebody(f"odd{number}", host)
        servers.host(host).actors[f"odd{number}"][field] = next(values)
        act = {
            "id": f"{odd}/1",
            "type": "Follow",
            "actor": odd,
            "object": town.group_uri(town.group),
        }
        assert await town.post(act) in (202, 401), field
    await peer.assert_well()


async def test_inv_11_objects_that_are_fetched_with_odd_values(peer: Peer) -> None:
    town, servers = peer.town, peer.servers
    values = itertools.cycle(peer.values)
    for number, key in enumerate(list(peer.fresh()[0]["object"]) * 4):
        note = changed(peer.fresh()[0]["object"], (key,), next(values))
        url = f"{peer.uri}/fetched/{number}"
        if key != "id":
            note["id"] = url
        servers.script(url, note)
        act = {"id": f"{url}/create", "type": "Create", "actor": peer.uri, "object": url}
        assert await town.post(act) == 202
    await peer.assert_well()


# Sizes, forms and headers


def padded(peer: Peer, size: int) -> bytes:
    act = {
        "id": f"{peer.uri}/{next(_numbers)}",
        "type": "View",
        "actor": peer.uri,
        "object": peer.uri,
    }
    act["pad"] = ""
    return encoded({**act, "pad": "x" * (size - len(encoded(act)))})


async def test_inv_11_a_body_at_the_limit_is_taken_and_one_byte_more_is_not(peer: Peer) -> None:
    assert await peer.send([padded(peer, LIMIT)]) == [202]
    assert await peer.send([padded(peer, LIMIT + 1)]) == [413]
    # In pieces, so that no length is announced.
    session = peer.servers._session
    assert session is not None

    async def pieces() -> Any:
        for _ in range(40):
            yield b"x" * 65_536

    try:
        async with session.post(peer.town.shared_inbox, data=pieces()) as answer:
            assert answer.status == 413
    except aiohttp.ClientConnectionError:
        pass  # It was refused before all of it was sent.
    await peer.assert_well()


@pytest.mark.parametrize(
    "content_type",
    ["application/json", "text/html", "application/ld+json", "", ";;;", "a" * 2000, "application/activity+xml",
     'application/ld+json; profile="https://evil.test/ns"', "multipart/form-data; boundary=x"],
)  # fmt: skip
async def test_inv_11_another_content_type_is_415(peer: Peer, content_type: str) -> None:
    body = encoded(peer.fresh()[7])
    assert await peer.send([body], headers={"Content-Type": content_type}) == [415]


@pytest.mark.parametrize(
    "content_type",
    ["application/activity+json; charset=utf-8", "APPLICATION/ACTIVITY+JSON",
     'application/ld+json; profile="https://www.w3.org/ns/activitystreams"',
     'application/ld+json;charset=utf-8;profile="https://www.w3.org/ns/activitystreams"'],
)  # fmt: skip
async def test_inv_11_each_spelling_of_the_content_type_is_taken(
    peer: Peer, content_type: str
) -> None:
    body = encoded(peer.fresh()[7])
    assert await peer.send([body], headers={"Content-Type": content_type}) == [202]


@pytest.mark.parametrize(
    "coding", ["gzip", "deflate", "br", "zstd", "gzip, gzip", "identity", "x", ""]
)
async def test_inv_11_compressed_bodies_are_answered(peer: Peer, coding: str) -> None:
    plain = encoded(peer.fresh()[7])
    bomb = gzip.compress(b" " * 50_000_000)
    for body in (gzip.compress(plain), zlib.compress(plain), plain, b"\x1f\x8b\x08", b"", bomb):
        await peer.send([body], headers={"Content-Encoding": coding})
    assert await peer.send([plain]) == [202]


SIGNATURES = [
    "", ",", "=", '"', "\\", 'keyId="', 'keyId=""', 'keyId="x",headers="",signature=""', "a" * 8000,
    'keyId="http://x.test/u",headers="(request-target) host date digest",signature="!!!"',
    'keyId="http://x.test/u",algorithm="none",headers="(request-target) host date digest",signature="AA=="',
    'keyId="http://x.test/u",headers="(request-target) host date digest",created=99999999999999999999,signature="AA=="',
    'keyId="http://x.test/u",headers="(created) (request-target) host digest",created=-1,signature="AA=="',
    'keyId="\u00fc\u00e9",signature="\u00e9"', 'keyId="javascript:x",signature="AA=="', "Signature " * 500,
    'keyId="http://x.test/u",headers="' + "x " * 2000 + '",signature="AA=="', ("x=1," * 1500),
]  # fmt: skip


@pytest.mark.parametrize("signature", SIGNATURES, ids=range(len(SIGNATURES)))
async def test_inv_11_junk_in_signature_headers_is_401(peer: Peer, signature: str) -> None:
    body = encoded(peer.fresh()[7])
    for name in (
        "Signature",
        "Signature-Input",
        "Digest",
        "Date",
        "Content-Digest",
        "Authorization",
    ):
        statuses = await peer.send([body], headers={name: signature})
        assert statuses[0] in (
            (401,) if name in ("Signature", "Signature-Input") else (202, 401)
        ), name
    status, _ = await peer.town.get(f"/ap/o/{peer.town.topic}", {"Signature": signature}, ACTIVITY)
    assert 400 <= status < 500


async def raw(town: LocalHub, request: bytes) -> bytes:
    """Bytes on a connection of their own; the first line of the answer."""
    host, _, port = town.origin.split("://")[1].partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        writer.write(request)
        await writer.drain()
        return await asyncio.wait_for(reader.readline(), SECONDS)
    finally:
        writer.close()


@pytest.mark.parametrize(
    "head",
    [
        b"POST http://evil.test/ap/inbox HTTP/1.1\r\nHost: evil.test",
        b"POST /ap/inbox HTTP/1.1\r\nHost: \xff\xfe",
        b"POST /ap/inbox HTTP/1.1\r\nHost: a\r\nHost: b",
        b"POST /ap/inbox?\xc3\xa9=\xff HTTP/1.1\r\nHost: x",
        b"POST /ap/p/%00/inbox HTTP/1.1\r\nHost: x",
        b"POST /ap/p/99999999999999999999999999/inbox HTTP/1.1\r\nHost: x",
        b"POST /ap/p/%D9%A3/inbox HTTP/1.1\r\nHost: x",
        b"POST /ap/g/../../ap/inbox HTTP/1.1\r\nHost: x",
        b"POST //ap/inbox HTTP/1.1\r\nHost: x",
        b"POST /ap/inbox HTTP/1.1\r\nHost: x\r\nSignature: \xff\xfe\x80\r\nDate: \xf0\x9f",
        b"POST /ap/inbox HTTP/1.1\r\nHost: x\r\nExpect: 200-ok",
        b'POST /ap/inbox HTTP/1.1\r\nHost: x\r\nContent-Type: \xff/\xfe; q="',
        b"PUT /ap/inbox HTTP/1.1\r\nHost: x",
        b"GET /ap/inbox HTTP/1.1\r\nHost: x",
        b"GET /ap/o/%F0%9F%98%80 HTTP/1.1\r\nHost: x\r\nAccept: application/activity+json",
        b"GET /ap/g/1/outbox?page=true&before=%00 HTTP/1.1\r\nHost: x",
        b"GET /.well-known/webfinger?resource=%00%ff HTTP/1.1\r\nHost: x",
        b"GET /.well-known/webfinger?resource=acct:%ED%A0%80@x HTTP/1.1\r\nHost: x",
    ],
)
async def test_inv_11_malformed_requests_are_4xx(town: LocalHub, head: bytes) -> None:
    answer = await raw(town, head + b"\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}")
    assert answer.startswith((b"HTTP/1.1 4", b"HTTP/1.0 4")), answer


async def test_inv_11_a_body_that_never_comes_holds_up_nobody(peer: Peer) -> None:
    host, _, port = peer.town.origin.split("://")[1].partition(":")
    writers = []
    for _ in range(50):
        _, writer = await asyncio.open_connection(host, int(port))
        writer.write(b"POST /ap/inbox HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n{")
        writers.append(writer)
    assert await peer.send([encoded(peer.fresh()[7])]) == [202]
    for writer in writers:
        writer.close()
