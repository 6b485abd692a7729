"""What other people wrote cannot steer the terminal of who looks at it."""

from __future__ import annotations

import json

import pytest

from fedcomm.cli.console import print_facts, print_json, print_table

STEERING = "a\x1b[2Jb\x9b2Jc\u202ed\u2066e\x07f\x85g\U000e0041h\u200bi\r\nj"
"""ESC and C1 sequences, bidi, tags, bells, line ends."""


@pytest.mark.parametrize("way", ["json", "facts", "table"])
def test_no_control_character_reaches_the_terminal(
    capsys: pytest.CaptureFixture[str], way: str
) -> None:
    if way == "json":
        print_json({"text": [STEERING], STEERING: "k"})
    elif way == "facts":
        print_facts({"text": STEERING})
    else:
        print_table(("TEXT",), [(STEERING,)], empty="")
    printed = capsys.readouterr().out
    assert [character for character in printed if not character.isprintable()] == ["\n"] * (
        printed.count("\n")
    )
    if way == "json":
        assert json.loads(printed) == {"text": [STEERING], STEERING: "k"}
