"""Lists of policies as they travel between servers: Mastodon's CSV, Lemmy's one domain a line, plain text.

Reading never fails on a row: a row that cannot be used is kept with its line and the reason, for the
administrator to see before anything is applied.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final

from fedcomm.hub.errors import Invalid
from fedcomm.hub.policies import COMMENT_CHARACTERS, Entry, Level, normal_domain

ROWS: Final = 20_000
"""Rows of one list, as many as Mastodon takes (federation.md §9)."""

BYTES: Final = 4 * 1024 * 1024
"""Of one list."""

HEADER: Final = (
    *("#domain", "#severity", "#reject_media", "#reject_reports", "#public_comment"),
    "#obfuscate",
)
"""The first line of Mastodon's export of domain blocks."""

LEVEL_OF: Final[Mapping[str, Level]] = {
    "noop": "none",
    "none": "none",
    "queue": "queue",
    "silence": "limit",
    "limit": "limit",
    "suspend": "suspend",
}
"""What a severity of Mastodon's is here; our own words are understood as well."""

SEVERITY_OF: Final[Mapping[Level, str]] = {"none": "noop", "limit": "silence", "suspend": "suspend"}
"""What a level is at Mastodon. It has no word for `queue`."""

_TRUE = frozenset({"true", "1", "yes", "t"})
SHOWN_CHARACTERS: Final = 100


def N_(message: str) -> str:
    """Mark a text for the catalogues; it is translated when it is shown."""
    return message


OBFUSCATED: Final = N_("Part of the name is hidden by the list's author, so it names no server.")
NO_SEVERITY: Final = N_("This severity is unknown here.")
TWICE: Final = N_("This server stands in the list already.")
OURSELVES: Final = N_("This is our own server.")
ASKS_NOTHING: Final = N_("It asks for nothing.")


@dataclass(frozen=True, slots=True)
class RefusedRow:
    """A row that cannot be used. `line` counts from 1."""

    line: int
    text: str
    reason: str


@dataclass(frozen=True, slots=True)
class Blocklist:
    """What a list says, by domain."""

    entries: Mapping[str, Entry]
    refused: tuple[RefusedRow, ...]


@dataclass(frozen=True, slots=True)
class Difference:
    """A list compared with what holds. `changed`: (before, after); `gone`: came from this list, which
    does not name it any more."""

    new: tuple[Entry, ...]
    changed: tuple[tuple[Entry, Entry], ...]
    same: int
    gone: tuple[Entry, ...]
    refused: tuple[RefusedRow, ...]

    @property
    def is_empty(self) -> bool:
        return not (self.new or self.changed or self.gone)


def read(
    body: bytes, *, level: Level = "suspend", own_host: str = "", source: str = ""
) -> Blocklist:
    """Read a list in any of the forms. `level`: of rows that name no severity.

    Raises Invalid for what is no list at all: not UTF-8, too long, too many rows.
    """
    if len(body) > BYTES:
        raise Invalid("list", "The list is too long.")
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Invalid("list", "The list is not UTF-8 text.") from error
    entries: dict[str, Entry] = {}
    refused: list[RefusedRow] = []
    for count, (line, cells) in enumerate(_rows(text), 1):
        if count > ROWS:
            raise Invalid("list", "The list has too many rows.")
        try:
            entry = _entry(cells, level, source)
            if entry.domain in entries:
                raise Invalid("domain", TWICE)
            if own_host and entry.domain in (own_host, own_host.partition(":")[0]):
                raise Invalid("domain", OURSELVES)
        except Invalid as error:
            shown = _clean(cells.get("domain", ""))[:SHOWN_CHARACTERS]
            refused.append(RefusedRow(line, shown, error.message))
        else:
            entries[entry.domain] = entry
    return Blocklist(entries, tuple(refused))


def difference(current: Mapping[str, Entry], found: Blocklist, *, source: str = "") -> Difference:
    """What applying the list would change. `source`: the subscription, whose own entries may go again.

    A comment that is only ours, and an expiry, stay with a changed entry.
    """
    new: list[Entry] = []
    changed: list[tuple[Entry, Entry]] = []
    same = 0
    for domain, entry in found.entries.items():
        known = current.get(domain)
        if known is None:
            new.append(entry)
        elif _agree(known, entry):
            same += 1
        else:
            after = replace(
                entry, private_comment=known.private_comment, expires_at=known.expires_at
            )
            changed.append((known, after))
    gone = [
        known
        for domain, known in current.items()
        if source and known.source == source and domain not in found.entries
    ]
    return Difference(tuple(new), tuple(changed), same, tuple(gone), found.refused)


def _agree(known: Entry, entry: Entry) -> bool:
    """Whether a list says what holds already."""
    letters = known.obfuscate if entry.obfuscate is None else entry.obfuscate
    return (known.policy, known.public_comment, known.obfuscate) == (
        entry.policy,
        entry.public_comment,
        letters,
    )


def changes(found: Difference, *, keep_existing: bool = False) -> dict[str, Entry | None]:
    """The entries to set so that the difference is gone. `keep_existing`: add only what is new."""
    wanted: dict[str, Entry | None] = {entry.domain: entry for entry in found.new}
    if not keep_existing:
        wanted.update({after.domain: after for _before, after in found.changed})
        wanted.update({entry.domain: None for entry in found.gone})
    return wanted


def as_csv(entries: Iterable[Entry]) -> str:
    """Entries in Mastodon's form, names whole: `#obfuscate` says which are shown to others with letters left out.

    What waits for a decision is left out: Mastodon has no word for it.
    """
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(HEADER)
    for entry in entries:
        severity = SEVERITY_OF.get(entry.level)
        if severity is None or not (entry.level != "none" or _has_flags(entry)):
            continue
        flags = [_word(flag) for flag in (entry.reject_media, entry.reject_reports)]
        letters = _word(bool(entry.obfuscate))
        writer.writerow((entry.domain, severity, *flags, entry.public_comment, letters))
    return out.getvalue()


def as_lines(entries: Iterable[Entry], level: Level = "suspend") -> str:
    """The domains of one level, one a line: Lemmy's form, and plain text."""
    return "".join(f"{entry.domain}\n" for entry in entries if entry.level == level)


def as_allow_list(entries: Iterable[Entry]) -> str:
    """The domains that are allowed, in Mastodon's form for limited federation."""
    return f"{HEADER[0]}\n{as_lines(entries, 'none')}"


def _word(flag: bool) -> str:
    return "true" if flag else "false"


def _has_flags(entry: Entry) -> bool:
    return entry.reject_media or entry.reject_reports


def _rows(text: str) -> Iterator[tuple[int, dict[str, str]]]:
    """(line, cells by column) of everything that is not empty and no comment."""
    first = next((line for line in text.splitlines() if line.strip()), "")
    columns = _columns(first)
    if columns is None and "," not in first:
        for number, line in enumerate(text.splitlines(), 1):
            domain = line.partition("#")[0].strip()
            if domain:
                yield number, {"domain": domain}
        return
    reader = csv.reader(io.StringIO(text))
    before = 0
    header = columns is not None
    names = columns or tuple(name.removeprefix("#") for name in HEADER)
    try:
        for cells in reader:
            number, before = before + 1, reader.line_num
            if not any(cell.strip() for cell in cells):
                continue
            if header:
                header = False
                continue
            if cells[0].lstrip().startswith("#"):
                continue
            yield number, dict(zip(names, (cell.strip() for cell in cells), strict=False))
    except csv.Error as error:
        raise Invalid("list", "The list is not CSV.") from error


def _columns(line: str) -> tuple[str, ...] | None:
    """The names of the columns, if the line is a header."""
    cells = next(csv.reader([line]), [])
    names = tuple(cell.strip().lower().removeprefix("#") for cell in cells)
    return names if "domain" in names else None


def _entry(cells: Mapping[str, str], level: Level, source: str) -> Entry:
    name = cells.get("domain", "")
    if "*" in name:
        raise Invalid("domain", OBFUSCATED)
    severity = cells.get("severity", "").lower()
    found = LEVEL_OF.get(severity) if severity else level
    if found is None:
        raise Invalid("severity", NO_SEVERITY)
    entry = Entry(
        normal_domain(name),
        found,
        cells.get("reject_media", "").lower() in _TRUE,
        cells.get("reject_reports", "").lower() in _TRUE,
        _clean(cells.get("public_comment", ""))[:COMMENT_CHARACTERS],
        source=source,
        obfuscate=cells["obfuscate"].lower() in _TRUE if cells.get("obfuscate") else None,
    )
    if found == "none" and level != "none" and not _has_flags(entry):
        # As an entry it would put the server on the list of those that are allowed.
        raise Invalid("severity", ASKS_NOTHING)
    return entry


def _clean(text: str) -> str:
    """Words of somebody else on one line, without what PostgreSQL, a page or a terminal stumbles over."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())
