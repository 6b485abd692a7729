"""`docs/cli.md`, written from the commands' own help; a test keeps it current.

`python -m fedcomm.cli.reference > docs/cli.md` writes it anew.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import click

WIDTH: Final = 90

HEAD: Final = """\
# The command line

Written from the commands' own `--help`; do not edit by hand.

`--config FILE` may stand before or after the command. Exit codes: 0 done, 1 refused or failed (one
sentence on standard error), 2 wrong usage. With `--json`, standard output holds one JSON value and
nothing else; ids are strings, times are ISO 8601 in UTC.
"""


def markdown(command: click.Command) -> str:
    """The whole reference of `command` and everything below it."""
    parts = [HEAD]
    top = click.Context(
        command, info_name="fedcomm", terminal_width=WIDTH, **command.context_settings
    )
    for context in _contexts(top):
        level = "#" * (2 + context.command_path.count(" "))
        parts.append(f"{level} {context.command_path}\n\n```text\n{context.get_help()}\n```\n")
    return "\n".join(parts)


def _contexts(context: click.Context) -> Iterator[click.Context]:
    yield context
    command = context.command
    if not isinstance(command, click.Group):
        return
    for name in command.list_commands(context):
        below = command.get_command(context, name)
        if below is not None and not below.hidden:
            yield from _contexts(
                click.Context(below, info_name=name, parent=context, terminal_width=WIDTH)
            )


if __name__ == "__main__":
    from fedcomm.cli import main

    print(markdown(main), end="")
