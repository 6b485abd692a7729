"""What other servers send of people who were erased here, and while they are being erased (INV-50)."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from aiohttp import web

from activitypub import proofs
from activitypub.keys import PrivateKey, generate_ed25519
from fedcomm.federation import certificates
from fedcomm.hub import erasure, follows, groups, members, threads
from fedcomm.hub.composition import Draft
from tests.federation.acts import activity
from tests.federation.inprocess import LocalHub, ScriptedStubs
from tests.federation.stub import ACTIVITY

pytestmark = pytest.mark.asyncio(loop_scope="module")

Document = dict[str, Any]
_numbers = itertools.count(1)


async def forget(town: LocalHub, kind: erasure.Kind, subject: int) -> None:
    """An erasure as far as the database goes."""
    async with town.db.transaction() as tx:
        case_id = await erasure.request(
            tx, kind, subject, requested_by=None, reason="They asked for it."
        )
    one = await erasure.case(town.db, case_id)
    assert one is not None
    while one.state in ("objects", "rows"):
        one = await erasure.advance(town.db, one, origin=town.origin)


async def newcomer(town: LocalHub) -> tuple[int, str]:
    name = f"zqname{next(_numbers)}zq"
    async with town.db.transaction() as tx:
        return await members.create_member(tx, name), name


def mention(town: LocalHub, member: int, name: str) -> tuple[str, Document]:
    """A mention as Mastodon writes it: HTML and tag."""
    page, host = f"{town.origin}/@{name}", town.origin.split("://")[1]
    link = f'<a href="{page}" class="u-url mention">@<span>{name}</span></a>'
    html = f'<p><span class="h-card">{link}</span> hi @{name}@{host}</p>'
    return html, {"type": "Mention", "href": town.person(member), "name": f"@{name}@{host}"}


async def where(town: LocalHub, word: str) -> list[str]:
    """Tables in which the word still stands."""
    found = []
    for table, column in (
        *(("objects", column) for column in ("title", "source", "html", "summary")),
        *(("revisions", column) for column in ("title", "source", "html", "summary")),
        ("received_activities", "body"),
        ("activities", "body"),
        ("attachments", "alt"),
        ("actors", "name"),
    ):
        if await town.count(
            f"SELECT count(*) FROM {table} WHERE lower({column}) LIKE ?", f"%{word}%"
        ):
            found.append(f"{table}.{column}")
    return found


def gate_at(
    servers: ScriptedStubs, url: str, document: Document, do: Callable[[], Awaitable[None]]
) -> None:
    """Something happens while the hub waits for the answer to this URL."""

    async def answer(_request: web.Request) -> web.Response:
        await do()
        return web.Response(text=json.dumps(document), content_type=ACTIVITY)

    servers.script(url, answer)


async def test_inv_50_a_name_that_was_taken_out_does_not_come_back_with_an_edit(
    town: LocalHub, servers: ScriptedStubs
) -> None:
    gone, name = await newcomer(town)
    html, tag = mention(town, gone, name)
    author = servers.somebody("friend")
    note = servers.note(
        author,
        number=next(_numbers),
        content=html,
        tag=[tag],
        inReplyTo=town.object_uri(town.topic),
        source={"content": f"@{name} hi", "mediaType": "text/markdown"},
    )
    assert await town.deliver(activity(author, "Create", note)) == "done: stored"
    assert await where(town, name) != []
    await forget(town, "member", gone)
    await town.quiet()
    assert await where(town, name) == []
    # An edit, a new answer, and one with links only: their servers know nothing of it.
    edited = {**note, "content": f"{html}<p>more</p>", "updated": "2031-01-01T00:00:00Z"}
    assert await town.deliver(activity(author, "Update", edited)) == "done: edited"
    fresh = servers.note(
        author,
        number=next(_numbers),
        content=html,
        summary=f"about @{name}",
        tag=[tag],
        inReplyTo=town.object_uri(town.topic),
    )
    assert await town.deliver(activity(author, "Create", fresh)) == "done: stored"
    linked = servers.note(
        author,
        number=next(_numbers),
        content=html,
        tag=[tag | {"href": f"{town.origin}/@{name}", "name": f"@{name}"}],
        inReplyTo=town.object_uri(town.topic),
    )
    assert await town.deliver(activity(author, "Create", linked)) == "done: stored"
    await town.quiet()
    assert await where(town, name) == []
    for uri in (note["id"], fresh["id"], linked["id"]):
        known = await threads.thing_by_uri(town.db, uri)
        assert known is not None and "[erased]" in known.html and "hi" in known.html


async def test_inv_50_who_is_erased_while_an_answer_is_fetched_is_not_named_in_it(
    town: LocalHub, servers: ScriptedStubs
) -> None:
    gone, name = await newcomer(town)
    html, tag = mention(town, gone, name)
    author = servers.somebody("slow")
    above = servers.note(
        author, number=next(_numbers), content="Above.", inReplyTo=town.object_uri(town.topic)
    )
    gate_at(servers, above["id"], above, lambda: forget(town, "member", gone))
    note = servers.note(
        author, number=next(_numbers), content=html, tag=[tag], inReplyTo=above["id"]
    )
    assert await town.deliver(activity(author, "Create", note)) == "done: stored"
    await town.quiet()
    assert await where(town, name) == []
    assert await town.count("SELECT count(*) FROM mentions WHERE actor_id = ?", gone) == 0


async def test_inv_50_whoever_is_erased_while_we_fetch_for_them_leaves_nothing(
    town: LocalHub, servers: ScriptedStubs
) -> None:
    author = servers.somebody("zqslow")
    found = await town.site.federation.find_actor(author)  # type: ignore[union-attr]
    assert found is not None
    above = servers.note(
        servers.somebody("other"),
        number=next(_numbers),
        content="Above.",
        inReplyTo=town.object_uri(town.topic),
    )
    over = asyncio.Event()

    async def erase() -> None:
        await forget(town, "remote", found.id)
        over.set()

    gate_at(servers, above["id"], above, erase)
    note = servers.note(author, number=next(_numbers), content="zqslow", inReplyTo=above["id"])
    act = activity(author, "Create", note)
    assert await town.post(act) == 202
    # The erasure takes what waits out of the inbox long before it is done.
    await asyncio.wait_for(over.wait(), 45)
    await town.quiet()
    assert await where(town, "zqslow") == []
    assert await threads.thing_by_uri(town.db, note["id"]) is None


async def test_inv_50_what_was_erased_comes_back_by_no_door(
    town: LocalHub, servers: ScriptedStubs
) -> None:
    host = servers.new_host()
    author = servers.somebody("zqauthor", host)
    note = servers.note(
        author, number=next(_numbers), content="zqword", inReplyTo=town.object_uri(town.topic)
    )
    create = activity(author, "Create", note)
    assert await town.deliver(create) == "done: stored"
    friend = servers.somebody("friend")
    club = servers.somebody("club", kind="Group")
    for who in (friend, club):
        found = await town.site.federation.find_actor(who)  # type: ignore[union-attr]
        assert found is not None
        async with town.db.transaction() as tx:
            await follows.request(tx, town.anna, found.id)
            await follows.accept(tx, town.anna, found.id)
    known = await town.site.federation.find_actor(author)  # type: ignore[union-attr]
    assert known is not None
    await forget(town, "remote", known.id)
    await town.quiet()
    topic = town.object_uri(town.topic)
    doors = [
        {**create, "id": f"{author}/activities/again"},
        activity(author, "Update", {**note, "updated": "2031-01-01T00:00:00Z"}),
        activity(friend, "Announce", note["id"]),
        activity(club, "Announce", create),
        activity(club, "Announce", note["id"]),
        activity(
            friend,
            "Create",
            servers.note(friend, number=next(_numbers), content="Q", quote=note["id"]),
        ),
        activity(
            friend,
            "Create",
            servers.note(friend, number=next(_numbers), content="R", inReplyTo=note["id"]),
        ),
        activity(author, "QuoteRequest", topic, instrument={**note, "quote": topic}),
    ]
    for act in doors:
        assert await town.post(act) == 202
        await town.quiet()
        assert await threads.thing_by_uri(town.db, note["id"]) is None, act["type"]
        assert "objects.html" not in await where(town, "zqword"), act["type"]
    assert await town.site.federation.find_object(note["id"]) is None  # type: ignore[union-attr]
    # Whoever was erased may come back, with a key that is fetched anew: what they say now is theirs to say.
    later = servers.note(
        author,
        number=next(_numbers),
        content="Hello again.",
        inReplyTo=topic,
        published="2031-01-01T00:00:00Z",
    )
    assert await town.deliver(activity(author, "Create", later)) == "done: stored"


async def test_inv_50_ids_of_ours_that_were_erased_are_gone_for_everybody_and_every_activity(
    town: LocalHub, servers: ScriptedStubs
) -> None:
    gone, name = await newcomer(town)
    async with town.db.transaction() as tx:
        await groups.join(tx, town.group, gone)
        content = await town.site.compose(
            tx, Draft("zqlocal", "zqlocal"), is_topic=True, author_id=gone
        )
        topic = await threads.create_topic(tx, gone, town.group, content)
    town.site.wake()
    await town.quiet(60)
    await forget(town, "member", gone)
    await town.quiet(60)
    mallory = servers.somebody()
    for act in (
        activity(mallory, "Follow", town.person(gone)),
        activity(mallory, "Like", town.object_uri(topic)),
        activity(mallory, "Announce", town.object_uri(topic)),
        activity(mallory, "QuoteRequest", town.object_uri(topic), instrument=f"{mallory}/n"),
        activity(
            mallory,
            "Create",
            servers.note(
                mallory,
                number=next(_numbers),
                content="x",
                to=[town.person(gone)],
                cc=[],
                inReplyTo=town.object_uri(topic),
            ),
        ),
        activity(mallory, "Flag", [town.person(gone), town.object_uri(topic)]),
    ):
        assert await town.post(act) == 202
    assert (
        await town.post(activity(mallory, "Like", "x"), inbox=f"{town.person(gone)}/inbox") == 404
    )
    await town.quiet()
    for table, column in (
        *(("follows", "followed_id"), ("mentions", "actor_id"), ("memberships", "actor_id")),
        *(("notifications", "member_id"), ("reactions", "object_id"), ("quotes", "quoted_id")),
    ):
        for number in (gone, topic):
            sql = f"SELECT count(*) FROM {table} WHERE {column} = ?"
            assert await town.count(sql, number) == 0, table
    assert (await servers.get(town.object_uri(topic), signer=mallory))[0] == 404
    status, stub = await servers.get(town.person(gone), signer=mallory)
    # While others are told, the key that they check it by; never more.
    assert status == 410 or (stub["suspended"] is True and name not in json.dumps(stub))
    handle = f"acct:{name}@{town.origin.split('://')[1]}"
    status, _ = await town.get(f"/.well-known/webfinger?resource={handle}")
    assert status in (404, 410)
    assert await where(town, name) == []


async def test_a_forged_certificate_is_not_believed() -> None:
    ours, theirs = generate_ed25519(), generate_ed25519()

    def instance(origin: str, key: PrivateKey) -> Document:
        actor = f"{origin}/ap/instance"
        multikey = {
            "id": f"{actor}#ed25519",
            "type": "Multikey",
            "controller": actor,
            "publicKeyMultibase": key.public().to_multibase(),
        }
        return {"id": actor, "type": "Application", "assertionMethod": [multikey]}

    def signed(origin: str, key: PrivateKey, method: str | None = None, **facts: Any) -> bytes:
        document = {
            "@context": certificates.CONTEXT,
            "id": f"{origin}/erasures/1",
            "type": certificates.TYPE,
            "attributedTo": f"{origin}/ap/instance",
            **facts,
        }
        method = method or f"{origin}/ap/instance#ed25519"
        return json.dumps(proofs.create(document, key, method, "2026-11-21T10:00:00Z")).encode()

    hub, evil = "https://hub.test", "https://evil.test"
    good = signed(hub, ours)
    assert certificates.verify(good, instance(hub, ours)) is None
    for forged, actor in (
        (signed(hub, theirs), instance(hub, ours)),
        (signed(hub, theirs, f"{evil}/ap/instance#ed25519"), instance(hub, ours)),
        (signed(evil, theirs), instance(hub, ours)),
        # Signed by itself, and about a case of ours.
        (signed(evil, theirs, id=f"{hub}/erasures/1"), instance(evil, theirs)),
        (signed(hub, ours, type="Note"), instance(hub, ours)),
        (good.replace(b"erasures/1", b"erasures/2"), instance(hub, ours)),
        (good.replace(b"2026-11-21", b"2026-11-20"), instance(hub, ours)),
        (good[:-1] + b', "type": "ErasureCertificate"}', instance(hub, ours)),
    ):
        assert certificates.verify(forged, actor) is not None
