"""What the documents say is compared with what the program does."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from fedcomm.config import OTHER_VARIABLES, Option, load, options

ROOT = Path(__file__).parents[1]
EXAMPLE = ROOT / "config.example.toml"
LIBRARIES = ROOT / "docs/decisions/0001-libraries.md"

OPTIONS = tuple(options())
DOCUMENTS = (*sorted(ROOT.glob("*.md")), *sorted(ROOT.glob("docs/**/*.md")))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))

MEASURES = ("bytes", "seconds", "minutes", "hours", "days", "percent", "characters", "BCP 47")
"""Units that the prose of the example must name; counts ("attempts") name themselves."""


def name_of(value: object) -> str:
    if isinstance(value, Option):
        return f"{value.table}.{value.name}"
    return str(value.relative_to(ROOT)) if isinstance(value, Path) else str(value)


# --- Options ---


def explanations() -> dict[str, str]:
    """`table.option` -> the comment above it; options without a blank line between share one."""
    found: dict[str, str] = {}
    table, comment = "", ""
    for line in EXAMPLE.read_text("utf-8").splitlines():
        if heading := re.fullmatch(r"\[(\w+)\]", line):
            table, comment = heading[1], ""
        elif line.startswith("#"):
            comment += line.removeprefix("#") + "\n"
        elif not line:
            comment = ""
        elif assignment := re.match(r"(\w+) = ", line):
            found[f"{table}.{assignment[1]}"] = comment
    return found


def test_the_example_holds_every_option_in_order_and_no_other() -> None:
    document = tomllib.loads(EXAMPLE.read_text("utf-8"))
    written = [(table, name) for table, content in document.items() for name in content]
    assert written == [(option.table, option.name) for option in OPTIONS]


def test_the_example_holds_the_defaults_and_loads() -> None:
    document = tomllib.loads(EXAMPLE.read_text("utf-8"))
    for option in OPTIONS:
        if option.default:
            default = tomllib.loads(f"a = {option.default}")["a"]
            assert document[option.table][option.name] == default, name_of(option)
    assert load(EXAMPLE, {}).instance.origin == "https://hub.example"


@pytest.mark.parametrize("option", OPTIONS, ids=name_of)
def test_every_option_is_explained_where_it_stands_with_its_unit_and_choices(
    option: Option,
) -> None:
    explanation = explanations().get(name_of(option), "")
    assert len(explanation) > 20
    measure = option.about.unit.split("per ")[-1].lstrip("0123456789 ")
    if measure in MEASURES:
        assert measure.rstrip("s") in explanation.lower() or measure in explanation
    for choice in option.about.choices:
        assert f'"{choice}"' in explanation


@pytest.mark.parametrize("option", OPTIONS, ids=name_of)
def test_every_option_has_a_sentence_of_help(option: Option) -> None:
    assert option.about.help
    assert option.about.help.endswith((".", "…"))
    assert option.about.low <= option.about.high


# --- Documents ---


@pytest.mark.parametrize(
    "name",
    [
        "README.md",
        "README.it.md",
        "FEDERATION.md",
        "CHANGELOG.md",
        "CONTRIBUTING.md",
        "docs/install.md",
        "docs/decisions/0001-libraries.md",
    ],
)
def test_every_document_that_a_newcomer_expects_is_there(name: str) -> None:
    text = (ROOT / name).read_text("utf-8")
    assert text.startswith("# ")
    assert len(text) > 300


@pytest.mark.parametrize("name", ["README.md", "README.it.md"])
def test_both_readmes_tell_the_two_commands(name: str) -> None:
    text = (ROOT / name).read_text("utf-8")
    assert "make run" in text
    assert "fedcomm init" in text
    assert "fedcomm serve" in text


def test_the_licence_is_the_whole_agpl_3() -> None:
    text = (ROOT / "LICENSE").read_text("utf-8")
    assert text.lstrip().startswith("GNU AFFERO GENERAL PUBLIC LICENSE")
    assert "Remote Network Interaction" in text
    assert "How to Apply These Terms to Your New Programs" in text
    assert PROJECT["project"]["license"] == "AGPL-3.0-or-later"


@pytest.mark.parametrize("document", DOCUMENTS, ids=name_of)
def test_links_within_the_project_lead_somewhere(document: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", document.read_text("utf-8")):
        if re.match(r"[a-z]+:|#", target):
            continue
        assert (document.parent / target.partition("#")[0]).exists(), target


@pytest.mark.parametrize("document", DOCUMENTS, ids=name_of)
def test_documents_name_only_options_and_variables_that_exist(document: Path) -> None:
    text = document.read_text("utf-8")
    names = {name_of(option) for option in OPTIONS}
    tables = {option.table for option in OPTIONS}
    for table, name in re.findall(r"`([a-z]+)\.([a-z0-9_]+)(?: = [^`]*)?`", text):
        if table in tables and name not in ("py", "toml", "key", "db", "md"):
            assert f"{table}.{name}" in names
    variables = {option.variable for option in OPTIONS}
    for variable in re.findall(r"\bFEDCOMM_[A-Z][A-Z0-9_]*[A-Z0-9]", text):
        assert variable in variables or variable.startswith(OTHER_VARIABLES), variable


@pytest.mark.parametrize("document", DOCUMENTS, ids=name_of)
def test_configurations_in_documents_load(document: Path, tmp_path: Path) -> None:
    for block in re.findall(r"^```toml\n(.*?)^```", document.read_text("utf-8"), re.M | re.S):
        path = tmp_path / "fedcomm.toml"
        path.write_text(block, "utf-8")
        origin = {} if "origin" in block else {"FEDCOMM_INSTANCE_ORIGIN": "https://hub.example"}
        load(path, origin)


@pytest.mark.parametrize("document", DOCUMENTS, ids=name_of)
def test_make_targets_in_documents_exist(document: Path) -> None:
    targets = set(re.findall(r"^([a-z -]+):", (ROOT / "Makefile").read_text("utf-8"), re.M))
    known = {target for line in targets for target in line.split()}
    named = re.findall(r"(?:`|^)make ([a-z-]+)", document.read_text("utf-8"), re.M)
    assert set(named) <= known


def commands() -> dict[tuple[str, ...], set[str]]:
    """The `fedcomm ...` commands of all documents, each with the options that it is shown with."""
    found: dict[tuple[str, ...], set[str]] = {}
    for document in (*DOCUMENTS, EXAMPLE):
        text = document.read_text("utf-8")
        lines = re.findall(r"`fedcomm ([a-z][^`]*)`", text)
        for block in re.findall(r"^```sh\n(.*?)^```", text, re.M | re.S):
            lines += re.findall(r"(?:^|&& |sudo -u fedcomm |/bin/)fedcomm ([a-z].*)", block, re.M)
        for line in lines:
            words = re.match(r"[a-z]+( [a-z]+)?(?![^ ])", line)
            assert words, line
            shown = found.setdefault(tuple(words[0].split()), set())
            shown.update(re.findall(r"(?<=\s)--[a-z-]+", line))
    return dict(sorted(found.items()))


@pytest.mark.parametrize(("command", "shown"), commands().items(), ids=map(" ".join, commands()))
def test_commands_in_documents_exist_with_their_options(
    command: tuple[str, ...], shown: set[str]
) -> None:
    program = "from fedcomm.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", program, *command, "--help"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert shown <= set(re.findall(r"--[a-z-]+", done.stdout))


# --- Libraries ---


def requirement_names(requirements: list[str]) -> set[str]:
    return {re.split(r"[<>=!;\[ ]", requirement)[0].lower() for requirement in requirements}


def test_every_dependency_is_accounted_for_and_no_other_is() -> None:
    text = LIBRARIES.read_text("utf-8")
    run_time, rest = text.split("## For the tests")
    listed = set(re.findall(r"^\| ([a-z][a-z0-9-]*) \|", run_time, re.M)) - {"library"}
    assert listed == requirement_names(PROJECT["project"]["dependencies"])
    extras = PROJECT["project"]["optional-dependencies"]
    for name in requirement_names(extras["test"] + extras["dev"]):
        assert re.search(rf"\b{name}\b", rest), name
