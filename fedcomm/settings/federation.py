"""How the hub deals with other servers."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from fedcomm.settings.options import GIB, KIB, MIB, Network, option


@dataclass(frozen=True, slots=True)
class Federation:
    """How the hub talks to other servers."""

    enabled: bool = option(True, "Whether the hub speaks ActivityPub with others at all.")
    ca_file: Path | None = option(
        None, "PEM certificates to trust for outgoing TLS, beside the system's."
    )
    private_addresses: tuple[Network, ...] = option(
        (),
        "Private networks that outgoing requests may reach. Each one opens your internal "
        "services to whoever can make the hub fetch a URL; logged loudly.",
    )
    any_port: bool = option(False, "Allow ports other than 443 in other servers' addresses.")
    user_agent_contact: str = option(
        "", "A mail address or URL to add to the User-Agent of outgoing requests."
    )
    authorized_fetch: bool = option(
        True, "Ask for a signature before handing out anything but actor stubs and keys."
    )
    connect_seconds: float = option(5.0, "Time to open a connection.", "seconds", low=0.05, high=60)
    total_seconds: float = option(15.0, "Time for a whole exchange.", "seconds", low=0.05, high=300)
    fetch_bytes: int = option(
        MIB, "The largest document that is read, after decompression.", "bytes", low=KIB, high=GIB
    )
    redirects: int = option(3, "Redirects to follow; a POST follows none.", high=20)
    fetch_budget: int = option(
        30, "Fetches that one incoming activity may cause.", low=1, high=1000
    )
    signature_window_seconds: int = option(
        3600,
        "How far a signature's time may be from our clock, either way.",
        "seconds",
        low=30,
        high=86400,
    )


@dataclass(frozen=True, slots=True)
class Delivery:
    """How activities are sent to other servers."""

    concurrency: int = option(64, "Requests under way at once, to all hosts.", low=1, high=2000)
    retry_minutes: tuple[float, ...] = option(
        (1, 5, 15, 60, 180, 360, 720, 1440, 1440, 1440, 1440, 1440, 1440),
        "Waits before the second, third … attempt; the last one repeats until the horizon. "
        "Fractions are allowed.",
        "minutes",
        low=0.0001,
        high=43200,
    )
    jitter_percent: float = option(
        20.0,
        "How much each wait is varied, so that a host's return is no stampede.",
        "percent",
        high=50,
    )
    horizon_days: float = option(7.0, "When to give up on an activity.", "days", high=365)
    delete_horizon_days: float = option(
        90.0,
        "When to give up on asking for a copy back: a server that was away for two months is still told.",
        "days",
        high=3650,
    )
    set_aside_after: int = option(
        8,
        "Refusals of one delivery by a host that answers before it waits for an administrator.",
        "attempts",
        low=1,
        high=100,
    )
    dead_after_days: float = option(
        7.0,
        "A host that has answered nothing for so long gets no new deliveries until it writes.",
        "days",
        high=365,
    )
    recalls_per_second: float = option(
        20.0,
        "How many requests to give a copy back one host gets: an erasure asks for many at once.",
        "requests per second and host",
        low=0.01,
        high=10_000,
    )
    retry_after_max_hours: float = option(
        24.0, "The longest Retry-After of a host that is obeyed.", "hours", high=168
    )
    lease_seconds: float = option(
        60.0,
        "How long a worker owns a delivery before another may take it over.",
        "seconds",
        low=1,
        high=3600,
    )


@dataclass(frozen=True, slots=True)
class Inbox:
    """How activities of other servers are taken in."""

    concurrency: int = option(8, "Activities processed at once.", low=1, high=200)
    attempts: int = option(8, "Tries before an activity is set aside.", "attempts", low=1, high=100)
    retry_seconds: tuple[float, ...] = option(
        (5, 30, 120, 600, 3600),
        "Waits before the second, third … try; the last one repeats.",
        "seconds",
        high=86400,
    )
    remember_days: float = option(
        30.0,
        "How long an activity's id is remembered so that it takes effect once.",
        "days",
        low=1,
        high=365,
    )
    per_host_per_second: float = option(
        20.0, "Activities that one host may send.", "per second", low=0.01, high=10000
    )
    per_host_queued: int = option(5000, "Waiting activities of one host; more get 429.", low=1)
    queued: int = option(100_000, "Waiting activities of all hosts; more get 503.", low=1)


@dataclass(frozen=True, slots=True)
class Relays:
    """Servers that hand public posts on between servers that know nothing of each other."""

    enabled: bool = option(
        False, "Whether relays can be used at all; administrators then name them."
    )
    per_hour: int = option(
        120, "Posts that one relay may bring within an hour.", low=1, high=100_000
    )
    keep_days: float = option(
        14.0,
        "How long a post is kept that a relay brought and nobody here answered or liked.",
        "days",
        low=0.01,
        high=3650,
    )


@dataclass(frozen=True, slots=True)
class Canary:
    """A post of the hub to itself, over its public address, now and then: is it still heard?"""

    enabled: bool = option(
        False,
        "Follow a hidden group of the hub's own through the public address, and raise an alarm "
        "when its posts do not come round. The server must be able to reach its own address.",
    )
    interval_minutes: float = option(15.0, "How often.", "minutes", low=0.01, high=1440)
    deadline_seconds: float = option(
        300.0,
        "How long a post may take to come round before it counts as missed.",
        "seconds",
        low=0.1,
        high=3600,
    )


@dataclass(frozen=True, slots=True)
class Abuse:
    """What slows down waves of abuse from other servers. 0 switches a limit off."""

    new_subdomains_per_hour: int = option(
        10, "New host names that one registrable domain may bring.", "per hour"
    )
    follows_per_host_hour: int = option(
        100, "Follows by unknown people of one host; more get 429.", "per hour"
    )
    reports_per_host_hour: int = option(20, "Reports from one host; more get 429.", "per hour")
    messages_per_host_hour: int = option(
        20, "Direct messages by unknown people of one host.", "per hour"
    )
    posts_per_actor_hour: int = option(300, "Posts of one person; more get 429.", "per hour")
    activities_per_actor_hour: int = option(
        3000, "Activities of one person; more get 429.", "per hour"
    )
    posts_per_host_and_group_hour: int = option(
        1000, "Posts from one host into one group.", "per hour"
    )
    follows_per_group_hour: int = option(300, "Unknown people who follow one group.", "per hour")
    bad_requests_per_5min: int = option(
        300, "Requests of one address that cannot be verified.", "per 5 minutes"
    )
    hold_score: int = option(
        7, "From this score on a post waits for a moderator.", "points", high=1000
    )
    new_account: int = option(2, "Weight: the account is not a day old.", "points", high=100)
    new_host: int = option(2, "Weight: its server was first heard of today.", "points", high=100)
    first_contact: int = option(1, "Weight: nothing of theirs is here yet.", "points", high=100)
    no_profile: int = option(1, "Weight: neither picture nor description.", "points", high=100)
    unrelated_mention: int = option(
        1, "Weight: mentions members who do not follow them.", "points", high=100
    )
    many_mentions: int = option(3, "Weight: five mentions or more.", "points", high=100)
    same_text: int = option(5, "Weight: the same words from several people.", "points", high=100)
    same_link: int = option(2, "Weight: the same link from several people.", "points", high=100)
    wave_people: int = option(3, "People who say the same, before it is a wave.", low=2, high=1000)
    wave_minutes: float = option(10, "How close together they say it.", "minutes", low=1, high=1440)
