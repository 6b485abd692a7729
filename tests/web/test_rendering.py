"""Templates escape everything but the sanitiser's output (INV-27)."""

from __future__ import annotations

import gc
import re
from pathlib import Path

import pytest
from jinja2 import UndefinedError

from fedcomm import i18n
from fedcomm.hub.composition import Draft
from fedcomm.hub.sanitizer import SafeHtml
from fedcomm.resources import resource_folder
from fedcomm.web import presentation
from fedcomm.web.rendering import RENDERER
from fedcomm.web.replies import Line, Replies
from fedcomm.web.templates import Page
from tests.web.world import World

ROOT = Path(__file__).parents[2]
TEMPLATES = resource_folder("templates")
EVIL = "\"'><img src=x onerror=alert(1)><script>alert(2)</script>"


def test_inv_27_no_template_switches_escaping_off() -> None:
    found = list(TEMPLATES.rglob("*.html")) + list(TEMPLATES.rglob("*.xml"))
    assert len(found) > 30
    for path in found:
        text = path.read_text("utf-8")
        for scrap in ("|safe", "| safe", "autoescape", "Markup", "|tojson"):
            assert scrap not in text, (path.name, scrap)


def test_inv_27_the_type_that_is_not_escaped_is_made_in_one_place_of_the_pages() -> None:
    makers = [
        path.name
        for path in (ROOT / "fedcomm" / "web").rglob("*.py")
        if re.search(r"\bSafeHtml\(|\bMarkup\b", path.read_text("utf-8"))
    ]
    assert makers == ["presentation.py"]


async def test_inv_27_whatever_people_call_things_is_text(world: World) -> None:
    """Every text column holds markup; no page of anybody turns it into elements."""
    async with world.site.db.transaction() as tx:
        await tx.execute("UPDATE actors SET display_name = ?, summary_source = ?", EVIL, EVIL)
        await tx.execute("UPDATE objects SET title = ?, summary = ?, source = ?", EVIL, EVIL, EVIL)
        await tx.execute("UPDATE media SET alt = ?", EVIL)
        await tx.execute("UPDATE attachments SET alt = ?", EVIL)
        await tx.execute(
            "UPDATE members SET email = ? WHERE actor_id = ?", EVIL, world.people["elsa"]
        )
    bruno, anna = await world.browser("bruno"), await world.browser("anna")
    topic = world.topics["garden"]
    board = next(name for name in world.topics if name not in ("garden", "workshop"))
    for browser, path in (
        (world.stranger(), "/"),
        (world.stranger(), "/g/garden"),
        (world.stranger(), "/g/garden/feed.atom"),
        (world.stranger(), "/@chiara"),
        (bruno, "/"),
        (bruno, "/groups"),
        (bruno, f"/o/{topic}"),
        (bruno, f"/g/{board}/t/{world.topics[board]}"),
        (bruno, f"/o/{topic}/delete"),
        (bruno, f"/o/{topic}/history"),
        (bruno, f"/o/{topic}/reply"),
        (bruno, f"/o/{world.replies['garden']}/edit"),
        (bruno, "/g/garden/manage"),
        (bruno, "/g/garden/about"),
        (bruno, "/notifications"),
        (bruno, "/following"),
        (bruno, "/settings"),
        (bruno, "/search?q=sow"),
        (anna, "/admin/members"),
    ):
        page = await browser.follow(path)
        assert page.status == 200, path
        assert "alert(1)" in page.text or path in ("/following", "/search?q=sow"), path
        assert "<img src=x" not in page.text, path
        assert "<script>alert" not in page.text, path
        assert not re.search(r"=\"[^\"<>]*\"'><img", page.text), path


async def test_inv_27_what_the_sanitiser_let_through_is_shown_as_it_is(world: World) -> None:
    topic = await world.topic(
        "garden", "dario", Draft("*fine* <script>alert(3)</script>", title="T")
    )
    page = await world.stranger().follow(f"/o/{topic}")
    assert "<em>fine</em>" in page.text
    assert "<script>alert(3)" not in page.text


async def test_only_clean_html_passes_and_undefined_names_fail_loudly(world: World) -> None:
    environment = world.client.server.app[RENDERER].environment
    template = environment.from_string("{{ a }}{{ b }}")
    assert template.render(a="<i>", b=SafeHtml("<b></b>")) == "&lt;i&gt;<b></b>"
    with pytest.raises(UndefinedError):
        template.render(a="x")
    for name in environment.list_templates(extensions=["html", "xml"]):
        environment.get_template(name)


def test_a_text_of_the_hub_is_kept_in_each_language_and_what_people_say_in_none() -> None:
    try:
        for _turn in range(2):
            for locale, said in (("en", "Reply"), ("it", "Rispondi")):
                i18n.use_locale(locale)
                assert presentation.translated("Reply") == said
                assert presentation.translated("<b>nobody's</b>") == "<b>nobody's</b>"
        kept = presentation._texts_of_ours
        assert not any(text == "<b>nobody's</b>" for _locale, text in kept)
        assert kept["it", "Reply"] == "Rispondi"
    finally:
        i18n.use_locale("en")


async def test_inv_50_a_page_lets_go_of_what_it_has_shown(world: World) -> None:
    """Not left to the collector, which comes by when much has been made: on a quiet hub in an hour or never."""
    await world.reply(world.topics["garden"], "dario", "The unsayable word.")
    stranger = world.stranger()
    path = (await stranger.get(world.thread("garden"))).location
    for _turn in range(2):
        await stranger.get(path, Authorization="none")
    gc.collect()
    gc.disable()
    try:
        page = await stranger.get(path, Authorization="none")
        left = [one for one in gc.get_objects() if isinstance(one, Replies | Line)]
        pages = [one for one in gc.get_objects() if isinstance(one, Page) and one.parent]
    finally:
        gc.enable()
    assert "unsayable" in page.text
    assert left == pages == []
