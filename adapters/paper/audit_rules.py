"""What a rule is, and the rules of quantities and names (S1 to S5)."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from itertools import pairwise

from adapters.paper.audit_evidence import (
    ENDS_WITHOUT_EFFECT,
    Child,
    Evidence,
    Execution,
    Line,
)
from adapters.paper.audit_truth import FINAL_STATUSES, Request, VenueOrder
from messages.ids import parse_child_id
from messages.money import ZERO, plain


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What the run was allowed, and how exactly the two sides' clocks can be compared.

    `transit` is how long a message may be on its way from actor to actor or to the exchange: what
    was decided before a halt may arrive within it. `clock_ahead` is the exchange's clock minus ours,
    `clock_error` how far the daemon's estimate of it may be off. `wall_steps` is by how much the
    daemon's own wall clock was set during the run: what it counts in wall time may be off by that;
    `venue_set` says that the exchange's was.
    `order_limits` are (seconds, orders) in windows aligned with the epoch, as Binance counts.
    `foreign_orders` says that others trade on the account. `price_tolerance_bps` and
    `cache_ttl_seconds` are those of de-duplication. For the L rows: from `quiet_since` on
    (microseconds since 1970) no fault came any more and `until` is when the run ended; both None
    when that is not known. From `answered_since` on, if that was sooner, questions were answered well, whatever
    else went wrong. An unknown outcome is proven `controlled_within` or `unknown_within` of the
    end of the order's window; where it is called unknown only later, `proof_takes` is allowed.
    """

    transit: timedelta = timedelta(seconds=2)
    clock_ahead: timedelta = timedelta()
    clock_error: timedelta = timedelta(seconds=1)
    wall_steps: timedelta = timedelta()
    venue_set: bool = False
    order_limits: tuple[tuple[int, int], ...] = ()
    foreign_orders: bool = False
    price_tolerance_bps: Decimal = Decimal(10)
    cache_ttl_seconds: int = 600
    quiet_since: int | None = None
    until: int | None = None
    answered_since: int | None = None
    unknown_within: timedelta = timedelta(seconds=65)
    controlled_within: timedelta = timedelta(seconds=20)
    proof_takes: timedelta = timedelta(seconds=6)
    cancel_within: timedelta = timedelta(seconds=60)
    known_within: timedelta = timedelta(seconds=10)
    end_within: timedelta = timedelta(seconds=130)


@dataclass(frozen=True, slots=True)
class Violation:
    """A rule that was broken: which, by whom, and the figures."""

    rule: str
    subject: str
    text: str


Found = Iterator[tuple[str, str]]
"""Subject and text of each violation of one rule."""

Rule = Callable[[Evidence, Limits], Found]

_MICRO = timedelta(microseconds=1)


def us(span: timedelta) -> int:
    """Whole microseconds of a span."""
    return span // _MICRO


# S1, S2, S5 ---------------------------------------------------------------------------------------


def over_fill(evidence: Evidence, _limits: Limits) -> Found:
    """S1: no execution is ever filled above what was asked, by either side's books."""
    for execution in evidence.executions.values():
        asked = execution.asked()
        at_venue = sum((order.executed for order in evidence.orders_of(execution)), ZERO)
        booked = sum((t.amount("quantity") for t in execution.every("TradeBooked")), ZERO)
        for where, filled in (("the exchange filled", at_venue), ("the journal booked", booked)):
            if filled > asked:
                yield execution.execution_id, f"{where} {plain(filled)} of {plain(asked)} asked"
        yield from _over_spent(evidence, execution)


def _over_spent(evidence: Evidence, execution: Execution) -> Found:
    """S1: what buys for an amount of quote never costs more than that."""
    accepted = execution.first("SignalAccepted")
    amount = None if accepted is None else accepted.record("signal").amount_or_none("quote_quantity")
    if accepted is None or amount is None or accepted.text("side") != "BUY":
        return
    at_venue = sum((order.quote for order in evidence.orders_of(execution)), ZERO)
    booked = sum((t.amount("quantity") * t.amount("price") for t in execution.every("TradeBooked")), ZERO)
    for where, spent in (("the exchange took", at_venue), ("the journal booked", booked)):
        if spent > amount:
            yield execution.execution_id, f"{where} {plain(spent)} of an amount of {plain(amount)}"


@dataclass(slots=True)
class _Held:
    """How much of an execution one child takes, as of a line of the journal."""

    quantity: Decimal
    executed: Decimal = ZERO
    open: bool = True

    @property
    def exposure(self) -> Decimal:
        return max(self.quantity, self.executed) if self.open else self.executed

    def follow(self, line: Line) -> None:
        match line.kind:
            case "TradeBooked":
                self.executed += line.amount("quantity")
            case "ChildClosed":
                self.open = False
                self.executed = max(self.executed, line.amount("executed_quantity"))
            case "AttemptReappeared":
                self.open = line.text("status") not in FINAL_STATUSES
                self.executed = max(self.executed, line.amount("executed_quantity"))
            case kind if kind in ENDS_WITHOUT_EFFECT:
                self.open = False


def _asked_lately(execution: Execution, at: int, limits: Limits) -> Decimal:
    """What may be executed; a cut that is younger than `transit` may not have come round yet."""
    return max(execution.asked(at), execution.asked(at - us(limits.transit)))


def exposure(evidence: Evidence, limits: Limits) -> Found:
    """S2: at each intent, executed + open + unknown + this child is at most what was asked."""
    for execution in evidence.executions.values():
        held: dict[str, _Held] = {}
        for line in execution.lines:
            if line.kind != "ChildIntended":
                if line.child_id in held:
                    held[line.child_id].follow(line)
                continue
            quantity, asked = line.amount("quantity"), _asked_lately(execution, line.at, limits)
            taken = sum((child.exposure for child in held.values()), ZERO)
            if taken + quantity > asked:
                yield (
                    line.child_id,
                    f"intends {plain(quantity)} with {plain(taken)} executed, open or unknown of {plain(asked)} asked",
                )
            held[line.child_id] = _Held(quantity)


def participation(evidence: Evidence, limits: Limits) -> Found:
    """S13: what is executed, open or unknown, and this child, are at most their share of what the market traded.

    What became known within `transit` before an intent may not have come round to the one who planned it.
    """
    for execution in evidence.executions.values():
        plan = execution.plan
        if plan is None or not plan.has("max_participation"):
            continue
        held: dict[str, _Held] = {}
        taken = [(0, ZERO)]
        for line in execution.lines:
            if line.kind == "ChildIntended":
                quantity = line.amount("quantity")
                known = min(amount for at, amount in taken if at >= line.at - us(limits.transit) or at == taken[-1][0])
                allowed = plan.amount("max_participation") * (line.amount_or_none("market_volume") or ZERO)
                if known + quantity > allowed and not line.flag("adopted"):
                    text = f"makes it {plain(known + quantity)}, what the market trades allows {plain(allowed)}"
                    yield line.child_id, text
                held[line.child_id] = _Held(quantity)
            elif line.child_id in held:
                held[line.child_id].follow(line)
            taken.append((line.at, sum((child.exposure for child in held.values()), ZERO)))


def exposure_at_venue(evidence: Evidence, _limits: Limits) -> Found:
    """S2 by the exchange's books: what is filled or open never adds up to more than was asked."""
    for execution in evidence.executions.values():
        orders, asked = evidence.orders_of(execution), execution.asked()
        for index, order in enumerate(orders):
            taken = sum(
                (earlier.quantity if _open_at(earlier, order) else earlier.executed for earlier in orders[:index]),
                ZERO,
            )
            if taken + order.quantity > asked:
                yield (
                    order.client_order_id,
                    f"arrived for {plain(order.quantity)} with {plain(taken)} filled or open of {plain(asked)} asked",
                )


def _open_at(earlier: VenueOrder, later: VenueOrder) -> bool:
    return earlier.open or earlier.updated_at > later.created_at


def one_open_child(evidence: Evidence, _limits: Limits) -> Found:
    """S5: an execution has at most one child open or unknown, in the journal and at the exchange."""
    for execution in evidence.executions.values():
        held: dict[str, _Held] = {}
        for line in execution.lines:
            if line.kind == "ChildIntended":
                others = [name for name, child in held.items() if child.open]
                if others:
                    yield line.child_id, f"intended while {', '.join(others)} was open or unknown"
                held[line.child_id] = _Held(line.amount("quantity"))
            elif line.child_id in held:
                held[line.child_id].follow(line)
        orders = evidence.orders_of(execution)
        for earlier, later in pairwise(orders):
            if _open_at(earlier, later):
                text = f"arrived at the exchange while {earlier.client_order_id} was open"
                yield later.client_order_id, text


# S3, S4 ---------------------------------------------------------------------------------------


def write_ahead(evidence: Evidence, limits: Limits) -> Found:
    """S3: whatever the exchange received had been journalled before, exactly as it arrived."""
    for request in evidence.requests:
        name = request.client_order_id
        child = evidence.children.get(name)
        intent = child.intent if child else None
        if intent is None:
            if parse_child_id(name) or name.startswith("tg") or not limits.foreign_orders:
                yield name, "arrived at the exchange without an intent in the journal"
            continue
        arrived = request.arrived_at - us(limits.clock_ahead)
        if intent.at // 1000 > arrived // 1000:
            late = intent.at - arrived
            yield name, f"arrived at the exchange {late / 1000:.3f} ms before its intent"
        if request.effect and child and child.every("ChildNotSent"):
            yield name, "took effect at the exchange, but the journal says that it never left"
        for what, meant, came in _differences(intent, request):
            yield name, f"was intended with {what} {meant} but arrived with {came}"
    received = {request.client_order_id for request in evidence.requests}
    for order in evidence.own_orders():
        if order.client_order_id not in received:
            yield order.client_order_id, "is an order of which no request arrived"
    for name in evidence.orders:
        if name not in received and name not in evidence.children and parse_child_id(name):
            yield name, "is at the exchange without an intent in the journal"


def _differences(intent: Line, request: Request) -> Iterator[tuple[str, object, object]]:
    meant_and_came: list[tuple[str, object, object]] = [
        ("symbol", intent.text("symbol"), request.symbol),
        ("side", intent.text("side"), request.side),
        ("type", intent.text("order_type"), request.order_type),
        ("quantity", intent.amount("quantity"), request.quantity),
        ("price", intent.amount_or_none("limit_price"), request.price),
    ]
    return (row for row in meant_and_came if row[1] != row[2])


def unique_ids(evidence: Evidence, _limits: Limits) -> Found:
    """S4: a client id takes effect once, says what it belongs to, and no slice is executed twice."""
    effects = Counter(request.client_order_id for request in evidence.requests if request.effect)
    for name, orders in evidence.orders.items():
        effects[name] = max(effects[name], len(orders))
    for name, count in effects.items():
        if count > 1:
            yield name, f"took effect {count} times at the exchange"
    cancels = Counter(line.text("cancel_id") for line in evidence.kinds("ChildCancelRequested"))
    for name, count in cancels.items():
        if count > 1:
            yield name, f"named {count} cancels"
    for name, child in evidence.children.items():
        intents = child.every("ChildIntended")
        if len(intents) > 1:
            yield name, f"was intended {len(intents)} times"
        for intent in intents:
            if not _named_after(name, intent):
                yield name, "is no name for this execution, slice and attempt"


def _named_after(name: str, intent: Line) -> bool:
    parsed = parse_child_id(name)
    return parsed is not None and (
        parsed.execution_id,
        parsed.slice,
        parsed.attempt,
        parsed.cancel,
    ) == (intent.execution_id, intent.whole("slice"), intent.whole("attempt"), None)


def one_attempt_executes(evidence: Evidence, _limits: Limits) -> Found:
    """S4: the attempt rises only when the last one is proven ended; only one attempt executes.

    An attempt that only rested (LIMIT_MAKER) may be closed and followed by one that takes.
    """
    slices: dict[tuple[str, int], list[Child]] = defaultdict(list)
    for child in evidence.children.values():
        if child.intent is not None:
            slices[child.execution_id, child.intent.whole("slice")].append(child)
    for attempts in slices.values():
        for earlier, later in pairwise(attempts):
            if not _ended_before(earlier, later):
                text = f"was intended before {earlier.client_order_id} was proven ended"
                yield later.client_order_id, text
        executed = [child for child in attempts if _executed_at_venue(evidence, child)]
        takers = [child for child in executed if not _rests(child)]
        if len(takers) > 1:
            names = " and ".join(child.client_order_id for child in takers)
            yield takers[-1].client_order_id, f"{names} were both executed for one slice"


def _rests(child: Child) -> bool:
    return child.intent is not None and child.intent.text("order_type") == "LIMIT_MAKER"


def _ended_before(earlier: Child, later: Child) -> bool:
    kinds = ENDS_WITHOUT_EFFECT | ({"ChildClosed"} if _rests(earlier) else set())
    first = later.lines[0].seq
    return any(line.kind in kinds and line.seq < first for line in earlier.lines)


def _executed_at_venue(evidence: Evidence, child: Child) -> bool:
    return any(order.executed for order in evidence.orders.get(child.client_order_id, ()))
