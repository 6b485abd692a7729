"""What members can do, and how much of it."""

from __future__ import annotations

from dataclasses import dataclass

from fedcomm.settings.options import option


@dataclass(frozen=True, slots=True)
class Accounts:
    """Who can become a member."""

    registration: str = option(
        "closed",
        "closed: administrators create members. Open registration is not offered yet.",
        choices=("closed",),
    )


@dataclass(frozen=True, slots=True)
class Sessions:
    """How long a log-in lasts."""

    idle_days: float = option(
        14.0, "A session ends when it is not used for so long.", "days", low=0.01, high=365
    )
    absolute_days: float = option(
        90.0, "A session ends after so long in any case.", "days", low=0.01, high=730
    )


@dataclass(frozen=True, slots=True)
class Limits:
    """How long and how many things may be."""

    topic_chars: int = option(50_000, "Text of a topic.", "characters", low=1, high=1_000_000)
    reply_chars: int = option(10_000, "Text of a reply.", "characters", low=1, high=1_000_000)
    profile_chars: int = option(5000, "Text of a profile.", "characters", low=1, high=100_000)
    alt_chars: int = option(1500, "A picture's description.", "characters", low=1, high=10_000)
    name_chars: int = option(
        200, "A display name of a member or group.", "characters", low=1, high=2000
    )
    title_chars: int = option(200, "A topic's title.", "characters", low=1, high=2000)
    attachments: int = option(16, "Pictures in one post.", high=100)
    mentions: int = option(50, "People mentioned in one post.", high=500)
    hashtags: int = option(30, "Hashtags in one post.", high=500)


@dataclass(frozen=True, slots=True)
class Rates:
    """How often people may do things. A prefix is an IPv4 address or an IPv6 /64 network."""

    login_per_prefix_5min: int = option(
        25, "Log-in attempts from one prefix.", "per 5 minutes", low=1
    )
    login_per_account_hour: int = option(
        10, "Failed log-ins to one account before answers slow down.", "per hour", low=1
    )
    posts_per_member_5min: int = option(
        30,
        "What one member writes: topics, replies, edits, deletions, groups, profiles.",
        "per 5 minutes",
        low=1,
    )
    uploads_per_30min: int = option(30, "Files uploaded by one member.", "per 30 minutes", low=1)
