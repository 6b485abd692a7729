"""E-mail to those who run the hub: one letter at a time, over SMTP, in a thread.

The library of Python speaks the protocol; nothing here reads mail. Without `mail.host` nothing is sent.
"""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import dataclass
from email.message import EmailMessage
from email.utils import formatdate, make_msgid
from typing import TYPE_CHECKING, Final, Protocol

from fedcomm.config import Config
from fedcomm.late import Late
from fedcomm.settings import Mail

if TYPE_CHECKING:
    import smtplib
else:
    smtplib = Late("smtplib")

TIMEOUT_S: Final = 20.0
"""For each step of the conversation with the server."""

SUBJECT_CHARACTERS: Final = 200


class MailFailed(Exception):
    """The server did not take the letter; the message says why, for operators."""


@dataclass(frozen=True, slots=True)
class Letter:
    """A plain-text mail. `to` is one address."""

    to: str
    subject: str
    text: str


class Mailer(Protocol):
    """Sends letters."""

    async def send(self, letter: Letter) -> None:
        """Hand the letter to the mail server. Raises MailFailed."""
        ...


class SMTPMailer:
    """Sends through the server of the configuration."""

    def __init__(
        self, settings: Mail, *, sender: str, context: ssl.SSLContext | None = None
    ) -> None:
        self._settings = settings
        self._sender = sender
        self._context = context

    async def send(self, letter: Letter) -> None:
        """Hand the letter to the mail server. Raises MailFailed."""
        message = EmailMessage()
        # One line: a line break in a header would begin another one.
        message["Subject"] = " ".join(letter.subject.split())[:SUBJECT_CHARACTERS]
        message["From"] = self._sender
        message["To"] = " ".join(letter.to.split())
        message["Date"] = formatdate(localtime=False)
        message["Message-ID"] = make_msgid(domain=self._sender.rpartition("@")[2] or None)
        # Answering machines stay silent (RFC 3834).
        message["Auto-Submitted"] = "auto-generated"
        message.set_content(letter.text)
        try:
            await asyncio.to_thread(self._deliver, message)
        except (OSError, smtplib.SMTPException) as error:
            raise MailFailed(f"{type(error).__name__}: {error}") from error

    def _deliver(self, message: EmailMessage) -> None:
        settings = self._settings
        context = self._context or ssl.create_default_context()
        server: smtplib.SMTP
        if settings.security == "tls":
            server = smtplib.SMTP_SSL(
                settings.host, settings.port, timeout=TIMEOUT_S, context=context
            )
        else:
            server = smtplib.SMTP(settings.host, settings.port, timeout=TIMEOUT_S)
        with server:
            if settings.security == "starttls":
                # Raises where the server offers none: nothing is sent, nor any password, in the clear.
                server.starttls(context=context)
            if settings.username:
                server.login(settings.username, settings.password)
            server.send_message(message)


def mailer_of(config: Config) -> Mailer | None:
    """The mailer of the configuration; None where no mail is sent."""
    if not config.mail.host:
        return None
    domain = config.host.partition(":")[0]
    return SMTPMailer(config.mail, sender=config.mail.sender or f"fedcomm@{domain}")


def alarms_to(config: Config) -> str:
    """Who is told of alarms; empty if nobody is named."""
    return config.mail.alarms_to or config.instance.contact_email
