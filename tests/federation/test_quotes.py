"""Others quote others: in any dialect, shown with a stamp of who is quoted and not without (FEP-044f, FEP-e232)."""

from __future__ import annotations

import pytest

from fedcomm.hub import threads
from tests.federation.acts import activity, anna_follows, create, stored, to_group
from tests.federation.inprocess import LocalHub, ScriptedStubs
from tests.federation.quoting import (
    OBJECT_LINK,
    Document,
    quoting,
    shown,
    stamp,
    state_of,
)

pytestmark = pytest.mark.asyncio(loop_scope="module")


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
    quoter, fan = servers.somebody("quoter"), servers.somebody("fan", software="lemmy")
    follow = activity(fan, "Follow", town.group_uri(town.group))
    assert await town.deliver(follow) == "done: membership active"
    note = quoting(servers, quoter, f"{quoter}/notes/absent", **to_group(town))
    written = create(note)
    assert await town.deliver(written) == "done: stored"
    assert await state_of(town, note["id"]) == "pending"
    host = servers.hosts[fan.split("/")[2].partition(":")[0]]
    await servers.until(lambda: "Announce/Create" in host.kinds(), why="the repeated Create")
    assert written in [one.body["object"] for one in host.arrived]


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
