"""The independent peer against itself: two bots over TLS, before any server of ours takes part."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.federation import fedify_peer
from tests.federation.fedify_peer import FedifyPeer, PeerError, running_peer
from tests.federation.private_ca import CertificateAuthority, make_private_ca

HOSTS = {"one.test": "127.0.0.1", "two.test": "127.0.0.1"}
ACTIVITY_JSON = "application/activity+json"


@pytest.fixture
def ca(tmp_path: Path) -> CertificateAuthority:
    return make_private_ca(tmp_path / "ca")


@pytest.fixture
async def peers(
    tmp_path: Path, ca: CertificateAuthority
) -> AsyncIterator[tuple[FedifyPeer, FedifyPeer]]:
    async with (
        running_peer(tmp_path, ca, hosts=HOSTS, hostname="one.test", name="ada") as ada,
        running_peer(tmp_path, ca, hosts=HOSTS, hostname="two.test", name="bruno") as bruno,
    ):
        yield ada, bruno


async def post_to(peer: FedifyPeer, path: str, document: dict[str, Any]) -> int:
    """POST without a signature, straight to the socket; the status."""
    context = peer.ca.client_context()
    url = f"https://127.0.0.1:{peer.port}{path}"
    headers = {"Content-Type": ACTIVITY_JSON, "Host": f"{peer.hostname}:{peer.port}"}
    async with (
        aiohttp.ClientSession() as session,
        session.post(url, json=document, headers=headers, ssl=context) as response,
    ):
        return response.status


async def test_a_bot_finds_the_other_by_handle_and_by_uri(
    peers: tuple[FedifyPeer, FedifyPeer],
) -> None:
    ada, bruno = peers
    by_handle = await ada.lookup(bruno.handle)
    assert by_handle["type"] == "Person"
    assert by_handle["id"] == bruno.uri
    assert by_handle["preferredUsername"] == "bruno"
    assert by_handle["sharedInbox"] == f"{bruno.origin}/inbox"
    assert by_handle["webfinger"]["subject"] == f"acct:bruno@two.test:{bruno.port}"
    assert (await ada.lookup(bruno.uri))["inbox"] == by_handle["inbox"]
    with pytest.raises(PeerError, match="not found"):
        await ada.lookup(f"@nobody@two.test:{bruno.port}")


async def test_a_follow_is_accepted_and_both_announce_forms_arrive(
    peers: tuple[FedifyPeer, FedifyPeer],
) -> None:
    ada, bruno = peers
    follow = await ada.follow(bruno.uri)
    accept = await ada.wait_for("Accept")
    assert accept["actor"] == bruno.uri
    assert accept["raw"]["object"]["id"] == follow
    assert (await bruno.call("GET", "/actor"))["followers"] == [ada.uri]

    note = await bruno.note("<p>The tomatoes are in.</p>")
    create = await ada.wait_for("Create", lambda entry: entry["objectId"] == note)
    await bruno.announce(note)
    by_id = await ada.wait_for("Announce", lambda entry: entry["objectForm"] == "id")
    assert by_id["raw"]["object"] == note
    assert by_id["resolved"]["type"] == "Note"
    assert by_id["resolved"]["content"] == "<p>The tomatoes are in.</p>"

    await bruno.announce(create["id"], embed=True)
    embedded = await ada.wait_for("Announce", lambda entry: entry["objectForm"] == "embedded")
    assert embedded["objectType"] == "Create"
    assert embedded["objectId"] == create["id"]
    assert embedded["resolved"]["type"] == "Create"
    assert embedded["resolved"]["innerId"] == note


async def test_a_reply_a_like_an_undo_and_a_delete_arrive_in_this_order(
    peers: tuple[FedifyPeer, FedifyPeer],
) -> None:
    ada, bruno = peers
    note = await bruno.note("<p>Who waters on Sunday?</p>")
    reply = await ada.reply(note, "<p>I do.</p>")
    like = await ada.like(note)
    undo = await ada.undo(like)
    await ada.update(reply, "<p>I do, early.</p>")
    deletion = await ada.delete(reply)

    log = await bruno.log()
    kinds = ["Create", "Like", "Undo", "Update", "Delete"]
    assert [entry["type"] for entry in log] == kinds
    created, liked, undone, updated, deleted = log
    assert created["objectId"] == reply
    assert created["raw"]["object"]["inReplyTo"] == note
    assert liked["id"] == like and liked["objectId"] == note
    assert undone["id"] == undo and undone["objectId"] == like
    assert updated["raw"]["object"]["content"] == "<p>I do, early.</p>"
    assert deleted["id"] == deletion and deleted["objectId"] == reply
    assert deleted["objectType"] == "Tombstone"
    assert all(entry["signature"] == "rfc9421" for entry in log)

    (gone,) = await bruno.crawl(reply)
    assert gone["status"] == 410


async def test_undoing_a_follow_takes_the_follower_away(
    peers: tuple[FedifyPeer, FedifyPeer],
) -> None:
    ada, bruno = peers
    follow = await ada.follow(bruno.uri)
    assert (await bruno.call("GET", "/actor"))["followers"] == [ada.uri]
    await ada.undo(follow)
    assert (await bruno.call("GET", "/actor"))["followers"] == []


async def test_a_crawl_reads_every_id_and_collection_that_it_meets(
    peers: tuple[FedifyPeer, FedifyPeer],
) -> None:
    ada, bruno = peers
    await ada.follow(bruno.uri)
    note = await bruno.note("<p>Seeds to swap.</p>")
    await bruno.announce(note)

    results = await ada.crawl(note)
    by_url = {result["url"]: result for result in results}
    assert by_url[note]["parsed"] == "Note"
    assert by_url[bruno.uri]["parsed"] == "Person"
    outbox = by_url[f"{bruno.uri}/outbox"]
    assert outbox["parsed"] == "OrderedCollection"
    assert outbox["items"] == 2
    assert by_url[f"{bruno.uri}/followers"]["items"] == 1
    assert by_url[ada.uri]["skipped"] == "another origin"
    assert {result.get("type") for result in results} >= {"Create", "Announce"}
    assert [result for result in results if result.get("error")] == []
    reads = [entry for entry in await bruno.requests() if entry["path"].endswith("/outbox")]
    assert reads and all(entry["signature"] == "rfc9421" for entry in reads)


async def test_a_crawl_reports_what_cannot_be_read(peers: tuple[FedifyPeer, FedifyPeer]) -> None:
    ada, bruno = peers
    (missing,) = await ada.crawl(f"{bruno.origin}/note/none")
    assert missing["status"] == 404
    assert missing["error"]


async def test_an_unsigned_activity_is_refused(peers: tuple[FedifyPeer, FedifyPeer]) -> None:
    ada, bruno = peers
    document = {
        "@context": "https://www.w3.org/ns/activitystreams",
        "id": f"{ada.origin}/like/forged",
        "type": "Like",
        "actor": ada.uri,
        "object": bruno.uri,
    }
    assert await post_to(bruno, "/inbox", document) == 401
    assert await bruno.log() == []
    refused = (await bruno.requests())[-1]
    assert refused["status"] == 401
    assert refused["signature"] == "unsigned"
    assert "noSignature" in refused["refusal"]


async def test_a_changed_body_under_a_valid_signature_is_refused(
    peers: tuple[FedifyPeer, FedifyPeer],
) -> None:
    ada, bruno = peers
    note = await bruno.note("<p>Compost is here.</p>")
    await ada.like(note)
    (original,) = [entry for entry in await bruno.requests() if entry["method"] == "POST"]
    assert original["status"] == 202
    forged = json.loads(original["body"]) | {"id": f"{ada.origin}/like/forged"}
    headers = {name: value for name, value in original["headers"] if name != "content-length"}
    context = bruno.ca.client_context()
    async with (
        aiohttp.ClientSession() as session,
        session.post(
            f"https://127.0.0.1:{bruno.port}{original['path']}",
            data=json.dumps(forged),
            headers=headers,
            ssl=context,
        ) as response,
    ):
        assert response.status == 401
    assert len(await bruno.log()) == 1


async def test_objects_of_a_bot_with_authorized_fetch_are_for_signed_requests(
    tmp_path: Path, ca: CertificateAuthority
) -> None:
    async with (
        running_peer(tmp_path, ca, hosts=HOSTS, hostname="one.test", name="ada") as ada,
        running_peer(
            tmp_path, ca, hosts=HOSTS, hostname="two.test", name="bruno", authorized_fetch=True
        ) as bruno,
    ):
        note = await bruno.note("<p>Only for those who say who they are.</p>")
        assert (await ada.lookup(note))["type"] == "Note"
        url = note.replace("two.test", "127.0.0.1")
        headers = {"Accept": ACTIVITY_JSON, "Host": f"two.test:{bruno.port}"}
        async with (
            aiohttp.ClientSession() as session,
            session.get(url, headers=headers, ssl=ca.client_context()) as response,
        ):
            assert response.status == 401


async def test_a_bot_keeps_its_keys_and_port_over_a_restart(
    tmp_path: Path, ca: CertificateAuthority
) -> None:
    async with running_peer(tmp_path, ca, hosts=HOSTS, hostname="one.test") as peer:
        first = (await peer.lookup(peer.uri))["document"]["publicKey"]["publicKeyPem"]
        port = peer.port
        await peer.stop()
        await peer.start()
        assert peer.port == port
        second = (await peer.lookup(peer.uri))["document"]["publicKey"]["publicKeyPem"]
    assert first == second


async def test_a_bot_resolves_no_name_that_it_was_not_given(
    tmp_path: Path, ca: CertificateAuthority
) -> None:
    async with running_peer(tmp_path, ca, hosts={}, hostname="one.test") as peer:
        with pytest.raises(PeerError):
            await peer.lookup("https://elsewhere.test/")
        with pytest.raises(PeerError):
            await peer.lookup("https://192.0.2.1/")
        errors = [entry["error"] for entry in await peer.sent() if "error" in entry]
    assert any("ENOTFOUND elsewhere.test" in error for error in errors)
    assert any("192.0.2.1 is not a loopback address" in error for error in errors)


async def test_a_bot_trusts_no_other_authority(tmp_path: Path, ca: CertificateAuthority) -> None:
    stranger = make_private_ca(tmp_path / "stranger")
    async with (
        running_peer(tmp_path, ca, hosts=HOSTS, hostname="one.test", name="ada") as ada,
        running_peer(tmp_path, stranger, hosts=HOSTS, hostname="two.test", name="bruno") as bruno,
    ):
        with pytest.raises(PeerError):
            await ada.lookup(bruno.uri)
        errors = " ".join(entry.get("error", "") for entry in await ada.sent())
    assert "certificate" in errors


async def test_a_bot_ends_with_its_parent(tmp_path: Path, ca: CertificateAuthority) -> None:
    async with running_peer(tmp_path, ca, hosts=HOSTS, hostname="one.test") as peer:
        process = peer._process
        assert process is not None and process.stdin is not None
        process.stdin.close()
        assert await asyncio.wait_for(process.wait(), 10) == 0


def test_a_certificate_is_good_for_its_name_only(ca: CertificateAuthority) -> None:
    certificate, key = ca.issue("hub.test")
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(certificate, key)
    for name, good in (("hub.test", True), ("127.0.0.1", True), ("other.test", False)):
        assert handshake(server, ca.client_context(), name) is good


def handshake(server: ssl.SSLContext, client: ssl.SSLContext, name: str) -> bool:
    """Whether a TLS handshake in memory ends well for the client."""
    to_client, to_server = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = (
        client.wrap_bio(to_client, to_server, server_hostname=name),
        server.wrap_bio(to_server, to_client, server_side=True),
    )
    for _ in range(10):
        for end in ends:
            try:
                end.do_handshake()
            except ssl.SSLWantReadError:
                continue
            except ssl.SSLCertVerificationError:
                return False
    return ends[0].version() is not None


@pytest.mark.parametrize("required", [True, False])
def test_a_missing_npm_skips_unless_the_peer_is_required(
    monkeypatch: pytest.MonkeyPatch, required: bool
) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    monkeypatch.setenv(fedify_peer.REQUIRED, "1" if required else "0")
    outcome = pytest.fail.Exception if required else pytest.skip.Exception
    with pytest.raises(outcome, match="npm"):
        fedify_peer.install()
