"""Pictures of all pages: `python -m tests.browser.screenshots [FOLDER] [PAGE …]`."""

from __future__ import annotations

import asyncio
import sys
import tempfile
from pathlib import Path

from fedcomm.store.schema import migrate
from tests.browser.chromium import chromium, context_for, find_chromium
from tests.browser.town import make_town, views

WIDTHS = (390, 1280)


async def take(folder: Path, only: set[str]) -> None:
    """Every page, narrow and wide, light and dark, in both languages."""
    path = find_chromium()
    if path is None:
        raise SystemExit("Chromium is not installed (Debian: apt-get install chromium)")
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as name:
        url = f"sqlite:///{name}/hub.db"
        await asyncio.to_thread(migrate, url)
        async with make_town(url, Path(name)) as world, chromium(path) as browser:
            for view in views(world):
                if only and view.title not in only:
                    continue
                for locale in ("en", "it"):
                    for width in WIDTHS:
                        dark = (locale == "it") == (width == WIDTHS[0])
                        context = await context_for(
                            browser, world, view.viewer, locale=locale, width=width, dark=dark
                        )
                        page = await context.new_page()
                        await page.goto(view.path)
                        theme = "dark" if dark else "light"
                        await page.screenshot(
                            path=folder / f"{view.title}-{locale}-{width}-{theme}.png",
                            full_page=True,
                        )
                        await context.close()
                print(view.title, flush=True)


if __name__ == "__main__":
    asyncio.run(take(Path(sys.argv[1] if len(sys.argv) > 1 else "screenshots"), set(sys.argv[2:])))
