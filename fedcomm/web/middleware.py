"""What happens around every page: headers, errors in words, the visit, and where changes may come
from."""

from __future__ import annotations

import errno
import logging
import time
import traceback
from collections.abc import Awaitable, Callable
from typing import Final

from aiohttp import hdrs, web
from aiohttp.typedefs import Middleware

from fedcomm.http import RATE_HEADERS, client_address, come_again, network_prefix, site_of
from fedcomm.hub.errors import HubError, Invalid, NotAllowed, NotFound
from fedcomm.i18n import N_, current_locale, use_locale
from fedcomm.i18n import gettext as _
from fedcomm.store import figures
from fedcomm.store.database import DatabaseError, StorageFull
from fedcomm.web import headers
from fedcomm.web.copies import copied
from fedcomm.web.rendering import RENDERER, page
from fedcomm.web.throttle import Throttle, rules_of
from fedcomm.web.visits import VISIT, begin_visit, locale_asked_for

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

THROTTLE: Final = web.AppKey("throttle", Throttle)

SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})

WITHOUT_VISIT: Final = (
    "/static/",
    "/health",
    "/ready",
    "/robots.txt",
    "/manifest.webmanifest",
    "/source",
)
"""Paths that are the same for everybody: no session is read for them."""

RETRY_SECONDS: Final = 60
"""When somebody may try again whom the database or the disk has turned away."""

NO_ROOM: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
"""What the system says when a file finds no room."""

CANNOT_WRITE: Final = NO_ROOM | {errno.EROFS, errno.EIO}

log = logging.getLogger("fedcomm.web")


def middlewares() -> list[Middleware]:
    """In the order in which they wrap each other, the outermost first."""
    return [measured, secured, visited, explained, same_origin, throttled, copied]


@web.middleware
async def measured(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Note how long the answer took, and its status."""
    started = time.perf_counter()
    status = 500
    try:
        response = await handler(request)
        status = response.status
    except web.HTTPException as exception:
        status = exception.status
        raise
    finally:
        kind = "federation" if headers.is_federation(request.path) else "page"
        figures.REQUESTS.add(kind, time.perf_counter() - started)
        figures.ANSWERS.add(str(status))
    return response


@web.middleware
async def secured(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Add the headers of security.md §5 to whatever is answered; of other spokes' answers only say
    that their type is what it says."""
    if headers.is_federation(request.path):
        try:
            response = await handler(request)
        except DatabaseError as error:
            # Other servers come again, and need no page for it.
            _note(request, error)
            response = web.json_response(
                {"error": "storage"}, status=503, headers={hdrs.RETRY_AFTER: str(RETRY_SECONDS)}
            )
        if not response.prepared:
            response.headers.setdefault("X-Content-Type-Options", "nosniff")
            response.headers[hdrs.SERVER] = "fedcomm"
        return response
    try:
        response = await handler(request)
    except web.HTTPException as exception:
        headers.add_security_headers(exception, secure=site_of(request).config.is_secure)
        raise
    except DatabaseError as error:
        response = _unavailable(request, error)
    if not response.prepared:
        headers.add_security_headers(response, secure=site_of(request).config.is_secure)
    return response


@web.middleware
async def visited(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Find out who is there."""
    if not headers.is_federation(request.path) and not request.path.startswith(WITHOUT_VISIT):
        await begin_visit(request)
    return await handler(request)


@web.middleware
async def explained(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turn refusals and failures into pages with words; never a traceback to a visitor."""
    if headers.is_federation(request.path):
        return await handler(request)
    try:
        return await handler(request)
    except web.HTTPException as exception:
        if exception.status < 400:
            raise
        extra: dict[str, str] = {
            name: exception.headers[name]
            for name in (hdrs.ALLOW, hdrs.RETRY_AFTER, *RATE_HEADERS)
            if name in exception.headers
        }
        return await _error_page(request, exception.status, "", extra)
    except NotFound:
        # What does not exist and what one may not know of look the same.
        return await _error_page(request, 404, "")
    except NotAllowed as refusal:
        return await _error_page(request, 403, refusal.message)
    except Invalid as refusal:
        return await _error_page(request, 422, refusal.message)
    except HubError as refusal:
        return await _error_page(request, 400, refusal.message)
    except DatabaseError as error:
        return _unavailable(request, error)
    except OSError as error:
        if error.errno in CANNOT_WRITE:
            return _unavailable(request, error)
        _note(request, error)
        return await _error_page(request, 500, "")
    except Exception as error:
        _note(request, error)
        return await _error_page(request, 500, "")


@web.middleware
async def same_origin(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Refuse every change that another site's page asked for (INV-28)."""
    if request.method in SAFE_METHODS or headers.is_federation(request.path):
        return await handler(request)
    site = request.headers.get("Sec-Fetch-Site")
    # Older browsers, and every browser over plain http, send the Origin alone.
    origin = request.headers.get(hdrs.ORIGIN)
    proven = site == "same-origin" if site is not None else origin == site_of(request).origin
    if not proven:
        return await _error_page(
            request,
            403,
            N_(
                "This form was not sent from a page of this site."
                " Go back, load the page again and try once more."
            ),
        )
    return await handler(request)


@web.middleware
async def throttled(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Count what is limited by network or member; the account of a log-in is counted where its
    form is read."""
    resource = request.match_info.route.resource
    canonical = resource.canonical if resource is not None else ""
    for rule in rules_of(request.method, canonical):
        key = ""
        if rule.by == "prefix":
            key = network_prefix(client_address(request))
        elif rule.by == "member":
            member = request[VISIT].member
            key = str(member.id) if member is not None else ""
        if not key:
            continue
        throttle = request.config_dict[THROTTLE]
        wait = throttle.spend(rule.limit, key)
        if wait:
            raise web.HTTPTooManyRequests(headers=come_again(wait, throttle.most(rule.limit)))
    return await handler(request)


async def _error_page(
    request: web.Request, status: int, message: str, extra: dict[str, str] | None = None
) -> web.Response:
    if VISIT not in request:
        return web.Response(text=f"{status}\n", status=status, headers=extra)
    try:
        response = await page(request, "error.html", status=status, code=status, message=_(message))
    except Exception as error:
        _note(request, error)
        return web.Response(text=_("Something went wrong here."), status=status, headers=extra)
    response.headers.update(extra or {})
    return response


def _unavailable(request: web.Request, error: Exception) -> web.Response:
    """The database does not answer, or nothing can be written: say so without asking it anything."""
    _note(request, error)
    if VISIT not in request:
        use_locale(locale_asked_for(request))
    full = isinstance(error, StorageFull) or (isinstance(error, OSError) and error.errno in NO_ROOM)
    return web.Response(
        text=request.config_dict[RENDERER].render(
            "unavailable.html",
            {
                "locale": current_locale(),
                "full": full,
                "reading": request.method in SAFE_METHODS,
                "path": request.rel_url.raw_path_qs,
            },
        ),
        status=507 if full else 503,
        content_type="text/html",
        headers={hdrs.RETRY_AFTER: str(RETRY_SECONDS)},
    )


def _note(request: web.Request, error: Exception) -> None:
    """Log where it failed. Not the message: it may quote what somebody wrote (INV-52)."""
    resource = request.match_info.route.resource
    log.error(
        "%s %s failed: %s\n%s",
        request.method,
        resource.canonical if resource is not None else "?",
        type(error).__name__,
        "".join(traceback.format_tb(error.__traceback__)),
    )
