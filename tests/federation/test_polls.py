"""Polls over the wire: how ours are sent, how votes come in, and how members vote elsewhere."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from fedcomm.hub import ballots, follows, groups, polls, threads
from fedcomm.hub.ballots import Ballot
from fedcomm.hub.composition import Draft
from fedcomm.store.ids import now_ms
from fedcomm.tallies import Tallies
from tests.federation.inprocess import LocalHub
from tests.federation.stub import AS, PUBLIC, kind_of

pytestmark = pytest.mark.asyncio(loop_scope="module")

HOUR_MS = 3_600_000
_numbers = itertools.count(1)


async def ask(town: LocalHub, *options: str, multiple: bool = False) -> int:
    """A poll of anna's in the open group."""
    ballot = Ballot(options or ("Clay", "Sand"), multiple, now_ms() + HOUR_MS)
    async with town.db.transaction() as tx:
        draft = Draft("Say why.", "Which <soil>?", language="en", poll=ballot)
        content = await town.site.compose(tx, draft, is_topic=True, author_id=town.anna)
        made = await threads.create_topic(tx, town.anna, town.group, content)
    town.site.wake()
    return made


async def standing(town: LocalHub, object_id: int) -> tuple[list[int], int]:
    poll = await ballots.poll_of(town.db, 0, object_id)
    assert poll is not None
    return [option.votes for option in poll.options], poll.voters


def vote(town: LocalHub, voter: str, poll: int, choice: str, **more: Any) -> dict[str, Any]:
    """A vote as Mastodon sends it."""
    number = next(_numbers)
    question = town.object_uri(poll)
    return {
        "@context": AS,
        "id": f"{voter}#votes/{number}/activity",
        "type": "Create",
        "actor": voter,
        "to": town.person(town.anna),
        "object": {
            "id": f"{voter}#votes/{number}",
            "type": "Note",
            "name": choice,
            "attributedTo": voter,
            "inReplyTo": question,
            "to": town.person(town.anna),
        }
        | more,
    }


async def member_on(town: LocalHub, software: str) -> tuple[str, str]:
    """Somebody of a server of this kind who is a member of the group: (actor, host)."""
    host = town.stubs.new_host()
    actor = town.stubs.actor("mia", host, software=software)
    town.stubs.hosts[host].software = software
    await town.quiet()  # What was written before is not sent to them.
    follow = {
        "@context": AS,
        "id": f"{actor}/follow/1",
        "type": "Follow",
        "actor": actor,
        "object": town.group_uri(town.group),
    }
    assert (await town.deliver(follow)).startswith("done: membership")
    return actor, host


async def leave(town: LocalHub, *actors_: str) -> None:
    """So that the next test sends nothing to them."""
    async with town.db.transaction() as tx:
        for uri in actors_:
            row = await tx.value("SELECT id FROM actors WHERE uri = ?", uri)
            await groups.leave(tx, town.group, row)


async def test_a_poll_is_sent_to_each_kind_of_server_as_it_takes_it(town: LocalHub) -> None:
    people = {name: await member_on(town, name) for name in ("mastodon", "lemmy", "piefed")}
    topic = await ask(town)
    for kind, name in (("Create", "mastodon"), ("Announce/id", "mastodon")):
        host = town.stubs.hosts[people[name][1]]
        await town.stubs.until(lambda host=host, kind=kind: kind in host.kinds(), why=kind)
    for name in ("piefed", "lemmy"):
        host = town.stubs.hosts[people[name][1]]
        await town.stubs.until(lambda host=host: "Announce/Create" in host.kinds(), why=name)
    uri = town.object_uri(topic)
    arrived = {
        name: [one.body for one in town.stubs.hosts[host].arrived if uri in str(one.body)]
        for name, (_, host) in people.items()
    }
    [question] = [b["object"] for b in arrived["mastodon"] if kind_of(b) == "Create"]
    assert "Announce/id" in [kind_of(body) for body in arrived["mastodon"]]
    assert question["type"] == "Question" and question["id"] == town.object_uri(topic)
    assert [option["name"] for option in question["oneOf"]] == ["Clay", "Sand"]
    assert question["oneOf"][0]["replies"] == {"type": "Collection", "totalItems": 0}
    assert question["name"] == "Which <soil>?" and question["votersCount"] == 0
    assert question["content"].startswith("<p><strong>Which &lt;soil&gt;?</strong></p>")
    assert question["contentMap"] == {"en": question["content"]}
    assert question["endTime"] and "closed" not in question and "summary" not in question

    [wrapped] = [b["object"] for b in arrived["piefed"] if kind_of(b) == "Announce/Create"]
    assert wrapped["object"]["type"] == "Question"
    [wrapped] = [b["object"] for b in arrived["lemmy"] if kind_of(b) == "Announce/Create"]
    page = wrapped["object"]
    assert page["type"] == "Page" and page["id"] == question["id"]
    assert "<li>Clay</li>" in page["content"] and page["url"] in page["content"]
    assert not {"oneOf", "endTime", "votersCount", "source"} & set(page)

    voter, _ = people["mastodon"]
    assert await town.deliver(vote(town, voter, topic, "Sand")) == "done: voted"
    await town.db.append("UPDATE polls SET report_at = 1 WHERE object_id = ?", (topic,))
    assert town.site.federation is not None
    assert await Tallies(town.db).round() <= 1
    town.site.wake()

    def counted(name: str, kind: str) -> list[dict[str, Any]]:
        bodies = [one.body for one in town.stubs.hosts[people[name][1]].arrived]
        return [body for body in bodies if kind_of(body) == kind]

    await town.stubs.until(lambda: counted("mastodon", "Update"), why="counts")
    await town.stubs.until(lambda: counted("piefed", "Announce/Update"), why="counts")
    [update] = counted("mastodon", "Update")
    assert [o["replies"]["totalItems"] for o in update["object"]["oneOf"]] == [0, 1]
    assert update["object"]["votersCount"] == 1
    assert "updated" not in update["object"], "nothing was edited"
    [told] = counted("piefed", "Announce/Update")
    assert told["object"]["object"]["oneOf"] == update["object"]["oneOf"]
    assert not counted("lemmy", "Announce/Update") and not counted("lemmy", "Update")
    for _, host in people.values():
        for one in town.stubs.hosts[host].arrived:
            if one.body["type"] == "Accept":
                continue
            assert voter not in str(one.body.get("object")), "who voted is told to nobody"

    await town.db.append("UPDATE polls SET close_at = 1 WHERE object_id = ?", (topic,))
    await Tallies(town.db).round()
    town.site.wake()
    await town.stubs.until(lambda: len(counted("mastodon", "Update")) == 2, why="closing")
    assert counted("mastodon", "Update")[-1]["object"]["closed"]
    assert await town.deliver(vote(town, people["piefed"][0], topic, "Clay")) == (
        "refused: This poll is over."
    )
    await leave(town, *(actor for actor, _ in people.values()))


async def test_an_edited_poll_stays_a_page_for_those_who_have_it_as_one(town: LocalHub) -> None:
    actor, host = await member_on(town, "lemmy")
    topic = await ask(town)
    async with town.db.transaction() as tx:
        draft = Draft("Other words.", "Which soil?")
        content = await town.site.compose(tx, draft, is_topic=True, author_id=town.anna)
        await threads.edit(tx, town.anna, topic, content)
    town.site.wake()
    lemmy = town.stubs.hosts[host]
    await town.stubs.until(lambda: "Announce/Update" in lemmy.kinds(), why="the edit")
    bodies = [one.body for one in lemmy.arrived]
    [told] = [body for body in bodies if kind_of(body) == "Announce/Update"]
    assert told["object"]["object"]["type"] == "Page"
    assert "Other words." in told["object"]["object"]["content"]
    assert "Update" not in [kind_of(body) for body in bodies]
    await leave(town, actor)


async def test_a_vote_counts_once_for_each_person(town: LocalHub) -> None:
    topic = await ask(town)
    one, other = town.stubs.somebody("one"), town.stubs.somebody("other")
    assert await town.deliver(vote(town, one, topic, "Clay")) == "done: voted"
    again = await town.deliver(vote(town, one, topic, "Sand"))
    assert again == "done: vote already counted"
    assert await town.deliver(vote(town, other, topic, " Clay ")) == "done: voted"
    assert await standing(town, topic) == ([2, 0], 2)
    before = await town.count("SELECT count(*) FROM objects WHERE parent_id = ?", topic)
    assert before == 0, "a vote is no reply"


async def test_gotosocial_sends_several_choices_in_one_create(town: LocalHub) -> None:
    topic = await ask(town, "a", "b", "c", multiple=True)
    voter = town.stubs.somebody()
    first, second = vote(town, voter, topic, "a"), vote(town, voter, topic, "c")
    both = first | {"object": [first["object"], second["object"]]}
    assert await town.deliver(both) == "done: voted"
    assert await standing(town, topic) == ([1, 0, 1], 1)
    # In a single choice this is no vote at all.
    single = await ask(town, "a", "b")
    first, second = vote(town, voter, single, "a"), vote(town, voter, single, "b")
    both = first | {"object": [first["object"], second["object"]]}
    assert (await town.deliver(both)).startswith("refused")
    assert await standing(town, single) == ([0, 0], 0)


async def test_piefeds_pollvote_counts(town: LocalHub) -> None:
    topic = await ask(town)
    voter = town.stubs.somebody()
    activity = {
        "@context": AS,
        "id": f"{voter}/activities/pollvote/1",
        "type": "PollVote",
        "actor": voter,
        "object": town.object_uri(topic),
        "choice_text": "Sand",
    }
    assert await town.deliver(activity) == "done: voted"
    assert await standing(town, topic) == ([0, 1], 1)


@pytest.mark.parametrize(
    ("change", "verdict"),
    [
        ({"name": "Marble"}, "refused: no-such-option"),
        ({"attributedTo": "http://elsewhere.test/users/eve"}, "refused"),
        ({"inReplyTo": "http://elsewhere.test/polls/1"}, "done: ignored"),
    ],
)
async def test_a_vote_that_is_none_changes_nothing(
    town: LocalHub, change: dict[str, str], verdict: str
) -> None:
    topic = await ask(town)
    voter = town.stubs.somebody()
    answer = await town.deliver(vote(town, voter, topic, "Clay", **change))
    assert answer.startswith(verdict), answer
    assert await standing(town, topic) == ([0, 0], 0)


async def test_nobody_votes_in_a_poll_that_they_cannot_see(town: LocalHub) -> None:
    ballot = Ballot(("Clay", "Sand"), ends_at=now_ms() + HOUR_MS)
    async with town.db.transaction() as tx:
        draft = Draft("", "MARKERSECRET poll", poll=ballot)
        content = await town.site.compose(tx, draft, is_topic=True, author_id=town.anna)
        topic = await threads.create_topic(tx, town.anna, town.secret, content)
    voter = town.stubs.somebody()
    refused = await town.deliver(vote(town, voter, topic, "Clay"))
    assert refused == "refused: This is not there any more."
    assert await standing(town, topic) == ([0, 0], 0)


async def test_a_poll_of_another_server_is_shown_voted_in_and_recounted(town: LocalHub) -> None:
    host = town.stubs.new_host()
    author = town.stubs.actor("rosa", host)
    rosa = await town.site.federation.find_actor(author)  # type: ignore[union-attr]
    assert rosa is not None
    async with town.db.transaction() as tx:
        await follows.request(tx, town.ben, rosa.id)
        await follows.accept(tx, town.ben, rosa.id)

    def question(yes: int, no: int, **more: Any) -> dict[str, Any]:
        return town.stubs.note(
            author,
            number=77,
            type="Question",
            content="<p>Ready?</p>",
            published="2026-11-20T10:00:00Z",
            endTime="2031-01-01T00:00:00Z",
            votersCount=yes + no,
            anyOf=[
                {"type": "Note", "name": name, "replies": {"type": "Collection", "totalItems": n}}
                for name, n in (("yes", yes), ("no", no))
            ],
            **more,
        )

    def activity(kind: str, number: int, document: dict[str, Any]) -> dict[str, Any]:
        return {
            "@context": AS,
            "id": f"{author}/activities/{number}",
            "type": kind,
            "actor": author,
            "to": [PUBLIC],
            "object": document,
        }

    assert await town.deliver(activity("Create", 1, question(3, 4))) == "done: stored"
    thing = await threads.thing_by_uri(town.db, f"{author}/notes/77")
    assert thing is not None and thing.type == "Question"
    assert await standing(town, thing.id) == ([3, 4], 7)

    async with town.db.transaction() as tx:
        assert await polls.vote(tx, town.ben, thing.id, [0, 1]) == 2
    town.site.wake()
    rosas = town.stubs.hosts[host]
    await town.stubs.until(lambda: rosas.kinds().count("Create") == 2, why="votes")
    sent = [one for one in town.stubs.hosts[host].arrived if one.body["type"] == "Create"]
    assert [one.body["object"]["name"] for one in sent] == ["yes", "no"]
    for one in sent:
        assert one.path == "/users/rosa/inbox", "not to anybody else there"
        note = one.body["object"]
        assert note["type"] == "Note" and note["inReplyTo"] == thing.uri
        assert note["to"] == one.body["to"] == [author]
        assert "content" not in note and "cc" not in one.body
        # The author's server may fetch the vote; nobody else may.
        status, fetched = await town.stubs.get(note["id"], signer=author)
        assert status == 200 and fetched["name"] == note["name"]
        stranger = town.stubs.somebody()
        assert (await town.stubs.get(note["id"], signer=stranger))[0] == 404
        assert (await town.stubs.get(note["id"]))[0] in (401, 404)

    assert await town.deliver(activity("Update", 2, question(10, 20))) == "done: poll counted"
    assert await standing(town, thing.id) == ([10, 20], 30)
    known = await threads.thing(town.db, thing.id)
    assert known is not None and known.edited_at is None, "counts are no edit"
    over = question(11, 20, closed="2026-11-21T00:00:00Z")
    assert await town.deliver(activity("Update", 3, over)) == "done: poll counted"
    poll = await ballots.poll_of(town.db, town.ben, thing.id)
    assert poll is not None and poll.is_over and poll.chosen == {0, 1}


async def test_only_its_author_says_how_a_poll_stands(town: LocalHub) -> None:
    host = town.stubs.new_host()
    author, other = town.stubs.actor("rosa", host), town.stubs.actor("eve", host)
    document = town.stubs.note(
        author,
        type="Question",
        tag=[{"type": "Mention", "href": town.person(town.ben)}],
        oneOf=[{"type": "Note", "name": "yes"}, {"type": "Note", "name": "no"}],
    )
    create = {
        "id": f"{author}/c/1", "type": "Create", "actor": author, "to": [PUBLIC],
        "object": document,
    }  # fmt: skip
    assert await town.deliver(create) == "done: stored"
    thing = await threads.thing_by_uri(town.db, document["id"])
    assert thing is not None
    forged = {"type": "Note", "name": "yes", "replies": {"type": "Collection", "totalItems": 99}}
    update = {
        "id": f"{other}/u/1", "type": "Update", "actor": other, "to": [PUBLIC],
        "object": document | {"oneOf": [forged, {"type": "Note", "name": "no"}]},
    }  # fmt: skip
    assert await town.deliver(update) == "refused: not-the-author"
    assert await standing(town, thing.id) == ([0, 0], 0)
