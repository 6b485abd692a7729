"""What the hub answers when it refuses: for people, in plain English (the msgid of the catalogues)."""

from __future__ import annotations


class HubError(Exception):
    """A refusal; nothing was changed. `message` is a sentence for the person who asked."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class NotFound(HubError):
    """It does not exist, or this person may not know that it does: the two are told alike."""


class NotAllowed(HubError):
    """The person may see it but not do this."""


class Invalid(HubError):
    """A value is not acceptable; `field` names it."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field
