"""Languages: which one a visitor gets, and how it writes times."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from babel.dates import format_date, format_datetime, format_timedelta
from hypothesis import given
from hypothesis import strategies as st

from fedcomm import i18n
from fedcomm.settings import LOCALES

HOUR = 3_600_000
NOW = 1_800_000_000_000


@pytest.fixture(autouse=True)
def _english_again() -> Iterator[None]:
    yield
    i18n.use_locale("en")


@pytest.mark.parametrize(
    ("header", "locale"),
    [
        ("", "en"),
        ("it", "it"),
        ("it-IT,it;q=0.9,en;q=0.8", "it"),
        ("fr,de;q=0.9", "en"),
        ("en;q=0.3,it;q=0.7", "it"),
        ("it;q=0,en", "en"),
        ("it;q=x", "en"),
        ("IT", "it"),
        ("*", "en"),
        (";;;,,,q=", "en"),
        ("it" + ",xx" * 10_000, "it"),
    ],
)
def test_the_browser_says_which_language_it_likes(header: str, locale: str) -> None:
    assert i18n.negotiate(header, "en") == locale


def test_times_are_told_in_words_for_a_week_and_then_as_dates() -> None:
    assert i18n.in_words(NOW - 10_000, NOW) == "just now"
    assert i18n.in_words(NOW - 3 * HOUR, NOW) == "3 hours ago"
    assert i18n.in_words(NOW + 2 * HOUR, NOW) == "in 2 hours"
    assert i18n.in_words(NOW - 30 * 24 * HOUR, NOW) == "December 16, 2026"
    i18n.use_locale("it")
    assert i18n.in_words(NOW - 10_000, NOW) == "proprio ora"
    assert i18n.in_words(NOW - 3 * HOUR, NOW) == "3 ore fa"
    assert i18n.in_words(NOW - 30 * 24 * HOUR, NOW) == "16 dicembre 2026"
    assert i18n.in_full(NOW) == "15 gennaio 2027, 08:00 UTC"


def test_machines_get_rfc_3339() -> None:
    assert i18n.iso(NOW) == "2027-01-15T08:00:00Z"


def test_plurals_and_lists_follow_the_language() -> None:
    assert i18n.ngettext("%(num)s reply", "%(num)s replies", 1) % {"num": 1} == "1 reply"
    assert i18n.join_words(["a", "b", "c"]) == "a, b, and c"
    i18n.use_locale("it")
    assert i18n.ngettext("%(num)s reply", "%(num)s replies", 2) % {"num": 2} == "2 risposte"
    assert i18n.join_words(["a", "b", "c"]) == "a, b e c"
    assert i18n.number_in_words(12345) == "12.345"


def test_an_unknown_language_is_english() -> None:
    i18n.use_locale("tlh")
    assert i18n.current_locale() == "en"
    assert i18n.gettext("No such text anywhere") == "No such text anywhere"
    assert i18n.gettext("") == ""


@given(
    ago=st.integers(min_value=-i18n.RECENT_MS + 1, max_value=i18n.RECENT_MS - 1),
    now=st.integers(min_value=10**12, max_value=4 * 10**12),
    locale=st.sampled_from(sorted(LOCALES)),
)
def test_times_are_remembered_as_they_would_be_said(ago: int, now: int, locale: str) -> None:
    i18n.use_locale(locale)
    at = datetime.fromtimestamp((now + ago) / 1000, UTC)
    assert i18n.in_full(now + ago) == format_datetime(at, "d MMMM y, HH:mm", locale=locale) + " UTC"
    if abs(ago) >= 45_000:
        delta = timedelta(milliseconds=ago)
        said = format_timedelta(delta, add_direction=True, threshold=0.95, locale=locale)
        assert i18n.in_words(now + ago, now) == said
    long_ago = now - 2 * i18n.RECENT_MS
    day = format_date(datetime.fromtimestamp(long_ago / 1000, UTC), "long", locale=locale)
    assert i18n.in_words(long_ago, now) == day
