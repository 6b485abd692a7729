from __future__ import annotations

import tomllib
from collections.abc import Callable, Iterable
from dataclasses import FrozenInstanceError, replace
from ipaddress import ip_network
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedcomm.config import Config, ConfigError, Instance, Option, Problem, find, load, options
from fedcomm.literals import Invalid, from_text, from_toml, normalize_origin, to_toml

ORIGIN = {"FEDCOMM_INSTANCE_ORIGIN": "https://hub.example"}

Write = Callable[[str], Path]


@pytest.fixture(autouse=True)
def empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No configuration of this machine is found by accident."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("fedcomm.config.LOOKUP", (Path("fedcomm.toml"),))


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write(text: str) -> Path:
        path = tmp_path / "fedcomm.toml"
        path.write_text(text, encoding="utf-8")
        return path

    return write


def problems_of(path: Path | None, **variables: str) -> tuple[Problem, ...]:
    with pytest.raises(ConfigError) as caught:
        load(path, {**ORIGIN, **variables})
    return caught.value.problems


def test_an_origin_is_enough() -> None:
    config = load(None, ORIGIN)
    assert config.instance.origin == "https://hub.example"
    assert config.host == "hub.example"
    assert config.is_secure
    assert not config.is_development


def test_a_missing_origin_is_reported_with_what_to_write() -> None:
    with pytest.raises(ConfigError, match=r"instance\.origin: is missing.*https://hub\.example"):
        load(None, {})


def test_the_file_is_looked_for_where_it_is_named_then_in_the_variable_then_here(
    tmp_path: Path,
) -> None:
    variable = {"FEDCOMM_CONFIG": "/elsewhere/b.toml"}
    assert find(None, {}) is None
    (tmp_path / "fedcomm.toml").touch()
    assert find(None, {}) == Path("fedcomm.toml")
    assert find(None, variable) == Path("/elsewhere/b.toml")
    assert find(Path("a.toml"), variable) == Path("a.toml")


def test_a_named_file_that_does_not_exist_is_an_error_even_if_variables_would_do() -> None:
    [problem] = problems_of(Path("absent.toml"))
    assert "no such file" in problem.text


def test_a_file_that_is_not_toml_is_refused_with_the_line(write: Write) -> None:
    [problem] = problems_of(write('[server]\nhost = "a\n'))
    assert "not TOML" in problem.text
    assert "line 2" in problem.text


def test_a_file_that_is_not_utf_8_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "fedcomm.toml"
    path.write_bytes(b'[instance]\nname = "caff\xe8"\n')
    [problem] = problems_of(path)
    assert "UTF-8" in problem.text


def test_a_misspelt_option_is_refused_with_its_line_and_the_nearest_right_name(
    write: Write,
) -> None:
    path = write('[instance]\norigin = "https://hub.example"\n\n[server]\nprot = 1\n')
    [problem] = problems_of(path)
    assert problem == Problem(
        f"{path}:5", "server.prot", "there is no such option; did you mean port?"
    )


def test_a_misspelt_table_is_refused_with_the_nearest_right_name(write: Write) -> None:
    path = write("\n[delivry]\nconcurrency = 2\n")
    [problem] = problems_of(path)
    assert problem.place == f"{path}:2"
    assert "did you mean delivery?" in problem.text


def test_an_option_in_the_wrong_table_is_sent_to_the_right_one(write: Write) -> None:
    [problem] = problems_of(write("[server]\npage_size = 5\n"))
    assert "did you mean web.page_size?" in problem.text


def test_a_misspelt_variable_is_refused_with_the_nearest_right_name() -> None:
    [problem] = problems_of(None, FEDCOMM_SERVER_PROT="1")
    assert problem.place == "FEDCOMM_SERVER_PROT"
    assert "did you mean FEDCOMM_SERVER_PORT?" in problem.text


def test_switches_of_the_test_suite_are_no_options() -> None:
    load(None, {**ORIGIN, "FEDCOMM_REQUIRE_POSTGRESQL": "1", "PATH": "/bin"})


def test_all_problems_are_reported_at_once(write: Write) -> None:
    path = write('[server]\nport = "x"\nprot = 1\n[web]\npage_size = 0\n')
    problems = problems_of(path, FEDCOMM_LOGGING_LEVEL="loud")
    assert {problem.option for problem in problems} == {
        "server.port",
        "server.prot",
        "web.page_size",
        "logging.level",
    }


@pytest.mark.parametrize(
    ("table", "line", "expected"),
    [
        ("server", 'port = "80"', "a whole number"),
        ("server", "port = 80.5", "a whole number"),
        ("server", "port = true", "a whole number"),
        ("server", "port = 0", "1 or more"),
        ("server", "port = 65536", "65535 or less"),
        ("server", "workers = 1", "true or false"),
        ("server", "graceful_seconds = nan", "a number"),
        ("server", "graceful_seconds = -1", "0 or more seconds"),
        ("server", "host = 1", "text in quotes"),
        ("server", 'host = "a\\u0000b"', "control characters"),
        ("server", 'trusted_proxies = "127.0.0.1"', "a list of networks"),
        ("server", 'trusted_proxies = ["10.0.0.1/8"]', "host bits set"),
        ("media", 'folder = ""', "a path"),
        ("delivery", "retry_minutes = []", "a list of numbers"),
        ("delivery", "retry_minutes = [1, 0]", "0.0001 or more minutes"),
        ("delivery", "jitter_percent = 51", "50 or less percent"),
        ("logging", 'level = "wraning"', "did you mean warning?"),
        ("accounts", 'registration = "open"', "not offered by this version"),
        ("database", 'url = "mysql://u:geheim@h/x"', "sqlite:///FILE"),
        ("database", 'url = "sqlite:///:memory:"', "a file"),
        ("database", 'url = "postgresql://host"', "postgresql://"),
        ("database", 'url = "postgresql://[host/x"', "an address"),
        ("development", 'resolve = { "a.test" = "nowhere" }', "IP addresses"),
        ("development", 'resolve = ["a.test"]', "a table of names"),
    ],
)
def test_a_value_of_the_wrong_kind_or_size_is_refused_with_its_line(
    write: Write, table: str, line: str, expected: str
) -> None:
    path = write(f"[{table}]\n# a comment\n{line}\n")
    [problem] = problems_of(path)
    assert problem.place == f"{path}:3"
    assert problem.option == f"{table}.{line.split(' ')[0]}"
    assert expected in problem.text


def test_a_table_written_as_a_value_is_refused(write: Write) -> None:
    [problem] = problems_of(write("server = 1\n"))
    assert "[server]" in problem.text


def test_a_wrong_database_url_is_refused_without_repeating_its_password(write: Write) -> None:
    path = write('[database]\nurl = "mysql://u:geheim@h/x"\n')
    with pytest.raises(ConfigError) as caught:
        load(path, ORIGIN)
    assert "geheim" not in str(caught.value)


def test_a_configuration_never_shows_the_database_password() -> None:
    config = load(None, {**ORIGIN, "FEDCOMM_DATABASE_URL": "postgresql://u:geheim@db/hub"})
    assert config.database.url == "postgresql://u:geheim@db/hub"
    assert config.database.engine == "postgresql"
    assert config.database.file is None
    assert "geheim" not in repr(config)


def test_variables_win_over_the_file_and_are_typed(write: Write) -> None:
    path = write('[server]\nport = 1000\nhost = "::1"\n')
    config = load(
        path,
        {
            **ORIGIN,
            "FEDCOMM_SERVER_PORT": "2000",
            "FEDCOMM_SERVER_WORKERS": "false",
            "FEDCOMM_SERVER_TRUSTED_PROXIES": "127.0.0.1, fd00::/8",
            "FEDCOMM_SERVER_GRACEFUL_SECONDS": "2.5",
            "FEDCOMM_DELIVERY_RETRY_MINUTES": "0.01, 0.02",
            "FEDCOMM_INSTANCE_NAME": "Amici, e altri",
            "FEDCOMM_DEVELOPMENT_RESOLVE": "Hub.test=127.0.0.1, *.peer.test=::1",
        },
    )
    assert config.server.port == 2000
    assert config.server.host == "::1"
    assert config.server.workers is False
    assert config.server.trusted_proxies == (ip_network("127.0.0.1"), ip_network("fd00::/8"))
    assert config.server.graceful_seconds == 2.5
    assert config.delivery.retry_minutes == (0.01, 0.02)
    assert config.instance.name == "Amici, e altri"
    assert config.development.resolve == {"hub.test": "127.0.0.1", "*.peer.test": "::1"}


def test_a_variable_is_checked_like_the_file_and_named_as_the_place() -> None:
    problems = problems_of(
        None,
        FEDCOMM_SERVER_PORT="eighty",
        FEDCOMM_SERVER_WORKERS="yes",
        FEDCOMM_SERVER_PROCESSES="",
    )
    assert [problem.place for problem in problems] == [
        "FEDCOMM_SERVER_PORT",
        "FEDCOMM_SERVER_PROCESSES",
        "FEDCOMM_SERVER_WORKERS",
    ]
    assert "true or false" in problems[2].text


def test_an_empty_variable_empties_a_list() -> None:
    config = load(None, {**ORIGIN, "FEDCOMM_FEDERATION_PRIVATE_ADDRESSES": ""})
    assert config.federation.private_addresses == ()


def test_relative_paths_start_at_the_folder_of_the_file(tmp_path: Path) -> None:
    folder = tmp_path / "etc"
    (folder / "own").mkdir(parents=True)
    path = folder / "hub.toml"
    path.write_text('[media]\nfolder = "pictures"\n[web]\ntemplates = "own"\n')
    config = load(path, ORIGIN)
    assert config.media.folder == folder / "pictures"
    assert config.secrets.key_file == folder / "fedcomm.key"
    assert config.web.templates == folder / "own"
    assert config.database.file == folder / "fedcomm.db"
    assert config.database.url == f"sqlite:///{folder / 'fedcomm.db'}"
    assert config.federation.ca_file is None


def test_absolute_paths_stay(write: Write) -> None:
    config = load(write('[database]\nurl = "sqlite:////srv/hub.db"\n'), ORIGIN)
    assert config.database.file == Path("/srv/hub.db")
    assert config.database.url == "sqlite:////srv/hub.db"


def test_a_relative_config_path_gives_absolute_paths(write: Write, tmp_path: Path) -> None:
    write("")
    assert load(Path("fedcomm.toml"), ORIGIN).media.folder == tmp_path / "media"


@pytest.mark.parametrize(
    ("written", "normal"),
    [
        ("https://Hub.Example", "https://hub.example"),
        ("https://hub.example/", "https://hub.example"),
        ("https://hub.example:443", "https://hub.example"),
        ("https://hub.example:8443", "https://hub.example:8443"),
        ("http://localhost:80", "http://localhost"),
        ("http://localhost:8080", "http://localhost:8080"),
        ("http://[::1]:8080", "http://[::1]:8080"),
        ("https://comunità.example", "https://xn--comunit-fwa.example"),
    ],
)
def test_inv_10_an_origin_is_normalised(written: str, normal: str) -> None:
    assert normalize_origin(written) == normal
    assert load(None, {"FEDCOMM_INSTANCE_ORIGIN": written}).instance.origin == normal


@pytest.mark.parametrize(
    "written",
    [
        "",
        "hub.example",
        "ftp://hub.example",
        "https://",
        "https://hub.example/community",
        "https://hub.example?x",
        "https://hub.example#x",
        "https://user@hub.example",
        "https://hub.example\\@evil.example",
        "https://hub.ex\tample",
        "https://hub.example:port",
        "https://hub_example",
        "https://hub..example",
        "https://-hub.example",
        "https://hub.example:0",
    ],
)
def test_inv_10_an_origin_that_is_more_or_less_than_an_origin_is_refused(written: str) -> None:
    [problem] = problems_of(None, FEDCOMM_INSTANCE_ORIGIN=written)
    assert problem.option == "instance.origin"


@pytest.mark.parametrize(
    "origin",
    ["http://localhost:8080", "http://127.0.0.1:8080", "http://[::1]", "http://a.localhost"],
)
def test_http_is_accepted_for_this_machine_and_counts_as_development(origin: str) -> None:
    config = load(None, {"FEDCOMM_INSTANCE_ORIGIN": origin})
    assert config.is_development
    assert not config.is_secure


@pytest.mark.parametrize(
    "origin", ["http://hub.example", "http://localhost.example", "http://127.0.0.2"]
)
def test_http_elsewhere_needs_the_development_switch(origin: str) -> None:
    [problem] = problems_of(None, FEDCOMM_INSTANCE_ORIGIN=origin)
    assert problem.place == "FEDCOMM_INSTANCE_ORIGIN"
    assert "development.allow_http" in problem.text

    switched = {"FEDCOMM_INSTANCE_ORIGIN": origin, "FEDCOMM_DEVELOPMENT_ALLOW_HTTP": "true"}
    assert load(None, switched).is_development


def test_redirected_names_count_as_development() -> None:
    config = load(None, {**ORIGIN, "FEDCOMM_DEVELOPMENT_RESOLVE": "*.test=127.0.0.1"})
    assert config.is_secure
    assert config.is_development


@pytest.mark.parametrize(
    ("variables", "option"),
    [
        ({"FEDCOMM_FEDERATION_CONNECT_SECONDS": "20"}, "federation.connect_seconds"),
        ({"FEDCOMM_DELIVERY_LEASE_SECONDS": "10"}, "delivery.lease_seconds"),
        ({"FEDCOMM_DELIVERY_HORIZON_DAYS": "91"}, "delivery.delete_horizon_days"),
        ({"FEDCOMM_SESSIONS_IDLE_DAYS": "91"}, "sessions.idle_days"),
        ({"FEDCOMM_WEB_TEMPLATES": "absent"}, "web.templates"),
        ({"FEDCOMM_FEDERATION_CA_FILE": "absent.pem"}, "federation.ca_file"),
    ],
)
def test_options_that_do_not_fit_together_are_refused(
    variables: dict[str, str], option: str
) -> None:
    assert option in [problem.option for problem in problems_of(None, **variables)]


def test_a_certificate_needs_its_key(tmp_path: Path) -> None:
    (tmp_path / "chain.pem").touch()
    [problem] = problems_of(None, FEDCOMM_SERVER_TLS_CERTIFICATE="chain.pem")
    assert problem.option == "server.tls_key"


@pytest.mark.parametrize("url", ["postgresql:///hub", "sqlite:///hub.db"])
def test_several_processes_are_fine_on_either_engine(url: str) -> None:
    variables = {"FEDCOMM_DATABASE_URL": url, "FEDCOMM_SERVER_PROCESSES": "4"}
    assert load(None, {**ORIGIN, **variables}).server.processes == 4


def test_a_configuration_is_a_value() -> None:
    config = Config(instance=Instance(origin="http://localhost:8080"))
    assert config == Config(instance=Instance(origin="http://localhost:8080"))
    assert replace(config.server, port=1).port == 1
    with pytest.raises(FrozenInstanceError):
        config.server.port = 1  # type: ignore[misc]


def with_default() -> Iterable[Option]:
    return [option for option in options() if option.default]


@pytest.mark.parametrize("option", with_default(), ids=lambda option: option.variable)
def test_every_default_survives_a_variable_and_the_file(option: Option, write: Write) -> None:
    """Each default is within its own range, and each kind of value can be written both ways."""
    plain = load(None, ORIGIN)
    assert load(write(f"[{option.table}]\n{option.name} = {option.default}\n"), ORIGIN) == plain
    text = option.default.strip("[]{}").replace('"', "").replace(" ", "")
    assert load(None, {**ORIGIN, option.variable: text}) == plain


@given(st.text())
def test_any_text_as_an_origin_is_refused_or_becomes_one_that_stays(text: str) -> None:
    for written in (text, f"https://{text}"):
        try:
            origin = normalize_origin(written)
        except Invalid:
            continue
        assert normalize_origin(origin) == origin
        assert origin.startswith(("http://", "https://"))
        assert not set(origin) & set(" \t\r\n\\@?#")


@given(st.text(st.characters(exclude_categories=["Cc", "Cs"])))
def test_a_text_written_as_toml_reads_back(text: str) -> None:
    assert from_toml(str, tomllib.loads(f"a = {to_toml(text)}")["a"]) == text


@given(st.lists(st.floats(0.001, 1e6), min_size=1, max_size=9))
def test_a_list_of_numbers_reads_back_from_toml_and_from_a_variable(numbers: list[float]) -> None:
    kind = tuple[float, ...]
    written = to_toml(tuple(numbers))
    assert from_toml(kind, tomllib.loads(f"a = {written}")["a"]) == tuple(numbers)
    assert from_text(kind, written.strip("[]")) == tuple(numbers)
