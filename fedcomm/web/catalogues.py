"""The catalogues of texts: `python -m fedcomm.web.catalogues` finds every text in code and
templates, brings the `.po` files up to date and compiles them to `.mo`.

Needs a checkout. Refusals of the hub are texts too: the sentence in `NotFound("…")` is a msgid.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from babel.messages.catalog import Catalog, Message
from babel.messages.extract import extract_from_dir
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po

from fedcomm.hub.register import REGISTER, RETENTION
from fedcomm.i18n import DOMAIN
from fedcomm.resources import resource_folder
from fedcomm.settings import LOCALES

KEYWORDS: Final[Mapping[str, tuple[int, ...] | None]] = {
    "_": None,
    "N_": None,
    "gettext": None,
    "ngettext": (1, 2),
    "HubError": None,
    "NotFound": None,
    "NotAllowed": None,
    "Invalid": (2,),
    "NoRoom": (2,),
    "Unreadable": None,
}
"""Calls whose arguments are texts; numbers say which."""

TEMPLATES: Final = [("**.html", "jinja2"), ("**.xml", "jinja2")]
CODE: Final = [
    ("web/**.py", "python"),
    ("hub/**.py", "python"),
    ("portability/**.py", "python"),
    ("processing.py", "python"),
    ("i18n.py", "python"),
]

TEMPLATE_OPTIONS: Final = {
    pattern: {"newstyle_gettext": "true", "trim_blocks": "true", "lstrip_blocks": "true"}
    for pattern, _method in TEMPLATES
}

HEAD_DATE: Final = datetime(2026, 1, 1, tzinfo=UTC)
"""A fixed date for the heads of the files."""

OTHER_TEXTS: Final = (
    "This is not a JPEG, PNG, GIF or WebP image.",
    "The image file is too large.",
    "The image has too many pixels. Make it smaller and try again.",
    "The animation has too many frames.",
    "The image could not be read. The file may be damaged.",
    "The image needs too much memory. Make it smaller and try again.",
    "The image takes too long to process. Make it smaller and try again.",
)
"""Refusals of images stand in a table (`fedcomm.hub.images`), where no call marks them."""


def extract() -> Catalog:
    """Every text that the pages can show, in the order of templates and code."""
    found = Catalog(domain=DOMAIN, project="fedcomm", charset="utf-8")
    sources: tuple[tuple[Path, list[tuple[str, str]], dict[str, dict[str, str]], str], ...] = (
        (resource_folder("templates"), TEMPLATES, TEMPLATE_OPTIONS, "templates"),
        (Path(__file__).parents[1], CODE, {}, "fedcomm"),
    )
    for folder, methods, options, prefix in sources:
        texts = extract_from_dir(
            str(folder),
            method_map=methods,
            options_map=options,
            keywords=KEYWORDS,
            comment_tags=("Translators:",),
        )
        for file, _line, message, comments, _context in texts:
            # Without line numbers: they would change with every edit of a template.
            found.add(message, locations=[(f"{prefix}/{file}", 0)], auto_comments=comments)
    for text in OTHER_TEXTS:
        found.add(text, locations=[("fedcomm/hub/images.py", 0)])
    # What the register says of each table is shown to members and printed in the record of processing.
    for text in (*(table.holds for table in REGISTER.values()), *RETENTION.values()):
        found.add(text, locations=[("fedcomm/hub/register.py", 0)])
    return found


def _headed(catalogue: Catalog) -> Catalog:
    """`catalogue` with a head that says nothing about when and where it was written, so that the
    files change only with their texts."""
    catalogue.project = "fedcomm"
    catalogue.version = "1"
    catalogue.copyright_holder = "the fedcomm authors"
    catalogue.msgid_bugs_address = ""
    catalogue.last_translator = "the fedcomm authors"
    catalogue.language_team = catalogue.locale_identifier or ""
    catalogue.header_comment = "# Texts of fedcomm. Licence: AGPL-3.0-or-later."
    catalogue.creation_date = catalogue.revision_date = HEAD_DATE
    catalogue.fuzzy = False
    return catalogue


def catalogue_path(locale: str, suffix: str) -> Path:
    """The `.po` or `.mo` file of a language."""
    return resource_folder("templates") / "locale" / locale / "LC_MESSAGES" / f"{DOMAIN}{suffix}"


def read(locale: str) -> Catalog:
    """The `.po` file of a language; an empty catalogue if there is none."""
    path = catalogue_path(locale, ".po")
    if not path.exists():
        return Catalog(locale=locale, domain=DOMAIN, project="fedcomm", charset="utf-8")
    with path.open("rb") as file:
        return read_po(file, locale=locale, domain=DOMAIN)


def compiled(catalogue: Catalog) -> bytes:
    """The `.mo` file of a catalogue."""
    buffer = io.BytesIO()
    write_mo(buffer, catalogue)
    return buffer.getvalue()


def written(catalogue: Catalog) -> bytes:
    """The `.po` file of a catalogue."""
    buffer = io.BytesIO()
    write_po(
        buffer,
        catalogue,
        width=100,
        omit_header=False,
        sort_output=True,
        include_lineno=False,
        ignore_obsolete=True,
    )
    return buffer.getvalue()


def missing(catalogue: Catalog) -> list[str]:
    """Texts without a translation, or with one that is only guessed."""
    return [
        str(message.id[0] if isinstance(message.id, tuple) else message.id)
        for message in catalogue
        if message.id and (message.fuzzy or not all(_strings(message)))
    ]


def _strings(message: Message) -> tuple[str, ...]:
    """The translations of a message: one for each plural form."""
    string = message.string
    return (string,) if isinstance(string, str) else tuple(string or ("",))


def main() -> None:
    """Bring the catalogues up to date and say what is not translated yet."""
    template = extract()
    for locale in LOCALES:
        catalogue = read(locale)
        catalogue.update(template, no_fuzzy_matching=True)
        _headed(catalogue)
        catalogue_path(locale, ".po").write_bytes(written(catalogue))
        catalogue_path(locale, ".mo").write_bytes(compiled(catalogue))
        untranslated = missing(catalogue) if locale != "en" else []
        print(f"{locale}: {len(catalogue)} texts, {len(untranslated)} not translated")
        for text in untranslated:
            print(f"  {text}")


if __name__ == "__main__":
    main()
