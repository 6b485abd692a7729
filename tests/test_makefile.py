"""Which interpreter `make` takes: interpreters of the path that are scripts which say how fast they are."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="there is no make")

INTERPRETER = """#!/bin/bash
case "$*" in
  *version_info*) echo "$0"; exit {too_old};;
  *ensurepip*) exit {lacks_venv};;
  *perf_counter*) echo {milliseconds};;
  -V) echo Python 3.11.0;;
  *venv*) mkdir -p "${{@: -1}}/bin"; cp "$0" "${{@: -1}}/bin/python";;
esac
"""


@pytest.fixture
def path(tmp_path: Path) -> list[Path]:
    """Folders of `PATH`, in their order, an interpreter in each."""
    return [tmp_path / name for name in ("first", "second", "third")]


def interpreter(
    folder: Path,
    milliseconds: int,
    *,
    name: str = "python3",
    too_old: bool = False,
    venv: bool = True,
) -> Path:
    folder.mkdir(exist_ok=True)
    file = folder / name
    file.write_text(
        INTERPRETER.format(
            milliseconds=milliseconds, too_old=int(too_old), lacks_venv=int(not venv)
        )
    )
    file.chmod(0o755)
    return file


def make(path: list[Path], *arguments: str) -> tuple[int, str]:
    """The exit code of making a virtual environment, and what was said."""
    tools = path[0].parent / "tools"
    tools.mkdir()
    for tool in ("bash", "mkdir", "cp"):
        found = shutil.which(tool)
        assert found is not None
        (tools / tool).symlink_to(found)
    venv = path[0].parent / "venv"
    done = subprocess.run(
        [shutil.which("make") or "make", f"VENV={venv}", *arguments, f"{venv}/bin/python"],
        cwd=ROOT,
        env={"PATH": os.pathsep.join(map(str, [*path, tools]))},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


def test_the_first_of_the_path_stays_when_another_is_a_little_faster(path: list[Path]) -> None:
    first = interpreter(path[0], 100)
    interpreter(path[1], 81)
    code, said = make(path)
    assert code == 0
    assert f"with {first} (Python 3.11.0, first of the path)" in said


def test_the_fastest_of_those_that_are_clearly_faster_is_taken(path: list[Path]) -> None:
    first = interpreter(path[0], 100)
    interpreter(path[1], 80)
    fastest = interpreter(path[2], 60, name="python3.12")
    code, said = make(path)
    assert code == 0
    assert f"with {fastest} (Python 3.11.0, takes 60 ms where {first} takes 100)" in said


def test_whoever_names_an_interpreter_gets_that_one(path: list[Path]) -> None:
    first = interpreter(path[0], 100)
    interpreter(path[1], 10)
    code, said = make(path, "PYTHON=python3")
    assert code == 0
    assert f"with {first} (Python 3.11.0, as asked for)" in said


def test_a_named_interpreter_that_will_not_do_is_not_replaced(path: list[Path]) -> None:
    old = interpreter(path[0], 100, name="python3.9", too_old=True)
    interpreter(path[1], 100)
    code, said = make(path, f"PYTHON={old}")
    assert code != 0
    assert f"needs Python 3.11 or newer, and {old} is none" in said


def test_what_is_too_old_or_has_no_venv_is_passed_over(path: list[Path]) -> None:
    interpreter(path[0], 10, too_old=True)
    interpreter(path[1], 10, venv=False)
    third = interpreter(path[2], 100)
    code, said = make(path)
    assert code == 0
    assert f"with {third} (Python 3.11.0, first of the path)" in said


def test_when_only_venv_is_missing_it_says_where_to_get_it(path: list[Path]) -> None:
    lacking = interpreter(path[0], 10, venv=False)
    code, said = make(path)
    assert code != 0
    assert f"{lacking} has no venv. On Debian and Ubuntu: apt-get install python3-venv" in said
    assert "found none" not in said
