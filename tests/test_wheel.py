"""The wheel runs by itself: templates, migrations and catalogues are inside."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from fedcomm.version import VERSION
from tests.ports import free_port

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder into which the wheel was installed, and nothing else."""
    folder = tmp_path_factory.mktemp("wheel")
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    built = subprocess.run(
        [*pip, "wheel", "--no-deps", "--wheel-dir", str(folder), str(ROOT)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert built.returncode == 0, built.stderr
    wheel = next(folder.glob("fedcomm-*.whl"))
    assert VERSION in wheel.name
    target = folder / "site"
    subprocess.run([*pip, "install", "--no-deps", "--target", str(target), str(wheel)], check=True)
    return target


def _run(installed: Path, folder: Path, *args: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "fedcomm.cli", *args],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(installed)},
        input="a-long-test-password\n",
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_wheel_founds_a_hub_and_serves_it_in_italian(installed: Path, tmp_path: Path) -> None:
    where = subprocess.run(
        [sys.executable, "-c", "import fedcomm; print(fedcomm.__file__)"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(installed)},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert str(installed) in where
    port = free_port()
    _run(
        *(installed, tmp_path, "init", "--name", "Wheel", "--admin"),
        *("anna", "--email", "anna@hub.example", "--password-stdin"),
        *("--origin", f"http://localhost:{port}"),
    )
    _run(installed, tmp_path, "group", "create", "orto", "--title", "Orto", "--owner", "anna")
    server = subprocess.Popen(
        [sys.executable, "-m", "fedcomm.cli", "serve", "--port", str(port)],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(installed)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        page = _page(f"http://localhost:{port}/g/orto")
    finally:
        server.terminate()
        server.wait(30)
    assert "Orto" in page
    assert 'lang="it"' in page
    assert "Accedi" in page


def _page(url: str) -> str:
    """The page in Italian, as soon as the server answers."""
    deadline = time.monotonic() + 20
    while True:
        try:
            request = urllib.request.Request(url, headers={"Accept-Language": "it"})
            with urllib.request.urlopen(request, timeout=5) as answer:
                return str(answer.read().decode())
        except urllib.error.URLError:
            assert time.monotonic() < deadline
            time.sleep(0.1)
