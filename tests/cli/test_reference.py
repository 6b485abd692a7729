"""docs/cli.md says what `--help` says."""

from __future__ import annotations

from pathlib import Path

from fedcomm.cli import main
from fedcomm.cli.reference import markdown

DOCUMENT = Path(__file__).parents[2] / "docs" / "cli.md"


def test_the_reference_is_current() -> None:
    assert DOCUMENT.read_text("utf-8") == markdown(main), (
        "write it anew with: python -m fedcomm.cli.reference > docs/cli.md"
    )


def test_the_reference_names_every_command() -> None:
    text = markdown(main)
    for command in ("init", "serve", "demo", "doctor", "member create", "queue retry", "follow"):
        assert f" fedcomm {command}\n" in text
