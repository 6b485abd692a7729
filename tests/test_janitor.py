"""What nobody refers to goes; what somebody refers to stays."""

from __future__ import annotations

import io
import os
import time

import pytest
from PIL import Image

from fedcomm import janitor
from fedcomm.hub import groups, media, members, notifications, removal, sessions, threads
from fedcomm.hub.ballots import Ballot
from fedcomm.hub.composition import Draft
from fedcomm.hub.images import ATTACHMENT, AVATAR, ImageLimits
from fedcomm.hub.passwords import hash_password
from fedcomm.site import Site
from fedcomm.store.ids import now_ms
from fedcomm.tallies import Tallies

DAY_MS = 86_400_000


async def _picture(site: Site, owner: int, purpose: media.Purpose, limits: ImageLimits) -> int:
    data = io.BytesIO()
    Image.new("RGB", (20, 20), "green").save(data, "PNG")
    return await media.upload(
        site.db,
        owner,
        data.getvalue(),
        folder=site.media_folder,
        purpose=purpose,
        limits=limits,
        daily_bytes=10**8,
    )


async def test_an_image_that_nobody_attached_goes_after_a_day_and_an_avatar_stays(
    site: Site,
) -> None:
    async with site.db.transaction() as tx:
        anna = await members.create_member(tx, "anna")
    forgotten = await _picture(site, anna, "attachment", ATTACHMENT)
    face = await _picture(site, anna, "avatar", AVATAR)
    async with site.db.transaction() as tx:
        await tx.execute("UPDATE actors SET avatar_id = ? WHERE id = ?", face, anna)
    assert await janitor.tidy(site) == 0, "not before the day is over"
    async with site.db.transaction() as tx:
        await tx.execute("UPDATE media SET created_at = ?", now_ms() - DAY_MS - 1)
    assert await janitor.tidy(site) == 1
    assert await media.image(site.db, forgotten) is None
    kept = await media.image(site.db, face)
    assert kept is not None
    assert {path.name for path in site.media_folder.iterdir()} == {kept.file, kept.thumbnail}


async def test_a_file_that_no_row_names_goes_when_it_is_old(site: Site) -> None:
    site.media_folder.mkdir(parents=True, exist_ok=True)
    old, young = site.media_folder / "old.webp", site.media_folder / "young.webp"
    for path in (old, young):
        path.write_bytes(b"left by a crash")
    os.utime(old, (time.time() - 2 * 86_400,) * 2)
    assert await janitor.tidy(site) == 1
    assert not old.exists()
    assert young.exists()


async def test_a_session_that_is_over_leaves_no_row(site: Site) -> None:
    async with site.db.transaction() as tx:
        await members.create_member(tx, "anna", password_hash=await hash_password("correct horse"))
    await sessions.log_in(site.db, "anna", "correct horse")
    assert await janitor.tidy(site) == 0
    async with site.db.transaction() as tx:
        await tx.execute("UPDATE sessions SET seen_at = seen_at - ?", 15 * DAY_MS)
    assert await janitor.tidy(site) == 1
    assert await site.db.value("SELECT count(*) FROM sessions") == 0


async def test_what_moderators_removed_is_erased_and_polls_end_also_without_federation(
    site: Site,
) -> None:
    assert site.federation is None
    async with site.db.transaction() as tx:
        anna = await members.create_member(tx, "anna")
        group = await groups.create_group(
            tx, "club", title="Club", creator_id=anna, local_origin=site.origin
        )
        draft = Draft("x", "Which?", poll=Ballot(("a", "b"), ends_at=now_ms() + DAY_MS))
        content = await site.compose(tx, draft, is_topic=True, author_id=anna)
        poll = await threads.create_topic(tx, anna, group, content)
        content = await site.compose(tx, Draft("gone", "Gone"), is_topic=True, author_id=anna)
        gone = await threads.create_topic(tx, anna, group, content)
        await removal.withhold(tx, anna, gone, "removed")
        await tx.execute("UPDATE objects SET withheld_at = 1 WHERE id = ?", gone)
        await tx.execute("UPDATE polls SET close_at = 1, ends_at = 1 WHERE object_id = ?", poll)
    await janitor.tidy(site)
    erased = await threads.thing(site.db, gone)
    assert erased is not None and erased.deleted_at is not None and erased.html == ""
    assert await Tallies(site.db).round() == 1
    told = await notifications.list_notifications(site.db, anna)
    assert [note.kind for note in told] == ["poll_ended"]


async def test_inv_47_one_part_of_the_round_that_fails_does_not_hold_up_the_rest(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.media_folder.mkdir(parents=True, exist_ok=True)
    stray = site.media_folder / "old.webp"
    stray.write_bytes(b"x")
    os.utime(stray, (time.time() - 2 * 86_400,) * 2)

    async def fail(site: Site) -> int:
        raise PermissionError("a file that cannot be removed")

    for part in ("purge", "_images"):
        monkeypatch.setattr(janitor, part, fail)
    assert await janitor.tidy(site) == 1
    assert not stray.exists()
