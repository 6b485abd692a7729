"""Who may do what with a post, and consent to a quote: interaction policies and FEP-044f (federation.md §5.5, §5.6).

A stamp (`QuoteAuthorization`) is a document of its own, which counts only as fetched from its id; what it says is
compared by the caller.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from activitypub import accessors, vocabulary
from activitypub.accessors import Refused
from activitypub.ijson import JSONObject
from activitypub.origins import parse_url

QUOTE_KEYS: Final = ("quote", "quoteUrl", "quoteUri", "_misskey_quote")
"""FEP-044f, Fedibird and Misskey's older form, Fedibird, Misskey."""

QUOTE_RELATIONS: Final = (
    "https://misskey-hub.net/ns#_misskey_quote",
    "https://w3id.org/fep/044f#quote",
)
"""What a FEP-e232 link says when what it leads to is quoted."""

QUOTE_MARK: Final = "RE:"
"""How the name of such a link begins where it has no relation."""

APPROVAL_LIMIT: Final = 64


@dataclass(frozen=True, slots=True)
class Approval:
    """Who may do something at once, and who after being let: actors, collections, the Public in its full form."""

    automatic: tuple[str, ...]
    manual: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PolicyDocument:
    """`interactionPolicy`; None where nothing is said about it."""

    quote: Approval | None
    reply: Approval | None
    like: Approval | None


NOTHING_SAID: Final = PolicyDocument(None, None, None)


@dataclass(frozen=True, slots=True)
class AuthorizationDocument:
    """A stamp: `attributed_to` lets `interacting_object` quote `interaction_target`. All are ids."""

    id: str
    attributed_to: str
    interacting_object: str
    interaction_target: str


def read_policies(doc: JSONObject, *, allow_http: bool = False) -> PolicyDocument:
    """What an object lets others do."""
    policy = accessors.document(doc, "interactionPolicy")
    if not policy:
        return NOTHING_SAID
    return PolicyDocument(
        _approval(policy, "canQuote", allow_http),
        _approval(policy, "canReply", allow_http),
        _approval(policy, "canLike", allow_http),
    )


def read_authorization(doc: JSONObject, *, allow_http: bool = False) -> AuthorizationDocument:
    """Read a stamp. Raises `Refused` with `not-a-stamp`."""
    parts = [
        accessors.url(doc, key, allow_http=allow_http)
        for key in ("id", "attributedTo", "interactingObject", "interactionTarget")
    ]
    known = [part for part in parts if part is not None]
    if "QuoteAuthorization" not in accessors.types(doc) or len(known) != len(parts):
        raise Refused("not-a-stamp")
    return AuthorizationDocument(*known)


def read_quote(doc: JSONObject, *, allow_http: bool = False) -> str | None:
    """The id of what an object quotes, in any of the peers' forms. What was deleted (a Tombstone) is nothing."""
    for key in QUOTE_KEYS:
        if key in doc:
            target = accessors.url(doc, key, allow_http=allow_http)
            if target is not None:
                return target
    for tag in accessors.documents(doc, "tag", vocabulary.ITEM_LIMIT):
        if "Link" in accessors.types(tag) and _is_quote(tag):
            target = parse_url(tag.get("href"), allow_http=allow_http)
            if target is not None:
                return target
    return None


def _is_quote(link: JSONObject) -> bool:
    relations = accessors.links(link, "rel", 8)
    if relations:
        return any(relation in QUOTE_RELATIONS for relation in relations)
    media_type = accessors.text(link, "mediaType", limit=vocabulary.NAME_CHARS)
    name = accessors.text(link, "name", limit=vocabulary.NAME_CHARS) or ""
    return vocabulary.is_activity_type(media_type) and name.startswith(QUOTE_MARK)


def _approval(policy: JSONObject, key: str, allow_http: bool) -> Approval | None:
    """GoToSocial before 0.20 wrote `always` and `approvalRequired`."""
    stated = accessors.document(policy, key)
    if stated is None:
        return None

    def listed(now: str, before: str) -> tuple[str, ...]:
        found = accessors.recipients(stated, now, APPROVAL_LIMIT, allow_http=allow_http)
        older = accessors.recipients(stated, before, APPROVAL_LIMIT, allow_http=allow_http)
        return tuple(dict.fromkeys(found + older)) if older else found

    return Approval(
        listed("automaticApproval", "always"), listed("manualApproval", "approvalRequired")
    )
