"""What other servers show of a document of ours, drawn from the very bytes that they get (federation.md §4.4, §5).

The rules of each kind of server are values (`peers.Look`); here they are only applied. A likeness is no screenshot:
it says what is there and what is missing.
"""

from __future__ import annotations

from collections.abc import Sequence

from activitypub import accessors
from activitypub.ijson import JSONObject, parse_object
from fedcomm.federation.peers import Look
from fedcomm.hub.previews import Likeness, Remark, RemarkCode, ShownFile
from fedcomm.hub.sanitizer import EMPTY, SafeHtml, clean_remote, text_of

NAMES = 200
"""Characters of a name that are shown."""

FILES_READ = 32
OPTIONS_READ = 32


def object_in(body: bytes, fetched: bytes | None) -> JSONObject | None:
    """The object that a server has when it got this activity: embedded, wrapped twice, or fetched by its id."""
    held = parse_object(body).get("object")
    if isinstance(held, dict) and isinstance(held.get("object"), dict):
        held = held["object"]
    if isinstance(held, dict):
        return held
    return parse_object(fetched) if isinstance(held, str) and fetched is not None else None


def draw(
    look: Look, document: JSONObject, kinds: Sequence[str], remarks: Sequence[Remark], origin: str
) -> Likeness:
    """How `document` is shown. `kinds`: what the server gets; `remarks`: what is known already."""
    drawn = _converted if document.get("type") in look.converts else _native
    title, folded, body, more = drawn(look, document, origin)
    files = _files(document)
    shown = files[: look.files] if look.files else files
    if len(shown) < len(files):
        more.append(_remark(look, "pictures_cut", limit=str(look.files)))
    if look.title_characters and len(title) > look.title_characters:
        more.append(_remark(look, "title_cut", limit=str(look.title_characters)))
    options = _options(document)
    if look.options and len(options) > look.options:
        more.append(_remark(look, "options_many", limit=str(look.options)))
    if not look.polls and any(kind.endswith("/page") for kind in kinds):
        more.append(_remark(look, "no_polls"))
    link = accessors.text(document, "url", limit=2000) or ""
    if look.file_is_link and shown:
        link = shown[0].url
    return Likeness(
        look.name,
        tuple(kinds),
        title,
        folded,
        body,
        link,
        shown,
        options,
        (*remarks, *more),
    )


def unsent(look: Look) -> Likeness:
    """Of a kind of server that would not get it."""
    nothing = EMPTY
    return Likeness(look.name, (), "", "", nothing, "", (), (), (_remark(look, "not_sent"),))


def _converted(
    look: Look, document: JSONObject, origin: str
) -> tuple[str, str, SafeHtml, list[Remark]]:
    """Title, summary and link; the content is not shown, and the summary is no warning (§4.4)."""
    title = accessors.text(document, "name", limit=NAMES * 10) or ""
    summary = clean_remote(str(document.get("summary") or ""), local_origin=origin)
    said, whole = text_of(summary), text_of(str(document.get("content") or ""))
    remarks = [_remark(look, "link_only")]
    if not said:
        remarks.append(_remark(look, "no_summary"))
    elif len(whole) > len(said) and not document.get("sensitive"):
        remarks.append(_remark(look, "summary_cut", limit=str(look.summary_characters)))
    return title, "", summary, remarks


def _native(
    look: Look, document: JSONObject, origin: str
) -> tuple[str, str, SafeHtml, list[Remark]]:
    """The text itself; microblogs show no title and fold what has a summary, others show the title."""
    remarks: list[Remark] = []
    folded = ""
    title = accessors.text(document, "name", limit=NAMES * 10) or ""
    if document.get("type") in look.warns:
        # Such a server shows no `name`; the content repeats it where there is one.
        title, folded = "", text_of(str(document.get("summary") or ""))
    body = clean_remote(str(document.get("content") or ""), local_origin=origin)
    if look.characters and len(text_of(body)) > look.characters:
        remarks.append(_remark(look, "text_cut", limit=str(look.characters)))
    return title, folded, body, remarks


def _files(document: JSONObject) -> tuple[ShownFile, ...]:
    found: list[ShownFile] = []
    for file in accessors.documents(document, "attachment", FILES_READ):
        url = accessors.text(file, "url", limit=2000)
        if url:
            kind = (accessors.text(file, "mediaType", limit=100) or "").split("/")[0]
            found.append(ShownFile(url, accessors.text(file, "name", limit=2000) or "", kind))
    return tuple(found)


def _options(document: JSONObject) -> tuple[str, ...]:
    return tuple(
        accessors.text(option, "name", limit=NAMES) or ""
        for field in ("oneOf", "anyOf")
        for option in accessors.documents(document, field, OPTIONS_READ)
    )


def _remark(look: Look, code: RemarkCode, **values: str) -> Remark:
    return Remark(code, values, look.name)
