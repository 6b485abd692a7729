"""Reads the configuration: a TOML file, then `FEDCOMM_<TABLE>_<OPTION>` environment variables.

The options themselves are declared in `fedcomm.settings`. Everything that is wrong is reported at
once, each with its place and, for a misspelt name, the nearest right one.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, Field, dataclass, field, fields, is_dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast, get_type_hints
from urllib.parse import urlsplit

from fedcomm.late import Late
from fedcomm.literals import (
    Invalid,
    check_database_url,
    from_text,
    from_toml,
    normalize_origin,
    to_toml,
)
from fedcomm.settings import (
    About,
    Abuse,
    Accounts,
    Canary,
    Consents,
    Database,
    Delivery,
    Development,
    Erasure,
    Federation,
    Inbox,
    Instance,
    Limits,
    Logging,
    Mail,
    Media,
    Metrics,
    Rates,
    Relays,
    Retention,
    Secrets,
    Server,
    Sessions,
    Web,
)

if TYPE_CHECKING:
    import difflib
else:
    difflib = Late("difflib")

PREFIX: Final = "FEDCOMM_"
PATH_VARIABLE: Final = "FEDCOMM_CONFIG"
LOOKUP: Final = (Path("fedcomm.toml"), Path("/etc/fedcomm/fedcomm.toml"))
"""Where a configuration is looked for when none is named."""

OTHER_VARIABLES: Final = ("FEDCOMM_CONFIG", "FEDCOMM_REQUIRE_", "FEDCOMM_TEST_", "FEDCOMM_BENCH_")
"""Variables of ours that are no options: the file's place, switches of tests and benchmarks."""


@dataclass(frozen=True, slots=True)
class Config:
    """The whole configuration, one attribute per table. Paths from `load` are absolute."""

    instance: Instance
    server: Server = field(default_factory=Server)
    database: Database = field(default_factory=Database)
    media: Media = field(default_factory=Media)
    secrets: Secrets = field(default_factory=Secrets)
    erasure: Erasure = field(default_factory=Erasure)
    consents: Consents = field(default_factory=Consents)
    retention: Retention = field(default_factory=Retention)
    federation: Federation = field(default_factory=Federation)
    delivery: Delivery = field(default_factory=Delivery)
    inbox: Inbox = field(default_factory=Inbox)
    relays: Relays = field(default_factory=Relays)
    canary: Canary = field(default_factory=Canary)
    mail: Mail = field(default_factory=Mail)
    metrics: Metrics = field(default_factory=Metrics)
    abuse: Abuse = field(default_factory=Abuse)
    limits: Limits = field(default_factory=Limits)
    rates: Rates = field(default_factory=Rates)
    sessions: Sessions = field(default_factory=Sessions)
    accounts: Accounts = field(default_factory=Accounts)
    web: Web = field(default_factory=Web)
    logging: Logging = field(default_factory=Logging)
    development: Development = field(default_factory=Development)

    @property
    def host(self) -> str:
        """The domain of our handles: the origin's host, with its port unless it is the default."""
        return urlsplit(self.instance.origin).netloc

    @property
    def is_secure(self) -> bool:
        """Whether people reach us over https."""
        return self.instance.origin.startswith("https://")

    @property
    def is_development(self) -> bool:
        """Whether anything is relaxed that a public server must not relax."""
        switches = self.development
        return not self.is_secure or switches.allow_http or bool(switches.resolve)


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong: `place` is FILE:LINE or a variable, `option` is `table.name`."""

    place: str
    option: str
    text: str

    def __str__(self) -> str:
        return ": ".join(part for part in (self.place, self.option, self.text) if part)


class ConfigError(Exception):
    """The configuration cannot be used; `str()` of it is one line per problem, for people."""

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        super().__init__("\n".join(map(str, problems)))
        self.problems = problems


@dataclass(frozen=True, slots=True)
class Option:
    """An option as the documentation shows it; `default` is TOML, empty for a required one."""

    table: str
    name: str
    kind: Any
    default: str
    about: About

    @property
    def variable(self) -> str:
        """The environment variable that overrides the option."""
        return f"{PREFIX}{self.table}_{self.name}".upper()


def options() -> Iterator[Option]:
    """All options, in the order of the documentation."""
    for table, settings in _tables().items():
        kinds = get_type_hints(settings)
        for item in fields(settings):
            about = cast(About, item.metadata["about"])
            yield Option(table, item.name, kinds[item.name], to_toml(_default(item)), about)


def find(path: Path | None, environ: Mapping[str, str]) -> Path | None:
    """The configuration file to read: `path`, else `FEDCOMM_CONFIG`, else the first of `LOOKUP`."""
    if path is not None:
        return path
    if named := environ.get(PATH_VARIABLE):
        return Path(named)
    return next((place for place in LOOKUP if place.is_file()), None)


def load(path: Path | None, environ: Mapping[str, str]) -> Config:
    """Read and check the configuration.

    Raises `ConfigError` with every problem found. Without any file the variables alone must do.
    """
    source = find(path, environ)
    text = "" if source is None else _read(source)
    folder = (Path() if source is None else source.parent).absolute()
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError((Problem(str(source), "", f"not TOML: {error}"),)) from error

    reader = _Reader(source, text, folder)
    reader.read_document(document)
    reader.read_environment(environ)
    return reader.finish()


class _Reader:
    """Collects values and problems of one configuration."""

    def __init__(self, source: Path | None, text: str, folder: Path) -> None:
        self.source = source
        self.text = text
        self.folder = folder
        self.options = {(option.table, option.name): option for option in options()}
        self.values: dict[str, dict[str, Any]] = {table: {} for table in _tables()}
        self.places: dict[str, str] = {}
        self.problems: list[Problem] = []

    def read_document(self, document: Mapping[str, Any]) -> None:
        for table, content in document.items():
            if table not in self.values:
                hint = _nearest(table, self.values)
                self._problem(self._place(table), table, f"there is no such table{hint}")
                continue
            if not isinstance(content, dict):
                self._problem(self._place(table), table, f"is a table; write [{table}]")
                continue
            for name, raw in content.items():
                self._take(self._place(table, name), table, name, raw, from_toml)

    def read_environment(self, environ: Mapping[str, str]) -> None:
        known = {option.variable: option for option in self.options.values()}
        for variable in sorted(environ):
            if not variable.startswith(PREFIX) or variable.startswith(OTHER_VARIABLES):
                continue
            option = known.get(variable)
            if option is None:
                hint = _nearest(variable, known)
                self._problem(variable, "", f"there is no such option{hint}")
                continue
            self._take(variable, option.table, option.name, environ[variable], from_text)

    def finish(self) -> Config:
        """The checked configuration."""
        if "origin" not in self.values["instance"] and not self._is_named("instance.origin"):
            place = "no configuration file" if self.source is None else str(self.source)
            self._problem(
                place,
                "instance.origin",
                "is missing; write the public address, as in https://hub.example "
                "(`fedcomm init` writes a whole file)",
            )
        if self.problems:
            raise ConfigError(tuple(self.problems))

        config = Config(
            **{table: settings(**self.values[table]) for table, settings in _tables().items()}
        )
        config = _with_absolute_paths(config, self.folder)
        for option, text in _contradictions(config):
            self._problem(self.places.get(option, str(self.source or "default")), option, text)
        if self.problems:
            raise ConfigError(tuple(self.problems))
        return config

    def _take(self, place: str, table: str, name: str, raw: Any, convert: Any) -> None:
        option = self.options.get((table, name))
        if option is None:
            names = [known for owner, known in self.options if owner == table]
            hint = _nearest(name, names) or _elsewhere(name, self.options)
            self._problem(place, f"{table}.{name}", f"there is no such option{hint}")
            return
        self.places[f"{table}.{name}"] = place
        try:
            value = _checked(option, convert(option.kind, raw))
        except Invalid as error:
            got = "" if option.about.secret else f", not {_shown(raw)}"
            self._problem(place, f"{table}.{name}", f"must be {error}{got}")
            return
        self.values[table][name] = value

    def _is_named(self, option: str) -> bool:
        return any(problem.option == option for problem in self.problems)

    def _problem(self, place: str, option: str, text: str) -> None:
        self.problems.append(Problem(place, option, text))

    def _place(self, table: str, name: str = "") -> str:
        line = _line_of(self.text, table, name)
        return f"{self.source}:{line}" if line else str(self.source)


def _checked(option: Option, value: Any) -> Any:
    """`value`, if it is within the option's choices and range."""
    about = option.about
    if (option.table, option.name, value) == ("accounts", "registration", "open"):
        raise Invalid('"closed"; open registration is not offered by this version')
    if about.choices and value not in about.choices:
        hint = _nearest(value, about.choices)
        raise Invalid(f"one of {', '.join(about.choices)}{hint}")
    for number in value if isinstance(value, tuple) else (value,):
        if isinstance(number, bool) or not isinstance(number, int | float):
            continue
        if number < about.low:
            raise Invalid(f"{about.low:.10g} or more{about.unit and ' '}{about.unit}")
        if number > about.high:
            raise Invalid(f"{about.high:.10g} or less{about.unit and ' '}{about.unit}")
    if (option.table, option.name) == ("instance", "origin"):
        return normalize_origin(value)
    if (option.table, option.name) == ("database", "url"):
        return check_database_url(value)
    return value


def is_local_name(host: str) -> bool:
    """Whether `host` always means this machine (RFC 6761 §6.3)."""
    return host in ("localhost", "127.0.0.1", "::1") or host.endswith(".localhost")


def _contradictions(config: Config) -> Iterator[tuple[str, str]]:
    """(option, what is wrong) for options that do not fit together."""
    host = urlsplit(config.instance.origin).hostname or ""
    if not config.is_secure and not is_local_name(host) and not config.development.allow_http:
        yield (
            "instance.origin",
            "http is for localhost only; use https, or set development.allow_http = true in a test",
        )
    server = config.server
    if (server.tls_certificate is None) != (server.tls_key is None):
        missing = "tls_key" if server.tls_key is None else "tls_certificate"
        yield f"server.{missing}", "tls_certificate and tls_key are needed together"
    if config.federation.connect_seconds > config.federation.total_seconds:
        yield "federation.connect_seconds", "must not be more than federation.total_seconds"
    if config.delivery.lease_seconds < config.federation.total_seconds:
        # A second worker would take the delivery over while the first still waits for the answer.
        yield "delivery.lease_seconds", "must not be less than federation.total_seconds"
    if config.delivery.delete_horizon_days < config.delivery.horizon_days:
        yield "delivery.delete_horizon_days", "must not be less than delivery.horizon_days"
    if config.sessions.idle_days > config.sessions.absolute_days:
        yield "sessions.idle_days", "must not be more than sessions.absolute_days"
    if config.web.templates is not None and not config.web.templates.is_dir():
        yield "web.templates", f"{config.web.templates} is not a folder"
    for option, path in (
        ("server.tls_certificate", server.tls_certificate),
        ("server.tls_key", server.tls_key),
        ("federation.ca_file", config.federation.ca_file),
    ):
        if path is not None and not os.access(path, os.R_OK):
            yield option, f"{path} does not exist or cannot be read by this user"


def _with_absolute_paths(config: Config, folder: Path) -> Config:
    """`config` with every relative path, the SQLite file's too, taken from `folder`."""
    tables: dict[str, Any] = {}
    for table in fields(config):
        settings = getattr(config, table.name)
        paths = {
            item.name: folder / value
            for item in fields(settings)
            if isinstance(value := getattr(settings, item.name), Path)
        }
        tables[table.name] = replace(settings, **paths) if paths else settings
    database = config.database
    if database.file is not None:
        tables["database"] = replace(database, url=f"sqlite:///{folder / database.file}")
    return Config(**tables)


def _tables() -> dict[str, Any]:
    """The settings class of each table, in order."""
    return {name: kind for name, kind in get_type_hints(Config).items() if is_dataclass(kind)}


def _default(item: Field[Any]) -> Any:
    if item.default_factory is not MISSING:
        return item.default_factory()
    return item.default


def _nearest(name: str, names: Any) -> str:
    matches = difflib.get_close_matches(name, list(names), n=1, cutoff=0.6)
    return f"; did you mean {matches[0]}?" if matches else ""


def _elsewhere(name: str, known: Mapping[tuple[str, str], Option]) -> str:
    """A hint for an option that was written under the wrong table."""
    tables = [table for table, option in known if option == name]
    return f"; did you mean {tables[0]}.{name}?" if tables else ""


def _shown(raw: Any) -> str:
    text = repr(raw)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _read(source: Path) -> str:
    try:
        return source.read_text(encoding="utf-8")
    except FileNotFoundError:
        text = "there is no such file; `fedcomm init` writes one"
    except UnicodeDecodeError:
        text = "not UTF-8 text"
    except OSError as error:
        text = f"cannot be read: {error.strerror}"
    raise ConfigError((Problem(str(source), "", text),))


def _line_of(text: str, table: str, name: str) -> int | None:
    """The line of an option, or of its table; the TOML parser tells no lines, so it is a search."""
    heading = re.compile(r"\s*\[\s*[\"']?([\w-]+)[\"']?\s*\]")
    assignment = re.compile(r"\s*[\"']?([\w-]+)[\"']?\s*(?:\.\s*[\"']?([\w-]+)[\"']?\s*)?[.=]")
    current = ""
    table_line = None
    for number, line in enumerate(text.splitlines(), start=1):
        if match := heading.match(line):
            current = match[1]
            if current == table and table_line is None:
                table_line = number
        elif match := assignment.match(line):
            if current == table and match[1] == name:
                return number
            if not current and match[1] == table and match[2] in (name, None):
                return number
    return table_line
