"""Planted bugs: each breaks one promise the way a plausible mistake would. The campaign must catch them all.

`python -m tests.simulation.mutants [--most 1000] [NAME ...]` says for each in how many seeds it was caught.
"""

# ruff: noqa: ARG005, T201 - what replaces a method takes what it took; a program prints

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from actors import market_watcher
from actors.bounds import Breach, judge
from actors.exchange.actor import ExchangeActor
from actors.exchange.budget import Budget
from actors.exchange.door import Door
from actors.exchange.exposure import Exposure, Exposures
from actors.journal import Journal
from actors.order_watcher import actor as watcher_module
from actors.order_watcher.actor import OrderWatcher
from actors.order_watcher.attempt import Attempt
from actors.order_watcher.ledger import Ledger, contradiction
from actors.order_watcher.outcomes import Effect
from actors.order_watcher.proof import Proof, StreamHealth
from actors.signal_gate.actor import SignalGate
from actors.twap.child import Child
from actors.twap.execution import Execution, Serve
from actors.twap.schedule import slot_at, slot_number
from adapters.campaign.course import Ordeal, endure
from adapters.campaign.weather import Level
from messages.control import Readiness
from messages.facts import ChildCancelRequested, ChildIntended, Fact, SignalAccepted
from messages.market import Bounds, Quote
from messages.money import ZERO
from messages.order import LimitsSeen, OrderSnapshot, PlaceChild, order_of
from tests.simulation.whole import DAEMON

Patch = Callable[[pytest.MonkeyPatch], None]
MOST = 1000


@dataclass(frozen=True, slots=True)
class Mutant:
    """A bug by name, what it does wrong, and how to plant it."""

    name: str
    does: str
    plant: Patch


MUTANTS: list[Mutant] = []


def mutant(does: str) -> Callable[[Patch], Patch]:
    """Put a bug on the list under the name of its function."""

    def listed(plant: Patch) -> Patch:
        MUTANTS.append(Mutant(plant.__name__, does, plant))
        return plant

    return listed


def seeds(hint: int, most: int) -> Iterator[int]:
    """The seed that caught it once, then all from 0 on."""
    yield hint
    yield from (seed for seed in range(most) if seed != hint)


def caught(one: Mutant, hint: int = 0, most: int = MOST) -> tuple[int, Ordeal] | None:
    """Plant a bug and let the campaign look for it: how many seeds it took, and what it said; None if not found."""
    with pytest.MonkeyPatch.context() as patch:
        one.plant(patch)
        for number, seed in enumerate(seeds(hint, most), 1):
            ordeal = endure(seed, Level.HEAVY, DAEMON)
            if not ordeal.ok:
                return number, ordeal
    return None


# Outcomes -----------------------------------------------------------------------------------------


@mutant("takes a timeout for an order that was not sent")
def retry_on_timeout(patch: pytest.MonkeyPatch) -> None:
    def take(self: Any, ledger: Ledger, detail: str) -> None:
        self._settle(ledger, ledger.attempt.not_sent(detail))

    patch.setattr(OrderWatcher, "_take_unknown", take)


@mutant("takes every error answer for a refusal")
def any_error_is_a_refusal(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(watcher_module, "effect_of", lambda code, message: Effect.REFUSED)


@mutant("takes the first 'not found' for a proof of absence")
def unknown_is_absent(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Proof, "verdict", lambda self, stream: "it was not found")


@mutant("does not wait until the order can't be on its way any more")
def no_horizon(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Proof, "past_horizon", lambda self, moment: True)
    patch.setattr(Proof, "_control", lambda self, stream: "none")


@mutant("waits for a minute though a control shows that the order would be seen")
def heeds_no_control(patch: pytest.MonkeyPatch) -> None:
    judged = Proof._control

    def minute(self: Proof, stream: StreamHealth) -> str | None:
        self._controls.clear()
        return judged(self, StreamHealth())

    patch.setattr(Proof, "_control", minute)


@mutant("closes an order as soon as it is final, whatever trades are still to come")
def forgets_a_late_fill(patch: pytest.MonkeyPatch) -> None:
    closed = Ledger._closed

    def close(self: Ledger, order_id: int, quantity: Decimal, quote: Decimal) -> Any:
        self._executed = quantity
        return closed(self, order_id, quantity, quote)

    patch.setattr(Ledger, "_closed", close)


@mutant("lets a later word overwrite a final state")
def terminal_overwritten(patch: pytest.MonkeyPatch) -> None:
    def merge(self: Ledger, order: Any, reason: str | None) -> None:
        self._executed = order.executed_quantity
        self._final = order.status if order.status.final or self._final else None

    patch.setattr(Ledger, "_merge", merge)


@mutant("books a trade each time it is told of it")
def books_trades_twice(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Ledger, "has", lambda self, trade: False)


# Quantities and sending ---------------------------------------------------------------------------


@mutant("reserves nothing for orders that are open or unknown")
def no_reservation(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Execution, "open_child", property(lambda self: None))
    patch.setattr(Child, "committed", property(lambda self: self.executed))
    patch.setattr(Exposure, "committed", property(lambda self: ZERO))


@mutant("gives a quantity free when a cancel is sent, before the final state is read")
def cancel_frees_quantity(patch: pytest.MonkeyPatch) -> None:
    exposed, executed = Exposure.fold, Execution.fold

    def expose(self: Exposure, fact: Fact) -> None:
        exposed(self, fact)
        if isinstance(fact, ChildCancelRequested):
            self._end(fact.client_order_id, ZERO)

    def execute(self: Execution, fact: Fact, at: datetime) -> None:
        executed(self, fact, at)
        if isinstance(fact, ChildCancelRequested):
            self.children[fact.client_order_id].refused("cancelled")
            self.children[fact.client_order_id].open = False

    patch.setattr(Exposure, "fold", expose)
    patch.setattr(Execution, "fold", execute)


@mutant("sends orders again that were open when the process died")
def resends_after_crash(patch: pytest.MonkeyPatch) -> None:
    opened = ExchangeActor._open

    def reopen(self: Any) -> None:
        was = self._opened
        opened(self)
        if self._opened and not was:
            for intent in tuple(self._door.exposures.open_children()):
                timestamp = int(1000 * self.runtime.wall_time().timestamp())
                again = replace(intent, request_timestamp=timestamp)
                self._venue.tell(order_of(again, self._connected()))

    patch.setattr(ExchangeActor, "_open", reopen)


@mutant("sends an order and journals it then")
def sends_before_it_journals(patch: pytest.MonkeyPatch) -> None:
    appended = ExchangeActor.append

    def append(self: Any, *facts: Fact) -> None:
        for fact in facts:
            if isinstance(fact, ChildIntended) and not fact.adopted:
                self._venue.tell(order_of(fact, self._connected()))
        appended(self, *facts)

    patch.setattr(ExchangeActor, "append", append)
    patch.setattr(ExchangeActor, "_send", lambda self, intent: None)


@mutant("sends every order twice, to be sure")
def sends_twice(patch: pytest.MonkeyPatch) -> None:
    sent = ExchangeActor._send

    def send(self: Any, intent: ChildIntended) -> None:
        self._not_after.setdefault(intent.client_order_id, 1e9)
        sent(self, intent)
        self._not_after[intent.client_order_id] = 1e9
        sent(self, intent)

    patch.setattr(ExchangeActor, "_send", send)


@mutant("takes an order that was amended by hand for another one")
def disowns_the_amended(patch: pytest.MonkeyPatch) -> None:
    judged = contradiction

    def strict(intent: ChildIntended, order: OrderSnapshot) -> str | None:
        return "it is another" if order.quantity != intent.quantity else judged(intent, order)

    patch.setattr(watcher_module, "contradiction", strict)


@mutant("does not look at Retry-After")
def ignores_retry_after(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Budget, "forbid", lambda self, until, **kind: None)


@mutant("does not even note a Retry-After")
def overlooks_retry_after(patch: pytest.MonkeyPatch) -> None:
    learned = ExchangeActor._learn_limits

    def learn(self: Any, seen: LimitsSeen) -> None:
        learned(self, replace(seen, retry_at=None))

    patch.setattr(ExchangeActor, "_learn_limits", learn)
    refused = Attempt.refused
    patch.setattr(Attempt, "refused", lambda self, code, message, _until=None: refused(self, code, message))


@mutant("lets orders out in a halt")
def ignores_a_halt(patch: pytest.MonkeyPatch) -> None:
    shut = Door._shut

    def open_door(self: Door, now: float) -> Any:
        halted, readiness = self.halted, self.readiness
        self.halted = None
        self.readiness = Readiness.READY if readiness is Readiness.HALTED else readiness
        try:
            return shut(self, now)
        finally:
            self.halted, self.readiness = halted, readiness

    patch.setattr(Door, "_shut", open_door)


@mutant("begins an execution's count anew when its acceptance comes later than its first child")
def late_acceptance_resets(patch: pytest.MonkeyPatch) -> None:
    folded = Exposures.fold

    def fold(self: Exposures, fact: Fact) -> None:
        if isinstance(fact, SignalAccepted):
            self._executions.pop(fact.execution_id, None)
        folded(self, fact)

    patch.setattr(Exposures, "fold", fold)
    asks_once_more(patch)


def asks_once_more(patch: pytest.MonkeyPatch) -> None:
    """Ask for each child again when it was sent: exposure is the second wall, so one must be over the first."""
    placed, sent = ExchangeActor._place, ExchangeActor._send
    asked: dict[tuple[str, int, int], PlaceChild] = {}

    def place(self: Any, wish: PlaceChild) -> None:
        asked[wish.execution_id, wish.slice, wish.attempt] = wish
        placed(self, wish)

    def send(self: Any, intent: ChildIntended) -> None:
        sent(self, intent)
        wish = asked.pop((intent.execution_id, intent.slice, intent.attempt), None)
        exposure, child = self._door.exposures.get(intent.execution_id), intent.client_order_id
        if wish is None or exposure is None or intent.quantity < exposure.quantity:
            return
        if exposure.intent_of(child) is not None or not exposure.has_seen(child):  # Else it was not sent after all.
            placed(self, replace(wish, attempt=wish.attempt + 7))

    patch.setattr(ExchangeActor, "_place", place)
    patch.setattr(ExchangeActor, "_send", send)


@mutant("tells who takes up an execution again nothing of what its forerunner has just said")
def forgets_its_forerunner(patch: pytest.MonkeyPatch) -> None:
    followed = Journal._follow

    def follow(self: Journal, message: Any) -> None:
        of = message.execution_id
        if of in self._buffered:
            self._buffered[of] = [SignalAccepted]
        followed(self, message)

    patch.setattr(Journal, "_follow", follow)


# Signals, schedule and guards ---------------------------------------------------------------------


@mutant("answers a signal before the verdict is durable")
def verdict_before_commit(patch: pytest.MonkeyPatch) -> None:
    def append_and_answer(self: Any, fact: Fact, reply_to: Any, verdict: Any) -> Any:
        answers = appended(self, fact, reply_to, verdict)
        answers.due.remove((reply_to, verdict))
        self._answer(reply_to, verdict)
        return answers

    appended = SignalGate._append_and_answer
    patch.setattr(SignalGate, "_append_and_answer", append_and_answer)


@mutant("knows after a restart of no signal from before it")
def dedup_forgets_on_restart(patch: pytest.MonkeyPatch) -> None:
    folded = SignalGate.on_fact

    def fold(self: Any, fact: Fact, at: datetime) -> None:
        if isinstance(fact, SignalAccepted) and not self.caught_up:
            self._load.accept(fact)
        else:
            folded(self, fact, at)

    patch.setattr(SignalGate, "on_fact", fold)


@mutant("makes up for missed slots all at once")
def burst_after_a_stall(patch: pytest.MonkeyPatch) -> None:
    intended = Execution._fold_intent

    def fold_intent(self: Execution, intent: ChildIntended, at: datetime) -> None:
        intended(self, intent, at)
        self.last_interval = -1

    def due(self: Execution, plan: Any, now: datetime) -> Serve:
        end = slot_at(plan, slot_number(plan, now) + 1)
        return Serve(self.next_slot, end - timedelta(microseconds=1), end)

    patch.setattr(Execution, "_fold_intent", fold_intent)
    patch.setattr(Execution, "_due", due)


@mutant("takes a market that is old, far off or wide for a good one")
def guard_error_means_fine(patch: pytest.MonkeyPatch) -> None:
    def fine(quote: Quote | None, age: float, bounds: Bounds, usual_spread: Decimal | None = None) -> Breach | None:
        known = quote is not None and bounds.min_traded is None  # What is counted is no guard.
        return None if known else judge(quote, age, bounds, usual_spread)

    patch.setattr(market_watcher, "judge", fine)


@mutant("goes on after a restart without asking about the orders that were open")
def no_recovery(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(OrderWatcher, "_resume_watch", lambda self, child: None)


@mutant("uses the attempt before it once more, for a slot that failed")
def reuses_an_id(patch: pytest.MonkeyPatch) -> None:
    admitted = Exposure.has_seen
    patch.setattr(Execution, "next_attempt", lambda self, slot: 0)
    patch.setattr(Exposure, "has_seen", lambda self, child: admitted(self, child) and self.intent_of(child) is not None)


# The command line ---------------------------------------------------------------------------------


def main(arguments: Sequence[str] | None = None) -> int:
    """Say of each mutant in how many seeds it was caught, and by what; return how many were not."""
    parser = argparse.ArgumentParser(description="planted bugs, and how soon the campaign finds them")
    parser.add_argument("--most", type=int, default=MOST)
    parser.add_argument("names", nargs="*")
    given = parser.parse_args(arguments)
    logging.disable(logging.CRITICAL)
    missed = 0
    for one in MUTANTS:
        if given.names and one.name not in given.names:
            continue
        found = caught(one, most=given.most)
        missed += found is None
        said = f"NOT in {given.most}" if found is None else f"{found[0]:>4} seeds  {found[1].violations[0][:110]}"
        print(f"{one.name:<26} {said}", flush=True)
    return missed


if __name__ == "__main__":
    sys.exit(1 if main() else 0)
