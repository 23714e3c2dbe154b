"""Children of kind `auto`: the market's choice between resting and taking, in virtual time."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from actors.runtime import Simulation
from messages.execution import ChildOutcome, StopReason
from messages.facts import ChildIntended, ExecutionPlanned
from messages.market import Await, Choice, MakerTerms, Timing, Unawait
from messages.order import CancelChild, PlaceChild
from messages.signal import TwapOptions
from tests.actors.twap.stage import Stage
from tests.factories import D, a_signal, an_accepted, rules

PAYS = Choice(rests=True, adverse_bps=D("1.5"), gain_bps=D("0.4"))
COSTS = Choice(rests=False, adverse_bps=D("1.5"), gain_bps=D("-1.1"))
UNKNOWN = Choice(rests=False, adverse_bps=None, gain_bps=None)


def chosen(stage: Stage, choice: Choice, **changes: Any) -> PlaceChild:
    return stage.placed(choice=choice, **changes)


def test_the_market_chooses_between_a_fresh_post_and_a_timed_taker(simulation: Simulation) -> None:
    await_ = Stage(simulation, child="auto", fee_gap_bps=D(2)).asked()
    assert (await_.timing, await_.fresh_until) == (Timing(until=24.0), 0.5)
    assert await_.maker == MakerTerms(rest_seconds=24.0, fee_gap_bps=D(2))


def test_where_it_pays_the_child_rests_and_its_figures_are_kept(simulation: Simulation) -> None:
    stage = Stage(simulation, child="auto")
    place = chosen(stage, PAYS)
    assert (place.order_type, place.rest_seconds, place.choice) == ("LIMIT_MAKER", D(24), PAYS)
    intent = replace(stage.rest(place))
    assert stage.asked().until_broken
    simulation.run(24.0)
    assert stage.exchange.expect(CancelChild, within=0.0).client_order_id == intent.client_order_id


@pytest.mark.parametrize("choice", [COSTS, UNKNOWN])
def test_where_it_does_not_or_nobody_knows_the_child_takes(simulation: Simulation, choice: Choice) -> None:
    place = chosen(Stage(simulation, child="auto"), choice, timed=3.0, fit_mid=D(42_001))
    assert (place.order_type, place.time_in_force, place.rest_seconds) == ("LIMIT", "IOC", None)
    assert (place.choice, place.timed_seconds) == (choice, D(3))


def test_what_is_left_of_a_child_that_rested_crosses_without_a_new_choice(simulation: Simulation) -> None:
    stage = Stage(simulation, child="auto")
    intent = stage.rest(chosen(stage, PAYS))
    assert stage.asked().until_broken
    simulation.run(24.0)
    stage.close(intent, D(0), ChildOutcome.TIMEOUT, status="CANCELED")
    stage.market.messages()
    simulation.run(0.0)
    assert stage.state.next_slot == 1
    awaits = [message for message in stage.market.messages() if isinstance(message, Await)]
    assert all((one.maker, one.timing) == (None, None) for one in awaits)


def test_the_choice_is_in_the_journal_and_in_the_report(simulation: Simulation) -> None:
    stage = Stage(simulation, an_accepted(signal=a_signal(twap=TwapOptions(num_chunks=1, child="auto"))))
    intent: ChildIntended = stage.rest(chosen(stage, PAYS))
    assert stage.asked().until_broken
    stage.trade(intent, intent.quantity, maker=True)
    stage.close(intent, intent.quantity, ChildOutcome.FILLED)
    stage.market.expect(Unawait, within=0.0)
    report = stage.ended(StopReason.COMPLETED).report
    assert (report.children_rested, report.maker_filled) == (1, D("0.5"))
    assert [(one.order_type, one.adverse_bps, one.gain_bps) for one in report.orders] == [
        ("LIMIT_MAKER", D("1.5"), D("0.4"))
    ]


@pytest.mark.parametrize(
    ("maker", "taker", "gap"), [("0.0002", "0.0010", "8"), ("0.001", "0.001", "0"), (None, None, "3")]
)
def test_the_fee_gap_is_the_accounts_where_it_is_known(
    simulation: Simulation, maker: str | None, taker: str | None, gap: str
) -> None:
    fees: dict[str, Decimal | None] = {"maker_fee": maker and D(maker), "taker_fee": taker and D(taker)}  # type: ignore[dict-item]
    stage = Stage(simulation, venue_rules=rules(**fees), child="auto", fee_gap_bps=D(3))
    stage.asked()
    (planned,) = [fact for fact in stage.journal.facts if isinstance(fact, ExecutionPlanned)]
    assert planned.plan.fee_gap_bps == D(gap)
