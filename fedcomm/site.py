"""What one running hub shares: its configuration, its database, its media folder and its spokes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING

from fedcomm.config import Config
from fedcomm.erasure_journal import ErasureJournal
from fedcomm.hub.composition import Content, Draft, compose
from fedcomm.hub.consents import Consent
from fedcomm.hub.limits import TextLimits
from fedcomm.hub.recordings import RecordingLimits
from fedcomm.hub.space import Space
from fedcomm.store.database import Database, Reader
from fedcomm.store.slates import Slate

if TYPE_CHECKING:
    from fedcomm.federation.spoke import FederationSpoke


def consent_of(config: Config) -> Consent:
    """What the organization set for members who have not decided about a channel."""
    return Consent({"activitypub": config.consents.activitypub, "feeds": config.consents.feeds})


@dataclass(slots=True)
class Site:
    """One hub. `wakers` are called after a change of the hub, so that spokes need not wait for
    their next look at the journal; `federation` is None where it is switched off."""

    config: Config
    db: Database
    federation: FederationSpoke | None = None
    wakers: list[Callable[[], None]] = field(default_factory=list)
    closed: bool = False
    stopping: bool = False
    """Whether this process was told to stop: it is not ready for more."""
    slate: Slate | None = None
    """Where this process and others of the same server tell each other their figures; None if it is the only one."""
    erasure_journal: ErasureJournal = field(init=False)
    space: Space = field(init=False)

    def __post_init__(self) -> None:
        self.erasure_journal = ErasureJournal(self.config.erasure.journal)
        self.space = Space(self.config.media.folder, self.config.media.keep_free_bytes)

    @property
    def origin(self) -> str:
        """The public origin: `https://hub.example`, without a slash at the end."""
        return self.config.instance.origin

    @property
    def host(self) -> str:
        """The domain of our handles: `hub.example`."""
        return self.config.host

    @property
    def media_folder(self) -> Path:
        """Where the files of images are."""
        return self.config.media.folder

    @property
    def recording_limits(self) -> RecordingLimits:
        """How large sound, video and documents may be on this hub."""
        media = self.config.media
        return RecordingLimits(
            media.max_video_bytes, media.max_audio_bytes, media.max_document_bytes
        )

    @property
    def consent(self) -> Consent:
        """What holds for members who have not decided through which channels their words leave."""
        return consent_of(self.config)

    @property
    def limits(self) -> TextLimits:
        """How much one may write on this hub."""
        return TextLimits(
            **{one.name: getattr(self.config.limits, one.name) for one in fields(TextLimits)}
        )

    def wake(self) -> None:
        """Something was written to the journal or to a queue: let the spokes look now."""
        for waker in self.wakers:
            waker()

    async def compose(self, db: Reader, draft: Draft, *, is_topic: bool, author_id: int) -> Content:
        """Check and render what a member typed, within the limits of this hub. Raises Invalid."""
        return await compose(
            db,
            draft,
            local_origin=self.origin,
            is_topic=is_topic,
            author_id=author_id,
            limits=self.limits,
        )
