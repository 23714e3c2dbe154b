"""What the engine writes down: fills, ends and what self-trade prevention takes, each with its event (protocol §7)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal

from adapters.paper.account import Account
from adapters.paper.book import Book, Step
from adapters.paper.records import AccountPosition, Event, Execution, LiveOrder, PublicTrade, TradeRecord
from messages.money import ZERO
from messages.order import OrderStatus
from messages.signal import Side


def _ignore_fill(maker: bool) -> None:  # noqa: FBT001 - what a listener is told
    """Do nothing when an order is first filled."""


@dataclass(slots=True)
class Changes:
    """What has changed since it was last made durable."""

    orders: dict[tuple[str, int], LiveOrder]
    trades: list[TradeRecord]


class Bookkeeping:
    """Orders, trades and balances of one account, and the events of their changes.

    `events` grows; whoever drives the engine empties it. Every `at` is microseconds on the exchange's clock.
    """

    def __init__(self, books: Mapping[str, Book], account: Account) -> None:
        """Keep `books` (by symbol) for `account`."""
        self.books, self.account = dict(books), account
        self.orders: dict[tuple[str, int], LiveOrder] = {}
        self.by_client_id: dict[str, list[LiveOrder]] = {}
        self.open: dict[tuple[str, int], LiveOrder] = {}
        self.trades: list[TradeRecord] = []
        self.trades_of: dict[tuple[str, int], list[TradeRecord]] = {}
        self.events: list[Event] = []
        self.last_execution_id = 0
        self.changes = Changes({}, [])
        self.on_first_fill: Callable[[bool], None] = _ignore_fill

    def _public_trade(self, book: Book, taker: Side, price: Decimal, quantity: Decimal, at: int) -> int:
        book.last_trade_id += 1
        book.last_price = price
        book.traded += quantity
        book.recent.append(
            PublicTrade(
                symbol=book.spec.symbol,
                trade_id=book.last_trade_id,
                price=price,
                quantity=quantity,
                buyer_is_maker=taker is Side.SELL,
                time=at,
            )
        )
        return book.last_trade_id

    def _fill(
        self, book: Book, order: LiveOrder, price: Decimal, quantity: Decimal, *, trade_id: int, at: int, maker: bool
    ) -> TradeRecord:
        first = not order.executed
        fee, fee_asset = self.account.settle(order, book.spec, price, quantity, maker=maker)
        order.executed += quantity
        order.executed_quote += price * quantity
        order.update_time = at
        trade = TradeRecord(
            symbol=book.spec.symbol,
            trade_id=trade_id,
            order_id=order.order_id,
            side=order.new.side,
            price=price,
            quantity=quantity,
            quote=price * quantity,
            commission=fee,
            commission_asset=fee_asset,
            maker=maker,
            time=at,
        )
        self.trades.append(trade)
        self.trades_of.setdefault((trade.symbol, trade.order_id), []).append(trade)
        self.changes.trades.append(trade)
        done = not order.left and not order.short
        if done and not order.prevented:
            self._end(book, order, OrderStatus.FILLED, None, at)
        else:
            order.status = OrderStatus.PARTIALLY_FILLED
        self._report(order, "TRADE", at, trade=trade, on_book=maker and bool(order.left))
        if done and order.prevented:  # FILLED is only what was filled whole.
            self._end(book, order, OrderStatus.EXPIRED_IN_MATCH, None, at)
            self._report(order, "EXPIRED", at)
        if first:
            self.on_first_fill(maker)
        return trade

    def _decrement(self, book: Book, taker: LiveOrder, maker: LiveOrder, step: Step, at: int) -> None:
        """Take the quantity of a match that must not be off both orders; one with nothing left ends (protocol §10)."""
        match_id, price, quantity = self.last_execution_id + 1, step.price, step.quantity
        for order, counter in ((maker, taker), (taker, maker)):
            order.prevented += quantity
            order.prevented_match, order.update_time = match_id, at
            self.account.unlock(order, book.spec, quantity)
            if not order.left:
                self._end(book, order, OrderStatus.EXPIRED_IN_MATCH, None, at)
            self._report(
                order,
                "TRADE_PREVENTION",
                at,
                counter=counter,
                last_prevented=quantity,
                prevented_price=price,
                on_book=order is maker and bool(order.left),
            )

    def _prevent(
        self, book: Book, order: LiveOrder, counter: LiveOrder, at: int, *, match_id: int | None = None
    ) -> None:
        prevented = order.left
        order.prevented += prevented
        order.prevented_match = self.last_execution_id + 1 if match_id is None else match_id
        self._end(book, order, OrderStatus.EXPIRED_IN_MATCH, None, at)
        self._report(order, "TRADE_PREVENTION", at, counter=counter, last_prevented=prevented)

    def _expire(self, book: Book, order: LiveOrder, reason: str, at: int) -> None:
        self._end(book, order, OrderStatus.EXPIRED, reason, at)
        self._report(order, "EXPIRED", at)

    def _end(self, book: Book, order: LiveOrder, status: OrderStatus, reason: str | None, at: int) -> None:
        order.status, order.expiry_reason, order.update_time = status, reason, at
        self.account.release(order, book.spec)
        self.open.pop((order.new.symbol, order.order_id), None)
        book.unrest(order)
        order.ahead = ZERO

    def _report(
        self,
        order: LiveOrder,
        execution_type: str,
        at: int,
        *,
        client_order_id: str | None = None,
        original: str = "",
        trade: TradeRecord | None = None,
        on_book: bool = False,
        counter: LiveOrder | None = None,
        last_prevented: Decimal = ZERO,
        prevented_price: Decimal | None = None,
    ) -> None:
        self.last_execution_id += 1
        self.changes.orders[order.new.symbol, order.order_id] = order
        self.events.append(
            Execution(
                at=at,
                execution_id=self.last_execution_id,
                execution_type=execution_type,
                order=order.record(),
                client_order_id=client_order_id or order.new.client_order_id,
                original_client_order_id=original,
                trade=trade,
                on_book=on_book,
                counter_order_id=None if counter is None else counter.order_id,
                last_prevented=last_prevented,
                prevented_price=prevented_price,
            )
        )

    def _tell_balances(self, at: int) -> None:
        self.events.append(AccountPosition(at=at, balances=self.account.take_touched()))
