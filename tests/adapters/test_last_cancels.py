from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from actors.runtime import Pool
from adapters import last_cancels
from adapters.last_cancels import cancel_open_children
from adapters.storage.memory import MemoryStore
from messages.control import Committed
from messages.order import (
    CancelAcknowledged,
    CancelFailed,
    CancelReply,
    OpenOrdersFound,
    Query,
    QueryAnswer,
    QueryFailed,
    QueryOpenOrders,
    SendCancel,
    VenueCommand,
)
from tests.factories import CHILD, NOW, a_child_closed, an_acknowledged, an_intent
from tests.order_tools import an_order

OPEN, LATE, OVER = CHILD, CHILD.replace("-0-0", "-1-0"), CHILD.replace("-0-0", "-2-0")
NOT_OURS = CHILD.replace("-0-0", "-3-0")

Cancelling = Callable[[SendCancel, int], CancelReply | None]


class Venue:
    """Has an order that is open, one whose cancel is to fail at first, one that the journal has closed, and others'."""

    def __init__(self, cancelling: Cancelling, *, failing: int = 0) -> None:
        self.cancelling, self.failing = cancelling, failing
        self.cancels: list[SendCancel] = []
        self.names: tuple[str, ...] = (OPEN, LATE, OVER, NOT_OURS, "web_1")

    def tell(self, message: VenueCommand, /) -> None:
        if isinstance(message, QueryOpenOrders):
            message.reply_to.tell(self.answer(message))
        else:
            assert isinstance(message, SendCancel)
            self.cancels.append(message)
            tries = sum(one.client_order_id == message.client_order_id for one in self.cancels)
            if (reply := self.cancelling(message, tries)) is not None:
                message.reply_to.tell(reply)

    def answer(self, query: Query) -> QueryAnswer:
        if self.failing:
            self.failing -= 1
            return QueryFailed(query=query, detail="503")
        orders = tuple(an_order("NEW", client_order_id=name, order_id=9 + n) for n, name in enumerate(self.names))
        return OpenOrdersFound(symbol="BTCUSDT", orders=orders)


def a_store() -> MemoryStore:
    store = MemoryStore()
    facts = [an_intent(), replace(an_intent(), client_order_id=LATE), replace(an_intent(), client_order_id=OVER)]
    closed = replace(a_child_closed(), client_order_id=OVER)
    store.append([Committed(seq, NOW, fact) for seq, fact in enumerate([*facts, closed], 1)])
    return store


def acknowledged(cancel: SendCancel, _: int) -> CancelReply:
    order = an_order("CANCELED", client_order_id=cancel.client_order_id)
    return CancelAcknowledged(client_order_id=cancel.client_order_id, order=order)


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(last_cancels, "AGAIN_SECONDS", 0.01)


def test_what_this_journal_has_open_is_cancelled_and_nothing_else() -> None:
    venue = Venue(acknowledged)
    with Pool(1) as pool:
        assert cancel_open_children(a_store(), pool, venue) == ([OPEN, LATE], [])
    assert [cancel.client_order_id for cancel in venue.cancels] == [OPEN, LATE]
    assert all(len(cancel.cancel_id) <= 36 for cancel in venue.cancels)


def test_an_order_that_somebody_has_renamed_is_known_by_its_number() -> None:
    store, venue = a_store(), Venue(acknowledged)
    store.append([Committed(5, NOW, replace(an_acknowledged(), client_order_id=LATE, order_id=9))])
    venue.names = ("web_1", "web_2")
    with Pool(1) as pool:
        assert cancel_open_children(store, pool, venue) == ([LATE], [])
    assert [(cancel.client_order_id, cancel.order_id) for cancel in venue.cancels] == [(LATE, 9)]


def test_what_fails_is_tried_again_until_it_is_over() -> None:
    def later(cancel: SendCancel, tries: int) -> CancelReply:
        if cancel.client_order_id == LATE and tries < 3:
            return CancelFailed(client_order_id=LATE, code=-1007 if tries == 1 else None, detail="timeout")
        if cancel.client_order_id == LATE:
            return CancelFailed(client_order_id=LATE, code=-2011, detail="Unknown order sent.")
        return acknowledged(cancel, tries)

    venue = Venue(later, failing=2)
    with Pool(1) as pool:
        assert cancel_open_children(a_store(), pool, venue) == ([OPEN], [])
    assert [cancel.client_order_id for cancel in venue.cancels].count(LATE) == 3


def test_what_may_still_be_open_when_the_time_is_over_is_named() -> None:
    def silent(cancel: SendCancel, tries: int) -> CancelReply | None:
        return acknowledged(cancel, tries) if cancel.client_order_id == OPEN else None

    with Pool(1) as pool:
        assert cancel_open_children(a_store(), pool, Venue(silent), 0.1) == ([OPEN], [LATE])
        away = Venue(acknowledged, failing=10_000)
        assert cancel_open_children(a_store(), pool, away, 0.1) == ([], ["BTCUSDT"])


def test_a_journal_without_open_children_asks_nothing() -> None:
    venue = Venue(acknowledged)
    with Pool(1) as pool:
        assert cancel_open_children(MemoryStore(), pool, venue) == ([], [])
