"""What is archived makes no difference to any state that a start folds, whatever the history was."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from actors import retention
from actors.alerts import KINDS, Alerts
from actors.exchange.door import Door
from actors.exchange.settings import ExchangeSettings
from actors.order_watcher.holdings import Holdings
from actors.order_watcher.register import REGISTER_FACTS, Register
from actors.retention import Retention, RetentionSettings
from actors.signal_gate.dedup import Dedup, DedupSettings
from actors.signal_gate.load import Load
from actors.signal_gate.nonces import Nonces
from messages.control import Committed
from messages.facts import (
    AlertCleared,
    AlertRaised,
    EpochStarted,
    ExecutionAmended,
    ExecutionClosed,
    ExecutionQuarantined,
    NonceUsed,
    SignalAccepted,
    TradeBooked,
    TradingHalted,
    TradingResumed,
)
from messages.ids import milliseconds
from messages.signal import Side
from tests.factories import NOW, a_closed, a_signal, an_accepted, an_intent
from tests.histories import SYMBOLS, WEEK, History

COOLDOWN = 3600.0
SETTINGS = RetentionSettings(cooldown_seconds=COOLDOWN)


@pytest.fixture(autouse=True)
def short_tail(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "TAIL", 50)


def archivable(facts: Iterable[Committed], now: datetime, settings: RetentionSettings = SETTINGS) -> dict[int, None]:
    look = Retention(settings, now)
    for committed in facts:
        look.take(committed)
    return dict.fromkeys(seq for batch in look.batches() for seq in batch)


class Everyone:
    """The states of all actors that are folded from facts, and what they answer."""

    def __init__(self, facts: Iterable[Committed], now: datetime) -> None:
        self.now = now
        self.door, self.register, self.holdings = Door(ExchangeSettings()), Register(10_000), Holdings()
        self.dedup, self.load = Dedup(DedupSettings(fingerprint="always")), Load(Decimal("0.01"))
        self.nonces, self.alerts = Nonces(), Alerts()
        self.epoch = 0
        self.last_accepted: datetime | None = None
        self.quarantined: dict[str, None] = {}
        for committed in facts:
            self.fold(committed)

    def fold(self, committed: Committed) -> None:
        fact, at = committed.fact, committed.at
        self.door.fold(fact, at, 0.0, self.now)
        self.holdings.fold(fact)
        if isinstance(fact, REGISTER_FACTS):
            self.register.fold(fact)
        if isinstance(fact, (*KINDS, AlertRaised, AlertCleared)):
            self.alerts.fold(fact, at)
        match fact:
            case SignalAccepted():
                self.dedup.accept(fact)
                self.load.accept(fact)
                self.last_accepted = fact.accepted_at
            case ExecutionClosed(execution_id=of):
                self.dedup.close(of, at, fact.children)
                self.load.close(fact, at)
                self.quarantined.pop(of, None)
            case ExecutionAmended():
                self.load.amend(fact)
            case TradeBooked():
                self.load.book(fact)
            case ExecutionQuarantined(execution_id=of):
                self.quarantined[of] = None
            case NonceUsed():
                self.nonces.use(fact)
            case EpochStarted(epoch=epoch):
                self.epoch = epoch
            case _:
                pass

    def view(self, history: History) -> dict[str, Any]:
        now, door, register = self.now, self.door, self.register
        self.alerts.expire(now)
        return {
            "epoch": self.epoch,
            "halted": (door.halted, door.halt_reason),
            "forbidden": door.budget.forbidden_until(0.0),
            "exposures": {
                name: (one.quantity, one.incarnation, one.cancelled, one.closed, one.committed, one.open_children)
                for name, one in door.exposures._executions.items()
            },
            "open": [
                (one.intent, one.attempt.life, one.attempt.order_id, one.attempt.cancels, one.final, one.missing)
                for one in register.all_open()
            ],
            "absent": register.absent(milliseconds(now)),
            "last_trades": {symbol: register.last_trade(symbol) for symbol in SYMBOLS},
            "foreign": list(register._foreign),
            "holdings": (self.holdings._noted, self.holdings._bought, self.holdings._fees),
            "nonces": [
                self.nonces.used(one.fact.sender, one.fact.nonce, now)
                for one in history.facts
                if isinstance(one.fact, NonceUsed)
            ],
            "last_accepted": self.last_accepted,
            "quarantined": [name for name in self.quarantined if name in self.load],
            "load": (
                len(self.load),
                list(self.load.accepted()),
                [self.load.progress(one.execution_id) for one in self.load.accepted()],
                [(self.load.of_symbol(symbol), self.load.notional(symbol)) for symbol in SYMBOLS],
                self.load.of_day(now),
                [self._cooling(symbol, side) for symbol in SYMBOLS for side in Side],
            ),
            "alerts": (sorted(self.alerts.raised), sorted(map(repr, self.alerts.due()))),
            "dedup": self._judgements(history),
        }

    def _cooling(self, symbol: str, side: Side) -> datetime | None:
        ended = self.load.ended("main", symbol, side)
        return None if ended is None or ended + timedelta(seconds=COOLDOWN) < self.now else ended

    def _judgements(self, history: History) -> list[Any]:
        judged = []
        for one in history.facts:
            if isinstance(one.fact, SignalAccepted):
                signal = one.fact.signal
                judged.append(self.dedup.judge(signal, self.now, one.fact.reference_price))
                anew = a_signal(id=None, symbol=signal.symbol, side=signal.side, price=one.fact.reference_price)
                judged.append(self.dedup.judge(anew, self.now, None))
        return judged


@pytest.mark.seeds(default=4)
def test_the_state_of_every_actor_is_the_same_without_what_is_archived(seed: int) -> None:
    history = History(seed)
    archived: dict[int, None] = {}
    for _ in range(4):
        history.go_on(700)
        now = history.now + timedelta(seconds=history.random.choice([0, 60, 90_000, 900_000]))
        at_hand = [one for one in history.facts if one.seq not in archived]
        archived |= archivable(at_hand, now)
        kept = [one for one in history.facts if one.seq not in archived]
        for later in (now, now + timedelta(hours=6)):
            whole, rest = Everyone(history.facts, later), Everyone(kept, later)
            expected, found = whole.view(history), rest.view(history)
            for name, view in expected.items():
                assert found[name] == view, f"{name}, seed {seed}, {len(archived)} of {len(history.facts)} archived"
    assert len(archived) > len(history.facts) / 3, "and much is archived"


@pytest.mark.seeds(default=5)
def test_what_happens_afterwards_is_folded_as_if_nothing_were_archived(seed: int) -> None:
    history = History(seed)
    history.go_on(1500)
    archived = archivable(history.facts, history.now)
    history.go_on(500)
    kept = [one for one in history.facts if one.seq not in archived]
    expected, found = Everyone(history.facts, history.now).view(history), Everyone(kept, history.now).view(history)
    for name, view in expected.items():
        assert found[name] == view, f"{name}, seed {seed}"
    assert archived


# Rules, one by one --------------------------------------------------------------------------------


def numbered(*facts: Any, days: float = 0.0) -> list[Committed]:
    """Facts of that many days after NOW, and so many of today behind them that they may go."""
    at = NOW + timedelta(days=days)
    mine = [Committed(seq, at, fact) for seq, fact in enumerate(facts, 1)]
    epoch = EpochStarted(epoch=1, journal_id="j", mode="paper", version="1")
    return mine + [Committed(len(mine) + seq, NOW + timedelta(days=30), epoch) for seq in range(1, 60)]


LATER = NOW + timedelta(days=30)


def test_nothing_of_an_open_execution_is_archived_however_old() -> None:
    assert not {1, 2} & archivable(numbered(an_accepted(), an_intent()), LATER).keys()


def test_nothing_is_archived_that_happened_after_an_open_order_was_sent() -> None:
    other = an_accepted(execution_id="other", key="o", key_until=NOW)
    facts = numbered(
        an_accepted(), an_intent(request_timestamp=milliseconds(NOW)), other, a_closed(execution_id="other")
    )
    assert not {1, 2, 3, 4} & archivable(facts, LATER).keys()


def test_a_signal_and_its_end_stay_as_long_as_the_signal_may_come_again() -> None:
    accepted = an_accepted(key_until=LATER + WEEK)
    facts = numbered(accepted, a_closed(children=0))
    assert not {1, 2} & archivable(facts, LATER).keys()
    gone = archivable(numbered(accepted, a_closed(), an_accepted(execution_id="later")), LATER + WEEK + WEEK).keys()
    assert {1, 2} <= gone


def test_an_end_stays_as_long_as_it_may_hold_up_the_next_execution() -> None:
    facts = numbered(an_accepted(key_until=NOW), a_closed(), an_accepted(execution_id="later"))
    assert {1, 2} <= archivable(facts, LATER).keys()
    assert not {1, 2} & archivable(facts, LATER, RetentionSettings(cooldown_seconds=40 * 86_400)).keys()


def test_two_days_are_the_least() -> None:
    facts = numbered(an_accepted(key_until=NOW), a_closed(), an_accepted(execution_id="later"), days=28.5)
    assert archivable(facts, LATER, RetentionSettings(after_days=0.0)) == {}


def test_an_execution_that_is_touched_after_the_look_is_left_alone() -> None:
    facts = numbered(an_accepted(key_until=NOW), a_closed(), an_accepted(execution_id="later"))
    look = Retention(SETTINGS, LATER)
    for one in facts:
        look.take(one)
    look.touch(an_intent())
    assert not {1, 2} & {seq for batch in look.batches() for seq in batch}


def test_a_clock_that_was_ahead_keeps_facts_for_longer_and_never_for_less_long() -> None:
    facts = numbered(an_accepted(key_until=NOW), a_closed(), an_accepted(execution_id="later"))
    ahead = EpochStarted(epoch=1, journal_id="j", mode="paper", version="1")
    first = [Committed(1, NOW + timedelta(days=365), ahead), *(Committed(f.seq + 1, f.at, f.fact) for f in facts)]
    assert archivable(first, LATER) == {}


def test_the_last_acceptance_stays_for_no_later_one_may_be_of_the_same_moment() -> None:
    last = an_accepted(execution_id="later", key_until=NOW)
    facts = numbered(an_accepted(key_until=NOW), a_closed(), last, a_closed(execution_id="later"))
    assert archivable(facts, LATER + WEEK + WEEK).keys() & {1, 2, 3, 4} == {1, 2}


def test_a_halt_stays_until_trading_is_resumed() -> None:
    halted, resumed = TradingHalted(reason="OPERATOR", detail=""), TradingResumed()
    assert archivable(numbered(halted, resumed, halted), LATER).keys() & {1, 2, 3} == {1}
