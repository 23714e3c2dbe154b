"""A venue that fills every order at once, so that what is measured is the daemon and nothing else."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from decimal import Decimal
from typing import assert_never

import pykka

from actors.runtime import Actor
from adapters.paper.rules import built_in, symbol_rules
from messages.ids import milliseconds
from messages.market import Level, MarketEvent, QuoteSeen, SymbolRules, WatchMarket
from messages.money import ZERO
from messages.order import (
    Acknowledged,
    AllOrdersFound,
    BalancesFound,
    BalancesSeen,
    CancelFailed,
    OpenOrdersFound,
    OpenUserStream,
    OrderNotFound,
    OrderReport,
    OrderSnapshot,
    OrderStatus,
    QueryAllOrders,
    QueryBalances,
    QueryOpenOrders,
    QueryOrder,
    QueryRules,
    QueryTime,
    QueryTrades,
    RulesFound,
    SendCancel,
    SendOrder,
    StreamOpened,
    TimeFound,
    Trade,
    TradesFound,
    UserEvent,
    VenueCommand,
)
from messages.refs import Tells
from messages.signal import Side

RULES: dict[str, SymbolRules] = {spec.symbol: symbol_rules(spec) for spec in built_in().values()}
PRICES = {
    "BTCUSDT": Decimal(42_000),
    "ETHUSDT": Decimal(2_500),
    "BNBUSDT": Decimal(300),
    "DOGEUSDT": Decimal("0.08"),
}
"""The bid of each symbol; the ask is a tick above, and neither ever moves."""

LEVELS = 20
QUOTE_SECONDS = 0.1
PLENTY = Decimal(10) ** 12
"""Of each asset; an account that never runs dry."""


@dataclass(frozen=True, slots=True)
class _Quote:
    """Time for the next quote of a symbol."""

    symbol: str


VenueMessage = VenueCommand | WatchMarket | _Quote


class InstantVenue(Actor):
    """Fills each order completely at the touch: reply, reports and balances as the real venue words them.

    Every `QUOTE_SECONDS` each watched symbol is quoted, one after the other and not all at once. `on_trade` is called
    with the client order id just before anybody is told of its trade.
    """

    name = "instant-venue"

    def __init__(self, on_trade: Callable[[str], None] = lambda _: None) -> None:
        super().__init__()
        self._on_trade = on_trade
        self._numbers = itertools.count(1)
        self._stream: Tells[UserEvent] | None = None
        self._watched: dict[str, Tells[MarketEvent]] = {}
        assets = dict.fromkeys(asset for rules in RULES.values() for asset in (rules.base, rules.quote))
        self._balances = tuple((asset, PLENTY, ZERO) for asset in assets)
        self._quotes = {symbol: _quotes_of(symbol) for symbol in RULES}
        self._turns = dict.fromkeys(RULES, 0)

    def on_start(self) -> None:
        """Begin to quote."""
        for number, symbol in enumerate(RULES):
            self.runtime.tell_after(QUOTE_SECONDS * number / len(RULES), self.actor_ref, _Quote(symbol))

    def on_receive(self, message: VenueMessage) -> None:
        """Answer at once."""
        match message:
            case SendOrder():
                self._fill(message)
            case _Quote(symbol):
                self._turns[symbol] += 1
                listener = self._watched.get(symbol)
                if listener is not None:
                    with suppress(pykka.ActorDeadError):  # The daemon ends before its venue does.
                        listener.tell(self._quotes[symbol][self._turns[symbol] % 2])
                self.runtime.tell_after(QUOTE_SECONDS, self.actor_ref, message)
            case WatchMarket(symbol=symbol, listener=listener):
                self._watched[symbol] = listener
                listener.tell(self._quotes[symbol][0])
            case OpenUserStream(listener=stream):
                self._stream = stream
                stream.tell(StreamOpened())
            case SendCancel(client_order_id=name, reply_to=watcher):
                watcher.tell(CancelFailed(client_order_id=name, code=-2011, detail="Unknown order sent."))
            case (
                QueryOrder()
                | QueryOpenOrders()
                | QueryAllOrders()
                | QueryTrades()
                | QueryBalances()
                | QueryRules()
                | QueryTime()
            ):
                self._answer(message)
            case _:
                pass  # Limits are never used up, and a stream that is never cut needs no probe.

    def _answer(
        self,
        query: QueryOrder | QueryOpenOrders | QueryAllOrders | QueryTrades | QueryBalances | QueryRules | QueryTime,
    ) -> None:
        match query:
            case QueryTime(reply_to=asker):
                asker.tell(TimeFound(offset_milliseconds=0))
            case QueryRules(symbols=symbols, reply_to=asker):
                asker.tell(RulesFound(rules=tuple(RULES[symbol] for symbol in symbols)))
            case QueryBalances(reply_to=asker):
                asker.tell(BalancesFound(balances=self._balances))
            case QueryOrder(symbol=symbol, client_order_id=name, reply_to=asker):
                asker.tell(OrderNotFound(symbol=symbol, client_order_id=name))
            case QueryOpenOrders(symbol=symbol, reply_to=asker):
                asker.tell(OpenOrdersFound(symbol=symbol, orders=()))
            case QueryAllOrders(symbol=symbol, since=since, reply_to=asker):
                asker.tell(AllOrdersFound(symbol=symbol, since=since, orders=()))
            case QueryTrades(symbol=symbol, reply_to=asker):
                asker.tell(TradesFound(symbol=symbol, trades=(), from_id=None, since=None, order_id=None))
            case _:
                assert_never(query)

    def _fill(self, order: SendOrder) -> None:
        number = next(self._numbers)
        quote = self._quotes[order.symbol][0]
        price = quote.ask if order.side is Side.BUY else quote.bid
        now = milliseconds(self.runtime.wall_time())
        rules = RULES[order.symbol]
        trade = Trade(
            symbol=order.symbol,
            order_id=number,
            trade_id=number,
            side=order.side,
            price=price,
            quantity=order.quantity,
            commission=order.quantity / 1000 if order.side is Side.BUY else order.quantity * price / 1000,
            commission_asset=rules.base if order.side is Side.BUY else rules.quote,
            maker=False,
            time=now,
        )
        new = _snapshot(order, number, now, OrderStatus.NEW, ZERO, price)
        filled = _snapshot(order, number, now, OrderStatus.FILLED, order.quantity, price)
        self._on_trade(order.client_order_id)
        order.reply_to.tell(Acknowledged(client_order_id=order.client_order_id, order=filled, trades=(trade,)))
        if self._stream is not None:
            self._stream.tell(OrderReport(order=new, report_id=2 * number, execution_type="NEW"))
            self._stream.tell(OrderReport(order=filled, report_id=2 * number + 1, execution_type="TRADE", trade=trade))
            told = tuple(balance for balance in self._balances if balance[0] in (rules.base, rules.quote))
            self._stream.tell(BalancesSeen(balances=told))


def _snapshot(
    order: SendOrder, number: int, now: int, status: OrderStatus, executed: Decimal, price: Decimal
) -> OrderSnapshot:
    return OrderSnapshot(
        symbol=order.symbol,
        order_id=number,
        client_order_id=order.client_order_id,
        side=order.side,
        order_type=order.order_type,
        status=status,
        price=order.limit_price or ZERO,
        quantity=order.quantity,
        executed_quantity=executed,
        executed_quote=executed * price,
        time=now,
        update_time=now,
    )


def _quotes_of(symbol: str) -> tuple[QuoteSeen, QuoteSeen]:
    """Two quotes that differ in what stands at the touch, to be told in turn."""
    first, second = (_quote(symbol, share) for share in (Decimal(1), Decimal(2)))
    return first, second


def _quote(symbol: str, share: Decimal) -> QuoteSeen:
    bid, tick = PRICES[symbol], RULES[symbol].tick
    size = Decimal(1_000_000) / bid // 1

    def level(distance: int, sign: int) -> Level:
        return bid + sign * distance * tick, size * (share if distance in (0, 1) else 1)

    bids = tuple(level(distance, -1) for distance in range(LEVELS))
    asks = tuple(level(distance, 1) for distance in range(1, LEVELS + 1))
    return QuoteSeen(
        symbol=symbol,
        bid=bids[0][0],
        bid_quantity=bids[0][1],
        ask=asks[0][0],
        ask_quantity=asks[0][1],
        bids=bids,
        asks=asks,
    )
