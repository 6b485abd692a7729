"""The command line: one module per noun. `main` is the command `fedcomm`.

Exit codes: 0 done, 1 refused or failed (one sentence on standard error), 2 wrong usage.
"""

from __future__ import annotations

import click

from fedcomm.cli.console import Nouns, with_config
from fedcomm.version import VERSION


@click.group(cls=Nouns, context_settings={"help_option_names": ["-h", "--help"]})
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


def _add_commands() -> None:
    from fedcomm.cli import (
        access,
        actor,
        backup,
        canary,
        configuration,
        demo,
        doctor,
        draft,
        emoji,
        erasure,
        group,
        held,
        init,
        media,
        member,
        migrate,
        policy,
        portability,
        post,
        queue,
        reach,
        relay,
        serve,
        sweep,
        token,
    )

    for command in (
        init.init,
        serve.serve,
        demo.demo,
        migrate.migrate,
        doctor.doctor,
        configuration.config,
        member.member,
        group.group,
        post.post,
        post.reply,
        post.edit,
        post.delete,
        post.like,
        draft.draft,
        actor.follow,
        actor.unfollow,
        actor.actor,
        token.token,
        queue.queue,
        relay.relay,
        canary.canary,
        policy.policy,
        sweep.sweep,
        held.held,
        erasure.erasure,
        access.access,
        reach.reach,
        backup.backup,
        backup.restore,
        portability.export,
        portability.import_,
        portability.checksum,
        emoji.emoji,
        media.media,
    ):
        main.add_command(command)


_add_commands()
