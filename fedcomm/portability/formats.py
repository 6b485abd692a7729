"""One table in one file: JSON (one object a line), CSV, or XML. Each can say everything that a row can hold.

What is empty is not the empty text: JSON has `null`; CSV writes `\\N` and doubles the backslash of a text that begins
with one; XML leaves the cell out. XML 1.0 has no control characters: a text with one is in base64 and says so.
"""

from __future__ import annotations

import base64
import csv
import io
import json
import math
import re
from collections.abc import Callable, Iterator
from typing import IO, Final, Literal
from xml.parsers import expat
from xml.sax.saxutils import escape, quoteattr

from fedcomm.portability.tables import Cell, Column, PortabilityError, Record, Table

Format = Literal["json", "csv", "xml"]
FORMATS: Final[tuple[Format, ...]] = ("json", "csv", "xml")
SUFFIX: Final[dict[Format, str]] = {"json": ".jsonl", "csv": ".csv", "xml": ".xml"}

CELL_CHARACTERS: Final = 64 << 20
"""Of one value: more is no export of ours."""

_NULL: Final = "\\N"
_NOT_XML: Final = re.compile("[^\t\n\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")

Write = Callable[[Record], None]


def writer(form: Format, table: Table, file: IO[bytes]) -> tuple[Write, Callable[[], None]]:
    """(write a row, write the end) of a file for one table; its beginning is written now."""
    return {"json": _json_writer, "csv": _csv_writer, "xml": _xml_writer}[form](table, file)


def reader(form: Format, table: Table, file: IO[bytes]) -> Iterator[Record]:
    """The rows of such a file, each checked against the columns. Raises PortabilityError with the row's number."""
    read = {"json": _read_json, "csv": _read_csv, "xml": _read_xml}[form]
    number = 0
    try:
        for record in read(table, file):
            yield tuple(
                _checked(column, cell) for column, cell in zip(table.columns, record, strict=True)
            )
            number += 1
    except PortabilityError:
        raise
    except (ValueError, KeyError, TypeError, csv.Error, expat.ExpatError) as error:
        raise PortabilityError(f"{table.name}, after row {number}: {error}") from error


def _checked(column: Column, cell: Cell) -> Cell:
    if cell is None:
        if not column.nullable:
            raise ValueError(f"{column.name} must not be empty")
        return None
    if column.kind == "integer" and type(cell) is int and -(1 << 63) <= cell < 1 << 63:
        return cell
    if column.kind == "real" and type(cell) in (int, float) and math.isfinite(float(cell)):
        return float(cell)
    if column.kind == "text" and type(cell) is str and "\0" not in cell:
        return cell
    raise ValueError(f"{column.name} holds {cell!r:.40}, which is no {column.kind}")


def _parsed(column: Column, text: str) -> Cell:
    if column.kind == "integer":
        if not re.fullmatch(r"-?[0-9]{1,19}", text):
            raise ValueError(f"{column.name} holds {text!r:.40}, which is no integer")
        return int(text)
    return float(text) if column.kind == "real" else text


# JSON


def _json_writer(table: Table, file: IO[bytes]) -> tuple[Write, Callable[[], None]]:
    names = table.names

    def write(record: Record) -> None:
        line = json.dumps(
            dict(zip(names, record, strict=True)), ensure_ascii=False, allow_nan=False
        )
        file.write(line.encode() + b"\n")

    return write, lambda: None


def _read_json(table: Table, file: IO[bytes]) -> Iterator[Record]:
    names = set(table.names)
    for line in file:
        if not line.endswith(b"\n"):
            raise ValueError("the last line is cut off")
        found = json.loads(line.decode(), object_pairs_hook=_once)
        if not isinstance(found, dict) or set(found) != names:
            raise ValueError("the columns are not those of the table")
        yield tuple(found[name] for name in table.names)


def _once(pairs: list[tuple[str, Cell]]) -> dict[str, Cell]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a column stands in a row twice")
    return found


# CSV (RFC 4180)


def _csv_writer(table: Table, file: IO[bytes]) -> tuple[Write, Callable[[], None]]:
    text = io.TextIOWrapper(file, encoding="utf-8", newline="", write_through=True)
    out = csv.writer(text, lineterminator="\r\n")
    out.writerow(table.names)

    def write(record: Record) -> None:
        out.writerow([_to_csv(cell) for cell in record])

    def end() -> None:
        text.flush()
        text.detach()

    return write, end


def _to_csv(cell: Cell) -> str:
    if cell is None:
        return _NULL
    if isinstance(cell, str):
        return "\\" + cell if cell.startswith("\\") else cell
    return repr(cell)


def _read_csv(table: Table, file: IO[bytes]) -> Iterator[Record]:
    csv.field_size_limit(CELL_CHARACTERS)
    text = io.TextIOWrapper(file, encoding="utf-8", newline="")
    try:
        lines = csv.reader(text, strict=True)
        if tuple(next(lines, ())) != table.names:
            raise ValueError("the columns are not those of the table")
        for line in lines:
            if len(line) != len(table.columns):
                raise ValueError("a row has too few or too many cells")
            yield tuple(
                _from_csv(column, cell) for column, cell in zip(table.columns, line, strict=True)
            )
    finally:
        text.detach()


def _from_csv(column: Column, text: str) -> Cell:
    if text == _NULL:
        return None
    if text.startswith("\\"):
        if not text.startswith("\\\\"):
            raise ValueError(f"{column.name} begins with a single backslash")
        text = text[1:]
    return _parsed(column, text)


# XML


def _xml_writer(table: Table, file: IO[bytes]) -> tuple[Write, Callable[[], None]]:
    file.write(b'<?xml version="1.0" encoding="UTF-8"?>\n')
    file.write(f"<table name={quoteattr(table.name)}>\n".encode())

    def write(record: Record) -> None:
        cells = "".join(
            _to_xml(name, cell)
            for name, cell in zip(table.names, record, strict=True)
            if cell is not None
        )
        file.write(f"<row>{cells}</row>\n".encode())

    def end() -> None:
        file.write(b"</table>\n")

    return write, end


def _to_xml(name: str, cell: Cell) -> str:
    if isinstance(cell, str) and _NOT_XML.search(cell):
        coded = base64.b64encode(cell.encode()).decode()
        return f'<cell name={quoteattr(name)} encoding="base64">{coded}</cell>'
    text = escape(cell) if isinstance(cell, str) else repr(cell)
    return f"<cell name={quoteattr(name)}>{text}</cell>"


class _Rows:
    """Collects rows while expat reads; no document type, so no entity can be declared."""

    def __init__(self, table: Table) -> None:
        self.done: list[Record] = []
        self.ended = False
        self._table = table
        self._columns = {column.name: column for column in table.columns}
        self._path: list[str] = []
        self._row: dict[str, Cell] = {}
        self._name = ""
        self._coded = False
        self._text: list[str] = []

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        self._path.append(tag)
        path = "/".join(self._path)
        if path == "table":
            if attributes != {"name": self._table.name}:
                raise ValueError("this is another table")
        elif path == "table/row":
            self._row = {}
        elif path == "table/row/cell":
            self._name = attributes.pop("name", "")
            self._coded = attributes.pop("encoding", "") == "base64"
            self._text = []
            if self._name not in self._columns or self._name in self._row or attributes:
                raise ValueError(f"the cell {self._name!r:.40} has no place here")
        else:
            raise ValueError(f"<{tag}> has no place here")

    def text(self, data: str) -> None:
        if len(self._path) == 3:
            self._text.append(data)
        elif data.strip():
            raise ValueError("there is text between the cells")

    def end(self, tag: str) -> None:
        if len(self._path) == 3:
            text = "".join(self._text)
            if self._coded:
                text = base64.b64decode(text, validate=True).decode()
            self._row[self._name] = _parsed(self._columns[self._name], text)
        elif len(self._path) == 2:
            self.done.append(tuple(self._row.get(name) for name in self._table.names))
        else:
            self.ended = True
        self._path.pop()

    def refuse(self, *_: object) -> None:
        raise ValueError("a document type has no place here")


def _read_xml(table: Table, file: IO[bytes]) -> Iterator[Record]:
    found = _Rows(table)
    parser = expat.ParserCreate("UTF-8")
    parser.buffer_text = True
    parser.StartElementHandler = found.start
    parser.EndElementHandler = found.end
    parser.CharacterDataHandler = found.text
    parser.StartDoctypeDeclHandler = found.refuse
    parser.EntityDeclHandler = found.refuse
    while chunk := file.read(1 << 16):
        parser.Parse(chunk, False)
        yield from found.done
        found.done.clear()
    parser.Parse(b"", True)
    yield from found.done
    if not found.ended:
        raise ValueError("the end is missing")
