"""`fedcomm erasure …`: erase somebody or something for good, see how far it is, check it, prove it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fedcomm.cli.console import (
    Nouns,
    Refused,
    administrator,
    hub,
    moment,
    print_facts,
    print_json,
    print_list,
    run,
    with_administrator,
    with_config,
    with_json,
    with_yes,
)

if TYPE_CHECKING:
    from fedcomm.hub.erasure import Case
    from fedcomm.site import Site


@click.group(cls=Nouns)
def erasure() -> None:
    """Erase for good: a member, a group, somebody elsewhere, all that came from a server."""


@erasure.command("request")
@click.argument("target")
@click.option("--reason", required=True, help="Why; kept with the case. Name nobody in it.")
@click.option("--own", is_flag=True, help="The member asked for it themselves.")
@with_yes
@with_config
@with_json
def request(target: str, reason: str, own: bool, yes: bool, as_json: bool) -> None:
    """Erase TARGET: a member, !group, name@server, or a server's name. It cannot be undone."""
    if not yes:
        click.confirm(f"Erase everything of {target}, for good?", abort=True, err=True)
    print_facts(run(_request(target, reason, own)), as_json=as_json)


async def _request(target: str, reason: str, own: bool) -> dict[str, Any]:
    from fedcomm.hub import erasure as cases
    from fedcomm.hub import subjects

    async with hub() as site:
        subject = await subjects.find(site.db, target)
        async with site.db.transaction() as tx:
            case_id = await cases.request(
                tx, subject.erasure_kind, subject.id, requested_by=None, own=own, reason=reason
            )
        await site.erasure_journal.catch_up(site.db)
        case = await cases.case(site.db, case_id)
        assert case is not None
        # What is left to do needs the server: files, and asking others.
        while case.state in ("objects", "rows"):
            case = await cases.advance(site.db, case, origin=site.origin)
        return await _facts(site, case)


@erasure.command("object")
@click.argument("number", type=int)
@click.option("--reason", required=True, help="Why; its author is told. Name nobody in it.")
@with_administrator
@with_yes
@with_config
@with_json
def erase_object(number: int, reason: str, by: str | None, yes: bool, as_json: bool) -> None:
    """Erase post NUMBER at once, without the 30 days that a removal leaves for an appeal.

    For what must not be kept: its words and files go now, and every server that has a copy is asked for it.
    """
    if not yes:
        click.confirm("Erase this post, for good?", abort=True, err=True)
    print_facts(run(_erase_object(number, reason, by)), as_json=as_json)


async def _erase_object(number: int, reason: str, by: str | None) -> dict[str, Any]:
    from fedcomm.hub import media, moderation, removal, threads
    from fedcomm.store.disk import shred

    async with hub() as site:
        judge = await administrator(site, by)
        files = []
        async with site.db.transaction() as tx:
            known = await threads.thing(tx, number)
            if known is None or known.deleted_at is not None:
                raise Refused(f"there is no post {number}.")
            if known.withheld != "removed":
                grounds = moderation.Grounds(reason)
                await moderation.take_down(tx, judge, number, "remove", grounds)
            attached = await media.attached_to(tx, number)
            for stored in (await media.images(tx, attached)).values():
                files += [stored.file, stored.thumbnail]
            await removal.purge_one(tx, number)
        for name in files:
            if name:
                shred(site.media_folder / name)
        await site.erasure_journal.catch_up(site.db)
        left = await site.db.scrub(("objects", "revisions", "search_index", "attachments", "media"))
        return {"object": str(number), "files": len(files), "left_on_disk": list(left)}


@erasure.command("list")
@with_config
@with_json
def list_all(as_json: bool) -> None:
    """List the cases, the newest first."""
    columns = {
        "CASE": "case",
        "KIND": "kind",
        "STATE": "state",
        "REQUESTED": "requested_at",
        "FINISHED": "finished_at",
        "OBJECTS": "objects",
        "SERVERS": "servers",
    }
    print_list(run(_list()), columns, empty="Nothing was erased as a whole.", as_json=as_json)


async def _list() -> list[dict[str, Any]]:
    from fedcomm.hub import erasure as cases

    async with hub() as site:
        return [await _facts(site, case) for case in await cases.cases(site.db, limit=1000)]


@erasure.command("show")
@click.argument("number", type=int)
@with_config
@with_json
def show(number: int, as_json: bool) -> None:
    """Show case NUMBER: how far it is, and what each server answered."""
    facts, servers = run(_show(number))
    if as_json:
        print_json(facts | {"recipients": servers})
        return
    print_facts(facts)
    columns = {
        "SERVER": "server",
        "COPIES": "copies",
        "TOLD": "told_at",
        "STATUS": "status",
        "OUTCOME": "outcome",
    }
    print_list(servers, columns, empty="No other server had anything.", as_json=False)


async def _show(number: int) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    from fedcomm.hub import receipts

    async with hub() as site:
        case = await _case(site, number)
        return await _facts(site, case), [
            {
                "server": one.host,
                "copies": one.copies,
                "told_at": moment(one.told_at),
                "status": one.status,
                "outcome": one.progress,
            }
            async for one in receipts.every_recipient(site.db, case)
        ]


@erasure.command("verify")
@click.argument("number", type=int)
@click.option(
    "--word",
    "words",
    multiple=True,
    help="A name, an address or a sentence that must not be found in any file. Without it they are asked for.",
)
@click.option("--rows-only", is_flag=True, help="Look at the rows only, not into the files.")
@with_config
@with_json
def verify(number: int, words: tuple[str, ...], rows_only: bool, as_json: bool) -> None:
    """Look whether case NUMBER left anything, in the tables and byte by byte in the files."""
    if not words and not rows_only:
        asked = click.prompt("Words to look for, separated by ;", hide_input=True, err=True)
        words = tuple(word.strip() for word in asked.split(";") if word.strip())
    facts = run(_verify(number, words))
    print_facts(facts, as_json=as_json)
    if facts["found"]:
        raise Refused("something is still there.")


async def _verify(number: int, words: tuple[str, ...]) -> dict[str, Any]:
    from fedcomm.erasure_check import check

    async with hub() as site:
        done = await check(site, await _case(site, number), words)
        return {
            "case": str(number),
            "found": [f"{finding.place}: {finding.what}" for finding in done.findings],
            "columns": done.columns,
            "files": done.files,
            "bytes": done.read_bytes,
            "not_looked_at": list(done.left_out),
        }


@erasure.command("certificate")
@click.argument("number", type=int)
@with_config
def certificate(number: int) -> None:
    """Print the signed certificate of case NUMBER as JSON."""
    click.echo(json.dumps(run(_certificate(number)), ensure_ascii=False, indent=2))


async def _certificate(number: int) -> dict[str, Any]:
    async with hub(federated=True) as site:
        assert site.federation is not None
        case = await _case(site, number)
        if case.finished_at is None:
            raise Refused("this case is not finished: servers are still being told.")
        return dict(await site.federation.certify(number))


@erasure.command("verify-certificate")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False, exists=True))
@click.option(
    "--instance",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    help="The instance actor's document, as a file; without it this hub's own.",
)
@click.option("--name", help="Also say whether the certificate is about this name.")
@with_config
@with_json
def verify_certificate(file: Path, instance: Path | None, name: str | None, as_json: bool) -> None:
    """Check the certificate in FILE against the instance's key."""
    from fedcomm.federation import certificates

    actor = (
        json.loads(instance.read_text(encoding="utf-8"))
        if instance is not None
        else run(_instance())
    )
    fault = certificates.verify(file.read_bytes(), actor)
    facts: dict[str, Any] = {"valid": fault is None, "fault": fault}
    if name is not None and fault is None:
        facts["about_this_name"] = certificates.is_about(json.loads(file.read_bytes()), name)
    print_facts(facts, as_json=as_json)
    if fault is not None:
        raise Refused(fault)


async def _instance() -> dict[str, Any]:
    async with hub(federated=True) as site:
        assert site.federation is not None
        return dict(await site.federation.instance_document())


@erasure.command("begin-journal")
@with_yes
@with_config
@with_json
def begin_journal(yes: bool, as_json: bool) -> None:
    """Go on without the lines that the erasure journal lost. Older backups can then bring erased things back."""
    if not yes:
        click.confirm(
            "Destroy every backup that is older than today first. Is the old journal lost for good?",
            abort=True,
            err=True,
        )
    print_facts(run(_begin_journal()), as_json=as_json)


async def _begin_journal() -> dict[str, Any]:
    async with hub() as site:
        await site.erasure_journal.begin_anew(site.db)
        return {"journal": str(site.erasure_journal.path)}


@erasure.command("hold")
@click.argument("target")
@click.option("--reason", required=True, help="Who asks for it, and why; administrators see it.")
@with_config
@with_json
def hold(target: str, reason: str, as_json: bool) -> None:
    """Hold TARGET: it is not erased before the hold ends. A member, !group, name@server, server, or post #NUMBER."""
    print_facts(run(_hold(target, reason)), as_json=as_json)


async def _hold(target: str, reason: str) -> dict[str, Any]:
    from fedcomm.hub import holds, subjects

    async with hub() as site:
        subject = await subjects.find(site.db, target)
        async with site.db.transaction() as tx:
            number = await holds.place(tx, subject.hold_kind, subject.id, reason=reason, by=None)
        return {"hold": str(number), "kind": subject.kind, "target": subject.name}


@erasure.command("holds")
@click.option("--all", "every", is_flag=True, help="Those that are over, too.")
@with_config
@with_json
def list_holds(every: bool, as_json: bool) -> None:
    """List legal holds, the newest first."""
    columns = {
        "HOLD": "hold",
        "KIND": "kind",
        "TARGET": "target",
        "REASON": "reason",
        "SINCE": "since",
        "ENDED": "ended_at",
    }
    print_list(run(_holds(every)), columns, empty="Nothing is held.", as_json=as_json)


async def _holds(every: bool) -> list[dict[str, Any]]:
    from fedcomm.hub import holds, subjects

    async with hub() as site:
        return [
            {
                "hold": str(one.id),
                "kind": one.kind,
                "target": await subjects.called(site.db, one.kind, one.subject_id),
                "reason": one.reason,
                "since": moment(one.created_at),
                "ended_at": moment(one.ended_at),
            }
            for one in await holds.holds(site.db, limit=1000)
            if every or one.ended_at is None
        ]


@erasure.command("release")
@click.argument("number", type=int)
@click.option("--reason", required=True, help="Why it ends; kept in the log.")
@with_config
@with_json
def release(number: int, reason: str, as_json: bool) -> None:
    """End hold NUMBER. What was deleted meanwhile is erased by the server, soon."""
    print_facts(run(_release(number, reason)), as_json=as_json)


async def _release(number: int, reason: str) -> dict[str, Any]:
    from fedcomm.hub import holds

    async with hub() as site:
        async with site.db.transaction() as tx:
            await holds.release(tx, number, reason=reason, by=None)
        return {"hold": str(number), "ended": True}


# --- What the commands share ---


async def _case(site: Site, number: int) -> Case:
    from fedcomm.hub import erasure as cases

    found = await cases.case(site.db, number)
    if found is None:
        raise Refused(f"there is no case {number}.")
    return found


async def _facts(site: Site, case: Case) -> dict[str, Any]:
    servers = await site.db.value(
        "SELECT count(*) FROM erasure_recipients WHERE case_id = ?", case.id
    )
    return {
        "case": str(case.id),
        "kind": case.kind,
        "state": case.state,
        "own": case.own,
        "reason": case.reason,
        "requested_at": moment(case.created_at),
        "erased_at": moment(case.erased_at),
        "scrubbed_at": moment(case.scrubbed_at),
        "finished_at": moment(case.finished_at),
        "objects": case.objects,
        "files": case.media,
        "rows": case.rows_gone,
        "servers": servers,
    }
