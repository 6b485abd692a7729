"""What people answer without words: reactions and votes, and how a poll stands."""

from __future__ import annotations

from fedcomm.federation import recipients
from fedcomm.federation.addresses import Addresses
from fedcomm.federation.catalogue import Catalogue
from fedcomm.federation.dispatch import Dispatch, Step, thing_of, understands
from fedcomm.federation.rendering import Renderer
from fedcomm.hub import (
    actors,
    journal,
    policies,
    polls,
    threads,
)
from fedcomm.store.database import Transaction
from fedcomm.store.ids import new_id


class Responses:
    """Steps of the outbox for entries about reactions and polls."""

    def __init__(
        self, out: Dispatch, renderer: Renderer, catalogue: Catalogue, addresses: Addresses
    ) -> None:
        self._out = out
        self._renderer = renderer
        self._catalogue = catalogue
        self._at = addresses
        self.steps: dict[str, Step] = {
            "poll_voted": self._voted,
            "poll_counted": self._counted,
            "poll_closed": self._counted,
            "reaction_added": self._reacted,
            "reaction_withdrawn": self._unreacted,
        }

    async def _voted(self, tx: Transaction, entry: journal.Entry) -> None:
        """A member's choices in a poll of another server: one `Create` each, for its author alone."""
        thing = await thing_of(tx, entry)
        voter = await actors.actor(tx, entry.actor_id or 0)
        if thing is None or thing.is_local or thing.deleted_at is not None:
            return
        author = await actors.actor(tx, thing.author_id)
        if voter is None or not voter.is_local or author is None:
            return
        voter_uri, author_uri = self._at.actor(voter), self._at.actor(author)
        inboxes = await recipients.own_inbox(tx, author.id)
        for vote_id, name in await polls.choices_of(tx, thing.id, voter.id):
            note = self._renderer.vote(vote_id, name, voter_uri, self._at.object(thing), author_uri)
            create = self._renderer.activity(new_id(), "Create", voter_uri, note, to=[author_uri])
            if inboxes:
                await self._out.send(tx, voter.id, "Create", create, inboxes, subject_id=author.id)

    async def _counted(self, tx: Transaction, entry: journal.Entry) -> None:
        """How a poll stands. Without a newer `updated`: nothing was edited (Mastodon)."""
        thing = await thing_of(tx, entry)
        if thing is None or thing.deleted_at is not None:
            return
        if not await self._out.may_leave(tx, thing):
            return
        if not thing.is_local:
            raw = await self._out.received(tx, thing.id, "Update", thing.author_id)
            await self._out.announce_to_threads(tx, thing, raw)
            return
        document = await self._catalogue.object(tx, thing.id)
        if document is None:
            return
        update = self._catalogue.update(new_id(), document, entry.at)
        update = await self._out.sealed(tx, thing.author_id, update)
        have_it = [
            inbox
            for inbox in await self._out.among_readers(
                tx, thing, await recipients.reached(tx, thing.id)
            )
            if understands(inbox, thing) and inbox.is_welcome
        ]
        await self._out.send(tx, thing.author_id, "Update", update, have_it, thing)
        await self._out.announce_to_threads(tx, thing, update)

    async def _reacted(self, tx: Transaction, entry: journal.Entry) -> None:
        thing = await thing_of(tx, entry)
        if thing is None or thing.visibility not in ("public", "unlisted", "members"):
            return
        if not await self._out.may_leave(tx, thing):
            return
        person = await actors.actor(tx, entry.actor_id or 0)
        row = await tx.one("SELECT kind FROM reactions WHERE id = ?", entry.target_id)
        if person is None or row is None or row["kind"] == "share":
            return
        kind = "Like" if row["kind"] == "like" else "Dislike"
        if not person.is_local:
            if await policies.level_of(tx, person.host_id) == "none":
                raw = await self._out.received(tx, thing.id, kind, person.id)
                if raw is None and kind == "Like":
                    raw = await self._out.received(tx, thing.id, "EmojiReact", person.id)
                await self._out.announce_to_threads(tx, thing, raw)
            return
        concerned, circle = await self._concerned(tx, thing)
        activity = self._renderer.activity(
            new_id(),
            kind,
            self._at.actor(person),
            self._at.object(thing),
            to=[self._at.actor(concerned)],
            audience=circle,
        )
        to_author = await self._out.among_readers(
            tx, thing, await recipients.own_inbox(tx, concerned.id)
        )
        await self._out.send(tx, person.id, kind, activity, to_author, thing)
        await self._out.announce_to_threads(tx, thing, activity)

    async def _concerned(
        self, tx: Transaction, thing: threads.Thing
    ) -> tuple[actors.Actor, str | None]:
        """Who is told of a reaction, and its `audience`: the author, or of a private group elsewhere the group."""
        if thing.community_id is not None:
            community = await actors.actor(tx, thing.community_id)
            if community is not None:
                return community, community.uri
        author = await actors.actor(tx, thing.author_id)
        assert author is not None
        circle = self._at.group(thing.group_id) if thing.group_id is not None else None
        return author, circle

    async def _unreacted(self, tx: Transaction, entry: journal.Entry) -> None:
        thing = await thing_of(tx, entry)
        person = await actors.actor(tx, entry.actor_id or 0)
        if thing is None or person is None:
            return
        if not person.is_local:
            await self._out.announce_to_threads(
                tx, thing, await self._out.received(tx, thing.id, "Undo", person.id)
            )
            return
        row = await tx.one(
            "SELECT id, type FROM activities WHERE object_id = ? AND type IN ('Like', 'Dislike')"
            " AND actor_id = ? ORDER BY id DESC LIMIT 1",
            thing.id,
            person.id,
        )
        if row is None:
            return
        person_uri = self._at.actor(person)
        reaction = self._renderer.activity(
            row["id"], row["type"], person_uri, self._at.object(thing)
        )
        concerned, circle = await self._concerned(tx, thing)
        undo = self._renderer.activity(
            new_id(),
            "Undo",
            person_uri,
            reaction,
            to=[self._at.actor(concerned)],
            audience=circle,
        )
        to_author = await self._out.among_readers(
            tx, thing, await recipients.own_inbox(tx, concerned.id)
        )
        await self._out.send(tx, person.id, "Undo", undo, to_author, thing)
        await self._out.announce_to_threads(tx, thing, undo)
