"""Published vectors: RFC 9421, RFC 8785, eddsa-jcs-2022, FEP-8b32, FEP-521a.

What our policy does not accept (HMAC, ECDSA, responses, parameters of components) is refused as such,
and its signature is checked over the base all the same, by `cryptography` alone, so that a vector that
was copied wrongly cannot pass for a refusal.
"""

from __future__ import annotations

import hashlib
import hmac
from base64 import b64decode
from typing import Any

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from activitypub import keys, message_signatures, proofs, signatures
from activitypub.actors import read_keys
from activitypub.digests import check_content_digest
from activitypub.ijson import canonicalize, parse
from tests.activitypub.vectors import load

RFC_9421 = load("rfc9421")
RFC_8785 = load("rfc8785")["vectors"]
INTEGRITY = load("data_integrity")

MESSAGES: list[dict[str, Any]] = RFC_9421["messages"]
SUPPORTED = [message for message in MESSAGES if "unsupported" not in message]
UNSUPPORTED = [message for message in MESSAGES if "unsupported" in message]

KEY = keys.load_public_multibase(INTEGRITY["key"]["public"])
PRIVATE_KEY = keys.load_private(
    ed25519.Ed25519PrivateKey.from_private_bytes(
        keys.decode_multibase(INTEGRITY["key"]["secret"])[2:]
    )
    .private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    .decode()
)


def section(message: dict[str, Any]) -> str:
    return str(message["section"])


def fits(message: dict[str, Any], signature: bytes, base: bytes) -> bool:
    """Whether the signature is over the base, by nothing of ours."""
    text = RFC_9421["keys"][message["key"]]
    if message["algorithm"] == "hmac-sha256":
        return hmac.compare_digest(hmac.digest(b64decode(text), base, "sha256"), signature)
    key = serialization.load_pem_public_key(text.encode())
    try:
        if isinstance(key, rsa.RSAPublicKey):
            assert message["algorithm"] == "rsa-pss-sha512"
            key.verify(
                signature, base, padding.PSS(padding.MGF1(hashes.SHA512()), 64), hashes.SHA512()
            )
        elif isinstance(key, ec.EllipticCurvePublicKey):
            assert len(signature) == 64
            r, s = int.from_bytes(signature[:32]), int.from_bytes(signature[32:])
            key.verify(encode_dss_signature(r, s), base, ec.ECDSA(hashes.SHA256()))
        else:
            assert isinstance(key, ed25519.Ed25519PublicKey)
            key.verify(signature, base)
    except InvalidSignature:
        return False
    return True


def base_of(message: dict[str, Any], **changes: Any) -> tuple[bytes, bytes]:
    """The signature, and the base that we build of the message."""
    message = message | changes
    parsed = message_signatures.parse(message["signature-input"], message["signature"])
    target = "/" + message["url"].split("/", 3)[3]
    base = message_signatures.signature_base(
        parsed.components,
        parsed.parameters,
        method=message["method"],
        url=message["url"],
        target=target,
        fields=message["fields"],
    )
    return parsed.signature, base


@pytest.mark.parametrize("message", SUPPORTED, ids=section)
def test_rfc_9421_our_signature_base_is_the_one_that_was_signed(message: dict[str, Any]) -> None:
    assert fits(message, *base_of(message)) is message.get("valid", True)
    # Whatever else is covered, the parameters are.
    later = message["signature-input"].replace("created=16", "created=17")
    assert not fits(message, *base_of(message, **{"signature-input": later}))


@pytest.mark.parametrize("message", UNSUPPORTED, ids=section)
def test_rfc_9421_what_is_not_rebuilt_is_refused_by_name(message: dict[str, Any]) -> None:
    """Responses, and parts of a query: nobody in the fediverse covers them."""
    with pytest.raises(message_signatures.UnsupportedComponent, match=r"carries|not known"):
        message_signatures.parse(message["signature-input"], message["signature"])
    signature = b64decode(message["signature"].split("=", 1)[1].strip(":"))
    assert fits(message, signature, message["base"].encode())


@pytest.mark.parametrize("message", MESSAGES, ids=section)
def test_rfc_9421_content_digests_fit_their_bodies(message: dict[str, Any]) -> None:
    digest = message["fields"].get("content-digest")
    if digest is not None:
        assert check_content_digest(digest, message["body"].encode())
        assert not check_content_digest(digest, message["body"].encode() + b" ")


@pytest.mark.parametrize("message", SUPPORTED, ids=section)
def test_inv_1_no_signature_of_the_rfc_covers_enough_for_an_inbox(message: dict[str, Any]) -> None:
    """Each is right, and none would do: a key id that is no URL, an algorithm of other uses, or too little
    covered."""
    target = "/" + message["url"].split("/", 3)[3]
    headers = [
        *message["fields"].items(),
        ("signature-input", message["signature-input"]),
        ("signature", message["signature"]),
    ]
    request = signatures.Request(
        message["method"], target, message["url"], headers, message["body"].encode()
    )
    with pytest.raises(signatures.SignatureRefused) as refused:
        signatures.inspect(request, now=1618884473)
    assert refused.value.reason == "key-id"
    # With a key id as it is here, what is covered decides.
    named = [
        (name, value.replace('keyid="', 'keyid="https://peer.example/')) for name, value in headers
    ]
    request = signatures.Request(request.method, target, request.url, named, request.body)
    if section(message) in ("B.2.1", "B.2.5", "B.2.6", "2.5", "4.3", "B.3"):
        with pytest.raises(signatures.SignatureRefused) as refused:
            signatures.inspect(request, now=1618884473)
        assert refused.value.reason == "uncovered"


@pytest.mark.parametrize(
    "headers",
    [
        [
            ("Host", "example.org"),
            ("Referer", "https://developer.example.org/demo"),
            ("Accept", "application/json, */*"),
        ],
        [
            ("Accept", "application/json"),
            ("Date", "Fri, 15 Jul 2022 14:24:55 GMT"),
            ("Accept", "*/*"),
            ("Host", "example.org"),
        ],
    ],
    ids=["B.4 with other fields and Accept in one line", "B.4 with the fields in another order"],
)
def test_rfc_9421_lines_of_a_field_are_one_value_in_their_order(
    headers: list[tuple[str, str]],
) -> None:
    """Appendix B.4: what intermediaries may do to the lines of a message that stays signed."""
    (message,) = [one for one in MESSAGES if section(one) == "B.4 as signed"]
    request = signatures.Request("GET", "/demo", message["url"], headers, b"")
    fields = signatures._fields(request)
    signature, base = base_of(message, fields=fields)
    assert fits(message, signature, base)
    turned = signatures.Request("GET", "/demo", message["url"], headers[::-1], b"")
    if len([name for name, _ in headers if name == "Accept"]) > 1:
        signature, base = base_of(message, fields=signatures._fields(turned))
        assert not fits(message, signature, base)


def test_rfc_9421_the_ed25519_signature_is_made_again() -> None:
    (message,) = [one for one in MESSAGES if section(one) == "B.2.6"]
    signature, base = base_of(message)
    private = keys.load_private(RFC_9421["private-keys"]["test-key-ed25519"])
    assert private.sign(base) == signature


@pytest.mark.parametrize("name", RFC_8785)
def test_rfc_8785_published_documents_have_their_canonical_form(name: str) -> None:
    source, canonical = RFC_8785[name]
    assert canonicalize(parse(source.encode())) == canonical.encode()
    assert canonicalize(parse(canonical.encode())) == canonical.encode()


@pytest.mark.parametrize("name", ["fep-8b32", "w3c-eddsa-jcs-2022", "w3c-eddsa-jcs-2022-earlier"])
def test_eddsa_jcs_2022_published_proofs_verify_and_are_made_again(name: str) -> None:
    document: dict[str, Any] = INTEGRITY[name]["document"]
    proof = document["proof"]
    assert proofs.verify(document, KEY)
    assert proofs.verification_method(document) == proof["verificationMethod"]
    unsecured = {key: value for key, value in document.items() if key != "proof"}
    made = proofs.create(unsecured, PRIVATE_KEY, proof["verificationMethod"], proof["created"])
    assert made == document
    assert not proofs.verify(document | {"id": "https://server.example/activities/2"}, KEY)


def test_eddsa_jcs_2022_the_hashes_on_the_way_are_those_of_the_w3c() -> None:
    vector = INTEGRITY["w3c-eddsa-jcs-2022"]
    document: dict[str, Any] = dict(vector["document"])
    options = {key: value for key, value in document.pop("proof").items() if key != "proofValue"}
    assert hashlib.sha256(canonicalize(document)).hexdigest() == vector["document-sha256"]
    assert hashlib.sha256(canonicalize(options)).hexdigest() == vector["options-sha256"]


def test_fep_521a_the_key_of_the_example_is_read_and_verifies() -> None:
    actor = INTEGRITY["fep-521a"]["document"]
    (found,) = read_keys(actor, actor["id"])
    assert found.id == "https://server.example/users/alice#ed25519-key"
    assert found.owner == actor["id"]
    assert found.pem is None
    key = keys.load_public_multibase(found.multibase or "")
    assert key == KEY
    # fep-8b32.feature: the document is valid by the key that its actor publishes.
    assert proofs.verify(INTEGRITY["fep-8b32"]["document"], key)
    assert key.to_multibase() == found.multibase
