"""Compiled templates on disk: used again, and nobody's but ours."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from jinja2 import DictLoader, Environment

from fedcomm.config import Config
from fedcomm.site import Site
from fedcomm.web.bytecode import SealedBytecode, compiled, folder_of

CODE = Path(__file__)


@pytest.fixture
def config(site: Site) -> Config:
    site.config.secrets.key_file.write_bytes(b"a secret")
    return site.config


def compiles(cache: SealedBytecode, source: str = "Hello {{ name }}") -> tuple[str, int]:
    """What a template says, and how often it was compiled for that."""
    count = 0

    class Counting(Environment):
        def _compile(self, source: str, filename: str) -> object:  # type: ignore[override]
            nonlocal count
            count += 1
            return super()._compile(source, filename)

    engine = Counting(loader=DictLoader({"hello": source}), bytecode_cache=cache)
    return engine.get_template("hello").render(name="you"), count


def opened(config: Config, code: Path = CODE) -> SealedBytecode:
    cache = compiled(config, code)
    assert isinstance(cache, SealedBytecode)
    return cache


def files(config: Config) -> list[Path]:
    return [path for path in folder_of(config).rglob("*") if path.is_file()]


def test_a_template_is_compiled_once_for_all_starts(config: Config) -> None:
    assert compiles(opened(config)) == ("Hello you", 1)
    assert compiles(opened(config)) == ("Hello you", 0)
    assert len(files(config)) == 1
    assert folder_of(config).stat().st_mode & 0o022 == 0


def test_a_template_that_was_changed_is_compiled_again(config: Config) -> None:
    compiles(opened(config))
    assert compiles(opened(config), "Bye {{ name }}") == ("Bye you", 1)
    assert compiles(opened(config), "Bye {{ name }}") == ("Bye you", 0)


def test_what_somebody_else_wrote_is_not_run(config: Config) -> None:
    compiles(opened(config))
    (file,) = files(config)
    content = file.read_bytes()
    for forged in (content[:32] + b"\0" + content[33:], bytes(32) + content[32:], b"", b"x" * 10):
        file.write_bytes(forged)
        assert compiles(opened(config)) == ("Hello you", 1)


def test_what_was_sealed_under_another_key_or_name_is_not_run(config: Config) -> None:
    compiles(opened(config))
    (file,) = files(config)
    sealed = file.read_bytes()
    config.secrets.key_file.write_bytes(b"another")
    assert compiles(opened(config)) == ("Hello you", 1)
    config.secrets.key_file.write_bytes(b"a secret")
    engine = Environment(loader=DictLoader({"other": "Other"}), bytecode_cache=opened(config))
    engine.get_template("other")
    (other,) = (path for path in files(config) if path != file)
    other.write_bytes(sealed)
    engine = Environment(loader=DictLoader({"other": "Other"}), bytecode_cache=opened(config))
    assert engine.get_template("other").render() == "Other"


def test_those_of_another_release_are_removed(config: Config, tmp_path: Path) -> None:
    compiles(opened(config))
    other = tmp_path / "engine.py"
    other.write_text("another engine")
    assert compiles(opened(config, other)) == ("Hello you", 1)
    assert len(files(config)) == 1


def test_without_a_folder_or_a_key_everything_works_without(config: Config) -> None:
    cache = opened(config)
    for path in folder_of(config).iterdir():
        path.rmdir()
    assert compiles(cache) == ("Hello you", 1)
    folder_of(config).rmdir()
    folder_of(config).write_text("a file in its place")
    assert compiled(config, CODE) is None
    folder_of(config).unlink()
    secrets = replace(config.secrets, key_file=config.secrets.key_file.with_name("absent"))
    assert compiled(replace(config, secrets=secrets), CODE) is None
