"""Each format can say everything that a row can hold, and refuses what none of ours would say."""

from __future__ import annotations

import hashlib
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedcomm.portability.checksums import EMPTY, Merkle, canonical
from fedcomm.portability.formats import FORMATS, Format, reader, writer
from fedcomm.portability.tables import Column, PortabilityError, Record, Table

TABLE = Table(
    "things",
    (
        Column("body", "text", True),
        Column("id", "integer", False),
        Column("name", "text", False),
        Column("number", "integer", True),
        Column("ratio", "real", True),
    ),
    ("id",),
)
TEXTS = st.text(
    st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=60
) | st.sampled_from(
    [
        "",
        "\\",
        "\\N",
        "\\\\N",
        "NULL",
        "null",
        "\r",
        "\r\n",
        "\n",
        '"',
        ",",
        "a,b\n",
        "]]>",
        "<row>",
        "&amp;",
        "\x01\x1f",
        "\ufffe\uffff",
        "\U0010ffff",
        "é",
        " x ",
        "\ufeff",
        "=1+1",
        "\x85\u2028",
    ]
)
INTEGERS = st.integers(-(1 << 63), (1 << 63) - 1)
REALS = st.floats(allow_nan=False, allow_infinity=False)
RECORDS = st.tuples(st.none() | TEXTS, INTEGERS, TEXTS, st.none() | INTEGERS, st.none() | REALS)


def written(form: Format, records: list[Record]) -> bytes:
    file = io.BytesIO()
    write, end = writer(form, TABLE, file)
    for record in records:
        write(record)
    end()
    return file.getvalue()


def root_of(records: list[Record]) -> str:
    tree = Merkle()
    for record in records:
        tree.add(canonical(record))
    return tree.root()


@given(st.sampled_from(FORMATS), st.lists(RECORDS, max_size=6))
def test_what_is_written_is_read_again(form: Format, records: list[Record]) -> None:
    found = list(reader(form, TABLE, io.BytesIO(written(form, records))))
    assert found == records
    assert [[type(cell) for cell in record] for record in found] == [
        [type(cell) for cell in record] for record in records
    ]
    assert root_of(found) == root_of(records)


@given(st.sampled_from(FORMATS), st.lists(RECORDS, min_size=1, max_size=4), st.data())
def test_a_file_that_was_cut_is_refused_or_its_rows_are_fewer(
    form: Format, records: list[Record], data: st.DataObject
) -> None:
    whole = written(form, records)
    cut = whole[: data.draw(st.integers(0, len(whole) - 1))]
    try:
        found = list(reader(form, TABLE, io.BytesIO(cut)))
    except PortabilityError:
        return
    # What CSV cannot tell, the checksums of the manifest do.
    assert root_of(found) != root_of(records) or found == records


@given(st.sampled_from(FORMATS), st.binary(max_size=300))
def test_anything_else_is_refused_in_a_sentence(form: Format, data: bytes) -> None:
    try:
        found = list(reader(form, TABLE, io.BytesIO(data)))
    except PortabilityError:
        return
    assert form in ("json", "csv")
    assert all(len(record) == 5 for record in found)


@pytest.mark.parametrize(
    ("form", "text"),
    [
        ("json", '{"id": 1, "name": "x", "body": null, "number": null}\n'),
        ("json", '{"id": 1, "id": 2, "name": "x", "body": null, "number": null, "ratio": null}\n'),
        ("json", '{"id": "1", "name": "x", "body": null, "number": null, "ratio": null}\n'),
        ("json", '{"id": true, "name": "x", "body": null, "number": null, "ratio": null}\n'),
        ("json", '{"id": 1.0, "name": "x", "body": null, "number": null, "ratio": null}\n'),
        (
            "json",
            '{"id": 9223372036854775808, "name": "x", "body": null, "number": null, "ratio": null}\n',
        ),
        ("json", '{"id": 1, "name": null, "body": null, "number": null, "ratio": null}\n'),
        ("json", '{"id": 1, "name": "a\\u0000b", "body": null, "number": null, "ratio": null}\n'),
        ("json", '{"id": 1, "name": "x", "body": null, "number": null, "ratio": NaN}\n'),
        (
            "json",
            '{"id": 1, "name": "x", "body": null, "number": null, "ratio": null, "more": 1}\n',
        ),
        ("csv", "id,name\r\n1,x\r\n"),
        ("csv", "body,id,name,number,ratio\r\n\\N,1,x,\\N\r\n"),
        ("csv", "body,id,name,number,ratio\r\n\\N, 1,x,\\N,\\N\r\n"),
        ("csv", "body,id,name,number,ratio\r\n\\Q,1,x,\\N,\\N\r\n"),
        ("xml", "<table name='things'><row><cell name='id'>1</cell></row></table>"),
        ("xml", "<table name='other'></table>"),
        ("xml", "<!DOCTYPE x [<!ENTITY a 'b'>]><table name='things'></table>"),
        ("xml", "<table name='things'><row><cell name='evil'>1</cell></row></table>"),
        ("xml", "<table name='things'><script/></table>"),
        ("xml", "<table name='things'>"),
    ],
)
def test_what_is_no_row_of_the_table_is_refused(form: Format, text: str) -> None:
    with pytest.raises(PortabilityError):
        list(reader(form, TABLE, io.BytesIO(text.encode())))


def test_the_root_is_that_of_rfc_6962() -> None:
    def leaf(data: bytes) -> bytes:
        return hashlib.sha256(b"\0" + data).digest()

    def node(one: bytes, other: bytes) -> bytes:
        return hashlib.sha256(b"\1" + one + other).digest()

    tree = Merkle()
    assert tree.root() == EMPTY
    a, b, c, d, e = (leaf(bytes([n])) for n in range(5))
    expected = [a, node(a, b), node(node(a, b), c), node(node(a, b), node(c, d))]
    expected.append(node(expected[3], e))
    for number, root in enumerate(expected):
        tree.add(bytes([number]))
        assert tree.root() == root.hex()
    assert tree.count == 5


def test_a_leaf_tells_what_is_empty_from_the_empty_text() -> None:
    assert canonical((None, 1)) != canonical(("", 1))
    assert canonical((1, None)) != canonical(("1", None))
