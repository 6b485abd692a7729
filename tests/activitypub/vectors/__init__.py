"""Published vectors and examples: data as their sources print them, with source and licence in each file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def load(name: str) -> dict[str, Any]:
    """The file `name.json` of this folder."""
    data: dict[str, Any] = json.loads((Path(__file__).parent / f"{name}.json").read_bytes())
    return data
