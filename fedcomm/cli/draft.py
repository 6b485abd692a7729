"""`fedcomm draft`: what members began to write, and what posting it would send."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import click

from fedcomm.cli.console import (
    Refused,
    hub,
    member_named,
    moment,
    print_answer,
    print_facts,
    print_json,
    print_list,
    run,
    with_config,
    with_json,
)

if TYPE_CHECKING:
    from fedcomm.hub.drafts import SavedDraft
    from fedcomm.hub.previews import Preview, Proposal
    from fedcomm.site import Site

TITLE_SHOWN: Final = 60
"""Characters of a title, or of the text where there is none, in the list."""


@click.group()
def draft() -> None:
    """Drafts of members, and the dry run before they are posted."""


@draft.command("list")
@click.argument("member_name", metavar="MEMBER")
@with_config
@with_json
def list_drafts(member_name: str, as_json: bool) -> None:
    """What MEMBER began to write, the last changed first."""
    columns = {"ID": "id", "KIND": "kind", "CHANGED": "updated_at", "TITLE": "title"}
    print_list(run(_list(member_name)), columns, empty="There are no drafts.", as_json=as_json)


@draft.command("preview")
@click.argument("draft_id", metavar="ID", type=int)
@click.option("--bytes", "with_bytes", is_flag=True, help="Print the documents too.")
@with_config
@with_json
def preview_draft(draft_id: int, with_bytes: bool, as_json: bool) -> None:
    """What posting the draft ID would send, to whom, and what other servers would show.

    Nothing is sent, posted or changed.
    """
    seen = run(_preview(draft_id))
    if as_json:
        print_json(as_facts(seen))
        return
    print_preview(seen, with_bytes=with_bytes)


@draft.command("delete")
@click.argument("draft_id", metavar="ID", type=int)
@with_config
@with_json
def delete_draft(draft_id: int, as_json: bool) -> None:
    """Delete the draft ID, every word of it."""
    run(_delete(draft_id))
    print_answer({"deleted": draft_id}, "The draft is deleted.", as_json=as_json)


async def _list(member_name: str) -> list[dict[str, Any]]:
    from fedcomm.hub import drafts

    async with hub() as site:
        member = await member_named(site.db, member_name)
        return [
            {
                "id": str(one.id),
                "kind": one.kind,
                "title": one.words.title or " ".join(one.words.text.split())[:TITLE_SHOWN],
                "updated_at": moment(one.updated_at),
            }
            for one in await drafts.drafts_of(site.db, member.id)
        ]


async def _preview(draft_id: int) -> Preview:
    from fedcomm.hub import reservations
    from fedcomm.hub.errors import HubError
    from fedcomm.store.ids import now_ms

    async with hub(federated=True) as site:
        found = await _draft(site, draft_id)
        if site.federation is None:
            raise Refused("federation is switched off: nothing would leave this server.")
        held = found.reservation
        if held is None or not held.is_held(now_ms()):
            held = reservations.reserve()
        try:
            proposal = await _proposal(site, found, held.at)
            return await site.federation.preview(proposal, held)
        except HubError as refusal:
            raise Refused(f"it could not be posted: {refusal.message}") from refusal


async def _proposal(site: Site, found: SavedDraft, at: int) -> Proposal:
    from fedcomm.cli.post import find_thing
    from fedcomm.hub.ballots import Ballot
    from fedcomm.hub.composition import Draft
    from fedcomm.hub.permissions import as_policy
    from fedcomm.hub.previews import Proposal
    from fedcomm.web.event_form import EventFields

    words = found.words
    options = tuple(line for text in words.poll.splitlines() if (line := text.strip()))
    ends_at = at + words.poll_minutes * 60_000
    poll = Ballot(options, words.poll_multiple, ends_at) if options else None
    quoted = None
    if words.quote:
        quoted = (await find_thing(site, words.quote, found.member_id)).id
    content = await site.compose(
        site.db,
        Draft(
            source=words.text,
            title=words.title,
            summary=words.summary,
            sensitive=words.sensitive,
            language=words.language,
            media=words.media,
            poll=poll,
            quote=quoted,
            quote_policy=as_policy(words.quote_policy),
            event=EventFields(**words.event).occasion,
        ),
        is_topic=found.parent_id is None,
        author_id=found.member_id,
    )
    return Proposal(found.member_id, content, words.text, found.group_id, found.parent_id)


async def _delete(draft_id: int) -> None:
    from fedcomm.hub import drafts

    async with hub() as site:
        found = await _draft(site, draft_id)
        async with site.db.transaction() as tx:
            await drafts.delete(tx, found.member_id, found.id)


async def _draft(site: Site, draft_id: int) -> SavedDraft:
    from fedcomm.hub import drafts

    found = await drafts.draft_by_id(site.db, draft_id)
    if found is None:
        raise Refused(f"there is no draft {draft_id}; `fedcomm draft list MEMBER` shows them.")
    return found


def as_facts(seen: Preview) -> dict[str, Any]:
    """The dry run as JSON."""
    return {
        "object_id": str(seen.reservation.object_id),
        "published_at": moment(seen.reservation.at),
        "fingerprint": seen.fingerprint,
        "servers": seen.servers,
        "people": seen.people,
        "local_people": seen.local_people,
        "by_software": [
            {"software": kind.software or None, "servers": kind.servers, "people": kind.people}
            for kind in seen.by_software
        ],
        "hosts": [
            {"host": host.host, "software": host.software, "people": host.people}
            for host in seen.hosts
        ],
        "more_hosts": seen.more_hosts,
        "remarks": [{"code": one.code, "text": one.text} for one in seen.remarks],
        "likenesses": [
            {
                "peer": one.peer,
                "gets": list(one.kinds),
                "title": one.title,
                "folded_behind": one.folded,
                "html": str(one.body),
                "link": one.link,
                "files": [{"url": file.url, "alt": file.alt} for file in one.files],
                "options": list(one.options),
                "remarks": [{"code": mark.code, "text": mark.text} for mark in one.remarks],
            }
            for one in seen.likenesses
        ],
        "documents": [
            {
                "kind": letter.kind,
                "servers": letter.servers,
                "peers": list(letter.peers),
                "body": letter.body.decode(),
            }
            for letter in seen.letters
        ],
    }


def print_preview(seen: Preview, *, with_bytes: bool) -> None:
    """Print the dry run for people."""
    print_facts(
        {
            "servers": seen.servers,
            "people there": seen.people,
            "members here": seen.local_people,
            "kinds": [
                f"{kind.software or 'unknown'} ({kind.servers})" for kind in seen.by_software
            ],
            "names": [host.host for host in seen.hosts],
        }
    )
    for remark in seen.remarks:
        click.echo(f"- {remark.text}")
    for likeness in seen.likenesses:
        click.echo(f"\n{likeness.peer}: {', '.join(likeness.kinds) or 'nothing'}")
        print_facts({"title": likeness.title, "warning": likeness.folded, "link": likeness.link})
        for remark in likeness.remarks:
            click.echo(f"- {remark.text}")
    if with_bytes:
        for letter in seen.letters:
            click.echo(f"\n{letter.kind} ({letter.servers} servers)\n{letter.body.decode()}")
