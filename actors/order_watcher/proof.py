"""What is asked about an order of unknown outcome.

Only positive evidence decides: whatever shows the order, on any path, goes to its `Ledger` and
resolves it. No number of answers that do not show it proves anything, for the venue's queries lag
behind its engine; until an absence is proven, the order stays unknown and its quantity reserved.
"""

from __future__ import annotations

from collections.abc import Container
from decimal import Decimal

from messages.facts import ChildIntended
from messages.order import (
    Query,
    QueryAllOrders,
    QueryAnswer,
    QueryOpenOrders,
    QueryOrder,
    QueryTrades,
    TradesFound,
)
from messages.refs import Tells

GAPS_SECONDS = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0)
LAST_GAP_SECONDS = 30.0
BEFORE_TIMESTAMP_MS = 1000
"""How long before its own timestamp an order is looked for: the venue's clock may lag behind ours."""


def gap_before(round_: int) -> float:
    """Return the seconds to wait before the `round_`-th round of questions, the first being 0."""
    return GAPS_SECONDS[round_] if round_ < len(GAPS_SECONDS) else LAST_GAP_SECONDS


class Proof:
    """The search for one order whose outcome is unknown."""

    __slots__ = ("intent",)

    def __init__(self, intent: ChildIntended) -> None:
        self.intent = intent

    def questions(self, round_: int, reply_to: Tells[QueryAnswer]) -> list[Query]:
        """Return what to ask in this round: more places the longer the search lasts."""
        intent, since = self.intent, self.intent.request_timestamp - BEFORE_TIMESTAMP_MS
        child = intent.client_order_id
        asked: list[Query] = [QueryOrder(symbol=intent.symbol, client_order_id=child, reply_to=reply_to)]
        if round_ >= 1:
            asked.append(QueryOpenOrders(symbol=intent.symbol, reply_to=reply_to))
        if round_ >= 3:
            asked.append(QueryAllOrders(symbol=intent.symbol, since=since, reply_to=reply_to))
            asked.append(QueryTrades(symbol=intent.symbol, since=since, reply_to=reply_to))
        return asked

    def suspects(self, answer: TradesFound, claimed: Container[tuple[str, int]]) -> bool:
        """Whether a trade may be this order's: it fits, and its order is nobody's (symbol, order id).

        Trades don't carry the client order id, so the list of all orders must tell.
        """
        intent = self.intent
        return any(
            trade.symbol == intent.symbol
            and trade.side is intent.side
            and trade.time >= intent.request_timestamp - BEFORE_TIMESTAMP_MS
            and Decimal(0) < trade.quantity <= intent.quantity
            and (trade.symbol, trade.order_id) not in claimed
            for trade in answer.trades
        )

    def names(self, reply_to: Tells[QueryAnswer]) -> QueryAllOrders:
        """Return the question that tells whose trades those are."""
        since = self.intent.request_timestamp - BEFORE_TIMESTAMP_MS
        return QueryAllOrders(symbol=self.intent.symbol, since=since, reply_to=reply_to)
