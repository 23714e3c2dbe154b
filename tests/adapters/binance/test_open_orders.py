from __future__ import annotations

from dataclasses import replace

import pytest

from adapters.binance import open_orders
from adapters.binance.codec import decode, snapshot_of
from adapters.binance.open_orders import OpenOrders
from adapters.binance.shapes import QueriedOrder
from messages.order import OrderStatus
from tests.adapters.binance.stub import a_queried
from tests.adapters.binance.test_codec import raw

ORDER = snapshot_of(decode(QueriedOrder, raw(a_queried())))


def test_an_order_counts_from_its_sending_to_its_end() -> None:
    orders = OpenOrders(100.0)
    assert not orders.any(0.0)
    orders.sent(ORDER.client_order_id, 0.0)
    assert orders.any(1.0)
    orders.seen(ORDER, 2.0)
    assert orders.any(3.0)
    orders.seen(replace(ORDER, status=OrderStatus.FILLED), 4.0)
    assert not orders.any(4.0)


def test_an_order_that_was_refused_does_not_count() -> None:
    orders = OpenOrders(100.0)
    orders.sent("a", 0.0)
    orders.gone("a")
    orders.gone("b")
    assert not orders.any(1.0)


def test_what_nobody_speaks_of_any_more_is_forgotten_and_what_is_seen_stays() -> None:
    orders = OpenOrders(100.0)
    orders.sent("a", 0.0)
    orders.sent(ORDER.client_order_id, 1.0)
    orders.seen(ORDER, 90.0)
    assert orders.any(150.0)
    assert not orders.any(190.0)


def test_the_number_of_orders_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(open_orders, "MOST", 2)
    orders = OpenOrders(100.0)
    for name in ("a", "b", "c"):
        orders.sent(name, 0.0)
    assert orders.any(0.0)
    assert list(orders._since) == ["b", "c"]
