"""One order's account as a state machine: whatever is said of it on whichever path, in whatever order, over crashes."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from actors.order_watcher.attempt import Life
from actors.order_watcher.ledger import Ledger
from messages.facts import ChildAbsent, ChildClosed, ChildNotSent, ChildRefused, Fact, TradeBooked
from messages.order import OrderSnapshot, Trade
from tests.examples import examples
from tests.factories import D, an_intent
from tests.order_tools import a_trade, an_order

PATHS = st.sampled_from(["reply", "stream", "poll"])
FINAL = ("FILLED", "CANCELED", "EXPIRED", "EXPIRED_IN_MATCH")


class Account(RuleBasedStateMachine):
    """The exchange's truth (`fills`, `ended`) beside a `Ledger` that is told of it, late, twice, or not at all."""

    def __init__(self) -> None:
        super().__init__()
        self.intent = an_intent(quantity=D("0.1"))
        self.fills: list[Trade] = []
        self.shown: list[OrderSnapshot] = []
        self.ended: str | None = None
        self.there = False
        self.facts: list[Fact] = []
        self.ledger = Ledger(self.intent)

    @initialize(arrives=st.booleans())
    def it_is_sent(self, arrives: bool) -> None:
        self.there = arrives
        self._show()

    def _show(self) -> None:
        if self.there:
            status = self.ended or ("PARTIALLY_FILLED" if self.fills else "NEW")
            self.shown.append(an_order(status, str(self._executed)))

    @property
    def _executed(self) -> Decimal:
        return sum((trade.quantity for trade in self.fills), D(0))

    def _take(self, facts: list[Fact] | Fact | None) -> None:
        for fact in facts if isinstance(facts, list) else [] if facts is None else [facts]:
            self.facts.append(fact)
            self.ledger.fold(fact)

    # What the exchange does -----------------------------------------------------------------------

    @precondition(lambda self: self.there and self.ended is None and self._executed < D("0.1"))
    @rule(lots=st.integers(1, 4))
    def it_trades(self, lots: int) -> None:
        quantity = min(D("0.1") - self._executed, D("0.01") * lots)
        self.fills.append(a_trade(len(self.fills) + 1, str(quantity)))
        if self._executed == D("0.1"):
            self.ended = "FILLED"
        self._show()

    @precondition(lambda self: self.there and self.ended is None)
    @rule(how=st.sampled_from(FINAL[1:]))
    def it_ends(self, how: str) -> None:
        self.ended = how
        self._show()

    # What is said of it ---------------------------------------------------------------------------

    @precondition(lambda self: bool(self.shown))
    @rule(data=st.data(), path=PATHS)
    def any_state_of_before_is_told(self, data: Any, path: Any) -> None:
        self._take(self.ledger.hear(data.draw(st.sampled_from(self.shown)), (), path))

    @precondition(lambda self: bool(self.shown))
    @rule(data=st.data(), path=PATHS)
    def a_state_is_told_with_any_trades(self, data: Any, path: Any) -> None:
        order = data.draw(st.sampled_from(self.shown))
        trades = data.draw(st.lists(st.sampled_from(self.fills), max_size=3)) if self.fills else []
        self._take(self.ledger.hear(order, trades, path))

    @precondition(lambda self: bool(self.fills))
    @rule(data=st.data())
    def trades_alone_are_told(self, data: Any) -> None:
        self._take(self.ledger.hear(None, data.draw(st.lists(st.sampled_from(self.fills), min_size=1)), "poll"))

    @rule()
    def nobody_answers(self) -> None:
        self._take(self.ledger.attempt.unknown("no answer"))

    @precondition(lambda self: not self.there)
    @rule()
    def it_was_refused(self) -> None:
        self._take(self.ledger.attempt.refused(-2010, "Account has insufficient balance"))

    @precondition(lambda self: not self.there)
    @rule()
    def it_was_never_sent(self) -> None:
        self._take(self.ledger.attempt.not_sent("connection refused"))

    @precondition(lambda self: self.ledger.attempt.life is Life.UNKNOWN)
    @rule()
    def it_is_believed_absent(self) -> None:
        """Beyond what is assumed, it may be there all the same."""
        self._take(self.ledger.attempt.absent("nobody has seen it"))

    @rule()
    def the_daemon_dies(self) -> None:
        self.ledger = Ledger(self.intent)
        for fact in self.facts:
            self.ledger.fold(fact)

    # What holds -----------------------------------------------------------------------------------

    @invariant()
    def each_trade_is_booked_once_and_as_it_was_made(self) -> None:
        booked = [(fact.trade_id, fact.quantity) for fact in self.facts if isinstance(fact, TradeBooked)]
        assert len(set(booked)) == len(booked)
        assert set(booked) <= {(trade.trade_id, trade.quantity) for trade in self.fills}
        assert self.ledger.booked == sum((quantity for _, quantity in booked), D(0))

    @invariant()
    def it_is_closed_only_when_it_has_ended_and_all_is_booked(self) -> None:
        closed = [fact for fact in self.facts if isinstance(fact, ChildClosed)]
        assert len(closed) <= 1
        if closed:
            assert self.ended is not None
            assert closed[0].executed_quantity == self._executed == self.ledger.booked
            assert closed[0].executed_quote == sum((t.quantity * t.price for t in self.fills), D(0))

    @invariant()
    def it_is_gone_only_by_the_venues_word_or_by_proof(self) -> None:
        over = [fact for fact in self.facts if isinstance(fact, ChildRefused | ChildNotSent | ChildAbsent)]
        if self.ledger.attempt.life.gone:
            assert over

    @invariant()
    def told_all_it_closes(self) -> None:
        """At any moment: a twin that is told the truth comes to the end that the exchange knows."""
        if self.ended is None or not self.there:
            return
        twin = Ledger(self.intent)
        for fact in self.facts:
            twin.fold(fact)
        twin_facts = twin.hear(self.shown[-1], self.fills, "recovery")
        for fact in twin_facts:
            twin.fold(fact)
        for fact in twin.hear(self.shown[-1], self.fills, "recovery"):
            twin.fold(fact)
        assert twin.booked == self._executed
        assert not twin.attempt.life.open


Account.TestCase.settings = settings(max_examples=examples(24), stateful_step_count=25)
TestAccount = Account.TestCase
