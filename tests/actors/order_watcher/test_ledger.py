from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from actors.order_watcher.attempt import TIMEOUT_CANCEL, Life
from actors.order_watcher.ledger import Ledger, contradiction
from messages.execution import ChildOutcome
from messages.facts import (
    AttemptReappeared,
    ChildAbsent,
    ChildAcknowledged,
    ChildCancelRequested,
    ChildClosed,
    ChildRefused,
    ChildUnknown,
    Fact,
    TradeBooked,
)
from messages.order import OrderSnapshot, OrderStatus, Source, Trade
from messages.signal import Side
from tests.examples import examples
from tests.factories import CHILD, EXECUTION, NOW, D, a_child_closed, a_trade_booked, an_acknowledged, an_intent
from tests.order_tools import a_trade, an_order


class Told:
    """A ledger whose facts are folded at once and kept."""

    def __init__(self, **intent: Any) -> None:
        self.ledger = Ledger(an_intent(**intent))
        self.facts: list[Fact] = []

    def hear(
        self,
        order: OrderSnapshot | None = None,
        trades: Iterable[Trade] = (),
        source: Source = "stream",
        reason: str | None = None,
    ) -> list[type[Fact]]:
        facts = self.ledger.hear(order, trades, source, reason)
        self.fold(*facts)
        return [type(fact) for fact in facts]

    def fold(self, *facts: Fact) -> None:
        for fact in facts:
            self.ledger.fold(fact)
            self.facts.append(fact)

    @property
    def closed(self) -> ChildClosed:
        (closed,) = [fact for fact in self.facts if isinstance(fact, ChildClosed)]
        return closed

    @property
    def trade_ids(self) -> list[int]:
        return [fact.trade_id for fact in self.facts if isinstance(fact, TradeBooked)]


def test_a_full_reply_closes_at_once() -> None:
    told = Told()
    trades = [a_trade(7, "0.06"), a_trade(8, "0.04", price=D(42_002))]
    assert told.hear(an_order("FILLED", "0.1"), trades, "reply") == [
        ChildAcknowledged,
        TradeBooked,
        TradeBooked,
        ChildClosed,
    ]
    assert told.closed == ChildClosed(
        execution_id=EXECUTION,
        client_order_id=CHILD,
        symbol="BTCUSDT",
        order_id=1001,
        status="FILLED",
        outcome=ChildOutcome.FILLED,
        executed_quantity=D("0.1"),
        executed_quote=D("0.06") * 42_001 + D("0.04") * 42_002,
        polls=0,
        failure_reason=None,
    )


def test_partially_filled_is_not_taken_for_final() -> None:
    told = Told()
    assert told.hear(an_order("PARTIALLY_FILLED", "0.04"), [a_trade(7, "0.04")]) == [ChildAcknowledged, TradeBooked]
    assert (told.ledger.final, told.ledger.missing, told.ledger.attempt.life) == (False, D(0), Life.ACKED)
    assert told.hear(an_order("PARTIALLY_FILLED", "0.04")) == []
    told.hear(an_order("FILLED", "0.1"), [a_trade(8, "0.06")])
    assert told.closed.executed_quantity == D("0.1")


def test_fills_of_an_expired_order_are_kept() -> None:
    told = Told()
    told.hear(an_order("PARTIALLY_FILLED", "0.04"), [a_trade(7, "0.04")])
    told.hear(an_order("EXPIRED", "0.04"), reason="INSUFFICIENT_LIQUIDITY")
    assert told.closed.outcome is ChildOutcome.PARTIAL
    assert told.closed.executed_quantity == D("0.04")
    assert told.closed.executed_quote == D("0.04") * 42_001
    assert told.closed.failure_reason == "EXPIRED INSUFFICIENT_LIQUIDITY"


def test_a_final_state_does_not_close_before_its_trades_are_booked() -> None:
    told = Told()
    assert told.hear(an_order("EXPIRED", "0.07"), source="poll") == [ChildAcknowledged]
    assert told.ledger.missing == D("0.07")
    assert told.hear(trades=[a_trade(7, "0.03")], source="poll") == [TradeBooked]
    assert told.ledger.missing == D("0.04")
    assert told.hear(trades=[a_trade(7, "0.03"), a_trade(8, "0.04")], source="poll") == [TradeBooked, ChildClosed]
    assert told.closed.failure_reason == "EXPIRED"


def test_the_price_comes_from_trades_never_from_the_order() -> None:
    told = Told(order_type="MARKET", time_in_force=None, limit_price=None)
    order = an_order("FILLED", "0.1", price=D(0), executed_quote=D(-1))
    told.hear(order, [a_trade(7, "0.1", price=D(41_000))])
    assert told.closed.executed_quote == 4100


def test_fees_are_read_only_from_trades() -> None:
    told = Told()
    told.hear(an_order("FILLED", "0.1"))
    assert told.facts[1:] == []
    told.hear(trades=[a_trade(7, "0.1", commission=D("0.0003"), commission_asset="BNB", maker=True)], source="poll")
    booked = told.facts[1]
    assert booked == TradeBooked(
        execution_id=EXECUTION,
        client_order_id=CHILD,
        symbol="BTCUSDT",
        side=an_intent().side,
        order_id=1001,
        trade_id=7,
        price=D(42_001),
        quantity=D("0.1"),
        commission=D("0.0003"),
        commission_asset="BNB",
        maker=True,
        trade_time=NOW,
        source="poll",
    )


def test_a_filled_order_that_shows_no_quantity_is_filled_all_the_same() -> None:
    told = Told()
    told.hear(an_order("FILLED", "0"))
    assert told.ledger.missing == D("0.1")


def test_trades_that_fill_the_order_close_it_without_any_word_of_its_state() -> None:
    told = Told()
    told.hear(an_order("NEW"))
    told.hear(trades=[a_trade(7, "0.1")], source="poll")
    assert (told.closed.status, told.closed.outcome) == ("FILLED", ChildOutcome.FILLED)


def test_an_older_state_changes_nothing() -> None:
    told = Told()
    told.hear(an_order("FILLED", "0.1"))
    assert told.hear(an_order("NEW"), source="poll") == []
    assert (told.ledger.final, told.ledger.missing) == (True, D("0.1"))
    told.hear(trades=[a_trade(7, "0.1")])
    assert told.closed.status == "FILLED"
    assert told.hear(an_order("PARTIALLY_FILLED", "0.04"), [a_trade(7, "0.1")], "poll") == []


def test_an_unrecognised_state_is_not_final() -> None:
    told = Told()
    assert told.hear(an_order("UNRECOGNISED")) == [ChildAcknowledged]
    assert not told.ledger.final


def test_an_order_that_ends_without_a_fill_has_failed() -> None:
    told = Told()
    told.hear(an_order("EXPIRED"), reason="UNFILLED_IOC_QUANTITY_EXPIRED")
    assert told.closed.outcome is ChildOutcome.FAILED
    assert told.closed.failure_reason == "EXPIRED UNFILLED_IOC_QUANTITY_EXPIRED"


def test_the_first_end_and_the_word_for_it_stick_whatever_is_said_after_it() -> None:
    told = Told()
    told.hear(an_order("NEW"), reason="of no end")
    told.hear(an_order("EXPIRED", "0.04"), reason="INSUFFICIENT_LIQUIDITY")
    told.hear(an_order("NEW"), source="poll", reason="of no end")
    told.hear(an_order("CANCELED", "0.04"), source="poll")
    told.hear(trades=[a_trade(7, "0.04")], source="poll")
    assert (told.closed.status, told.closed.failure_reason) == ("EXPIRED", "EXPIRED INSUFFICIENT_LIQUIDITY")


@pytest.mark.parametrize("source", ["reply", "poll"])
def test_an_end_that_no_event_tells_of_has_the_word_of_the_reply_or_the_query(source: Source) -> None:
    told = Told()
    told.hear(an_order("EXPIRED", expiry="EXCHANGE_CANCELED"), source=source)
    assert told.closed.failure_reason == "EXPIRED EXCHANGE_CANCELED"


def a_cancel(reason: str) -> ChildCancelRequested:
    return ChildCancelRequested(
        execution_id=EXECUTION, client_order_id=CHILD, cancel_id="c", symbol="BTCUSDT", order_id=1001, reason=reason
    )


@pytest.mark.parametrize(
    ("reason", "executed", "outcome"),
    [
        (TIMEOUT_CANCEL, "0", ChildOutcome.TIMEOUT),
        (TIMEOUT_CANCEL, "0.04", ChildOutcome.TIMEOUT),
        (TIMEOUT_CANCEL, "0.1", ChildOutcome.FILLED),
        ("end of slot", "0", ChildOutcome.FAILED),
        ("end of slot", "0.04", ChildOutcome.PARTIAL),
    ],
)
def test_only_an_order_cancelled_for_its_time_has_timed_out(reason: str, executed: str, outcome: ChildOutcome) -> None:
    told = Told(time_in_force="GTC")
    told.hear(an_order("NEW"))
    told.fold(a_cancel(reason))
    trades = [a_trade(7, executed)] if D(executed) else []
    told.hear(an_order("FILLED" if executed == "0.1" else "CANCELED", executed), trades, "reply")
    assert told.closed.outcome is outcome
    expected = {ChildOutcome.TIMEOUT: "CANCELED not filled in time", ChildOutcome.FILLED: None}
    assert told.closed.failure_reason == expected.get(outcome, "CANCELED")


def test_an_order_that_expires_before_the_cancel_for_its_time_has_not_timed_out() -> None:
    told = Told(time_in_force="GTC")
    told.hear(an_order("NEW"))
    told.fold(a_cancel(TIMEOUT_CANCEL))
    told.hear(an_order("EXPIRED"))
    assert (told.closed.outcome, told.closed.failure_reason) == (ChildOutcome.FAILED, "EXPIRED")


UNKNOWN = ChildUnknown(execution_id=EXECUTION, client_order_id=CHILD, symbol="BTCUSDT", detail="timeout")


@pytest.mark.parametrize(
    ("known", "expected"),
    [
        ((), []),
        ((UNKNOWN,), [ChildAbsent]),
        ((an_acknowledged(),), [ChildClosed]),
        ((an_acknowledged(), a_trade_booked(quantity=D("0.04"))), []),
        ((an_acknowledged(), a_child_closed(status="CANCELED", executed_quantity=D(0))), []),
    ],
)
def test_an_archived_order_has_ended_without_a_fill_unless_that_cannot_be(
    known: tuple[Fact, ...], expected: list[type[Fact]]
) -> None:
    told = Told()
    told.fold(*known)
    facts = told.ledger.archived()
    assert [type(fact) for fact in facts] == expected
    assert told.ledger.final is (expected == [ChildClosed])
    told.fold(*facts)
    assert told.ledger.archived() == []


def test_trades_of_an_order_that_nobody_has_shown_to_be_ours_are_not_booked() -> None:
    told = Told()
    assert told.hear(trades=[a_trade()], source="poll") == []
    assert told.facts == []


def test_an_unknown_order_is_resolved_by_anything_that_shows_it() -> None:
    told = Told()
    told.fold(UNKNOWN)
    assert told.hear(an_order("NEW"), source="poll") == [ChildAcknowledged]
    assert told.ledger.attempt.life is Life.ACKED


REFUSED = ChildRefused(execution_id=EXECUTION, client_order_id=CHILD, symbol="BTCUSDT", code=-2010, message="no")


def test_an_order_believed_gone_that_shows_up_is_booked_and_closed() -> None:
    told = Told()
    told.fold(REFUSED)
    assert told.hear(an_order("FILLED", "0.1"), [a_trade()], "poll") == [AttemptReappeared, TradeBooked, ChildClosed]
    assert told.facts[1] == AttemptReappeared(
        execution_id=EXECUTION,
        client_order_id=CHILD,
        symbol="BTCUSDT",
        order_id=1001,
        status="FILLED",
        executed_quantity=D("0.1"),
    )


def test_a_refused_order_that_the_stream_calls_rejected_stays_refused() -> None:
    told = Told()
    told.fold(REFUSED)
    assert told.hear(an_order("REJECTED")) == []


def test_an_order_that_is_called_rejected_before_anything_else_is_known_of_it_has_ended_without_a_fill() -> None:
    told = Told()
    assert told.hear(an_order("REJECTED"), reason="INSUFFICIENT_BALANCES") == [ChildAcknowledged, ChildClosed]
    assert told.closed.outcome is ChildOutcome.FAILED
    assert told.closed.failure_reason == "REJECTED INSUFFICIENT_BALANCES"


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({}, None),
        ({"executed_quantity": D("0.1")}, None),
        ({"symbol": "ETHUSDT"}, "symbol ETHUSDT instead of BTCUSDT"),
        ({"side": Side.SELL}, "side SELL instead of BUY"),
        ({"quantity": D("0.2")}, "quantity 0.2 instead of 0.1"),
        ({"price": D(1)}, "price 1 instead of 42085"),
        ({"executed_quantity": D("0.11")}, "executed 0.11 of 0.1"),
        ({"side": Side.SELL, "price": D(1)}, "side SELL instead of BUY, price 1 instead of 42085"),
    ],
)
def test_an_order_that_is_not_the_one_that_was_intended_is_told_by_its_figures(
    changes: dict[str, Any], told: str | None
) -> None:
    text = None if told is None else f"the exchange tells of {CHILD} with {told}"
    assert contradiction(an_intent(), replace(an_order(), **changes)) == text


def test_a_market_order_has_no_price_that_could_be_another() -> None:
    market = an_intent(order_type="MARKET", time_in_force=None, limit_price=None)
    assert contradiction(market, an_order(price=D(0))) is None


def test_a_trade_that_comes_to_light_after_the_end_is_booked_without_a_second_end() -> None:
    told = Told()
    told.hear(an_order("EXPIRED"))
    assert told.hear(an_order("EXPIRED", "0.02"), [a_trade(9, "0.02")]) == [TradeBooked]
    assert told.closed.executed_quantity == 0


# Whatever comes in whatever order -----------------------------------------------------------------


class Story:
    """What truly happened to an order: its trades, and how it ended."""

    def __init__(self, parts: list[int], steps: int) -> None:
        self.trades = [a_trade(number, str(D(part) / 100)) for number, part in enumerate(parts, 5)]
        self.executed = sum((trade.quantity for trade in self.trades), D(0))
        filled = self.executed == D(steps) / 100
        self.quantity = D(steps) / 100
        self.status = OrderStatus.FILLED if filled else OrderStatus.EXPIRED

    def snapshot(self, seen: int) -> OrderSnapshot:
        """The order after its first `seen` trades; one more is its end."""
        executed = sum((trade.quantity for trade in self.trades[:seen]), D(0))
        if seen > len(self.trades) or executed == self.quantity:
            status = self.status
        else:
            status = OrderStatus.PARTIALLY_FILLED if executed else OrderStatus.NEW
        return an_order(status.value, str(executed), quantity=self.quantity)

    def check(self, told: Told) -> None:
        assert sorted(told.trade_ids) == [trade.trade_id for trade in self.trades]
        closed = told.closed
        assert closed.status == self.status.value
        assert closed.executed_quantity == self.executed
        assert closed.executed_quote == sum((trade.quantity * trade.price for trade in self.trades), D(0))
        assert told.ledger.attempt.life is Life.CLOSED
        assert isinstance(told.facts[-1], ChildClosed)


@st.composite
def stories(draw: st.DrawFn) -> Story:
    parts = draw(st.lists(st.integers(1, 5), max_size=5))
    return Story(parts, sum(parts) + draw(st.integers(0, 3)) or 1)


@given(st.data())
def test_any_order_of_reply_stream_and_polls_ends_the_same(data: st.DataObject) -> None:
    story = data.draw(stories())
    ends = len(story.trades) + 1
    events: list[tuple[OrderSnapshot | None, list[Trade], Source]] = [
        (story.snapshot(number), [trade], "stream") for number, trade in enumerate(story.trades, 1)
    ]
    events.append((story.snapshot(ends), [], "stream"))
    events.append((story.snapshot(ends), story.trades, "reply"))
    events += [(story.snapshot(number), [], "poll") for number in range(ends + 1)]
    events += [(None, story.trades[:number], "poll") for number in range(ends)]
    doubled = events + data.draw(st.lists(st.sampled_from(events), max_size=5))
    told = Told(quantity=story.quantity)
    for order, trades, source in data.draw(st.permutations(doubled)):
        told.hear(order, trades, source)
    story.check(told)


class LedgerMachine(RuleBasedStateMachine):
    """An order at the venue goes on while its words arrive late, twice, or in another order."""

    @initialize(story=stories())
    def begin(self, story: Story) -> None:
        self.story, self.told = story, Told(quantity=story.quantity)
        self.happened = 0
        self.stream: list[tuple[OrderSnapshot, list[Trade]]] = []
        self.booked: list[int] = []

    @property
    def ends(self) -> int:
        return len(self.story.trades) + 1

    @precondition(lambda self: self.happened < self.ends)
    @rule()
    def something_happens(self) -> None:
        self.happened += 1
        trades = self.story.trades[self.happened - 1 : self.happened]
        self.stream.append((self.story.snapshot(self.happened), trades))

    @precondition(lambda self: self.stream)
    @rule(data=st.data(), lost=st.booleans(), keep=st.booleans())
    def the_stream_tells(self, data: st.DataObject, lost: bool, keep: bool) -> None:
        event = self.stream[data.draw(st.integers(0, len(self.stream) - 1))]
        if not keep:
            self.stream.remove(event)
        if not lost:
            self.told.hear(*event, "stream")

    @rule(data=st.data())
    def a_poll_shows_the_order_as_it_was(self, data: st.DataObject) -> None:
        self.told.hear(self.story.snapshot(data.draw(st.integers(0, self.happened))), (), "poll")

    @rule(data=st.data())
    def a_poll_shows_trades(self, data: st.DataObject) -> None:
        seen = self.story.trades[: min(self.happened, data.draw(st.integers(0, self.ends)))]
        self.told.hear(None, seen, "poll")

    @precondition(lambda self: self.told.ledger.attempt.life is Life.INTENDED)
    @rule()
    def the_reply_is_lost(self) -> None:
        self.told.fold(ChildUnknown(execution_id=EXECUTION, client_order_id=CHILD, symbol="BTCUSDT", detail=""))

    @precondition(lambda self: self.happened == self.ends)
    @rule()
    def the_venue_is_asked_for_everything(self) -> None:
        self.told.hear(self.story.snapshot(self.ends), (), "poll")
        self.told.hear(None, self.story.trades, "poll")
        self.story.check(self.told)

    @invariant()
    def each_trade_is_booked_once_and_nothing_is_taken_back(self) -> None:
        ids = self.told.trade_ids
        assert len(ids) == len(set(ids))
        assert ids[: len(self.booked)] == self.booked
        assert set(ids) <= {trade.trade_id for trade in self.story.trades[: self.happened]}
        self.booked = ids

    @invariant()
    def it_is_closed_only_when_it_is_over_and_complete(self) -> None:
        if self.told.ledger.attempt.life is Life.CLOSED:
            assert sorted(self.booked) == [trade.trade_id for trade in self.story.trades]
            self.story.check(self.told)


TestLedgerMachine = LedgerMachine.TestCase
TestLedgerMachine.settings = settings(max_examples=examples(30), stateful_step_count=30)
