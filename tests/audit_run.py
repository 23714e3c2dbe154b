"""A whole run by hand: a journal and the exchange's truth that agree, for faults to be planted in.

Two executions: A buys 0.5 BTC in slices (one child refused, one partly filled, one cancelled, over a
halt and a restart), B sells 0.01 BTC at once and its outcome is unknown for a while. Beside them a
repeat, a conflict and a refusal.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import orjson

from adapters.storage.codec import export_line
from messages.control import Committed
from messages.execution import ChildOutcome
from messages.facts import (
    AlertCleared,
    AlertRaised,
    ChildCancelRequested,
    ChildRefused,
    ChildUnknown,
    EpochStarted,
    ExecutionStarted,
    Fact,
    RateLimited,
    SignalConflict,
    SignalDuplicate,
    SignalRejected,
    TradingHalted,
    TradingResumed,
)
from messages.ids import cancel_id, child_id, milliseconds
from messages.money import plain
from messages.signal import Side
from tests.factories import (
    EXECUTION,
    NOW,
    D,
    a_child_closed,
    a_child_report,
    a_closed,
    a_plan,
    a_planned,
    a_report,
    a_signal,
    a_trade_booked,
    an_accepted,
    an_acknowledged,
    an_intent,
)

A = EXECUTION
B = "bbbbbbbbbb234"
SPREAD = (D(42_001) - D(41_999)) / D(42_000)
START = {"BTC": D(10), "USDT": D(1_000_000), "BNB": D(20)}
PRICE = D(42_001)


def at(seconds: float) -> datetime:
    """A moment of the run."""
    return NOW + timedelta(seconds=seconds)


def ms(seconds: float) -> int:
    """A moment of the run in milliseconds since 1970."""
    return milliseconds(at(seconds))


@dataclass
class Run:
    """The two sides; `journal` and `truth` are plain JSON values, free to be changed."""

    journal: list[dict[str, Any]] = field(default_factory=list)
    received: list[dict[str, Any]] = field(default_factory=list)
    orders: list[dict[str, Any]] = field(default_factory=list)
    trades: list[dict[str, Any]] = field(default_factory=list)
    balances: dict[str, Decimal] = field(default_factory=lambda: dict(START))
    exceeded: list[dict[str, Any]] = field(default_factory=list)

    @property
    def truth(self) -> dict[str, Any]:
        return {
            "received": self.received,
            "orders": self.orders,
            "trades": self.trades,
            "balances": {asset: {"free": plain(amount), "locked": "0"} for asset, amount in self.balances.items()},
            "exceeded": self.exceeded,
        }

    def add(self, seconds: float, *facts: Fact, place: int | None = None) -> None:
        """Append facts to the journal, or put them in at a place and number it anew."""
        for offset, fact in enumerate(facts):
            line = orjson.loads(export_line(Committed(1, at(seconds), fact)))
            self.journal.insert(len(self.journal) if place is None else place + offset, line)
        self.renumber()

    def renumber(self) -> None:
        """Number the journal from 1 on without a gap."""
        for seq, line in enumerate(self.journal, 1):
            line["seq"] = seq

    def lines(self, kind: str, **fields: Any) -> Iterator[dict[str, Any]]:
        """All lines of a kind with these fields."""
        for line in self.journal:
            if line["type"] == kind and all(line.get(k) == v for k, v in fields.items()):
                yield line

    def line(self, kind: str, **fields: Any) -> dict[str, Any]:
        """The first such line."""
        return next(self.lines(kind, **fields))

    def drop(self, kind: str, **fields: Any) -> None:
        """Take such lines out and number the journal anew."""
        gone = [id(line) for line in self.lines(kind, **fields)]
        self.journal = [line for line in self.journal if id(line) not in gone]
        self.renumber()

    def index(self, kind: str, **fields: Any) -> int:
        """Where the first such line stands."""
        return self.journal.index(self.line(kind, **fields))

    def order(self, name: str) -> dict[str, Any]:
        """The exchange's order of this name."""
        return next(order for order in self.orders if order["clientOrderId"] == name)

    def request(self, name: str) -> dict[str, Any]:
        """The request for it as it arrived."""
        return next(request for request in self.received if request["clientOrderId"] == name)

    # Both sides at once -----------------------------------------------------------------------

    def intend(self, name: str, seconds: float, quantity: Decimal, **changes: Any) -> None:
        """Journal an intent and let its request arrive 5 ms later, with effect."""
        intent = an_intent(
            client_order_id=name,
            quantity=quantity,
            request_timestamp=ms(seconds),
            spread=SPREAD,
            **changes,
        )
        self.add(seconds, intent)
        self.received.append(
            {
                "time": ms(seconds + 0.005),
                "clientOrderId": name,
                "symbol": intent.symbol,
                "side": intent.side.value,
                "type": intent.order_type,
                "quantity": plain(intent.quantity),
                "price": plain(intent.limit_price or D(0)),
                "effect": "accepted",
                "code": None,
            }
        )

    def open_order(self, name: str, order_id: int, seconds: float) -> None:
        """Let the exchange have the order as it arrived."""
        request = self.request(name)
        self.orders.append(
            {
                "clientOrderId": name,
                "orderId": order_id,
                "symbol": request["symbol"],
                "side": request["side"],
                "type": request["type"],
                "status": "NEW",
                "origQty": request["quantity"],
                "executedQty": "0",
                "cummulativeQuoteQty": "0",
                "time": ms(seconds),
                "updateTime": ms(seconds),
            }
        )

    def trade(self, name: str, trade_id: int, seconds: float, quantity: Decimal) -> None:
        """Let the exchange make a trade at 42,001 for 0.1 % and book it."""
        order = self.order(name)
        execution, side = self.line("ChildIntended", client_order_id=name)["execution_id"], order["side"]
        asset = "BTC" if side == "BUY" else "USDT"
        fee = (quantity if side == "BUY" else quantity * PRICE) / 1000
        order["executedQty"] = plain(D(order["executedQty"]) + quantity)
        order["cummulativeQuoteQty"] = plain(D(order["cummulativeQuoteQty"]) + quantity * PRICE)
        order["updateTime"] = ms(seconds)
        self.trades.append(
            {
                "symbol": "BTCUSDT",
                "id": trade_id,
                "orderId": order["orderId"],
                "price": plain(PRICE),
                "qty": plain(quantity),
                "commission": plain(fee),
                "commissionAsset": asset,
                "isBuyer": side == "BUY",
                "isMaker": False,
                "time": ms(seconds),
            }
        )
        sign = 1 if side == "BUY" else -1
        self.balances["BTC"] += sign * quantity
        self.balances["USDT"] -= sign * quantity * PRICE
        self.balances[asset] -= fee
        self.add(
            seconds + 0.002,
            a_trade_booked(
                execution_id=execution,
                client_order_id=name,
                side=Side(side),
                order_id=order["orderId"],
                trade_id=trade_id,
                price=PRICE,
                quantity=quantity,
                commission=fee,
                commission_asset=asset,
                trade_time=at(seconds),
            ),
        )

    def close(self, name: str, seconds: float, status: str) -> None:
        """End the order on both sides."""
        order = self.order(name)
        order["status"], order["updateTime"] = status, ms(seconds)
        execution = self.line("ChildIntended", client_order_id=name)["execution_id"]
        self.add(
            seconds + 0.003,
            a_child_closed(
                execution_id=execution,
                client_order_id=name,
                order_id=order["orderId"],
                status=status,
                outcome=ChildOutcome.FILLED,
                executed_quantity=D(order["executedQty"]),
                executed_quote=D(order["cummulativeQuoteQty"]),
            ),
        )

    def fill(self, name: str, order_id: int, seconds: float, *quantities: str, status: str = "FILLED") -> None:
        """Acknowledge, trade and close in one breath."""
        self.open_order(name, order_id, seconds + 0.005)
        execution = self.line("ChildIntended", client_order_id=name)["execution_id"]
        self.add(
            seconds + 0.006,
            an_acknowledged(execution_id=execution, client_order_id=name, order_id=order_id),
        )
        for number, quantity in enumerate(quantities):
            self.trade(name, order_id * 10 + number, seconds + 0.005, D(quantity))
        self.close(name, seconds + 0.005, status)


def name_a(slice_: int, attempt: int = 0) -> str:
    """The name of a child of A."""
    return child_id("p", A, slice_, attempt)


NAME_B = child_id("p", B, 0, 0)


def clean_run() -> Run:
    """A run in which every rule holds."""
    run = Run()
    run.add(-1, EpochStarted(epoch=1, journal_id="j", mode="paper", version="0.1.0"))
    run.add(0, an_accepted(), a_planned(), ExecutionStarted(execution_id=A, incarnation=1))
    run.intend(name_a(0), 0.01, D("0.1"))
    run.fill(name_a(0), 1001, 0.01, "0.06", "0.04")
    run.add(1, SignalDuplicate(execution_id=A, signal=a_signal(), label="", by="id"))
    changed = a_signal(quantity=D(1))
    run.add(1, SignalConflict(execution_id=A, signal=changed, label="", differing=("quantity",)))
    tiny = a_signal(id="tiny", quantity=D("0.00001"))
    run.add(1, SignalRejected(signal=tiny, label="", reason="BELOW_MINIMUM", detail=""))
    _sell_b(run)
    run.intend(name_a(1), 30, D("0.1"), slice=1)
    run.request(name_a(1)).update(effect="refused", code=-1013)
    refusal = ChildRefused(execution_id=A, client_order_id=name_a(1), symbol="BTCUSDT", code=-1013, message="Filter")
    run.add(30.01, refusal)
    run.intend(name_a(1, 1), 31, D("0.1"), slice=1, attempt=1)
    run.fill(name_a(1, 1), 1003, 31, "0.03", status="EXPIRED")
    run.intend(name_a(2), 60, D("0.17"), slice=2)
    run.fill(name_a(2), 1004, 60, "0.17")
    run.add(70, TradingHalted(reason="HALTED", detail=""))
    run.add(70, AlertRaised(kind="halted", subject="trading", level="critical", text=""))
    run.add(78, RateLimited(until=at(82), banned=False, detail=""))
    run.add(80, TradingResumed(), AlertCleared(kind="halted", subject="trading", text=""))
    run.add(85, EpochStarted(epoch=2, journal_id="j", mode="paper", version="0.1.0"))
    run.add(85, ExecutionStarted(execution_id=A, incarnation=2))
    _cancel_a3(run)
    for slice_, order_id in ((4, 1006), (5, 1007)):
        run.intend(name_a(slice_), 30 * slice_, D("0.1"), slice=slice_, incarnation=2)
        run.fill(name_a(slice_), order_id, 30 * slice_, "0.1")
    _close_a(run)
    return run


def _sell_b(run: Run) -> None:
    signal = a_signal(id=None, side=Side.SELL, quantity=D("0.01"))
    accepted = an_accepted(execution_id=B, key="fingerprint:1", signal=signal, side=Side.SELL, quantity=D("0.01"))
    plan = a_plan(quantity=D("0.01"), slices=(D("0.01"),), direct=True, extra_slots=0, start_at=at(2))
    run.add(2, accepted, a_planned(execution_id=B, side=Side.SELL, plan=plan))
    run.add(2, ExecutionStarted(execution_id=B, incarnation=1))
    run.intend(
        NAME_B,
        2,
        D("0.01"),
        execution_id=B,
        side=Side.SELL,
        order_type="MARKET",
        time_in_force=None,
        limit_price=None,
    )
    unknown = ChildUnknown(execution_id=B, client_order_id=NAME_B, symbol="BTCUSDT", detail="timeout")
    run.add(2.001, unknown)
    run.fill(NAME_B, 1002, 2, "0.01")
    run.add(
        3,
        a_closed(
            execution_id=B,
            key="fingerprint:1",
            children=1,
            report=a_report(
                side=Side.SELL,
                quantity=D("0.01"),
                total_filled=D("0.01"),
                filled_quote=D("420.01"),
                total_fees=(("USDT", D("0.42001")),),
                children_sent=1,
                orders=(a_child_report(client_order_id=NAME_B, executed_quantity=D("0.01")),),
            ),
        ),
    )


def _cancel_a3(run: Run) -> None:
    name = name_a(3)
    run.intend(name, 90, D("0.1"), slice=3, incarnation=2, order_type="LIMIT_MAKER", time_in_force=None)
    run.open_order(name, 1005, 90.005)
    run.add(90.006, an_acknowledged(client_order_id=name, order_id=1005))
    cancel = ChildCancelRequested(
        execution_id=A,
        client_order_id=name,
        cancel_id=cancel_id(name, 0),
        symbol="BTCUSDT",
        order_id=1005,
        reason="TIMEOUT",
    )
    run.add(110, cancel)
    run.close(name, 110.01, "CANCELED")


def _close_a(run: Run) -> None:
    executed = {
        name_a(0): "0.1",
        name_a(1, 1): "0.03",
        name_a(2): "0.17",
        name_a(3): "0",
        name_a(4): "0.1",
        name_a(5): "0.1",
    }
    orders = tuple(
        a_child_report(client_order_id=name, executed_quantity=D(quantity)) for name, quantity in executed.items()
    )
    run.add(151, a_closed(children=7, report=a_report(children_sent=7, orders=orders)))
