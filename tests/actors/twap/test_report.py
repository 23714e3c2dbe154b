"""The report: sums, measures and their signs, the same for both sides."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.twap.execution import Close
from actors.twap.report import MidIntegral, report_of
from messages.execution import ChildOutcome, ExecutionReport, StopReason
from messages.facts import ChildAbsent, ChildNotSent, ChildRefused, ChildUnknown, Fact
from messages.signal import Side
from tests.actors.twap.world import World, after
from tests.factories import EXECUTION, NOW, D, a_quote, a_signal, an_accepted, an_acknowledged

COMPLETED = Close(StopReason.COMPLETED)
TINY = D("1e-9")


def report(
    world: World, close: Close = COMPLETED, seconds: float = 120, mid: MidIntegral | None = None
) -> ExecutionReport:
    return report_of(world.execution, close, after(seconds), mid or MidIntegral())


def a_sold(price: Decimal | None = None) -> World:
    accepted = an_accepted(side=Side.SELL, signal=a_signal(side=Side.SELL, price=price))
    return World(accepted)


# Sums ---------------------------------------------------------------------------------------------


def test_a_report_carries_every_figure_of_a_filled_execution() -> None:
    world = World()
    for slot in range(5):
        name = world.intend(slot, "0.1", 30 * slot)
        world.trade(name, "0.1", price=D(42_010 + 10 * slot), commission=D("4.2"), commission_asset="USDT")
        world.close(name, polls=slot)
    made = report(world)

    assert (made.symbol, made.side, made.quantity) == ("BTCUSDT", Side.BUY, D("0.5"))
    assert (made.total_filled, made.filled_quote, made.average_price) == (D("0.5"), D(21_015), D(42_030))
    assert (made.arrival_price, made.arrival_slippage_bps) == (D(42_000), D(30) / D(42_000) * 10_000)
    assert made.slippage_percent == D(30) / D(42_000) * 100
    assert made.total_fees == (("USDT", D(21)),)
    assert made.fees_bps == 10
    assert (made.started_at, made.ended_at) == (NOW, NOW + timedelta(seconds=120))
    assert made.execution_time_seconds == 120
    assert not made.stopped_early
    assert made.stop_reason == "COMPLETED"
    assert (made.chunks_executed, made.total_chunks, made.children_sent) == (5, 5, 5)
    assert [order.polls for order in made.orders] == [0, 1, 2, 3, 4]
    assert all(order.outcome is ChildOutcome.FILLED for order in made.orders)


def test_average_price_from_price() -> None:
    """A price that the venue tells for the order is never looked at: trades make the average."""
    world = World()
    name = world.intend(0, "0.1", 0, order_type="MARKET", time_in_force=None, limit_price=None)
    world.trade(name, "0.04", price=D(42_000))
    world.trade(name, "0.06", price=D(42_100))
    world.close(name, executed_quote=D(0))
    made = report(world)
    assert made.average_price == D(42_060)
    assert made.orders[0].average_price == D(42_060)


def test_fees_are_summed_per_asset() -> None:
    world = World()
    one, two = world.intend(0, "0.1", 0), world.intend(1, "0.1", 30)
    world.trade(one, "0.05", commission=D("0.00005"), commission_asset="BTC")
    world.trade(one, "0.05", commission=D("0.002"), commission_asset="BNB")
    world.trade(two, "0.1", commission=D("0.003"), commission_asset="BNB")
    made = report(world)
    assert made.total_fees == (("BTC", D("0.00005")), ("BNB", D("0.005")))
    assert made.orders[0].fees == (("BTC", D("0.00005")), ("BNB", D("0.002")))


def test_fees_read_from_a_status_reply() -> None:
    """Fees come from trades alone: the end of a child, however told, has none."""
    world = World()
    name = world.intend(0, "0.1", 0)
    world.close(name, executed_quantity=D("0.1"), executed_quote=D(4_200))
    assert report(world).total_fees == ()


def test_fees_in_base_are_valued_at_the_fills_own_price() -> None:
    world = World()
    world.trade(world.intend(0, "0.1", 0), "0.1", price=D(42_420), commission=D("0.0001"), commission_asset="BTC")
    assert report(world).fees_bps == D("0.0001") * 42_420 / (42_000 * D("0.1")) * 10_000


def test_fees_in_a_third_asset_have_no_figure_in_bps() -> None:
    world = World()
    name = world.intend(0, "0.1", 0)
    world.trade(name, "0.05", commission=D("0.001"), commission_asset="BNB")
    world.trade(name, "0.05", commission=D(2), commission_asset="USDT")
    assert report(world).fees_bps is None


def test_a_third_asset_that_took_nothing_does_not_matter() -> None:
    world = World()
    world.trade(world.intend(0, "0.1", 0), "0.1", commission=D(0), commission_asset="BNB")
    assert report(world).fees_bps == 0


def test_nothing_filled_has_no_prices_and_no_measures() -> None:
    made = report(World(), Close(StopReason.STALE_MARKET, "no quote"))
    assert (made.total_filled, made.filled_quote, made.average_price) == (D(0), D(0), None)
    assert (made.arrival_slippage_bps, made.interval_twap_bps, made.slippage_percent) == (None, None, None)
    assert made.fees_bps is None
    assert (made.chunks_executed, made.total_chunks, made.children_sent) == (0, 5, 0)


def test_slippage_against_the_signals_price_needs_one() -> None:
    world = World(an_accepted(signal=a_signal(price=None)))
    world.fill(0, "0.1", 0)
    assert report(world).slippage_percent is None


def test_an_early_stop_has_its_reason_and_figures() -> None:
    made = report(World(), Close(StopReason.PRICE_DEVIATION, "1.19%"))
    assert made.stopped_early
    assert made.stop_reason == "PRICE_DEVIATION: 1.19%"


def test_each_child_is_reported_in_the_four_words() -> None:
    world = World()
    world.fill(0, "0.1", 0)
    world.fill(1, "0.1", 30, filled="0.03")
    refused = world.intend(2, "0.1", 60)
    world.add(
        ChildRefused(execution_id=EXECUTION, client_order_id=refused, symbol="BTCUSDT", code=-1021, message="too late"),
        after(60),
    )
    late = world.intend(3, "0.1", 90)
    world.trade(late, "0.01")
    world.close(late, ChildOutcome.TIMEOUT, polls=14, failure_reason="no end within 30 s")
    held = world.intend(4, "0.1", 120)
    world.add(
        ChildNotSent(execution_id=EXECUTION, client_order_id=held, reason="HALTED", detail="", source="exchange_actor"),
        after(120),
    )
    orders = report(world).orders
    assert [order.outcome for order in orders] == [
        ChildOutcome.FILLED,
        ChildOutcome.PARTIAL,
        ChildOutcome.FAILED,
        ChildOutcome.TIMEOUT,
        ChildOutcome.FAILED,
    ]
    assert [order.failure_reason for order in orders[2:]] == ["-1021: too late", "no end within 30 s", "HALTED"]
    assert orders[3].polls == 14
    assert orders[3].executed_quantity == D("0.01")
    assert report(world).children_sent == 4
    assert report(world).chunks_executed == 3


def test_extra_slots_that_were_used_count_as_chunks() -> None:
    world = World()
    for slot in range(5):
        world.fill(slot, "0.1", 30 * slot, filled="0.09")
    world.fill(5, "0.05", 150)
    made = report(world)
    assert (made.chunks_executed, made.total_chunks) == (6, 6)


def test_fees_in_bnb_are_valued_at_its_mid_when_the_child_was_sent() -> None:
    world = World()
    name = world.intend(0, "0.1", 0, fee_mid=D(600))
    world.trade(name, "0.1", commission=D("0.007"), commission_asset="BNB")
    made = report(world)
    assert made.total_fees == (("BNB", D("0.007")),)
    assert made.fees_quote == D("4.2")
    assert made.fees_bps == 10


def test_fees_in_an_asset_of_unknown_price_are_not_valued() -> None:
    world = World()
    name = world.intend(0, "0.1", 0, fee_mid=D(600))
    world.trade(name, "0.1", commission=D("0.007"), commission_asset="ETH")
    made = report(world)
    assert (made.total_fees, made.fees_quote, made.fees_bps) == ((("ETH", D("0.007")),), None, None)


# The time-weighted mid ----------------------------------------------------------------------------


def running(integral: int, seconds: int) -> MidIntegral:
    mid = MidIntegral()
    mid.see(a_quote(integral=D(5), integral_seconds=D(1)))
    mid.see(a_quote(integral=D(5 + integral), integral_seconds=D(1 + seconds)))
    return mid


def test_the_time_weighted_mid_is_counted_from_the_first_look() -> None:
    world = World()
    world.fill(0, "0.1", 0)
    made = report(world, mid=running(4_190_000, 100))
    assert made.interval_twap_price == 41_900
    assert made.interval_twap_bps == D(100) / 41_900 * 10_000


def test_the_time_weighted_mid_goes_on_from_what_was_journalled() -> None:
    mid = MidIntegral(D(420_000), D(10))
    mid.see(a_quote(integral=D(7), integral_seconds=D(1)))
    assert (mid.integral, mid.seconds) == (D(420_000), D(10))
    mid.see(a_quote(integral=D(43_007), integral_seconds=D(2)))
    assert (mid.integral, mid.seconds) == (D(463_000), D(11))


def test_a_market_that_starts_anew_adds_nothing_by_itself() -> None:
    mid = running(420_000, 10)
    mid.see(a_quote(integral=D(84_000), integral_seconds=D(2)))
    assert (mid.integral, mid.seconds) == (D(420_000), D(10))
    mid.see(a_quote(integral=D(126_000), integral_seconds=D(3)))
    assert (mid.integral, mid.seconds) == (D(462_000), D(11))


# The parts of a cost ------------------------------------------------------------------------------


def test_a_cost_is_taken_apart_into_drift_spread_and_walk() -> None:
    """Arrival 42,000; sent at 42,009 / 42,011; bought at 42,011 and 42,013."""
    world = World()
    name = world.intend(0, "0.1", 0, bid=D(42_009), ask=D(42_011))
    world.trade(name, "0.05", price=D(42_011))
    world.trade(name, "0.05", price=D(42_013))
    made = report(world)
    unit = D(42_000) / 10_000
    assert (made.delay_bps, made.drift_bps) == (10 / unit, 10 / unit)
    assert (made.spread_bps, made.walk_bps) == (1 / unit, 1 / unit)
    assert made.arrival_slippage_bps == 12 / unit
    assert made.effective_spread_bps == 4 / unit
    order = made.orders[0]
    assert (order.mid_at_send, order.touch_at_send) == (D(42_010), D(42_011))
    assert (order.drift_bps, order.spread_bps) == (10 / unit, D(1) / 42_010 * 10_000)
    assert order.walk_bps == order.spread_bps


def test_what_was_made_has_a_spread_that_it_earned_and_no_walk() -> None:
    world = World(an_accepted(side=Side.SELL, signal=a_signal(side=Side.SELL)))
    name = world.intend(0, "0.1", 0, side=Side.SELL)
    world.trade(name, "0.06", price=D(42_001), maker=True)
    world.trade(name, "0.04", price=D(41_999))
    made = report(world)
    unit = D(42_000) / 10_000
    assert (made.drift_bps, made.walk_bps) == (D(0), D(0))
    assert made.spread_bps == made.arrival_slippage_bps == D("-0.2") / unit
    assert made.effective_spread_bps == 2 * D("1") / unit
    assert made.orders[0].maker_quantity == D("0.06")


def test_what_was_not_filled_costs_what_the_market_moved_to_the_end() -> None:
    world = World()
    world.trade(world.intend(0, "0.1", 0), "0.1", price=D(42_042), commission=D("4.2"), commission_asset="USDT")
    mid = MidIntegral()
    mid.see(a_quote(42_083, 42_085))
    made = report(world, Close(StopReason.PRICE_DEVIATION), mid=mid)
    assert made.end_price == 42_084
    assert made.opportunity_bps == 20 * D("0.8")
    assert made.total_shortfall_bps == (10 + 10) * D("0.2") + 16


def test_a_shortfall_needs_every_part_that_there_is() -> None:
    half = World()
    half.fill(0, "0.1", 0)
    assert report(half).opportunity_bps is None
    assert report(half).total_shortfall_bps is None
    unpriced = World()
    for slot in range(5):
        name = unpriced.intend(slot, "0.1", 30 * slot)
        unpriced.trade(name, "0.1", commission=D(1), commission_asset="BNB")
    assert report(unpriced).opportunity_bps == 0
    assert report(unpriced).total_shortfall_bps is None
    nothing = report(World(), mid=running(420_000, 10))
    assert nothing.total_shortfall_bps == nothing.opportunity_bps == 0
    assert (nothing.delay_bps, nothing.drift_bps, nothing.spread_bps) == (None, None, None)


def test_the_share_of_the_market_is_told_where_its_volume_is_known() -> None:
    world = World()
    world.fill(0, "0.1", 0)
    made = report_of(world.execution, COMPLETED, after(120), MidIntegral(), market_volume=D(2))
    assert made.participation == D("0.05")
    assert report(world).participation is None


# Keeping to the plan ------------------------------------------------------------------------------


def test_an_execution_on_time_is_exactly_on_its_plan() -> None:
    world = World()
    for slot in range(5):
        world.fill(slot, "0.1", 30 * slot)
    made = report(world)
    assert (made.tracking_error_percent, made.max_lag_percent) == (D(0), D(0))
    assert (made.lateness_p50_ms, made.lateness_p99_ms, made.lateness_max_ms) == (D(0),) * 3


def test_a_slice_that_is_late_lags_by_its_share_for_as_long() -> None:
    """One of five slices 10 s late, in 120 s: sqrt(10 / 120) x 20 %."""
    world = World()
    for slot in range(5):
        world.fill(slot, "0.1", 30 * slot + (10 if slot == 2 else 0))
    made = report(world)
    assert made.tracking_error_percent is not None
    assert abs(made.tracking_error_percent - (D(10) / 120).sqrt() * 20) < TINY
    assert made.max_lag_percent == 20
    assert (made.lateness_p50_ms, made.lateness_p99_ms, made.lateness_max_ms) == (D(0), D(10_000), D(10_000))


def test_what_is_never_filled_lags_to_the_end_and_what_was_never_due_does_not() -> None:
    world = World()
    world.fill(0, "0.1", 0, filled="0.04")
    made = report(world, Close(StopReason.CANCELLED), seconds=20)
    assert (made.tracking_error_percent, made.max_lag_percent) == (D(12), D(12))
    assert report(World(), Close(StopReason.CANCELLED), seconds=0).max_lag_percent is None


def test_guards_are_not_lateness_and_are_counted_apart() -> None:
    world = World()
    world.intend(0, "0.1", D("2.5"), waited_seconds=D(2))
    world.close(world.intend(1, "0.1", 30))
    world.skip(2, 90, waited="30")
    made = report(world)
    assert (made.lateness_max_ms, made.guard_waits, made.guard_wait_seconds) == (D(500), 2, D(32))
    assert made.orders[0].waited_seconds == 2


def test_an_adopted_child_is_not_late() -> None:
    world = World()
    world.fill(0, "0.1", 0)
    world.intend(1, "0.1", 300, adopted=True)
    assert report(world).lateness_max_ms == 0


def test_a_trade_counts_between_its_intent_and_its_news_however_wrong_the_venues_clock_is() -> None:
    world = World()
    name = world.intend(0, "0.1", 10)
    world.trade(name, "0.03", 12, trade_time=after(-5))
    world.trade(name, "0.03", 12, trade_time=after(11))
    world.trade(name, "0.04", 12, trade_time=after(99))
    child = world.execution.children[name]
    assert [at for at, _ in child.steps] == [after(10), after(11), after(12)]
    assert world.told(name).filled_at == after(12)


@pytest.mark.parametrize("known", ["acknowledged", "refused", "absent", "not sent"])
def test_the_time_for_which_nobody_knew_is_counted(known: str) -> None:
    world = World()
    name = world.intend(0, "0.1", 0)
    about: dict[str, Any] = {"execution_id": EXECUTION, "client_order_id": name}
    world.add(ChildUnknown(**about, symbol="BTCUSDT", detail="timeout"), after(1))
    world.add(ChildUnknown(**about, symbol="BTCUSDT", detail="timeout"), after(2))
    facts: dict[str, Fact] = {
        "acknowledged": an_acknowledged(client_order_id=name),
        "refused": ChildRefused(**about, symbol="BTCUSDT", code=-1021, message="late"),
        "absent": ChildAbsent(**about, symbol="BTCUSDT", proof="fence"),
        "not sent": ChildNotSent(**about, reason="NOT_SENT", detail="", source="venue"),
    }
    world.add(facts[known], after(D("4.5")))
    world.add(an_acknowledged(client_order_id=name), after(60))
    assert report(world).unknown_seconds == D("3.5")


# Signs --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("side", "price"), [(Side.BUY, 42_042), (Side.SELL, 41_958)])
def test_a_cost_is_positive_for_both_sides(side: Side, price: int) -> None:
    world = World(an_accepted(side=side, signal=a_signal(side=side, price=D(42_000))))
    world.trade(world.intend(0, "0.1", 0, side=side), "0.1", price=D(price))
    made = report(world, mid=running(420_000, 10))
    assert (made.arrival_slippage_bps, made.interval_twap_bps) == (D(10), D(10))
    assert made.slippage_percent == D("0.1")


class Fill(NamedTuple):
    away: Decimal
    quantity: Decimal
    fee: Decimal
    drift: Decimal
    half: Decimal
    maker: bool


fills = st.lists(
    st.builds(
        Fill,
        away=st.decimals("-500", "500", places=2),
        quantity=st.decimals("0.00001", "0.1", places=5),
        fee=st.decimals("0", "10", places=8),
        drift=st.decimals("-100", "100", places=2),
        half=st.decimals("0.01", "50", places=2),
        maker=st.booleans(),
    ),
    min_size=1,
    max_size=5,
)


SIGNED = (
    *("arrival_slippage_bps", "interval_twap_bps", "slippage_percent", "fees_bps", "delay_bps", "drift_bps"),
    *("spread_bps", "walk_bps", "effective_spread_bps", "opportunity_bps", "total_shortfall_bps"),
    *("tracking_error_percent", "max_lag_percent", "lateness_max_ms"),
)


def _adds_up(made: ExecutionReport) -> None:
    """IS = drift + (spread + walk) m / m0, child by child and in sum."""
    parts = (made.drift_bps, made.spread_bps, made.walk_bps)
    assert abs(sum((part for part in parts if part is not None), D(0)) - (made.arrival_slippage_bps or 0)) < TINY
    total = D(0)
    for order in made.orders:
        assert order.drift_bps is not None
        assert order.spread_bps is not None
        assert order.walk_bps is not None
        assert order.mid_at_send is not None
        at_send = (order.spread_bps + order.walk_bps) * order.mid_at_send / made.arrival_price
        total += order.executed_quantity * (order.drift_bps + at_send)
    assert abs(total / made.total_filled - (made.arrival_slippage_bps or 0)) < TINY


@given(fills=fills)
def test_buying_and_selling_mirror_each_other(fills: list[Fill]) -> None:
    """Prices mirrored at the arrival mid, the other side: every measure is the same.

    The time-weighted mid is itself the arrival mid here, for what is measured in parts of it.
    """
    made = {}
    for side in Side:
        world = World(an_accepted(side=side, signal=a_signal(side=side, price=D(42_000))))
        for slot, fill in enumerate(fills):
            mid, price = 42_000 + side.sign * fill.drift, 42_000 + side.sign * fill.away
            quote: dict[str, Any] = {"bid": mid - fill.half, "ask": mid + fill.half}
            name = world.intend(slot, "0.1", 30 * slot, side=side, **quote)
            paid: dict[str, Any] = {"commission": fill.fee, "commission_asset": "USDT", "maker": fill.maker}
            world.trade(name, fill.quantity, price=price, side=side, **paid)
            world.close(name, ChildOutcome.PARTIAL)
        running_mid = running(420_000, 10)
        running_mid.last_mid = 42_000 + side.sign * fills[0].drift
        made[side] = report(world, mid=running_mid)
    buy, sell = made[Side.BUY], made[Side.SELL]
    for name in SIGNED:
        assert abs(getattr(buy, name) - getattr(sell, name)) < TINY, name
    for one in (buy, sell):
        _adds_up(one)
    assert buy.average_price is not None
    assert sell.average_price is not None
    assert abs(buy.average_price + sell.average_price - 84_000) < TINY
    assert buy.total_filled == sell.total_filled


def test_a_sale_below_the_signals_price_cost_something() -> None:
    world = a_sold(price=D(42_000))
    world.trade(world.intend(0, "0.1", 0), "0.1", price=D(41_790))
    assert report(world).slippage_percent == D("0.5")
    assert report(world).side is Side.SELL
