"""The record of processing (GDPR art. 30): who, what for, what is stored how long, and by which ways data leaves.

Made from the register of data, the configuration and the code's own list of egresses; a test holds that list against
the modules that talk to others.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from fedcomm.config import Config
from fedcomm.hub.access_requests import DEADLINE_DAYS, KEPT_DAYS
from fedcomm.hub.register import REGISTER, RETENTION, Retention
from fedcomm.i18n import N_


@dataclass(frozen=True, slots=True)
class Egress:
    """A way by which personal data leaves this machine. `modules`: where in the code; `enabled`: on this hub."""

    name: str
    receives: str
    what: str
    modules: tuple[str, ...]
    enabled: Callable[[Config], bool]


EGRESSES: Final[tuple[Egress, ...]] = (
    Egress(
        N_("Other servers (ActivityPub)"),
        N_("servers whose people follow a group or a member, are named, or fetch with a signature"),
        N_(
            "public posts with the author's name and picture, reactions, follows; each copy is noted"
        ),
        ("fedcomm.federation", "activitypub.client"),
        lambda config: config.federation.enabled,
    ),
    Egress(
        N_("Relays"),
        N_("the relays that administrators chose, and through them servers that nobody here knows"),
        N_("public topics of groups that want it"),
        ("fedcomm.federation.relaying",),
        lambda config: config.federation.enabled and config.relays.enabled,
    ),
    Egress(
        N_("Atom feeds"),
        N_("anybody, without a name"),
        N_("the newest public topics with the author's name"),
        ("fedcomm.web.feeds",),
        lambda config: True,
    ),
    Egress(
        N_("Web pages"),
        N_("anybody, for what is public; members, for the rest"),
        N_("posts, names, pictures, as far as each group allows"),
        ("fedcomm.web",),
        lambda config: True,
    ),
    Egress(
        N_("E-mail"),
        N_("the mail server that is configured"),
        N_("alarms to those who run the hub; no words of members"),
        ("fedcomm.mail",),
        lambda config: bool(config.mail.host),
    ),
    Egress(
        N_("Checks from the command line"),
        N_("this hub's own address"),
        N_("nothing of anybody"),
        ("fedcomm.selfcheck", "fedcomm.cli.doctor"),
        lambda config: True,
    ),
)

PURPOSES: Final = (
    N_("that members can write, read and discuss in groups"),
    N_("that people of other servers can take part, as far as members let their words leave"),
    N_("that moderators can keep the rules, and everybody can appeal"),
    N_("that the hub stays safe and available"),
)

MEASURES: Final = (
    N_("passwords and sessions are stored as hashes, private keys encrypted"),
    N_("no addresses of visitors are stored; logs hold no names and no words"),
    N_(
        "what is erased is overwritten in the database and on the disk, and does not come back with a backup"
    ),
    N_("each server that got a copy is noted, and asked for it on erasure"),
)


def periods(config: Config) -> dict[str, str]:
    """How long on this hub, in days, for what has a period of its own: option or rule -> days ("kept" for none)."""
    kept = config.retention
    found = {
        "retention.remote_days": kept.remote_days,
        "retention.revisions_days": kept.revisions_days,
        "retention.notifications_days": kept.notifications_days,
        "retention.audit_days": kept.audit_days,
        "retention.failed_delivery_days": kept.failed_delivery_days,
        "inbox.remember_days": config.inbox.remember_days,
        "sessions.idle_days": config.sessions.idle_days,
        "sessions.absolute_days": config.sessions.absolute_days,
        "delivery.delete_horizon_days": config.delivery.delete_horizon_days,
        "access files": float(KEPT_DAYS),
    }
    return {name: f"{days:g}" if days else "kept" for name, days in found.items()}


def classes() -> dict[Retention, list[str]]:
    """The stored classes: tables by how long they are kept."""
    found: dict[Retention, list[str]] = {name: [] for name in RETENTION}
    for table, entry in sorted(REGISTER.items()):
        found[entry.retention].append(table)
    return found


def record(config: Config, figures: Mapping[str, Any]) -> dict[str, Any]:
    """The record as one document. `figures`: the requests of people with their dates."""
    return {
        "record": "processing activities (GDPR art. 30)",
        "controller": {
            "name": config.instance.name,
            "address": config.instance.origin,
            "contact": config.instance.contact_email,
        },
        "purposes": list(PURPOSES),
        "subjects": [
            "members of the hub",
            "people of other servers who take part, or are followed here",
        ],
        "recipients": [
            {
                "name": egress.name,
                "who": egress.receives,
                "what": egress.what,
                "enabled": egress.enabled(config),
            }
            for egress in EGRESSES
        ],
        "consent_by_default": {
            "activitypub": config.consents.activitypub,
            "feeds": config.consents.feeds,
        },
        "stored": [
            {
                "table": name,
                "holds": entry.holds,
                "retention": entry.retention,
                "until": RETENTION[entry.retention],
                "on_erasure": [
                    getattr(step, "how", "")
                    or getattr(step, "why", "")
                    or ("rows go" if type(step).__name__ == "Delete" else "words are emptied")
                    for step in entry.steps
                ],
            }
            for name, entry in sorted(REGISTER.items())
        ],
        "periods_in_days": periods(config),
        "measures": list(MEASURES),
        "deadline_days": DEADLINE_DAYS,
        **figures,
    }
