"""Mail reaches a real SMTP server as it was written, or whoever sent it hears why not."""

from __future__ import annotations

from collections.abc import Iterator
from email import message_from_bytes
from email.message import Message
from typing import Any

import pytest
from aiosmtpd.controller import Controller

from fedcomm.config import Config
from fedcomm.hub.canary import Cycle, Status
from fedcomm.mail import Letter, MailFailed, SMTPMailer, alarms_to, mailer_of
from fedcomm.settings import Instance, Mail
from fedcomm.web.alarms import canary_letter
from tests.ports import free_port


class Postbox:
    """Keeps what it is given."""

    def __init__(self) -> None:
        self.letters: list[Message] = []
        self.recipients: list[str] = []

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        self.letters.append(message_from_bytes(envelope.content))
        self.recipients += envelope.rcpt_tos
        return "250 kept"


@pytest.fixture
def postbox() -> Iterator[tuple[Postbox, int]]:
    """A server on loopback that takes everything, without encryption."""
    kept = Postbox()
    port = free_port()
    controller = Controller(kept, hostname="127.0.0.1", port=port)
    controller.start()
    yield kept, port
    controller.stop()


def config(port: int, **mail: Any) -> Config:
    settings = Mail(host="127.0.0.1", port=port, **{"security": "none", **mail})
    return Config(
        Instance(
            "https://hub.example",
            name="Orti",
            contact_email="boss@hub.example",
            default_locale="it",
        ),
        mail=settings,
    )


MISSED = Status(Cycle(1, "missed", 1_700_000_000_000, None, None, None, "answered 502"), None, 3)


async def test_an_alarm_is_mailed_in_the_language_of_the_instance(
    postbox: tuple[Postbox, int],
) -> None:
    kept, port = postbox
    chosen = config(port)
    mailer = mailer_of(chosen)
    assert mailer is not None
    await mailer.send(canary_letter(chosen, MISSED))
    await mailer.send(canary_letter(chosen, Status(None, None, 0)))
    first, second = kept.letters
    assert first["To"] == "boss@hub.example"
    assert first["From"] == "fedcomm@hub.example"
    assert first["Auto-Submitted"] == "auto-generated"
    assert first["Date"]
    text = first.get_payload(decode=True)
    assert isinstance(text, bytes)
    assert "answered 502" in text.decode()
    assert "https://hub.example/admin" in text.decode()
    assert "messaggi" in text.decode()
    assert first["Subject"] != second["Subject"]


async def test_no_line_of_a_subject_becomes_a_header(postbox: tuple[Postbox, int]) -> None:
    kept, port = postbox
    mailer = SMTPMailer(config(port).mail, sender="fedcomm@hub.example")
    await mailer.send(Letter("a@hub.example", "Hello\r\nBcc: eve@evil.example", "Text."))
    assert kept.recipients == ["a@hub.example"]
    assert kept.letters[0]["Bcc"] is None


async def test_nothing_is_sent_in_the_clear_where_encryption_was_asked_for(
    postbox: tuple[Postbox, int],
) -> None:
    kept, port = postbox
    for security in ("starttls", "tls"):
        mailer = SMTPMailer(config(port, security=security).mail, sender="fedcomm@hub.example")
        with pytest.raises(MailFailed):
            await mailer.send(Letter("a@hub.example", "Secret", "Text."))
    assert kept.letters == []


async def test_a_server_that_is_not_there_is_said() -> None:
    mailer = SMTPMailer(config(free_port()).mail, sender="fedcomm@hub.example")
    with pytest.raises(MailFailed, match="refused"):
        await mailer.send(Letter("a@hub.example", "Subject", "Text."))


def test_without_a_host_no_mail_is_sent_and_the_contact_is_told_unless_another_is_named() -> None:
    assert mailer_of(Config(Instance("https://hub.example"))) is None
    assert alarms_to(config(25)) == "boss@hub.example"
    assert alarms_to(config(25, alarms_to="ops@hub.example")) == "ops@hub.example"
