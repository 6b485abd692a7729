"""WebFinger (RFC 7033) and host-meta (RFC 6415): from a handle to an actor (federation.md §1.1).

`!name@host` and `@name@host` are how people write groups and members; on the wire it is always
`acct:name@host`. Pure functions: fetching is the client's business.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final
from xml.parsers import expat
from xml.sax.saxutils import quoteattr

from activitypub import accessors, origins, vocabulary
from activitypub.ijson import JSONObject
from activitypub.vocabulary import AS_NAMESPACE, CONTENT_TYPE, is_activity_type

JRD_CONTENT_TYPE: Final = "application/jrd+json"
XRD_CONTENT_TYPE: Final = "application/xrd+xml"

REL_SELF: Final = "self"
REL_PROFILE: Final = "http://webfinger.net/rel/profile-page"
REL_SUBSCRIBE: Final = "http://ostatus.org/schema/1.0/subscribe"
REL_LRDD: Final = "lrdd"

MAX_XRD_CHARS: Final = 65_536
"""Longest host-meta document that is read, in characters; real ones have a few hundred."""

_MAX_NAME_CHARS = 200
# Letters and digits of any script, as Lemmy allows; dots and dashes inside only, as Mastodon does.
_NAME = re.compile(r"\w+(?:[.-]+\w+)*")
_HOST_IN_HANDLE = re.compile(r"[^/?#@\\\s]+")


@dataclass(frozen=True, slots=True)
class Acct:
    """A handle. `name` as written (compare it without case), `host` canonical, with a port if it is
    not the default one."""

    name: str
    host: str

    def __str__(self) -> str:
        return f"{self.name}@{self.host}"

    @property
    def uri(self) -> str:
        """`acct:name@host` (RFC 7565)."""
        return f"acct:{self.name}@{self.host}"


def parse_handle(text: str) -> tuple[str, str] | None:
    """Name and canonical host of `name@host`, `@name@host` or `!name@host`; None for the rest."""
    if len(text) > vocabulary.NAME_CHARS + origins.MAX_URL_CHARS:
        return None
    name, separator, authority = text.strip().removeprefix("!").removeprefix("@").rpartition("@")
    if not separator or len(name) > _MAX_NAME_CHARS or not _NAME.fullmatch(name):
        return None
    if not _HOST_IN_HANDLE.fullmatch(authority):
        return None
    host = origins.host(f"https://{authority}")
    return None if host is None else (name, host)


def parse_resource(text: str, *, allow_http: bool = False) -> Acct | str | None:
    """What the `resource` parameter asks for: a handle (`acct:` or bare, a leading `!` or `@`
    allowed), or the canonical URL of an actor or page. None for anything else."""
    url = origins.parse_url(text.strip(), allow_http=allow_http)
    if url is not None:
        return url
    bare = text.strip()
    if bare[:5].lower() == "acct:":
        bare = bare[5:]
    handle = parse_handle(bare)
    return None if handle is None else Acct(*handle)


def jrd(subject: str, aliases: Sequence[str], links: Sequence[JSONObject]) -> JSONObject:
    """A JSON Resource Descriptor (RFC 7033 §4.4)."""
    return {"subject": subject, "aliases": list(aliases), "links": list(links)}


def actor_jrd(
    acct: Acct,
    actor_id: str,
    *,
    actor_type: str | None = None,
    profile_url: str | None = None,
    subscribe_template: str | None = None,
) -> JSONObject:
    """The JRD of a local actor: profile page, remote-follow template (with `{uri}`), `self`.

    `self` stands last and alone: NodeBB takes the last such link, Mastodon wants exactly one.
    """
    links: list[JSONObject] = []
    if profile_url is not None:
        links.append({"rel": REL_PROFILE, "type": "text/html", "href": profile_url})
    if subscribe_template is not None:
        links.append({"rel": REL_SUBSCRIBE, "template": subscribe_template})
    own: JSONObject = {"rel": REL_SELF, "type": CONTENT_TYPE, "href": actor_id}
    if actor_type is not None:
        own["properties"] = {f"{AS_NAMESPACE}type": actor_type}
    links.append(own)
    aliases = [actor_id] if profile_url in (None, actor_id) else [str(profile_url), actor_id]
    return jrd(acct.uri, aliases, links)


def self_link(doc: JSONObject, *, allow_http: bool = False) -> str | None:
    """The actor id in a JRD: the first `self` link of an ActivityStreams type that is a URL."""
    for link in accessors.documents(doc, "links", vocabulary.ITEM_LIMIT):
        if accessors.text(link, "rel", limit=vocabulary.NAME_CHARS) != REL_SELF:
            continue
        if not is_activity_type(accessors.text(link, "type", limit=vocabulary.NAME_CHARS)):
            continue
        target = origins.parse_url(link.get("href"), allow_http=allow_http)
        if target is not None:
            return target
    return None


def subject(doc: JSONObject) -> Acct | None:
    """The handle that a JRD is about, or None if its subject is no `acct:` URI."""
    value = doc.get("subject")
    if not isinstance(value, str) or value[:5].lower() != "acct:":
        return None
    handle = parse_handle(value[5:])
    return None if handle is None else Acct(*handle)


def host_meta_xrd(origin: str) -> str:
    """The host-meta document of `origin` (`https://host`), which points to its WebFinger."""
    template = quoteattr(f"{origin}/.well-known/webfinger?resource={{uri}}")
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        '<XRD xmlns="http://docs.oasis-open.org/ns/xri/xrd-1.0">'
        f'<Link rel="lrdd" type="{JRD_CONTENT_TYPE}" template={template}/></XRD>\n'
    )


def lrdd_template(xrd_text: str, *, allow_http: bool = False) -> str | None:
    """The WebFinger template (a URL that holds `{uri}` once) of a host-meta document, or None.

    No tree is built, and a document type declaration ends the reading: no entity is expanded.
    """
    if len(xrd_text) > MAX_XRD_CHARS:
        return None
    templates: list[str] = []

    def start(tag: str, attributes: dict[str, str]) -> None:
        is_link = tag.rpartition(" ")[2] == "Link"
        if is_link and attributes.get("rel") == REL_LRDD and "template" in attributes:
            templates.append(attributes["template"])

    def refuse(*_: Any) -> None:
        raise ValueError("a document type declaration")

    parser = expat.ParserCreate(namespace_separator=" ")
    parser.StartElementHandler = start
    parser.StartDoctypeDeclHandler = refuse
    parser.EntityDeclHandler = refuse
    try:
        parser.Parse(xrd_text, True)
    except (expat.ExpatError, ValueError):
        return None
    for template in templates:
        if template.count("{uri}") != 1:
            continue
        before, after = template.split("{uri}")
        if "{" in before + after or "/" not in before[8:]:
            continue
        if origins.parse_url(f"{before}x{after}", allow_http=allow_http) is not None:
            return template
    return None
