"""Every option of fedcomm: one frozen dataclass per table of the configuration file.

An option's default, unit, range and explanation stand here and nowhere else; reading files and
environment variables, the documentation and its tests are derived from them
(`fedcomm.config`). Sizes are bytes, texts are counted in characters (code points), and a name that
ends in a unit is a number of that unit.
"""

from fedcomm.settings.federation import Abuse, Canary, Delivery, Federation, Inbox, Relays
from fedcomm.settings.members import Accounts, Limits, Rates, Sessions
from fedcomm.settings.operation import (
    Database,
    Development,
    Instance,
    Logging,
    Mail,
    Media,
    Metrics,
    Secrets,
    Server,
    Web,
)
from fedcomm.settings.options import LOCALES, About, Network
from fedcomm.settings.privacy import Consents, Erasure, Retention

__all__ = [
    "LOCALES",
    "About",
    "Abuse",
    "Accounts",
    "Canary",
    "Consents",
    "Database",
    "Delivery",
    "Development",
    "Erasure",
    "Federation",
    "Inbox",
    "Instance",
    "Limits",
    "Logging",
    "Mail",
    "Media",
    "Metrics",
    "Network",
    "Rates",
    "Relays",
    "Retention",
    "Secrets",
    "Server",
    "Sessions",
    "Web",
]
