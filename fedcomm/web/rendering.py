"""Pages from templates: one Jinja2 environment, everything escaped, nothing undefined.

An organization's folder of templates (`web.templates`) comes first, file by file; a file there may
build on ours with `{% extends "shipped/base.html" %}`. Files under `static/` work the same way.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from types import FunctionType
from typing import Any, Final

from aiohttp import hdrs, web
from jinja2 import ChoiceLoader, Environment, FileSystemLoader, PrefixLoader, StrictUndefined
from jinja2.runtime import Context, Macro

from fedcomm import i18n
from fedcomm.config import Config
from fedcomm.hub import notifications
from fedcomm.hub.events import zones
from fedcomm.resources import resource_folder
from fedcomm.settings import LOCALES
from fedcomm.store.ids import now_ms
from fedcomm.web import headers, paths, presentation
from fedcomm.web.forms import FILES_PER_FORM
from fedcomm.web.notices import NOTICES
from fedcomm.web.visits import visit_of

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

LOCALE_NAMES: Final = {"en": "English", "it": "Italiano"}

SOURCE_PATH: Final = "/source.tar.gz"
"""Where this very version's source is offered (AGPL, section 13)."""

_NOT_XML: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")


class Zones:
    """The names of all time zones in their order. They stand in six hundred files, which are looked at when a form
    first lists them."""

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(zones()))


class Page(Context):
    """The variables of a page. Calls of plain functions and macros, which are nearly all, go without the questions that
    Jinja2 asks for each: what of itself the called one wants to be passed."""

    def call(self, called: Any, /, *args: Any, **named: Any) -> Any:
        """Call a function or a macro out of a template."""
        kind = type(called)
        if kind is Macro:
            args = (self.eval_ctx, *args)
        elif kind is not FunctionType or hasattr(called, "jinja_pass_arg"):
            return super().call(called, *args, **named)
        named.pop("_block_vars", None)
        named.pop("_loop_vars", None)
        return called(*args, **named)


class Renderer:
    """The templates and static files of one hub."""

    def __init__(self, config: Config) -> None:
        shipped = resource_folder("templates")
        self.folders = [shipped]
        if config.web.templates is not None:
            self.folders.insert(0, config.web.templates)
        self._versions: dict[str, str] = {}
        self.environment = Environment(
            loader=ChoiceLoader(
                [
                    *(FileSystemLoader(folder) for folder in self.folders),
                    PrefixLoader({"shipped": FileSystemLoader(shipped)}),
                ]
            ),
            autoescape=True,
            undefined=StrictUndefined,
            extensions=["jinja2.ext.i18n"],
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=config.is_development,
        )
        self.environment.context_class = Page
        self.environment.install_gettext_callables(  # type: ignore[attr-defined]
            i18n.gettext, i18n.ngettext, newstyle=True
        )
        # In place of Jinja2's own, which copy the variables of the page for each text in a loop.
        self.environment.globals.update(
            _=presentation.translated,
            gettext=presentation.translated,
            ngettext=presentation.counted,
        )
        instance = config.instance
        self.environment.globals.update(
            instance=instance,
            origin=instance.origin,
            host=config.host,
            locales=LOCALE_NAMES,
            languages=i18n.LANGUAGES,
            limits=config.limits,
            time_zone=instance.time_zone,
            zones=Zones(),
            static=self.static_path,
            brand_css=self._own_file("static/brand.css"),
            html_of=presentation.html_of,
            summary_of=presentation.summary_of,
            field_html=presentation.field_html,
            event_times=presentation.event_times,
            group_path=paths.group_path,
            actor_path=paths.actor_path,
            object_path=paths.object_path,
            thread_path=paths.thread_path,
            iso=i18n.iso,
            in_full=i18n.in_full,
            number=i18n.number_in_words,
            join_words=i18n.join_words,
            remark_text=presentation.remark_text,
            files_per_form=FILES_PER_FORM,
            source_url=SOURCE_PATH,
        )
        assert set(LOCALE_NAMES) == set(LOCALES)

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
        return self.environment.get_template(template).render(context)

    def is_shipped(self, *templates: str) -> bool:
        """Whether the organization has none of these templates of its own."""
        return not any(map(self._own_file, templates))

    def _own_file(self, name: str) -> bool:
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
