"""Both sides agree on who follows whom (FEP-8fcf): the digest, the list that only one host gets, the healing."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Callable
from typing import Any

import pytest

from activitypub import cavage
from fedcomm.federation import synchronisation
from fedcomm.federation.synchronisation import HEADER, Offer, digest, read, write
from fedcomm.hub import follows, threads
from fedcomm.hub.composition import Draft
from tests.federation.inprocess import LocalHub, ScriptedStubs
from tests.federation.stub import ACTIVITY, AS, PUBLIC, Arrived, test_key

pytestmark = pytest.mark.asyncio(loop_scope="module")

_numbers = itertools.count(1)


async def test_the_digest_is_that_of_the_reference() -> None:
    uris = ["https://hub.example/ap/p/m81xzt", "https://hub.example/ap/p/v07dkc"]
    expected = "29d8f6e7dd4fb474bef275edee0cfebe8bd4b7410da90c81fd3c919472d09072"
    assert digest(uris) == digest(reversed(uris)) == expected
    assert digest([]) == "0" * 64
    assert digest(uris + uris) == "0" * 64


async def test_a_header_is_read_as_it_is_written_or_not_at_all() -> None:
    offer = Offer("https://a.example/f", "https://a.example/f?domain=b", "ab" * 32)
    assert read(write(offer)) == offer
    mastodon = f'collectionId="https://a.example/f",url="https://a.example/s",digest="{"0" * 64}"'
    assert read(mastodon) == Offer("https://a.example/f", "https://a.example/s", "0" * 64)
    for bad in (
        "",
        "collectionId",
        write(offer).replace("ab" * 32, "ab"),
        write(offer).replace("ab" * 32, "AB" * 32),
        write(offer) + ', url="https://b.example/"',
        write(offer).replace("url=", "uri="),
        write(offer) + "x" * 5_000,
    ):
        assert read(bad) is None


def follow_of(who: str, member: str) -> dict[str, Any]:
    return {
        "@context": AS,
        "id": f"{who}/follow/{next(_numbers)}",
        "type": "Follow",
        "actor": who,
        "object": member,
    }


async def says(town: LocalHub, text: str, visibility: Any) -> None:
    async with town.db.transaction() as tx:
        content = await town.site.compose(tx, Draft(text), is_topic=False, author_id=town.anna)
        await threads.create_reply(tx, town.anna, town.topic, content, visibility=visibility)
    town.site.wake()


def with_text(servers: ScriptedStubs, who: str, text: str) -> list[Arrived]:
    host = servers.hosts[who.split("/")[2].partition(":")[0]]
    return [one for one in host.arrived if text in str(one.body)]


async def test_what_goes_to_followers_only_carries_the_digest_of_those_on_the_host(
    town: LocalHub, servers: ScriptedStubs
) -> None:
    home = servers.new_host()
    fans = [servers.somebody(name, home) for name in ("fan", "fen")]
    stranger = servers.somebody("stranger")
    anna = town.person(town.anna)
    for who in (*fans, stranger):
        assert await town.deliver(follow_of(who, anna)) == "done: follow active"
    await says(town, "FORFOLLOWERS", "followers")
    await says(town, "FORALL", "public")
    (arrived,) = await servers.until(lambda: with_text(servers, fans[0], "FORFOLLOWERS"))
    offer = read(arrived.headers[HEADER])
    assert offer == Offer(f"{anna}/followers", f"{anna}/followers/synchronization", digest(fans))
    # The header is part of what was signed.
    assert "collection-synchronization" in arrived.headers["Signature"]
    (arrived,) = await servers.until(lambda: with_text(servers, stranger, "FORFOLLOWERS"))
    other = read(arrived.headers[HEADER])
    assert other is not None and other.digest == digest([stranger])
    (arrived,) = await servers.until(lambda: with_text(servers, fans[0], "FORALL"))
    assert HEADER not in arrived.headers

    # INV-18: the list is for the host that it describes.
    assert (await servers.get(offer.url))[0] == 401
    status, listed = await servers.get(offer.url, signer=fans[1])
    assert status == 200 and sorted(listed["orderedItems"]) == sorted(fans)
    _, listed = await servers.get(offer.url, signer=stranger)
    assert listed["orderedItems"] == [stranger]
    _, listed = await servers.get(offer.url, signer=servers.somebody("curious"))
    assert listed["orderedItems"] == [] and listed["totalItems"] == 0
    status, _ = await servers.get(
        f"{town.group_uri(town.group)}/followers/synchronization", signer=fans[0]
    )
    assert status == 404


# Inbound


async def followed_by_all(town: LocalHub, servers: ScriptedStubs) -> tuple[str, int]:
    """A remote actor whom anna and ben follow: their id, and their number here."""
    star = servers.somebody("star")
    found = await town.site.federation.find_actor(star)  # type: ignore[union-attr]
    assert found is not None
    async with town.db.transaction() as tx:
        for member in (town.anna, town.ben):
            await follows.request(tx, member, found.id)
            await follows.accept(tx, member, found.id)
    town.site.wake()
    await town.quiet()
    return star, found.id


def signed_with(
    town: LocalHub, who: str, value: str
) -> Callable[[dict[str, str], bytes], tuple[dict[str, str], bytes]]:
    def change(headers: dict[str, str], body: bytes) -> tuple[dict[str, str], bytes]:
        more = {HEADER: value}
        made = cavage.sign(
            "POST", town.shared_inbox, body, test_key(), f"{who}#main-key", headers=more
        )
        return {**made, **more, "Content-Type": ACTIVITY}, body

    return change


async def speak(town: LocalHub, servers: ScriptedStubs, who: str, value: str) -> None:
    """The actor posts something with this header."""
    note = servers.note(who, number=f"n{next(_numbers)}")
    create = {
        "@context": AS,
        "id": f"{who}/c/{next(_numbers)}",
        "type": "Create",
        "actor": who,
        "to": [PUBLIC],
        "object": note,
    }
    assert await town.post(create, change=signed_with(town, who, value)) == 202
    await town.verdict(create)


def list_of(servers: ScriptedStubs, star: str, items: list[str]) -> Offer:
    url = f"{star}/followers_synchronization"
    servers.script(
        url,
        {"@context": AS, "id": url, "type": "OrderedCollection", "orderedItems": items},
    )
    return Offer(f"{star}/followers", url, digest(items))


async def settled(town: LocalHub, actor: int) -> None:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        if await town.count(
            "SELECT count(*) FROM backfill WHERE root_id = ? AND state = 'done'", actor
        ):
            await town.quiet()
            return
        await asyncio.sleep(0.02)
    raise AssertionError("not settled")


async def test_a_follow_that_the_other_side_does_not_know_ends(
    town: LocalHub, servers: ScriptedStubs
) -> None:
    star, number = await followed_by_all(town, servers)
    offer = list_of(servers, star, [town.person(town.anna)])
    await asyncio.sleep(0.01)
    await speak(town, servers, star, write(offer))
    await settled(town, number)
    assert await follows.find(town.db, town.anna, number) is not None
    assert await follows.find(town.db, town.ben, number) is None
    # A moment later they agree, and nothing more is asked.
    asked = servers.fetched(offer.url)
    await speak(town, servers, star, write(offer))
    await asyncio.sleep(0.2)
    assert servers.fetched(offer.url) == asked == 1


async def test_a_lost_undo_is_said_again(town: LocalHub, servers: ScriptedStubs) -> None:
    star, number = await followed_by_all(town, servers)
    home = servers.hosts[star.split("/")[2].partition(":")[0]]
    async with town.db.transaction() as tx:
        # As if the Undo had never arrived.
        await tx.execute(
            "DELETE FROM follows WHERE follower_id = ? AND followed_id = ?", town.ben, number
        )
    ours = [town.person(town.anna), town.person(town.ben)]
    offer = list_of(servers, star, [*ours, town.person(12345), f"{star}/x"])
    await speak(town, servers, star, write(offer))
    await settled(town, number)
    undo = await servers.until(
        lambda: [one.body for one in home.arrived if one.body["type"] == "Undo"]
    )
    assert [one["object"]["actor"] for one in undo] == [town.person(town.ben)]
    assert await follows.find(town.db, town.anna, number) is not None


async def test_inv_18_a_header_counts_only_if_it_is_signed_and_about_its_sender(
    town: LocalHub, servers: ScriptedStubs
) -> None:
    star, number = await followed_by_all(town, servers)
    mallory = servers.somebody()
    offer = list_of(servers, star, [])
    theirs = list_of(servers, mallory, [])
    for who, bad in (
        (mallory, write(offer)),
        (mallory, write(Offer(f"{star}/followers", theirs.url, theirs.digest))),
        (star, write(Offer(theirs.collection_id, offer.url, offer.digest))),
        (star, write(Offer(offer.collection_id, theirs.url, offer.digest))),
        (star, write(Offer(offer.collection_id, town.origin + "/ap/x", offer.digest))),
        (star, "nonsense"),
    ):
        await speak(town, servers, who, bad)
    like = {
        "@context": AS,
        "id": f"{star}/like/{next(_numbers)}",
        "type": "Like",
        "actor": star,
        "object": town.object_uri(town.topic),
    }
    assert await town.post(like, headers={HEADER: write(offer)}) == 202
    await asyncio.sleep(0.3)
    assert not await town.count("SELECT count(*) FROM backfill WHERE root_id = ?", number)
    assert servers.fetched(offer.url) == 0
    assert len(await synchronisation.followers_here(town.db, number)) == 2


async def test_half_a_list_and_a_list_without_end_change_nothing(
    town: LocalHub, servers: ScriptedStubs
) -> None:
    star, number = await followed_by_all(town, servers)
    url = f"{star}/followers_synchronization"
    for page in range(30):
        address = url if page == 0 else f"{url}?page={page}"
        servers.script(
            address,
            {
                "@context": AS,
                "id": address,
                "type": "OrderedCollectionPage",
                "next": f"{url}?page={page + 1}",
                "orderedItems": [f"{star}/{page}"],
            },
        )
    await speak(town, servers, star, write(Offer(f"{star}/followers", url, "1" * 64)))
    await settled(town, number)
    home = servers.hosts[star.split("/")[2].partition(":")[0]]
    pages = [path for path in home.fetched if "followers_synchronization" in path]
    assert 5 < len(pages) <= synchronisation.MOST_PAGES
    assert len(await synchronisation.followers_here(town.db, number)) == 2
