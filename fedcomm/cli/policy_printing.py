"""How policies, previews and lists are printed, for people and as JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import click

from fedcomm.cli.console import moment, print_json

if TYPE_CHECKING:
    from fedcomm.hub.blocklists import Difference
    from fedcomm.hub.impact import Impact, Listing
    from fedcomm.hub.policies import Entry

LEVELS: Final = ("none", "queue", "limit", "suspend")
SHOWN_ROWS: Final = 20


def print_change(change: int | None, as_json: bool) -> None:
    """Say that a change was made, and how it is undone."""
    if as_json:
        print_json({"change": str(change) if change is not None else None})
    elif change is None:
        click.echo("It is so already; nothing was changed.")
    else:
        click.echo(f"Done. `fedcomm policy undo {change}` puts everything back.")


def entry_facts(entry: Entry) -> dict[str, Any]:
    """An entry as JSON."""
    return {
        "domain": entry.domain,
        "level": entry.level,
        "reject_media": entry.reject_media,
        "reject_reports": entry.reject_reports,
        "public_comment": entry.public_comment,
        "private_comment": entry.private_comment,
        "created_at": moment(entry.created_at),
        "expires_at": moment(entry.expires_at),
        "source": entry.source,
        "obfuscate": bool(entry.obfuscate),
    }


def print_impact(found: Impact, as_json: bool) -> None:
    """Print what a change would touch."""
    if as_json:
        print_json(impact_facts(found))
        return
    click.echo(f"Servers for which something changes: {found.hosts_total}")
    for host in found.hosts:
        click.echo(f"  {host.name}: {host.before} → {host.after}")
    for title, listing in (
        ("Followed by members here", found.following),
        ("Followers of members here", found.followers),
    ):
        _print_listing(title, listing)
    click.echo(f"In groups: {found.memberships}")
    for group in found.groups:
        click.echo(f"  {group.title} (@{group.name}): {group.members}")
    _print_listing("Threads in which they wrote", found.threads)
    click.echo(f"Posts of theirs: {found.posts}")
    if found.waiting:
        click.echo(f"Activities that wait for a decision: {found.waiting}")


def _print_listing(title: str, listing: Listing) -> None:
    click.echo(f"{title}: {listing.total}")
    for name in listing.names:
        click.echo(f"  {name}")
    if listing.more:
        click.echo(f"  … and {listing.more} more")


def impact_facts(found: Impact) -> dict[str, Any]:
    """What a change would touch, as JSON."""
    return {
        "hosts": [
            {"host": host.name, "before": host.before, "after": host.after} for host in found.hosts
        ],
        "hosts_total": found.hosts_total,
        "following": {"names": found.following.names, "total": found.following.total},
        "followers": {"names": found.followers.names, "total": found.followers.total},
        "groups": [{"group": group.name, "members": group.members} for group in found.groups],
        "memberships": found.memberships,
        "threads": {"names": found.threads.names, "total": found.threads.total},
        "posts": found.posts,
        "waiting": found.waiting,
    }


def print_difference(found: Difference) -> None:
    """Print what a list would change."""
    for title, rows in (
        ("New", [(e.domain, e.level) for e in found.new]),
        ("Changed", [(a.domain, f"{b.level} → {a.level}") for b, a in found.changed]),
        ("Not in the list any more", [(e.domain, e.level) for e in found.gone]),
    ):
        click.echo(f"{title}: {len(rows)}")
        for domain, level in rows[:SHOWN_ROWS]:
            click.echo(f"  {domain}  {level}")
        if len(rows) > SHOWN_ROWS:
            click.echo(f"  … and {len(rows) - SHOWN_ROWS} more")
    click.echo(f"As it is already: {found.same}")
    click.echo(f"Rows that cannot be used: {len(found.refused)}")
    for row in found.refused[:SHOWN_ROWS]:
        click.echo(f"  line {row.line}: {row.text!r}: {row.reason}")


def difference_facts(found: Difference) -> dict[str, Any]:
    """What a list would change, as JSON."""
    return {
        "new": [entry_facts(entry) for entry in found.new],
        "changed": [
            {"before": entry_facts(before), "after": entry_facts(after)}
            for before, after in found.changed
        ],
        "same": found.same,
        "gone": [entry_facts(entry) for entry in found.gone],
        "refused": [
            {"line": row.line, "text": row.text, "reason": row.reason} for row in found.refused
        ],
    }
