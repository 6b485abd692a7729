from __future__ import annotations

import copy
import hashlib
from typing import Any

import pytest
from apsig import ProofSigner, ProofVerifier
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519
from hypothesis import given
from hypothesis import strategies as st

from activitypub import keys, proofs
from activitypub.ijson import canonicalize

KEY = keys.generate_ed25519()
METHOD = "https://hub.example/ap/p/m81xzt#ed25519-key"
CREATED = "2026-11-21T10:15:00Z"
NOW = 1795256100
DOCUMENT: dict[str, Any] = {
    "@context": [
        "https://www.w3.org/ns/activitystreams",
        "https://w3id.org/security/data-integrity/v1",
    ],
    "id": "https://hub.example/ap/c/1",
    "type": "Create",
    "actor": "https://hub.example/ap/p/m81xzt",
    "object": {"type": "Note", "content": "Grüße 🌱", "likes": 0},
}

# The key of the vectors of FEP-8b32 and of vc-di-eddsa (W3C), B.1.
VECTOR_PUBLIC = keys.load_public_multibase("z6MkrJVnaZkeFzdQyMZu1cgjg7k1pZZ6pvBQ7XJPt4swbTQ2")
VECTOR_SECRET = keys.decode_multibase("z3u2en7t5LR2WtQH5PfFqMqwVHBeXouLzo6haApm8XHqvjxq")[2:]
VECTOR_KEY = keys.load_private(
    ed25519.Ed25519PrivateKey.from_private_bytes(VECTOR_SECRET)
    .private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    .decode()
)
FEP_8B32: dict[str, Any] = {
    "@context": [
        "https://www.w3.org/ns/activitystreams",
        "https://w3id.org/security/data-integrity/v1",
    ],
    "type": "Create",
    "actor": "https://server.example/users/alice",
    "object": {"type": "Note", "content": "Hello world"},
    "proof": {
        "type": "DataIntegrityProof",
        "cryptosuite": "eddsa-jcs-2022",
        "verificationMethod": "https://server.example/users/alice#ed25519-key",
        "proofPurpose": "assertionMethod",
        "proofValue": "z3sXaxjKs4M3BRicwWA9peyNPJvJqxtGsDmpt1jjoHCjgeUf71TRFz56osPSfDErszyLp5Ks1EhY"
        "SgpDaNM977Rg2",
        "created": "2023-02-24T23:36:38Z",
    },
}
VC_DI_EDDSA: dict[str, Any] = {
    "@context": [
        "https://www.w3.org/ns/credentials/v2",
        "https://www.w3.org/ns/credentials/examples/v2",
    ],
    "id": "urn:uuid:58172aac-d8ba-11ed-83dd-0b3aef56cc33",
    "type": ["VerifiableCredential", "AlumniCredential"],
    "name": "Alumni Credential",
    "description": "A minimum viable example of an Alumni Credential.",
    "issuer": "https://vc.example/issuers/5678",
    "validFrom": "2023-01-01T00:00:00Z",
    "credentialSubject": {"id": "did:example:abcdefgh", "alumniOf": "The School of Examples"},
    "proof": {
        "type": "DataIntegrityProof",
        "cryptosuite": "eddsa-jcs-2022",
        "created": "2023-02-24T23:36:38Z",
        "verificationMethod": "did:key:z6MkrJVnaZkeFzdQyMZu1cgjg7k1pZZ6pvBQ7XJPt4swbTQ2"
        "#z6MkrJVnaZkeFzdQyMZu1cgjg7k1pZZ6pvBQ7XJPt4swbTQ2",
        "proofPurpose": "assertionMethod",
        "@context": [
            "https://www.w3.org/ns/credentials/v2",
            "https://www.w3.org/ns/credentials/examples/v2",
        ],
        "proofValue": "z2HnFSSPPBzR36zdDgK8PbEHeXbR56YF24jwMpt3R1eHXQzJDMWS93FCzpvJpwTWd3GAVFuUfjo"
        "JdcnTMuVor51aX",
    },
}
VECTORS = pytest.mark.parametrize("vector", [FEP_8B32, VC_DI_EDDSA], ids=["fep-8b32", "w3c"])


def proved(**changes: object) -> dict[str, Any]:
    return proofs.create(DOCUMENT | changes, KEY, METHOD, CREATED)


@VECTORS
def test_the_published_vectors_verify(vector: dict[str, Any]) -> None:
    assert proofs.verify(vector, VECTOR_PUBLIC)
    assert proofs.verification_method(vector) == vector["proof"]["verificationMethod"]
    assert not proofs.verify(vector | {"name": "Another"}, VECTOR_PUBLIC)
    assert not proofs.verify(vector, KEY.public())


def test_the_vector_of_the_w3c_is_reproduced() -> None:
    unsecured = {name: value for name, value in VC_DI_EDDSA.items() if name != "proof"}
    proof = VC_DI_EDDSA["proof"]
    assert VECTOR_KEY.public() == VECTOR_PUBLIC
    assert (
        proofs.create(unsecured, VECTOR_KEY, proof["verificationMethod"], proof["created"])
        == VC_DI_EDDSA
    )


def test_a_proof_verifies_and_leaves_its_document_alone() -> None:
    before = copy.deepcopy(DOCUMENT)
    document = proved()
    assert before == DOCUMENT
    assert document["proof"]["verificationMethod"] == METHOD
    assert {name: value for name, value in document.items() if name != "proof"} == DOCUMENT
    secured = copy.deepcopy(document)
    assert proofs.verify(document, KEY.public())
    assert document == secured


def test_an_rsa_key_makes_and_verifies_no_proof() -> None:
    rsa = keys.generate_rsa()
    with pytest.raises(ValueError, match="Ed25519"):
        proofs.create(DOCUMENT, rsa, METHOD, CREATED)
    assert not proofs.verify(proved(), rsa.public())


def test_apsig_verifies_ours() -> None:
    verifier = ProofVerifier(KEY.public().to_multibase())
    assert verifier.verify(copy.deepcopy(proved())) == METHOD
    assert verifier.verify(copy.deepcopy(proved()) | {"type": "Update"}) is None


def test_we_verify_what_apsig_signs() -> None:
    private = serialization.load_pem_private_key(KEY.to_pem().encode(), None)
    options = {
        "type": "DataIntegrityProof",
        "cryptosuite": "eddsa-jcs-2022",
        "verificationMethod": METHOD,
        "proofPurpose": "assertionMethod",
        "created": CREATED,
    }
    signed = ProofSigner(private).sign(DOCUMENT, options)  # type: ignore[arg-type]
    assert proofs.verify(signed, KEY.public())
    # Key order is no part of the value.
    assert proofs.verify(dict(sorted(signed.items())), KEY.public())


def test_the_context_left_out_of_the_proof_may_still_be_hashed() -> None:
    # Fedify hashes the document's context with the options and does not send it in the proof.
    document = proved()
    del document["proof"]["@context"]
    assert proofs.verify(document, KEY.public())


def test_a_linked_data_signature_is_not_covered() -> None:
    document = proved(signature={"type": "RsaSignature2017", "signatureValue": "x"})
    assert document["signature"]["signatureValue"] == "x"
    assert proofs.verify(document, KEY.public())
    del document["signature"]
    assert proofs.verify(document, KEY.public())


def test_an_old_proof_is_replaced() -> None:
    document = proofs.create(proved(), KEY, METHOD, "2026-11-22T10:15:00Z")
    assert document["proof"]["created"] == "2026-11-22T10:15:00Z"
    assert proofs.verify(document, KEY.public())


@pytest.mark.parametrize(
    "change",
    [
        {"id": "https://hub.example/ap/c/2"},
        {"type": "Update"},
        {"actor": "https://evil.example/"},
        {"object": {"type": "Note", "content": "Grüße", "likes": 0}},
        {"object": {"type": "Note", "content": "Grüße 🌱", "likes": False}},
        {"object": {"type": "Note", "content": "Grüße 🌱", "likes": "0"}},
        {"object": {"type": "Note", "content": "Grüße 🌱"}},
        {"to": []},
        {"@context": "https://www.w3.org/ns/activitystreams"},
        {"@context": []},
        {"@context": DOCUMENT["@context"][::-1]},
    ],
)
def test_every_change_of_the_document_is_noticed(change: dict[str, Any]) -> None:
    assert not proofs.verify(proved() | change, KEY.public())


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("type", "RsaSignature2017"),
        ("type", None),
        ("cryptosuite", "eddsa-rdfc-2022"),
        ("cryptosuite", ["eddsa-jcs-2022"]),
        ("verificationMethod", "https://evil.example/key"),
        ("verificationMethod", {"id": METHOD}),
        ("proofPurpose", "authentication"),
        ("created", "2026-11-21T10:15:01Z"),
        ("created", "yesterday"),
        ("created", 5),
        ("nonce", "x"),
        ("proofValue", None),
        ("proofValue", "z"),
        ("proofValue", "zabc"),
        ("proofValue", "u" + "A" * 86),
        ("@context", ["https://www.w3.org/ns/activitystreams"]),
        ("@context", ["https://evil.example/context"]),
        ("@context", []),
        ("@context", None),
    ],
)
def test_every_change_of_the_proof_is_noticed(name: str, value: object) -> None:
    document = proved()
    document["proof"][name] = value
    assert not proofs.verify(document, KEY.public())


@pytest.mark.parametrize(
    ("name", "value", "good"),
    [
        ("nonce", "x", True),
        ("type", "Proof", False),
        ("cryptosuite", "eddsa-jcs-2023", False),
        ("proofPurpose", "authentication", False),
        ("created", "yesterday", False),
        ("expires", 5, False),
    ],
)
def test_a_proof_for_something_else_is_refused_though_its_signature_is_right(
    name: str, value: object, good: bool
) -> None:
    options = {key: item for key, item in proved()["proof"].items() if key != "proofValue"}
    options[name] = value
    message = b"".join(
        hashlib.sha256(canonicalize(part)).digest() for part in (options, dict(DOCUMENT))
    )
    proof = options | {"proofValue": keys.encode_multibase(KEY.sign(message))}
    assert proofs.verify(DOCUMENT | {"proof": proof}, KEY.public()) is good


def test_a_document_without_a_usable_proof_does_not_verify() -> None:
    proof = proved()["proof"]
    assert not proofs.verify(DOCUMENT, KEY.public())
    assert proofs.verification_method(DOCUMENT) is None
    unusable: tuple[object, ...] = (None, "x", [], [proof, proof], {}, [[proof]])
    for value in unusable:
        assert not proofs.verify(DOCUMENT | {"proof": value}, KEY.public())
        assert proofs.verification_method(DOCUMENT | {"proof": value}) is None
    assert proofs.verify(DOCUMENT | {"proof": [proof]}, KEY.public())


def test_a_proof_deeper_in_the_document_does_not_count() -> None:
    assert not proofs.verify({"type": "Announce", "object": proved()}, KEY.public())


def test_inv_14_the_context_that_was_proven_is_the_one_that_is_used() -> None:
    document = proved()
    document["@context"] = [*DOCUMENT["@context"], {"content": "https://evil.example/content"}]
    assert proofs.verify(document, KEY.public())
    assert proofs.proven(document, KEY.public()) == DOCUMENT


def test_one_context_and_a_list_of_one_are_told_apart_only_by_the_hash() -> None:
    document = proved(**{"@context": "https://www.w3.org/ns/activitystreams"})
    assert proofs.verify(document, KEY.public())
    document["@context"] = ["https://www.w3.org/ns/activitystreams", {"x": "y:z"}]
    proven = proofs.proven(document, KEY.public())
    assert proven is not None
    assert proven["@context"] == "https://www.w3.org/ns/activitystreams"


def test_an_expired_proof_is_refused() -> None:
    options = {
        "type": "DataIntegrityProof",
        "cryptosuite": "eddsa-jcs-2022",
        "verificationMethod": METHOD,
        "proofPurpose": "assertionMethod",
        "created": CREATED,
        "expires": "2026-11-21T10:15:00Z",
    }
    private = serialization.load_pem_private_key(KEY.to_pem().encode(), None)
    signed = ProofSigner(private).sign(DOCUMENT, options)  # type: ignore[arg-type]
    assert proofs.verify(signed, KEY.public(), now=NOW)
    assert not proofs.verify(signed, KEY.public(), now=NOW + 1)


@pytest.mark.parametrize("value", [float("nan"), 2**60, "\ud800", {1: 2}, object()])
def test_what_is_no_i_json_does_not_verify(value: object) -> None:
    assert not proofs.verify(proved() | {"x": value}, KEY.public())


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)
PROOF_NAMES = st.sampled_from([*FEP_8B32["proof"], "@context", "expires", "x"])


@given(st.dictionaries(PROOF_NAMES, JSON, min_size=1, max_size=4), JSON)
def test_no_document_makes_the_verifier_raise(changes: dict[str, Any], context: object) -> None:
    document = proved()
    document["proof"] |= changes
    document["@context"] = context
    proofs.verification_method(document)
    assert proofs.verify(document, KEY.public()) is False


@given(st.dictionaries(st.text(), JSON, max_size=4))
def test_what_is_proven_verifies(extra: dict[str, Any]) -> None:
    try:
        document = proofs.create(DOCUMENT | {"extra": extra}, KEY, METHOD, CREATED)
    except ValueError:
        return  # no I-JSON
    assert proofs.verify(document, KEY.public())
