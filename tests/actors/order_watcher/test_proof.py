from __future__ import annotations

from typing import Any

import pytest

from actors.order_watcher.proof import Proof, gap_before
from messages.order import (
    QueryAllOrders,
    QueryOpenOrders,
    QueryOrder,
    QueryTrades,
    TradesFound,
)
from messages.signal import Side
from tests.factories import CHILD, D, an_intent
from tests.order_tools import Nobody, a_trade

ME = Nobody()
PROOF = Proof(an_intent())
SINCE = an_intent().request_timestamp - 1000


def found(*trades: object) -> TradesFound:
    return TradesFound(symbol="BTCUSDT", trades=trades, from_id=None, since=SINCE, order_id=None)  # type: ignore[arg-type] # trades all


def test_the_gaps_grow_to_half_a_minute() -> None:
    assert [gap_before(number) for number in range(9)] == [0.25, 0.5, 1, 2, 4, 8, 16, 30, 30]


def test_more_places_are_asked_the_longer_it_lasts() -> None:
    order = QueryOrder(symbol="BTCUSDT", client_order_id=CHILD, reply_to=ME)
    open_orders = QueryOpenOrders(symbol="BTCUSDT", reply_to=ME)
    assert PROOF.questions(0, ME) == [order]
    assert PROOF.questions(1, ME) == [order, open_orders]
    assert PROOF.questions(3, ME) == [
        order,
        open_orders,
        QueryAllOrders(symbol="BTCUSDT", since=SINCE, reply_to=ME),
        QueryTrades(symbol="BTCUSDT", since=SINCE, reply_to=ME),
    ]


@pytest.mark.parametrize(
    ("changes", "suspect"),
    [
        ({}, True),
        ({"symbol": "ETHUSDT"}, False),
        ({"side": Side.SELL}, False),
        ({"time": SINCE - 1}, False),
        ({"quantity": D("0.2")}, False),
        ({"order_id": 5}, False),
    ],
)
def test_a_trade_that_fits_and_is_nobodys_is_suspect(changes: dict[str, Any], suspect: bool) -> None:
    trade = a_trade(**{"order_id": 1001, **changes})
    assert PROOF.suspects(found(trade), {("BTCUSDT", 5): "another"}) is suspect


def test_the_list_of_all_orders_tells_whose_a_trade_is() -> None:
    assert PROOF.names(ME) == QueryAllOrders(symbol="BTCUSDT", since=SINCE, reply_to=ME)
