from __future__ import annotations

import os
import struct
import sys
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pytest

from adapters.config import Config, ConfigError, config_origins, find_config, find_data_dir, load_config

File = Callable[[str], Path]


@pytest.fixture
def file(tmp_path: Path) -> File:
    def write(text: str) -> Path:
        path = tmp_path / "tidegate.toml"
        path.write_text(text)
        path.chmod(0o600)
        return path

    return write


def problems_of(*overrides: str, path: Path | None = None, env: dict[str, str] | None = None) -> dict[str, str]:
    with pytest.raises(ConfigError) as caught:
        load_config(path, overrides, env or {})
    return {problem.key: str(problem) for problem in caught.value.problems}


def test_without_any_source_the_defaults_hold() -> None:
    assert load_config(env={}) == Config()


def test_a_configuration_built_directly_reads_no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIDEGATE__HTTP__PORT", "1")
    monkeypatch.setenv("MODE", "live")

    assert Config().http.port == 8787
    assert Config().mode == "paper"


def test_the_environment_of_the_process_is_read_where_none_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIDEGATE__HTTP__PORT", "1")

    assert load_config().http.port == 1


def test_the_command_line_wins_over_environment_secrets_and_file(file: File, tmp_path: Path) -> None:
    path = file("[http]\nport = 1\n[twap]\nnum_chunks = 1\ncap_bps = 1\nextra_slots = 1\ndepth_bps = 1\n")
    secrets = tmp_path / "secrets"
    secrets.mkdir()
    for key in ("http.port", "twap.num_chunks", "twap.cap_bps"):
        (secrets / key).write_text("2\n")
    env = {"TIDEGATE__HTTP__PORT": "3", "TIDEGATE__TWAP__NUM_CHUNKS": "3"}

    config = load_config(path, ["http.port=4"], env, secrets)

    assert (config.http.port, config.twap.num_chunks, int(config.twap.cap_bps), config.twap.extra_slots) == (4, 3, 2, 1)
    assert config.twap.interval_seconds == 30
    origins = config_origins(config)
    assert origins["http.port"] == "--set"
    assert origins["twap.num_chunks"] == "environment TIDEGATE__TWAP__NUM_CHUNKS"
    assert origins["twap.cap_bps"] == f"secret file {secrets / 'twap.cap_bps'}"
    assert origins["twap.extra_slots"] == f"{path}, line 6"
    assert origins["twap.interval_seconds"] == "default"
    assert origins["limits.max_notional"] == "default of paper mode"


def test_the_secrets_directory_is_the_one_that_systemd_names(tmp_path: Path) -> None:
    (tmp_path / "http.token").write_text("hush\n")
    (tmp_path / "tls.pem").write_text("none of ours")
    (tmp_path / "other").write_text("none of ours")

    config = load_config(env={"CREDENTIALS_DIRECTORY": str(tmp_path)})

    assert config.http.bearer_token() == "hush"


def test_an_unknown_key_among_the_secrets_is_a_problem(tmp_path: Path) -> None:
    (tmp_path / "venue.api_secrt").write_text("hush")

    problems = problems_of(env={"TIDEGATE_SECRETS_DIR": str(tmp_path)})

    assert list(problems) == ["venue.api_secrt"]
    assert "did you mean api_secret?" in problems["venue.api_secrt"]
    assert "hush" not in problems["venue.api_secrt"]


def test_a_secrets_directory_that_is_not_there_is_a_problem(tmp_path: Path) -> None:
    [problem] = problems_of(env={"TIDEGATE_SECRETS_DIR": str(tmp_path / "none")}).values()

    assert "no such file or directory" in problem


def test_every_wrong_key_is_named_at_once_with_its_place_and_what_is_expected(file: File) -> None:
    path = file('[twap]\nnum_chunk = 3\nnum_chunks = 0\n\n[watcher]\ntimeout_seconds = "soon"\n[log]\nlevel = "loud"\n')

    problems = problems_of(
        "twap.child=maker",
        "gate.symbols=BTCUSDT,no good",
        "nonsense",
        path=path,
        env={"TIDEGATE__HTTP__PORT": "70000", "TIDEGATE__TWPA__CHILD": "ioc", "TIDEGATE__HTTP": "x", "TIDEGATE__": "x"},
    )

    assert problems["twap.num_chunk"] == (
        f"twap.num_chunk: is not a setting; did you mean num_chunks? ({path}, line 2)"
    )
    assert problems["twap.num_chunks"] == (
        f"twap.num_chunks: should be greater than or equal to 1, not '0' ({path}, line 3)"
    )
    assert problems["watcher.timeout_seconds"] == (
        f"watcher.timeout_seconds: should be a finite number, not 'soon' ({path}, line 6)"
    )
    assert problems["twap.child"] == "twap.child: should be 'ioc', 'market', 'passive' or 'auto', not 'maker' (--set)"
    assert problems["gate.symbols.1"].endswith("not 'NO GOOD' (--set)")
    assert problems["nonsense"] == "nonsense: should be written section.key=value (--set)"
    assert problems["twpa"] == "twpa: is not a setting; did you mean twap? (environment TIDEGATE__TWPA__CHILD)"
    assert problems["TIDEGATE__"].endswith("(environment)")
    assert problems["log.level"].startswith("log.level: should be 'debug', 'info', 'warning' or 'error'")
    # TIDEGATE__HTTP and TIDEGATE__HTTP__PORT cannot both be meant.
    assert "http.port" in problems
    assert "http" in problems
    assert len(problems) == 11


def test_the_text_of_the_error_has_one_line_for_each_problem() -> None:
    with pytest.raises(ConfigError) as caught:
        load_config(None, ["twap.num_chunks=0", "http.port=-1"], {})

    assert len(str(caught.value).splitlines()) == 2


def test_contradictions_are_found_beside_wrong_keys() -> None:
    problems = problems_of("twap.num_chunks=0", "http.host=0.0.0.0")

    assert set(problems) == {"twap.num_chunks", "http.token", "http.allow_remote"}


def test_nothing_is_concluded_from_a_key_that_is_wrong() -> None:
    problems = problems_of("watcher.timeout_seconds=-1", "watcher.poll_interval_seconds=60")

    assert set(problems) == {"watcher.timeout_seconds"}


def test_bad_toml_is_named_with_its_line(file: File) -> None:
    path = file("mode = 'paper'\n[twap\n")

    [problem] = problems_of(path=path).values()

    assert problem.startswith(f"{path}: is not valid TOML: ")
    assert "line 2" in problem


def test_bad_toml_hides_no_other_problem(file: File) -> None:
    problems = problems_of("http.port=x", path=file("?"))

    assert set(problems) == {"", "http.port"}


def test_a_file_that_is_not_there_or_no_text_is_a_problem(tmp_path: Path) -> None:
    [missing] = problems_of(path=tmp_path / "none.toml").values()
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe")
    [binary] = problems_of(path=tmp_path / "binary.toml").values()

    assert missing.endswith("none.toml: cannot be read: no such file or directory")
    assert binary.endswith("binary.toml: cannot be read: it is not UTF-8 text")


def test_a_section_that_is_no_table_is_a_problem() -> None:
    assert problems_of("twap=5")["twap"] == "twap: should be a table, not '5' (--set)"


def test_a_key_below_a_value_is_a_problem() -> None:
    assert "stands below a key" in problems_of("mode=paper", "mode.x=1")["mode.x"]


def test_numbers_of_the_file_are_taken_exactly_as_written(file: File) -> None:
    config = load_config(file("[twap]\nmax_spread = 0.00123456789012345678\ninterval_seconds = 0.5\n"), env={})

    assert config.twap.max_spread == Decimal("0.00123456789012345678")
    assert config.twap.interval_seconds == Decimal("0.5")


@pytest.mark.parametrize(
    "text", ["btcusdt,ETHUSDT", ' ["BTCUSDT", "ETHUSDT"]', "['BTCUSDT', 'ETHUSDT']", "BTCUSDT, ETHUSDT,"]
)
def test_a_list_can_be_given_as_text(text: str) -> None:
    assert load_config(None, [f"gate.symbols={text}"], {}).gate.symbols == ("BTCUSDT", "ETHUSDT")


def test_a_list_that_is_broken_is_a_problem() -> None:
    assert "should be written as in TOML or JSON" in problems_of("gate.symbols=[BTC")["gate.symbols"]


def test_tables_can_be_given_whole_or_key_by_key() -> None:
    env = {"TIDEGATE__PAPER__BALANCES__BTC": "1.5"}

    assert load_config(None, [], env).paper.balances == {"BTC": Decimal("1.5")}
    assert load_config(None, ['paper.balances={"USDT": 0.1}'], {}).paper.balances == {"USDT": Decimal("0.1")}
    assert load_config(None, ["paper.balances={USDT = 0.1}"], {}).paper.balances == {"USDT": Decimal("0.1")}


def test_a_bad_balance_is_named_by_its_asset() -> None:
    problems = problems_of("paper.balances.BTC=-1")

    assert problems["paper.balances.BTC"].startswith("paper.balances.BTC: should be greater than or equal to 0")


def test_free_tables_take_any_key(file: File) -> None:
    path = file('[templates.tv]\nbase = "tradingview"\nsource = "Desk"\n')

    config = load_config(path, env={})

    assert config.templates == {"tv": {"base": "tradingview", "source": "Desk"}}


def test_a_limit_can_be_taken_away() -> None:
    config = load_config(None, ["limits.max_notional=none", "limits.max_executions=none"], {})

    assert config.limits.max_notional is None
    assert config.limits.max_executions is None


@pytest.mark.parametrize("value", ["NaN", "inf", "1e999", "true"])
@pytest.mark.parametrize("key", ["twap.min_chunk_value", "twap.interval_seconds"])
def test_amounts_and_times_are_finite_numbers_of_a_sensible_size(key: str, value: str, file: File) -> None:
    section, name = key.split(".")
    if value == "true":
        problems = problems_of(path=file(f"[{section}]\n{name} = true\n"))
    else:
        problems = problems_of(f"{key}={value}")

    assert list(problems) == [key]
    assert "should be" in problems[key]


def test_true_is_no_count(file: File) -> None:
    problems = problems_of(path=file("[twap]\nnum_chunks = true\n[limits]\nmax_executions = true\n"))

    assert "should be a number, not true or false" in problems["twap.num_chunks"]
    assert "should be a number, not true or false" in problems["limits.max_executions"]


def test_a_wrong_secret_is_not_repeated(file: File) -> None:
    problems = problems_of(path=file("[venue]\napi_secret = 12345678\n[alerts]\n"))

    assert "12345678" not in problems["venue.api_secret"]


def test_the_file_is_found_by_name_or_in_the_directory(tmp_path: Path) -> None:
    assert find_config({}, tmp_path) is None
    (tmp_path / "tidegate.toml").touch()
    assert find_config({}, tmp_path) == tmp_path / "tidegate.toml"
    assert find_config({"TIDEGATE_CONFIG": "/etc/other.toml"}, tmp_path) == Path("/etc/other.toml")


def test_keys_to_a_real_account_must_not_lie_open(file: File, tmp_path: Path) -> None:
    path = file('mode = "testnet"\n[venue]\napi_key = "k"\napi_secret = "hush"\n')
    assert load_config(path, env={}).mode == "testnet"

    path.chmod(0o644)

    problem = problems_of(path=path)["venue.api_key"]
    assert "chmod 600" in problem
    assert "hush" not in problem

    path.write_text('mode = "testnet"\n')
    assert (
        load_config(path, env={"TIDEGATE__VENUE__API_KEY": "k", "TIDEGATE__VENUE__API_SECRET": "s"}).mode == "testnet"
    )


def test_a_private_key_file_must_be_there_and_not_lie_open(tmp_path: Path) -> None:
    key = tmp_path / "key.pem"
    settings, env = ["mode=testnet", f"venue.private_key_file={key}"], {"TIDEGATE__VENUE__API_KEY": "k"}

    assert "not there" in problems_of(*settings, env=env)["venue.private_key_file"]
    key.touch(0o644)
    assert "chmod 600" in problems_of(*settings, env=env)["venue.private_key_file"]
    key.chmod(0o400)
    assert load_config(None, settings, env).venue.private_key_file == key


@pytest.mark.parametrize("mode", ["testnet", "demo", "live"])
def test_keys_to_an_account_do_not_come_on_the_command_line_which_everybody_can_read(mode: str) -> None:
    keys = ("venue.api_key", "venue.api_secret", "venue.private_key_passphrase")
    problems = problems_of(f"mode={mode}", *(f"{key}=hush" for key in keys))

    for key in keys:
        assert problems[key].startswith(f"{key}: stands on the command line, which everybody on this machine can read")
        assert f"TIDEGATE__{key.upper().replace('.', '__')}" in problems[key]
        assert problems[key].endswith("(--set)")
    assert "hush" not in "".join(problems.values())


@pytest.mark.parametrize(
    ("setting", "variable"),
    [
        ("http.token", "TIDEGATE__HTTP__TOKEN"),
        ("http.signing_keys.desk", "TIDEGATE__HTTP__SIGNING_KEYS__desk"),
        ("templates.tv.token", "TIDEGATE__TEMPLATES__TV__token"),
        ("alerts.sinks.phone", "TIDEGATE__ALERTS__SINKS__phone"),
    ],
)
def test_a_secret_of_whatever_mode_does_not_come_on_the_command_line(setting: str, variable: str) -> None:
    env = {"TIDEGATE__TEMPLATES__TV__base": "tvhub"} if setting.startswith("templates") else {}
    problem = problems_of(f"{setting}=hush-hush-hush-hush-hush", env=env)
    assert list(problem) == [setting]
    places = ", a secret file or" if setting.count(".") == 1 else " or"
    assert f"put it in the environment ({variable}){places} a file with mode 0600" in problem[setting]
    assert "everybody on this machine can read" in problem[setting]
    assert "hush" not in problem[setting]
    load_config(None, [], {**env, variable: "hush-hush-hush-hush-hush"})


@pytest.mark.parametrize("table", ['http.signing_keys={desk="hush"}', 'alerts.sinks={phone="ntfy://hush"}'])
def test_nor_does_a_whole_table_of_secrets(table: str) -> None:
    assert "everybody on this machine can read" in problems_of(table)[table.partition("=")[0]]


def test_a_template_without_its_token_may_stand_on_the_command_line() -> None:
    load_config(None, ["templates.tv.base=tvhub"], {})
    load_config(None, ['templates={tv={base="tvhub"}}'], {})
    assert "templates" in problems_of('templates={tv={base="tvhub",token="hush-hush-hush-hush-hush"}}')


def test_a_key_on_the_command_line_is_told_though_the_environment_has_it_too() -> None:
    env = {"TIDEGATE__VENUE__API_KEY": "k", "TIDEGATE__VENUE__API_SECRET": "s"}

    assert set(problems_of("mode=testnet", "VENUE.api_key=hush", env=env)) == {"venue.api_key"}


def test_a_section_with_keys_that_is_no_table_is_not_repeated() -> None:
    assert "hush" not in problems_of("mode=testnet", 'venue={api_key="hush"}')["venue"]


@pytest.fixture
def secrets(tmp_path: Path) -> Path:
    """The directory of an account's keys, with the usual modes."""
    directory = tmp_path / "secrets"
    directory.mkdir()
    directory.chmod(0o755)
    for name in ("venue.api_key", "venue.api_secret"):
        (directory / name).write_text("hush\n")
        (directory / name).chmod(0o600)
    return directory


@pytest.mark.parametrize("mode", [0o640, 0o604])
def test_a_secret_file_that_others_can_read_is_a_problem(secrets: Path, mode: int) -> None:
    env = {"TIDEGATE_SECRETS_DIR": str(secrets)}
    assert load_config(None, ["mode=testnet"], env).mode == "testnet"

    (secrets / "venue.api_secret").chmod(mode)

    problems = problems_of("mode=testnet", env=env)
    file = secrets / "venue.api_secret"
    assert problems == {
        "venue.api_secret": (
            f"venue.api_secret: stands in a file that others can read; run: chmod 600 {file} (secret file {file})"
        )
    }
    assert load_config(None, [], env).mode == "paper"


@pytest.mark.parametrize("mode", [0o400, 0o440])
def test_a_secrets_directory_that_is_closed_to_others_keeps_its_files(secrets: Path, mode: int) -> None:
    (secrets / "venue.api_secret").chmod(mode)
    secrets.chmod(0o700)

    assert load_config(None, ["mode=testnet"], {"CREDENTIALS_DIRECTORY": str(secrets)}).mode == "testnet"


def _grant(path: Path, user: int, group: int = 0) -> None:
    """Let a user read besides the owner, in an access list; as with `setfacl`, the mode shows its mask to the group."""
    anybody = 0xFFFFFFFF
    entries = [(0x01, 5, anybody), (0x02, 5, user), (0x04, group, anybody), (0x10, 5, anybody), (0x20, 0, anybody)]
    packed = b"".join(struct.pack("<HHI", *entry) for entry in entries)
    try:
        os.setxattr(path, "system.posix_acl_access", struct.pack("<I", 2) + packed)
    except OSError:
        pytest.skip("this file system has no access lists")


@pytest.mark.skipif(sys.platform != "linux", reason="access lists are read on Linux")
def test_files_that_a_service_manager_lets_this_user_read_alone_are_closed(secrets: Path) -> None:
    env = {"CREDENTIALS_DIRECTORY": str(secrets)}
    key = secrets / "venue.api_key"
    _grant(secrets, os.geteuid())
    _grant(key, os.geteuid())
    assert key.stat().st_mode & 0o777 == 0o550
    assert load_config(None, ["mode=testnet"], env).mode == "testnet"

    _grant(key, os.geteuid(), group=4)
    assert load_config(None, ["mode=testnet"], env).mode == "testnet", "the directory is closed"
    _grant(secrets, os.geteuid() + 1)
    assert set(problems_of("mode=testnet", env=env)) == {"venue.api_key"}
    key.chmod(0o600)
    assert load_config(None, ["mode=testnet"], env).mode == "testnet", "which closes the list's mask"
    for mode in (0o604, 0o601):
        key.chmod(mode)
        assert set(problems_of("mode=testnet", env=env)) == {"venue.api_key"}, "everybody else is not under the mask"


def test_the_bearer_token_comes_from_its_file(tmp_path: Path) -> None:
    token = tmp_path / "token"
    config = load_config(None, [f"http.token_file={token}"], {})

    with pytest.raises(OSError, match="token"):
        config.http.bearer_token()
    token.write_text("\n")
    with pytest.raises(ValueError, match="is empty"):
        config.http.bearer_token()
    token.write_text("hush\n")
    assert config.http.bearer_token() == "hush"
    assert Config().http.bearer_token() is None


def test_no_secret_is_in_a_configurations_own_text() -> None:
    config = load_config(None, ["venue.api_secret=hush"], {"TIDEGATE__HTTP__TOKEN": "hush"})

    assert config.http.bearer_token() == "hush"
    assert "hush" not in repr(config)
    assert "hush" not in str(config.model_dump())
    assert os.environ.get("TIDEGATE__HTTP__TOKEN") is None


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("paper.market=foo", "should be synthetic, replay:FILE[,FILE...] or ow:q=...,rho=...,lam=..., not 'foo'"),
        ("alerts.quiet=5", "should be hours as 22:00-06:00, or empty, not '5'"),
        ("gate.symbols=BTC/USDT", "should be symbols as BTCUSDT, not 'BTC/USDT'"),
        ("account=a b", "should be 1 to 32 letters, digits, dots, dashes and underscores, not 'a b'"),
    ],
)
def test_what_a_text_should_look_like_is_said_in_words_not_as_a_pattern(override: str, said: str) -> None:
    [problem] = problems_of(override).values()
    assert said in problem


# Where the data are --------------------------------------------------------------------------------------------------


def test_the_data_directory_is_found_though_the_rest_is_wrong_or_its_keys_are_elsewhere(file: File) -> None:
    live = file('mode = "live"\ndata_dir = "/var/lib/x"\n[twap]\nnum_chunk = 3\n')
    with pytest.raises(ConfigError):
        load_config(live, (), {})
    assert find_data_dir(live, (), {}) == Path("/var/lib/x")
    assert find_data_dir(live, (), {"TIDEGATE__DATA_DIR": "there"}) == Path("there")
    assert find_data_dir(live, ("data_dir=here",), {"TIDEGATE__DATA_DIR": "there"}) == Path("here")
    assert find_data_dir(None, ("mode=live",), {}) == find_data_dir(None, (), {}) == Path("data")


def test_a_key_that_this_user_may_not_look_at_hides_no_data_directory(file: File) -> None:
    key = "x" * 300  # No more to be looked at than one in a directory of somebody else.
    live = file(f'mode = "live"\ndata_dir = "/var/lib/x"\n[venue]\nprivate_key_file = "{key}"\n')
    with pytest.raises(ConfigError, match=f"venue.private_key_file.*cannot be read: .*: {key}"):
        load_config(live, (), {})
    assert find_data_dir(live, (), {}) == Path("/var/lib/x")
    with pytest.raises(ConfigError, match=r"--set"):
        find_data_dir(live, ("data_dri=here",), {})


def test_a_data_directory_is_not_guessed(file: File) -> None:
    broken = file('data_dir = "/var/lib/x"\n[twap')
    with pytest.raises(ConfigError, match="is not valid TOML"):
        find_data_dir(broken, (), {})
    assert find_data_dir(broken, ("data_dir=here",), {}) == Path("here")
    for overrides in (("data_dri=here",), ("nonsense",)):
        with pytest.raises(ConfigError, match=r"--set"):
            find_data_dir(None, overrides, {})
    with pytest.raises(ConfigError, match="data_dir"):
        find_data_dir(file("data_dir = 5\n"), (), {})
    with pytest.raises(ConfigError, match="cannot be read"):
        find_data_dir(Path("/nowhere/x.toml"), (), {})
