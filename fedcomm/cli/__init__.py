"""The command line: one module per noun. `main` is the command `fedcomm`.

Exit codes: 0 done, 1 refused or failed (one sentence on standard error), 2 wrong usage.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from types import MappingProxyType
from typing import Final

import click

from fedcomm.cli.console import Nouns, with_config
from fedcomm.version import VERSION

COMMANDS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "init": "init:init",
        "serve": "serve:serve",
        "demo": "demo:demo",
        "migrate": "migrate:migrate",
        "doctor": "doctor:doctor",
        "config": "configuration:config",
        "member": "member:member",
        "group": "group:group",
        "post": "post:post",
        "reply": "post:reply",
        "edit": "post:edit",
        "delete": "post:delete",
        "like": "post:like",
        "draft": "draft:draft",
        "follow": "actor:follow",
        "unfollow": "actor:unfollow",
        "actor": "actor:actor",
        "token": "token:token",
        "queue": "queue:queue",
        "relay": "relay:relay",
        "canary": "canary:canary",
        "policy": "policy:policy",
        "sweep": "sweep:sweep",
        "held": "held:held",
        "erasure": "erasure:erasure",
        "access": "access:access",
        "audit": "audit:audit",
        "reach": "reach:reach",
        "backup": "backup:backup",
        "restore": "backup:restore",
        "export": "portability:export",
        "import": "portability:import_",
        "checksum": "portability:checksum",
        "emoji": "emoji:emoji",
        "media": "media:media",
    }
)
"""Each command's name, and where it is: the module of this package and the name in it."""


class Program(Nouns):
    """The whole program. A command's module is imported when the command is asked for: a server that runs for months
    keeps none of the others in memory."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Every command, by its name."""
        return sorted({*COMMANDS, *super().list_commands(ctx)})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command called `cmd_name`, or None."""
        place = COMMANDS.get(cmd_name)
        if cmd_name not in self.commands and place is not None:
            module, _, name = place.partition(":")
            self.add_command(getattr(import_module(f"{__name__}.{module}"), name), cmd_name)
        return super().get_command(ctx, cmd_name)


@click.group(cls=Program, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(VERSION, prog_name="fedcomm")
@click.option(
    "--debug", is_flag=True, help="Show what happens, and where an unexpected failure happened."
)
@with_config
def main(debug: bool) -> None:
    """A community's own server: groups, members, threads, shared with the fediverse.

    Commands work on the database directly, also while `fedcomm serve` runs: it sees what
    they did within a second.
    """
