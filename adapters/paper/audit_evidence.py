"""What the audit judges by: journal lines and the exchange's truth, read into plain records.

Nothing is concluded here. Times are whole microseconds since 1970, so that a journal moment and a
millisecond of the exchange can be compared without a float.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import field
from decimal import Decimal

from adapters.paper.audit_records import Json, Record, as_record
from adapters.paper.audit_truth import (
    FINAL_STATUSES,
    Request,
    VenueOrder,
    VenueTrade,
    read_balances,
    read_order,
    read_request,
    read_trade,
)
from messages.frozen import dataclass
from messages.money import ZERO

ENDS_WITHOUT_EFFECT = frozenset({"ChildNotSent", "ChildRefused", "ChildAbsent"})
"""Facts after which a child counts as never executed."""

SIGNAL_ANSWERS = frozenset({"SignalAccepted", "SignalDuplicate", "SignalConflict", "SignalRejected"})


@dataclass(frozen=True, slots=True)
class Line(Record):
    """One fact of the journal export: `at` in microseconds, `kind` as in `messages.facts.FACTS`."""

    seq: int
    at: int
    kind: str
    execution_id: str
    child_id: str


class _Told:
    """What has lines, oldest first."""

    __slots__ = ()
    lines: list[Line]

    def first(self, kind: str) -> Line | None:
        """The first line of a kind."""
        for line in self.lines:
            if line.kind == kind:
                return line
        return None

    def every(self, kind: str) -> list[Line]:
        """All lines of a kind."""
        return [line for line in self.lines if line.kind == kind]


@dataclass(slots=True)
class Child(_Told):
    """A child order as the journal tells it: `lines` are all its facts, oldest first."""

    client_order_id: str
    execution_id: str
    lines: list[Line] = field(default_factory=list)

    @property
    def intent(self) -> Line | None:
        """The line that announced it."""
        return self.first("ChildIntended")

    @property
    def end(self) -> Line | None:
        """The line that last ended it; None while it is open or unknown."""
        end: Line | None = None
        for line in self.lines:
            if line.kind == "ChildClosed" or line.kind in ENDS_WITHOUT_EFFECT:
                end = line
            elif line.kind == "AttemptReappeared":
                end = line if line.text("status") in FINAL_STATUSES else None
        return end


@dataclass(slots=True)
class Execution(_Told):
    """An execution as the journal tells it: `lines` are all its facts, its children's included."""

    execution_id: str
    lines: list[Line] = field(default_factory=list)
    children: list[Child] = field(default_factory=list)

    @property
    def closed(self) -> Line | None:
        """The line that ended it."""
        return self.first("ExecutionClosed")

    @property
    def plan(self) -> Record | None:
        """Its plan, once there is one."""
        planned = self.first("ExecutionPlanned")
        return planned.record("plan") if planned else None

    def asked(self, at: int | None = None) -> Decimal:
        """Base units that may be executed: at a moment, or (None) the most that ever might.

        The plan may round the accepted quantity down; an amendment replaces both.
        """
        asked = ZERO
        for line in self.lines:
            if at is not None and line.at > at:
                break
            quantity = _asked_in(line)
            if quantity is not None:
                asked = quantity if at is not None else max(asked, quantity)
        return asked


def _asked_in(line: Line) -> Decimal | None:
    match line.kind:
        case "SignalAccepted":
            return line.amount("quantity")
        case "ExecutionPlanned":
            return line.record("plan").amount("quantity")
        case "ExecutionAmended":
            return line.amount_or_none("quantity")
        case _:
            return None


@dataclass(slots=True)
class Evidence:
    """Everything that is judged, indexed once."""

    lines: list[Line]
    executions: dict[str, Execution]
    children: dict[str, Child]
    requests: list[Request]
    orders: dict[str, list[VenueOrder]]
    trades: list[VenueTrade]
    trades_of: dict[tuple[str, int], list[VenueTrade]]
    balances: dict[str, Decimal]
    exceeded: list[Record]
    initial_balances: dict[str, Decimal] | None
    verdicts: Mapping[str, Sequence[Record]]

    def kinds(self, *kinds: str) -> list[Line]:
        """All lines of some kinds, in order."""
        return [line for line in self.lines if line.kind in kinds]

    def own_orders(self) -> list[VenueOrder]:
        """The exchange's orders that carry the name of a child in the journal."""
        return [order for child in self.children for order in self.orders.get(child, ())]

    def orders_of(self, execution: Execution) -> list[VenueOrder]:
        """The exchange's orders of an execution, in the exchange's order."""
        orders = [order for child in execution.children for order in self.orders.get(child.client_order_id, ())]
        return sorted(orders, key=lambda order: (order.created_at, order.order_id))

    def fills_of(self, order: VenueOrder) -> list[VenueTrade]:
        """The exchange's trades of an order."""
        return self.trades_of.get((order.symbol, order.order_id), [])


# Reading ------------------------------------------------------------------------------------------


def read_evidence(
    journal: Iterable[Json],
    truth: Json,
    *,
    initial_balances: Mapping[str, Decimal] | None = None,
    verdicts: Mapping[str, Sequence[Json]] | None = None,
) -> Evidence:
    """Read and index both sides; `Unreadable` if a line or an entry lacks what it must have."""
    lines = [_line(body) for body in journal]
    executions: dict[str, Execution] = {}
    children: dict[str, Child] = {}
    for line in lines:
        if not line.execution_id and not line.child_id:
            continue
        if line.child_id and line.kind != "ForeignOrderSeen":
            child = children.get(line.child_id)
            if child is None:
                child = children[line.child_id] = Child(line.child_id, line.execution_id)
                _execution(executions, line.execution_id).children.append(child)
            child.lines.append(line)
        if line.kind not in {"SignalDuplicate", "SignalConflict"}:
            _execution(executions, line.execution_id).lines.append(line)
    whole = Record(truth)
    orders: dict[str, list[VenueOrder]] = defaultdict(list)
    sides: dict[tuple[str, int], str] = {}
    for order in map(read_order, whole.records("orders")):
        orders[order.client_order_id].append(order)
        sides[order.symbol, order.order_id] = order.side
    trades = [read_trade(record, sides) for record in whole.records("trades")]
    trades_of: dict[tuple[str, int], list[VenueTrade]] = defaultdict(list)
    for trade in trades:
        trades_of[trade.symbol, trade.order_id].append(trade)
    return Evidence(
        lines=lines,
        executions=executions,
        children=children,
        requests=sorted(map(read_request, whole.records("received")), key=lambda request: request.arrived_at),
        orders=dict(orders),
        trades=trades,
        trades_of=dict(trades_of),
        balances=read_balances(truth.get("balances")),
        exceeded=whole.records("exceeded"),
        initial_balances=None if initial_balances is None else dict(initial_balances),
        verdicts={sender: [as_record(answer) for answer in answers] for sender, answers in (verdicts or {}).items()},
    )


def _execution(executions: dict[str, Execution], execution_id: str) -> Execution:
    execution = executions.get(execution_id)
    if execution is None:
        execution = executions[execution_id] = Execution(execution_id)
    return execution


def _line(body: Json) -> Line:
    record = Record(body)
    return Line(
        body,
        seq=record.whole("seq"),
        at=record.moment("at"),
        kind=record.text("type"),
        execution_id=str(body.get("execution_id") or ""),
        child_id=str(body.get("client_order_id") or ""),
    )
