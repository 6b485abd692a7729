"""What posts of other servers quote, and whether its author consents (federation.md §5.5, FEP-044f).

A quote counts as one when the author quotes themselves, when we gave our consent (`fedcomm.hub.quotes`), or when the
stamp of the quoted author, fetched from its id on their server, names exactly these two posts (INV-5, INV-6, INV-7).
Anything else is kept as what it is: a claim.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from activitypub import accessors
from activitypub.accessors import Refused
from activitypub.documents import ObjectDocument
from activitypub.failures import FetchBudget, FetchError
from activitypub.interactions import Approval, read_authorization
from activitypub.origins import same_origin
from activitypub.vocabulary import AS_PUBLIC
from fedcomm.federation.addresses import Addresses
from fedcomm.hub import actors, quotes, threads
from fedcomm.hub.errors import HubError
from fedcomm.hub.permissions import Permissions
from fedcomm.store.database import Database, Transaction

if TYPE_CHECKING:
    from fedcomm.federation.library import Arrival, Library


@dataclass(frozen=True, slots=True)
class Quotation:
    """What an object quotes, everything that needs the network done.

    `quoted_id`: it is stored here; `arrival`: it will be, with the quoting post; otherwise only its id `uri` is kept.
    """

    uri: str | None
    quoted_id: int | None = None
    arrival: Arrival | None = None
    stamp_uri: str | None = None
    proven: bool = False


class Quoting:
    """Reads and checks quotes in what comes from elsewhere."""

    def __init__(
        self,
        db: Database,
        library: Library,
        addresses: Addresses,
        *,
        allow_http: bool,
    ) -> None:
        self._db = db
        self._library = library
        self._at = addresses
        self._http = allow_http

    async def read(
        self, document: ObjectDocument, author: actors.Actor, budget: FetchBudget
    ) -> Quotation | None:
        """What the document quotes. What cannot be had just now is only a claim; no quote is worth an error."""
        uri = document.quote
        if uri is None or uri == document.id:
            return None
        known = await self._library.find(self._db, uri)
        if known is not None:
            if known.visibility not in quotes.OPEN:
                # Nothing may hang on it, not even by its id (INV-20).
                return None
            return await self._checked(document, author, known.author_id, uri, budget, known.id)
        if self._at.is_ours(uri):
            return None
        try:
            arrival = await self._fetched(uri, budget)
        except (FetchError, Refused):
            return Quotation(uri)
        if arrival is None:
            return Quotation(uri)
        if arrival.document.id != uri:
            # Some name the page for people instead of the post's id.
            uri = arrival.document.id
            known = await self._library.find(self._db, uri)
        known_id = known.id if known is not None else None
        found = await self._checked(document, author, arrival.author.id, uri, budget, known_id)
        return Quotation(uri, known_id, arrival, found.stamp_uri, found.proven)

    async def _fetched(self, uri: str, budget: FetchBudget) -> Arrival | None:
        """The quoted post from its own server; what it quotes itself is not followed."""
        document = await self._library.fetch(uri, budget=budget)
        if not document.is_writing:
            return None
        judge = self._library.require_harmless
        arrival = await self._library.prepare(
            document, budget=budget, wanted=True, quotes=False, judge=judge
        )
        await judge(arrival)
        return arrival if arrival.visibility in quotes.OPEN else None

    async def _checked(
        self,
        document: ObjectDocument,
        author: actors.Actor,
        quoted_author_id: int,
        uri: str,
        budget: FetchBudget,
        quoted_id: int | None,
    ) -> Quotation:
        if quoted_author_id == author.id:
            return Quotation(uri, quoted_id, proven=True)
        quoted_author = await actors.actor(self._db, quoted_author_id)
        stamp = document.quote_authorization
        if stamp is None or quoted_author is None or quoted_author.uri is None:
            # Of a post of ours no stamp has to be read: what we answered stands in our own table.
            return Quotation(uri, quoted_id)
        try:
            proven = await self.fits(stamp, quoted_author.uri, document.id, uri, budget)
        except FetchError:
            proven = False
        return Quotation(uri, quoted_id, stamp_uri=stamp, proven=proven)

    async def fits(
        self, stamp: str, author: str, quoting: str, quoted: str, budget: FetchBudget
    ) -> bool:
        """Whether the author of `quoted` consents with this stamp to `quoting` (all are ids).

        Raises FetchError when their server cannot be asked just now.
        """
        if not same_origin(stamp, author, allow_http=self._http):
            return False
        if await self._library.is_remembered_as_deleted(self._db, stamp):
            return False
        try:
            document = await self._library.document(stamp, budget=budget)
            said = read_authorization(document, allow_http=self._http)
        except Refused:
            return False
        except FetchError as error:
            if error.final:
                return False
            raise
        return (said.id, said.attributed_to, said.interacting_object, said.interaction_target) == (
            stamp,
            author,
            quoting,
            quoted,
        )

    async def is_gone(self, stamp: str, budget: FetchBudget) -> bool:
        """Whether the server of a stamp says that there is no such thing any more. Raises FetchError, Refused."""
        try:
            document = await self._library.document(stamp, budget=budget)
        except FetchError as error:
            if not error.permanent:
                raise
            return True
        return "Tombstone" in accessors.types(document)

    async def keep(self, tx: Transaction, object_id: int, found: Quotation | None) -> None:
        """Note what the stored post quotes. A later version that quotes nothing takes the quote out."""
        if found is None:
            await quotes.take_out(tx, object_id)
            return
        quoted_id = found.quoted_id
        if quoted_id is None and found.arrival is not None:
            try:
                quoted_id = await self._library.store(tx, found.arrival)
            except HubError:
                # Not let in here: it stays a link.
                quoted_id = None
        stored = await threads.thing(tx, quoted_id) if quoted_id is not None else None
        if stored is None or stored.visibility not in quotes.OPEN:
            quoted_id = None
        await quotes.claim(
            tx,
            object_id,
            quoted_id=quoted_id,
            quoted_uri=found.uri if quoted_id is None else None,
            proven=found.proven and quoted_id is not None,
            stamp_uri=found.stamp_uri,
        )
        after = await quotes.of_object(tx, object_id)
        if after is not None and after.state == "accepted" and stored is not None:
            await quotes.let_read(tx, object_id, stored.author_id)


def permissions_of(document: ObjectDocument, author: actors.Actor) -> Permissions:
    """What a remote author allows, in the hub's words (federation.md §5.6)."""
    policies = document.policies
    return Permissions(
        _words(policies.quote, author),
        _words(policies.reply, author),
        _words(policies.like, author),
    )


def _words(approval: Approval | None, author: actors.Actor) -> str | None:
    if approval is None:
        return None
    everybody = {*approval.automatic, *approval.manual}
    words = []
    if AS_PUBLIC in approval.automatic:
        words.append("everyone")
    elif AS_PUBLIC in approval.manual:
        words.append("ask")
    if author.followers_uri in everybody:
        words.append("followers")
    # The collection of whom they follow: nobody keeps its address, all servers that name it form it so.
    if f"{author.uri}/following" in everybody:
        words.append("following")
    return " ".join(words) or "nobody"
