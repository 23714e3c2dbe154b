"""What a user can do wrong: one line that says what to do, a distinct exit code, never a traceback."""

from __future__ import annotations

import os
import socket
import sqlite3
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from adapters.campaign.many import Task
from adapters.paper.audit import Audit, Violation
from adapters.simulation import World
from adapters.storage.sqlite import SqliteStore
from messages.control import Committed
from messages.facts import EpochStarted
from tests.factories import NOW
from tests.process.programs import Done, run

pytestmark = [pytest.mark.process, pytest.mark.timeout(600)]

Command = Callable[..., Done]


def a_damaged_journal(directory: Path) -> None:
    data = directory / "data"
    data.mkdir()
    (data / "journal.sqlite").write_bytes(b"this is no database, whatever its name says" * 200)


def a_file_in_its_place(directory: Path) -> None:
    (directory / "data").write_text("not a directory")


def a_broken_configuration(directory: Path) -> None:
    (directory / "tidegate.toml").write_text(
        "[http]\nprot = 1\nhost = 5\n[twap]\nnum_chunks = 0\nmax_spread = 7\n[nosuch]\nx = 1\n"
    )


def a_file_that_is_no_toml(directory: Path) -> None:
    (directory / "tidegate.toml").write_text("[http\nport = 1")


def an_empty_token(directory: Path) -> None:
    (directory / "data").mkdir()
    (directory / "data" / "token").write_text("\n")


def a_journal_of_something_else(directory: Path) -> None:
    (directory / "data").mkdir()
    with sqlite3.connect(directory / "data" / "journal.sqlite") as other:
        other.execute("CREATE TABLE recipes (name TEXT)")


def a_journal_of_live_mode(directory: Path) -> None:
    (directory / "data").mkdir()
    with closing(SqliteStore(directory / "data")) as store:
        store.append([Committed(1, NOW, EpochStarted(epoch=1, journal_id="j", mode="live", version="1"))])


def nothing(directory: Path) -> None:
    pass


STARTS: tuple[tuple[str, Callable[[Path], None], tuple[str, ...], int, tuple[str, ...]], ...] = (
    ("damaged", a_damaged_journal, (), 65, ("journal.sqlite", "backup", "--rebuild-from-exchange")),
    ("something else", a_journal_of_something_else, (), 65, ("journal.sqlite",)),
    ("file in its place", a_file_in_its_place, (), 73, ("data", "data_dir")),
    (
        "broken",
        a_broken_configuration,
        (),
        78,
        ("http.host", "http.prot", "twap.num_chunks", "twap.max_spread", "nosuch"),
    ),
    ("no toml", a_file_that_is_no_toml, (), 78, ("tidegate.toml",)),
    ("empty token", an_empty_token, (), 78, ("token",)),
    ("another mode", a_journal_of_live_mode, (), 78, ('"live"', '"paper"', "data_dir")),
    ("no token file", nothing, ("--set", "http.token_file=/nowhere/token"), 78, ("/nowhere/token",)),
    ("no recording", nothing, ("--set", "paper.market=replay:/nowhere/file.jsonl"), 2, ("/nowhere/file.jsonl",)),
    ("open to all", nothing, ("--set", "http.host=203.0.113.1"), 78, ("http.allow_remote", "http.token")),
)
"""What is wrong, how it comes about, arguments, exit code, and words that the complaint must hold."""


REAL = ("damaged", "file in its place", "broken")
"""Those that are tried as real processes; the others are called in this one, which is quicker."""


@pytest.mark.parametrize(
    ("name", "prepare", "arguments", "code", "words"), STARTS, ids=[name.replace(" ", "-") for name, *_ in STARTS]
)
def test_a_start_that_cannot_be_says_why(
    command: Command,
    tmp_path: Path,
    name: str,
    prepare: Callable[[Path], None],
    arguments: tuple[str, ...],
    code: int,
    words: tuple[str, ...],
) -> None:
    prepare(tmp_path)
    start = ("daemon", "--set", "http.port=0", *arguments)
    done = run(tmp_path, *start) if name in REAL else command(*start)
    assert done.code == code, done.err
    for word in words:
        assert word in done.err
    assert len(done.err.strip().splitlines()) <= 1 + len(words)
    assert done.out == ""


# Commands -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("status",), 69),
        (("executions",), 69),
        (("send", "BTCUSDT", "buy", "1"), 69),
        (("send", "BTCUSDT"), 2),
        (("pause", "x"), 69),
        (("halt",), 69),
        (("halt", "--set", "mode=live"), 69),
        (("halt", "--set", "data_dri=x"), 78),
        (("journal", "backup", "copy", "--set", "mode=live"), 73),
        (("nosuchcommand",), 2),
        (("daemon", "--nosuchoption"), 2),
        (("--config", "/nowhere/tidegate.toml", "check-config"), 78),
        (("check-config", "--set", "nonsense"), 78),
        (("check-config", "--set", "http.port=x", "--set", "nosuch.key=1"), 78),
        (("check-config", "--set", "mode=live"), 78),
        (("check-config", "--set", "mode=testnet", "--set", "venue.api_key=k", "--set", "venue.api_secret=s"), 78),
        (("journal", "export", "--set", "data_dir=/nowhere/at/all"), 73),
        (("journal", "verify", "--set", "data_dir=/nowhere/at/all"), 73),
        (("report", "x", "--set", "data_dir=/nowhere/at/all"), 73),
        (("paper-exchange", "--balances", "nonsense"), 2),
        (("paper-exchange", "--balances", "[1]"), 2),
        (("paper-exchange", "--balances", "{}"), 2),
        (("paper-exchange", "--balances", '{"BTC": "x"}'), 2),
        (("paper-exchange", "--balances", '{"BTC": -1}'), 2),
        (("paper-exchange", "--balances", '{"BTC": "NaN"}'), 2),
        (("paper-exchange", "--port", "65536"), 2),
        (("paper-exchange", "--market", "nonsense"), 2),
        (("paper-exchange", "--data-dir", "/proc/nowhere"), 73),
        (("simulate", "--seeds", "abc"), 2),
        (("simulate", "--seeds", "1:2:3:4"), 2),
        (("simulate", "--seeds", "5:5"), 2),
        (("simulate", "--signal", "{"), 2),
        (("simulate", "--signal", "[1]"), 2),
        (("simulate", "--signal", '{"at": "soon"}'), 2),
        (("simulate", "--scenario", "nosuch"), 2),
        (("simulate", "--market", "replay:/nowhere/x.jsonl"), 2),
        (("simulate", "--journal", "/nowhere/at/all/out.jsonl"), 1),
        (("simulate", "--faults", "light", "--journal", "/nowhere/at/all/out.jsonl"), 1),
    ],
)
def test_a_command_that_cannot_be_says_why(command: Command, arguments: tuple[str, ...], code: int) -> None:
    done = command(*arguments)
    assert done.code == code, (done.out, done.err)
    assert done.err.strip()


def test_a_port_that_is_taken_is_said_by_the_paper_exchange_too(command: Command) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = command("paper-exchange", "--port", str(port))
    assert done.code == 71
    assert done.err.startswith(f"tidegate: port {port} is already in use. ")
    assert len(done.err.splitlines()) == 1


def test_what_live_mode_needs_is_said_in_words_that_can_be_read(command: Command) -> None:
    done = command("check-config", "--set", "mode=live")
    assert 'venue.api_key: is needed in mode "live"' in done.err
    assert "****" not in done.err


def test_a_sink_that_a_start_would_refuse_is_refused_by_check_config_too(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "apprise", None)
    monkeypatch.setenv("TIDEGATE__ALERTS__SINKS", '{phone = "ntfy://x"}')
    done = command("check-config")
    assert (done.code, done.out) == (78, "")
    assert "pip install apprise" in done.err


def test_every_wrong_key_is_named_at_once(command: Command) -> None:
    done = command("check-config", "--set", "http.port=x", "--set", "twap.num_chunks=0", "--set", "nosuch.key=1")
    assert done.code == 78
    for key in ("http.port", "twap.num_chunks", "nosuch"):
        assert key in done.err


def test_a_configuration_is_written_once_and_is_good(command: Command, tmp_path: Path) -> None:
    assert command("init").code == 0
    written = (tmp_path / "tidegate.toml").read_text()
    assert command("check-config").code == 0
    again = command("init")
    assert again.code == 1
    assert "move it away" in again.err
    assert (tmp_path / "tidegate.toml").read_text() == written


def test_the_configuration_in_effect_is_shown_with_its_origins_and_without_secrets(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TIDEGATE__HTTP__TOKEN", "a-very-secret-one")
    shown = command("config", "--json", "--set", "http.port=0")
    assert shown.code == 0
    assert shown.json["http.port"]["value"] == "0"
    assert shown.json["http.token"]["origin"] == "environment TIDEGATE__HTTP__TOKEN"
    assert "a-very-secret-one" not in shown.out + command("config").out


def test_a_token_on_the_command_line_is_refused_with_one_line_that_says_where_it_may_stand(command: Command) -> None:
    for words in (("daemon",), ("check-config",), ("simulate",), ()):
        refused = command(*words, "--set", "http.token=hush-hush-hush")
        assert (refused.code, len(refused.err.splitlines())) == (78, 1)
        assert "TIDEGATE__HTTP__TOKEN" in refused.err
        assert "hush-hush-hush" not in refused.out + refused.err


def test_a_short_simulation_says_what_it_came_to_and_exits_0(command: Command, tmp_path: Path) -> None:
    signal = '{"at": 1, "id": "a", "symbol": "BTCUSDT", "side": "buy", "quantity": "0.01"}'
    done = command("simulate", "--signal", signal, "--json", "--journal", str(tmp_path / "out.jsonl"))
    assert done.code == 0
    assert (done.json["runs"], done.json["executions"], done.json["violations"]) == (1, 1, 0)
    assert (tmp_path / "out.jsonl").read_bytes().count(b"\n") > 5
    assert "journal and exchange agree" in command("simulate", "--signal", signal).out


@pytest.mark.parametrize("more", [(), ("--faults", "light")])
def test_the_journal_of_several_seeds_has_no_room_in_one_file(
    command: Command, tmp_path: Path, more: tuple[str, ...]
) -> None:
    done = command("simulate", "--seeds", "1:3", "--journal", "out.jsonl", *more)
    assert (done.code, len(done.err.splitlines())) == (2, 1)
    assert "--seed N" in done.err
    assert not (tmp_path / "out.jsonl").exists()


def test_a_trace_of_several_seeds_is_refused_instead_of_playing_the_first_alone(command: Command) -> None:
    for more in ((), ("--faults", "heavy"), ("--json",)):
        done = command("simulate", "--seeds", "1:3", "--trace", *more)
        assert (done.code, done.out, len(done.err.splitlines())) == (2, "", 1)
        assert "--trace tells all of one seed: give --seed N instead of --seeds" in done.err
    assert command("simulate", "--seeds", "1:2", "--trace").code == 0


def test_a_seed_that_fails_without_faults_is_told_with_the_command_that_shows_it_again(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = Audit("converged", (Violation("S1", "x", "of a test"),), {})
    monkeypatch.setattr(World, "compare", lambda *_: found)
    replay = "python run.py simulate --set twap.num_chunks=2 --scenario drawn --seed 4"
    words = ("simulate", "--set", "twap.num_chunks=2", "--seeds", "4:5")
    told = command(*words, "--json")
    assert (told.code, told.json["failures"]) == (70, [{"seed": 4, "replay": replay}])
    assert replay in command(*words).out
    again = command(*replay.split()[2:], "--json")
    assert again.json["outcomes"][0]["reports"] == told.json["outcomes"][0]["reports"]


@pytest.mark.parametrize("more", [("--faults", "light"), ("--trace",)])
def test_a_simulation_with_faults_or_a_trace_writes_its_journal(
    command: Command, tmp_path: Path, more: tuple[str, ...]
) -> None:
    assert command("simulate", "--seed", "2", "--journal", "out.jsonl", *more).code == 0
    assert (tmp_path / "out.jsonl").read_bytes().count(b"\n") > 5


def test_what_shapes_the_runs_of_a_campaign_is_handed_on_as_it_was_given(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    tasks: list[Task] = []

    def run(_seeds: object, task: Task, **_: object) -> int:
        tasks.append(task)
        return 0

    monkeypatch.setattr("adapters.campaign.many.run_campaign", run)
    before = ("--config", os.devnull, "--set", "paper.preset=thin")
    after = ("--set", "twap.num_chunks=3", "--market", "synthetic", "--scenario", "tour", "--signal", "{}")
    secret = ("--set", "venue.api_key=hush")
    assert command(*before, "simulate", "--seeds", "1:3", "--faults", "light", *after, *secret).code == 0
    assert tasks[0].words == ("--config", os.devnull, "simulate", "--set", "paper.preset=thin", *after)
