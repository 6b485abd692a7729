"""Languages of the pages: which one a visitor gets, its texts, and how it writes dates.

Texts are gettext catalogues (`templates/locale`), English sentences being the msgids. The language
of the request in hand is a context variable, so that templates and code need not pass it around.
Everything here is about the words of the hub itself, never about what members write.
"""

from __future__ import annotations

import gettext as _gettext
from collections.abc import Iterable
from contextvars import ContextVar
from datetime import UTC, datetime, timedelta
from functools import cache, lru_cache
from typing import Final

from fedcomm.resources import resource_folder
from fedcomm.settings import LOCALES

DOMAIN: Final = "fedcomm"

RECENT_MS: Final = 7 * 86_400_000
"""Times that are not longer ago than this are told in words: "3 hours ago"."""

MINUTE_MS: Final = 60_000
DAY_MS: Final = 86_400_000

TIMES_KEPT: Final = 4_096
"""Times that are remembered as they were said, of each kind."""

LANGUAGES: Final[dict[str, str]] = {
    "ar": "العربية", "bg": "Български", "bn": "বাংলা", "ca": "Català", "cs": "Čeština",
    "da": "Dansk", "de": "Deutsch", "el": "Ελληνικά", "en": "English", "eo": "Esperanto",
    "es": "Español", "et": "Eesti", "eu": "Euskara", "fa": "فارسی", "fi": "Suomi",
    "fr": "Français", "fur": "Furlan", "ga": "Gaeilge", "gl": "Galego", "he": "עברית",
    "hi": "हिन्दी", "hr": "Hrvatski", "hu": "Magyar", "id": "Bahasa Indonesia", "it": "Italiano",
    "ja": "日本語", "ko": "한국어", "lt": "Lietuvių", "lv": "Latviešu", "mt": "Malti",
    "nb": "Norsk bokmål", "nl": "Nederlands", "pl": "Polski", "pt": "Português", "ro": "Română",
    "ru": "Русский", "sc": "Sardu", "sk": "Slovenčina", "sl": "Slovenščina", "sq": "Shqip",
    "sr": "Српски", "sv": "Svenska", "tr": "Türkçe", "uk": "Українська", "ur": "اردو",
    "vi": "Tiếng Việt", "zh": "中文",
}  # fmt: skip
"""Languages that a post can be marked with, by their own names."""


def N_(message: str) -> str:
    """Mark a text for the catalogues; it is translated when it is shown."""
    return message


_current: ContextVar[str] = ContextVar("locale", default="en")


def use_locale(locale: str) -> None:
    """Speak `locale` for the rest of this request."""
    _current.set(locale if locale in LOCALES else LOCALES[0])


def current_locale() -> str:
    """The language of the request in hand."""
    return _current.get()


@cache
def catalogue(locale: str) -> _gettext.NullTranslations:
    """The texts of `locale`; English where a text is missing."""
    folder = resource_folder("templates") / "locale"
    return _gettext.translation(DOMAIN, folder, [locale], fallback=True)


def gettext(message: str) -> str:
    """`message` in the language of the request."""
    return catalogue(_current.get()).gettext(message) if message else ""


def ngettext(singular: str, plural: str, number: int) -> str:
    """`singular` or `plural`, as `number` wants it, in the language of the request."""
    return catalogue(_current.get()).ngettext(singular, plural, number)


def is_translated(message: str) -> bool:
    """Whether some language has other words for it: then it is a text of the hub's."""
    return any(catalogue(locale).gettext(message) != message for locale in LOCALES)


def negotiate(accept_language: str, default: str) -> str:
    """The language of ours that an Accept-Language header likes best (RFC 9110 §12.5.4)."""
    wanted: list[tuple[float, int, str]] = []
    for position, part in enumerate(accept_language.split(",")[:20]):
        tag, _, parameter = part.strip().partition(";")
        primary = tag.strip().lower().split("-")[0]
        try:
            quality = float(parameter.strip().removeprefix("q=") or "1")
        except ValueError:
            continue
        if primary in LOCALES and quality > 0:
            wanted.append((-quality, position, primary))
    return min(wanted)[2] if wanted else default


def iso(at_ms: int) -> str:
    """Unix milliseconds as RFC 3339 in UTC, for `<time datetime>` and feeds."""
    return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def in_words(at_ms: int, now: int) -> str:
    """A time as people say it: "3 hours ago" for a week, then the date."""
    ago = at_ms - now
    if abs(ago) < 45_000:
        return gettext("just now")
    if abs(ago) < RECENT_MS:
        return _ago(ago // 1000, _current.get())
    return _date(at_ms // DAY_MS, _current.get())


def in_full(at_ms: int) -> str:
    """A time with its date, in UTC."""
    return _minute(at_ms // MINUTE_MS, _current.get())


# A page of two hundred posts says four hundred times, most of them again and again. Babel's tables cost start-up time
# and memory: they are read when the first date is shown.


@lru_cache(maxsize=TIMES_KEPT)
def _ago(seconds: int, locale: str) -> str:
    from babel.dates import format_timedelta

    return format_timedelta(
        timedelta(seconds=seconds), add_direction=True, threshold=0.95, locale=locale
    )


@lru_cache(maxsize=TIMES_KEPT)
def _date(day: int, locale: str) -> str:
    from babel.dates import format_date

    return format_date(datetime.fromtimestamp(day * DAY_MS / 1000, UTC), "long", locale=locale)


@lru_cache(maxsize=TIMES_KEPT)
def _minute(minute: int, locale: str) -> str:
    from babel.dates import format_datetime

    at = datetime.fromtimestamp(minute * MINUTE_MS / 1000, UTC)
    return format_datetime(at, "d MMMM y, HH:mm", locale=locale) + " UTC"


def on_clock(at: datetime, *, weekday: bool = True, date: bool = True) -> str:
    """A date and time as a clock somewhere shows it; with `date` off only the time."""
    from babel.dates import format_datetime

    pattern = ("EEEE " if weekday else "") + "d MMMM y, HH:mm" if date else "HH:mm"
    return format_datetime(at.replace(tzinfo=None), pattern, locale=_current.get())


def number_in_words(value: int) -> str:
    """A whole number with the separators of the language."""
    from babel.numbers import format_decimal

    return format_decimal(value, locale=_current.get())


def join_words(words: Iterable[str]) -> str:
    """A list as the language writes it: "a, b and c"."""
    from babel.lists import format_list

    return format_list(list(words), locale=_current.get())
