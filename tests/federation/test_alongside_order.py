"""What several people of one server send at once comes out as if each had been worked off before the next (INV-9)."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from typing import Any

import pytest

from fedcomm.federation import alongside
from fedcomm.federation.pressure import Pressure
from tests.federation.inprocess import LocalHub, ScriptedStubs
from tests.federation.stub import PUBLIC

pytestmark = pytest.mark.asyncio(loop_scope="module")

NAMES = ("ann", "ben", "cleo", "dan", "eva")
ACTIVITIES = 60

Signed = tuple[str, dict[str, Any]]
"""Who signs, and what."""


def spelled(uri: str, chance: random.Random) -> str:
    """The same id, perhaps in another form."""
    scheme, rest = uri.split("://", 1)
    host, path = rest.split("/", 1)
    return (
        f"{chance.choice((scheme, scheme.upper()))}://{chance.choice((host, host.upper()))}/{path}"
    )


def wave(chance: random.Random, people: list[str], topic: str) -> Iterator[Signed]:
    """Posts, votes, edits, deletions of one another's, ids in all forms, some of them wrong."""
    notes: list[str] = [f"{people[0]}/notes/never"]
    acts: list[tuple[str, str]] = []
    for number in range(ACTIVITIES):
        actor = chance.choice(people)
        about = spelled(chance.choice([*notes[-3:], *notes]), chance)
        kind = chance.choice(
            ("Create",) * 6
            + ("Like", "Like", "Dislike", "EmojiReact", "Again", "Update", "Delete", "Undo")
            + ("Announce", "Follow") * (chance.random() < 0.5)
        )
        act: dict[str, Any] = {
            "@context": "https://www.w3.org/ns/activitystreams",
            "id": f"{actor}/acts/{number}",
            "type": "Create" if kind == "Again" else kind,
            "actor": spelled(actor, chance),
            "to": [PUBLIC],
            "object": about,
        }
        if kind in ("Create", "Again", "Update"):
            uri = f"{actor}/notes/{number}"
            if kind != "Create":
                uri = chance.choice(notes)
            else:
                notes.append(uri)
            answered = chance.choice([topic, about])
            note = {
                "id": spelled(uri, chance),
                "type": "Note",
                "attributedTo": chance.choice([actor] * 6 + [[actor], chance.choice(people)]),
                "to": [PUBLIC],
                "inReplyTo": chance.choice([answered, {"id": answered}, [answered]]),
                "content": f"<p>Number {number}.</p>",
            }
            if kind == "Update":
                note["updated"] = f"2026-11-21T10:00:{number:02}Z"
            if chance.random() < 0.2:
                note["quoteUrl"] = about
            act["object"] = chance.choice([note] * 6 + [[note], uri])
        elif kind == "Undo" and acts:
            undone, by = chance.choice(acts)
            act["actor"] = actor = by
            act["object"] = {"id": undone, "type": "Like", "actor": by, "object": about}
        elif kind == "Follow":
            act["object"] = topic.replace("/o/", "/p/")
        if kind in ("Like", "Dislike", "EmojiReact"):
            acts.append((act["id"], actor))
        yield actor, act


async def outcome(town: LocalHub, host: str, acts: list[Signed], busy: Any) -> list[str]:
    with busy.context() as patched:
        patched.setattr(Pressure, "hands", lambda self, hands: 0)
        statuses = [await town.post(act, signer=signer) for signer, act in acts]
    verdicts = [
        await town.verdict(act)
        for (_, act), status in zip(acts, statuses, strict=True)
        if status == 202
    ]
    await town.quiet()
    found = [str(status) for status in statuses] + verdicts
    for sql in (
        "SELECT o.uri, o.kind, o.html, p.uri AS above, o.like_count, o.dislike_count, o.share_count,"
        " o.reply_count, o.deleted_at IS NULL AS there, q.uri AS quoted, q.state, a.uri AS author"
        " FROM objects o JOIN hosts h ON h.id = o.host_id JOIN actors a ON a.id = o.author_id"
        " LEFT JOIN objects p ON p.id = o.parent_id"
        " LEFT JOIN (SELECT q.object_id, q.state, x.uri FROM quotes q LEFT JOIN objects x"
        " ON x.id = q.quoted_id) q ON q.object_id = o.id WHERE h.name LIKE ? ORDER BY o.uri",
        "SELECT a.uri, o.uri AS about, r.kind FROM reactions r JOIN actors a ON a.id = r.actor_id"
        " JOIN hosts h ON h.id = a.host_id JOIN objects o ON o.id = r.object_id"
        " WHERE h.name LIKE ? ORDER BY a.uri, o.uri, r.kind",
        "SELECT a.uri, n.kind, o.uri AS about, n.member_id FROM notifications n"
        " JOIN actors a ON a.id = n.actor_id JOIN hosts h ON h.id = a.host_id"
        " LEFT JOIN objects o ON o.id = n.object_id WHERE h.name LIKE ?"
        " ORDER BY a.uri, n.kind, o.uri",
        "SELECT j.event, o.uri, a.uri AS actor FROM journal j JOIN objects o ON o.id = j.object_id"
        " JOIN actors a ON a.id = j.actor_id JOIN hosts h ON h.id = a.host_id"
        " WHERE h.name LIKE ? ORDER BY j.seq",
    ):
        found += [str(tuple(row)) for row in await town.db.all(sql, f"{host}%")]
    return [re.sub(re.escape(host), "HOST", line, flags=re.IGNORECASE) for line in found]


@pytest.mark.parametrize("seed", [2, 3])
async def test_inv_9_the_order_of_one_server_decides_what_becomes_of_what_it_sends(
    town: LocalHub, servers: ScriptedStubs, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    outcomes: list[list[str]] = []
    for most in (alongside.MOST, 0):
        host = servers.new_host()
        people = [servers.somebody(name, host) for name in NAMES]
        topic = await town.write_topic(town.group, "Which soil?")
        for person in people:
            # Known before, so that nobody has to be fetched.
            await town.deliver(
                {"id": f"{person}/0", "type": "Like", "actor": person, "object": f"{person}/none"}
            )
        acts = list(wave(random.Random(seed), people, town.object_uri(topic)))
        monkeypatch.setattr(alongside, "MOST", most)
        found = await outcome(town, host, acts, monkeypatch)
        outcomes.append([line.replace(str(topic), "TOPIC") for line in found])
    assert outcomes[0] == outcomes[1]
