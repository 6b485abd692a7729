"""The command for the night runs every test that breaks things."""

from __future__ import annotations

from pathlib import Path

from tests import nightly


def test_every_test_of_this_folder_is_run_in_the_night() -> None:
    here = Path(__file__)
    root = here.parent.parent.parent
    run = {root / path for paths in nightly.PARTS.values() for path in paths}
    assert all(path.exists() for path in run)
    assert set(here.parent.glob("test_*.py")) - run == {here}
