"""Each state that the dashboard may have to show, played on a daemon without actors: nothing moves by itself."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

from adapters.lateness import due_at
from messages.control import DaemonStands, Readiness
from messages.execution import ChildOutcome, Hindrance, Plan, WaitsFor
from messages.facts import (
    AlertCleared,
    AlertRaised,
    ChildAbsent,
    ChildCancelRequested,
    ChildUnknown,
    EpochStarted,
    ExecutionCancelRequested,
    ExecutionPaused,
    ExecutionQuarantined,
    ExecutionStarted,
    SignalConflict,
    SignalDuplicate,
    SignalRejected,
    SlotSkipped,
    TradingHalted,
    signal_key,
)
from messages.ids import child_id
from messages.market import QuoteSeen
from messages.order import LimitsSeen, StreamCut, StreamOpened, TimeFound
from messages.signal import Side
from tests.adapters.web.world import World
from tests.factories import (
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

IDS = ("abcdefghij234", "kqm5vnx2tyf7c", "rejrpdo6g64qa", "x4mhxmthukg3b")
PRICES = {"BTCUSDT": D("64982.79"), "ETHUSDT": D("3000.22"), "DOGEUSDT": D("0.11997")}
TICKS = {"BTCUSDT": D("0.01"), "ETHUSDT": D("0.01"), "DOGEUSDT": D("0.00001")}


class Stage:
    """A world whose market moves and whose executions are worked when it is told so."""

    def __init__(self, world: World) -> None:
        self.world, self._chance = world, random.Random(7)
        self.prices = dict(PRICES)
        self.trades = 0
        self.world.vitals.see_user(StreamOpened())
        self.world.vitals.see_answer(TimeFound(offset_milliseconds=-51))
        self.limits(24)

    def limits(self, weight: int, **changes: Any) -> None:
        """What is used of the exchange's limits."""
        counts = ((10, 3, 50), (86_400, 1_840, 160_000))
        self.world.vitals.see_limits(LimitsSeen(used_weight=weight, weight_limit=6000, order_counts=counts, **changes))

    def up(self, mode: str = "paper", readiness: Readiness = Readiness.READY, detail: str = "") -> Stage:
        """Begin an epoch."""
        self.world.commit(EpochStarted(epoch=4, journal_id="journal-of-a-test", mode=mode, version="0.1.0"))
        self.world.intake.stands(DaemonStands(readiness=readiness, detail=detail))
        self.pass_(3)
        return self

    def pass_(self, seconds: int) -> None:
        """Let time pass, a quote a second."""
        for _ in range(seconds):
            self.world.now += timedelta(seconds=1)
            for symbol, price in self.prices.items():
                self.prices[symbol] = price * (1 + D(self._chance.randrange(-30, 28)) / 100_000)
                self.quote(symbol)
            self.world.vitals.see_user(StreamOpened())

    def quote(self, symbol: str) -> tuple[Decimal, Decimal]:
        """The touch around the price of a symbol, as the market stream tells it now."""
        tick = TICKS[symbol]
        bid = self.prices[symbol].quantize(tick)
        self.world.vitals.see_market(
            QuoteSeen(symbol=symbol, bid=bid, bid_quantity=D(2), ask=bid + tick, ask_quantity=D(3))
        )
        return bid, bid + tick

    def accept(
        self, number: int = 0, symbol: str = "BTCUSDT", side: Side = Side.BUY, each: Any = "0.2", chunks: int = 12,
        seconds: int = 4, **changes: Any,
    ) -> Working:  # fmt: skip
        """Accept a signal and plan its execution."""
        name, each = IDS[number], D(each)
        quantity = each * chunks
        bid, ask = self.quote(symbol)
        signal = a_signal(
            id=f"breakout-{17 + number}",
            source="desk",
            symbol=symbol,
            side=side,
            quantity=quantity,
            price=bid,
            limit_price=changes.get("limit_price"),
        )
        plan = a_plan(
            quantity=quantity,
            slices=(each,) * chunks,
            start_at=self.world.now,
            interval_seconds=D(seconds),
            **changes,
        )
        self.world.commit(
            an_accepted(
                execution_id=name,
                key=signal_key("desk", str(signal.id)),
                label=f"{symbol}_{side.value}_{self.prices[symbol]:.0f}_12:00",
                signal=signal,
                symbol=symbol,
                side=side,
                quantity=quantity,
                bid=bid,
                ask=ask,
                accepted_at=self.world.now,
            ),
            a_planned(execution_id=name, symbol=symbol, side=side, plan=plan),
            ExecutionStarted(execution_id=name, incarnation=1),
        )
        return Working(self, name, symbol, side, plan)

    def alert(self, kind: str, level: Any, text: str, execution_id: str = "", *, over: bool = False) -> None:
        """Raise an alert, and clear it if it is over."""
        self.world.commit(
            AlertRaised(execution_id=execution_id, kind=kind, subject=execution_id or kind, level=level, text=text)
        )
        if over:
            self.pass_(1)
            self.world.commit(
                AlertCleared(execution_id=execution_id, kind=kind, subject=execution_id or kind, text="over")
            )


class Working:
    """One execution on the stage."""

    def __init__(self, stage: Stage, name: str, symbol: str, side: Side, plan: Plan) -> None:
        self.stage, self.name, self.symbol, self.side, self.plan = stage, name, symbol, side, plan
        self.slot = 0

    @property
    def of(self) -> dict[str, Any]:
        """Whose child the next facts are about."""
        child = child_id("p", self.name, self.slot, 0)
        return {"execution_id": self.name, "client_order_id": child, "symbol": self.symbol}

    def intend(self, **changes: Any) -> None:
        """Decide on the child of the present slot."""
        bid, ask = self.stage.quote(self.symbol)
        touch = ask if self.side is Side.BUY else bid
        ran = int((self.stage.world.now - self.plan.start_at).total_seconds()) + 1
        intent = an_intent(
            **self.of,
            side=self.side,
            slice=self.slot,
            quantity=self.plan.slices[self.slot],
            limit_price=(touch * (1 + self.side.sign * D("0.002"))).quantize(TICKS[self.symbol]),
            bid=bid,
            ask=ask,
            mid_integral=(bid + ask) / 2 * ran,
            mid_seconds=D(ran),
        )
        self.stage.world.commit(replace(intent, **changes))

    def fill(self, share: Any = 1, source: Any = "stream") -> None:
        """The exchange takes the present slot's child, and fills so much of it."""
        world, quantity = self.stage.world, self.plan.slices[self.slot] * D(share)
        bid, ask = self.stage.quote(self.symbol)
        price = ask if self.side is Side.BUY else bid
        world.commit(an_acknowledged(**self.of, source="reply"))
        world.now += timedelta(milliseconds=12)
        self.stage.trades += 1
        world.commit(
            a_trade_booked(
                **self.of,
                side=self.side,
                price=price,
                quantity=quantity,
                trade_id=self.stage.trades,
                trade_time=world.now,
                commission=quantity / 1000,
                commission_asset=self.symbol.removesuffix("USDT"),
                source=source,
            ),
        )
        world.now += timedelta(milliseconds=2)
        full = D(share) == 1
        world.commit(
            a_child_closed(
                **self.of,
                status="FILLED" if full else "EXPIRED",
                outcome=ChildOutcome.FILLED if full else ChildOutcome.PARTIAL,
                executed_quantity=quantity,
                executed_quote=quantity * price,
            )
        )

    def work(self, slots: int, **fill: Any) -> Working:
        """Work so many slots, one after the other, on time."""
        for _ in range(slots):
            late = (due_at(self.plan, self.slot) - self.stage.world.now).total_seconds()
            self.stage.pass_(max(0, round(late)))
            self.intend()
            self.fill(**fill)
            self.slot += 1
        return self

    def waits(self, hindrance: Hindrance, detail: str, seconds: int = 3) -> Working:
        """The child that is due next is held up."""
        late = (due_at(self.plan, self.slot) - self.stage.world.now).total_seconds()
        self.stage.pass_(max(0, round(late)) + seconds)
        said = WaitsFor(execution_id=self.name, by="market", hindrance=hindrance, detail=detail)
        self.stage.world.vitals.tell(said)
        return self

    def close(self, reason: str = "COMPLETED", detail: str = "", **changes: Any) -> None:
        """End it with a report."""
        view = self.stage.world.view(f"/ui/executions/{self.name}")
        filled, arrival = D(view["total_filled"]), D(view["arrival_price"])
        said = f"{reason}: {detail}" if detail else reason
        figures: dict[str, Any] = {
            "symbol": self.symbol, "side": self.side, "quantity": self.plan.quantity, "total_filled": filled,
            "filled_quote": D(view["filled_quote"]), "average_price": D(view["average_price"]) if filled else None,
            "arrival_price": arrival, "total_fees": tuple((asset, D(fee)) for asset, fee in view["total_fees"]),
            "arrival_slippage_bps": D(view["arrival_slippage_bps"]) if filled else None,
            "interval_twap_price": D(view["interval_twap_price"] or arrival), "interval_twap_bps": D("-0.1"),
            "started_at": self.plan.start_at, "ended_at": self.stage.world.now, "stop_reason": said,
            "stopped_early": reason != "COMPLETED", "chunks_executed": self.slot, "total_chunks": len(self.plan.slices),
            "children_sent": self.slot, "orders": (a_child_report(),), **changes,
        }  # fmt: skip
        key = signal_key("desk", "x")
        self.stage.world.commit(
            a_closed(execution_id=self.name, reason=reason, detail=detail, key=key, report=a_report(**figures))
        )


# The states ---------------------------------------------------------------------------------------


def nothing_yet(stage: Stage) -> None:
    stage.up()


def starting(stage: Stage) -> None:
    stage.up(readiness=Readiness.STARTING, detail="journal")


def running(stage: Stage) -> None:
    stage.up()
    busy = stage.accept(1, "ETHUSDT", Side.SELL, each=3, chunks=10), stage.accept(0, chunks=12)
    stage.accept(2, each="0.002", chunks=5, seconds=30).work(1)
    for _ in range(6):
        for one in busy:
            one.work(1)
    stage.pass_(1)


def guard_waiting(stage: Stage) -> None:
    stage.up()
    busy = stage.accept(1, "ETHUSDT", Side.SELL, each=3, chunks=10), stage.accept(0, chunks=12)
    wide = stage.accept(3, "DOGEUSDT", each=30_000, chunks=10, max_depth_share=D("0.1")).work(2)
    for _ in range(6):
        for one in busy:
            one.work(1)
    wide.waits("depth", "18250 near the touch, 300000 needed", seconds=1)


def paused(stage: Stage) -> None:
    stage.up()
    one = stage.accept().work(5)
    stage.pass_(1)
    stage.world.commit(ExecutionPaused(execution_id=one.name, detail="from the dashboard"))
    stage.pass_(5)


def cancelling(stage: Stage) -> None:
    stage.up()
    one = stage.accept().work(5)
    one.intend()
    stage.world.commit(an_acknowledged(**one.of), ExecutionCancelRequested(execution_id=one.name))
    stage.world.commit(ChildCancelRequested(**one.of, cancel_id="x_c0", order_id=1001, reason="CANCELLED"))
    stage.pass_(2)


def halted(stage: Stage) -> None:
    running(stage)
    stage.world.commit(TradingHalted(reason="MANUAL", detail="from the dashboard"))
    stage.world.intake.stands(DaemonStands(readiness=Readiness.HALTED, detail="MANUAL: from the dashboard"))
    stage.alert("halt", "critical", "MANUAL: from the dashboard")
    stage.pass_(3)


def unknown(stage: Stage) -> None:
    stage.up()
    one = stage.accept().work(5)
    stage.pass_(4)
    one.intend()
    stage.world.commit(ChildUnknown(**one.of, detail="no answer within 10 s"))
    stage.alert("unknown_outcome", "error", f"nobody knows whether {one.of['client_order_id']} was executed", one.name)
    stage.pass_(3)


def resting(stage: Stage) -> None:
    stage.up()
    one = stage.accept(child="passive").work(5)
    stage.pass_(4)
    one.intend(order_type="LIMIT_MAKER", time_in_force=None, limit_price=D("64770.82"))
    stage.world.commit(an_acknowledged(**one.of))
    stage.pass_(2)


def quarantined(stage: Stage) -> None:
    stage.up()
    one = stage.accept().work(5)
    stage.world.commit(ExecutionQuarantined(execution_id=one.name, detail="its actor failed three times: KeyError"))
    stage.alert("quarantine", "error", "its actor failed three times: KeyError", one.name)
    stage.pass_(2)


def finished(stage: Stage) -> None:
    stage.up()
    stage.accept().work(12).close()
    stage.pass_(2)


def stopped_early(stage: Stage) -> None:
    stage.up()
    one = stage.accept().work(3)
    one.intend()
    one.fill(share="0.3", source="poll")
    one.slot += 1
    stage.world.commit(SlotSkipped(execution_id=one.name, slice=4, quantity=D("0.2"), reason="LIQUIDITY", detail="x"))
    stage.alert("partial_fill", "warning", f"{one.of['client_order_id']} ended filled in part", one.name, over=True)
    waits = (("LIQUIDITY", 2, D("3.4")), ("SPREAD_TOO_WIDE", 1, D("4.1")))
    one.close("SPREAD_TOO_WIDE", "0.61%", guard_wait_seconds=D("7.5"), guard_waits=3, guard_waits_by=waits)
    stage.alert("early_stop", "warning", "BUY 2.4 BTCUSDT ended early: SPREAD_TOO_WIDE: 0.61%", one.name)


def nothing_sent(stage: Stage) -> None:
    stage.up()
    stage.accept(limit_price=D(60_000)).close("LIMIT_PRICE", "ask 64982.80 above 60000")


def live_in_trouble(stage: Stage) -> None:
    stage.up("live")
    one = stage.accept().work(4)
    one.waits("age", "quote 41.0 s old", seconds=0)
    stage.world.vitals.see_user(StreamCut(since=0.0, detail="1006"))
    stage.world.vitals.see_answer(TimeFound(offset_milliseconds=1_630))
    stage.limits(5_700)
    stage.alert("stream_down", "warning", "the user-data stream is down; orders are followed by asking")
    stage.alert("clock_skew", "error", "our clock is 1630 ms behind the exchange's")
    stage.alert("limits_near", "warning", "95 % of the request weight is used")
    stage.alert("foreign_order", "warning", "BUY 0.1 BTCUSDT, order 4711 (web_8f1c9a2d7b), is not of this journal")
    stage.world.now += timedelta(seconds=41)


def banned(stage: Stage) -> None:
    stage.up("testnet")
    stage.limits(6_000, retry_at=stage.world.now + timedelta(minutes=4), banned=True)
    text = "IP banned until 12:04:03; nothing is asked or sent"
    stage.world.commit(TradingHalted(reason="BAN", detail=text))
    stage.world.intake.stands(DaemonStands(readiness=Readiness.HALTED, detail=f"BAN: {text}"))
    stage.alert("halt", "critical", f"BAN: {text}")
    stage.pass_(2)


def all_verdicts(stage: Stage) -> None:
    running(stage)
    signal = a_signal(id="breakout-17", source="desk", symbol="BTCUSDT", quantity=D("2.4"))
    nameless = a_signal(id=None, source="tradingview", quantity=None, quote_quantity=D(2500), price=D("64982.79"))
    of = {"execution_id": IDS[0]}
    stage.world.commit(SignalDuplicate(signal=signal, label="BTCUSDT_BUY_64983_12:00", by="id", count=3, **of))
    conflict = a_signal(id="breakout-17", source="desk", quantity=D(7))
    stage.world.commit(SignalConflict(signal=conflict, label="x", differing=("quantity",), **of))
    late = {"reason": "STALE", "detail": "3600.0 s old, 60 allowed"}
    stage.world.commit(SignalRejected(signal=nameless, label="BTCUSDT_BUY_64983_12:00", **late))
    stage.alert("conflict", "warning", "desk/breakout-17 came again with another quantity", IDS[0])
    stage.pass_(1)


def proven_absent(stage: Stage) -> None:
    stage.up()
    one = stage.accept().work(2)
    one.intend()
    stage.world.commit(ChildUnknown(**one.of, detail="no answer within 10 s"))
    stage.pass_(20)
    stage.world.commit(ChildAbsent(**one.of, proof="three answers over 3 s, and the stream was alive"))
    stage.pass_(1)


STATES: dict[str, tuple[Callable[[Stage], None], tuple[str, ...]]] = {
    "nothing yet": (nothing_yet, ("Nothing is being worked.", "No signal yet.", "No alerts.", "PAPER")),
    "starting": (starting, ("starting", "journal")),
    "running": (running, ("on schedule", "Next child", "vs interval TWAP")),
    "guard waiting": (guard_waiting, ("depth: 18250 near the touch, 300000 needed",)),
    "paused": (paused, ("paused: from the dashboard", "Paused: from the dashboard", "on hold", "Resume")),
    "cancelling": (cancelling, ("cancelling", "Cancelling", "cancel asked")),
    "halted": (halted, ("halted", "MANUAL: from the dashboard", "Resume trading", "trading is halted")),
    "unknown outcome": (unknown, ("1 of unknown outcome", "outcome unknown", "is being proven")),
    "resting child": (resting, ("a child order rests at 64770.82", "LIMIT_MAKER")),
    "quarantined": (quarantined, ("quarantined: its actor failed three times", "Quarantined: its actor", "on hold")),
    "proven absent": (proven_absent, ("proven absent",)),
    "finished": (finished, ("COMPLETED", "Nothing is being worked.", "Interval TWAP")),
    "stopped early": (stopped_early, ("Stopped early. SPREAD_TOO_WIDE: 0.61%", "LIQUIDITY 3.4 s (2)")),
    "nothing sent": (nothing_sent, ("No child order was sent.", "Stopped early. LIMIT_PRICE")),
    "live, in trouble": (
        live_in_trouble,
        ("LIVE · REAL MONEY", "down", "1630 ms", "95 % used", "age: quote 41.0 s old"),
    ),
    "banned": (banned, ("TESTNET", "banned for", "halted")),
    "all verdicts": (all_verdicts, ("duplicate", "conflict", "rejected", "(3 times)", "2,500 worth of")),
}
"""Each state: how it comes to be, and what the page must say of it."""
