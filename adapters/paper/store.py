"""The exchange's own file: account, orders, trades and what was asked, made durable before each reply."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import apsw
import orjson

from adapters.paper.engine import Engine
from adapters.paper.records import LiveOrder, NewOrder, TradeRecord
from messages.money import plain
from messages.order import OrderStatus
from messages.signal import Side

_SCHEMA = """
CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS balances (asset TEXT PRIMARY KEY, free TEXT NOT NULL, locked TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS orders (symbol TEXT, id INTEGER, body BLOB NOT NULL, PRIMARY KEY (symbol, id)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS trades (number INTEGER PRIMARY KEY, body BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS received (number INTEGER PRIMARY KEY, body BLOB NOT NULL);
"""
_PRAGMAS: Mapping[str, str | int] = {
    "page_size": 1024,
    "journal_mode": "wal",
    "synchronous": "normal",
    "busy_timeout": 2000,
}
"""A commit survives the process, but need not survive the machine: nothing waits for the disk. An order changes a
few hundred bytes in each of five tables: with pages of 4 kB who trades here would wait for three times as much."""

_VERSION = 1
MEMORY = ":memory:"
_ID_BLOCK = 10_000


class AccountFile:
    """An SQLite file that survives the death of the process at any moment; only its owner may read it.

    A file of another version, or one that is none, raises `apsw.Error` or `ValueError`.
    """

    def __init__(self, path: Path | str) -> None:
        """Open `path` (":memory:" for none), made new if there is none."""
        if str(path) != MEMORY:
            Path(path).touch(mode=0o600)
            Path(path).chmod(0o600)  # SQLite gives the files beside it the same rights.
        self.path = Path(path)
        self.saves = 0
        """How often something was made durable."""
        self._db = apsw.Connection(str(path))
        for name, value in _PRAGMAS.items():
            self._db.pragma(name, value)
        version = self._db.pragma("user_version")
        if version not in {0, _VERSION}:
            self._db.close()
            raise ValueError(f"{path} is of version {version}, this program knows {_VERSION}")
        self._db.execute(_SCHEMA)
        self._db.pragma("user_version", _VERSION)

    def save(
        self,
        *,
        orders: Iterable[LiveOrder],
        trades: Iterable[TradeRecord],
        balances: Iterable[tuple[str, Decimal, Decimal]],
        received: Iterable[Mapping[str, object]],
        meta: Mapping[str, str],
    ) -> None:
        """Make all of this durable, or (on an error, which is raised) nothing."""
        self.saves += 1
        with self._db:
            self._db.executemany(
                "INSERT OR REPLACE INTO orders VALUES (?, ?, ?)",
                [(order.new.symbol, order.order_id, orjson.dumps(_order_body(order))) for order in orders],
            )
            self._db.executemany(
                "INSERT INTO trades (body) VALUES (?)", [(orjson.dumps(_trade_body(trade)),) for trade in trades]
            )
            self._db.executemany(
                "INSERT OR REPLACE INTO balances VALUES (?, ?, ?)",
                [(asset, plain(free), plain(locked)) for asset, free, locked in balances],
            )
            self._db.executemany(
                "INSERT INTO received (body) VALUES (?)", [(orjson.dumps(entry),) for entry in received]
            )
            self._db.executemany("INSERT OR REPLACE INTO meta VALUES (?, ?)", list(meta.items()))

    def meta(self) -> dict[str, str]:
        """Read the counters and clocks."""
        return {str(name): str(value) for name, value in self._db.execute("SELECT name, value FROM meta")}

    def balances(self) -> list[tuple[str, Decimal, Decimal]]:
        """Read (asset, free, locked)."""
        rows = self._db.execute("SELECT asset, free, locked FROM balances ORDER BY asset")
        return [(str(asset), Decimal(str(free)), Decimal(str(locked))) for asset, free, locked in rows]

    def orders(self) -> Iterator[LiveOrder]:
        """Read all orders, by symbol and id."""
        for (body,) in self._db.execute("SELECT body FROM orders ORDER BY symbol, id"):
            yield _order(orjson.loads(_blob(body)))

    def trades(self) -> Iterator[TradeRecord]:
        """Read all own trades, oldest first."""
        for (body,) in self._db.execute("SELECT body FROM trades ORDER BY number"):
            yield _trade(orjson.loads(_blob(body)))

    def received(self) -> Iterator[dict[str, object]]:
        """Read all order requests, oldest first."""
        for (body,) in self._db.execute("SELECT body FROM received ORDER BY number"):
            yield orjson.loads(_blob(body))

    def close(self) -> None:
        """Close the file."""
        self._db.close()


def _blob(value: object) -> bytes:
    assert isinstance(value, bytes)
    return value


def _text(amount: Decimal | None) -> str | None:
    return None if amount is None else plain(amount)


def _amount(value: str | None) -> Decimal | None:
    return None if value is None else Decimal(value)


def _order_body(order: LiveOrder) -> dict[str, object]:
    new = order.new
    return {
        "id": order.order_id,
        "symbol": new.symbol,
        "side": new.side.value,
        "type": new.order_type,
        "tif": new.time_in_force,
        "asked": _text(new.quantity),
        "asked_quote": _text(new.quote_quantity),
        "limit": _text(new.price),
        "client": new.client_order_id,
        "stp": new.self_trade_prevention,
        "price": _text(order.price),
        "quantity": _text(order.quantity),
        "time": order.time,
        "updated": order.update_time,
        "status": order.status.value,
        "executed": _text(order.executed),
        "quote": _text(order.executed_quote),
        "prevented": _text(order.prevented),
        "working": order.working_time,
        "locked": _text(order.locked),
        "shown": order.shown_id,
        "reason": order.expiry_reason,
        "amended": order.amendments,
        "stop": _text(new.stop_price),
        "match": order.prevented_match,
        "strategy": [new.strategy_id, new.strategy_type],
    }


def _order(body: Mapping[str, Any]) -> LiveOrder:
    strategy_id, strategy_type = body.get("strategy", (None, None))  # Files of before have none.
    new = NewOrder(
        symbol=body["symbol"],
        side=Side(body["side"]),
        order_type=body["type"],
        time_in_force=body["tif"],
        quantity=_amount(body["asked"]),
        quote_quantity=_amount(body["asked_quote"]),
        price=_amount(body["limit"]),
        client_order_id=body["client"],
        self_trade_prevention=body["stp"],
        strategy_id=strategy_id,
        strategy_type=strategy_type,
        stop_price=_amount(body.get("stop")),
    )
    return LiveOrder(
        order_id=int(body["id"]),
        new=new,
        price=Decimal(body["price"]),
        quantity=Decimal(body["quantity"]),
        time=int(body["time"]),
        update_time=int(body["updated"]),
        status=OrderStatus(body["status"]),
        executed=Decimal(body["executed"]),
        executed_quote=Decimal(body["quote"]),
        prevented=Decimal(body["prevented"]),
        working_time=None if body["working"] is None else int(body["working"]),
        locked=Decimal(body["locked"]),
        shown_id=body["shown"],
        expiry_reason=body["reason"],
        amendments=int(body.get("amended", 0)),
        prevented_match=body.get("match"),
    )


def _trade_body(trade: TradeRecord) -> dict[str, object]:
    return {
        "symbol": trade.symbol,
        "id": trade.trade_id,
        "order": trade.order_id,
        "side": trade.side.value,
        "price": _text(trade.price),
        "quantity": _text(trade.quantity),
        "quote": _text(trade.quote),
        "fee": _text(trade.commission),
        "fee_asset": trade.commission_asset,
        "maker": trade.maker,
        "time": trade.time,
    }


def _trade(body: Mapping[str, Any]) -> TradeRecord:
    return TradeRecord(
        symbol=body["symbol"],
        trade_id=int(body["id"]),
        order_id=int(body["order"]),
        side=Side(body["side"]),
        price=Decimal(body["price"]),
        quantity=Decimal(body["quantity"]),
        quote=Decimal(body["quote"]),
        commission=Decimal(body["fee"]),
        commission_asset=body["fee_asset"],
        maker=bool(body["maker"]),
        time=int(body["time"]),
    )


def counters(engine: Engine, clock: int) -> dict[str, str]:
    """Write down what must never go back: ids, and the exchange's clock in microseconds.

    Trade ids are reserved in blocks, for others' trades use them up too.
    """
    meta = {"clock": str(clock), "execution": str(engine.last_execution_id)}
    for symbol, book in engine.books.items():
        if book.last_trade_id:
            meta[f"trades/{symbol}"] = str((book.last_trade_id // _ID_BLOCK + 2) * _ID_BLOCK)
    return meta


def restore(engine: Engine, file: AccountFile, now: int) -> None:
    """Put account, orders and trades of an earlier life into a new engine; open orders rest again, last in line."""
    meta, balances = file.meta(), file.balances()
    if balances:
        engine.account.free = {asset: free for asset, free, _ in balances}
        engine.account.locked = {asset: locked for asset, _, locked in balances}
    engine.last_execution_id = int(meta.get("execution", 0))
    for symbol, book in engine.books.items():
        book.last_trade_id = int(meta.get(f"trades/{symbol}", 0))
    for trade in file.trades():
        engine.trades.append(trade)
        engine.trades_of.setdefault((trade.symbol, trade.order_id), []).append(trade)
    for order in file.orders():
        key = (order.new.symbol, order.order_id)
        engine.orders[key] = order
        engine.by_client_id.setdefault(order.new.client_order_id, []).append(order)
        home = engine.books.get(order.new.symbol)
        if home is None:
            continue
        home.last_order_id = max(home.last_order_id, order.order_id)
        if not order.status.final:
            engine.open[key] = order
            if order.working_time is None and order.new.stop_price is not None:
                home.stops.append(order)
                continue
            home.source.skip(now)
            home.rest(order)
