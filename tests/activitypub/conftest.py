from __future__ import annotations

from hypothesis import settings

# A busy machine is no bug: an example may take its time.
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")
