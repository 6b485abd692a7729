"""A founded hub for every test of the command line, and a way to run commands on it."""

from __future__ import annotations

import asyncio
import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from fedcomm.cli import main
from fedcomm.config import load
from fedcomm.hub.errors import HubError
from fedcomm.hub.sessions import log_in
from fedcomm.store.schema import open_database

PASSWORD = "correct horse"


@dataclass(frozen=True)
class Hub:
    """A hub in `folder` and its commands."""

    folder: Path

    @property
    def config(self) -> Path:
        return self.folder / "fedcomm.toml"

    def invoke(self, *arguments: str, stdin: str | None = None) -> Result:
        """Run `fedcomm ARGUMENTS` and give what came of it."""
        return CliRunner().invoke(main, ["--config", str(self.config), *arguments], input=stdin)

    def run(self, *arguments: str, stdin: str | None = None) -> str:
        """Run a command that has to succeed; what it printed."""
        result = self.invoke(*arguments, stdin=stdin)
        assert result.exit_code == 0, result.output
        return result.stdout

    def json(self, *arguments: str, stdin: str | None = None) -> Any:
        """Run a command that has to succeed with `--json`; what it printed."""
        return json.loads(self.run(*arguments, "--json", stdin=stdin))

    def refusal(self, *arguments: str, stdin: str | None = None) -> str:
        """Run a command that has to be refused: one sentence on standard error, nothing else."""
        result = self.invoke(*arguments, stdin=stdin)
        assert result.exit_code == 1, result.output
        assert result.stdout == ""
        assert result.stderr.startswith("fedcomm: ")
        assert "Traceback" not in result.output
        return result.stderr


def found(folder: Path, *arguments: str) -> Result:
    """Run `fedcomm init` for https://hub.example into `folder`."""
    return CliRunner().invoke(
        main,
        [
            "init",
            *("--domain", "hub.example", "--name", "The hub", "--admin", "anna"),
            *("--email", "anna@hub.example", "--folder", str(folder), "--password-stdin"),
            *arguments,
        ],
        input=f"{PASSWORD}\n",
    )


def can_log_in(config: Path, name: str, password: str) -> bool:
    """Whether the password is right, on the hub with this configuration."""

    async def attempt() -> bool:
        db = await open_database(load(config, {}).database.url)
        try:
            return bool(await log_in(db, name, password))
        except HubError:
            return False
        finally:
            await db.close()

    return asyncio.run(attempt())


@pytest.fixture(autouse=True)
def no_options_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    """The commands see the options that a test gives them, not those of whoever runs it."""
    for variable in ("FEDCOMM_CONFIG", "FEDCOMM_DATABASE_URL"):
        monkeypatch.delenv(variable, raising=False)


@pytest.fixture(scope="session")
def founded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a hub as `fedcomm init` leaves it, to copy."""
    folder = tmp_path_factory.mktemp("founded") / "hub"
    result = found(folder)
    assert result.exit_code == 0, result.output
    return folder


@pytest.fixture
def hub(founded: Path, tmp_path: Path) -> Hub:
    """A hub of the test's own: administrator anna, nothing else."""
    folder = tmp_path / "hub"
    shutil.copytree(founded, folder)
    return Hub(folder)


@pytest.fixture
def community(hub: Hub) -> Hub:
    """The hub with a member bob, and the groups garden (anna, bob) and cellar (private, anna)."""
    hub.run("member", "create", "bob", "--password-stdin", stdin=f"{PASSWORD}\n")
    hub.run("group", "create", "garden", "--title", "The garden", "--owner", "anna")
    hub.run("group", "add", "garden", "bob")
    hub.run(
        *("group", "create", "cellar", "--title", "The cellar"),
        *("--owner", "anna", "--mode", "private"),
    )
    return hub


@pytest.fixture
def topic(community: Hub) -> dict[str, str]:
    """A topic by bob in the garden: its addresses."""
    made: dict[str, str] = community.json(
        "post", "garden", "--as", "bob", "--title", "Beans", "--text", "They *grow*."
    )
    return made
