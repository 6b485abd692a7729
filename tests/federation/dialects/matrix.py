"""The matrix in FEDERATION.md: what each peer does and gets, as `test_matrix.py` walks it.

`python -m tests.federation.dialects.matrix` writes it anew.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from tests.federation.dialects.catalogue import DIALECTS
from tests.federation.dialects.dialect import Dialect
from tests.federation.dialects.outward import GIFTS, Gift
from tests.federation.dialects.rows import ANSWERS, GROUPS, MODERATION, PEOPLE, ROWS, WORDS, Row

DOCUMENT: Final = Path(__file__).parents[3] / "FEDERATION.md"
BEGIN: Final = "<!-- the matrix is written by tests/federation/dialects/matrix.py -->\n"
END: Final = "<!-- end of the matrix -->\n"

TABLES: Final = (
    (PEOPLE, "People"),
    (WORDS, "What they write"),
    (ANSWERS, "What they answer without words"),
    (MODERATION, "What their people do as moderators of a group of ours, and what they report"),
    (GROUPS, "What groups of theirs tell a member who follows them"),
)

NOT_TOLD: Final = "not told"


class Notes:
    """Reasons, numbered in the order in which they are first needed."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}

    def number(self, reason: str) -> int:
        return self._numbers.setdefault(reason, len(self._numbers) + 1)

    def lines(self) -> Iterator[str]:
        for reason, number in self._numbers.items():
            yield f"{number}. {reason}"


def matrix() -> str:
    """All tables, and the notes below them."""
    notes = Notes()
    parts = []
    for table, title in TABLES:
        rows = [row for row in ROWS if row.table == table]
        parts += [f"**{title}**\n", *_table([row.title for row in rows], rows, notes), ""]
    parts += ["**What they get from us**\n", *_gifts(notes), "", *notes.lines()]
    return "\n".join(parts) + "\n"


def cell(dialect: type[Dialect], row: Row, notes: Notes) -> str:
    """One word for what happens; a dash and a note for what the peer does not do; a cross for what fails here."""
    reason = dialect.absent.get(row.name)
    if reason is not None:
        return f"— [{notes.number(reason)}]"
    flaw = dialect.flaws.get(row.name)
    if flaw is not None:
        return f"✗ {flaw[0]} [{notes.number(flaw[1])}]"
    return f"✓ {dialect.words.get(row.name, row.word)}"


def _table(titles: list[str], rows: list[Row], notes: Notes) -> Iterator[str]:
    yield "| | " + " | ".join(titles) + " |"
    yield "| --- |" + " --- |" * len(titles)
    for dialect in DIALECTS:
        cells = " | ".join(cell(dialect, row, notes) for row in rows)
        yield f"| {dialect.title} | {cells} |"


def _gifts(notes: Notes) -> Iterator[str]:
    """Peers stand together that get the same in all respects."""
    alike: dict[tuple[tuple[str, ...], ...], list[str]] = {}
    for dialect in DIALECTS:
        forms = tuple(gift.expected(dialect) for gift in GIFTS)
        alike.setdefault(forms, []).append(dialect.title)
    yield "| | " + " | ".join("; ".join(titles) for titles in alike.values()) + " |"
    yield "| --- |" + " --- |" * len(alike)
    for number, gift in enumerate(GIFTS):
        yield (
            f"| {gift.title} | " + " | ".join(_given(gift, forms[number]) for forms in alike) + " |"
        )


def _given(gift: Gift, forms: tuple[str, ...]) -> str:
    return ", ".join(f"`{_nested(form)}`" for form in forms) or NOT_TOLD


def _nested(form: str) -> str:
    """`Announce/Create/Page` as `Announce{Create{Page}}`."""
    outer, _, inner = form.partition("/")
    return f"{outer}{{{_nested(inner)}}}" if inner else outer


def with_matrix(text: str) -> str:
    """The document with the matrix of today."""
    head, _, rest = text.partition(BEGIN)
    _, _, tail = rest.partition(END)
    return f"{head}{BEGIN}\n{matrix()}\n{END}{tail}"


if __name__ == "__main__":
    DOCUMENT.write_text(with_matrix(DOCUMENT.read_text("utf-8")), "utf-8")
