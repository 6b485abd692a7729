"""What all commands share: the configuration, sentences instead of tracebacks, printing."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from fedcomm.cli import main
from fedcomm.cli.console import Nouns, duration, moment, printable, sentence_of
from fedcomm.hub.errors import NotFound
from fedcomm.version import VERSION
from tests.cli.conftest import Hub


def program(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the real program."""
    return subprocess.run(
        [sys.executable, "-m", "fedcomm.cli", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def all_commands() -> list[list[str]]:
    found: list[list[str]] = []

    def walk(command: click.Command, path: list[str]) -> None:
        if isinstance(command, click.Group):
            context = click.Context(command)
            for name in command.list_commands(context):
                below = command.get_command(context, name)
                assert below is not None, name
                walk(below, [*path, name])
        else:
            found.append(path)

    walk(main, [])
    return found


PRINT_DOCUMENTS = (["policy", "export"], ["erasure", "certificate"], ["export", "schema"])
"""They print a file in the form of its readers, and nothing else."""


@pytest.mark.parametrize("path", all_commands(), ids=" ".join)
def test_every_command_has_help_and_takes_a_configuration(path: list[str]) -> None:
    result = CliRunner().invoke(main, [*path, "--help"])
    assert result.exit_code == 0
    assert len(result.stdout.splitlines()[2].strip()) > 10
    if path not in (["demo"], ["export", "schema"]):
        assert "--config FILE" in result.stdout


@pytest.mark.parametrize("path", all_commands(), ids=" ".join)
def test_every_command_that_prints_can_print_json(path: list[str]) -> None:
    if path not in (["serve"], ["demo"], *PRINT_DOCUMENTS):
        assert "--json" in CliRunner().invoke(main, [*path, "--help"]).stdout


def test_the_configuration_may_stand_before_or_after_the_command(hub: Hub) -> None:
    config = str(hub.config)
    for arguments in (
        ["--config", config, "member", "list"],
        ["member", "list", "--config", config],
    ):
        result = CliRunner().invoke(main, arguments)
        assert result.exit_code == 0, result.output
        assert "anna" in result.stdout


def test_the_configuration_may_come_from_the_environment(
    hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FEDCOMM_CONFIG", str(hub.config))
    assert "anna" in CliRunner().invoke(main, ["member", "list"]).stdout


def test_a_wrong_configuration_is_told_with_its_place(hub: Hub) -> None:
    with hub.config.open("a") as file:
        file.write('\n[servre]\nport = "x"\n')
    refusal = hub.refusal("member", "list")
    assert "did you mean server?" in refusal
    assert f"{hub.config}:" in refusal


def test_a_missing_configuration_is_told(tmp_path: Path) -> None:
    result = CliRunner().invoke(main, ["--config", str(tmp_path / "none.toml"), "member", "list"])
    assert result.exit_code == 1
    assert "no such file" in result.stderr


def test_a_database_without_schema_says_what_to_do(hub: Hub) -> None:
    (hub.folder / "fedcomm.db").unlink()
    assert "fedcomm migrate" in hub.refusal("member", "list")


def test_a_file_that_is_no_database_is_told_in_a_sentence(hub: Hub) -> None:
    (hub.folder / "fedcomm.db").write_bytes(b"no database, but long enough to be read" * 100)
    refusal = hub.refusal("member", "list")
    assert "not a database" in refusal
    assert len(refusal.splitlines()) == 1


def test_the_program_itself_exits_with_0_1_and_2(hub: Hub) -> None:
    assert program("--version").stdout == f"fedcomm, version {VERSION}\n"
    shown = program("member", "show", "anna", "--config", str(hub.config))
    assert (shown.returncode, shown.stderr) == (0, "")
    refused = program("member", "show", "nobody", "--config", str(hub.config))
    assert (refused.returncode, refused.stdout) == (1, "")
    assert refused.stderr.startswith("fedcomm: there is no member")
    assert program("member", "shwo").returncode == 2


def failing() -> click.Group:
    @click.group(cls=Nouns)
    @click.option("--debug", is_flag=True)
    def group(debug: bool) -> None:
        pass

    @group.command()
    def fail() -> None:
        raise RuntimeError("a surprise")

    return group


def test_an_unexpected_failure_is_one_sentence_unless_debug_is_asked_for() -> None:
    result = CliRunner().invoke(failing(), ["fail"])
    assert result.exit_code == 1
    assert "RuntimeError: a surprise" in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert isinstance(CliRunner().invoke(failing(), ["--debug", "fail"]).exception, RuntimeError)


def test_sentences_name_what_is_known() -> None:
    assert sentence_of(NotFound("There is no such group.")) == "There is no such group."
    missing = FileNotFoundError(2, "No such file or directory", "/some/file")
    assert sentence_of(missing) == "/some/file: No such file or directory"
    assert "too long" in sentence_of(TimeoutError())


def test_what_people_wrote_cannot_steer_the_terminal() -> None:
    assert printable("a\x1b[31mb\nc\u202e") == "a\\x1b[31mb\\x0ac\\x202e"
    assert printable("è “quotes” 🌱") == "è “quotes” 🌱"


def test_times_are_iso_8601_and_durations_are_short() -> None:
    assert moment(1_700_000_000_123) == "2023-11-14T22:13:20Z"
    assert moment(None) is None
    lengths = [0, 40_000, 12 * 60_000, 3 * 3_600_000, 50 * 3_600_000]
    assert [duration(length) for length in lengths] == ["0 s", "40 s", "12 min", "3 h", "2 days"]
    assert duration(None) == "-"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_root_is_warned_before_it_makes_files_in_another_users_folder(hub: Hub) -> None:
    assert hub.invoke("member", "list").stderr == ""
    os.chown(hub.folder / "fedcomm.db", 1234, 1234)
    assert "belongs to user 1234" in hub.invoke("member", "list").stderr
