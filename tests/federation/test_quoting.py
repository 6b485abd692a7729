"""We quote others: their author is asked, and what they answer is told to all who have the post (FEP-044f)."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from fedcomm.hub import follows, quotes, reactions, reservations, threads, timelines
from fedcomm.hub.composition import Draft
from fedcomm.hub.errors import Invalid, NotAllowed
from fedcomm.hub.previews import Proposal
from fedcomm.hub.visibility import ANONYMOUS, member
from tests.databases import SQLiteDatabases
from tests.federation.acts import activity, anna_follows, create, stored
from tests.federation.conftest import IMPATIENT
from tests.federation.inprocess import LocalHub, ScriptedStubs, local_hub
from tests.federation.quoting import (
    ANYBODY,
    MISSKEY,
    OBJECT_LINK,
    Document,
    answers_to,
    numbers,
    read,
    stamp,
    topic_of_anna,
)
from tests.federation.stub import PUBLIC

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def quoted_by_anna(
    town: LocalHub, servers: ScriptedStubs, **policy: Any
) -> tuple[str, Document, int, Document]:
    """A topic of anna's that quotes somebody elsewhere: (their id, their post, the topic, our QuoteRequest)."""
    author = servers.somebody("author")
    note = servers.note(author, number=f"a{next(numbers)}", interactionPolicy=ANYBODY, **policy)
    assert town.site.federation is not None
    found = await town.site.federation.find_object(note["id"])
    assert found is not None
    topic = await topic_of_anna(town, quote=found)
    [asked] = await answers_to(servers, author, "QuoteRequest")
    return author, note, topic, asked


async def reader_of_anna(town: LocalHub, servers: ScriptedStubs) -> str:
    reader = servers.somebody("reader", software="mastodon")
    follow = activity(reader, "Follow", town.person(town.anna))
    assert await town.deliver(follow) == "done: follow active"
    return reader


async def test_an_author_elsewhere_is_asked_and_their_stamp_is_told_to_all_readers(
    town: LocalHub, servers: ScriptedStubs
) -> None:
    reader = await reader_of_anna(town, servers)
    author, note, topic, asked = await quoted_by_anna(town, servers)
    own = town.object_uri(topic)
    assert asked["actor"] == town.person(town.anna) and asked["object"] == note["id"]
    assert asked["instrument"] == own and asked["to"] == [author]
    await town.quiet()
    posts = await answers_to(servers, reader, "Create")
    [page] = [one["object"] for one in posts if one["object"]["id"] == own]
    for key in ("quote", "quoteUrl", "quoteUri", "_misskey_quote"):
        assert page[key] == note["id"]
    assert "quoteAuthorization" not in page
    [link] = [tag for tag in page["tag"] if tag["type"] == "Link"]
    assert link["href"] == note["id"] and link["mediaType"] == OBJECT_LINK
    assert link["rel"] == MISSKEY
    fallback = f'<p class="quote-inline">RE: <a href="{note["id"]}">{note["id"]}</a></p>'
    assert page["content"].endswith(fallback) and page["contentMap"]["en"] == page["content"]
    assert page["source"]["content"].endswith(f"RE: <{note['id']}>")

    # The author's server fetches the post, consents, and everybody who has it is told.
    status, fetched = await servers.get(own, signer=author)
    assert status == 200 and fetched["quote"] == note["id"]
    consent = stamp(servers, author, own, note["id"])
    accept = activity(author, "Accept", asked, result=consent)
    assert await town.deliver(accept) == "done: quote granted"
    for who in (reader, author):
        [update] = await answers_to(servers, who, "Update")
        assert update["object"]["quoteAuthorization"] == consent
        assert "updated" not in update["object"], "no word was edited"
    post = await timelines.post(town.db, ANONYMOUS, topic)
    assert post is not None and post.quoted is not None and post.quoted.thing.uri == note["id"]
    assert await town.deliver({**accept, "id": f"{author}/again"}) == "done: quote decided already"

    # It is taken back: no copy names the quote any more, and the old Accept does not bring it back.
    delete = activity(author, "Delete", consent)
    assert await town.deliver(delete) == "done: quote denied"
    await town.quiet()
    update = (await answers_to(servers, reader, "Update"))[-1]["object"]
    assert not {"quote", "quoteUri", "quoteAuthorization"} & set(update)
    assert "quote-inline" not in update["content"] and note["id"] not in str(update)
    replayed = {**accept, "id": f"{author}/replayed"}
    assert await town.deliver(replayed) in (
        "done: quote decided already",
        "refused: not-a-stamp-for-this",
    )
    found = await quotes.of_object(town.db, topic)
    assert found is not None and found.state == "revoked"


async def test_a_refused_quote_is_no_quote_any_more(town: LocalHub, servers: ScriptedStubs) -> None:
    author, note, topic, asked = await quoted_by_anna(town, servers)
    # Some answer with the id of the request only.
    assert await town.deliver(activity(author, "Reject", asked["id"])) == "done: quote denied"
    _, document = await read(servers, town.object_uri(topic))
    assert "quote" not in document and note["id"] not in str(document)
    post = await timelines.post(town.db, ANONYMOUS, topic)
    assert post is not None and post.quoted is None


async def test_inv_5_6_and_7_a_forged_consent_grants_nothing(
    town: LocalHub, servers: ScriptedStubs
) -> None:
    author, note, topic, asked = await quoted_by_anna(town, servers)
    own = town.object_uri(topic)
    neighbour = servers.somebody("neighbour", author.split("/")[2].partition(":")[0])
    mallory = servers.somebody("mallory")
    # Not by the author, though with a stamp that fits.
    good = stamp(servers, author, own, note["id"])
    for forger in (mallory, neighbour):
        forged = activity(forger, "Accept", asked, result=good)
        assert await town.deliver(forged) == "refused: not-the-author"
        assert await town.deliver(activity(forger, "Reject", asked)) == "refused: not-the-author"
    for bad in (
        stamp(servers, mallory, own, note["id"], attributedTo=author),  # on another origin
        stamp(servers, author, f"{mallory}/notes/1", note["id"]),  # for another post that quotes
        stamp(servers, author, own, f"{author}/notes/other"),  # for another post that is quoted
        stamp(servers, author, own, note["id"], attributedTo=neighbour),  # by somebody else
        stamp(servers, author, own, note["id"], type="Note"),  # no stamp at all
        f"{author}/quote_authorizations/nowhere",  # not there
    ):
        accept = activity(author, "Accept", asked, result=bad)
        assert await town.deliver(accept) == "refused: not-a-stamp-for-this", bad
    # A stamp in the Accept itself is worth nothing: it is fetched from its id.
    inline = {
        "id": f"{author}/quote_authorizations/inline",
        "type": "QuoteAuthorization",
        "attributedTo": author,
        "interactingObject": own,
        "interactionTarget": note["id"],
    }
    accept = activity(author, "Accept", asked, result=inline)
    assert await town.deliver(accept) == "refused: not-a-stamp-for-this"
    assert await town.deliver(activity(author, "Accept", asked)) == "refused: no-stamp"
    found = await quotes.of_object(town.db, topic)
    assert found is not None and found.state == "pending"
    # An Accept of a request that we never made.
    made_up = {"type": "QuoteRequest", "actor": town.person(town.anna), "object": note["id"]}
    made_up["instrument"] = town.object_uri(town.topic)
    accept = activity(author, "Accept", made_up, result=good)
    assert (await town.deliver(accept)).startswith("refused")
    # Without our id, by its two ends, as those do who lose ids.
    two_ends = {**asked, "id": f"{author}/lost"}
    accept = activity(author, "Accept", two_ends, result=good)
    assert await town.deliver(accept) == "done: quote granted"


async def test_who_may_be_quoted_is_asked_before_anything_is_sent(
    town: LocalHub, servers: ScriptedStubs
) -> None:
    assert town.site.federation is not None
    for policy, allowed in (
        ({"interactionPolicy": ANYBODY}, True),
        ({"interactionPolicy": {"canQuote": {"manualApproval": "as:Public"}}}, True),
        ({"interactionPolicy": {"canQuote": {"always": [PUBLIC]}}}, True),
        ({}, False),
        ({"interactionPolicy": {"canQuote": {"automaticApproval": []}}}, False),
        ({"interactionPolicy": {"canQuote": {"automaticApproval": ["{author}"]}}}, False),
        ({"interactionPolicy": {"canQuote": {"automaticApproval": "{author}/followers"}}}, False),
        ({"interactionPolicy": {"canLike": {"automaticApproval": [PUBLIC]}}}, False),
    ):
        author = servers.somebody("author")
        said = json.loads(json.dumps(policy).replace("{author}", author))
        note = servers.note(author, number=f"p{next(numbers)}", **said)
        found = await town.site.federation.find_object(note["id"])
        assert found is not None
        if allowed:
            await quotes.check(town.db, town.anna, found)
        else:
            with pytest.raises(Invalid, match="does not let you quote"):
                await quotes.check(town.db, town.anna, found)
    # Who follows them, once their server has accepted.
    author = servers.somebody("author")
    only = {"canQuote": {"automaticApproval": [f"{author}/followers"]}}
    note = servers.note(author, number=1, interactionPolicy=only)
    found = await town.site.federation.find_object(note["id"])
    await anna_follows(town, author)
    assert found is not None
    await quotes.check(town.db, town.anna, found)


async def test_what_a_remote_author_allows_is_honoured(
    town: LocalHub, servers: ScriptedStubs
) -> None:
    author = servers.somebody("author")
    policy = {
        "canLike": {"automaticApproval": [author]},
        "canReply": {"automaticApproval": [f"{author}/followers"]},
    }
    await anna_follows(town, author)
    mention = {"type": "Mention", "href": town.person(town.ben), "name": "@ben"}
    note = servers.note(author, number=1, interactionPolicy=policy, tag=[mention])
    assert await town.deliver(create(note)) == "done: stored"
    kept = await stored(town, note["id"])
    assert kept is not None
    for who in (town.anna, town.ben):
        async with town.db.transaction() as tx:
            with pytest.raises(NotAllowed, match="like"):
                await reactions.add(tx, who, kept.id, "like")
            content = await town.site.compose(
                tx, Draft("An answer."), is_topic=False, author_id=who
            )
            assert await threads.create_reply(tx, who, kept.id, content)
    async with town.db.transaction() as tx:
        await follows.end(tx, town.anna, kept.author_id)
        content = await town.site.compose(
            tx, Draft("One more."), is_topic=False, author_id=town.anna
        )
        with pytest.raises(NotAllowed, match="answer"):
            await threads.create_reply(tx, town.anna, kept.id, content)


async def test_a_quote_among_members_has_a_stamp_from_the_start(
    town: LocalHub, servers: ScriptedStubs
) -> None:
    async with town.db.transaction() as tx:
        content = await town.site.compose(
            tx, Draft("Mine.", quote=town.topic), is_topic=False, author_id=town.anna
        )
        own = await threads.create_reply(tx, town.anna, town.topic, content)
        await tx.execute(
            "INSERT INTO memberships (group_id, actor_id, role, state, created_at)"
            " VALUES (?, ?, 'member', 'active', 0) ON CONFLICT DO NOTHING",
            town.group,
            town.ben,
        )
        content = await town.site.compose(
            tx, Draft("Look.", quote=town.topic), is_topic=False, author_id=town.ben
        )
        other = await threads.create_reply(tx, town.ben, town.topic, content)
    town.site.wake()
    await town.quiet()
    _, document = await read(servers, town.object_uri(own))
    assert document["quote"] == town.object_uri(town.topic)
    assert "quoteAuthorization" not in document, "nobody needs consent to quote themselves"
    _, document = await read(servers, town.object_uri(other))
    status, consent = await read(servers, document["quoteAuthorization"])
    assert status == 200 and consent["interactingObject"] == town.object_uri(other)
    assert f"/g/gardening/t/{town.topic}" in document["content"]
    # She takes it back: his post says so to whoever has it.
    async with town.db.transaction() as tx:
        await quotes.revoke(tx, town.anna, other)
    town.site.wake()
    await town.quiet()
    assert (await read(servers, document["quoteAuthorization"]))[0] == 404
    _, document = await read(servers, town.object_uri(other))
    assert "quote" not in document
    # The quoted post is deleted: the quote is a tombstone.
    topic = await topic_of_anna(town)
    quoting_topic = await topic_of_anna(town, quote=topic)
    async with town.db.transaction() as tx:
        await threads.delete(tx, town.anna, topic)
    _, document = await read(servers, town.object_uri(quoting_topic))
    assert document["quote"] == {"type": "Tombstone"} and "RE:" not in document["content"]


async def test_inv_20_nothing_private_is_quoted_outward(
    town: LocalHub, servers: ScriptedStubs
) -> None:
    with pytest.raises(Invalid, match="not everybody here"):
        await topic_of_anna(town, quote=town.secret_topic)
    inside = await topic_of_anna(town, group=town.secret, quote=town.secret_topic)
    post = await timelines.post(town.db, member(town.anna), inside)
    assert post is not None and post.quoted is not None
    # Of another server's post the author would have to be asked, and would learn of the group.
    author = servers.somebody("author")
    note = servers.note(author, number=1, interactionPolicy=ANYBODY)
    found = await town.site.federation.find_object(note["id"])  # type: ignore[union-attr]
    assert found is not None
    with pytest.raises(Invalid, match="not everybody here"):
        await topic_of_anna(town, group=town.secret, quote=found)
    # Nobody who cannot see it may even try.
    with pytest.raises(Invalid, match="not there"):
        await quotes.check(town.db, town.ben, town.secret_topic)


async def test_a_quote_arrives_as_it_was_previewed(town: LocalHub, servers: ScriptedStubs) -> None:
    fan = servers.somebody("fan", software="mastodon")
    follow = activity(fan, "Follow", town.person(town.anna))
    assert await town.deliver(follow) == "done: follow active"
    draft = Draft("Look.", "Previewed", quote=town.topic)
    content = await town.site.compose(town.db, draft, is_topic=True, author_id=town.anna)
    assert town.site.federation is not None
    proposal = Proposal(town.anna, content, draft.source, town.group, None)
    seen = await town.site.federation.preview(proposal, reservations.reserve())
    async with town.db.transaction() as tx:
        made = await threads.create_topic(
            tx, town.anna, town.group, content, reserved=seen.reservation
        )
    town.site.wake()
    await town.quiet()
    host = servers.hosts[fan.split("/")[2].partition(":")[0]]
    [raw] = [one.raw for one in host.arrived if town.object_uri(made) in str(one.body)][:1]
    assert raw in [letter.body for letter in seen.letters]
    assert json.loads(raw)["object"]["quote"] == town.object_uri(town.topic)


async def test_two_hubs_quote_each_other_with_consent(
    town: LocalHub,
    servers: ScriptedStubs,
    tmp_path: Path,
    migrated_sqlite: Path,
) -> None:
    """Both ends are ours, over real connections: request, stamp, update, and the consent taken back."""
    folder = tmp_path / "second"
    folder.mkdir()
    databases = SQLiteDatabases(folder, migrated_sqlite)
    async with local_hub(folder, databases.migrated(), servers, IMPATIENT) as there:
        assert town.site.federation is not None and there.site.federation is not None
        # anna over here has read the topic of the anna over there, and quotes it.
        quoted = await town.site.federation.find_object(there.object_uri(there.topic))
        assert quoted is not None
        topic = await topic_of_anna(town, quote=quoted)

        async def state(wanted: str) -> None:
            for _ in range(500):
                found = await quotes.of_object(town.db, topic)
                if found is not None and found.state == wanted:
                    return
                await asyncio.sleep(0.02)
            raise AssertionError(f"never {wanted}")

        await state("accepted")
        copy = await stored(there, town.object_uri(topic))
        assert copy is not None
        seen = await timelines.post(there.db, member(there.anna), copy.id)
        assert seen is not None and seen.quoted is not None
        assert seen.quoted.thing.id == there.topic
        _, page = await there.get("/notifications", await there.cookie())
        assert "quoted you" in page
        async with there.db.transaction() as tx:
            await quotes.revoke(tx, there.anna, copy.id)
        there.site.wake()
        await state("revoked")
        _, document = await read(servers, town.object_uri(topic))
        assert "quote" not in document
    databases.remove_all()
