"""Integrity proofs inside documents: FEP-8b32 with the cryptosuite eddsa-jcs-2022.

A proof signs a JSON document whoever delivers it, so an activity that a third server forwards can
be believed without asking its origin. Signed is SHA-256 of the canonical proof options, followed by
SHA-256 of the canonical document without ``proof`` and without ``signature`` (RFC 8785 and
vc-di-eddsa §3.3). Only a proof at the top level counts.

A proof is transferable: never make one for anything that is not public.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from activitypub.ijson import canonicalize
from activitypub.keys import PrivateKey, PublicKey, decode_multibase, encode_multibase

CRYPTOSUITE: Final = "eddsa-jcs-2022"
"""The only cryptosuite made and verified here; its keys are Ed25519."""

SIGNATURE_BYTES: Final = 64
"""Length of an Ed25519 signature."""

CONTEXTS_MAX: Final = 32
"""Most entries of an ``@context`` array that is compared with a proof's."""


@dataclass(frozen=True, slots=True)
class _Reading:
    """A proof taken apart: the options to try, the document they sign, the signature."""

    verification_method: str
    options: tuple[dict[str, object], ...]
    document: dict[str, object]
    signature: bytes
    expires: int | None


def create(
    document: Mapping[str, object], key: PrivateKey, verification_method: str, created_iso: str
) -> dict[str, object]:
    """Return a copy of the document with a proof.

    `verification_method` is the id of the Multikey that the actor lists in ``assertionMethod``,
    `created_iso` an ISO 8601 time with ``Z``. An existing proof is replaced; a Linked-Data
    ``signature`` stays and is not covered, so make the proof last. Raises ValueError when the key
    is no Ed25519 key.
    """
    if key.algorithm != "ed25519":
        raise ValueError("The cryptosuite eddsa-jcs-2022 needs an Ed25519 key.")
    options: dict[str, object] = {
        "type": "DataIntegrityProof",
        "cryptosuite": CRYPTOSUITE,
        "verificationMethod": verification_method,
        "proofPurpose": "assertionMethod",
        "created": created_iso,
    }
    if "@context" in document:
        # vc-di-eddsa §3.3.1: the proof states under which context it was made. Stated inside the
        # proof, readers that copy the document's context and readers that do not agree.
        options["@context"] = document["@context"]
    signature = key.sign(_digest(options, _unsecured(document)))
    return {
        **{name: value for name, value in document.items() if name != "proof"},
        "proof": {**options, "proofValue": encode_multibase(signature)},
    }


def verify(document: Mapping[str, object], key: PublicKey, *, now: int | None = None) -> bool:
    """Tell whether the document carries a valid proof by `key`. Never raises.

    The caller has found `key` by :func:`verification_method` and has checked whose it is. `now` is
    in Unix seconds, by default the clock's; it matters for proofs that expire.
    """
    return proven(document, key, now=now) is not None


def proven(
    document: Mapping[str, object], key: PublicKey, *, now: int | None = None
) -> dict[str, object] | None:
    """Return the document exactly as `key` signed it, or None when there is no valid proof.

    That is the document without ``proof`` and ``signature``, under the proof's own ``@context``:
    entries that somebody appended to the context after signing are not in it (INV-14).
    """
    reading = _read(document)
    if reading is None or key.algorithm != "ed25519":
        return None
    if reading.expires is not None and reading.expires < (int(time.time()) if now is None else now):
        return None
    for options in reading.options:
        try:
            message = _digest(options, reading.document)
        except (ValueError, TypeError, RecursionError):
            return None  # no I-JSON: it cannot have been canonicalised by an honest signer either
        if key.verify(reading.signature, message):
            return reading.document
    return None


def verification_method(document: Mapping[str, object]) -> str | None:
    """Return the id of the key that the document's proof names, or None without a usable proof."""
    reading = _read(document)
    return None if reading is None else reading.verification_method


def _read(document: Mapping[str, object]) -> _Reading | None:
    proof = document.get("proof")
    if isinstance(proof, list) and len(proof) == 1:
        proof = proof[0]
    if not isinstance(proof, dict):
        return None
    if (
        proof.get("type") != "DataIntegrityProof"
        or proof.get("cryptosuite") != CRYPTOSUITE
        or proof.get("proofPurpose") != "assertionMethod"
    ):
        return None
    method, value = proof.get("verificationMethod"), proof.get("proofValue")
    if not isinstance(method, str) or not isinstance(value, str):
        return None
    try:
        signature = decode_multibase(value)
        expires = _seconds(proof["expires"]) if "expires" in proof else None
        if "created" in proof:
            _seconds(proof["created"])
    except (ValueError, OverflowError):
        return None
    if len(signature) != SIGNATURE_BYTES:
        return None

    options = {name: item for name, item in proof.items() if name != "proofValue"}
    unsecured = _unsecured(document)
    candidates = [options]
    if "@context" in options:
        if not _begins_with(document.get("@context"), options["@context"]):
            return None
        unsecured["@context"] = options["@context"]
    elif "@context" in document:
        # Fedify leaves the context out of the proof but hashes it; Mitra leaves it out of both.
        candidates.append({**options, "@context": document["@context"]})
    return _Reading(method, tuple(candidates), unsecured, signature, expires)


def _begins_with(whole: object, start: object) -> bool:
    entries, first = _as_list(whole), _as_list(start)
    return 0 < len(first) <= CONTEXTS_MAX and entries[: len(first)] == first


def _as_list(value: object) -> list[object]:
    if isinstance(value, list):
        return value
    return [] if value is None else [value]


def _unsecured(document: Mapping[str, object]) -> dict[str, object]:
    return {name: item for name, item in document.items() if name not in ("proof", "signature")}


def _digest(options: Mapping[str, object], document: Mapping[str, object]) -> bytes:
    return (
        hashlib.sha256(canonicalize(dict(options))).digest()
        + hashlib.sha256(canonicalize(dict(document))).digest()
    )


def _seconds(moment: object) -> int:
    if not isinstance(moment, str):
        raise ValueError("The time in a proof is a text.")
    found = datetime.fromisoformat(moment)
    return int((found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp())
