"""The paper exchange: engine, account, markets, limits and clock behind one face, without I/O of its own.

Requests are Binance's parameters by name; answers are records, which a server or the in-process
venue puts in its own words. Every `now` is microseconds since 1970 on the caller's clock; the
exchange's own clock is that plus a settable skew.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from hashlib import blake2b
from itertools import islice
from typing import Any

from adapters.paper.account import DEFAULT_BALANCES, Account, Fees
from adapters.paper.book import Book
from adapters.paper.bookkeeping import Changes
from adapters.paper.engine import Engine
from adapters.paper.errors import (
    AMEND_UNKNOWN,
    BAD_RESTRICTION,
    CANCEL_RESTRICTED,
    UNKNOWN_ORDER,
    ExchangeError,
    missing,
    refuse,
)
from adapters.paper.limits import Limits, LimitSettings
from adapters.paper.liquidity.base import Liquidity
from adapters.paper.liquidity.scripted import SteeredMarket
from adapters.paper.markets import MarketChoice, build_markets
from adapters.paper.queries import all_orders, find, my_trades
from adapters.paper.records import Amended, Cancelled, Event, OrderRecord, Placed, TradeRecord
from adapters.paper.requests import Params, amount, check_time, client_id, known_symbol, new_order
from adapters.paper.rules import SymbolSpec, SymbolStatus, built_in, exchange_info, with_filter
from adapters.paper.shapes import balances_shape, order_shape, trade_shape
from adapters.paper.store import AccountFile, counters, restore
from messages.market import Level
from messages.signal import Side

WEIGHTS: Mapping[str, int] = {
    "order.place": 1,
    "order.cancel": 1,
    "order.query": 4,
    "openOrders": 6,
    "openOrders.all": 80,
    "allOrders": 20,
    "myTrades": 20,
    "myTrades.order": 5,
    "account": 20,
    "exchangeInfo": 20,
    "time": 1,
    "depth": 5,
    "bookTicker": 2,
}
"""Request weights (protocol §4); what succeeds in trading costs nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PaperSettings:
    """How the exchange is made. `balances` count only where there is no account file yet."""

    markets: MarketChoice = field(default_factory=MarketChoice)
    balances: Mapping[str, Decimal] = field(default_factory=lambda: dict(DEFAULT_BALANCES))
    fees: Fees = field(default_factory=Fees)
    limits: LimitSettings = field(default_factory=LimitSettings)
    symbols: Mapping[str, SymbolSpec] = field(default_factory=built_in)


class PaperExchange:
    """One account's exchange. Not thread-safe: it belongs to whoever drives it."""

    def __init__(
        self,
        settings: PaperSettings | None = None,
        *,
        now: int,
        file: AccountFile | None = None,
        markets: Mapping[str, Liquidity] | None = None,
    ) -> None:
        """Begin at `now`, or go on where `file` ended. `markets` replaces the settings' markets, by symbol."""
        self.settings = settings = settings or PaperSettings()
        self._file = file
        meta = file.meta() if file is not None else {}
        self._origin = int(meta.get("origin", now))
        self._floor = int(meta.get("clock", 0))
        self._skew = 0
        sources = dict(markets or build_markets(settings.markets, settings.symbols, self._origin_for(now)))
        self.steering = {
            symbol: SteeredMarket(source, settings.symbols[symbol].step) for symbol, source in sources.items()
        }
        books = {symbol: Book(settings.symbols[symbol], source) for symbol, source in self.steering.items()}
        self.account = Account(settings.balances, settings.fees, self._price_of_bnb)
        self.engine = Engine(books, self.account)
        self.limits = Limits(settings.limits)
        self.engine.on_accepted = lambda: self.limits.add_order(self._now)
        self.engine.on_first_fill = lambda maker: self.limits.first_fill(self._now, maker=maker)
        self._received: list[dict[str, object]] = []
        self._unsaved: list[dict[str, object]] = []
        self._drawn = int(meta.get("drawn", 0))
        self._trade_blocks: dict[str, int] = {}
        self._now = now
        if file is not None:
            restore(self.engine, file, now)
            self._received.extend(file.received())

    # Time and events ------------------------------------------------------------------------------

    def time(self, now: int) -> int:
        """Say what time it is here, in microseconds; never before what was stamped in an earlier life."""
        return max(now + self._skew, self._floor)

    def set_skew(self, microseconds: int) -> None:
        """Set how far this clock is ahead of the caller's."""
        self._skew = microseconds

    def advance(self, now: int, symbols: Sequence[str] = ()) -> None:
        """Let the markets go on to `now` where own orders rest, and on `symbols` as far as a look needs."""
        self._enter(now)
        self.engine.advance(now, symbols)
        self._commit()

    def drain(self) -> list[Event]:
        """Take the events since the last call, in their order."""
        events, self.engine.events = self.engine.events, []
        return events

    @property
    def resting(self) -> bool:
        """Whether an own order rests, so that time must be let pass for its fills to happen."""
        return bool(self.engine.open)

    # Trading --------------------------------------------------------------------------------------

    def place(self, params: Params, now: int, *, forwarded: bool = False) -> Placed:
        """Place an order (`POST /order`); `ExchangeError` if it is refused.

        A `forwarded` one has passed the door before: its time is not checked again.
        """
        at = self._enter(now)
        try:
            self.limits.check_weight(WEIGHTS["order.place"], at)
            if not forwarded:
                check_time(params, at)
            self.limits.check_order(at)
            new = new_order(params, self._specs(), self._draw)
            placed = self.engine.place(new, now)
        except ExchangeError as error:
            self.limits.add_weight(WEIGHTS["order.place"], at)
            self.record(params, now, "refused", error)
            self._commit()
            raise
        self.record(params, now, "accepted", order_id=placed.order.order_id)
        self._commit()
        return placed

    def cancel(self, params: Params, now: int) -> Cancelled:
        """Cancel an order (`DELETE /order`); -2011 if it is not open."""
        at = self._enter(now)
        weight = WEIGHTS["order.cancel"]
        try:
            self.limits.check_weight(weight, at)
            check_time(params, at)
            known_symbol(params, self.engine.books)
            order = find(self.engine, params, open_only=True)
            cancel_id = client_id(params, "newClientOrderId", self._draw)
            self.engine.present(self.engine.books[params["symbol"]], now)
            restriction = params.get("cancelRestrictions")
            if restriction not in {None, "ONLY_NEW", "ONLY_PARTIALLY_FILLED"}:
                refuse(BAD_RESTRICTION)
            if restriction is not None and restriction != f"ONLY_{order.status.value}":
                refuse(UNKNOWN_ORDER if order.status.final else CANCEL_RESTRICTED)
            return self.engine.cancel(order, now, cancel_id)
        except ExchangeError:
            self.limits.add_weight(weight, at)
            raise
        finally:
            self._commit()

    def cancel_all(self, params: Params, now: int) -> list[Cancelled]:
        """Cancel all open orders of a symbol (`DELETE /openOrders`); -2011 if there is none."""
        at = self._enter(now)
        try:
            self.limits.check_weight(WEIGHTS["order.cancel"], at)
            check_time(params, at)
            symbol = known_symbol(params, self.engine.books)
            self.engine.present(self.engine.books[symbol], now)
            orders = [order for order in self.engine.open.values() if order.new.symbol == symbol]
            if not orders:
                refuse(UNKNOWN_ORDER)
            return [self.engine.cancel(order, now, self._draw()) for order in orders]
        except ExchangeError:
            self.limits.add_weight(WEIGHTS["order.cancel"], at)
            raise
        finally:
            self._commit()

    def amend(self, params: Params, now: int) -> Amended:
        """Make an open order smaller (`PUT /order/amend/keepPriority`); -2038 if that cannot be."""
        at = self._enter(now)
        try:
            check_time(params, at)
            known_symbol(params, self.engine.books)
            quantity = amount(params, "newQty")
            if quantity is None:
                raise missing("newQty")
            try:
                order = find(self.engine, params, open_only=True)
            except ExchangeError as error:
                refuse(AMEND_UNKNOWN if error.code == UNKNOWN_ORDER[0] else (error.code, error.message))
            return self.engine.amend(order, now, quantity, client_id(params, "newClientOrderId", self._draw))
        finally:
            self._commit()

    def test(self, params: Params, now: int) -> None:
        """Judge an order without placing it (`POST /order/test`); `ExchangeError` if a rule is broken."""
        at = self._enter(now)
        try:
            check_time(params, at)
            self.engine.judge(new_order(params, self._specs(), self._draw), now)
        finally:
            self._commit()

    def record(
        self, params: Params, now: int, effect: str, error: ExchangeError | None = None, *, order_id: int = -1
    ) -> None:
        """Note that an order request arrived, and its effect (`accepted`, `refused`, `dropped`), for `truth`.

        Of an error that says when to ask again it is noted for how many milliseconds it forbids to.
        """
        at = self.time(now)
        entry: dict[str, object] = {
            "time": at // 1000,
            "clientOrderId": params.get("newClientOrderId", ""),
            "symbol": params.get("symbol", ""),
            "side": params.get("side", ""),
            "type": params.get("type", ""),
            "effect": effect,
        }
        for name in ("timeInForce", "quantity", "quoteOrderQty", "price", "timestamp", "recvWindow"):
            if name in params:
                entry[name] = params[name]
        if error is not None:
            entry["code"] = error.code
            if error.until is not None:
                entry["retryAfter"] = max(0, error.until - at) // 1000
        if order_id >= 0:
            entry["orderId"] = order_id
        self._received.append(entry)
        self._unsaved.append(entry)

    # Queries --------------------------------------------------------------------------------------

    def order(self, params: Params, now: int) -> OrderRecord:
        """Look up one order (`GET /order`); -2013 if there is none."""
        self._ask(params, now, "order.query")
        known_symbol(params, self.engine.books)
        return find(self.engine, params, open_only=False).record()

    def open_orders(self, params: Params, now: int) -> list[OrderRecord]:
        """List the open orders of a symbol, or of all (`GET /openOrders`)."""
        self._ask(params, now, "openOrders" if "symbol" in params else "openOrders.all")
        symbol = known_symbol(params, self.engine.books) if "symbol" in params else None
        return [order.record() for order in self.engine.open.values() if symbol in {None, order.new.symbol}]

    def all_orders(self, params: Params, now: int) -> list[OrderRecord]:
        """List orders of a symbol, oldest first (`GET /allOrders`): from an id, in a span, or the newest."""
        self._ask(params, now, "allOrders")
        return all_orders(self.engine, params)

    def my_trades(self, params: Params, now: int) -> list[TradeRecord]:
        """List own trades of a symbol, oldest first (`GET /myTrades`)."""
        self._ask(params, now, "myTrades.order" if "orderId" in params else "myTrades")
        return my_trades(self.engine, params)

    def balances(self, params: Params, now: int) -> tuple[tuple[str, Decimal, Decimal], ...]:
        """Say (asset, free, locked) of every asset (`GET /account`)."""
        self._ask(params, now, "account")
        return self.account.balances()

    def rules(self, symbols: Sequence[str], now: int) -> list[SymbolSpec]:
        """Say the rules of these symbols, or of all; -1121 for an unknown one (`GET /exchangeInfo`)."""
        self._ask({}, now, "exchangeInfo")
        names = symbols or list(self.engine.books)
        return [self.engine.books[known_symbol({"symbol": name}, self.engine.books)].spec for name in names]

    def exchange_info(self, symbols: Sequence[str], now: int, *, connections: bool = False) -> dict[str, object]:
        """Describe rules and limits, on request those of `connections` as well, in Binance's shape (protocol §5.1)."""
        return {
            "timezone": "UTC",
            "serverTime": self.time(now) // 1000,
            "rateLimits": self.limits.shape(connections=connections),
            "exchangeFilters": [],
            "symbols": [exchange_info(spec) for spec in self.rules(symbols, now)],
        }

    def server_time(self, now: int) -> int:
        """Say the time in milliseconds (`GET /time`)."""
        self._ask({}, now, "time")
        return self.time(now) // 1000

    def look(
        self, symbol: str, now: int, *, most: int = 10, within_bps: Decimal = Decimal(10), at_most: int = 50
    ) -> tuple[tuple[Level, ...], tuple[Level, ...]]:
        """Say (bids, asks), best first: `most` levels, or all within `within_bps` of the touch up to `at_most`.

        This is what the market streams show; it costs no weight.
        """
        self._enter(now)
        book = self.engine.books[symbol]
        self.engine.present(book, now)
        if self.engine.changes.orders:
            self._commit()
        band = within_bps / 10_000
        most = min(most, at_most)
        bids, asks = book.levels(Side.BUY), book.levels(Side.SELL)
        near_bids, near_asks = list(islice(bids, most)), list(islice(asks, most))
        if near_bids:
            lowest = near_bids[0][0] * (1 - band)
            for level in islice(bids, at_most - most):
                if level[0] < lowest:
                    break
                near_bids.append(level)
        if near_asks:
            highest = near_asks[0][0] * (1 + band)
            for level in islice(asks, at_most - most):
                if level[0] > highest:
                    break
                near_asks.append(level)
        return tuple(near_bids), tuple(near_asks)

    # The control face -----------------------------------------------------------------------------

    def truth(self) -> dict[str, list[dict[str, Any]]]:
        """Tell everything that is so, as JSON: requests, orders, own trades, balances, limits exceeded (times in ms).

        An order is told under the id under which it came, whatever an amendment or a cancel has made of that.
        """
        came = {(entry["symbol"], entry.get("orderId")): entry["clientOrderId"] for entry in self._received}
        orders = [order_shape(order.record(), own_id=True) for order in self.engine.orders.values()]
        for order in orders:
            order["clientOrderId"] = came.get((order["symbol"], order["orderId"])) or order["clientOrderId"]
        return {
            "received": list(self._received),
            "orders": orders,
            "trades": [trade_shape(trade) for trade in self.engine.trades],
            "balances": balances_shape(self.account.balances()),
            "exceeded": [{"time": at // 1000, "code": code} for at, code in self.limits.exceeded],
        }

    def set_status(self, symbol: str, status: SymbolStatus) -> None:
        """Open, halt or restrict a symbol."""
        if self.engine.books[symbol].spec.status is not status:
            self.engine.change(symbol, status=status)

    def set_filter(self, symbol: str, filter_type: str, fields: dict[str, str | int | bool]) -> None:
        """Change a filter, named and written as `exchangeInfo` does."""
        book = self.engine.books[symbol]
        book.spec = with_filter(book.spec, filter_type, fields)

    def close(self) -> None:
        """Make durable what is not yet, and close the file."""
        self._commit()
        if self._file is not None:
            self._file.close()

    # Inside ---------------------------------------------------------------------------------------

    def _origin_for(self, now: int) -> int:
        """Synthetic markets go on over a restart; a recording begins anew."""
        return self._origin if self.settings.markets.market.startswith("synthetic") else now

    def _specs(self) -> dict[str, SymbolSpec]:
        return {symbol: book.spec for symbol, book in self.engine.books.items()}

    def _enter(self, now: int) -> int:
        self._now = at = self.time(now)
        self.engine.skew = at - now
        return at

    def _ask(self, params: Params, now: int, what: str) -> None:
        at = self._enter(now)
        weight = WEIGHTS[what]
        self.limits.check_weight(weight, at)
        self.limits.add_weight(weight, at)
        check_time(params, at)
        if self.resting:
            self.engine.advance(now)
            self._commit()

    def _draw(self) -> str:
        """Make up a client id, as the exchange does where none was sent."""
        self._drawn += 1
        digest = blake2b(f"{self._origin}/{self._drawn}".encode(), digest_size=14).digest()
        return base64.b32encode(digest).decode().rstrip("=").lower()[:22]

    def _price_of_bnb(self, quote: str) -> Decimal | None:
        book = self.engine.books.get(f"BNB{quote}")
        if book is None:
            return None
        if not book.busy:  # A busy book may be in the middle of something, and is not far behind.
            book.source.skip(self._now - self.engine.skew)
        return book.middle()

    def _commit(self) -> None:
        """Make durable what has changed; an error of the disk goes up, and no reply is given."""
        changes, self.engine.changes = self.engine.changes, Changes({}, [])
        unsaved, self._unsaved = self._unsaved, []
        if self._file is None or not (changes.orders or changes.trades or unsaved):
            return
        self._file.save(
            orders=changes.orders.values(),
            trades=changes.trades,
            balances=self.account.balances(),
            received=unsaved,
            meta={"origin": str(self._origin), "drawn": str(self._drawn)}
            | counters(self.engine, max(self._now, self._floor)),
        )
