"""Histories of a journal as actors could have written them, drawn from a seed: days of executions and troubles."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal

from actors.alerts import Alerts
from actors.order_watcher.holdings import Holdings
from actors.order_watcher.register import Register
from messages.control import Committed
from messages.execution import ChildOutcome
from messages.facts import (
    AttemptReappeared,
    BalanceMismatch,
    BalancesNoted,
    ChildAbsent,
    ChildAcknowledged,
    ChildCancelRequested,
    ChildClosed,
    ChildIntended,
    ChildNotSent,
    ChildRefused,
    ChildUnknown,
    EpochStarted,
    ExecutionAmended,
    ExecutionClosed,
    ExecutionPlanned,
    ExecutionQuarantined,
    ExecutionStarted,
    Fact,
    ForeignOrderSeen,
    NonceUsed,
    RateLimited,
    SignalAccepted,
    SignalConflict,
    SignalDuplicate,
    SignalRejected,
    StreamGap,
    TradingHalted,
    TradingResumed,
)
from messages.ids import cancel_id, child_id, milliseconds
from messages.signal import Side
from tests.factories import (
    NOW,
    a_child_closed,
    a_closed,
    a_planned,
    a_report,
    a_signal,
    a_trade_booked,
    an_accepted,
    an_acknowledged,
    an_intent,
)

D = Decimal
SYMBOLS = ("BTCUSDT", "ETHUSDT")
WEEK = timedelta(days=7)


@dataclass
class _Running:
    accepted: SignalAccepted
    children: int = 0
    open: dict[str, ChildIntended] = field(default_factory=dict)
    unknown: list[str] = field(default_factory=list)
    orders: dict[str, int] = field(default_factory=dict)
    absent: list[ChildIntended] = field(default_factory=list)


class History:
    """Draws one fact after the other. `facts` is the journal; `now` the wall clock, which may step."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.now = NOW
        self.facts: list[Committed] = []
        self.running: dict[str, _Running] = {}
        self.closed: list[_Running] = []
        self._alerts, self._holdings, self._register = Alerts(), Holdings(), Register(10_000)
        self._numbers = iter(range(1, 10**9))
        self._epoch, self._halted = 0, False
        self._ahead, self._silent_until = timedelta(), NOW
        self.put(EpochStarted(epoch=1, journal_id="j", mode="paper", version="1"))
        self.put(BalancesNoted(balances=(("USDT", D(10**6)),)))

    def put(self, *facts: Fact) -> None:
        """Append, and let the alerts say what follows."""
        for fact in facts:
            self._fold(fact)
        self._say()

    def _fold(self, fact: Fact) -> None:
        self.facts.append(Committed(len(self.facts) + 1, self.now, fact))
        self._alerts.fold(fact, self.now)
        self._holdings.fold(fact)
        self._register.fold(fact)

    def _say(self) -> None:
        if self.random.random() < 0.02:
            self._silent_until = self.now + timedelta(days=self.random.choice([0.1, 5.0]))
        if self.now < self._silent_until:
            return  # The daemon is down, or on its way up: what is to be said waits.
        self._alerts.expire(self.now)
        for alert in self._alerts.due():
            self._fold(alert)

    def go_on(self, count: int) -> None:
        """Draw until there are so many facts more."""
        until = len(self.facts) + count
        while len(self.facts) < until:
            self._pass_time()
            self._happen()

    def _pass_time(self) -> None:
        draw = self.random.random()
        seconds = self.random.expovariate(1 / 30.0) if draw < 0.9 else self.random.expovariate(1 / 20_000.0)
        self.now += timedelta(seconds=seconds)
        if self.random.random() < 0.001:  # The clock is set, and set right again some time later.
            step = timedelta(seconds=self.random.uniform(-90_000, 90_000)) - self._ahead
            self._ahead += step
            self.now += step
        self._say()

    def _happen(self) -> None:
        if self.random.random() < 0.06:
            self._happen_beside()
        elif not self.running or self.random.random() < 0.08:
            self._accept()
        else:
            self._work(self.random.choice(list(self.running.values())))

    def _accept(self) -> None:
        number = next(self._numbers)
        name = f"{number:013d}".translate(str.maketrans("0189", "zyxw"))
        symbol, side = self.random.choice(SYMBOLS), self.random.choice(list(Side))
        id_ = f"id-{number}" if self.random.random() < 0.6 else None
        signal = a_signal(symbol=symbol, side=side, id=id_, source=self.random.choice("ab"))
        price = D(self.random.randint(30_000, 60_000))
        until = self.now + (WEEK if id_ else timedelta(seconds=600))
        accepted = an_accepted(
            execution_id=name,
            key=f"signal:{number}",
            key_until=until,
            signal=signal,
            symbol=symbol,
            side=side,
            reference_price=price,
            accepted_at=self.now,
        )
        self.running[name] = _Running(accepted)
        self.put(accepted)
        planned = a_planned(execution_id=name, symbol=symbol, side=side)
        assert isinstance(planned, ExecutionPlanned)
        self.put(planned, ExecutionStarted(execution_id=name, incarnation=1))

    def _work(self, run: _Running) -> None:
        of = run.accepted.execution_id
        draw = self.random.random()
        if run.open:
            self._settle(run, self.random.choice(list(run.open)))
        elif draw < 0.02 and run.absent:
            self._reappear(run)
        elif draw < 0.04:
            self.put(ExecutionAmended(execution_id=of, quantity=D("0.4")))
        elif draw < 0.05:
            self.put(ExecutionQuarantined(execution_id=of, detail="x"))
        elif draw < 0.25 or run.children > 5:
            self._close(run)
        else:
            self._intend(run)

    def _intend(self, run: _Running) -> None:
        accepted = run.accepted
        name = child_id("p", accepted.execution_id, run.children, 0)
        intent = an_intent(
            execution_id=accepted.execution_id,
            client_order_id=name,
            slice=run.children,
            symbol=accepted.symbol,
            side=accepted.side,
            request_timestamp=milliseconds(self.now - self._ahead),
        )
        run.children += 1
        run.open[name] = intent
        self.put(intent)

    def _settle(self, run: _Running, child: str) -> None:
        of, symbol, draw = run.accepted.execution_id, run.accepted.symbol, self.random.random()
        about = {"execution_id": of, "client_order_id": child, "symbol": symbol}
        if child in run.orders:
            self._finish(run, child)
        elif child in run.unknown:
            if draw < 0.6:
                run.absent.append(run.open.pop(child))
                self.put(ChildAbsent(**about, proof="p"))
            else:
                self._acknowledge(run, child)
        elif draw < 0.1:
            run.unknown.append(child)
            self.put(ChildUnknown(**about, detail="?"))
        elif draw < 0.15:
            run.absent.append(run.open.pop(child))
            self.put(ChildRefused(execution_id=of, client_order_id=child, symbol=symbol, code=-2010, message="no"))
        elif draw < 0.2:
            run.absent.append(run.open.pop(child))
            self.put(
                ChildNotSent(execution_id=of, client_order_id=child, reason="X", detail="", source="exchange_actor")
            )
        elif draw < 0.3:
            name = cancel_id(child, 0)
            self.put(ChildCancelRequested(**about, cancel_id=name, order_id=None, reason="timeout"))
            self._acknowledge(run, child)
        else:
            self._acknowledge(run, child)

    def _acknowledge(self, run: _Running, child: str) -> None:
        run.orders[child] = next(self._numbers)
        acknowledged = an_acknowledged(
            execution_id=run.accepted.execution_id,
            client_order_id=child,
            symbol=run.accepted.symbol,
            order_id=run.orders[child],
        )
        assert isinstance(acknowledged, ChildAcknowledged)
        self.put(acknowledged)

    def _finish(self, run: _Running, child: str) -> None:
        accepted, intent = run.accepted, run.open.pop(child)
        parts = self.random.randint(0, 2)
        quantity = intent.quantity / 2
        for _ in range(parts):
            trade = a_trade_booked(
                execution_id=accepted.execution_id,
                client_order_id=child,
                symbol=accepted.symbol,
                side=accepted.side,
                order_id=run.orders[child],
                trade_id=next(self._numbers),
                quantity=quantity,
                price=D(self.random.randint(30_000, 60_000)),
            )
            self.put(*self._register.with_corrections([trade]))
        if self._holdings.unsummed >= 20:
            self.put(self._holdings.summary(self._register.last_trades))
        closed = a_child_closed(
            execution_id=accepted.execution_id,
            client_order_id=child,
            symbol=accepted.symbol,
            order_id=run.orders[child],
            executed_quantity=quantity * parts,
            outcome=ChildOutcome.PARTIAL if parts == 1 else ChildOutcome.FILLED,
        )
        assert isinstance(closed, ChildClosed)
        self.put(closed)

    def _reappear(self, run: _Running) -> None:
        intent = run.absent.pop()
        run.orders[intent.client_order_id] = next(self._numbers)
        run.open[intent.client_order_id] = intent
        self.put(
            AttemptReappeared(
                execution_id=intent.execution_id,
                client_order_id=intent.client_order_id,
                symbol=intent.symbol,
                order_id=run.orders[intent.client_order_id],
                status="FILLED",
                executed_quantity=intent.quantity,
            )
        )

    def _close(self, run: _Running) -> None:
        accepted = run.accepted
        del self.running[accepted.execution_id]
        self.closed.append(run)
        closed = a_closed(
            execution_id=accepted.execution_id,
            key=accepted.key,
            children=run.children,
            reason=self.random.choice(["COMPLETED", "LIQUIDITY"]),
            report=a_report(symbol=accepted.symbol, side=accepted.side, quantity=accepted.quantity),
        )
        assert isinstance(closed, ExecutionClosed)
        self.put(closed)

    def _happen_beside(self) -> None:
        signal = a_signal(id=str(next(self._numbers)))
        match self.random.randrange(11):
            case 0:
                self._epoch += 1
                self.put(EpochStarted(epoch=self._epoch + 1, journal_id="j", mode="paper", version="1"))
            case 1:
                until = self.now + timedelta(seconds=30)
                self.put(NonceUsed(sender="s", nonce=str(next(self._numbers)), until=until))
            case 2:
                until = self.now + timedelta(seconds=self.random.choice([10, 600, 250_000]))
                self.put(RateLimited(until=until, banned=False, detail=""))
            case 3 if not self._halted:
                self._halted = True
                self.put(TradingHalted(reason="OPERATOR", detail=""))
            case 3 | 4 if self._halted:
                self._halted = False
                self.put(TradingResumed())
            case 5:
                order = next(self._numbers)
                self.put(
                    ForeignOrderSeen(
                        client_order_id=f"web_{order}",
                        symbol=self.random.choice(SYMBOLS),
                        order_id=order,
                        side=Side.BUY,
                        quantity=D(1),
                        status="NEW",
                        ours=False,
                    )
                )
            case 6:
                self.put(BalanceMismatch(asset="USDT", expected=D(1), found=D(next(self._numbers))))
                self.put(BalancesNoted(balances=(("USDT", D(next(self._numbers))),)))
            case 7:
                self.put(StreamGap(since=self.now, until=self.now, detail="cut"))
            case 8:
                self.put(SignalRejected(signal=signal, label="l", reason="STALE", detail=""))
            case 9 if self.closed or self.running:
                late = self.closed and self.random.random() < 0.7
                run = self.random.choice(self.closed[-20:] if late else list(self.running.values()) or self.closed)
                of = run.accepted.execution_id
                if self.random.random() < 0.5:
                    self.put(SignalDuplicate(execution_id=of, signal=run.accepted.signal, label="l", by="id"))
                else:
                    self.put(SignalConflict(execution_id=of, signal=signal, label="l", differing=("side",)))
            case _ if (
                late_one := next((one for one in self.closed[-5:] if one.absent and not one.open), None)
            ) is not None:
                self._late_fill(late_one)
            case _:
                pass

    def _late_fill(self, run: _Running) -> None:
        """An order believed absent comes to light after the report, and ends."""
        self._reappear(run)
        (child,) = run.open
        if self.random.random() < 0.5:
            self._finish(run, child)
