"""`fedcomm demo`: two servers with people in them, to try federation on one computer."""

from __future__ import annotations

import asyncio
import shutil
import signal
import subprocess
import time
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Final

import click

from fedcomm.cli.console import Refused, run

if TYPE_CHECKING:
    from fedcomm.demo.community import Community
    from fedcomm.demo.instances import Instance

PASSWORD: Final = "fedcomm-demo"  # noqa: S105  # printed: the servers listen on the loopback only
HUB_PORT: Final = 8080
ELSEWHERE_PORT: Final = 8081

ACCEPT_SECONDS: Final = 30
"""How long the hub may take to accept the first follower."""

TRAVEL_SECONDS: Final = 30.0
"""How long the first topic and its answer may travel."""

EXTRA: Final = """\
[federation]
# Two servers on one computer; nothing of this belongs on a public one.
private_addresses = ["127.0.0.0/8", "::1/128"]
any_port = true

[delivery]
# Seconds rather than hours, so that a server that was stopped catches up while you watch.
retry_minutes = [0.05, 0.1, 0.25, 0.5, 1, 5]

[development]
allow_http = true
"""


@click.command()
@click.option(
    "--folder",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("demo"),
    show_default=True,
    help="Where both servers keep everything.",
)
@click.option(
    "--port", type=click.IntRange(1, 65535), help=f"The hub's port.  [default: {HUB_PORT}]"
)
@click.option(
    "--elsewhere-port",
    type=click.IntRange(1, 65535),
    help=f"The second server's port.  [default: {ELSEWHERE_PORT}]",
)
@click.option("--once", is_flag=True, help="Stop as soon as everything has run, for tests.")
def demo(folder: Path, port: int | None, elsewhere_port: int | None, once: bool) -> None:
    """Start two small communities that federate with each other, on this computer only.

    The first start makes them; later ones continue with the same data. Ctrl-C stops both.
    """
    from fedcomm.demo import elsewhere as second
    from fedcomm.demo import hub as first
    from fedcomm.demo import instances

    signal.signal(signal.SIGTERM, _interrupt)
    if hasattr(signal, "SIGHUP"):
        signal.signal(signal.SIGHUP, _interrupt)

    hub_port = _port(folder / "hub", port, HUB_PORT, "--port", frozenset())
    other_port = _port(
        folder / "elsewhere",
        elsewhere_port,
        ELSEWHERE_PORT,
        "--elsewhere-port",
        frozenset((hub_port,)),
    )
    hub = instances.Instance(folder / "hub", hub_port)
    elsewhere = instances.Instance(folder / "elsewhere", other_port)
    processes: list[subprocess.Popen[bytes]] = []
    try:
        _make(hub, first.HUB)
        _make(elsewhere, second.ELSEWHERE)
        for instance in (hub, elsewhere):
            processes.append(instance.start())
        for instance, process in zip((hub, elsewhere), processes, strict=True):
            instance.wait_until_ready(process)
        _introduce(hub, elsewhere, must=once)
        _explain(hub, elsewhere, first.HUB, second.ELSEWHERE, folder)
        while not once:
            for instance, process in zip((hub, elsewhere), processes, strict=True):
                if process.poll() is not None:
                    raise Refused(instance.last_words())
            time.sleep(0.3)
    except KeyboardInterrupt:
        click.echo("\nStopping …", err=True)
    except instances.InstanceFailed as error:
        raise Refused(str(error)) from error
    finally:
        # A second Ctrl-C must not leave a server behind.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        instances.stop(processes)
        signal.signal(signal.SIGINT, signal.default_int_handler)
    click.echo("Both servers have stopped.", err=True)


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _port(
    folder: Path, asked: int | None, default: int, option: str, reserved: frozenset[int]
) -> int:
    """The port of the instance in `folder`: the one that its ids hold, or a free one for a new one.

    Raises Refused when the data's port is taken or another one was asked for.
    """
    from fedcomm.demo import ports

    known = _known_port(folder)
    if known is None:
        wanted = asked or default
        try:
            port = ports.choose(wanted, reserved)
        except ports.NoFreePort as error:
            raise Refused(str(error)) from error
        if port != wanted:
            click.echo(f"Port {wanted} is taken; using {port} instead.")
        return port
    if asked is not None and asked != known:
        raise Refused(
            f"the data in {folder} belongs to http://localhost:{known}: an address cannot change "
            f"later. Start without {option}, or forget the data with `make clean-demo`."
        )
    if not ports.is_free(known):
        raise Refused(
            f"port {known} is taken, and the data in {folder} belongs to http://localhost:{known}: "
            "an address cannot change later. Stop what listens there (another demo?), or forget the "
            "data with `make clean-demo`."
        )
    return known


def _known_port(folder: Path) -> int | None:
    from urllib.parse import urlsplit

    from fedcomm import config as configuration

    path = folder / "fedcomm.toml"
    if not path.is_file():
        return None
    try:
        config = configuration.load(path, {})
    except configuration.ConfigError as error:
        raise Refused(f"the demo's configuration cannot be used:\n{error}") from error
    return urlsplit(config.instance.origin).port


def _make(instance: Instance, community: Community) -> None:
    """Found the instance and fill it, unless it is there already."""
    from fedcomm.cli.init import Founding, found_hub

    if instance.config.is_file():
        return
    # Under another name until it is whole, so that an interrupted start leaves no half community.
    unfinished = instance.folder.with_name(f"{instance.folder.name}.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    administrator = community.administrator
    config = found_hub(
        unfinished / "fedcomm.toml",
        Founding(
            instance.origin,
            community.name,
            administrator.name,
            f"{administrator.name}@example.org",
            PASSWORD,
            language=community.language,
            port=instance.port,
            description=community.description,
            extra=EXTRA,
        ),
        {},
    )
    with click.progressbar(length=community.steps, label=f"Making {community.name}") as bar:

        async def fill() -> None:
            from fedcomm.demo.seeding import seed
            from fedcomm.site import Site
            from fedcomm.store.schema import open_database

            db = await open_database(config.database.url, readers=1)
            try:
                await seed(
                    Site(config, db), community, password=PASSWORD, step=lambda: bar.update(1)
                )
            finally:
                await db.close()

        run(fill())
    unfinished.rename(instance.folder)


def _introduce(hub: Instance, elsewhere: Instance, *, must: bool) -> None:
    """Let the second server's member follow the hub's garden, once, and something travel both ways.

    When it fails the servers run on and it is tried again at the next start (with `must`: Refused).
    """
    from fedcomm.demo.elsewhere import ANSWER, ELSEWHERE
    from fedcomm.demo.hub import FRESH_TOPIC, GARDEN
    from fedcomm.demo.instances import InstanceFailed

    kim = ELSEWHERE.administrator.name
    handle = f"{GARDEN.name}@{hub.host}"
    try:
        if handle in elsewhere.run("member", "show", kim)["following"]:
            return
        click.echo(f"The servers get to know each other: {kim} follows {handle} …")
        elsewhere.run("follow", handle, "--as", kim, "--wait", str(ACCEPT_SECONDS))
        topic = hub.run(
            *("post", GARDEN.name, "--as", FRESH_TOPIC.author),
            *("--title", FRESH_TOPIC.title, "--text", FRESH_TOPIC.text),
        )
        run(_until_known(elsewhere, topic["uri"]))
        click.echo("  a new topic of the garden has arrived elsewhere,")
        reply = elsewhere.run("reply", topic["uri"], "--as", kim, "--text", ANSWER.text)
        run(_until_known(hub, reply["uri"]))
        click.echo(f"  and {kim}'s answer stands in the hub's thread.")
    except (InstanceFailed, TimeoutError) as error:
        text = str(error) or "nothing arrived in time"
        if must:
            raise Refused(f"the two servers did not get to know each other: {text}") from error
        click.echo(f"  that did not work: {text} It is tried again at the next start.", err=True)


async def _until_known(instance: Instance, uri: str) -> None:
    """Return when the instance holds the remote object `uri`. Raises TimeoutError."""
    from fedcomm import config as configuration
    from fedcomm.hub import threads
    from fedcomm.store.schema import open_database

    db = await open_database(configuration.load(instance.config, {}).database.url, readers=1)
    try:
        async with asyncio.timeout(TRAVEL_SECONDS):
            # Another process writes to this database: there is nothing to wait for but time.
            while await threads.thing_by_uri(db, uri) is None:  # noqa: ASYNC110
                await asyncio.sleep(0.1)
    finally:
        await db.close()


def _explain(
    hub: Instance, elsewhere: Instance, first: Community, second: Community, folder: Path
) -> None:
    """Say where everything is and what to try."""

    def names(community: Community) -> str:
        return ", ".join(
            person.name if person.role == "member" else f"{person.name} ({person.role})"
            for person in community.people
        )

    garden = first.places[0]
    kim = second.administrator.name
    click.echo(f"""
  The hub, "{first.name}"      {hub.origin}
  A second server, "{second.name}"   {elsewhere.origin}

  Log in on the hub as          {names(first)}
  Log in on the second as       {names(second)}
  Everybody's password          {PASSWORD}

  What to try
  1. Log in as tom at {hub.origin}/login and start a topic in
     {hub.origin}/g/{garden.name}
  2. Log in as {kim} at {elsewhere.origin}/login:
     the topic stands in {kim}'s home timeline within seconds. Answer it, like it.
  3. Look at the topic on the hub: {kim}'s answer is in the thread. Edit the topic, and the
     change travels; delete it, and it disappears over there.
  4. Log in as {first.administrator.name} and open {hub.origin}/admin to see how federation is doing.

  The data stays in {folder}/ ; `make clean-demo` forgets it. Ctrl-C stops both servers.
""")
