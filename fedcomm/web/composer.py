"""The form in which members write: topics, replies and edits share it, with pictures and a preview.

Pictures are stored as soon as they arrive, so that a form that comes back with an error, or as a
preview, need not send them again.
"""

from __future__ import annotations

from dataclasses import astuple, dataclass, field, replace
from typing import Final

from aiohttp import web

from fedcomm.http import come_again, site_of
from fedcomm.hub import events, media, quotes, submissions
from fedcomm.hub.ballots import Ballot
from fedcomm.hub.composition import Content, Draft
from fedcomm.hub.errors import Invalid
from fedcomm.hub.images import ATTACHMENT, ImageLimits
from fedcomm.hub.members import Member
from fedcomm.hub.permissions import as_policy
from fedcomm.hub.previews import Preview
from fedcomm.hub.recordings import size_of
from fedcomm.hub.sanitizer import SafeHtml
from fedcomm.hub.space import NoRoom
from fedcomm.hub.threads import Thing
from fedcomm.i18n import LANGUAGES, N_
from fedcomm.i18n import gettext as _
from fedcomm.site import Site
from fedcomm.store.database import Reader
from fedcomm.store.ids import now_ms, parse_id
from fedcomm.web.event_form import FIELDS as EVENT_FIELDS
from fedcomm.web.event_form import EventFields, fields_of, filled_with
from fedcomm.web.forms import FILES_PER_FORM, Form, UploadedFile, read_form
from fedcomm.web.lookup import find_quoted
from fedcomm.web.middleware import THROTTLE
from fedcomm.web.visits import Visit, visit_of

FOCAL_POINTS: Final[dict[str, tuple[float, float]]] = {
    "centre": (0.0, 0.0),
    "top": (0.0, 0.9),
    "bottom": (0.0, -0.9),
    "left": (-0.9, 0.0),
    "right": (0.9, 0.0),
}
"""Where the important part of a picture is, as (x, y) from -1 to 1, y upwards."""


POLL_LENGTHS: Final = {
    60: N_("one hour"),
    6 * 60: N_("six hours"),
    24 * 60: N_("one day"),
    3 * 24 * 60: N_("three days"),
    7 * 24 * 60: N_("one week"),
    14 * 24 * 60: N_("two weeks"),
    30 * 24 * 60: N_("thirty days"),
}
"""How long a poll may run, in minutes."""

USUAL_POLL: Final = 7 * 24 * 60


@dataclass(slots=True)
class Writing:
    """A form as it was typed, to be shown again or composed. `errors`: field to sentence."""

    title: str = ""
    text: str = ""
    summary: str = ""
    sensitive: bool = False
    language: str = ""
    pictures: list[media.StoredFile] = field(default_factory=list)
    errors: dict[str, str] = field(default_factory=dict)
    preview: SafeHtml | None = None
    preview_title: str = ""
    wants_preview: bool = False
    wants_draft: bool = False
    draft_id: int | None = None
    dry_run: Preview | None = None
    changed: bool = False
    at: int | None = None
    """When it counts as published (Unix ms), if a preview has said so; else now."""
    poll: str = ""
    poll_multiple: bool = False
    poll_minutes: int = USUAL_POLL
    quote: str = ""
    """The address of what is quoted, as it was typed."""
    quote_id: int | None = None
    quote_policy: str = ""
    """Who may quote this; empty for what the member's settings say."""
    only_here: bool = False
    """Whether it is to stay on this hub."""
    consent: str = ""
    """What was answered to whether words may leave: yes, no, or nothing."""
    asks_consent: bool = False
    quotes_now: bool = False
    """Whether what is edited quotes something, which `unquote` takes out."""
    unquote: bool = False
    event: EventFields = field(default_factory=EventFields)
    preview_event: events.Event | None = None
    no_room: bool = False
    """Whether a file was refused because the disk is nearly full."""
    once: str = field(default_factory=submissions.new_token)
    """The form's own token, so that what is sent twice counts once."""

    @property
    def ballot(self) -> Ballot | None:
        """The poll, if there is one: its options stand in lines."""
        lines = [line for text in self.poll.splitlines() if (line := text.strip())]
        if not lines:
            return None
        return Ballot(
            tuple(lines), self.poll_multiple, (self.at or now_ms()) + self.poll_minutes * 60_000
        )

    @property
    def has_poll(self) -> bool:
        """Whether the fields of the poll, which are folded away at first, hold something."""
        return bool(self.poll.strip() or {"poll", "poll_end"} & set(self.errors))

    @property
    def has_event_errors(self) -> bool:
        """Whether one of the fields of an event is wrong."""
        return not set(EVENT_FIELDS).isdisjoint(self.errors)

    @property
    def draft(self) -> Draft:
        """What is composed. Raises Invalid for an event that cannot be."""
        return Draft(
            source=self.text,
            title=self.title,
            summary=self.summary,
            sensitive=self.sensitive,
            language=self.language,
            media=tuple(picture.id for picture in self.pictures),
            poll=self.ballot,
            quote=self.quote_id,
            unquote=self.unquote,
            quote_policy=as_policy(self.quote_policy),
            only_here=self.only_here,
            event=self.event.occasion,
        )

    def show(self, content: Content) -> None:
        """Put what would be posted into the form."""
        self.preview = content.html
        self.preview_title = content.title
        if content.event is not None:
            self.preview_event = events.Event(0, content.event, 0, 0)

    @property
    def status(self) -> int:
        """With which status the form is shown again."""
        if self.no_room:
            return 507
        return 422 if self.errors else 200

    @property
    def has_quote(self) -> bool:
        """Whether the fields about quotes, which are folded away at first, hold something."""
        return bool(self.quote or self.unquote or {"quote"} & set(self.errors))

    @property
    def is_unfolded(self) -> bool:
        """Whether one of the fields that are folded away at first holds something."""
        return bool(
            self.summary
            or self.sensitive
            or self.pictures
            or {"media", "summary"} & set(self.errors)
        )


async def read_writing(request: web.Request, member: Member) -> Writing:
    """The posted form; its new pictures are stored. What is wrong with a picture is in `errors`."""
    site = site_of(request)
    largest = max(astuple(site.recording_limits))
    form = await read_form(request, files=FILES_PER_FORM, largest=largest)
    language = form.line("language")
    writing = Writing(
        title=form.line("title"),
        text=form.text("text"),
        summary=form.line("summary"),
        sensitive=form.flag("sensitive"),
        language=language if language in LANGUAGES else "",
        wants_preview=form.text("action") == "preview",
        wants_draft=form.text("action") == "draft",
        draft_id=parse_id(form.text("draft")),
        poll=form.text("poll"),
        poll_multiple=form.flag("poll_multiple"),
        poll_minutes=_poll_minutes(form.text("poll_end")),
        quote=form.line("quote"),
        quote_policy=as_policy(form.text("quote_policy")) or "",
        only_here=form.flag("only_here"),
        consent=form.text("consent"),
        unquote=form.flag("unquote"),
        event=fields_of(form),
    )
    if submissions.TOKEN.fullmatch(form.text("once")):
        writing.once = form.text("once")
    await read_quote(visit_of(request), writing)
    kept = await media.images(site.db, form.ids("media"))
    owned = await _owned(site.db, member.id, list(kept))
    try:
        for media_id in owned:
            alt = form.text(f"alt_{media_id}")
            if alt.strip() != kept[media_id].alt:
                async with site.db.transaction() as tx:
                    await media.describe(tx, member.id, media_id, alt)
        added = await _store_files(request, form, member)
    except Invalid as refusal:
        writing.errors["media"] = _(refusal.message)
        writing.no_room = isinstance(refusal, NoRoom)
        added = []
    stored = await media.images(site.db, [*owned, *added])
    writing.pictures = list(stored.values())
    return writing


async def read_quote(visit: Visit, writing: Writing) -> None:
    """Find what the address in the form names; what is wrong with it is in `errors`."""
    if not writing.quote:
        return
    writing.quote_id = await find_quoted(visit, writing.quote)
    if writing.quote_id is None:
        writing.errors["quote"] = _("No post was found at this address that you may read here.")


async def store_picture(
    request: web.Request,
    file: UploadedFile,
    member: Member,
    *,
    purpose: media.Purpose,
    limits: ImageLimits,
    alt: str = "",
    focal: tuple[float, float] = (0.0, 0.0),
) -> int:
    """Store one uploaded picture of the member; its id. Raises Invalid, and 429 past the limit."""
    spend_upload(request, member)
    site = site_of(request)
    site.space.require(size_of(file.file))
    if size_of(file.file) > site.config.media.max_image_bytes:
        raise Invalid("media", "The image file is too large.")
    return await media.upload(
        site.db,
        member.id,
        file.data,
        folder=site.media_folder,
        purpose=purpose,
        alt=alt,
        focal=focal,
        limits=limits,
        daily_bytes=site.config.media.daily_bytes_per_member,
        alt_chars=site.limits.alt_chars,
    )


async def _store_attachment(
    request: web.Request,
    file: UploadedFile,
    member: Member,
    *,
    alt: str,
    focal: tuple[float, float],
) -> int:
    """Store a picture, sound, video or document of the member; its id. Raises like `store_picture`."""
    spend_upload(request, member)
    site = site_of(request)
    site.space.require(size_of(file.file))
    return await media.upload_file(
        site.db,
        member.id,
        file.file,
        file.name,
        folder=site.media_folder,
        alt=alt,
        focal=focal,
        images=replace(ATTACHMENT, bytes=site.config.media.max_image_bytes),
        recordings=site.recording_limits,
        daily_bytes=site.config.media.daily_bytes_per_member,
        alt_chars=site.limits.alt_chars,
    )


def spend_upload(request: web.Request, member: Member) -> None:
    """Count a file that came; too many are answered 429 (INV-39)."""
    throttle = request.config_dict[THROTTLE]
    wait = throttle.spend("uploads_per_30min", str(member.id))
    if wait:
        most = throttle.most("uploads_per_30min")
        raise web.HTTPTooManyRequests(headers=come_again(wait, most))


async def try_compose(
    site: Site, db: Reader, writing: Writing, *, is_topic: bool, author_id: int
) -> Content | None:
    """What the form says, or None with the reason in `errors`."""
    if writing.errors:
        return None
    try:
        return await site.compose(db, writing.draft, is_topic=is_topic, author_id=author_id)
    except Invalid as refusal:
        writing.errors[refusal.field] = _(refusal.message)
        return None


async def writing_of(site: Site, thing: Thing) -> Writing:
    """The form filled with what stands there now."""
    images = await media.images(site.db, await media.attached_to(site.db, thing.id))
    event = await events.event_of(site.db, 0, thing.id) if thing.type == "Event" else None
    return Writing(
        title=thing.title,
        text=thing.source,
        summary=thing.summary,
        sensitive=thing.sensitive,
        language=thing.language,
        pictures=list(images.values()),
        quote_policy=thing.quote_policy or "",
        quotes_now=await quotes.of_object(site.db, thing.id) is not None,
        event=filled_with(event.occasion) if event is not None else EventFields(),
    )


def _poll_minutes(text: str) -> int:
    minutes = int(text) if text.isdecimal() and len(text) < 7 else USUAL_POLL
    return minutes if minutes in POLL_LENGTHS else USUAL_POLL


async def _store_files(request: web.Request, form: Form, member: Member) -> list[int]:
    added = []
    for number in range(FILES_PER_FORM):
        file = form.files.get(f"file_{number}")
        if file is None:
            continue
        added.append(
            await _store_attachment(
                request,
                file,
                member,
                alt=form.text(f"new_alt_{number}"),
                focal=FOCAL_POINTS.get(form.text(f"focal_{number}"), (0.0, 0.0)),
            )
        )
    return added


async def _owned(db: Reader, owner_id: int, ids: list[int]) -> list[int]:
    """Those of the images that the member uploaded as attachments."""
    return [image for image in ids if await media.is_attachment_of(db, image, owner_id)]
