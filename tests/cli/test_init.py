"""Founding a hub: what `fedcomm init` writes, and what it refuses."""

from __future__ import annotations

import json
import os
import stat
import tomllib
from pathlib import Path

import pytest
from click.testing import CliRunner

from fedcomm.cli import main
from fedcomm.config import load
from fedcomm.federation.vault import Vault
from tests.cli.conftest import PASSWORD, Hub, can_log_in, found
from tests.databases import PostgreSQLDatabases, PostgreSQLServer


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_the_configuration_loads_and_says_what_was_decided(founded: Path) -> None:
    config = load(founded / "fedcomm.toml", {})
    assert config.instance.origin == "https://hub.example"
    assert config.instance.name == "The hub"
    assert config.instance.contact_email == "anna@hub.example"
    assert config.server.host == "127.0.0.1"
    assert not config.is_development
    assert config.federation.private_addresses == ()


def test_an_origin_behind_a_proxy_believes_the_proxy_on_this_machine(founded: Path) -> None:
    networks = load(founded / "fedcomm.toml", {}).server.trusted_proxies
    assert [str(network) for network in networks] == ["127.0.0.1/32", "::1/128"]


def test_the_configuration_is_short_and_every_table_is_commented(founded: Path) -> None:
    text = (founded / "fedcomm.toml").read_text("utf-8")
    assert len(text.splitlines()) < 50
    assert text.count("\n#") > len(tomllib.loads(text))


def test_only_the_owner_can_read_configuration_key_and_database(founded: Path) -> None:
    for name in ("fedcomm.toml", "fedcomm.key", "fedcomm.db"):
        assert mode_of(founded / name) == 0o600, name
    assert mode_of(founded / "media") == 0o750


def test_the_key_file_is_one_that_the_server_loads(founded: Path) -> None:
    vault = Vault.load(founded / "fedcomm.key")
    assert vault.open(vault.seal("secret", "here"), "here") == "secret"


def test_the_administrator_can_log_in(hub: Hub) -> None:
    assert can_log_in(hub.config, "anna", PASSWORD)
    assert can_log_in(hub.config, "anna@hub.example", PASSWORD)
    assert hub.json("member", "show", "anna")["role"] == "administrator"


def test_a_made_password_is_printed_once_and_works(tmp_path: Path) -> None:
    result = CliRunner().invoke(
        main,
        [
            *("init", "--domain", "hub.example", "--name", "Hub", "--admin", "anna"),
            *("--email", "a@b.example", "--folder", str(tmp_path), "--json"),
        ],
    )
    assert result.exit_code == 0, result.output
    password = json.loads(result.stdout)["password"]
    assert len(password) == 19
    assert can_log_in(tmp_path / "fedcomm.toml", "anna", password)


def test_a_given_password_is_not_repeated(tmp_path: Path) -> None:
    for arguments in ((), ("--json",)):
        result = found(tmp_path / str(len(arguments)), *arguments)
        assert result.exit_code == 0
        assert PASSWORD not in result.output


def test_nothing_that_exists_is_overwritten(hub: Hub) -> None:
    before = {path: path.read_bytes() for path in hub.folder.iterdir() if path.is_file()}
    result = found(hub.folder)
    assert result.exit_code == 1
    assert "exists already" in result.stderr
    assert {path: path.read_bytes() for path in hub.folder.iterdir() if path.is_file()} == before


@pytest.mark.parametrize("name", ["fedcomm.key", "fedcomm.db"])
def test_a_key_or_a_database_that_lies_there_is_not_overwritten(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text("precious")
    result = found(tmp_path)
    assert result.exit_code == 1
    assert name in result.stderr
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert (tmp_path / name).read_text() == "precious"


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("--admin", "Anna Bianchi"), "lower-case letters"),
        (("--admin", "root"), "reserved"),
        (("--email", "nobody"), "e-mail address"),
        (("--database", "postgresql://nobody:x@127.0.0.1:1/none"), ""),
        (("--database", "mysql://x"), "database.url"),
    ],
)
def test_a_failed_founding_leaves_nothing_behind(
    arguments: tuple[str, ...], reason: str, tmp_path: Path
) -> None:
    result = found(tmp_path / "new" / "hub", *arguments)
    assert result.exit_code == 1, result.output
    assert reason in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_guessable_password_is_refused(tmp_path: Path) -> None:
    result = CliRunner().invoke(
        main,
        [
            *("init", "--domain", "hub.example", "--name", "Hub", "--admin", "annabianchi"),
            *("--email", "a@b.example", "--folder", str(tmp_path), "--password-stdin"),
        ],
        input="annabianchi\n",
    )
    assert result.exit_code == 1
    assert "easy to guess" in result.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("--domain", "hub.example", "--origin", "https://hub.example"),
        ("--domain", "hub.example/community"),
        ("--domain", "not a host"),
        ("--origin", "ftp://hub.example"),
    ],
)
def test_an_address_that_is_none_is_wrong_usage(arguments: tuple[str, ...], tmp_path: Path) -> None:
    common = ("--name", "H", "--admin", "anna", "--email", "a@b.example")
    result = CliRunner().invoke(
        main, ["init", *common, "--folder", str(tmp_path / "hub"), *arguments]
    )
    assert result.exit_code == 2
    assert not (tmp_path / "hub").exists()


def test_a_development_origin_sets_the_port_to_listen_on(tmp_path: Path) -> None:
    result = CliRunner().invoke(
        main,
        [
            *("init", "--origin", "http://localhost:9100", "--name", "H", "--admin", "anna"),
            *("--email", "a@b.example", "--folder", str(tmp_path)),
        ],
    )
    assert result.exit_code == 0, result.output
    config = load(tmp_path / "fedcomm.toml", {})
    assert (config.instance.origin, config.server.port) == ("http://localhost:9100", 9100)
    assert config.server.trusted_proxies == ()


def test_odd_characters_of_a_name_survive_the_file(tmp_path: Path) -> None:
    name = 'Quotes " and \\ and {braces} and né'
    result = found(tmp_path, "--name", name)
    assert result.exit_code == 0, result.output
    assert load(tmp_path / "fedcomm.toml", {}).instance.name == name


def test_a_hub_is_founded_on_an_empty_postgresql_once_only(
    migrated_postgresql: tuple[PostgreSQLServer, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    databases = PostgreSQLDatabases(*migrated_postgresql)
    try:
        url = databases.empty()
        assert found(tmp_path / "odd", "--database", url, "--email", "odd").exit_code == 1
        # What failed half-way can be tried again.
        assert found(tmp_path / "a", "--database", url).exit_code == 0
        again = found(tmp_path / "b", "--database", url)
        assert again.exit_code == 1
        assert "holds a hub already" in again.stderr
        assert not (tmp_path / "b").exists()

        monkeypatch.setenv("FEDCOMM_DATABASE_URL", databases.empty())
        assert found(tmp_path / "c").exit_code == 0
        text = (tmp_path / "c" / "fedcomm.toml").read_text()
        assert os.environ["FEDCOMM_DATABASE_URL"] not in text
        assert not (tmp_path / "c" / "fedcomm.db").exists()
    finally:
        monkeypatch.delenv("FEDCOMM_DATABASE_URL", raising=False)
        databases.remove_all()
