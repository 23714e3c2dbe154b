"""A TWAPActor among stand-ins: a journal without a store, and probes for market, exchange and parent."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pykka

from actors.runtime import EPOCH, Simulation
from actors.supervision import ChildFailed
from actors.twap.actor import TWAPActor
from actors.twap.execution import Execution
from actors.twap.settings import TwapSettings
from messages.execution import ChildOutcome, CommandAnswer, StopReason
from messages.facts import ChildClosed, ChildIntended, ExecutionClosed, SignalAccepted, TradeBooked
from messages.ids import child_id
from messages.market import Await, Awaited, MarkMids, Quote, SymbolRules, Unmark
from messages.order import ChildDeclined, Decline, PlaceChild
from messages.refs import Tells
from tests.factories import (
    EXECUTION,
    D,
    a_child_closed,
    a_quote,
    a_trade_booked,
    an_accepted,
    an_acknowledged,
    an_intent,
    rules,
)
from tests.journal_stub import JournalStub
from tests.probe import Probe


def after(seconds: float) -> datetime:
    """A moment so many seconds after the simulation's start."""
    return EPOCH + timedelta(seconds=seconds)


class MarketProbe(Probe):
    """Stands in for MarketWatcher; what it is asked for the report's sake alone lies in `marks`, out of the way."""

    def __init__(self, simulation: Simulation) -> None:
        super().__init__(simulation, "market")
        self.marks: list[MarkMids | Unmark] = []

    def _next(self, within: float) -> Any:
        until = self._runtime.now() + within
        while isinstance(message := super()._next(max(0.0, until - self._runtime.now())), MarkMids | Unmark):
            self.marks.append(message)
        return message

    def messages(self) -> list[Any]:
        told = super().messages()
        self.marks += [message for message in told if isinstance(message, MarkMids | Unmark)]
        return [message for message in told if not isinstance(message, MarkMids | Unmark)]


class Stage:
    """Starts the actor and plays everybody else, one message at a time."""

    def __init__(
        self,
        simulation: Simulation,
        accepted: SignalAccepted | None = None,
        *,
        market: Tells[Any] | None = None,
        venue_rules: SymbolRules | None = None,
        **settings: Any,
    ) -> None:
        self.simulation = simulation
        self.accepted = replace(accepted or an_accepted(), accepted_at=EPOCH)
        self.settings = TwapSettings(**settings)
        self.rules = venue_rules or rules()
        self.journal = JournalStub.begun()
        self.market, self.exchange = MarketProbe(simulation), Probe(simulation, "exchange")
        self.parent, self.operator = Probe(simulation, "gate"), Probe(simulation, "operator")
        self._real_market = market
        self.trades = 0
        self.actor = self.start()

    def start(self) -> pykka.ActorRef[TWAPActor]:
        """Start the actor, or another incarnation of it."""
        self.actor = TWAPActor.start(
            self.parent.ref,
            EXECUTION,
            accepted=self.accepted,
            rules=self.rules,
            journal=self.journal.actor_ref,
            exchange=self.exchange.ref,
            market=self._real_market or self.market.ref,
            settings=self.settings,
        )
        return self.actor

    @property
    def state(self) -> Execution:
        """What the living actor has folded."""
        actor = self.actor._actor_weakref()
        assert actor is not None
        return actor._execution

    def refolded(self) -> Execution:
        """The same from the journal alone."""
        again = Execution(self.accepted, self.rules.base, self.rules.quote)
        for committed in self.journal.committed:
            again.fold(committed.fact, committed.at)
        return again

    # Market -----------------------------------------------------------------------------------

    def asked(self, *, within: float = 0.0) -> Await:
        """The next thing that the market is asked."""
        return self.market.expect(Await, within=within)

    def answer(self, await_: Await, quote: Quote | None = None, **changes: Any) -> None:
        """Answer it: the guards hold, unless `failed` says which one does not."""
        failed = changes.get("failed")
        awaited = Awaited(
            key=await_.key, held=failed is None, quote=quote or a_quote(), age=0.02, failed=None, detail=None
        )
        self.actor.tell(replace(awaited, **changes))

    def placed(self, *, within: float = 0.0, quote: Quote | None = None, **changes: Any) -> PlaceChild:
        """Let the guards hold at the next slot; return the child that is asked for."""
        return self.placed_after(self.asked(within=within), quote, **changes)

    def placed_after(self, await_: Await, quote: Quote | None = None, **changes: Any) -> PlaceChild:
        """Let these guards hold; return the child that is asked for."""
        self.answer(await_, quote, **changes)
        return self.exchange.expect(PlaceChild, within=0.0)

    # Exchange, order watcher --------------------------------------------------------------------

    def intend(self, place: PlaceChild) -> ChildIntended:
        """Journal the intent that a wish becomes."""
        intent = replace(
            an_intent(),
            client_order_id=child_id("p", EXECUTION, place.slice, place.attempt),
            slice=place.slice,
            attempt=place.attempt,
            incarnation=place.incarnation,
            side=place.side,
            order_type=place.order_type,
            time_in_force=place.time_in_force,
            quantity=place.quantity,
            limit_price=place.limit_price,
            bid=place.quote.bid,
            ask=place.quote.ask,
            mid_integral=place.mid_integral,
            mid_seconds=place.mid_seconds,
            waited_seconds=place.waited_seconds,
            waited_for=place.waited_for,
            market_volume=place.market_volume,
            timed_seconds=place.timed_seconds,
            fit_mid=place.fit_mid,
            rest_seconds=place.rest_seconds,
            adverse_bps=None if place.choice is None else place.choice.adverse_bps,
            gain_bps=None if place.choice is None else place.choice.gain_bps,
        )
        self.journal.commit(intent)
        return intent

    def rest(self, place: PlaceChild) -> ChildIntended:
        """Journal the intent of a child that is to rest, and that the venue has it."""
        intent = self.intend(place)
        self.journal.commit(an_acknowledged(client_order_id=intent.client_order_id, status="NEW"))
        return intent

    def trade(self, intent: ChildIntended, quantity: Decimal, **changes: Any) -> TradeBooked:
        """Book a trade of it."""
        self.trades += 1
        booked = replace(
            a_trade_booked(),
            client_order_id=intent.client_order_id,
            side=intent.side,
            trade_id=self.trades,
            quantity=quantity,
            price=D(42_001),
        )
        booked = replace(booked, **changes)
        self.journal.commit(booked)
        return booked

    def close(self, intent: ChildIntended, executed: Decimal, outcome: ChildOutcome, **changes: Any) -> ChildClosed:
        """Close it."""
        closed = replace(
            a_child_closed(),
            client_order_id=intent.client_order_id,
            outcome=outcome,
            executed_quantity=executed,
            executed_quote=executed * 42_001,
        )
        closed = replace(closed, **changes)
        self.journal.commit(closed)
        return closed

    def fill(self, place: PlaceChild, share: str = "1") -> ChildIntended:
        """The whole life of a child that fills by this share, at once."""
        intent = self.intend(place)
        executed = place.quantity * D(share)
        if executed:
            self.trade(intent, executed)
        self.close(intent, executed, ChildOutcome.FILLED if share == "1" else ChildOutcome.PARTIAL)
        return intent

    def decline(self, place: PlaceChild, reason: Decline, *, retry_at: float | None = None, detail: str = "") -> None:
        """Answer a wish with no."""
        self.actor.tell(
            ChildDeclined(
                execution_id=EXECUTION,
                slice=place.slice,
                attempt=place.attempt,
                reason=reason,
                detail=detail,
                retry_at=retry_at,
            )
        )

    # The end ----------------------------------------------------------------------------------

    def ended(self, reason: StopReason, detail: str = "") -> ExecutionClosed:
        """Give the last look at the market; the execution must end for this reason."""
        self.answer(self.asked())
        self.parent.expect_stopped(self.actor, within=0.0)
        closed = self.journal.last(ExecutionClosed)
        assert (closed.reason, closed.detail) == (reason.value, detail)
        return closed


def command(kind: type[Any], stage: Stage, **what: Any) -> None:
    stage.actor.tell(kind(execution_id=EXECUTION, reply_to=stage.operator.ref, **what))


def answered(stage: Stage, *, done: bool, detail: str = "") -> None:
    stage.operator.expect(CommandAnswer(execution_id=EXECUTION, done=done, detail=detail), within=0.0)


def run_to(simulation: Simulation, seconds: float) -> None:
    simulation.run(seconds - simulation.now())


def crash(stage: Stage) -> None:
    """End the actor, once it has read its mail, by a message that it cannot know."""
    stage.simulation.run(0.0)
    stage.actor.tell("nonsense")
    stage.parent.expect(ChildFailed, within=0.0)
    assert len(stage.simulation.claim_failures()) == 1
