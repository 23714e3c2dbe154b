"""The last thing that can be done where no actor can be: cancel what this journal's orders still have open.

Used when a start is refused because too many before it have failed. Nothing of it is journalled: a cancel has no
effect on quantities, and what it let through is read by the next start.
"""

from __future__ import annotations

import queue
from collections.abc import Collection, Iterator
from typing import Protocol

from actors.runtime import Runtime
from messages.control import Committed
from messages.facts import ChildAcknowledged, ChildClosed, ChildIntended
from messages.ids import cancel_id
from messages.order import (
    CancelAcknowledged,
    CancelFailed,
    CancelReply,
    OpenOrdersFound,
    QueryAnswer,
    QueryFailed,
    QueryOpenOrders,
    SendCancel,
    VenueCommand,
)
from messages.refs import Tells

SECONDS, AGAIN_SECONDS = 20.0, 1.0
NUMBER = 36 * 36 - 1
"""Of the cancels' ids: higher than any that an actor counts to."""
NOT_OPEN = -2011


class _Readable(Protocol):
    def read(
        self, after: int = 0, kinds: Collection[str] | None = None, *, archived: bool = True
    ) -> Iterator[Committed]: ...


class _Ear:
    def __init__(self) -> None:
        self.heard: queue.SimpleQueue[QueryAnswer | CancelReply] = queue.SimpleQueue()

    def tell(self, message: QueryAnswer | CancelReply, /) -> None:
        self.heard.put(message)


def cancel_open_children(
    store: _Readable, runtime: Runtime, venue: Tells[VenueCommand], seconds: float = SECONDS
) -> tuple[list[str], list[str]]:
    """Cancel the orders of this journal that are open at the venue; return those that ended, and what may not have.

    The latter are client order ids, or a symbol of which the open orders could not be read.
    """
    ear, cancelled = _Ear(), list[str]()
    children, numbers = _not_closed(store)
    unread = dict.fromkeys(children.values())
    left: dict[str, SendCancel] = {}
    for symbol in unread:
        venue.tell(QueryOpenOrders(symbol=symbol, reply_to=ear))
    deadline = runtime.now() + seconds
    while unread or left:
        try:
            answer = ear.heard.get(timeout=max(0.0, deadline - runtime.now()))
        except queue.Empty:
            break
        match answer:
            case OpenOrdersFound(symbol=symbol):
                unread.pop(symbol, None)
                for order in answer.orders:
                    child = order.client_order_id
                    if child not in children:  # Somebody may have given it another id: its number stays.
                        child = numbers.get((symbol, order.order_id), child)
                    if child in children:
                        left[child] = SendCancel(
                            symbol=symbol,
                            client_order_id=child,
                            order_id=order.order_id,
                            cancel_id=cancel_id(child, NUMBER),
                            reply_to=ear,
                        )
                        venue.tell(left[child])
            case QueryFailed(query=query):
                runtime.tell_after(AGAIN_SECONDS, venue, query)
            case CancelAcknowledged(client_order_id=child):
                left.pop(child, None)
                cancelled.append(child)
            case CancelFailed(client_order_id=child, code=code) if child in left:
                if code == NOT_OPEN:
                    del left[child]
                else:
                    runtime.tell_after(AGAIN_SECONDS, venue, left[child])
            case _:
                pass
    return cancelled, [*unread, *left]


def _not_closed(store: _Readable) -> tuple[dict[str, str], dict[tuple[str, int], str]]:
    """Return the symbols of the children that the journal has no end of, by their ids, and the ids by the numbers."""
    children: dict[str, str] = {}
    numbers: dict[tuple[str, int], str] = {}
    kinds = (ChildIntended.__name__, ChildAcknowledged.__name__, ChildClosed.__name__)
    for committed in store.read(kinds=kinds, archived=False):
        match committed.fact:
            case ChildAcknowledged(client_order_id=child, symbol=symbol, order_id=number):
                numbers[symbol, number] = child
            case ChildIntended(client_order_id=child, symbol=symbol):
                children[child] = symbol
            case ChildClosed(client_order_id=child):
                children.pop(child, None)
            case _:
                pass
    return children, numbers
