"""Debian's Chromium under Playwright: no network but this machine's, nothing of its own sent."""

from __future__ import annotations

import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import pytest
from playwright.async_api import Browser, BrowserContext, async_playwright

from tests.web.world import World

ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
)


def find_chromium() -> str | None:
    """Where Chromium is, or None."""
    return shutil.which("chromium") or shutil.which("chromium-browser")


def require_chromium() -> str:
    """Where Chromium is; the test is skipped without one, or fails where it is required."""
    path = find_chromium()
    if path is None:
        reason = "Chromium is not installed (Debian: apt-get install chromium)"
        if os.environ.get("FEDCOMM_REQUIRE_BROWSER"):
            pytest.fail(reason)
        pytest.skip(reason)
    return path


@asynccontextmanager
async def chromium(path: str) -> AsyncIterator[Browser]:
    """A running browser."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=path, args=list(ARGUMENTS))
        try:
            yield browser
        finally:
            await browser.close()


async def let_read(world: World, name: str, locale: str) -> None:
    """The member has their pages in this language from now on."""
    async with world.site.db.transaction() as tx:
        await tx.execute(
            "UPDATE members SET locale = ? WHERE actor_id = ?", locale, world.people[name]
        )


async def context_for(
    browser: Browser,
    world: World,
    viewer: str = "",
    *,
    locale: str = "en",
    width: int = 1280,
    dark: bool = False,
    script: bool = True,
) -> BrowserContext:
    """A window of a visitor: nobody, or the member `viewer`, whose pages are in `locale`."""
    origin = world.site.origin
    cookies = {"lang": locale}
    if viewer:
        cookies.update((await world.browser(viewer)).cookies)
        await let_read(world, viewer, locale)
    context = await browser.new_context(
        base_url=origin,
        viewport={"width": width, "height": 844},
        locale="it-IT" if locale == "it" else "en-GB",
        color_scheme="dark" if dark else "light",
        java_script_enabled=script,
        reduced_motion="reduce",
    )
    await context.add_cookies(
        [
            {"name": name, "value": value, "domain": urlsplit(origin).hostname or "", "path": "/"}
            for name, value in cookies.items()
        ]
    )
    return context
