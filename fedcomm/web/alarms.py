"""Alarms in words: what administrators read in a mail when something of the hub stops working."""

from __future__ import annotations

from fedcomm.config import Config
from fedcomm.hub.canary import Status
from fedcomm.i18n import gettext as _
from fedcomm.i18n import in_full, ngettext, use_locale
from fedcomm.mail import Letter, alarms_to


def canary_letter(config: Config, status: Status) -> Letter:
    """The mail about the canary: it is not heard any more, or again. In the language of the instance."""
    use_locale(config.instance.default_locale)
    name = config.instance.name
    if not status.is_alarming:
        return Letter(
            alarms_to(config),
            _("%(name)s: posts come round again") % {"name": name},
            _("A post of the hub to itself has arrived again over its public address.")
            + f"\n\n{config.instance.origin}/admin\n",
        )
    lines = [
        _("The hub's own test post has not come round. Other servers may not be reached either."),
        ngettext(
            "%(num)s post in a row was missed.",
            "%(num)s posts in a row were missed.",
            status.missed,
        )
        % {"num": status.missed},
    ]
    if status.last is not None and status.last.error:
        lines.append(_("Reason: %(reason)s") % {"reason": status.last.error})
    if status.last_arrived is not None:
        lines.append(
            _("The last one arrived: %(when)s") % {"when": in_full(status.last_arrived.started_at)}
        )
    lines.append(f"{config.instance.origin}/admin")
    return Letter(
        alarms_to(config),
        _("%(name)s: posts do not come round") % {"name": name},
        "\n\n".join(lines) + "\n",
    )
