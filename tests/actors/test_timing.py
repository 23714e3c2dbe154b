from __future__ import annotations

from decimal import Decimal

import pytest

from actors.timing import Patience, due, presses
from messages.market import Quote, Timing
from messages.signal import Side
from tests.factories import a_quote

D = Decimal


def queues(bid: str, ask: str) -> Quote:
    return a_quote(bid_quantity=D(bid), ask_quantity=D(ask))


@pytest.mark.parametrize(
    ("bid", "ask", "buys", "sells"),
    [("1", "3", False, True), ("3", "1", True, False), ("2", "2", True, True), ("0.99999", "1", False, True)],
)
def test_a_buy_goes_once_the_bids_queue_is_as_long_and_a_sale_in_its_mirror(
    bid: str, ask: str, buys: bool, sells: bool
) -> None:
    assert presses(queues(bid, ask), Side.BUY) is buys is presses(queues(ask, bid), Side.SELL)
    assert presses(queues(bid, ask), Side.SELL) is sells is presses(queues(ask, bid), Side.BUY)


def test_the_deadline_sends_anyway_and_without_timing_nothing_waits() -> None:
    calm = queues("1", "3")
    assert not due(Timing(until=8.0), calm, Side.BUY, 7.9)
    assert due(Timing(until=8.0), calm, Side.BUY, 8.0)
    assert due(None, calm, Side.BUY, 0.0)


def test_waiting_for_guards_and_for_the_pressure_are_told_apart() -> None:
    patience = Patience(0.0, 0.0)
    patience.look(0.0, D(100), fits=False)
    patience.look(2.0, D(101), fits=True)
    patience.look(5.0, D(102), fits=True)
    patience.look(6.0, D(103), fits=False)
    patience.look(10.0, D(104), fits=True)
    assert (patience.guarded, patience.timed, patience.fit_mid) == (6.0, 4.0, D(101))


def test_what_is_waited_for_a_fresh_quote_is_no_waiting_for_the_pressure() -> None:
    patience = Patience(0.0, 0.0)
    patience.look(0.0, D(100), fits=True, counted=False)
    patience.look(0.25, D(101), fits=True)
    patience.look(1.25, D(102), fits=True)
    assert (patience.guarded, patience.timed, patience.fit_mid) == (0.0, 1.0, D(101))
