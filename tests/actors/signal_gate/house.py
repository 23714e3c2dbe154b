"""A gate with everything around it, for its tests."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pykka

from actors.runtime import Runtime
from actors.signal_gate.actor import SignalGate
from actors.signal_gate.settings import GateSettings
from actors.supervision import Child, ChildStopped
from actors.twap.settings import TwapSettings
from messages.control import ActorReady, Readiness, ReadinessChanged
from messages.facts import Fact
from messages.market import BalancesChanged, QuoteChanged, RulesChanged
from messages.signal import Signal, SignalReceived, Verdict
from tests.factories import a_quote, a_signal, rules
from tests.journal_stub import JournalStub
from tests.probe import Probe

D = Decimal
ROOMY = GateSettings(
    opposite_signals="both",
    max_notional=D(10**9),
    max_open_notional_per_symbol=None,
    max_daily_notional=None,
    max_executions=None,
    max_executions_per_symbol=None,
)
READY = ReadinessChanged(Readiness.READY)


class Worker(Child):
    """Stands in for the actor of an execution: tells a probe what it is given."""

    observer: Any = None
    broken = False

    def __init__(self, parent: Any, name: Any, **given: Any) -> None:
        super().__init__(parent, name)
        if self.broken:
            raise ValueError("cannot be made")
        self.given = given

    def begin(self) -> None:
        self.observer.tell(("started", self.name, self.given))

    def on_receive(self, message: Any) -> None:
        if message == "fail":
            raise ArithmeticError("of a worker")
        if message == "stop":
            self.stop()
        self.observer.tell((self.name, message))


class House:
    """A gate with everything around it."""

    def __init__(self, runtime: Runtime, *old: Fact, settings: GateSettings = ROOMY, ready: bool = True) -> None:
        self.runtime: Any = runtime
        self.parent, self.exchange, self.market = Probe(runtime), Probe(runtime), Probe(runtime)
        self.workers, self.sender = Probe(runtime), Probe(runtime)
        self.settings = settings
        self.journal = JournalStub.begun(*old)
        self.worker: type[Worker] = type("Worker", (Worker,), {"observer": self.workers.ref})
        self.gate = self._start()
        if ready:
            self.push_all()

    def _start(self) -> pykka.ActorRef[SignalGate]:
        gate: pykka.ActorRef[SignalGate] = SignalGate.start(
            self.parent.ref,
            "signal_gate",
            journal=self.journal.actor_ref,
            exchange=self.exchange.ref,
            market=self.market.ref,
            settings=self.settings,
            twap=TwapSettings(),
            executor=self.worker,
        )
        self.parent.expect(ActorReady("signal_gate"))
        return gate

    def restart(self) -> None:
        """End the gate and its workers without a word, and start it again on the same journal."""
        self.gate.stop(block=False)
        self.parent.fish_for(lambda message: isinstance(message, ChildStopped))
        self.gate = self._start()
        self.push_all()

    def push_all(self) -> None:
        self.push(RulesChanged(rules=rules()), BalancesChanged(free=(("USDT", D(10**7)), ("BTC", D(100)))), READY)
        self.quote()

    def push(self, *messages: Any) -> None:
        for message in messages:
            self.gate.tell(message)

    def quote(self, bid: Any = 41_999, ask: Any = 42_001, **changes: Any) -> None:
        self.push(QuoteChanged(quote=a_quote(bid, ask, seen_at=self.runtime.now(), **changes)))

    def send(self, signal: Signal) -> None:
        self.gate.tell(SignalReceived(signal, reply_to=self.sender.ref))

    def verdict(self, signal: Signal) -> Verdict:
        self.send(signal)
        return self.sender.expect(Verdict)

    def actor(self) -> SignalGate:
        actor = self.gate._actor_weakref()
        assert actor is not None
        return actor


def fresh(**changes: Any) -> Signal:
    """A signal without a timestamp: virtual time has its own calendar."""
    return a_signal(**{"timestamp": None, **changes})
