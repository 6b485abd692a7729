"""`fedcomm actor fetch`, `follow`, `unfollow`: people and groups, here and elsewhere."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

import click

from fedcomm.cli.console import (
    Nouns,
    Refused,
    active_member,
    actor_url,
    hub,
    print_answer,
    print_facts,
    print_json,
    run,
    with_config,
    with_json,
)

if TYPE_CHECKING:
    from fedcomm.hub.actors import Actor
    from fedcomm.site import Site
    from fedcomm.store.database import Reader

POLL_SECONDS: Final = 0.25
"""How often `--wait` looks whether the other side has answered."""


@click.group(cls=Nouns)
def actor() -> None:
    """People and groups of other servers."""


@actor.command()
@click.argument("target", metavar="HANDLE|URL")
@with_config
@with_json
def fetch(target: str, as_json: bool) -> None:
    """Look somebody up: name@host, or the address of their page or actor."""
    print_facts(run(_fetch(target)), as_json=as_json)


async def _fetch(target: str) -> dict[str, object]:
    async with hub() as site:
        return _facts(site, await find_actor(site, target))


@click.command()
@click.argument("target", metavar="HANDLE|URL")
@click.option("--as", "author", required=True, metavar="MEMBER", help="Who follows.")
@click.option(
    "--wait",
    type=click.FloatRange(0),
    default=0.0,
    metavar="SECONDS",
    help="Wait so long for the other side to accept; the server must run.",
)
@with_config
@with_json
def follow(target: str, author: str, wait: float, as_json: bool) -> None:
    """Follow a person or a group anywhere; a group of this hub is joined."""
    facts = run(_follow(target, author, wait))
    if as_json:
        print_json(facts)
    elif facts["state"] == "active":
        click.echo(f"{author} follows {facts['handle']}.")
    else:
        click.echo(f"{author} asked to follow {facts['handle']}; they have not answered yet.")
    if wait and facts["state"] != "active":
        raise Refused(f"{facts['handle']} has not accepted within {wait:g} s.")


async def _follow(target: str, author: str, wait: float) -> dict[str, object]:
    from fedcomm.hub import follows, groups

    async with hub() as site:
        member = await active_member(site.db, author)
        followed = await find_actor(site, target)
        joins = followed.is_local and followed.kind == "group"
        async with site.db.transaction() as tx:
            if joins:
                state: str = await groups.join(tx, followed.id, member.id)
            else:
                state = await follows.request(tx, member.id, followed.id)
        deadline = asyncio.get_running_loop().time() + wait
        while state != "active" and asyncio.get_running_loop().time() < deadline:
            await asyncio.sleep(POLL_SECONDS)
            state = await _state(site.db, member.id, followed)
        return {**_facts(site, followed), "state": state}


@click.command()
@click.argument("target", metavar="HANDLE|URL")
@click.option("--as", "author", required=True, metavar="MEMBER", help="Who unfollows.")
@with_config
@with_json
def unfollow(target: str, author: str, as_json: bool) -> None:
    """Stop following a person or a group; a group of this hub is left."""
    facts = run(_unfollow(target, author))
    print_answer(facts, f"{author} does not follow {facts['handle']} any more.", as_json=as_json)


async def _unfollow(target: str, author: str) -> dict[str, object]:
    from fedcomm.hub import follows, groups

    async with hub() as site:
        member = await active_member(site.db, author)
        followed = await find_actor(site, target)
        async with site.db.transaction() as tx:
            if followed.is_local and followed.kind == "group":
                await groups.leave(tx, followed.id, member.id)
            else:
                await follows.end(tx, member.id, followed.id)
        return {**_facts(site, followed), "state": "none"}


async def find_actor(site: Site, target: str) -> Actor:
    """Whoever `target` names: a name or page here, a handle or an address elsewhere, which is
    fetched. Raises Refused."""
    from fedcomm.hub import actors

    name = _local_name(target, site)
    found = await actors.local_actor(site.db, name) if name is not None else await _fetched(target)
    if found is None:
        raise Refused(f"nobody was found at {target!r}.")
    return found


async def _fetched(target: str) -> Actor | None:
    async with hub(federated=True) as site:
        if site.federation is None:
            raise Refused("federation is switched off, so nobody elsewhere can be looked up.")
        return await site.federation.find_actor(target)


def _local_name(target: str, site: Site) -> str | None:
    """The name here that `target` is, or None when it is somebody elsewhere."""
    for prefix in (f"{site.origin}/@", f"{site.origin}/g/"):
        if target.startswith(prefix):
            return target.removeprefix(prefix).strip("/")
    if target.startswith(("http://", "https://")):
        return None
    name, _, host = target.removeprefix("@").removeprefix("!").partition("@")
    return name if host in ("", site.host) else None


async def _state(db: Reader, follower_id: int, followed: Actor) -> str:
    from fedcomm.hub import follows, groups

    if followed.is_local and followed.kind == "group":
        place = await groups.membership(db, followed.id, follower_id)
        return place.state if place else "refused"
    known = await follows.find(db, follower_id, followed.id)
    return known.state if known else "refused"


def _facts(site: Site, found: Actor) -> dict[str, object]:
    from fedcomm.federation.addresses import Addresses

    return {
        "id": str(found.id),
        "kind": found.kind,
        "handle": found.handle if found.host else f"{found.name}@{site.host}",
        "display_name": found.display_name,
        "url": actor_url(site, found),
        "uri": Addresses(site.origin).actor(found),
        "inbox": found.inbox,
    }
