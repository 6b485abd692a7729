"""Foreign peers that are npm packages: each has a folder with a lock file, installed once."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

INSTALL_SECONDS = 600.0


@dataclass(frozen=True, slots=True)
class NpmFolder:
    """A folder with `package.json` and `package-lock.json`."""

    path: Path
    peer: str
    """What it is called when it is missing."""
    required: str
    """The environment variable that makes a missing npm a failure instead of a skipped test."""
    options: tuple[str, ...] = ()
    """Further options of `npm ci`."""

    @property
    def stamp(self) -> Path:
        """Says which lock file the installed packages are of."""
        return self.path / "node_modules" / ".installed-from"

    def install(self) -> None:
        """Install exactly what package-lock.json names, once per lock file.

        Skips the test where there is no npm, unless `required` is set to 1. A failing installation
        is always an error.
        """
        npm = shutil.which("npm")
        if npm is None:
            message = f"the {self.peer} peer needs npm, and there is none on this machine"
            if os.environ.get(self.required) == "1":
                pytest.fail(f"{message} ({self.required}=1)")
            pytest.skip(message)
        lock_file = (self.path / "package-lock.json").read_bytes()
        wanted = hashlib.sha256(lock_file + " ".join(self.options).encode()).hexdigest()
        with self._one_installer_at_a_time():
            if self.stamp.exists() and self.stamp.read_text() == wanted:
                return
            done = subprocess.run(
                [npm, "ci", "--no-audit", "--no-fund", *self.options],
                cwd=self.path,
                capture_output=True,
                text=True,
                timeout=INSTALL_SECONDS,
                check=False,
            )
            if done.returncode != 0:
                raise RuntimeError(f"npm ci failed in {self.path}:\n{done.stdout}\n{done.stderr}")
            self.stamp.write_text(wanted)

    @contextlib.contextmanager
    def _one_installer_at_a_time(self) -> Iterator[None]:
        name = hashlib.sha256(str(self.path).encode()).hexdigest()[:16]
        with (Path(tempfile.gettempdir()) / f"fedcomm-npm-{name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
