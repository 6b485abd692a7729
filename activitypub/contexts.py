"""The `@context` of our own documents (federation.md §0.3), with only the terms in use.

Contexts are written inline: several peers keep them as opaque text, and verifiers of Linked-Data
signatures load every one that is remote. None is ever fetched here (INV-14).
"""

from __future__ import annotations

from typing import Any, Final

from activitypub.ijson import JSONObject
from activitypub.vocabulary import AS_CONTEXT

SECURITY: Final = "https://w3id.org/security/v1"
DATA_INTEGRITY: Final = "https://w3id.org/security/data-integrity/v1"
DID: Final = "https://www.w3.org/ns/did/v1"
MULTIKEY: Final = "https://w3id.org/security/multikey/v1"
WEBFINGER: Final = "https://purl.archive.org/socialweb/webfinger"

_REMOTE: Final[dict[str, frozenset[str]]] = {
    SECURITY: frozenset({"publicKey", "publicKeyPem"}),
    DATA_INTEGRITY: frozenset({"proof", "DataIntegrityProof"}),
    DID: frozenset({"assertionMethod"}),
    MULTIKEY: frozenset({"Multikey", "publicKeyMultibase"}),
    WEBFINGER: frozenset({"webfinger"}),
}
"""Context documents, in their order, and the terms each is needed for."""

_PREFIXES: Final[dict[str, str]] = {
    "toot": "http://joinmastodon.org/ns#",
    "lemmy": "https://join-lemmy.org/ns#",
    "schema": "http://schema.org#",
    "gts": "https://gotosocial.org/ns#",
    "pt": "https://joinpeertube.org/ns#",
    "misskey": "https://misskey-hub.net/ns#",
    "fedibird": "http://fedibird.com/ns#",
    "fep044f": "https://w3id.org/fep/044f#",
    "fep844e": "https://w3id.org/fep/844e/",
    "fep8a8e": "https://w3id.org/fep/8a8e/",
    "mz": "https://joinmobilizon.org/ns#",
    "ical": "http://www.w3.org/2002/12/cal/ical#",
}


def _id(term: str) -> dict[str, str]:
    return {"@id": term, "@type": "@id"}


_TERMS: Final[dict[str, str | dict[str, str]]] = {
    "sensitive": "as:sensitive",
    "Hashtag": "as:Hashtag",
    "movedTo": _id("as:movedTo"),
    "alsoKnownAs": _id("as:alsoKnownAs"),
    "manuallyApprovesFollowers": "as:manuallyApprovesFollowers",
    "quoteUrl": "as:quoteUrl",
    "PropertyValue": "schema:PropertyValue",
    "value": "schema:value",
    "Emoji": "toot:Emoji",
    "blurhash": "toot:blurhash",
    "focalPoint": {"@container": "@list", "@id": "toot:focalPoint"},
    "featured": _id("toot:featured"),
    "featuredTags": _id("toot:featuredTags"),
    "discoverable": "toot:discoverable",
    "indexable": "toot:indexable",
    "memorial": "toot:memorial",
    "suspended": "toot:suspended",
    "votersCount": "toot:votersCount",
    "attributionDomains": _id("toot:attributionDomains"),
    "moderators": _id("lemmy:moderators"),
    "postingRestrictedToMods": "lemmy:postingRestrictedToMods",
    "removeData": "lemmy:removeData",
    "distinguished": "lemmy:distinguished",
    "stickied": "lemmy:stickied",
    "Lock": "lemmy:Lock",
    "commentsEnabled": "pt:commentsEnabled",
    "language": "schema:inLanguage",
    "identifier": "schema:identifier",
    "interactionPolicy": _id("gts:interactionPolicy"),
    "canLike": _id("gts:canLike"),
    "canReply": _id("gts:canReply"),
    "canAnnounce": _id("gts:canAnnounce"),
    "canQuote": _id("gts:canQuote"),
    "automaticApproval": _id("gts:automaticApproval"),
    "manualApproval": _id("gts:manualApproval"),
    "interactingObject": _id("gts:interactingObject"),
    "interactionTarget": _id("gts:interactionTarget"),
    "quote": _id("fep044f:quote"),
    "quoteAuthorization": _id("fep044f:quoteAuthorization"),
    "QuoteAuthorization": "fep044f:QuoteAuthorization",
    "QuoteRequest": "fep044f:QuoteRequest",
    "quoteUri": "fedibird:quoteUri",
    "_misskey_quote": "misskey:_misskey_quote",
    "implements": {"@id": "fep844e:implements", "@type": "@id", "@container": "@list"},
    "timezone": "mz:timezone",
    "joinMode": "mz:joinMode",
    "eventStatus": "ical:status",
    "maximumAttendeeCapacity": "schema:maximumAttendeeCapacity",
    "displayEndTime": "fep8a8e:displayEndTime",
    "organizers": _id("fep8a8e:organizers"),
    "attendees": _id("fep8a8e:attendees"),
    "externalParticipationUrl": "mz:externalParticipationUrl",
    "participantCount": "mz:participantCount",
    "isOnline": "mz:isOnline",
    "address": "schema:address",
    "VirtualLocation": "schema:VirtualLocation",
}


def context_for(doc: JSONObject) -> list[Any]:
    """The context array for one of our documents: ActivityStreams first, then what the keys and
    types in it need. A part that brings its own `@context` (a wrapped foreign activity) defines
    its terms itself and is left alone. The same terms give the same array."""
    used = _terms_in(doc)
    context: list[Any] = [AS_CONTEXT]
    context += [url for url, needed_for in _REMOTE.items() if not used.isdisjoint(needed_for)]
    terms = {term: meaning for term, meaning in _TERMS.items() if term in used}
    if terms:
        prefixes = {_prefix(meaning) for meaning in terms.values()}
        context.append({p: iri for p, iri in _PREFIXES.items() if p in prefixes} | terms)
    return context


def with_context(doc: JSONObject) -> JSONObject:
    """The document with its `@context` first (in place of one that it had)."""
    context = context_for(doc)
    return {"@context": context} | {key: doc[key] for key in doc if key != "@context"}


def _prefix(meaning: str | dict[str, str]) -> str:
    iri = meaning if isinstance(meaning, str) else meaning["@id"]
    return iri.partition(":")[0]


def _terms_in(doc: JSONObject) -> set[str]:
    used: set[str] = set()
    waiting: list[Any] = [doc]
    while waiting:
        item = waiting.pop()
        if isinstance(item, list):
            waiting += [value for value in item if isinstance(value, (dict, list))]
        elif item is doc or "@context" not in item:
            used.update(item)
            kind = item.get("type")
            if isinstance(kind, str):
                used.add(kind)
            elif isinstance(kind, list):
                used.update(name for name in kind if isinstance(name, str))
            waiting += [value for value in item.values() if isinstance(value, (dict, list))]
    return used
