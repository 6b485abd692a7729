"""Our signatures under Fedify's verifier, Fedify's under ours: over TLS, in every style."""

from __future__ import annotations

import json
import ssl
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import pytest
from aiohttp import web

from activitypub import cavage, keys, message_signatures, proofs, signatures
from tests.federation.fedify_peer import FedifyPeer, running_peer
from tests.federation.private_ca import CertificateAuthority, make_private_ca

HOSTNAME = "hub.test"
CONTEXT = [
    "https://www.w3.org/ns/activitystreams",
    "https://w3id.org/security/v1",
    "https://www.w3.org/ns/did/v1",  # the only one of these that defines assertionMethod
    "https://w3id.org/security/data-integrity/v2",
    "https://w3id.org/security/multikey/v1",
]
ACTIVITY_JSON = "application/activity+json"
PUBLIC = "https://www.w3.org/ns/activitystreams#Public"


@dataclass
class Origin:
    """The smallest server with our keys: one actor, its documents, an inbox that records."""

    rsa: keys.PrivateKey
    ed25519: keys.PrivateKey
    ca: CertificateAuthority
    url: str = ""
    refuse_message_signatures: bool = False
    documents: dict[str, dict[str, object]] = field(default_factory=dict)
    inbox: list[signatures.Request] = field(default_factory=list)

    @property
    def actor(self) -> str:
        return f"{self.url}/actor"

    def actor_document(self) -> dict[str, object]:
        return {
            "@context": CONTEXT,
            "id": self.actor,
            "type": "Group",
            "preferredUsername": "gardening",
            "inbox": f"{self.url}/inbox",
            "publicKey": {
                "id": f"{self.actor}#main-key",
                "owner": self.actor,
                "publicKeyPem": self.rsa.public().to_pem(),
            },
            "assertionMethod": [
                {
                    "id": f"{self.actor}#ed25519-key",
                    "type": "Multikey",
                    "controller": self.actor,
                    "publicKeyMultibase": self.ed25519.public().to_multibase(),
                }
            ],
        }

    def like(self, name: str, of: str) -> dict[str, object]:
        return {
            "@context": CONTEXT,
            "id": f"{self.url}/likes/{name}",
            "type": "Like",
            "actor": self.actor,
            "object": of,
        }

    async def answer(self, request: web.Request) -> web.Response:
        if request.method == "POST":
            headers = [(k.decode(), v.decode()) for k, v in request.raw_headers]
            if self.refuse_message_signatures and "Signature-Input" in request.headers:
                return web.Response(status=401)
            target = request.path_qs
            self.inbox.append(
                signatures.Request("POST", target, self.url + target, headers, await request.read())
            )
            return web.Response(status=202)
        document = self.documents.get(request.path)
        if request.path == "/actor":
            document = self.actor_document()
        if document is None:
            return web.Response(status=404)
        return web.json_response(document, content_type=ACTIVITY_JSON)


@pytest.fixture
async def origin(tmp_path: Path) -> AsyncIterator[Origin]:
    ca = make_private_ca(tmp_path / "ca")
    origin = Origin(keys.generate_rsa(), keys.generate_ed25519(), ca)
    certificate, key = ca.issue(HOSTNAME)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate, key)
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", origin.answer)
    runner = web.AppRunner(application)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls).start()
    origin.url = f"https://{HOSTNAME}:{runner.addresses[0][1]}"
    yield origin
    await runner.cleanup()


@pytest.fixture
async def bot(tmp_path: Path, origin: Origin) -> AsyncIterator[FedifyPeer]:
    async with running_peer(tmp_path, origin.ca) as peer:
        yield peer


async def deliver(bot: FedifyPeer, body: bytes, headers: dict[str, str]) -> int:
    """POST to the bot's shared inbox by its address, under its name."""
    async with (
        aiohttp.ClientSession() as session,
        session.post(
            f"https://127.0.0.1:{bot.port}/inbox",
            data=body,
            headers={**headers, "Content-Type": ACTIVITY_JSON},
            ssl=bot.ca.client_context(),
        ) as response,
    ):
        return response.status


async def refusals(bot: FedifyPeer) -> list[Any]:
    return [entry.get("refusal") for entry in await bot.requests() if entry["status"] != 202]


async def test_fedify_verifies_our_draft_cavage_signature(origin: Origin, bot: FedifyPeer) -> None:
    body = json.dumps(origin.like("1", bot.uri)).encode()
    url, key_id = f"{bot.origin}/inbox", f"{origin.actor}#main-key"
    headers = cavage.sign("POST", url, body, origin.rsa, key_id)
    assert await deliver(bot, body, headers) == 202, await refusals(bot)
    (entry,) = await bot.log()
    assert (entry["signature"], entry["actor"]) == ("draft-cavage", origin.actor)


async def test_fedify_verifies_our_rfc_9421_signature(origin: Origin, bot: FedifyPeer) -> None:
    body = json.dumps(origin.like("1", bot.uri)).encode()
    url, key_id, now = f"{bot.origin}/inbox", f"{origin.actor}#main-key", int(time.time())
    headers = message_signatures.sign("POST", url, body, origin.rsa, key_id, now)
    assert await deliver(bot, body, headers) == 202, await refusals(bot)
    (entry,) = await bot.log()
    assert entry["signature"] == "rfc9421"


async def test_fedify_takes_no_multikey_for_requests_so_ours_are_signed_with_rsa(
    origin: Origin, bot: FedifyPeer
) -> None:
    # Fedify looks for a request's key in publicKey only, and in assertionMethod for proofs only.
    # When this test fails, Ed25519 has become a choice for requests too.
    body = json.dumps(origin.like("1", bot.uri)).encode()
    url, key_id, now = f"{bot.origin}/inbox", f"{origin.actor}#ed25519-key", int(time.time())
    headers = message_signatures.sign("POST", url, body, origin.ed25519, key_id, now)
    assert await deliver(bot, body, headers) == 401
    assert await bot.log() == []


async def test_fedify_refuses_our_signature_over_another_body(
    origin: Origin, bot: FedifyPeer
) -> None:
    body = json.dumps(origin.like("1", bot.uri)).encode()
    other = json.dumps(origin.like("2", bot.uri)).encode()
    url, key_id = f"{bot.origin}/inbox", f"{origin.actor}#main-key"
    assert await deliver(bot, other, cavage.sign("POST", url, body, origin.rsa, key_id)) == 401
    now = int(time.time())
    signed = message_signatures.sign("POST", url, body, origin.rsa, key_id, now)
    assert await deliver(bot, other, signed) == 401
    assert await bot.log() == []


@pytest.mark.parametrize(
    ("refuses_rfc_9421", "style"), [(False, "rfc9421"), (True, "draft-cavage")]
)
async def test_we_verify_what_fedify_signs_on_the_first_and_on_the_second_knock(
    origin: Origin, bot: FedifyPeer, refuses_rfc_9421: bool, style: str
) -> None:
    origin.refuse_message_signatures = refuses_rfc_9421
    await bot.follow(origin.actor)
    (request,) = origin.inbox
    claim = signatures.inspect(request, now=int(time.time()))
    actor = (await bot.lookup(bot.uri))["document"]
    assert claim.key_id == actor["publicKey"]["id"]
    assert urlsplit(claim.key_id).fragment
    key = keys.load_public_pem(actor["publicKey"]["publicKeyPem"])
    assert signatures.verify(claim, key)
    sent = [entry["signature"] for entry in await bot.sent() if entry["method"] == "POST"]
    assert sent[-1] == style
    assert not signatures.verify(claim, origin.rsa.public())


async def test_we_verify_the_integrity_proof_that_fedify_adds(
    origin: Origin, bot: FedifyPeer
) -> None:
    await bot.follow(origin.actor)
    document = json.loads(origin.inbox[0].body)
    method = proofs.verification_method(document)
    actor = (await bot.lookup(bot.uri))["document"]
    methods = {entry["id"]: entry["publicKeyMultibase"] for entry in actor["assertionMethod"]}
    assert method in methods
    key = keys.load_public_multibase(methods[method])
    assert proofs.verify(document, key)
    assert not proofs.verify({**document, "object": bot.uri}, key)


async def test_fedify_verifies_our_integrity_proof_and_notices_a_change(
    origin: Origin, bot: FedifyPeer
) -> None:
    note = {
        "@context": CONTEXT,
        "id": f"{origin.url}/notes/1",
        "type": "Note",
        "attributedTo": origin.actor,
        "to": [PUBLIC],
        "content": "<p>Erbe aromatiche: perché no? 🌿</p>",
        "published": "2026-01-02T03:04:05Z",
    }
    created = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    proven = proofs.create(note, origin.ed25519, f"{origin.actor}#ed25519-key", created)
    origin.documents["/notes/1"] = proven
    origin.documents["/notes/2"] = {
        **proven,
        "id": f"{origin.url}/notes/2",
        "content": "<p>Something else.</p>",
    }
    whole = (await bot.crawl(f"{origin.url}/notes/1"))[0]
    assert (whole["parsed"], whole["proof"], whole.get("error")) == ("Note", "verified", None)
    changed = (await bot.crawl(f"{origin.url}/notes/2"))[0]
    assert (changed["proof"], changed["error"]) == (
        "refused",
        "its integrity proof does not verify",
    )
