"""People who were erased here, in what others go on saying of them (INV-50).

When somebody is erased, what stands here loses their name (`fedcomm.hub.neutralising`). What comes later is a new text,
or an edit of an old one, whose server still has the name: it loses it before it is stored.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import chain

from activitypub.documents import ObjectDocument
from activitypub.origins import host as host_of
from activitypub.webfinger import parse_handle
from fedcomm.federation.addresses import Addresses
from fedcomm.hub import actors, erasure
from fedcomm.hub.composition import Content
from fedcomm.hub.neutralising import Person
from fedcomm.hub.sanitizer import clean_remote, text_of
from fedcomm.store.database import Transaction


async def mentioned(
    tx: Transaction, document: ObjectDocument, addresses: Addresses, *, allow_http: bool
) -> list[Person]:
    """Whom the document mentions and who was erased here, or is being erased."""
    named: dict[tuple[str, str], list[erasure.Name]] = {}
    for tag in document.tags:
        if tag.type == "Mention" and tag.href is not None:
            named[tag.href, tag.name] = (
                [("handle", name) for name in _names_here(tag.href, tag.name, addresses)]
                if addresses.is_ours(tag.href)
                else [("actor", tag.href)]
            )
    asked = list(chain.from_iterable(named.values()))
    # Asked once for all whom it mentions: there is somebody in most answers.
    gone = await erasure.erased(tx, *asked) if asked else {}
    found = []
    for (href, said), names in named.items():
        erased = next((name for name in names if name in gone), None)
        if addresses.is_ours(href):
            person = await _of_ours(tx, href, erased[1] if erased else None, addresses)
        else:
            person = await _elsewhere(
                tx, href, said, addresses, is_erased=erased is not None, allow_http=allow_http
            )
        if person is not None:
            found.append(person)
    return found


def without(content: Content, people: Sequence[Person]) -> Content:
    """The content without their names and without links to them."""
    if not people:
        return content
    html, gone = str(content.html), content
    for person in people:
        html = person.without_link(html, is_local=False)
        gone = replace(
            gone,
            title=person.without_name(gone.title),
            source=person.without_name(gone.source),
            summary=person.without_name(gone.summary),
            attachments=tuple(
                replace(file, alt=person.without_name(file.alt)) for file in gone.attachments
            ),
        )
    # Clean already; pictures lead through our proxy.
    clean = clean_remote(html, media_proxy=lambda url: url, local_origin=people[0].local_origin)
    return replace(gone, html=clean, plain=text_of(clean))


def _names_here(href: str, said: str, addresses: Addresses) -> list[str]:
    """What somebody of ours may have been called: by the words of the mention, and by where it leads."""
    page = href.removeprefix(f"{addresses.origin}/@") if "/@" in href else ""
    return [name for name in dict.fromkeys((_name_in(said), page)) if name]


async def _of_ours(
    tx: Transaction, href: str, erased: str | None, addresses: Addresses
) -> Person | None:
    """`erased`: the name of theirs that was erased, if one was."""
    own_host = addresses.origin.split("://", 1)[1]
    if erased is not None:
        return _person(erased, own_host, href, addresses, f"{addresses.origin}/@{erased}")
    number = addresses.local_actor(href)
    if number is None:
        return None
    actor = await actors.actor(tx, number)
    if actor is None or not actor.is_local or actor.deleted_at is None:
        return None
    # The name is there until the very end of the erasure, and then its pseudonym is.
    return _person(actor.name, own_host, href, addresses, f"{addresses.origin}/@{actor.name}")


async def _elsewhere(
    tx: Transaction,
    href: str,
    said: str,
    addresses: Addresses,
    *,
    is_erased: bool,
    allow_http: bool,
) -> Person | None:
    host = host_of(href, allow_http=allow_http)
    if host is None:
        return None
    if is_erased:
        known = await actors.actor_by_uri(tx, href)
        # Somebody who has come back is no absentee.
        return _person(_name_in(said), host, href, addresses) if known is None else None
    known = await actors.actor_by_uri(tx, href)
    if known is None or known.deleted_at is None:
        return None
    if await erasure.case_of(tx, known.id) is None:
        return None
    return _person(known.name, host, href, addresses, known.url or "")


def _person(name: str, host: str, href: str, addresses: Addresses, page: str = "") -> Person:
    links = frozenset(address.lower() for address in (href, page) if address)
    return Person(name, host, links, addresses.origin)


def _name_in(said: str) -> str:
    """The name in the text of a mention: `@anna`, `@anna@hub.example`."""
    handle = parse_handle(said)
    if handle is not None:
        return handle[0]
    return said.lstrip("@!").partition("@")[0]
