"""The physical limit: on a block book the whole daemon pays what the closed forms say (Obizhaeva and Wang).

N + 1 trades of X in all at spacing tau, a = exp(-rho tau), density q, permanent share lam, transient
kap = 1 / q - lam. Excess over X (F + h), for a buy; a sale is its mirror image.
"""

from __future__ import annotations

from dataclasses import fields
from decimal import Decimal
from functools import cache

import pytest

from adapters.paper.account import Fees
from adapters.paper.exchange import PaperSettings
from adapters.paper.markets import START_PRICES, MarketChoice
from adapters.paper.venue import COLD_SECONDS, LatencySettings
from adapters.scenarios import Scenario, TimedSignal
from adapters.simulation import simulate
from messages.execution import ExecutionReport
from messages.signal import Side
from tests.simulation.whole import DAEMON

D = Decimal
X, Q, H, F = D(2), D("0.66"), D("0.01"), START_PRICES["BTCUSDT"]
INTERVAL = D(10)
AT_ONCE = LatencySettings(order_in_ms=0, ack_out_ms=0, user_stream_ms=0, market_data_ms=0)
TINY = D("1e-9")


@cache
def worked(
    *, count: int, rho: Decimal, lam: Decimal, schedule: str = "equal", side: Side = Side.BUY, in_bnb: bool = False
) -> ExecutionReport:
    """Run one execution of X on a block book through the whole daemon, and audit it."""
    body = {
        "id": "physics",
        "symbol": "BTCUSDT",
        "side": side.value,
        "quantity": str(X),
        "twap": {
            "num_chunks": count,
            "interval_seconds": str(INTERVAL),
            "child": "market",
            "schedule": schedule,
            "rho": str(rho),
        },
    }
    paper = PaperSettings(
        markets=MarketChoice(market=f"ow:q={Q},rho={rho},lam={lam},h={H}"),
        balances={"BTC": D(100), "USDT": D(10_000_000), "BNB": D(1000)},
        fees=Fees(pay_in_bnb=in_bnb),
    )
    outcome = simulate(
        Scenario("physics", (TimedSignal(0.0, body),)),
        1,
        DAEMON,
        paper=paper,
        latency=AT_ONCE,
        cold_seconds=COLD_SECONDS,
        symbols=("BTCUSDT", "BNBUSDT") if in_bnb else ("BTCUSDT",),
    )
    assert outcome.audit.ok, outcome.audit.text()
    (closed,) = outcome.closed
    assert (closed.report.stop_reason, closed.report.total_filled) == ("COMPLETED", X)
    return closed.report


def excess(report: ExecutionReport) -> Decimal:
    return report.side.sign * (report.filled_quote - X * F) - X * H


def naive(count: int, rho: Decimal, lam: Decimal) -> Decimal:
    a = (-rho * INTERVAL).exp()
    shape = (count * (1 - a**2) - 2 * a * (1 - a**count)) / (count**2 * (1 - a) ** 2)
    return lam * X**2 / 2 + (1 / Q - lam) * X**2 / 2 * shape


def optimal(count: int, rho: Decimal, lam: Decimal) -> Decimal:
    a = (-rho * INTERVAL).exp()
    return lam * X**2 / 2 + (1 / Q - lam) * X**2 / 2 * (1 + a) / (2 + (count - 2) * (1 - a))


LAMBDAS = pytest.mark.parametrize("lam", [D(0), 1 / (2 * Q)], ids=["transient", "half-permanent"])
RESILIENCES = pytest.mark.parametrize(("count", "rho_t"), [(5, D("0.5")), (10, D(1)), (10, D(5)), (20, D(20))])


def rho_of(count: int, rho_t: Decimal) -> Decimal:
    return (rho_t / ((count - 1) * INTERVAL)).quantize(TINY)


@LAMBDAS
@RESILIENCES
def test_equal_slices_cost_what_the_closed_form_says(count: int, rho_t: Decimal, lam: Decimal) -> None:
    rho = rho_of(count, rho_t)
    cost = excess(worked(count=count, rho=rho, lam=lam))
    assert abs(cost / naive(count, rho, lam) - 1) < D("0.001")


@LAMBDAS
@RESILIENCES
def test_the_ow_schedule_reaches_the_least_cost_that_there_is(count: int, rho_t: Decimal, lam: Decimal) -> None:
    rho = rho_of(count, rho_t)
    cost = excess(worked(count=count, rho=rho, lam=lam, schedule="ow"))
    assert abs(cost / optimal(count, rho, lam) - 1) < D("0.005")
    assert cost <= excess(worked(count=count, rho=rho, lam=lam)) * D("1.0001")


@LAMBDAS
def test_one_order_pays_for_the_whole_block(lam: Decimal) -> None:
    cost = excess(worked(count=1, rho=D("0.1"), lam=lam))
    assert abs(cost / (X**2 / (2 * Q)) - 1) < D("0.001")


def test_the_reports_impact_is_the_closed_forms_in_basis_points() -> None:
    """A book that has healed before each slice: all that is left is the walk, X / 2qn."""
    report = worked(count=10, rho=D(10), lam=D(0))
    assert report.drift_bps == report.delay_bps == 0
    assert report.walk_bps is not None
    assert report.spread_bps is not None
    unit = F / 10_000
    assert abs((report.walk_bps + report.spread_bps) * unit / (X / (2 * Q * 10) + H) - 1) < D("0.001")


def test_the_impact_that_stays_is_the_books_permanent_share_and_nothing_where_it_has_none() -> None:
    """Healed after a second: what is left of a slice is lam X / n, until the next one comes ten seconds later."""
    slice_, unit = X / 10, F / 10_000
    lasting = worked(count=10, rho=D(10), lam=1 / (2 * Q))
    one, five, sixty = lasting.markouts
    for markout in (one, five):
        assert markout.share == D("0.9")
        assert abs(markout.impact_bps * unit / (slice_ / (2 * Q)) - 1) < D("0.01")
    assert sixty.share == D("0.3") or sixty.share == D("0.4")
    assert abs(sixty.impact_bps / one.impact_bps - 6) < D("1.1")
    assert lasting.reversion_bps is not None
    assert lasting.reversion_bps < 0  # The later slices have pushed it on.
    passing = worked(count=10, rho=D(10), lam=D(0))
    assert all(abs(markout.impact_bps) < D("0.001") for markout in passing.markouts)
    assert passing.markouts[0].realised_spread_bps == passing.effective_spread_bps


@LAMBDAS
def test_what_the_market_does_after_a_sale_is_the_mirror_image_of_what_it_does_after_a_buy(lam: Decimal) -> None:
    buy, sell = (worked(count=10, rho=D("0.02"), lam=lam, side=side) for side in Side)
    assert buy.reversion_bps is not None
    assert sell.reversion_bps is not None
    assert abs(buy.reversion_bps - sell.reversion_bps) < TINY
    for bought, sold in zip(buy.markouts, sell.markouts, strict=True):
        assert bought.share == sold.share
        assert abs(bought.realised_spread_bps - sold.realised_spread_bps) < TINY
        assert abs(bought.impact_bps - sold.impact_bps) < TINY


SIGNED = (
    *("arrival_slippage_bps", "fees_bps", "delay_bps", "drift_bps", "spread_bps", "walk_bps"),
    *("effective_spread_bps", "opportunity_bps", "total_shortfall_bps", "tracking_error_percent", "max_lag_percent"),
)
"""Figures of a report that a mirrored market leaves alone."""


@LAMBDAS
@pytest.mark.parametrize("schedule", ["equal", "ow"])
@pytest.mark.parametrize("count", [1, 10])
def test_selling_is_buying_in_a_mirror(count: int, schedule: str, lam: Decimal) -> None:
    buy, sell = (worked(count=count, rho=D("0.02"), lam=lam, schedule=schedule, side=side) for side in Side)
    assert abs(buy.filled_quote + sell.filled_quote - 2 * F * X) < TINY
    for name in SIGNED:
        bought, sold = getattr(buy, name), getattr(sell, name)
        if count == 1 and name in {"tracking_error_percent", "max_lag_percent"}:
            assert bought is sold is None  # It is over at once.
            continue
        # A fee is a share of the price, so it isn't mirrored about the arrival price, but about none.
        allowed = TINY if name not in {"fees_bps", "total_shortfall_bps"} else D("0.01")
        assert abs(bought - sold) < allowed, name


@LAMBDAS
@pytest.mark.parametrize("schedule", ["equal", "ow"])
@pytest.mark.parametrize("side", Side)
def test_the_parts_of_a_cost_add_up(side: Side, schedule: str, lam: Decimal) -> None:
    report = worked(count=10, rho=D("0.02"), lam=lam, schedule=schedule, side=side)
    slippage, total = report.arrival_slippage_bps, report.total_shortfall_bps
    assert slippage is not None
    assert total is not None
    assert abs(sum(getattr(report, name) for name in ("drift_bps", "spread_bps", "walk_bps")) - slippage) < TINY
    by_child = D(0)
    for order in report.orders:
        parts = (order.drift_bps, order.spread_bps, order.walk_bps, order.mid_at_send)
        drift, spread, walk, mid = (part for part in parts if part is not None)
        by_child += order.executed_quantity * (drift + (spread + walk) * mid / report.arrival_price)
    assert abs(by_child / X - slippage) < TINY
    assert abs(slippage + (report.fees_bps or 0) - total) < TINY


def test_fees_in_bnb_are_booked_in_bnb_and_said_in_quote() -> None:
    report = worked(count=5, rho=D(1), lam=D(0), in_bnb=True)
    (asset, amount), *others = report.total_fees
    assert (asset, others) == ("BNB", [])
    assert amount > 0
    assert report.fees_bps is not None
    assert abs(report.fees_bps - D("7.5")) < D("0.1")


def test_every_figure_of_a_whole_run_is_there() -> None:
    report = worked(count=5, rho=D(1), lam=D(0))
    missing = {field.name for field in fields(report) if getattr(report, field.name) is None}
    # The signal named no price, nothing counted the market's trades, nothing waited for the queues, and no trade
    # was a minute old in the end.
    assert missing == {"slippage_percent", "participation", "timing_bps", "reversion_bps"}
    assert [markout.seconds for markout in report.markouts] == [1, 5]  # It is over after 40 s.
    assert [markout.share for markout in report.markouts] == [D("0.8"), D("0.8")]
    assert report.lateness_max_ms == 0
    assert report.unknown_seconds == report.guard_wait_seconds == 0
