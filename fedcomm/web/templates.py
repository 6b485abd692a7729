"""The template engine: one Jinja2 environment, everything escaped, nothing undefined."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import FunctionType
from typing import TYPE_CHECKING, Any, Final

from jinja2 import ChoiceLoader, Environment, FileSystemLoader, PrefixLoader, StrictUndefined
from jinja2.runtime import Context, Macro

from fedcomm import i18n
from fedcomm.hub.events import zones
from fedcomm.settings import LOCALES
from fedcomm.web import paths, presentation
from fedcomm.web.bytecode import compiled
from fedcomm.web.forms import FILES_PER_FORM
from fedcomm.web.rendering import PAGES, SOURCE_PATH

if TYPE_CHECKING:
    from fedcomm.web.rendering import Renderer

LOCALE_NAMES: Final = {"en": "English", "it": "Italiano"}


class Zones:
    """The names of all time zones in their order. They stand in six hundred files, which are looked at when a form
    first lists them."""

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(zones()))


class Page(Context):
    """The variables of a page. Calls of plain functions and macros, which are nearly all, go without the questions that
    Jinja2 asks for each: what of itself the called one wants to be passed.

    A page and its macros hold each other, and with them everything that the page shows, until the collector comes by.
    So whoever renders passes a list as `PAGES`, and lets go of what stands in it.
    """

    def __init__(
        self, environment: Environment, parent: dict[str, Any], *args: Any, **named: Any
    ) -> None:
        super().__init__(environment, parent, *args, **named)
        pages = parent.get(PAGES)
        if pages is not None:
            pages.append(self)

    def let_go(self) -> None:
        """The page is made: nothing is asked of it any more."""
        for held in (self.vars, self.parent, self.blocks):
            held.clear()

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


def environment(renderer: Renderer) -> Environment:
    """The engine for one hub's templates, with what each of them may use."""
    config = renderer.config
    made = Environment(
        loader=ChoiceLoader(
            [
                *(FileSystemLoader(folder) for folder in renderer.folders),
                PrefixLoader({"shipped": FileSystemLoader(renderer.folders[-1])}),
            ]
        ),
        autoescape=True,
        undefined=StrictUndefined,
        extensions=["jinja2.ext.i18n"],
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=config.is_development,
    )
    if made.bytecode_cache is None:
        made.bytecode_cache = compiled(config, Path(__file__))
    made.context_class = Page
    made.install_gettext_callables(  # type: ignore[attr-defined]
        i18n.gettext, i18n.ngettext, newstyle=True
    )
    # In place of Jinja2's own, which copy the variables of the page for each text in a loop.
    made.globals.update(
        _=presentation.translated,
        gettext=presentation.translated,
        ngettext=presentation.counted,
    )
    instance = config.instance
    made.globals.update(
        instance=instance,
        origin=instance.origin,
        host=config.host,
        locales=LOCALE_NAMES,
        languages=i18n.LANGUAGES,
        limits=config.limits,
        time_zone=instance.time_zone,
        zones=Zones(),
        static=renderer.static_path,
        brand_css=renderer.own_file("static/brand.css"),
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
    return made
