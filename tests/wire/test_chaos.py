"""What networks do to requests, answers and streams, done to a whole daemon on real sockets, in real time.

Ten of the cases run at every test run, all of them with `TIDEGATE_CHAOS=all` (`make soak`).
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.chaos_proxy import HANDED_ON, Plan, Trouble
from tests.wire.chaos_world import SLICE, SLICES, Case, Outcome, play

pytestmark = [pytest.mark.wire, pytest.mark.timeout(600)]

PLACE, REST_PLACE = b'"order.place"', b"POST /api/v3/order "
CANCEL, REST_CANCEL = b'"order.cancel"', b"DELETE /api/v3/order?"
REPORT, TOUCH = b'"executionReport"', b"bookTicker"
QUERIES = {
    "one order": b"GET /api/v3/order?",
    "open orders": b"GET /api/v3/openOrders?",
    "all orders": b"GET /api/v3/allOrders?",
    "trades": b"GET /api/v3/myTrades?",
}
DEAF = Plan(trouble=Trouble.HALF_OPEN, mark=REPORT, events=True, times=1_000)
"""No report ever comes; so queries alone tell of an order whose answer is gone."""


def second(trouble: Trouble, mark: bytes) -> Plan:
    return Plan(trouble=trouble, mark=mark, first=2)


ORDERS = {f"order: {one}": Case(plans=(second(one, PLACE),)) for one in Trouble}
REST_ORDERS = {
    f"order over rest: {one}": Case(plans=(second(one, REST_PLACE),), orders_over_rest=True) for one in Trouble
}
UNTOLD = {f"order, and no report: {one}": Case(plans=(second(one, PLACE), DEAF)) for one in Trouble if one in HANDED_ON}
SEARCHES = {
    f"search by {name}: {one}": Case(
        plans=(second(Trouble.BLACK_HOLE, PLACE), Plan(trouble=one, mark=mark, first=2, times=2))
    )
    for name, mark in QUERIES.items()
    for one in Trouble
}
FENCES = {
    f"fence: {one}": Case(plans=(second(Trouble.BLACK_HOLE, PLACE), Plan(trouble=one, mark=mark)))
    for one in Trouble
    for mark in (CANCEL,)
}
STREAMS = {
    f"{name}: {one}": Case(plans=(Plan(trouble=one, mark=mark, events=True, first=first, times=2),))
    for name, mark, first in (("reports", REPORT, 2), ("touches", TOUCH, 3))
    for one in Trouble
    if one not in {Trouble.PORTAL, Trouble.REDIRECT, Trouble.BLACK_HOLE, Trouble.CUT_AFTER}
}
ALL: Mapping[str, Case] = ORDERS | REST_ORDERS | UNTOLD | SEARCHES | FENCES | STREAMS
USUAL = (
    f"order: {Trouble.CUT_DURING}",
    f"order: {Trouble.PORTAL}",
    f"order over rest: {Trouble.REDIRECT}",
    f"order over rest: {Trouble.TWICE_LATER}",
    f"order, and no report: {Trouble.HALF_OPEN}",
    f"order, and no report: {Trouble.TRUNCATED}",
    f"search by one order: {Trouble.TWICE_LATER}",
    f"fence: {Trouble.HALF_OPEN}",
    f"reports: {Trouble.CUT_DURING}",
    f"touches: {Trouble.HALF_OPEN}",
)
CASES: Mapping[str, Case] = ALL if os.environ.get("TIDEGATE_CHAOS") else {name: ALL[name] for name in USUAL}


@pytest.fixture(scope="module")
def outcomes() -> Mapping[str, Outcome]:
    """Play the cases side by side, for most of the time is spent waiting."""
    with ThreadPoolExecutor(6) as pool:
        return dict(zip(CASES, pool.map(play, CASES.values()), strict=True))


@pytest.mark.parametrize("name", CASES)
def test_whatever_happens_on_the_wire_journal_and_exchange_agree(outcomes: Mapping[str, Outcome], name: str) -> None:
    outcome = outcomes[name]
    assert outcome.found.ok, outcome.story()
    assert outcome.struck, "a trouble that never struck proves nothing"
    (closed,) = outcome.closed
    assert closed.report.total_filled == outcome.traded == SLICE * SLICES, outcome.story()


@pytest.mark.parametrize("name", [name for name in CASES if name.startswith("order")])
def test_an_order_is_tried_again_only_if_it_never_arrived(outcomes: Mapping[str, Outcome], name: str) -> None:
    outcome = outcomes[name]
    taken = [order["clientOrderId"] for order in outcome.truth["received"] if "orderId" in order]
    assert len(set(taken)) == len(taken), outcome.story()
    handed_over = set(outcome.ids("ChildIntended")) - set(outcome.ids("ChildNotSent"))
    refused, absent = set(outcome.ids("ChildRefused")), set(outcome.ids("ChildAbsent"))
    assert set(taken) | refused | absent == handed_over, outcome.story()
    assert not set(taken) & (refused | absent), outcome.story()
    if not any(trouble in HANDED_ON for trouble in outcome.struck):
        assert absent, outcome.story()
