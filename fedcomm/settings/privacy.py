"""What is forgotten, what is kept how long, and what may leave."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from fedcomm.settings.options import option


@dataclass(frozen=True, slots=True)
class Erasure:
    """What must be forgotten, and stay forgotten."""

    journal: Path = option(
        Path("erasure.journal"),
        "A file that says, in numbers only, what was erased. Keep it out of the backups and on "
        "another disk if you can: a restored backup is not served before it has forgotten again.",
    )


@dataclass(frozen=True, slots=True)
class Consents:
    """Through which channels members' words leave as long as they have not decided themselves."""

    activitypub: bool = option(
        True,
        "To other servers (ActivityPub). false: each member is asked before their first post leaves.",
    )
    feeds: bool = option(True, "Into the Atom feeds, which anybody can read without a name.")


@dataclass(frozen=True, slots=True)
class Retention:
    """How long is kept what nobody needs for ever. 0: kept until it is erased."""

    remote_days: float = option(
        365.0,
        "Posts of other servers that nobody here has answered, liked, quoted or been named in.",
        "days",
        high=36500,
    )
    revisions_days: float = option(
        0.0, "What a post said before it was edited.", "days", high=36500
    )
    notifications_days: float = option(180.0, "Notifications that were read.", "days", high=36500)
    audit_days: float = option(
        730.0, "Who did what in administration and moderation.", "days", high=36500
    )
    failed_delivery_days: float = option(
        30.0, "Deliveries that were given up.", "days", low=1, high=36500
    )
