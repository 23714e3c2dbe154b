"""The whole gate, over long random courses of events with restarts, against a model of ten lines."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.runtime import Simulation
from adapters.storage.memory import MemoryStore
from messages.facts import SignalAccepted
from messages.market import BalancesChanged, RulesChanged
from messages.signal import Side, Signal
from tests.actors.signal_gate.house import ROOMY, House, fresh
from tests.examples import examples
from tests.factories import a_closed, rules

D = Decimal
MS = timedelta(milliseconds=1)
TTL, RETENTION, TOLERANCE = timedelta(seconds=600), timedelta(days=7), D("0.001")
SYMBOLS = {"BTCUSDT": "BTC", "ETHUSDT": "ETH"}


# The model --------------------------------------------------------------------------------------------


@dataclass
class Past:
    signal: Signal
    price: Decimal
    at: datetime
    execution_id: str
    key: str
    closed_at: datetime | None = None


def expected(past: list[Past], signal: Signal, now: datetime, mid: Decimal) -> tuple[str, set[str]]:
    """What the rules say, by looking at everything that was ever accepted and not freed."""
    price = signal.price or mid
    same = [p for p in past if signal.id and name(p.signal) == name(signal) and now < p.at + RETENTION]
    if same:
        return ("duplicate" if same[0].signal == replace(signal, price=same[0].signal.price) else "conflict"), ids(same)
    if signal.quantity == TINY:
        return "rejected", set()
    held = [p for p in past if p.closed_at is None or now < p.closed_at + TTL]
    near = [p for p in held if way(p.signal) == way(signal) and abs(price - p.price) <= p.price * TOLERANCE]
    return ("duplicate", ids(near)) if near and signal.id is None else ("accepted", set())


def name(signal: Signal) -> tuple[str, str | None]:
    return signal.source, signal.id


def way(signal: Signal) -> tuple[str, str, Side]:
    return signal.account, signal.symbol, signal.side


def ids(past: list[Past]) -> set[str]:
    return {one.execution_id for one in past}


# The gate beside it -----------------------------------------------------------------------------------

TINY = D("0.000001")


class Course:
    """A gate and the model, to which the same things happen."""

    def __init__(self, simulation: Simulation) -> None:
        self.simulation, self.mid = simulation, D(10_000)
        self.house = House(simulation, settings=replace(ROOMY, symbols=tuple(SYMBOLS)))
        self.past: list[Past] = []
        self.accepted = 0
        self.push()

    def push(self) -> None:
        for symbol, base in SYMBOLS.items():
            self.house.push(RulesChanged(rules=rules(symbol=symbol, base=base)))
        self.house.push(BalancesChanged(free=tuple((asset, D(10**9)) for asset in ("USDT", *SYMBOLS.values()))))

    def now(self) -> datetime:
        """Tell the time as the gate has it: moments of acceptance differ, so it may be a microsecond ahead."""
        return max([self.simulation.wall_time(), *(one.at for one in self.past)])

    def arrive(self, signal: Signal) -> None:
        now = self.now()
        for symbol in SYMBOLS:
            self.house.quote(self.mid - 1, self.mid + 1, symbol=symbol)
        status, among = expected(self.past, signal, now, self.mid)
        verdict = self.house.verdict(signal)
        assert verdict.status.value == status, (verdict, signal, now)
        if status == "accepted":
            self.accepted += 1
            fact = self.house.journal.last(SignalAccepted)
            assert verdict.execution_id == fact.execution_id
            self.past.append(Past(signal, fact.reference_price, fact.accepted_at, fact.execution_id, fact.key))
        elif among:
            assert verdict.duplicate_of in among
            assert verdict.first_seen in {one.at for one in self.past if one.execution_id == verdict.duplicate_of}

    def close(self, which: int, children: int) -> None:
        running = [one for one in self.past if one.closed_at is None]
        if running:
            one = running[which % len(running)]
            self.house.journal.commit(a_closed(execution_id=one.execution_id, key=one.key, children=children))
            self.simulation.run(0)
            one.closed_at = self.now()
            if not children:
                self.past.remove(one)

    def restart(self) -> None:
        self.house.restart()
        self.push()

    def check(self) -> None:
        """One execution for each accepted signal, and the store, the last wall, would have taken it all."""
        facts = self.house.journal.of(SignalAccepted)
        assert len(facts) == len({fact.execution_id for fact in facts}) == self.accepted
        MemoryStore().append(self.house.journal.committed)
        started = [message[1] for message in self.house.workers.messages() if message[0] == "started"]
        assert set(started) <= {fact.execution_id for fact in facts}


Step = tuple[str, Any, Any]
arrivals = st.tuples(
    st.just("arrive"),
    st.builds(
        lambda id_, source, account, symbol, side, price, quantity: fresh(
            id=id_,
            source=source,
            account=account,
            symbol=symbol,
            side=side,
            price=None if price is None else D(price),
            quantity=D(quantity),
        ),
        st.sampled_from([None, None, "a", "b"]),
        st.sampled_from(["s", "s", "t"]),
        st.sampled_from(["main", "main", "other"]),
        st.sampled_from(["BTCUSDT", "BTCUSDT", "ETHUSDT"]),
        st.sampled_from(list(Side)),
        st.one_of(st.none(), st.integers(9_985, 10_035)),
        st.sampled_from(["1", "1", "1", "2", str(TINY)]),
    ),
    st.none(),
)
pauses = st.sampled_from([0.0, 0.001, 1.0, 299.999, 300.0, 599.999, 600.0, 600.001, 86_400.0, 7 * 86_400 - 0.001])
steps: st.SearchStrategy[Step] = st.one_of(
    arrivals,
    arrivals,
    arrivals,
    st.tuples(st.just("wait"), pauses, st.none()),
    st.tuples(st.just("close"), st.integers(0, 5), st.sampled_from([0, 1, 5])),
    st.tuples(st.just("move"), st.integers(9_990, 10_030), st.none()),
    st.tuples(st.just("restart"), st.none(), st.none()),
)


def take(course: Course, step: Step) -> None:
    match step:
        case ("arrive", signal, _):
            course.arrive(signal)
        case ("wait", seconds, _):
            course.simulation.run(seconds)
        case ("close", which, children):
            course.close(which, children)
        case ("move", mid, _):
            course.mid = D(mid)
        case _:
            course.restart()


@settings(max_examples=examples(42))
@given(st.lists(steps, max_size=60), st.integers(0, 2**32))
def test_any_course_of_events_gets_the_models_verdicts_and_one_execution_for_each_accepted_signal(
    course: list[Step], seed: int
) -> None:
    with Simulation(seed) as simulation:
        gate = Course(simulation)
        for step in course:
            take(gate, step)
        gate.check()


@pytest.mark.seeds(default=3)
def test_so_does_a_long_one(seed: int) -> None:
    chance = random.Random(seed)
    with Simulation(seed) as simulation:
        gate = Course(simulation)
        for _ in range(600):
            kind = chance.choices(["arrive", "wait", "close", "move", "restart"], [12, 5, 4, 2, 1])[0]
            if kind == "arrive":
                signal = fresh(
                    id=chance.choice([None, None, "a", "b", "c", "d"]),
                    side=chance.choice(list(Side)),
                    price=chance.choice([None, D(chance.randint(9_985, 10_035))]),
                    quantity=D(chance.choice([1, 1, 1, 2])),
                )
                gate.arrive(signal)
            elif kind == "wait":
                gate.simulation.run(chance.choice([0.001, 1, 30, 299.999, 599.999, 600, 3_600, 86_400]))
            else:
                take(gate, (kind, chance.randint(9_990, 10_030), chance.choice([0, 1])))
        gate.check()
