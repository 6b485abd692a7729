"""`python -m fedcomm.cli`: the same as the command `fedcomm`."""

from __future__ import annotations

from fedcomm.cli import main

main()
