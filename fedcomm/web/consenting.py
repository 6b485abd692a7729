"""Asking members who have not decided whether their words may leave, before the first of them could.

Only where the organization's default is that nothing leaves; elsewhere members decide under "My data".
"""

from __future__ import annotations

from fedcomm.hub import consents, drafts
from fedcomm.hub.members import Member
from fedcomm.i18n import gettext as _
from fedcomm.site import Site
from fedcomm.web.composer import Writing


async def is_asked(site: Site, member_id: int) -> bool:
    """Whether the member still has to be asked."""
    if site.federation is None or site.consent.defaults["activitypub"]:
        return False
    return await consents.latest(site.db, member_id, "activitypub") is None


async def take_answer(site: Site, writing: Writing, member: Member, *, leaves: bool) -> None:
    """Note what the member answered in the form in which they write; without an answer the form comes back. `leaves`:
    whether what is written here could leave at all."""
    if not leaves or writing.only_here or writing.wants_draft or writing.wants_preview:
        return
    if not await is_asked(site, member.id):
        return
    if writing.consent not in ("yes", "no"):
        writing.errors["consent"] = _("Say whether your words may go to other servers.")
        return
    known = None
    if writing.draft_id is not None:
        known = await drafts.find(site.db, member.id, writing.draft_id)
    promised = known.reservation if known is not None else None
    async with site.db.transaction() as tx:
        await site.consent.decide(
            tx,
            member.id,
            "activitypub",
            granted=writing.consent == "yes",
            since=promised.at if promised is not None else None,
        )
