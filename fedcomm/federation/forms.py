"""Forms that a rendered document takes: with a poll or a quote in it, without files, or as a `Page` for those who know
neither polls nor events (federation.md §5.3, §5.5)."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from typing import Final

from activitypub.ijson import JSONObject
from fedcomm.federation.calendar import without_event
from fedcomm.federation.moments import iso
from fedcomm.hub.ballots import Poll
from fedcomm.hub.threads import Thing

OBJECT_LINK_TYPE: Final = 'application/ld+json; profile="https://www.w3.org/ns/activitystreams"'
"""The media type that makes a Link one to an object (FEP-e232)."""


@dataclass(frozen=True, slots=True)
class Quoted:
    """What a post of ours quotes: its id (None: it was deleted), its page, and the stamp once there is one."""

    uri: str | None
    url: str = ""
    stamp: str | None = None


def as_question(document: JSONObject, poll: Poll, thing: Thing) -> JSONObject:
    """The document with the poll in it (§5.3). Microblogs show no `name`: `content` repeats it.

    As on a Note, the summary is a warning and nothing else."""
    content = str(document["content"])
    if thing.title:
        content = f"<p><strong>{escape(thing.title)}</strong></p>{content}"
    kept = {key: value for key, value in document.items() if key not in ("summary", "preview")}
    question: JSONObject = kept | {
        "type": "Question",
        "content": content,
        "anyOf" if poll.multiple else "oneOf": [
            {
                "type": "Note",
                "name": option.name,
                "replies": {"type": "Collection", "totalItems": option.votes},
            }
            for option in poll.options
        ],
        "votersCount": poll.voters,
    }
    if "contentMap" in document:
        question["contentMap"] = dict.fromkeys(document["contentMap"], content)
    if thing.summary:
        question["summary"] = thing.summary
    if poll.ends_at is not None:
        question["endTime"] = iso(poll.ends_at)
    if poll.closed_at is not None:
        question["closed"] = iso(poll.closed_at)
    return question


def quotation(document: JSONObject, quoted: Quoted) -> JSONObject:
    """What a quoting document has besides (§5.5): FEP-044f, the older names, a FEP-e232 link, and a visible link for
    those who know none of them."""
    if quoted.uri is None:
        return {"quote": {"type": "Tombstone"}}
    url = quoted.url or quoted.uri
    shown = f'<p class="quote-inline">RE: <a href="{escape(url)}">{escape(url)}</a></p>'
    more: JSONObject = {
        "content": f"{document['content']}{shown}",
        "source": document["source"]
        | {"content": f"{document['source']['content']}\n\nRE: <{url}>".lstrip()},
        "quote": quoted.uri,
        "quoteUrl": quoted.uri,
        "quoteUri": quoted.uri,
        "_misskey_quote": quoted.uri,
        "tag": [
            *document["tag"],
            {
                "type": "Link",
                "mediaType": OBJECT_LINK_TYPE,
                "href": quoted.uri,
                "rel": "https://misskey-hub.net/ns#_misskey_quote",
                "name": f"RE: {url}",
            },
        ],
    }
    if "contentMap" in document:
        more["contentMap"] = dict.fromkeys(document["contentMap"], more["content"])
    if quoted.stamp is not None:
        more["quoteAuthorization"] = quoted.stamp
    return more


def as_page(document: JSONObject) -> JSONObject:
    """A `Question` or `Event` for those who know none: a `Page` under the same id, the options as a list, time and
    place above the words."""
    if document.get("type") == "Event":
        return without_event(document)
    options = document.get("oneOf") or document.get("anyOf")
    if document.get("type") != "Question" or not options:
        return document
    poll_keys = ("oneOf", "anyOf", "endTime", "closed", "votersCount")
    page = {key: value for key, value in document.items() if key not in poll_keys}
    items = "".join(f"<li>{escape(str(option['name']))}</li>" for option in options)
    link = escape(str(document["url"]))
    page["type"] = "Page"
    page["content"] = f'{document["content"]}<ul>{items}</ul><p><a href="{link}">{link}</a></p>'
    if "contentMap" in page:
        page["contentMap"] = dict.fromkeys(page["contentMap"], page["content"])
    # Its reader makes the post from Markdown where there is any.
    page.pop("source", None)
    return page


def without_files(document: JSONObject) -> JSONObject:
    """The document with what its pictures show, in words, instead of their addresses: files of a private group
    are for those who are logged in here, and other servers fetch files without saying who they are."""
    shown = [str(file.get("name") or "") for file in document.get("attachment", [])]
    if not shown:
        return document
    lines = "".join(f"<p>\N{FRAME WITH PICTURE} {escape(name)}</p>" for name in shown)
    words: JSONObject = document | {"attachment": [], "content": f"{document['content']}{lines}"}
    if "contentMap" in document:
        words["contentMap"] = dict.fromkeys(document["contentMap"], words["content"])
    if "source" in document:
        text = "".join(f"\n\n\N{FRAME WITH PICTURE} {name}" for name in shown)
        words["source"] = document["source"] | {"content": f"{document['source']['content']}{text}"}
    return words
