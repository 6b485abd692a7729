"""The dry run of a form: kept as a draft, shown as other servers would show it, and then posted just so."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace

from fedcomm.hub import drafts, media, quotes, reservations, submissions
from fedcomm.hub.composition import Content
from fedcomm.hub.errors import HubError, Invalid
from fedcomm.hub.members import Member
from fedcomm.hub.previews import Proposal
from fedcomm.hub.reservations import Reservation
from fedcomm.i18n import gettext as _
from fedcomm.site import Site
from fedcomm.store.ids import now_ms
from fedcomm.web.composer import USUAL_POLL, Writing, try_compose
from fedcomm.web.event_form import EventFields


@dataclass(frozen=True, slots=True)
class Spot:
    """Where something is to be posted: a topic's group, or what a reply answers."""

    group_id: int | None = None
    parent_id: int | None = None


@dataclass(frozen=True, slots=True)
class Ready:
    """What can be posted now; `reserved`: just as it was previewed."""

    content: Content
    reserved: Reservation | None


def words_of(writing: Writing) -> drafts.Words:
    """What a draft keeps of a form."""
    return drafts.Words(
        title=writing.title,
        text=writing.text,
        summary=writing.summary,
        sensitive=writing.sensitive,
        language=writing.language,
        media=tuple(picture.id for picture in writing.pictures),
        alts=tuple(picture.alt for picture in writing.pictures),
        poll=writing.poll,
        poll_multiple=writing.poll_multiple,
        poll_minutes=writing.poll_minutes,
        quote=writing.quote,
        quote_policy=writing.quote_policy,
        only_here=writing.only_here,
        event=asdict(writing.event) if writing.event.is_filled else {},
    )


def submission_of(writing: Writing, member: Member, spot: Spot) -> str:
    """What this form with these words is called, however often it is sent."""
    # A file that is sent again is stored again, under another number: what it looks like stays the same.
    pictures = [(one.name, one.bytes, one.width, one.height) for one in writing.pictures]
    words = asdict(replace(words_of(writing), media=()))
    return submissions.digest_of(writing.once, member.id, [asdict(spot), words, pictures])


async def writing_from(site: Site, draft: drafts.SavedDraft) -> Writing:
    """The form filled with a draft."""
    words = draft.words
    stored = await media.images(site.db, words.media)
    return Writing(
        title=words.title,
        text=words.text,
        summary=words.summary,
        sensitive=words.sensitive,
        language=words.language,
        pictures=[stored[one] for one in words.media if one in stored],
        poll=words.poll,
        poll_multiple=words.poll_multiple,
        poll_minutes=words.poll_minutes or USUAL_POLL,
        event=EventFields(**words.event),
        draft_id=draft.id,
        quote=words.quote,
        quote_policy=words.quote_policy,
        only_here=words.only_here,
    )


async def read_ready(site: Site, writing: Writing, member: Member, spot: Spot) -> Ready | None:
    """What the form says, checked and ready to be posted; None when the form is to be shown again.

    It is shown again with what is wrong, as a preview, or when what was previewed would not be what is sent any more
    (somebody who is mentioned is gone, say): then `writing.changed` says so.
    """
    if writing.errors:
        return None
    known = None
    if writing.draft_id is not None:
        known = await drafts.find(site.db, member.id, writing.draft_id)
    if known is None or (known.group_id, known.parent_id) != (spot.group_id, spot.parent_id):
        known = None
        writing.draft_id = None
    held = known.reservation if known is not None and known.words == words_of(writing) else None
    if held is not None and not held.is_held(now_ms()):
        held = None
    if writing.wants_preview:
        await _preview(site, writing, member, spot, held or reservations.reserve())
        return None
    writing.at = held.at if held is not None else None
    content = await _composed(site, writing, member, spot)
    if content is None:
        return None
    if held is not None and known is not None and site.federation is not None:
        proposal = Proposal(member.id, content, writing.text, spot.group_id, spot.parent_id)
        seen = await site.federation.preview(proposal, held)
        if seen.fingerprint != known.fingerprint:
            writing.changed = True
            await _preview(site, writing, member, spot, held)
            return None
    return Ready(content, held)


async def keep(site: Site, writing: Writing, member: Member, spot: Spot) -> bool:
    """Save the form as a draft; False with the reason in `writing.errors`."""
    words = words_of(writing)
    if words.is_empty:
        writing.errors["text"] = _("Write something first.")
        return False
    try:
        async with site.db.transaction() as tx:
            writing.draft_id = await drafts.save(
                tx,
                member.id,
                words,
                draft_id=writing.draft_id,
                group_id=spot.group_id,
                parent_id=spot.parent_id,
            )
    except Invalid as refusal:
        writing.errors[refusal.field] = _(refusal.message)
        return False
    return True


async def _preview(
    site: Site, writing: Writing, member: Member, spot: Spot, held: Reservation
) -> None:
    """Put into the form what would be posted, and what other servers would get."""
    writing.at = held.at
    content = await _composed(site, writing, member, spot)
    if content is None:
        return
    writing.show(content)
    if site.federation is None:
        return
    proposal = Proposal(member.id, content, writing.text, spot.group_id, spot.parent_id)
    try:
        seen = await site.federation.preview(proposal, held)
    except HubError as refusal:
        # What would be refused is said beside the words, which stay in the form.
        writing.errors["text"] = _(refusal.message)
        return
    writing.dry_run = seen
    if not await keep(site, writing, member, spot):
        # Without a draft nothing is promised, but the preview is true all the same.
        writing.errors.clear()
        return
    assert writing.draft_id is not None
    async with site.db.transaction() as tx:
        await drafts.promise(tx, writing.draft_id, seen.reservation, seen.fingerprint)


async def _composed(site: Site, writing: Writing, member: Member, spot: Spot) -> Content | None:
    """What the form says, or None with the reason in its errors."""
    content = await try_compose(
        site, site.db, writing, is_topic=spot.parent_id is None, author_id=member.id
    )
    if content is None or content.quote is None:
        return content
    try:
        await quotes.check_place(
            site.db, content.quote, group_id=spot.group_id, parent_id=spot.parent_id
        )
        return content
    except Invalid as refusal:
        writing.errors[refusal.field] = _(refusal.message)
        return None
