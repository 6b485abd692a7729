"""What real servers sent, replayed: each recorded activity is taken, means what it meant, and breaks nothing.

A recording is moved to a server of the test, whose keys we have, and what it says about other servers' people, posts
and groups becomes about ours. The rules are by type; no recording has one of its own.
"""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from activitypub.vocabulary import OBJECT_TYPES
from fedcomm.hub import follows
from tests.activitypub import samples
from tests.databases import SQLiteDatabases
from tests.federation.conftest import IMPATIENT
from tests.federation.dialects.scene import shape
from tests.federation.inprocess import LocalHub, ScriptedStubs, local_hub
from tests.federation.stub import test_key

pytestmark = [pytest.mark.asyncio(loop_scope="module"), samples.needs_samples]

JSON = dict[str, Any]

ACTIVITIES = [
    pytest.param(document, id=f"{name}-{number}")
    for number, (name, document) in enumerate(
        samples.every_document() if samples.FOLDER.is_dir() else ()
    )
    if "actor" in document and "type" in document
]

STRANGER = re.compile(r"https?://[hr]\d{3,4}\.test(?::\d+)?/(users/grp|users/\w+|notes/[\w.-]+)")
"""Whom and what the recorded servers talked to and about."""

MEANINGS = (
    (r"Follow/id", r"done: (follow|membership) active"),
    (r"Accept/Follow.*", r"done: follow accepted"),
    (r"Reject/Follow.*", r"done: follow refused"),
    (r"(Accept|Reject)/.*", r"refused: no-such-request"),
    (r"Create/(Note|Article|Question|Page)", r"done: stored"),
    (r"Update/(Person|Group|Service)", r"done: profile refreshed"),
    (r"Update/id", r"done: profile refreshed"),
    (r"Update/(Note|Article|Page)", r"done: ignored: Update of something unknown"),
    (r"Announce/(id|Note|Article|Page|Create/.*)", r"done: (share(d)?( already counted)?|ignored: an echo.*)"),
    (r"Announce/.*", r"done: (ignored: (announced \w+( of something unknown)?|an echo.*|a vote that nobody confirms))"),
    (r"(Like|Dislike)/id", r"done: (like|dislike|ignored: about something unknown)"),
    (r"Undo/.*", r"done: .*"),
    (r"Delete/(id|Tombstone)", r"done: (remembered as deleted|actor deleted with 0 objects)"),
    (r"Block/id", r"done: blocked: follows ended"),
    (r"Flag/list", r"done: report filed"),
    (r"Move/id", r"done: ignored: Move of something else than an account"),
    (r"Remove/id", r"done: ignored: Remove to a collection that is not ours"),
)  # fmt: skip
"""The shape of an activity, and what becomes of it here; the first that fits."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def hub(
    tmp_path_factory: pytest.TempPathFactory, migrated_sqlite: Path, servers: ScriptedStubs
) -> AsyncIterator[LocalHub]:
    folder = tmp_path_factory.mktemp("recorded")
    made = SQLiteDatabases(folder, migrated_sqlite)
    async with local_hub(folder, made.migrated(), servers, IMPATIENT) as town:
        yield town
    made.remove_all()


def moved(document: JSON, town: LocalHub, origin: str) -> JSON:
    """The recording as if its server were at `origin`, and talked to us."""
    theirs = re.match(r"https?://[^/]+", document["actor"])
    assert theirs is not None

    def ours(match: re.Match[str]) -> str:
        what = match[1]
        if what == "users/grp":
            return town.group_uri(town.group)
        return town.object_uri(town.topic) if what[0] == "n" else town.person(town.ben)

    text = json.dumps(document, ensure_ascii=False).replace(theirs[0], origin)
    result: JSON = json.loads(STRANGER.sub(ours, text))
    return result


def within(value: Any) -> Iterator[JSON]:
    """Every document in a document."""
    if isinstance(value, dict):
        yield value
        for part in value.values():
            yield from within(part)
    elif isinstance(value, list):
        for part in value:
            yield from within(part)


def populate(servers: ScriptedStubs, host: str, document: JSON) -> None:
    """Make what the recording names on its own server dereferenceable there."""
    server = servers.host(host)
    for part in within(document):
        uri = part.get("id")
        is_post = OBJECT_TYPES.intersection([str(part.get("type"))]) and "content" in part
        if isinstance(uri, str) and uri.startswith(server.origin) and is_post:
            server.objects[uri] = {"@context": document.get("@context")} | part
        for name in ("actor", "attributedTo"):
            who = part.get(name)
            if isinstance(who, str) and who.startswith(server.origin):
                is_group = "/category/" in who or "/c/" in who
                server.objects[who] = actor(who, "Group" if is_group else "Person")

    announced = document["object"]
    if document["type"] == "Announce" and isinstance(announced, str):
        # The recording has its id only.
        author = f"{server.origin}/u/author"
        server.objects[author] = actor(author, "Person")
        server.objects[announced] = servers.note(author) | {"id": announced}


def actor(uri: str, kind: str) -> JSON:
    return {
        "@context": "https://www.w3.org/ns/activitystreams",
        "id": uri,
        "type": kind,
        "preferredUsername": re.sub(r"\W", "", uri.rpartition("/")[2])[:20],
        "inbox": f"{uri.partition('?')[0]}/inbox",
        "followers": f"{uri}/followers",
        "publicKey": {
            "id": f"{uri}#main-key",
            "owner": uri,
            "publicKeyPem": test_key().public().to_pem(),
        },
    }


@pytest.mark.parametrize("recorded", ACTIVITIES)
async def test_a_recorded_activity_means_here_what_it_meant(
    hub: LocalHub, servers: ScriptedStubs, recorded: JSON
) -> None:
    host = servers.new_host("recorded")
    document = moved(recorded, hub, servers.host(host).origin)
    populate(servers, host, document)
    spoke = hub.site.federation
    assert spoke is not None
    author = await spoke.find_actor(document["actor"])
    assert author is not None
    async with hub.db.transaction() as tx:
        # Somebody here reads them, and somebody else has asked.
        await follows.request(tx, hub.anna, author.id)
        await follows.accept(tx, hub.anna, author.id)
        await follows.request(tx, hub.ben, author.id)
    verdict = await hub.deliver(document)
    for pattern, meaning in MEANINGS:
        if re.fullmatch(pattern, shape(document)):
            assert re.fullmatch(meaning, verdict), (shape(document), verdict)
            break
    else:
        pytest.fail(f"nothing is said about {shape(document)}: {verdict}")
    # The pages still open for somebody who sees all of it.
    assert (await hub.get("/", await hub.cookie()))[0] == 200
