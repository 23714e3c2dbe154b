"""The tour in virtual time: every verdict once, its executions to the last digit, and runs that repeat."""

from __future__ import annotations

from decimal import Decimal

import pytest

from adapters.paper.exchange import PaperSettings
from adapters.paper.markets import MarketChoice
from adapters.scenarios import tour
from adapters.simulation import Outcome, simulate
from messages.execution import ExecutionReport
from messages.signal import Side
from tests.simulation.whole import DAEMON, D, check_outcome, of_kind


def the_tour(seed: int, *, check_codec: bool = False) -> Outcome:
    return simulate(
        tour(),
        seed,
        DAEMON,
        paper=PaperSettings(markets=MarketChoice(seed=seed)),
        check_codec=check_codec,
    )


@pytest.fixture(scope="module")
def outcome() -> Outcome:
    return the_tour(1, check_codec=True)


def report(outcome: Outcome, symbol: str) -> ExecutionReport:
    return next(closed.report for closed in outcome.closed if closed.report.symbol == symbol)


def test_every_verdict_is_shown_once(outcome: Outcome) -> None:
    said = [(a.name, a.verdict.status.value, a.verdict.reason) for a in outcome.answers if a.verdict is not None]
    assert said == [
        ("tour-1", "accepted", None),
        ("tour-2", "accepted", None),
        ("tour-1", "duplicate", "DUPLICATE"),
        ("tour-1", "conflict", "CONFLICT"),
        ("tour-3", "rejected", "STALE"),
        ("tour-4", "rejected", "BELOW_MINIMUM"),
    ]
    first, _, repeat, conflict, *_ = [answer.verdict for answer in outcome.answers]
    assert first is not None
    assert repeat is not None
    assert conflict is not None
    assert repeat.duplicate_of == conflict.duplicate_of == first.execution_id
    assert conflict.detail == "this id came before with another quantity"


def test_half_a_bitcoin_is_filled_exactly_in_five_slices_six_seconds_apart(outcome: Outcome) -> None:
    bought = report(outcome, "BTCUSDT")
    assert (bought.side, bought.quantity, bought.total_filled) == (Side.BUY, D("0.5"), D("0.5"))
    assert (bought.stop_reason, bought.stopped_early) == ("COMPLETED", False)
    assert (bought.chunks_executed, bought.total_chunks, bought.children_sent) == (5, 5, 5)
    assert [child.quantity for child in bought.orders] == [D("0.1")] * 5
    assert D(24) <= bought.execution_time_seconds < D(25)
    assert bought.total_fees == (("BTC", D("0.0005")),)
    assert bought.fees_bps is not None
    assert abs(bought.fees_bps - 10) < D("0.1")
    assert bought.average_price == bought.filled_quote / D("0.5")
    assert bought.slippage_percent is None, "the signal named no price"


def test_the_small_order_goes_at_once_as_one_child(outcome: Outcome) -> None:
    sold = report(outcome, "ETHUSDT")
    assert (sold.side, sold.total_filled, sold.children_sent, sold.total_chunks) == (Side.SELL, D("0.3"), 1, 1)
    assert sold.total_fees == (("USDT", sold.filled_quote / 1000),)


def test_journal_and_exchange_agree_also_when_judged_by_hand(outcome: Outcome) -> None:
    check_outcome(outcome)
    figures = outcome.audit.figures
    counted = {name: figures[name] for name in ("executions", "repeats", "rejected", "children", "orders")}
    assert counted == {"executions": 2, "repeats": 2, "rejected": 2, "children": 6, "orders": 6}
    traded = sum((D(t["price"]) * D(t["quantity"]) for t in of_kind(outcome.lines, "TradeBooked")), Decimal(0))
    assert traded == sum((closed.report.filled_quote for closed in outcome.closed), Decimal(0))


def test_the_same_seed_writes_the_same_journal_byte_by_byte(outcome: Outcome) -> None:
    again = the_tour(1)
    assert again.journal == outcome.journal
    assert again.truth == outcome.truth


def test_another_seed_writes_another_journal(outcome: Outcome) -> None:
    other = the_tour(2)
    assert other.journal != outcome.journal
    assert [a.verdict and a.verdict.status for a in other.answers] == [
        a.verdict and a.verdict.status for a in outcome.answers
    ]
