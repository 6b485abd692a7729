"""`fedcomm access …`: a copy of everything that is held about a person, for whoever asks for it."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import click

from fedcomm.cli.console import (
    Nouns,
    Refused,
    hub,
    moment,
    print_facts,
    print_list,
    run,
    with_config,
    with_json,
)


@click.group(cls=Nouns)
def access() -> None:
    """Requests for access: everything that is held about somebody, in one file."""


@access.command("request")
@click.argument("name")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@with_config
@with_json
def request(name: str, file: Path, as_json: bool) -> None:
    """Write all that is held about NAME (a member, or somebody@server) to FILE, a zip, and note the request.

    Make sure first that it is they who ask.
    """
    if file.exists():
        raise Refused(f"{file} exists already.")
    print_facts(run(_request(name, file)), as_json=as_json)


async def _request(name: str, file: Path) -> dict[str, Any]:
    from fedcomm import access_files
    from fedcomm.hub import access_requests, subjects

    async with hub(federated=True) as site:
        subject = await subjects.find(site.db, name)
        if subject.kind not in ("member", "remote"):
            raise Refused(f"{name} is no person.")
        async with site.db.transaction() as tx:
            kind: access_requests.Kind = "member" if subject.kind == "member" else "remote"
            number = await access_requests.ask(tx, kind, subject.id, requested_by=None)
        await access_files.proceed(site)
        made = await access_requests.access_request(site.db, number)
        if made is None or made.state != "ready":
            raise Refused(
                "the file could not be made; the server may be making it: try again soon."
            )
        _copy(access_files.folder_of(site) / made.file, file)
        await access_requests.fetched(site.db, number)
        return {"request": str(number), "file": str(file), "bytes": made.size}


def _copy(source: Path, target: Path) -> None:
    """For its owner alone from the first byte on, and never over something that is there."""
    descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with source.open("rb") as read, os.fdopen(descriptor, "wb") as written:
        shutil.copyfileobj(read, written)


@access.command("list")
@with_config
@with_json
def list_all(as_json: bool) -> None:
    """List the requests, the newest first, with the day until which they must be answered."""
    columns = {
        "REQUEST": "request",
        "KIND": "kind",
        "STATE": "state",
        "ASKED": "asked_at",
        "DUE": "due_at",
        "ANSWERED": "answered_at",
    }
    print_list(run(_list()), columns, empty="Nobody has asked yet.", as_json=as_json)


async def _list() -> list[dict[str, Any]]:
    from fedcomm.hub import access_requests

    async with hub() as site:
        return [
            {
                "request": str(one.id),
                "kind": one.kind,
                "state": one.state,
                "asked_at": moment(one.created_at),
                "due_at": moment(one.due_at),
                "answered_at": moment(one.finished_at),
            }
            for one in await access_requests.requests(site.db, limit=1000)
        ]
