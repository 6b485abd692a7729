"""What members write, on the wire: new words and edits (§4)."""

from __future__ import annotations

from collections.abc import Sequence

from activitypub.ijson import JSONObject
from fedcomm.federation import peers, recipients
from fedcomm.federation.addresses import Addresses
from fedcomm.federation.catalogue import Catalogue
from fedcomm.federation.dispatch import Dispatch, Step, thing_of, understands
from fedcomm.federation.forms import as_page
from fedcomm.federation.recipients import Inbox
from fedcomm.federation.rendering import Renderer
from fedcomm.hub import (
    circles,
    groups,
    journal,
    policies,
    threads,
    timelines,
)
from fedcomm.hub.visibility import member
from fedcomm.store.database import Transaction
from fedcomm.store.ids import new_id


class Words:
    """Steps of the outbox for entries about new and edited topics and replies."""

    def __init__(
        self, out: Dispatch, renderer: Renderer, catalogue: Catalogue, addresses: Addresses
    ) -> None:
        self._out = out
        self._renderer = renderer
        self._catalogue = catalogue
        self._at = addresses
        self.steps: dict[str, Step] = {
            "topic_created": self._created,
            "reply_created": self._created,
            "object_edited": self._edited,
        }

    async def _created(self, tx: Transaction, entry: journal.Entry) -> None:
        thing = await thing_of(tx, entry)
        if thing is None or thing.deleted_at is not None or thing.withheld is not None:
            return
        if not await self._out.may_leave(tx, thing):
            return
        if thing.is_local:
            post = await timelines.post(tx, member(thing.author_id), thing.id)
            if post is None:
                return
            document = await self._catalogue.render(tx, post)
            create_id = self._out.booking.number("Create")
            create = await self._out.sealed(
                tx, thing.author_id, self._catalogue.create(create_id, document, thing.published_at)
            )
            direct = recipients.merged(
                await recipients.followers(tx, thing.author_id)
                if thing.visibility not in ("direct", "members")
                else [],
                await self._people_named(tx, thing),
                await self._poll_readers(tx, thing),
            )
            direct = [inbox for inbox in direct if understands(inbox, thing)]
            await self._out.send(tx, thing.author_id, "Create", create, direct, thing, create_id)
            wrapped: JSONObject | None = create
        else:
            wrapped = None
            if thing.kind == "reply":
                # A topic is announced by its id, which microblogs fetch.
                await self._out.forward(tx, thing, "Create")
        # NodeBB's answers name the Public in `cc` only: they are for the thread all the same.
        if thing.visibility in ("public", "members") or (
            thing.kind == "reply" and thing.visibility == "unlisted"
        ):
            await self._announce_new(tx, thing, wrapped)

    async def _announce_new(
        self, tx: Transaction, thing: threads.Thing, wrapped: JSONObject | None
    ) -> None:
        """A topic in both forms, each to whom it suits; a reply as activity only, unless the group wants more.

        `wrapped`: the Create of something of ours; that of others is looked for where somebody has to be told."""
        if await policies.level_of(tx, thing.host_id) != "none":
            # Hidden here, so it is not handed on either.
            return
        group = await self._out.federated_group(tx, thing)
        if group is None:
            return
        inboxes = await recipients.group_members(tx, group.id)
        by_form: dict[peers.Form, list[Inbox]] = {"activity": [], "id": []}
        for inbox in inboxes:
            if thing.kind == "topic" or group.announce_replies:
                for form in peers.topic_forms(inbox.software):
                    by_form[form].append(inbox)
            elif peers.wants_activities(inbox.software):
                by_form["activity"].append(inbox)
        if not thing.is_local and (by_form["activity"] or thing.kind == "topic"):
            wrapped = await self._out.received_create(tx, thing)
        if wrapped is not None:
            able = [inbox for inbox in by_form["activity"] if understands(inbox, thing)]
            await self._out.announce(tx, group, thing, wrapped, able, "activity")
            await self._announce_as_page(tx, group, thing, wrapped, by_form["activity"], "activity")
        if thing.kind != "topic" and not group.announce_replies:
            return
        if group.is_members_only:
            await self._tell(tx, group, thing, "Create", by_form["id"])
        else:
            await self._out.announce(tx, group, thing, self._at.object(thing), by_form["id"], "id")

    async def _people_named(self, tx: Transaction, thing: threads.Thing) -> list[Inbox]:
        """Where those live whom the object names: of a private group only members, of one elsewhere the group
        itself, which tells its members."""
        named = await self._out.addressed(tx, thing)
        if thing.visibility != "members":
            return await recipients.people(tx, named)
        if thing.community_id is not None:
            return await recipients.own_inbox(tx, thing.community_id)
        inside = await circles.members_among(tx, thing.group_id or 0, sorted(named))
        return await recipients.people(tx, inside)

    async def _tell(
        self,
        tx: Transaction,
        group: groups.Group,
        thing: threads.Thing,
        kind: str,
        inboxes: Sequence[Inbox],
    ) -> None:
        """To microblogs a private group says itself what was said in it (§4.10): see `Renderer.told`."""
        told = await self._catalogue.told(tx, member(thing.author_id), thing.id)
        if told is None or not inboxes:
            return
        number = self._out.booking.number(f"{kind}/told")
        activity = self._renderer.activity(
            number,
            kind,
            self._at.group(group.id),
            told,
            to=told["to"],
            cc=[],
            published=thing.edited_at or thing.published_at,
        )
        await self._out.send(tx, group.id, f"{kind}/told", activity, inboxes, thing, number)

    async def _edited(self, tx: Transaction, entry: journal.Entry) -> None:
        thing = await thing_of(tx, entry)
        if thing is None or thing.deleted_at is not None or thing.withheld is not None:
            return
        if not await self._out.may_leave(tx, thing):
            return
        group = await self._out.federated_group(tx, thing)
        if thing.visibility == "members" and group is not None:
            told = await self._out.among_readers(tx, thing, await recipients.reached(tx, thing.id))
            await self._tell(
                tx,
                group,
                thing,
                "Update",
                [inbox for inbox in told if "id" in peers.topic_forms(inbox.software)]
                if thing.kind == "topic" or group.announce_replies
                else [],
            )
        if not thing.is_local:
            await self._out.forward(tx, thing, "Update")
            raw = await self._out.received(tx, thing.id, "Update", thing.author_id)
            await self._out.announce_to_threads(tx, thing, raw)
            return
        document = await self._catalogue.object(tx, thing.id)
        if document is None:
            return
        update = self._catalogue.update(new_id(), document, thing.edited_at)
        have_it = recipients.merged(
            await recipients.reached(tx, thing.id),
            await self._people_named(tx, thing),
        )
        have_it = [
            inbox
            for inbox in await self._out.among_readers(tx, thing, have_it)
            if understands(inbox, thing) and inbox.is_welcome
        ]
        update = await self._out.sealed(tx, thing.author_id, update)
        await self._out.send(tx, thing.author_id, "Update", update, have_it, thing)
        await self._out.announce_to_threads(tx, thing, update)
        if group is not None and thing.visibility in ("public", "members"):
            members = await recipients.group_members(tx, group.id)
            await self._announce_as_page(tx, group, thing, update, members, "Update")

    async def _poll_readers(self, tx: Transaction, thing: threads.Thing) -> list[Inbox]:
        """Servers of a group's members that take a poll from its author only (§5.3)."""
        if thing.type != "Question" or thing.visibility != "public":
            return []
        group = await self._out.federated_group(tx, thing)
        if group is None:
            return []
        return [
            inbox
            for inbox in await recipients.group_members(tx, group.id)
            if peers.wants_polls_directly(inbox.software)
        ]

    async def _announce_as_page(
        self,
        tx: Transaction,
        group: groups.Group,
        thing: threads.Thing,
        wrapped: JSONObject,
        inboxes: Sequence[Inbox],
        form: str,
    ) -> None:
        """A poll for those who know none: the same ids, its words as a `Page`."""
        question = wrapped.get("object")
        unable = [inbox for inbox in inboxes if not understands(inbox, thing)]
        if unable and thing.is_local and isinstance(question, dict):
            page = {key: value for key, value in wrapped.items() if key != "proof"}
            page["object"] = as_page(question)
            await self._out.announce(tx, group, thing, page, unable, f"{form}/page")
