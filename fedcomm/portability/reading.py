"""The page of a parcel that people read: everything that its tables hold, in words, without any program but a browser.

It is made from the tables in the parcel itself, so that nobody reads less than a machine does.
"""

from __future__ import annotations

import asyncio
import zipfile
from collections.abc import Iterator
from html import escape
from pathlib import Path
from typing import IO, Final

from fedcomm.hub.register import REGISTER
from fedcomm.i18n import N_, current_locale, in_full, number_in_words
from fedcomm.i18n import gettext as _
from fedcomm.portability import formats, parcels, scopes
from fedcomm.portability.tables import Record, Table
from fedcomm.store.database import Database

PAGE: Final = "index.html"
SMALLEST_MOMENT: Final = 946_684_800_000
"""Numbers in columns of times are Unix ms; smaller ones (the year 2000) mean something else."""


LABELS: Final = {
    "name": N_("Name"),
    "display_name": N_("Name that others see"),
    "email": N_("E-mail address"),
    "title": N_("Title"),
    "source": N_("Text as it was written"),
    "html": N_("Text as it is shown"),
    "summary": N_("Content warning"),
    "summary_source": N_("About the person"),
    "language": N_("Language"),
    "visibility": N_("Who can see it"),
    "created_at": N_("Made"),
    "published_at": N_("Published"),
    "edited_at": N_("Changed"),
    "deleted_at": N_("Deleted"),
    "seen_at": N_("Last seen"),
    "first_at": N_("First"),
    "last_at": N_("Last"),
    "decided_at": N_("Decided"),
    "group_id": N_("Group"),
    "author_id": N_("Author"),
    "actor_id": N_("Person"),
    "host_id": N_("Server"),
    "alt": N_("Description"),
    "file": N_("File"),
    "role": N_("Role"),
    "locale": N_("Language of the pages"),
    "reason": N_("Reason"),
    "granted": N_("Granted"),
    "spoke": N_("Channel"),
    "kind": N_("Kind"),
    "state": N_("State"),
}
"""What common columns are called; others keep the name that the data dictionary explains."""

HEAD: Final = """<!doctype html>
<html lang="{lang}"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>body{{font:1rem/1.5 system-ui,sans-serif;max-width:48rem;margin:0 auto;padding:1rem}}
dl{{border-top:1px solid #999;padding:.5rem 0;margin:0}}dt{{font-weight:600}}
dd{{margin:0 0 .3rem;overflow-wrap:anywhere;white-space:pre-wrap}}summary{{cursor:pointer;padding:.5rem 0}}
img{{max-width:12rem;height:auto}}</style></head><body><h1>{title}</h1>
"""


async def add_page(db: Database, parcel: Path, name: str, hub: str) -> None:
    """Add the page to a parcel in the format JSON, in the language that is spoken now."""
    found = [part.table for part in await scopes.parts(db, "person")] + [scopes.PEOPLE]
    await asyncio.to_thread(_add, parcel, found, name, hub)


def _add(parcel: Path, tables: list[Table], name: str, hub: str) -> None:
    with zipfile.ZipFile(parcel) as source:
        people: dict[object, str] = {
            row[scopes.PEOPLE.names.index("id")]: _called(row)
            for row in _rows(source, scopes.PEOPLE)
        }
        hosts = _hosts(source, tables)
        media = {entry.removeprefix("media/") for entry in source.namelist()}
        title = _("What %(hub)s holds about %(name)s") % {"hub": hub, "name": name}
        page = parcel.with_suffix(".html")
        try:
            with page.open("w", encoding="utf-8") as out:
                out.write(HEAD.format(title=escape(title), lang=current_locale()))
                out.write(f"<p>{escape(_(ABOUT))}</p>\n")
                for table in tables:
                    _section(out, source, table, {"people": people, "hosts": hosts}, media)
                out.write("</body></html>\n")
            with zipfile.ZipFile(parcel, "a", zipfile.ZIP_DEFLATED) as target:
                info = zipfile.ZipInfo(PAGE, parcels.EARLIEST)
                info.compress_type, info.external_attr = zipfile.ZIP_DEFLATED, 0o600 << 16
                with page.open("rb") as written, target.open(info, "w", force_zip64=True) as entry:
                    while data := written.read(1 << 18):
                        entry.write(data)
        finally:
            page.unlink(missing_ok=True)


ABOUT: Final = N_(
    "The same, for programs, is in the folder tables. What belongs to others is not in it: of them only their public"
    " names stand here, where they are part of your own data."
)


def _section(
    out: IO[str],
    source: zipfile.ZipFile,
    table: Table,
    names: dict[str, dict[object, str]],
    media: set[str],
) -> None:
    entry = REGISTER.get(table.name)
    about = entry.holds if entry is not None else scopes.PEOPLE_HOLDS
    count = sum(1 for _row in _rows(source, table))
    if not count:
        return
    out.write(f"<h2>{escape(_sentence(_(about)))}</h2>\n")
    out.write(
        f"<details{' open' if count <= 20 else ''}>"
        f"<summary>{escape(table.name)}: {number_in_words(count)}</summary>\n"
    )
    for row in _rows(source, table):
        out.write("<dl>")
        for name, cell in zip(table.names, row, strict=True):
            shown = _shown(name, cell, names, media)
            if shown:
                label = LABELS.get(name)
                out.write(
                    f"<dt>{escape(_(label) if label else name.replace('_', ' '))}</dt><dd>{shown}</dd>"
                )
        out.write("</dl>\n")
    out.write("</details>\n")


def _shown(column: str, cell: object, names: dict[str, dict[object, str]], media: set[str]) -> str:
    """A cell as HTML; empty for what says nothing."""
    if cell is None or cell == "":
        return ""
    if column.endswith("_at") and isinstance(cell, int) and cell > SMALLEST_MOMENT:
        return escape(in_full(cell))
    if column == "host_id" and cell in names["hosts"]:
        return escape(names["hosts"][cell])
    if column.endswith("_id") and cell in names["people"]:
        return escape(names["people"][cell])
    if column == "file" and cell in media:
        address = escape(f"media/{cell}", quote=True)
        return f'<a href="{address}">{escape(str(cell))}</a>'
    return escape(str(cell))


def _rows(source: zipfile.ZipFile, table: Table) -> Iterator[Record]:
    try:
        file = source.open(f"tables/{table.name}{formats.SUFFIX['json']}")
    except KeyError:
        return
    with file:
        yield from formats.reader("json", table, file)


def _hosts(source: zipfile.ZipFile, tables: list[Table]) -> dict[object, str]:
    for table in tables:
        if table.name == "hosts":
            number, name = table.names.index("id"), table.names.index("name")
            return {row[number]: str(row[name]) for row in _rows(source, table)}
    return {}


def _called(row: Record) -> str:
    cells = dict(zip(scopes.PEOPLE.names, row, strict=True))
    address = f"@{cells['name']}" + (f"@{cells['host']}" if cells["host"] else "")
    return f"{cells['display_name']} ({address})" if cells["display_name"] else address


def _sentence(words: str) -> str:
    return words[:1].upper() + words[1:]
