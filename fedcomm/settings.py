"""Every option of fedcomm: one frozen dataclass per table of the configuration file.

An option's default, unit, range and explanation stand here and nowhere else; reading files and
environment variables, the documentation and its tests are derived from them
(`fedcomm.config`). Sizes are bytes, texts are counted in characters (code points), and a name that
ends in a unit is a number of that unit.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

Network = IPv4Network | IPv6Network

KIB: Final = 1024
MIB: Final = 1024 * KIB
GIB: Final = 1024 * MIB

LOCALES: Final = ("en", "it")
"""Languages that the pages are translated into."""


@dataclass(frozen=True, slots=True)
class About:
    """What is known of an option besides its name, type and default.

    `low` and `high` are inclusive and hold for each item of a list. `secret` values are never
    repeated in a message.
    """

    help: str
    unit: str = ""
    low: float = 0
    high: float = float("inf")
    choices: tuple[str, ...] = ()
    secret: bool = False


def about(
    help: str,
    unit: str = "",
    *,
    low: float = 0,
    high: float = float("inf"),
    choices: tuple[str, ...] = (),
    secret: bool = False,
) -> dict[str, About]:
    """The metadata of an option's dataclass field."""
    return {"about": About(help, unit, low, high, choices, secret)}


@dataclass(frozen=True, slots=True)
class Instance:
    """Who this hub is."""

    origin: str = field(
        metadata=about(
            "The public address that everybody sees, without a path. It is in every id that other "
            "servers keep, so it can never change later."
        )
    )
    name: str = field(default="fedcomm", metadata=about("The name of the community."))
    description: str = field(
        default="", metadata=about("One or two sentences about the community, as plain text.")
    )
    language: str = field(
        default="en",
        metadata=about("The language that members write in unless they say otherwise.", "BCP 47"),
    )
    time_zone: str = field(
        default="UTC",
        metadata=about(
            "The clocks on which new events are planned unless the member says otherwise."
        ),
    )
    contact_email: str = field(
        default="", metadata=about("Where visitors and other administrators can write to.")
    )
    default_locale: str = field(
        default="en",
        metadata=about(
            "The language of the pages when the visitor's browser asks for none that we speak.",
            choices=LOCALES,
        ),
    )


@dataclass(frozen=True, slots=True)
class Server:
    """Where and how the hub listens."""

    host: str = field(default="127.0.0.1", metadata=about("The address to listen on."))
    port: int = field(default=8080, metadata=about("The TCP port to listen on.", low=1, high=65535))
    unix_socket: Path | None = field(
        default=None, metadata=about("A Unix socket to listen on instead of host and port.")
    )
    tls_certificate: Path | None = field(
        default=None,
        metadata=about("A PEM certificate chain, to speak TLS without a reverse proxy."),
    )
    tls_key: Path | None = field(
        default=None, metadata=about("The PEM private key of tls_certificate.")
    )
    trusted_proxies: tuple[Network, ...] = field(
        default=(),
        metadata=about("Networks whose X-Forwarded-For header is believed; all others' is not."),
    )
    processes: int = field(
        default=1,
        metadata=about("Processes that serve the pages and work the queues.", low=1, high=64),
    )
    workers: bool = field(
        default=True, metadata=about("Run the queues (inbox, delivery) inside the web process.")
    )
    graceful_seconds: float = field(
        default=30.0,
        metadata=about("How long a stop waits for work in hand.", "seconds", high=600),
    )
    access_log: bool = field(
        default=False,
        metadata=about("One log line per request, without addresses, names or query strings."),
    )
    max_body_bytes: int = field(
        default=MIB,
        metadata=about("The largest request body except uploads.", "bytes", low=KIB, high=GIB),
    )
    max_upload_bytes: int = field(
        default=100 * MIB,
        metadata=about("The largest request body that uploads a file.", "bytes", low=KIB, high=GIB),
    )


@dataclass(frozen=True, slots=True)
class Database:
    """Where the hub keeps its rows."""

    url: str = field(
        default="sqlite:///fedcomm.db",
        repr=False,
        metadata=about("sqlite:///FILE or postgresql://USER:PASSWORD@HOST/NAME.", secret=True),
    )
    pool_size: int = field(
        default=10,
        metadata=about("Connections to PostgreSQL per process.", low=1, high=1000),
    )
    readers: int = field(
        default=3,
        metadata=about(
            "Reading connections to SQLite, beside the one that writes.", low=1, high=64
        ),
    )

    @property
    def engine(self) -> str:
        """`sqlite` or `postgresql`."""
        return urlsplit(self.url).scheme

    @property
    def file(self) -> Path | None:
        """The SQLite file, or None on PostgreSQL."""
        if self.engine != "sqlite":
            return None
        return Path(self.url.removeprefix("sqlite:///"))


@dataclass(frozen=True, slots=True)
class Media:
    """Uploaded files."""

    folder: Path = field(
        default=Path("media"), metadata=about("Where uploaded files are kept; back it up.")
    )
    max_image_bytes: int = field(
        default=16 * MIB,
        metadata=about("The largest picture a member can upload.", "bytes", low=KIB, high=GIB),
    )
    max_video_bytes: int = field(
        default=100 * MIB,
        metadata=about(
            "The largest video (MP4, WebM) a member can upload; 0: none.", "bytes", high=4 * GIB
        ),
    )
    max_audio_bytes: int = field(
        default=100 * MIB,
        metadata=about(
            "The largest sound file (MP3, Ogg, FLAC, WebM) a member can upload; 0: none.",
            "bytes",
            high=4 * GIB,
        ),
    )
    max_document_bytes: int = field(
        default=16 * MIB,
        metadata=about(
            "The largest document (PDF, plain text) a member can upload; 0: none. Documents are stored "
            "as they came, with the names in them, and only handed out as downloads.",
            "bytes",
            high=GIB,
        ),
    )
    daily_bytes_per_member: int = field(
        default=500 * MIB,
        metadata=about("What one member can upload within 24 hours.", "bytes"),
    )
    keep_free_bytes: int = field(
        default=256 * MIB,
        metadata=about(
            "What stays free on the disk: below it no files are taken from members and none fetched from "
            "other servers, so that the database can go on. 0: nothing is watched.",
            "bytes",
        ),
    )


@dataclass(frozen=True, slots=True)
class Secrets:
    """What must not be in the database."""

    key_file: Path = field(
        default=Path("fedcomm.key"),
        metadata=about(
            "A file with 32 random bytes in base64 that encrypts the private keys in the database. "
            "Keep a copy apart from the backups: without it the hub can sign nothing."
        ),
    )


@dataclass(frozen=True, slots=True)
class Erasure:
    """What must be forgotten, and stay forgotten."""

    journal: Path = field(
        default=Path("erasure.journal"),
        metadata=about(
            "A file that says, in numbers only, what was erased. Keep it out of the backups and on "
            "another disk if you can: a restored backup is not served before it has forgotten again."
        ),
    )


@dataclass(frozen=True, slots=True)
class Consents:
    """Through which channels members' words leave as long as they have not decided themselves."""

    activitypub: bool = field(
        default=True,
        metadata=about(
            "To other servers (ActivityPub). false: each member is asked before their first post leaves."
        ),
    )
    feeds: bool = field(
        default=True, metadata=about("Into the Atom feeds, which anybody can read without a name.")
    )


@dataclass(frozen=True, slots=True)
class Retention:
    """How long is kept what nobody needs for ever. 0: kept until it is erased."""

    remote_days: float = field(
        default=365.0,
        metadata=about(
            "Posts of other servers that nobody here has answered, liked, quoted or been named in.",
            "days",
            high=36500,
        ),
    )
    revisions_days: float = field(
        default=0.0,
        metadata=about("What a post said before it was edited.", "days", high=36500),
    )
    notifications_days: float = field(
        default=180.0, metadata=about("Notifications that were read.", "days", high=36500)
    )
    audit_days: float = field(
        default=730.0,
        metadata=about("Who did what in administration and moderation.", "days", high=36500),
    )
    failed_delivery_days: float = field(
        default=30.0,
        metadata=about("Deliveries that were given up.", "days", low=1, high=36500),
    )


@dataclass(frozen=True, slots=True)
class Federation:
    """How the hub talks to other servers."""

    enabled: bool = field(
        default=True, metadata=about("Whether the hub speaks ActivityPub with others at all.")
    )
    ca_file: Path | None = field(
        default=None,
        metadata=about("PEM certificates to trust for outgoing TLS, beside the system's."),
    )
    private_addresses: tuple[Network, ...] = field(
        default=(),
        metadata=about(
            "Private networks that outgoing requests may reach. Each one opens your internal "
            "services to whoever can make the hub fetch a URL; logged loudly."
        ),
    )
    any_port: bool = field(
        default=False, metadata=about("Allow ports other than 443 in other servers' addresses.")
    )
    user_agent_contact: str = field(
        default="",
        metadata=about("A mail address or URL to add to the User-Agent of outgoing requests."),
    )
    authorized_fetch: bool = field(
        default=True,
        metadata=about("Ask for a signature before handing out anything but actor stubs and keys."),
    )
    connect_seconds: float = field(
        default=5.0,
        metadata=about("Time to open a connection.", "seconds", low=0.05, high=60),
    )
    total_seconds: float = field(
        default=15.0,
        metadata=about("Time for a whole exchange.", "seconds", low=0.05, high=300),
    )
    fetch_bytes: int = field(
        default=MIB,
        metadata=about(
            "The largest document that is read, after decompression.", "bytes", low=KIB, high=GIB
        ),
    )
    redirects: int = field(
        default=3, metadata=about("Redirects to follow; a POST follows none.", high=20)
    )
    fetch_budget: int = field(
        default=30,
        metadata=about("Fetches that one incoming activity may cause.", low=1, high=1000),
    )
    signature_window_seconds: int = field(
        default=3600,
        metadata=about(
            "How far a signature's time may be from our clock, either way.",
            "seconds",
            low=30,
            high=86400,
        ),
    )


@dataclass(frozen=True, slots=True)
class Relays:
    """Servers that hand public posts on between servers that know nothing of each other."""

    enabled: bool = field(
        default=False,
        metadata=about("Whether relays can be used at all; administrators then name them."),
    )
    per_hour: int = field(
        default=120,
        metadata=about("Posts that one relay may bring within an hour.", low=1, high=100_000),
    )
    keep_days: float = field(
        default=14.0,
        metadata=about(
            "How long a post is kept that a relay brought and nobody here answered or liked.",
            "days",
            low=0.01,
            high=3650,
        ),
    )


@dataclass(frozen=True, slots=True)
class Delivery:
    """How activities are sent to other servers."""

    concurrency: int = field(
        default=64, metadata=about("Requests under way at once, to all hosts.", low=1, high=2000)
    )
    retry_minutes: tuple[float, ...] = field(
        default=(1, 5, 15, 60, 180, 360, 720, 1440, 1440, 1440, 1440, 1440, 1440),
        metadata=about(
            "Waits before the second, third … attempt; the last one repeats until the horizon. "
            "Fractions are allowed.",
            "minutes",
            low=0.0001,
            high=43200,
        ),
    )
    jitter_percent: float = field(
        default=20.0,
        metadata=about(
            "How much each wait is varied, so that a host's return is no stampede.",
            "percent",
            high=50,
        ),
    )
    horizon_days: float = field(
        default=7.0, metadata=about("When to give up on an activity.", "days", high=365)
    )
    delete_horizon_days: float = field(
        default=90.0,
        metadata=about(
            "When to give up on asking for a copy back: a server that was away for two months is still told.",
            "days",
            high=3650,
        ),
    )
    set_aside_after: int = field(
        default=8,
        metadata=about(
            "Refusals of one delivery by a host that answers before it waits for an administrator.",
            "attempts",
            low=1,
            high=100,
        ),
    )
    dead_after_days: float = field(
        default=7.0,
        metadata=about(
            "A host that has answered nothing for so long gets no new deliveries until it writes.",
            "days",
            high=365,
        ),
    )
    recalls_per_second: float = field(
        default=20.0,
        metadata=about(
            "How many requests to give a copy back one host gets: an erasure asks for many at once.",
            "requests per second and host",
            low=0.01,
            high=10_000,
        ),
    )
    retry_after_max_hours: float = field(
        default=24.0,
        metadata=about("The longest Retry-After of a host that is obeyed.", "hours", high=168),
    )
    lease_seconds: float = field(
        default=60.0,
        metadata=about(
            "How long a worker owns a delivery before another may take it over.",
            "seconds",
            low=1,
            high=3600,
        ),
    )


@dataclass(frozen=True, slots=True)
class Inbox:
    """How activities of other servers are taken in."""

    concurrency: int = field(
        default=8, metadata=about("Activities processed at once.", low=1, high=200)
    )
    attempts: int = field(
        default=8,
        metadata=about("Tries before an activity is set aside.", "attempts", low=1, high=100),
    )
    retry_seconds: tuple[float, ...] = field(
        default=(5, 30, 120, 600, 3600),
        metadata=about(
            "Waits before the second, third … try; the last one repeats.", "seconds", high=86400
        ),
    )
    remember_days: float = field(
        default=30.0,
        metadata=about(
            "How long an activity's id is remembered so that it takes effect once.",
            "days",
            low=1,
            high=365,
        ),
    )
    per_host_per_second: float = field(
        default=20.0,
        metadata=about("Activities that one host may send.", "per second", low=0.01, high=10000),
    )
    per_host_queued: int = field(
        default=5000,
        metadata=about("Waiting activities of one host; more get 429.", low=1),
    )
    queued: int = field(
        default=100_000,
        metadata=about("Waiting activities of all hosts; more get 503.", low=1),
    )


@dataclass(frozen=True, slots=True)
class Abuse:
    """What slows down waves of abuse from other servers. 0 switches a limit off."""

    new_subdomains_per_hour: int = field(
        default=10,
        metadata=about("New host names that one registrable domain may bring.", "per hour"),
    )
    follows_per_host_hour: int = field(
        default=100,
        metadata=about("Follows by unknown people of one host; more get 429.", "per hour"),
    )
    reports_per_host_hour: int = field(
        default=20, metadata=about("Reports from one host; more get 429.", "per hour")
    )
    messages_per_host_hour: int = field(
        default=20,
        metadata=about("Direct messages by unknown people of one host.", "per hour"),
    )
    posts_per_actor_hour: int = field(
        default=300, metadata=about("Posts of one person; more get 429.", "per hour")
    )
    activities_per_actor_hour: int = field(
        default=3000, metadata=about("Activities of one person; more get 429.", "per hour")
    )
    posts_per_host_and_group_hour: int = field(
        default=1000, metadata=about("Posts from one host into one group.", "per hour")
    )
    follows_per_group_hour: int = field(
        default=300, metadata=about("Unknown people who follow one group.", "per hour")
    )
    bad_requests_per_5min: int = field(
        default=300,
        metadata=about("Requests of one address that cannot be verified.", "per 5 minutes"),
    )
    hold_score: int = field(
        default=7,
        metadata=about("From this score on a post waits for a moderator.", "points", high=1000),
    )
    new_account: int = field(
        default=2, metadata=about("Weight: the account is not a day old.", "points", high=100)
    )
    new_host: int = field(
        default=2,
        metadata=about("Weight: its server was first heard of today.", "points", high=100),
    )
    first_contact: int = field(
        default=1, metadata=about("Weight: nothing of theirs is here yet.", "points", high=100)
    )
    no_profile: int = field(
        default=1, metadata=about("Weight: neither picture nor description.", "points", high=100)
    )
    unrelated_mention: int = field(
        default=1,
        metadata=about("Weight: mentions members who do not follow them.", "points", high=100),
    )
    many_mentions: int = field(
        default=3, metadata=about("Weight: five mentions or more.", "points", high=100)
    )
    same_text: int = field(
        default=5,
        metadata=about("Weight: the same words from several people.", "points", high=100),
    )
    same_link: int = field(
        default=2,
        metadata=about("Weight: the same link from several people.", "points", high=100),
    )
    wave_people: int = field(
        default=3,
        metadata=about("People who say the same, before it is a wave.", low=2, high=1000),
    )
    wave_minutes: float = field(
        default=10,
        metadata=about("How close together they say it.", "minutes", low=1, high=1440),
    )


@dataclass(frozen=True, slots=True)
class Canary:
    """A post of the hub to itself, over its public address, now and then: is it still heard?"""

    enabled: bool = field(
        default=False,
        metadata=about(
            "Follow a hidden group of the hub's own through the public address, and raise an alarm "
            "when its posts do not come round. The server must be able to reach its own address."
        ),
    )
    interval_minutes: float = field(
        default=15.0,
        metadata=about("How often.", "minutes", low=0.01, high=1440),
    )
    deadline_seconds: float = field(
        default=300.0,
        metadata=about(
            "How long a post may take to come round before it counts as missed.",
            "seconds",
            low=0.1,
            high=3600,
        ),
    )


@dataclass(frozen=True, slots=True)
class Mail:
    """E-mail that the hub sends to those who run it. Nothing is sent without a host."""

    host: str = field(default="", metadata=about("The SMTP server; empty: no e-mail is sent."))
    port: int = field(default=587, metadata=about("Its TCP port.", low=1, high=65535))
    security: str = field(
        default="starttls",
        metadata=about(
            "starttls: encrypt after connecting (port 587). tls: from the first byte (port 465). "
            "none: for a relay on this machine only.",
            choices=("starttls", "tls", "none"),
        ),
    )
    username: str = field(default="", metadata=about("The account there, if it wants one."))
    password: str = field(
        default="", repr=False, metadata=about("The password of that account.", secret=True)
    )
    sender: str = field(
        default="",
        metadata=about("The address that mail comes from; empty: fedcomm@ and the hub's domain."),
    )
    alarms_to: str = field(
        default="",
        metadata=about("Who is told of alarms; empty: instance.contact_email."),
    )


@dataclass(frozen=True, slots=True)
class Metrics:
    """Figures for monitoring, at /metrics."""

    token: str = field(
        default="",
        repr=False,
        metadata=about(
            "Whoever sends it as `Authorization: Bearer …` may read /metrics; empty: the page does "
            "not exist.",
            secret=True,
        ),
    )


@dataclass(frozen=True, slots=True)
class Limits:
    """How long and how many things may be."""

    topic_chars: int = field(
        default=50_000, metadata=about("Text of a topic.", "characters", low=1, high=1_000_000)
    )
    reply_chars: int = field(
        default=10_000, metadata=about("Text of a reply.", "characters", low=1, high=1_000_000)
    )
    profile_chars: int = field(
        default=5000, metadata=about("Text of a profile.", "characters", low=1, high=100_000)
    )
    alt_chars: int = field(
        default=1500, metadata=about("A picture's description.", "characters", low=1, high=10_000)
    )
    name_chars: int = field(
        default=200,
        metadata=about("A display name of a member or group.", "characters", low=1, high=2000),
    )
    title_chars: int = field(
        default=200, metadata=about("A topic's title.", "characters", low=1, high=2000)
    )
    attachments: int = field(default=16, metadata=about("Pictures in one post.", high=100))
    mentions: int = field(default=50, metadata=about("People mentioned in one post.", high=500))
    hashtags: int = field(default=30, metadata=about("Hashtags in one post.", high=500))


@dataclass(frozen=True, slots=True)
class Rates:
    """How often people may do things. A prefix is an IPv4 address or an IPv6 /64 network."""

    login_per_prefix_5min: int = field(
        default=25, metadata=about("Log-in attempts from one prefix.", "per 5 minutes", low=1)
    )
    login_per_account_hour: int = field(
        default=10,
        metadata=about(
            "Failed log-ins to one account before answers slow down.", "per hour", low=1
        ),
    )
    posts_per_member_5min: int = field(
        default=30, metadata=about("Topics and replies by one member.", "per 5 minutes", low=1)
    )
    uploads_per_30min: int = field(
        default=30, metadata=about("Files uploaded by one member.", "per 30 minutes", low=1)
    )


@dataclass(frozen=True, slots=True)
class Sessions:
    """How long a log-in lasts."""

    idle_days: float = field(
        default=14.0,
        metadata=about(
            "A session ends when it is not used for so long.", "days", low=0.01, high=365
        ),
    )
    absolute_days: float = field(
        default=90.0,
        metadata=about("A session ends after so long in any case.", "days", low=0.01, high=730),
    )


@dataclass(frozen=True, slots=True)
class Accounts:
    """Who can become a member."""

    registration: str = field(
        default="closed",
        metadata=about(
            "closed: administrators create members. Open registration is not offered yet.",
            choices=("closed",),
        ),
    )


@dataclass(frozen=True, slots=True)
class Web:
    """The pages."""

    templates: Path | None = field(
        default=None,
        metadata=about("A folder of your own templates; each replaces the one of the same name."),
    )
    page_size: int = field(
        default=20, metadata=about("Entries on one page of a list.", low=1, high=100)
    )


@dataclass(frozen=True, slots=True)
class Logging:
    """What the hub says on standard error. Never content, names or addresses of members."""

    level: str = field(
        default="info",
        metadata=about(
            "The least severe messages to write.", choices=("debug", "info", "warning", "error")
        ),
    )
    format: str = field(
        default="text",
        metadata=about("text for people, json for log collectors.", choices=("text", "json")),
    )
    slow_statement_ms: float = field(
        default=1000.0,
        metadata=about(
            "Statements of the database that take so long are logged, without what anybody typed; 0: none.",
            "milliseconds",
            high=3_600_000,
        ),
    )


@dataclass(frozen=True, slots=True)
class Development:
    """Switches for tests and development; none of them belongs on a public server."""

    allow_http: bool = field(
        default=False,
        metadata=about("Allow http, here and at other servers, for names other than localhost."),
    )
    resolve: Mapping[str, str] = field(
        default_factory=dict,
        metadata=about("Addresses for host names, instead of DNS: a name, or *.suffix."),
    )
