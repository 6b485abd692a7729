"""What leaves of a member is for the member to decide: nothing without consent, and earlier copies are asked back."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from fedcomm.hub import groups, members, reactions, threads
from fedcomm.hub.composition import Draft
from tests.databases import SQLiteDatabases
from tests.federation.inprocess import LocalHub, ScriptedStubs, local_hub

pytestmark = pytest.mark.asyncio(loop_scope="module")

AP = "application/activity+json"


async def join(hub: LocalHub, name: str) -> int:
    async with hub.db.transaction() as tx:
        made = await members.create_member(tx, name, display_name=f"Zora {name}")
        await groups.join(tx, hub.group, made)
        return made


async def write(hub: LocalHub, author: int, title: str) -> int:
    async with hub.db.transaction() as tx:
        content = await hub.site.compose(
            tx, Draft("Words.", title), is_topic=True, author_id=author
        )
        made = await threads.create_topic(tx, author, hub.group, content)
    hub.site.wake()
    return made


async def answer(hub: LocalHub, author: int, parent: int, text: str) -> int:
    async with hub.db.transaction() as tx:
        content = await hub.site.compose(tx, Draft(text), is_topic=False, author_id=author)
        made = await threads.create_reply(tx, author, parent, content)
    hub.site.wake()
    return made


async def decide(hub: LocalHub, member: int, granted: bool) -> None:
    async with hub.db.transaction() as tx:
        await hub.site.consent.decide(tx, member, "activitypub", granted=granted)
    hub.site.wake()
    for _ in range(400):
        waiting = await hub.count("SELECT count(*) FROM consents WHERE position IS NOT NULL")
        if not waiting:
            break
        await asyncio.sleep(0.02)
    await hub.quiet()


async def fan_of(hub: LocalHub, servers: ScriptedStubs, software: str, *targets: str) -> str:
    """Somebody on a new server who follows the targets; their id."""
    fan = servers.somebody("fan")
    servers.host(host_of(fan)).software = software
    for number, target in enumerate(targets):
        await hub.deliver(
            {"id": f"{fan}/follows/{number}", "type": "Follow", "actor": fan, "object": target}
        )
    return fan


def host_of(uri: str) -> str:
    return uri.split("/")[2].partition(":")[0]


def said(servers: ScriptedStubs, fan: str) -> list[tuple[str, str]]:
    """(type, object's id) of everything that the server of `fan` was sent, in order."""
    found = []
    for arrival in servers.host(host_of(fan)).arrived:
        thing: Any = arrival.body["object"]
        while isinstance(thing, dict) and isinstance(thing.get("object"), dict):
            thing = thing["object"]
        found.append((arrival.body["type"], thing["id"] if isinstance(thing, dict) else thing))
    return found


async def test_withdrawing_asks_the_copies_back_stops_new_ones_and_leaves_the_words_here(
    town: LocalHub, servers: ScriptedStubs
) -> None:
    hub, zoe = town, await join(town, "zoe")
    mastodon = await fan_of(hub, servers, "mastodon", hub.group_uri(hub.group), hub.person(zoe))
    lemmy = await fan_of(hub, servers, "lemmy", hub.group_uri(hub.group))
    early = await write(hub, zoe, "Early")
    others = await answer(hub, hub.anna, early, "What I think of it")
    await hub.quiet()
    uri = hub.object_uri(early)
    assert uri in [thing for _, thing in said(servers, mastodon)]

    await decide(hub, zoe, False)
    for fan in (mastodon, lemmy):
        kinds = [kind for kind, thing in said(servers, fan) if thing == uri]
        assert kinds[-1] in ("Delete", "Undo", "Announce"), kinds
    deletes = servers.host(host_of(mastodon)).arrived
    assert sum(arrival.body["type"] == "Delete" for arrival in deletes) == 1
    answers = await hub.db.all(
        "SELECT recall_status FROM reach WHERE subject_id = ? AND recalled_at IS NOT NULL", early
    )
    assert len(answers) == 2 and {row["recall_status"] for row in answers} == {202}
    assert hub.object_uri(others) not in [t for k, t in said(servers, lemmy) if k == "Delete"]

    # The words are still here, and nowhere else: signed or not, by any of their addresses.
    status, page = await hub.get(f"/g/gardening/t/{early}")
    assert status == 200 and "Early" in page
    for path in (uri, f"{uri}/replies", f"{uri}/likes", uri.replace("/o/", "/x/")):
        assert (await servers.get(path, signer=mastodon))[0] == 404, path
        assert (await hub.get(path, accept=AP))[0] in (401, 404), path
    creates = await hub.db.all("SELECT id FROM activities WHERE object_id = ?", early)
    for row in creates:
        status, body = await servers.get(f"{hub.origin}/ap/c/{row['id']}", signer=lemmy)
        assert status == 404 or "Early" not in json.dumps(body), body
    for path in (
        hub.group_uri(hub.group) + "/outbox?page=true",
        hub.group_uri(hub.group) + "/outbox",
    ):
        status, body = await servers.get(path, signer=lemmy)
        assert status == 200 and uri not in json.dumps(body)
    # Only the key by which the Deletes are verified, without a name.
    status, body = await servers.get(hub.person(zoe), signer=mastodon)
    assert status == 200 and "publicKey" in body
    # The keys are left out: their letters are dice.
    body["publicKey"]["publicKeyPem"] = body["assertionMethod"][0]["publicKeyMultibase"] = ""
    assert "zoe" not in json.dumps(body).lower()
    for part in ("outbox", "followers", "following", "featured"):
        assert (await servers.get(f"{hub.person(zoe)}/{part}", signer=mastodon))[0] == 404
    handle = f"acct:zoe@{hub.site.host}"
    assert (await hub.get(f"/.well-known/webfinger?resource={handle}"))[0] == 404

    # Nothing new: topic, answer, edit, like; nor what others answer to it.
    before = {fan: len(said(servers, fan)) for fan in (mastodon, lemmy)}
    late = await write(hub, zoe, "Late")
    await answer(hub, zoe, hub.topic, "An answer that stays here")
    await answer(hub, hub.anna, late, "An answer to what stays here")
    async with hub.db.transaction() as tx:
        content = await hub.site.compose(tx, Draft("Better", "E"), is_topic=True, author_id=zoe)
        await threads.edit(tx, zoe, early, content)
        await reactions.add(tx, zoe, hub.topic, "like")
    hub.site.wake()
    await hub.quiet()
    assert {fan: len(said(servers, fan)) for fan in (mastodon, lemmy)} == before

    # Granting again tells the profile and what is new, and resends nothing of the past.
    await decide(hub, zoe, True)
    newest = await write(hub, zoe, "Newest")
    await hub.quiet()
    told = said(servers, mastodon)[before[mastodon] :]
    assert ("Update", hub.person(zoe)) in told
    assert hub.object_uri(newest) in [thing for _, thing in told]
    assert not {uri, hub.object_uri(late)} & {thing for _, thing in told}
    assert (await servers.get(uri, signer=mastodon))[0] == 404
    assert (await servers.get(hub.object_uri(newest), signer=mastodon))[0] == 200


async def test_a_withdrawal_goes_on_after_a_crash_and_asks_each_server_once(
    town: LocalHub, servers: ScriptedStubs, monkeypatch: pytest.MonkeyPatch
) -> None:
    from fedcomm.hub import consents

    monkeypatch.setattr(consents, "STEP", 1)
    hub, yuri = town, await join(town, "yuri")
    fan = await fan_of(hub, servers, "mastodon", hub.person(yuri))
    written = [await write(hub, yuri, f"Number {number}") for number in range(3)]
    await hub.quiet()
    async with hub.db.transaction() as tx:
        await hub.site.consent.decide(tx, yuri, "activitypub", granted=False)
    # Two workers at once, each from where it finds it.
    await asyncio.gather(
        *(consents.withdraw_step(hub.db, yuri, "activitypub", 1) for _ in range(2))
    )
    await decide(hub, yuri, False)
    deleted = [thing for kind, thing in said(servers, fan) if kind == "Delete"]
    assert sorted(deleted) == sorted(hub.object_uri(number) for number in written)


async def test_where_the_organization_asks_first_nothing_leaves_before_the_yes(
    tmp_path: Path, migrated_sqlite: Path, servers: ScriptedStubs
) -> None:
    made = SQLiteDatabases(tmp_path, migrated_sqlite)
    settings = {"consents": {"activitypub": False}}
    async with local_hub(tmp_path / "asks", made.migrated(), servers, settings) as hub:
        fan = await fan_of(hub, servers, "lemmy", hub.group_uri(hub.group))
        silent = await write(hub, hub.anna, "Silent")
        await hub.quiet()
        assert all(kind == "Accept" for kind, _ in said(servers, fan))
        assert (await servers.get(hub.object_uri(silent), signer=fan))[0] == 404
        assert (await servers.get(hub.person(hub.anna), signer=fan))[0] == 404
        await decide(hub, hub.anna, True)
        spoken = await write(hub, hub.anna, "Spoken")
        await hub.quiet()
        things = [thing for _, thing in said(servers, fan)]
        assert hub.object_uri(spoken) in things and hub.object_uri(silent) not in things
        assert (await servers.get(hub.object_uri(silent), signer=fan))[0] == 404
    made.remove_all()
