"""The matching engine: price-time priority, order types, lifecycle and events (protocol §7, §9, §10)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal

from adapters.paper.account import Account
from adapters.paper.book import Book, Plan, Step, plan, worse
from adapters.paper.bookkeeping import Bookkeeping
from adapters.paper.errors import (
    AMEND_LARGER,
    AMEND_NOTHING,
    AMEND_TOO_OFTEN,
    AMEND_UNKNOWN,
    DUPLICATE_ORDER,
    EMPTY_BOOK,
    INSUFFICIENT_BALANCE,
    MARKET_CLOSED,
    THIN_BOOK,
    UNKNOWN_ORDER,
    WOULD_TAKE,
    WOULD_TRIGGER,
    ExchangeError,
    refuse,
)
from adapters.paper.filters import Candidate, check, range_limits
from adapters.paper.liquidity.base import Happening, Moved, Print
from adapters.paper.records import (
    Amended,
    Cancelled,
    LiveOrder,
    NewOrder,
    Placed,
    TradeRecord,
)
from adapters.paper.rules import SymbolStatus
from messages.frozen import replace
from messages.money import ZERO
from messages.order import OrderStatus
from messages.signal import Side


def _ignore_accepted() -> None:
    """Do nothing when an order is taken."""


class Engine(Bookkeeping):
    """All books of one account. Every `now` is microseconds since 1970 on the caller's clock.

    Stamps are `now + skew`. `events` grows; whoever drives the engine empties it.
    """

    def __init__(self, books: Mapping[str, Book], account: Account) -> None:
        """Match on `books` (by symbol) for `account`."""
        super().__init__(books, account)
        self.skew = 0
        self.on_accepted: Callable[[], None] = _ignore_accepted

    # Time -----------------------------------------------------------------------------------------

    def advance(self, now: int, symbols: Iterable[str] | None = None) -> None:
        """Let others trade up to `now`: on all books where own orders rest, and on `symbols`."""
        for book in self.books.values():
            if book.live:
                self.present(book, now)
        for symbol in symbols or ():
            self.present(self.books[symbol], now)

    def present(self, book: Book, now: int) -> None:
        """Bring one book to `now`."""
        if book.live:
            self._pass(book, book.source.follow(now))
        else:
            book.source.skip(now)
        book.reached = max(book.reached, now)

    # Requests -------------------------------------------------------------------------------------

    def place(self, new: NewOrder, now: int) -> Placed:
        """Judge and take an order; `ExchangeError` if it is refused, and then nothing has happened."""
        book = self.books[new.symbol]
        self.present(book, now)
        self._check(book, new)
        self._pass(book, book.source.settle())
        at = now + self.skew
        if new.stop_price is not None:
            return self._place_stop(book, new, at)
        planned = self._plan(book, new)
        order = self._accept(book, new, planned, at)
        trades = self._take(book, order, planned, at)
        self._conclude(book, order, planned, at)
        record = order.record()
        if trades:
            self._trigger(book, at)
        self._tell_balances(at)
        return Placed(at=at, order=record, trades=tuple(trades))

    def cancel(self, order: LiveOrder, now: int, cancel_id: str) -> Cancelled:
        """Cancel an open order; -2011 if it is not open any more."""
        book = self.books[order.new.symbol]
        self.present(book, now)
        if order.status.final:
            refuse(UNKNOWN_ORDER)
        order.shown_id = cancel_id
        self._end(book, order, OrderStatus.CANCELED, None, now + self.skew)
        self._report(
            order, "CANCELED", order.update_time, client_order_id=cancel_id, original=order.new.client_order_id
        )
        self._tell_balances(order.update_time)
        return Cancelled(at=order.update_time, order=order.record(), cancel_id=cancel_id)

    def amend(self, order: LiveOrder, now: int, quantity: Decimal, client_order_id: str) -> Amended:
        """Make an open order smaller; it keeps its place in the queue. -2038 if that cannot be."""
        book = self.books[order.new.symbol]
        self.present(book, now)
        if order.status.final:
            refuse(AMEND_UNKNOWN)
        if quantity > order.quantity:
            refuse(AMEND_LARGER)
        if quantity == order.quantity or quantity <= order.executed + order.prevented:
            refuse(AMEND_NOTHING)
        spec = book.spec
        if order.amendments >= spec.max_amendments:
            refuse(AMEND_TOO_OFTEN)
        if spec.status is SymbolStatus.CANCEL_ONLY:  # That is, cancel and amend only.
            spec = replace(spec, status=SymbolStatus.TRADING)
        check(spec, self._candidate(book, replace(order.new, quantity=quantity), amends=True))
        original = order.new.client_order_id
        if client_order_id != original:
            self._refuse_duplicate(client_order_id)
        order.quantity, order.update_time, order.amendments = quantity, now + self.skew, order.amendments + 1
        order.new = replace(order.new, quantity=quantity, client_order_id=client_order_id)
        self.by_client_id[original].remove(order)
        self.by_client_id.setdefault(client_order_id, []).append(order)
        self.account.release(order, book.spec)
        self.account.lock(order, book.spec, order.left * (order.price if order.new.side is Side.BUY else 1))
        on_book = order.working_time is not None
        self._report(order, "REPLACED", order.update_time, original=original, on_book=on_book)
        execution_id = self.last_execution_id
        self._tell_balances(order.update_time)
        return Amended(at=order.update_time, order=order.record(), execution_id=execution_id, original_id=original)

    def judge(self, new: NewOrder, now: int) -> None:
        """Judge an order by the rules without taking it; `ExchangeError` if it breaks one."""
        book = self.books[new.symbol]
        self.present(book, now)
        self._check_rules(book, new)

    def expire(self, order: LiveOrder, now: int, reason: str = "EXCHANGE_CANCELED") -> None:
        """End an open order on the exchange's own account."""
        self._end(self.books[order.new.symbol], order, OrderStatus.EXPIRED, reason, now + self.skew)
        self._report(order, "EXPIRED", order.update_time)
        self._tell_balances(order.update_time)

    # Placing --------------------------------------------------------------------------------------

    def _check(self, book: Book, new: NewOrder) -> None:
        self._refuse_duplicate(new.client_order_id)
        self._check_rules(book, new)

    def _refuse_duplicate(self, client_order_id: str) -> None:
        for earlier in self.by_client_id.get(client_order_id, ()):
            if not earlier.status.final:
                refuse(DUPLICATE_ORDER)

    def _check_rules(self, book: Book, new: NewOrder) -> None:
        if book.source.halted():
            refuse(MARKET_CLOSED)
        check(book.spec, self._candidate(book, new))

    def _candidate(self, book: Book, new: NewOrder, *, amends: bool = False) -> Candidate:
        """Gather what the filters look at; an order that is only made smaller adds nothing to what there is."""
        _, free, locked = self.account.balance(book.spec.base)
        waiting = [order.left for order in book.stops if order.new.side is Side.BUY]
        buying = sum((order.left for order in book.resting[Side.BUY]), sum(waiting, ZERO))
        resting = len(book.resting[Side.BUY]) + len(book.resting[Side.SELL]) + len(book.stops)
        return Candidate(
            side=new.side,
            market=new.at_market,
            quantity=new.quantity,
            quote_quantity=new.quote_quantity,
            price=new.price,
            reference=book.middle(),
            open_orders=0 if amends else resting,
            position=ZERO if amends else free + locked + buying,
            stop_price=new.stop_price,
            stops=0 if amends else len(book.stops),
        )

    def _plan(self, book: Book, new: NewOrder) -> Plan:
        planned = plan(book, new, new.price, range_limits(book.spec, new.side, book.middle()))
        if new.order_type == "LIMIT_MAKER":
            if planned.steps or planned.prevented or planned.stopped:
                refuse(WOULD_TAKE)
            return Plan()
        if new.quote_quantity is not None:
            if not planned.steps:
                refuse(EMPTY_BOOK)
            if planned.used < max(book.spec.min_quantity, book.spec.market_min_quantity):
                refuse(THIN_BOOK)
        elif new.time_in_force == "FOK" and planned.quantity < (new.quantity or ZERO):
            return Plan()
        return planned

    def _accept(self, book: Book, new: NewOrder, planned: Plan, at: int) -> LiveOrder:
        quantity = planned.used if new.quantity is None else new.quantity
        order = LiveOrder(
            order_id=book.last_order_id + 1,
            new=new,
            price=new.price or ZERO,
            quantity=quantity,
            time=at,
            update_time=at,
            working_time=at if new.stop_price is None else None,
            short=new.quantity is None and planned.exhausted,
        )
        if new.side is Side.SELL:
            held = quantity
        elif new.price is not None:
            held = new.price * quantity
        else:
            held = planned.cost
            if new.quote_quantity and self.account.balance(book.spec.quote)[1] < new.quote_quantity:
                refuse(INSUFFICIENT_BALANCE)
        self.account.lock(order, book.spec, held)
        book.last_order_id = order.order_id
        key = (new.symbol, order.order_id)
        self.orders[key] = self.open[key] = order
        self.by_client_id.setdefault(new.client_order_id, []).append(order)
        self.on_accepted()
        self._report(order, "NEW", at, on_book=new.stop_price is None)
        return order

    def _take(self, book: Book, order: LiveOrder, planned: Plan, at: int) -> list[TradeRecord]:
        for maker in planned.prevented:
            self._prevent(book, maker, order, at)
        trades = []
        for price, quantity, counter, prevented in planned.steps:
            if prevented and counter is not None:
                self._decrement(book, order, counter, Step(price, quantity, counter), at)
                continue
            trade_id = self._public_trade(book, order.new.side, price, quantity, at)
            trades.append(self._fill(book, order, price, quantity, trade_id=trade_id, at=at, maker=False))
            if counter is None:
                book.source.take(order.new.side.opposite, price, quantity)
            else:
                self._fill(book, counter, price, quantity, trade_id=trade_id, at=at, maker=True)
        return trades

    def _conclude(self, book: Book, order: LiveOrder, planned: Plan, at: int) -> None:
        """Let what is left rest, or end it with its reason."""
        if order.status.final:
            return
        new = order.new
        if planned.stopped is not None:
            counter = planned.stopped
            match_id = counter.prevented_match if counter in planned.prevented else None
            self._prevent(book, order, counter, at, match_id=match_id)
        elif planned.out_of_range:
            self._expire(book, order, "EXECUTION_RULE_PRICE_RANGE_EXCEEDED", at)
        elif new.at_market:
            self._expire(book, order, "INSUFFICIENT_LIQUIDITY", at)
        elif new.time_in_force == "IOC":
            self._expire(book, order, "UNFILLED_IOC_QUANTITY_EXPIRED", at)
        elif new.time_in_force == "FOK":
            self._expire(book, order, "UNFILLED_FOK_ORDER_EXPIRED", at)
        else:
            book.rest(order)

    # Stop orders ----------------------------------------------------------------------------------

    def _place_stop(self, book: Book, new: NewOrder, at: int) -> Placed:
        """Let a stop order wait for its price; -2010 if that is here already."""
        last = book.last_price if book.live and book.last_price is not None else book.middle()
        if last is not None and new.triggered_by(last):
            refuse(WOULD_TRIGGER)
        order = self._accept(book, new, Plan(), at)
        book.stops.append(order)
        self._tell_balances(at)
        return Placed(at=at, order=order.record(), trades=())

    def _trigger(self, book: Book, at: int) -> None:
        """Set off what waits for the last price, in the order in which it came; what that trades may set off more."""
        while book.stops and book.last_price is not None and book.spec.status is SymbolStatus.TRADING:
            due = next((order for order in book.stops if order.new.triggered_by(book.last_price)), None)
            if due is None:
                return
            book.stops.remove(due)
            self._set_off(book, due, at)

    def _set_off(self, book: Book, order: LiveOrder, at: int) -> None:
        """Make a stop order what it waited to be: one that takes, and may rest.

        A buy at market has nothing set aside before; one that cannot be paid then ends.
        """
        order.working_time = order.update_time = at
        planned = self._plan(book, order.new)
        if order.new.at_market and order.new.side is Side.BUY:
            try:
                self.account.lock(order, book.spec, planned.cost)
            except ExchangeError:
                self._expire(book, order, "REJECTED", at)
                return
        self._report(order, "NEW", at, on_book=True)
        self._take(book, order, planned, at)
        self._conclude(book, order, planned, at)

    # What others do -------------------------------------------------------------------------------

    def _pass(self, book: Book, happenings: Iterable[Happening]) -> None:
        at = 0
        for happening in happenings:
            at = max(happening.at, book.reached) + self.skew  # What a frozen market catches up with comes late.
            last = book.last_trade_id
            if isinstance(happening, Print):
                self._on_print(book, happening, at)
            elif book.busy:
                self._on_move(book, happening, at)
            if book.last_trade_id != last:
                self._trigger(book, at)
        if self.account.touched:
            self._tell_balances(at)

    def _on_print(self, book: Book, trade: Print, at: int) -> None:
        """Give own resting orders their turn in what somebody else took."""
        trade_id = self._public_trade(book, trade.taker, trade.price, trade.quantity, at)
        left = trade.quantity
        for order in list(book.resting[trade.taker.opposite]):
            if not left or worse(trade.taker, order.price, trade.price):
                break
            ahead = order.ahead if order.price == trade.price else ZERO
            order.ahead = max(ZERO, order.ahead - left)
            filled = min(order.left, left - ahead)
            if filled > 0:
                self._fill(book, order, order.price, filled, trade_id=trade_id, at=at, maker=True)
                left -= filled

    def _on_move(self, book: Book, moved: Moved, at: int) -> None:
        """Fill what the market has come through; at a price that others have left, own orders are first."""
        for side in Side:
            if not book.resting[side]:
                continue
            best = next(book.source.levels(side), None)
            crossing = next(book.source.levels(side.opposite), None)
            for order in list(book.resting[side]):
                if best is None or worse(side.opposite, best[0], order.price):
                    order.ahead = ZERO
                if crossing is not None and not worse(side, crossing[0], order.price):
                    self._cross(book, order, at)

    def _cross(self, book: Book, order: LiveOrder, at: int) -> None:
        through = []
        for price, there in book.source.levels(order.new.side.opposite):
            if worse(order.new.side, price, order.price):
                break
            through.append((price, there))
        for price, there in through:
            if not order.left:
                return
            quantity = min(order.left, there)
            trade_id = self._public_trade(book, order.new.side.opposite, order.price, quantity, at)
            book.source.take(order.new.side.opposite, price, quantity)
            self._fill(book, order, order.price, quantity, trade_id=trade_id, at=at, maker=True)

    # Rules at run time ----------------------------------------------------------------------------

    def change(self, symbol: str, **fields: object) -> None:
        """Replace fields of a symbol's rules, as `change("BTCUSDT", status=SymbolStatus.HALT)`."""
        book = self.books[symbol]
        book.spec = replace(book.spec, **fields)  # type: ignore[arg-type]  # the caller names fields of SymbolSpec
