"""Quotes over the wire (FEP-044f, FEP-e232): consent asked and given both ways, and what a hostile server tries."""

from __future__ import annotations

import asyncio
import itertools
import json
from pathlib import Path
from typing import Any

import pytest

from fedcomm.hub import (
    avoidance,
    follows,
    quotes,
    reactions,
    removal,
    reservations,
    threads,
    timelines,
)
from fedcomm.hub.composition import Draft
from fedcomm.hub.errors import Invalid, NotAllowed
from fedcomm.hub.permissions import Policy
from fedcomm.hub.previews import Proposal
from fedcomm.hub.visibility import ANONYMOUS, member
from tests.databases import SQLiteDatabases
from tests.federation.acts import activity, anna_follows, create, stored, to_group
from tests.federation.conftest import IMPATIENT
from tests.federation.inprocess import LocalHub, ScriptedStubs, local_hub
from tests.federation.stub import AS, PUBLIC

pytestmark = pytest.mark.asyncio(loop_scope="module")

_numbers = itertools.count(1)

Document = dict[str, Any]

ANYBODY = {"canQuote": {"automaticApproval": [PUBLIC]}}
OBJECT_LINK = 'application/ld+json; profile="https://www.w3.org/ns/activitystreams"'
MISSKEY = "https://misskey-hub.net/ns#_misskey_quote"


async def topic_of_anna(
    town: LocalHub,
    *,
    group: int | None = None,
    policy: Policy | None = None,
    quote: int | None = None,
    text: str = "Words.",
) -> int:
    async with town.db.transaction() as tx:
        draft = Draft(text, "Title", quote=quote, quote_policy=policy, language="en")
        content = await town.site.compose(tx, draft, is_topic=True, author_id=town.anna)
        made = await threads.create_topic(tx, town.anna, group or town.group, content)
    town.site.wake()
    return made


def quoting(servers: ScriptedStubs, author: str, quoted: str, **more: Any) -> Document:
    """A post of another server that quotes `quoted` as Mastodon writes it."""
    return servers.note(
        author,
        number=f"q{next(_numbers)}",
        content=f'<p>Look.</p><p class="quote-inline">RE: <a href="{quoted}">{quoted}</a></p>',
        **{"quote": quoted, "quoteUri": quoted, "_misskey_quote": quoted} | more,
    )


def request(town: LocalHub, note: Document, quoted: int, **more: Any) -> Document:
    return {
        "@context": AS,
        "id": f"{note['attributedTo']}/quote_requests/{next(_numbers)}",
        "type": "QuoteRequest",
        "actor": note["attributedTo"],
        "object": town.object_uri(quoted),
        "instrument": note["id"],
    } | more


def stamp(servers: ScriptedStubs, author: str, quoting_uri: str, quoted: str, **more: Any) -> str:
    """The consent of `author`, published on their server; its id."""
    return servers.publish(
        {
            "@context": AS,
            "id": f"{author}/quote_authorizations/{next(_numbers)}",
            "type": "QuoteAuthorization",
            "attributedTo": author,
            "interactingObject": quoting_uri,
            "interactionTarget": quoted,
        }
        | more
    )


async def answers_to(servers: ScriptedStubs, author: str, kind: str) -> list[Document]:
    """What of this type arrived at the author's server, once something did."""
    host = servers.hosts[author.split("/")[2].partition(":")[0]]
    await servers.until(lambda: kind in host.kinds(), why=kind)
    return [arrived.body for arrived in host.arrived if arrived.body["type"] == kind]


async def state_of(town: LocalHub, uri: str) -> str | None:
    thing = await stored(town, uri)
    found = await quotes.of_object(town.db, thing.id) if thing is not None else None
    return found.state if found is not None else None


async def shown(town: LocalHub, uri: str) -> threads.Thing | None:
    """What anna sees embedded in a post of another server."""
    thing = await stored(town, uri)
    assert thing is not None
    post = await timelines.post(town.db, member(town.anna), thing.id)
    assert post is not None
    return post.quoted.thing if post.quoted is not None else None


async def agreed(town: LocalHub, servers: ScriptedStubs, quoted: int) -> tuple[Document, str]:
    """A post elsewhere that quotes ours with our consent; the post and our stamp."""
    note = quoting(servers, servers.somebody("quoter"), town.object_uri(quoted))
    assert await town.deliver(request(town, note, quoted)) == "done: quote accepted"
    [accept] = await answers_to(servers, note["attributedTo"], "Accept")
    return note, str(accept["result"])


async def read(servers: ScriptedStubs, url: str, reader: str | None = None) -> tuple[int, Any]:
    """A document as another server gets it: signed, by a stranger if nobody is named."""
    return await servers.get(url, signer=reader or servers.somebody("stranger"))


# Others quote us


async def test_a_request_to_quote_is_accepted_with_a_stamp_that_others_can_fetch(
    town: LocalHub, servers: ScriptedStubs
) -> None:
    topic = await topic_of_anna(town)
    quoter = servers.somebody("quoter")
    note = quoting(servers, quoter, town.object_uri(topic))
    asked = request(town, note, topic)
    assert await town.deliver(asked) == "done: quote accepted"
    [accept] = await answers_to(servers, quoter, "Accept")
    assert accept["actor"] == town.person(town.anna) and accept["to"] == [quoter]
    wanted = {key: asked[key] for key in ("id", "type", "actor", "object", "instrument")}
    assert accept["object"] == wanted
    for reader in (quoter, servers.somebody("third")):
        status, consent = await read(servers, accept["result"], reader)
        assert status == 200
        assert consent["type"] == "QuoteAuthorization" and consent["id"] == accept["result"]
        assert consent["attributedTo"] == town.person(town.anna)
        assert consent["interactingObject"] == note["id"]
        assert consent["interactionTarget"] == town.object_uri(topic)
        terms = {key: value for part in consent["@context"][1:] for key, value in part.items()}
        assert terms["QuoteAuthorization"] == "fep044f:QuoteAuthorization"
        assert terms["interactingObject"]["@id"] == "gts:interactingObject"
    quoted = await shown(town, note["id"])
    assert quoted is not None and quoted.id == topic
    _, page = await town.get("/notifications", await town.cookie())
    assert "quoted you" in page

    # Asked again (the answer was lost): the same stamp.
    assert await town.deliver(request(town, note, topic)) == "done: quote accepted"
    await town.quiet()
    answers = await answers_to(servers, quoter, "Accept")
    assert {answer["result"] for answer in answers} == {accept["result"]} and len(answers) == 2


async def test_the_post_may_come_before_the_request_or_within_it(
    town: LocalHub, servers: ScriptedStubs
) -> None:
    topic = await topic_of_anna(town)
    quoter = servers.somebody("quoter")
    await anna_follows(town, quoter)
    first = quoting(servers, quoter, town.object_uri(topic))
    assert await town.deliver(create(first)) == "done: stored"
    assert await state_of(town, first["id"]) == "pending"
    assert await shown(town, first["id"]) is None
    assert await town.deliver(request(town, first, topic)) == "done: quote accepted"
    assert await state_of(town, first["id"]) == "accepted"

    # In confidence: nobody can fetch it, so it comes in the request; who is quoted may read it.
    stranger = servers.somebody("stranger")
    hidden = quoting(servers, stranger, town.object_uri(topic), to=[f"{stranger}/followers"], cc=[])
    del servers.hosts[hidden["id"].split("/")[2].partition(":")[0]].objects[hidden["id"]]
    asked = request(town, hidden, topic, instrument=hidden)
    assert await town.deliver(asked) == "done: quote accepted"
    kept = await stored(town, hidden["id"])
    assert kept is not None and kept.visibility == "followers"
    assert await timelines.post(town.db, member(town.anna), kept.id) is not None
    assert await timelines.post(town.db, member(town.ben), kept.id) is None
    [accept] = await answers_to(servers, stranger, "Accept")
    assert (await servers.get(accept["result"]))[0] == 404
    assert (await read(servers, accept["result"], stranger))[0] == 200


async def test_the_author_decides_who_may_quote(town: LocalHub, servers: ScriptedStubs) -> None:
    for policy, said in (
        ("everyone", [PUBLIC]),
        ("followers", [f"{town.person(town.anna)}/followers"]),
        ("nobody", [town.person(town.anna)]),
    ):
        topic = await topic_of_anna(town, policy=policy)  # type: ignore[arg-type]
        status, document = await read(servers, town.object_uri(topic))
        assert status == 200
        assert document["interactionPolicy"] == {"canQuote": {"automaticApproval": said}}
        quoter = servers.somebody("quoter")
        note = quoting(servers, quoter, town.object_uri(topic))
        verdict = await town.deliver(request(town, note, topic))
        if policy == "everyone":
            assert verdict == "done: quote accepted"
            continue
        assert verdict == "done: quote refused"
        [reject] = await answers_to(servers, quoter, "Reject")
        assert reject["object"]["instrument"] == note["id"] and "result" not in reject
        assert await stored(town, note["id"]) is None and servers.fetched(note["id"]) == 0
        if policy == "followers":
            follow = activity(quoter, "Follow", town.person(town.anna))
            await town.deliver(follow)
            assert await town.deliver(request(town, note, topic)) == "done: quote accepted"
    await town.quiet()
    assert not await town.count("SELECT count(*) FROM quotes WHERE state = 'rejected'")


async def test_a_blocked_person_may_not_quote_and_the_default_is_the_members(
    town: LocalHub, servers: ScriptedStubs
) -> None:
    topic = await topic_of_anna(town)
    quoter = servers.somebody("quoter")
    person = await town.site.federation.find_actor(quoter)  # type: ignore[union-attr]
    assert person is not None
    async with town.db.transaction() as tx:
        await avoidance.avoid(tx, town.anna, person.id, "block")
        await tx.execute("UPDATE members SET quote_policy = 'nobody' WHERE actor_id = ?", town.anna)
    note = quoting(servers, quoter, town.object_uri(topic))
    assert await town.deliver(request(town, note, topic)) == "done: quote refused"
    later = await topic_of_anna(town)
    async with town.db.transaction() as tx:
        await tx.execute(
            "UPDATE members SET quote_policy = 'everyone' WHERE actor_id = ?", town.anna
        )
    _, document = await read(servers, town.object_uri(later))
    policy = document["interactionPolicy"]["canQuote"]["automaticApproval"]
    assert policy == [town.person(town.anna)]


async def test_inv_20_of_what_is_not_public_nobody_learns_by_asking_to_quote_it(
    town: LocalHub, servers: ScriptedStubs
) -> None:
    quoter = servers.somebody("quoter")
    verdicts = set()
    for number in (town.secret_topic, 123_456_789_012_345_678):
        note = quoting(servers, quoter, town.object_uri(number))
        verdicts.add(await town.deliver(request(town, note, number)))
    assert verdicts == {"refused: no-such-post"}
    await town.quiet()
    host = servers.hosts[quoter.split("/")[2].partition(":")[0]]
    assert not {"Accept", "Reject"} & set(host.kinds())
    # Nor does a post that only claims to quote it hang on it.
    await anna_follows(town, quoter)
    note = quoting(servers, quoter, town.object_uri(town.secret_topic))
    assert await town.deliver(create(note)) == "done: stored"
    assert await state_of(town, note["id"]) is None


async def test_inv_6_and_7_consent_is_for_one_post_of_who_asks(
    town: LocalHub, servers: ScriptedStubs
) -> None:
    topic, other = await topic_of_anna(town), await topic_of_anna(town)
    quoter, victim = servers.somebody("quoter"), servers.somebody("victim")
    of_victim = quoting(servers, victim, town.object_uri(topic))
    # Somebody else's post, by its id and in the request.
    for instrument in (of_victim["id"], of_victim, {**of_victim, "attributedTo": quoter}):
        asked = request(town, of_victim, topic, actor=quoter, instrument=instrument)
        asked["id"] = f"{quoter}/quote_requests/{next(_numbers)}"
        assert await town.deliver(asked) == "refused: foreign-object"
    # A post of one's own that says it is somebody else's, or quotes something else.
    note = quoting(servers, quoter, town.object_uri(other))
    asked = request(town, note, topic)
    assert await town.deliver(asked) == "refused: quotes-something-else"
    forged = {**note, "quote": town.object_uri(topic), "attributedTo": victim}
    asked = request(town, note, topic, instrument=forged)
    assert (await town.deliver(asked)).startswith("refused: foreign-author")
    # Something that is not ours, and nothing.
    asked = request(town, note, topic, object=f"{victim}/notes/1")
    assert await town.deliver(asked) == "refused: not-ours"
    asked = request(town, note, topic)
    del asked["instrument"]
    assert await town.deliver(asked) == "refused: foreign-object"
    assert not await town.count(
        "SELECT count(*) FROM quotes WHERE quoted_id = ? AND state = 'accepted'", topic
    )


async def test_consent_is_taken_back_at_every_host_that_may_show_the_quote(
    town: LocalHub, servers: ScriptedStubs
) -> None:
    topic = await topic_of_anna(town)
    note, consent = await agreed(town, servers, topic)
    quoter, third = note["attributedTo"], servers.somebody("third")
    assert (await servers.get(consent, signer=third))[0] == 200
    kept = await stored(town, note["id"])
    assert kept is not None
    cookie = await town.cookie()
    async with town.db.transaction() as tx:
        with pytest.raises(NotAllowed):
            await quotes.revoke(tx, town.ben, kept.id)
    session = servers._session
    assert session is not None
    async with session.post(
        f"{town.origin}/o/{kept.id}/unquote", headers={**cookie, "Origin": town.origin}
    ) as answer:
        assert answer.status == 200
    for who in (quoter, third):
        [delete] = await answers_to(servers, who, "Delete")
        assert delete["object"] == consent and delete["actor"] == town.person(town.anna)
        assert delete["to"] == [PUBLIC] and delete["proof"]["type"] == "DataIntegrityProof"
    assert (await servers.get(consent, signer=third))[0] == 404
    assert await shown(town, note["id"]) is None
    # Asked again after that, the answer is no; a stamp of ours in an edit brings nothing back.
    assert (await town.deliver(request(town, note, topic))).startswith("done: quote refused")
    await answers_to(servers, quoter, "Reject")
    edited = {**note, "quoteAuthorization": consent, "content": "<p>Again.</p>"}
    assert await town.deliver(activity(quoter, "Update", edited)) == "done: edited"
    assert await state_of(town, note["id"]) == "revoked"
    assert (await read(servers, consent))[0] == 404


async def test_the_stamp_goes_with_either_post(town: LocalHub, servers: ScriptedStubs) -> None:
    topic = await topic_of_anna(town)
    note, consent = await agreed(town, servers, topic)
    other, second = await agreed(town, servers, topic)
    gone = activity(other["attributedTo"], "Delete", other["id"])
    assert await town.deliver(gone) == "done: deleted"
    assert (await read(servers, second))[0] == 404 and (await read(servers, consent))[0] == 200
    async with town.db.transaction() as tx:
        await threads.delete(tx, town.anna, topic)
    town.site.wake()
    assert (await read(servers, consent))[0] == 404
    # What was quoted is empty now; the quoting post stays.
    assert await shown(town, note["id"]) is None


async def test_what_a_moderator_took_down_is_shown_in_no_quote(
    town: LocalHub, servers: ScriptedStubs
) -> None:
    topic = await topic_of_anna(town)
    note, consent = await agreed(town, servers, topic)
    async with town.db.transaction() as tx:
        await removal.withhold(tx, town.anna, topic, "hidden")
    assert await shown(town, note["id"]) is None and (await read(servers, consent))[0] == 404


# We quote others


async def quoted_by_anna(
    town: LocalHub, servers: ScriptedStubs, **policy: Any
) -> tuple[str, Document, int, Document]:
    """A topic of anna's that quotes somebody elsewhere: (their id, their post, the topic, our QuoteRequest)."""
    author = servers.somebody("author")
    note = servers.note(author, number=f"a{next(_numbers)}", interactionPolicy=ANYBODY, **policy)
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
        note = servers.note(author, number=f"p{next(_numbers)}", **said)
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
    for who, may_reply in ((town.anna, True), (town.ben, True)):
        async with town.db.transaction() as tx:
            with pytest.raises(NotAllowed, match="like"):
                await reactions.add(tx, who, kept.id, "like")
            content = await town.site.compose(
                tx, Draft("An answer."), is_topic=False, author_id=who
            )
            assert may_reply and await threads.create_reply(tx, who, kept.id, content)
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


# Others quote others


@pytest.mark.parametrize("form", ["quote", "quoteUrl", "quoteUri", "_misskey_quote", "e232"])
async def test_a_quote_in_any_dialect_is_shown_with_the_stamp_of_its_author(
    town: LocalHub, servers: ScriptedStubs, form: str
) -> None:
    author, quoter = servers.somebody("author"), servers.somebody("quoter")
    await anna_follows(town, quoter)
    quoted = servers.note(author, number=1)
    uri = f"{quoter}/notes/1"
    said: Document = {form: quoted["id"]}
    if form == "e232":
        link = {"type": "Link", "mediaType": OBJECT_LINK, "href": quoted["id"]}
        said = {"tag": [link | {"name": f"RE: {quoted['id']}"}]}
    consent = stamp(servers, author, uri, quoted["id"])
    note = servers.note(quoter, number=1, quoteAuthorization=consent, **said)
    assert await town.deliver(create(note)) == "done: stored"
    embedded = await shown(town, uri)
    assert embedded is not None and embedded.uri == quoted["id"]


async def test_inv_5_6_and_7_only_a_stamp_that_fits_shows_a_quote(
    town: LocalHub, servers: ScriptedStubs
) -> None:
    author, quoter = servers.somebody("author"), servers.somebody("quoter")
    await anna_follows(town, quoter)
    quoted, other = servers.note(author, number=1), servers.note(author, number=2)
    wrong = {
        "none": None,
        "my own": lambda uri: stamp(servers, quoter, uri, quoted["id"], attributedTo=author),
        "for another post": lambda uri: stamp(servers, author, f"{quoter}/x", quoted["id"]),
        "for another quote": lambda uri: stamp(servers, author, uri, other["id"]),
        "unsaid": lambda uri: stamp(servers, author, uri, quoted["id"], attributedTo=None),
        "absent": lambda uri: f"{author}/nothing",
        "odd": lambda uri: 7,
    }
    for name, make in wrong.items():
        uri = f"{quoter}/notes/{name.replace(' ', '-')}"
        said = {} if make is None else {"quoteAuthorization": make(uri)}
        note = quoting(servers, quoter, quoted["id"], id=uri, **said)
        assert await town.deliver(create(note)) == "done: stored", name
        assert await state_of(town, uri) == "pending", name
        assert await shown(town, uri) is None, name
        kept = await stored(town, uri)
        assert kept is not None and "quote-inline" in kept.html, "the link stays to be seen"


async def test_consent_that_comes_later_shows_the_quote_and_is_no_edit(
    town: LocalHub, servers: ScriptedStubs
) -> None:
    author, quoter = servers.somebody("author"), servers.somebody("quoter")
    await anna_follows(town, quoter)
    quoted = servers.note(author, number=1)
    note = quoting(servers, quoter, quoted["id"])
    assert await town.deliver(create(note)) == "done: stored"
    assert await shown(town, note["id"]) is None
    consent = stamp(servers, author, note["id"], quoted["id"])
    later = {**note, "quoteAuthorization": consent}
    assert await town.deliver(activity(quoter, "Update", later)) == "done: refreshed"
    assert await shown(town, note["id"]) is not None
    kept = await stored(town, note["id"])
    assert kept is not None and kept.edited_at is None
    assert not await threads.revisions(town.db, kept.id)

    # Only who gave it can take it back.
    neighbour = servers.somebody("neighbour", author.split("/")[2].partition(":")[0])
    for somebody in (quoter, neighbour):
        refused = await town.deliver(activity(somebody, "Delete", consent))
        assert refused == "refused: not-the-author"
    # Somebody else says so: the server of the stamp is asked.
    delete = activity(author, "Delete", consent)
    assert await town.post(delete, signer=servers.somebody("carrier")) == 202
    await town.quiet()
    assert await shown(town, note["id"]) is not None
    assert await town.deliver(delete) == "done: quote denied"
    assert await shown(town, note["id"]) is None
    # The same stamp again, still on its server, brings nothing back; a new one does.
    again = {**later, "content": "<p>Edited.</p>"}
    assert await town.deliver(activity(quoter, "Update", again)) == "done: edited"
    assert await state_of(town, note["id"]) == "revoked"
    fresh = {**again, "quoteAuthorization": stamp(servers, author, note["id"], quoted["id"])}
    assert await town.deliver(activity(quoter, "Update", fresh)) == "done: refreshed"
    assert await state_of(town, note["id"]) == "accepted"
    # The quote is taken out, as Mastodon does it.
    without = {key: value for key, value in fresh.items() if "quote" not in key}
    assert await town.deliver(activity(quoter, "Update", without)) == "done: refreshed"
    assert await state_of(town, note["id"]) is None


async def test_a_stamp_that_was_deleted_before_it_came_counts_for_nothing(
    town: LocalHub, servers: ScriptedStubs
) -> None:
    author, quoter = servers.somebody("author"), servers.somebody("quoter")
    await anna_follows(town, quoter)
    quoted = servers.note(author, number=1)
    uri = f"{quoter}/notes/late"
    consent = stamp(servers, author, uri, quoted["id"])
    assert await town.deliver(activity(author, "Delete", consent)) == "done: remembered as deleted"
    note = quoting(servers, quoter, quoted["id"], id=uri, quoteAuthorization=consent)
    assert await town.deliver(create(note)) == "done: stored"
    assert await shown(town, uri) is None


async def test_who_quotes_themselves_needs_no_stamp_and_a_hidden_post_is_not_shown(
    town: LocalHub, servers: ScriptedStubs
) -> None:
    quoter = servers.somebody("quoter")
    await anna_follows(town, quoter)
    quoted = servers.note(quoter, number=1)
    note = quoting(servers, quoter, quoted["id"])
    assert await town.deliver(create(note)) == "done: stored"
    assert await shown(town, note["id"]) is not None
    # A neighbour on the same server is not oneself.
    neighbour = servers.somebody("neighbour", quoter.split("/")[2].partition(":")[0])
    await anna_follows(town, neighbour)
    note = quoting(servers, neighbour, quoted["id"])
    assert await town.deliver(create(note)) == "done: stored"
    assert await shown(town, note["id"]) is None
    # Not public: not even kept.
    quiet = servers.note(quoter, number=2, to=[f"{quoter}/followers"], cc=[])
    note = quoting(servers, quoter, quiet["id"])
    assert await town.deliver(create(note)) == "done: stored"
    assert await stored(town, quiet["id"]) is None
    assert await state_of(town, note["id"]) == "pending"


async def test_a_chain_of_quotes_is_not_followed(town: LocalHub, servers: ScriptedStubs) -> None:
    quoter = servers.somebody("quoter")
    await anna_follows(town, quoter)
    uris = [f"{quoter}/notes/chain{number}" for number in range(5)]
    for number, uri in enumerate(uris):
        servers.note(quoter, number=f"chain{number}", quote=uris[(number + 1) % 5], id=uri)
    first = servers.hosts[quoter.split("/")[2].partition(":")[0]].objects[uris[0]]
    assert await town.deliver(create(first)) == "done: stored"
    assert await stored(town, uris[1]) is not None and await stored(town, uris[2]) is None
    # A post that quotes itself quotes nothing.
    loop = servers.note(quoter, number="loop", quote=f"{quoter}/notes/loop")
    assert await town.deliver(create(loop)) == "done: stored"
    assert await state_of(town, loop["id"]) is None


async def test_a_quote_in_a_thread_of_ours_is_repeated_as_it_came(
    town: LocalHub, servers: ScriptedStubs
) -> None:
    quoter = servers.somebody("quoter")
    note = quoting(servers, quoter, f"{quoter}/notes/absent", **to_group(town))
    assert await town.deliver(create(note)) == "done: stored"
    assert await state_of(town, note["id"]) == "pending"


async def test_a_withdrawal_that_somebody_else_brings_is_true_if_the_origin_says_so(
    town: LocalHub, servers: ScriptedStubs
) -> None:
    author, quoter = servers.somebody("author"), servers.somebody("quoter")
    await anna_follows(town, quoter)
    quoted = servers.note(author, number=1)
    uri = f"{quoter}/notes/1"
    consent = stamp(servers, author, uri, quoted["id"])
    note = quoting(servers, quoter, quoted["id"], id=uri, quoteAuthorization=consent)
    assert await town.deliver(create(note)) == "done: stored"
    assert await shown(town, uri) is not None
    delete = activity(author, "Delete", consent)
    carrier = servers.somebody("carrier")
    assert await town.post(delete, signer=carrier) == 202
    await town.quiet()
    assert await shown(town, uri) is not None, "it is still on its server"
    del servers.hosts[author.split("/")[2].partition(":")[0]].objects[consent]
    again = {**delete, "id": f"{author}/withdrawn"}
    assert await town.post(again, signer=carrier) == 202
    await town.quiet()
    assert await shown(town, uri) is None and await state_of(town, uri) == "revoked"


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
