"""Actors: the documents that speak, and the keys that they speak with (federation.md §2)."""

from __future__ import annotations

import re
from dataclasses import dataclass

from activitypub import accessors, vocabulary
from activitypub.accessors import Refused
from activitypub.attachments import ImageRef, TagDocument, read_image, read_tags
from activitypub.ijson import JSONObject
from activitypub.origins import host, parse_url, related_hosts, same_origin

_USERNAME = re.compile(r"[^\s@/\\#?:\x00-\x1f\x7f]+(?::[0-9]{1,5})?")
_RFC_9421 = re.compile(r"https?://[^/]+/(?:[^?#]*/)?rfc9421(?:\.html|\.txt)?/?")
_UNNAMED_TYPES = frozenset({"Application", "Service"})


@dataclass(frozen=True, slots=True)
class KeyDocument:
    """A public key as its owner publishes it: PEM text (`publicKey`) or multibase (Multikey,
    FEP-521a). Exactly one of the two is set; neither has been decoded."""

    id: str
    owner: str
    pem: str | None
    multibase: str | None


@dataclass(frozen=True, slots=True)
class ActorDocument:
    """An actor. Everything that names a collection of the actor's shares the origin of `id`.

    `name` is plain text, `summary_html` and the values of `fields` are HTML that nobody has
    sanitised. `moderators` (groups only) is the collection's URL, or the ids themselves where a
    peer lists them (PeerTube). `discoverable` and `indexable` are None when not stated.
    """

    id: str
    type: str
    preferred_username: str
    name: str | None
    summary_html: str | None
    url: str | None
    inbox: str
    outbox: str | None
    shared_inbox: str | None
    followers: str | None
    following: str | None
    featured: str | None
    moderators: str | tuple[str, ...] | None
    icon: ImageRef | None
    image: ImageRef | None
    keys: tuple[KeyDocument, ...]
    manually_approves: bool
    discoverable: bool | None
    indexable: bool | None
    posting_restricted: bool
    also_known_as: tuple[str, ...]
    moved_to: str | None
    suspended: bool
    memorial: bool
    published: int | None
    fields: tuple[tuple[str, str], ...]
    tags: tuple[TagDocument, ...]
    webfinger: str | None
    implements_rfc9421: bool
    language: str | None


def read_actor(doc: JSONObject, *, allow_http: bool = False) -> ActorDocument:
    """Read an actor.

    Raises `Refused` with one of: `no-id`, `not-an-actor`, `no-inbox`, `foreign-inbox` (another
    origin than the id's), `no-username`. An Application or Service without `preferredUsername`
    (Lemmy's site) is named by its host. Keys that are of another origin or name another owner are
    left out (INV-3); so are collections of another origin.
    """
    actor_id = accessors.url(doc, "id", allow_http=allow_http)
    if actor_id is None or not isinstance(doc.get("id"), str):
        raise Refused("no-id")
    kind = next((name for name in accessors.types(doc) if name in vocabulary.ACTOR_TYPES), None)
    if kind is None:
        raise Refused("not-an-actor")
    inbox = accessors.url(doc, "inbox", allow_http=allow_http)
    if inbox is None:
        raise Refused("no-inbox")
    if not same_origin(inbox, actor_id, allow_http=allow_http):
        raise Refused("foreign-inbox")

    def own(key: str) -> str | None:
        target = accessors.url(doc, key, allow_http=allow_http)
        return target if same_origin(target, actor_id, allow_http=allow_http) else None

    return ActorDocument(
        id=actor_id,
        type=kind,
        preferred_username=_username(doc, kind, actor_id, allow_http),
        name=accessors.natural(doc, "name", limit=vocabulary.NAME_CHARS)[0],
        summary_html=accessors.natural(doc, "summary", limit=vocabulary.PROFILE_CHARS)[0],
        url=_profile_page(doc, actor_id),
        inbox=inbox,
        outbox=own("outbox"),
        shared_inbox=_shared_inbox(doc, actor_id, allow_http),
        followers=own("followers"),
        following=own("following"),
        featured=own("featured"),
        moderators=_moderators(doc, kind, actor_id, allow_http),
        icon=read_image(doc, "icon", allow_http=allow_http),
        image=read_image(doc, "image", allow_http=allow_http),
        keys=_keys(doc, actor_id, allow_http),
        manually_approves=accessors.boolean(doc, "manuallyApprovesFollowers") or False,
        discoverable=accessors.boolean(doc, "discoverable"),
        indexable=accessors.boolean(doc, "indexable"),
        posting_restricted=accessors.boolean(doc, "postingRestrictedToMods") or False,
        also_known_as=_actor_ids(doc, "alsoKnownAs", vocabulary.ALIAS_LIMIT, allow_http),
        moved_to=accessors.url(doc, "movedTo", allow_http=allow_http),
        suspended=accessors.boolean(doc, "suspended") or False,
        memorial=accessors.boolean(doc, "memorial") or False,
        published=accessors.time(doc, "published"),
        fields=_fields(doc),
        tags=read_tags(doc, allow_http=allow_http),
        webfinger=accessors.text(doc, "webfinger", limit=vocabulary.NAME_CHARS * 2),
        implements_rfc9421=_implements_rfc9421(doc),
        language=_language(doc),
    )


def read_keys(
    doc: JSONObject, actor_id: str, *, allow_http: bool = False
) -> tuple[KeyDocument, ...]:
    """The keys in a document that belong to `actor_id`: of its origin and naming it as owner."""
    return _keys(doc, actor_id, allow_http)


def _username(doc: JSONObject, kind: str, actor_id: str, allow_http: bool) -> str:
    name = accessors.text(doc, "preferredUsername", limit=vocabulary.NAME_CHARS + 1)
    if name and len(name) <= vocabulary.NAME_CHARS and _USERNAME.fullmatch(name):
        return name
    authority = host(actor_id, allow_http=allow_http)
    if name is None and kind in _UNNAMED_TYPES and authority is not None:
        return authority
    raise Refused("no-username")


def _profile_page(doc: JSONObject, actor_id: str) -> str | None:
    """Mastodon ignores a page on another host; a sub-domain or the parent is allowed here."""
    page = accessors.html_url(doc)
    if page is None or related_hosts(page, actor_id, allow_http=True):
        return page
    return None


def _shared_inbox(doc: JSONObject, actor_id: str, allow_http: bool) -> str | None:
    """From `endpoints`, or from the top level as Discourse writes it."""
    endpoints = accessors.document(doc, "endpoints") or {}
    for place in (endpoints, doc):
        target = accessors.url(place, "sharedInbox", allow_http=allow_http)
        if target is not None and related_hosts(target, actor_id, allow_http=allow_http):
            return target
    return None


def _moderators(
    doc: JSONObject, kind: str, actor_id: str, allow_http: bool
) -> str | tuple[str, ...] | None:
    if kind != "Group":
        return None
    for key in ("attributedTo", "moderators"):
        if isinstance(doc.get(key), list):
            found = _actor_ids(doc, key, vocabulary.RECIPIENT_LIMIT, allow_http)
            if found:
                return found
        target = accessors.url(doc, key, allow_http=allow_http)
        if target is not None and same_origin(target, actor_id, allow_http=allow_http):
            return target
    return None


def _actor_ids(doc: JSONObject, key: str, limit: int, allow_http: bool) -> tuple[str, ...]:
    found = (parse_url(value, allow_http=allow_http) for value in accessors.links(doc, key, limit))
    return tuple(dict.fromkeys(value for value in found if value is not None))


def _keys(doc: JSONObject, actor_id: str, allow_http: bool) -> tuple[KeyDocument, ...]:
    found: list[KeyDocument] = []
    for property_, owner_key, material in (
        ("publicKey", "owner", "publicKeyPem"),
        ("assertionMethod", "controller", "publicKeyMultibase"),
    ):
        for value in accessors.documents(doc, property_, vocabulary.KEY_LIMIT):
            key_id = accessors.url(value, "id", allow_http=allow_http)
            owner = accessors.url(value, owner_key, allow_http=allow_http)
            encoded = accessors.text(value, material, limit=vocabulary.KEY_CHARS)
            if key_id is None or owner != actor_id or not encoded:
                continue
            if not same_origin(key_id, actor_id, allow_http=allow_http):
                continue
            is_pem = material == "publicKeyPem"
            found.append(
                KeyDocument(key_id, owner, encoded if is_pem else None, None if is_pem else encoded)
            )
    return tuple(found[: vocabulary.KEY_LIMIT])


def _fields(doc: JSONObject) -> tuple[tuple[str, str], ...]:
    found = []
    for value in accessors.documents(doc, "attachment", vocabulary.FIELD_LIMIT):
        if not {"PropertyValue", "schema:PropertyValue"}.intersection(accessors.types(value)):
            continue
        name = accessors.text(value, "name", limit=vocabulary.NAME_CHARS)
        content = accessors.text(value, "value", limit=vocabulary.FIELD_CHARS)
        if name and content is not None:
            found.append((name, content))
    return tuple(found)


def _implements_rfc9421(doc: JSONObject) -> bool:
    """FEP-844e: capabilities of the server, on the instance actor or behind `generator`."""
    for place in (doc, accessors.document(doc, "generator") or {}):
        for value in accessors.objects(place, "implements", vocabulary.ITEM_LIMIT):
            target = value if isinstance(value, str) else value.get("href", value.get("id"))
            if (
                isinstance(target, str)
                and len(target) < 200
                and _RFC_9421.fullmatch(target.lower())
            ):
                return True
    return False


def _language(doc: JSONObject) -> str | None:
    """Lemmy's form on groups: `[{identifier, name}]`; elsewhere the tag itself."""
    for value in accessors.objects(doc, "language", 1):
        return accessors.language_tag(value if isinstance(value, str) else value.get("identifier"))
    return None
