"""NodeInfo 2.0 and 2.1 (FEP-f1d5, FEP-0151, FEP-2677; federation.md §1.2)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from activitypub import accessors, vocabulary
from activitypub.ijson import JSONObject
from activitypub.origins import parse_url, same_origin

Version: TypeAlias = Literal["2.0", "2.1"]

SCHEMA_2_0: Final = "http://nodeinfo.diaspora.software/ns/schema/2.0"
SCHEMA_2_1: Final = "http://nodeinfo.diaspora.software/ns/schema/2.1"
REL_APPLICATION: Final = "https://www.w3.org/ns/activitystreams#Application"
"""The instance actor, found through NodeInfo (FEP-2677)."""

_PREFERRED: Final = (SCHEMA_2_1, SCHEMA_2_0)
_SOFTWARE_NAME = re.compile(r"[a-z0-9-]+")


@dataclass(frozen=True, slots=True)
class Software:
    """What runs the server. `name` matches `[a-z0-9-]+`; the addresses are for schema 2.1 only."""

    name: str
    version: str
    repository: str | None = None
    homepage: str | None = None


@dataclass(frozen=True, slots=True)
class Usage:
    """Counts that a server tells; None withholds one (FEP-0151)."""

    users: int | None = None
    active_month: int | None = None
    active_half_year: int | None = None
    posts: int | None = None
    comments: int | None = None


def content_type(version: Version) -> str:
    """The Content-Type of a NodeInfo document, with its schema as profile."""
    return f'application/json; profile="http://nodeinfo.diaspora.software/ns/schema/{version}#"'


def well_known(origin: str, *, application: str | None = None) -> JSONObject:
    """`/.well-known/nodeinfo` of `origin`: both schemas, and the instance actor's id."""
    links = [
        {"rel": SCHEMA_2_0, "href": f"{origin}/nodeinfo/2.0"},
        {"rel": SCHEMA_2_1, "href": f"{origin}/nodeinfo/2.1"},
    ]
    if application is not None:
        links.append({"rel": REL_APPLICATION, "href": application})
    return {"links": links}


def document(
    version: Version,
    software: Software,
    usage: Usage,
    *,
    open_registrations: bool,
    metadata: JSONObject | None = None,
) -> JSONObject:
    """A NodeInfo document. `metadata` is free-form (`nodeName`, `nodeDescription`, …)."""
    program: JSONObject = {"name": software.name, "version": software.version}
    if version == "2.1":
        # Schema 2.0 forbids additional properties here.
        program |= _present(repository=software.repository, homepage=software.homepage)
    return {
        "version": version,
        "software": program,
        "protocols": ["activitypub"],
        "services": {"inbound": [], "outbound": []},
        "openRegistrations": open_registrations,
        "usage": {
            "users": _present(
                total=usage.users,
                activeMonth=usage.active_month,
                activeHalfyear=usage.active_half_year,
            ),
            **_present(localPosts=usage.posts, localComments=usage.comments),
        },
        "metadata": dict(metadata or {}),
    }


def pick_schema(doc: JSONObject, origin: str, *, allow_http: bool = False) -> str | None:
    """The best document that `/.well-known/nodeinfo` links to, on the same origin only."""
    for schema in _PREFERRED:
        target = _linked(doc, schema, origin, allow_http)
        if target is not None:
            return target
    return None


def application_actor(doc: JSONObject, origin: str, *, allow_http: bool = False) -> str | None:
    """The id of the instance actor (FEP-2677), on the same origin only."""
    return _linked(doc, REL_APPLICATION, origin, allow_http)


def read_software(doc: JSONObject) -> tuple[str, str] | None:
    """Name (lower case: NodeBB writes capitals) and version of the software, or None.

    What a server claims to be; features are learned otherwise (FEP-0151).
    """
    software = accessors.document(doc, "software")
    if software is None:
        return None
    name = accessors.text(software, "name", limit=vocabulary.NAME_CHARS)
    version = accessors.text(software, "version", limit=vocabulary.NAME_CHARS)
    if name is None or not _SOFTWARE_NAME.fullmatch(name.lower()):
        return None
    return name.lower(), version or ""


def _linked(doc: JSONObject, rel: str, origin: str, allow_http: bool) -> str | None:
    for link in accessors.documents(doc, "links", vocabulary.ITEM_LIMIT):
        if accessors.text(link, "rel", limit=vocabulary.NAME_CHARS) != rel:
            continue
        target = parse_url(link.get("href"), allow_http=allow_http)
        if target is not None and same_origin(target, origin, allow_http=allow_http):
            return target
    return None


def _present(**values: int | str | None) -> JSONObject:
    return {name: value for name, value in values.items() if value is not None}
