"""Certificates of erasure: what was erased here, who was told, and what they answered; signed by the instance.

Whoever has the document and the instance actor's document can check it, without asking anybody else: it carries a
Data Integrity proof (FEP-8b32, eddsa-jcs-2022) by the instance's Ed25519 key. About the person it holds a hash with a
salt only: who knows the name can see that the certificate is theirs, and nobody learns a name from it.

The words are exact. *Erased* is said of this hub alone; of others it says *told*, and what they answered. What they
then did with their copy nobody here can know.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from activitypub import accessors, proofs
from activitypub.ijson import JSONObject, parse_object
from activitypub.keys import PublicKey, load_public_multibase
from activitypub.origins import same_origin
from fedcomm.federation.addresses import Addresses
from fedcomm.federation.keyring import Keyring
from fedcomm.federation.moments import iso
from fedcomm.hub import erasure
from fedcomm.hub.reach import outcome
from fedcomm.store.database import Database, Reader
from fedcomm.store.ids import now_ms

TYPE: Final = "ErasureCertificate"
CONTEXT: Final = [
    "https://www.w3.org/ns/activitystreams",
    "https://w3id.org/security/data-integrity/v1",
    {
        "fedcomm": "https://w3id.org/fedcomm/ns#",
        **{
            term: f"fedcomm:{term}"
            for term in (
                *("ErasureCertificate", "subject", "requested", "erased", "scrubbed", "finished"),
                *("counts", "recipients", "meaning"),
            )
        },
    },
]
MEANING: Final = {
    "erased": "Removed from this hub: database, search index, files, queues, and what deleting leaves on its disk.",
    "acknowledged": "The server was told, and answered that it took the request. Whether and when it removes its "
    "copy is its own doing.",
    "refused": "The server was told, and answered that it does not take the request.",
    "unreachable": "The server was asked again and again until the time for it was over, and gave no usable answer.",
    "elsewhere": "Search engines, archives and people who kept a copy cannot be reached by this hub.",
}


async def write(db: Reader, case: erasure.Case, addresses: Addresses) -> JSONObject:
    """The certificate of a case as it stands now, not yet signed."""
    begun = json.loads(case.certificate or "{}")
    rows = await db.all(
        "SELECT h.name, r.copies, r.how, r.first_at, r.told_at, r.answered_at, r.status"
        " FROM erasure_recipients r JOIN hosts h ON h.id = r.host_id WHERE r.case_id = ?"
        " ORDER BY h.name",
        case.id,
    )
    return {
        "@context": CONTEXT,
        "id": f"{addresses.origin}/erasures/{case.id}",
        "type": TYPE,
        "attributedTo": addresses.instance,
        "subject": {"kind": case.kind, "salt": begun.get("salt"), "sha256": begun.get("subject")},
        "requested": iso(case.created_at),
        "requestedBy": "subject" if case.own else "organization",
        "erased": _time(case.erased_at),
        "scrubbed": _time(case.scrubbed_at),
        "finished": _time(case.finished_at),
        "counts": {"objects": case.objects, "files": case.media, "rows": case.rows_gone},
        "recipients": [
            {
                "server": row["name"],
                "copies": row["copies"],
                "how": [
                    word for bit, word in ((1, "delivered"), (2, "fetched")) if row["how"] & bit
                ],
                "first": iso(row["first_at"]),
                "told": _time(row["told_at"]),
                "answered": _time(row["answered_at"]),
                "status": row["status"],
                "outcome": outcome(row["status"]),
            }
            for row in rows
        ],
        "meaning": MEANING,
    }


async def certify(db: Database, keyring: Keyring, addresses: Addresses, case_id: int) -> JSONObject:
    """Write, sign and keep the certificate of a finished case. Raises LookupError."""
    case = await erasure.case(db, case_id)
    if case is None or case.finished_at is None:
        raise LookupError(f"no finished case {case_id}")
    known = json.loads(case.certificate or "{}")
    if "proof" in known:
        return dict(known)
    keys = await keyring.pair(await keyring.instance_actor())
    document = await write(db, case, addresses)
    signed = proofs.create(document, keys.ed25519, keys.multikey_id, iso(now_ms() // 1000 * 1000))
    async with db.transaction() as tx:
        await tx.execute(
            "UPDATE erasures SET certificate = ? WHERE id = ?",
            json.dumps(signed, ensure_ascii=False),
            case_id,
        )
    return dict(signed)


def verify(certificate: bytes, instance_actor: Mapping[str, Any]) -> str | None:
    """Why the certificate cannot be believed, in a sentence; None if it can.

    `instance_actor`: the document of the actor that the certificate is attributed to, fetched from its own server.
    """
    try:
        document = parse_object(certificate)
    except ValueError as error:
        return f"This is not a certificate: {error}"
    if document.get("type") != TYPE:
        return "This is not a certificate of erasure."
    issuer = accessors.text(document, "attributedTo", limit=2048)
    if issuer is None or issuer != instance_actor.get("id"):
        return "The certificate names another instance."
    if not same_origin(document.get("id"), issuer, allow_http=True):
        return "The certificate is of another hub than the instance that signed it."
    method = proofs.verification_method(document)
    if method is None:
        return "The certificate carries no proof."
    key = _key(instance_actor, method)
    if key is None:
        return "The instance does not name the key of this proof."
    if not proofs.verify(document, key):
        return "The proof does not fit: something in the certificate was changed."
    return None


def _key(actor: Mapping[str, Any], method: str) -> PublicKey | None:
    for listed in accessors.documents(dict(actor), "assertionMethod", 10):
        if listed.get("id") == method and listed.get("controller") == actor.get("id"):
            multibase = accessors.text(listed, "publicKeyMultibase", limit=200)
            try:
                return load_public_multibase(multibase) if multibase else None
            except ValueError:
                return None
    return None


def is_about(certificate: Mapping[str, Any], name: str) -> bool:
    """Whether a certificate is about what was called `name` here (a handle, `name@host`, or a host)."""
    subject = certificate.get("subject")
    if not isinstance(subject, dict) or not isinstance(subject.get("salt"), str):
        return False
    return bool(erasure.subject_hash(str(subject["salt"]), name) == subject.get("sha256"))


def _time(milliseconds: int | None) -> str | None:
    return iso(milliseconds) if milliseconds is not None else None
