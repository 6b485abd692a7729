"""A member's settings: profile, password, sessions."""

from __future__ import annotations

from aiohttp import web

from fedcomm.http import site_of
from fedcomm.hub import actors, media, members, permissions, profiles, relays, sessions
from fedcomm.hub.errors import HubError, Invalid
from fedcomm.hub.images import AVATAR
from fedcomm.hub.passwords import hash_password
from fedcomm.hub.permissions import as_policy
from fedcomm.i18n import gettext as _
from fedcomm.web import presentation
from fedcomm.web.composer import store_picture
from fedcomm.web.forms import Form, read_form
from fedcomm.web.rendering import page, see_other
from fedcomm.web.visits import signed_in, start_session, visit_of


async def settings_page(request: web.Request) -> web.StreamResponse:
    """Everything that a member can change about themselves."""
    signed_in(request)
    return await _settings_page(request)


async def save_profile(request: web.Request) -> web.StreamResponse:
    """Change name, description, language and picture."""
    member = signed_in(request)
    site = site_of(request)
    form = await read_form(request, files=1)
    actor = await actors.actor(site.db, member.id)
    assert actor is not None
    avatar_id = None
    try:
        if "avatar" in form.files:
            avatar_id = await store_picture(
                request,
                form.files["avatar"],
                member,
                purpose="avatar",
                limits=AVATAR,
                alt=form.text("avatar_alt"),
            )
        async with site.db.transaction() as tx:
            await members.edit_profile(
                tx,
                member.id,
                display_name=form.line("display_name"),
                summary=form.text("summary"),
                locale=form.text("locale"),
                local_origin=site.origin,
                avatar_id=avatar_id,
                locked=form.flag("locked"),
                quote_policy=as_policy(form.text("quote_policy")),
                fields=_fields(form),
                limits=site.limits,
            )
            if site.config.relays.enabled:
                await relays.set_refusal(tx, member.id, refused=form.flag("unrelayed"))
            if avatar_id is None and actor.avatar_id is not None:
                await media.describe(tx, member.id, actor.avatar_id, form.text("avatar_alt"))
    except Invalid as refusal:
        return await _settings_page(request, form, {refusal.field: _(refusal.message)})
    site.wake()
    if avatar_id is not None and actor.avatar_id is not None:
        await media.remove_orphans(site.db, site.media_folder, [actor.avatar_id])
    return see_other("/settings", "saved")


def _fields(form: Form) -> list[profiles.Field]:
    names, values = form.values.get("field_name", []), form.values.get("field_value", [])
    pairs = zip(names, values, strict=False)
    return [profiles.field_of(name, value) for name, value in list(pairs)[: profiles.FIELDS]]


async def change_password(request: web.Request) -> web.StreamResponse:
    """Change the password, knowing the old one; all sessions end, this browser gets a new one
    (INV-38)."""
    member = signed_in(request)
    site = site_of(request)
    form = await read_form(request)
    new = form.text("new")
    try:
        if not await members.has_password(site.db, member.id, form.text("current")):
            raise Invalid("current", "This is not your password.")
        if new != form.text("again"):
            raise Invalid("again", "The two are not the same.")
        members.password_acceptable(new, member.name, member.email)
    except Invalid as refusal:
        field = "new" if refusal.field == "password" else refusal.field
        return await _settings_page(request, None, {field: _(refusal.message)})
    hashed = await hash_password(new)
    async with site.db.transaction() as tx:
        await members.set_password(tx, member.id, hashed)
    response = see_other("/settings", "password")
    try:
        start_session(response, site.config, await sessions.log_in(site.db, member.name, new))
    except HubError:
        # Changed or suspended elsewhere at this very moment: log in again.
        return see_other("/login")
    return response


async def end_session(request: web.Request) -> web.StreamResponse:
    """End one of the member's sessions, or all but this one."""
    member = signed_in(request)
    visit = visit_of(request)
    form = await read_form(request)
    reference = form.text("session")
    async with visit.site.db.transaction() as tx:
        if reference == "others" and visit.session:
            await sessions.end_others(tx, member.id, visit.session)
        else:
            await sessions.end_session(tx, member.id, reference)
    return see_other("/settings", "sessions" if reference == "others" else "session")


def _padded(form: Form) -> list[tuple[str, str]]:
    """The fields of the profile as they were typed, with empty ones up to the most there may be."""
    names, values = form.values.get("field_name", []), form.values.get("field_value", [])
    filled = list(zip(names, values, strict=False))[: profiles.FIELDS]
    return filled + [("", "")] * (profiles.FIELDS - len(filled))


async def _settings_page(
    request: web.Request, form: Form | None = None, errors: dict[str, str] | None = None
) -> web.StreamResponse:
    member = signed_in(request)
    visit = visit_of(request)
    db = visit.site.db
    actor = await actors.actor(db, member.id)
    assert actor is not None
    files = await presentation.files_of(db, [actor.avatar_id])
    picture = files.get(actor.avatar_id or 0)
    if form is None:
        fields = await profiles.fields_of(db, member.id)
        form = Form(
            {
                "display_name": [actor.display_name],
                "summary": [actor.summary_source],
                "locale": [member.locale],
                "avatar_alt": [picture.alt if picture else ""],
                "locked": ["1" if actor.locked else ""],
                "unrelayed": ["1" if await relays.refuses(db, member.id) else ""],
                "quote_policy": [await permissions.default_of(db, member.id)],
                "field_name": [field.name for field in fields],
                "field_value": [field.source for field in fields],
            }
        )
    own = sessions.token_hash(visit.session or "")[: sessions.REFERENCE_LENGTH]
    return await page(
        request,
        "settings.html",
        with_relays=visit.site.config.relays.enabled,
        status=422 if errors else 200,
        form=form,
        errors=errors or {},
        fields=_padded(form),
        face=presentation.face(actor, files),
        sessions=await sessions.sessions_of(db, member.id),
        own_session=own,
    )
