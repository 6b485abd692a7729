"""`fedcomm member …`: accounts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import click

from fedcomm.cli.console import (
    Nouns,
    Refused,
    hub,
    member_named,
    moment,
    password_from_stdin,
    print_facts,
    print_json,
    print_list,
    run,
    with_config,
    with_json,
)

if TYPE_CHECKING:
    from fedcomm.hub.members import Member

ROLES: Final = ("administrator", "moderator", "member")
LOCALES: Final = ("en", "it")
PAGE: Final = 500
"""Members read at once."""


@click.group(cls=Nouns)
def member() -> None:
    """Accounts: create, list, show, new password, suspend."""


@member.command("create")
@click.argument("name")
@click.option("--email", help="An address to log in with, and for letters from the hub.")
@click.option("--display-name", default="", help="The name that others read.")
@click.option("--role", type=click.Choice(ROLES), default="member", show_default=True)
@click.option("--locale", type=click.Choice(LOCALES), help="[default: the hub's]")
@click.option("--password-stdin", is_flag=True, help="Read the password from standard input.")
@with_config
@with_json
def create(
    name: str,
    email: str | None,
    display_name: str,
    role: str,
    locale: str | None,
    password_stdin: bool,
    as_json: bool,
) -> None:
    """Create the account NAME. Without --password-stdin a password is made and printed once."""
    given = password_from_stdin() if password_stdin else None
    created, password = run(_create(name, email, display_name, role, locale, given))
    if as_json:
        print_json(_facts(created) if given else {**_facts(created), "password": password})
        return
    click.echo(f"Member {created.name} is created ({created.role}).")
    if not given:
        click.echo(f"Password: {password}  (shown this once)")


async def _create(
    name: str,
    email: str | None,
    display_name: str,
    role: str,
    locale: str | None,
    given: str | None,
) -> tuple[Member, str]:
    from fedcomm.cli.init import new_password
    from fedcomm.hub import members
    from fedcomm.hub.passwords import hash_password

    password = given or new_password()
    members.password_acceptable(password, name, email)
    async with hub() as site:
        hashed = await hash_password(password)
        async with site.db.transaction() as tx:
            member_id = await members.create_member(
                tx,
                name,
                display_name=display_name,
                email=email,
                password_hash=hashed,
                role=role,  # type: ignore[arg-type]  # checked by click and by the hub
                locale=locale or site.config.instance.default_locale,
            )
        created = await members.member(site.db, member_id)
    assert created is not None
    return created, password


@member.command("list")
@with_config
@with_json
def list_all(as_json: bool) -> None:
    """List all accounts, the oldest first."""
    columns = {
        "NAME": "name",
        "ROLE": "role",
        "STATE": "state",
        "SINCE": "created_at",
        "DISPLAY NAME": "display_name",
    }
    found = [_facts(each) for each in run(_list())]
    print_list(found, columns, empty="There are no members yet.", as_json=as_json)


async def _list() -> list[Member]:
    from fedcomm.hub import members

    found: list[Member] = []
    async with hub() as site:
        while page := await members.list_members(
            site.db, after=found[-1].id if found else 0, limit=PAGE
        ):
            found += page
    return found


@member.command("show")
@click.argument("name")
@with_config
@with_json
def show(name: str, as_json: bool) -> None:
    """Show the account NAME, its groups and whom it follows."""
    print_facts(run(_show(name)), as_json=as_json)


async def _show(name: str) -> dict[str, object]:
    from fedcomm.hub import follows, groups

    async with hub() as site:
        found = await member_named(site.db, name)
        joined = await groups.memberships_of(site.db, found.id)
        followed = await follows.followed_by(site.db, found.id, limit=PAGE)
        followers, _ = await follows.counts(site.db, found.id)
        return {
            **_facts(found),
            "url": f"{site.origin}/@{found.name}",
            "groups": [group.name for group in joined],
            "following": [
                actor.handle if state == "active" else f"{actor.handle} (requested)"
                for actor, state in followed
            ],
            "followers": followers,
        }


@member.command("password")
@click.argument("name")
@click.option("--stdin", is_flag=True, help="Read the password from standard input.")
@with_config
@with_json
def password(name: str, stdin: bool, as_json: bool) -> None:
    """Set a new password for NAME; every log-in and token of theirs ends.

    Without --stdin a password is made and printed once.
    """
    given = password_from_stdin() if stdin else None
    chosen = run(_set_password(name, given))
    if as_json:
        print_json({"name": name} if given else {"name": name, "password": chosen})
        return
    click.echo(f"{name} has a new password; their log-ins and tokens have ended.")
    if not given:
        click.echo(f"Password: {chosen}  (shown this once)")


async def _set_password(name: str, given: str | None) -> str:
    from fedcomm.cli.init import new_password
    from fedcomm.hub import members
    from fedcomm.hub.passwords import hash_password

    chosen = given or new_password()
    async with hub() as site:
        found = await member_named(site.db, name)
        members.password_acceptable(chosen, found.name, found.email)
        hashed = await hash_password(chosen)
        async with site.db.transaction() as tx:
            await members.set_password(tx, found.id, hashed)
    return chosen


@member.command("suspend")
@click.argument("name")
@click.option("--reason", help="Why. The person reads it, and may appeal.")
@click.option("--undo", is_flag=True, help="Let the account back in.")
@with_config
@with_json
def suspend(name: str, reason: str | None, undo: bool, as_json: bool) -> None:
    """Suspend the account NAME: its log-ins and tokens end, and it can do nothing but appeal.

    Nothing is decided without --reason.
    """
    if not undo and not (reason or "").strip():
        raise Refused("nothing is decided without a reason: give --reason.")
    found = run(_suspend(name, reason or "", suspended=not undo))
    if as_json:
        print_json(_facts(found))
    elif undo:
        click.echo(f"{found.name} can log in again.")
    else:
        click.echo(f"{found.name} is suspended; their log-ins and tokens have ended.")


async def _suspend(name: str, reason: str, *, suspended: bool) -> Member:
    from fedcomm.hub import members, moderation

    async with hub() as site:
        found = await member_named(site.db, name)
        if suspended and await members.is_only_administrator(site.db, found.id):
            raise Refused(f"{found.name} is the only administrator; create another one first.")
        async with site.db.transaction() as tx:
            if suspended:
                await moderation.suspend_by_operator(tx, found.id, reason)
            else:
                await moderation.unsuspend_by_operator(tx, found.id)
        changed = await members.member(site.db, found.id)
    assert changed is not None
    return changed


def _facts(found: Member) -> dict[str, object]:
    return {
        "id": str(found.id),
        "name": found.name,
        "display_name": found.display_name,
        "email": found.email,
        "role": found.role,
        "state": found.state,
        "locale": found.locale,
        "created_at": moment(found.created_at),
    }
