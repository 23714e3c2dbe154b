"""What due children wait for, as those say who hold them up: each guard by its name, and nothing twice."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, get_args

import pytest

from actors.market_watcher import MarketSettings, MarketWatcher
from actors.runtime import Simulation
from messages.execution import AtTheMarket, Guard, Hindrance, WaitsFor
from messages.market import Await, Bounds, MarketGap, QuoteSeen, Timing, Unawait
from messages.signal import Side
from tests.factories import EXECUTION, D
from tests.probe import Probe

UNBOUNDED = Bounds(side=Side.BUY, arrival_price=D(42_000))


class Heard:
    """Whoever shows it; told directly, as the dashboard's figures are."""

    def __init__(self) -> None:
        self.messages: list[WaitsFor] = []

    def tell(self, message: WaitsFor, /) -> None:
        self.messages.append(message)

    def said(self) -> list[tuple[Hindrance | None, str]]:
        said = [(message.hindrance, message.detail) for message in self.messages]
        self.messages.clear()
        return said


class House:
    def __init__(self, simulation: Simulation) -> None:
        self.simulation, self.heard = simulation, Heard()
        self.waiter = Probe(simulation, "waiter")
        parent, venue = Probe(simulation, "parent"), Probe(simulation, "venue")
        self.watcher = MarketWatcher.start(
            parent.ref, "market", venue=venue.ref, settings=MarketSettings(), lookout=self.heard
        )
        self.generation = 0

    def tell(self, message: Any) -> None:
        self.watcher.tell(message)
        self.simulation.run(0.0)

    def wait(self, bounds: Bounds, **changes: Any) -> None:
        self.generation += 1
        self.tell(
            replace(
                Await(
                    key=(EXECUTION, self.generation),
                    symbol="BTCUSDT",
                    bounds=bounds,
                    deadline=self.simulation.now() + 10,
                    reply_to=self.waiter.ref,
                ),
                **changes,
            )
        )

    def quote(self, bid: Any = 41_999, ask: Any = 42_001, **changes: Any) -> None:
        fields: dict[str, Any] = {"bid_quantity": D(1), "ask_quantity": D(1), **changes}
        self.tell(QuoteSeen(symbol="BTCUSDT", bid=D(bid), ask=D(ask), **fields))


@pytest.fixture
def house(simulation: Simulation) -> House:
    return House(simulation)


def usual(house: House) -> None:
    for _ in range(10):
        house.simulation.run(1.0)
        house.quote(41_999, 42_001)
    house.quote(41_990, 42_010)


def counted(house: House) -> None:
    house.quote(traded=D(1))
    house.quote(traded=D("1.1"))


BOOK: dict[str, Any] = {"bids": ((D(41_999), D(1)),), "asks": ((D(42_001), D("0.5")),)}
GUARDS: dict[Guard, tuple[Callable[[House], object], dict[str, Any], str]] = {
    "spread": (lambda house: house.quote(41_800, 42_200), {"max_spread": D("0.005")}, "0.95%"),
    "usual spread": (usual, {"max_spread_multiple": D(3)}, "0.05%, usually 0.005%"),
    "deviation": (lambda house: house.quote(42_499, 42_501), {"max_deviation": D("0.01")}, "1.19%"),
    "age": (lambda house: house.tell(MarketGap(symbols=("BTCUSDT",))), {}, "no quote"),
    "limit price": (lambda house: house.quote(), {"limit_price": D(42_000)}, "ask 42001 above 42000"),
    "depth": (lambda house: house.quote(**BOOK), {"min_depth": D("1.2")}, "0.5 near the touch, 1.2 needed"),
    "participation": (
        counted,
        {"min_traded": D("0.5")},
        "the market has yet to trade 0.4",
    ),
}


def test_every_guard_of_the_market_is_tried_here() -> None:
    assert set(GUARDS) == set(get_args(Guard))
    names = {name for literal in get_args(AtTheMarket) for name in get_args(literal)}
    assert names - set(GUARDS) == {"timing", "fresh quote"}


@pytest.mark.parametrize("guard", GUARDS)
def test_a_guard_that_fails_is_told_by_name_and_figures_until_it_holds(house: House, guard: Guard) -> None:
    troubled, bounds, detail = GUARDS[guard]
    troubled(house)
    house.wait(replace(UNBOUNDED, **bounds))
    ((hindrance, said),) = house.heard.said()
    assert hindrance == guard
    assert said == detail
    house.quote(41_998, 41_999, asks=((D(41_999), D(9)),), bids=((D(41_998), D(9)),), traded=D(2))
    assert house.heard.said() == [(None, "")]


def test_what_stays_as_it_is_is_told_once_and_new_figures_anew(house: House) -> None:
    house.quote(41_800, 42_200)
    house.wait(replace(UNBOUNDED, max_spread=D("0.005")))
    house.quote(41_800, 42_200)
    house.quote(41_700, 42_300)
    assert house.heard.said() == [("spread", "0.95%"), ("spread", "1.43%")]


def test_a_guard_that_fails_at_its_deadline_is_still_what_was_waited_for_until_the_next_question(
    house: House,
) -> None:
    house.quote(41_800, 42_200)
    bounds = replace(UNBOUNDED, max_spread=D("0.005"))
    house.wait(bounds)
    house.simulation.run(11.0)
    assert house.heard.said() == [("spread", "0.95%")]
    house.wait(bounds)
    assert house.heard.said() == []
    house.quote()
    assert house.heard.said() == [(None, "")]


def test_whoever_waits_no_more_is_taken_back(house: House) -> None:
    house.quote(41_800, 42_200)
    house.wait(replace(UNBOUNDED, max_spread=D("0.005")))
    house.tell(Unawait(key=(EXECUTION, house.generation)))
    assert house.heard.said() == [("spread", "0.95%"), (None, "")]


def test_pressure_and_a_fresh_quote_are_told_apart_from_guards(house: House) -> None:
    house.quote(bid_quantity=D(1), ask_quantity=D(9))  # Nothing presses a buy up.
    soon = house.simulation.now() + 5
    house.simulation.run(0.1)
    house.wait(UNBOUNDED, timing=Timing(until=soon))
    house.wait(UNBOUNDED, fresh_until=soon)
    assert [hindrance for hindrance, _ in house.heard.said()] == ["timing", "fresh quote"]


def test_a_child_that_rests_while_its_bounds_hold_waits_for_nothing(house: House) -> None:
    house.quote()
    house.wait(UNBOUNDED, until_broken=True)
    house.quote(41_990, 42_010)
    assert house.heard.said() == []


def test_nothing_is_told_where_nobody_listens(simulation: Simulation) -> None:
    parent, venue, waiter = (Probe(simulation, name) for name in ("parent", "venue", "waiter"))
    watcher = MarketWatcher.start(parent.ref, "market", venue=venue.ref, settings=MarketSettings())
    bounds = replace(UNBOUNDED, max_spread=D("0.005"))
    watcher.tell(Await(key=(EXECUTION, 1), symbol="BTCUSDT", bounds=bounds, deadline=1.0, reply_to=waiter.ref))
    simulation.run(2.0)
    assert len(waiter.messages()) == 1
