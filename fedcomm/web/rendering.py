"""Pages from templates, and the files beside them.

An organization's folder of templates (`web.templates`) comes first, file by file; a file there may
build on ours with `{% extends "shipped/base.html" %}`. Files under `static/` work the same way.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from aiohttp import hdrs, web

from fedcomm import i18n
from fedcomm.config import Config
from fedcomm.hub import notifications
from fedcomm.resources import resource_folder
from fedcomm.store.ids import now_ms
from fedcomm.web import headers
from fedcomm.web.notices import NOTICES
from fedcomm.web.visits import visit_of

if TYPE_CHECKING:
    from jinja2 import Environment

    from fedcomm.web.templates import Page

STATIC_NAME: Final = re.compile(r"[a-z0-9-]+(?:/[a-z0-9-]+)*\.(css|js|svg|png|webp|ico|woff2)")
STATIC_TYPES: Final = {
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
    "png": "image/png",
    "webp": "image/webp",
    "ico": "image/x-icon",
    "woff2": "font/woff2",
}

SOURCE_PATH: Final = "/source.tar.gz"
"""Where this very version's source is offered (AGPL, section 13)."""

SOURCE: Final = web.AppKey("source", list[bytes])
"""The archive of it, once somebody asked."""

PAGES: Final = "_pages"
"""The variable with the list of what one rendering makes: a page for each file that is read for it."""

_NOT_XML: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")


class Renderer:
    """The templates and static files of one hub."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.folders = [resource_folder("templates")]
        if config.web.templates is not None:
            self.folders.insert(0, config.web.templates)
        self._versions: dict[str, str] = {}

    @cached_property
    def environment(self) -> Environment:
        """The template engine, with what every template may use; imported and made when something is first rendered."""
        from fedcomm.web.templates import environment

        return environment(self)

    def static_file(self, name: str) -> Path | None:
        """The static file called `name`, the organization's own first."""
        if not STATIC_NAME.fullmatch(name):
            return None
        for folder in self.folders:
            path = folder / "static" / name
            if path.is_file():
                return path
        return None

    def static_path(self, name: str) -> str:
        """The address of a static file, with its version: it can be kept for ever."""
        version = self._versions.get(name)
        if version is None:
            path = self.static_file(name)
            content = path.read_bytes() if path else b""
            version = hashlib.sha256(content).hexdigest()[:12]
            self._versions[name] = version
        return f"/static/{name}?v={version}"

    def render(self, template: str, context: Mapping[str, Any]) -> str:
        """The text of `template`."""
        pages: list[Page] = []
        try:
            return self.environment.get_template(template).render(context, **{PAGES: pages})
        finally:
            for made in pages:
                made.let_go()

    def is_shipped(self, *templates: str) -> bool:
        """Whether the organization has none of these templates of its own."""
        return not any(map(self.own_file, templates))

    def own_file(self, name: str) -> bool:
        """Whether the organization has a file of this name."""
        return any((folder / name).is_file() for folder in self.folders[:-1])


RENDERER: Final = web.AppKey("renderer", Renderer)


async def page(
    request: web.Request,
    template: str,
    context: Mapping[str, Any] | None = None,
    /,
    *,
    status: int = 200,
    public: bool = False,
    now: int | None = None,
    **values: Any,
) -> web.Response:
    """The page made from `template`.

    `public`: strangers see it just so, caches may keep it while they ask whether it is current. `now`: the time (Unix
    milliseconds) that the page says, if something was made for it before.
    """
    visit = visit_of(request)
    unread = 0
    if visit.member is not None:
        unread = await notifications.unread_count(visit.site.db, visit.member.id)
    values.update(context or {})
    now = now if now is not None else now_ms()
    values.update(
        visit=visit,
        member=visit.member,
        unread=unread,
        locale=visit.locale,
        here=request.rel_url.raw_path_qs if request.method in ("GET", "HEAD") else request.path,
        notice=NOTICES.get(request.query.get("said", "")),
        now=now,
        in_words=partial(i18n.in_words, now=now),
    )
    text = request.config_dict[RENDERER].render(template, values)
    is_public = public and visit.member is None and status == 200
    response = web.Response(
        text=text,
        status=status,
        content_type="text/html",
        headers={hdrs.CACHE_CONTROL: headers.PUBLIC if is_public else headers.PRIVATE},
    )
    response.enable_compression()
    return response


def document(request: web.Request, template: str, content_type: str, **values: Any) -> web.Response:
    """An XML document made from `template`, without characters that XML cannot hold (INV-11)."""
    text = request.config_dict[RENDERER].render(template, values)
    response = web.Response(
        text=_NOT_XML.sub("\ufffd", text),
        content_type=content_type,
        charset="utf-8",
        headers={hdrs.CACHE_CONTROL: headers.FEED},
    )
    response.enable_compression()
    return response


def see_other(path: str, said: str = "") -> web.Response:
    """After a change: look at `path`, where the notice `said` is shown."""
    if said:
        address, hash_mark, fragment = path.partition("#")
        joint = "&" if "?" in address else "?"
        path = f"{address}{joint}said={said}{hash_mark}{fragment}"
    return web.Response(status=303, headers={hdrs.LOCATION: path})
