from __future__ import annotations

import json
import math
import struct
import subprocess
import sys
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from activitypub import ijson
from activitypub.ijson import IJSONError, canonicalize, dumps, parse, parse_object

LONE_SURROGATE = chr(0xD800)

letters = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=12)
scalars = (
    st.none()
    | st.booleans()
    | st.integers(-ijson.MAX_INTEGER, ijson.MAX_INTEGER)
    | st.floats(allow_nan=False, allow_infinity=False)
    | letters
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(letters, inner, max_size=5),
    max_leaves=25,
)
# Close to JSON, so that the search gets past the first character.
fragments = st.lists(
    st.sampled_from(
        [
            "{",
            "}",
            "[",
            "]",
            ":",
            ",",
            "1",
            "-1",
            "0.5",
            "1e400",
            "1e30",
            "-0",
            "true",
            "null",
            '"a"',
            '"b"',
            '"a:b"',
            '"\\u003a"',
            '"\\u003A"',
            '"\\u003c"',
            '"\\\\u003a"',
            '"\\u0000"',
            '"\\\\u0000"',
            '"\\ud800"',
            '"\\u00e9"',
            "9007199254740991",
            "9007199254740992",
            "-9007199254740992",
            "123456789012345678901",
            "NaN",
            "Infinity",
            '"1234567890123456"',
            '":1234567890123456"',
            " ",
            "\t",
        ]
    ),
    max_size=14,
).map(lambda parts: "".join(parts).encode())


def depth_of(value: Any) -> int:
    if isinstance(value, dict):
        return 1 + max(map(depth_of, value.values()), default=0)
    if isinstance(value, list):
        return 1 + max(map(depth_of, value), default=0)
    return 0


def read_slowly(data: bytes) -> tuple[bool, Any]:
    """An independent, slow statement of what I-JSON is: (accepted, value)."""

    class Refused(Exception):
        pass

    def members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if len({key for key, _ in pairs}) != len(pairs):
            raise Refused
        return dict(pairs)

    def constant(_: str) -> None:
        raise Refused

    def integer(digits: str) -> int:
        if abs(int(digits)) > 2**53 - 1:
            raise Refused
        return int(digits)

    def real(digits: str) -> float:
        if math.isinf(float(digits)):
            raise Refused
        return float(digits)

    def check(value: Any) -> None:
        if isinstance(value, str):
            value.encode("utf-8")
            if "\x00" in value:
                raise Refused
        elif isinstance(value, list):
            for item in value:
                check(item)
        elif isinstance(value, dict):
            for key, item in value.items():
                check(key)
                check(item)

    try:
        value = json.loads(
            data.decode("utf-8"),
            object_pairs_hook=members,
            parse_constant=constant,
            parse_int=integer,
            parse_float=real,
        )
        check(value)
    except (ValueError, Refused, RecursionError):
        return False, None
    return depth_of(value) <= ijson.MAX_DEPTH, value


@given(st.binary(max_size=64) | fragments | letters.map(lambda text: text.encode()))
@example(b'{"a":1,"a":1}')
@example(b'{"a":{"b":1,"b":":"}}')
@example(b'{"a":1,"a":"\\u003a"}')
@example(b'{"a":":","a":"\\u003A"}')
@example(b"\xff\xfe{\x00}\x00")
@example(b'{"a":9007199254740992}')
@example(b"-9007199254740992")
@example(b'{"a"\t:\t9007199254740992}')
def test_inv_13_any_bytes_end_in_a_value_or_in_ijsonerror_as_the_slow_reader_says(
    data: bytes,
) -> None:
    accepted, expected = read_slowly(data)
    try:
        value = parse(data)
    except IJSONError:
        assert not accepted
    else:
        assert accepted
        assert value == expected


@given(values)
def test_what_json_writes_is_read_back_the_same(value: Any) -> None:
    for ascii_only in (True, False):
        assert parse(json.dumps(value, ensure_ascii=ascii_only).encode()) == value
    assert parse(dumps(value)) == value


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b" ",
        b"\xef\xbb\xbf{}",
        '{"a":1}'.encode("utf-16"),
        '{"a":1}'.encode("utf-16-le"),
        b'{"a":"\xed\xa0\x80"}',
        b'{"a":"\xc0\x80"}',
        b'{"a":"\\ud800"}',
        b'{"\\udc00":1}',
        b'{"a":"\\ud800\\u0041"}',
        b'{"a":"\x00"}',
        b'{"a":"\\u0000"}',
        b'{"\\u0000":1}',
        b'{"a":1}\x00',
        b'{"a":NaN}',
        b'{"a":Infinity}',
        b'{"a":-Infinity}',
        b'{"a":1e400}',
        b'{"a":-1e400}',
        b'{"a":9007199254740992}',
        b'{"a":-9007199254740992}',
        b'{"a": 18446744073709551616}',
        b"[1,9007199254740992]",
        b"9007199254740992",
        b" 9007199254740992",
        b"1" * 5000,
        b'{"a":1,"a":2}',
        b'{"a":1,"\\u0061":2}',
        b'{"a":{"x":[{"y":1,"y":1}]}}',
        b'{"":1,"":1}',
        b'{"a":1,}',
        b"[1 2]",
        b"{'a':1}",
        b'{"a":01}',
        b"// comment\n{}",
    ],
)
def test_inv_13_what_is_no_ijson_is_refused(data: bytes) -> None:
    with pytest.raises(IJSONError):
        parse(data)


@pytest.mark.parametrize(
    ("data", "value"),
    [
        (b'{"a":9007199254740991}', {"a": 2**53 - 1}),
        (b'{"a":-9007199254740991}', {"a": -(2**53) + 1}),
        (b'{"a":1e30}', {"a": 1e30}),
        (b'{"a":"\\\\u0000"}', {"a": "\\u0000"}),
        (b'{"a":"\\u003a","b":":"}', {"a": ":", "b": ":"}),
        (b'{"a:b":"c:d","c":{"a:b":1}}', {"a:b": "c:d", "c": {"a:b": 1}}),
        (b'"https://h.example/:12345678901234567890"', "https://h.example/:12345678901234567890"),
        (b'"\\ud83d\\ude00"', "\U0001f600"),
        (b" [ ] ", []),
        (b"true", True),
    ],
)
def test_inv_13_the_edges_of_ijson_are_read(data: bytes, value: Any) -> None:
    assert parse(data) == value


@pytest.mark.parametrize("opening", ["[", '{"a":'])
def test_inv_13_nesting_is_read_to_the_limit_and_refused_beyond_it(opening: str) -> None:
    closing = "]" if opening == "[" else "}"

    def nested(depth: int) -> bytes:
        return (opening * depth + ("1" if opening != "[" else "") + closing * depth).encode()

    assert depth_of(parse(nested(32))) == 32
    for depth in (33, 200, 1_000, 100_000):
        with pytest.raises(IJSONError):
            parse(nested(depth))
    with pytest.raises(IJSONError):
        parse(nested(3), max_depth=2)


def test_inv_13_many_brackets_side_by_side_are_not_deep() -> None:
    assert parse(b"[" + b",".join([b"[{}]"] * 500) + b"]") == [[{}]] * 500


def test_inv_13_the_size_limit_holds_at_the_byte() -> None:
    body = b'"' + b"x" * (ijson.MAX_BYTES - 2) + b'"'
    assert len(parse(body)) == ijson.MAX_BYTES - 2  # type: ignore[arg-type]
    with pytest.raises(IJSONError):
        parse(body + b" ")
    with pytest.raises(IJSONError):
        parse(b"[1]", max_bytes=2)


def test_an_object_is_demanded_where_one_is_needed() -> None:
    assert parse_object(b'{"a":1}') == {"a": 1}
    for data in (b"[]", b'"a"', b"1", b"null"):
        with pytest.raises(IJSONError):
            parse_object(data)


def test_the_error_tells_nothing_of_the_content() -> None:
    with pytest.raises(IJSONError) as caught:
        parse(b'{"secret":1,"secret":2}')
    assert "secret" not in str(caught.value)


def test_rfc_8785_the_example_of_section_3_2_2() -> None:
    source = (
        rb'{"numbers":[333333333.33333329,1E30,4.50,2e-3,0.000000000000000000000000001],'
        rb'"string":"\u20ac$\u000F\u000aA'
        rb"'"
        rb'\u0042\u0022\u005c\\\"\/","literals":[null,true,false]}'
    )
    assert (
        canonicalize(parse(source))
        == (
            '{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],'
            '"string":"€$\\u000f\\nA\'B\\"\\\\\\\\\\"/"}'
        ).encode()
    )


def test_rfc_8785_keys_are_sorted_by_utf_16_code_units() -> None:
    document = {
        "\u20ac": "Euro Sign",
        "\r": "Carriage Return",
        "\ufb33": "Hebrew Letter Dalet With Dagesh",
        "1": "One",
        "\U0001f600": "Emoji: Grinning Face",
        "\u0080": "Control",
        "\u00f6": "Latin Small Letter O With Diaeresis",
    }
    order = list(json.loads(canonicalize(document)))
    assert order == ["\r", "1", "\u0080", "\u00f6", "\u20ac", "\U0001f600", "\ufb33"]


@pytest.mark.parametrize(
    ("bits", "text"),
    [
        ("0000000000000000", "0"),
        ("8000000000000000", "0"),
        ("0000000000000001", "5e-324"),
        ("8000000000000001", "-5e-324"),
        ("7fefffffffffffff", "1.7976931348623157e+308"),
        ("ffefffffffffffff", "-1.7976931348623157e+308"),
        ("4340000000000000", "9007199254740992"),
        ("c340000000000000", "-9007199254740992"),
        ("4430000000000000", "295147905179352830000"),
        ("44b52d02c7e14af5", "9.999999999999997e+22"),
        ("44b52d02c7e14af6", "1e+23"),
        ("44b52d02c7e14af7", "1.0000000000000001e+23"),
        ("444b1ae4d6e2ef4e", "999999999999999700000"),
        ("444b1ae4d6e2ef4f", "999999999999999900000"),
        ("444b1ae4d6e2ef50", "1e+21"),
        ("3eb0c6f7a0b5ed8c", "9.999999999999997e-7"),
        ("3eb0c6f7a0b5ed8d", "0.000001"),
        ("41b3de4355555553", "333333333.3333332"),
        ("41b3de4355555554", "333333333.33333325"),
        ("41b3de4355555555", "333333333.3333333"),
        ("41b3de4355555556", "333333333.3333334"),
        ("41b3de4355555557", "333333333.33333343"),
        ("becbf647612f3696", "-0.0000033333333333333333"),
        ("43143ff3c1cb0959", "1424953923781206.2"),
    ],
)
def test_rfc_8785_numbers_of_appendix_b(bits: str, text: str) -> None:
    (number,) = struct.unpack(">d", bytes.fromhex(bits))
    assert canonicalize(number) == text.encode()


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_canonical_number_is_the_same_number(number: float) -> None:
    assert float(canonicalize(number)) == number


@given(values)
def test_the_canonical_form_is_the_same_value_and_its_own_canonical_form(value: Any) -> None:
    canonical = canonicalize(value)
    # A large float is written without an exponent: it has to be read back as a float.
    again = json.loads(canonical, parse_int=float)
    assert again == value
    assert canonicalize(again) == canonical


@pytest.mark.parametrize(
    "value",
    [
        float("nan"),
        float("inf"),
        -float("inf"),
        2**53,
        -(2**53),
        LONE_SURROGATE,
        {LONE_SURROGATE: 1},
        {1: 2},
        object(),
        b"bytes",
        {"a": {1, 2}},
    ],
)
def test_what_json_cannot_hold_has_no_canonical_form(value: Any) -> None:
    with pytest.raises(IJSONError):
        canonicalize(value)


def test_deep_nesting_has_no_canonical_form() -> None:
    value: Any = 1
    for _ in range(10_000):
        value = [value]
    with pytest.raises(IJSONError):
        canonicalize(value)


def test_dumps_is_compact_utf8() -> None:
    assert dumps({"a": ["é", 1, None]}) == '{"a":["é",1,null]}'.encode()


def test_the_fast_path_is_taken_for_ordinary_activities() -> None:
    """Ids of 18 digits (Mastodon's) must not send every activity down the slow path."""
    body = json.dumps(
        {
            "id": "https://m.example/users/ida/statuses/116123456789012345/activity",
            "object": {"content": "<p>12:30, no. 9876</p>", "votersCount": 12},
        }
    ).encode()
    assert ijson._is_certified(body, parse(body))
    escaped = body.replace(b"<", b"\\u003c").replace(b">", b"\\u003E")
    assert ijson._is_certified(escaped, parse(escaped)) and parse(escaped) == parse(body)
    for colon in (b"\\u003a", b"\\u003A"):
        assert not ijson._is_certified(body.replace(b"12:30", b"12" + colon + b"30"), parse(body))


def test_nesting_beyond_the_stack_does_not_end_the_process() -> None:
    """In a process of its own: an overflow of the C stack could not be caught."""
    code = (
        "from activitypub.ijson import *\n"
        "for data in (b'[' * 1000000, b'{\"a\":' * 200000, b'[' * 500000 + b']' * 500000):\n"
        "    try: parse(data)\n"
        "    except IJSONError: continue\n"
        "    raise SystemExit('accepted')\n"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=60).returncode == 0
