"""What `run.py doctor` finds: each check, when all is well and when it is not."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack, closing
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from actors.runtime import Pool
from adapters import doctor
from adapters.binance.keys import KeyProblem
from adapters.doctor import Finding, examine_disk, examine_exchange, examine_journal, examine_key
from adapters.storage.sqlite import JOURNAL_FILE, SqliteStore
from messages.control import Committed
from messages.facts import EpochStarted
from messages.market import QuoteSeen, WatchMarket
from messages.order import (
    BalancesFound,
    OpenUserStream,
    QueryBalances,
    QueryFailed,
    QueryRules,
    QueryTime,
    RulesFound,
    StreamOpened,
    TimeFound,
)
from tests.factories import NOW, D, an_accepted, rules


class Words(NamedTuple):
    """What a venue says to each question; None: nothing."""

    offset: int | None = 40
    symbols: tuple[str, ...] = ("BTCUSDT",)
    trading: bool = True
    balances: tuple[tuple[str, Any, Any], ...] | None = (("USDT", D(5), D(0)), ("XRP", D(0), D(0)))
    stream: bool = True
    bid: str = "99"


class Venue:
    """Answers at once, in the words that a test gives it."""

    def __init__(self, words: Words) -> None:
        self.words = words

    def tell(self, message: Any, /) -> None:
        words = self.words
        match message:
            case QueryTime(reply_to=ear) if words.offset is not None:
                ear.tell(TimeFound(offset_milliseconds=words.offset))
            case QueryRules(reply_to=ear):
                found = tuple(rules(symbol=symbol, trading=words.trading) for symbol in words.symbols)
                ear.tell(RulesFound(rules=found))
            case QueryBalances(reply_to=ear) if words.balances is not None:
                ear.tell(BalancesFound(balances=words.balances))
            case QueryBalances(reply_to=ear):
                ear.tell(QueryFailed(query=message, detail="-2015: Invalid API-key"))
            case OpenUserStream(listener=ear) if words.stream:
                ear.tell(StreamOpened())
            case WatchMarket(symbol=symbol, listener=ear):
                ear.tell(
                    QuoteSeen(
                        symbol=symbol,
                        bid=D(words.bid),
                        bid_quantity=D(1),
                        ask=D(100),
                        ask_quantity=D(1),
                    )
                )
            case _:
                pass


@pytest.fixture
def examine(monkeypatch: pytest.MonkeyPatch) -> Callable[[Words], dict[str, Finding]]:
    monkeypatch.setattr(doctor, "WAIT_SECONDS", 0.05)  # Real time: what a silent venue is waited for.

    def ask(words: Words) -> dict[str, Finding]:
        with ExitStack() as after:
            pool = after.enter_context(Pool(1, close_seconds=1.0))
            venue: Any = Venue(words)
            return {finding.what: finding for finding in examine_exchange(pool, venue, ("BTCUSDT",))}

    return ask


def test_an_exchange_in_order_has_nothing_against_it(examine: Callable[[Words], dict[str, Finding]]) -> None:
    found = examine(Words())
    assert set(found) == {"clock", "filters", "account", "user stream", "market BTCUSDT"}
    assert all(finding.good for finding in found.values())
    assert found["account"].detail == "holds USDT"


@pytest.mark.parametrize(
    ("words", "what", "detail"),
    [
        (Words(offset=501), "clock", "the exchange's is +501 ms off ours"),
        (Words(offset=-700), "clock", "the exchange's is -700 ms off ours"),
        (Words(offset=None), "clock", "no answer within 0.05 s"),
        (Words(symbols=()), "filters", "0 symbols, unknown there: BTCUSDT"),
        (Words(trading=False), "filters", "1 symbols, not trading: BTCUSDT"),
        (Words(balances=()), "account", "holds nothing"),
        (Words(balances=None), "account", "-2015: Invalid API-key"),
        (Words(stream=False), "user stream", "no answer within 0.05 s"),
        (Words(bid="100"), "market BTCUSDT", "100 / 100"),
    ],
)
def test_what_is_wrong_at_the_exchange_is_found(
    examine: Callable[[Words], dict[str, Finding]], words: Words, what: str, detail: str
) -> None:
    found = examine(words)
    assert (found[what].good, found[what].detail) == (False, detail)
    assert [finding.what for finding in found.values() if not finding.good] == [what]


def test_a_key_that_may_too_much_is_found() -> None:
    assert examine_key(()).good
    found = examine_key((KeyProblem("WITHDRAWALS", "the key may withdraw", dangerous=True),))
    assert (found.good, found.detail) == (False, "the key may withdraw")


def test_a_key_that_may_too_much_and_is_allowed_to_is_told_nevertheless() -> None:
    withdraws = KeyProblem("WITHDRAWALS", "the key may withdraw", dangerous=True)
    found = examine_key((withdraws,), allow_dangerous=True)
    assert (found.good, found.detail) == (
        True,
        "the key may withdraw; it is used because venue.allow_dangerous_key says so",
    )
    found = examine_key(
        (withdraws, KeyProblem("NO_TRADING", "it may not trade", dangerous=False)), allow_dangerous=True
    )
    assert (found.good, found.detail) == (False, "it may not trade")


def test_a_disk_that_is_full_slow_or_not_to_be_written_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor, "MOST_SYNC_SECONDS", 60)
    assert all(finding.good for finding in examine_disk(tmp_path / "new"))
    monkeypatch.setattr(doctor, "LEAST_FREE_BYTES", 10**30)
    monkeypatch.setattr(doctor, "MOST_SYNC_SECONDS", 0)
    assert {finding.what: finding.good for finding in examine_disk(tmp_path)} == {
        "disk space": False,
        "disk sync": False,
    }
    (tmp_path / "file").write_text("in its place")
    [found] = examine_disk(tmp_path / "file")
    assert not found.good


def test_a_journal_is_followed_to_its_end_and_damage_is_found(tmp_path: Path) -> None:
    assert examine_journal(tmp_path, "paper").detail == "none yet"
    with closing(SqliteStore(tmp_path)) as store:
        store.append([Committed(1, NOW, an_accepted())])
    assert examine_journal(tmp_path, "paper") == Finding("journal", good=True, detail="1 facts, all in order")
    with closing(SqliteStore(tmp_path)) as store:
        store.append([Committed(2, NOW, EpochStarted(epoch=1, journal_id="j", mode="paper", version="1"))])
    assert examine_journal(tmp_path, "paper").good
    other = examine_journal(tmp_path, "live")
    assert (other.good, other.detail) == (False, 'the journal is of mode "paper", but the mode is "live"')
    (tmp_path / JOURNAL_FILE).write_bytes(b"this is no database" * 300)
    assert not examine_journal(tmp_path, "paper").good
    assert replace(examine_journal(tmp_path, "paper"), detail="").what == "journal"
