"""How the hub is run: where it listens, where it keeps things, whom it tells of trouble."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from fedcomm.settings.options import GIB, KIB, LOCALES, MIB, About, Network, option


@dataclass(frozen=True, slots=True)
class Instance:
    """Who this hub is."""

    origin: str = field(
        metadata={
            "about": About(
                "The public address that everybody sees, without a path. It is in every id that other "
                "servers keep, so it can never change later."
            )
        }
    )
    name: str = option("fedcomm", "The name of the community.")
    description: str = option("", "One or two sentences about the community, as plain text.")
    language: str = option(
        "en", "The language that members write in unless they say otherwise.", "BCP 47"
    )
    time_zone: str = option(
        "UTC", "The clocks on which new events are planned unless the member says otherwise."
    )
    contact_email: str = option("", "Where visitors and other administrators can write to.")
    default_locale: str = option(
        "en",
        "The language of the pages when the visitor's browser asks for none that we speak.",
        choices=LOCALES,
    )


@dataclass(frozen=True, slots=True)
class Server:
    """Where and how the hub listens."""

    host: str = option("127.0.0.1", "The address to listen on.")
    port: int = option(8080, "The TCP port to listen on.", low=1, high=65535)
    unix_socket: Path | None = option(None, "A Unix socket to listen on instead of host and port.")
    tls_certificate: Path | None = option(
        None, "A PEM certificate chain, to speak TLS without a reverse proxy."
    )
    tls_key: Path | None = option(None, "The PEM private key of tls_certificate.")
    trusted_proxies: tuple[Network, ...] = option(
        (), "Networks whose X-Forwarded-For header is believed; all others' is not."
    )
    processes: int = option(
        1, "Processes that serve the pages and work the queues.", low=1, high=64
    )
    workers: bool = option(True, "Run the queues (inbox, delivery) inside the web process.")
    graceful_seconds: float = option(
        30.0, "How long a stop waits for work in hand.", "seconds", high=600
    )
    access_log: bool = option(
        False, "One log line per request, without addresses, names or query strings."
    )
    max_body_bytes: int = option(
        MIB, "The largest request body except uploads.", "bytes", low=KIB, high=GIB
    )
    max_upload_bytes: int = option(
        100 * MIB, "The largest request body that uploads a file.", "bytes", low=KIB, high=GIB
    )


@dataclass(frozen=True, slots=True)
class Database:
    """Where the hub keeps its rows."""

    url: str = option(
        "sqlite:///fedcomm.db",
        "sqlite:///FILE or postgresql://USER:PASSWORD@HOST/NAME.",
        secret=True,
    )
    pool_size: int = option(10, "Connections to PostgreSQL per process.", low=1, high=1000)
    readers: int = option(
        3, "Reading connections to SQLite, beside the one that writes.", low=1, high=64
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

    folder: Path = option(Path("media"), "Where uploaded files are kept; back it up.")
    max_image_bytes: int = option(
        16 * MIB, "The largest picture a member can upload.", "bytes", low=KIB, high=GIB
    )
    max_video_bytes: int = option(
        100 * MIB,
        "The largest video (MP4, WebM) a member can upload; 0: none.",
        "bytes",
        high=4 * GIB,
    )
    max_audio_bytes: int = option(
        100 * MIB,
        "The largest sound file (MP3, Ogg, FLAC, WebM) a member can upload; 0: none.",
        "bytes",
        high=4 * GIB,
    )
    max_document_bytes: int = option(
        16 * MIB,
        "The largest document (PDF, plain text) a member can upload; 0: none. Documents are stored "
        "as they came, with the names in them, and only handed out as downloads.",
        "bytes",
        high=GIB,
    )
    daily_bytes_per_member: int = option(
        500 * MIB, "What one member can upload within 24 hours.", "bytes"
    )
    keep_free_bytes: int = option(
        256 * MIB,
        "What stays free on the disk: below it no files are taken from members and none fetched from "
        "other servers, so that the database can go on. 0: nothing is watched.",
        "bytes",
    )
    remote_bytes: int = option(
        GIB,
        "What pictures of other servers (their emoji) may take on the disk all together; more are not "
        "fetched until some have gone, as they do when nothing uses them any more. 0: no limit.",
        "bytes",
    )


@dataclass(frozen=True, slots=True)
class Secrets:
    """What must not be in the database."""

    key_file: Path = option(
        Path("fedcomm.key"),
        "A file with 32 random bytes in base64 that encrypts the private keys in the database. "
        "Keep a copy apart from the backups: without it the hub can sign nothing.",
    )


@dataclass(frozen=True, slots=True)
class Web:
    """The pages."""

    templates: Path | None = option(
        None, "A folder of your own templates; each replaces the one of the same name."
    )
    page_size: int = option(20, "Entries on one page of a list.", low=1, high=100)


@dataclass(frozen=True, slots=True)
class Mail:
    """E-mail that the hub sends to those who run it. Nothing is sent without a host."""

    host: str = option("", "The SMTP server; empty: no e-mail is sent.")
    port: int = option(587, "Its TCP port.", low=1, high=65535)
    security: str = option(
        "starttls",
        "starttls: encrypt after connecting (port 587). tls: from the first byte (port 465). "
        "none: for a relay on this machine only.",
        choices=("starttls", "tls", "none"),
    )
    username: str = option("", "The account there, if it wants one.")
    password: str = option("", "The password of that account.", secret=True)
    sender: str = option(
        "", "The address that mail comes from; empty: fedcomm@ and the hub's domain."
    )
    alarms_to: str = option("", "Who is told of alarms; empty: instance.contact_email.")


@dataclass(frozen=True, slots=True)
class Metrics:
    """Figures for monitoring, at /metrics."""

    token: str = option(
        "",
        "Whoever sends it as `Authorization: Bearer …` may read /metrics; empty: the page does "
        "not exist.",
        secret=True,
    )


@dataclass(frozen=True, slots=True)
class Logging:
    """What the hub says on standard error. Never content, names or addresses of members."""

    level: str = option(
        "info", "The least severe messages to write.", choices=("debug", "info", "warning", "error")
    )
    format: str = option(
        "text", "text for people, json for log collectors.", choices=("text", "json")
    )
    slow_statement_ms: float = option(
        1000.0,
        "Statements of the database that take so long are logged, without what anybody typed; 0: none.",
        "milliseconds",
        high=3_600_000,
    )


@dataclass(frozen=True, slots=True)
class Development:
    """Switches for tests and development; none of them belongs on a public server."""

    allow_http: bool = option(
        False, "Allow http, here and at other servers, for names other than localhost."
    )
    resolve: Mapping[str, str] = field(
        default_factory=dict,
        metadata={"about": About("Addresses for host names, instead of DNS: a name, or *.suffix.")},
    )
