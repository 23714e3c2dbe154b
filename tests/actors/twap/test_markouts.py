"""What the market did after the trades: realised spread, impact and reversion, with their signs."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from itertools import count

from hypothesis import given
from hypothesis import strategies as st

from actors.runtime import EPOCH, Simulation
from actors.twap.markouts import TOGETHER_SECONDS, Markouts
from messages.execution import Markout
from messages.facts import ExecutionClosed, TradeBooked
from messages.market import MarkMids, MidsMarked, Unmark
from messages.signal import Side, TwapOptions
from tests.actors.twap.stage import Stage
from tests.factories import EXECUTION, D, a_quote, a_signal, a_trade_booked, an_accepted

NUMBERS = count()
M0 = D(100)


def a_trade(quantity: str, price: str, *, maker: bool = False, child: str = "first") -> TradeBooked:
    return replace(
        a_trade_booked(),
        client_order_id=child,
        trade_id=next(NUMBERS),
        quantity=D(quantity),
        price=D(price),
        maker=maker,
    )


def looked_at(side: Side, trade: TradeBooked, mid: str, *after: str) -> Markouts:
    markouts = Markouts(side)
    number = markouts.trade(trade, D(mid), 0.0)
    assert number is not None
    markouts.told(number, tuple(map(D, after)))
    return markouts


def test_a_buy_that_the_market_comes_back_from_paid_its_realised_spread() -> None:
    markouts = looked_at(Side.BUY, a_trade("2", "101"), "100", "102", "100.5", "100")
    one, five, sixty = markouts.markouts(M0, D(4))
    assert one == Markout(seconds=D(1), share=D("0.5"), realised_spread_bps=D(-200), impact_bps=D(200))
    assert (five.realised_spread_bps, five.impact_bps) == (D(100), D(50))
    assert (sixty.seconds, sixty.realised_spread_bps, sixty.impact_bps) == (D(60), D(200), D(0))
    assert markouts.reversion_bps(M0) == 200


def test_a_sale_is_its_mirror_image() -> None:
    bought = looked_at(Side.BUY, a_trade("2", "101"), "100", "102", "100.5", "99")
    sold = looked_at(Side.SELL, a_trade("2", "99"), "100", "98", "99.5", "101")
    assert sold.markouts(M0, D(2)) == bought.markouts(M0, D(2))
    assert sold.reversion_bps(M0) == bought.reversion_bps(M0) == 300


def test_what_was_made_has_the_other_sides_aggressor() -> None:
    # A buy rested at 99 and was filled; the mid fell to 98: the maker lost one, and whoever sold to it earned that.
    made = looked_at(Side.BUY, a_trade("1", "99", maker=True), "100", "98", "98", "98")
    (one, _, _) = made.markouts(M0, D(1))
    assert (one.realised_spread_bps, one.impact_bps) == (D(-200), D(-200))


def test_trades_of_one_child_that_come_together_are_asked_about_once() -> None:
    markouts = Markouts(Side.BUY)
    assert markouts.trade(a_trade("1", "101"), M0, 0.0) == 1
    assert markouts.trade(a_trade("1", "102"), M0, TOGETHER_SECONDS) is None
    assert markouts.trade(a_trade("1", "102"), M0, 3.0) == 2
    assert markouts.trade(a_trade("1", "102", child="second"), M0, 3.0) == 3
    markouts.told(1, (D(100), D(100), None))
    one, five = markouts.markouts(M0, D(4))
    assert (one.share, one.realised_spread_bps, five.share) == (D("0.5"), D(300), D("0.5"))
    assert markouts.reversion_bps(M0) is None


def test_what_nobody_knows_is_no_figure_and_an_answer_too_many_is_none() -> None:
    markouts = Markouts(Side.BUY)
    number = markouts.trade(a_trade("1", "101"), M0, 0.0)
    assert number is not None
    assert markouts.waiting
    markouts.told(number, (None, None, None))
    markouts.told(number, (M0, M0, M0))
    assert (markouts.markouts(M0, D(1)), markouts.reversion_bps(M0), markouts.waiting) == ((), None, False)


PRICES = st.decimals(min_value=90, max_value=110, places=2)
TRADES = st.lists(
    st.tuples(st.decimals(min_value="0.01", max_value=5, places=2), PRICES, st.booleans(), PRICES, PRICES),
    min_size=1,
    max_size=8,
)


@given(trades=TRADES, side=st.sampled_from(Side))
def test_effective_less_realised_spread_is_twice_what_the_market_moved_and_buying_mirrors_selling(
    trades: list[tuple[Decimal, Decimal, bool, Decimal, Decimal]], side: Side
) -> None:
    here, mirrored = Markouts(side), Markouts(Side.SELL if side is Side.BUY else Side.BUY)
    effective = moved = filled = D(0)
    for index, (quantity, price, maker, mid, later) in enumerate(trades):
        trade = a_trade(str(quantity), str(price), maker=maker, child=str(index))
        numbers = here.trade(trade, mid, 0.0), mirrored.trade(replace(trade, price=2 * M0 - price), 2 * M0 - mid, 0.0)
        assert numbers[0] is not None
        assert numbers[1] is not None
        here.told(numbers[0], (later,) * 3)
        mirrored.told(numbers[1], (2 * M0 - later,) * 3)
        aggressor = side.sign * (-1 if maker else 1)
        effective += 2 * quantity * aggressor * (price - mid)
        moved += 2 * quantity * aggressor * (later - mid)
        filled += quantity
    unit = M0 * filled / 10_000
    for markout, other in zip(here.markouts(M0, filled), mirrored.markouts(M0, filled), strict=True):
        assert abs(effective / unit - markout.realised_spread_bps - moved / unit) < D("1e-9")
        assert abs(markout.realised_spread_bps - other.realised_spread_bps) < D("1e-9")
        assert abs(markout.impact_bps - other.impact_bps) < D("1e-9")
        assert markout.share == 1


# The actor ----------------------------------------------------------------------------------------


def two_slices(simulation: Simulation) -> Stage:
    return Stage(simulation, an_accepted(signal=a_signal(twap=TwapOptions(num_chunks=2))), extra_slots=0)


def test_after_a_trade_three_moments_are_asked_for_and_the_report_has_what_is_known_in_the_end(
    simulation: Simulation,
) -> None:
    stage = two_slices(simulation)
    stage.fill(stage.placed(quote=a_quote(41_999, 42_001)))
    place = stage.placed(within=30.0)
    (first,) = stage.market.marks
    assert isinstance(first, MarkMids)
    assert (first.execution_id, first.symbol, first.moments) == (EXECUTION, "BTCUSDT", (1.0, 5.0, 60.0))
    stage.fill(place)
    closing = stage.asked()
    _, second, last = stage.market.marks
    assert isinstance(second, MarkMids)
    assert second.moments == (31.0, 35.0, 90.0)
    assert last == Unmark(execution_id=EXECUTION, tell=True)
    stage.actor.tell(MidsMarked(number=first.number, mids=(D(42_042), D(42_021), None)))
    stage.actor.tell(MidsMarked(number=second.number, mids=(None, None, None)))
    stage.answer(closing)
    stage.parent.expect_stopped(stage.actor, within=0.0)
    report = stage.journal.last(ExecutionClosed).report
    # Bought at 42,001 on a mid of 42,000, which is the arrival price, too.
    assert report.markouts == (
        Markout(seconds=D(1), share=D("0.5"), realised_spread_bps=D(-82) / D("4.2"), impact_bps=D(10)),
        Markout(seconds=D(5), share=D("0.5"), realised_spread_bps=D(-40) / D("4.2"), impact_bps=D(5)),
    )
    assert report.reversion_bps is None


def test_trades_of_before_a_restart_and_trades_learnt_of_late_are_not_asked_about(simulation: Simulation) -> None:
    stage = two_slices(simulation)
    intent = stage.intend(stage.placed())
    stage.trade(intent, D("0.1"), trade_time=EPOCH)
    simulation.run(10.0)
    stage.trade(intent, D("0.05"), trade_time=EPOCH + timedelta(seconds=7))
    stage.market.expect_none(within=0.0)
    assert len([mark for mark in stage.market.marks if isinstance(mark, MarkMids)]) == 1
    stage.market.marks.clear()
    stage.actor.stop()
    simulation.run(0.0)
    assert stage.market.messages() == []
    assert stage.market.marks == [Unmark(execution_id=EXECUTION, tell=False)]
    stage.market.marks.clear()
    stage.start()
    simulation.run(1.0)
    stage.market.messages()
    assert stage.state.executed == D("0.15")
    assert stage.market.marks == []
