"""What the addresses under /ap/ answer: documents, sizes and lists, and refusals (federation.md §3.6, INV-31)."""

from __future__ import annotations

from hashlib import sha256
from typing import Final

from aiohttp import web

from activitypub.contexts import with_context
from activitypub.ijson import JSONObject, dumps
from activitypub.signatures import ACCEPT_SIGNATURE_GET
from activitypub.vocabulary import CONTENT_TYPE
from fedcomm.federation.directory import KnownKey
from fedcomm.federation.visitors import Turned
from fedcomm.store.ids import parse_id

MAX_AGE_S: Final = 180
VARY: Final = "Accept, Signature, Signature-Input"


def refusal(turned: Turned) -> web.Response:
    """The answer to a fetch that was turned away."""
    headers = {"Vary": VARY, "Cache-Control": "private, no-store"}
    if turned.status == 401:
        headers["Accept-Signature"] = ACCEPT_SIGNATURE_GET
    if turned.status == 503:
        headers["Retry-After"] = "30"
    words = {404: "There is nothing here.", 410: "This was deleted."}.get(
        turned.status, str(turned)
    )
    return error(turned.status, words, headers)


def error(status: int, words: str, headers: dict[str, str] | None = None) -> web.Response:
    """A refusal in words."""
    return web.json_response({"error": words}, status=status, headers=headers)


def document(request: web.Request, content: JSONObject, *, public: bool) -> web.Response:
    """An ActivityStreams answer: exactly this content type (Lemmy compares it whole), ETag, Vary (INV-31)."""
    body = dumps(content)
    etag = f'"{sha256(body).hexdigest()[:32]}"'
    headers = {
        "Vary": VARY,
        "ETag": etag,
        "Cache-Control": f"public, max-age={MAX_AGE_S}" if public else "private, no-store",
        "Access-Control-Allow-Origin": "*",
    }
    if request.headers.get("If-None-Match") == etag:
        return web.Response(status=304, headers=headers)
    return web.Response(body=body, headers=headers | {"Content-Type": CONTENT_TYPE})


def wants_html(request: web.Request) -> bool:
    """Whether a browser asks."""
    return "text/html" in request.headers.get("Accept", "")


def page_id(request: web.Request) -> int | None:
    """Before which id the page of a collection begins."""
    return parse_id(request.query.get("before", "")) if "before" in request.query else None


def size(request: web.Request, uri: str, total: int, known: KnownKey | None) -> web.Response:
    """A collection that tells its size and nothing else (INV-18)."""
    content = with_context({"id": uri, "type": "OrderedCollection", "totalItems": total})
    return document(request, content, public=known is None)


def ordered(
    request: web.Request, uri: str, items: list[str], known: KnownKey | None
) -> web.Response:
    """A collection of ids, whole."""
    content = with_context(
        {
            "id": uri,
            "type": "OrderedCollection",
            "totalItems": len(items),
            "orderedItems": items,
        }
    )
    return document(request, content, public=known is None)
