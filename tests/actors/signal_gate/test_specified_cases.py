"""The cases of duplicates that the specification names, on the whole gate."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from actors.runtime import EPOCH, Simulation
from messages.facts import SignalAccepted, SignalConflict
from messages.market import BalancesChanged, RulesChanged
from messages.signal import Reason, Side, Status, Verdict
from tests.actors.signal_gate.house import ROOMY, House, fresh
from tests.factories import a_closed, rules

D = Decimal


class Day:
    """A gate on one day, to which signals come at times of that day."""

    def __init__(self, simulation: Simulation) -> None:
        self.simulation = simulation
        self.house = House(simulation, settings=replace(ROOMY, symbols=("BTCUSDT", "ETHUSDT")))
        self.house.push(RulesChanged(rules=rules(symbol="ETHUSDT", base="ETH")))
        self.house.push(BalancesChanged(free=(("USDT", D(10**7)), ("BTC", D(100)), ("ETH", D(100)))))

    def until(self, time: str) -> None:
        hours, minutes, seconds = time.split(":")
        at = timedelta(hours=int(hours), minutes=int(minutes), seconds=float(seconds))
        self.simulation.run((EPOCH + at - self.simulation.wall_time()).total_seconds())

    def at(self, time: str, **changes: Any) -> Verdict:
        self.until(time)
        for symbol in ("BTCUSDT", "ETHUSDT"):
            self.house.quote(42_149, 42_151, symbol=symbol)
        return self.house.verdict(fresh(**{"id": None, "price": D("42150.0"), **changes}))

    def close(self, time: str, children: int = 5) -> None:
        self.until(time)
        fact = self.house.journal.last(SignalAccepted)
        self.house.journal.commit(a_closed(execution_id=fact.execution_id, key=fact.key, children=children))

    @property
    def executions(self) -> int:
        return len(self.house.journal.of(SignalAccepted))


@pytest.fixture
def day(simulation: Simulation) -> Day:
    return Day(simulation)


def test_17_00_then_17_01_then_17_02_is_one_execution(day: Day) -> None:
    statuses = [day.at(time).status for time in ("17:00:00", "17:01:00", "17:02:00")]
    assert statuses == [Status.ACCEPTED, Status.DUPLICATE, Status.DUPLICATE]
    assert day.executions == 1


def test_42150_0_then_42149_0_ninety_seconds_later_is_a_duplicate(day: Day) -> None:
    first = day.at("17:00:00", price=D("42150.0"))
    again = day.at("17:01:30", price=D("42149.0"))
    assert (again.status, again.duplicate_of) == (Status.DUPLICATE, first.execution_id)


def test_17_04_59_then_17_05_01_is_a_duplicate_though_the_label_is_another(day: Day) -> None:
    first, again = day.at("17:04:59"), day.at("17:05:01")
    assert again.status is Status.DUPLICATE
    assert (first.label, again.label) == ("BTCUSDT_BUY_42150_17:00", "BTCUSDT_BUY_42150_17:05")


def test_after_the_window_the_same_signal_is_new(day: Day) -> None:
    day.at("17:00:00")
    day.close("17:02:00")
    assert day.at("17:11:59").status is Status.DUPLICATE
    assert day.at("17:12:00").status is Status.ACCEPTED
    assert day.executions == 2


@pytest.mark.parametrize("change", [{"symbol": "ETHUSDT"}, {"side": Side.SELL}, {"account": "other"}])
def test_another_symbol_side_or_account_is_new(day: Day, change: dict[str, Any]) -> None:
    day.at("17:00:00")
    assert day.at("17:00:01", **change).status is Status.ACCEPTED


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"quantity": D("0.6")}, "quantity"),
        ({"side": Side.SELL}, "side"),
        ({"symbol": "ETHUSDT"}, "symbol"),
        ({"account": "other"}, "account"),
        ({"limit_price": D(43_000)}, "limit_price"),
    ],
)
def test_an_id_that_comes_again_with_other_content_is_a_conflict(day: Day, change: dict[str, Any], field: str) -> None:
    first = day.at("17:00:00", id="x")
    verdict = day.at("17:00:01", id="x", **change)
    assert (verdict.status, verdict.reason) == (Status.CONFLICT, Reason.CONFLICT)
    assert verdict.duplicate_of == first.execution_id
    assert day.house.journal.last(SignalConflict).differing == (field,)
    assert day.executions == 1


@pytest.mark.parametrize(("time", "status"), [("17:12:00.999", Status.DUPLICATE), ("17:12:01.001", Status.ACCEPTED)])
def test_at_the_ttl_less_and_plus_a_millisecond(day: Day, time: str, status: Status) -> None:
    day.at("17:00:00")
    day.close("17:02:01")
    assert day.at(time).status is status


def test_so_it_is_after_a_restart(day: Day) -> None:
    first = day.at("17:00:00")
    day.close("17:02:01")
    day.house.restart()
    again = day.at("17:12:00.999")
    assert (again.status, again.duplicate_of, again.first_seen) == (
        Status.DUPLICATE,
        first.execution_id,
        EPOCH + timedelta(hours=17),
    )
    day.house.restart()
    assert day.at("17:12:01.001").status is Status.ACCEPTED


def test_an_execution_that_sent_nothing_frees_its_signal(day: Day) -> None:
    day.at("17:00:00", id="x")
    day.close("17:01:00", children=0)
    assert day.at("17:01:01", id="x").status is Status.ACCEPTED
