"""What peers do to us: each row sends the peer's bytes, looks into the hub, and says in a word what it found."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final

from fedcomm.hub import bans, follows, groups, quotes, reports, threads, timelines
from fedcomm.hub.ballots import Ballot
from fedcomm.hub.visibility import can_read, member
from tests.federation.dialects.dialect import JSON, Ours, Person
from tests.federation.dialects.scene import Scene

Walk = Callable[[Scene], Awaitable[str]]


@dataclass(frozen=True, slots=True)
class Row:
    """One thing that peers do. `word`: what the walk finds where all is well; `group`: its table."""

    name: str
    title: str
    table: str
    word: str
    walk: Walk


# People


async def find(scene: Scene) -> str:
    """By handle, as somebody here types it: WebFinger, then the actor."""
    spoke = scene.town.site.federation
    assert spoke is not None
    for kind, ours in (("Person", "person"), ("Group", "group")):
        somebody = scene.somebody("finn", kind)
        found = await spoke.find_actor(f"@{somebody.name}@{scene.authority}")
        assert found is not None and found.uri == somebody.id, somebody
        assert (found.kind, found.display_name) == (ours, somebody.name.capitalize())
        row = await scene.town.db.one("SELECT inbox FROM actors WHERE id = ?", found.id)
        assert row is not None and row["inbox"] == scene.dialect.inbox(somebody.id)
    return "found"


async def follow(scene: Scene) -> str:
    person = scene.somebody()
    asked = scene.dialect.follow(person, scene.ours.group)
    assert await scene.send(asked) == "done: membership active"
    answer = await scene.until("Accept", "Follow")
    inner = answer["object"]
    assert (answer["actor"], answer["to"]) == (scene.ours.group, [person.id])
    assert {name: inner[name] for name in ("id", "type", "actor", "object")} == {
        name: asked[name] for name in ("id", "type", "actor", "object")
    }
    arrival = next(each for each in scene.arrived() if each.body == answer)
    assert scene.dialect.inbox(person.id).endswith(arrival.path)
    return "member, `Accept`"


async def unfollow(scene: Scene) -> str:
    """Away, back and away again; some peers give all of that the same ids."""
    person = scene.somebody()
    for _ in range(2):
        asked = scene.dialect.follow(person, scene.ours.group)
        assert await scene.send(asked) == "done: membership active"
        assert await _place(scene, person) == "active"
        undo = scene.dialect.unfollow(asked)
        assert await scene.send(undo) == "done: left the group"
        assert await _place(scene, person) is None
    return "left, each time"


async def _place(scene: Scene, person: Person) -> str | None:
    """In which state somebody is a member of our group."""
    known = await scene.known(person)
    found = await groups.membership(scene.town.db, scene.town.group, known.id)
    return found.state if found is not None else None


async def profile(scene: Scene) -> str:
    person = await scene.member()
    document = scene.host.objects[person.id]
    changed = document | {"name": "Renamed"}
    changed.pop("nameMap", None)
    scene.host.actors[person.name] = scene.serve(changed)
    update = scene.dialect.profile(person, changed)
    assert await scene.send(update, scene.town.shared_inbox) == "done: profile refreshed"
    assert (await scene.known(person)).display_name == "Renamed"
    return "fetched anew"


async def _follow(scene: Scene, follower: int, person_uri: str) -> int:
    """A member follows somebody of theirs, who has accepted."""
    spoke = scene.town.site.federation
    assert spoke is not None
    found = await spoke.find_actor(person_uri)
    assert found is not None
    async with scene.town.db.transaction() as tx:
        await follows.request(tx, follower, found.id)
        await follows.accept(tx, follower, found.id)
    return found.id


async def move(scene: Scene) -> str:
    person = await scene.member()
    await _follow(scene, scene.town.ben, person.id)
    new = scene.somebody("idanew")
    scene.host.objects[new.id]["alsoKnownAs"] = [person.id]
    verdict = await scene.send(scene.dialect.move(person, new.id), scene.town.shared_inbox)
    assert verdict == "done: moved: 1 followers"
    asked = await scene.until("Follow", "id", since=0)
    while asked["object"] != new.id:
        since = 1 + next(n for n, each in enumerate(scene.arrived()) if each.body == asked)
        asked = await scene.until("Follow", "id", since=since)
    assert asked["actor"] == scene.town.person(scene.town.ben)
    return "followers go along"


async def leave(scene: Scene) -> str:
    person = await scene.member()
    said = await scene.create(scene.dialect.reply(person, scene.ours, "Soon gone"))
    verdict = await scene.send(scene.dialect.leave(person), scene.town.shared_inbox)
    assert verdict == "done: actor deleted with 1 objects"
    gone = await threads.thing(scene.town.db, said.id)
    assert gone is not None and gone.html == "" and gone.deleted_at is not None
    return "words erased"


async def block(scene: Scene) -> str:
    person = await scene.member()
    person_id = await _follow(scene, scene.town.ben, person.id)
    activity = scene.dialect.block(person, scene.town.person(scene.town.ben))
    verdict = await scene.send(activity, scene.town.shared_inbox)
    assert verdict == "done: blocked: follows ended"
    left = await follows.find(scene.town.db, scene.town.ben, person_id)
    assert left is None or left.state != "active"
    return "follows end"


# Words


async def _repeated(scene: Scene, activity: JSON) -> None:
    """The group repeats it value for value to a follower that builds threads of that."""
    wanted = without_blind_copies(activity)
    watcher = scene.servers.host(WATCHER)
    await scene.servers.until(
        lambda: any(each.body.get("object") == wanted for each in watcher.arrived),
        why=f"{scene.dialect.slug}: repeats {activity['type']}",
    )


async def topic(scene: Scene) -> str:
    person = await scene.member()
    create = scene.dialect.topic(person, scene.ours, "Slugs and snails")
    made = await scene.create(create)
    assert (made.kind, made.group_id) == ("topic", scene.town.group)
    assert "Slugs and snails" in made.title and "<" not in made.title
    assert "Slugs and snails" in made.html
    assert (made.visibility, made.sensitive) == ("public", False)
    assert made.title in (await scene.town.get("/g/gardening"))[1]
    await _repeated(scene, create)
    return "topic, repeated"


async def reply(scene: Scene) -> str:
    person = await scene.member()
    _, ours = await scene.our_topic()
    create = scene.dialect.reply(person, ours, "Add compost")
    made = await scene.create(create)
    known = scene.town.site.federation
    assert known is not None and made.parent_id is not None
    assert (made.kind, scene.town.object_uri(made.parent_id)) == ("reply", ours.topic)
    assert (made.group_id, made.title) == (scene.town.group, "")
    assert "Add compost" in made.html
    await _repeated(scene, create)
    return "in the thread, repeated"


async def edit(scene: Scene) -> str:
    """Twice: some peers give every edit the same id."""
    person = await scene.member()
    create = scene.dialect.reply(person, scene.ours, "First words")
    if "edit" in scene.dialect.absent:
        raise AssertionError("not walked")
    made = await scene.create(create)
    for number, words in enumerate(("Second words", "Third words"), start=2):
        update = scene.dialect.update(create, words, number)
        assert await scene.send(update) == "done: edited", words
        now = await threads.thing(scene.town.db, made.id)
        assert now is not None and words in now.html and now.edited_at is not None
    await _repeated(scene, update)
    return "edited, each time"


async def delete(scene: Scene) -> str:
    person = await scene.member()
    create = scene.dialect.reply(person, scene.ours, "Take this back")
    made = await scene.create(create)
    undo = scene.dialect.delete(create)
    assert await scene.send(undo) == "done: deleted"
    gone = await threads.thing(scene.town.db, made.id)
    assert gone is not None and gone.html == "" and gone.deleted_at is not None
    await _repeated(scene, undo)
    return "words gone, repeated"


async def message(scene: Scene) -> str:
    person = await scene.member()
    town = scene.town
    create = scene.dialect.message(person, town.person(town.ben), "Between us")
    assert await scene.send(create, town.shared_inbox) == "done: stored"
    document = create["object"]
    made = await scene.thing(document["id"])
    assert made.visibility == "direct" and made.group_id is None
    assert await can_read(town.db, member(town.ben), made.id)
    assert not await can_read(town.db, member(town.anna), made.id)
    return "for one member"


async def poll(scene: Scene) -> str:
    person = await scene.member()
    made = await scene.create(scene.dialect.poll(person, scene.ours, "Which herb"))
    assert (made.kind, made.type) == ("topic", "Question")
    names = await scene.town.db.all(
        "SELECT name FROM poll_options WHERE object_id = ? ORDER BY position", made.id
    )
    assert [row["name"] for row in names] == ["Basil", "Mint"]
    return "poll, members vote"


async def vote(scene: Scene) -> str:
    person = await scene.member()
    ends = int(time.time() * 1000) + 86_400_000
    ballot = Ballot(("Basil", "Mint"), False, ends, None, (0, 0), 0)
    topic_id, ours = await scene.our_topic("Which herb?", poll=ballot)
    assert await scene.send(scene.dialect.vote(person, ours, "Mint")) == "done: voted"
    counted = await scene.town.db.value(
        "SELECT vote_count FROM poll_options WHERE object_id = ? AND name = 'Mint'", topic_id
    )
    assert counted == 1
    return "counted"


async def quote(scene: Scene) -> str:
    """With consent, where the peer asks for it; what nobody asked for is kept, and shown as a link at most."""
    person = await scene.member()
    topic_id, ours = await scene.our_topic("Quotable")
    create = scene.dialect.quote(person, ours, "Look at this")
    asked = scene.dialect.quote_request(create, ours)
    if asked is not None:
        since = len(scene.arrived())
        scene.serve_post(create["object"])
        assert await scene.send(asked) == "done: quote accepted"
        answer = await scene.until("Accept", "QuoteRequest", since=since)
        assert answer["object"]["id"] == asked["id"]
        create["object"]["quoteAuthorization"] = answer["result"]
    made = await scene.create(create)
    found = await quotes.of_object(scene.town.db, made.id)
    assert found is not None and found.quoted_id == topic_id
    assert found.state == ("accepted" if asked is not None else "pending")
    return "asked, agreed" if asked is not None else "kept, a link"


# Answers without words


async def _reaction(scene: Scene, there: Any, back: Any, counter: str, word: str) -> None:
    """There and back, twice: some peers give the second the id of the first."""
    person = await scene.member()
    topic_id, ours = await scene.our_topic()
    for _ in range(2):
        activity = there(person, ours)
        assert await scene.send(activity) == f"done: {word}"
        assert getattr(await threads.thing(scene.town.db, topic_id), counter) == 1
        undo = back(activity)
        assert (await scene.send(undo)).endswith("withdrawn")
        assert getattr(await threads.thing(scene.town.db, topic_id), counter) == 0
    last = there(person, ours)
    assert await scene.send(last) == f"done: {word}"
    if counter != "share_count":
        await _repeated(scene, last)


async def like(scene: Scene) -> str:
    await _reaction(scene, scene.dialect.like, scene.dialect.unlike, "like_count", "like")
    return "counted, taken back"


async def dislike(scene: Scene) -> str:
    await _reaction(
        scene, scene.dialect.dislike, scene.dialect.undislike, "dislike_count", "dislike"
    )
    return "counted, taken back"


async def boost(scene: Scene) -> str:
    await _reaction(scene, scene.dialect.boost, scene.dialect.unboost, "share_count", "share")
    return "counted, taken back"


# Moderation


async def report(scene: Scene) -> str:
    person = await scene.member()
    topic_id, ours = await scene.our_topic("Reported")
    since = len(scene.arrived())
    flag = scene.dialect.report(person, ours, "This is spam")
    assert await scene.send(flag) == "done: report filed"
    report_id = await scene.town.db.value("SELECT id FROM reports WHERE uri = ?", flag["id"])
    filed = await reports.report(scene.town.db, int(report_id))
    assert filed is not None
    about = {subject.object_id for subject in filed.subjects}
    accounts = {subject.person.id for subject in filed.subjects}
    assert topic_id in about or scene.town.anna in accounts
    said = flag.get("content") or flag.get("summary") or ""
    assert filed.reason == said
    assert not any(each.body["type"] == "Reject" for each in scene.arrived(since))
    return "in the queue"


async def remove(scene: Scene) -> str:
    person = await scene.moderator()
    topic_id, ours = await scene.our_topic("To be removed")
    await scene.town.quiet()
    activity = scene.dialect.remove(person, ours, "Off topic")
    assert await scene.send(activity) == "done: removed"
    removed = await threads.thing(scene.town.db, topic_id)
    assert removed is not None and removed.withheld == "removed" and removed.html
    await _repeated(scene, activity)
    undo = scene.dialect.unmoderation(activity)
    assert await scene.send(undo) == "done: restored"
    restored = await threads.thing(scene.town.db, topic_id)
    assert restored is not None and restored.withheld is None
    await _repeated(scene, undo)
    return "removed, restored"


async def lock(scene: Scene) -> str:
    person = await scene.moderator()
    topic_id, ours = await scene.our_topic("To be locked")
    activity = scene.dialect.lock(person, ours)
    assert await scene.send(activity) == "done: locked"
    assert (await threads.thing(scene.town.db, topic_id)).locked_at  # type: ignore[union-attr]
    await _repeated(scene, activity)
    undo = scene.dialect.unmoderation(activity)
    assert await scene.send(undo) == "done: unlocked"
    assert not (await threads.thing(scene.town.db, topic_id)).locked_at  # type: ignore[union-attr]
    await _repeated(scene, undo)
    return "closed, opened"


async def pin(scene: Scene) -> str:
    person = await scene.moderator()
    _, ours = await scene.our_topic("To be pinned")
    activity = scene.dialect.pin(person, ours)
    assert await scene.send(activity) == "done: pinned"
    await _repeated(scene, activity)
    undo = scene.dialect.unpin(activity)
    assert await scene.send(undo) == "done: unpinned"
    await _repeated(scene, undo)
    return "pinned, unpinned"


async def ban(scene: Scene) -> str:
    person, villain = await scene.moderator(), await scene.member("villain")
    villain_id = (await scene.known(villain)).id
    since = len(scene.arrived())
    activity = scene.dialect.ban(person, scene.ours, villain.id, "Spam")
    assert await scene.send(activity) == "done: banned from the group"
    known = await bans.ban(scene.town.db, scene.town.group, villain_id)
    assert known is not None and known.reason == "Spam"
    await _repeated(scene, activity)
    await scene.until("Reject", "Follow", since=since)
    undo = scene.dialect.unmoderation(activity)
    assert await scene.send(undo) == "done: ban lifted"
    assert await bans.ban(scene.town.db, scene.town.group, villain_id) is None
    return "banned, lifted"


async def appoint(scene: Scene) -> str:
    """A moderator elsewhere names another one: in our groups that is the owner's right, so it changes nothing. Of an
    owner (here by hand: a group of ours cannot be given away to another server) it is taken."""
    person, colleague = await scene.moderator(), await scene.member("colleague")
    town, colleague_id = scene.town, (await scene.known(colleague)).id

    async def roles(*pairs: tuple[str, Person]) -> None:
        async with town.db.transaction() as tx:
            for role, somebody in pairs:
                await tx.execute(
                    "UPDATE memberships SET role = ? WHERE group_id = ? AND actor_id = ?",
                    role,
                    town.group,
                    (await scene.known(somebody)).id,
                )

    async def role() -> str | None:
        place = await groups.membership(town.db, town.group, colleague_id)
        return place.role if place is not None else None

    activity = scene.dialect.appoint(person, scene.ours, colleague.id)
    assert "Only the owner" in await scene.send(activity)
    assert await role() == "member"
    await roles(("owner", person))
    activity = scene.dialect.appoint(person, scene.ours, colleague.id)
    assert await scene.send(activity) == "done: moderator added"
    assert await role() == "moderator"
    await _repeated(scene, activity)
    back = scene.dialect.dismiss(activity)
    assert await scene.send(back) == "done: moderator removed"
    assert await role() == "member"
    await roles(("moderator", person))
    return "taken of the owner alone"


# What groups of theirs tell us


async def _group_topic(scene: Scene, words: str) -> tuple[str, JSON, threads.Thing]:
    """A topic of theirs, announced in the peer's forms to a follower here; (group, Create, thing)."""
    group = scene.somebody("garden", "Group")
    author = scene.somebody("author")
    await _follow(scene, scene.town.anna, group.id)
    theirs = Ours(group.id, "", "", group.name)
    create = scene.dialect.topic(author, theirs, words)
    post = create["object"]
    scene.serve_post(post)
    for announce in scene.dialect.group_topic(group.id, create):
        verdict = await scene.send(announce, scene.town.shared_inbox)
        assert verdict.endswith(("shared", "share already counted")), verdict
    made = await scene.thing(post["id"])
    return group.id, create, made


async def group_topic(scene: Scene) -> str:
    _, _, made = await _group_topic(scene, "Our own slugs")
    assert "Our own slugs" in (made.title or made.html)
    reader = member(scene.town.anna)
    home = await timelines.home(scene.town.db, reader, limit=1_000)
    assert made.id in [post.thing.id for post in home]
    status, page = await scene.town.get(f"/o/{made.id}", await scene.town.cookie())
    assert status == 200 and "Our own slugs" in page
    return "at home, fetched"


async def group_edit(scene: Scene) -> str:
    group, create, made = await _group_topic(scene, "To be edited")
    update = scene.dialect.update(create, "Edited words")
    scene.serve({"@context": scene.dialect.context} | update["object"])
    announce = scene.dialect.announce(group, scene.dialect.inner(update))
    assert await scene.send(announce, scene.town.shared_inbox) == "done: edited"
    now = await threads.thing(scene.town.db, made.id)
    assert now is not None and "Edited words" in now.html
    return "fetched anew"


async def group_delete(scene: Scene) -> str:
    group, create, made = await _group_topic(scene, "To be deleted")
    del scene.host.objects[create["object"]["id"]]
    gone = scene.dialect.delete(create)
    announce = scene.dialect.announce(group, scene.dialect.inner(gone))
    assert await scene.send(announce, scene.town.shared_inbox) == "done: deleted"
    now = await threads.thing(scene.town.db, made.id)
    assert now is not None and now.html == "" and now.deleted_at is not None
    return "asked, erased"


async def group_vote(scene: Scene) -> str:
    """On something of a member of ours, by somebody whose server told the group and not us; and taken back."""
    group, voter = scene.somebody("garden", "Group"), scene.somebody("voter")
    await _follow(scene, scene.town.anna, group.id)
    topic_id, ours = await scene.our_topic("Voted on")
    like = scene.dialect.like(voter, ours)
    undo = scene.dialect.unlike(like)
    for activity, count in ((like, 1), (undo, 0)):
        scene.serve(activity)
        announce = scene.dialect.announce(group.id, scene.dialect.inner(activity))
        verdict = await scene.send(announce, scene.town.shared_inbox)
        counted = (await threads.thing(scene.town.db, topic_id)).like_count  # type: ignore[union-attr]
        if verdict == "done: ignored: a vote that nobody confirms":
            assert counted == 0
            return "not counted"
        assert (verdict, counted) == (f"done: {'like' if count else 'like withdrawn'}", count)
    return "asked, counted"


# Parts

WATCHER: Final = "watcher.test"
"""A server that follows the group and builds threads from announced activities."""


def without_blind_copies(document: JSON) -> JSON:
    return {
        name: without_blind_copies(value) if isinstance(value, dict) else value
        for name, value in document.items()
        if name not in ("bto", "bcc")
    }


def _row(name: str, title: str, table: str, word: str, walk: Walk) -> Row:
    return Row(name, title, table, word, walk)


PEOPLE, WORDS, ANSWERS, MODERATION, GROUPS = "people", "words", "answers", "moderation", "groups"

ROWS: Final[tuple[Row, ...]] = (
    _row("find", "found by handle", PEOPLE, "found", find),
    _row("follow", "follows a group", PEOPLE, "member, `Accept`", follow),
    _row("unfollow", "leaves, comes back", PEOPLE, "left, each time", unfollow),
    _row("profile", "changes the profile", PEOPLE, "fetched anew", profile),
    _row("move", "moves", PEOPLE, "followers go along", move),
    _row("block", "blocks a member", PEOPLE, "follows end", block),
    _row("leave", "deletes the account", PEOPLE, "words erased", leave),
    _row("topic", "opens a topic", WORDS, "topic, repeated", topic),
    _row("reply", "answers", WORDS, "in the thread, repeated", reply),
    _row("edit", "edits", WORDS, "edited, each time", edit),
    _row("delete", "deletes", WORDS, "words gone, repeated", delete),
    _row("message", "writes to a member", WORDS, "for one member", message),
    _row("poll", "opens a poll", WORDS, "poll, members vote", poll),
    _row("quote", "quotes", WORDS, "kept, a link", quote),
    _row("like", "likes", ANSWERS, "counted, taken back", like),
    _row("dislike", "dislikes", ANSWERS, "counted, taken back", dislike),
    _row("boost", "shares", ANSWERS, "counted, taken back", boost),
    _row("vote", "votes in a poll", ANSWERS, "counted", vote),
    _row("report", "reports", MODERATION, "in the queue", report),
    _row("remove", "removes, restores", MODERATION, "removed, restored", remove),
    _row("lock", "locks, unlocks", MODERATION, "closed, opened", lock),
    _row("pin", "pins, unpins", MODERATION, "pinned, unpinned", pin),
    _row("ban", "bans, lifts", MODERATION, "banned, lifted", ban),
    _row("appoint", "names moderators", MODERATION, "taken of the owner alone", appoint),
    _row("group topic", "its group announces a topic", GROUPS, "at home, fetched", group_topic),
    _row("group edit", "an edit", GROUPS, "fetched anew", group_edit),
    _row("group delete", "a deletion", GROUPS, "asked, erased", group_delete),
    _row("group vote", "a vote on a member's post", GROUPS, "asked, counted", group_vote),
)
