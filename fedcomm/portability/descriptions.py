"""Describes the exports: the data dictionary for people, and for machines a schema of each format.

    python -m fedcomm.portability.descriptions > docs/data-dictionary.md

writes the dictionary anew; a test holds it against the schema and the register.
"""

from __future__ import annotations

import asyncio
import json
import tempfile
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final
from xml.sax.saxutils import quoteattr

from fedcomm.hub.register import REGISTER, RETENTION
from fedcomm.portability import scopes
from fedcomm.portability.formats import Format
from fedcomm.portability.meanings import meaning
from fedcomm.portability.scopes import PEOPLE, PEOPLE_HOLDS
from fedcomm.portability.tables import Column, Table, exported, left_out, table_of
from fedcomm.store.database import Database
from fedcomm.store.schema import HEAD, migrate, open_database

INTEGER: Final[dict[str, Any]] = {
    "type": "integer",
    "minimum": -(1 << 63),
    "maximum": (1 << 63) - 1,
}
DATATYPE: Final = {"integer": "long", "real": "double", "text": "string"}


async def of_format(form: Format) -> str:
    """The description of a format, of a new database's schema."""
    return await _of_new_database(lambda db: described(db, form))


async def described(db: Database, form: Format) -> str:
    """The description of a format, of the schema of `db`."""
    found = await contents(db)
    if form == "json":
        return _text(_json_schema(found))
    if form == "csv":
        return _text(_csv_metadata(found))
    return _xsd(found)


async def contents(db: Database) -> dict[str, list[Table]]:
    """The tables of an export of the site, of a member (`person`) and of a group."""
    site = [await table_of(db, name) for name in exported()]
    person = [part.table for part in await scopes.parts(db, "person")]
    group = [part.table for part in await scopes.parts(db, "group")]
    return {"site": site, "person": [*person, PEOPLE], "group": [*group, PEOPLE]}


def _text(document: dict[str, Any]) -> str:
    return json.dumps(document, ensure_ascii=False, indent=1) + "\n"


# JSON Schema


def _json_schema(found: dict[str, list[Table]]) -> dict[str, Any]:
    rows = {
        f"{scope}.{table.name}": {
            "description": _holds(table.name),
            "type": "object",
            "properties": {column.name: _property(column) for column in table.columns},
            "required": list(table.names),
            "additionalProperties": False,
        }
        for scope, tables in found.items()
        for table in tables
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"fedcomm exports, schema {HEAD}",
        "description": "A file tables/NAME.jsonl holds one object a line; it is described by #/$defs/SCOPE.NAME, the"
        " scope being site, person or group.",
        "$defs": {**rows, "manifest": MANIFEST},
    }


def _property(column: Column) -> dict[str, Any]:
    kinds: dict[str, dict[str, Any]] = {
        "integer": INTEGER,
        "real": {"type": "number"},
        "text": {"type": "string"},
    }
    kind = kinds[column.kind]
    return kind | {"type": [kind["type"], "null"]} if column.nullable else dict(kind)


_HEX: Final = {"type": "string", "pattern": "^[0-9a-f]{64}$"}
MANIFEST: Final[dict[str, Any]] = {
    "description": "manifest.json, the last file of every export",
    "type": "object",
    "properties": {
        "files": {
            "type": "object",
            "additionalProperties": {
                "type": "object",
                "properties": {"bytes": {"type": "integer", "minimum": 0}, "sha256": _HEX},
                "required": ["bytes", "sha256"],
                "additionalProperties": False,
            },
        },
        "rows": {"type": "object", "additionalProperties": {"type": "integer", "minimum": 0}},
        "roots": {"type": "object", "additionalProperties": _HEX},
        "root": _HEX,
    },
    "required": ["files", "rows", "roots", "root"],
    "additionalProperties": False,
}


# CSV on the Web


def _csv_metadata(found: dict[str, list[Table]]) -> dict[str, Any]:
    return {
        "@context": "http://www.w3.org/ns/csvw",
        "dc:title": f"fedcomm exports, schema {HEAD}",
        "dc:description": "RFC 4180 in UTF-8. An empty cell is the empty text; \\N is no value; a text that begins with"
        " a backslash has one more.",
        "dialect": {
            "encoding": "utf-8",
            "lineTerminators": ["\r\n"],
            "quoteChar": '"',
            "doubleQuote": True,
            "header": True,
        },
        "tables": [
            {
                "url": f"{scope}/tables/{table.name}.csv",
                "dc:description": _holds(table.name),
                "tableSchema": {
                    "columns": [
                        {
                            "name": column.name,
                            "titles": column.name,
                            "datatype": DATATYPE[column.kind],
                            "required": not column.nullable,
                            "null": "\\N",
                        }
                        for column in table.columns
                    ],
                    **({"primaryKey": list(table.key)} if table.key else {}),
                },
            }
            for scope, tables in found.items()
            for table in tables
        ],
    }


# XML Schema


def _xsd(found: dict[str, list[Table]]) -> str:
    names = sorted({table.name for tables in found.values() for table in tables})
    columns = sorted(
        {name for tables in found.values() for table in tables for name in table.names}
    )
    return f"""\
<?xml version="1.0" encoding="UTF-8"?>
<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema" version="{HEAD}">
  <xs:annotation><xs:documentation>
    One file tables/NAME.xml of a fedcomm export. A cell that is missing has no value; one with encoding="base64" holds
    characters that XML 1.0 cannot write. Which columns a table has, and of what type, docs/data-dictionary.md says.
  </xs:documentation></xs:annotation>
  <xs:element name="table">
    <xs:complexType>
      <xs:sequence>
        <xs:element name="row" minOccurs="0" maxOccurs="unbounded">
          <xs:complexType>
            <xs:sequence>
              <xs:element name="cell" type="cell" minOccurs="0" maxOccurs="unbounded"/>
            </xs:sequence>
          </xs:complexType>
          <xs:unique name="a-column-once"><xs:selector xpath="cell"/><xs:field xpath="@name"/></xs:unique>
        </xs:element>
      </xs:sequence>
      <xs:attribute name="name" type="table-name" use="required"/>
    </xs:complexType>
  </xs:element>
  <xs:complexType name="cell">
    <xs:simpleContent>
      <xs:extension base="xs:string">
        <xs:attribute name="name" type="column-name" use="required"/>
        <xs:attribute name="encoding">
          <xs:simpleType>
            <xs:restriction base="xs:string"><xs:enumeration value="base64"/></xs:restriction>
          </xs:simpleType>
        </xs:attribute>
      </xs:extension>
    </xs:simpleContent>
  </xs:complexType>
{_enumeration("table-name", names)}
{_enumeration("column-name", columns)}
</xs:schema>
"""


def _enumeration(name: str, values: Sequence[str]) -> str:
    lines = "\n".join(f"      <xs:enumeration value={quoteattr(value)}/>" for value in values)
    return (
        f'  <xs:simpleType name="{name}">\n    <xs:restriction base="xs:string">\n{lines}\n'
        "    </xs:restriction>\n  </xs:simpleType>"
    )


def _holds(name: str) -> str:
    if name == PEOPLE.name:
        return PEOPLE_HOLDS
    return REGISTER[name].holds


# The data dictionary

HEAD_OF_DICTIONARY: Final = """\
# Data dictionary

Every table of the database: what it holds, how long, which columns tell of people, and whether it leaves with an
export. Written from the schema and from the register of data; do not edit by hand:
`python -m fedcomm.portability.descriptions > docs/data-dictionary.md`. For machines, `fedcomm export schema --format
json|csv|xml` prints a JSON Schema, CSV on the Web metadata or an XML Schema of the files of an export.

Ids are 64-bit integers that sort by time and never name anybody; times are Unix milliseconds in UTC; flags are 0 or 1.

## How long data is kept

| class | until when |
| --- | --- |
{classes}
"""


async def data_dictionary(db: Database) -> str:
    """`docs/data-dictionary.md`."""
    classes = "\n".join(f"| {name} | {until} |" for name, until in RETENTION.items())
    parts = [HEAD_OF_DICTIONARY.format(classes=classes)]
    reasons = left_out()
    for name, entry in sorted(REGISTER.items()):
        if name == "search_index":
            continue  # It is another thing on each engine, made from other tables.
        table = await table_of(db, name)
        references = {
            row["from"]: row["table"] for row in await db.all(f"PRAGMA foreign_key_list({name})")
        }
        given = f"not in an export of the site: {reasons[name]}" if name in reasons else ""
        marks = "; ".join(text for text in (f"kept: *{entry.retention}*", given) if text)
        lines = [
            f"| `{column.name}` | {column.kind}{'' if not column.nullable else ', may be empty'} |"
            f" {meaning(name, column.name, references.get(column.name))} |"
            f" {_about(column.name, entry.people, entry.words)} |"
            for column in table.columns
        ]
        key = ", ".join(f"`{part}`" for part in table.key)
        said = f"{_sentence(entry.holds)} {_sentence(marks)} Key: {key}. {_scopes(name)}"
        parts.append(
            f"## {name}\n\n{said.strip()}\n\n"
            "| column | type | meaning | about people |\n| --- | --- | --- | --- |\n"
            + "\n".join(lines)
            + "\n"
        )
    return "\n".join(parts)


def _sentence(words: str) -> str:
    return f"{words[0].upper()}{words[1:]}."


def _about(column: str, people: Sequence[str], words: Sequence[str]) -> str:
    return "whom" if column in people else "words" if column in words else ""


def _scopes(name: str) -> str:
    found = []
    for scope, words in (("person", "a member's"), ("group", "a group's")):
        rule = scopes.RULES[scope][name]  # type: ignore[index]
        if isinstance(rule, scopes.Theirs):
            kept = ", ".join(f"`{column}`" for column in sorted(rule.without))
            found.append(f"In {words} export{f' without {kept}' if kept else ''}.")
    return " ".join(found)


async def _of_new_database(describe: Callable[[Database], Awaitable[str]]) -> str:
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{folder}/schema.db"
        await asyncio.to_thread(migrate, url)
        db = await open_database(url, readers=1)
        try:
            return await describe(db)
        finally:
            await db.close()


if __name__ == "__main__":
    print(asyncio.run(_of_new_database(data_dictionary)), end="")
