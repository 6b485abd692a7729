"""`fedcomm group …`: groups and who is in them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import click

from fedcomm.cli.console import (
    Nouns,
    Refused,
    active_member,
    group_named,
    hub,
    member_named,
    moment,
    print_answer,
    print_facts,
    print_json,
    print_list,
    print_table,
    run,
    with_config,
    with_json,
    with_yes,
)

if TYPE_CHECKING:
    from fedcomm.hub.groups import Group
    from fedcomm.site import Site

MODES: Final = ("federated", "local", "private", "reserved")
GROUP_ROLES: Final = ("moderator", "member")
ACCESSES: Final = ("write", "read", "none")


@click.group(cls=Nouns)
def group() -> None:
    """Groups: create, list, show, add, remove and ban people."""


@group.command("create")
@click.argument("name")
@click.option("--title", required=True, help="The name that people read.")
@click.option("--owner", required=True, metavar="MEMBER", help="Who owns and moderates it.")
@click.option("--description", default="", help="What it is about, in Markdown.")
@click.option(
    "--mode",
    type=click.Choice(MODES),
    default="federated",
    show_default=True,
    help="federated: anybody reads, other servers follow. local: members of this hub. "
    "private: only the members of the group know of it. "
    "reserved: only members read, people of other servers among them; its moderators let them in.",
)
@click.option("--approval", is_flag=True, help="Its moderators decide who joins.")
@click.option("--language", help="What is written in it, as BCP 47.  [default: the hub's]")
@with_config
@with_json
def create(
    name: str,
    title: str,
    owner: str,
    description: str,
    mode: str,
    approval: bool,
    language: str | None,
    as_json: bool,
) -> None:
    """Create the group NAME. Its mode cannot change later."""
    facts = run(_create(name, title, owner, description, mode, approval, language))
    print_answer(facts, f"Group {facts['name']} is created: {facts['url']}", as_json=as_json)


async def _create(
    name: str,
    title: str,
    owner: str,
    description: str,
    mode: str,
    approval: bool,
    language: str | None,
) -> dict[str, object]:
    from fedcomm.hub import groups

    async with hub() as site:
        person = await active_member(site.db, owner)
        async with site.db.transaction() as tx:
            group_id = await groups.create_group(
                tx,
                name,
                title=title,
                creator_id=person.id,
                local_origin=site.origin,
                description=description,
                mode=mode,  # type: ignore[arg-type]  # checked by click and by the hub
                approval=approval,
                language=language or site.config.instance.language,
                limits=site.limits,
            )
        created = await groups.group(site.db, group_id)
        assert created is not None
        return await _facts(site, created)


@group.command("list")
@with_config
@with_json
def list_all(as_json: bool) -> None:
    """List all groups, private ones too, by name."""
    columns = {"NAME": "name", "MODE": "mode", "MEMBERS": "members", "TITLE": "title"}
    print_list(run(_list()), columns, empty="There are no groups yet.", as_json=as_json)


async def _list() -> list[dict[str, object]]:
    from fedcomm.hub import groups

    async with hub() as site:
        # The operator sees every group; the hub's own list asks for a viewer.
        rows = await site.db.all(
            "SELECT g.actor_id FROM groups g JOIN actors a ON a.id = g.actor_id"
            " WHERE a.deleted_at IS NULL ORDER BY a.name"
        )
        found = [await groups.group(site.db, row["actor_id"]) for row in rows]
        return [await _facts(site, each) for each in found if each is not None]


@group.command("show")
@click.argument("name")
@with_config
@with_json
def show(name: str, as_json: bool) -> None:
    """Show the group NAME and its moderators."""
    print_facts(run(_show(name)), as_json=as_json)


async def _show(name: str) -> dict[str, object]:
    from fedcomm.hub import groups

    async with hub() as site:
        found = await group_named(site.db, name)
        requests = await groups.list_memberships(site.db, found.id, "requested", limit=1000)
        return {
            **await _facts(site, found),
            "description": found.summary_source,
            "moderators": [each.handle for each in await groups.moderators(site.db, found.id)],
            "requests": [person.handle for person, _ in requests],
        }


@group.command("add")
@click.argument("name")
@click.argument("member_name", metavar="MEMBER")
@click.option("--role", type=click.Choice(GROUP_ROLES), default="member", show_default=True)
@with_config
@with_json
def add(name: str, member_name: str, role: str, as_json: bool) -> None:
    """Add MEMBER to the group NAME, let in who asked, or change a role."""
    run(_add(name, member_name, role))
    print_answer(
        {"group": name, "member": member_name, "role": role},
        f"{member_name} is in {name} now ({role}).",
        as_json=as_json,
    )


async def _add(name: str, member_name: str, role: str) -> None:
    from fedcomm.hub import groups

    async with hub() as site:
        found = await group_named(site.db, name)
        person = await member_named(site.db, member_name)
        by = await _moderator(site, found)
        async with site.db.transaction() as tx:
            await groups.add_member(
                tx,
                found.id,
                by,
                person.id,
                role,  # type: ignore[arg-type]  # checked by click
            )


@group.command("remove")
@click.argument("name")
@click.argument("person")
@with_config
@with_json
def remove(name: str, person: str, as_json: bool) -> None:
    """Remove PERSON (a member, or name@server) from the group NAME, or refuse who asked to join."""
    run(_remove(name, person))
    print_answer(
        {"group": name, "person": person, "removed": True},
        f"{person} is not in {name} any more.",
        as_json=as_json,
    )


async def _remove(name: str, person: str) -> None:
    from fedcomm.hub import groups

    async with hub() as site:
        found, moderator_id, person_id = await _judged(site, name, person)
        if await groups.membership(site.db, found.id, person_id) is None:
            raise Refused(f"{person} is not in the group {name}.")
        async with site.db.transaction() as tx:
            await groups.refuse(tx, found.id, moderator_id, person_id)


@group.command("close")
@click.argument("name")
@click.option("--reason", required=True, help="Why; it is kept with the case.")
@with_yes
@with_config
@with_json
def close(name: str, reason: str, yes: bool, as_json: bool) -> None:
    """Close the group NAME for good: what was written in it is erased, here and on other servers.

    Its name is given to nobody again. This cannot be undone.
    """
    if not yes:
        click.confirm(f"Close {name} and erase everything in it?", abort=True, err=True)
    case_id = run(_close(name, reason))
    print_answer(
        {"name": name, "case": str(case_id)},
        f"Group {name} is closed; the hub erases what was written in it (case {case_id}).",
        as_json=as_json,
    )


async def _close(name: str, reason: str) -> int:
    from fedcomm.hub import closing

    async with hub() as site:
        found = await group_named(site.db, name)
        async with site.db.transaction() as tx:
            case_id = await closing.close(tx, found.id, None, reason)
        # Said only when it is written down where no backup can undo it (INV-51).
        await site.erasure_journal.catch_up(site.db)
        return case_id


@group.command("ban")
@click.argument("name")
@click.argument("person")
@click.option("--reason", required=True, help="Why. The person reads it, other servers too.")
@click.option("--days", type=int, help="How long it holds.  [default: for good]")
@click.option("--remove-posts", is_flag=True, help="Also remove what they wrote in the group.")
@with_config
@with_json
def ban(
    name: str, person: str, reason: str, days: int | None, remove_posts: bool, as_json: bool
) -> None:
    """Ban PERSON (a member, or name@server) from the group NAME."""
    statement = run(_ban(name, person, reason, days, remove_posts))
    until = "for good" if days is None else f"for {days} days"
    print_answer(
        {"group": name, "person": person, "days": days, "statement": str(statement)},
        f"{person} is banned from {name} {until}.",
        as_json=as_json,
    )


async def _ban(name: str, person: str, reason: str, days: int | None, remove_posts: bool) -> int:
    from fedcomm.hub import moderation

    async with hub() as site:
        found, moderator_id, person_id = await _judged(site, name, person)
        async with site.db.transaction() as tx:
            return await moderation.ban(
                tx,
                found.id,
                moderator_id,
                person_id,
                moderation.Grounds(reason),
                days=days,
                remove_posts=remove_posts,
            )


@group.command("hosts")
@click.argument("name")
@click.option("--others", type=click.Choice(ACCESSES), help="What servers without a rule may.")
@click.option(
    "--set", "domain", metavar="DOMAIN", help="Make a rule for DOMAIN and its subdomains."
)
@click.option("--access", type=click.Choice(ACCESSES), help="With --set: what its people may.")
@click.option("--remove", metavar="DOMAIN", help="Remove the rule of DOMAIN.")
@with_config
@with_json
def hosts(
    name: str,
    others: str | None,
    domain: str | None,
    access: str | None,
    remove: str | None,
    as_json: bool,
) -> None:
    """Show which servers may follow the group NAME and write in it, or say so."""
    if (domain is None) != (access is None):
        raise click.UsageError("--set and --access belong together.")
    facts = run(_hosts(name, others, domain, access, remove))
    if as_json:
        print_json(facts)
        return
    click.echo(f"Servers without a rule: {facts['others']}")
    print_table(
        ("DOMAIN", "ACCESS", "MEMBERS"),
        [(each["domain"], each["access"], each["members"]) for each in facts["rules"]],
        empty="There are no rules.",
    )


async def _hosts(
    name: str, others: str | None, domain: str | None, access: str | None, remove: str | None
) -> dict[str, Any]:
    from fedcomm.hub import admission, group_hosts

    async with hub() as site:
        found = await group_named(site.db, name)
        if others or domain or remove:
            by = await _moderator(site, found)
            async with site.db.transaction() as tx:
                if others:
                    await admission.set_other_hosts(tx, found.id, by, others)  # type: ignore[arg-type]
                if domain:
                    await admission.set_host(tx, found.id, by, domain, access)  # type: ignore[arg-type]
                if remove:
                    await admission.set_host(tx, found.id, by, remove, None)
        return {
            "group": found.name,
            "others": await group_hosts.default(site.db, found.id),
            "rules": [
                {"domain": rule.domain, "access": rule.access, "members": rule.members}
                for rule in await group_hosts.rules(site.db, found.id)
            ],
        }


@group.command("unban")
@click.argument("name")
@click.argument("person")
@with_config
@with_json
def unban(name: str, person: str, as_json: bool) -> None:
    """Let PERSON (a member, or name@server) come back to the group NAME."""
    run(_unban(name, person))
    print_answer(
        {"group": name, "person": person, "banned": False},
        f"{person} is not banned from {name} any more.",
        as_json=as_json,
    )


async def _unban(name: str, person: str) -> None:
    from fedcomm.hub import moderation

    async with hub() as site:
        found, moderator_id, person_id = await _judged(site, name, person)
        async with site.db.transaction() as tx:
            if not await moderation.unban(tx, found.id, moderator_id, person_id):
                raise Refused(f"{person} is not banned from the group {name}.")


async def _moderator(site: Site, found: Group) -> int:
    """In whose name the operator acts in a group: of the one who has moderated longest. Raises Refused."""
    from fedcomm.hub import groups

    moderators = await groups.moderators(site.db, found.id)
    if not moderators:
        raise Refused(f"the group {found.name} has no moderator in whose name this could be done.")
    return moderators[0].id


async def _judged(site: Site, name: str, person: str) -> tuple[Group, int, int]:
    """The group, the moderator in whose name the operator acts, and the person. Raises Refused."""
    from fedcomm.hub import actors

    found = await group_named(site.db, name)
    by = await _moderator(site, found)
    handle, _, host = person.removeprefix("@").partition("@")
    if not host or host == site.host:
        known = await actors.local_actor(site.db, handle)
    else:
        known = await actors.remote_actor(site.db, handle, host)
    if known is None or known.kind == "group":
        raise Refused(f"nobody called {person} is known here.")
    return found, by, known.id


async def _facts(site: Site, found: Group) -> dict[str, object]:
    from fedcomm.hub import groups

    return {
        "id": str(found.id),
        "name": found.name,
        "title": found.title,
        "url": f"{site.origin}/g/{found.name}",
        "handle": f"{found.name}@{site.host}",
        "mode": found.mode,
        "approval": found.approval,
        "language": found.language,
        "members": await groups.member_count(site.db, found.id),
        "created_at": moment(found.created_at),
    }
