"""`fedcomm config`: check and show."""

from __future__ import annotations

import tomllib

from fedcomm.config import load, options
from tests.cli.conftest import Hub


def test_a_right_configuration_is_called_right(hub: Hub) -> None:
    assert hub.json("config", "check") == {
        "config": str(hub.config),
        "origin": "https://hub.example",
    }
    assert "is right" in hub.run("config", "check")


def test_every_problem_is_named(hub: Hub) -> None:
    text = hub.config.read_text().replace("port = 8080", 'prot = 8080\nprocesses = "many"')
    hub.config.write_text(text)
    refusal = hub.refusal("config", "check")
    assert "did you mean port?" in refusal
    assert "processes" in refusal


def test_every_option_is_shown_as_it_is_in_effect(hub: Hub) -> None:
    shown = tomllib.loads(hub.run("config", "show"))
    as_json = hub.json("config", "show")
    for option in options():
        assert option.name in shown[option.table]
        assert option.name in as_json[option.table]
    assert shown["instance"]["origin"] == "https://hub.example"
    assert as_json["server"]["trusted_proxies"] == ["127.0.0.1/32", "::1/128"]


def test_what_is_shown_loads_again(hub: Hub) -> None:
    before = load(hub.config, {})
    hub.config.write_text(hub.run("config", "show"))
    assert load(hub.config, {}) == before


def test_no_secret_is_shown(hub: Hub) -> None:
    url = "postgresql://fedcomm:Sesame@db.example/fedcomm?password=Sesame"
    text = hub.config.read_text().replace("sqlite:///fedcomm.db", url)
    hub.config.write_text(text)
    for arguments in ((), ("--json",)):
        assert "Sesame" not in hub.run("config", "show", *arguments)
