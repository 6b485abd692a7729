"""All pages in a real browser: nothing from elsewhere, nothing in the console, nothing that axe
finds, nothing wider than a small phone, and everything done by keyboard and without a script."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import axe_core_python
import pytest
import pytest_asyncio
from playwright.async_api import Browser, BrowserContext, Page, Request

from tests.browser.chromium import context_for, let_read
from tests.browser.town import View, views
from tests.web.world import PASSWORD, World, picture_bytes

pytestmark = pytest.mark.asyncio(loop_scope="module")

AXE = (Path(axe_core_python.__file__).parent / "axe.min.js").read_text("utf-8")
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]


class Watch:
    """What a window asked for and complained about."""

    def __init__(self, context: BrowserContext) -> None:
        self.requests: list[str] = []
        self.complaints: list[str] = []
        context.on("request", self._asked)
        context.on("console", lambda message: self._said(message.type, message.text))
        context.on("weberror", lambda error: self.complaints.append(str(error.error)))

    def _asked(self, request: Request) -> None:
        self.requests.append(request.url)

    def _said(self, kind: str, text: str) -> None:
        # Chromium writes a line for every page with a status of 400 or more.
        if kind in ("error", "warning") and "Failed to load resource" not in text:
            self.complaints.append(text)


async def axe(page: Page) -> list[str]:
    """What axe-core finds, one line per kind of fault."""
    await page.evaluate(AXE)
    result: dict[str, Any] = await page.evaluate(
        "tags => axe.run(document, {runOnly: {type: 'tag', values: tags}})", RULES
    )
    return [
        f"{fault['id']}: {fault['help']} — {fault['nodes'][0]['html'][:160]}"
        f" ({fault['nodes'][0].get('failureSummary', '')[:200]})"
        for fault in result["violations"]
    ]


async def open_all(page: Page) -> None:
    """Unfold everything, so that it is looked at too."""
    await page.evaluate(
        "document.querySelectorAll('main details').forEach(part => { part.open = true })"
    )


@pytest.mark.parametrize(
    ("locale", "width", "dark"), [("it", 390, True), ("en", 1280, False)], ids=["phone", "desktop"]
)
async def test_every_page_is_accessible_quiet_and_talks_to_us_only(
    browser: Browser, town: World, locale: str, width: int, dark: bool
) -> None:
    found: dict[str, list[str]] = {}
    by_viewer: dict[str, list[View]] = {}
    for view in views(town):
        by_viewer.setdefault(view.viewer, []).append(view)
    for viewer, seen in by_viewer.items():
        context = await context_for(browser, town, viewer, locale=locale, width=width, dark=dark)
        watch = Watch(context)
        page = await context.new_page()
        for view in seen:
            response = await page.goto(view.path)
            assert response is not None
            assert response.status == view.status, view.title
            assert await page.get_attribute("html", "lang") == locale, view.title
            await open_all(page)
            if faults := await axe(page):
                found[f"{view.title} ({viewer or 'stranger'})"] = faults
        hosts = {urlsplit(url).netloc for url in watch.requests}
        assert hosts == {urlsplit(town.site.origin).netloc}, "a request to somebody else"
        assert watch.complaints == []
        await context.close()
    assert found == {}


async def test_axe_finds_faults_where_there_are_some(browser: Browser, town: World) -> None:
    context = await context_for(browser, town)
    page = await context.new_page()
    await page.goto("/")
    await page.evaluate("document.querySelector('.brand img').removeAttribute('alt')")
    assert [fault for fault in await axe(page) if fault.startswith("image-alt")]
    await context.close()


SMALL_PARTS = """() => [...document.querySelectorAll(
    'button, .button, select, summary, textarea, nav a, .menu a,'
    + ' input:not([type=hidden]):not([type=checkbox]):not([type=radio])')]
  .filter(element => element.checkVisibility())
  .filter(element => element.getBoundingClientRect().height < 43.5)
  .map(element => element.outerHTML.slice(0, 100))"""
"""What is to be touched and lower than 44 pixels."""


@dataclass(frozen=True)
class Measured:
    """A page on a phone of 320 pixels: how wide it is, and what on it is too small for fingers."""

    view: str
    width: int
    small: list[str]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def small_phone(browser: Browser, town: World) -> list[Measured]:
    """Every page in both languages, looked at once for all tests that measure."""
    found = []
    for viewer in sorted({view.viewer for view in views(town)}):
        for locale in ("en", "it"):
            context = await context_for(browser, town, viewer, locale=locale, width=320)
            page = await context.new_page()
            for view in views(town):
                if view.viewer == viewer:
                    await page.goto(view.path)
                    await open_all(page)
                    width = await page.evaluate("document.documentElement.scrollWidth")
                    small = await page.evaluate(SMALL_PARTS)
                    found.append(Measured(f"{view.title} {locale}", width, small))
            await context.close()
    return found


async def test_nothing_is_wider_than_a_small_phone(small_phone: list[Measured]) -> None:
    assert [(page.view, page.width) for page in small_phone if page.width > 320] == []


async def test_buttons_and_fields_are_large_enough_for_fingers(small_phone: list[Measured]) -> None:
    assert [(page.view, page.small) for page in small_phone if page.small] == []


@pytest.mark.parametrize("script", [True, False], ids=["with-script", "without-script"])
async def test_a_member_does_everything_by_keyboard(
    browser: Browser, town: World, script: bool
) -> None:
    """Log in, find the group, open a topic, answer it, like it, edit it, delete it, log out."""
    title = f"Kitchen herbs {'with' if script else 'without'}"
    await let_read(town, "elsa", "en")
    context = await context_for(browser, town, locale="en", script=script)
    page = await context.new_page()
    await page.goto("/")
    await page.keyboard.press("Tab")
    assert await focused(page) == "Skip to the content"
    await page.keyboard.press("Enter")
    await reach(page, "a", "Log in")
    await enter(page)
    await page.wait_for_url("**/login**")

    await reach(page, "input", "name")
    await page.keyboard.type("elsa")
    await page.keyboard.press("Tab")
    await page.keyboard.type(PASSWORD)
    await enter(page)
    await page.wait_for_url(f"{town.site.origin}/")

    await reach(page, "a", "Groups")
    await enter(page)
    await reach(page, "a", "The garden")
    await enter(page)
    await reach(page, "a", "New topic")
    await enter(page)
    await reach(page, "input", "title")
    await page.keyboard.type(title)
    await page.keyboard.press("Tab")
    await page.keyboard.type("Basil, *sage*, thyme.")
    await reach(page, "button", "Publish")
    await enter(page)
    await page.wait_for_url("**/t/**")
    assert await page.inner_text("h1") == title
    assert "Posted." in await page.inner_text("[role=status]")

    await reach(page, "textarea", "text")
    await page.keyboard.type("And chives.")
    await reach(page, "button", "Reply")
    await enter(page)
    await page.wait_for_url("**#r*")
    assert "And chives." in await page.inner_text("main")
    await reach(page, "button", "Like")
    await enter(page)
    await page.wait_for_load_state()
    assert await page.locator("button.action[aria-pressed=true]").count() == 1

    await page.goto(page.url.partition("#")[0])
    await reach(page, "summary", "More")
    await page.keyboard.press("Enter")
    await reach(page, "a", "Edit")
    await enter(page)
    await reach(page, "input", "title")
    await page.keyboard.press("Control+A")
    await page.keyboard.type(f"{title}, edited")
    await reach(page, "button", "Save")
    await enter(page)
    await page.wait_for_url("**/t/**")
    assert await page.inner_text("h1") == f"{title}, edited"

    await reach(page, "summary", "More")
    await page.keyboard.press("Enter")
    await reach(page, "a", "Delete")
    await enter(page)
    await reach(page, "button", "Delete")
    await enter(page)
    await page.wait_for_url("**/g/garden?said=deleted")
    assert title not in await page.inner_text("main")

    await reach(page, "summary", "Elsa")
    await page.keyboard.press("Enter")
    await reach(page, "button", "Log out")
    await enter(page)
    await page.wait_for_url("**/?said=goodbye")
    await context.close()


async def test_a_picture_is_added_with_its_description(
    browser: Browser, town: World, tmp_path: Path
) -> None:
    file = tmp_path / "leaf.png"
    file.write_bytes(picture_bytes("#228833", (400, 300)))
    context = await context_for(browser, town, "chiara", locale="it")
    page = await context.new_page()
    await page.goto("/g/garden/new")
    await page.fill("#title", "Una foglia")
    await page.fill("#text", "Guarda.")
    await page.click("details.extras > summary")
    await page.set_input_files("#file_0", file)
    await page.fill("#new_alt_0", "Una foglia verde")
    await page.click("text=Anteprima")
    assert await page.locator("img[alt='Una foglia verde']").count() == 1
    await page.click("text=Pubblica")
    await page.wait_for_url("**/t/**")
    image = page.locator(".pictures img")
    assert await image.get_attribute("alt") == "Una foglia verde"
    assert await image.evaluate("image => image.decode().then(() => image.naturalWidth)") > 0
    await context.close()


async def test_focus_is_always_visible_and_never_under_the_bars(
    browser: Browser, town: World
) -> None:
    context = await context_for(browser, town, "chiara", width=390)
    page = await context.new_page()
    await page.goto(f"/o/{town.topics['pictures']}")
    for _step in range(60):
        await page.keyboard.press("Tab")
        state = await page.evaluate(
            """() => {
                const element = document.activeElement;
                if (!element || element === document.body) return null;
                const box = element.getBoundingClientRect();
                const style = getComputedStyle(element);
                const at = document.elementFromPoint(
                    box.left + Math.min(box.width, 20) / 2, box.top + Math.min(box.height, 20) / 2);
                const covered = at && at.closest('nav.main, header.site')
                    && !element.closest('nav.main, header.site');
                return {html: element.outerHTML.slice(0, 80), outline: style.outlineStyle,
                        covered: Boolean(covered)};
            }"""
        )
        if state is None:
            break
        assert state["outline"] != "none", state
        assert not state["covered"], state
    await context.close()


async def enter(page: Page) -> None:
    """Press Enter and wait for the page that it leads to."""
    async with page.expect_navigation():
        await page.keyboard.press("Enter")


async def focused(page: Page) -> str:
    """The text of what has the focus."""
    return str(await page.evaluate("document.activeElement.innerText || ''")).strip()


async def reach(page: Page, tag: str, name: str) -> None:
    """Press Tab until the focus is on the element: by its text, or a field by its name."""
    await page.wait_for_load_state()
    for _step in range(150):
        found = await page.evaluate(
            """([tag, name]) => {
                const element = document.activeElement;
                if (!element || element.tagName.toLowerCase() !== tag) return false;
                if (['input', 'textarea', 'select'].includes(tag)) return element.name === name;
                return element.innerText.trim().startsWith(name);
            }""",
            [tag, name],
        )
        if found:
            return
        await page.keyboard.press("Tab")
    raise AssertionError(f"the keyboard never reaches <{tag}> {name} on {page.url}")


async def test_sound_and_video_play_from_here_without_a_script(
    browser: Browser, town: World
) -> None:
    """What was blanked in the files does not keep a browser from playing and seeking."""
    context = await context_for(browser, town, "chiara")
    watch = Watch(context)
    page = await context.new_page()
    await page.goto(f"/o/{town.topics['files']}")
    players = page.locator("video, audio")
    assert await players.count() == 3
    boxes = [await player.bounding_box() for player in await players.all()]
    assert not any(
        "/media/" in url and url.endswith((".mp4", ".webm", ".ogg")) for url in watch.requests
    )
    facts = await players.evaluate_all(
        """players => Promise.all(players.map(player => new Promise((done, failed) => {
            player.muted = true
            player.addEventListener('error', () => failed(player.currentSrc), true)
            player.addEventListener('seeked', () => done([player.duration, player.currentTime,
                player.videoWidth || 0]), {once: true})
            player.addEventListener('loadeddata', () => { player.currentTime = 0.5 }, {once: true})
            player.preload = 'auto'
            player.load()
        })))"""
    )
    for (length, at, width), wide in zip(facts, (64, 64, 0), strict=True):
        assert 0.9 < length < 1.3 and 0.4 < at < 0.6 and width == wide
    assert [await player.bounding_box() for player in await players.all()] == boxes
    image = page.locator("img.emoji").first
    assert await image.get_attribute("alt") == ":foglia:"
    assert not watch.complaints
    assert {urlsplit(url).netloc for url in watch.requests} == {urlsplit(page.url).netloc}
    await context.close()
