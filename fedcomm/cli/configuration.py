"""`fedcomm config …`: what the hub is configured to do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import click

from fedcomm.cli.console import (
    Nouns,
    config_path,
    print_answer,
    print_json,
    settings,
    with_config,
    with_json,
)

if TYPE_CHECKING:
    from fedcomm.config import Option

HIDDEN: Final = "(hidden)"


@click.group("config", cls=Nouns)
def config() -> None:
    """The configuration: check it, show it."""


@config.command()
@with_config
@with_json
def check(as_json: bool) -> None:
    """Check the configuration; every problem is named with its place."""
    origin = settings().instance.origin
    path = config_path()
    source = "the environment" if path is None else str(path)
    print_answer(
        {"config": source, "origin": origin},
        f"The configuration of {origin} is right ({source}).",
        as_json=as_json,
    )


@config.command()
@with_config
@with_json
def show(as_json: bool) -> None:
    """Show every option as it is in effect, without secrets."""
    from fedcomm.config import options
    from fedcomm.literals import to_toml

    current = settings()
    tables: dict[str, dict[str, object]] = {}
    for option in options():
        value = getattr(getattr(current, option.table), option.name)
        tables.setdefault(option.table, {})[option.name] = _shown(option, value)
    if as_json:
        print_json({name: dict(table) for name, table in tables.items()})
        return
    for name, table in tables.items():
        click.echo(f"[{name}]")
        for key, value in table.items():
            click.echo(f"{key} = {to_toml(value)}")
        click.echo()


def _shown(option: Option, value: object) -> object:
    """`value` as plain TOML and JSON can hold it."""
    if option.about.secret and value and not str(value).startswith("sqlite:"):
        return HIDDEN
    if isinstance(value, tuple):
        return tuple(item if isinstance(item, int | float) else str(item) for item in value)
    if value is None or isinstance(value, bool | int | float | dict):
        return value
    return str(value)
