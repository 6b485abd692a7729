"""My data as a member uses it: found, read, decided, taken along and erased; by keyboard alone, on a phone, in both
languages. Every step says what will happen before it happens."""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.async_api import Browser, Page

from fedcomm import access_files
from fedcomm.hub import consents, erasure
from tests.browser.chromium import context_for
from tests.browser.test_pages import enter, reach
from tests.web.test_my_data import reached
from tests.web.world import World

pytestmark = pytest.mark.asyncio(loop_scope="module")

PHONE = 390


@dataclass(frozen=True)
class Speech:
    """What is said on the way, in one language."""

    locale: str
    member: str
    settings: str
    my_data: str
    servers: str
    went: str
    withdraw: str
    will_ask: str
    stays: str
    copy: str
    download: str
    would: str
    cannot_be_undone: str
    sure: str
    goodbye: str
    receipt: str


ENGLISH = Speech(
    "en", "elsa", "Settings", "My data", "See which servers", "Where my words went", "Withdraw",
    "is asked to delete it", "stays here", "Make a file for me", "Download",
    "What erasing would do", "This cannot be undone", "Erase my account for good", "Goodbye",
    "Receipt of an erasure",
)  # fmt: skip
ITALIAN = Speech(
    "it", "dario", "Impostazioni", "I miei dati", "Vedi quali server", "Dove sono andate le mie parole",
    "Ritira", "viene chiesto di eliminarlo", "resta qui", "Prepara un file per me", "Scarica",
    "Che cosa farebbe la cancellazione", "Non si può annullare", "Cancella il mio account per sempre",
    "Addio", "Ricevuta di una cancellazione",
)  # fmt: skip


@pytest.mark.parametrize("speech", [ENGLISH, ITALIAN], ids=["english", "italian"])
async def test_a_member_finds_reads_decides_takes_along_and_erases_by_keyboard_on_a_phone(
    browser: Browser, town: World, tmp_path: Path, speech: Speech
) -> None:
    me = town.people[speech.member]
    await reached(town, me, "mastodon.example")
    context = await context_for(browser, town, speech.member, locale=speech.locale, width=PHONE)
    page = await context.new_page()

    # Find: from any page, through the menu.
    await page.goto("/")
    await page.keyboard.press("Tab")
    await reach(page, "summary", speech.member.title())
    await page.keyboard.press("Enter")
    await reach(page, "a", speech.settings)
    await enter(page)
    await reach(page, "a", speech.my_data)
    await enter(page)
    assert await page.inner_text("h1") == speech.my_data
    await fits(page)

    # Read.
    await reach(page, "a", speech.servers)
    await enter(page)
    assert await page.inner_text("h1") == speech.went
    assert "mastodon.example" in await page.inner_text("main")
    await fits(page)
    await reach(page, "a", speech.my_data)
    await enter(page)

    # Decide: first what it will do, then it is done.
    await reach(page, "a", speech.withdraw)
    await enter(page)
    told = await page.inner_text("main")
    assert speech.will_ask in told and "mastodon.example" in told
    assert await town.site.consent.allows(town.site.db, me, "activitypub")
    await fits(page)
    await reach(page, "button", speech.withdraw)
    await enter(page)
    assert speech.stays in await page.inner_text("main")
    assert not await town.site.consent.allows(town.site.db, me, "activitypub")
    assert len(await consents.decisions(town.site.db, me)) == 1

    # Take along.
    await reach(page, "button", speech.copy)
    await enter(page)
    await access_files.proceed(town.site)
    await page.reload()
    await reach(page, "a", speech.download)
    async with page.expect_download() as started:
        await page.keyboard.press("Enter")
    file = tmp_path / "data.zip"
    await (await started.value).save_as(file)
    with zipfile.ZipFile(file) as archive:
        read = archive.read("index.html").decode()
    assert f'lang="{speech.locale}"' in read and f"{speech.member}@hub.test" in read

    # Erase: what goes, what stays, who is asked; then a box, and the button.
    await reach(page, "a", speech.would)
    await enter(page)
    told = await page.inner_text("main")
    assert speech.cannot_be_undone in told and "mastodon.example" in told
    await fits(page)
    assert await erasure.case_of(town.site.db, me) is None
    await reach(page, "input", "sure")
    await page.keyboard.press("Space")
    await reach(page, "button", speech.sure)
    await enter(page)
    assert await page.inner_text("h1") == speech.goodbye
    assert await erasure.case_of(town.site.db, me) is not None
    await fits(page)
    await reach(page, "a", f"{town.site.origin}/erasures/")
    await enter(page)
    assert await page.inner_text("h1") == speech.receipt
    assert speech.member not in (await page.inner_text("main")).lower()
    await fits(page)
    await context.close()


async def fits(page: Page) -> None:
    """Nothing is wider than the phone."""
    width = await page.evaluate("document.documentElement.scrollWidth")
    assert width <= PHONE, f"{page.url} is {width} wide"
