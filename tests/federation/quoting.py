"""Quotes as tests write them: posts of other servers that quote, requests and stamps (FEP-044f)."""

from __future__ import annotations

import itertools
from typing import Any

from fedcomm.hub import quotes, threads, timelines
from fedcomm.hub.composition import Draft
from fedcomm.hub.permissions import Policy
from fedcomm.hub.visibility import member
from tests.federation.acts import stored
from tests.federation.inprocess import LocalHub, ScriptedStubs
from tests.federation.stub import AS, PUBLIC

numbers = itertools.count(1)

Document = dict[str, Any]

ANYBODY = {"canQuote": {"automaticApproval": [PUBLIC]}}
OBJECT_LINK = 'application/ld+json; profile="https://www.w3.org/ns/activitystreams"'
MISSKEY = "https://misskey-hub.net/ns#_misskey_quote"


async def topic_of_anna(
    town: LocalHub,
    *,
    group: int | None = None,
    policy: Policy | None = None,
    quote: int | None = None,
    text: str = "Words.",
) -> int:
    """A new topic of hers; its id."""
    async with town.db.transaction() as tx:
        draft = Draft(text, "Title", quote=quote, quote_policy=policy, language="en")
        content = await town.site.compose(tx, draft, is_topic=True, author_id=town.anna)
        made = await threads.create_topic(tx, town.anna, group or town.group, content)
    town.site.wake()
    return made


def quoting(servers: ScriptedStubs, author: str, quoted: str, **more: Any) -> Document:
    """A post of another server that quotes `quoted` as Mastodon writes it."""
    return servers.note(
        author,
        number=f"q{next(numbers)}",
        content=f'<p>Look.</p><p class="quote-inline">RE: <a href="{quoted}">{quoted}</a></p>',
        **{"quote": quoted, "quoteUri": quoted, "_misskey_quote": quoted} | more,
    )


def request(town: LocalHub, note: Document, quoted: int, **more: Any) -> Document:
    """A QuoteRequest for a post of ours."""
    return {
        "@context": AS,
        "id": f"{note['attributedTo']}/quote_requests/{next(numbers)}",
        "type": "QuoteRequest",
        "actor": note["attributedTo"],
        "object": town.object_uri(quoted),
        "instrument": note["id"],
    } | more


def stamp(servers: ScriptedStubs, author: str, quoting_uri: str, quoted: str, **more: Any) -> str:
    """The consent of `author`, published on their server; its id."""
    return servers.publish(
        {
            "@context": AS,
            "id": f"{author}/quote_authorizations/{next(numbers)}",
            "type": "QuoteAuthorization",
            "attributedTo": author,
            "interactingObject": quoting_uri,
            "interactionTarget": quoted,
        }
        | more
    )


async def answers_to(servers: ScriptedStubs, author: str, kind: str) -> list[Document]:
    """What of this type arrived at the author's server, once something did."""
    host = servers.hosts[author.split("/")[2].partition(":")[0]]
    await servers.until(lambda: kind in host.kinds(), why=kind)
    return [arrived.body for arrived in host.arrived if arrived.body["type"] == kind]


async def state_of(town: LocalHub, uri: str) -> str | None:
    """How the quote in a post of another server stands; None for a post that quotes nothing."""
    thing = await stored(town, uri)
    found = await quotes.of_object(town.db, thing.id) if thing is not None else None
    return found.state if found is not None else None


async def shown(town: LocalHub, uri: str) -> threads.Thing | None:
    """What anna sees embedded in a post of another server."""
    thing = await stored(town, uri)
    assert thing is not None
    post = await timelines.post(town.db, member(town.anna), thing.id)
    assert post is not None
    return post.quoted.thing if post.quoted is not None else None


async def agreed(town: LocalHub, servers: ScriptedStubs, quoted: int) -> tuple[Document, str]:
    """A post elsewhere that quotes ours with our consent; the post and our stamp."""
    note = quoting(servers, servers.somebody("quoter"), town.object_uri(quoted))
    assert await town.deliver(request(town, note, quoted)) == "done: quote accepted"
    [accept] = await answers_to(servers, note["attributedTo"], "Accept")
    return note, str(accept["result"])


async def read(servers: ScriptedStubs, url: str, reader: str | None = None) -> tuple[int, Any]:
    """A document as another server gets it: signed, by a stranger if nobody is named."""
    return await servers.get(url, signer=reader or servers.somebody("stranger"))
