"""Others quote us: who may, the stamp of our consent, and taking it back (FEP-044f)."""

from __future__ import annotations

import pytest

from fedcomm.hub import avoidance, quotes, removal, threads, timelines
from fedcomm.hub.errors import NotAllowed
from fedcomm.hub.visibility import member
from tests.federation.acts import activity, anna_follows, create, stored
from tests.federation.inprocess import LocalHub, ScriptedStubs
from tests.federation.quoting import (
    agreed,
    answers_to,
    numbers,
    quoting,
    read,
    request,
    shown,
    state_of,
    topic_of_anna,
)
from tests.federation.stub import PUBLIC

pytestmark = pytest.mark.asyncio(loop_scope="module")


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
        asked["id"] = f"{quoter}/quote_requests/{next(numbers)}"
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
