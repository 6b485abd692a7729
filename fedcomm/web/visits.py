"""Who is looking at a page: the session's member, the language, and what the gate calls them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

from aiohttp import web

from fedcomm.config import Config
from fedcomm.http import site_of
from fedcomm.hub import sessions
from fedcomm.hub.errors import NotAllowed
from fedcomm.hub.members import Member
from fedcomm.hub.visibility import ANONYMOUS, Viewer, member
from fedcomm.i18n import negotiate, use_locale
from fedcomm.settings import LOCALES
from fedcomm.site import Site

LANGUAGE_COOKIE: Final = "lang"
YEAR_SECONDS: Final = 365 * 86_400


@dataclass(frozen=True, slots=True)
class Visit:
    """One request as the pages see it. `session` is the token of the member's session."""

    site: Site
    member: Member | None
    session: str | None
    locale: str

    @property
    def viewer(self) -> Viewer:
        """Whom the gate is asked about."""
        return ANONYMOUS if self.member is None else member(self.member.id)

    @property
    def is_administrator(self) -> bool:
        return self.member is not None and self.member.role == "administrator"


VISIT: Final = web.RequestKey("visit", Visit)


def locale_asked_for(request: web.Request) -> str:
    """The language of whoever is not known, or cannot be looked up now."""
    chosen = request.cookies.get(LANGUAGE_COOKIE, "")
    if chosen in LOCALES:
        return chosen
    return negotiate(
        request.headers.get("Accept-Language", ""),
        site_of(request).config.instance.default_locale,
    )


def visit_of(request: web.Request) -> Visit:
    """The visit of this request."""
    return request[VISIT]


def cookie_name(config: Config) -> str:
    """`__Host-` ties the cookie to this very host over https; browsers refuse it on plain http.

    There the port is part of the name, since browsers give one cookie to all ports of a host.
    """
    return "__Host-session" if config.is_secure else f"session-{config.host.rpartition(':')[2]}"


async def begin_visit(request: web.Request) -> Visit:
    """Read who is there, and speak their language from here on."""
    site = site_of(request)
    token = request.cookies.get(cookie_name(site.config))
    person = None
    if token and len(token) <= 100:
        limits = site.config.sessions
        person = await sessions.member_of_session(
            site.db, token, idle_days=limits.idle_days, absolute_days=limits.absolute_days
        )
    locale = person.locale if person is not None else locale_asked_for(request)
    use_locale(locale)
    visit = Visit(site, person, token if person else None, locale)
    request[VISIT] = visit
    return visit


def signed_in(request: web.Request) -> Member:
    """The member who is signed in; others are led to the log-in page and back, or refused."""
    person = visit_of(request).member
    if person is not None:
        return person
    if request.method in ("GET", "HEAD"):
        raise web.HTTPSeeOther(login_path(request))
    # A session may end while somebody writes: the words are still in their browser.
    raise NotAllowed(
        "You are not logged in any more. Log in in another window, then go back and send this again."
    )


def login_path(request: web.Request) -> str:
    """The log-in page that leads back here."""
    return f"/login?next={quote(request.rel_url.raw_path_qs, safe='/')}"


def administrator(request: web.Request) -> Member:
    """The signed-in administrator; refuses everybody else."""
    person = signed_in(request)
    if person.role != "administrator":
        raise web.HTTPForbidden()
    return person


def start_session(response: web.StreamResponse, config: Config, token: str) -> None:
    """Hand the session to the browser (security.md §5)."""
    response.set_cookie(
        cookie_name(config),
        token,
        max_age=int(config.sessions.absolute_days * 86_400),
        path="/",
        secure=config.is_secure,
        httponly=True,
        samesite="Lax",
    )


def forget_session(response: web.StreamResponse, config: Config) -> None:
    """Take the session from the browser."""
    response.del_cookie(
        cookie_name(config), path="/", secure=config.is_secure, httponly=True, samesite="Lax"
    )
