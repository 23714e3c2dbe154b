"""Order lists (OCO and its like), of which there are none here: refused as for a symbol that has none."""

from __future__ import annotations

from collections.abc import Callable
from typing import NoReturn

from adapters.paper.errors import refuse
from adapters.paper.requests import known_symbol
from adapters.paper.server.call import Call
from adapters.paper.shapes import Shape

NOT_SUPPORTED = "{} orders are not supported for this symbol"
NO_SUCH_LIST = (-2018, "Order list does not exist.")
UNKNOWN_LIST = (-2011, "Unknown order list sent.")


def place(kind: str) -> Callable[[Call], NoReturn]:
    """Make the answer to a request for a list of a kind, `OCO` for instance: -2010."""

    def answer(call: Call) -> NoReturn:
        call.charge(1)
        known_symbol(call.params, call.exchange.engine.books)
        refuse((-2010, NOT_SUPPORTED.format(kind)))

    return answer


def cancel(call: Call) -> NoReturn:
    """Answer `DELETE /orderList`."""
    call.charge(1)
    known_symbol(call.params, call.exchange.engine.books)
    refuse(UNKNOWN_LIST)


def query(call: Call) -> NoReturn:
    """Answer `GET /orderList`."""
    call.charge(4)
    refuse(NO_SUCH_LIST)


def open_lists(call: Call) -> list[Shape]:
    """Answer `GET /openOrderList`."""
    call.charge(6)
    return []


def all_lists(call: Call) -> list[Shape]:
    """Answer `GET /allOrderList`, and `GET /myAllocations`, for nothing is routed either."""
    call.charge(20)
    return []
