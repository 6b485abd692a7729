"""Remote objects: fetched from where they say they live, turned into content of the hub, stored where they belong.

An object is a topic when it names a group of ours, a reply when what it answers is known (or can be found within
the budget), a post when somebody here follows its author or is mentioned; otherwise nobody here wants it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Final

from activitypub.accessors import Refused
from activitypub.client import Client
from activitypub.documents import (
    ActivityDocument,
    ObjectDocument,
    audience_class,
    read_activity,
    read_object,
)
from activitypub.failures import FetchBudget, FetchError
from activitypub.ijson import JSONObject
from activitypub.origins import host as host_of
from activitypub.origins import same_origin
from activitypub.vocabulary import MENTION_LIMIT
from fedcomm.federation import absentees, contents
from fedcomm.federation.addresses import Addresses
from fedcomm.federation.directory import Directory
from fedcomm.federation.keyring import Keyring
from fedcomm.federation.quoting import Quotation, Quoting, permissions_of
from fedcomm.federation.watch import Held, Watch
from fedcomm.hub import actors, erasure, follows, groups, threads
from fedcomm.hub.composition import Content
from fedcomm.hub.policies import PolicyBook
from fedcomm.hub.visibility import Visibility
from fedcomm.store.database import Database, Reader, Transaction, marks
from fedcomm.store.ids import now_ms
from fedcomm.store.remembered import by_key

ANCESTORS = 20
"""How far up a thread is followed to find where a reply belongs (security.md §4 allows 50)."""


MET: Final = by_key(
    "SELECT (SELECT o.id FROM objects o WHERE o.uri = ?) AS known,"
    " (SELECT 1 FROM tombstones WHERE uri_hash = ?) AS deleted,"
    " (SELECT 1 FROM held WHERE object_uri = ? AND released_at IS NULL LIMIT 1) AS held"
)
"""Whether something with this id is here, was deleted before it came, or waits for a moderator. Parameters: the id,
its hash, the id."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """A remote object that was read and is ready to be stored: everything that needed the network is done."""

    document: ObjectDocument
    author: actors.Actor
    content: Content
    visibility: Visibility
    group_id: int | None
    parent_id: int | None
    quotation: Quotation | None
    wanted: bool
    """Whether somebody here follows the author or is mentioned, when it is in no thread of ours."""
    community_id: int | None = None
    """The private group of another server for whose members it is."""


DELETED_BEFORE: Final = "deleted before it came"
"""The verdict on something that its server has deleted already."""


class DeletedBefore(Refused):
    """Its server said that it was deleted before it came here (INV-50)."""

    def __init__(self) -> None:
        super().__init__("deleted-before")


Judge = Callable[[Arrival], Awaitable[None]]
"""Raises when something must not be stored as it is: Held where it can wait for a moderator
(`fedcomm.federation.watch`), else Refused (`Library.require_harmless`)."""


class Library:
    """Reads and stores remote objects."""

    def __init__(
        self,
        db: Database,
        client: Client,
        directory: Directory,
        keyring: Keyring,
        book: PolicyBook,
        addresses: Addresses,
        watch: Watch,
        *,
        allow_http: bool,
    ) -> None:
        self._db = db
        self._client = client
        self._directory = directory
        self._keyring = keyring
        self._book = book
        self._at = addresses
        self._watch = watch
        self._http = allow_http
        self.quoting = Quoting(db, self, addresses, allow_http=allow_http)

    async def find(self, db: Reader, uri: str | None) -> threads.Thing | None:
        """The object with this id, ours or a stored remote one."""
        if uri is None:
            return None
        local = self._at.local(uri, "o")
        if local is not None:
            thing = await threads.thing(db, local)
            return thing if thing is not None and thing.is_local else None
        told = self._at.local(uri, "w")
        if told is not None:
            # What a private group told a microblog, and is answered there.
            thing = await threads.thing(db, told)
            return thing if thing is not None and thing.visibility == "members" else None
        return await threads.thing_by_uri(db, uri)

    async def document(self, uri: str, *, budget: FetchBudget) -> JSONObject:
        """What has this id, as its own server serves it (INV-5). Raises FetchError, Refused."""
        if self._at.is_ours(uri):
            raise Refused("our-own")
        await self._directory.require_open(uri)
        signer = await self._keyring.instance_signer()
        return await self._client.fetch_object(uri, signer, budget=budget)

    async def fetch(self, uri: str, *, budget: FetchBudget) -> ObjectDocument:
        """An object elsewhere. Raises FetchError, Refused."""
        return read_object(await self.document(uri, budget=budget), allow_http=self._http)

    async def fetch_activity(self, uri: str, *, budget: FetchBudget) -> ActivityDocument:
        """An activity elsewhere. Raises FetchError, Refused."""
        return read_activity(await self.document(uri, budget=budget), allow_http=self._http)

    async def prepare(
        self,
        document: ObjectDocument,
        *,
        budget: FetchBudget,
        wanted: bool = False,
        below: tuple[str, ...] = (),
        community: actors.Actor | None = None,
        quotes: bool = True,
        judge: Judge | None = None,
        signer: actors.Actor | None = None,
    ) -> Arrival:
        """Fetch what storing the object needs: its author, who is mentioned, what it answers.

        `wanted`: it is to be kept wherever it belongs (somebody asked for it); `below`: ids of what
        answers it and led here; `community`: the group of another server that told of it; `quotes`: whether what
        it quotes is fetched as well; `judge` looks at what it answers, before that is stored; `signer`: who sent it,
        as known here, most often its author. Raises FetchError, Refused, and what `judge` raises.
        """
        if document.attributed_to is None:
            raise Refused("no-author")
        if not same_origin(document.attributed_to, document.id, allow_http=self._http):
            raise Refused("foreign-author")
        # What somebody else brings, with a proof of its author, must not come from a suspended server either.
        await self._directory.require_open(document.id)
        await self._require_not_gone(document)
        if signer is not None and signer.uri == document.attributed_to:
            author = signer
        else:
            author = await self._directory.actor(document.attributed_to, budget=budget)
        if author.is_local:
            raise Refused("our-own")
        audience: Visibility = audience_class(document.to, document.cc, author.followers_uri)
        mentioned = await self._mentioned(document)
        parent = await self._parent(document, budget, below, judge)
        group_id = await self._group(document, mentioned) if parent is None else None
        circle = None
        if audience not in ("public", "unlisted"):
            circle = await self._circle(document, parent, community)
            if circle is not None or await self._is_for_members(document, parent, group_id):
                audience = "members"
        if not wanted and parent is None:
            wanted = await self._is_wanted(author, mentioned)
        has_place = wanted or parent is not None or group_id is not None
        quotation = None
        if quotes and has_place:
            quotation = await self.quoting.read(document, author, budget)
        return Arrival(
            document,
            author,
            replace(
                await self.content_of(document, [person.id for person in mentioned]),
                permissions=permissions_of(document, author),
            ),
            audience,
            group_id,
            parent.id if parent is not None else None,
            quotation,
            wanted,
            circle.id if circle is not None and audience == "members" else None,
        )

    async def require_harmless(self, arrival: Arrival) -> None:
        """The `Judge` of what its author did not send here: quoted, forwarded, listed, or brought by a relay.

        There is no activity of theirs that could wait for a moderator, so it does not come in by that door. Raises
        Refused.
        """
        try:
            await self._watch.require_harmless(arrival)
        except Held as held:
            raise Refused("looks-like-abuse") from held

    async def store(self, tx: Transaction, arrival: Arrival) -> int | None:
        """Put an arrival where it belongs; its id, or None when nobody here wants it.

        Raises HubError when the hub refuses it (thread closed, group restricted, …).
        """
        document = arrival.document
        met = await tx.one(MET, document.id, uri_hash(document.id), document.id)
        assert met is not None
        known = await threads.thing(tx, met["known"]) if met["known"] is not None else None
        if known is not None:
            # An id stays with its author: a neighbour on the same server gets nothing by using it (INV-6).
            is_theirs = known.author_id == arrival.author.id
            return known.id if known.deleted_at is None and is_theirs else None
        if met["deleted"] or met["held"]:
            # It waits for a moderator, and does not come in by another door meanwhile; or its server said that it
            # was deleted before it came here (INV-50).
            return None
        content = await self.without_absent(tx, document, arrival.content)
        if content is not arrival.content:
            arrival = replace(arrival, content=content)
        stored = await self._store(tx, arrival)
        if stored is not None and arrival.quotation is not None:
            await self.quoting.keep(tx, stored, arrival.quotation)
        return stored

    async def look(self, tx: Transaction, arrival: Arrival) -> None:
        """Read what `store` reads of every answer. Raises what it raises."""
        uri = arrival.document.id
        await tx.one(MET, uri, uri_hash(uri), uri)
        await self.names_absent(tx, arrival.document)
        if arrival.parent_id is not None:
            author = arrival.author
            await threads.require_reply(tx, author.id, arrival.parent_id, author.host_id or 0)

    async def _store(self, tx: Transaction, arrival: Arrival) -> int | None:
        document = arrival.document
        provenance = threads.Provenance(
            uri=document.id,
            host_id=arrival.author.host_id or 0,
            type=document.type,
            url=document.url,
            published_at=min(document.published or now_ms(), now_ms()),
            context_uri=document.context,
            details=contents.details(document),
        )
        if arrival.parent_id is not None:
            return await threads.create_reply(
                tx,
                arrival.author.id,
                arrival.parent_id,
                contents.fitted(arrival.content, "reply"),
                provenance=provenance,
                visibility=arrival.visibility,
            )
        if arrival.group_id is not None and arrival.visibility in ("public", "unlisted", "members"):
            # A message to a group that was not said in public must not become public (INV-16); to a
            # private one it was said for its members.
            return await threads.create_topic(
                tx,
                arrival.author.id,
                arrival.group_id,
                contents.fitted(arrival.content, "topic"),
                provenance=provenance,
            )
        if arrival.wanted:
            return await threads.store_post(
                tx,
                arrival.author.id,
                arrival.content,
                provenance,
                visibility=arrival.visibility,
                parent_uri=document.in_reply_to,
                community_id=arrival.community_id,
            )
        return None

    async def without_absent(
        self, tx: Transaction, document: ObjectDocument, content: Content
    ) -> Content:
        """What is stored of `content`: without the names of people who were erased here, be it since it was prepared
        (INV-50)."""
        people = await absentees.mentioned(tx, document, self._at, allow_http=self._http)
        if not people or not content.mentions:
            return absentees.without(content, people)
        gone = await tx.all(
            f"SELECT id FROM actors WHERE deleted_at IS NOT NULL AND id IN ({marks(len(content.mentions))})",
            *content.mentions,
        )
        left = tuple(set(content.mentions) - {row["id"] for row in gone})
        return absentees.without(replace(content, mentions=left), people)

    async def names_absent(self, tx: Transaction, document: ObjectDocument) -> bool:
        """Whether it mentions somebody who was erased here: then it is not passed on as it came."""
        return bool(await absentees.mentioned(tx, document, self._at, allow_http=self._http))

    async def _require_not_gone(self, document: ObjectDocument) -> None:
        """What was erased here is not made anew when somebody repeats it, nor what its server has deleted already
        (INV-50). Somebody who comes back after their erasure is let in with what they say since. Raises Refused,
        DeletedBefore."""
        thing: erasure.Name = ("object", document.id)
        author: erasure.Name = ("actor", document.attributed_to or "")
        deleted, erased = await erasure.gone(self._db, uri_hash(document.id), thing, author)
        if deleted:
            raise DeletedBefore
        if thing in erased:
            raise Refused("erased")
        since = erased.get(author)
        if since is not None and (document.published or 0) <= since:
            raise Refused("erased")

    async def is_remembered_as_deleted(self, db: Reader, uri: str) -> bool:
        """Whether its server said that it was deleted before it came here (INV-50)."""
        found = await db.value("SELECT 1 FROM tombstones WHERE uri_hash = ?", uri_hash(uri))
        return found is not None

    async def audience_of(
        self, document: ObjectDocument, author: actors.Actor, known: threads.Thing
    ) -> Visibility:
        """Who a later version of `known` is addressed to (INV-16).

        A topic began with its group's visibility although NodeBB names the Public in `cc` only; an edit addressed
        in the same way does not narrow it.
        """
        audience = audience_class(document.to, document.cc, author.followers_uri)
        if known.visibility == "members":
            group = known.community_id if known.community_id is not None else known.group_id
            circle = await actors.actor(self._db, group) if group is not None else None
            if circle is not None and self._names(document, circle):
                return "members"
        return "public" if audience == "unlisted" and known.kind == "topic" else audience

    async def mentioned_ids(self, document: ObjectDocument) -> list[int]:
        """Ids of the actors known here whom the document mentions."""
        return [person.id for person in await self._mentioned(document)]

    async def _mentioned(self, document: ObjectDocument) -> list[actors.Actor]:
        people: list[actors.Actor] = []
        remote: list[str] = []
        named = [tag.href for tag in document.tags if tag.type == "Mention" and tag.href]
        if not document.is_public:
            # A message need not mention whom it is for: Lemmy's and Pleroma's do not.
            named += [uri for uri in (*document.to, *document.cc) if self._at.local(uri, "p")]
        # Else one message could disturb everybody here at once (security.md §4).
        for uri in list(dict.fromkeys(named))[:MENTION_LIMIT]:
            local = self._at.local_actor(uri)
            if local is not None:
                person = await actors.actor(self._db, local)
                if person is not None and person.is_local and person.deleted_at is None:
                    people.append(person)
            else:
                remote.append(uri)
        if remote:
            for row in await self._db.all(
                f"SELECT {actors.COLUMNS} {actors.FROM} WHERE a.uri IN ({marks(len(remote))})",
                *remote,
            ):
                people.append(actors.actor_of(row))
        return people

    async def _group(self, document: ObjectDocument, mentioned: list[actors.Actor]) -> int | None:
        """The group of ours that the object names: in `audience`, in `to` or `cc`, or by a mention (§4.6)."""
        if document.in_reply_to is not None:
            return None
        named = [
            self._at.local(uri, "g") for uri in (*document.audience, *document.to, *document.cc)
        ]
        named += [person.id for person in mentioned if person.is_local and person.kind == "group"]
        for group_id in named:
            if group_id is not None and await groups.group(self._db, group_id) is not None:
                return group_id
        return None

    async def _parent(
        self,
        document: ObjectDocument,
        budget: FetchBudget,
        below: tuple[str, ...],
        judge: Judge | None,
    ) -> threads.Thing | None:
        """What the object answers, fetched upwards until something known is met."""
        if document.in_reply_to is None:
            return None
        known = await self.find(self._db, document.in_reply_to)
        if known is not None:
            return known
        below = (*below, document.id)
        if len(below) > ANCESTORS or self._at.is_ours(document.in_reply_to):
            return None
        if document.in_reply_to in below:
            return None  # It answers itself.
        try:
            above = await self.fetch(document.in_reply_to, budget=budget)
            if above.in_reply_to is None and not await self._names_us(above):
                return None
            arrival = await self.prepare(above, budget=budget, below=below, judge=judge)
        except (FetchError, Refused):
            return None
        if arrival.parent_id is None and arrival.group_id is None:
            return None
        if judge is not None:
            await judge(arrival)
        async with self._db.transaction() as tx:
            stored = await self.store(tx, arrival)
            return await threads.thing(tx, stored) if stored is not None else None

    async def _circle(
        self,
        document: ObjectDocument,
        parent: threads.Thing | None,
        community: actors.Actor | None,
    ) -> actors.Actor | None:
        """The private group of another server to whose members the object is addressed (§4.10): the one that told of
        it, that of what it answers, or one that it names and that somebody here is in."""
        if parent is not None and parent.community_id is not None:
            community = await actors.actor(self._db, parent.community_id)
        if community is not None:
            private = community.kind == "group" and community.locked and not community.is_local
            return community if private and self._names(document, community) else None
        named = [
            uri
            for uri in (*document.audience, *document.to, *document.cc)
            if not self._at.is_ours(uri)
        ]
        if not named:
            return None
        row = await self._db.one(
            f"SELECT {actors.COLUMNS} {actors.FROM} WHERE a.uri IN ({marks(len(named))})"
            " AND a.kind = 'group' AND a.locked = 1 AND a.deleted_at IS NULL"
            " AND EXISTS (SELECT 1 FROM follows f WHERE f.followed_id = a.id"
            " AND f.state = 'active' AND f.suspended = 0) ORDER BY a.id LIMIT 1",
            *named,
        )
        return actors.actor_of(row) if row is not None else None

    async def _is_for_members(
        self, document: ObjectDocument, parent: threads.Thing | None, group_id: int | None
    ) -> bool:
        """Whether it names a private group of ours that has members elsewhere: whoever writes to it writes to its
        members."""
        group_id = parent.group_id if parent is not None else group_id
        group = await groups.group(self._db, group_id) if group_id is not None else None
        actor = await actors.actor(self._db, group.id) if group is not None else None
        if group is None or actor is None or group.mode != "reserved":
            return False
        return self._names(document, actor)

    def _names(self, document: ObjectDocument, circle: actors.Actor) -> bool:
        uri = self._at.actor(circle)
        followers = f"{uri}/followers" if circle.is_local else circle.followers_uri
        named = {*document.audience, *document.to, *document.cc}
        return uri in named or (followers is not None and followers in named)

    async def _rejects_media(self, document: ObjectDocument) -> bool:
        """Whether the policy for the document's host is to keep none of its media."""
        authority = host_of(document.id, allow_http=self._http)
        return authority is not None and (await self._book.policy(authority)).reject_media

    async def _names_us(self, document: ObjectDocument) -> bool:
        everybody = (*document.audience, *document.to, *document.cc)
        return any(self._at.is_ours(uri) for uri in everybody) or any(
            tag.href is not None and self._at.is_ours(tag.href) for tag in document.tags
        )

    async def _is_wanted(self, author: actors.Actor, mentioned: list[actors.Actor]) -> bool:
        if any(person.is_local and person.kind == "person" for person in mentioned):
            return True
        return await follows.is_followed_here(self._db, author.id)

    async def content_of(self, document: ObjectDocument, mentions: list[int]) -> Content:
        """A document's content, clean. `mentions`: ids of actors here."""
        return await contents.content_of(
            document,
            mentions,
            local_origin=self._at.origin,
            with_files=not await self._rejects_media(document),
        )


def uri_hash(uri: str) -> str:
    """What is remembered of an id that must not be: enough to know it again."""
    return sha256(uri.encode()).hexdigest()
