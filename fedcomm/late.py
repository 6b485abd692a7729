"""Modules that are imported when something in them is first used: what few hubs need, and none at every moment.

A module that is imported late is named twice, so that it stays typed and its layer checked:

    if TYPE_CHECKING:
        from fedcomm.portability import past
    else:
        past = Late("fedcomm.portability.past")
"""

from __future__ import annotations

from importlib import import_module
from typing import Any


class Late:
    """Stands for the module called `name`; its attributes are the module's."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, name: str) -> Any:
        return getattr(import_module(self._name), name)
