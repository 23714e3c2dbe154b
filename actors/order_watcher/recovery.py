"""What OrderWatcher reads at each start before it is ready: a list of questions that empties.

Every start is a recovery. Of each symbol concerned the open orders are read, the trades since the
last one booked, and all orders since the oldest that is in doubt; then, if nothing of ours is open,
the balances. What is read goes the way of every other word; here is only what is still to come.
"""

from __future__ import annotations

from collections.abc import Iterable

from actors.order_watcher.inquiry import Answered, Asker
from actors.order_watcher.proof import BEFORE_TIMESTAMP_MS, Moment, Path
from messages.order import (
    AllOrdersFound,
    OpenOrdersFound,
    Query,
    QueryAllOrders,
    QueryFailed,
    QueryOpenOrders,
    QueryTrades,
    TradesFound,
)
from messages.refs import Tells

INVALID_SYMBOL = -1121

Question = tuple[str, Path]
"""What is read: of a symbol, on a path."""


class Recovery:
    """The reads of one start. `done` once every one was answered."""

    def __init__(self) -> None:
        self.begun = False
        self._waiting: dict[Question, Query] = {}

    @property
    def done(self) -> bool:
        """Whether the start has read all that it has to."""
        return self.begun and not self._waiting

    @property
    def missing(self) -> list[Query]:
        """The questions that are not answered yet."""
        return list(self._waiting.values())

    def begin(
        self,
        symbols: Iterable[tuple[str, int | None, int | None]],
        me: Tells[Answered],
        asked: Moment,
    ) -> list[Query]:
        """Return what to ask about each (symbol, last trade booked, moment of the oldest order in doubt)."""
        self.begun = True
        for symbol, last_trade, oldest in symbols:
            since = None if oldest is None else oldest - BEFORE_TIMESTAMP_MS
            asker = Asker(me, asked, since)
            self._waiting[symbol, Path.OPEN] = QueryOpenOrders(symbol=symbol, reply_to=asker)
            if last_trade is not None:
                trades = QueryTrades(symbol=symbol, from_id=last_trade + 1, reply_to=asker)
                self._waiting[symbol, Path.TRADES] = trades
            if since is not None:
                everything = QueryAllOrders(symbol=symbol, since=since, reply_to=asker)
                self._waiting[symbol, Path.ALL] = everything
                if last_trade is None:
                    self._waiting[symbol, Path.TRADES] = QueryTrades(symbol=symbol, since=since, reply_to=asker)
        return self.missing

    def look_for_owners(self, symbol: str, since: int, me: Tells[Answered], asked: Moment) -> Query:
        """Return the question whose trades those are that nobody knows, made since a moment."""
        begin = since - BEFORE_TIMESTAMP_MS
        query = QueryAllOrders(symbol=symbol, since=begin, reply_to=Asker(me, asked, begin))
        self._waiting[symbol, Path.ALL] = query
        return query

    def take(self, answered: Answered) -> Query | None:
        """Note an answer; return the question to put again if it failed."""
        match answered.answer:
            case OpenOrdersFound(symbol=symbol):
                question = symbol, Path.OPEN
            case AllOrdersFound(symbol=symbol):
                question = symbol, Path.ALL
            case TradesFound(symbol=symbol, complete=True):
                question = symbol, Path.TRADES
            case QueryFailed(query=query, code=code) if code == INVALID_SYMBOL:
                self._waiting = {question: one for question, one in self._waiting.items() if one != query}
                return None  # It is not listed any more: there is nothing to read, today or later.
            case QueryFailed(query=QueryTrades(symbol=symbol) as query) if self._is_page(query):
                self._waiting[symbol, Path.TRADES] = query  # From here on: what came before is taken.
                return query
            case QueryFailed(query=query):
                return query if query in self._waiting.values() else None
            case _:
                return None
        waiting = self._waiting.get(question)
        if waiting is not None and getattr(waiting.reply_to, "asked", None) == answered.asked:
            del self._waiting[question]
        return None

    def _is_page(self, query: QueryTrades) -> bool:
        """Whether this asks for another page of an answer that is still read."""
        waiting = self._waiting.get((query.symbol, Path.TRADES))
        return waiting is not None and waiting.reply_to == query.reply_to
